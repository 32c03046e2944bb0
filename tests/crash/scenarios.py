"""Scenarios: which door, which sinks, which run; and the history that is read in them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from tests.support.history import add_play, generate

__all__ = ["CONSTANTS", "FOREIGN", "SCENARIOS", "Scenario", "add_plays", "write_history"]

Door: TypeAlias = Literal["db", "api", "via"]
Sinks: TypeAlias = Literal["tracker", "editor", "jsonl", "tracker+editor", "events"]
Run: TypeAlias = Literal["first", "more", "nothing", "replace"]

CONSTANTS: Final[dict[str, Any]] = {
    # A checkpoint after every batch, however little time has passed.
    "tautulli_import.events.resume._EVERY_SECONDS": 0.0,
    "tautulli_import.events.resume._SHARE": 0,
    "tautulli_import.state.runs._EVERY_SECONDS": 0.0,
}
"""Names of the program that have other values in a crash run. One that is gone is an error."""

FOREIGN: Final = "imdb:tt0000001"
"""The key of what stands in a tracker before we come."""

_PLACES: Final = {
    "tracker": "tracker",
    "editor": "tautulli-history.json",
    "jsonl": "items.jsonl",
    "events": "events.jsonl",
}
_DAY: Final = 86_400


class Scenario(Struct, frozen=True):
    """A run: the first one, one that finds more plays than the last, or one that finds none.

    Or one that takes back what the first has put there of other people.
    """

    door: Door
    sinks: Sinks
    run: Run = "first"
    foreign: bool = False
    """Whether there is something in the tracker that came from elsewhere."""
    enrich: bool = False
    """Whether ids are asked for."""
    plays: int = 240
    batch: int = 25
    windows: int = 40

    def __str__(self) -> str:
        extra = ("foreign",) * self.foreign + ("enrich",) * self.enrich
        return "-".join((self.door, self.sinks, self.run, *extra))

    def arguments(self, source: str, out: Path) -> list[str]:
        """Return the command, for a source: the path of a database, or the address of a server."""
        args = ["db", source] if self.door == "db" else ["api", "--url", source]
        if self.door == "via":
            args += ["--via", "database"]
        names = self.sinks.split("+")
        if self.sinks == "events":  # a stream: what a later run adds goes into the file as it is
            place = str(out / _PLACES["events"])
            args += ["--events", "--to", "jsonl", "--out", place]
            names = []
        for name in names:
            place = str(out / _PLACES[name])
            args += ["--to", name, "--out", place if len(names) == 1 else f"{name}={place}"]
        return [*args, *(() if self.enrich else ("--no-enrich",)), "--batch-size", str(self.batch)]

    def options(self) -> list[str]:
        """Return the options that the runs before it have not had."""
        return ["--user", "alice", "--replace"] if self.run == "replace" else []

    def furnish(self, out: Path) -> None:
        """Put there what stands there before the first run."""
        if not self.foreign:
            return
        tracker = out / _PLACES["tracker"]
        tracker.mkdir()
        item = {
            "type": "movie",
            "title": "From Elsewhere",
            "year": 1999,
            "ids": {"imdb": FOREIGN.partition(":")[2]},
            "watched_at": "2020-01-02T03:04:05Z",
            "of_theirs": True,
        }
        history = {"ts": 1_600_000_000, "items": {FOREIGN: item}}
        (tracker / "history.json").write_text(json.dumps(history), encoding="utf-8")
        (tracker / "history.json").chmod(0o644)


def _all() -> tuple[Scenario, ...]:
    doors: tuple[Door, ...] = ("db", "api", "via")
    sinks: tuple[Sinks, ...] = ("tracker", "editor", "jsonl", "tracker+editor", "events")
    runs: tuple[Run, ...] = ("first", "more", "nothing")
    made = [
        Scenario(door, sink, run, foreign="tracker" in sink and run != "nothing")
        for door, sink, run in product(doors, sinks, runs)
        if door != "via" or sink == "tracker"
    ]
    asking = [Scenario("api", "tracker", run, enrich=True) for run in runs]
    taking = [
        Scenario(door, sink, "replace", foreign="tracker" in sink)
        for door, sink in product(doors, sinks)
        if door != "via" and ("tracker" in sink or "editor" in sink)
    ]
    return (*made, *asking, *taking)


SCENARIOS: Final = _all()
"""All that the long form chooses from."""


def write_history(path: Path, plays: int) -> None:
    """Write a believable history."""
    generate(path, plays=plays, seed=7, wal=False, truth=False)


def add_plays(path: Path) -> None:
    """Write what was watched since: new films, films once more, and a row that has changed."""
    with closing(sqlite3.connect(path)) as conn:
        (last,) = conn.execute("SELECT max(started) FROM session_history").fetchone()
        for number in range(12):
            started = last + (number + 1) * _DAY
            add_play(conn, title=f"A New Film {number}", year=2000 + number, started=started)
        films = conn.execute(
            "SELECT h.id FROM session_history h WHERE media_type = 'movie' ORDER BY id LIMIT 6"
        ).fetchall()
        for number, (row,) in enumerate(films):
            _once_more(conn, row, last + (number + 20) * _DAY)
        conn.commit()


def _once_more(conn: sqlite3.Connection, row: int, started: int) -> None:
    """Write a play of what a row is a play of."""
    (new,) = conn.execute("SELECT max(id) + 1 FROM session_history").fetchone()
    for table in ("session_history", "session_history_metadata", "session_history_media_info"):
        names = [str(found[1]) for found in conn.execute(f"PRAGMA table_info({table})")]
        cells = {"id": "?1", "reference_id": "?1", "started": "?2", "stopped": "?2 + 7000"}
        chosen = ", ".join(cells.get(name, name) for name in names)
        sql = f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE id = ?3"  # noqa: S608
        conn.execute(sql, (new, started, row))
