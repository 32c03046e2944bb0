"""What was read of a Tautulli's history over HTTP, kept on disk.

A crawl that was cut short goes on where it was, a later run reads the last days only, and all
plays are there each time: what an old play tells about a film's ids is not lost. Rows are kept
settled; reading them is like reading a database's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import msgspec
from msgspec import Struct

from ..checkpoint.state import StateFile
from ..models import Details, Landmark, Play
from ..selection import LAST_MOMENT
from ..watched import WatchedRule
from .base import spread, unsettled
from .crawl import Stretch
from .listing import COLUMNS, Window
from .rows import Row, detail
from .schema import row_mark
from .spans import Undelivered

__all__ = ["Mirror", "Progress"]

_PLAY: Final = len(Play.__struct_fields__)
_INTEGERS: Final = frozenset(
    {
        *("id", "reference_id", "started", "stopped", "user_id", "section_id", "live"),
        *("rating_key", "grandparent_rating_key", "season", "episode", "year", "view_offset"),
        *("duration", "credits_first", "credits_final", "percent", "watched"),
        *("paused_counter", "secure", "relayed"),
    }
)
_MARK: Final = row_mark(
    "id",
    [
        *("started", "stopped", "reference_id", "user_id", "rating_key", "season", "episode"),
        *("grandparent_rating_key", "year", "live", "percent", "watched"),
    ],
    ["media_type", "title", "grandparent_title", "guid"],
)
_MARK_OF_SECTION: Final = f"{_MARK} + coalesce(section_id, 0)"
_MARK_OF_IDENTITY: Final = row_mark("id", ["started", "user_id"], [])
_KEEP: Final = (
    f"INSERT INTO plays ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - our own names
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in ("id", "section_id"))
)


class Progress(Struct, frozen=True):
    """How far a history has been read. Days are of the server's own time zone."""

    oldest: str = ""
    """The first day of all that was read; empty when nothing was."""
    complete: bool = False
    """Whether there is nothing older."""
    read_at: int = 0
    """When the newest days were last asked for (epoch seconds, UTC)."""
    whole_at: int = 0
    """When everything was last read from the beginning."""
    unlisted: int = 0
    """Rows that Tautulli counts and never lists: their metadata or media info is gone."""
    rule: WatchedRule | None = None
    """The thresholds that ``watched`` was computed with."""


class Mirror:
    """The plays of one server in its state file."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._view: sqlite3.Connection | None = None
        if not {"plays", "undelivered", "sections"} <= set(state.db.table_names()):
            with state.step():
                self._make_tables()

    def _make_tables(self) -> None:
        db = self._state.db
        types = {name: int if name in _INTEGERS else str for name in COLUMNS}
        db.table("plays").create(types, pk="id", if_not_exists=True)
        db.table("undelivered").create(
            {"day": str, "until": str, "window": str, "position": int, "sorted": str},
            pk=("window", "position", "sorted"),
            if_not_exists=True,
        )
        db.table("sections").create(
            {"section_id": int, "upto": int}, pk="section_id", if_not_exists=True
        )

    @property
    def progress(self) -> Progress:
        """How far it goes."""
        return self._state.get("progress", Progress, view=self._view) or Progress()

    def hold(self) -> None:
        """From now on read what is here now, whatever another run does to the file."""
        self.release()
        self._view = self._state.view()

    def release(self) -> None:
        """Read what is there again, whoever writes it."""
        if self._view is not None and self._view is not self._state.db.conn:
            self._view.close()
        self._view = None

    @property
    def proven(self) -> Sequence[Landmark]:
        """Plays of the last history that was read whole and held against its own numbers."""
        return self._state.get("landmarks", list[Landmark]) or ()

    def note(self, progress: Progress, *, proven: bool = False) -> None:
        """Remember how far it goes; when that is ``proven``, by what it is recognised as well."""
        landmarks = self.landmarks() if proven else ()
        with self._state.step():
            self._state.put("progress", progress)
            if proven:
                self._state.put("landmarks", landmarks)

    def forget(self, *, whose: bool = False) -> None:
        """Begin anew; with ``whose`` also with another history, if there is one."""
        with self._state.step() as db:
            for table in ("plays", "undelivered", "sections"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._state.put("progress", Progress())
            if whose:
                self._state.put("landmarks", ())

    def read_from(self, since: date) -> date | None:
        """Where to begin in order to read the days from ``since`` on again.

        What could not be had is known by window only, so a window is read again whole or not
        at all. ``None``: from the beginning. What could not be had from there on is forgotten.
        """
        query = "SELECT min(day) FROM undelivered WHERE day < ? AND until >= ?"
        begin = str(since)
        while (found := self._one(query, begin, begin)[0]) is not None:
            begin = found
        with self._state.step() as db:
            db.execute("DELETE FROM undelivered WHERE day >= ?", (begin,))
        return date.fromisoformat(begin) if begin else None

    def keep(self, stretch: Stretch) -> None:
        """Take in what was read, newer words for the same row over older ones."""
        window = str(stretch.window)
        day, until = str(stretch.window.after or ""), str(stretch.window.before or "9999-12-31")
        if stretch.window == Window():  # what has no day at all
            until = ""
        with self._state.step() as db:
            try:
                db.executemany(_KEEP, stretch.rows)
            except UnicodeEncodeError:  # half a character, which only a broken server sends
                db.executemany(_KEEP, [_encodable(row) for row in stretch.rows])
            db.execute("DELETE FROM undelivered WHERE window = ?", (window,))
            db.executemany(
                "INSERT OR REPLACE INTO undelivered VALUES (?, ?, ?, ?, ?)",
                [(day, until, window, one.position, one.order) for one in stretch.undelivered],
            )

    def keep_section(self, section: int, rows: Sequence[Row]) -> None:
        """Note that these rows are of a library."""
        with self._state.step() as db:
            db.executemany(
                "UPDATE plays SET section_id = ? WHERE id = ?", [(section, row[0]) for row in rows]
            )

    def section_known(self, section: int) -> None:
        """Note that of every row here it is known whether it is of a library."""
        with self._state.step() as db:
            db.execute(
                "INSERT OR REPLACE INTO sections SELECT ?, coalesce(max(id), 0) FROM plays",
                (section,),
            )

    def unknown_of(self, section: int) -> tuple[int, int | None]:
        """Rows of which that is not known: how many, and when the first of them started."""
        count, first = self._one(
            "SELECT count(*), min(started) FROM plays WHERE id > "
            "coalesce((SELECT upto FROM sections WHERE section_id = ?), 0)",
            section,
        )
        return count, first

    def count_of(self, section: int) -> int:
        """Rows that are known to be of a library."""
        (count,) = self._one("SELECT count(*) FROM plays WHERE section_id = ?", section)
        return int(count)

    def has_undated(self) -> bool:
        """Whether there are rows that no window of days can have."""
        (found,) = self._one(
            "SELECT EXISTS (SELECT 1 FROM plays"
            " WHERE date(started, 'unixepoch') IS NULL OR started < 0)"
        )
        return bool(found)

    def count(self) -> int:
        """Rows that were read or could not be: all that were met."""
        return sum(self.counts())

    def newest(self) -> int | None:
        """When the newest play started (epoch seconds, UTC)."""
        (newest,) = self._one("SELECT max(started) FROM plays WHERE started <= ?", LAST_MOMENT)
        return None if newest is None else int(newest)

    def ids_since(self, started: int) -> set[int]:
        """The plays that started at that moment or later, as far as a calendar goes."""
        query = "SELECT id FROM plays WHERE started BETWEEN ? AND ?"
        found = self._db.execute(query, (started, LAST_MOMENT))
        return {number for (number,) in found}

    def strangers(self, rows: Sequence[Row]) -> int:
        """How many of these rows are here under the same number as somebody else's play."""
        known = 0
        for row in rows:
            found = self._db.execute(
                "SELECT started, user_id FROM plays WHERE id = ?", (row[0],)
            ).fetchone()
            known += found is not None and found != (row[2], row[4])
        return known

    def undelivered(self) -> Sequence[Undelivered]:
        """The rows that could not be had."""
        found = self._db.execute(
            "SELECT window, position, sorted FROM undelivered ORDER BY day, window, position"
        )
        return [Undelivered(*row) for row in found]

    def pages(
        self, after: int, size: int, *, sections: bool = False, detailed: bool = False
    ) -> Iterator[tuple[list[Play], int, dict[int, Details]]]:
        """All plays with an id above ``after``, in the order of their ids, and their marks' sum.

        With ``sections`` the marks tell of a play's library as well; with ``detailed`` only
        whether it is the same play, and their details come with the plays.
        """
        names = COLUMNS if detailed else COLUMNS[:_PLAY]
        query = (
            f"SELECT {_mark(sections, detailed)}, {', '.join(names)} FROM plays "  # noqa: S608 - our own names
            "WHERE id > ? ORDER BY id LIMIT ?"
        )
        while rows := self._db.execute(query, (after, size)).fetchall():
            details = detail([row[1:] for row in rows]) if detailed else {}
            plays = [_play(row[1 : _PLAY + 1]) for row in rows]
            yield plays, sum([row[0] for row in rows]), details
            after = rows[-1][1]

    def marked(
        self, upto: int, *, sections: bool = False, detailed: bool = False
    ) -> tuple[int, int]:
        """How many plays there are up to an id, and the sum of their marks."""
        mark = _mark(sections, detailed)
        count, marks = self._one(
            f"SELECT count(*), coalesce(sum({mark}), 0) FROM plays WHERE id <= ?",  # noqa: S608 - our own names
            upto,
        )
        return count, marks

    def settled_upto(self, now: int) -> int:
        """The last id up to which every play ended a week before ``now`` (epoch seconds)."""
        late = unsettled(now)
        (last,) = self._one(
            "SELECT coalesce(min(id) - 1, (SELECT max(id) FROM plays), -1) FROM plays"
            " WHERE started BETWEEN ? AND ? OR stopped BETWEEN ? AND ?",
            *(*late, *late),
        )
        return int(last)

    def landmarks(self) -> Sequence[Landmark]:
        """Some plays from the first to the last, by which the history is recognised."""
        first, last = self._one("SELECT min(id), max(id) FROM plays")
        if first is None:
            return ()
        found: dict[int, Landmark] = {}
        for number in spread(first, last):
            row = self._one(
                "SELECT id, started, user_id FROM plays WHERE id >= ? ORDER BY id LIMIT 1", number
            )
            found[row[0]] = Landmark(*row)
        return list(found.values())

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many of these plays are here as they were."""
        query = "SELECT id, started, user_id FROM plays WHERE id = ?"
        found = (self._db.execute(query, (one.id,)).fetchone() for one in landmarks)
        return sum(
            1
            for one, row in zip(landmarks, found, strict=True)
            if row is not None and Landmark(*row) == one
        )

    def chosen(self, ids: Sequence[int]) -> list[Play]:
        """The plays with these numbers."""
        query = f"SELECT {', '.join(COLUMNS[:_PLAY])} FROM plays WHERE id = ?"  # noqa: S608 - our own names
        found = (self._db.execute(query, (number,)).fetchone() for number in ids)
        return [_play(row) for row in found if row is not None]

    def can_begin(self, since: date) -> bool:
        """Whether the days from ``since`` on can be read again without any before them."""
        query = "SELECT count(*) FROM undelivered WHERE day < ? AND until >= ?"
        return not self._one(query, str(since), str(since))[0]

    def counts(self) -> tuple[int, int]:
        """Rows that were read, and rows that could not be."""
        delivered, undelivered = self._one(
            "SELECT (SELECT count(*) FROM plays), (SELECT count(*) FROM undelivered)"
        )
        return delivered, undelivered

    def users(self) -> Sequence[tuple[int, int, str, str]]:
        """Everybody with plays: id, how many, and the names on the newest that bears any."""
        found = self._db.execute(
            "SELECT user_id, count(*), max(iif(trim(user) <> '', id, -id)), user, friendly_name"
            " FROM plays"
            " WHERE user_id IS NOT NULL GROUP BY user_id"
        )
        return [(user, count, name or "", shown or "") for user, count, _, name, shown in found]

    @property
    def _db(self) -> sqlite3.Connection:
        return self._state.db.conn if self._view is None else self._view

    def _one(self, query: str, *values: object) -> Row:
        row: Row = self._db.execute(query, values).fetchone()
        return row


def _mark(sections: bool, detailed: bool) -> str:
    if detailed:
        return _MARK_OF_IDENTITY
    return _MARK_OF_SECTION if sections else _MARK


def _play(row: Row) -> Play:
    """SQLite has no booleans."""
    watched = None if row[-1] is None else row[-1] == 1
    return msgspec.convert((*row[:-1], watched), Play)


def _encodable(row: Row) -> Row:
    return tuple(
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in row
    )
