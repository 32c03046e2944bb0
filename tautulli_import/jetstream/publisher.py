"""Publishing playback events so that each is acknowledged, many at a time.

Every message asks for its acknowledgement under a subject of its own in one inbox, and a window
of messages is on its way at any time. What is not acknowledged in time, or was on its way when
the connection broke, is published again; its id lets the server know it again.
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

from ..errors import ConfigurationError, SinkError, TautulliImportError
from ..models import PlaybackEvent
from .connection import Connection
from .stream import StreamState
from .troubles import not_permitted, words

if TYPE_CHECKING:
    from nats.aio.msg import Msg

__all__ = ["Publisher", "is_too_large", "subject_of"]

_WINDOW: Final = 256
_WINDOW_BYTES: Final = 4 * 1024 * 1024
_BURST: Final = 64
_TICK: Final = 0.05
_SILENCES: Final = 2
"""How many times a server may let the time for an answer pass before the connection is dropped."""
_SHORT: Final = 2_048
_AGAIN: Final = 0.25
"""Seconds until what the server could not take just now is published again."""
_MEDIA_TYPE: Final = re.compile("[a-z0-9_-]+")
_SOURCE: Final = re.compile(r"[^\s.*>\x00-\x20\x7f]+")
# JetStream's numbers of its errors, of those that look temporary by their code.
_NO_RESOURCES: Final = 10023
_STORE_FAILED: Final = 10077
_TEMPORARY: Final = frozenset({408, 429, 503})
_encode: Final = msgspec.json.Encoder().encode


class _Error(Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(Struct, frozen=True):
    error: _Error | None = None
    duplicate: bool = False


class _Message(Struct):
    """A message on its way."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    due: float = 0.0
    """When it is published again."""
    times: int = 0


@lru_cache(maxsize=1024)
def _subject(source: str, media_type: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise ConfigurationError(
            f"The event source {source!r} cannot be part of a subject of NATS.",
            hint="Use letters, digits, - and _ in --event-source.",
        )
    return f"playback.{source}.{media_type if _MEDIA_TYPE.fullmatch(media_type) else 'unknown'}"


def subject_of(event: PlaybackEvent) -> str:
    """The subject that an event is published under.

    Raises:
        ConfigurationError: the event's source cannot be part of one.
    """
    return _subject(event.source, event.media_type)


def is_too_large(event: PlaybackEvent, stream: str, most: int) -> bool:
    """Whether an event's message, headers included as servers count them, exceeds ``most``."""
    size = len(_encode(event))
    # What stands in the headers stands in the event, or is short.
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
    """The value, unable to end its header; older nats-py sends it as it is."""
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


class Publisher:
    """Publishes to one stream; what is given first is published first."""

    def __init__(self, connection: Connection, stream: StreamState) -> None:
        import nats.errors

        self._nats_errors = nats.errors
        self.stored = 0
        """How many of the events the stream has because of us."""
        self.duplicates = 0
        """How many it had already."""
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
        """How many events it was given."""
        return self._sent + len(self._waiting)

    @property
    def acknowledged(self) -> int:
        """How many of them, from the first on and without a gap, the stream has for certain."""
        return next(iter(self._flying), self._sent)

    def publish(self, events: Sequence[PlaybackEvent] = ()) -> None:
        """Publish these and what is left from before, and wait until all are acknowledged.

        Raises:
            SinkError: nothing was acknowledged for ``access.patience`` seconds, or the server
                says that it will not take them.
            InterruptedWaitError: a stop was asked for meanwhile.
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
        """See whether it is worth going on.

        Raises:
            SinkError: it is not.
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
                "Run the same command again when the server is back: it goes on from there.",
            )
        if not connection.is_up or not self._flying:
            self._heard_at = now
        elif now - self._heard_at > _SILENCES * access.timeout:
            connection.trouble = "it is silent"
            self._heard_at = now
            connection.drop()

    async def _send(self) -> None:
        """Publish what is due again, and then as much as the window has room for."""
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
                await asyncio.sleep(0)  # let what was written go out, and the answers come in

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
                f"An event of {len(message.payload)} bytes is larger than NATS at "
                f"{self._connection.access.shown} takes messages.",
                "Raise max_payload in the server's configuration.",
            ) from error
        except (nats_errors.Error, OSError) as error:  # it is published again when it is due
            self._connection.trouble = words(error)

    def _subject_of(self, event: PlaybackEvent) -> str:
        subject = subject_of(event)
        if subject not in self._taken and not self._stream.takes(subject):
            raise self._failed(
                f"The stream {self._stream.name} does not take {subject}: its subjects are "
                f"{', '.join(self._stream.subjects)}.",
                "Name another one, or add playback.> to its subjects: --nats-stream NAME",
            )
        self._taken.add(subject)
        return subject

    async def _answered(self, answer: Msg) -> None:
        """Take an acknowledgement, or what came in its place."""
        self._heard_at = now = time.monotonic()
        number = int(answer.subject.rpartition(".")[2])
        message = self._flying.get(number)
        if message is None:  # it had been published twice
            return
        try:
            ack = self._decode(answer.data)
        except msgspec.DecodeError:  # an empty one: there is nobody who could answer
            self._connection.trouble = f"no stream takes {message.subject} there at the moment"
            message.due = now + _AGAIN
            return
        if ack.error is not None:
            self._refused(message, ack.error, now)
            return
        self._acked_at = now
        del self._flying[number]
        self._flying_bytes -= len(message.payload)
        if ack.duplicate and message.times == 1:
            self.duplicates += 1
        else:
            self.stored += 1
        if len(self._flying) <= _WINDOW // 2 and (self._waiting or not self._flying):
            self._moved.set()

    def _refused(self, message: _Message, error: _Error, now: float) -> None:
        said = error.description or f"error {error.err_code or error.code}"
        is_full = error.err_code == _STORE_FAILED and "exceeded" in said
        if error.code in _TEMPORARY and error.err_code != _NO_RESOURCES and not is_full:
            self._connection.trouble = said
            message.due = now + _AGAIN
            return
        hint = "Look at the stream's limits: nats stream info " + self._stream.name
        self._failure = self._failed(
            f"The stream {self._stream.name} at {self._connection.access.shown} did not take an "
            f"event: {said}.",
            hint,
        )
        self._moved.set()

    def _failed(self, said: str, hint: str) -> SinkError:
        so_far = f"{self.acknowledged:,} of the {self.given:,} events given so far are in it."
        return SinkError(f"{said} {so_far}", hint=hint)
