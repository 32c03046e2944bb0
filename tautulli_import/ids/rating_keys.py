"""Decide if one rating key was one item of Plex all the time, or was given out again.

Plex numbers its items with AUTOINCREMENT, so a key is one item as long as that Plex database
lives. A key gets a second item only if the server was rebuilt or restored, or if the history of a
second server was imported. What changes under a key (title, GUID, id) is mostly a new match, a
language or an agent, and then it is one item still. So the history as a whole decides: the keys
that keep their meaning across the moment of the change, the higher ones above all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, pairwise
from typing import Final, TypeAlias

from ..model.groups import PlayGroups
from ..model.guids import guid_kind, plex_guid
from ..model.items import Kind
from ..model.played import PlayedEpisode
from .appearances import Appearance
from .intervals import Crossings, Span, Staircase
from .rulings import Rule, Ruling
from .sets import DisjointSets
from .titles import folded

__all__ = ["Item", "items_under_keys"]

Item: TypeAlias = Sequence[Appearance]
"""The appearances of one item of Plex: a film or a show."""

_UNMATCHED: Final = frozenset({"local", "none", "empty"})


class _Meaning:
    """The appearances under one key that are evidently the same film or show."""

    __slots__ = ("first", "guids", "ids", "inside", "is_unmatched", "key", "kind", "last", "titles")

    def __init__(self, inside: Sequence[Appearance]) -> None:
        self.inside = inside
        self.kind = inside[0].kind
        self.key = inside[0].key or 0
        self.first = min(one.first for one in inside)
        self.last = max(one.newest for one in inside)
        self.titles = {one.title for one in inside if one.title}
        self.ids = {pair for one in inside for pair in one.ids}
        self.guids = {one.guid for one in inside if one.guid}
        self.is_unmatched = all(guid_kind(one.played.guid) in _UNMATCHED for one in inside)

    @property
    def evidence(self) -> Iterator[Hashable]:
        """Yield what identifies it under any key."""
        for one in self.inside:
            yield from _evidence(one)

    @property
    def seasons(self) -> set[int]:
        """Return the rating keys of its seasons."""
        return {
            played.parent_rating_key
            for one in self.inside
            for _, played in one.episodes
            if played.parent_rating_key
        }

    def contradicts(self, other: _Meaning) -> bool:
        """Return true if both have external ids of one site, and none in common."""
        sites = {site for site, _ in self.ids} & {site for site, _ in other.ids}
        return bool(sites) and not self.ids & other.ids


def items_under_keys(
    appearances: Sequence[Appearance], groups: PlayGroups, rulings: list[Ruling]
) -> Mapping[Kind, Sequence[Item]]:
    """Return the items of Plex, films and shows, that the appearances with a rating key are of.

    All ``groups`` are evidence for all keys. The order of the rows does not matter. What was
    decided is added to ``rulings``.
    """
    by_key, broadcasts = _by_key(appearances)
    found: dict[Kind, list[Item]] = {"movie": [], "show": []}
    for (kind, _, _), inside in broadcasts.items():
        found[kind].append(inside)
    doubtful: dict[tuple[Kind, int], list[_Meaning]] = {}
    for (kind, key), inside in by_key.items():
        meanings = _meanings(inside) if len(inside) > 1 and not _mean_one(inside) else []
        if len(meanings) > 1:
            doubtful[kind, key] = meanings
        else:
            found[kind].append(inside)
    witness = _Witness(appearances, groups, by_key, doubtful)
    for (kind, _), meanings in doubtful.items():
        sets: DisjointSets[int] = DisjointSets(range(len(meanings)))
        for (one, before), (other, after) in _pairs(meanings):
            ruling = _ruling(before, after, witness)
            rulings.append(ruling)
            if ruling.is_one:
                sets.join(one, other)
        found[kind] += [
            [one for number in members for one in meanings[number].inside] for members in sets.all()
        ]
    return found


_Keyed: TypeAlias = dict[tuple[Kind, int], list[Appearance]]


def _by_key(
    appearances: Sequence[Appearance],
) -> tuple[_Keyed, dict[tuple[Kind, int, str], list[Appearance]]]:
    """Return the appearances with a key, and apart those of broadcasts, by their titles as well.

    The key of a broadcast is a passing one. So it says nothing, unless the library has a film or
    show of that title under it.
    """
    by_key: _Keyed = {}
    broadcasts: dict[tuple[Kind, int, str], list[Appearance]] = {}
    live: list[tuple[int, Appearance]] = []
    for one in appearances:
        key = one.key
        if key and one.played.live:
            live.append((key, one))
        elif key:
            by_key.setdefault((one.kind, key), []).append(one)
    for key, one in live:
        title = one.title
        library = by_key.get((one.kind, key), [])
        if any(other.title == title for other in library):
            library.append(one)
        else:
            broadcasts.setdefault((one.kind, key, title), []).append(one)
    return by_key, broadcasts


def _pairs(
    meanings: list[_Meaning],
) -> Iterator[tuple[tuple[int, _Meaning], tuple[int, _Meaning]]]:
    """Yield the meanings that follow each other, and those that overlap in time."""
    meanings.sort(key=lambda one: (one.first, one.last, min(a.newest_id for a in one.inside)))
    for (one, before), (other, after) in combinations(enumerate(meanings), 2):
        if other == one + 1 or after.first <= before.last:
            yield (one, before), (other, after)


def _ruling(before: _Meaning, after: _Meaning, witness: _Witness) -> Ruling:
    """Decide if a key had one item when it meant these two. The first rule that fits decides."""
    one, other = before.inside[0], after.inside[0]
    if after.first <= before.last:
        return Ruling(Rule.BY_TURNS, not before.contradicts(after), one, other)
    begin, end = before.last, after.first

    def ruled(rule: Rule, is_one: bool, key: int = 0, kept: int = 0, changed: int = 0) -> Ruling:
        return Ruling(rule, is_one, one, other, begin, end, key, kept, changed)

    if (moved := witness.moved_to(before, after)) is not None:
        return ruled(Rule.MOVED, False, moved)
    if before.is_unmatched:
        return ruled(Rule.UNMATCHED, True)
    if before.titles & after.titles:
        return ruled(Rule.TITLE, True)
    if before.seasons & after.seasons:
        return ruled(Rule.SEASON, True)
    if (higher := witness.higher_key(before.key, begin, end)) is not None:
        return ruled(Rule.HIGHER_KEY, True, higher)
    kept, changed = witness.vote(begin, end, before.key)
    return ruled(Rule.MAJORITY, kept >= changed, 0, kept, changed)


def _mean_one(inside: Sequence[Appearance]) -> bool:
    """Return true if nothing at all differs under a key. This saves ``_meanings`` for most keys."""
    title, kind = inside[0].title, inside[0].kind
    if any(one.title != title for one in inside):
        return False
    if not title:
        return kind == "show" and len({one.ids for one in inside}) == 1
    if len({pair for one in inside for pair in one.ids}) != len(
        {site for one in inside for site, _ in one.ids}
    ):
        return False
    if kind == "show":
        return True
    years = [one.played.year for one in inside if one.played.year]
    alike = not years or max(years) - min(years) <= 1
    return alike and len({one.guid for one in inside if one.guid}) <= 1


def _meanings(inside: Sequence[Appearance]) -> list[_Meaning]:
    """Join what shares an id, a GUID, or a title without a contradiction, under one key."""
    kind = inside[0].kind
    sets: DisjointSets[int] = DisjointSets(range(len(inside)))
    by_evidence: dict[Hashable, int] = {}
    for number, appearance in enumerate(inside):
        evidence: list[Hashable] = [*appearance.ids]
        if appearance.guid:
            evidence.append(appearance.guid)
        for each in evidence:
            sets.join(number, by_evidence.setdefault(each, number))
    parts = [_Meaning([inside[n] for n in members]) for members in sets.all()]
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
            together.join(part, next(one for one in parts if one.inside[0] is nearest.inside[0]))
    return [_united(members) for members in together.all()] if nameless else meanings


def _united(parts: Sequence[_Meaning]) -> _Meaning:
    return parts[0] if len(parts) == 1 else _Meaning([one for part in parts for one in part.inside])


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
    return {one.played.year for one in meaning.inside if one.played.year}


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
        appearances: Sequence[Appearance],
        groups: PlayGroups,
        by_key: _Keyed,
        doubtful: Mapping[tuple[Kind, int], Sequence[_Meaning]],
    ) -> None:
        self._appearances = appearances
        self._groups = groups
        self._by_key = by_key
        self._doubtful = doubtful

    @cached_property
    def _seen(self) -> Mapping[Hashable, Mapping[int, tuple[int, int]]]:
        """The evidence about the doubtful meanings: when it stood under which keys."""
        wanted = {one for ms in self._doubtful.values() for m in ms for one in m.evidence}
        kinds = {kind for kind, _ in self._doubtful}
        seen: dict[Hashable, dict[int, tuple[int, int]]] = {one: {} for one in wanted}

        def note(evidence: Hashable, key: int, first: int, last: int) -> None:
            if (found := seen.get(evidence)) is not None:
                before = found.get(key, (first, last))
                found[key] = min(before[0], first), max(before[1], last)

        for one in self._appearances:
            if one.kind not in kinds:
                continue
            for pair in one.ids:
                note((one.kind, *pair), one.key or 0, one.first, one.newest)
            if one.guid:
                note((one.kind, one.guid), one.key or 0, one.first, one.newest)
            for group, guid in _episode_guids(one):
                note(("show", guid), one.key or 0, *self._groups.span(group))
        return seen

    def moved_to(self, before: _Meaning, after: _Meaning) -> int | None:
        """Return the other key of one of two meanings, if it has it only on the other side.

        It is 0 for plays without a key. Return ``None`` if there is no such key.
        """
        begin, end = before.last, after.first
        later = (
            key
            for evidence in before.evidence
            for key, (first, _) in self._seen[evidence].items()
            if key != before.key and first > begin
        )
        earlier = (
            key
            for evidence in after.evidence
            for key, (_, last) in self._seen[evidence].items()
            if key != before.key and last < end
        )
        return next(later, next(earlier, None))

    def higher_key(self, key: int, begin: int, end: int) -> int | None:
        """Return a higher key that means the same before ``begin`` and after ``end``."""
        return self._intervals[2].higher_key(key, begin, end)

    def vote(self, begin: int, end: int, key: int) -> tuple[int, int]:
        """Return how many other keys keep and change their meaning between two moments."""
        kept, changed, _ = self._intervals
        return kept.count(begin, end, key), changed.count(begin, end, key)

    @cached_property
    def _intervals(self) -> tuple[Crossings, Crossings, Staircase]:
        """The intervals in which keys keep their meaning, and those in which they change it."""
        kept: list[Span] = []
        changed: list[Span] = []
        levels: dict[int, list[tuple[int, int, str]]] = {}
        episodes: dict[int, list[int]] = {}
        seasons: dict[int, tuple[int, int]] = {}
        span = self._groups.span
        for group, played in enumerate(self._groups):
            if isinstance(played, PlayedEpisode):
                if played.rating_key:
                    episodes.setdefault(played.rating_key, []).append(group)
                if (season := played.parent_rating_key) and not played.live:
                    first, last = span(group)
                    before = seasons.get(season, (first, last))
                    seasons[season] = min(before[0], first), max(before[1], last)
        for (kind, key), inside in self._by_key.items():
            meanings = self._doubtful.get((kind, key))
            if meanings is None:
                spans = [(min(one.first for one in inside), max(one.newest for one in inside))]
            else:
                spans = sorted((one.first, one.last) for one in meanings)
            _add(spans, key, kept, changed)
            levels.setdefault(key, []).append((spans[0][0], spans[-1][1], kind))
        for key, inside_key in episodes.items():
            spans = _spans_of_episode(self._groups, inside_key)
            _add(spans, key, kept, changed)
            levels.setdefault(key, []).append((spans[0][0], spans[-1][1], "episode"))
        for key, (begun, ended) in seasons.items():
            levels.setdefault(key, []).append((begun, ended, "season"))
        for key, of_levels in levels.items():  # an item never turns from a film into an episode
            changed += [
                (one[1], other[0], key)
                for one, other in pairwise(sorted(of_levels))
                if one[1] < other[0]
            ]
        return Crossings(kept), Crossings(changed), Staircase(kept)


def _add(spans: Sequence[tuple[int, int]], key: int, kept: list[Span], changed: list[Span]) -> None:
    """Add the intervals in which a key kept its meaning, and those in which it changed it."""
    kept += [(first, last, key) for first, last in spans if first < last]
    changed += [(one[1], other[0], key) for one, other in pairwise(spans) if one[1] < other[0]]


def _evidence(one: Appearance) -> Iterator[Hashable]:
    """Yield what identifies a film or show under any key."""
    for pair in one.ids:
        yield one.kind, *pair
    if one.guid:
        yield one.kind, one.guid
    for _, guid in _episode_guids(one):
        yield "show", guid


def _episode_guids(one: Appearance) -> Iterator[tuple[int, str]]:
    """Yield the groups of a show's episodes that have a ``plex://`` GUID, with that GUID."""
    if one.kind == "show" and plex_guid(one.played.guid, ""):
        for group, played in one.episodes:
            if guid := plex_guid(played.guid, "episode"):
                yield group, guid.lower()


def _spans_of_episode(groups: PlayGroups, inside: Sequence[int]) -> list[tuple[int, int]]:
    """Return the intervals in which the key of an episode meant one episode."""
    if len(inside) == 1:
        return [groups.span(inside[0])]
    spans: dict[Hashable, tuple[int, int]] = {}
    for group in inside:
        played = groups[group]
        if isinstance(played, PlayedEpisode):
            what: Hashable = plex_guid(played.guid, "episode") or (
                folded(played.grandparent_title),
                played.season,
                played.episode,
                folded(played.title),
            )
            first, last = groups.span(group)
            before = spans.get(what, (first, last))
            spans[what] = min(before[0], first), max(before[1], last)
    return sorted(spans.values())
