"""Messages of which nothing can be made: kept aside with the reason, and never in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.support.event_pipeline import TABLE, Pipeline, pipeline, put
from tests.support.nats import api, event, make_stream


def message(number: int = 1, **fields: object) -> bytes:
    """Return an event's message with other fields; ``None`` leaves one out."""
    told: dict[str, Any] = json.loads(msgspec.json.encode(event(number)))
    told |= fields
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


def deep(levels: int) -> bytes:
    """Return an event with a field that nobody knows, nested as deep as that."""
    return message()[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


#: What comes, and words of the reason.
POISON: Final[Mapping[str, tuple[bytes, str]]] = {
    "nothing": (b"", "not a playback event"),
    "garbage": (b"\x00\xff garbage", "not a playback event"),
    "half a message": (message()[:100], "not a playback event"),
    "two messages": (message() * 2, "not a playback event"),
    "another thing": (b'["an", "array"]', "Expected `object`"),
    "an empty object": (b"{}", "missing required field"),
    "not UTF-8": (message().replace(b"Pilot", b"\xff\xfe"), "not UTF-8"),
    "no event id": (message(event_id=None), "`event_id`"),
    "an empty event id": (message(event_id=""), "event_id is not a UUID"),
    "an event id that is none": (message(event_id="first"), "event_id is not a UUID"),
    "no start": (message(started_at=None), "`started_at`"),
    "an empty start": (message(started_at=""), "started_at is not a time"),
    "a start that is none": (message(started_at="yesterday"), "started_at is not a time"),
    "a start as a number": (message(started_at=1_700_000_000), "Expected `str`"),
    "a day that is none": (message(started_at="2023-02-30T00:00:00Z"), "day is out of range"),
    "an hour that is none": (message(timestamp="2023-02-03T25:00:00Z"), "hour must be"),
    "before all time": (
        message(started_at="0001-01-01T00:00:00+23:59"),
        "started_at is not a time",
    ),
    "a stop that is none": (message(stopped_at="later"), "stopped_at is not a time"),
    "a user that is a word": (message(user_id="alice"), "`$.user_id`"),
    "a huge user": (message(user_id=10**30), "user_id does not fit into 64 bits"),
    "an enormous user": (
        message(user_id=None)[:-1] + b',"user_id":' + b"9" * 6_000 + b"}",
        "$.user_id",
    ),
    "a huge year": (message(year=2**63), "year does not fit into 64 bits"),
    "no number": (message(audio_channels="5.1"), "`$.audio_channels`"),
    "no user": (message(user_id=None), "`user_id`"),
    "no title": (message(title=None), "`title`"),
    "no correlation key": (message(correlation_key=None), "no correlation_key"),
    "an empty correlation key": (message(correlation_key=""), "no correlation_key"),
    "deeper than anybody goes": (deep(200_000), "not a playback event"),
}


@pytest.fixture
def line(tmp_path: Path, environment: dict[str, str]) -> Iterator[Pipeline]:
    """Yield a pipeline with a stream that is empty."""
    with pipeline(tmp_path, environment) as made:
        make_stream(made.server.access())
        yield made


def kept(line: Pipeline) -> Sequence[tuple[int, str, bytes]]:
    """Return the number in the stream, the reason and the content of what was kept aside."""
    query = "SELECT sequence, reason, payload FROM poison_messages ORDER BY sequence"
    return [(number, why, bytes(what)) for number, why, what in line.ask(query)]


def left(line: Pipeline) -> int:
    told = api(line.server.access(), "CONSUMER.INFO.MEDIA_EVENTS.tautulli-import")
    return int(told["num_pending"]) + int(told["num_ack_pending"])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", POISON)
def test_what_cannot_be_a_row_is_kept_aside_and_its_neighbours_are_stored(
    line: Pipeline, name: str
) -> None:
    payload, words = POISON[name]
    for content in (message(101), payload, message(102)):
        put(line.server, content)
    done = line.consume()
    assert (done.told["received"], done.told["stored"], done.told["poison"]) == (3, 2, 1)
    [(number, why, content)] = kept(line)
    assert (number, content) == (2, payload)
    assert words in why
    assert [title for _, title, _ in line.rows()] == ["Pilot 101", "Pilot 102"]
    assert left(line) == 0


#: What others may write another way, and what becomes of it.
WELCOME: Final[Mapping[str, tuple[bytes, str, str]]] = {
    "a zone": (
        message(started_at="2023-11-15T00:13:20+02:00"),
        "started_at::VARCHAR",
        "2023-11-14 22:13:20",
    ),
    "a part of a second": (
        message(started_at="2023-11-14T22:13:20.5Z"),
        "started_at::VARCHAR",
        "2023-11-14 22:13:20.5",
    ),
    "capitals": (
        message(event_id="C5443CC4-8DF2-5082-B3D6-00000000000A"),
        "id::VARCHAR",
        "c5443cc4-8df2-5082-b3d6-00000000000a",
    ),
    "an empty rating key": (message(rating_key=""), "rating_key", ""),
    "a title with a NUL": (message(title="a\0b"), "title", "a\0b"),
    "a title with an escape": (message(title="\x1b[31mred"), "title", "\x1b[31mred"),
    "a title of 900 kB": (message(title="x" * 900_000), "length(title)::VARCHAR", "900000"),
    "a title of characters beyond": (message(title="\U0001f3ac" * 5), "title", "\U0001f3ac" * 5),
    "user 0": (message(user_id=0), "user_id::VARCHAR", "0"),
    "fields of a later version": (message(new={"a": [1, None]}), "title", "Pilot 1"),
    "no session": (message(session_key=None), "session_key", ""),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", WELCOME)
def test_what_others_write_in_another_way_is_taken(line: Pipeline, name: str) -> None:
    payload, column, value = WELCOME[name]
    put(line.server, message(101))
    put(line.server, payload)
    done = line.consume()
    assert (done.told["stored"], done.told["poison"]) == (2, 0)
    where = "FROM playback_events WHERE correlation_key NOT LIKE '%:101'"
    assert line.ask(f"SELECT coalesce({column}, '') {where}") == [(value,)]


def test_an_empty_stop_is_no_reason_to_stop(line: Pipeline) -> None:
    """Whether it is taken for an unknown stop, or for poison: it does not come again."""
    for content in (message(101), message(stopped_at=""), message(102)):
        put(line.server, content)
    done = line.consume()
    assert done.told["stored"] + done.told["poison"] == 3
    assert left(line) == 0


def test_a_person_is_told_how_to_look_at_them(line: Pipeline) -> None:
    for payload, _ in list(POISON.values())[:3]:
        put(line.server, payload)
    put(line.server, message(101))
    done = line.run("consume", "--once")
    assert done.code == 0
    assert "4 messages received: 1 new, 0 known, 3 unusable." in done.err
    assert "3 messages could not be used and will not come again" in done.err
    assert f'duckdb {TABLE} "FROM poison_messages"' in done.err
    assert [number for number, *_ in kept(line)] == [1, 2, 3]
    done = line.run("consume", "--once")
    assert "0 messages received" in done.err
    assert "poison" not in done.err


def test_where_they_stood_is_told_and_when_they_came(line: Pipeline) -> None:
    put(line.server, b"garbage", subject="playback.their-tool.movie")
    line.consume()
    query = "SELECT stream, subject, received_at FROM poison_messages"
    [(stream, subject, received_at)] = line.ask(query)
    assert (stream, subject) == ("MEDIA_EVENTS", "playback.their-tool.movie")
    assert abs(received_at.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=5)


def test_each_consumer_keeps_them_in_its_own_file(line: Pipeline) -> None:
    put(line.server, b"garbage")
    for durable in ("one", "two"):
        done = line.consume("--durable", durable, "--out", f"{durable}.duckdb")
        assert done.told["poison"] == 1
        assert line.ask("SELECT count(*) FROM poison_messages", f"{durable}.duckdb") == [(1,)]


def test_consumers_that_share_a_file_keep_them_once(line: Pipeline) -> None:
    put(line.server, b"garbage")
    for durable in ("one", "two"):
        assert line.consume("--durable", durable).told["poison"] == 1
    assert line.ask("SELECT count(*) FROM poison_messages") == [(1,)]


def test_the_same_garbage_twice_is_two_messages(line: Pipeline) -> None:
    for _ in range(2):
        put(line.server, b"garbage")
    assert line.consume().told["poison"] == 2
    assert [(one, what) for one, _, what in kept(line)] == [(1, b"garbage"), (2, b"garbage")]


def test_nothing_but_poison_ends_as_well(line: Pipeline) -> None:
    for number in range(30):
        put(line.server, b"garbage %d" % number)
    done = line.consume()
    assert (done.told["received"], done.told["poison"], done.told["total"]) == (30, 30, 0)
    assert left(line) == 0
