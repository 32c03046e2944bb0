"""Whatever a server answers: the whole history, or an error and nothing written.

Every fault strikes once or for good, at the first request, amid the crawl, or in the run after
one that went well. And once it is gone, the same command gives what it should have given:
nothing wrong is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tautulli_import.errors import CheckpointError
from tests.support.hostile import World, gentle, says
from tests.support.inside import Inside
from tests.support.products import crossed
from tests.support.tautulli import (
    Change,
    FakeTautulli,
    Fault,
    after,
    broken_json,
    close,
    empty_success,
    fewer_rows,
    hang,
    html,
    json_error,
    not_an_object,
    on,
    redirect,
    repeated_page,
    reset,
    retry_after,
    shrinking_total,
    slow,
    status,
    truncated,
    when,
    with_data,
    with_rows,
    without,
    wrong_types,
)

OTHER_DAYS: Final = "rows of other days"
OLD: Final = b'{"key":"imdb:tt0000000","title":"From before"}\n'
Faults = Mapping[str, Callable[[], Fault]]
Rows = list[dict[str, Any]]


def rows(change: Callable[[Rows], object]) -> Callable[[], Fault]:
    """Change the rows of an answer."""
    return lambda: Change(lambda data: data | {"data": change(data["data"])})


def envelope(data: object, **fields: object) -> Callable[[], Fault]:
    """Answer with this in place of the data."""
    whole = {"response": {"result": "success", "message": None, "data": data} | fields}
    return lambda: says(json.dumps(whole).encode())


def number(fault: Callable[..., Fault], *values: object) -> dict[str, Callable[[], Fault]]:
    """Return the same fault with one value and the other."""
    return {f"{fault.__name__} {value}": partial(fault, value) for value in values}


def first_row(**fields: object) -> Callable[[], Fault]:
    """Set fields of the first row."""
    return rows(lambda found: [found[0] | fields, *found[1:]] if found else found)


#: One of these can be the end: to ask again makes no sense, or would be wrong.
FATAL: Final[Faults] = {
    **number(status, 400, 401, 403, 405, 410, 425),
    "a proxy wants a login": partial(html, 401),
    "a login page by redirect": partial(redirect, "/auth/login?redirect_uri=/api/v2"),
    "the home page by redirect": partial(redirect, "/home", 303),
    "https by redirect": partial(redirect, "https://127.0.0.1:9/api/v2", 307),
    "a redirect to nowhere": partial(redirect, "http://[", 301),
    "a redirect without a place": partial(status, 308),
    "the key is not valid": partial(json_error, "Invalid apikey"),
    "the key is not valid, under 200": partial(json_error, "Invalid apikey", 200),
    "the API is off": partial(json_error, "API not enabled"),
    "an unknown command": partial(json_error, "Unknown command: get_history."),
    "the old API": partial(json_error, "Please use the /api/v2 endpoint.", 200),
    "POST is refused, and then GET": partial(html, 403),
    "no key has arrived": partial(json_error, "Parameter apikey is required"),
    "plays that go on": partial(with_rows, state="playing"),
    "an error without words": partial(json_error, ""),
    "an error under 200": partial(json_error, "Something else", 200),
    "an envelope without a result": partial(not_an_object, {"response": {}}),
    "plays are grouped": partial(with_rows, group_count=3),
}
ODD_DATA: Final[tuple[object, ...]] = (None, {}, "rows", [], 7)
ODD_TOTALS: Final[tuple[object, ...]] = (None, -1, 100_000, 1, "many", 0.5, [], {})
#: These can pass, and one alone must not be the end.
PASSING: Final[Faults] = {
    **number(status, 200, 204, 206, 404, 408, 429, 500, 501, 502, 503, 504, 524),
    **number(html, 200, 404, 500, 502, 503),
    "an internal error": partial(json_error, "Check the logs for errors", 500),
    **number(retry_after, 1, -1, "soon", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "a proxy is busy": partial(retry_after, 3, 503),
    "half an answer": broken_json,
    **number(not_an_object, [], "text", None, 42, {"response": None}),
    "two answers in one": partial(says, b'{"response": {"result": "success"}}' * 2),
    "UTF-16": partial(says, '{"response": {"result": "success"}}'.encode("utf-16")),
    "no UTF-8": partial(says, b'{"response": {"result": "success", "message": "\xff"}}'),
    "no UTF-8 in a title": partial(
        says,
        b'{"response": {"result": "success", "data": {"recordsFiltered": 1, "recordsTotal": 12,'
        b' "data": [{"row_id": 1, "started": 1600000000, "title": "\xff"}]}}}',
    ),
    "a deep hole": partial(says, b'{"response": ' + b"[" * 100_000),
    "zeros": partial(says, b"\0" * 1000),
    "no data": envelope(None),
    "a list of rows alone": envelope([]),
    "text for data": envelope("rows"),
    "empty data": envelope({}),
    "the connection breaks in the body": partial(truncated, 100),
    "the connection breaks at the end": partial(truncated, 1),
    "a reset": reset,
    "a reset in the body": partial(reset, 50),
    "a closed connection": close,
    "silence": partial(hang, 2),
    "a drip": partial(slow, 8),
    "no rows at all": empty_success,
    "no rows of many": partial(empty_success, total=True),
    "every page is the first": repeated_page,
    "fewer rows than it says": fewer_rows,
    "rows kept back": partial(fewer_rows, 100),
    "a total that shrinks": shrinking_total,
    "a total that falls to nothing": partial(shrinking_total, 1000),
    "the same row twice": rows(lambda found: [*found[:-1], found[0]] if found else found),
    "every row twice": rows(lambda found: [*found, *found]),
    "one row too many": rows(lambda found: [*found, *found[:1]]),
    "rows in place of rows": rows(lambda found: [[*row.values()] for row in found]),
    "no objects": rows(lambda found: [None for _ in found]),
    "a row that is text": rows(lambda found: [*found[:-1], "row"]),
    "wrong types everywhere": wrong_types,
    OTHER_DAYS: partial(with_rows, started=1_000_000_000, date=1_000_000_000),
    "rows without numbers": partial(without, "id", "row_id"),
    "a row without a number": first_row(id=None, row_id=None),
    "a row with a word for its number": first_row(id="one", row_id="one"),
    "a row with a list for its number": first_row(id=[1], row_id=[1]),
    "a row with a number beyond all": first_row(id=10**30, row_id=10**30),
    "a row with half a number": first_row(id=1.5, row_id=1.5),
    **{
        f"{name} is {value!r}": partial(with_data, **{name: value})
        for name in ("recordsFiltered", "recordsTotal")
        for value in ODD_TOTALS
    },
    **{f"data is {value!r}": partial(with_data, data=value) for value in ODD_DATA},
}
FAULTS: Final[Faults] = {**FATAL, **PASSING}


def from_the_middle(fault: Fault, requests: int) -> Fault:
    """For good, once half of the crawl is through."""
    return after(requests // 2, fault)


def every_fifth(fault: Fault, requests: int) -> Fault:
    """Once in a while, the first request among them."""
    del requests
    numbers = count()
    return when(lambda _: next(numbers) % 5 == 0, fault)


def at_once(fault: Fault, requests: int) -> Fault:
    """For good; then a run before went well."""
    del requests
    return fault


Moment = Callable[[Fault, int], Fault]
MOMENTS: Final[Mapping[str, Moment]] = {
    "from the middle on": from_the_middle,
    "in the next run": at_once,
    "once in a while": every_fifth,
}


class Clean:
    """What comes out when nothing goes wrong."""

    def __init__(self, items: bytes, requests: int) -> None:
        self.items = items
        self.requests = requests


@pytest.fixture(scope="module")
def clean(hostile_history: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch, FakeTautulli(hostile_history) as tautulli:
        gentle(patch, timeout=60.0)
        world = World(tautulli, Inside(folder, {"HOME": str(folder)}, patch), folder)
        assert world.imports("--state-dir", str(folder)).code == 0
        return Clean(world.items, len(tautulli.asked("get_history")))


def test_the_crawl_is_long_enough_to_have_a_middle(clean: Clean) -> None:
    assert clean.items.count(b"\n") == 12
    assert clean.requests >= 6


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_survived(name: str, world: World, clean: Clean) -> None:
    world.tautulli.faults.append(on("get_history", every_fifth(PASSING[name](), clean.requests)))
    result = world.imports()
    assert result.code == 0, result.err
    assert world.items == clean.items, result.err


@pytest.mark.sampled(7)
@pytest.mark.parametrize(
    ("name", "told"),
    [*crossed(PASSING, [*MOMENTS][:2]), *crossed(FATAL, MOMENTS)],
)
def test_the_whole_history_or_an_error(name: str, told: str, world: World, clean: Clean) -> None:
    moment = MOMENTS[told]
    world.out.write_bytes(OLD)
    if moment is at_once:
        assert world.imports().code == 0
    before = world.items
    world.tautulli.faults.append(on("get_history", moment(FAULTS[name](), clean.requests)))

    result = world.imports()

    assert world.items == (before if result.code else clean.items), result.err
    world.tautulli.faults.clear()
    cured = world.imports()
    if name == OTHER_DAYS and cured.code == CheckpointError.exit_code:
        # What was believed then is another history than the one that is there now.
        cured = world.imports("--restart")
    assert cured.code == 0, cured.err
    assert world.items == clean.items, cured.err
