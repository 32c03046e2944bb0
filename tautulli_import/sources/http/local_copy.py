"""The local copy of a history over HTTP: tables of the state file, and views as Tautulli has them.

A crawl that was cut short goes on where it was, a later run fetches the last days only, and all
plays are there each time: what an old play tells about a film's ids is not lost. Through the views
a copy is read like a Tautulli database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from ...model.clock import LAST_MOMENT
from ...model.plays import SampleRow
from ...model.watched import WatchedRule
from ...state.file import StateFile
from ..base import User, spread
from ..database.frozen_copy import FrozenCopy
from ..database.rows import Row, encodable
from .crawl import FetchedDays
from .history_api import COLUMNS, Window
from .positions import Undelivered

__all__ = ["CrawlState", "LocalCopy"]

_INTEGERS: Final = frozenset(
    {
        *("id", "reference_id", "started", "stopped", "user_id", "section_id", "live"),
        *("rating_key", "grandparent_rating_key", "season", "episode", "year", "view_offset"),
        *("duration", "credits_first", "credits_final", "percent", "watched"),
        *("paused_counter", "secure", "relayed"),
    }
)
_KEEP: Final = (
    f"INSERT INTO plays ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - our own names
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in ("id", "section_id"))
)
# Columns of the copy under Tautulli's names. A user is called as on the newest play that has a
# name: of a GROUP BY with max() SQLite takes all columns from the row that has the maximum.
_VIEWS: Final = {
    "session_history": "SELECT id, reference_id, started, stopped, user_id, user, section_id,"
    " media_type, view_offset, percent, watched, friendly_name, paused_counter, platform, player,"
    " product, machine_id, ip_address, location, secure, relayed FROM plays",
    "session_history_metadata": "SELECT id, live, rating_key, grandparent_rating_key, title,"
    " parent_title, grandparent_title, season AS parent_media_index, episode AS media_index, year,"
    " guid, duration, credits_first AS marker_credits_first,"
    " credits_final AS marker_credits_final FROM plays",
    "session_history_media_info": "SELECT id, transcode_decision FROM plays",
    "users": "SELECT user_id, user AS username, friendly_name, 0 AS deleted_user,"
    " max(iif(trim(user) <> '', id, -id)) AS rowid FROM plays"
    " WHERE user_id IS NOT NULL GROUP BY user_id",
}


class CrawlState(Struct, frozen=True):
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


class LocalCopy:
    """The plays of one server in its state file."""

    def __init__(self, state: StateFile) -> None:
        """Make the tables and views that are not there yet."""
        self._state = state
        self._frozen: FrozenCopy | None = None
        there = {*state.db.table_names(), *state.db.view_names()}
        if not {"plays", "undelivered", "sections", *_VIEWS} <= there:
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
        for name, query in _VIEWS.items():
            db.conn.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {query}")

    def freeze(self, shown: str, users: Sequence[User] | None = None) -> FrozenCopy:
        """From now on read the copy as it is now, whatever other runs do to it.

        ``shown`` is what messages call it. ``users`` are all that Tautulli knows, where it was
        asked: others with plays are then deleted ones.
        """
        self._frozen = FrozenCopy(self._state, shown)
        db = self._frozen.connection
        db.execute("DROP TABLE IF EXISTS temp.users")
        if users is not None:
            db.execute("CREATE TEMP TABLE users (user_id, username, friendly_name, deleted_user)")
            db.executemany(
                "INSERT INTO temp.users VALUES (?, ?, ?, 0)",
                [(user.user_id, user.username, user.friendly_name) for user in users],
            )
            db.execute(
                "INSERT INTO temp.users SELECT user_id, username, friendly_name, 1 FROM main.users"
                " WHERE user_id NOT IN (SELECT user_id FROM temp.users) ORDER BY rowid"
            )
        return self._frozen

    @property
    def progress(self) -> CrawlState:
        """How far it goes."""
        view = self._frozen.connection if self._frozen else None
        return self._state.get("progress", CrawlState, view=view) or CrawlState()

    @property
    def proven(self) -> Sequence[SampleRow]:
        """Plays of the last history that was read whole and held against its own numbers."""
        return self._state.get("landmarks", list[SampleRow]) or ()

    def note(self, progress: CrawlState, *, proven: bool = False) -> None:
        """Remember how far it goes; when that is ``proven``, by what it is recognised as well."""
        landmarks = self.sample_rows() if proven else ()
        with self._state.step():
            self._state.put("progress", progress)
            if proven:
                self._state.put("landmarks", landmarks)

    def forget(self, *, whose: bool = False) -> None:
        """Begin anew; with ``whose`` also with another history, if there is one."""
        with self._state.step() as db:
            for table in ("plays", "undelivered", "sections"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._state.put("progress", CrawlState())
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

    def keep(self, stretch: FetchedDays) -> None:
        """Take in what was read, newer words for the same row over older ones."""
        window = str(stretch.window)
        day, until = str(stretch.window.after or ""), str(stretch.window.before or "9999-12-31")
        if stretch.window == Window():  # what has no day at all
            until = ""
        with self._state.step() as db:
            try:
                db.executemany(_KEEP, stretch.rows)
            except UnicodeEncodeError:  # half a character, which only a broken server sends
                db.executemany(_KEEP, [encodable(row) for row in stretch.rows])
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

    def sample_rows(self) -> Sequence[SampleRow]:
        """Some plays from the first to the last, by which the history is recognised."""
        first, last = self._one("SELECT min(id), max(id) FROM plays")
        if first is None:
            return ()
        found: dict[int, SampleRow] = {}
        for number in spread(first, last):
            row = self._one(
                "SELECT id, started, user_id FROM plays WHERE id >= ? ORDER BY id LIMIT 1", number
            )
            found[row[0]] = SampleRow(*row)
        return list(found.values())

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

    @property
    def _db(self) -> sqlite3.Connection:
        return self._frozen.connection if self._frozen else self._state.db.conn

    def _one(self, query: str, *values: object) -> Row:
        row: Row = self._db.execute(query, values).fetchone()
        return row
