"""Make the address of Tautulli's API from the URL that a person gives.

The scheme can be missing (``192.168.1.10:8181``). The URL can be that of a page
(``https://example.org/tautulli/home#tab``). It can have the user and password of a proxy
(``http://me:secret@nas``). The list of pages is that of Tautulli 2.17.2.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult

from ...web.address import Address, parse_url

__all__ = ["parse_address"]

_PAGES: Final = frozenset(
    {
        *("home", "index.html", "library", "libraries", "user", "users", "history", "graphs"),
        *("synced", "logs", "settings", "auth", "login", "logout", "newsletter", "newsletters"),
        *("api", "welcome", "import_database", "export", "recently_added"),
    }
)
_HINT: Final = (
    "Use the address of Tautulli in your browser, for example --url http://192.168.1.10:8181"
)


def parse_address(text: str) -> Address:
    """Return the address in a URL.

    Raises:
        ConfigurationError: it is not the URL of a server. The message does not quote it, because
            it can hold a password or a key.
    """
    return parse_url(text, "Tautulli", _root, hint=_HINT)


def _root(parts: SplitResult) -> str:
    """Return the HTTP root: the part of the path before the first page of Tautulli."""
    kept: list[str] = []
    pages = _PAGES | {"info", "status"} if parts.query else _PAGES
    for part in filter(None, parts.path.split("/")):
        if part.lower() in pages:
            break
        kept.append(part)
    return "".join(f"/{part}" for part in kept)
