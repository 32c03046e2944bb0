"""Take messages out of a stream through a durable pull consumer, which processes may share.

A fetched message belongs to the process that fetched it until it acknowledges it or gives it
back, or until the time for the acknowledgement is over. Then the server delivers it again, to
any of them.
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

from ..errors import NotFoundError, SourceUnreachableError, TautulliImportError
from .access import Access, check_name
from .connection import ApiError, Connection, InterruptedWaitError
from .durable import (
    NO_CONSUMER,
    NO_STREAM,
    DurableConfig,
    DurableInfo,
    durable_info,
    ensure_durable,
)
from .failures import not_permitted, short_reason
from .stream import StreamState, look_at_stream

if TYPE_CHECKING:
    from nats.aio.msg import Msg

__all__ = ["Consumer", "Message"]

_NS: Final = 1_000_000_000
_TICK: Final = 0.05
_AGAIN: Final = 0.25
_BURST: Final = 256
# Status codes that arrive in place of a message: no messages, the wait is over, no responders.
_NOTHING: Final = frozenset({"404", "408"})
_NOBODY: Final = "503"


class Message(Struct, frozen=True, gc=False):
    """A message of the stream."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    stream: str
    sequence: int
    """Its number in the stream."""
    deliveries: int
    """The number of times it was delivered, including this one."""
    reply: str
    """The subject for its acknowledgement."""


class Consumer:
    """One of the processes that share the durable consumer of a name."""

    def __init__(self, access: Access, durable: str, *, ack_wait: float = 30) -> None:
        """Connect to nothing yet.

        ``ack_wait``: seconds until an unacknowledged message is delivered again. It applies when
        the durable consumer is created.
        """
        self.durable = durable
        self._ack_wait = ack_wait
        self._connection = Connection(access)
        self._config = DurableConfig()
        self._inbox = ""
        self._pulls = 0
        self._said = ""
        """The status that arrived in place of a message for the latest pull."""
        self._arrived: deque[Message] = deque()
        self._wanted = 0
        self._moved = asyncio.Event()
        self._heard_at = 0.0

    @property
    def _access(self) -> Access:
        return self._connection.access

    def open(self) -> None:
        """Connect, and use the durable consumer. Create it if it is absent.

        Raises:
            NotFoundError: the stream does not exist.
            ConfigurationError: the consumer's name is not valid, the stream does not take
                playback events, or a consumer of that name is of another kind.
            TautulliImportError: see ``Connection.open``.
        """
        check_name(self.durable, "a consumer", "--durable")
        self._connection.open()
        stream = look_at_stream(self._connection)
        if stream is None:
            raise NotFoundError(
                f"There is no stream {self._access.stream} at {self._access.shown}.",
                hint="Use another stream with --nats-stream NAME. Or import first with --to nats, "
                "which creates the stream.",
            )
        self._connection.run(self._open(stream))

    def fetch(self, most: int, wait: float) -> list[Message]:
        """Return up to ``most`` messages. Wait up to ``wait`` seconds for the first.

        Return none if none came, or if a stop was requested.

        Raises:
            SourceUnreachableError: the server is gone for more than ``access.patience`` seconds.
            NotFoundError: the stream or the consumer no longer exists.
        """
        with contextlib.suppress(InterruptedWaitError):
            self._connection.run(self._fetch(most, wait))
            return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
        return []

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages, and wait until the server has received that.

        Raises:
            SourceUnreachableError: the server is gone for more than ``access.patience`` seconds.
                It will deliver the messages again.
        """
        self._connection.run(self._tell(messages, b"+ACK"))

    def terminate(self, messages: Sequence[Message]) -> None:
        """Tell the server never to deliver messages again, although nobody could use them.

        Raises:
            SourceUnreachableError: as for ``acknowledge``.
        """
        self._connection.run(self._tell(messages, b"+TERM"))

    def give_back(self, messages: Sequence[Message]) -> None:
        """Let the server deliver messages again at once, to any process.

        Raises:
            SourceUnreachableError: as for ``acknowledge``.
        """
        self._connection.run(self._tell(messages, b"-NAK"))

    def left(self) -> tuple[int, int]:
        """Return the number of undelivered messages, and of delivered, unacknowledged ones.

        Raises:
            SourceUnreachableError: the server does not answer.
            NotFoundError: the stream or the consumer no longer exists.
        """
        info = self._connection.run(self._look())
        return info.num_pending, info.num_ack_pending

    def close(self) -> None:
        """Give back the messages that ``fetch`` did not return, and close the connection."""
        if self._arrived and self._connection.is_up:
            with contextlib.suppress(TautulliImportError, TimeoutError):
                self._connection.run(
                    asyncio.wait_for(self._tell(list(self._arrived), b"-NAK"), self._access.timeout)
                )
        self._arrived.clear()
        self._connection.close()

    async def _open(self, stream: StreamState) -> None:
        connection = self._connection
        info = await ensure_durable(connection, self.durable, stream, self._ack_wait)
        self._config = info.config
        self._inbox = connection.client.new_inbox()
        await connection.subscribe(f"{self._inbox}.*", self._took)

    async def _look(self) -> DurableInfo:
        try:
            return await durable_info(self._connection, self.durable)
        except ApiError as error:
            if error.number in (NO_CONSUMER, NO_STREAM):
                raise NotFoundError(
                    f"The consumer {self.durable} of the stream {self._access.stream} at "
                    f"{self._access.shown} no longer exists: {error.said}.",
                    hint="Run the same command again. It creates the consumer, which begins with "
                    "the first message.",
                ) from error
            raise

    async def _fetch(self, most: int, wait: float) -> None:
        """Fill ``_arrived``, if there is anything within ``wait`` seconds."""
        now = self._heard_at = time.monotonic()
        until = now + wait
        while len(self._arrived) < most:
            # Only the server's answer proves that there is nothing.
            if not await self._pull(most - len(self._arrived), no_wait=True):
                continue
            seconds = until - time.monotonic()
            if self._arrived or seconds <= 0:
                return
            # A long wait is made of short ones, so that a lost pull is noticed at their end.
            is_answered = await self._pull(1, expires=min(seconds, self._access.timeout))
            if is_answered and not self._arrived and time.monotonic() >= until:
                return

    async def _pull(self, batch: int, *, no_wait: bool = False, expires: float = 0.0) -> bool:
        """Ask for messages, and wait until they are there or the server says that there are none.

        Return false if there was no answer, so that the caller has to ask again.
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
        except Exception as error:  # noqa: BLE001 - nats-py raises many types; the caller asks again
            connection.trouble = short_reason(error)
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
        """Find out why there is no answer, and drop the connection if it is dead.

        Raises:
            NotFoundError: the stream or the consumer no longer exists.
        """
        try:
            await self._look()
        except SourceUnreachableError as error:
            self._connection.trouble = "it is silent"
            if not isinstance(error, ApiError):
                self._connection.drop()

    async def _connected(self) -> None:
        """Wait for the connection, and check that the server still sends something.

        Raises:
            SourceUnreachableError: it sent nothing for more than ``access.patience`` seconds.
        """
        await self._connection.connected()
        patience = max(self._access.patience, self._access.timeout)
        if time.monotonic() - self._heard_at > patience:
            raise SourceUnreachableError(
                f"NATS at {self._access.shown} has sent nothing for {patience:g} seconds: "
                f"{self._connection.trouble or 'it is silent'}.",
                hint="Run the same command again when the server is back.",
            )

    async def _ended(self, said: str) -> bool:
        """Return whether the status of a pull, ``said``, means that there are no more messages.

        Raises:
            NotFoundError: the stream or the consumer no longer exists.
        """
        code, _, text = said.partition(" ")
        if code in _NOTHING:
            return True
        if code == _NOBODY or "deleted" in text.lower():
            await self._look()
        self._connection.trouble = text or "no consumer answers there at the moment"
        await asyncio.sleep(_AGAIN)
        # A limit of the consumer: other processes hold too many messages, or too many pulls wait.
        return text.startswith("Exceeded")

    async def _took(self, message: Msg) -> None:
        """Take a message, or the status of a pull."""
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
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>… has 9 tokens. The newer form has
        # <domain>.<account hash> before the stream (ADR-15 of NATS).
        at = 2 if len(tokens) == 9 else 4
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
        """Answer each message with ``word``, and repeat until the server has received all."""
        connection = self._connection
        give_up_at = time.monotonic() + max(self._access.patience, self._access.timeout)
        while messages:
            await connection.connected()
            generation = connection.generation
            try:
                for number, message in enumerate(messages, 1):
                    await connection.client.publish(message.reply, word)
                    if number % _BURST == 0:
                        await asyncio.sleep(0)
            except Exception as error:  # noqa: BLE001 - nats-py raises many types; it is repeated
                connection.trouble = short_reason(error)
                await asyncio.sleep(_TICK)
                continue
            try:
                # The server reads in order, so this answer proves that it got the rest.
                await self._look()
            except SourceUnreachableError as error:
                if isinstance(error, ApiError) or time.monotonic() > give_up_at:
                    raise
                connection.trouble = "it is silent"
                connection.drop()
                continue
            if generation == connection.generation:
                return
