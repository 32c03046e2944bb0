"""Which NATS server is meant, and who we are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

__all__ = ["NAME", "SERVER", "STREAM", "Access"]

SERVER: Final = "nats://127.0.0.1:4222"
STREAM: Final = "MEDIA_EVENTS"
NAME: Final = re.compile(r"[^\s.*>/\\]{1,255}")
"""What NATS takes as the name of a stream or a consumer."""
_NEXT: Final = re.compile(r",(?=\s*(?:nats|tls)://)")


class Access(Struct, frozen=True):
    """Everything that is needed to connect. Its ``repr`` shows no secret."""

    url: str = SERVER
    """One address, or several of one cluster with commas between them."""
    user: str = ""
    password: str = ""
    token: str = ""
    creds: Path | None = None
    """A credentials file, as ``nsc`` writes it."""
    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    tls_first: bool = False
    """Whether the server wants TLS before it says anything."""
    stream: str = STREAM
    timeout: float = 5.0
    """Seconds that a server may take for one answer."""
    patience: float = 60.0
    """Seconds that it may be gone altogether, once it was there."""

    def __repr__(self) -> str:
        return f"Access({self.shown})"

    @property
    def shown(self) -> str:
        """The address for messages: without user, password and token."""
        return ",".join(_without_secrets(one) for one in self.servers)

    @property
    def servers(self) -> list[str]:
        """The addresses, each with a scheme. A password may have commas in it."""
        found: list[str] = []
        for part in _NEXT.split(self.url):
            user, at, hosts = part.rpartition("@")
            first, *more = hosts.split(",")
            found += filter(None, map(str.strip, (user + at + first, *more)))
        return [one if "://" in one else f"nats://{one}" for one in found]


def _without_secrets(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
