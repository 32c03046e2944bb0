"""The state file: whatever has happened to it, the outputs are right."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import msgpack

from tautulli_import.errors import ConfigurationError
from tautulli_import.model.plays import SampleRow
from tautulli_import.state.checkpoint import CheckpointStore, JobKey, packed
from tautulli_import.state.file import StateFile, state_file
from tests.conftest import Cli
from tests.support.nightly import Night, Nights, at_home, said
from tests.support.over_http import DAY, NOW, Home


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a small history that was imported once, and of which a film is new since."""
    nights.years()
    nights.run()
    nights.film(-0.5, "Brand New")
    return nights


def remembered(nights: Nights) -> Path:
    """Return the state file."""
    (path,) = nights.state.glob("*.db")
    return path


# Damage.


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _header(path: Path) -> None:
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])


def _first_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + b"\x00" * 3996 + path.read_bytes()[4096:])


def _middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)


def _cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 4096 * 4096])


def _cut_in_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _no_database(path: Path) -> None:
    path.write_bytes(b"this is a note to myself\n" * 400)


def _another_programs(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE bookmarks (url)")


DAMAGES = (_header, _first_page, _middle, _cut_in_half, _no_database)


@pytest.mark.parametrize("damage", [*DAMAGES, _another_programs])
def test_a_damaged_state_file_is_set_aside_and_begun_anew(
    nights: Nights, damage: Callable[[Path], None]
) -> None:
    path = remembered(nights)
    damage(path)
    size = path.stat().st_size
    done = nights.run(days=1)
    assert (done.code, done.changes) == (0, (1, 0, 0))
    (aside,) = nights.state.glob("*.damaged-*")
    assert aside.stat().st_size == size
    assert "is damaged" in said(done)
    assert f"It was renamed to {aside.name}" in said(done)
    assert "everything is read again" in said(done)
    again = nights.night()
    assert again.changes == (0, 0, 0)
    assert "was renamed to" not in again.err


@pytest.mark.parametrize("damage", [*DAMAGES, _another_programs, _empty, _cut_in_a_page])
def test_the_output_is_that_of_an_import_that_knows_nothing(
    nights: Nights, damage: Callable[[Path], None]
) -> None:
    damage(remembered(nights))
    nights.run(days=1)
    found = nights.items()
    shutil.rmtree(nights.state)
    shutil.rmtree(nights.out)
    nights.run()
    assert nights.items() == found


def test_a_state_file_of_another_program_with_a_version_of_its_own_is_not_written(
    nights: Nights,
) -> None:
    path = remembered(nights)
    _another_programs(path)
    nights.ask("PRAGMA user_version = 2")
    done = nights.run(days=1)
    assert (done.code, done.changes) == (0, (1, 0, 0)), done.err
    assert [*nights.state.glob("*.damaged-*")]


def test_an_empty_state_file_is_begun(nights: Nights) -> None:
    _empty(remembered(nights))
    assert nights.run(days=1).changes == (1, 0, 0)
    assert nights.ask("SELECT status FROM jobs") == [("completed",)]


def test_left_over_side_files_of_another_database_do_no_harm(nights: Nights) -> None:
    path = remembered(nights)
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).write_bytes(b"\x37\x7f\x06\x82" + b"x" * 9000)
    assert nights.run(days=1).code == 0
    assert "Brand New" in nights.titles()


def test_a_directory_in_its_place_is_said(nights: Nights) -> None:
    path = remembered(nights)
    path.unlink()
    path.mkdir()
    done = nights.run(days=1)
    assert (done.code, done.changes) == (0, (1, 0, 0))
    assert f"Nothing can be saved in {path}" in said(done)
    assert "--state-dir" in done.err


def test_a_file_in_place_of_the_state_directory_is_said(nights: Nights) -> None:
    shutil.rmtree(nights.state)
    nights.state.write_text("a file", "utf-8")
    done = nights.run(days=1)
    assert (done.code, done.changes) == (0, (1, 0, 0))
    assert "Nothing can be saved in" in said(done)
    assert nights.state.read_text("utf-8") == "a file"


GARBAGE = (b"", b"\x00", b"no msgpack at all", b"\xc1" * 100, msgpack.encode({"cursor": 1}))


@pytest.fixture
def events(nights: Nights) -> Nights:
    """Return the same history, of which the events were delivered too, and a film since."""
    deliver(nights)
    nights.film(-0.7, "After That")
    return nights


def deliver(nights: Nights) -> Night:
    """Deliver the events of the history into a file."""
    return nights.run("--events", "--to", "jsonl", "--out", nights.out / "events.jsonl", to=None)


def rewritten(nights: Nights, change: Callable[[bytes], bytes]) -> None:
    """Something else stands where the position of the events was."""
    with closing(sqlite3.connect(remembered(nights))) as conn, conn:
        query = "SELECT key, reached FROM jobs WHERE reached IS NOT NULL"
        ((key, cell),) = conn.execute(query).fetchall()
        assert change(cell) != cell
        conn.execute("UPDATE jobs SET reached = ? WHERE key = ?", (change(cell), key))


def test_events_go_on_where_they_were(events: Nights) -> None:
    done = deliver(events)
    assert (done.code, done.told["carried"], done.changes) == (0, 15, (1, 0, 0))


@pytest.mark.parametrize("reached", GARBAGE)
def test_a_position_that_cannot_be_read_is_none(events: Nights, reached: bytes) -> None:
    rewritten(events, lambda _: reached)
    done = deliver(events)
    assert (done.code, done.told["carried"], done.told["plays"]["read"]) == (0, 0, 16)
    assert deliver(events).told["carried"] == 16


def test_a_position_of_another_shape_is_none(events: Nights) -> None:
    rewritten(events, lambda _: packed({"whence": "15"}))  # type: ignore[arg-type]
    done = deliver(events)
    assert (done.code, done.told["carried"]) == (0, 0), done.err


@pytest.mark.parametrize("part", range(0, 25, 4))
def test_a_bit_that_has_turned_over_spoils_nothing(events: Nights, part: int) -> None:
    """SQLite does not see it: what stands in a cell is nothing to it."""
    right = events.fresh("--events", to="jsonl")["items.jsonl"]

    def turned(cell: bytes) -> bytes:
        place = (len(cell) - 1) * part // 24
        return cell[:place] + bytes([cell[place] ^ 1]) + cell[place + 1 :]

    rewritten(events, turned)
    assert deliver(events).code == 0
    assert events.files()["events.jsonl"] == right


@pytest.mark.sampled(2)
@pytest.mark.parametrize("column", ["about", "landmarks", "series"])
@pytest.mark.parametrize("value", [None, "", "{", b"\xff\xfe", 12])
def test_a_job_of_which_something_cannot_be_read_is_begun_anew(
    nights: Nights, column: str, value: str | bytes | int | None
) -> None:
    with closing(sqlite3.connect(remembered(nights))) as conn, conn:
        conn.execute(f"UPDATE jobs SET {column} = ?", (value,))  # noqa: S608 - our own names
    done = nights.run(days=1)
    assert (done.code, done.changes) == (0, (1, 0, 0)), done.err
    assert nights.inside("checkpoint", "list", "--state-dir", nights.state).code == 0
    assert nights.run(days=1).code == 0


@pytest.mark.parametrize("value", [b"", b"\xff", b"garbage", msgpack.encode({"a": [1]})])
def test_published_keys_that_cannot_be_read_take_nothing_away(nights: Nights, value: bytes) -> None:
    before = nights.titles()
    with closing(sqlite3.connect(remembered(nights))) as conn, conn:
        conn.execute("UPDATE published SET published = ?, staged = ?", (value, value))
    done = nights.night()
    assert done.changes == (1, 0, 0)
    assert nights.titles() == [*before, "Brand New"]


def test_a_log_of_runs_that_cannot_be_read_is_no_harm(nights: Nights) -> None:
    with closing(sqlite3.connect(remembered(nights))) as conn, conn:
        conn.execute("UPDATE runs SET told = 'x'")
    assert nights.inside("status", "--state-dir", nights.state).code == 0
    nights.night()


# Where nothing can be written.


def test_a_state_directory_that_may_not_be_written_is_said(
    nights: Nights, bound: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.rmtree(nights.state)
    nights.state.mkdir()
    nights.state.chmod(0o500)
    code, _, err = bound(*_command(nights))
    nights.state.chmod(0o700)
    assert code == 0, err
    assert "Nothing can be saved in" in err
    assert "Brand New" in nights.titles()
    assert [*nights.state.iterdir()] == []


@pytest.mark.parametrize("folder", [0o500, 0o700])
def test_a_state_file_that_may_not_be_written_is_said(
    nights: Nights, bound: Callable[..., tuple[int, str, str]], folder: int
) -> None:
    remembered(nights).chmod(0o400)
    nights.state.chmod(folder)
    code, _, err = bound(*_command(nights))
    nights.state.chmod(0o700)
    assert code == 0, err
    assert "Nothing can be saved in" in err
    assert "Brand New" in nights.titles()


def test_a_state_file_that_may_not_be_read_is_said(
    nights: Nights, bound: Callable[..., tuple[int, str, str]]
) -> None:
    remembered(nights).chmod(0)
    code, _, err = bound(*_command(nights))
    assert code == 0, err
    assert "Nothing can be saved in" in err
    assert "Brand New" in nights.titles()


def _command(nights: Nights) -> tuple[str | Path, ...]:
    place = ("--to", "tracker", "--out", nights.out / "tracker")
    return ("db", nights.path, *place, "--no-enrich", "--state-dir", nights.state)


def test_what_is_remembered_is_for_this_user_only(nights: Nights) -> None:
    before = os.umask(0)
    try:
        shutil.rmtree(nights.state)
        nights.run()
    finally:
        os.umask(before)
    assert stat.S_IMODE(nights.state.stat().st_mode) == 0o700
    assert stat.S_IMODE(remembered(nights).stat().st_mode) == 0o600


# Versions.


def _schema_1(path: Path, plays: Path) -> None:
    """Write a file as the version before this one left it, row by row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("ATTACH ? AS other", (str(plays),))
        for table in ("about", "plays", "undelivered", "sections", "metadata"):
            found = conn.execute(
                "SELECT sql FROM other.sqlite_master WHERE name = ?", (table,)
            ).fetchone()
            if found:
                conn.execute(found[0])
                conn.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")  # noqa: S608 - our own names
        conn.execute("PRAGMA user_version = 1")


@pytest.fixture
def home(home: Home) -> Home:
    """Return a Tautulli with a small history."""
    home.films(30)
    return home


def test_a_file_of_the_version_before_keeps_its_rows(home: Home, tmp_path: Path) -> None:
    first = home.run()
    (current,) = home.state.glob("*.db")
    with closing(sqlite3.connect(current)) as conn, conn:
        conn.execute("CREATE TABLE IF NOT EXISTS metadata (key TEXT PRIMARY KEY, told TEXT)")
        conn.execute("UPDATE plays SET title = 'Remembered' WHERE id = 3")
    old = tmp_path / "old"
    _schema_1(old / current.name, current)
    run = home.run(now=NOW + 60, state=old)
    assert run.ids == first.ids
    assert run.plays[3].title == "Remembered"
    assert len(run.asked) <= 3
    assert not run.notices
    with closing(sqlite3.connect(old / current.name)) as conn:
        assert conn.execute("PRAGMA user_version").fetchone() == (3,)
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
        assert conn.execute("SELECT count(*) FROM plays").fetchone() == (30,)
    assert {"jobs", "published", "runs", "plays", "metadata"} <= tables


def test_a_file_of_the_version_before_is_gone_on_with_by_the_program(
    home: Home, tmp_path: Path, environment: dict[str, str]
) -> None:
    home.run()
    (current,) = home.state.glob("*.db")
    old = tmp_path / "old"
    _schema_1(old / current.name, current)
    with at_home(_folder(tmp_path / "at"), environment) as nights:
        env = home.fake.environment
        command = ("api", "--to", "tracker", "--out", nights.out, "--state-dir", old)
        nights.now = NOW + DAY
        home.fake.requests.clear()
        done = nights.inside(*command, env=env)
        assert done.code == 0, done.err
        assert sum(asked.rows for asked in home.fake.asked("get_history")) <= 3
        assert "30 new" in said(done)
        assert nights.inside(*command, env=env).err.startswith("Nothing new")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_file_of_a_newer_version_is_refused(nights: Nights) -> None:
    path = remembered(nights)
    nights.ask("PRAGMA user_version = 4")
    before, content = nights.files(), path.read_bytes()
    done = nights.run(days=1)
    assert done.code == 2
    assert f"{path} was written by a newer version of tautulli-import" in done.err
    assert "--state-dir" in done.err
    assert nights.files() == before
    assert path.read_bytes() == content
    assert nights.run("--restart").code == 2
    elsewhere = ("--state-dir", str(nights.state.with_name("elsewhere")))
    assert nights.run(*elsewhere).changes == (1, 0, 0)


def test_a_file_of_a_newer_version_is_refused_over_http(home: Home) -> None:
    home.run()
    (path,) = home.state.glob("*.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 4")
    with pytest.raises(ConfigurationError, match="newer version") as caught:
        home.run(now=NOW + DAY)
    assert caught.value.hint


def test_a_migration_that_is_cut_short_is_done_by_the_next(tmp_path: Path) -> None:
    """All of it or nothing: with half of the tables the version is still the old one."""
    path = state_file(tmp_path, "file:///tautulli.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT)")
        conn.execute("INSERT INTO about VALUES ('kept', '1')")
        conn.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, told TEXT)")
        conn.execute("PRAGMA user_version = 1")
    state = StateFile(tmp_path, "file:///tautulli.db")
    assert state.notices == []
    assert state.get("kept", int) == 1
    store = CheckpointStore(state, JobKey("s", "db", ("tracker=/x",), {}, {}))
    store.begin([SampleRow(1, 2, 3)])
    saved = store.saved()
    assert saved is not None
    assert saved.samples == [SampleRow(1, 2, 3)]
    state.close()


def test_only_the_last_hundred_runs_are_kept(nights: Nights) -> None:
    with closing(sqlite3.connect(remembered(nights))) as conn, conn:
        ((told,),) = conn.execute("SELECT told FROM runs").fetchall()
        conn.executemany(
            "INSERT OR REPLACE INTO runs VALUES (?, ?)", [(one, told) for one in range(1, 300)]
        )
    nights.run()
    assert nights.ask("SELECT count(*), max(id) FROM runs") == [(101, 300)]


def test_of_a_database_that_is_not_there_nothing_is_remembered(cli: Cli, tmp_path: Path) -> None:
    done = cli("db", "mistyped.db", "--to", "tracker", "--state-dir", tmp_path / "state")
    assert done.code == 5, done.err
    assert not (tmp_path / "state").exists()
