"""Deliver playback events row by row: source, event, stream sink.

This needs nothing but the row at hand. Each stream sink has a pass and a checkpoint of its own,
so that one that is slow, or fails, holds up no other.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TypeAlias

import msgspec
from msgspec import Struct

from ..checkpoint.journal import Position
from ..counting import RowCounts
from ..errors import SinkError, TautulliImportError
from ..mapper import Naming, event
from ..models import Play, PlaybackEvent, Reason, Rejected
from ..progress import UNSEEN, Progress
from ..selection import Selection
from ..sinks.base import Receipt, StreamSink
from ..sources.base import Batch, Cursor
from ..sources.database import DatabaseSource as Source
from ..stopping import held
from .resume import EventCheckpoint

__all__ = ["StreamResult", "stream"]

Tee: TypeAlias = Callable[[Sequence[PlaybackEvent]], None]


class StreamResult(Struct, frozen=True):
    """What became of every row, and of the events."""

    read: int
    """All rows, those that earlier runs had delivered counted."""
    carried: int
    """How many of them were not read again."""
    verdicts: Mapping[Reason, int]
    accepted: Mapping[str, int]
    """Events by media type, those of earlier runs counted."""
    rejected: Sequence[Rejected]
    receipt: Receipt
    is_cut: bool = False
    """The reader of standard output left before everything was read."""


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
    """Deliver the events of a source to the sink called ``name``, each once as far as it can know.

    With a ``checkpoint`` it goes on after what earlier runs have delivered, and saves what this
    one has, also when it is cut short. ``tee`` sees all events that go to the sink.

    Raises:
        CheckpointError: the checkpoint is of another history.
        SinkError: the sink failed. What it had taken until then need not be taken again.
        TautulliImportError: the source cannot be read; see the errors of sources.
    """
    counts = EventCounts(selection, naming, sink.refuses)
    step = partial(_step, sink, name)
    try:
        saved = checkpoint.saved() if checkpoint else None
        with step():
            found = sink.recall(checkpoint.job if checkpoint else "", saved)
        after = checkpoint.resume(found) if checkpoint else None
        cursor = counts.resume(after, source.name) if after else None
        carried = counts.rows
        delivered = _Delivered(sink, after)
        progress.begin("reading", source.total(), carried)
        with step():
            sink.begin(after)
        try:
            is_cut = True
            with suppress(BrokenPipeError):  # the reader of standard output has all it wanted
                for batch in source.batches(cursor, detailed=True):
                    events = counts.take(batch)
                    with step():
                        delivered.write(events, counts.position)
                        if checkpoint and checkpoint.is_due(counts.rows):
                            sink.commit()
                            checkpoint.save(delivered.upto())
                    if tee:
                        tee(events)
                    progress.reached(counts.rows)
                is_cut = False
            with step():
                sink.commit()
                if checkpoint:
                    checkpoint.save(delivered.upto())
                receipt = sink.finish()
                if checkpoint:
                    checkpoint.save(delivered.upto())
                    checkpoint.finish()
        except BaseException as error:
            if checkpoint:
                with suppress(TautulliImportError), held():
                    if not isinstance(error, SinkError):
                        with suppress(Exception):  # the first error is the one to report
                            sink.commit()
                    checkpoint.save(delivered.upto())
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
    """Makes rows into playback events, and counts them."""

    def __init__(
        self,
        selection: Selection,
        naming: Naming,
        refuses: Callable[[PlaybackEvent], Reason | None],
    ) -> None:
        """``refuses`` tells why the sink does not take an otherwise good event."""
        super().__init__()
        self.accepted: Counter[str] = Counter()
        """Events by media type."""
        self.position: Position | None = None
        """Where another run can go on after the last batch; ``None`` where that is unsafe."""
        self._judge = selection.judge_event()
        self._naming = naming
        self._refuses = refuses
        self._checksum = 0
        self._noted: tuple[Rejected, ...] = ()

    def resume(self, after: Position, source: str) -> Cursor:
        """Continue the counts of an earlier run, and return where to read on."""
        # The same file can be named by another path today.
        named = [msgspec.structs.replace(row, source=source) for row in after.rejected]
        self.rejected |= {(source, row.detail if row.id is None else row.id): row for row in named}
        self._noted = tuple(self.rejected.values())
        self.verdicts.update(after.verdicts)
        self.accepted.update(after.kinds)
        self.rows, self._checksum = after.rows, after.checksum
        return Cursor(after.cursor)

    def take(self, batch: Batch) -> list[PlaybackEvent]:
        """Return the events of a batch, in the order of its rows."""
        events: list[PlaybackEvent] = []
        kinds: list[str] = []
        turned_away: list[tuple[Play, Reason]] = []
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
                turned_away.append((play, reason))
        self.accepted.update(kinds)
        self.count(batch, turned_away)
        self._checksum += batch.mark
        if turned_away or batch.rejected or batch.recovered:
            self._noted = tuple(self.rejected.values())
        self.position = self._position(batch) if batch.numbered else None
        return events

    def _position(self, batch: Batch) -> Position:
        return Position(
            cursor=batch.cursor,
            rows=self.rows,
            checksum=self._checksum,
            verdicts=+self.verdicts,
            rejected=self._noted,
            kinds=dict(self.accepted),
        )


class _Delivered:
    """Knows up to which position in the source a sink has made events durable."""

    def __init__(self, sink: StreamSink, after: Position | None) -> None:
        self._sink = sink
        self._last = after
        self._written = 0
        self._queue: deque[tuple[int, Position]] = deque()

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Write events, and queue the position after them until they are durable."""
        self._sink.write(events, position)
        self._written += len(events)
        if position is not None:
            self._queue.append((self._written, position))

    def upto(self) -> Position | None:
        """Return the last position before which everything is durable."""
        durable = self._sink.durable
        while self._queue and self._queue[0][0] <= durable:
            self._last = self._queue.popleft()[1]
        if self._last is not None:
            self._last = msgspec.structs.replace(self._last, note=self._sink.note)
        return self._last


@contextmanager
def _step(sink: StreamSink, name: str) -> Iterator[None]:
    """Finish a step before anything stops. Only a reader of a pipe may take forever.

    Raises:
        SinkError: in place of whatever the sink raises that is not one of our errors.
    """
    with nullcontext() if sink.is_piped else held():
        try:
            yield
        except (TautulliImportError, MemoryError, BrokenPipeError):
            raise
        except OSError as error:
            raise SinkError(
                f"{name} ({sink.target}) could not be written: {error.strerror or error}.",
                hint="Make room, or name another place with --out. What was delivered is kept.",
            ) from error
        except Exception as error:
            raise SinkError(
                f"The sink {name} failed: {type(error).__name__}: {error}.",
                hint="--debug shows where it failed.",
            ) from error
