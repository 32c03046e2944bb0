"""Which sightings are one and the same film or show: a *work*.

A rating key alone does not tell: a rebuilt server hands the same numbers out again. A title
alone does not either. So two sightings are one work only when

* they share a rating key (an episode's show: the show's) *and* a title, the years of a film
  being at most one apart, for agents disagree by one;
* or they carry the same ``plex://`` GUID, which Plex gives out once for the whole world, and
  it is the newest that each of them had;
* or, of one show renamed, when they share an episode: rating key, numbers, year, and a title
  that not half of all shows have an episode of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Generic, TypeVar

from ..guids import plex_guid, show_ids
from ..items.groups import PlayGroup
from ..models import Ids, Kind, Origin, Play

__all__ = ["Known", "Work", "films", "folded", "settle_keys", "shows", "tells"]

# "Pilot", "Episode 3", "Folge 12", "S01E03": half of all shows have an episode of that title.
_SAYS_NOTHING = re.compile(r"pilot|\w*\W*\d+|s\d+e\d+")
_Node = TypeVar("_Node", bound=Hashable)


class Known:
    """One external id of a work, and how it is known."""

    __slots__ = ("origin", "play_id", "value", "when")

    def __init__(self, value: str, origin: Origin, when: int, play_id: int) -> None:
        self.value = value
        self.origin = origin
        self.when = when
        """The newest play behind it (of a lookup: of the work); a correction is newer than all."""
        self.play_id = play_id


class Work:
    """A film or a show: everything the history says about it. Filled in by the chain.

    Two works are never equal, so that one can be a key in a dictionary.
    """

    __slots__ = ("_ids", "ids", "kind", "newest", "own_keys", "rating_keys", "sightings", "title")

    def __init__(self, kind: Kind, sightings: Sequence[PlayGroup]) -> None:
        self.kind = kind
        self.sightings = sorted(sightings, key=lambda sighting: sighting.order, reverse=True)
        """Newest first."""
        self.newest = self.sightings[0]
        # A broadcast has a key for as long as it lasts; the library's is the one that counts.
        plays = sorted(self.plays, key=lambda play: bool(play.live))
        self.rating_keys = list(dict.fromkeys(filter(None, map(self._rating_key, plays))))
        """Newest first."""
        self.own_keys = self.rating_keys
        """Those that were not given to another work afterwards; see ``settle_keys``."""
        self.title = next(filter(None, map(self._title, self.plays)), "")
        self.ids: dict[str, Known] = {}
        self._ids: Ids | None = None

    @property
    def plays(self) -> Iterable[Play]:
        """A play of each sighting, those of the newest sighting first."""
        return (sighting.play for sighting in self.sightings)

    @property
    def titles(self) -> set[str]:
        """Everything it was called, for comparison."""
        return {title for play in self.plays if (title := folded(self._title(play)))}

    @property
    def year(self) -> int | None:
        """The year of a film (``None`` of a show: Tautulli's history has an episode's only)."""
        if self.kind == "show":
            return None
        return next((play.year for play in self.plays if play.year), None)

    def plex_guid(self) -> str | None:
        """A film's newest ``plex://`` GUID; a show's stands nowhere in the history."""
        if self.kind == "show":
            return None
        return next(filter(None, (plex_guid(play.guid, "movie") for play in self.plays)), None)

    def ids_with_plex(self) -> Ids:
        """All ids, for the item: what the chain found, the newest rating key, the GUID.

        To be asked for only when the chain is through: the answer is kept.
        """
        if self._ids is None:
            self._ids = Ids(
                **{namespace: known.value for namespace, known in self.ids.items()},
                plex=str(self.own_keys[0]) if self.own_keys else None,
                guid=self.plex_guid(),
            )
        return self._ids

    def _rating_key(self, play: Play) -> int | None:
        return play.rating_key if self.kind == "movie" else play.grandparent_rating_key

    def _title(self, play: Play) -> str | None:
        return play.title if self.kind == "movie" else play.grandparent_title


@lru_cache(maxsize=4096)
def folded(title: str | None) -> str:
    """A title for comparison: case and spacing do not matter, everything else does."""
    return " ".join(title.split()).casefold() if title else ""


def tells(title: str | None) -> bool:
    """Whether an episode's title says anything: "Pilot" and "Episode 3" do not."""
    text = folded(title)
    return bool(text) and not _SAYS_NOTHING.fullmatch(text)


def settle_keys(works: Iterable[Work]) -> None:
    """Leave each rating key to the work that had it last.

    A rebuilt server hands the same numbers out again. Under ``plex:12`` stands then what
    has the number now; the other would be taken for it, or one of them be lost.
    """
    owners: dict[tuple[Kind, int], tuple[tuple[int, int], Work]] = {}
    for work in works:
        for sighting in work.sightings:
            play = sighting.play
            key = play.rating_key if work.kind == "movie" else play.grandparent_rating_key
            if not key:
                continue
            if (work.kind, key) not in owners or owners[work.kind, key][0] < sighting.order:
                owners[work.kind, key] = (sighting.order, work)
    for work in works:
        work.own_keys = [key for key in work.rating_keys if owners[work.kind, key][1] is work]


def films(sightings: Iterable[PlayGroup]) -> list[Work]:
    """The films among these sightings."""
    groups: _Groups[int] = _Groups()
    numbered = list(enumerate(sightings))
    by_title: defaultdict[Hashable, list[int]] = defaultdict(list)
    for number, sighting in numbered:
        play = sighting.play
        groups.add(number)
        title = folded(play.title)
        if play.rating_key and title:
            by_title[play.rating_key, title].append(number)
    for numbers in by_title.values():
        _join_by_year(numbers, numbered, groups)
    # Only now the GUIDs, and of each item only its newest: one that a wrong match once gave
    # it would pull in the film that the GUID really is of.
    by_guid: dict[str, int] = {}
    for numbers in list(groups.all()):
        newest = sorted(numbers, key=lambda n: numbered[n][1].order, reverse=True)
        guids = (plex_guid(numbered[n][1].play.guid, "movie") for n in newest)
        if guid := next(filter(None, guids), None):
            groups.join(numbers[0], by_guid.setdefault(guid.lower(), numbers[0]))
    return [Work("movie", [numbered[n][1] for n in members]) for members in groups.all()]


def _join_by_year(
    numbers: list[int], numbered: Sequence[tuple[int, PlayGroup]], groups: _Groups[int]
) -> None:
    """Join what has the same key and title, where the years are at most one apart.

    A sighting without a year goes with the newest one that has a year.
    """
    dated = sorted(
        (n for n in numbers if numbered[n][1].play.year),
        key=lambda n: numbered[n][1].play.year or 0,
    )
    for one, other in pairwise(dated):
        if (numbered[other][1].play.year or 0) - (numbered[one][1].play.year or 0) <= 1:
            groups.join(one, other)
    undated = [n for n in numbers if not numbered[n][1].play.year]
    anchor = max(dated, key=lambda n: numbered[n][1].when, default=None)
    for n in undated:
        groups.join(n, undated[0] if anchor is None else anchor)


def shows(sightings: Iterable[PlayGroup]) -> list[Work]:
    """The shows that the episodes among these sightings belong to.

    An episode that names no show at all, neither by key nor title nor GUID, is left out.
    """
    members: defaultdict[Hashable, list[PlayGroup]] = defaultdict(list)
    titles_of_key: defaultdict[int, set[str]] = defaultdict(set)
    nameless: list[PlayGroup] = []
    for sighting in sightings:
        play = sighting.play
        title = folded(play.grandparent_title)
        key = play.grandparent_rating_key or 0
        if title and (key or not show_ids(play.guid)):
            members[key, title].append(sighting)
            titles_of_key[key].add(title)
        else:
            nameless.append(sighting)
    for sighting in nameless:
        node = _node_of_nameless(sighting.play, titles_of_key)
        if node is not None:
            members[node].append(sighting)
    groups: _Groups[Hashable] = _Groups()
    by_episode: dict[Hashable, Hashable] = {}
    for node, inside in members.items():
        groups.add(node)
        for sighting in inside:
            play = sighting.play
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
                groups.join(node, by_episode.setdefault(same, node))
    _join_by_episode_guids(members, groups)
    return [
        Work("show", [sighting for node in nodes for sighting in members[node]])
        for nodes in groups.all()
    ]


def _join_by_episode_guids(
    members: Mapping[Hashable, Sequence[PlayGroup]], groups: _Groups[Hashable]
) -> None:
    """Join shows that have episodes of the same ``plex://`` GUID.

    Of each episode only its newest GUID counts, and more of the episodes that two shows have
    by number must be the same than not: a wrong match that was mended leaves GUIDs of
    another show behind.
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
                groups.join(one, other)


def _newest_guids(sightings: Iterable[PlayGroup]) -> dict[Hashable, str]:
    newest: dict[Hashable, tuple[tuple[int, int], str]] = {}
    for sighting in sightings:
        play = sighting.play
        guid = plex_guid(play.guid, "episode")
        number = (play.season, play.episode)
        if guid and (number not in newest or newest[number][0] < sighting.order):
            newest[number] = (sighting.order, guid.lower())
    return {number: guid for number, (_, guid) in newest.items()}


def _node_of_nameless(play: Play, titles_of_key: dict[int, set[str]]) -> Hashable | None:
    """Where an episode without its show's title belongs: by the show's key, else by its GUID."""
    if key := play.grandparent_rating_key:
        titles = titles_of_key.get(key, set())
        return (key, next(iter(titles))) if len(titles) == 1 else (key, "")
    if ids := show_ids(play.guid):
        return ("guid", tuple(ids.items()))
    # Another play of the very same episode may tell the show.
    guid = plex_guid(play.guid, "episode")
    return ("episode", guid.lower()) if guid else None


class _Groups(Generic[_Node]):
    """Disjoint sets: what belongs together, directly or through others."""

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
