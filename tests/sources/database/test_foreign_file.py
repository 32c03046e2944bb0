"""A database that somebody crafted: nothing of it runs, and nothing is endless or huge."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tautulli_import import interrupts
from tautulli_import.interrupts import Stopped
from tautulli_import.sources.database.foreign import open_foreign
from tautulli_import.sources.database.source import Source
from tests.support.history import add_play
from tests.support.inside import Inside

ENDLESS: Final = (
    "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
    " SELECT id, 1 AS started, 'movie' AS media_type, 'x' AS title, 1 AS user_id, 1 AS rating_key,"
    " 1 AS section_id, 'x' AS username FROM n"
)
TABLES: Final = (
    *("session_history", "session_history_metadata", "session_history_media_info"),
    *("users", "library_sections", "themoviedb_lookup", "tvmaze_lookup"),
)


def crafted(history: Path, *statements: str) -> Path:
    """Run statements on a history, as its author would."""
    with closing(sqlite3.connect(history)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.commit()
    return history


@pytest.mark.parametrize("table", TABLES)
def test_a_view_in_place_of_a_table_is_not_read(history: Path, inside: Inside, table: str) -> None:
    crafted(history, f"DROP TABLE IF EXISTS {table}", f"CREATE VIEW {table} AS {ENDLESS}")
    done = inside("db", history, "--dry-run")
    assert done.code == 7
    assert f"has a view in place of the table {table}" in " ".join(done.err.split())
    assert "backups/" in done.err


def test_a_virtual_table_in_place_of_a_table_is_not_read(history: Path, inside: Inside) -> None:
    crafted(history, "DROP TABLE users", "CREATE VIRTUAL TABLE users USING fts4(user_id, username)")
    done = inside("users", history)
    assert done.code == 7
    assert "has a virtual table in place of the table users" in " ".join(done.err.split())


@pytest.mark.parametrize("name", ["session_history", "decoy"])
def test_a_view_that_is_entered_as_a_table_is_not_read(
    history: Path, inside: Inside, name: str
) -> None:
    view = f"CREATE VIEW session_history AS {ENDLESS}"
    with closing(sqlite3.connect(history)) as conn:
        conn.execute("DROP TABLE session_history")
        conn.execute("PRAGMA writable_schema = ON")
        row = ("table", name, "session_history", 2, view)
        conn.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
        conn.commit()
    done = inside("db", history, "--dry-run")
    assert done.code == 7, done.err
    assert "bug in" not in done.err


def test_nothing_that_a_file_brings_along_runs(history: Path) -> None:
    """Not even when a statement names it."""
    crafted(
        history,
        f"CREATE VIEW endless AS {ENDLESS}",
        "CREATE TRIGGER late AFTER INSERT ON users BEGIN DELETE FROM session_history; END",
    )
    with closing(open_foreign(f"file:{history}?mode=rw", wait=0)) as conn:
        with pytest.raises(sqlite3.DatabaseError):
            conn.execute("SELECT count(*) FROM endless")
        try:  # the trigger is off (Python 3.12), or the statement is refused
            conn.execute("INSERT INTO users (user_id) VALUES (77)")
        except sqlite3.DatabaseError as error:
            assert error.sqlite_errorname == "SQLITE_AUTH"  # noqa: PT017 - it need not be raised
        assert conn.execute("SELECT count(*) FROM session_history").fetchone() == (4,)
        with pytest.raises(sqlite3.Error):
            conn.execute("ATTACH ':memory:' AS other")


@pytest.mark.parametrize("value", ["x" * 1_000_000, b"x" * 1_000_000])
def test_a_play_with_a_huge_value_is_rejected_and_the_others_are_imported(
    history: Path, inside: Inside, tmp_path: Path, value: str | bytes
) -> None:
    with closing(sqlite3.connect(history)) as conn:
        conn.execute("UPDATE session_history_metadata SET title = ? WHERE id = 2", (value,))
        conn.commit()
    done = inside("db", history, "--dry-run", "--report", tmp_path / "report.json")
    assert done.code == 7, done.err
    assert "has 1 row that could not be read" in done.err
    titles = [json.loads(line)["title"] for line in done.out.splitlines()]
    assert ("First Film" in titles, "Second Film" in titles, len(titles)) == (True, False, 3)
    rejections = json.loads((tmp_path / "report.json").read_text())["rejected_rows"]
    assert [row["id"] for row in rejections] == [2]


@pytest.mark.parametrize("table", ["session_history", "session_history_metadata"])
@pytest.mark.parametrize("value", ["'k' || id", "id + 0.5", "1", "NULL", "X'FF'"])
def test_ids_that_are_no_keys_are_not_read(
    history: Path, inside: Inside, table: str, value: str
) -> None:
    """Every play would have every metadata, and ids would be no numbers."""
    crafted(
        history,
        f"CREATE TABLE copy AS SELECT * FROM {table}",  # noqa: S608 - our own name
        f"UPDATE copy SET id = {value}",  # noqa: S608 - as above
        f"DROP TABLE {table}",
        f"ALTER TABLE copy RENAME TO {table}",
    )
    done = inside("db", history, "--dry-run")
    assert done.code == 7, done.err
    assert f"table {table} whose id is not its key" in " ".join(done.err.split())


def test_the_lowest_id_of_all_is_an_error(history: Path, inside: Inside) -> None:
    crafted(history, f"UPDATE session_history SET id = {-(2**63)} WHERE id = 1")  # noqa: S608 - our own number
    assert inside("db", history, "--dry-run").code == 7


@pytest.mark.parametrize("command", ["users", "libraries", "db"])
def test_a_huge_id_takes_no_longer_than_another_one(
    history: Path, inside: Inside, tmp_path: Path, command: str
) -> None:
    """Backups were compared ten thousand ids at a time, whether there are rows or not."""
    backup = tmp_path / "backup.db"
    backup.write_bytes(history.read_bytes())
    for path in (history, backup):
        for table in ("", "_metadata", "_media_info"):
            crafted(path, f"UPDATE session_history{table} SET id = {2**63 - 1} WHERE id = 4")  # noqa: S608 - our own names
    done = inside(command, history, backup, *(["--dry-run"] if command == "db" else []))
    assert done.code == 0, done.err


def test_a_signal_ends_a_query_that_would_take_hours(history: Path) -> None:
    """CPython runs no handler while SQLite works, and SQLite drops the exception of a callback."""
    tables = ", ".join(f"session_history AS h{number}" for number in range(20))
    before = signal.signal(signal.SIGALRM, lambda number, _: interrupts.ask(number) and None)
    interrupts.forget()
    source = Source([history])
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Stopped):
            # No query of the program takes so long.
            source.files[0].sqlite.ask(
                lambda db: db.execute(f"SELECT sum(h0.id) FROM {tables}").fetchone()  # noqa: S608
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        interrupts.forget()
        source.close()


def test_bytes_that_no_text_has_are_titles_like_others(history: Path, inside: Inside) -> None:
    with closing(sqlite3.connect(history)) as conn:
        add_play(conn, title="with \0 nothing", year=1999, user="alice")
        add_play(conn, title="bad", year=1998, user="alice")
        conn.execute("UPDATE session_history_metadata SET title = X'6261FF64' WHERE title = 'bad'")
        conn.commit()
    done = inside("db", history, "--dry-run")
    titles = [json.loads(line)["title"] for line in done.out.splitlines()]
    assert (done.code, len(titles)) == (0, 6)
    assert "ba\ufffdd" in titles
