"""Where Tautulli is: what people paste, made into the address of its API.

``192.168.1.10:8181``, ``https://example.org/tautulli/home#tab``, ``http://me:secret@nas``: the
scheme can be missing, a page of the web interface can be named, and a proxy's user and
password can stand in it. Tautulli's own pages were listed from its 2.17.2.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from ...errors import ConfigurationError

__all__ = ["Address", "parse_address"]

_PAGES: Final = frozenset(
    {
        *("home", "index.html", "library", "libraries", "user", "users", "history", "graphs"),
        *("synced", "logs", "settings", "auth", "login", "logout", "newsletter", "newsletters"),
        *("api", "welcome", "import_database", "export", "recently_added"),
    }
)
_NEVER: Final = frozenset('<>"{}|\\^`')
_HINT: Final = "Write it as you open Tautulli in a browser, for example http://192.168.1.10:8181"


class Address(Struct, frozen=True):
    """A Tautulli server's address."""

    base: str
    """Scheme, host, port and HTTP root; no user, no query, no slash at the end."""
    auth: tuple[str, str] | None = None
    """User and password for a proxy in front (basic authentication)."""

    def __repr__(self) -> str:
        return f"Address({self.base!r})"

    @property
    def endpoint(self) -> str:
        """Where the API answers."""
        return f"{self.base}/api/v2"


def parse_address(text: str) -> Address:
    """The server that is meant by ``text``.

    Raises:
        ConfigurationError: it is no address. The message does not quote it, for it can hold
            a password or a key.
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
            "The URL of Tautulli begins neither with http:// nor with https://.", hint=_HINT
        )
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    base = f"{parts.scheme.lower()}://{place}{_root(parts)}"
    if not _can_be_asked(base, host):
        raise ConfigurationError("The URL of Tautulli names no server.", hint=_HINT)
    return Address(base, _auth(parts))


def _can_be_asked(base: str, host: str) -> bool:
    """Whether it is an address that a request can be made of."""
    import httpx

    labels = [] if ":" in host else host.removesuffix(".").split(".")
    if not host or not base.isprintable() or any(c.isspace() or c in _NEVER for c in base):
        return False
    if any(not 0 < len(label) < 64 for label in labels):
        return False
    try:
        return httpx.URL(f"{base}/api/v2").host != ""
    except (httpx.InvalidURL, UnicodeError):
        return False


def _root(parts: SplitResult) -> str:
    """The HTTP root: what stands before the first part that is a page of Tautulli's own."""
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
