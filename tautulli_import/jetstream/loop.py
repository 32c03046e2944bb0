"""What nats-py is given to live on: a loop that knows its connections, and a careful client."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nats.aio.client import Client

__all__ = ["Loop", "client_class"]


class Loop(asyncio.SelectorEventLoop):
    """Knows its connections, so that a frozen server cannot keep one from being closed."""

    def __init__(self) -> None:
        super().__init__()
        self.encrypted = False
        self._made: list[asyncio.WriteTransport] = []

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Open one in place of the last, which nats-py does not always close."""
        self.abort()
        made = await super().create_connection(*args, **kwargs)
        self._made.append(made[0])
        self.encrypted = False
        return made

    async def start_tls(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Encrypt one, and remember that."""
        transport = await super().start_tls(*args, **kwargs)
        if transport is not None:
            self._made.append(transport)
        self.encrypted = True
        return transport

    def abort(self) -> None:
        """Close all connections without another word."""
        while self._made:
            self._made.pop().abort()


def client_class(encrypted: Loop | None, *, has_certificate: bool) -> type[Client]:
    """The client to use; with a loop it insists on TLS being there."""
    from nats.aio.client import Client
    from nats.errors import SecureConnWantedError

    class Careful(Client):
        """Says who we are only when TLS is there, if it was asked for."""

        def _connect_command(self) -> bytes:
            if encrypted is not None and not encrypted.encrypted:
                raise SecureConnWantedError
            if self._server_info.get("tls_verify") and not has_certificate:
                # It would close the connection, and why may be lost on the way.
                raise ssl.SSLError(1, "certificate required")
            command: bytes = super()._connect_command()
            return command

    return Careful
