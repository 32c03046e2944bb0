"""Limit the time that one answer may take, from the request to its last byte.

A timeout of httpx is a silence between two bytes. A server that sends a byte now and then keeps a
client waiting for ever, also with its headers. So the limit is applied where bytes are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import httpx

__all__ = ["Limit", "limit_answers"]


class Limit:
    """The time that one answer may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds

    def apply(self) -> None:
        """Apply this limit to what this thread reads, instead of that of the answer before."""
        _current.limit = self

    @property
    def left(self) -> float:
        """The seconds that are left; 0 or less if there are none."""
        return self._until - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Allow more time, for an answer that is long and keeps arriving."""
        self._until += seconds


class _Current(threading.local):
    limit: Limit | None = None


_current = _Current()


def limit_answers(client: httpx.Client) -> None:
    """Apply limits to everything that a client reads.

    httpx has no public way to give a backend to its pools. These two private attributes have the
    same names in httpx 0.27 and 0.28 and in httpcore 1.0 (November 2026).
    """
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - see above
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001 - see above


class _Backend(httpcore.NetworkBackend):
    """Opens connections whose reads are limited."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a connection."""
        return _Stream(
            self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    def sleep(self, seconds: float) -> None:
        """Wait before another attempt to connect."""
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads are limited."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived, or wait for it."""
        if (limit := _current.limit) is not None:
            if limit.left <= 0:
                raise httpcore.ReadTimeout
            timeout = limit.left if timeout is None else min(timeout, limit.left)
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes. Only the timeout of httpx counts: uploads to CrossWatch can be long."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Encrypt the connection."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as in httpcore
        """Return a fact about the connection."""
        return self._stream.get_extra_info(info)
