"""Check the HTTP headers that a person wants to send to a proxy in front of Tautulli.

httpx 0.28 quotes a malformed value in its exception, so every header is checked before. No message
quotes one: a secret can stand in the place of the name, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ...errors import ConfigurationError

__all__ = ["parse_headers", "secrets_in"]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_VALUE: Final = re.compile(r"[\t\x20-\x7e]+")
# httpx sets these, and other values would break or redirect the request.
_RESERVED: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
_SHORTEST_PART: Final = 8
"""The length of a part of a value from which it may be a secret by itself."""


def parse_headers(lines: Sequence[str], where: str) -> Sequence[tuple[str, str]]:
    """Return the names and values in lines like ``NAME: VALUE``. Empty lines are left out.

    ``where`` names their origin in messages.

    Raises:
        ConfigurationError: a line is not a header, or sets one that the program sets itself.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, value = (part.strip(" \t\r") for part in line.partition(":"))
        if not _NAME.fullmatch(name) or not value:
            raise _wrong(f"Header {number} in {where} must be NAME: VALUE.")
        if not _VALUE.fullmatch(value):
            raise _wrong(f"Header {number} in {where} must have only printable ASCII characters.")
        key = name.lower()
        if key in _RESERVED:
            raise _wrong(f"Header {number} in {where} is {key}, which the program sets itself.")
        if key in found:
            raise _wrong(f"Header {number} in {where} has the name of one before it.")
        found[key] = (name, value)
    return list(found.values())


def secrets_in(line: str) -> Iterator[str]:
    """Return the texts in a header that no output may contain.

    Besides the value these are its long parts: a server can quote the token of ``Bearer TOKEN``.
    """
    value = line.partition(":")[2].strip()
    yield value or line.strip()
    yield from (part for part in re.split(r"[\s;,=]+", value) if len(part) >= _SHORTEST_PART)


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(message, hint="Write one header a line, for example Token: abc123")
