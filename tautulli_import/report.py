"""The run's numbers, and the proof that they add up. Their JSON shape is a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from .errors import AccountingError
from .models import Conflict, Movie, Origin, Reason, Record, Rejected
from .pipeline import Reading
from .streaming import Streamed
from .wording import many

__all__ = [
    "IdsOf",
    "Items",
    "Output",
    "Plays",
    "Report",
    "Requests",
    "Status",
    "Summary",
    "View",
    "WithoutId",
    "account",
    "account_events",
    "alarms_of",
    "count_items",
    "without_external_id",
]

View: TypeAlias = Literal["titles", "viewings", "events"]
Status: TypeAlias = Literal["completed", "failed"]


class Plays(Struct, frozen=True):
    """What became of every row: ``read = filtered + rejected + merged + emitted``."""

    read: int
    filtered: Mapping[str, int]
    rejected: Mapping[str, int]
    merged: int
    emitted: int


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


def account(reading: Reading, outputs: Sequence[Sequence[Record]]) -> Plays:
    """What became of every row that was read, given what one sink (per user) is to get.

    Raises:
        AccountingError: a row was lost or counted twice.
    """
    accepted = sum(reading.accepted.values())
    return _added_up(reading.read, reading.verdicts, accepted, sum(map(len, outputs)))


def account_events(streamed: Streamed) -> Plays:
    """What became of every row that was read for a sink that takes events.

    Raises:
        AccountingError: a row was lost or counted twice.
    """
    events = sum(streamed.accepted.values())
    return _added_up(streamed.read, streamed.verdicts, events, events)


def _added_up(read: int, verdicts: Mapping[Reason, int], accepted: int, emitted: int) -> Plays:
    ordered = [(r, verdicts[r]) for r in Reason if verdicts.get(r)]
    filtered = {reason.value: count for reason, count in ordered if not reason.rejects}
    rejected = {reason.value: count for reason, count in ordered if reason.rejects}
    plays = Plays(read, filtered, rejected, accepted - emitted, emitted)
    told = sum(filtered.values()) + sum(rejected.values()) + accepted
    if told != read or plays.merged < 0 or bool(accepted) != bool(emitted):
        raise AccountingError(
            f"The numbers do not add up: {read} plays were read, {told} are accounted "
            f"for, {accepted} of them became {emitted} records.",
            hint="This is a bug in tautulli-import. Please report it.",
        )
    return plays


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


def alarms_of(reading: Reading) -> Sequence[str]:
    """What a person should look at after a reading, one sentence each."""
    warnings = []
    if count := reading.verdicts.get(Reason.NOT_DELIVERED, 0):
        warnings.append(
            f"Tautulli fails on {many(count, 'row')} of its own (mostly films without a length), "
            "and they were left out; --via database, or db, reads them."
        )
    if conflicts := reading.identified.conflicts:
        titles = list(dict.fromkeys(conflict.title for conflict in conflicts))
        names, more = ", ".join(titles[:3]), ", …" if len(titles) > 3 else ""
        warnings.append(
            f"{many(len(conflicts), 'contradiction')} between ids ({names}{more}): the newest "
            "play was believed; --report lists them all."
        )
    if unused := reading.identified.unused:
        lines = ", ".join(str(correction.line) for correction in unused[:10])
        warnings.append(f"Corrections that fit nothing in the history: line {lines}.")
    return [*warnings, *reading.identified.warnings]
