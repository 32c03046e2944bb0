"""One request, as the server saw it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Asked", "understand"]

#: Where the key was found.
KeyIn = Literal["query", "form", ""]

_FORM = "application/x-www-form-urlencoded"


@dataclass
class Asked:
    """A request; `status` and `rows` are filled in before the answer leaves."""

    method: str
    cmd: str
    #: All parameters, from wherever they came, but not the key.
    params: dict[str, str]
    #: The path as it was sent, with its query.
    path: str
    body: bytes
    headers: dict[str, str]
    key_in: KeyIn
    #: The status of the answer; 0 while there is none, and if there never is one.
    status: int = 0
    #: How many rows of `data` were in the answer.
    rows: int = 0
    #: Seconds on a clock that only goes forward.
    at: float = field(default_factory=time.monotonic)

    @property
    def form(self) -> dict[str, str]:
        """The parameters that came in the body."""
        return dict(_pairs(self.body.decode("utf-8", "replace"))) if self.body else {}

    def header(self, name: str) -> str:
        """Return a header by its name in any case, or nothing."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


def understand(
    method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[Asked, str | None]:
    """Return the request and the key that it came with."""
    query = _pairs(urlsplit(path).query)
    kind = next((value for key, value in headers.items() if key.lower() == "content-type"), "")
    form = _pairs(body.decode("utf-8", "replace")) if kind.startswith(_FORM) else []
    key_in: KeyIn = ""
    if any(name == "apikey" for name, _ in form):
        key_in = "form"
    elif any(name == "apikey" for name, _ in query):
        key_in = "query"
    params = _merged([*query, *form])
    key = params.pop("apikey", None)
    return Asked(method, params.get("cmd", ""), params, path, body, dict(headers), key_in), key


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _merged(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return one value for each name; what was sent twice is a list, and fits nothing."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else str(found) for name, found in values.items()}
