"""What it takes to get at a Tautulli: address, key, patience, and whom to trust."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from msgspec import Struct

from ...errors import ConfigurationError
from .address import Address

__all__ = ["CONNECT_SECONDS", "Access", "trust"]

CONNECT_SECONDS: Final = 10.0


class Access(Struct, frozen=True):
    """How to get at a Tautulli. Its ``repr`` must not be shown: the key is in it."""

    address: Address
    api_key: str
    timeout: float = 120.0
    """Seconds that it may be silent; a NAS can take a minute for a page."""
    ca_file: Path | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Access({self.address.base!r})"


def trust(access: Access) -> ssl.SSLContext | bool:
    """Whose certificates are believed: the system's, and those of ``--ca-file``."""
    if not access.address.base.startswith("https:"):
        return False  # nothing to verify, and no half a second for loading certificates
    context = ssl.create_default_context()
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.ca_file is not None:
        try:
            context.load_verify_locations(access.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"{access.ca_file} cannot be used as a certificate: {error}.",
                hint="--ca-file takes a PEM file.",
            ) from None
    return context
