"""Gather the evidence of a history about the moments when a rating key changed its meaning."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Final, TypeAlias

from ..model.groups import PlayGroups
from ..model.guids import guid_kind, plex_guid
from ..model.items import Kind
from ..model.played import PlayedEpisode
from .appearances import Appearance
from .intervals import Crossings, Span, Staircase, add_spans
from .titles import folded

__all__ = ["Keyed", "Meaning", "Witness"]

_UNMATCHED: Final = frozenset({"local", "none", "empty"})


class Meaning:
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

    def contradicts(self, other: Meaning) -> bool:
        """Return true if both have external ids of one site, and none in common."""
        sites = {site for site, _ in self.ids} & {site for site, _ in other.ids}
        return bool(sites) and not self.ids & other.ids

    def differs_in_guids(self, other: Meaning) -> bool:
        """Return true if titles and ``plex://`` GUIDs differ, of shows those of one episode."""
        mine, theirs = self._numbered_guids, other._numbered_guids
        differ = any(mine[one].isdisjoint(theirs[one]) for one in mine.keys() & theirs)
        return differ and not self.titles & other.titles

    @property
    def _numbered_guids(self) -> Mapping[Hashable, set[str]]:
        found: dict[Hashable, set[str]] = {None: self.guids} if self.guids else {}
        for one in self.inside:
            for group, guid in _episode_guids(one):
                number = one.all_groups.season[group], one.all_groups.episode[group]
                found.setdefault(number, set()).add(guid)
        return found


Keyed: TypeAlias = dict[tuple[Kind, int], list[Appearance]]


class Witness:
    """Evidence of the whole history about the moments when a key changed its meaning."""

    def __init__(
        self,
        appearances: Sequence[Appearance],
        groups: PlayGroups,
        by_key: Keyed,
        doubtful: Mapping[tuple[Kind, int], Sequence[Meaning]],
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

    def moved_to(self, before: Meaning, after: Meaning) -> int | None:
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

    def vote(self, begin: int, end: int, key: int) -> tuple[bool, int, int]:
        """Return the vote of the other keys, and how many keep and change their meaning.

        The moment is unknown, so each counts for the part of the time between that it covers.
        """
        kept, changed, _ = self._intervals
        is_one = kept.seconds(begin, end, key) >= changed.seconds(begin, end, key)
        return is_one, kept.count(begin, end, key), changed.count(begin, end, key)

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
            add_spans(spans, key, kept, changed)
            levels.setdefault(key, []).append((spans[0][0], spans[-1][1], kind))
        for key, inside_key in episodes.items():
            spans = _spans_of_episode(self._groups, inside_key)
            add_spans(spans, key, kept, changed)
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
