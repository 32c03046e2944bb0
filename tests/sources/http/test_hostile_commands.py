"""Hostile answers to whatever else is asked: thresholds, users, libraries, Plex, the database."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.history import add_play, create
from tests.support.hostile import World, says
from tests.support.products import crossed, rarely
from tests.support.tautulli import (
    KEY,
    Change,
    Fault,
    broken_json,
    close,
    hang,
    html,
    json_error,
    on,
    redirect,
    reset,
    slow,
    status,
    times,
    truncated,
    with_data,
)

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

Faults = Mapping[str, Callable[[], Fault]]


def instead(data: object) -> Callable[[], Fault]:
    """Say that all is well, with these data."""
    return lambda: says(json.dumps({"response": {"result": "success", "data": data}}).encode())


ODD_DATA: Final[tuple[object, ...]] = (None, {}, [], "text", [None], [[]])
#: What can come in place of any answer.
ANY: Final[Faults] = {
    **{f"status {code}": partial(status, code) for code in (400, 401, 404, 500, 502)},
    "a login": partial(html, 200, "Log in"),
    "a redirect": partial(redirect, "/auth/login"),
    "an error": partial(json_error, "Check the logs for errors", 500),
    "an error under 200": partial(json_error, "No", 200),
    "half an answer": broken_json,
    "a torn answer": partial(truncated, 10),
    "a reset": reset,
    "a closed connection": close,
    "silence": partial(hang, 2),
    **{f"data {value!r}": instead(value) for value in ODD_DATA},
}
#: What looks like an answer.
DATA: Final = [name for name in ANY if name.startswith("data")]
#: What is none; no question is answered by that in a way of its own.
NONE: Final = [name for name in ANY if name not in DATA]


def some(share: int, names: Iterable[str] = ANY) -> Sequence[ParameterSet]:
    """Return all that looks like an answer, and the third ``share`` of the rest; more is fuzz."""
    return rarely(names, [*DATA, *NONE[share::3]])


def whole_or_error(world: World, cmd: str, fault: Fault, run: Callable[[], bytes | None]) -> None:
    """Check that the fault changes nothing or is an error, and that a run without it is whole."""
    world.tautulli.faults[:] = [on(cmd, fault)]
    first = run()
    world.tautulli.faults.clear()
    clean = run()
    assert clean
    assert first in (clean, None)


def items(world: World, *args: str) -> Callable[[], bytes | None]:
    """Return what an import writes; nothing when it fails, for then nothing may be written."""

    def run() -> bytes | None:
        world.out.unlink(missing_ok=True)
        if world.imports(*args).code == 0:
            return world.items
        assert not world.out.exists()
        return None

    return run


def shown(world: World, *args: str, without: str = "") -> Callable[[], bytes | None]:
    """Return what a command prints; nothing when it fails and only the error is printed."""

    def run() -> bytes | None:
        result = world.run(*args, "--json")
        if result.code:
            assert json.loads(result.out).keys() == {"error"}
            return None
        found = json.loads(result.out)
        if without:
            del found[without]
        return json.dumps(found).encode()

    return run


@pytest.mark.parametrize("name", some(0))
def test_the_thresholds_cannot_be_had(name: str, world: World) -> None:
    whole_or_error(world, "get_settings", ANY[name](), items(world))


@pytest.mark.parametrize("value", [None, "", "many", -1, 10**30, 0.5, [], {}, True], ids=repr)
def test_thresholds_that_are_none_change_no_verdict(value: object, world: World) -> None:
    names = ("movie_watched_percent", "tv_watched_percent", "watched_marker")
    fault = with_data(**dict.fromkeys(names, value))
    whole_or_error(world, "get_settings", fault, items(world))


@pytest.mark.parametrize("name", some(1, [name for name in ANY if name != "data []"]))
def test_the_users_cannot_be_had(name: str, world: World) -> None:
    whole_or_error(world, "get_users", ANY[name](), shown(world, "users", "api"))


def test_without_a_list_of_users_those_with_plays_are_known(world: World) -> None:
    world.tautulli.faults[:] = [on("get_users", ANY["data []"]())]
    users = json.loads(world.run("users", "api", "--json").out)
    assert [(user["friendly_name"], user["plays"]) for user in users] == [("Alice", 10), ("Bob", 2)]


@pytest.mark.parametrize("name", DATA)
def test_the_chosen_user_is_not_mistaken(name: str, world: World) -> None:
    whole_or_error(world, "get_users", ANY[name](), items(world, "--user", "Bob"))


@pytest.mark.parametrize("name", some(2))
def test_the_libraries_cannot_be_had(name: str, world: World) -> None:
    whole_or_error(world, "get_libraries_table", ANY[name](), shown(world, "libraries", "api"))


@pytest.mark.parametrize("name", DATA)
def test_the_chosen_library_is_not_mistaken(name: str, world: World) -> None:
    whole_or_error(world, "get_libraries_table", ANY[name](), items(world, "--library", "Shows"))


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("name", "cmd"), crossed(ANY, ["server_status", "get_server_info", "get_tautulli_info"])
)
def test_a_check_ends_whatever_is_not_answered(name: str, cmd: str, world: World) -> None:
    run = shown(world, "check", "api", "--no-enrich", without="server")
    whole_or_error(world, cmd, ANY[name](), run)


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("name", "cmd"),
    [
        *crossed(NONE, ["get_libraries", "get_library_names", "get_metadata", "server_status"]),
        # No data is what Tautulli says of something deleted, while Plex answers.
        *crossed([name for name in DATA if name != "data {}"], ["get_metadata"]),
        *crossed(DATA, ["get_libraries", "get_library_names", "server_status"]),
    ],
)
def test_what_plex_knows_is_had_later(name: str, cmd: str, world: World) -> None:
    _tell(world)
    args = ("api", "--to", "jsonl", "--out", world.out)
    world.tautulli.faults[:] = [on(cmd, ANY[name]())]
    result = world.run(*args)
    assert result.code == 0
    assert b"tt1111111" in world.items or "Run the same command again later" in result.err
    world.tautulli.faults.clear()
    assert world.run(*args).code == 0
    assert b'"key":"imdb:tt1111111"' in world.items


@pytest.mark.parametrize(
    ("field", "value"),
    crossed(
        ["media_type", "title", "guids", "guid", "year"],
        [[1], {"a": 1}, 7, True, "x" * 100_000],
    ),
    ids=lambda v: str(v)[:9],
)
def test_what_plex_cannot_have_said_is_not_believed(
    field: str, value: object, world: World
) -> None:
    _tell(world)
    args = ("api", "--to", "jsonl", "--out", world.out)
    world.tautulli.faults[:] = [on("get_metadata", with_data(**{field: value}))]
    assert world.run(*args).code == 0
    assert len(world.items) < 10_000


def _tell(world: World) -> None:
    """Plex knows one of the two films that have no ids."""
    world.imports()
    items = [json.loads(line) for line in world.items.splitlines()]
    (nameless,) = (item for item in items if item["title"] == "Nameless <0>")
    world.tautulli.plex[int(nameless["ids"]["plex"])] = {
        "media_type": "movie",
        "title": "Nameless <0>",
        "year": "2010",
        "guids": ["imdb://tt1111111"],
    }
    world.out.unlink()


# The database as a whole.


def database(change: Callable[[bytes], bytes]) -> Callable[[Path], Fault]:
    """Return a fault that changes the file that is sent."""
    return lambda history: says(change(history.read_bytes()))


DOWNLOADS: Final[Mapping[str, Callable[[Path], Fault]]] = {
    **{name: lambda _, make=make: make() for name, make in ANY.items()},  # type: ignore[misc]
    "nothing": database(lambda _: b""),
    "the header alone": database(lambda whole: whole[:100]),
    "half of it": database(lambda whole: whole[: len(whole) // 2]),
    "noise after the header": database(lambda whole: whole[:16] + b"\xff" * 5000),
    "zeros in the middle": database(lambda whole: whole[:4096] + bytes(len(whole) - 4096)),
    "text": database(lambda _: b"no database\n" * 500),
    "a drip": lambda _: slow(8),
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_database_that_is_none_is_not_taken_for_the_history(
    name: str, world: World, history: Path
) -> None:
    fault = DOWNLOADS[name](history)
    whole_or_error(world, "download_database", fault, items(world, "--via", "database"))


def test_the_database_of_another_tautulli_is_refused(world: World, tmp_path: Path) -> None:
    with closing(create(tmp_path / "other.db")) as conn:
        for number in range(12):
            add_play(conn, title=f"Other {number}", user_id=3)
    fault = says((tmp_path / "other.db").read_bytes())
    whole_or_error(world, "download_database", fault, items(world, "--via", "database"))


def test_an_empty_database_in_place_of_the_history_is_refused(world: World, tmp_path: Path) -> None:
    create(tmp_path / "empty.db").close()
    fault = says((tmp_path / "empty.db").read_bytes())
    whole_or_error(world, "download_database", fault, items(world, "--via", "database"))


def test_a_database_of_something_else_is_refused(world: World, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "else.db")) as conn, conn:
        conn.execute("CREATE TABLE session_history (other INTEGER)")
    fault = says((tmp_path / "else.db").read_bytes())
    whole_or_error(world, "download_database", fault, items(world, "--via", "database"))


@pytest.mark.parametrize("name", ["status 500", "a torn answer", "a reset", "a closed connection"])
def test_a_download_that_breaks_once_is_begun_anew(name: str, world: World) -> None:
    world.tautulli.faults[:] = [on("download_database", times(1, ANY[name]()))]
    result = world.imports("--via", "database")
    assert result.code == 0
    assert not world.tautulli.asked("get_metadata")
    assert len(world.tautulli.asked("download_database")) == 2
    assert "one by one" not in result.err


# Numbers beyond all bounds.


@pytest.mark.parametrize(
    "number", rarely([10**7, 10**15, 10**30], [10**7, 10**30]), ids="{:.0e}".format
)
def test_a_total_beyond_all_bounds_does_not_take_the_memory(
    number: int, world: World, environment: dict[str, str], tmp_path: Path
) -> None:
    shell = shutil.which("sh")
    assert shell
    world.tautulli.faults[:] = [on("get_history", with_data(recordsTotal=number))]
    program = f'ulimit -v 1000000; exec "{sys.executable}" -m tautulli_import "$@"'
    done = subprocess.run(
        [shell, "-c", program, "sh", "api", "--to", "jsonl", "--out", "items.jsonl"],
        env={**environment, "TAUTULLI_URL": world.tautulli.url, "TAUTULLI_API_KEY": KEY},
        capture_output=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert b"Traceback" not in done.stderr
    assert not world.out.exists()


def test_a_metadata_answer_of_many_guids_is_an_answer(world: World) -> None:
    _tell(world)

    def many(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"guids": [f"imdb://tt{number:07}" for number in range(20_000)]}

    world.tautulli.faults[:] = [on("get_metadata", Change(many))]
    assert world.run("api", "--to", "jsonl", "--out", world.out).code == 0
