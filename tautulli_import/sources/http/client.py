"""Tautulli's HTTP API: one question, its tries, its errors.

The key goes in the body of a POST, so that no proxy writes it into a log; by GET only where
a server or proxy does not take that. Redirects are not followed: a redirect can carry the key
in its Location (seen on Tautulli 2.17.2).
"""

from __future__ import annotations

import base64
import email.utils
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, quote_plus, urlsplit

from msgspec import Struct

from ... import __version__
from ...errors import (
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UndeliverableError,
)
from .access import CONNECT_SECONDS, Access, trust
from .failures import trouble
from .responses import MOST_TRIES, Failure, Reply, failure, read_reply

if TYPE_CHECKING:
    import httpx

__all__ = ["Tautulli"]

_T = TypeVar("_T")
_MOST_BYTES: Final = 512 * 1024 * 1024
_LONGEST_WAIT: Final = 120.0
_KEPT_ALIVE: Final = 900.0
_LOGGERS: Final = (
    "httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2",
    "httpcore.proxy", "httpcore.socks",
)  # fmt: skip


class _Info(Struct):
    tautulli_version: str = ""


class Tautulli:
    """One Tautulli server, asked over HTTP. Several threads may ask at once."""

    def __init__(self, access: Access, *, on_wait: Callable[[str], None] | None = None) -> None:
        """Nothing is asked yet. ``on_wait`` is told, in a sentence, when a try failed.

        Raises:
            ConfigurationError: the certificate file cannot be used.
        """
        import httpx

        self.access = access
        self.shown = access.address.base
        """What to call it in messages."""
        self.asked: Counter[str] = Counter()
        """Requests that were made, by command."""
        self.by_get = False
        self._counting = Lock()
        user, password = access.address.auth or ("", "")
        sent = base64.b64encode(f"{user}:{password}".encode()).decode() if password else ""
        self._secrets = (access.api_key, password, sent)
        self._on_wait = on_wait
        self._reached = False
        self._version: str | None = None
        for name in _LOGGERS:  # httpx logs the whole URL, httpcore the headers of a redirect
            logging.getLogger(name).addFilter(self._redact)
        self._http = httpx.Client(
            auth=access.address.auth,
            verify=trust(access),
            timeout=httpx.Timeout(access.timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=10, keepalive_expiry=_KEPT_ALIVE),
            headers={"User-Agent": f"tautulli-import/{__version__}", "Accept-Encoding": "gzip"},
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close every connection."""
        self._http.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._redact)

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
        """The ``data`` that a command answers with, as a ``kind``.

        ``about`` says in messages what the question was about (a window of days); ``tries``
        is how often to ask at most, where asking again makes sense. A ``divisible`` question
        is not asked again where a smaller one is more likely to get an answer. ``check`` may
        find that an answer is none.

        Raises:
            UnansweredError: no usable answer; to a smaller question there may be one.
            SourceUnreachableError: no connection.
            UnauthorisedError: the key or a proxy's password is not accepted.
            NotFoundError: there is no Tautulli at this address.
            SourceDamagedError: it answers, but not as Tautulli does.
            ConfigurationError: the address redirects elsewhere.
        """

        def once() -> _T:
            with self._answer(command, parameters) as response:
                reply = _read(response, self.access.timeout * 4, self._without_key)
            data = read_reply(reply, kind, posted=not self.by_get, reached=self._reached)
            self._reached = True
            if check and (wrong := check(data)):
                raise wrong
            return data

        return self._tried(once, command, about, tries, divisible=divisible)

    def download(
        self,
        command: str,
        begin: Callable[[], Callable[[bytes], object]],
        advanced: Callable[[int, int | None], None],
    ) -> None:
        """Hand on what a command sends, piece by piece.

        ``begin`` is called at every try and gives what takes the pieces; ``advanced`` is told
        the bytes so far and their total, where that is known.

        Raises:
            TautulliImportError: as of ``ask``.
        """

        def once() -> None:
            take = begin()
            with self._answer(command, {}) as response:
                if response.status_code != 200 or "json" in _kind(response):
                    self._refuse(_read(response, self.access.timeout, self._without_key))
                announced = response.headers.get("content-length", "")
                coded = "content-encoding" in response.headers
                total = int(announced) if announced.isdecimal() and not coded else None
                done = 0
                for chunk in response.iter_bytes(1 << 20):
                    take(chunk)
                    done += len(chunk)
                    advanced(done, total)
            self._reached = True

        self._tried(once, command, "", 3)

    def _refuse(self, reply: Reply) -> None:
        """Say why something was not sent."""
        posted, reached = not self.by_get, self._reached
        read_reply(reply, dict[str, Any], posted=posted, reached=reached)

    @property
    def version(self) -> str:
        """Which Tautulli it says it is, ``v2.17.2``; empty when it does not say. Asked once."""
        if self._version is None:
            self._version = ""
            with suppress(TautulliImportError):
                info = self.ask("get_tautulli_info", _Info, tries=1)
                self._version = self._without_key(info.tautulli_version)[:40]
        return self._version

    def _tried(
        self,
        once: Callable[[], _T],
        command: str,
        about: str,
        tries: int,
        *,
        divisible: bool = False,
    ) -> _T:
        """Ask until there is an answer, or until asking again makes no sense."""
        import stamina

        attempt = 0

        def again(error: Exception) -> bool | float:
            if not isinstance(error, Failure):
                return False
            if error.with_get and not self.by_get and not self._reached:
                self.by_get = True
                return 0.0
            said = self._said(error, command, about, attempt)
            if divisible and error.smaller:
                if self._on_wait and not isinstance(said, UndeliverableError):
                    self._on_wait(f"{said} Asking for less.")
                return False
            if attempt >= min(error.tries, tries):
                return False
            if self._on_wait:
                self._on_wait(f"{said} Trying again.")
            return True if error.wait is None else min(error.wait, _LONGEST_WAIT)

        # Its own hook writes to the log, and without a log to standard error.
        stamina.instrumentation.set_on_retry_hooks([])
        try:
            for context in stamina.retry_context(
                on=again, attempts=MOST_TRIES + 1, timeout=None, wait_initial=0.5, wait_max=20.0
            ):
                with context:
                    attempt += 1
                    return once()
        except Failure as failure:
            told = failure
        # Outside the handler: a traceback must not show what the request was.
        raise self._said(told, command, about, attempt)

    def _answer(self, command: str, parameters: Mapping[str, str | int]) -> _Streamed:
        with self._counting:
            self.asked[command] += 1
        form = {"apikey": self.access.api_key, "cmd": command} | {
            name: str(value) for name, value in parameters.items()
        }
        endpoint = self.access.address.endpoint
        request = (
            self._http.build_request("GET", endpoint, params=form)
            if self.by_get
            else self._http.build_request("POST", endpoint, data=form)
        )
        return _Streamed(self, request)

    def _said(
        self, failure: Failure, command: str, about: str, attempt: int
    ) -> TautulliImportError:
        """The failure as an error. What a server said can quote the question, key and all."""
        error = failure.error(self._where(command, about, attempt))
        return type(error)(self._without_key(str(error)), hint=error.hint)

    def _where(self, command: str, about: str, attempt: int) -> str:
        """The question without the key: endpoint, command, window, attempt, version."""
        details = [about] if about else []
        details += [f"attempt {attempt}"] if attempt > 1 else []
        if self._reached and command != "get_tautulli_info" and self.version:
            details.append(f"Tautulli {self.version}")
        said = f" ({', '.join(details)})" if details else ""
        return f"{self.access.address.endpoint} {command}{said}"

    def _without_key(self, text: str) -> str:
        for secret in self._secrets:
            if len(secret) < 4:  # nobody's key, and cutting it out would garble every word
                continue
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, "…")
        return text

    def _redact(self, record: logging.LogRecord) -> bool:
        record.msg = self._without_key(record.getMessage())
        record.args = ()
        return True


class _Streamed:
    """A request under way: ``with`` it is sent, what goes wrong is a ``Failure``."""

    def __init__(self, tautulli: Tautulli, request: httpx.Request) -> None:
        self._tautulli = tautulli
        self._request = request
        self._response: httpx.Response | None = None

    def __enter__(self) -> httpx.Response:
        try:
            self._response = self._tautulli._http.send(self._request, stream=True)  # noqa: SLF001 - one class in two
        except Exception as error:  # noqa: BLE001 - looked at, and raised again when not known
            raise self._trouble(error) from None
        return self._response

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._response is not None:
            self._response.close()
        if isinstance(error, Exception) and not isinstance(error, Failure):
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> Failure:
        asker = self._tautulli
        said = asker._without_key(" ".join(str(error).split()))  # noqa: SLF001 - one class in two
        return trouble(error, said, asker.access, reached=asker._reached)  # noqa: SLF001 - one class in two


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).lower()


def _read(response: httpx.Response, seconds: float, clean: Callable[[str], str]) -> Reply:
    """The answer, read to its end, within a time and a size that no real one exceeds."""
    until = time.monotonic() + seconds
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            said = f"sent more than {_MOST_BYTES >> 20} MB"
            hint = "Is it really Tautulli? No answer of its own is that long."
            raise failure(UnansweredError, said, hint, 1, smaller=True)
        if time.monotonic() > until:
            said = f"needed more than {seconds:g} seconds for one answer"
            hint = "Give it more time: --timeout SECONDS."
            raise failure(UnansweredError, said, hint, 2, smaller=True)
    try:
        location = urlsplit(response.headers.get("location", ""))
        host = location.netloc.rpartition("@")[2]
        shown = f"{location.scheme}://{host}{location.path}" if host else location.path
    except ValueError:
        shown = "an address that is none"
    reply = Reply(
        status=response.status_code,
        kind=_kind(response),
        location=clean(shown),
        challenge=str(response.headers.get("www-authenticate", "")),
        body=bytes(body),
        clean=clean,
    )
    if reply.status in (429, 503) and (wait := _retry_after(response)) is not None:
        raise Failure(
            lambda where: SourceUnreachableError(
                f"{where} answered {reply.status}: it wants to be left alone for {wait:g} seconds.",
                hint="Try again later.",
            ),
            tries=MOST_TRIES if wait <= _LONGEST_WAIT else 1,
            wait=wait,
        )
    return reply


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from a number or a date."""
    value = str(response.headers.get("retry-after", "")).strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
