"""Name a CrossWatch, the token for it, and the profile that the history goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult

from msgspec import Struct

from ..errors import ConfigurationError
from ..web.address import Address, parse_url, root_before

__all__ = ["CREATE_ONE", "DEFAULT_PROFILE", "PORT", "Access", "check_token", "parse_crosswatch_url"]

PORT: Final = 8787
DEFAULT_PROFILE: Final = "default"
CREATE_ONE: Final = (
    "Create a token: docker exec crosswatch cw --local auth token create --name tautulli-import "
    "--no-save"
)
"""CrossWatch v0.11.3 has no page for tokens."""

# Without what JSON escapes, so that a token is found also in an answer that quotes it.
_TOKEN: Final = re.compile(r"cwt_[!#-\[\]-~]{8,200}")
_HINT: Final = (
    "Use the address of CrossWatch in your browser, for example --crosswatch-url "
    f"http://192.168.1.10:{PORT}"
)


class Access(Struct, frozen=True):
    """The settings of a connection. Its ``repr`` shows no secret."""

    address: Address
    token: str
    profile: str = DEFAULT_PROFILE
    """The id or the label of the profile, as a person wrote it."""
    profiles: Mapping[str, str] = {}
    """With ``--each-user``: the profile of each user, by id, username or friendly name."""
    timeout: float = 120.0
    """Seconds to wait for data. A preview of 20,000 rows took 5.5 s (v0.11.3), a NAS is slower."""
    ca_file: Path | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Access({self.address.base!r})"


def parse_crosswatch_url(text: str) -> Address:
    """Return the address of a CrossWatch in a URL. Without scheme and port, the port is 8787.

    Raises:
        ConfigurationError: it is not the URL of a server.
    """
    return parse_url(text, "CrossWatch", _root, hint=_HINT, port=PORT)


def check_token(token: str, where: str) -> None:
    """Check the form of a token before httpx sees it. No message quotes it.

    ``where`` names the origin of the token.

    Raises:
        ConfigurationError: it is not a token of CrossWatch.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{where} does not hold a token of CrossWatch. A token begins with cwt_ and has no "
            "blanks.",
            hint=CREATE_ONE,
        )


def _root(parts: SplitResult) -> str:
    """Return the HTTP root. CrossWatch (v0.11.3) has its pages behind ``#`` or on the top level."""
    return root_before(parts, ("api", "login", "index.html"))
