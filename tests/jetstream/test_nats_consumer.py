"""Taking messages from a real server: each once, unless somebody fails; then again."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tautulli_import import interrupts
from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SourceUnreachableError,
    TautulliImportError,
)
from tautulli_import.jetstream.access import Access
from tautulli_import.jetstream.consumer import Consumer
from tautulli_import.jetstream.publisher import Publisher
from tautulli_import.jetstream.stream import ensure_stream
from tautulli_import.model.events import PlaybackEvent
from tests.support.nats import (
    NatsServer,
    api,
    asking,
    event,
    events,
    impatient,
    make_stream,
    meanwhile,
)
from tests.support.waiting import LONG, SOON, until

DURABLE = "duckdb"


def publish(access: Access, count: int, start: int = 1) -> None:
    with asking(access) as connection:
        stream = ensure_stream(connection)
        assert stream is not None
        Publisher(connection, stream).publish(events(count, start))


@contextmanager
def consuming(access: Access, durable: str = DURABLE, **settings: Any) -> Iterator[Consumer]:
    consumer = Consumer(access, durable, **settings)
    try:
        consumer.open()
        yield consumer
    finally:
        consumer.close()


@contextmanager
def giving_up_soon(consumer: Consumer, **limits: float) -> Iterator[None]:
    with impatient(consumer._connection, **limits):  # noqa: SLF001 - after it has been opened
        yield


def refused(access: Access, durable: str = DURABLE) -> TautulliImportError:
    with pytest.raises(TautulliImportError) as caught, consuming(access, durable):
        pass
    assert caught.value.hint
    return caught.value


def make_consumer(access: Access, **config: Any) -> None:
    wanted = {"durable_name": DURABLE, "ack_policy": "explicit", "filter_subject": "playback.>"}
    request = {"stream_name": access.stream, "config": {**wanted, **config}}
    answer = api(access, f"CONSUMER.DURABLE.CREATE.{access.stream}.{DURABLE}", request)
    assert "error" not in answer, answer


def test_a_message_tells_where_it_stands(server: NatsServer) -> None:
    publish(server.access(), 3)
    with consuming(server.access()) as consumer:
        messages = consumer.fetch(10, 1)
        assert [message.sequence for message in messages] == [1, 2, 3]
        first = messages[0]
        assert (first.subject, first.stream) == ("playback.tautulli-import.episode", "MEDIA_EVENTS")
        assert (first.headers["Nats-Msg-Id"], first.deliveries) == (event(1).event_id, 1)
        assert msgspec.json.decode(first.data, type=PlaybackEvent) == event(1)
        assert consumer.left() == (0, 3)
        consumer.acknowledge(messages)
        until(lambda: consumer.left() == (0, 0))


def test_no_more_is_fetched_than_was_asked_for(server: NatsServer) -> None:
    publish(server.access(), 10)
    with consuming(server.access()) as consumer:
        assert [len(consumer.fetch(4, 0)) for _ in range(4)] == [4, 4, 2, 0]
        assert consumer.left() == (0, 10)


def test_an_empty_stream_is_waited_for_and_a_new_message_ends_that(server: NatsServer) -> None:
    access = server.access()
    publish(access, 1)
    with consuming(access) as consumer:
        consumer.acknowledge(consumer.fetch(10, 0))
        began = time.monotonic()
        assert consumer.fetch(10, 0.2) == []
        assert 0.2 <= time.monotonic() - began < SOON
        with meanwhile(lambda: True, lambda: publish(access, 1, start=2)):
            found = consumer.fetch(10, LONG)
        assert len(found) == 1
        assert time.monotonic() - began < LONG


def test_the_durable_consumer_is_made_as_it_has_to_be(server: NatsServer) -> None:
    publish(server.access(), 1)
    with consuming(server.access(), ack_wait=7):
        config = api(server.access(), f"CONSUMER.INFO.MEDIA_EVENTS.{DURABLE}")["config"]
    wanted = {
        "durable_name": DURABLE,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": 7 * 10**9,
        "max_ack_pending": 20_000,
        "filter_subject": "playback.>",
    }
    assert {name: config[name] for name in wanted} == wanted


def test_a_consumer_that_is_there_is_used_as_it_is(server: NatsServer) -> None:
    publish(server.access(), 5)
    make_consumer(server.access(), deliver_policy="last", max_ack_pending=3, max_batch=2)
    with consuming(server.access()) as consumer:
        assert [message.sequence for message in consumer.fetch(10, 0)] == [5]
        config = api(server.access(), f"CONSUMER.INFO.MEDIA_EVENTS.{DURABLE}")["config"]
    assert (config["max_ack_pending"], config["max_batch"]) == (3, 2)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"deliver_subject": "somewhere"}, "is a push consumer"),
        ({"filter_subject": "playback.other.>"}, "is for playback.other.>"),
        ({"filter_subject": ""}, "is for all subjects"),
        ({"ack_policy": "all"}, "acknowledgement policy all"),
    ],
)
def test_a_consumer_of_another_kind_is_refused(
    server: NatsServer, config: dict[str, str], words: str
) -> None:
    publish(server.access(), 1)
    make_consumer(server.access(), **config)
    error = refused(server.access())
    assert type(error) is ConfigurationError
    assert words in str(error)


def test_without_the_stream_there_is_nothing_to_consume(server: NatsServer) -> None:
    error = refused(server.access())
    assert type(error) is NotFoundError
    assert "--to nats" in error.hint
    assert api(server.access(), "STREAM.NAMES")["streams"] is None


def test_a_stream_without_playback_events_is_told(server: NatsServer) -> None:
    make_stream(server.access(), subjects=["plex.>"])
    assert type(refused(server.access())) is ConfigurationError


@pytest.mark.parametrize("subject", ["playback.plex.*", "playback.*"])
def test_a_stream_with_some_playback_events_is_consumed(server: NatsServer, subject: str) -> None:
    make_stream(server.access(), subjects=["plex.*", subject])
    with consuming(server.access()) as consumer:
        assert consumer.fetch(1, 0) == []


@pytest.mark.parametrize(
    "config",
    [
        {"subjects": None, "mirror": {"name": "FIRST"}},
        {"subjects": ["orders.>"], "sources": [{"name": "FIRST"}]},
    ],
    ids=["mirror", "sources"],
)
def test_a_copy_of_another_stream_is_consumed(server: NatsServer, config: dict[str, Any]) -> None:
    publish(server.access(stream="FIRST"), 1)
    make_stream(server.access(), **config)
    with consuming(server.access()):
        pass


@pytest.mark.parametrize("name", ["", "a b", "a.b", "*", "a>"])
def test_what_cannot_be_a_consumers_name_is_refused(server: NatsServer, name: str) -> None:
    assert type(refused(server.access(), name)) is ConfigurationError


def test_what_is_given_back_comes_again_and_what_is_terminated_does_not(
    server: NatsServer,
) -> None:
    publish(server.access(), 3)
    with consuming(server.access(), ack_wait=LONG) as consumer:
        first, second, third = consumer.fetch(3, 0)
        consumer.acknowledge([first, third])
        consumer.give_back([second])
        [again] = consumer.fetch(1, LONG)
        assert (again.sequence, again.deliveries) == (second.sequence, 2)
        consumer.terminate([again])
        until(lambda: consumer.left() == (0, 0))


def test_what_is_not_acknowledged_in_time_comes_again(server: NatsServer) -> None:
    publish(server.access(), 1)
    with consuming(server.access(), ack_wait=0.3) as consumer:
        [first] = consumer.fetch(1, 0)
        [late] = consumer.fetch(1, LONG)
        assert (late.sequence, late.deliveries) == (first.sequence, 2)
        consumer.acknowledge([late])
        until(lambda: consumer.left() == (0, 0))


def test_two_share_the_work_and_nothing_comes_twice(server: NatsServer) -> None:
    publish(server.access(), 2_000)
    found: list[int] = []
    with consuming(server.access()) as one, consuming(server.access()) as other:
        while len(found) < 2_000:
            for consumer in (one, other):
                messages = consumer.fetch(150, 0)
                assert messages
                consumer.acknowledge(messages)
                found += [message.sequence for message in messages]
                assert {message.deliveries for message in messages} == {1}
    assert sorted(found) == list(range(1, 2_001))


def test_after_a_restart_of_the_server_it_goes_on(server: NatsServer) -> None:
    access = server.access()
    publish(access, 2_000)
    found: list[int] = []
    with consuming(access, ack_wait=0.5) as consumer:
        for step in range(100):
            messages = consumer.fetch(300, 1)
            if step in (1, 4):
                server.restart()
            consumer.acknowledge(messages)
            found += [message.sequence for message in messages]
            if step in (2, 5):
                server.restart()
            if consumer.left() == (0, 0):
                break
    assert set(found) == set(range(1, 2_001))


def test_a_server_that_stays_away_is_given_up_after_our_patience(server: NatsServer) -> None:
    publish(server.access(), 10)
    with consuming(server.access()) as consumer:
        messages = consumer.fetch(5, 0)
        server.stop()  # in good order, so that it knows what it has delivered
        with giving_up_soon(consumer):
            with pytest.raises(SourceUnreachableError, match=r"gone for 0\.5 seconds"):
                consumer.fetch(5, 0)
            with pytest.raises(SourceUnreachableError):
                consumer.acknowledge(messages)
        server.start()
        assert consumer.left()[0] == 5
        consumer.acknowledge(messages)
        assert len(consumer.fetch(10, 0)) == 5


def test_a_server_that_hangs_for_a_while_gets_every_acknowledgement(server: NatsServer) -> None:
    publish(server.access(), 10)
    with consuming(server.access()) as consumer:
        messages = consumer.fetch(10, 0)
        server.freeze()
        with (
            giving_up_soon(consumer, timeout=0.2, patience=LONG),
            meanwhile(lambda: bool(consumer._connection.trouble), server.thaw),  # noqa: SLF001
        ):
            consumer.acknowledge(messages)
        until(lambda: consumer.left() == (0, 0))


def test_a_frozen_server_is_given_up_after_our_patience(server: NatsServer) -> None:
    publish(server.access(), 10)
    with consuming(server.access(), ack_wait=0.5) as consumer:
        server.freeze()
        began = time.monotonic()
        with giving_up_soon(consumer), pytest.raises(SourceUnreachableError):
            consumer.fetch(5, 0)
        assert time.monotonic() - began < SOON
        server.thaw()
        found: set[int] = set()
        while consumer.left() != (0, 0):  # what went into the old connection comes once more
            messages = consumer.fetch(20, 1)
            consumer.acknowledge(messages)
            found.update(message.sequence for message in messages)
        assert found == set(range(1, 11))


@pytest.mark.parametrize("what", ["STREAM", "CONSUMER"])
def test_what_is_deleted_meanwhile_is_missed(server: NatsServer, what: str) -> None:
    access = server.access()
    publish(access, 10)
    deleted = "MEDIA_EVENTS" if what == "STREAM" else f"MEDIA_EVENTS.{DURABLE}"
    with consuming(access) as consumer:
        api(access, f"{what}.DELETE.{deleted}")
        with (  # nats-server 2.9 does not answer a pull of what is deleted
            giving_up_soon(consumer, timeout=2, patience=LONG),
            pytest.raises(NotFoundError, match="no longer exists"),
        ):
            consumer.fetch(5, 0)


def test_a_consumer_that_is_deleted_while_we_wait_is_missed(server: NatsServer) -> None:
    access = server.access()
    publish(access, 1)
    with consuming(access) as consumer:
        consumer.acknowledge(consumer.fetch(1, 0))
        delete = f"CONSUMER.DELETE.MEDIA_EVENTS.{DURABLE}"
        with (
            pytest.raises(NotFoundError, match="no longer exists"),
            meanwhile(lambda: True, lambda: api(access, delete)),
        ):
            consumer.fetch(5, LONG)


def test_a_question_that_gets_lost_costs_no_long_wait(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = server.access()
    publish(access, 1)
    with consuming(access) as consumer:
        consumer.acknowledge(consumer.fetch(1, 0))
        pull = consumer._pull  # noqa: SLF001 - the moment between its two questions

        async def deleted_between(batch: int, **how: Any) -> bool:
            answered = await pull(batch, **how)
            if how.get("no_wait"):
                await consumer._connection.ask(  # noqa: SLF001 - as above
                    f"$JS.API.CONSUMER.DELETE.MEDIA_EVENTS.{DURABLE}"
                )
            return answered

        monkeypatch.setattr(consumer, "_pull", deleted_between)
        began = time.monotonic()
        with (
            giving_up_soon(consumer, timeout=2, patience=LONG),
            pytest.raises(NotFoundError, match="no longer exists"),
        ):
            consumer.fetch(5, LONG)
        assert time.monotonic() - began < SOON


def test_a_stop_ends_the_waiting_for_a_message(server: NatsServer, forgets: None) -> None:
    del forgets
    publish(server.access(), 1)
    with consuming(server.access()) as consumer:
        consumer.acknowledge(consumer.fetch(1, 0))

        def stop() -> float:
            interrupts.ask(signal.SIGTERM)
            return time.monotonic()

        with (
            pytest.raises(interrupts.Stopped),
            interrupts.defer_signals(),
            meanwhile(lambda: True, stop) as asked,
        ):
            assert consumer.fetch(10, LONG) == []
        assert time.monotonic() - asked[0] < SOON
        interrupts.forget()


def test_what_nobody_came_to_fetch_is_given_back_at_once(server: NatsServer) -> None:
    publish(server.access(), 100)
    with consuming(server.access(), ack_wait=LONG) as consumer:
        consumer.fetch(10, 0)
        consumer._arrived.extend(consumer.fetch(40, 0))  # noqa: SLF001 - as after a lost pull
    with consuming(server.access()) as consumer:
        found = {message.sequence for message in consumer.fetch(100, 0)}
    assert found == set(range(11, 101))
