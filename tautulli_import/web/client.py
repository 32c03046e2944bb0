"""Make the HTTP client for a server, and read what its answers and failures tell."""

from __future__ import annotations

import email.utils
import re
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .. import __version__
from ..errors import ConfigurationError
from .address import Address
from .trust import may_use_proxy

if TYPE_CHECKING:
    import httpx

__all__ = [
    "CONNECT_SECONDS",
    "PATIENCE",
    "connect_reason",
    "http_client",
    "retry_after",
    "tls_error_in",
]

CONNECT_SECONDS: Final = 10.0
PATIENCE: Final = 4
"""The longest time for one answer, in multiples of the longest silence (``--timeout``)."""


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait, from a number or a date in ``Retry-After``."""
    value = str(response.headers.get("retry-after", "")).strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def tls_error_in(error: BaseException) -> ssl.SSLError | None:
    """Return the error of TLS among an error and its causes; ``None`` if there is none."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, ssl.SSLError):
            return cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def connect_reason(text: str) -> str:
    """Return the text of a failed connection as a message has it: without a number or full stop."""
    text = re.sub(r"\[Errno -?\d+\] ", "", text).rstrip(".")
    return text[:1].lower() + text[1:]


def http_client(
    address: Address,
    headers: Mapping[str, str],
    *,
    verify: ssl.SSLContext | bool,
    timeout: float,
    limits: httpx.Limits,
) -> httpx.Client:
    """Return a client whose answers are limited in time, and that follows no redirect.

    ``timeout`` is the longest silence, in seconds.

    Raises:
        ConfigurationError: the proxy of the environment cannot be used.
    """
    import httpx

    from .deadline import limit_answers

    try:
        client = httpx.Client(
            auth=address.auth,
            headers={"User-Agent": f"tautulli-import/{__version__}"},
            verify=verify,
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS, pool=None),
            limits=limits,
            follow_redirects=False,
            trust_env=may_use_proxy(address.base),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # it can quote a password
        needs = "SOCKS needs the Python package socksio" if isinstance(error, ImportError) else ""
        raise ConfigurationError(
            f"The proxy in ALL_PROXY, HTTPS_PROXY or HTTP_PROXY cannot be used for {address.base}: "
            f"{needs or 'it must begin with http:// or https://'}.",
            hint="Name another proxy there, or name the host of the server in NO_PROXY.",
        ) from None
    client.headers.update(headers)  # also in place of one in other letters
    limit_answers(client)
    return client
