"""Parse the URL of a server. It can have the user and password of a proxy in front of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import takewhile
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from ..errors import ConfigurationError
from ..formatting import harmless

__all__ = ["Address", "is_nearby", "parse_url", "root_before"]

_FORBIDDEN: Final = frozenset('<>"{}|\\^`')
# Loopback, private (RFC 1918, 4193), link-local and carrier-grade NAT (RFC 6598, Tailscale).
_NEARBY: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    map(
        ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
            *("100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)


class Address(Struct, frozen=True):
    """The address of a server."""

    base: str
    """Scheme, host, port and HTTP root, without user, query and final slash."""
    auth: tuple[str, str] | None = None
    """User and password for a proxy in front of the server (basic authentication)."""

    def __repr__(self) -> str:
        return f"Address({self.base!r})"


def parse_url(
    text: str, server: str, root_of: Callable[[SplitResult], str], *, hint: str, port: int = 0
) -> Address:
    """Return the address in a URL. The scheme can be missing.

    ``server`` names the server in messages, and ``hint`` shows a correct address. ``root_of``
    returns the HTTP root in the path of a page. ``port`` is the one to use if scheme and port are
    missing.

    Raises:
        ConfigurationError: it is not the URL of a server. The message does not quote it, because
            it can hold a password or a key.
    """
    text = text.strip()
    if not text:
        raise ConfigurationError(f"The URL of {server} is empty.", hint=hint)
    is_bare = "://" not in text
    try:
        parts = urlsplit(f"http://{text}" if is_bare else text)
        host, number = parts.hostname or "", parts.port
        unquote(text).encode()
    except ValueError:
        raise ConfigurationError(f"The URL of {server} cannot be read.", hint=hint) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ConfigurationError(
            f"The URL of {server} must begin with http:// or https://.", hint=hint
        )
    if number is None and is_bare and port:
        number = port
    shown = f"[{host}]" if ":" in host else host
    place = shown if number is None else f"{shown}:{number}"
    base = f"{parts.scheme.lower()}://{place}{root_of(parts)}"
    if not _is_valid(base, host):
        raise ConfigurationError(f"The URL of {server} has no valid host name.", hint=hint)
    auth = _auth(parts)
    if auth and any(part != harmless(part) for part in auth):
        raise ConfigurationError(
            f"The user or the password in the URL of {server} has control characters.", hint=hint
        )
    return Address(base, auth)


def root_before(parts: SplitResult, pages: Collection[str]) -> str:
    """Return the HTTP root in a URL: the part of its path before the first of the pages."""
    kept = takewhile(lambda part: part.lower() not in pages, filter(None, parts.path.split("/")))
    return "".join(f"/{part}" for part in kept)


def is_nearby(host: str) -> bool:
    """Return true for a host on this machine or in a private network. DNS is not asked."""
    host = host.lower().rstrip(".")
    try:
        number = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost"))
    if isinstance(number, IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    return any(number in network for network in _NEARBY)


def _is_valid(base: str, host: str) -> bool:
    """Return whether httpx can send requests to this URL."""
    import httpx

    labels = [] if ":" in host else host.removesuffix(".").split(".")
    if not host or not base.isprintable() or any(c.isspace() or c in _FORBIDDEN for c in base):
        return False
    if any(not 0 < len(label) < 64 for label in labels):
        return False
    try:
        return httpx.URL(f"{base}/api").host != ""
    except (httpx.InvalidURL, UnicodeError):
        return False


def _auth(parts: SplitResult) -> tuple[str, str] | None:
    if not parts.username and not parts.password:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")
