"""Send requests to Tautulli's HTTP API, with retries, and turn failures into errors.

The key goes into the body of a POST, so that no proxy writes it into a log. GET is used only if the
server or a proxy refuses POST, or with ``--key-in query``. Redirects are not followed, because
their Location can contain the key (seen on Tautulli 2.17.2), and other hosts must not get headers.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from ...errors import (
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UndeliverableError,
)
from ...web.client import PATIENCE, http_client, retry_after
from ...web.redaction import Redaction
from ...web.trust import trust
from .access import Access
from .failures import failure_of
from .headers import secrets_in
from .responses import MOST_TRIES, Failure, Reply, Request, failure, read_reply

if TYPE_CHECKING:
    import httpx

__all__ = ["Tautulli"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")
# 25,000 rows of the history, the longest answer that is requested, are 28 MB (Tautulli 2.17.2).
_MOST_BYTES: Final = 128 * 1024 * 1024
_MOST_BYTES_OF_OTHERS: Final = 16 * 1024 * 1024
# 200,000 plays are 284 MB, so this is a history of five million.
_LARGEST_DOWNLOAD: Final = 8 * 1024**3
_SLOWEST_DOWNLOAD: Final = 16 * 1024
"""The lowest rate of a download, in bytes a second."""
_LONGEST_WAIT: Final = 120.0
_KEPT_ALIVE: Final = 900.0


class _Info(Struct):
    tautulli_version: str = ""


class Tautulli:
    """A client of one Tautulli server. Several threads may use it at once."""

    def __init__(self, access: Access, *, on_wait: Callable[[str], None] | None = None) -> None:
        """Prepare the client without sending anything.

        ``on_wait`` is called with a sentence after each failed try.

        Raises:
            ConfigurationError: a certificate file or a proxy cannot be used.
        """
        import httpx

        self.access = access
        self.shown = access.address.base
        """The name of the server in messages."""
        self.asked: Counter[str] = Counter()
        """The number of requests, by command."""
        self.by_get = access.key_in == "query"
        """True if GET is used, which puts the key into the query."""
        self._counting = Lock()
        given = [secret for _, value in access.headers for secret in secrets_in(f":{value}")]
        self._without_key = Redaction(access.address, access.api_key, *given)
        self._on_wait = on_wait
        self._reached = False
        self._version: str | None = None
        self._without_key.begin()
        headers = {"Accept-Encoding": "gzip", **dict(access.headers)}
        if access.key_in == "header":
            headers["X-Api-Key"] = access.api_key
        self._http = http_client(
            access.address,
            headers,
            verify=trust(
                access.address.base,
                access.ca_file,
                insecure=access.insecure,
                client=(access.client_cert, access.client_key),
            ),
            timeout=access.timeout,
            limits=httpx.Limits(max_connections=10, keepalive_expiry=_KEPT_ALIVE),
        )

    def close(self) -> None:
        """Close every connection."""
        self._http.close()
        self._without_key.end()

    def ask(
        self,
        command: str,
        kind: type[_T],
        *,
        about: str = "",
        tries: int = MOST_TRIES,
        divisible: bool = False,
        check: Callable[[_T], Failure | None] | None = None,
        **parameters: str | int,
    ) -> _T:
        """Send a command and return the ``data`` of its answer as a ``kind``.

        ``about`` describes the request in messages, for example its window of days. ``tries`` is
        the number of tries at most. A ``divisible`` request is not repeated if a smaller one is
        more likely to get an answer. ``check`` returns a failure if it finds an answer wrong.

        Raises:
            UnansweredError: no usable answer. A smaller request may get one.
            SourceUnreachableError: no connection.
            UnauthorisedError: the key is not accepted, or a proxy does not let it through.
            NotFoundError: there is no Tautulli at this address.
            SourceDamagedError: the answer is not one of Tautulli.
            ConfigurationError: the address redirects elsewhere.
        """

        def once() -> _T:
            begin = time.monotonic()
            with self._request(command, parameters) as response:
                most = _MOST_BYTES if command == "get_history" else _MOST_BYTES_OF_OTHERS
                reply = _read(response, self._without_key, most)
            took = time.monotonic() - begin
            size = len(reply.body)
            _LOG.debug("%s %s: %d, %d B, %.2f s", command, parameters, reply.status, size, took)
            data = read_reply(reply, kind, posted=not self.by_get, reached=self._reached)
            self._reached = True
            if check and (wrong := check(data)):
                raise wrong
            return data

        return self._retry(once, command, about, tries, divisible=divisible)

    def download(
        self,
        command: str,
        begin: Callable[[], Callable[[bytes], object]],
        advanced: Callable[[int, int | None], None],
    ) -> None:
        """Send a command and pass on its answer, piece by piece.

        ``begin`` is called at every try and returns the function that takes the pieces.
        ``advanced`` is called with the number of bytes so far and in all, ``None`` if unknown.

        Raises:
            TautulliImportError: see ``ask``.
        """

        def once() -> None:
            take = begin()
            request = self._request(command, {})
            with request as response:
                if response.status_code != 200 or "json" in _kind(response):
                    self._refuse(_read(response, self._without_key, _MOST_BYTES_OF_OTHERS))
                _refuse_codings(response)
                announced = response.headers.get("content-length", "")
                compressed = "content-encoding" in response.headers
                total = int(announced) if announced.isdecimal() and not compressed else None
                done = arrived = 0
                for chunk in response.iter_bytes():
                    done += len(chunk)
                    if max(done, total or 0) > _LARGEST_DOWNLOAD:
                        said = f"sends a database of more than {_LARGEST_DOWNLOAD >> 30} GB"
                        hint = "Use --via history, which requests the plays instead."
                        raise failure(UnansweredError, said, hint, 1)
                    take(chunk)
                    before, arrived = arrived, response.num_bytes_downloaded
                    request.limit.extend((arrived - before) / _SLOWEST_DOWNLOAD)
                    advanced(done, total)
            self._reached = True

        self._retry(once, command, "", 3)

    def _refuse(self, reply: Reply) -> None:
        """Raise the error for an answer that is not a file, if it is one."""
        posted, reached = not self.by_get, self._reached
        read_reply(reply, dict[str, Any], posted=posted, reached=reached)

    @property
    def version(self) -> str:
        """The version of Tautulli, such as ``v2.17.2``; empty if unknown. It is requested once."""
        if self._version is None:
            self._version = ""
            with suppress(TautulliImportError):
                info = self.ask("get_tautulli_info", _Info, tries=1)
                self._version = self._without_key(info.tautulli_version)[:40]
        return self._version

    def _retry(
        self,
        once: Callable[[], _T],
        command: str,
        about: str,
        tries: int,
        *,
        divisible: bool = False,
    ) -> _T:
        """Call ``once`` until it returns, or until another try makes no sense."""
        import stamina

        attempt = 0

        def again(error: Exception) -> bool | float:
            if not isinstance(error, Failure):
                return False
            if error.with_get and not self.by_get and not self._reached:
                self.by_get = self.access.key_in is None
                return 0.0 if self.by_get else False
            cause = self._error(error, command, about, attempt)
            _LOG.debug("%s", cause)
            if divisible and error.smaller:
                if self._on_wait and not isinstance(cause, UndeliverableError):
                    self._on_wait(f"{cause} Asking for less.")
                return False
            if attempt >= min(error.tries, tries):
                return False
            if self._on_wait:
                self._on_wait(f"{cause} Trying again.")
            return True if error.wait is None else min(error.wait, _LONGEST_WAIT)

        # Without this stamina would write to the log or to standard error.
        stamina.instrumentation.set_on_retry_hooks([])
        try:
            for context in stamina.retry_context(
                on=again, attempts=MOST_TRIES + 1, timeout=None, wait_initial=0.5, wait_max=20.0
            ):
                with context:
                    attempt += 1
                    return once()
        except Failure as failure:
            last = failure
        # This is outside the handler, because a traceback must not show the request.
        raise self._error(last, command, about, attempt)

    def _request(self, command: str, parameters: Mapping[str, str | int]) -> _Streamed:
        """Return a request with the key that is sent when it is entered with ``with``."""
        with self._counting:
            self.asked[command] += 1
        form = {"apikey": self.access.api_key, "cmd": command} | {
            name: str(value) for name, value in parameters.items()
        }
        endpoint = self.access.endpoint
        request = (
            self._http.build_request("GET", endpoint, params=form)
            if self.by_get
            else self._http.build_request("POST", endpoint, data=form)
        )
        return _Streamed(self, request)

    def _error(
        self, failure: Failure, command: str, about: str, attempt: int
    ) -> TautulliImportError:
        """Return the error for a failure, without secrets. A server can quote the whole request."""
        where = self._where(command, about, attempt)
        error = failure.error(Request(self.shown, where, attempt))
        return type(error)(self._without_key(str(error)), hint=error.hint)

    def _where(self, command: str, about: str, attempt: int) -> str:
        """Return endpoint, command, window, attempt and version of a request, without the key."""
        details = [about] if about else []
        details += [f"attempt {attempt}"] if attempt > 1 else []
        if self._reached and command != "get_tautulli_info" and self.version:
            details.append(f"Tautulli {self.version}")
        shown = f" ({', '.join(details)})" if details else ""
        return f"{self.access.endpoint} {command}{shown}"


class _Streamed:
    """A request that ``with`` sends. Every exception of httpx becomes a ``Failure``."""

    def __init__(self, tautulli: Tautulli, request: httpx.Request) -> None:
        from ...web.deadline import Limit

        self._tautulli = tautulli
        self._request = request
        self._response: httpx.Response | None = None
        self.limit = Limit(tautulli.access.timeout * PATIENCE)
        """The time that the answer may take."""

    def __enter__(self) -> httpx.Response:
        self.limit.apply()
        try:
            self._response = self._tautulli._http.send(self._request, stream=True)  # noqa: SLF001 - one class in two
        except Exception as error:  # noqa: BLE001 - raised again if it is not of httpx
            raise self._failure(error) from None
        return self._response

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._response is not None:
            self._response.close()
        if isinstance(error, Exception) and not isinstance(error, Failure):
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> Failure:
        import httpx

        if isinstance(error, httpx.ReadTimeout) and self.limit.left <= 0:
            said = f"needed more than {self.limit.seconds:g} seconds for one answer"
            hint = "Allow more time with --timeout SECONDS."
            return failure(UnansweredError, said, hint, 2, smaller=True)
        client = self._tautulli
        text = client._without_key(" ".join(str(error).split()))  # noqa: SLF001 - one class in two
        return failure_of(error, text, client.access, reached=client._reached)  # noqa: SLF001 - one class in two


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).lower()


def _refuse_codings(response: httpx.Response) -> None:
    """Refuse an answer that is compressed twice: 64 kB of it could be 64 GB.

    Raises:
        Failure: it is.
    """
    if "," in response.headers.get("content-encoding", ""):
        said = "sent an answer that is compressed more than once"
        raise failure(UnansweredError, said, "Check that it is Tautulli.", 1)


def _read(response: httpx.Response, clean: Callable[[str], str], most: int) -> Reply:
    """Read a response of at most ``most`` bytes to its end.

    Raises:
        Failure: it is too long, or the server asks to wait.
    """
    _refuse_codings(response)
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > most:
            said = f"sent more than {most >> 20} MB"
            hint = "Check that it is Tautulli. It has no answer of that size."
            raise failure(UnansweredError, said, hint, 1, smaller=True)
    try:
        location = urlsplit(response.headers.get("location", ""))
        host = location.netloc.rpartition("@")[2]
        shown = f"{location.scheme}://{host}{location.path}" if host else location.path
    except ValueError:
        shown = "an invalid address"
    reply = Reply(
        status=response.status_code,
        kind=_kind(response),
        location=clean(shown),
        headers=dict(response.headers.items()),
        body=bytes(body),
        clean=clean,
    )
    if reply.status in (429, 503) and (wait := retry_after(response)) is not None:
        raise Failure(
            lambda request: SourceUnreachableError(
                f"{request.where} answered {reply.status} and asks to wait {wait:g} s.",
                hint="Try again later.",
            ),
            tries=MOST_TRIES if wait <= _LONGEST_WAIT else 1,
            wait=wait,
        )
    return reply
