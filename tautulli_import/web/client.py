"""Make the HTTP client for a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ssl import SSLContext
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import ConfigurationError
from .address import Address
from .trust import may_use_proxy

if TYPE_CHECKING:
    import httpx

__all__ = ["connect_reason", "http_client"]


def connect_reason(text: str) -> str:
    """Return the text of a failed connection as a message has it: without a number or full stop."""
    text = re.sub(r"\[Errno -?\d+\] ", "", text).rstrip(".")
    return text[:1].lower() + text[1:]


def http_client(
    address: Address,
    headers: Mapping[str, str],
    *,
    verify: SSLContext | bool,
    timeout: httpx.Timeout,
    limits: httpx.Limits,
) -> httpx.Client:
    """Return a client whose answers are limited in time, and that follows no redirect.

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
            timeout=timeout,
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
