"""Tell the responses of Tautulli's HTTP API apart: an answer, a refusal, or nothing usable.

Measured on Tautulli 2.17.2 and on proxies in front of it: an error can have status 200, and
status 400 does not mean "try again". A web page in place of JSON is a login page, a wrong HTTP
root, or the error page of a proxy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import unescape
from typing import Final, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from ...errors import (
    ConfigurationError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
    UndeliverableError,
)
from .proxies import ORGANIZR, Proxy, proxy_of

__all__ = ["CERTIFICATE_HINT", "MOST_TRIES", "Failure", "Reply", "Request", "failure", "read_reply"]

_T = TypeVar("_T")
MOST_TRIES: Final = 6
_MOST_SHOWN: Final = 120
_LONGEST_MESSAGE: Final = 100_000
"""In bytes. The longest real one lists all commands of the API, in 2 kB (Tautulli 2.17.2)."""
_TAGS: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_KEY_HINT: Final = (
    "Find the key in Tautulli under Settings > Web Interface > API. Give it with "
    "--api-key-file FILE or in TAUTULLI_API_KEY."
)
_OR_HEADER: Final = "Or add a header that it accepts with --header-file FILE."
_LOGIN: Final = (
    f"A proxy in front of Tautulli asks for a login. Allow /api/v2 there without one. {_OR_HEADER}"
)
_FORBIDDEN: Final = f"A proxy in front of Tautulli forbids it. Allow /api/v2 there. {_OR_HEADER}"
_FORGED: Final = "Request forbidden -- authorization will not help"
"""The answer of Tautulli 2.17.2 to a POST to any path outside of /api. CherryPy's words."""
CERTIFICATE_HINT: Final = "Use an accepted client certificate: --client-cert FILE --client-key FILE"
_ROOT_HINT: Final = (
    "Use the address of Tautulli in your browser with its HTTP root, for example "
    "--url http://host:8181/tautulli"
)


class Reply(Struct, frozen=True):
    """One complete HTTP response."""

    status: int
    kind: str
    """The content type in lower case."""
    location: str
    """The target of a redirect, without secrets."""
    headers: Mapping[str, str]
    """All headers, by their names in lower case. They can hold secrets."""
    body: bytes
    clean: Callable[[str], str] = str
    """Removes secrets from a text. Call it before the text is shortened: half a key is secret."""


class Request(Struct, frozen=True):
    """A request that failed, as messages name it."""

    server: str
    """The address of Tautulli."""
    where: str
    """The URL, the command and details of the request, without secrets."""
    attempt: int


class Failure(Exception):  # noqa: N818 - never seen outside the client
    """A request without a usable answer."""

    def __init__(
        self,
        error: Callable[[Request], TautulliImportError],
        *,
        tries: int = 1,
        wait: float | None = None,
        with_get: bool = False,
        smaller: bool = False,
    ) -> None:
        super().__init__()
        self.error = error
        """Makes the error to raise if no further try helps."""
        self.tries = tries
        """The number of tries that such a request is worth."""
        self.wait = wait
        """Seconds to wait, if the server said so."""
        self.with_get = with_get
        """True if the same request with GET may work."""
        self.smaller = smaller
        """True if a smaller request is more likely to get an answer than the same again."""


class _Response(Struct):
    result: str = ""
    message: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Envelope(Struct):
    response: _Response


def read_reply(reply: Reply, kind: type[_T], *, posted: bool, reached: bool) -> _T:
    """Return the ``data`` of an answer as a ``kind``.

    ``posted`` is true for a POST request. ``reached`` is true if Tautulli has answered before. Then
    a web page is the temporary error page of a proxy.

    Raises:
        Failure: it is not such an answer.
    """
    found = _envelope(reply.body)
    if (found is None or reply.status in (401, 403)) and (proxy := _proxy(reply)):
        raise _stopped(reply, proxy)
    if 300 <= reply.status < 400:
        raise _redirected(reply.location)
    if found is None:
        raise _not_tautulli(reply, posted=posted, patience=4 if reached else 1)
    envelope, message = found[0], reply.clean(found[1])
    if reply.status >= 500:
        raise _server_failed(f"answered {reply.status}: {_short(message)}")
    if reply.status >= 400 or envelope.result != "success":
        raise _refused(reply.status, message, posted=posted)
    try:
        return msgspec.json.decode(envelope.data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_leniently(reply.body, kind, error)


def _envelope(body: bytes) -> tuple[_Response, str] | None:
    """Return the envelope of an answer from Tautulli, and its message; ``None`` for anything else.

    A message that is too long to be one is not decoded: it could be millions of values.
    """
    try:
        response = msgspec.json.decode(body, type=_Envelope).response
        is_short = len(response.message) <= _LONGEST_MESSAGE
        return response, str(msgspec.json.decode(response.message) or "") if is_short else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # Tautulli (Python) writes NaN and Infinity, which JSON does not have
        found = json.loads(body)["response"]
        return _Response(str(found["result"])), str(found.get("message") or "")[:_LONGEST_MESSAGE]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _decode_leniently(body: bytes, kind: type[_T], error: Exception) -> _T:
    """Return the ``data`` of an answer that strict decoding refused with ``error``."""
    try:
        return msgspec.convert(json.loads(body)["response"]["data"], kind)
    except (ValueError, LookupError, TypeError, RecursionError):
        unreadable = isinstance(error, UnicodeDecodeError)
        raise failure(
            UndeliverableError if unreadable else SourceDamagedError,
            f"sent an invalid answer: {_short(str(error))}",
            "Check that it is Tautulli, and that no proxy in front of it changes answers.",
            3,
        ) from None


def _refused(status: int, message: str, *, posted: bool) -> Failure:
    """Return the failure for an error message of Tautulli."""
    said = f"answered {status}: {_short(message) or 'an error without a message'}"
    lower = message.lower()
    if "apikey is required" in lower and posted:
        # A proxy in front of it has dropped the form.
        return _by_get(UnauthorisedError, said, _KEY_HINT)
    if "invalid apikey" in lower or "apikey is required" in lower:
        return _fatal(UnauthorisedError, said, _KEY_HINT)
    if "api not enabled" in lower or "api key not generated" in lower:
        return _fatal(
            UnauthorisedError,
            said,
            "Enable the API in Tautulli: Settings > Web Interface > API > Enable API.",
        )
    if status in (401, 403):  # Tautulli 2.17.2 has no other message with these
        hint = f"This is not an answer of Tautulli, but it may be one of Organizr. {ORGANIZR.hint}"
        return _fatal(UnauthorisedError, said, hint)
    if "/api/v2" in lower:
        return _fatal(NotFoundError, said, _ROOT_HINT)
    if "unknown command" in lower:
        return _fatal(
            SourceDamagedError, said, "This Tautulli is too old, or it is another program."
        )
    return _fatal(SourceDamagedError, said, "Check that the URL is that of Tautulli.")


def _not_tautulli(reply: Reply, *, posted: bool, patience: int) -> Failure:
    """Return the failure for a web page, a proxy's error, a torn answer, or another program."""
    page = reply.body.lstrip()[:1] == b"<" or "html" in reply.kind
    status, told = reply.status, _page(reply)
    said = f"answered {status}{f': {told}' if told else ''}"
    match status:
        case 401:
            proxy = "basic" in reply.headers.get("www-authenticate", "").lower()
            return _fatal(
                UnauthorisedError,
                said,
                "A proxy in front of Tautulli needs a user and a password. Put the right ones into "
                "the URL: https://user:password@host"
                if proxy
                else _LOGIN,
            )
        case 403 if posted and told == _FORGED:
            return _no_tautulli_there(said, 1)
        case 403 if posted and "json" not in reply.kind:  # JSON is about the key, not about POST
            return _by_get(UnauthorisedError, said, _FORBIDDEN)
        case 403 | 407:
            return _fatal(UnauthorisedError, said, _FORBIDDEN)
        case 404:
            return _no_tautulli_there(said, patience)
        case 405 | 411 | 415 | 501 if posted:
            return _by_get(SourceUnreachableError, said, _FORBIDDEN)
        case 408 | 504 | 522 | 524:
            hint = "A proxy in front of Tautulli timed out. Increase its timeout."
            return failure(UnansweredError, said, hint, 2, smaller=True)
        case 413:
            return _fatal(
                UnansweredError, said, "A proxy in front of Tautulli refuses the request."
            )
        case 500:
            return _server_failed(said)
        case 429:
            return failure(SourceUnreachableError, said, "Try again later.", 5)
        case _ if status >= 500:
            hint = "Tautulli may be starting, or it is not running behind its proxy."
            return failure(SourceUnreachableError, said, hint, 5)
        case 400 | 403 | 495 | 496 if "SSL certificate" in told:  # nginx
            return _fatal(UnauthorisedError, said, CERTIFICATE_HINT)
        case 400 if "plain http" in told.lower() or "https" in told.lower():
            return _fatal(
                NotFoundError, said, "The server uses HTTPS, so the URL must begin with https://"
            )
        case _ if status >= 400:
            return _fatal(NotFoundError, said, _ROOT_HINT)
        case _ if page:
            return failure(
                NotFoundError,
                f"answered with a web page{f' ({told})' if told else ''}, not with data",
                "If it is the login page of a proxy, allow /api/v2 there. " + _ROOT_HINT,
                patience,
            )
        case _:
            return failure(
                UndeliverableError,
                f"sent an incomplete answer ({len(reply.body)} bytes)",
                "Check that it is Tautulli, and that no proxy in front of it cuts answers off.",
                4,
            )


def _no_tautulli_there(said: str, tries: int) -> Failure:
    def error(request: Request) -> NotFoundError:
        url = urlsplit(request.server)
        base = f"{url.scheme}://{url.netloc}"
        return NotFoundError(
            f"{request.where} {said}; there is no Tautulli at this path.",
            hint=f"Use the address of Tautulli in your browser, such as --url {base}"
            if url.path.strip("/")
            else _ROOT_HINT,
        )

    return Failure(error, tries=tries)


def failure(
    kind: type[TautulliImportError], said: str, hint: str, tries: int, *, smaller: bool = False
) -> Failure:
    """Return a failure that becomes an error of this kind. ``said`` follows the request in it."""
    return Failure(
        lambda request: kind(f"{request.where} {said}.", hint=hint), tries=tries, smaller=smaller
    )


def _by_get(kind: type[TautulliImportError], said: str, hint: str) -> Failure:
    """Return a failure for a refused POST.

    Before the first answer GET is worth a try. Later the refusal is temporary.
    """
    hint += " If it refuses POST, add --key-in query."
    return Failure(
        lambda request: kind(f"{request.where} {said}.", hint=hint), tries=3, with_get=True
    )


def _fatal(kind: type[TautulliImportError], said: str, hint: str) -> Failure:
    return failure(kind, said, hint, 1)


def _server_failed(said: str) -> Failure:
    """Return the failure for status 500, "Check the logs for errors".

    The cause is a row that Tautulli cannot deliver, or a locked database.
    """
    hint = "The cause is in Tautulli's log (logs/tautulli.log in its data directory)."
    return failure(UndeliverableError, said, hint, 3, smaller=True)


def _page(reply: Reply) -> str:
    """Return the message of a JSON object, the title of a web page, or the first words."""
    text = _beginning(reply)
    with suppress(ValueError, RecursionError, AttributeError):
        given = json.loads(reply.body)
        told = (given.get(name) for name in ("message", "error", "detail"))
        text = next((str(words) for words in told if words), text)
    found = _TITLE.search(text)
    return _short(reply.clean(unescape(found.group(1) if found else _TAGS.sub(" ", text))))


def _short(text: str) -> str:
    """Return the first words of a foreign text, on one line, without a full stop at the end."""
    line = " ".join(text.split())
    line = line.partition(" Possible commands are")[0]
    return (line if len(line) <= _MOST_SHOWN else line[: _MOST_SHOWN - 1] + "…").rstrip(".")


def _beginning(reply: Reply) -> str:
    return reply.body[:20_000].decode("utf-8", "replace")


def _proxy(reply: Reply) -> Proxy | None:
    """Return the proxy that did not let the request through; ``None`` if there is none known.

    A web page under 200 can be its login page.
    """
    is_page = reply.status == 200 and "html" in reply.kind
    if is_page or 300 <= reply.status < 400 or reply.status in (401, 403, 407):
        return proxy_of(reply.headers, _beginning(reply))
    return None


def _stopped(reply: Reply, proxy: Proxy) -> Failure:
    """Return the failure for a request that a proxy did not let through."""
    where = f" It redirects to {_short(reply.location)}" if reply.location else ""
    said = f"answered {reply.status}: {proxy.name} does not let the request through"
    return _fatal(UnauthorisedError, f"{said}.{where}" if where else said, proxy.hint)


def _redirected(location: str) -> Failure:
    """Return the failure for a redirect. It is not followed."""
    location = location.removeprefix(":")  # of an address without a scheme

    def error(request: Request) -> ConfigurationError:
        return ConfigurationError(
            f"{request.where} redirects to {_short(location) or 'another address'}, which is not "
            "followed, because the API key would go with it.",
            hint=_redirect_hint(location, request.server),
        )

    return Failure(error)


def _redirect_hint(location: str, server: str) -> str:
    """Return the hint for a redirect of ``server``. It names no other host to give the key to.

    An address is suggested only for a redirect to the API on the same host name: by HTTPS in place
    of HTTP, or with another HTTP root. Its port is the same or that of HTTPS, because another port
    may be another program, such as a login.
    """
    old, new = urlsplit(server), urlsplit(urljoin(f"{server}/api/v2", location))
    try:
        ports = {old.port, None, 443} if new.scheme == "https" else {old.port}
        is_elsewhere = new.hostname != old.hostname or new.port not in ports
    except ValueError:
        return _ROOT_HINT
    if is_elsewhere or "login" in new.path or "auth" in new.path:
        return _LOGIN
    root, api, _ = new.path.partition("/api/v2")
    is_safe = new.scheme in {old.scheme, "https"} and "…" not in location
    if api and is_safe and (new.scheme, root) != (old.scheme, old.path):
        return f"Use that address: --url {new.scheme}://{new.netloc}{root}"
    return _ROOT_HINT
