"""``--to nats`` as the pipeline sees it: what is delivered is in the stream, and what is told."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import SinkError
from tautulli_import.jetstream.access import Access
from tautulli_import.model.events import PlaybackEvent
from tautulli_import.model.rejections import Reason
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.nats import NatsSink
from tautulli_import.state.checkpoint import Position
from tests.support.nats import (
    NatsServer,
    api,
    count,
    event,
    events,
    impatient,
    make_stream,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "nats") as running:
        yield running


def options(access: Access, **settings: Any) -> SinkOptions:
    return SinkOptions(
        **{"out": None, "stdout": io.BytesIO(), "now": 0, "nats": access, **settings}
    )


@contextmanager
def sinking(access: Access, before: Position | None = None, **settings: Any) -> Iterator[NatsSink]:
    sink = NatsSink(options(access, **settings))
    try:
        sink.begin(sink.recall("job", before))
        yield sink
    finally:
        sink.close()


def position(rows: int, note: str = "") -> Position:
    return Position(f"after {rows}", rows, 0, {}, [], note=note)


def write(sink: NatsSink, given: Sequence[PlaybackEvent], page: int = 500) -> None:
    for start in range(0, len(given), page):
        part = given[start : start + page]
        sink.write(part, position(start + len(part)))


def test_all_events_are_in_the_stream_and_the_receipt_says_so(server: NatsServer) -> None:
    with sinking(server.access()) as sink:
        assert sink.target == f"{server.url} MEDIA_EVENTS"
        assert (sink.writes(), sink.place(), sink.durable) == ([], None, 0)
        write(sink, events(5_300))
        sink.commit()
        receipt = sink.finish()
        assert sink.durable == 5_300
        note = sink.note
    assert (receipt.target, receipt.written) == (sink.target, [sink.target])
    assert (receipt.new, receipt.unchanged, receipt.total) == (5_300, 0, 5_300)
    assert receipt.warnings == []
    assert "tautulli-import consume" in receipt.next_steps[0]
    created = api(server.access(), "STREAM.INFO.MEDIA_EVENTS")["created"]
    assert json.loads(note) == {"created": created, "last": 5_300, "told": False}


def test_what_is_buffered_is_not_durable_until_it_is_committed(server: NatsServer) -> None:
    with sinking(server.access()) as sink:
        write(sink, events(4_300), page=1_100)
        assert sink.durable == 4_000  # two thousand at a time
        sink.commit()
        assert sink.durable == 4_300


def test_pages_without_events_count_nothing(server: NatsServer) -> None:
    with sinking(server.access()) as sink:
        sink.write([], position(100))
        assert sink.durable == 0
        sink.write(events(3), position(200))
        sink.write([], position(300))
        assert sink.durable == 0
        sink.write(events(2, start=4), None)
        sink.commit()
        assert sink.durable == 5
        assert sink.finish().new == 5


def test_what_is_stored_a_second_time_is_warned_of(server: NatsServer) -> None:
    make_stream(server.access(), duplicate_window=60 * 10**9)
    with sinking(server.access()) as sink:
        write(sink, events(3))
        sink.commit()
        assert sink.finish().warnings == []
    with sinking(server.access()) as sink:
        write(sink, events(4))
        sink.commit()
        [warning] = sink.finish().warnings
    assert "had 3 playback events of this source already" in warning
    assert "for a minute after" in warning
    assert "tautulli-import consume" in warning
    with sinking(server.access()) as sink:
        write(sink, [event(1, source="other")])
        sink.commit()
        assert sink.finish().warnings == []


def test_a_checkpoint_holds_for_the_very_stream_only(server: NatsServer) -> None:
    with sinking(server.access()) as sink:
        write(sink, events(10))
        sink.commit()
        before = position(10, note=sink.note)
    server.restart()
    with closing(NatsSink(options(server.access()))) as sink:
        assert sink.recall("job", before) == before
        sink.begin(before)
        sink.write(events(1, start=11), position(11))
        sink.commit()
        assert sink.finish().warnings == []
    api(server.access(), "STREAM.DELETE.MEDIA_EVENTS")
    for other in (before, position(10)):
        with closing(NatsSink(options(server.access()))) as sink:
            assert sink.recall("job", other) is None


def test_a_dry_run_makes_and_publishes_nothing(server: NatsServer) -> None:
    with sinking(server.access(), dry_run=True) as sink:
        write(sink, events(3_000))
        sink.commit()
        receipt = sink.finish()
    assert (receipt.new, receipt.total, list(receipt.written)) == (3_000, 3_000, [])
    assert api(server.access(), "STREAM.NAMES")["streams"] is None
    make_stream(server.access())
    with sinking(server.access()) as sink:
        write(sink, events(5))
        sink.commit()
    with sinking(server.access(), dry_run=True) as sink:
        write(sink, events(5))
        sink.commit()
        receipt = sink.finish()
    assert (receipt.new, receipt.total) == (5, 10)
    assert "would be in it twice" in receipt.warnings[0]
    assert count(server.access()) == 5


def test_what_consumers_would_refuse_is_refused(server: NatsServer) -> None:
    make_stream(server.access(), max_msg_size=2_000)
    with sinking(server.access()) as sink:
        assert sink.refuses(event(1)) is None
        assert sink.refuses(event(1, user_id=0)) is Reason.LOCAL_USER
        assert sink.refuses(event(1, title="")) is Reason.NO_TITLE
        assert sink.refuses(event(1, title="x" * 2_000)) is Reason.TOO_LARGE
        assert sink.refuses(event(1, title="\N{ZERO WIDTH JOINER}" * 500)) is Reason.TOO_LARGE
        fits = [event(n, title="x" * n) for n in range(2_000)]
        fits = [one for one in fits if sink.refuses(one) is None]
        assert len(fits) > 500
        write(sink, fits[-3:])
        sink.commit()
        assert sink.finish().new == 3


def test_an_event_is_measured_with_the_servers_limit_as_well(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats", "max_payload: 3000") as server,
        sinking(server.access()) as sink,
    ):
        assert sink.refuses(event(1)) is None
        assert sink.refuses(event(1, title="x" * 3_000)) is Reason.TOO_LARGE


def test_how_far_it_came_is_known_when_the_server_goes_away(server: NatsServer) -> None:
    with sinking(server.access()) as sink:
        write(sink, events(4_000))
        server.kill()
        with (
            impatient(sink._connection),  # noqa: SLF001 - after it has been opened
            pytest.raises(SinkError, match=r"4,000 of the 6,000 events"),
        ):
            write(sink, events(3_000, start=4_001), page=1_000)
        assert sink.durable == 4_000


def test_the_target_says_no_secret() -> None:
    sink = NatsSink(options(Access(url="nats://alice:hidden@host:4222,nats://alice:hidden@two")))
    assert sink.target == "nats://host:4222,nats://two MEDIA_EVENTS"
