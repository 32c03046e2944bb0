"""Keep the local copy of a history over HTTP in the state file, with Tautulli's tables as views.

An interrupted crawl continues from the copy, and a later run fetches only the last days. All plays
stay in the copy, because old plays can have ids of a film that new ones lack. With the views the
copy is read like a Tautulli database.
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
from ..database.rows import Row, encodable, identity_of, is_integer
from .crawl import FetchedDays
from .history_api import COLUMNS, Window
from .positions import Undelivered

__all__ = ["CrawlState", "LocalCopy", "stored_copy"]

_UPSERT: Final = (
    f"INSERT INTO plays ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - our own names
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in ("id", "section_id"))
)
# Columns of the copy with Tautulli's names. A user has the name in the newest play that has one: in
# a GROUP BY with max(), SQLite takes all columns from the row with the maximum.
_VIEWS: Final = {
    "session_history": "SELECT id, reference_id, started, stopped, user_id, user, section_id,"
    " media_type, view_offset, percent, watched, friendly_name, paused_counter, platform, player,"
    " product, machine_id, ip_address, location, secure, relayed FROM plays",
    "session_history_metadata": "SELECT id, live, rating_key, grandparent_rating_key, title,"
    " parent_rating_key, parent_title, grandparent_title, season AS parent_media_index,"
    " episode AS media_index, year,"
    " guid, aired AS originally_available_at, duration, credits_first AS marker_credits_first,"
    " credits_final AS marker_credits_final FROM plays",
    "session_history_media_info": "SELECT id, transcode_decision FROM plays",
    "users": "SELECT user_id, user AS username, friendly_name, 0 AS deleted_user,"
    " max(iif(trim(user) <> '', id, -id)) AS rowid FROM plays"
    " WHERE user_id IS NOT NULL GROUP BY user_id",
}


class CrawlState(Struct, frozen=True):
    """The progress of reading a history. Days are in the server's time zone."""

    oldest: str = ""
    """The first day of everything that was read; empty if nothing was."""
    complete: bool = False
    """True if everything older was read as well."""
    read_at: int = 0
    """The time of the last request for the newest days (epoch seconds, UTC)."""
    whole_at: int = 0
    """The time when everything was last read from the beginning (epoch seconds, UTC)."""
    unlisted: int = 0
    """The number of rows that Tautulli counts but never lists, because they lost their metadata."""
    rule: WatchedRule | None = None
    """The thresholds with which Tautulli computed ``watched``."""
    columns: int = 0
    """The number of columns that were read; 0 if an older version of this program read them."""


class LocalCopy:
    """The plays of one server in its state file."""

    def __init__(self, state: StateFile) -> None:
        """Create the tables and views that are missing."""
        self._state = state
        self._frozen: FrozenCopy | None = None
        columns = {str(row[1]) for row in state.conn.execute("PRAGMA table_info(plays)")}
        views = {
            str(name)
            for (name,) in state.conn.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        }
        has_tables = {"plays", "undelivered", "sections"} <= state.tables()
        if not (has_tables and views >= {*_VIEWS} and columns >= {*COLUMNS}):
            with state.step():
                self._create_tables()

    def _create_tables(self) -> None:
        """Create what is missing, and add the columns that an older version did not keep."""
        db = self._state.db
        types = {name: int if is_integer(name) else str for name in COLUMNS}
        for name in _VIEWS:
            db.conn.execute(f"DROP VIEW IF EXISTS {name}")
        db.table("plays").create(types, pk="id", if_not_exists=True)
        for name in types.keys() - db.table("plays").columns_dict.keys():
            kind = "INTEGER" if is_integer(name) else "TEXT"
            db.conn.execute(f"ALTER TABLE plays ADD COLUMN {name} {kind}")
        db.table("undelivered").create(
            {"day": str, "until": str, "window": str, "position": int, "sorted": str},
            pk=("window", "position", "sorted"),
            if_not_exists=True,
        )
        db.table("sections").create(
            {"section_id": int, "upto": int}, pk="section_id", if_not_exists=True
        )
        for name, query in _VIEWS.items():
            db.conn.execute(f"CREATE VIEW {name} AS {query}")

    def freeze(self, shown: str, users: Sequence[User] | None = None) -> FrozenCopy:
        """From now on read the copy as it is now, in spite of other runs that write to it.

        ``shown`` is its name in messages. ``users`` are all users of Tautulli, if they were
        requested. Then other users with plays count as deleted.
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
        """The progress of reading the history."""
        view = self._frozen.connection if self._frozen else None
        return self._state.get("progress", CrawlState, view=view) or CrawlState()

    @property
    def proven(self) -> Sequence[SampleRow]:
        """Sample rows of the last history that was read completely and checked."""
        return self._state.get("landmarks", list[SampleRow]) or ()

    def note(self, progress: CrawlState, *, proven: bool = False) -> None:
        """Save the progress. If the history is ``proven`` complete, also save sample rows of it."""
        samples = self.sample_rows() if proven else ()
        with self._state.step():
            self._state.put("progress", progress)
            if proven:
                self._state.put("landmarks", samples)

    def forget(self, *, samples: bool = False) -> None:
        """Forget all plays; with ``samples`` also the sample rows, to accept another history."""
        with self._state.step() as db:
            for table in ("plays", "undelivered", "sections"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._state.put("progress", CrawlState())
            if samples:
                self._state.put("landmarks", ())

    def read_from(self, since: date) -> date | None:
        """Return the first day to read in order to read the days from ``since`` on again.

        Undelivered rows are known by their window. So a window with such rows is read again
        completely or not at all. ``None`` is the beginning of the history. Undelivered rows from
        that day on are forgotten.
        """
        query = "SELECT min(day) FROM undelivered WHERE day < ? AND until >= ?"
        begin = str(since)
        while (found := self._one(query, begin, begin)[0]) is not None:
            begin = found
        with self._state.step() as db:
            db.execute("DELETE FROM undelivered WHERE day >= ?", (begin,))
        return date.fromisoformat(begin) if begin else None

    def keep(self, fetched: FetchedDays) -> None:
        """Upsert the fetched rows."""
        window = str(fetched.window)
        day, until = str(fetched.window.after or ""), str(fetched.window.before or "9999-12-31")
        if fetched.window == Window():  # rows without a day
            until = ""
        with self._state.step() as db:
            try:
                db.executemany(_UPSERT, fetched.rows)
            except UnicodeEncodeError:  # a lone surrogate from a broken server
                db.executemany(_UPSERT, [encodable(row) for row in fetched.rows])
            db.execute("DELETE FROM undelivered WHERE window = ?", (window,))
            db.executemany(
                "INSERT OR REPLACE INTO undelivered VALUES (?, ?, ?, ?, ?)",
                [(day, until, window, one.position, one.order) for one in fetched.undelivered],
            )

    def forget_undelivered(self, before: date) -> None:
        """Forget the undelivered rows of days before ``before``, which are read once more.

        A run that was killed can have noted one of them under another window.
        """
        with self._state.step() as db:
            db.execute("DELETE FROM undelivered WHERE until < ? AND until <> ''", (str(before),))

    def keep_section(self, section: int, rows: Sequence[Row]) -> None:
        """Note that these rows are from a library."""
        with self._state.step() as db:
            db.executemany(
                "UPDATE plays SET section_id = ? WHERE id = ?", [(section, row[0]) for row in rows]
            )

    def section_done(self, section: int) -> None:
        """Note that all rows from this library are noted as such."""
        with self._state.step() as db:
            db.execute(
                "INSERT OR REPLACE INTO sections SELECT ?, coalesce(max(id), 0) FROM plays",
                (section,),
            )

    def unassigned(self, section: int) -> tuple[int, int | None]:
        """Count the rows that may be from a library without a note, and return the first start.

        The start is in epoch seconds.
        """
        count, first = self._one(
            "SELECT count(*), min(started) FROM plays WHERE id > "
            "coalesce((SELECT upto FROM sections WHERE section_id = ?), 0)",
            section,
        )
        return count, first

    def count_of(self, section: int) -> int:
        """Count the rows that are noted as from a library."""
        (count,) = self._one("SELECT count(*) FROM plays WHERE section_id = ?", section)
        return int(count)

    def has_undated(self) -> bool:
        """Return whether there are rows that are in no window of days."""
        (found,) = self._one(
            "SELECT EXISTS (SELECT 1 FROM plays"
            " WHERE date(started, 'unixepoch') IS NULL OR started < 0)"
        )
        return bool(found)

    def count(self) -> int:
        """Count the rows that were delivered and those that could not be."""
        return sum(self.counts())

    def newest(self, latest: int) -> int | None:
        """Return the start of the newest play (epoch seconds, UTC), without those after ``latest``.

        A play of 2036 would be the newest for years.
        """
        (newest,) = self._one("SELECT max(started) FROM plays WHERE started <= ?", latest)
        return None if newest is None else int(newest)

    def ids_since(self, started: int) -> set[int]:
        """Return the ids of plays that started then or later, without impossible times."""
        query = "SELECT id FROM plays WHERE started BETWEEN ? AND ?"
        found = self._db.execute(query, (started, LAST_MOMENT))
        return {number for (number,) in found}

    def has_replaced(self, rows: Sequence[Row]) -> bool:
        """Return whether the copy has another play under the id of one of these rows."""
        query = "SELECT id, started, user_id FROM plays WHERE id = ?"
        for row in rows:
            found = self._db.execute(query, (row[0],)).fetchone()
            if found is not None and found != identity_of(row):
                return True
        return False

    def undelivered(self) -> Sequence[Undelivered]:
        """Return the rows that Tautulli could not deliver."""
        found = self._db.execute(
            "SELECT window, position, sorted FROM undelivered ORDER BY day, window, position"
        )
        return [Undelivered(*row) for row in found]

    def sample_rows(self) -> Sequence[SampleRow]:
        """Return some plays, spread from the first to the last, that identify the history."""
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
        """Return whether the days from ``since`` on can be read again without earlier ones."""
        query = "SELECT count(*) FROM undelivered WHERE day < ? AND until >= ?"
        return not self._one(query, str(since), str(since))[0]

    def counts(self) -> tuple[int, int]:
        """Return the numbers of delivered and of undelivered rows."""
        delivered, undelivered = self._one(
            "SELECT (SELECT count(*) FROM plays), (SELECT count(*) FROM undelivered)"
        )
        return delivered, undelivered

    @property
    def _db(self) -> sqlite3.Connection:
        return self._frozen.connection if self._frozen else self._state.conn

    def _one(self, query: str, *values: object) -> Row:
        row: Row = self._db.execute(query, values).fetchone()
        return row


def stored_copy(state: StateFile) -> tuple[CrawlState, int] | None:
    """Return the progress of a copy and the number of its plays, without changing the file.

    Return ``None`` if the file has no copy.
    """
    if "plays" not in state.tables():
        return None
    (plays,) = state.conn.execute("SELECT count(*) FROM plays").fetchone()
    return (state.get("progress", CrawlState) or CrawlState(), plays) if plays else None
