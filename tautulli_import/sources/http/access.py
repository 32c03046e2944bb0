"""Hold what a connection to Tautulli needs: address, secrets, timeout and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from ...errors import ConfigurationError
from .address import Address, is_nearby

__all__ = ["CONNECT_SECONDS", "Access", "may_use_proxy", "trust"]

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
    """Where to send the key. ``None``: in the body, or in the query if POST is refused.

    Tautulli 2.17.2 ignores the header ``X-Api-Key`` for its API, so ``header`` sends both.
    """
    headers: Sequence[tuple[str, str]] = ()
    """More headers to send, for a proxy."""
    client_cert: Path | None = None
    client_key: Path | None = None

    def __repr__(self) -> str:
        return f"Access({self.address.base!r})"


def may_use_proxy(access: Access) -> bool:
    """Return true if a proxy of the environment may be used.

    A proxy can read the key on its way to an ``http://`` address. A server on this machine or in a
    private network is reached without it.
    """
    parts = urlsplit(access.address.base)
    return parts.scheme == "https" or not is_nearby(parts.hostname or "")


def trust(access: Access) -> ssl.SSLContext | bool:
    """Return the TLS settings: trust the system's certificates and those of ``--ca-file``.

    Raises:
        ConfigurationError: a certificate file cannot be used.
    """
    if not access.address.base.startswith("https:"):
        if access.client_cert is not None:
            raise ConfigurationError(
                "A client certificate needs HTTPS.",
                hint="Use a --url that begins with https://, or leave --client-cert out.",
            )
        return False  # loading certificates would take half a second for nothing
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
                hint="Give --ca-file a PEM file.",
            ) from None
    if access.client_cert is not None:
        try:
            # Without a password, OpenSSL asks on the terminal for a key's passphrase.
            context.load_cert_chain(access.client_cert, access.client_key, password=lambda: "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", "") or error.args[-1]
            raise ConfigurationError(
                f"{access.client_cert} and {access.client_key} cannot be used as a client "
                f"certificate: {reason}.",
                hint="Use files in PEM format. The key must belong to the certificate, and must "
                "not have a passphrase.",
            ) from None
    return context
