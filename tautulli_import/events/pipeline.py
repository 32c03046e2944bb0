"""Deliver playback events row by row from the source to a stream sink.

An event needs no other row. Each stream sink reads the source on its own and has its own
checkpoint, so that a slow or failing sink does not hold up another.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TypeAlias

import msgspec
from msgspec import Struct

from ..counting import RowCounts, place_of, rejected_play
from ..errors import SinkError, TautulliImportError
from ..interrupts import defer_signals
from ..model.events import PlaybackEvent
from ..model.rejections import Reason, Rejected
from ..model.selection import Selection
from ..progress import UNSEEN, Progress
from ..sinks.base import Receipt, StreamSink, finishing
from ..sources.base import Batch, Cursor
from ..sources.database.source import Source
from ..state.checkpoint import Position
from .build import Naming, event
from .resume import EventCheckpoint

__all__ = ["StreamResult", "stream"]

Tee: TypeAlias = Callable[[Sequence[PlaybackEvent]], None]


class StreamResult(Struct, frozen=True):
    """The verdicts on all rows, and the sink's receipt."""

    read: int
    """All rows, including those that earlier runs read."""
    carried: int
    """The number of rows that were not read again."""
    verdicts: Mapping[Reason, int]
    accepted: Mapping[str, int]
    """Events by media type, including those of earlier runs."""
    rejected: Sequence[Rejected]
    receipt: Receipt
    is_cut: bool = False
    """True if the reader of standard output closed it before everything was read."""


def stream(
    source: Source,
    sink: StreamSink,
    name: str,
    selection: Selection,
    naming: Naming,
    *,
    progress: Progress = UNSEEN,
    checkpoint: EventCheckpoint | None = None,
    tee: Tee | None = None,
) -> StreamResult:
    """Deliver the events of a source to the sink called ``name``, each once if the sink can tell.

    With a ``checkpoint`` it resumes after the events of earlier runs, and saves its own position,
    also when it is interrupted. ``tee`` is called with all events that go to the sink.

    Raises:
        CheckpointError: the checkpoint is of another history.
        SourceDamagedError: a file is damaged. Nothing was written.
        SinkError: the sink failed. Events that were durable are not delivered again.
        TautulliImportError: the source cannot be read; see the errors of sources.
    """
    counts = EventCounts(selection, naming, sink.refuses)
    step = partial(_step, sink, name)
    try:
        source.begin_check()
        saved = checkpoint.saved() if checkpoint else None
        with step():
            found = sink.recall(checkpoint.job if checkpoint else "", saved)
        after = checkpoint.resume(found) if checkpoint else None
        cursor = counts.resume(after, source.name) if after else None
        carried = counts.rows
        source.refuse_damage()  # events are written while they are read
        delivered = _Delivered(sink, after)
        progress.begin("reading", source.total(), carried)
        with step():
            sink.begin(after)
        try:
            is_cut = True
            with suppress(BrokenPipeError):  # the reader of standard output has closed it
                for batch in source.batches(cursor, detailed=True):
                    events = counts.take(batch)
                    with step():
                        if events and checkpoint and not delivered.has_begun:
                            checkpoint.save(delivered.position())
                        delivered.write(events, counts.position)
                        if checkpoint and checkpoint.is_due(counts.rows):
                            sink.commit()
                            checkpoint.save(delivered.position())
                    if tee:
                        tee(events)
                    progress.reached(counts.rows)
                is_cut = False
            with step():
                sink.commit()
                if checkpoint and delivered.has_begun:
                    checkpoint.save(delivered.position())
                receipt = sink.finish()
                if checkpoint:
                    checkpoint.save(delivered.position())
                    checkpoint.finish()
        except BaseException as error:
            if checkpoint:
                with suppress(TautulliImportError), defer_signals():
                    if not isinstance(error, SinkError):
                        with suppress(Exception):  # the first error is the one to report
                            sink.commit()
                    checkpoint.save(delivered.position())
            raise
    finally:
        sink.close()
    return StreamResult(
        read=counts.rows,
        carried=carried,
        verdicts=+counts.verdicts,
        accepted=dict(counts.accepted),
        rejected=list(counts.rejected.values()),
        receipt=receipt,
        is_cut=is_cut,
    )


class EventCounts(RowCounts):
    """Builds playback events from rows, and counts them."""

    def __init__(
        self,
        selection: Selection,
        naming: Naming,
        refuses: Callable[[PlaybackEvent], Reason | None],
    ) -> None:
        """Start at zero. ``refuses`` returns why the sink does not take a valid event."""
        super().__init__()
        self.accepted: Counter[str] = Counter()
        """Events by media type."""
        self.position: Position | None = None
        """The position after the last batch, or ``None`` if no run can resume there."""
        self._judge = selection.judge_event()
        self._naming = naming
        self._refuses = refuses
        self._checksum = 0
        self._rejected_so_far: tuple[Rejected, ...] = ()

    def resume(self, after: Position, source: str) -> Cursor:
        """Continue the counts of an earlier run, and return where to read on."""
        # The path of the same file can differ from the last run's.
        named = [msgspec.structs.replace(row, source=source) for row in after.rejected]
        self.rejected |= {place_of(row): row for row in named}
        self._rejected_so_far = tuple(self.rejected.values())
        self.verdicts.update(after.verdicts)
        self.accepted.update(after.kinds)
        self.rows, self._checksum = after.rows, after.checksum
        return Cursor(after.cursor)

    def take(self, batch: Batch) -> list[PlaybackEvent]:
        """Return the events of a batch, in the order of its rows."""
        events: list[PlaybackEvent] = []
        kinds: list[str] = []
        rejected: list[Rejected] = []
        judge, refuses, details, naming = self._judge, self._refuses, batch.details, self._naming
        for play in batch.plays:
            reason = judge(play)
            if reason is None:
                made = event(play, details[play.id], naming)
                reason = refuses(made)
                if reason is None:
                    events.append(made)
                    kinds.append(play.media_type)
                    continue
            self.verdicts[reason] += 1
            if reason.rejects:
                rejected.append(rejected_play(play, play.id, reason, batch.source))
        self.accepted.update(kinds)
        self.count(batch, rejected)
        self._checksum += batch.checksum
        if rejected or batch.rejected or batch.recovered:
            self._rejected_so_far = tuple(self.rejected.values())
        self.position = self._position(batch) if batch.numbered else None
        return events

    def _position(self, batch: Batch) -> Position:
        return Position(
            cursor=batch.cursor,
            rows=self.rows,
            checksum=self._checksum,
            verdicts=+self.verdicts,
            rejected=self._rejected_so_far,
            kinds=dict(self.accepted),
        )


class _Delivered:
    """Tracks the position in the source up to which a sink has made events durable."""

    def __init__(self, sink: StreamSink, after: Position | None) -> None:
        self._sink = sink
        self._last = after
        self._written = 0
        self._queue: deque[tuple[int, Position]] = deque()

    @property
    def has_begun(self) -> bool:
        """Return true if events were given to the sink."""
        return self._written > 0

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Write events, and queue the position after them until they are durable."""
        self._sink.write(events, position)
        self._written += len(events)
        if position is not None:
            self._queue.append((self._written, position))

    def position(self) -> Position | None:
        """Return the last position before which everything is durable."""
        durable = self._sink.durable
        while self._queue and self._queue[0][0] <= durable:
            self._last = self._queue.popleft()[1]
        if self._last is not None:
            self._last = msgspec.structs.replace(self._last, note=self._sink.note)
        return self._last


def _step(sink: StreamSink, name: str) -> AbstractContextManager[None]:
    """Finish a step before anything stops, except with a pipe, whose reader may take forever."""
    return finishing(
        *(name, f" ({sink.target})"),
        is_stoppable=sink.is_piped,
        delivered="Delivered events are kept.",
    )
