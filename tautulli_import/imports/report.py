"""Report the result of a run. The JSON shape of the structures is a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..counting import Plays
from ..formatting import many
from ..items.build import Records
from ..items.leftovers import Leftovers
from ..items.pipeline import ReadResult
from ..model.items import EXTERNAL, Conflict, Kind, Movie, Origin, Record
from ..model.rejections import Reason, Rejected
from ..sinks.base import Receipt
from ..sources.database.salvage.report import DamageReport, sentence_of
from ..sources.database.source import Source
from ..state.outputs import OutputStore
from .job import Job

__all__ = [
    "Delivery",
    "IdsOf",
    "Items",
    "LeftOut",
    "Output",
    "Report",
    "Requests",
    "Status",
    "Summary",
    "View",
    "WithoutId",
    "alarms_of",
    "count_items",
    "found_by",
    "losses_of",
    "make_report",
    "without_external_id",
]

View: TypeAlias = Literal["titles", "viewings", "events"]
Status: TypeAlias = Literal["completed", "failed"]
_DELETED_BY_HAND: Final = 0.01
"""The share of a history that a person may delete in Tautulli without a warning."""


class Delivery(Struct, frozen=True):
    """The records or events that one sink was given, and its receipt."""

    sink: str
    user: str | None
    receipt: Receipt
    accepted: int
    """The number of plays, or events, before they were merged."""
    records: Records | None = None
    """``None`` for a sink of events."""
    every_viewing: bool = False
    events: Mapping[str, int] | None = None
    """Events by media type, including those of earlier runs. ``None`` for a sink of items."""
    carried: int = 0
    """The number of rows that were not read again."""
    is_on_stdout: bool = False
    copies: Sequence[str] = ()
    """The files with what was in the output before."""
    leftovers: Leftovers = Leftovers()
    """Entries of ours that stay in the output, and that earlier runs announced."""

    @property
    def emitted(self) -> int:
        """Return the number of records, or of events including those of earlier runs."""
        return self.accepted if self.records is None else len(self.records)

    @property
    def left_out(self) -> int:
        """Return the number of items that the sink cannot hold."""
        return sum(map(len, self.receipt.left_out.values()))


class Items(Struct, frozen=True):
    """The items that the accepted plays became."""

    movies: int
    episodes: int
    new: int
    updated: int
    unchanged: int
    without_external_id: int
    ids_from: Mapping[str, int]
    """Items by the origin of the id in their key. Items ``without_external_id`` are not in it."""
    tracks: int = 0
    """Music. It becomes events only."""


class Output(Struct, frozen=True):
    """The result of one sink."""

    sink: str
    target: str
    user: str | None
    merged: int
    emitted: int
    new: int
    updated: int
    unchanged: int
    removed: int
    total: int
    """The number of entries in the target after the run, including foreign ones."""
    written: Sequence[str]
    """The files that were written. Empty if nothing changed."""
    duplicates: int | None = None
    """The events of this run that the target already had. ``None`` for a sink of items."""
    kept: int = 0
    """Entries that ``--replace`` did not remove, because somebody changed them since."""
    copies: Sequence[str] = ()
    """The files with what was in the target before. Only the first change and ``--replace`` make
    them."""
    left_out: Mapping[str, int] = {}
    """The number of emitted items that the format cannot hold, by reason."""


class Requests(Struct, frozen=True):
    """The number of HTTP requests to Tautulli."""

    history: int = 0
    metadata: int = 0
    other: int = 0

    @classmethod
    def of(cls, asked: Mapping[str, int]) -> Requests:
        """Return the numbers, given those by command."""
        history, metadata = asked.get("get_history", 0), asked.get("get_metadata", 0)
        return cls(history, metadata, sum(asked.values()) - history - metadata)


class Summary(Struct, frozen=True):
    """The one object of ``--json``. ``plays`` and ``items`` are those of the first sink."""

    schema: int
    command: str
    status: Status
    dry_run: bool
    sinks: Sequence[str]
    plays: Plays
    items: Items
    requests: Requests
    elapsed_seconds: float
    plays_per_second: int
    outputs: Sequence[Output]
    source: str
    warnings: Sequence[str]
    carried: int
    """The number of plays that earlier runs delivered and that were not read again."""
    view: View
    """The unit of ``items``, given by the first sink: titles, viewings or events."""
    damaged: Sequence[DamageReport]
    """The files that were salvaged."""


class WithoutId(Struct, frozen=True):
    """An item without an external id. Its key is an id of this Plex server only."""

    key: str
    title: str
    series_title: str | None
    play: int


class LeftOut(Struct, frozen=True):
    """An item that the format of a sink cannot hold."""

    sink: str
    user: str | None
    reason: str
    key: str
    title: str
    series_title: str | None
    play: int


class IdsOf(Struct, frozen=True):
    """The origins of the external ids of one item."""

    key: str
    ids: Mapping[str, Origin]


class Report(Summary, frozen=True):
    """The one object of ``--report``: the summary, and the rows and items behind its numbers."""

    rejected_rows: Sequence[Rejected]
    without_external_id: Sequence[WithoutId]
    ids: Sequence[IdsOf]
    conflicts: Sequence[Conflict]
    left_out: Sequence[LeftOut]


def count_items(
    origins: Mapping[tuple[Kind, Origin | None], int],
    kinds: Mapping[str, int] | None = None,
    *,
    new: int = 0,
    updated: int = 0,
    unchanged: int = 0,
) -> Items:
    """Count records by the ``origins`` of their keys, or events by media type (``kinds``)."""
    counts: Counter[Origin | None] = Counter()
    movies = 0
    for (kind, origin), count in origins.items():
        counts[origin] += count
        movies += count if kind == "movie" else 0
    are_events = kinds is not None
    kinds = kinds or {"movie": movies, "episode": counts.total() - movies}
    return Items(
        movies=kinds.get("movie", 0),
        episodes=kinds.get("episode", 0),
        new=new,
        updated=updated,
        unchanged=unchanged,
        without_external_id=counts[None],
        ids_from={origin.value: counts[origin] for origin in Origin if not are_events},
        tracks=kinds.get("track", 0),
    )


def without_external_id(records: Sequence[Record]) -> Sequence[WithoutId]:
    """Return the items that have no external id."""
    return [
        WithoutId(
            record.key,
            record.item.title,
            None if isinstance(record.item, Movie) else record.item.series_title,
            record.play_id,
        )
        for record in records
        if record.key.partition(":")[0] not in EXTERNAL
    ]


def losses_of(result: ReadResult, before: int = 0) -> Sequence[str]:
    """Return the warnings of ``alarms_of`` about plays that are missing, though nothing failed."""
    warnings = []
    if (lost := before - result.read) > before * _DELETED_BY_HAND:
        warnings.append(
            f"The history has lost {lost:,} of its {before:,} plays since the last run. If you did "
            "not delete them in Tautulli, it is an older backup."
        )
    if count := result.verdicts.get(Reason.IMPOSSIBLE_TIME, 0):
        warnings.append(
            f"{many(count, 'play')} with an impossible time, before 2008 or in the future, "
            f"{'was' if count == 1 else 'were'} rejected. If recent plays are missing, check the "
            "clock of this machine: date"
        )
    return warnings


def alarms_of(
    result: ReadResult, told: OutputStore | None = None, *, before: int = 0
) -> Sequence[str]:
    """Return warnings for a person about what was read, one or two sentences each.

    Leave out the conflicts that ``told`` knows. ``before`` is the number of plays in the last run.
    """
    warnings = [*losses_of(result, before)]
    if not result.read:
        warnings.append("The history has no plays. Check the path or the address.")
    if count := result.verdicts.get(Reason.NOT_DELIVERED, 0):
        warnings.append(
            f"Tautulli's API fails on {many(count, 'row')} (mostly films without a length). "
            "The import left them out. Use --via database, or db, to read them."
        )
    conflicts = result.identified.conflicts
    if conflicts := told.new_conflicts(conflicts) if told else conflicts:
        count = len({(conflict.kind, conflict.title) for conflict in conflicts})
        warnings.append(
            f"{many(count, 'title')} {'has' if count == 1 else 'have'} conflicting ids "
            f"({'' if count == 1 else 'the first is '}{conflicts[0].title}); the id of the newest "
            "play was used. Details: --report FILE."
        )
    if unused := result.identified.unused:
        lines = ", ".join(str(correction.line) for correction in unused[:10])
        warnings.append(f"Corrections that match nothing in the history: line {lines}.")
    return [*warnings, *result.identified.warnings]


def found_by(result: ReadResult) -> Sequence[str]:
    """Return sentences about the ids that a Plex database and Plex's metadata service gave."""
    names = {
        Origin.PLEX_DB: "The Plex database",
        Origin.PLEX_CLOUD: "Plex's metadata service",
    }
    return [
        f"{names[origin]} gave ids to {many(count, 'film')} and shows."
        if count != 1
        else f"{names[origin]} gave ids to 1 film or show."
        for origin, count in result.identified.found.items()
    ]


def make_report(
    source: Source,
    job: Job,
    deliveries: Sequence[Delivery],
    plays: Mapping[str, Plays],
    *,
    is_failed: bool,
    elapsed: float,
    warnings: Sequence[str],
    rejected: Sequence[Rejected],
    conflicts: Sequence[Conflict],
    damaged: Sequence[DamageReport],
) -> Report:
    """Report on a run that took ``elapsed`` seconds.

    ``plays`` counts the rows, by sink. Plays and items of the report are those of the first sink
    that did not fail.
    """
    order = [target.name for target in job.targets]
    name = min((one.sink for one in deliveries), key=order.index, default="")
    first = [one for one in deliveries if one.sink == name]
    origins: Counter[tuple[Kind, Origin | None]] = Counter()
    for one in first:
        origins += one.records.origins_of_keys() if one.records is not None else Counter()
    reported = [one.records for one in first if one.records is not None] if job.report else []
    of_first = plays.get(name) or next(iter(plays.values()))
    carried = first[0].carried if first else 0
    return Report(
        schema=1,
        command=job.command,
        status="failed" if is_failed else "completed",
        dry_run=job.dry_run,
        sinks=order,
        plays=of_first,
        items=count_items(
            origins,
            first[0].events if first else None,
            new=sum(one.receipt.new for one in first),
            updated=sum(one.receipt.updated for one in first),
            unchanged=sum(map(_unchanged, first)),
        ),
        requests=Requests.of(job.asked),
        elapsed_seconds=round(elapsed, 3),
        plays_per_second=round((of_first.read - carried) / elapsed) if elapsed else 0,
        outputs=[
            Output(
                sink=one.sink,
                target=one.receipt.target,
                user=one.user,
                merged=one.accepted - one.emitted,
                emitted=one.emitted,
                new=one.receipt.new,
                updated=one.receipt.updated,
                unchanged=_unchanged(one),
                removed=one.receipt.removed,
                total=one.receipt.total or one.emitted - one.left_out,
                written=one.receipt.written,
                duplicates=None if one.events is None else one.receipt.unchanged,
                kept=one.receipt.kept,
                copies=one.copies,
                left_out={reason: len(places) for reason, places in one.receipt.left_out.items()},
            )
            for one in deliveries
        ],
        source=source.name,
        warnings=[*map(sentence_of, damaged), *warnings],
        carried=carried,
        view=_view(first[0] if first else None),
        damaged=damaged,
        rejected_rows=rejected if job.report is not None else [],
        without_external_id=[item for records in reported for item in without_external_id(records)],
        ids=[IdsOf(*pair) for records in reported for pair in records.origins() if pair[1]],
        conflicts=conflicts,
        left_out=[item for one in deliveries for item in _left_out(one)] if job.report else [],
    )


def _left_out(delivery: Delivery) -> Iterator[LeftOut]:
    records = delivery.records or ()
    for reason, places in delivery.receipt.left_out.items():
        for record in map(records.__getitem__, places):
            series = None if isinstance(record.item, Movie) else record.item.series_title
            key, title = record.key, record.item.title
            yield LeftOut(delivery.sink, delivery.user, reason, key, title, series, record.play_id)


def _unchanged(delivery: Delivery) -> int:
    """Return the number of entries that were there before. Of events, include earlier runs'."""
    receipt = delivery.receipt
    return receipt.unchanged if delivery.events is None else delivery.accepted - receipt.new


def _view(first: Delivery | None) -> View:
    if first is not None and first.events is not None:
        return "events"
    return "viewings" if first is not None and first.every_viewing else "titles"
