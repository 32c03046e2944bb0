"""A database of rows that a test writes, and the events that come of them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from tests.conftest import Result
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.history.schema import Value
from tests.support.inside import Inside

__all__ = [
    "LONG_AGO",
    "Event",
    "Rows",
    "events_in",
    "rows_of",
    "run",
    "stamp",
    "stamped",
    "titles_in",
    "whole",
    "why",
]

Event: TypeAlias = Mapping[str, Any]
LONG_AGO: Final = 1_500_000_000


def events_in(lines: str | bytes) -> list[Event]:
    """Events out of JSON lines; the last one ends as well."""
    text = lines if isinstance(lines, str) else lines.decode()
    assert not text or text.endswith("\n"), "the last line is cut short"
    return [json.loads(line) for line in text.split("\n")[:-1]]


def titles_in(lines: str | bytes) -> list[str]:
    """Return the titles of the events in JSON lines."""
    return [event["title"] for event in events_in(lines)]


class Rows:
    """A database with two people and three libraries, and the program that reads it."""

    def __init__(self, folder: Path, inside: Inside) -> None:
        self.folder = folder
        self.path = folder / "tautulli.db"
        self.inside = inside
        self.path.write_bytes(_without_plays())
        self.conn = sqlite3.connect(self.path)
        self.conn.execute("PRAGMA synchronous = OFF")

    def add(self, title: str = "A Film", **fields: Value) -> int:
        """Write a play; a track, where told, as Tautulli writes those."""
        told: dict[str, Value] = {"title": title}
        if fields.get("media_type") == "track":
            told |= {"section_id": 6, "parent_title": "An Album", "grandparent_title": "A Band"}
        return add_play(self.conn, **told | fields)

    def set(self, place: str, value: Value | bytes, play: int | None = None) -> None:
        """Write a value into ``table.column`` of one play, or of all."""
        table, _, column = place.partition(".")
        table = {"h": "session_history", "m": "session_history_metadata"}.get(table, table)
        table = {"i": "session_history_media_info"}.get(table, table)
        where, values = ("", (value,)) if play is None else (" WHERE id = ?", (value, play))
        with self.conn:
            self.conn.execute(f"UPDATE {table} SET {column} = ?{where}", values)  # noqa: S608

    def delete(self, *ids: int) -> None:
        """Delete plays, as Tautulli does it."""
        with self.conn:
            for table in ("", "_metadata", "_media_info"):
                sql = f"DELETE FROM session_history{table} WHERE id = ?"  # noqa: S608
                self.conn.executemany(sql, [(one,) for one in ids])

    def backup(self) -> Path:
        """Return a copy of the database as it is now."""
        made = self.folder / "backup.db"
        made.unlink(missing_ok=True)
        with closing(sqlite3.connect(made)) as copy:
            self.conn.backup(copy)
        return made

    def replace(self, other: Path) -> None:
        """Put another database in the place of this one."""
        self.conn.close()
        self.path.unlink()
        other.rename(self.path)
        self.conn = sqlite3.connect(self.path)

    def generate(self, plays: int) -> None:
        """Put a generated history of so many plays in the place of this one."""
        self.conn.close()
        self.path.unlink()
        generate(self.path, plays=plays, seed=3, wal=False, truth=False)
        self.conn = sqlite3.connect(self.path)

    def damage(self) -> None:
        """Spoil a page in the middle of the history, as a bad disk does."""
        (size,) = self.conn.execute("PRAGMA page_size").fetchone()
        sql = "SELECT pageno FROM dbstat WHERE name = 'session_history' AND pagetype = 'leaf'"
        pages = [page for (page,) in self.conn.execute(sql)]
        with self.path.open("r+b") as file:
            file.seek((pages[len(pages) // 2] - 1) * size)
            file.write(b"\xff" * size)

    def run(self, *options: str | Path, **how: Any) -> Result:
        """Run ``db --events`` with these options; see ``Inside``."""
        return self.inside("db", self.path, "--events", *options, **how)

    def told(self, *options: str | Path) -> tuple[Sequence[Event], Mapping[str, Any]]:
        """Return the events of a dry run and its report; every row is accounted for in it."""
        report = self.folder / "report.json"
        done = self.run("--dry-run", "--report", report, *options)
        assert done.code == 0, done.err
        found: Mapping[str, Any] = json.loads(report.read_bytes())
        plays = found["plays"]
        (count,) = self.conn.execute("SELECT count(*) FROM session_history").fetchone()
        assert plays["read"] == count
        assert plays["merged"] == 0
        assert plays["emitted"] == done.out.count("\n")
        left = sum(plays["filtered"].values()) + sum(plays["rejected"].values())
        assert plays["read"] == left + plays["emitted"]
        return events_in(done.out), found

    def events(self, *options: str | Path) -> Sequence[Event]:
        """Return the events of a dry run."""
        found, _ = self.told(*options)
        return found

    def titles(self, *options: str | Path) -> list[str]:
        """Return the titles of the events of a dry run."""
        return [event["title"] for event in self.events(*options)]


@cache
def _without_plays() -> bytes:
    """Return the database before its first play; made once, for a disk takes its time."""
    with closing(create(":memory:")) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob", "Bob")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_library(conn, 6, "Music", "artist")
        return conn.serialize()


@contextmanager
def rows_of(folder: Path, environment: Mapping[str, str]) -> Iterator[Rows]:
    """Yield an empty database of its own; the program runs in this process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    with pytest.MonkeyPatch.context() as patch:
        made = Rows(folder, Inside(folder, environment, patch))
        yield made
        made.conn.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)


# Into a file.


def run(rows: Rows, out: Path, *options: str | Path) -> Result:
    """Run ``db --to jsonl --events`` into the file, two rows a page; it has to succeed."""
    done = rows.run("--to", "jsonl", "--out", out, "--batch-size", "2", *options)
    assert done.code == 0, done.err
    return done


def whole(rows: Rows, *options: str) -> bytes:
    """Return what the file has to hold when everything is read from the beginning."""
    return rows.run("--dry-run", *options).out.encode()


def stamped(path: Path) -> object:
    """Set a file's time back, and tell which file it is and when it was written."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return stamp(path)


def stamp(path: Path) -> object:
    """Which file it is, and when it was written."""
    info = path.stat()
    return info.st_ino, info.st_mtime_ns, info.st_size


def why(done: Result) -> str:
    """Why everything was read again; empty when it was not."""
    said = " ".join(done.err.split())
    _, found, reason = said.partition("Everything is read again: ")
    return reason.partition(".")[0] if found else ""
