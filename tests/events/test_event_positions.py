"""Up to which row a sink has all events, however far its durable events lag behind."""

from __future__ import annotations

import io
from collections.abc import Sequence

import msgspec
import pytest

from tautulli_import.errors import SinkError
from tautulli_import.events.pipeline import _Delivered
from tautulli_import.model.events import PlaybackEvent
from tautulli_import.sinks.base import Receipt, SinkOptions, StreamSink
from tautulli_import.state.checkpoint import Position
from tests.support.nats import events


class Slow(StreamSink):
    """Makes events durable when the test says so."""

    target = "memory"
    durable = 0
    note = ""
    is_full = False

    def __init__(self) -> None:
        super().__init__(SinkOptions(out=None, stdout=io.BytesIO(), now=0))
        self.written: list[PlaybackEvent] = []

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Return what the state file has."""
        del job
        return saved

    def begin(self, after: Position | None) -> None:
        """Go on."""

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Take events."""
        del position
        if self.is_full:
            raise SinkError("It is full.")
        self.written += events

    def commit(self) -> None:
        """Make all of it durable."""
        self.durable = len(self.written)

    def finish(self) -> Receipt:
        """Tell nothing."""
        return Receipt(self.target, new=0)


def at(rows: int) -> Position:
    """Return a position after so many rows."""
    return Position(str(rows), rows, 0, {}, [])


# Each step writes so many events up to a row (``None``: a position that cannot be saved), and
# then so many are durable in all. What is expected is the row up to which all is.
STEPS: dict[str, list[tuple[int, int | None, int, int | None]]] = {
    "nothing is durable yet": [(3, 10, 0, None), (2, 20, 0, None)],
    "each part is durable at once": [(3, 10, 3, 10), (2, 20, 5, 20)],
    "part of a part is not the part": [(3, 10, 2, None), (0, 20, 2, None)],
    "one part behind": [(3, 10, 0, None), (3, 20, 3, 10), (3, 30, 6, 20), (0, 30, 9, 30)],
    "several parts at once": [(3, 10, 0, None), (3, 20, 0, None), (3, 30, 8, 20)],
    "rows without events": [(0, 10, 0, 10), (0, 20, 0, 20)],
    "rows without events before some": [(0, 10, 0, 10), (3, 20, 0, 10), (0, 30, 3, 30)],
    "rows without events after some": [(3, 10, 0, None), (0, 20, 0, None), (0, 30, 3, 30)],
    "a position that cannot be saved": [(3, 10, 3, 10), (3, None, 6, 10), (0, None, 6, 10)],
    "none can be saved": [(3, None, 3, None), (3, None, 6, None)],
    "events without a position count": [(3, None, 0, None), (3, 20, 3, None), (0, 30, 6, 30)],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("before", [None, 5])
def test_a_position_counts_when_all_before_it_is_durable(
    steps: list[tuple[int, int | None, int, int | None]], before: int | None
) -> None:
    sink = Slow()
    after = None if before is None else at(before)
    delivered = _Delivered(sink, after)
    assert delivered.position() == after
    written = 0
    for count, row, durable, expected in steps:
        given = events(count, start=written + 1)
        delivered.write(given, None if row is None else at(row))
        written += count
        sink.durable = durable
        assert delivered.position() == (after if expected is None else at(expected))
        assert delivered.position() == (after if expected is None else at(expected))
    assert len(sink.written) == written


def test_a_position_bears_the_note_of_the_sink_as_it_is_now() -> None:
    sink = Slow()
    delivered = _Delivered(sink, at(1))
    sink.note = "one"
    assert delivered.position() == msgspec.structs.replace(at(1), note="one")
    delivered.write(events(2), at(10))
    sink.note = "two"
    assert delivered.position() == msgspec.structs.replace(at(1), note="two")
    sink.commit()
    assert delivered.position() == msgspec.structs.replace(at(10), note="two")


def test_what_could_not_be_written_is_not_waited_for() -> None:
    sink = Slow()
    delivered = _Delivered(sink, None)
    delivered.write(events(2), at(10))
    sink.commit()

    sink.is_full = True
    with pytest.raises(SinkError):
        delivered.write(events(2, start=3), at(20))
    sink.durable = 4
    assert delivered.position() == at(10)
