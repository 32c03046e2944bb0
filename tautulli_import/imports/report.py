"""Report what came of a run. The JSON shape of its structures is a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from ..counting import Plays
from ..items.pipeline import ReadResult
from ..models import Conflict, Movie, Origin, Reason, Record, Rejected
from ..sinks.base import Receipt
from ..sources.database import DatabaseSource as Source
from ..wording import many
from .job import Job

__all__ = [
    "Delivery",
    "IdsOf",
    "Items",
    "Output",
    "Report",
    "Requests",
    "Status",
    "Summary",
    "View",
    "WithoutId",
    "alarms_of",
    "count_items",
    "make_report",
    "without_external_id",
]

View: TypeAlias = Literal["titles", "viewings", "events"]
Status: TypeAlias = Literal["completed", "failed"]


class Delivery(Struct, frozen=True):
    """What one sink was given, and what it made of it."""

    sink: str
    user: str | None
    receipt: Receipt
    accepted: int
    """How many plays, or events, were for it before they were merged."""
    records: Sequence[Record] = ()
    every_viewing: bool = False
    events: Mapping[str, int] | None = None
    """The events by media type, where it was given those; earlier runs' events counted."""
    carried: int = 0
    """How many rows were not read again."""

    @property
    def emitted(self) -> int:
        """Count the records or events it was given, by this run and those it goes on from."""
        return len(self.records) if self.events is None else self.accepted


class Items(Struct, frozen=True):
    """What was made of the plays that went on."""

    movies: int
    episodes: int
    new: int
    updated: int
    unchanged: int
    without_external_id: int
    ids_from: Mapping[str, int]
    """By where the id came from that made the key; with ``without_external_id``, all items."""
    tracks: int = 0
    """Music, which becomes events only."""


class Output(Struct, frozen=True):
    """What one sink made of it."""

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
    """How many entries the target holds afterwards, foreign ones included."""
    written: Sequence[str]
    """The files that were written; none when nothing changed."""
    duplicates: int | None = None
    """Where it takes events: those of this run that it said it had already."""


class Requests(Struct, frozen=True):
    """How often Tautulli was asked over HTTP."""

    history: int = 0
    metadata: int = 0
    other: int = 0

    @classmethod
    def of(cls, asked: Mapping[str, int]) -> Requests:
        """The numbers, given those of each command."""
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
    """How many of the plays that were read stood in the checkpoint, and were not read again."""
    view: View
    """Whether ``items`` counts titles, viewings or events: what the first sink takes."""


class WithoutId(Struct, frozen=True):
    """An item that was kept under an id of this Plex server only."""

    key: str
    title: str
    series_title: str | None
    play: int


class IdsOf(Struct, frozen=True):
    """Where each external id of one item came from."""

    key: str
    ids: Mapping[str, Origin]


class Report(Summary, frozen=True):
    """The one object of ``--report``: the summary, and every row and item behind it."""

    rejected_rows: Sequence[Rejected]
    without_external_id: Sequence[WithoutId]
    ids: Sequence[IdsOf]
    conflicts: Sequence[Conflict]


def count_items(
    records: Sequence[Record],
    kinds: Mapping[str, int] | None = None,
    *,
    new: int = 0,
    updated: int = 0,
    unchanged: int = 0,
) -> Items:
    """What is in these records, or in events, of which the ``kinds`` are known."""
    if kinds:
        return Items(
            movies=kinds.get("movie", 0),
            episodes=kinds.get("episode", 0),
            new=new,
            updated=updated,
            unchanged=unchanged,
            without_external_id=0,
            ids_from={},
            tracks=kinds.get("track", 0),
        )
    origins = [_origin_of_key(record) for record in records]
    movies = sum(1 for record in records if isinstance(record.item, Movie))
    counts = Counter(origins)
    return Items(
        movies=movies,
        episodes=len(records) - movies,
        new=new,
        updated=updated,
        unchanged=unchanged,
        without_external_id=counts[None],
        ids_from={origin.value: counts[origin] for origin in Origin},
    )


def without_external_id(records: Sequence[Record]) -> Sequence[WithoutId]:
    """The items that are kept under an id of this Plex server only."""
    return [
        WithoutId(
            record.key,
            record.item.title,
            None if isinstance(record.item, Movie) else record.item.series_title,
            record.play_id,
        )
        for record in records
        if _origin_of_key(record) is None
    ]


def _origin_of_key(record: Record) -> Origin | None:
    """Where the external id came from that made the key; ``None`` where none did."""
    return dict(record.origins).get(record.key.partition(":")[0])


def alarms_of(result: ReadResult) -> Sequence[str]:
    """Return what a person should look at after a reading, one sentence each."""
    warnings = []
    if count := result.verdicts.get(Reason.NOT_DELIVERED, 0):
        warnings.append(
            f"Tautulli fails on {many(count, 'row')} of its own (mostly films without a length), "
            "and they were left out; --via database, or db, reads them."
        )
    if conflicts := result.identified.conflicts:
        titles = list(dict.fromkeys(conflict.title for conflict in conflicts))
        names, more = ", ".join(titles[:3]), ", …" if len(titles) > 3 else ""
        warnings.append(
            f"{many(len(conflicts), 'contradiction')} between ids ({names}{more}): the newest "
            "play was believed; --report lists them all."
        )
    if unused := result.identified.unused:
        lines = ", ".join(str(correction.line) for correction in unused[:10])
        warnings.append(f"Corrections that fit nothing in the history: line {lines}.")
    return [*warnings, *result.identified.warnings]


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
) -> Report:
    """Report on a run that took ``elapsed`` seconds.

    ``plays`` are what became of the rows, by sink. Plays and items of the report are those of
    the first sink that did not fail.
    """
    order = [target.name for target in job.targets]
    name = min((one.sink for one in deliveries), key=order.index, default="")
    first = [one for one in deliveries if one.sink == name]
    records = [record for one in first for record in one.records]
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
            records,
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
                total=one.receipt.total,
                written=one.receipt.written,
                duplicates=None if one.events is None else one.receipt.unchanged,
            )
            for one in deliveries
        ],
        source=source.name,
        warnings=warnings,
        carried=carried,
        view=_view(first[0] if first else None),
        rejected_rows=rejected if job.detailed else [],
        without_external_id=without_external_id(records),
        ids=[IdsOf(record.key, dict(record.origins)) for record in records if record.origins]
        if job.detailed
        else [],
        conflicts=conflicts,
    )


def _unchanged(delivery: Delivery) -> int:
    """Count what was there already; of events also what earlier runs delivered."""
    receipt = delivery.receipt
    return receipt.unchanged if delivery.events is None else delivery.accepted - receipt.new


def _view(first: Delivery | None) -> View:
    if first is not None and first.events is not None:
        return "events"
    return "viewings" if first is not None and first.every_viewing else "titles"
