"""Decide if one rating key was one item of Plex all the time, or was given out again.

Plex numbers its items with AUTOINCREMENT, so a key is one item as long as that Plex database
lives. A key gets a second item only if the server was rebuilt or restored, or if the history of a
second server was imported. What changes under a key (title, GUID, id) is mostly a new match, a
language or an agent, and then it is one item still. So the history as a whole decides: the keys
that keep their meaning across the moment of the change, the higher ones above all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

from ..model.groups import PlayGroups
from ..model.items import Kind
from ..model.sets import DisjointSets
from .appearances import Appearance
from .rulings import Rule, Ruling
from .witness import Keyed, Meaning, Witness

__all__ = ["Item", "items_under_keys"]

Item: TypeAlias = Sequence[Appearance]
"""The appearances of one item of Plex: a film or a show."""


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
    doubtful: dict[tuple[Kind, int], list[Meaning]] = {}
    for (kind, key), inside in by_key.items():
        meanings = _meanings(inside) if len(inside) > 1 and not _mean_one(inside) else []
        if len(meanings) > 1:
            doubtful[kind, key] = meanings
        else:
            found[kind].append(inside)
    witness = Witness(appearances, groups, by_key, doubtful)
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


def _by_key(
    appearances: Sequence[Appearance],
) -> tuple[Keyed, dict[tuple[Kind, int, str], list[Appearance]]]:
    """Return the appearances with a key, and apart those of broadcasts, by their titles as well.

    The key of a broadcast is a passing one. So it says nothing, unless the library has a film or
    show of that title under it.
    """
    by_key: Keyed = {}
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
    meanings: list[Meaning],
) -> Iterator[tuple[tuple[int, Meaning], tuple[int, Meaning]]]:
    """Yield the meanings that follow each other, and those that overlap in time."""
    meanings.sort(key=lambda one: (one.first, one.last, min(a.newest_id for a in one.inside)))
    for (one, before), (other, after) in combinations(enumerate(meanings), 2):
        if other == one + 1 or after.first <= before.last:
            yield (one, before), (other, after)


def _ruling(before: Meaning, after: Meaning, witness: Witness) -> Ruling:
    """Decide if a key had one item when it meant these two. The first rule that fits decides."""
    one, other = before.inside[0], after.inside[0]
    if after.first <= before.last:
        are_two = before.contradicts(after) or before.differs_in_guids(after)
        return Ruling(Rule.BY_TURNS, not are_two, one, other)
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
    is_one, kept, changed = witness.vote(begin, end, before.key)
    return ruled(Rule.MAJORITY, is_one, 0, kept, changed)


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


def _meanings(inside: Sequence[Appearance]) -> list[Meaning]:
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
    parts = [Meaning([inside[n] for n in members]) for members in sets.all()]
    parts.sort(key=lambda one: (-one.last, one.first))
    named: dict[str, list[Meaning]] = {}
    nameless: list[Meaning] = []
    for part in parts:
        if not part.titles:
            nameless.append(part)
        for title in part.titles:
            named.setdefault(title, []).append(part)
    together: DisjointSets[Meaning] = DisjointSets(parts)
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


def _united(parts: Sequence[Meaning]) -> Meaning:
    return parts[0] if len(parts) == 1 else Meaning([one for part in parts for one in part.inside])


def _differs(one: Meaning, other: Meaning) -> bool:
    """Return true if the ids of two meanings of one title contradict, or the years of films."""
    if one.contradicts(other):
        return True
    if one.kind == "show":
        return False
    if one.guids and other.guids and not one.guids & other.guids:
        return True
    mine, theirs = _years(one), _years(other)
    return bool(mine and theirs) and min(abs(a - b) for a in mine for b in theirs) > 1


def _years(meaning: Meaning) -> set[int]:
    return {one.played.year for one in meaning.inside if one.played.year}


def _nearest(part: Meaning, others: Sequence[Meaning]) -> Meaning:
    """Return the meaning that is the nearest in time, the newest of several."""
    return min(
        others,
        key=lambda other: (
            max(other.first - part.last, part.first - other.last, 0),
            -other.last,
        ),
    )
