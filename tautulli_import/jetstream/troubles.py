"""What can go wrong with a NATS server, as a sentence and what to do about it."""

from __future__ import annotations

import base64
import binascii
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

__all__ = ["JETSTREAM_OFF", "no_connection", "not_permitted", "words"]

JETSTREAM_OFF: Final = (
    "Start the server with JetStream (nats-server -js), or have it enabled for this account."
)
_REFUSED: Final = re.compile("authori[sz]ation|authentication", re.IGNORECASE)
_JWT: Final = re.compile(rb"BEGIN NATS USER JWT-+\s+[\w-]+\.([\w-]+)\.[\w-]+\s")


class _Claims(Struct):
    exp: int = 0


def words(error: BaseException) -> str:
    """The error in a few words. No address, user or password is in them."""
    import nats.errors

    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", "") or error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, nats.errors.UnexpectedEOF):
        return "the connection broke"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = str(error)
    if "Connect call failed" in said:  # asyncio has tried several addresses of one name
        return "nothing listens there"
    if isinstance(error, OSError):
        said = error.strerror or said
    said = said.removeprefix("nats: ").strip().strip("'").rstrip(".")
    return said or type(error).__name__


def no_connection(error: Exception, server: str, access: Access) -> TautulliImportError:
    """Why there is no connection to ``server`` (its address without secrets)."""
    import nats.errors

    where = f"NATS at {server}"
    said = words(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceUnreachableError(
            f"{where} has a certificate that is not trusted: {error.verify_message or said}.",
            hint="Name your own authority's certificate with --nats-ca-file FILE.",
        )
    if isinstance(error, ssl.SSLError):
        if "certificate required" in said.lower().replace("_", " "):
            return UnauthorisedError(
                f"{where} wants a TLS certificate of ours.",
                hint="Name it and its key with --nats-cert FILE and --nats-key FILE.",
            )
        return SourceUnreachableError(
            f"{where} does not speak TLS as it should: {said}.",
            hint="Does it speak TLS at all, and from the first byte on (--nats-tls-first)?",
        )
    if isinstance(error, nats.errors.SecureConnWantedError):
        return SourceUnreachableError(
            f"{where} does not offer TLS, and without it nothing is sent.",
            hint="Switch TLS on in the server, or use nats:// and no certificates.",
        )
    if _REFUSED.search(said):
        return UnauthorisedError(f"{where} does not let us in: {said}.", hint=_who(access))
    if "expecting INFO" in said or isinstance(error, ValueError):
        return SourceUnreachableError(
            f"{where} is no NATS server: it answers in another language.",
            hint="Is the port right? NATS has 4222 for its clients.",
        )
    hint = "Is nats-server running, and is the address right?"
    if access.tls_first:
        hint += " One that does not want TLS from the first byte on is asked without "
        hint += "--nats-tls-first."
    elif isinstance(error, TimeoutError):
        hint += " One that wants TLS from the first byte on is silent, too: --nats-tls-first."
    return SourceUnreachableError(f"{where} cannot be reached: {said}.", hint=hint)


def not_permitted(said: str, server: str) -> UnauthorisedError:
    """What the server said when it refused a subject."""
    said = said[:1].upper() + said[1:]
    return UnauthorisedError(
        f"NATS at {server} does not permit it: {said}.",
        hint="The user needs to publish to playback.> and $JS.API.>, $JS.ACK.> to consume, and "
        "to subscribe to _INBOX.>",
    )


def _who(access: Access) -> str:
    if access.creds:
        ended = _expiry(access.creds)
        if ended and ended < time.time():
            when = datetime.fromtimestamp(ended, UTC)
            return f"The credentials in {access.creds} have expired on {when:%Y-%m-%d}."
        return f"Are the credentials in {access.creds} for this server?"
    if access.token:
        return "Is the token the right one for this server? (--nats-token-file)"
    if access.user or "@" in access.url:
        return "Are --nats-user and --nats-password-file right for this server?"
    return (
        "It wants to know who we are: --nats-user and --nats-password-file, --nats-token-file, "
        "or --nats-creds."
    )


def _expiry(creds: Path) -> int:
    """When the credentials expire, epoch seconds; 0 for never, or when nobody can tell."""
    try:
        found = _JWT.search(creds.read_bytes())
        if found is None:
            return 0
        return msgspec.json.decode(base64.urlsafe_b64decode(found[1] + b"=="), type=_Claims).exp
    except (OSError, binascii.Error, msgspec.DecodeError):
        return 0
