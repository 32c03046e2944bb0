"""Name a Tautulli, with the secrets and certificates for it.

The scheme of its URL can be missing (``192.168.1.10:8181``). The URL can be that of a page
(``https://example.org/tautulli/home#tab``). It can have the user and password of a proxy
(``http://me:secret@nas``). The list of pages is that of Tautulli 2.17.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult

from msgspec import Struct

from ...web.address import Address, parse_url, root_before

__all__ = ["Access", "parse_address"]

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


class Access(Struct, frozen=True):
    """The address of a Tautulli and how to connect to it. No secret in it must be shown."""

    address: Address
    api_key: str
    timeout: float = 120.0
    """Seconds to wait for data. A NAS can take a minute for a page."""
    ca_file: Path | None = None
    insecure: bool = False
    key_in: Literal["body", "query", "header"] | None = None
    """The place of the key. ``None``: the body, or the query if POST is refused.

    Tautulli 2.17.2 ignores the header ``X-Api-Key`` for its API, so ``header`` sends both.
    """
    headers: Sequence[tuple[str, str]] = ()
    """More headers to send, for a proxy."""
    client_cert: Path | None = None
    client_key: Path | None = None

    def __repr__(self) -> str:
        return f"Access({self.address.base!r})"

    @property
    def endpoint(self) -> str:
        """The URL of the API."""
        return f"{self.address.base}/api/v2"


def parse_address(text: str) -> Address:
    """Return the address in a URL.

    Raises:
        ConfigurationError: it is not the URL of a server. The message does not quote it, because
            it can hold a password or a key.
    """
    return parse_url(text, "Tautulli", _root, hint=_HINT)


def _root(parts: SplitResult) -> str:
    """Return the HTTP root: the part of the path before the first page of Tautulli."""
    return root_before(parts, _PAGES | {"info", "status"} if parts.query else _PAGES)
