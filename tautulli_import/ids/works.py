"""Join appearances that are the same film or show into a *work*.

They are one work if

* they are one item of Plex: the same rating key (of episodes: the show's), unless it was given
  out again (``rating_keys``);
* or their newest GUIDs are the same ``plex://`` GUID, which is unique worldwide.

A title alone joins nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from operator import attrgetter
from typing import Final

from ..model.groups import PlayGroups
from ..model.guids import PER_SEASON, fits_episode, is_aired_order, plex_guid
from ..model.items import Ids, Kind, Origin
from ..model.played import PlayedEpisode
from ..model.sets import DisjointSets
from .appearances import Appearance, Appearances
from .rating_keys import Item, items_under_keys
from .rulings import Rule, Ruling
from .titles import folded

__all__ = ["Known", "Work", "called_alike", "newest_guids", "settle_keys", "works_of"]


class Known:
    """One external id of a work, and the evidence for it."""

    __slots__ = ("origin", "play_id", "value", "when")

    def __init__(self, value: str, origin: Origin, when: int, play_id: int) -> None:
        self.value = value
        self.origin = origin
        self.when = when
        """Time of the newest play with this id (of a lookup: of the work); epoch seconds, UTC.

        A correction has a time later than any play.
        """
        self.play_id = play_id


_NONE: Final[Mapping[str, Known]] = {}
_ORDER: Final = attrgetter("order")


class Work:
    """A film or a show: how it appears in the history, its rating keys and ids.

    ``identify`` fills in the ids. Works are compared by identity, so that they can be keys of a
    dictionary.
    """

    __slots__ = (
        "_ids_for",
        "answered",
        "appearances",
        "folded_title",
        "ids",
        "kind",
        "newest",
        "own_keys",
        "rating_keys",
        "title",
    )

    def __init__(self, kind: Kind, appearances: Sequence[Appearance]) -> None:
        self.kind = kind
        self.appearances = tuple(appearances)
        """Newest first."""
        self.rating_keys: tuple[int, ...]
        """Newest first."""
        self.title: str
        if len(appearances) == 1:  # as most
            (one,) = appearances
            self.rating_keys = (one.key,) if one.key else ()
            self.title = one.played.work_title or ""
        else:
            self.appearances = tuple(sorted(appearances, key=_ORDER, reverse=True))
            # A broadcast has a temporary key, so the keys of the library come first.
            keys = [one.key for one in sorted(self.appearances, key=_is_live)]
            self.rating_keys = tuple(dict.fromkeys(filter(None, keys)))
            titles = (one.played.work_title for one in self.appearances)
            self.title = next(filter(None, titles), "")
        self.newest = self.appearances[0]
        self.own_keys = self.rating_keys
        """The keys that no other work had later. ``settle_keys`` sets them."""
        is_title = self.title == self.newest.played.work_title
        self.folded_title = self.newest.title if is_title else folded(self.title)
        """The newest title, folded for comparison."""
        self.ids: dict[str, Known] = {}
        self.answered: Mapping[str, Known] = _NONE
        """The ids in Plex's answer."""
        self._ids_for: tuple[tuple[tuple[str, ...], Ids], ...] = ()

    @property
    def titles(self) -> set[str]:
        """Return all titles it had, folded for comparison."""
        return {one.title for one in self.appearances if one.title}

    @property
    def accepted(self) -> int:
        """Return the number of accepted plays."""
        return sum(one.accepted for one in self.appearances)

    @property
    def groups_without_ids(self) -> Sequence[int]:
        """Return the groups of accepted plays whose items have no external id.

        Of a show with ids these are the episodes that no id fits.
        """
        plays, found = self.newest.all_groups, []
        for one in self.appearances:
            is_aired = self.kind == "movie" or is_aired_order(one.played.guid)
            fitting = {
                site
                for site, known in self.ids.items()
                if is_aired or known.origin is Origin.CORRECTIONS
            }
            if fitting - PER_SEASON or any(
                self.ids[site].origin is Origin.CORRECTIONS for site in fitting
            ):
                continue
            found += [
                group
                for group in one.groups
                if plays.accepted[group] and (not fitting or plays.season[group] > 1)
            ]
        return found

    @property
    def year(self) -> int | None:
        """Return the newest year of a film, or None of a show.

        Tautulli's history has the years of episodes only.
        """
        if self.kind == "show":
            return None
        return next((one.played.year for one in self.appearances if one.played.year), None)

    @property
    def day(self) -> str | None:
        """Return the newest release day of a film, or None of a show."""
        if self.kind == "show":
            return None
        return next((day for one in self.appearances if (day := one.played.aired)), None)

    @property
    def has_own_order(self) -> bool:
        """Return true if the library counts episodes in another order than the sites do.

        An id of a show would then lead to other episodes.
        """
        return self.kind == "show" and not any(
            is_aired_order(one.played.guid) for one in self.appearances
        )

    @property
    def episodes(self) -> Sequence[tuple[int, PlayedEpisode]]:
        """Return the groups of a show's episodes with what was played, the newest group first."""
        found = [pair for one in self.appearances for pair in one.episodes]
        newest = self.newest.all_groups.newest
        return sorted(found, key=lambda pair: newest[pair[0]], reverse=True)

    def plex_guid(self) -> str | None:
        """Return a film's newest ``plex://`` GUID. The history has none of a show."""
        if self.kind == "show":
            return None
        guids = (plex_guid(one.played.guid, "movie") for one in self.appearances)
        return next(filter(None, guids), None)

    @property
    def guids(self) -> Iterator[str | None]:
        """Yield the GUIDs of its plays, the newest first."""
        if self.kind == "movie":
            return (one.played.guid for one in self.appearances)
        return (played.guid for _, played in self.episodes)

    def ids_for(self, appearance: Appearance, season: int | None = None) -> Ids:
        """Return all ids for the item of a play: external ids, newest own rating key, GUID.

        Of an episode only the ids that fit its numbers count, and those that a person gave. The
        results are kept, so call this only after ``identify``.
        """
        fitting: tuple[str, ...] = tuple(self.ids)
        if self.kind == "show":
            guid = appearance.played.guid
            fitting = tuple(
                site
                for site, known in self.ids.items()
                if known.origin is Origin.CORRECTIONS or fits_episode(site, guid, season)
            )
        for sites, ids in self._ids_for:
            if sites == fitting:
                return ids
        ids = Ids(
            **{site: self.ids[site].value for site in fitting},
            plex=str(self.own_keys[0]) if self.own_keys else None,
            guid=self.plex_guid(),
        )
        self._ids_for += ((fitting, ids),)
        return ids


def called_alike(works: Sequence[Work]) -> Sequence[Sequence[int]]:
    """Return the places of works of one kind that have the same title, where there are several."""
    first: dict[Kind, dict[str, int]] = {"movie": {}, "show": {}}
    several: dict[tuple[Kind, str], list[int]] = {}
    for number, work in enumerate(works):
        title = work.folded_title
        if not title:
            continue
        other = first[work.kind].setdefault(title, number)
        if other != number:
            several.setdefault((work.kind, title), [other]).append(number)
    return list(several.values())


def _is_live(one: Appearance) -> bool:
    return bool(one.played.live)


def settle_keys(works: Iterable[Work]) -> None:
    """Leave each rating key to the work that had it last.

    A rebuilt server gives the same keys out again. If two works kept ``plex:12`` as their id,
    they would be merged into one item.
    """
    holders: dict[Kind, dict[int, Work]] = {"movie": {}, "show": {}}
    contested: dict[Work, None] = {}
    for work in works:
        holder = holders[work.kind]
        for key in work.rating_keys:
            if (other := holder.setdefault(key, work)) is not work:
                contested[other] = contested[work] = None
    owners: dict[tuple[Kind, int], tuple[int, Work]] = {}
    for work in contested:
        for one in work.appearances:
            place = work.kind, one.key or 0
            if place not in owners or owners[place][0] < one.order:
                owners[place] = one.order, work
    for work in contested:
        work.own_keys = tuple(key for key in work.rating_keys if owners[work.kind, key][1] is work)


def works_of(
    appearances: Appearances, groups: PlayGroups, rulings: list[Ruling]
) -> tuple[list[Work], Sequence[Appearance]]:
    """Join the appearances of films and shows into works. Add what was decided to ``rulings``.

    Also return the appearances that name no show, neither by key nor title nor GUID.
    """
    items = items_under_keys(appearances.all, groups, rulings)
    keyless = [one for one in appearances.all if not one.key]
    shows, nameless = _shows(keyless, items["show"], appearances.sharing, rulings)
    return [*_films(keyless, items["movie"], rulings), *shows], nameless


def _films(
    keyless: Sequence[Appearance], items: Sequence[Item], rulings: list[Ruling]
) -> list[Work]:
    nodes = list(items)
    nameless: defaultdict[Hashable, list[Appearance]] = defaultdict(list)
    for one in keyless:
        if one.kind == "movie":
            title = one.title
            nameless[(title, one.played.year) if title else one].append(one)
    nodes += nameless.values()
    sets: DisjointSets[int] = DisjointSets()
    # Only the newest GUID of each film counts: an older GUID from a wrong match would join the
    # film with the one that the GUID belongs to.
    by_guid: dict[str, int] = {}
    for number, inside in enumerate(nodes):
        guid = inside[0].guid
        if len(inside) > 1:
            newest = sorted(inside, key=_ORDER, reverse=True)
            guid = next(filter(None, (one.guid for one in newest)), "")
        if guid and (other := by_guid.setdefault(guid, number)) != number:
            sets.join(number, other)
            rulings.append(Ruling(Rule.PLEX_GUID, True, nodes[other][0], inside[0]))
    found = sets.all()
    for first, *others in found:
        nodes[first] = [one for number in (first, *others) for one in nodes[number]]
        for number in others:
            nodes[number] = ()
    return [Work("movie", inside) for inside in nodes if inside]


def _shows(
    keyless: Sequence[Appearance],
    items: Sequence[Item],
    sharing: Collection[Appearance],
    rulings: list[Ruling],
) -> tuple[list[Work], Sequence[Appearance]]:
    nameless: list[Appearance] = []
    members: dict[Hashable, list[Appearance]] = {
        number: list(item) for number, item in enumerate(items)
    }
    for one in keyless:
        if one.kind == "movie":
            continue
        node: Hashable | None = None
        if one.ids:
            node = ("guid", one.ids)
        elif one.title:
            node = ("title", one.title)
        elif guid := plex_guid(one.played.guid, "episode"):
            node = ("episode", guid.lower())  # another play of the episode may name the show
        if node is None:
            nameless.append(one)
        else:
            members.setdefault(node, []).append(one)
    sets: DisjointSets[Hashable] = DisjointSets(members)
    _join_by_episode_guids(
        {node: inside for node, inside in members.items() if any(one in sharing for one in inside)},
        sets,
        rulings,
    )
    joined = [[one for node in nodes for one in members[node]] for nodes in sets.all()]
    return [Work("show", inside) for inside in joined], nameless


def _join_by_episode_guids(
    members: Mapping[Hashable, Sequence[Appearance]],
    sets: DisjointSets[Hashable],
    rulings: list[Ruling],
) -> None:
    """Join shows that have episodes of the same ``plex://`` GUID.

    A corrected wrong match leaves GUIDs of another show in the history. So only the newest GUID
    of each episode counts. And if both shows have GUIDs of episodes of the same numbers, more
    than half of these must be equal.
    """
    guids = {node: newest_guids(inside) for node, inside in members.items()}
    holders: defaultdict[str, list[Hashable]] = defaultdict(list)
    for node, episodes in guids.items():
        for guid in dict.fromkeys(episodes.values()):
            holders[guid].append(node)
    compared: set[tuple[Hashable, Hashable]] = set()
    for nodes in holders.values():
        for one, other in combinations(nodes, 2):
            if (one, other) in compared:
                continue
            compared.add((one, other))
            mine, theirs = guids[one], guids[other]
            alike = [mine[number] == theirs[number] for number in mine.keys() & theirs.keys()]
            is_one = not alike or sum(alike) * 2 > len(alike)
            first, second = members[one][0], members[other][0]
            rulings.append(Ruling(Rule.EPISODE_GUIDS, is_one, first, second))
            if is_one:
                sets.join(one, other)


def newest_guids(appearances: Iterable[Appearance]) -> dict[Hashable, str]:
    """Return the newest ``plex://`` GUID of each episode, by season and number."""
    newest: dict[Hashable, tuple[int, str]] = {}
    for one in appearances:
        orders = one.all_groups.newest
        for group, played in one.episodes:
            guid = plex_guid(played.guid, "episode")
            number = (played.season, played.episode)
            if guid and (number not in newest or newest[number][0] < orders[group]):
                newest[number] = (orders[group], guid.lower())
    return {number: guid for number, (_, guid) in newest.items()}
