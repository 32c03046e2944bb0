"""Give every watched play its canonical key, and keep one play for each key, or each viewing."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..ids.appearances import Appearance
from ..ids.chain import origin_in
from ..ids.works import Work
from ..model.groups import NO_NUMBER, NOBODY, Kept, Newest, PlayGroups
from ..model.guids import PER_SEASON, plex_guid
from ..model.items import Ids, Kind, Origin
from ..model.keys import best_id, episode_key, movie_key
from ..model.played import Played, PlayedEpisode
from ..model.rejections import Reason

__all__ = ["KeptPlays", "Naming", "base_keys", "keyed"]

_Number: TypeAlias = tuple[int, int]
"""The season and the episode; of a film ``_FILM``."""

_FILM: Final[_Number] = (0, 0)


class Naming(Struct, frozen=True, gc=False):
    """The ids and the key that all items of one appearance of a film or show have."""

    work: Work
    appearance: Appearance
    ids: Ids
    base: str
    """The canonical key, of an episode without its numbers."""
    seasons: Literal["all", "first", "later"] = "all"

    @property
    def kind(self) -> Kind:
        """Return the kind."""
        return self.work.kind

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Return the origin of each external id."""
        return {
            site: origin_in(self.work, site, self.appearance)
            for site in self.work.ids
            if getattr(self.ids, site)
        }

    @property
    def origin_of_key(self) -> Origin | None:
        """Return the origin of the external id in the key, or ``None`` without such an id."""
        site = self.base.partition(":")[0]
        return origin_in(self.work, site, self.appearance) if site in self.work.ids else None

    def has(self, season: int) -> bool:
        """Return true if it names the episodes of a season."""
        return self.seasons == "all" or (self.seasons == "first") is (season <= 1)


def base_keys(works: Sequence[Work], groups: PlayGroups) -> Iterator[tuple[int, str]]:
    """Yield the groups of plays, accepted or not, that have a canonical key, with that key."""
    for work in works:
        for one in work.appearances:
            for naming in _namings(work, one):
                for number, group, _ in _plays_under([0], [naming], groups, {}, every_viewing=True):
                    is_film = naming.kind == "movie"
                    yield group, naming.base if is_film else episode_key(naming.base, *number)


class KeptPlays:
    """The plays that will be imported, in columns: each one's film or show and its time."""

    def __init__(self) -> None:
        self.namings: list[Naming] = []
        self.naming, self.group = array("i"), array("i")
        self.when, self.play_id, self.user = array("q"), array("q"), array("q")
        self.begun, self.ended = array("q"), array("q")
        self.viewing = array("i")
        """Only with every viewing, otherwise empty. For the last see ``Viewing.number``."""

    def __len__(self) -> int:
        return len(self.when)

    def add(self, naming: int, kept: Kept) -> None:
        """Add a play."""
        group, user, (when, play_id) = kept
        self.naming.append(naming)
        self.group.append(group)
        self.when.append(when)
        self.play_id.append(play_id)
        self.user.append(NOBODY if user is None else user)


def keyed(
    works: Sequence[Work], groups: PlayGroups, *, every_viewing: bool, each_user: bool
) -> tuple[KeptPlays, Mapping[int, Reason]]:
    """Return the plays to import, and the groups of accepted plays without a key.

    Without ``every_viewing`` it is the newest play of each key, with ``each_user`` that of each
    user.
    """
    kept = KeptPlays()
    unkeyable: dict[int, Reason] = {}
    kept.namings += _all_namings(works, groups, unkeyable, every_viewing=every_viewing)
    users = groups.newest_of_users() if each_user and not every_viewing else None
    namings = kept.namings
    in_order = sorted(range(len(namings)), key=lambda place: namings[place].base)
    for _, places in groupby(in_order, key=lambda place: namings[place].base):
        same = list(places)
        if (
            users is None
            and not every_viewing
            and len(same) == 1
            and _keep_film(kept, groups, *same)
        ):
            continue
        plays = _plays_under(same, kept.namings, groups, unkeyable, every_viewing=every_viewing)
        if every_viewing:
            _keep_viewings(kept, groups, plays)
        elif users is None:
            _keep_newest(kept, groups, plays)
        else:
            _keep_newest_of_users(kept, users, plays)
    groups.free()
    return kept, unkeyable


def _all_namings(
    works: Sequence[Work], groups: PlayGroups, unkeyable: dict[int, Reason], *, every_viewing: bool
) -> Iterator[Naming]:
    """Name every appearance. Accepted plays that are in none have no key."""
    placed = bytearray(len(groups))
    for work in works:
        for one in work.appearances:
            for group in one.groups:
                placed[group] = 1
            # The viewings also need the plays that are not accepted.
            if one.accepted or every_viewing:
                yield from _namings(work, one)
    for group, accepted in enumerate(groups.accepted):
        if accepted and not placed[group]:
            unkeyable[group] = _why_no_key(None, groups[group])


def _namings(work: Work, one: Appearance) -> Iterator[Naming]:
    """Yield how the items of an appearance are named; with an empty base if they have no key."""
    played = one.played
    if not isinstance(played, PlayedEpisode):
        ids = work.ids_for(one)
        known = played.title or played.rating_key or one.ids or plex_guid(played.guid, "movie")
        base = movie_key(ids, played.title or "", played.year) if known else ""
        yield Naming(work, one, ids, base)
    elif PER_SEASON.isdisjoint(work.ids):
        ids = work.ids_for(one)
        yield Naming(work, one, ids, best_id(ids) or "")
    else:
        first, later = work.ids_for(one, 1), work.ids_for(one, 2)
        yield Naming(work, one, first, best_id(first) or "", "first")
        yield Naming(work, one, later, best_id(later) or "", "later")


_Plays: TypeAlias = Iterable[tuple[_Number, int, int]]
"""Numbers, groups, and places of namings."""


def _plays_under(
    same: Sequence[int],
    namings: Sequence[Naming],
    groups: PlayGroups,
    unkeyable: dict[int, Reason],
    *,
    every_viewing: bool,
) -> _Plays:
    """Yield the groups of plays under one base. Those without a key become ``unkeyable``."""
    accepted, seasons, episodes = groups.accepted, groups.season, groups.episode
    for place in same:
        naming = namings[place]
        has_base, is_film = bool(naming.base), naming.kind == "movie"
        for group in naming.appearance.groups:
            if not (accepted[group] or every_viewing):
                continue
            if is_film and has_base:
                yield _FILM, group, place
                continue
            number = seasons[group], episodes[group]
            is_numbered = NO_NUMBER not in number
            if is_numbered and not naming.has(number[0]):
                continue
            if is_numbered and has_base:
                yield number, group, place
            elif accepted[group]:
                unkeyable[group] = _why_no_key(naming.work, groups[group])


def _keep_film(kept: KeptPlays, groups: PlayGroups, place: int) -> bool:
    """Keep the newest play of a film, if nothing else has its key. Most films are so."""
    naming = kept.namings[place]
    if naming.kind == "show" or not naming.base:
        return False
    group = naming.appearance.last
    kept.add(place, (group, None, (groups.best[group], groups.best_id[group])))
    return True


def _keep_newest(kept: KeptPlays, groups: PlayGroups, plays: _Plays) -> None:
    best, best_id = groups.best, groups.best_id
    newest: dict[_Number, tuple[int, int]] = {}
    for number, group, place in plays:
        other = newest.get(number)
        if other is None or (best[other[0]], best_id[other[0]]) < (best[group], best_id[group]):
            newest[number] = group, place
    for group, place in newest.values():
        kept.add(place, (group, None, (best[group], best_id[group])))


def _keep_newest_of_users(
    kept: KeptPlays, users: Mapping[int, Sequence[tuple[int, Newest]]], plays: _Plays
) -> None:
    newest: dict[tuple[_Number, int], tuple[Newest, int, int]] = {}
    for number, group, place in plays:
        for user, best in users.get(group, ()):
            one = best, group, place
            if (number, user) not in newest or newest[number, user] < one:
                newest[number, user] = one
    for (_, user), (best, group, place) in newest.items():
        kept.add(place, (group, user, best))


def _keep_viewings(kept: KeptPlays, groups: PlayGroups, plays: _Plays) -> None:
    members: defaultdict[_Number, dict[int, int]] = defaultdict(dict)
    for number, group, place in plays:
        members[number][group] = place
    for places in members.values():
        for viewing in groups.viewings(places):
            kept.add(places[viewing.kept[0]], viewing.kept)
            kept.begun.append(viewing.begun)
            kept.ended.append(viewing.ended)
            kept.viewing.append(viewing.number)


def _why_no_key(work: Work | None, played: Played) -> Reason:
    if not isinstance(played, PlayedEpisode):
        return Reason.NO_TITLE
    if played.episode is None or played.episode < 0:
        return Reason.NO_EPISODE_NUMBER
    if played.season is None or played.season < 0:
        return Reason.NO_SEASON_NUMBER
    return Reason.REUSED_NUMBER if work is not None and work.rating_keys else Reason.NO_SHOW
