"""What Tautulli's HTTP API answers with, told apart: an answer, a refusal, or nothing usable.

Measured on Tautulli 2.17.2, and on what proxies put in front of it: an error can come under
status 200, 400 does not mean "try again", and a web page in place of JSON is a login page,
a wrong HTTP root, or a proxy's complaint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from typing import Any, Final, TypeVar

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

__all__ = ["MOST_TRIES", "Failure", "Reply", "failure", "read_reply"]

_T = TypeVar("_T")
MOST_TRIES: Final = 6
_SHOWN: Final = 120
_TAGS: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_KEY_HINT: Final = (
    "The key stands in Tautulli under Settings > Web Interface > API. Give it with "
    "--api-key-file FILE or in TAUTULLI_API_KEY."
)
_FORBIDDEN: Final = "Something in front of Tautulli forbids it; let /api/v2 pass there."
_ROOT_HINT: Final = (
    "Give the address as you open Tautulli in a browser, its HTTP root included: "
    "http://host:8181/tautulli"
)


class Reply(Struct, frozen=True):
    """One HTTP answer, read to its end."""

    status: int
    kind: str
    """Its content type, lower case."""
    location: str
    """Where a redirect leads, without anything secret."""
    challenge: str
    """What a proxy says about passwords (``WWW-Authenticate``)."""
    body: bytes
    clean: Callable[[str], str] = str
    """Takes secrets out of what is quoted; before it is shortened, for half a key tells half."""


class Failure(Exception):  # noqa: N818 - never seen outside the client
    """A request that gave nothing; whether another try makes sense, and what to say at last."""

    def __init__(
        self,
        error: Callable[[str], TautulliImportError],
        *,
        tries: int = 1,
        wait: float | None = None,
        with_get: bool = False,
        smaller: bool = False,
    ) -> None:
        super().__init__()
        self.error = error
        """Makes the error, given where and at which attempt."""
        self.tries = tries
        """How often such a request is worth making in all."""
        self.wait = wait
        """Seconds that the server asked to wait."""
        self.with_get = with_get
        """Whether the same by GET may work."""
        self.smaller = smaller
        """Whether a smaller question is more likely to get an answer than the same again."""


class _Response(Struct):
    result: str = ""
    message: Any = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Envelope(Struct):
    response: _Response


def read_reply(reply: Reply, kind: type[_T], *, posted: bool, reached: bool) -> _T:
    """The ``data`` of an answer, as what it should be.

    ``posted`` says that it was asked by POST, ``reached`` that Tautulli has answered before:
    what is then a web page is a proxy's, and will pass.

    Raises:
        Failure: it is no such answer.
    """
    if 300 <= reply.status < 400:
        raise _fatal(
            ConfigurationError,
            f"redirects to {_short(reply.location) or 'another place'}, and a redirect is not "
            "followed because the API key would go with it",
            _redirect_hint(reply.location),
        )
    envelope = _envelope(reply.body)
    if envelope is None:
        raise _without_envelope(reply, posted=posted, patience=4 if reached else 1)
    message = reply.clean(str(envelope.message or ""))
    if reply.status >= 500:
        # "Check the logs for errors": a row that Tautulli cannot deliver, or a locked database.
        raise _server_failed(f"answered {reply.status}: {_short(message)}")
    if reply.status >= 400 or envelope.result != "success":
        raise _refused(reply.status, message, posted=posted)
    try:
        return msgspec.json.decode(envelope.data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _leniently(reply.body, kind, error)


def _envelope(body: bytes) -> _Response | None:
    """The envelope of Tautulli's own answers; ``None`` for anything else."""
    try:
        return msgspec.json.decode(body, type=_Envelope).response
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # NaN and Infinity, which Python writes and JSON does not know
        found = json.loads(body)["response"]
        return _Response(str(found["result"]), found.get("message"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _leniently(body: bytes, kind: type[_T], error: Exception) -> _T:
    try:
        return msgspec.convert(json.loads(body)["response"]["data"], kind)
    except (ValueError, LookupError, TypeError, RecursionError):
        unreadable = isinstance(error, UnicodeDecodeError)
        raise failure(
            UndeliverableError if unreadable else SourceDamagedError,
            f"answered something that it never should: {_short(str(error))}",
            "Is it really Tautulli, and does something in front of it change answers?",
            3,
        ) from None


def _refused(status: int, message: str, *, posted: bool) -> Failure:
    said = f"answered {status}: {_short(message) or 'an error without a message'}"
    lower = message.lower()
    if "apikey is required" in lower and posted:
        # Something in front of it has dropped the form.
        return _by_get(UnauthorisedError, said, _KEY_HINT)
    if "invalid apikey" in lower or "apikey is required" in lower:
        return _fatal(UnauthorisedError, said, _KEY_HINT)
    if "api not enabled" in lower or "api key not generated" in lower:
        return _fatal(
            UnauthorisedError, said, "Switch it on: Settings > Web Interface > API > Enable API."
        )
    if "/api/v2" in lower:
        return _fatal(NotFoundError, said, _ROOT_HINT)
    if "unknown command" in lower:
        return _fatal(
            SourceDamagedError, said, "This Tautulli is too old, or it is another program."
        )
    return _fatal(SourceDamagedError, said, "Is it really Tautulli?")


def _without_envelope(reply: Reply, *, posted: bool, patience: int) -> Failure:
    """Not from Tautulli's API: a web page, a proxy, a torn answer, another program."""
    page = reply.body.lstrip()[:1] == b"<" or "html" in reply.kind
    status, told = reply.status, _page(reply)
    said = f"answered {status}{f': {told}' if told else ''}"
    match status:
        case 401:
            proxy = "basic" in reply.challenge.lower()
            return _fatal(
                UnauthorisedError,
                said,
                "A proxy in front wants a user and a password: put them into the URL, "
                "https://user:password@host"
                if proxy
                else "Something in front of Tautulli wants a login; let /api/v2 pass there.",
            )
        case 403 if posted:
            return _by_get(UnauthorisedError, said, _FORBIDDEN)
        case 403 | 407:
            return _fatal(UnauthorisedError, said, _FORBIDDEN)
        case 404:
            told = f"{said}; there is no Tautulli at this path"
            return failure(NotFoundError, told, _ROOT_HINT, patience)
        case 405 | 411 | 415 | 501 if posted:
            return _by_get(SourceUnreachableError, said, _FORBIDDEN)
        case 408 | 504 | 522 | 524:
            hint = "A proxy in front gave up waiting; let it wait longer."
            return failure(UnansweredError, said, hint, 2, smaller=True)
        case 413:
            return _fatal(UnansweredError, said, "A proxy in front refuses the request.")
        case 500:
            return _server_failed(said)
        case 429:
            return failure(SourceUnreachableError, said, "Try again later.", 5)
        case _ if status >= 500:
            hint = "Tautulli may be starting, or is not running behind its proxy."
            return failure(SourceUnreachableError, said, hint, 5)
        case 400 if "plain http" in told.lower() or "https" in told.lower():
            return _fatal(NotFoundError, said, "It speaks HTTPS: the URL begins with https://")
        case _ if status >= 400:
            return _fatal(NotFoundError, said, _ROOT_HINT)
        case _ if page:
            return failure(
                NotFoundError,
                f"answered with a web page{f' ({told})' if told else ''}, not with data",
                "A login page of a proxy? Let /api/v2 pass there. " + _ROOT_HINT,
                patience,
            )
        case _:
            return failure(
                UndeliverableError,
                f"answered {len(reply.body)} bytes that are no complete answer",
                "Is it really Tautulli, and does a proxy cut answers off?",
                4,
            )


def failure(
    kind: type[TautulliImportError], said: str, hint: str, tries: int, *, smaller: bool = False
) -> Failure:
    """A failure that becomes an error of this kind, saying where it was and what was ``said``."""
    return Failure(lambda where: kind(f"{where} {said}.", hint=hint), tries=tries, smaller=smaller)


def _by_get(kind: type[TautulliImportError], said: str, hint: str) -> Failure:
    """Something refuses the POST: before the first answer GET is worth a try, later it passes."""
    return Failure(lambda where: kind(f"{where} {said}.", hint=hint), tries=3, with_get=True)


def _fatal(kind: type[TautulliImportError], said: str, hint: str) -> Failure:
    return failure(kind, said, hint, 1)


def _server_failed(said: str) -> Failure:
    """Status 500, "Check the logs for errors": a row it cannot deliver, or a locked database."""
    hint = "Tautulli's log (logs/tautulli.log in its data directory) says why."
    return failure(UndeliverableError, said, hint, 3, smaller=True)


def _page(reply: Reply) -> str:
    """The title of a web page, or its first words."""
    text = reply.body[:20_000].decode("utf-8", "replace")
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        text = str(json.loads(reply.body)["message"])
    found = _TITLE.search(text)
    return _short(reply.clean(unescape(found.group(1) if found else _TAGS.sub(" ", text))))


def _short(text: str) -> str:
    """The first words of what somebody else wrote, on one line, without a full stop."""
    line = " ".join(text.split())
    line = line.partition(" Possible commands are")[0]
    return (line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…").rstrip(".")


def _redirect_hint(location: str) -> str:
    if location.startswith("https://"):
        return f"Give that address: --url {location.partition('/api/')[0]}"
    if "login" in location or "auth" in location:
        return "Something in front of Tautulli wants a login; let /api/v2 pass there."
    return _ROOT_HINT
