"""What one snapshot sink gets for one user: its records, and the order of things around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from .models import Record
from .pipeline import Delivery, Reading, deliver, records_of, superseded
from .resume import Ledger
from .selection import Selection
from .sinks.base import Sink, SinkOptions, make_sink
from .sinks.files import shown
from .sources.base import Source, User

__all__ = ["Planned", "carry_out", "plan"]


class Planned(Struct, frozen=True):
    """One sink for one user (or for all), and what it is going to get."""

    name: str
    sink: Sink
    user: User | None
    records: Sequence[Record]
    place: tuple[str, str, str]
    """Under what it is remembered: the sink, where it writes, the user's number."""


def carry_out(
    planned: Planned, reading: Reading, ledger: Ledger | None, *, dry_run: bool
) -> Delivery:
    """Staged, made durable by the sink, and only then noted as published."""
    user = planned.user
    remembers = planned.sink.supersedes and ledger is not None
    if remembers and ledger is not None:
        # A key whose play is gone stays known: what it stands for is still in the sink.
        before = ledger.journal.published(*planned.place)
        gone = planned.sink.options.superseded
        kept = {key: play for key, play in before.items() if key not in gone}
        now = {record.key: (record.play_id, record.epoch) for record in planned.records}
        ledger.journal.stage(*planned.place, kept | now)
    delivery = deliver(
        planned.sink,
        planned.name,
        planned.records,
        reading.accepted.get(user.user_id if user else None, 0),
        dry_run=dry_run,
        user=user.name if user else None,
    )
    if remembers and ledger is not None:
        ledger.journal.publish(*planned.place)
    return delivery


def plan(  # noqa: PLR0917 - all that one output depends on
    source: Source,
    reading: Reading,
    selection: Selection,
    ledger: Ledger | None,
    name: str,
    cls: type[Sink],
    options: SinkOptions,
    user: User | None,
) -> Planned:
    """A sink of a class, told what of earlier runs' has other keys now, with its records."""
    records = records_of(
        reading,
        every_viewing=options.every_viewing,
        user_id=user.user_id if user else None,
        user=user.name if user else None,
    )
    sink = make_sink(cls, name, options)
    place = (name, _place_of(sink), str(user.user_id) if user else "")
    if ledger and cls.supersedes:
        before = ledger.journal.published(*place)
        gone = superseded(reading, source, before, records, selection)
        sink = make_sink(cls, name, msgspec.structs.replace(options, superseded=gone))
    return Planned(name, sink, user, records, place)


def _place_of(sink: Sink) -> str:
    """Where a sink writes, the same from whatever directory it is started."""
    return "\n".join(shown(Path(os.path.realpath(path))) for path in sink.writes())
