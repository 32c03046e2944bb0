"""Join play groups that are the same film or show into a *work*.

A rating key is not enough, because a rebuilt server gives the same keys out again. A title is
not enough either. Two groups are one work only if

* they share a rating key (of episodes: the show's) *and* a title. The years of a film may
  differ by one, because agents disagree by one;
* or their newest GUIDs are the same ``plex://`` GUID, which is unique worldwide;
* or they are episodes of a renamed show, and share an episode: rating key, numbers, year, and
  a distinctive title.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Generic, TypeVar

from ..model.groups import PlayGroup
from ..model.guids import plex_guid, show_ids
from ..model.items import Ids, Kind, Origin
from ..model.plays import Play

__all__ = ["Known", "Work", "films", "folded", "settle_keys", "shows", "tells"]

_LONGEST_GENERIC = 200
# "Pilot", "Episode 3", "Folge 12", "S01E03": half of all shows have an episode of that title.
_GENERIC = re.compile(r"pilot|\w*\W*\d+|s\d+e\d+")
_Node = TypeVar("_Node", bound=Hashable)


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


class Work:
    """A film or a show: its play groups, rating keys and ids. ``identify`` fills in the ids.

    Works are compared by identity, so that they can be keys of a dictionary.
    """

    __slots__ = ("_ids", "groups", "ids", "kind", "newest", "own_keys", "rating_keys", "title")

    def __init__(self, kind: Kind, groups: Sequence[PlayGroup]) -> None:
        self.kind = kind
        self.groups = sorted(groups, key=lambda group: group.order, reverse=True)
        """Newest first."""
        self.newest = self.groups[0]
        # A broadcast has a temporary key, so the keys of the library come first.
        plays = sorted(self.plays, key=lambda play: bool(play.live))
        self.rating_keys = list(dict.fromkeys(filter(None, map(self.rating_key_of, plays))))
        """Newest first."""
        self.own_keys = self.rating_keys
        """The keys that no other work had later. ``settle_keys`` sets them."""
        self.title = next(filter(None, map(self._title, self.plays)), "")
        self.ids: dict[str, Known] = {}
        self._ids: Ids | None = None

    @property
    def plays(self) -> Iterable[Play]:
        """Return a play of each group, the newest group first."""
        return (group.play for group in self.groups)

    @property
    def titles(self) -> set[str]:
        """Return all titles it had, folded for comparison."""
        return {title for play in self.plays if (title := folded(self._title(play)))}

    @property
    def year(self) -> int | None:
        """Return the newest year of a film, or None of a show.

        Tautulli's history has the years of episodes only.
        """
        if self.kind == "show":
            return None
        return next((play.year for play in self.plays if play.year), None)

    def plex_guid(self) -> str | None:
        """Return a film's newest ``plex://`` GUID. The history has none of a show."""
        if self.kind == "show":
            return None
        return next(filter(None, (plex_guid(play.guid, "movie") for play in self.plays)), None)

    def ids_with_plex(self) -> Ids:
        """Return all ids for the item: the external ids, the newest own rating key, the GUID.

        The result is cached, so call it only after ``identify``.
        """
        if self._ids is None:
            self._ids = Ids(
                **{namespace: known.value for namespace, known in self.ids.items()},
                plex=str(self.own_keys[0]) if self.own_keys else None,
                guid=self.plex_guid(),
            )
        return self._ids

    def rating_key_of(self, play: Play) -> int | None:
        """Return the rating key that a play has for this kind of work: the film's or the show's."""
        return play.rating_key if self.kind == "movie" else play.grandparent_rating_key

    def _title(self, play: Play) -> str | None:
        return play.title if self.kind == "movie" else play.grandparent_title


@lru_cache(maxsize=4096)
def folded(title: str | None) -> str:
    """Return a title for comparison, without differences in case and spacing."""
    return " ".join(title.split()).casefold() if title else ""


def tells(title: str | None) -> bool:
    """Return true if an episode's title is distinctive. "Pilot" and "Episode 3" are not."""
    text = folded(title)
    # The pattern takes the square of the length in steps.
    return len(text) > _LONGEST_GENERIC or (bool(text) and not _GENERIC.fullmatch(text))


def settle_keys(works: Iterable[Work]) -> None:
    """Leave each rating key to the work that had it last.

    A rebuilt server gives the same keys out again. If two works kept ``plex:12`` as their id,
    they would be merged into one item.
    """
    owners: dict[tuple[Kind, int], tuple[tuple[int, int], Work]] = {}
    for work in works:
        for group in work.groups:
            key = work.rating_key_of(group.play)
            if not key:
                continue
            if (work.kind, key) not in owners or owners[work.kind, key][0] < group.order:
                owners[work.kind, key] = (group.order, work)
    for work in works:
        work.own_keys = [key for key in work.rating_keys if owners[work.kind, key][1] is work]


def films(groups: Sequence[PlayGroup]) -> list[Work]:
    """Join these groups into films."""
    sets: _DisjointSets[int] = _DisjointSets()
    by_title: defaultdict[Hashable, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        play = group.play
        sets.add(number)
        title = folded(play.title)
        if play.rating_key and title:
            by_title[play.rating_key, title].append(number)
    for numbers in by_title.values():
        _join_by_year(numbers, groups, sets)
    # GUIDs come last, and only the newest of each film counts: an older GUID from a wrong match
    # would join the film with the one that the GUID belongs to.
    by_guid: dict[str, int] = {}
    for numbers in list(sets.all()):
        newest = sorted(numbers, key=lambda n: groups[n].order, reverse=True)
        guids = (plex_guid(groups[n].play.guid, "movie") for n in newest)
        if guid := next(filter(None, guids), None):
            sets.join(numbers[0], by_guid.setdefault(guid.lower(), numbers[0]))
    return [Work("movie", [groups[n] for n in members]) for members in sets.all()]


def _join_by_year(
    numbers: list[int], groups: Sequence[PlayGroup], sets: _DisjointSets[int]
) -> None:
    """Join groups of the same key and title whose years are at most one apart.

    A group without a year joins the newest one that has a year.
    """
    dated = sorted((year, n) for n in numbers if (year := groups[n].play.year))
    years = {n: year for year, n in dated}
    for one, other in pairwise(years):
        if years[other] - years[one] <= 1:
            sets.join(one, other)
    undated = [n for n in numbers if n not in years]
    anchor = max(years, key=lambda n: groups[n].when, default=None)
    for n in undated:
        sets.join(n, undated[0] if anchor is None else anchor)


def shows(groups: Iterable[PlayGroup]) -> list[Work]:
    """Join these groups of episodes into shows.

    An episode that names no show, neither by key nor title nor GUID, is left out.
    """
    members: defaultdict[Hashable, list[PlayGroup]] = defaultdict(list)
    titles_of_key: defaultdict[int, set[str]] = defaultdict(set)
    nameless: list[PlayGroup] = []
    for group in groups:
        play = group.play
        title = folded(play.grandparent_title)
        key = play.grandparent_rating_key or 0
        if title and (key or not show_ids(play.guid)):
            members[key, title].append(group)
            titles_of_key[key].add(title)
        else:
            nameless.append(group)
    for group in nameless:
        node = _node_of_nameless(group.play, titles_of_key)
        if node is not None:
            members[node].append(group)
    sets: _DisjointSets[Hashable] = _DisjointSets()
    by_episode: dict[Hashable, Hashable] = {}
    for node, inside in members.items():
        sets.add(node)
        for group in inside:
            play = group.play
            key = play.grandparent_rating_key or 0
            renamed = len(titles_of_key[key]) > 1
            if renamed and key and play.rating_key and play.year and tells(play.title):
                same = (
                    key,
                    play.rating_key,
                    play.season,
                    play.episode,
                    play.year,
                    folded(play.title),
                )
                sets.join(node, by_episode.setdefault(same, node))
    _join_by_episode_guids(members, sets)
    return [
        Work("show", [group for node in nodes for group in members[node]]) for nodes in sets.all()
    ]


def _join_by_episode_guids(
    members: Mapping[Hashable, Sequence[PlayGroup]], sets: _DisjointSets[Hashable]
) -> None:
    """Join shows that have episodes of the same ``plex://`` GUID.

    A corrected wrong match leaves GUIDs of another show in the history. So only the newest GUID
    of each episode counts. And if both shows have GUIDs of episodes of the same numbers, more
    than half of these must be equal.
    """
    guids = {node: _newest_guids(inside) for node, inside in members.items()}
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
            if not alike or sum(alike) * 2 > len(alike):
                sets.join(one, other)


def _newest_guids(groups: Iterable[PlayGroup]) -> dict[Hashable, str]:
    newest: dict[Hashable, tuple[tuple[int, int], str]] = {}
    for group in groups:
        play = group.play
        guid = plex_guid(play.guid, "episode")
        number = (play.season, play.episode)
        if guid and (number not in newest or newest[number][0] < group.order):
            newest[number] = (group.order, guid.lower())
    return {number: guid for number, (_, guid) in newest.items()}


def _node_of_nameless(play: Play, titles_of_key: dict[int, set[str]]) -> Hashable | None:
    """Return the node of an episode without its show's title: by the show's key, or by its GUID."""
    if key := play.grandparent_rating_key:
        titles = titles_of_key.get(key, set())
        return (key, next(iter(titles))) if len(titles) == 1 else (key, "")
    if ids := show_ids(play.guid):
        return ("guid", tuple(ids.items()))
    # Another play of the same episode may name the show.
    guid = plex_guid(play.guid, "episode")
    return ("episode", guid.lower()) if guid else None


class _DisjointSets(Generic[_Node]):
    """Disjoint sets of nodes that belong together, directly or through others."""

    def __init__(self) -> None:
        self._parent: dict[_Node, _Node] = {}

    def add(self, node: _Node) -> None:
        self._parent.setdefault(node, node)

    def join(self, one: _Node, other: _Node) -> None:
        self._parent[self._root(one)] = self._root(other)

    def all(self) -> Iterable[list[_Node]]:
        sets: defaultdict[_Node, list[_Node]] = defaultdict(list)
        for node in self._parent:
            sets[self._root(node)].append(node)
        return sets.values()

    def _root(self, node: _Node) -> _Node:
        parent = self._parent
        while (above := parent[node]) != node:
            parent[node] = parent[above]
            node = parent[node]
        return node
