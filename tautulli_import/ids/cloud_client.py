"""Send requests to Plex's metadata service, and tell answers from failures."""

from __future__ import annotations

from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError
from ..web.address import Address
from ..web.client import http_client, retry_after
from ..web.redaction import Redaction
from ..web.trust import trust
from .metadata import Metadata
from .plex_cache import NOTHING

if TYPE_CHECKING:
    import httpx

__all__ = ["CloudClient", "Failure"]

_MOST_BYTES: Final = 4 << 20
_SILENCE_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 60.0
_PASSING: Final = frozenset({400, 408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_NAME: Final = "Plex's metadata service"


class Failure(Struct, frozen=True):
    """The reason why a question has no answer."""

    why: str
    """One sentence."""
    wait: float = 0.0
    """The seconds that the service asks to wait."""
    is_final: bool = False
    """True if no other question gets an answer either."""
    hint: str = "Run the same command again later."


class _Id(Struct):
    id: Any = None


class _Item(Struct, rename="camel"):
    type: Any = None
    title: Any = None
    original_title: Any = None
    year: Any = None
    guid: Any = None
    index: Any = None
    parent_index: Any = None
    grandparent_guid: Any = None
    grandparent_title: Any = None
    grandparent_rating_key: Any = None
    guids: list[_Id] = msgspec.field(name="Guid", default_factory=list)


class _Container(Struct):
    items: list[_Item] = msgspec.field(name="Metadata", default_factory=list)


class _Reply(Struct):
    container: _Container = msgspec.field(name="MediaContainer")


class CloudClient:
    """A client of the service. Several threads may use it at once."""

    def __init__(self, base: str, token: str) -> None:
        """Prepare the client without sending anything."""
        self.requests = 0
        """The number of requests so far."""
        self._address = Address(base)
        self._token = token
        self._redact = Redaction(self._address, token)
        self._lock = Lock()
        self._http: httpx.Client | None = None
        self._redact.begin()

    def __repr__(self) -> str:
        return f"CloudClient({self._address.base!r})"

    def close(self) -> None:
        """Close every connection. The log stays redacted, because a thread may still be waiting."""
        if self._http is not None:
            self._http.close()

    def ask(self, guid: str) -> tuple[str, Metadata | Failure]:
        """Ask about a ``plex://`` GUID once. Return it with the answer. Raise nothing."""
        try:
            return guid, self._answer(guid)
        except Exception as error:  # noqa: BLE001 - a failure here must not end the import
            is_final = isinstance(error, ConfigurationError)
            said = f"{_NAME} cannot be reached ({self._reason(error)})."
            return guid, Failure(said, is_final=is_final)

    def _answer(self, guid: str) -> Metadata | Failure:
        from ..web.deadline import Limit

        number = guid.rpartition("/")[2]
        http = self._connected()
        Limit(_ANSWER_SECONDS).apply()
        with http.stream("GET", f"{self._address.base}/library/metadata/{number}") as response:
            if response.status_code != HTTPStatus.OK:
                return _refusal(response)
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    return Failure(f"{_NAME} sent more than {_MOST_BYTES >> 20} MB.", is_final=True)
        return _parsed(self._redact(body.decode("utf-8", "replace")))

    def _connected(self) -> httpx.Client:
        """Return the client of httpx. Loading the certificates for it takes half a second."""
        import httpx

        with self._lock:
            self.requests += 1
            if self._http is None:
                self._http = http_client(
                    self._address,
                    {"Accept": "application/json", "X-Plex-Token": self._token},
                    verify=trust(self._address.base, None, insecure=False),  # not of --ca-file
                    timeout=_SILENCE_SECONDS,
                    limits=httpx.Limits(),
                )
            return self._http

    def _reason(self, error: Exception) -> str:
        text = self._redact(" ".join(str(error).split()))
        return (text or type(error).__name__).rstrip(".")


def _refusal(response: httpx.Response) -> Metadata | Failure:
    """Return what an answer without metadata means. Nothing of its text is quoted."""
    status = response.status_code
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return NOTHING
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        said = f"{_NAME} did not accept the Plex token ({status})."
        return Failure(said, is_final=True, hint="Use another one: --plex-token-file FILE")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failure(f"{_NAME} allows no more requests now.", retry_after(response) or 0.0)
    if status in _PASSING:
        return Failure(f"{_NAME} answered {status}.", retry_after(response) or 0.0)
    return Failure(f"{_NAME} answered {status}.", is_final=True)


def _parsed(text: str) -> Metadata | Failure:
    try:
        items = msgspec.json.decode(text, type=_Reply).container.items
    except (msgspec.DecodeError, RecursionError):
        return Failure(f"{_NAME} sent something other than metadata.")
    return _normalised(items[0]) if items else NOTHING


def _normalised(item: _Item) -> Metadata:
    """Return an item with every value in its type. Values of other types are left out."""
    is_episode = item.type == "episode"
    return Metadata(
        media_type=_text(item.type),
        title=_text(item.title),
        original_title=_text(item.original_title),
        year=_number(item.year),
        guid=_text(item.guid),
        guids=tuple(filter(None, (_text(one.id) for one in item.guids))),
        season=_number(item.parent_index) if is_episode else None,
        episode=_number(item.index) if is_episode else None,
        show_guid=_show_guid(item) if is_episode else "",
        show_title=_text(item.grandparent_title) if is_episode else "",
    )


def _show_guid(item: _Item) -> str:
    """Return the GUID of an episode's show. Its rating key there is the last part of the GUID."""
    key = _text(item.grandparent_rating_key)
    return _text(item.grandparent_guid) or (f"plex://show/{key}" if key else "")


def _text(value: object) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100_000
    return value if is_number and isinstance(value, int) else None
