"""What can go wrong on the way to a server, as a sentence and what to do about it."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

from ...errors import ConfigurationError, SourceUnreachableError, UnansweredError
from .access import CONNECT_SECONDS, Access
from .responses import MOST_TRIES, Failure, failure

__all__ = ["trouble"]

_MORE_TIME = "Give it more time: --timeout SECONDS."


def trouble(error: Exception, said: str, access: Access, *, reached: bool) -> Failure:
    """The failure behind an exception of httpx; ``said`` is its text without secrets.

    ``reached`` says whether the server has answered before: then it is worth waiting for.

    Raises:
        Exception: ``error`` itself, when it is none of httpx's.
    """
    import httpx

    if not isinstance(error, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError | OSError):
        raise error
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return failure(ConfigurationError, f"cannot be asked: {said}", "Correct --url.", 1)
    if isinstance(error, httpx.ProxyError):
        return failure(
            SourceUnreachableError,
            f"cannot be reached through the proxy: {said}",
            "HTTP_PROXY, HTTPS_PROXY and NO_PROXY say which proxy is used.",
            3,
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _no_connection(error, said, access, reached=reached)
    if isinstance(error, httpx.TimeoutException):
        silent = f"was silent for {access.timeout:g} seconds"
        return failure(UnansweredError, silent, _MORE_TIME, 2, smaller=True)
    if isinstance(error, httpx.DecodingError):
        return failure(
            UnansweredError,
            "sent an answer that cannot be unpacked",
            "Does a proxy in front cut answers off?",
            4,
        )
    hint = "Is Tautulli restarting, or does a proxy in front cut answers off?"
    if not reached and access.address.base.startswith("http://"):
        hint += " Or does it speak HTTPS? Then the URL begins with https://"
    broke = f"broke off: {said.rstrip('.') or type(error).__name__}"
    return failure(UnansweredError, broke, hint, 5 if reached else 3)


def _no_connection(error: Exception, said: str, access: Access, *, reached: bool) -> Failure:
    import httpx

    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return failure(
                SourceUnreachableError,
                f"has a certificate that is not trusted: {cause.verify_message or said}",
                "Name your own authority's certificate with --ca-file FILE, or accept any "
                "with --insecure.",
                1,
            )
        if isinstance(cause, ssl.SSLError):
            return failure(
                SourceUnreachableError,
                f"does not speak HTTPS as it should: {said}",
                "Does it speak plain HTTP? Then the URL begins with http://",
                1,
            )
    hint = "Is Tautulli running, and is the address right?"
    if urlsplit(access.address.base).port is None and not reached:
        hint += " Tautulli's own port is 8181, and the URL names none."
    if isinstance(error, httpx.ConnectTimeout):
        said = f"no connection within {CONNECT_SECONDS:g} seconds"
    said = re.sub(r"\[Errno -?\d+\] ", "", said)
    tries = MOST_TRIES if reached else 3
    return failure(SourceUnreachableError, f"cannot be reached: {said}", hint, tries)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and everything behind it."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
