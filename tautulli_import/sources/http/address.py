"""Make the address of Tautulli's API from the URL that a person gives.

The scheme can be missing (``192.168.1.10:8181``). The URL can be that of a page
(``https://example.org/tautulli/home#tab``). It can have the user and password of a proxy
(``http://me:secret@nas``). The list of pages is that of Tautulli 2.17.2.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from ...errors import ConfigurationError
from ...formatting import harmless

__all__ = ["Address", "is_nearby", "parse_address"]

_PAGES: Final = frozenset(
    {
        *("home", "index.html", "library", "libraries", "user", "users", "history", "graphs"),
        *("synced", "logs", "settings", "auth", "login", "logout", "newsletter", "newsletters"),
        *("api", "welcome", "import_database", "export", "recently_added"),
    }
)
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
_HINT: Final = (
    "Use the address of Tautulli in your browser, for example --url http://192.168.1.10:8181"
)


class Address(Struct, frozen=True):
    """A Tautulli server's address."""

    base: str
    """Scheme, host, port and HTTP root, without user, query and final slash."""
    auth: tuple[str, str] | None = None
    """User and password for a proxy in front of Tautulli (basic authentication)."""

    def __repr__(self) -> str:
        return f"Address({self.base!r})"

    @property
    def endpoint(self) -> str:
        """The URL of the API."""
        return f"{self.base}/api/v2"


def parse_address(text: str) -> Address:
    """Return the address in a URL.

    Raises:
        ConfigurationError: it is not the URL of a server. The message does not quote it, because
            it can hold a password or a key.
    """
    text = text.strip()
    if not text:
        raise ConfigurationError("The URL of Tautulli is empty.", hint=_HINT)
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        unquote(text).encode()
    except ValueError:
        raise ConfigurationError("The URL of Tautulli cannot be read.", hint=_HINT) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ConfigurationError(
            "The URL of Tautulli must begin with http:// or https://.", hint=_HINT
        )
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    base = f"{parts.scheme.lower()}://{place}{_root(parts)}"
    if not _is_valid(base, host):
        raise ConfigurationError("The URL of Tautulli has no valid host name.", hint=_HINT)
    auth = _auth(parts)
    if auth and any(part != harmless(part) for part in auth):
        raise ConfigurationError(
            "The user or the password in the URL of Tautulli has control characters.", hint=_HINT
        )
    return Address(base, auth)


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
        return httpx.URL(f"{base}/api/v2").host != ""
    except (httpx.InvalidURL, UnicodeError):
        return False


def _root(parts: SplitResult) -> str:
    """Return the HTTP root: the part of the path before the first page of Tautulli."""
    kept: list[str] = []
    pages = _PAGES | {"info", "status"} if parts.query else _PAGES
    for part in filter(None, parts.path.split("/")):
        if part.lower() in pages:
            break
        kept.append(part)
    return "".join(f"/{part}" for part in kept)


def _auth(parts: SplitResult) -> tuple[str, str] | None:
    if not parts.username and not parts.password:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")
