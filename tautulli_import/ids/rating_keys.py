"""Decide if one rating key was one item of Plex all the time, or was given out again.

Plex numbers its items with AUTOINCREMENT, so a key is one item as long as that Plex database
lives. A key gets a second item only if the server was rebuilt or restored, or if the history of a
second server was imported. What changes under a key (title, GUID, id) is mostly a new match, a
language or an agent, and then it is one item still. So the history as a whole decides: the keys
that keep their meaning across the moment of the change, the higher ones above all.
"""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final, TypeAlias

from ..model.groups import PlayGroup
from ..model.guids import guid_kind, movie_ids, plex_guid, show_ids
from ..model.items import Kind
from .intervals import Crossings, Span, Staircase
from .sets import DisjointSets
from .titles import folded

__all__ = ["Item", "items_under_keys"]

Item: TypeAlias = Sequence[PlayGroup]
"""The groups of plays of one item of Plex: a film, or the episodes of a show."""

_UNMATCHED: Final = frozenset({"local", "none", "empty"})


class _Meaning:
    """The groups of one key that are evidently the same film or show."""

    __slots__ = (
        "first",
        "groups",
        "guids",
        "ids",
        "is_unmatched",
        "key",
        "kind",
        "last",
        "seasons",
        "titles",
    )

    def __init__(self, kind: Kind, key: int, groups: Sequence[PlayGroup]) -> None:
        self.kind = kind
        self.key = key
        self.groups = groups
        self.first = min(group.first for group in groups)
        self.last = max(group.when for group in groups)
        self.titles = {title for group in groups if (title := _title(kind, group))}
        self.ids = {pair for group in groups for pair in _ids(kind, group)}
        self.guids = {guid for group in groups if (guid := _guid(kind, group))}
        self.seasons = {group.season_key for group in groups if group.season_key}
        self.is_unmatched = all(guid_kind(group.play.guid) in _UNMATCHED for group in groups)

    @property
    def evidence(self) -> Iterator[Hashable]:
        """Yield what identifies it under any key."""
        for group in self.groups:
            yield from _evidence(self.kind, group)

    def contradicts(self, other: _Meaning) -> bool:
        """Return true if both have external ids of one site, and none in common."""
        sites = {site for site, _ in self.ids} & {site for site, _ in other.ids}
        return bool(sites) and not self.ids & other.ids


def items_under_keys(groups: Sequence[PlayGroup]) -> Mapping[Kind, Sequence[Item]]:
    """Return the items of Plex, films and shows, that the groups with a rating key belong to.

    All groups are evidence for all keys. The order of the rows does not matter.
    """
    by_key, broadcasts = _by_key(groups)
    found: dict[Kind, list[Item]] = {"movie": [], "show": []}
    for (kind, _, _), inside in broadcasts.items():
        found[kind].append(inside)
    doubtful: dict[tuple[Kind, int], list[_Meaning]] = {}
    for (kind, key), inside in by_key.items():
        meanings = _meanings(kind, key, inside) if len(inside) > 1 else []
        if len(meanings) > 1:
            doubtful[kind, key] = meanings
        else:
            found[kind].append(inside)
    witness = _Witness(groups, by_key, doubtful) if doubtful else None
    for (kind, _), meanings in doubtful.items():
        sets: DisjointSets[int] = DisjointSets(range(len(meanings)))
        for (one, before), (other, after) in _pairs(meanings):
            if witness is not None and _is_one_item(before, after, witness):
                sets.join(one, other)
        found[kind] += [
            [group for number in members for group in meanings[number].groups]
            for members in sets.all()
        ]
    return found


_Keyed: TypeAlias = dict[tuple[Kind, int], list[PlayGroup]]


def _by_key(
    groups: Sequence[PlayGroup],
) -> tuple[_Keyed, dict[tuple[Kind, int, str], list[PlayGroup]]]:
    """Return the groups with a key, and apart those of broadcasts, by their titles as well.

    The key of a broadcast is a passing one. So it says nothing, unless the library has a film or
    show of that title under it.
    """
    by_key: _Keyed = {}
    broadcasts: dict[tuple[Kind, int, str], list[PlayGroup]] = {}
    live: list[tuple[Kind, int, PlayGroup]] = []
    for group in groups:
        kind = _kind(group)
        key = _key(kind, group)
        if key and group.play.live:
            live.append((kind, key, group))
        elif key:
            by_key.setdefault((kind, key), []).append(group)
    for kind, key, group in live:
        title = _title(kind, group)
        library = by_key.get((kind, key), [])
        if any(_title(kind, other) == title for other in library):
            library.append(group)
        else:
            broadcasts.setdefault((kind, key, title), []).append(group)
    return by_key, broadcasts


def _pairs(
    meanings: list[_Meaning],
) -> Iterator[tuple[tuple[int, _Meaning], tuple[int, _Meaning]]]:
    """Yield the meanings that follow each other, and those that overlap in time."""
    meanings.sort(key=lambda one: (one.first, one.last, min(g.newest_id for g in one.groups)))
    for (one, before), (other, after) in combinations(enumerate(meanings), 2):
        if other == one + 1 or after.first <= before.last:
            yield (one, before), (other, after)


def _is_one_item(before: _Meaning, after: _Meaning, witness: _Witness) -> bool:
    """Return true if a key had one item when it meant these two. The first rule decides."""
    if after.first <= before.last:  # by turns
        return not before.contradicts(after)
    if witness.moved(before, after):
        return False
    begin, end = before.last, after.first
    if witness.keeps_a_higher_key(before.key, begin, end):
        return True
    if before.is_unmatched or before.titles & after.titles or before.seasons & after.seasons:
        return True
    kept, changed = witness.vote(begin, end, before.key)
    return kept >= changed


def _meanings(kind: Kind, key: int, groups: Sequence[PlayGroup]) -> list[_Meaning]:
    """Join the groups of a key that share an id, a GUID, or a title without a contradiction."""
    if kind == "show" and len({(_title(kind, g), *_ids(kind, g)) for g in groups}) == 1:
        return []  # nearly every show: this saves the rest
    sets: DisjointSets[int] = DisjointSets(range(len(groups)))
    by_evidence: dict[Hashable, int] = {}
    for number, group in enumerate(groups):
        evidence: list[Hashable] = [*_ids(kind, group)]
        if kind == "movie" and (guid := _guid(kind, group)):
            evidence.append(guid)
        for one in evidence:
            sets.join(number, by_evidence.setdefault(one, number))
    parts = [_Meaning(kind, key, [groups[n] for n in members]) for members in sets.all()]
    parts.sort(key=lambda one: (-one.last, one.first))
    named: dict[str, list[_Meaning]] = {}
    nameless: list[_Meaning] = []
    for part in parts:
        if not part.titles:
            nameless.append(part)
        for title in part.titles:
            named.setdefault(title, []).append(part)
    together: DisjointSets[_Meaning] = DisjointSets(parts)
    for called_alike in named.values():
        known = [part for part in called_alike if part.ids or (kind == "movie" and part.guids)]
        for one, other in combinations(known, 2):
            if not _differs(one, other):
                together.join(one, other)
        unknown = [part for part in called_alike if not (part.ids or part in known)]
        for part in unknown:
            together.join(part, _nearest(part, known) if known else unknown[0])
    meanings = [_united(members) for members in together.all()]
    titled = [meaning for meaning in meanings if meaning.titles]
    for part in nameless if titled else ():
        if not part.ids:
            nearest = _nearest(part, titled)
            together.join(part, next(one for one in parts if one.groups[0] is nearest.groups[0]))
    return [_united(members) for members in together.all()] if nameless else meanings


def _united(parts: Sequence[_Meaning]) -> _Meaning:
    groups = [group for part in parts for group in part.groups]
    return _Meaning(parts[0].kind, parts[0].key, groups)


def _differs(one: _Meaning, other: _Meaning) -> bool:
    """Return true if the ids of two meanings of one title contradict, or the years of films."""
    if one.contradicts(other):
        return True
    if one.kind == "show":
        return False
    if one.guids and other.guids and not one.guids & other.guids:
        return True
    mine, theirs = _years(one), _years(other)
    return bool(mine and theirs) and min(abs(a - b) for a in mine for b in theirs) > 1


def _years(meaning: _Meaning) -> set[int]:
    return {group.play.year for group in meaning.groups if group.play.year}


def _nearest(part: _Meaning, others: Sequence[_Meaning]) -> _Meaning:
    """Return the meaning that is the nearest in time, the newest of several."""
    return min(
        others,
        key=lambda other: (
            max(other.first - part.last, part.first - other.last, 0),
            -other.last,
        ),
    )


class _Witness:
    """Evidence of the whole history about the moments when a key changed its meaning."""

    def __init__(
        self,
        groups: Sequence[PlayGroup],
        by_key: Mapping[tuple[Kind, int], Sequence[PlayGroup]],
        doubtful: Mapping[tuple[Kind, int], Sequence[_Meaning]],
    ) -> None:
        wanted = {one for meanings in doubtful.values() for m in meanings for one in m.evidence}
        self._seen: dict[Hashable, dict[int, tuple[int, int]]] = {one: {} for one in wanted}
        kept: list[Span] = []
        changed: list[Span] = []
        levels: dict[int, list[tuple[int, int, str]]] = {}
        episodes: dict[int, list[PlayGroup]] = {}
        seasons: dict[int, tuple[int, int]] = {}
        for group in groups:
            kind = _kind(group)
            if kind == "show" and group.play.rating_key:
                episodes.setdefault(group.play.rating_key, []).append(group)
            if group.season_key and not group.play.live:
                first, last = seasons.get(group.season_key, (group.first, group.when))
                seasons[group.season_key] = min(first, group.first), max(last, group.when)
            for one in _evidence(kind, group):
                if one in wanted:
                    self._note(one, _key(kind, group) or 0, group)
        for (kind, key), inside in by_key.items():
            meanings = doubtful.get((kind, key))
            if meanings is None:
                spans = [(min(g.first for g in inside), max(g.when for g in inside))]
            else:
                spans = sorted((one.first, one.last) for one in meanings)
            _add(spans, key, kept, changed)
            levels.setdefault(key, []).append((spans[0][0], spans[-1][1], kind))
        for key, inside in episodes.items():
            spans = _spans_of_episode(inside)
            _add(spans, key, kept, changed)
            levels.setdefault(key, []).append((spans[0][0], spans[-1][1], "episode"))
        for key, (first, last) in seasons.items():
            levels.setdefault(key, []).append((first, last, "season"))
        for key, of_levels in levels.items():  # an item never turns from a film into an episode
            changed += [
                (one[1], other[0], key)
                for one, other in pairwise(sorted(of_levels))
                if one[1] < other[0]
            ]
        self._kept, self._changed = Crossings(kept), Crossings(changed)
        self._stairs = Staircase(kept)

    def _note(self, evidence: Hashable, key: int, group: PlayGroup) -> None:
        first, last = self._seen[evidence].get(key, (group.first, group.when))
        self._seen[evidence][key] = min(first, group.first), max(last, group.when)

    def moved(self, before: _Meaning, after: _Meaning) -> bool:
        """Return true if one of two meanings stands under another key, only on the other side."""
        begin, end = before.last, after.first
        return any(
            key != before.key and first > begin
            for evidence in before.evidence
            for key, (first, _) in self._seen[evidence].items()
        ) or any(
            key != before.key and last < end
            for evidence in after.evidence
            for key, (_, last) in self._seen[evidence].items()
        )

    def keeps_a_higher_key(self, key: int, begin: int, end: int) -> bool:
        """Return true if a higher key means the same before ``begin`` and after ``end``."""
        return self._stairs.covers(key, begin, end)

    def vote(self, begin: int, end: int, key: int) -> tuple[int, int]:
        """Return how many other keys keep and change their meaning between two moments."""
        return self._kept.count(begin, end, key), self._changed.count(begin, end, key)


def _add(spans: Sequence[tuple[int, int]], key: int, kept: list[Span], changed: list[Span]) -> None:
    """Add the intervals in which a key kept its meaning, and those in which it changed it."""
    kept += [(first, last, key) for first, last in spans if first < last]
    changed += [(one[1], other[0], key) for one, other in pairwise(spans) if one[1] < other[0]]


def _evidence(kind: Kind, group: PlayGroup) -> Iterator[Hashable]:
    """Yield what identifies a film or show under any key."""
    for pair in _ids(kind, group):
        yield kind, *pair
    if guid := _guid(kind, group):
        yield kind, guid


def _spans_of_episode(groups: Sequence[PlayGroup]) -> list[tuple[int, int]]:
    """Return the intervals in which the key of an episode meant one episode."""
    if len(groups) == 1:
        return [(groups[0].first, groups[0].when)]
    spans: dict[Hashable, tuple[int, int]] = {}
    for group in groups:
        play = group.play
        what: Hashable = plex_guid(play.guid, "episode") or (
            folded(play.grandparent_title),
            play.season,
            play.episode,
            folded(play.title),
        )
        first, last = spans.get(what, (group.first, group.when))
        spans[what] = min(first, group.first), max(last, group.when)
    return sorted(spans.values())


def _kind(group: PlayGroup) -> Kind:
    return "movie" if group.play.media_type == "movie" else "show"


def _key(kind: Kind, group: PlayGroup) -> int | None:
    play = group.play
    return play.rating_key if kind == "movie" else play.grandparent_rating_key


def _title(kind: Kind, group: PlayGroup) -> str:
    play = group.play
    return folded(play.title if kind == "movie" else play.grandparent_title)


def _ids(kind: Kind, group: PlayGroup) -> ItemsView[str, str]:
    guid = group.play.guid
    return (movie_ids(guid) if kind == "movie" else show_ids(guid)).items()


def _guid(kind: Kind, group: PlayGroup) -> str:
    return (plex_guid(group.play.guid, "movie" if kind == "movie" else "episode") or "").lower()
