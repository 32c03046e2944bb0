"""Give every watched play its canonical key, and keep one play for each key, or each viewing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..ids.appearances import Appearance
from ..ids.chain import Identified, origin_in
from ..ids.works import Work
from ..model.every_play import EveryPlay
from ..model.groups import PlayGroups
from ..model.guids import PER_SEASON, plex_guid
from ..model.items import Ids, Kind, Origin
from ..model.judged import NOBODY, Order, Orders
from ..model.keys import best_id, episode_key, movie_key
from ..model.played import Played, PlayedEpisode
from ..model.rejections import Reason

__all__ = ["KeptPlays", "Naming", "base_keys", "keyed"]

_Number: TypeAlias = tuple[int, int]
"""The season and the episode; of a film ``_FILM``."""

_Seasons: TypeAlias = Literal["all", "first", "later"]

_FILM: Final[_Number] = (0, 0)
_VIEWINGS_AT_ONCE: Final = 1_000


class Naming(Struct, frozen=True, gc=False):
    """The ids and the key that all items of one appearance of a film or show have."""

    work: Work
    appearance: Appearance
    ids: Ids
    base: str
    """The canonical key, of an episode without its numbers."""
    seasons: _Seasons = "all"

    @property
    def kind(self) -> Kind:
        """Return the kind."""
        return self.work.kind

    @property
    def show_ids(self) -> Ids:
        """Return the ids of an episode's show: none if it has only the episode's own GUID."""
        return Ids() if self.ids.guid else self.ids

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

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.namings: list[Naming] = []
        self.naming, self.group = array("i"), array("i")
        self.order = orders.column()
        self.user = array("q")
        self.begun, self.ended = array("q"), array("q")
        self.viewing = array("i")
        """Only with every viewing, otherwise empty. For the last see ``Viewing.number``."""

    def __len__(self) -> int:
        return len(self.order)

    def when(self, place: int) -> int:
        """Return the time of a play (epoch seconds, UTC)."""
        return self.orders.time(self.order[place])

    def add(self, naming: int, group: int, user: int, order: Order) -> None:
        """Add a play."""
        self.naming.append(naming)
        self.group.append(group)
        self.order.append(order)
        self.user.append(user)


def keyed(
    identified: Identified, groups: PlayGroups, *, every_viewing: bool, each_user: bool
) -> tuple[KeptPlays, Mapping[int, Reason]]:
    """Return the plays to import, and the groups of accepted plays without a key.

    Without ``every_viewing`` it is the newest play of each key, with ``each_user`` that of each
    user.
    """
    kept = KeptPlays(groups.orders)
    unkeyable: dict[int, Reason] = {}
    for one in identified.nameless:
        for group in one.groups:
            if groups.accepted[group]:
                unkeyable[group] = _why_no_key(None, groups[group])
    namings = kept.namings
    for work in identified.works:
        for one in work.appearances:
            # The viewings also need the plays that are not accepted.
            if one.accepted or every_viewing:
                namings += _namings(work, one)
    users = groups.newest_of_users() if each_user and not every_viewing else None
    items = _Items(groups) if every_viewing else None
    bases = [naming.base for naming in namings]
    in_order = sorted(range(len(namings)), key=bases.__getitem__)
    for _, places in groupby(in_order, key=bases.__getitem__):
        plays = _plays_under(list(places), namings, groups, unkeyable, every_viewing=every_viewing)
        if items is not None:
            items.add(plays)
        elif users is None:
            _keep_newest(kept, groups, plays)
        else:
            _keep_newest_of_users(kept, users, plays)
    if items is not None and groups.every_play is not None:
        items.keep_viewings(kept, groups.every_play)
        groups.every_play = None  # nothing else needs this memory
    return kept, unkeyable


def _namings(work: Work, one: Appearance) -> Iterator[Naming]:
    """Yield how the items of an appearance are named; with an empty base if they have no key."""
    played = one.played
    if not isinstance(played, PlayedEpisode):
        ids = work.ids_for(one)
        known = played.title or played.rating_key or one.ids or plex_guid(played.guid, "movie")
        base = movie_key(ids, played.title or "", played.year) if known else ""
        yield Naming(work, one, ids, base)
    elif PER_SEASON.isdisjoint(work.ids):
        yield from _namings_of_show(work, one, work.ids_for(one), "all")
    else:
        yield from _namings_of_show(work, one, work.ids_for(one, 1), "first")
        yield from _namings_of_show(work, one, work.ids_for(one, 2), "later")


def _namings_of_show(work: Work, one: Appearance, ids: Ids, seasons: _Seasons) -> Iterator[Naming]:
    """Yield how the episodes are named: by the show, else each by its own ``plex://`` GUID.

    A show whose rating key another show has now may have no id at all.
    """
    base = best_id(ids) or ""
    if base or not work.rating_keys:
        yield Naming(work, one, ids, base, seasons)
        return
    groups, others = one.all_groups, []
    for group, played in zip(one.groups, groups.of(one.groups), strict=True):
        if guid := plex_guid(played.guid, "episode"):
            own = Ids(guid=guid)
            yield Naming(work, Appearance(groups, played, group), own, best_id(own) or "", seasons)
        else:
            others.append(group)
    if others:
        first = groups[others[0]]
        yield Naming(work, Appearance(groups, first, others[0], others[1:]), ids, "", seasons)


_Plays: TypeAlias = Iterable[tuple[_Number, int, int]]
"""Numbers, groups, and places of namings."""


def _plays_under(
    same: Sequence[int],
    namings: Sequence[Naming],
    groups: PlayGroups,
    unkeyable: dict[int, Reason],
    *,
    every_viewing: bool,
) -> Sequence[tuple[_Number, int, int]]:
    """Return the groups of plays under one base. Those without a key become ``unkeyable``."""
    accepted, seasons, episodes = groups.accepted, groups.season, groups.episode
    found: list[tuple[_Number, int, int]] = []
    for place in same:
        naming = namings[place]
        if naming.work.kind == "movie" and naming.base:
            group = naming.appearance.groups[0]  # a film's only one
            if accepted[group] or every_viewing:
                found.append((_FILM, group, place))
            continue
        is_whole = naming.seasons == "all"
        for group in naming.appearance.groups:
            if not (accepted[group] or every_viewing):
                continue
            season, episode = seasons[group], episodes[group]
            is_numbered = season >= 0 <= episode
            if is_numbered and not (is_whole or naming.has(season)):
                continue
            if is_numbered and naming.base:
                found.append(((season, episode), group, place))
            elif accepted[group]:
                unkeyable[group] = _why_no_key(naming.work, groups[group])
    return found


def _keep_newest(kept: KeptPlays, groups: PlayGroups, plays: _Plays) -> None:
    best = groups.best
    newest: dict[_Number, tuple[int, int]] = {}
    for number, group, place in plays:
        other = newest.get(number)
        if other is None or best[other[0]] < best[group]:
            newest[number] = group, place
    found = newest.values()
    kept.naming.extend([place for _, place in found])
    kept.group.extend([group for group, _ in found])
    kept.order.extend([best[group] for group, _ in found])
    kept.user.extend([NOBODY] * len(found))


def _keep_newest_of_users(
    kept: KeptPlays, users: Mapping[int, Sequence[tuple[int, Order]]], plays: _Plays
) -> None:
    newest: dict[tuple[_Number, int], tuple[Order, int, int]] = {}
    for number, group, place in plays:
        for user, best in users.get(group, ()):
            one = best, group, place
            if (number, user) not in newest or newest[number, user] < one:
                newest[number, user] = one
    for (_, user), (best, group, place) in newest.items():
        kept.add(place, group, user, best)


class _Items:
    """Numbers the films and episodes that have a canonical key, and keeps their viewings."""

    def __init__(self, groups: PlayGroups) -> None:
        self._count = 0
        self._of_group = array("i", [-1]) * len(groups)
        self._naming = array("i", [-1]) * len(groups)

    def add(self, plays: _Plays) -> None:
        """Add the groups of plays under one base."""
        items: dict[_Number, int] = {}
        for number, group, place in plays:
            item = items.setdefault(number, self._count + len(items))
            self._of_group[group], self._naming[group] = item, place
        self._count += len(items)

    def keep_viewings(self, kept: KeptPlays, every_play: EveryPlay) -> None:
        """Keep every viewing that has an accepted play."""
        found = every_play.viewings(self._of_group)
        while some := list(islice(found, _VIEWINGS_AT_ONCE)):
            groups, owners, orders, begun, ended, numbers = zip(*some, strict=True)
            kept.naming.extend(map(self._naming.__getitem__, groups))
            kept.group.extend(groups)
            kept.order.extend(orders)
            kept.user.extend(owners)
            kept.begun.extend(begun)
            kept.ended.extend(ended)
            kept.viewing.extend(numbers)


def _why_no_key(work: Work | None, played: Played) -> Reason:
    if not isinstance(played, PlayedEpisode):
        return Reason.NO_TITLE
    if played.episode is None or played.episode < 0:
        return Reason.NO_EPISODE_NUMBER
    if played.season is None or played.season < 0:
        return Reason.NO_SEASON_NUMBER
    return Reason.REUSED_NUMBER if work is not None and work.rating_keys else Reason.NO_SHOW
