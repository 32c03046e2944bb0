"""Connect to NATS from synchronous code.

nats-py needs an event loop. The connection has its own, which runs only during a call of
``run``, so that the rest of the program stays synchronous. Signals are deferred during such a
call, because the loop would lose an exception from a signal handler.
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
from ..interrupts import defer_signals, is_asked
from .access import Access
from .credentials import addresses, options_for, wants_tls
from .failures import JETSTREAM_OFF, no_connection, not_permitted, short_reason
from .loop import Loop, client_class

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["ApiError", "Connection", "InterruptedWaitError", "Refusal"]

_Answer = TypeVar("_Answer")

_TICK: Final = 0.05
"""Seconds between two checks for a requested stop."""
_GRACE: Final = 0.2
"""Seconds that a step may still take after a stop was requested."""
_CONNECT_SHARE: Final = 0.4
"""The share of ``Access.timeout`` that each step of connecting may take."""
_BETWEEN_TRIES: Final = 0.25
_SECRETS: Final = frozenset({"user", "token", "user_credentials"})
_PENDING: Final = 16 * 1024 * 1024
_NOT_ENABLED: Final = frozenset({10039, 10076})


class InterruptedWaitError(SourceUnreachableError):
    """A stop was requested before the server answered."""


class ApiError(SourceUnreachableError):
    """JetStream understood the request, and refused it."""

    def __init__(self, message: str, *, number: int, said: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.number = number
        """The error number of JetStream."""
        self.said = said


class Refusal(Struct, frozen=True):
    """An error in an answer of JetStream."""

    code: int = 0
    """A number in the manner of HTTP."""
    err_code: int = 0
    """The error number of JetStream."""
    description: str = ""

    @property
    def text(self) -> str:
        """Return the description, or the number if there is none."""
        return self.description or f"error {self.err_code or self.code}"


class _Outcome(Struct, frozen=True):
    error: Refusal | None = None


class Connection:
    """A connection to one of the servers in ``access``, and to the next one when it breaks."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.generation = 0
        """The number of times that it was established. A rise means that messages got lost."""
        self.refused = ""
        """The server's words when it last refused a permission."""
        self.trouble = ""
        """The last error, in a few words."""
        self._client: Client | None = None
        self._loop: Loop | None = None

    @property
    def client(self) -> Client:
        """Return the client of nats-py. Use it only inside ``run``.

        Raises:
            RuntimeError: the connection is not open.
        """
        if self._client is None:
            raise RuntimeError("the connection is not open")
        return self._client

    @property
    def is_up(self) -> bool:
        """Return whether the connection is established now."""
        return self.client.is_connected

    @property
    def max_payload(self) -> int:
        """Return the server's limit for a message in bytes, headers included."""
        return self.client.max_payload

    def open(self) -> None:
        """Connect to the first server that accepts us.

        Raises:
            SourceUnreachableError: no server can be reached, or TLS fails.
            UnauthorisedError: the servers refuse the login.
            NotFoundError: a credentials file or a certificate does not exist.
            ConfigurationError: nats-py is missing, or an address or a file is not valid.
        """
        try:
            import nats.aio.client  # noqa: F401
        except ImportError as error:
            raise ConfigurationError(
                "The package nats-py is missing. NATS needs it.",
                hint="Install it: pipx inject tautulli-import nats-py (in a clone: "
                "pip install '.[nats]')",
            ) from error
        for name in ("nats", "asyncio"):
            # Python prints what they log where no handler is set.
            if not logging.getLogger(name).handlers:
                logging.getLogger(name).addHandler(logging.NullHandler())
        servers, options = addresses(self.access), self._options()
        self._loop = Loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self.run(self._connect(servers, options))

    def run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Run a coroutine on the loop to its end.

        Raises:
            InterruptedWaitError: a stop was requested, and the coroutine did not end within
                0.2 seconds.
        """
        if self._loop is None:
            work.close()
            raise RuntimeError("the connection is not open")
        with defer_signals():
            return self._loop.run_until_complete(self._watched(work))

    async def connected(self) -> None:
        """Wait until the connection is established.

        Raises:
            SourceUnreachableError: the server is gone for more than ``access.patience`` seconds.
            UnauthorisedError: the server refuses the login now.
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
            await asyncio.sleep(_TICK)  # nats-py offers no event to wait for

    async def ask(self, subject: str, payload: bytes = b"") -> bytes:
        """Send a request and return the answer. Ask again when the connection breaks.

        Raises:
            SourceUnreachableError: there is no answer within ``access.timeout`` seconds, or
                the server has no JetStream.
            UnauthorisedError: the user may not send or receive this.
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
                # Just after its start, a server may not have started JetStream yet.
                if generation == 1 or time.monotonic() > until:
                    raise SourceUnreachableError(
                        f"NATS at {self.access.shown} has no JetStream.", hint=JETSTREAM_OFF
                    ) from error
                await asyncio.sleep(_TICK)
            except (nats.errors.Error, OSError) as error:
                if self.is_up and generation == self.generation:
                    raise self._silent() from error
                self.trouble = short_reason(error)
            finally:
                request.cancel()
            if self.refused:
                raise not_permitted(self.refused, self.access.shown)

    async def api(self, what: str, request: object, answer: type[_Answer]) -> _Answer:
        """Call JetStream's API. ``what`` is the subject after ``$JS.API.``.

        Raises:
            ApiError: JetStream refuses the request.
            SourceUnreachableError: there is no JetStream, or no usable answer.
            UnauthorisedError: the user may not send or receive this.
        """
        payload = b"" if request is None else msgspec.json.encode(request)
        told = await self.ask(f"$JS.API.{what}", payload)
        try:
            error = msgspec.json.decode(told, type=_Outcome).error
            if error is None:
                return msgspec.json.decode(told, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise SourceUnreachableError(
                f"NATS at {self.access.shown} sent an answer that cannot be decoded: {broken}.",
                hint="Use nats-server 2.9 or newer. To see the version: nats-server --version",
            ) from broken
        said = error.text
        if error.err_code in _NOT_ENABLED:
            raise ApiError(
                f"NATS at {self.access.shown} has JetStream disabled for this account: {said}.",
                number=error.err_code,
                said=said,
                hint=JETSTREAM_OFF,
            )
        raise ApiError(
            f"NATS at {self.access.shown} refused {what.replace('.', ' ', 1)}: {said}.",
            number=error.err_code,
            said=said,
        )

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> None:
        """Call ``callback`` with each message of a subject. It must not wait."""
        await self.client.subscribe(subject, cb=callback, pending_bytes_limit=1 << 30)

    def drop(self) -> None:
        """Abort the present connection. nats-py then makes a new one."""
        if self._loop is not None:
            self._loop.abort()

    def close(self) -> None:
        """Close the connection, also when the server does not answer."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        with defer_signals():
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
        """Connect to the first of ``servers``. nats-py uses the others after a break."""
        self._client = client = client_class(
            self._loop if wants_tls(self.access) else None,
            has_certificate=self.access.cert is not None,
            has_secret=not _SECRETS.isdisjoint(options),
        )()
        self.generation = 0
        try:
            await client.connect(servers, **options)
        except Exception as error:  # noqa: BLE001 - nats-py raises many types, asyncio more
            told = error.error if isinstance(error, _FirstTryError) else error
            raise no_connection(told, servers[0], self.access) from told
        finally:
            if not self.generation and not client.is_connected:
                await _closed(client, self._loop)
        await self._made()

    async def _made(self) -> None:
        self.generation += 1

    async def _noted(self, error: Exception) -> None:
        """Remember an error that nats-py reports. It keeps running after it."""
        if not self.generation:
            raise _FirstTryError(error)
        said = short_reason(error)
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
                    task.cancel()  # in each round, because nats-py swallows some
        if task.cancelled():
            raise InterruptedWaitError(f"Stopped before NATS at {self.access.shown} answered.")
        return task.result()

    def lost(self) -> TautulliImportError:
        """Return the error to raise when nats-py has closed the connection for good."""
        error = self.client.last_error
        if error is None:
            return SourceUnreachableError(f"NATS at {self.access.shown} closed the connection.")
        return no_connection(error, self.access.shown, self.access)

    def _silent(self) -> SourceUnreachableError:
        return SourceUnreachableError(
            f"NATS at {self.access.shown} did not answer within {self.access.timeout:g} seconds.",
            hint="Check that the server is running and not overloaded, and run the same command "
            "again.",
        )


class _FirstTryError(Exception):
    """Raised to end the first attempt to connect, which nats-py would repeat."""

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
    for _ in range(3):  # a task of nats-py may start another one while it ends
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
