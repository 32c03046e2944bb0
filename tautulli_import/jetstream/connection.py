"""A connection to NATS, driven from synchronous code.

nats-py lives on an event loop. Ours belongs to the connection and runs only while somebody
waits for something, so that the rest of the program need not know of it. Each such step is
held against signals: an exception of a signal handler would be lost in the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from ..errors import (
    ConfigurationError,
    SourceUnreachableError,
    TautulliImportError,
    UnauthorisedError,
)
from ..stopping import held, is_asked
from .access import Access
from .identity import addresses, options_for, wants_tls
from .loop import Loop, client_class
from .troubles import JETSTREAM_OFF, no_connection, not_permitted, words

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["ApiError", "Connection", "InterruptedWaitError"]

_Answer = TypeVar("_Answer")

_TICK: Final = 0.05
"""Seconds between two looks at whether a stop was asked for."""
_GRACE: Final = 0.2
"""Seconds that a step may still take when a stop was asked for."""
_CONNECT_SHARE: Final = 0.4
"""Of the time that a server has for an answer, what it has for each step of connecting."""
_BETWEEN_TRIES: Final = 0.25
_PENDING: Final = 16 * 1024 * 1024
_NOT_ENABLED: Final = frozenset({10039, 10076})


class InterruptedWaitError(SourceUnreachableError):
    """A stop was asked for before the server had answered."""


class ApiError(SourceUnreachableError):
    """The server understood what it was asked for, and refused."""

    def __init__(self, message: str, *, number: int, said: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.number = number
        """JetStream's own number of the error."""
        self.said = said


class _Refusal(Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Outcome(Struct, frozen=True):
    error: _Refusal | None = None


class Connection:
    """A connection to one server of those that ``access`` names, or to the next when it breaks."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.generation = 0
        """How many times it was made: another number means that what was under way is lost."""
        self.refused = ""
        """What the server said when it did not permit something."""
        self.trouble = ""
        """The last thing that went wrong, in a few words."""
        self._client: Client | None = None
        self._loop: Loop | None = None

    @property
    def client(self) -> Client:
        """nats-py's own; to be used within ``run`` only."""
        if self._client is None:
            raise RuntimeError("the connection is not open")
        return self._client

    @property
    def is_up(self) -> bool:
        """Whether there is a connection right now."""
        return self.client.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes of a message, its headers included, that the server takes."""
        return self.client.max_payload

    def open(self) -> None:
        """Connect: to the first server that lets us in.

        Raises:
            SourceUnreachableError: none can be reached, or none speaks TLS as it should.
            UnauthorisedError: they do not let us in.
            NotFoundError: a credentials file or a certificate does not exist.
            ConfigurationError: nats-py is missing, or an address or a file is no such thing.
        """
        try:
            import nats.aio.client  # noqa: F401
        except ImportError as error:
            raise ConfigurationError(
                "NATS needs nats-py.", hint="Install it: pip install 'tautulli-import[nats]'"
            ) from error
        for name in ("nats", "asyncio"):
            # What they log nobody asked for; without a handler Python prints it.
            if not logging.getLogger(name).handlers:
                logging.getLogger(name).addHandler(logging.NullHandler())
        servers, options = addresses(self.access), self._options()
        self._loop = Loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self.run(self._connect(servers, options))

    def run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Do something on the loop, to its end.

        Raises:
            InterruptedWaitError: a stop was asked for, and a moment later it was not done yet.
        """
        if self._loop is None:
            work.close()
            raise RuntimeError("the connection is not open")
        with held():
            return self._loop.run_until_complete(self._watched(work))

    async def connected(self) -> None:
        """Wait until there is a connection (again).

        Raises:
            SourceUnreachableError: there is none for longer than ``access.patience``.
            UnauthorisedError: the server does not let us in any more.
        """
        until = time.monotonic() + self.access.patience
        while not self.is_up:
            if self.client.is_closed:
                raise self.lost()
            if time.monotonic() > until:
                raise SourceUnreachableError(
                    f"NATS at {self.access.shown} has been gone for {self.access.patience:g} "
                    f"seconds: {self.trouble or 'the connection broke'}.",
                    hint="Run the same command again when the server is back.",
                )
            await asyncio.sleep(_TICK)  # nats-py has nothing else to wait for

    async def ask(self, subject: str, payload: bytes = b"") -> bytes:
        """Ask one question; across a connection that breaks.

        Raises:
            SourceUnreachableError: there is no answer within ``access.timeout`` seconds, or
                nobody there who could give one.
            UnauthorisedError: we may not ask that.
        """
        import nats.errors

        until = time.monotonic() + self.access.patience
        while True:
            await self.connected()
            generation, self.refused = self.generation, ""
            request = asyncio.ensure_future(
                self.client.request(subject, payload, timeout=self.access.timeout)
            )
            try:
                while (
                    self.is_up
                    and generation == self.generation
                    and not (request.done() or self.refused)
                ):
                    await asyncio.wait({request}, timeout=_TICK)
                if request.done():
                    return request.result().data
            except nats.errors.NoRespondersError as error:
                # A server that has just been started may not have come to it yet.
                if generation == 1 or time.monotonic() > until:
                    raise SourceUnreachableError(
                        f"NATS at {self.access.shown} has no JetStream.", hint=JETSTREAM_OFF
                    ) from error
                await asyncio.sleep(_TICK)
            except (nats.errors.Error, OSError) as error:
                if self.is_up and generation == self.generation:
                    raise self._silent() from error
                self.trouble = words(error)
            finally:
                request.cancel()
            if self.refused:
                raise not_permitted(self.refused, self.access.shown)

    async def api(self, what: str, request: object, answer: type[_Answer]) -> _Answer:
        """Ask JetStream itself; ``what`` is the subject after ``$JS.API.``.

        Raises:
            ApiError: it refuses.
            SourceUnreachableError: it is not there, or does not answer.
            UnauthorisedError: we may not ask that.
        """
        payload = b"" if request is None else msgspec.json.encode(request)
        told = await self.ask(f"$JS.API.{what}", payload)
        try:
            error = msgspec.json.decode(told, type=_Outcome).error
            if error is None:
                return msgspec.json.decode(told, type=answer)
        except msgspec.DecodeError as broken:
            raise SourceUnreachableError(
                f"NATS at {self.access.shown} answers in a way that is not understood: {broken}.",
                hint="Is its version very old, or very new?",
            ) from broken
        said = error.description or f"error {error.err_code or error.code}"
        if error.err_code in _NOT_ENABLED:
            raise ApiError(
                f"NATS at {self.access.shown} has no JetStream for us: {said}.",
                number=error.err_code,
                said=said,
                hint=JETSTREAM_OFF,
            )
        raise ApiError(
            f"NATS at {self.access.shown} refused {what.partition('.')[0]}"
            f" {what.partition('.')[2]}: {said}.",
            number=error.err_code,
            said=said,
        )

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> None:
        """Have ``callback`` called with each message of a subject; it must not wait."""
        await self.client.subscribe(subject, cb=callback, pending_bytes_limit=1 << 30)

    def drop(self) -> None:
        """Give the present connection up for lost; another one is made."""
        if self._loop is not None:
            self._loop.abort()

    def close(self) -> None:
        """Let go of the server, whatever state it is in."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        with held():
            loop.run_until_complete(_ended(loop, self._client))
            loop.close()

    def _options(self) -> dict[str, Any]:
        return {
            **options_for(self.access),
            "name": "tautulli-import",
            "error_cb": self._noted,
            "reconnected_cb": self._made,
            "dont_randomize": True,
            "connect_timeout": _CONNECT_SHARE * self.access.timeout,
            "reconnect_time_wait": _BETWEEN_TRIES,
            "max_reconnect_attempts": -1,
            "pending_size": _PENDING,
        }

    async def _connect(self, servers: list[str], options: dict[str, Any]) -> None:
        failures: list[TautulliImportError] = []
        for number, server in enumerate(servers):
            try:
                await self._connect_to([server, *servers[:number], *servers[number + 1 :]], options)
            except TautulliImportError as failure:
                failures.append(failure)
                continue
            return
        telling = [one for one in failures if isinstance(one, UnauthorisedError)] or failures
        first = telling[0]
        if len(servers) > 1:
            said = f"None of the {len(servers)} NATS servers can be used. {first}"
            raise type(first)(said, hint=first.hint) from first
        raise first

    async def _connect_to(self, servers: list[str], options: dict[str, Any]) -> None:
        """Connect to the first of ``servers``; the others are for later."""
        self._client = client = client_class(
            self._loop if wants_tls(self.access) else None,
            has_certificate=self.access.cert is not None,
        )()
        self.generation = 0
        try:
            await client.connect(servers, **options)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is why there is no connection
            told = error.error if isinstance(error, _FirstTryError) else error
            raise no_connection(told, servers[0], self.access) from told
        finally:
            if not self.generation and not client.is_connected:
                await _closed(client, self._loop)
        await self._made()

    async def _made(self) -> None:
        self.generation += 1

    async def _noted(self, error: Exception) -> None:
        """What nats-py tells of an error, while it goes on by itself."""
        if not self.generation:
            raise _FirstTryError(error)
        said = words(error)
        if "permissions violation" in said:
            self.refused = said
        else:
            self.trouble = said

    async def _watched(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        task = asyncio.ensure_future(work)
        asked_at = 0.0
        while not task.done():
            await asyncio.wait({task}, timeout=_TICK)
            now = time.monotonic()
            if is_asked():
                asked_at = asked_at or now
                if now - asked_at >= _GRACE:
                    task.cancel()  # again and again: nats-py swallows some
        if task.cancelled():
            raise InterruptedWaitError(
                f"A stop was asked for while NATS at {self.access.shown} had not answered yet."
            )
        return task.result()

    def lost(self) -> TautulliImportError:
        """Why nats-py has given up."""
        error = self.client.last_error
        if error is None:
            return SourceUnreachableError(f"NATS at {self.access.shown} has closed the connection.")
        return no_connection(error, self.access.shown, self.access)

    def _silent(self) -> SourceUnreachableError:
        return SourceUnreachableError(
            f"NATS at {self.access.shown} was silent for {self.access.timeout:g} seconds.",
            hint="Is the server overloaded, or stopped? Give it more time, or start it again.",
        )


class _FirstTryError(Exception):
    """Ends the first connecting, which nats-py would repeat."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _closed(client: Client, loop: Loop | None) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), 2 * _BETWEEN_TRIES)
    if loop is not None:
        loop.abort()


async def _ended(loop: Loop, client: Client | None) -> None:
    if client is not None:
        await _closed(client, loop)
    for _ in range(3):  # the last words of nats-py's tasks may start another one
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
