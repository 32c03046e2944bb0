"""Inspect a history for ``check``: read every row with the query of an import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ..counting import Plays, add_up
from ..ids.corrections import Correction
from ..ids.unresolved import Unresolved, list_unresolved
from ..ids.works import Work
from ..items.build import records_of
from ..items.pipeline import NO_PLEX, PlexSources, ReadResult, read
from ..model.clock import moment, watched_at
from ..model.guids import guid_kind
from ..model.items import Conflict
from ..model.plays import Play
from ..model.rejections import Reason, Rejected
from ..model.selection import Selection
from ..progress import UNSEEN, Progress
from ..sources.database.salvage.report import DamageReport, sentence_of
from ..sources.database.source import Source
from ..sources.http.health import Health
from .figures import Figures, SeenRows, figures_of
from .report import Items, alarms_of, count_items, found_by

__all__ = [
    "InspectResult",
    "Inspection",
    "UnresolvedTitles",
    "WorkIds",
    "find_unresolved",
    "inspect_source",
]


class WorkIds(Struct, frozen=True):
    """The number of films or shows with and without external ids."""

    total: int
    known: int
    could_get: int
    """Without ids, but with a rating key, so that Plex may know them."""
    never: int
    """Without ids, and without a rating key or an answer from Plex."""
    partly: int
    """The number of the known ones whose ids do not fit all of their episodes."""


class Inspection(Struct, frozen=True):
    """The one object of ``check --json``. Its numbers are those of an import for all users."""

    schema: int
    source: str
    first: str | None
    """The time when the oldest play stopped, UTC."""
    last: str | None
    years: Mapping[str, int]
    """Plays by the year in which they stopped, UTC, from the first to the last."""
    media_types: Mapping[str, int]
    guid_kinds: Mapping[str, int]
    users: Mapping[str, int]
    libraries: Mapping[str, int]
    plays: Plays
    items: Items
    films: WorkIds
    shows: WorkIds
    conflicts: Sequence[Conflict]
    warnings: Sequence[str]
    server: Health | None = None
    """The Tautulli server; ``None`` for a database."""
    damaged: Sequence[DamageReport] = ()
    """The files that were salvaged."""


class UnresolvedTitles(Struct, frozen=True):
    """The one object of ``unresolved --json``: films and shows without external ids."""

    schema: int
    source: str
    plex_asked: bool
    titles: Sequence[Unresolved]
    unreadable: int
    """The number of rows that could not be read, so that nothing is known about them."""
    warnings: Sequence[str]
    hints: Sequence[str] = ()
    """Sentences about options that may help."""
    damaged: Sequence[DamageReport] = ()
    """The files that were salvaged."""


class InspectResult(Struct, frozen=True):
    """An inspection, and the data that it was made from."""

    inspection: Inspection
    rejected: Sequence[Rejected]
    unresolved: Sequence[Unresolved]
    alarms: Sequence[str]
    figures: Figures | None = None
    """The figures of a page."""
    found: Sequence[str] = ()
    """Sentences about the optional sources of ids, if they were asked."""


class _Stats:
    """Counts all plays, accepted or not. ``latest`` is the last possible time of a play."""

    def __init__(self, latest: int) -> None:
        self._latest = latest
        self.media_types: Counter[str] = Counter()
        self.guid_kinds: Counter[str] = Counter()
        self.days: Counter[int] = Counter()
        """Plays by day since 1970."""
        self.first = 0
        self.last = 0

    def count(self, plays: Sequence[Play]) -> None:
        for play in plays:
            self.media_types["live" if play.live else play.media_type or "unknown"] += 1
            if play.media_type in ("movie", "episode"):
                self.guid_kinds[guid_kind(play.guid)] += 1
            when = moment(play, latest=self._latest)
            if when:
                self.first = min(self.first or when, when)
                self.last = max(self.last, when)
                self.days[when // 86_400] += 1

    def years(self) -> Mapping[str, int]:
        """Return plays by year, with those that have none in between."""
        counts: Counter[int] = Counter()
        for day, count in self.days.items():
            counts[int(watched_at(day * 86_400)[:4])] += count
        years = range(min(counts), max(counts) + 1) if counts else range(0)
        return {str(year): counts[year] for year in years}


def inspect_source(
    source: Source,
    selection: Selection,
    corrections: Sequence[Correction] = (),
    progress: Progress = UNSEEN,
    *,
    plex: PlexSources = NO_PLEX,
    server: Health | None = None,
    seen: SeenRows | None = None,
) -> InspectResult:
    """Read everything, write nothing, and return the numbers.

    ``seen`` counts the rows for a page.

    Raises:
        TautulliImportError: the source cannot be read.
    """
    stats = _Stats(selection.latest)
    done = 0
    progress.begin("counting", source.total())
    for batch in source.batches():
        stats.count(batch.plays)
        done += batch.size
        progress.reached(done)
    result = read(
        source,
        selection,
        corrections=corrections,
        progress=progress,
        plex=plex,
        tee=seen,
    )
    records = records_of(result, every_viewing=False)
    asked = plex.tautulli is not None and not result.identified.unanswered
    alarms = [*(server.warnings if server else ()), *alarms_of(result)]
    damaged = source.damaged(result.rejected)
    inspection = Inspection(
        schema=1,
        source=source.name,
        first=watched_at(stats.first) if stats.first else None,
        last=watched_at(stats.last) if stats.last else None,
        years=stats.years(),
        media_types=dict(stats.media_types.most_common()),
        guid_kinds=dict(stats.guid_kinds.most_common()),
        users=_by_name([(u.name, u.user_id, u.plays) for u in source.users()]),
        libraries=_by_name([(b.name, b.section_id, b.plays) for b in source.libraries()]),
        plays=add_up(result.read, result.verdicts, sum(result.accepted.values()), len(records)),
        items=count_items(records.origins_of_keys(), new=len(records)),
        films=_ids_of(result, "movie", asked=asked),
        shows=_ids_of(result, "show", asked=asked),
        conflicts=result.identified.conflicts,
        warnings=[*source.notices, *map(sentence_of, damaged), *alarms],
        server=server,
        damaged=damaged,
    )
    unresolved = list_unresolved(_imported(result), result.identified)
    figures = figures_of(result, seen, inspection.plays, [records]) if seen else None
    found = found_by(result)
    return InspectResult(inspection, result.rejected, unresolved, alarms, figures, found)


def find_unresolved(
    source: Source,
    selection: Selection,
    corrections: Sequence[Correction] = (),
    progress: Progress = UNSEEN,
    *,
    plex: PlexSources = NO_PLEX,
) -> UnresolvedTitles:
    """Read everything, and list the films and shows that would be imported without external ids.

    Raises:
        TautulliImportError: the source cannot be read.
    """
    result = read(source, selection, corrections=corrections, progress=progress, plex=plex)
    titles = list_unresolved(_imported(result), result.identified)
    damaged = source.damaged(result.rejected)
    return UnresolvedTitles(
        schema=1,
        source=source.name,
        plex_asked=plex.tautulli is not None,
        titles=titles,
        unreadable=result.verdicts.get(Reason.UNREADABLE, 0),
        warnings=[*source.notices, *alarms_of(result)],
        hints=list(_hints(titles, plex)),
        damaged=damaged,
    )


def _hints(titles: Sequence[Unresolved], plex: PlexSources) -> Iterator[str]:
    """Yield which optional source may know how many of these titles."""
    with_guid = sum(one.has_plex_guid for one in titles)
    with_either = sum(one.has_plex_guid or one.rating_key is not None for one in titles)
    if plex.library is None and with_either:
        yield (
            f"{_of_these(with_either)} a plex:// GUID or a rating key, so Plex's own database may "
            "have ids. Add --plex-db FILE."
        )
    if plex.cloud is None and with_guid:
        yield (
            f"{_of_these(with_guid)} a plex:// GUID, so Plex's metadata service may have ids. Add "
            "--plex-cloud --plex-token-file FILE."
        )


def _of_these(count: int) -> str:
    return "1 of these has" if count == 1 else f"{count:,} of these have"


def _by_name(counted: Sequence[tuple[str, int | None, int]]) -> Mapping[str, int]:
    """Return plays by name. Add the id to a name that several have."""
    names = Counter(name for name, _, plays in counted if plays)
    return {
        name if names[name] == 1 else f"{name} ({'no id' if number is None else number})": plays
        for name, number, plays in counted
        if plays
    }


def _imported(result: ReadResult) -> Sequence[Work]:
    """Return the films and shows of which something would be imported."""
    namings = result.kept.namings
    return list(dict.fromkeys(namings[number].work for number in result.kept.naming))


def _ids_of(result: ReadResult, kind: str, *, asked: bool) -> WorkIds:
    works = [work for work in _imported(result) if work.kind == kind]
    without = [work for work in works if not work.ids]
    could = 0 if asked else sum(1 for work in without if work.rating_keys)
    partly = sum(1 for work in works if work.ids and work.groups_without_ids)
    return WorkIds(len(works), len(works) - len(without), could, len(without) - could, partly)
