"""Turn exceptions of httpx into failures with a message and a hint."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

from ...errors import (
    ConfigurationError,
    SourceUnreachableError,
    UnansweredError,
    UnauthorisedError,
)
from ...web.client import CONNECT_SECONDS, connect_reason, tls_error_in
from .access import Access
from .responses import CERTIFICATE_HINT, MOST_TRIES, Failure, Request, failure

__all__ = ["failure_of"]

_MORE_TIME = "Allow more time with --timeout SECONDS."
# How OpenSSL 3 names the alerts of a server that wants another certificate, or any at all.
_CLIENT_CERTIFICATE = re.compile(
    r"(bad|unsupported) certificate|unknown ca|"
    r"certificate (required|expired|revoked|unknown)"
)


def failure_of(error: Exception, text: str, access: Access, *, reached: bool) -> Failure:
    """Return the failure for an exception of httpx. ``text`` is its text without secrets.

    If the server was ``reached`` before, more tries are worth it.

    Raises:
        Exception: ``error`` itself, if it is not an exception of httpx.
    """
    import httpx

    if not isinstance(error, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError | OSError):
        raise error
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return failure(ConfigurationError, f"cannot be requested: {text}", "Correct --url.", 1)
    if isinstance(error, httpx.ProxyError):
        hint = "Check the proxy in HTTP_PROXY, HTTPS_PROXY and NO_PROXY."
        return _not_connected(text, hint, 3, through=" through the proxy")
    if "ALERT" in text and (certificate := _CLIENT_CERTIFICATE.search(text)):
        said = f"does not accept the client certificate: {certificate.group()}"
        if access.client_cert is None:
            said = "requires a client certificate"
        return failure(UnauthorisedError, said, CERTIFICATE_HINT, 1)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _no_connection(error, text, access, reached=reached)
    if isinstance(error, httpx.TimeoutException):
        silent = f"sent nothing for {access.timeout:g} seconds"
        return failure(UnansweredError, silent, _MORE_TIME, 2, smaller=True)
    if isinstance(error, httpx.DecodingError):
        return failure(
            UnansweredError,
            "sent an answer that cannot be decompressed",
            "Check whether a proxy in front of Tautulli cuts answers off.",
            4,
        )
    hint = "Tautulli may be restarting, or a proxy in front of it cuts answers off."
    if not reached and access.address.base.startswith("http://"):
        hint += " If it uses HTTPS, the URL must begin with https://"
    broken = f"broke off: {text.rstrip('.') or type(error).__name__}"
    return failure(UnansweredError, broken, hint, 5 if reached else 3)


def _no_connection(error: Exception, text: str, access: Access, *, reached: bool) -> Failure:
    """Return the failure for an exception while connecting."""
    import httpx

    cause = tls_error_in(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return failure(
            SourceUnreachableError,
            f"has a certificate that is not trusted: {cause.verify_message or text}",
            "Use the certificate of your own authority with --ca-file FILE, or accept any "
            "certificate with --insecure.",
            1,
        )
    if cause is not None:
        hint = "If it uses plain HTTP, the URL must begin with http://"
        if "handshake failure" in text:  # TLS 1.2 does not tell what is missing
            hint = "If it requires a client certificate: --client-cert FILE --client-key FILE"
        return failure(SourceUnreachableError, f"does not use HTTPS correctly: {text}", hint, 1)
    hint = "Check that Tautulli is running and that the address is right."
    if urlsplit(access.address.base).port is None and not reached:
        hint += " The URL has no port; Tautulli's default port is 8181."
    if isinstance(error, httpx.ConnectTimeout):
        text = f"no connection within {CONNECT_SECONDS:g} seconds"
    return _not_connected(text, hint, MOST_TRIES if reached else 3)


def _not_connected(reason: str, hint: str, tries: int, *, through: str = "") -> Failure:
    """Return the failure for a server that cannot be reached."""
    reason = connect_reason(reason)

    def error(request: Request) -> SourceUnreachableError:
        tried = f", tried {request.attempt} times" if request.attempt > 1 else ""
        return SourceUnreachableError(
            f"Cannot connect to Tautulli at {request.server}{through} ({reason}{tried}).",
            hint=hint,
        )

    return Failure(error, tries=tries)
