"""A database of rows that a test writes, and the events that come of them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.conftest import Result
from tests.support.history import generate
from tests.support.household import Household

__all__ = [
    "LONG_AGO",
    "Event",
    "Rows",
    "events_in",
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


class Rows(Household):
    """A history, and the program that reads its events."""

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
