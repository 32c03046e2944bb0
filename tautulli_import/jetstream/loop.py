"""Give nats-py an event loop that can close its connections, and a client that insists on TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nats.aio.client import Client

__all__ = ["Loop", "client_class"]


class Loop(asyncio.SelectorEventLoop):
    """An event loop that can abort its connections, even when the server is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.encrypted = False
        self._made: list[asyncio.WriteTransport] = []

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Open a connection, and abort the one before."""
        self.abort()  # nats-py (2.16, November 2026) does not always close it
        made = await super().create_connection(*args, **kwargs)
        self._made.append(made[0])
        self.encrypted = False
        return made

    async def start_tls(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Encrypt a connection, and remember that it is encrypted."""
        transport = await super().start_tls(*args, **kwargs)
        if transport is not None:
            self._made.append(transport)
        self.encrypted = True
        return transport

    def abort(self) -> None:
        """Close all connections at once, and send nothing more."""
        while self._made:
            self._made.pop().abort()


def client_class(
    encrypted: Loop | None, *, has_certificate: bool, has_secret: bool
) -> type[Client]:
    """Return the class of the client to use. With a loop it sends nothing without TLS.

    Without TLS, a client with a secret connects only to the servers that the user named.
    """
    from nats.aio.client import Client
    from nats.errors import SecureConnWantedError

    class Careful(Client):
        """A client that sends user and password only over TLS, if TLS was asked for."""

        # A private method of nats-py, which calls it between the server's INFO and the CONNECT
        # with the user and the password. There is no public hook at that point. Without this,
        # nats-py sends them in plain text when the server does not offer TLS, whatever TLS
        # settings it was given. Inspected with nats-py 2.9.0 and 2.16.0 (November 2026).
        def _connect_command(self) -> bytes:
            if encrypted is not None and not encrypted.encrypted:
                raise SecureConnWantedError
            if self._server_info.get("tls_verify") and not has_certificate:
                # The server would close the connection, and its reason can get lost.
                raise ssl.SSLError(1, "certificate required")
            command: bytes = super()._connect_command()
            return command

        # nats-py adds the servers that a server announces (connect_urls) to its own, and sends
        # them the user and the password as well. nats-py 2.16 has no option against that. The
        # method is a coroutine there, and a plain function in nats-py 2.9.
        def _process_info(self, info: dict[str, Any], *args: bool, **named: bool) -> Any:  # noqa: ANN401
            if has_secret and encrypted is None:
                info = {name: value for name, value in info.items() if name != "connect_urls"}
            return super()._process_info(info, *args, **named)

    return Careful
