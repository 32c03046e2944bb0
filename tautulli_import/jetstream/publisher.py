"""Publish playback events, many at a time, until the server has acknowledged each.

Each message names a reply subject of its own in one inbox. Up to 256 messages wait for their
acknowledgement at any time. A message is published again when it is not acknowledged in time, or
when the connection breaks. The server recognises it by its id and stores it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from ..errors import SinkError, TautulliImportError
from ..model.events import PlaybackEvent
from .access import check_name
from .connection import Connection, Refusal
from .failures import not_permitted, short_reason
from .stream import StreamState

if TYPE_CHECKING:
    from nats.aio.msg import Msg

__all__ = ["Publisher", "is_too_large", "subject_of"]

_WINDOW: Final = 256
_WINDOW_BYTES: Final = 4 * 1024 * 1024
_BURST: Final = 64
_TICK: Final = 0.05
_SILENCES: Final = 2
"""Unanswered multiples of ``Access.timeout`` after which the connection is dropped."""
_SHORT: Final = 2_048
"""Bytes that headers take at most, in addition to twice the payload."""
_AGAIN: Final = 0.25
"""Seconds until a message that the server could not store for now is published again."""
_MEDIA_TYPE: Final = re.compile("[a-z0-9_-]+")
# Error numbers of JetStream that are permanent, although their code says temporary.
_NO_RESOURCES: Final = 10023
_STORE_FAILED: Final = 10077
_TEMPORARY: Final = frozenset({408, 429, 503})
_encode: Final = msgspec.json.Encoder().encode


class _Ack(Struct, frozen=True):
    error: Refusal | None = None
    duplicate: bool = False
    seq: int = 0


class _Message(Struct):
    """A message that waits for its acknowledgement."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    due: float = 0.0
    """The time to publish it again, in seconds of the monotonic clock."""
    times: int = 0
    """The number of times it was published."""


@lru_cache(maxsize=1024)
def _subject(source: str, media_type: str) -> str:
    check_name(source, "an event source", "--event-source")
    return f"playback.{source}.{media_type if _MEDIA_TYPE.fullmatch(media_type) else 'unknown'}"


def subject_of(event: PlaybackEvent) -> str:
    """Return the subject to publish an event under.

    Raises:
        ConfigurationError: the event's source cannot be part of a subject.
    """
    return _subject(event.source, event.media_type)


def is_too_large(event: PlaybackEvent, stream: str, most: int) -> bool:
    """Return whether an event's message exceeds ``most`` bytes. Servers count the headers too."""
    size = len(_encode(event))
    # The headers repeat values of the event, or are short: no need to count them here.
    if 3 * size + _SHORT <= most:
        return False
    lines = (len(name) + len(value.encode()) + 4 for name, value in _headers(event, stream).items())
    return size + sum(lines) + len("NATS/1.0\r\n\r\n") > most


def _headers(event: PlaybackEvent, stream: str) -> dict[str, str]:
    return {
        "Nats-Msg-Id": event.event_id,
        "_watermill_message_uuid": event.event_id,
        "source": event.source,
        "media_type": _one_line(event.media_type),
        "user_id": str(event.user_id),
        "Nats-Expected-Stream": stream,
    }


def _one_line(value: str) -> str:
    """Return the value without line breaks, which would end its header.

    nats-py 2.9 sends header values unchecked.
    """
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


class Publisher:
    """Publishes events to one stream, in the order in which it is given them."""

    def __init__(self, connection: Connection, stream: StreamState) -> None:
        import nats.errors

        self._nats_errors = nats.errors
        self.stored = 0
        """The number of events that this run added to the stream."""
        self.duplicates = 0
        """The number of events that the stream had before."""
        self.last = 0
        """The highest sequence number of an acknowledged event in the stream."""
        self._connection = connection
        self._stream = stream
        self._waiting: deque[PlaybackEvent] = deque()
        self._flying: dict[int, _Message] = {}
        self._flying_bytes = 0
        self._sent = 0
        self._generation = 0
        self._inbox = ""
        self._acked_at = 0.0
        self._heard_at = 0.0
        self._look_at = 0.0
        self._failure: SinkError | None = None
        self._moved = asyncio.Event()
        self._taken: set[str] = set()
        self._decode = msgspec.json.Decoder(_Ack).decode

    @property
    def given(self) -> int:
        """Return the number of events given to ``publish``."""
        return self._sent + len(self._waiting)

    @property
    def acknowledged(self) -> int:
        """Return the number of acknowledged events before the first that is not acknowledged."""
        return next(iter(self._flying), self._sent)

    def publish(self, events: Sequence[PlaybackEvent]) -> None:
        """Publish these and the unacknowledged ones, and wait until all are acknowledged.

        Raises:
            SinkError: nothing was acknowledged for ``access.patience`` seconds, or the server
                refuses an event.
            InterruptedWaitError: a stop was requested meanwhile.
        """
        self._waiting += events
        if self._waiting or self._flying:
            self._connection.run(self._publish())

    async def _publish(self) -> None:
        connection = self._connection
        self._acked_at = self._heard_at = time.monotonic()
        connection.refused = ""
        if not self._inbox:
            try:
                await connection.connected()
            except TautulliImportError as error:
                raise self._failed(str(error), error.hint) from error
            self._inbox = connection.client.new_inbox()
            await connection.subscribe(f"{self._inbox}.*", self._answered)
        while self._waiting or self._flying:
            self._check()
            self._moved.clear()
            if connection.is_up:
                await self._send()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), _TICK)

    def _check(self) -> None:
        """Check that the server can still be expected to acknowledge.

        Raises:
            SinkError: it cannot.
        """
        connection, access = self._connection, self._connection.access
        if self._failure is not None:
            raise self._failure
        if connection.refused:
            refusal = not_permitted(connection.refused, access.shown)
            raise self._failed(str(refusal), refusal.hint)
        if connection.client.is_closed:
            told = connection.lost()
            raise self._failed(str(told), told.hint)
        now = time.monotonic()
        patience = max(access.patience, access.timeout)
        if now - self._acked_at > patience:
            why = connection.trouble or "it is silent"
            raise self._failed(
                f"NATS at {access.shown} has acknowledged nothing for {patience:g} seconds: {why}.",
                "Run the same command again when the server is back. It resumes from there.",
            )
        if not connection.is_up or not self._flying:
            self._heard_at = now
        elif now - self._heard_at > _SILENCES * access.timeout:
            connection.trouble = "it is silent"
            self._heard_at = now
            connection.drop()

    async def _send(self) -> None:
        """Publish the overdue messages again, then new ones until the window is full."""
        connection = self._connection
        now = time.monotonic()
        is_new = connection.generation != self._generation
        self._generation = connection.generation
        if is_new:
            self._heard_at = now
        if is_new or now >= self._look_at:
            self._look_at = now + _AGAIN / 2
            for number, message in list(self._flying.items()):
                if (is_new or message.due <= now) and number in self._flying:
                    await self._send_one(number, message, now)
        name = self._stream.name
        while (
            self._waiting
            and len(self._flying) < _WINDOW
            and self._flying_bytes < _WINDOW_BYTES
            and connection.is_up
            and self._failure is None
        ):
            event = self._waiting[0]
            message = _Message(self._subject_of(event), _encode(event), _headers(event, name))
            self._waiting.popleft()
            number = self._sent
            self._sent += 1
            self._flying[number] = message
            self._flying_bytes += len(message.payload)
            await self._send_one(number, message, now)
            if number % _BURST == 0:
                await asyncio.sleep(0)  # let the loop send, and receive acknowledgements

    async def _send_one(self, number: int, message: _Message, now: float) -> None:
        nats_errors = self._nats_errors
        message.due = now + self._connection.access.timeout
        message.times += 1
        try:
            await self._connection.client.publish(
                message.subject,
                message.payload,
                reply=f"{self._inbox}.{number}",
                headers=message.headers,
            )
        except nats_errors.MaxPayloadError as error:
            raise self._failed(
                f"An event has {len(message.payload)} bytes, more than NATS at "
                f"{self._connection.access.shown} accepts in a message.",
                "Raise max_payload in the server's configuration.",
            ) from error
        except (nats_errors.Error, OSError) as error:  # it is published again when overdue
            self._connection.trouble = short_reason(error)

    def _subject_of(self, event: PlaybackEvent) -> str:
        subject = subject_of(event)
        if subject not in self._taken and not self._stream.takes(subject):
            raise self._failed(
                f"The stream {self._stream.name} does not take {subject}: its subjects are "
                f"{', '.join(self._stream.subjects)}.",
                "Use another stream with --nats-stream NAME, or add playback.> to its subjects: "
                f"nats stream edit {self._stream.name}",
            )
        self._taken.add(subject)
        return subject

    async def _answered(self, answer: Msg) -> None:
        """Take an acknowledgement, a refusal, or the notice that no stream takes the subject."""
        self._heard_at = now = time.monotonic()
        number = int(answer.subject.rpartition(".")[2])
        message = self._flying.get(number)
        if message is None:  # published twice, and this is the second acknowledgement
            return
        try:
            ack = self._decode(answer.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # The server sends an empty answer when nobody listens.
            self._connection.trouble = f"no stream takes {message.subject} there at the moment"
            message.due = now + _AGAIN
            return
        if ack.error is not None:
            self._refused(message, ack.error, now)
            return
        self._acked_at = now
        self.last = max(self.last, ack.seq)
        del self._flying[number]
        self._flying_bytes -= len(message.payload)
        # A message that was published again can be its own duplicate.
        if ack.duplicate and (message.times == 1 or ack.seq <= self._stream.last):
            self.duplicates += 1
        else:
            self.stored += 1
        if len(self._flying) <= _WINDOW // 2 and (self._waiting or not self._flying):
            self._moved.set()

    def _refused(self, message: _Message, error: Refusal, now: float) -> None:
        is_full = error.err_code == _STORE_FAILED and "exceeded" in error.text
        if error.code in _TEMPORARY and error.err_code != _NO_RESOURCES and not is_full:
            self._connection.trouble = error.text
            message.due = now + _AGAIN
            return
        self._failure = self._failed(
            f"The stream {self._stream.name} at {self._connection.access.shown} refused an "
            f"event: {error.text}.",
            f"Check the stream's limits: nats stream info {self._stream.name}",
        )
        self._moved.set()

    def _failed(self, said: str, hint: str) -> SinkError:
        so_far = f"{self.acknowledged:,} of the {self.given:,} events read so far are in it."
        return SinkError(f"{said} {so_far}", hint=hint)
