"""The chain that finds external ids, link by link, and never lets a guess pass as a fact.

1. The GUIDs of a work's own plays, newest first. Where two contradict each other the newer
   one wins and whatever is older is not asked any more; the contradiction is reported.
2. Tautulli's lookup tables, where they contradict nothing.
3. A person's corrections, which win over everything.
4. Other works that share an external id: what one knows, all know. Old plays with a legacy
   GUID and new ones with a ``plex://`` one end under the same key because of this.
5. For what is still without: the one work of the same title and year, if there is just one
   and nothing tells the two apart.
6. For what is wanted and even then without: Plex itself, asked through Tautulli. Whatever it
   tells is shared as in 4 and 5, as if the work had known it from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..guids import movie_ids, show_ids
from ..items.groups import PlayGroup
from ..models import Conflict, Kind, Origin, Play
from ..sources.base import Lookup
from .corrections import Correction, apply
from .metadata import Ask, ids_of
from .sharing import share
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
    warnings: Sequence[str] = ()
    """What a person should know about the asking, one sentence each."""


def identify(
    sightings: Iterable[PlayGroup],
    lookups: Sequence[Lookup] = (),
    corrections: Sequence[Correction] = (),
    ask: Ask | None = None,
) -> Identified:
    """Every film and show in the history, with the external ids that can be known.

    ``ask`` is the way to Plex; without it there is only what can be known offline.
    """
    movies: list[PlayGroup] = []
    episodes: list[PlayGroup] = []
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
    settled = [conflict for work, conflict in conflicts if not _is_corrected(work)]
    own = {work: work.ids for work in works}
    shared = share(works)
    warnings: list[str] = []
    asked: set[Work] = set()
    # Nearly always once: an answer can make two namesakes of what could be only one before.
    while ask and (wanted := [w for w in works if w not in asked and _is_wanted(w)]):
        asked.update(wanted)
        told = ask(wanted)
        warnings += told.warnings
        for work in wanted:
            answer = told.answers.get(work.own_keys[0])
            if answer is not None and (ids := ids_of(work, answer)):
                own[work] = _from_plex(work, ids)
        for work in works:
            work.ids = own[work]
        shared = share(works)
    return Identified(works, [*settled, *shared], unused, warnings)


def origin_in(work: Work, namespace: str, play: Play) -> Origin:
    """Where an id of the work came from, seen from one of its plays."""
    known = work.ids[namespace]
    if (
        known.origin is Origin.GUID
        and _GUID_IDS[work.kind](play.guid).get(namespace) != known.value
    ):
        return Origin.OTHER_PLAYS
    return known.origin


def _is_wanted(work: Work) -> bool:
    """Whether ids are missing that Plex may have, of something that will be imported."""
    missing = not work.ids and bool(work.own_keys)
    return missing and any(sighting.accepted for sighting in work.sightings)


def _from_plex(work: Work, ids: Mapping[str, str]) -> dict[str, Known]:
    newest = work.newest
    return {
        namespace: Known(value, Origin.GET_METADATA, newest.when, newest.newest_id)
        for namespace, value in ids.items()
    }


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


def _contradicts(work: Work, namespace: str, value: str) -> bool:
    known = work.ids.get(namespace)
    return known is not None and known.value != value


def _conflict(work: Work, namespace: str, dropped: str, play_id: int) -> Conflict:
    kept = work.ids[namespace]
    plays = (kept.play_id, play_id) if play_id else (kept.play_id,)
    return Conflict(work.kind, work.title, namespace, kept.value, dropped, plays)
