"""Name a NATS server, the stream on it, and the user to connect as."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..errors import ConfigurationError

__all__ = ["SERVER", "STREAM", "Access", "check_name"]

SERVER: Final = "nats://127.0.0.1:4222"
STREAM: Final = "MEDIA_EVENTS"
# nats-server stores streams and consumers in folders of these names, and they are parts of
# subjects. Dots, * and > mean something there, and control characters would end the command.
_NAME: Final = re.compile(r"[^\s.*>/\\\x00-\x20\x7f]{1,255}")
_NEXT: Final = re.compile(r",(?=\s*(?:nats|tls)://)")


def check_name(name: str, what: str, option: str) -> None:
    """Refuse a name that NATS does not take for a stream, a consumer or a part of a subject.

    ``what`` says what is named, and ``option`` where, both for the message.

    Raises:
        ConfigurationError: NATS does not take the name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of {what}.",
            hint=f"Use {option} with a name that has no spaces, dots, slashes, * or > in it.",
        )


class Access(Struct, frozen=True):
    """The settings of a connection. Its ``repr`` shows no secret."""

    url: str = SERVER
    """The address of a server, or of several servers of one cluster, separated by commas."""
    user: str = ""
    password: str = ""
    token: str = ""
    creds: Path | None = None
    """A credentials file in the format of ``nsc``."""
    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    tls_first: bool = False
    """The server expects the TLS handshake before it sends anything."""
    stream: str = STREAM
    timeout: float = 5.0
    """Seconds to wait for one answer."""
    patience: float = 60.0
    """Seconds to wait for a server that was there and is gone."""

    def __repr__(self) -> str:
        return f"Access({self.shown})"

    @property
    def shown(self) -> str:
        """Return the addresses for messages, without user, password and token."""
        return ",".join(_without_secrets(one) for one in self.servers)

    @property
    def servers(self) -> list[str]:
        """Return the addresses, each with a scheme. A password may contain commas."""
        found: list[str] = []
        for part in _NEXT.split(self.url):
            user, at, hosts = part.rpartition("@")
            first, *more = hosts.split(",")
            found += filter(None, map(str.strip, (user + at + first, *more)))
        return [one if "://" in one else f"nats://{one}" for one in found]


def _without_secrets(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
