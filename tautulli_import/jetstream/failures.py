"""Turn errors of nats-py and of the network into errors with a hint."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..errors import SourceUnreachableError, TautulliImportError, UnauthorisedError
from .access import Access

__all__ = ["JETSTREAM_OFF", "no_connection", "not_permitted", "short_reason"]

JETSTREAM_OFF: Final = (
    "Start the server with JetStream (nats-server -js), or enable JetStream for this account."
)
_REFUSED: Final = re.compile("authori[sz]ation|authentication", re.IGNORECASE)
_JWT: Final = re.compile(rb"BEGIN NATS USER JWT-+\s+[\w-]+\.([\w-]+)\.[\w-]+\s")


class _Claims(Struct):
    exp: int = 0


def short_reason(error: BaseException) -> str:
    """Return the error in a few words, without address, user or password."""
    import nats.errors

    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", "") or error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return "unknown host name"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, nats.errors.UnexpectedEOF):
        return "the connection broke"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = str(error)
    if "Connect call failed" in said:  # asyncio tried several addresses of one name
        return "connection refused"
    if isinstance(error, OSError):
        said = error.strerror or said
    said = said.removeprefix("nats: ").strip().strip("'").rstrip(".")
    return said or type(error).__name__


def no_connection(error: Exception, server: str, access: Access) -> TautulliImportError:
    """Return the error to raise when connecting to ``server`` failed.

    ``server`` is the address without secrets.
    """
    import nats.errors

    where = f"NATS at {server}"
    said = short_reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceUnreachableError(
            f"{where} has a certificate that is not trusted: {error.verify_message or said}.",
            hint="If it is from your own authority, use --nats-ca-file FILE.",
        )
    if isinstance(error, ssl.SSLError):
        if "certificate required" in said.lower().replace("_", " "):
            return UnauthorisedError(
                f"{where} requires a client certificate.",
                hint="Use --nats-cert FILE and --nats-key FILE.",
            )
        return SourceUnreachableError(
            f"The TLS handshake with {where} failed: {said}.",
            hint="Check that the server has TLS enabled. If it starts with the TLS handshake, use "
            "--nats-tls-first.",
        )
    if isinstance(error, nats.errors.SecureConnWantedError):
        return SourceUnreachableError(
            f"{where} does not offer TLS, and your options require it.",
            hint="Enable TLS in the server. Or use nats:// in --nats-url and no options for "
            "certificates.",
        )
    if _REFUSED.search(said):
        return UnauthorisedError(f"{where} refused the login: {said}.", hint=_login_hint(access))
    if "expecting INFO" in said or isinstance(error, ValueError):
        return SourceUnreachableError(
            f"{where} is not a NATS server.",
            hint="Check the port in --nats-url. NATS listens for clients on 4222 by default.",
        )
    hint = "Check that nats-server is running, and the address in --nats-url."
    if access.tls_first:
        hint += " If the server does not start with the TLS handshake, leave out --nats-tls-first."
    elif isinstance(error, TimeoutError):
        hint += " If the server starts with the TLS handshake, use --nats-tls-first."
    return SourceUnreachableError(f"Cannot connect to {where} ({said}).", hint=hint)


def not_permitted(said: str, server: str) -> UnauthorisedError:
    """Return the error to raise when the server refused a subject with the words ``said``."""
    said = said[:1].upper() + said[1:]
    return UnauthorisedError(
        f"NATS at {server} refused an operation: {said}.",
        hint="Allow the user to publish to playback.> and $JS.API.> (to consume, to $JS.ACK.> as "
        "well), and to subscribe to _INBOX.>",
    )


def _login_hint(access: Access) -> str:
    """Return the hint for a refused login."""
    if access.creds:
        ended = _expiry(access.creds)
        if ended and ended < time.time():
            when = datetime.fromtimestamp(ended, UTC)
            return (
                f"The credentials in {access.creds} expired on {when:%Y-%m-%d}. Use --nats-creds "
                "with new ones."
            )
        return f"Check that the credentials in {access.creds} are for this server."
    if access.token:
        return "Check the token for this server (--nats-token-file)."
    if access.user or "@" in access.url:
        return "Check the user and the password (--nats-user, --nats-password-file)."
    return "Use --nats-user with --nats-password-file, --nats-token-file, or --nats-creds."


def _expiry(creds: Path) -> int:
    """Return when the credentials expire (epoch seconds, UTC); 0 for never or unknown."""
    try:
        found = _JWT.search(creds.read_bytes())
        if found is None:
            return 0
        return msgspec.json.decode(base64.urlsafe_b64decode(found[1] + b"=="), type=_Claims).exp
    except (OSError, ValueError, msgspec.DecodeError, RecursionError):
        return 0
