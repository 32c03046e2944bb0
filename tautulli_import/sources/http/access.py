"""Hold what a connection to Tautulli needs: address, secrets, timeout and certificates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from ...web.address import Address

__all__ = ["CONNECT_SECONDS", "Access"]

CONNECT_SECONDS: Final = 10.0


class Access(Struct, frozen=True):
    """The address of a Tautulli and how to connect to it. No secret in it must be shown."""

    address: Address
    api_key: str
    timeout: float = 120.0
    """Seconds to wait for data. A NAS can take a minute for a page."""
    ca_file: Path | None = None
    insecure: bool = False
    key_in: Literal["body", "query", "header"] | None = None
    """The place of the key. ``None``: the body, or the query if POST is refused.

    Tautulli 2.17.2 ignores the header ``X-Api-Key`` for its API, so ``header`` sends both.
    """
    headers: Sequence[tuple[str, str]] = ()
    """More headers to send, for a proxy."""
    client_cert: Path | None = None
    client_key: Path | None = None

    def __repr__(self) -> str:
        return f"Access({self.address.base!r})"

    @property
    def endpoint(self) -> str:
        """The URL of the API."""
        return f"{self.address.base}/api/v2"
