"""Find external ids in steps. A later step fills gaps, and never overrules an earlier one.

1. The GUIDs of a work's own plays, newest first. Where two contradict each other the newer
   one wins, older ones are ignored, and the conflict is reported.
2. A person's word: ids in titles (``{imdb-tt0133093}``), and corrections, which win over
   everything.
3. Tautulli's lookup tables, where title and release date fit and nothing contradicts.
4. Other works that share an external id: they share all their ids. This gives old plays with
   a legacy GUID and new ones with a ``plex://`` GUID the same key.
5. Works that are imported and still have no ids: a Plex library database, then Plex's answer
   through Tautulli. Their ids are shared as in 4.
6. Works of the same title and release day are one work.
7. Works that are imported and still have no ids: Plex's metadata service. Its ids are shared as
   in 4.

The same title and year alone is a suggestion for a person. It gives no ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..model.groups import PlayGroups
from ..model.items import Conflict, Kind, Origin
from ..model.title_tags import ids_in_title
from ..sources.base import Lookup
from .appearances import Appearance, appearances_of
from .corrections import Correction, apply
from .dates import join_by_date
from .from_cloud import AskCloud, ask_cloud
from .from_library import ask_library
from .metadata import Answers, Ask, Metadata
from .numbers import fill_numbers
from .plex_library import PlexLibrary
from .questions import ask_plex
from .rulings import Ruling
from .sharing import share
from .suggestions import Suggestion, suggest
from .titles import folded
from .works import Known, Work, settle_keys, works_of

__all__ = ["Identified", "identify", "origin_in"]

_Conflicts: TypeAlias = list[tuple[Work, Conflict]]


class Identified(Struct, frozen=True):
    """The films and shows of a history with their ids."""

    works: Sequence[Work]
    nameless: Sequence[Appearance]
    """The appearances that are in none of them, because their rows name no show."""
    conflicts: Sequence[Conflict]
    unused: Sequence[Correction]
    """Corrections that match nothing in the history."""
    warnings: Sequence[str] = ()
    """Sentences for a person about questions to Plex that got no answer."""
    unanswered: int = 0
    """The number of works that Plex was asked about without an answer."""
    suggestions: Sequence[Suggestion] = ()
    """Possible ids of works without ids, for a person to judge. Nothing else uses them."""
    rulings: Sequence[Ruling] = ()
    """The decisions about appearances as one film or show, or two. Nothing else uses them."""
    answers: Mapping[int, Metadata] | None = None
    """Plex's answers by rating key; ``None`` if Plex was not asked."""
    found: Mapping[Origin, int] = {}
    """The number of films and shows that got their ids from each optional source that was asked."""


def identify(
    groups: PlayGroups,
    lookups: Sequence[Lookup] = (),
    corrections: Sequence[Correction] = (),
    *,
    ask: Ask | None = None,
    library: PlexLibrary | None = None,
    cloud: AskCloud | None = None,
) -> Identified:
    """Return every film and show of the history with its external ids.

    ``ask`` asks Plex through Tautulli, ``cloud`` asks Plex's metadata service. Without them only
    offline evidence is used.

    Raises:
        TautulliImportError: the library cannot be read.
    """
    appearances = appearances_of(groups)
    fill_numbers(appearances.all, groups)
    rulings: list[Ruling] = []
    works, nameless = works_of(appearances, groups, rulings)
    settle_keys(works)
    conflicts: _Conflicts = []
    for work in works:
        _ask_guids(work, conflicts)
        _ask_titles(work)
    doubtful = _ask_lookups(works, lookups, conflicts)
    unused = apply(corrections, works)
    # A person's correction resolves the conflicts of its work.
    unresolved = [conflict for work, conflict in conflicts if not _is_corrected(work)]
    shared = _Sharing(works)
    if library is not None:
        ask_library(works, library)
        shared.again()
    asked: Answers[int] = Answers({})
    if ask is not None:
        asked = ask_plex(works, groups, ask)
        shared.again()
    of_dates: list[Ruling] = []
    joined = join_by_date(works, of_dates)
    of_cloud: Answers[str] = Answers({})
    if cloud is not None:
        of_cloud = ask_cloud(joined, cloud)
        _hand_down(joined, works)
        shared.again()
        of_dates = []
        joined = join_by_date(works, of_dates)
    if len(joined) < len(works):
        settle_keys(joined)
    return Identified(
        joined,
        nameless,
        [*unresolved, *shared.conflicts],
        unused,
        [*asked.warnings, *of_cloud.warnings],
        asked.unanswered + of_cloud.unanswered,
        suggest(joined, doubtful),
        [*rulings, *of_dates, *shared.rulings],
        None if ask is None else asked.answers,
        _count_found(joined, {Origin.PLEX_DB: library, Origin.PLEX_CLOUD: cloud}),
    )


class _Sharing:
    """Shares ids between works, again after each source that gave more."""

    def __init__(self, works: Sequence[Work]) -> None:
        """Share the ids that the works have."""
        self._works = works
        self._own = [work.ids for work in works]
        self.rulings: list[Ruling] = []
        self.conflicts = share(works, self.rulings)

    def again(self) -> None:
        """Share the ids that the works had in the beginning, and those of the answers."""
        for work, own in zip(self._works, self._own, strict=True):
            work.ids = own or dict(work.answered)
        self.rulings = []
        self.conflicts = share(self._works, self.rulings)


def _hand_down(joined: Iterable[Work], works: Iterable[Work]) -> None:
    """Give the answer for a joined work to the works that it was joined from."""
    answered = {one: work for work in joined if work.answered for one in work.appearances}
    for work in works:
        if (whole := answered.get(work.appearances[0])) is not None:
            work.answered = whole.answered


def _count_found(works: Iterable[Work], asked: Mapping[Origin, object]) -> Mapping[Origin, int]:
    """Count the works that have an id of each source that was asked."""
    found = {origin: 0 for origin, source in asked.items() if source is not None}
    for work in works if found else ():
        for origin in {known.origin for known in work.ids.values()} & found.keys():
            found[origin] += 1
    return found


def origin_in(work: Work, namespace: str, appearance: Appearance) -> Origin:
    """Return where an id of the work came from, as seen from one of its plays.

    An id from a GUID that is not the play's own came from other plays.
    """
    known = work.ids[namespace]
    if known.origin is Origin.GUID and (namespace, known.value) not in appearance.ids:
        return Origin.OTHER_PLAYS
    return known.origin


def _is_corrected(work: Work) -> bool:
    return any(known.origin is Origin.CORRECTIONS for known in work.ids.values())


def _ask_guids(work: Work, conflicts: _Conflicts) -> None:
    for one in work.appearances:
        if not one.ids:
            continue
        found = dict(one.ids)
        against = [ns for ns, value in found.items() if _contradicts(work, ns, value)]
        conflicts += [(work, _conflict(work, ns, found[ns], one.newest_id)) for ns in against]
        if against:
            return
        for namespace, value in found.items():
            if namespace not in work.ids:
                work.ids[namespace] = Known(value, Origin.GUID, one.newest, one.newest_id)


def _ask_titles(work: Work) -> None:
    """Fill gaps with the ids that a person wrote into a title, the newest first."""
    for one in work.appearances:
        title = one.played.work_title or ""
        if not ("[" in title or "{" in title or "(" in title):
            continue  # nearly every title
        for namespace, value in ids_in_title(title)[1].items():
            if namespace not in work.ids:
                work.ids[namespace] = Known(value, Origin.TITLE, one.newest, one.newest_id)


def _ask_lookups(
    works: Sequence[Work], lookups: Sequence[Lookup], conflicts: _Conflicts
) -> list[tuple[Work, Lookup]]:
    """Fill gaps from the lookups. Return those of the right title, but of another release day."""
    doubtful: list[tuple[Work, Lookup]] = []
    by_key: defaultdict[tuple[Kind, int], list[Work]] = defaultdict(list)
    for work in works if lookups else ():
        for rating_key in work.rating_keys:
            by_key[work.kind, rating_key].append(work)
    for lookup in lookups:
        meant = by_key[lookup.kind, lookup.rating_key]
        for work in meant:
            if not _is_about(lookup, work, sole=len(meant) == 1):
                continue
            if not (_shares_an_id(lookup, work) or _fits_the_day(lookup, work)):
                doubtful.append((work, lookup))
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
                        value, Origin.LOOKUP_TABLES, newest.newest, newest.newest_id
                    )
    return doubtful


def _is_about(lookup: Lookup, work: Work, *, sole: bool) -> bool:
    """Return true if a lookup under one of the work's rating keys is about this work.

    Plex reuses rating keys, and the lookup table keeps the answer for the title that had the
    key before. So the two must have an id or the title in common. A lookup without a title is
    believed if only one work ever had the key (``sole``).
    """
    if _shares_an_id(lookup, work):
        return True
    if not lookup.titles:
        return sole
    return folded(work.title) in map(folded, lookup.titles)


def _shares_an_id(lookup: Lookup, work: Work) -> bool:
    return any(ns in work.ids and work.ids[ns].value == value for ns, value in lookup.ids)


def _fits_the_day(lookup: Lookup, work: Work) -> bool:
    """Return false if the other site has another release day than the history.

    Sites differ by the country of the first release, so a film's days may be a year apart. A show
    has no day in the history, but its first episode has one, and none is older than the show.
    """
    if not lookup.date:
        return True
    if work.kind == "movie":
        day = work.day
        year = int(day[:4]) if day else work.year
        return year is None or abs(year - int(lookup.date[:4])) <= 1
    days = {
        (played.season, played.episode): day for _, played in work.episodes if (day := played.aired)
    }
    if first := days.get((1, 1)):
        return abs(int(first[:4]) - int(lookup.date[:4])) <= 1
    return all(day[:4] >= str(int(lookup.date[:4]) - 1) for day in days.values())


def _contradicts(work: Work, namespace: str, value: str) -> bool:
    known = work.ids.get(namespace)
    return known is not None and known.value != value


def _conflict(work: Work, namespace: str, dropped: str, play_id: int) -> Conflict:
    kept = work.ids[namespace]
    plays = (kept.play_id, play_id) if play_id else (kept.play_id,)
    return Conflict(work.kind, work.title, namespace, kept.value, dropped, plays)
