"""Publishing to a real server: everything once, whatever happens to the server meanwhile."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from tautulli_import import interrupts
from tautulli_import.errors import ConfigurationError, SinkError, SourceUnreachableError
from tautulli_import.jetstream.access import Access
from tautulli_import.jetstream.consumer import Consumer
from tautulli_import.jetstream.publisher import Publisher, is_too_large, subject_of
from tautulli_import.jetstream.stream import StreamState, ensure_stream
from tautulli_import.model.events import PlaybackEvent
from tests.support.nats import (
    NatsServer,
    api,
    asking,
    count,
    event,
    events,
    impatient,
    make_stream,
    meanwhile,
    stored,
)
from tests.support.waiting import LONG, SOON, until


@contextmanager
def publishing(access: Access) -> Iterator[Publisher]:
    with asking(access) as connection:
        stream = ensure_stream(connection)
        assert isinstance(stream, StreamState)
        yield Publisher(connection, stream)


@contextmanager
def giving_up_soon(
    publisher: Publisher, *, timeout: float = 0.2, patience: float = 0.8
) -> Iterator[None]:
    connection = publisher._connection  # noqa: SLF001 - after it has been opened
    with impatient(connection, timeout=timeout, patience=patience):
        yield


def after(publisher: Publisher, number: int, do: Callable[[], object]) -> None:
    """Do something, once, when so many events are acknowledged and more are on their way."""
    answered = publisher._answered  # noqa: SLF001 - the moment at which it must happen

    async def later(answer: Msg) -> None:
        is_before = publisher.stored < number
        await answered(answer)
        if is_before and publisher.stored >= number:
            do()

    vars(publisher)["_answered"] = later


def ids(access: Access) -> list[str]:
    """Return the ids of all messages, in the order of the stream."""
    consumer = Consumer(access, "reader")
    consumer.open()
    try:
        found: list[str] = []
        while messages := consumer.fetch(5_000, 0):
            found += [message.headers["Nats-Msg-Id"] for message in messages]
            consumer.acknowledge(messages)
        return found
    finally:
        consumer.close()


def test_a_message_is_the_event_under_its_subject_with_its_headers(server: NatsServer) -> None:
    given = event(7, user_id=133788, media_type="movie")

    with publishing(server.access()) as publisher:
        publisher.publish([given])

    [(subject, headers, data)] = stored(server.access())
    assert subject == "playback.tautulli-import.movie"
    assert headers == {
        "Nats-Msg-Id": given.event_id,
        "_watermill_message_uuid": given.event_id,
        "source": "tautulli-import",
        "media_type": "movie",
        "user_id": "133788",
        "Nats-Expected-Stream": "MEDIA_EVENTS",
    }
    assert msgspec.convert(data, PlaybackEvent) == given
    assert "paused_counter" not in data


@pytest.mark.parametrize("media_type", ["Movie", "a.b", "", "*", "clip\r\nX: y", "été"])
def test_a_media_type_that_could_not_stand_in_a_subject_is_unknown(media_type: str) -> None:
    assert subject_of(event(1, media_type=media_type)) == "playback.tautulli-import.unknown"


@pytest.mark.parametrize("source", ["", "a b", "a.b", ">", "a*", "a\r\nPUB x 0"])
def test_a_source_that_could_not_stand_in_a_subject_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        subject_of(event(1, source=source))
    assert "--event-source" in caught.value.hint


def test_a_header_cannot_be_made_of_what_a_media_type_says(server: NatsServer) -> None:
    with publishing(server.access()) as publisher:
        publisher.publish([event(1, media_type="clip\r\nevil: yes")])

    [(subject, headers, data)] = stored(server.access())
    assert subject == "playback.tautulli-import.unknown"
    assert headers["media_type"] == "clip  evil: yes"
    assert "evil" not in headers
    assert data["media_type"] == "clip\r\nevil: yes"


def test_what_is_in_the_stream_already_is_counted_as_that(server: NatsServer) -> None:
    with publishing(server.access()) as publisher:
        publisher.publish(events(1_000))
        assert (publisher.stored, publisher.duplicates, publisher.acknowledged) == (1000, 0, 1000)
    with publishing(server.access()) as publisher:
        publisher.publish(events(1_500))
        assert (publisher.stored, publisher.duplicates, publisher.acknowledged) == (500, 1000, 1500)
    assert count(server.access()) == 1_500


def test_after_the_duplicate_window_the_same_event_is_stored_again(server: NatsServer) -> None:
    access = server.access()
    make_stream(access, duplicate_window=100_000_000)
    with publishing(access) as publisher:
        publisher.publish(events(3))

        def is_stored_again() -> bool:
            publisher.publish(events(3))
            return publisher.stored > 3

        until(is_stored_again)
    assert count(access) == publisher.stored


def test_a_server_killed_in_the_middle_has_every_event_once(server: NatsServer) -> None:
    access = server.access()
    with (
        publishing(access) as publisher,
        meanwhile(lambda: publisher.stored > 5_000, server.restart),
    ):
        publisher.publish(events(20_000))
    assert (publisher.stored, publisher.duplicates, publisher.acknowledged) == (20_000, 0, 20_000)
    found = ids(access)
    assert len(found) == 20_000
    assert set(found) == {one.event_id for one in events(20_000)}


def test_a_server_that_comes_back_without_jetstream_at_first_is_waited_for(
    server: NatsServer,
) -> None:
    def come_back_in_two_steps() -> None:
        server.jetstream = False
        server.restart()
        with asking(server.access()):  # so that the publisher has had time as well
            server.jetstream = True
        server.restart()

    access = server.access()
    with (
        publishing(access) as publisher,
        meanwhile(lambda: publisher.stored > 500, come_back_in_two_steps),
    ):
        publisher.publish(events(3_000))
    assert publisher.stored == count(access) == 3_000


def test_a_server_that_was_frozen_for_a_while_has_every_event_once(server: NatsServer) -> None:
    def take_a_nap() -> None:
        server.freeze()
        with (
            pytest.raises(SourceUnreachableError, match="no answer in time"),
            asking(server.access(timeout=1.0)),
        ):
            pass
        server.thaw()

    access = server.access()
    with (
        publishing(access) as publisher,
        giving_up_soon(publisher, timeout=0.3, patience=LONG),
        meanwhile(lambda: publisher.stored > 500, take_a_nap),
    ):
        publisher.publish(events(3_000))
    assert (publisher.stored, publisher.duplicates) == (3_000, 0)
    assert count(access) == 3_000


def test_what_was_in_the_stream_counts_as_that_also_when_it_is_published_twice(
    server: NatsServer,
) -> None:
    with publishing(server.access()) as publisher:
        publisher.publish(events(3))

    def is_published_twice() -> bool:
        return any(one.times > 1 for one in publisher._flying.copy().values())  # noqa: SLF001 - it is told nowhere

    with publishing(server.access()) as publisher:
        server.freeze()
        with (
            giving_up_soon(publisher, timeout=0.2, patience=LONG),
            meanwhile(is_published_twice, server.thaw),
        ):
            publisher.publish(events(4))
        assert (publisher.stored, publisher.duplicates) == (1, 3)


def test_a_server_that_stays_frozen_is_given_up_after_our_patience(server: NatsServer) -> None:
    with publishing(server.access()) as publisher:
        after(publisher, 501, server.freeze)
        began = time.monotonic()
        with giving_up_soon(publisher), pytest.raises(SinkError) as caught:
            publisher.publish(events(10_000))
        assert 0.8 < time.monotonic() - began < SOON
        acknowledged = publisher.acknowledged
        assert 500 < acknowledged == publisher.stored < 10_000
        assert f"{acknowledged:,} of the 10,000 events" in str(caught.value)
        assert "for 0.8 seconds" in str(caught.value)
        assert "resumes from there" in caught.value.hint
        began = time.monotonic()
    assert time.monotonic() - began < SOON  # closing waits for nobody


def test_a_server_that_stays_away_is_given_up_after_our_patience(server: NatsServer) -> None:
    with publishing(server.access()) as publisher:
        publisher.publish(events(10))
        server.kill()
        with (
            giving_up_soon(publisher),
            pytest.raises(SinkError, match=r"10 of the 30 events .* are in it") as caught,
        ):
            publisher.publish(events(20, start=11))
        assert "connection refused" in str(caught.value)
        server.start()
        publisher.publish([])  # what was given is not lost
        assert (publisher.stored, publisher.acknowledged) == (30, 30)


def test_a_stream_that_is_deleted_meanwhile_is_missed(server: NatsServer) -> None:
    access = server.access()
    with publishing(access) as publisher:
        publisher.publish(events(10))
        api(access, "STREAM.DELETE.MEDIA_EVENTS")
        with (
            giving_up_soon(publisher),
            pytest.raises(SinkError, match=r"no stream takes playback\.tautulli-import\.episode"),
        ):
            publisher.publish(events(10, start=11))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"max_msgs": 5, "discard": "new"}, "maximum messages exceeded"),
        ({"max_bytes": 3_000, "discard": "new"}, "maximum bytes exceeded"),
        ({"max_msg_size": 700}, "message size exceeds maximum allowed"),
    ],
)
def test_a_stream_that_takes_no_more_is_an_error_at_once(
    server: NatsServer, config: dict[str, Any], words: str
) -> None:
    access = server.access()
    make_stream(access, **config)
    with publishing(access) as publisher:
        began = time.monotonic()
        with pytest.raises(SinkError, match=words) as caught:
            publisher.publish([*events(5), event(6, title="x" * 900), *events(500, start=7)])
        assert time.monotonic() - began < SOON
        assert publisher.acknowledged < 506
        assert publisher.stored == count(access)
    assert "nats stream info MEDIA_EVENTS" in caught.value.hint


def test_another_stream_with_our_subjects_is_not_published_to(server: NatsServer) -> None:
    access = server.access()
    with publishing(access) as publisher:
        api(access, "STREAM.DELETE.MEDIA_EVENTS")
        make_stream(access, name="OTHER")
        with pytest.raises(SinkError, match="expected stream does not match"):
            publisher.publish(events(10))
    assert count(server.access(stream="OTHER")) == 0


def test_a_stream_for_some_sources_only_says_so_before_anything_is_sent(
    server: NatsServer,
) -> None:
    access = server.access()
    make_stream(access, subjects=["playback.tautulli-import.*"])
    with publishing(access) as publisher:
        publisher.publish(events(10))
        with pytest.raises(SinkError, match=r"does not take playback\.other\.episode"):
            publisher.publish([event(11, source="other")])
        assert publisher.acknowledged == 10


def test_a_subject_that_we_may_not_publish_to_is_told_at_once(tmp_path: Path) -> None:
    config = """authorization { users: [ { user: "a", password: "b",
        permissions: { publish: { deny: "playback.>" } } } ] }"""
    with (
        NatsServer(tmp_path / "nats", config) as server,
        publishing(server.access(url=f"nats://a:b@127.0.0.1:{server.port}")) as publisher,
    ):
        began = time.monotonic()
        with pytest.raises(SinkError, match="Permissions violation for publish"):
            publisher.publish(events(10))
        assert time.monotonic() - began < SOON
        assert publisher.acknowledged == 0


def test_an_event_of_just_the_size_that_the_server_takes_is_taken(tmp_path: Path) -> None:
    with (
        NatsServer(tmp_path / "nats", "max_payload: 4096") as server,
        publishing(server.access()) as publisher,
    ):
        titles = ["x" * length for length in range(2_000, 4_096)]
        fits = [
            title for title in titles if not is_too_large(event(1, title=title), "S" * 12, 4096)
        ]
        publisher.publish([event(1, title=fits[-1])])
        assert publisher.stored == 1
        largest = stored(server.access())[0][2]["title"]
        assert is_too_large(event(1, title=largest + "x"), "MEDIA_EVENTS", 4096)


def test_a_stop_ends_the_waiting_for_a_frozen_server(server: NatsServer, forgets: None) -> None:
    del forgets

    def freeze_and_stop() -> None:
        server.freeze()
        interrupts.ask(signal.SIGINT)

    with publishing(server.access()) as publisher:
        after(publisher, 501, freeze_and_stop)
        began = time.monotonic()
        with pytest.raises(interrupts.Stopped), interrupts.defer_signals():
            publisher.publish(events(10_000))
        assert time.monotonic() - began < LONG
        interrupts.forget()
        server.thaw()
        acknowledged = publisher.acknowledged
    assert 500 < acknowledged == publisher.stored < 10_000
    first = {one.event_id for one in events(acknowledged)}
    assert first <= set(ids(server.access()))
