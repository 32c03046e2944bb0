"""Find external ids in six steps, of which a later one fills gaps of the earlier ones.

1. The GUIDs of a work's own plays, newest first. Where two contradict each other the newer
   one wins, older ones are ignored, and the conflict is reported.
2. Tautulli's lookup tables, where they contradict nothing.
3. A person's corrections. They win over everything.
4. Other works that share an external id: they share all their ids. This gives old plays with
   a legacy GUID and new ones with a ``plex://`` GUID the same key.
5. Works that still have no ids: those of the one work of the same title and year, if there is
   exactly one and no evidence against it.
6. Works that are imported and still have no ids: Plex's answer, through Tautulli. Its ids are
   shared as in 4 and 5, as if the work had had them from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..model.groups import PlayGroup
from ..model.guids import movie_ids, show_ids
from ..model.items import Conflict, Kind, Origin
from ..model.plays import Play
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
    """The films and shows of a history with their ids."""

    works: Sequence[Work]
    conflicts: Sequence[Conflict]
    unused: Sequence[Correction]
    """Corrections that match nothing in the history."""
    warnings: Sequence[str] = ()
    """Sentences for a person about questions to Plex that got no answer."""
    unanswered: int = 0
    """The number of works that Plex was asked about without an answer."""


def identify(
    groups: Iterable[PlayGroup],
    lookups: Sequence[Lookup] = (),
    corrections: Sequence[Correction] = (),
    ask: Ask | None = None,
) -> Identified:
    """Return every film and show of the history with its external ids.

    ``ask`` asks Plex. Without it only offline evidence is used.
    """
    movies: list[PlayGroup] = []
    episodes: list[PlayGroup] = []
    for group in groups:
        (movies if group.play.media_type == "movie" else episodes).append(group)
    works = [*films(movies), *shows(episodes)]
    settle_keys(works)
    conflicts: _Conflicts = []
    for work in works:
        _ask_guids(work, conflicts)
    _ask_lookups(works, lookups, conflicts)
    unused = apply(corrections, works)
    # A person's correction resolves the conflicts of its work.
    unresolved = [conflict for work, conflict in conflicts if not _is_corrected(work)]
    own = {work: work.ids for work in works}
    shared = share(works)
    warnings: list[str] = []
    unanswered = 0
    asked: set[Work] = set()
    # Nearly always one round. An answer can add a second candidate of the same title, and then
    # ``share`` no longer gives ids to a work that had them from the only candidate before.
    while ask and (wanted := [w for w in works if w not in asked and _is_wanted(w)]):
        asked.update(wanted)
        asking = ask(wanted)
        warnings += asking.warnings
        unanswered += asking.unanswered
        for work in wanted:
            answer = asking.answers.get(work.own_keys[0])
            if answer is not None and (ids := ids_of(work, answer)):
                own[work] = _from_plex(work, ids)
        for work in works:
            work.ids = own[work]
        shared = share(works)
    return Identified(works, [*unresolved, *shared], unused, warnings, unanswered)


def origin_in(work: Work, namespace: str, play: Play) -> Origin:
    """Return where an id of the work came from, as seen from one of its plays.

    An id from a GUID that is not the play's own came from other plays.
    """
    known = work.ids[namespace]
    if (
        known.origin is Origin.GUID
        and _GUID_IDS[work.kind](play.guid).get(namespace) != known.value
    ):
        return Origin.OTHER_PLAYS
    return known.origin


def _is_wanted(work: Work) -> bool:
    """Return true if Plex may have the missing ids of a work that will be imported."""
    missing = not work.ids and bool(work.own_keys)
    return missing and any(group.accepted for group in work.groups)


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
    for group in work.groups:
        play = group.play
        found = ids_of(play.guid)
        against = [ns for ns, value in found.items() if _contradicts(work, ns, value)]
        conflicts += [(work, _conflict(work, ns, found[ns], group.newest_id)) for ns in against]
        if against:
            return
        for namespace, value in found.items():
            if namespace not in work.ids:
                work.ids[namespace] = Known(value, Origin.GUID, group.when, group.newest_id)


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
    """Return true if a lookup under one of the work's rating keys is about this work.

    Plex reuses rating keys, and the lookup table keeps the answer for the title that had the
    key before. So the two must have an id or the title in common. A lookup without a title is
    believed if only one work ever had the key (``sole``).
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
