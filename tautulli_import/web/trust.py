"""Decide which certificates and which proxies a connection may use."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from .address import is_nearby

__all__ = ["may_use_proxy", "trust"]


def may_use_proxy(base: str) -> bool:
    """Return true if a proxy of the environment may be used for an address.

    A proxy can read a secret on its way to an ``http://`` address. A server on this machine or in a
    private network is reached without it.
    """
    parts = urlsplit(base)
    return parts.scheme == "https" or not is_nearby(parts.hostname or "")


def trust(
    base: str,
    ca_file: Path | None,
    *,
    insecure: bool,
    client: tuple[Path | None, Path | None] = (None, None),
    option: str = "--ca-file",
) -> ssl.SSLContext | bool:
    """Return the TLS settings: trust the system's certificates and those of ``ca_file``.

    ``client`` is a client certificate and its key. ``option`` is the option that named
    ``ca_file``, for the hint.

    Raises:
        ConfigurationError: a certificate file cannot be used.
    """
    certificate, key = client
    if not base.startswith("https:"):
        if certificate is not None:
            raise ConfigurationError(
                "A client certificate needs HTTPS.",
                hint="Use a --url that begins with https://, or leave --client-cert out.",
            )
        return False  # loading certificates would take half a second for nothing
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except FileNotFoundError:
            raise ConfigurationError(
                f"There is no file {ca_file}.", hint=f"Give {option} a PEM file."
            ) from None
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"{ca_file} cannot be used as a certificate: {error}.",
                hint=f"Give {option} a PEM file.",
            ) from None
    if certificate is not None:
        try:
            # Without a password, OpenSSL asks on the terminal for a key's passphrase.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", "") or error.args[-1]
            raise ConfigurationError(
                f"{certificate} and {key} cannot be used as a client certificate: {reason}.",
                hint="Use files in PEM format. The key must belong to the certificate, and must "
                "not have a passphrase.",
            ) from None
    return context
