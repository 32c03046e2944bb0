"""Ready-made faults: `tautulli.faults.append(on("get_history", times(2, status(502))))`.

The first fault that replies to a request decides; one that does not reply leaves the request to
the next, and in the end to the real answer.
"""

import json
from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import Any

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.reply import Change, Fault, Reply

__all__ = [
    "after",
    "broken_json",
    "chunked",
    "close",
    "empty_success",
    "fewer_rows",
    "hang",
    "hang_up",
    "html",
    "json_error",
    "not_an_object",
    "on",
    "redirect",
    "repeated_page",
    "reset",
    "retry_after",
    "shrinking_total",
    "slow",
    "status",
    "times",
    "truncated",
    "when",
    "with_data",
    "with_rows",
    "without",
    "wrong_types",
]

_Data = dict[str, Any]


# Which requests a fault is for.


def when(fits: Callable[[Asked], object], fault: Fault) -> Fault:
    """Only for requests of which the function says so."""
    return lambda asked: fault(asked) if fits(asked) else None


def on(cmd: str, fault: Fault, **params: object) -> Fault:
    """Only for this command, and only with these parameters."""
    wanted = {name: str(value) for name, value in params.items()}
    return when(lambda asked: asked.cmd == cmd and wanted.items() <= asked.params.items(), fault)


def times(n: int, fault: Fault) -> Fault:
    """Only the first `n` times that the fault replies."""
    return _counted(fault, lambda number: number <= n)


def after(n: int, fault: Fault) -> Fault:
    """Only when the fault would have replied `n` times already."""
    return _counted(fault, lambda number: number > n)


def _counted(fault: Fault, counts: Callable[[int], bool]) -> Fault:
    lock = Lock()
    numbers = count(1)

    def counted(asked: Asked) -> Reply | None:
        with lock:
            reply = fault(asked)
            return reply if reply and counts(next(numbers)) else None

    return counted


# Answers that are none of the real one's.


def status(code: int, body: bytes = b"") -> Fault:
    """Answer with a status and next to nothing."""
    return _always(Reply(status=code, body=body, headers=_TEXT))


def html(code: int = 502, text: str = "<h1>Bad Gateway</h1>") -> Fault:
    """Answer with a page, as a proxy does, or a login form under 200."""
    body = f"<!DOCTYPE html><html><body>{text}</body></html>".encode()
    return _always(Reply(status=code, body=body, headers={"Content-Type": "text/html"}))


def json_error(message: str, code: int = 400) -> Fault:
    """Answer with an error in the envelope, under any status."""
    return _json({"response": {"result": "error", "message": message, "data": {}}}, code)


def redirect(location: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return _always(Reply(status=code, body=b"", headers=_TEXT | {"Location": location}))


def retry_after(value: float | str, code: int = 429) -> Fault:
    """Tell the client to come back in so many seconds, or at a date."""
    return _always(Reply(status=code, body=b"", headers=_TEXT | {"Retry-After": str(value)}))


def broken_json() -> Fault:
    """Say that all is well, and stop in the middle of a string."""
    return _always(Reply(status=200, body=b'{"response": {"result": "succ', headers=_JSON))


def not_an_object(value: object = ()) -> Fault:
    """Answer with JSON that is not an object; a list unless told."""
    return _json(value, 200)


def empty_success(*, total: bool = False) -> Fault:
    """Say that there is no history, as the real one does when its database has a problem.

    Its totals are 0, too; with `total`, `recordsTotal` stays what it is.
    """
    data = {"recordsFiltered": 0, "recordsTotal": 0, "data": [], "draw": 0}
    data |= {"filter_duration": "0", "total_duration": "0"}

    def change(real: _Data) -> _Data:
        return data | {"recordsTotal": real["recordsTotal"]}

    envelope = {"response": {"result": "success", "message": None, "data": data}}
    return Change(change) if total else _json(envelope, 200)


# What happens to the real answer on its way.


def truncated(n: int) -> Fault:
    """Close the connection after `n` bytes of the body."""
    return _always(Reply(truncate=n))


def reset(n: int | None = None) -> Fault:
    """Reset the connection: without any answer, or after `n` bytes of the body."""
    return _always(Reply(reset=True, truncate=n))


def close() -> Fault:
    """Close the connection without any answer."""
    return _always(Reply(close=True))


def hang_up() -> Fault:
    """Answer, and close the connection without having said so."""
    return _always(Reply(hang_up=True))


def hang(seconds: float) -> Fault:
    """Let the client wait for the answer, but not the end of the test."""
    return _always(Reply(hang=seconds))


def slow(seconds: float) -> Fault:
    """Let the body take so long to arrive, a piece at a time."""
    return _always(Reply(slow=seconds))


def chunked() -> Fault:
    """Send the body in chunks."""
    return _always(Reply(chunked=True))


# Answers that look real and are wrong.


def repeated_page() -> Fault:
    """Ignore `start`: every page is the first one."""
    return _always(Reply(ask={"start": "0"}))


def shrinking_total(by: int = 1) -> Fault:
    """Let `recordsFiltered` fall with every answer."""
    lock = Lock()
    falls = count(by, by)

    def change(data: _Data) -> _Data:
        with lock:
            return data | {"recordsFiltered": max(0, data["recordsFiltered"] - next(falls))}

    return Change(change)


def fewer_rows(by: int = 1) -> Fault:
    """Leave out the last rows of a page, and say nothing of it."""
    return Change(lambda data: data | {"data": data["data"][: max(0, len(data["data"]) - by)]})


def with_data(**fields: object) -> Fault:
    """Set fields of the data, those beside the rows: `recordsFiltered`, `data` itself."""
    return Change(lambda data: data | fields)


def with_rows(**fields: object) -> Fault:
    """Set fields of every row."""
    return Change(lambda data: data | {"data": [row | fields for row in data["data"]]})


def without(*names: str) -> Fault:
    """Leave fields out of every row."""

    def change(data: _Data) -> _Data:
        rows = [{k: v for k, v in row.items() if k not in names} for row in data["data"]]
        return data | {"data": rows}

    return Change(change)


def wrong_types() -> Fault:
    """Put into every row what does not belong there: lists, objects, text for numbers."""
    odd = {
        "row_id": [1],
        "date": "yesterday",
        "started": {"at": 1},
        "title": 7,
        "year": [2001],
        "user": False,
        "watched_status": "yes",
        "guid": {},
    }
    return with_rows(**odd)


_JSON = {"Content-Type": "application/json;charset=UTF-8"}
_TEXT = {"Content-Type": "text/plain"}


def _always(reply: Reply) -> Fault:
    return lambda _: reply


def _json(value: object, code: int) -> Fault:
    return _always(Reply(status=code, body=json.dumps(value).encode(), headers=_JSON))
