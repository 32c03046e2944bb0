"""A history that a test writes, and the program over it in the test's own process.

Tests of one kind add their runs to it: `Home` reads it over HTTP, `Nights` imports it with `db`,
`Rows` and `Pipeline` import its events. A process of its own is started by `tests.support.running`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.support.history import add_library, add_people, add_play, create
from tests.support.history.schema import PLAY_TABLES, Value
from tests.support.inside import Inside, inside

__all__ = ["DAY", "NOW", "History", "Household", "household"]

DAY: Final = 86_400
NOW: Final = 1_750_000_000
"""2025-06-15T15:06:40Z: when a run happens, unless a test says otherwise."""
_TABLES: Final = dict(zip("hmi", PLAY_TABLES, strict=True))


class History:
    """A database with two people and three libraries, into which a test writes plays."""

    def __init__(self, folder: Path, *, wal: bool = False) -> None:
        self.folder = folder
        self.path = folder / "tautulli.db"
        self.path.write_bytes(_without_plays())
        self.conn = sqlite3.connect(self.path)
        self.conn.execute("PRAGMA synchronous = OFF")
        self.conn.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'MEMORY'}")

    def add(self, title: str = "A Film", **fields: Value) -> int:
        """Write a play; a track, where told, as Tautulli writes those."""
        told: dict[str, Value] = {"title": title}
        if fields.get("media_type") == "track":
            told |= {"section_id": 6, "parent_title": "An Album", "grandparent_title": "A Band"}
        return add_play(self.conn, **told | fields)

    def film(self, days_ago: float = 100, title: str = "A Film", **fields: Value) -> int:
        """Write a film that was begun so many days before `NOW`."""
        started = NOW - int(days_ago * DAY)
        told: dict[str, Value] = {"started": started, "updated_at": 1_500_000_000}
        return self.add(title, **told | fields)

    def films(self, count: int, *, first: float = 400, last: float = 4) -> list[int]:
        """Write so many films, evenly from so many days before `NOW` to so many."""
        step = (first - last) / max(1, count - 1)
        return [
            self.film(first - step * number, f"Film {number}", year=1950 + number % 70)
            for number in range(count)
        ]

    def rest(self, days_ago: float, title: str, **fields: Value) -> int:
        """Write the last six minutes of a film of which `film` had stopped at 95 %."""
        started = NOW - int(days_ago * DAY)
        told: dict[str, Value] = {"stopped": started + 360, "view_offset": 7_200_000}
        return self.film(days_ago, title, **told | fields)

    def episode(self, days_ago: float, number: int, **fields: Value) -> int:
        """Write an episode of a show."""
        told: dict[str, Value] = {"media_type": "episode", "media_index": number}
        return self.film(days_ago, f"Episode {number}", **told | fields)

    def set(self, place: str, value: Value | bytes, play: int | None = None) -> None:
        """Write a value into `h.column`, `m.column` or `i.column` of one play, or of all."""
        table, _, column = place.partition(".")
        where, values = ("", (value,)) if play is None else (" WHERE id = ?", (value, play))
        sql = f"UPDATE {_TABLES.get(table, table)} SET {column} = ?{where}"  # noqa: S608
        self.execute(sql, *values)

    def delete(self, *ids: int) -> None:
        """Delete plays, as Tautulli does it."""
        with self.conn:
            for table in PLAY_TABLES:
                sql = f"DELETE FROM {table} WHERE id = ?"  # noqa: S608 - our own names
                self.conn.executemany(sql, [(one,) for one in ids])

    def execute(self, sql: str, *values: Value | bytes) -> None:
        """Change the database."""
        with self.conn:
            self.conn.execute(sql, values)

    def backup(self) -> Path:
        """Make a copy of the database as it is now."""
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

    def close(self) -> None:
        """Close the database."""
        self.conn.close()


class Household(History):
    """A history, and the program that runs in this process."""

    def __init__(self, folder: Path, inside: Inside) -> None:
        super().__init__(folder)
        self.inside = inside
        self.environment = inside.environment


_Kind = TypeVar("_Kind", bound=Household)


@contextmanager
def household(
    kind: type[_Kind], folder: Path, environment: Mapping[str, str], **given: Any
) -> Iterator[_Kind]:
    """Make a household of its own kind, with an empty history."""
    with inside(folder, environment) as program, closing(kind(folder, program, **given)) as made:
        yield made


@cache
def _without_plays() -> bytes:
    """Return the database before its first play; made once, for a disk takes its time."""
    with closing(create(":memory:")) as conn:
        add_people(conn)
        add_library(conn, 6, "Music", "artist")
        return conn.serialize()
