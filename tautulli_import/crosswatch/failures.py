"""Turn failed requests to CrossWatch into errors with a hint."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from ..errors import (
    ConfigurationError,
    NotFoundError,
    SinkError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
)
from ..web.client import connect_reason, tls_error_in
from .access import CREATE_ONE, PORT, Access

__all__ = [
    "error_of",
    "no_password",
    "not_connected",
    "not_crosswatch",
    "of_answer",
    "other_profile",
]

_TOO_MUCH: Final = frozenset({413, 502, 504})
_MORE_TIME: Final = "Allow more time with --timeout SECONDS."


def error_of(error: Exception, access: Access, redact: Callable[[str], str]) -> TautulliImportError:
    """Return the error for an exception of httpx.

    Raises:
        Exception: ``error`` itself, if it is not an exception of httpx.
    """
    import httpx

    if isinstance(error, TautulliImportError):
        return error
    if not isinstance(error, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError | ssl.SSLError):
        raise error
    where = f"CrossWatch at {access.address.base}"
    text = redact(" ".join(str(error).split())).rstrip(".") or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _no_connection(error, text, access)
    if isinstance(error, httpx.ProxyError):
        return SourceUnreachableError(
            f"Cannot connect to {where} through the proxy ({connect_reason(text)}).",
            hint="Check the proxy in HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    if isinstance(error, httpx.TimeoutException):
        return UnansweredError(f"{where} sent nothing in time.", hint=_MORE_TIME)
    return UnansweredError(
        f"The connection to {where} broke: {text}.",
        hint="CrossWatch may be restarting. Run the same command again.",
    )


def _no_connection(error: Exception, text: str, access: Access) -> TautulliImportError:
    base = access.address.base
    cause = tls_error_in(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceUnreachableError(
            f"CrossWatch at {base} has a certificate that is not trusted: "
            f"{cause.verify_message or text}.",
            hint="CrossWatch made its own: tls/crosswatch.crt in its configuration directory. "
            "Use it with --crosswatch-ca-file FILE, or accept any certificate with --insecure.",
        )
    hint = "Check that CrossWatch is running, and the address in --crosswatch-url."
    if urlsplit(base).port is None:
        hint += f" The URL has no port; CrossWatch's default port is {PORT}."
    return SourceUnreachableError(
        f"Cannot connect to CrossWatch at {base} ({connect_reason(text)}).", hint=hint
    )


def not_crosswatch(base: str, path: str) -> NotFoundError:
    """Return the error for an answer that CrossWatch would not give."""
    return NotFoundError(
        f"{base} does not answer {path.partition('?')[0]} as CrossWatch does.",
        hint="Check the address in --crosswatch-url.",
    )


def of_answer(
    status: int, said: str, code: str, location: str, access: Access
) -> TautulliImportError:
    """Return the error for an answer with an error in it.

    ``said`` is the text in it, without secrets. ``location`` is where it redirects to.
    """
    base = access.address.base
    where = f"CrossWatch at {base}"
    reason = f"{said.rstrip('.')}" if said else f"HTTP status {status}"
    if status in _TOO_MUCH:
        return UnansweredError(f"{where} could not handle a request: {reason}.", hint=_MORE_TIME)
    if status == 401:
        return UnauthorisedError(f"{where} does not accept the token.", hint=CREATE_ONE)
    if status == 403 and "setup required" in said.lower():
        return no_password(base)
    if status == 403:
        return UnauthorisedError(
            f"{where} does not allow the user of this token to do that: {reason}.",
            hint="In CrossWatch, allow the user to write to this profile, or use the token of an "
            "administrator.",
        )
    if 300 <= status < 400:
        return _redirected(base, location)
    if code == "import_target_unavailable":
        return not_connected(base, access.profile)
    if status == 404:
        return not_crosswatch(base, "a request")
    return SinkError(
        f"{where} failed: {reason}.", hint="See the log of CrossWatch. Then run it again."
    )


def _redirected(base: str, location: str) -> ConfigurationError:
    """Return the error for a redirect. Its hint names no other host to give the token to."""
    try:
        target = urlsplit(location)
        is_here = target.hostname in (None, urlsplit(base).hostname)
        host = target.netloc.rpartition("@")[2] or "another page"
    except ValueError:
        is_here, host = False, "an invalid address"
    use = "Use that address with --crosswatch-url. " if is_here else ""
    return ConfigurationError(
        f"{base} redirects to {host}, which is not followed, because the token would go with it.",
        hint=f"{use}If that is a login page, let /api pass without it.",
    )


def no_password(base: str) -> SinkError:
    """Return the error for a CrossWatch that nobody has set up."""
    return SinkError(
        f"CrossWatch at {base} has no password yet, so it refuses every request.",
        hint=f"Open {base} in a browser and set a password. {CREATE_ONE}",
    )


def not_connected(base: str, profile: str) -> SinkError:
    """Return the error for a profile without a tracker."""
    return SinkError(
        f"The CrossWatch tracker of the profile {profile} at {base} is not connected.",
        hint=f"Open {base} in a browser and connect the provider CrossWatch in Settings.",
    )


def other_profile(base: str, answered: str, asked: str) -> SinkError:
    """Return the error for an answer about another profile. An unknown one becomes ``default``."""
    return SinkError(
        f"CrossWatch at {base} answered for the profile {answered}, not for {asked}.",
        hint="Check the tracker of both profiles, and report this.",
    )
