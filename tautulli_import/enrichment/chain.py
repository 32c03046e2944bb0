"""The chain that finds external ids, link by link, and never lets a guess pass as a fact.

1. The GUIDs of a work's own plays, newest first. Where two contradict each other the newer
   one wins and whatever is older is not asked any more; the contradiction is reported.
2. Tautulli's lookup tables, where they contradict nothing.
3. A person's corrections, which win over everything.
4. Other works that share an external id: what one knows, all know. Old plays with a legacy
   GUID and new ones with a ``plex://`` one end under the same key because of this.
5. For what is still without: the one work of the same title and year, if there is just one
   and nothing tells the two apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TypeAlias

from msgspec import Struct

from ..dedup import Sighting
from ..guids import movie_ids, show_ids
from ..models import EXTERNAL, Conflict, Kind, Origin, Play
from ..sources.base import Lookup
from .corrections import Correction, apply
from .namesakes import is_one, may_be_one
from .works import Known, Work, films, folded, settle_keys, shows

__all__ = ["Identified", "identify", "origin_in"]

_Conflicts: TypeAlias = list[tuple[Work, Conflict]]

_GUID_IDS: dict[Kind, Callable[[str | None], dict[str, str]]] = {
    "movie": movie_ids,
    "show": show_ids,
}


class Identified(Struct, frozen=True):
    """What the chain found out."""

    works: Sequence[Work]
    conflicts: Sequence[Conflict]
    unused: Sequence[Correction]
    """Corrections that fit nothing in the history."""


def identify(
    sightings: Iterable[Sighting],
    lookups: Sequence[Lookup] = (),
    corrections: Sequence[Correction] = (),
) -> Identified:
    """Every film and show in the history, with the external ids that can be known offline."""
    movies: list[Sighting] = []
    episodes: list[Sighting] = []
    for sighting in sightings:
        (movies if sighting.play.media_type == "movie" else episodes).append(sighting)
    works = [*films(movies), *shows(episodes)]
    settle_keys(works)
    conflicts: _Conflicts = []
    for work in works:
        _ask_guids(work, conflicts)
    _ask_lookups(works, lookups, conflicts)
    unused = apply(corrections, works)
    # Where a person has had the last word, nothing is in doubt any more.
    conflicts = [pair for pair in conflicts if not _is_corrected(pair[0])]
    _share_by_id(works, conflicts)
    _share_by_title(works)
    return Identified(works, [conflict for _, conflict in conflicts], unused)


def origin_in(work: Work, namespace: str, play: Play) -> Origin:
    """Where an id of the work came from, seen from one of its plays."""
    known = work.ids[namespace]
    if (
        known.origin is Origin.GUID
        and _GUID_IDS[work.kind](play.guid).get(namespace) != known.value
    ):
        return Origin.OTHER_PLAYS
    return known.origin


def _is_corrected(work: Work) -> bool:
    return any(known.origin is Origin.CORRECTIONS for known in work.ids.values())


def _ask_guids(work: Work, conflicts: _Conflicts) -> None:
    ids_of = _GUID_IDS[work.kind]
    for sighting in work.sightings:
        play = sighting.play
        found = ids_of(play.guid)
        against = [ns for ns, value in found.items() if _contradicts(work, ns, value)]
        conflicts += [(work, _conflict(work, ns, found[ns], sighting.newest_id)) for ns in against]
        if against:
            return
        for namespace, value in found.items():
            if namespace not in work.ids:
                work.ids[namespace] = Known(value, Origin.GUID, sighting.when, sighting.newest_id)


def _ask_lookups(works: Sequence[Work], lookups: Sequence[Lookup], conflicts: _Conflicts) -> None:
    by_key: defaultdict[tuple[Kind, int], list[Work]] = defaultdict(list)
    for work in works if lookups else ():
        for rating_key in work.rating_keys:
            by_key[work.kind, rating_key].append(work)
    for lookup in lookups:
        meant = by_key[lookup.kind, lookup.rating_key]
        for work in meant:
            if not _is_about(lookup, work, sole=len(meant) == 1):
                continue
            against = [ns for ns, value in lookup.ids if _contradicts(work, ns, value)]
            values = dict(lookup.ids)
            conflicts += [(work, _conflict(work, ns, values[ns], 0)) for ns in against]
            if against:
                continue
            for namespace, value in lookup.ids:
                if namespace not in work.ids:
                    newest = work.newest
                    work.ids[namespace] = Known(
                        value, Origin.LOOKUP_TABLES, newest.when, newest.newest_id
                    )


def _is_about(lookup: Lookup, work: Work, *, sole: bool) -> bool:
    """Whether a lookup under one of the work's rating keys is about this work.

    Rating keys are used again, and the lookup table then keeps the answer for the title
    that had the key before. An id in common or the title settles it; an answer without a
    title is believed when only one work ever had the key.
    """
    if any(ns in work.ids and work.ids[ns].value == value for ns, value in lookup.ids):
        return True
    if not lookup.titles:
        return sole
    return folded(work.title) in map(folded, lookup.titles)


def _share_by_id(works: Sequence[Work], conflicts: _Conflicts) -> None:
    """Works with an external id in common are the same thing: they share all they know."""
    holders: defaultdict[tuple[Kind, str, str], list[Work]] = defaultdict(list)
    for work in works:
        for namespace, known in work.ids.items():
            holders[work.kind, namespace, known.value].append(work)
    done: set[int] = set()
    for work in works:
        if id(work) in done or not work.ids:
            continue
        together = _component(work, holders)
        done.update(id(member) for member in together)
        if len(together) == 1:
            continue
        # What was learnt from the newest play first.
        together.sort(key=_newest_evidence, reverse=True)
        values: defaultdict[str, set[str]] = defaultdict(set)
        for member in together:
            for namespace, known in member.ids.items():
                values[namespace].add(known.value)
        if all(len(found) == 1 for found in values.values()):
            for member in together:
                for other in together:
                    member.ids = {**other.ids, **member.ids}
        else:
            _share_among_contradicting(together, conflicts)


def _component(work: Work, holders: dict[tuple[Kind, str, str], list[Work]]) -> list[Work]:
    found = {id(work): work}
    stack = [work]
    while stack:
        current = stack.pop()
        for namespace, known in current.ids.items():
            for other in holders[current.kind, namespace, known.value]:
                if id(other) not in found:
                    found[id(other)] = other
                    stack.append(other)
    return list(found.values())


def _share_among_contradicting(works: Sequence[Work], conflicts: _Conflicts) -> None:
    """Some of what these works say cannot be true: then only direct neighbours are believed.

    The newest neighbour that shares an id overrules an older work; nothing travels on from
    there, or one wrong id would pull two different films into one.
    """
    before = {id(work): dict(work.ids) for work in works}
    for place, work in enumerate(works):
        mine = before[id(work)]
        for newer in works[:place]:
            theirs = before[id(newer)]
            if not _shared(mine, theirs):
                continue
            for namespace, known in theirs.items():
                if namespace in mine and mine[namespace].value != known.value:
                    told = (known.play_id, mine[namespace].play_id)
                    dropped = mine[namespace].value
                    conflict = Conflict(
                        work.kind, work.title, namespace, known.value, dropped, told
                    )
                    conflicts.append((work, conflict))
            work.ids = {**mine, **theirs}
            break
        for older in works[place + 1 :]:
            theirs = before[id(older)]
            if _shared(mine, theirs) and not _contradict(mine, theirs):
                work.ids = {**theirs, **work.ids}


def _share_by_title(works: Sequence[Work]) -> None:
    """Give what is without ids those of its namesake, if there is exactly one it can be."""
    namesakes: defaultdict[tuple[object, ...], list[Work]] = defaultdict(list)
    for work in works:
        title = folded(work.title)
        if title and (work.kind == "show" or work.year):
            namesakes[work.kind, title, work.year].append(work)
    for group in namesakes.values():
        without = [work for work in group if not work.ids]
        candidates = [work for work in group if work.ids]
        if not without or not candidates:
            continue
        if any(not may_be_one(one, other) for one, other in combinations(without, 2)):
            continue
        for work in without:
            fitting = [other for other in candidates if is_one(work, other)]
            if len({_best(other) for other in fitting}) != 1:
                continue
            newest = max(fitting, key=_newest_evidence)
            work.ids = {
                namespace: Known(
                    known.value,
                    Origin.OTHER_PLAYS if known.origin is Origin.GUID else known.origin,
                    known.when,
                    known.play_id,
                )
                for namespace, known in newest.ids.items()
            }


def _best(work: Work) -> tuple[str, str]:
    return next((ns, work.ids[ns].value) for ns in EXTERNAL if ns in work.ids)


def _newest_evidence(work: Work) -> tuple[int, int]:
    return max((known.when, known.play_id) for known in work.ids.values())


def _contradicts(work: Work, namespace: str, value: str) -> bool:
    known = work.ids.get(namespace)
    return known is not None and known.value != value


def _contradict(one: dict[str, Known], other: dict[str, Known]) -> bool:
    return any(ns in other and other[ns].value != known.value for ns, known in one.items())


def _shared(one: dict[str, Known], other: dict[str, Known]) -> bool:
    return any(ns in other and other[ns].value == known.value for ns, known in one.items())


def _conflict(work: Work, namespace: str, dropped: str, play_id: int) -> Conflict:
    kept = work.ids[namespace]
    plays = (kept.play_id, play_id) if play_id else (kept.play_id,)
    return Conflict(work.kind, work.title, namespace, kept.value, dropped, plays)
