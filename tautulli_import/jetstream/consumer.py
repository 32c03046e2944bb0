"""Taking messages out of a stream: a durable pull consumer, which several may share.

What is fetched stays with whoever fetched it until it is acknowledged, given back, or as old as
the consumer waits for an acknowledgement; then it is delivered again, to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, NotFoundError, SourceUnreachableError, TautulliImportError
from .access import NAME, Access
from .connection import ApiError, Connection, InterruptedWaitError
from .stream import StreamState, look_at_stream
from .troubles import not_permitted, words

if TYPE_CHECKING:
    from nats.aio.msg import Msg

__all__ = ["Consumer", "Message"]

_NS: Final = 1_000_000_000
_TICK: Final = 0.05
_AGAIN: Final = 0.25
_BURST: Final = 256
_MAX_ACK_PENDING: Final = 20_000
# What is said instead of a message. Nothing there, the time is over: then it was no trouble.
_NOTHING: Final = frozenset({"404", "408"})
_NOBODY: Final = "503"
# JetStream's numbers of its errors.
_NO_CONSUMER: Final = 10014
_NO_STREAM: Final = 10059
_TAKEN: Final = frozenset({10012, 10013, 10105, 10148})
# nats-server 2.9 says so itself, and also where only some of the subjects are taken. 2.10 and newer
# make a consumer that never gets anything.
_NO_SUBSET: Final = frozenset({10093, 10138})


class Message(Struct, frozen=True, gc=False):
    """A message as it stands in the stream."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    stream: str
    sequence: int
    """Its number in the stream."""
    deliveries: int
    """How many times it was delivered, this one counted."""
    reply: str
    """Where its acknowledgement goes."""


class _Config(Struct, frozen=True):
    deliver_subject: str = ""
    ack_policy: str = ""
    filter_subject: str = ""
    filter_subjects: tuple[str, ...] | None = ()
    max_batch: int = 0
    max_expires: int = 0


class _Info(Struct, frozen=True):
    config: _Config = _Config()
    num_pending: int = 0
    num_ack_pending: int = 0


class Consumer:
    """One of those who share the durable consumer of that name."""

    def __init__(
        self,
        access: Access,
        durable: str,
        *,
        subject: str = "playback.>",
        ack_wait: float = 30,
    ) -> None:
        """``ack_wait``: seconds until what is not acknowledged is delivered again."""
        self.durable = durable
        self._access = access
        self._subject = subject
        self._ack_wait = ack_wait
        self._connection = Connection(access)
        self._config = _Config()
        self._inbox = ""
        self._pulls = 0
        self._said = ""
        """What was said to the present pull in place of a message."""
        self._arrived: deque[Message] = deque()
        self._wanted = 0
        self._moved = asyncio.Event()
        self._heard_at = 0.0

    def open(self) -> None:
        """Connect, and make the durable consumer if there is none; one that is there is used.

        Raises:
            NotFoundError: there is no such stream.
            ConfigurationError: the stream does not take the subject, or a consumer of that name is
                of another kind.
            TautulliImportError: see ``Connection.open``.
        """
        if not NAME.fullmatch(self.durable):
            raise ConfigurationError(
                f"{self.durable!r} cannot be the name of a consumer.",
                hint="It has no spaces, dots, slashes, * or > in it.",
            )
        self._connection.open()
        stream = look_at_stream(self._connection)
        if stream is None:
            raise NotFoundError(
                f"There is no stream {self._access.stream} at {self._access.shown}.",
                hint="An import with --to nats makes it. Or name another one: --nats-stream NAME",
            )
        self._connection.run(self._open(stream))

    def fetch(self, most: int, wait: float) -> list[Message]:
        """What is there, at most so many; where nothing is, wait so many seconds for the first.

        Empty as well when a stop was asked for.

        Raises:
            SourceUnreachableError: the server is gone for longer than ``access.patience``.
            NotFoundError: the stream or the consumer is gone.
        """
        with contextlib.suppress(InterruptedWaitError):
            self._connection.run(self._fetch(most, wait))
            return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
        return []

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that these are done, and see that the server has heard it.

        Raises:
            SourceUnreachableError: the server is gone for longer than ``access.patience``;
                they will be delivered again.
        """
        self._connection.run(self._tell(messages, b"+ACK"))

    def terminate(self, messages: Sequence[Message]) -> None:
        """Say that these are never to be delivered again, though nobody could use them.

        Raises:
            SourceUnreachableError: as above.
        """
        self._connection.run(self._tell(messages, b"+TERM"))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Have these delivered again at once, to anybody.

        Raises:
            SourceUnreachableError: as above.
        """
        self._connection.run(self._tell(messages, b"-NAK"))

    def left(self) -> tuple[int, int]:
        """How many messages were never delivered yet, and how many not yet acknowledged.

        Raises:
            SourceUnreachableError: the server does not tell.
            NotFoundError: the stream or the consumer is gone.
        """
        info = self._connection.run(self._look())
        return info.num_pending, info.num_ack_pending

    def close(self) -> None:
        """Give back what nobody has fetched, and close the connection."""
        if self._arrived and self._connection.is_up:
            with contextlib.suppress(TautulliImportError, TimeoutError):
                self._connection.run(
                    asyncio.wait_for(self._tell(list(self._arrived), b"-NAK"), self._access.timeout)
                )
        self._arrived.clear()
        self._connection.close()

    async def _open(self, stream: StreamState) -> None:
        connection = self._connection
        try:
            info = await self._info()
        except ApiError as error:
            if error.number != _NO_CONSUMER:
                raise
            if not stream.is_copy and not stream.takes(self._subject):
                raise self._nothing_to_consume() from None
            info = await self._made()
        self._check(info.config)
        self._config = info.config
        self._inbox = connection.client.new_inbox()
        await connection.subscribe(f"{self._inbox}.*", self._took)

    async def _info(self) -> _Info:
        name = f"{self._access.stream}.{self.durable}"
        info = await self._connection.api(f"CONSUMER.INFO.{name}", None, _Info)
        if not info.config.ack_policy:  # so the server answers in the middle of deleting it
            raise ApiError(name, number=_NO_CONSUMER, said="it is being deleted")
        return info

    async def _look(self) -> _Info:
        try:
            return await self._info()
        except ApiError as error:
            if error.number in (_NO_CONSUMER, _NO_STREAM):
                raise NotFoundError(
                    f"The consumer {self.durable} of the stream {self._access.stream} at "
                    f"{self._access.shown} is gone: {error.said}.",
                    hint="Start again: it is made anew, and begins with the first message.",
                ) from error
            raise

    async def _made(self) -> _Info:
        stream = self._access.stream
        config = {
            "durable_name": self.durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(self._ack_wait * _NS),
            "max_ack_pending": _MAX_ACK_PENDING,
            "max_deliver": -1,
            "filter_subject": self._subject,
            "replay_policy": "instant",
        }
        try:
            return await self._connection.api(
                f"CONSUMER.DURABLE.CREATE.{stream}.{self.durable}",
                {"stream_name": stream, "config": config},
                _Info,
            )
        except ApiError as error:
            if error.number in _TAKEN:  # somebody has made it meanwhile
                return await self._info()
            if error.number in _NO_SUBSET:
                raise self._nothing_to_consume() from error
            raise

    def _nothing_to_consume(self) -> ConfigurationError:
        return ConfigurationError(
            f"The stream {self._access.stream} does not take {self._subject}: there is nothing to "
            "consume.",
            hint="Name another one: --nats-stream NAME",
        )

    def _check(self, config: _Config) -> None:
        subjects = [*(config.filter_subjects or ()), *filter(None, [config.filter_subject])]
        wrong = ""
        if config.deliver_subject:
            wrong = "is a push consumer"
        elif config.ack_policy != "explicit":
            wrong = f"has the acknowledgement policy {config.ack_policy}, not explicit"
        elif subjects != [self._subject]:
            wrong = f"is one for {', '.join(subjects) or 'all subjects'}, not for {self._subject}"
        if wrong:
            raise ConfigurationError(
                f"The consumer {self.durable} of the stream {self._access.stream} {wrong}.",
                hint="Use another name for this one; it is made when absent.",
            )

    async def _fetch(self, most: int, wait: float) -> None:
        """Have something in ``_arrived``, if there is anything."""
        now = self._heard_at = time.monotonic()
        until = now + wait
        while len(self._arrived) < most:
            # Nothing is taken for empty before the server has said so.
            if not await self._pull(most - len(self._arrived), no_wait=True):
                continue
            seconds = until - time.monotonic()
            if self._arrived or seconds <= 0:
                return
            # A long wait is several short ones: what got lost is seen when one of them is over.
            is_answered = await self._pull(1, expires=min(seconds, self._access.timeout))
            if is_answered and not self._arrived and time.monotonic() >= until:
                return

    async def _pull(self, batch: int, *, no_wait: bool = False, expires: float = 0.0) -> bool:
        """Ask for messages, until they are there or it is said that they are not.

        False: there was no answer, and it has to be asked again.
        """
        connection = self._connection
        await self._connected()
        batch = min(batch, self._config.max_batch or batch)
        request: dict[str, object] = {"batch": batch}
        if no_wait:
            request["no_wait"] = True
        else:
            nanoseconds = max(int(expires * _NS), _NS // 100)
            request["expires"] = min(nanoseconds, self._config.max_expires or nanoseconds)
        self._pulls += 1
        self._said = ""
        wanted = self._wanted = len(self._arrived) + batch
        generation = connection.generation
        try:
            await connection.client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._access.stream}.{self.durable}",
                msgspec.json.encode(request),
                reply=f"{self._inbox}.{self._pulls}",
            )
        except Exception as error:  # noqa: BLE001 - it is asked again
            connection.trouble = words(error)
            await asyncio.sleep(_TICK)
            return False
        sent_at = time.monotonic()
        while not self._said and len(self._arrived) < wanted:
            if generation != connection.generation or not connection.is_up:
                return False
            if connection.refused:
                raise not_permitted(connection.refused, self._access.shown)
            if time.monotonic() - max(self._heard_at, sent_at + expires) > self._access.timeout:
                await self._look_after()
                return False
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), _TICK)
        return not self._said or await self._ended(self._said)

    async def _look_after(self) -> None:
        """Find out why there is no answer: is the consumer gone, or the connection?"""
        try:
            await self._look()
        except SourceUnreachableError as error:
            self._connection.trouble = "it is silent"
            if not isinstance(error, ApiError):
                self._connection.drop()

    async def _connected(self) -> None:
        """Wait for a connection, and see that it is of use.

        Raises:
            SourceUnreachableError: nothing was heard for longer than ``access.patience``.
        """
        await self._connection.connected()
        patience = max(self._access.patience, self._access.timeout)
        if time.monotonic() - self._heard_at > patience:
            raise SourceUnreachableError(
                f"NATS at {self._access.shown} has said nothing for {patience:g} seconds: "
                f"{self._connection.trouble or 'it is silent'}.",
                hint="Run the same command again when the server is back.",
            )

    async def _ended(self, said: str) -> bool:
        """What a pull that brought less than was asked for means: that there is no more?"""
        code, _, text = said.partition(" ")
        if code in _NOTHING:
            return True
        if code == _NOBODY or "deleted" in text.lower():
            await self._look()
        self._connection.trouble = text or "no consumer answers there at the moment"
        await asyncio.sleep(_AGAIN)
        return text.startswith("Exceeded")  # others have too much of it, or ask as well

    async def _took(self, message: Msg) -> None:
        """Take what arrives."""
        headers = message.headers or {}
        reply = message.reply
        if not reply.startswith("$JS.ACK."):
            said = f"{headers.get('Status', '')} {headers.get('Description', '')}".strip()
            if message.subject == f"{self._inbox}.{self._pulls}":
                self._said = said
                if not said.startswith(_NOBODY):
                    self._heard_at = time.monotonic()
            self._moved.set()
            return
        self._heard_at = time.monotonic()
        tokens = reply.split(".")
        at = 2 if len(tokens) == 9 else 4  # newer servers name domain and account first
        self._arrived.append(
            Message(
                subject=message.subject,
                data=message.data,
                headers=headers,
                stream=tokens[at],
                deliveries=int(tokens[at + 2]),
                sequence=int(tokens[at + 3]),
                reply=reply,
            )
        )
        if len(self._arrived) >= self._wanted:
            self._moved.set()

    async def _tell(self, messages: Sequence[Message], word: bytes) -> None:
        """Say a word to each message, until the server has heard all of them."""
        connection = self._connection
        while messages:
            await connection.connected()
            generation = connection.generation
            try:
                for number, message in enumerate(messages, 1):
                    await connection.client.publish(message.reply, word)
                    if number % _BURST == 0:
                        await asyncio.sleep(0)
            except Exception as error:  # noqa: BLE001 - the connection broke: once more
                connection.trouble = words(error)
                await asyncio.sleep(_TICK)
                continue
            # What one connection carries is heard in order: the answer to this is the proof.
            await self._look()
            if generation == connection.generation:
                return
