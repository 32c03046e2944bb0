"""The flow of playback events: source, event, stream sink; row by row, and how far it came.

Beside ``pipeline``, which needs everything before it can tell the newest viewing of anything, this
needs nothing but the row at hand. Each stream sink has a pass and a checkpoint of its own: one
that is slow, or fails, holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from .errors import SinkError, TautulliImportError
from .mapper import Naming
from .models import PlaybackEvent, Reason, Rejected
from .resume import Bookmark
from .selection import Selection
from .sinks.base import Receipt, StreamSink
from .sources.base import Source, Watcher
from .stopping import held
from .tally import StreamTally

__all__ = ["Streamed", "stream"]

Tee: TypeAlias = Callable[[Sequence[PlaybackEvent]], None]


class Streamed(Struct, frozen=True):
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
    """Whether the reader of standard output left before everything was read."""


def stream(
    source: Source,
    sink: StreamSink,
    name: str,
    selection: Selection,
    naming: Naming,
    *,
    observer: Watcher | None = None,
    bookmark: Bookmark | None = None,
    tee: Tee | None = None,
) -> Streamed:
    """Deliver the events of a source to the sink called ``name``, each once as far as it can know.

    With a ``bookmark`` it goes on after what earlier runs have delivered, and remembers what this
    one has, also when it is cut short. ``tee`` sees all events that go to the sink.

    Raises:
        CheckpointError: what is remembered is of another history.
        SinkError: the sink failed. What it had taken until then need not be taken again.
        TautulliImportError: see the errors of sources.
    """
    tally = StreamTally(selection, naming, sink.refuses)
    step = partial(_step, sink, name)
    try:
        remembered = bookmark.remembered() if bookmark else None
        with step():
            found = sink.recall(bookmark.job if bookmark else "", remembered)
        after = bookmark.go_on(found) if bookmark else None
        cursor = tally.recall(after, source.name) if after else None
        carried = tally.rows
        if observer:
            observer.reading(source.total(), carried)
        with step():
            sink.begin(after)
        try:
            is_cut = True
            with suppress(BrokenPipeError):  # the reader of standard output has all it wanted
                for batch in source.batches(cursor, detailed=True):
                    before = tally.rows
                    events = tally.take(batch)
                    with step():
                        sink.write(events, tally.reached)
                        if bookmark and bookmark.is_due(tally.rows):
                            sink.commit()
                            bookmark.save(sink.delivered)
                    if tee:
                        tee(events)
                    if observer:
                        observer.advanced(tally.rows - before)
                is_cut = False
            with step():
                sink.commit()
                if bookmark:
                    bookmark.save(sink.delivered)
                receipt = sink.finish()
                if bookmark:
                    bookmark.save(sink.delivered)
                    bookmark.finish()
        except BaseException as error:
            if bookmark:
                with suppress(TautulliImportError), held():
                    if not isinstance(error, SinkError):
                        with suppress(Exception):  # what ended it is what is told
                            sink.commit()
                    bookmark.save(sink.delivered)
            raise
    finally:
        sink.close()
    return Streamed(
        read=tally.rows,
        carried=carried,
        verdicts=+tally.verdicts,
        accepted=dict(tally.accepted),
        rejected=list(tally.rejected.values()),
        receipt=receipt,
        is_cut=is_cut,
    )


@contextmanager
def _step(sink: StreamSink, name: str) -> Iterator[None]:
    """What is begun is finished before anything stops; but a reader of a pipe may take forever.

    Raises:
        SinkError: in place of whatever the sink raises that is no error of ours.
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
