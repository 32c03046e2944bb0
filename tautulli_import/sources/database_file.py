"""One Tautulli database file: its rows page by page, and its small tables.

Every question is one short statement, so that no lock outlives it. When the file turns out
to have been written while a question was answered, the question is asked again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from ..errors import BusyError, SourceDamagedError
from ..models import Reason, Rejected
from ..watched import WatchedRule
from .base import Batch, Cursor, Lookup
from .lookups import read_lookups
from .rows import Row, decode, settle
from .schema import Schema, columns_of, look_at
from .sqlite_file import SqliteFile, explain

__all__ = ["DatabaseFile"]

_REREADS: Final = 8
_Answer = TypeVar("_Answer")


class DatabaseFile:
    """One database: its rows, page by page, and its small tables."""

    def __init__(self, path: Path, rule: WatchedRule, stdin: BinaryIO | None) -> None:
        self.rule = rule
        self.sqlite = SqliteFile(path, stdin=stdin)
        self.shown = self.sqlite.shown
        self.unreadable: set[int] = set()
        try:
            self.schema: Schema = self._ask(lambda db: look_at(db, self.shown))
            self._has_section = "section_id" in self._ask(
                lambda db: columns_of(db, "session_history")
            )
            self.count, self.last, newest = self._ask(_extent)
            self.newest = (newest, self.last)
        except BaseException:
            self.sqlite.close()
            raise

    @property
    def notices(self) -> list[str]:
        """How the file is read, and what an old one lacks."""
        return [*self.sqlite.notices, *self.schema.missing]

    def pages(self, after: int, size: int) -> Iterator[tuple[Batch, tuple[int, int]]]:
        """Batches, each with the ids between which it lies (first excluded, last included).

        Around a damaged page the rows are read one by one; those that cannot be read are
        rejected by their ids, and everything else is there.
        """
        while after < self.last:
            unreadable: list[Rejected] = []
            try:
                rows = self._ask(partial(self._rows, after=after, upto=self.last, size=size))
                upto = rows[-1][0] if rows else self.last
            except SourceDamagedError:
                upto = min(after + size, self.last)
                rows, unreadable = self._rows_around_damage(after, upto)
            plays, rejected = settle(rows, self.shown)
            batch = Batch(plays, Cursor(""), self.rule, [*rejected, *unreadable])
            yield batch, (after, upto)
            after = upto

    def identities(self, ids: tuple[int, int]) -> list[tuple[Row, object]]:
        """What tells one play from another, with its section: rows between two ids.

        The identity is id, start and user. ``unreadable`` has the ids that were met in
        damaged pages; here only as much of a row is read as identifies it.
        """
        section = "section_id" if self._has_section else "NULL"
        query = (
            f"SELECT id, started, user_id, {section} FROM session_history"  # noqa: S608 - our own names
            " WHERE id > ? AND id <= ?"
        )
        try:
            rows = self._ask(lambda db: db.execute(query, ids).fetchall())
        except SourceDamagedError:
            readable, _ = self._rows_around_damage(*ids)
            return [((row[0], row[2], row[4]), row[6]) for row in readable]
        return [(row[:3], row[3]) for row in rows]

    def users_of_plays(self) -> Sequence[tuple[int, int, str]]:
        """User id, number of plays and the name in the history, of everybody with plays."""
        query = (
            "SELECT user_id, count(*), coalesce(max(user), '') FROM session_history"
            " WHERE typeof(user_id) = 'integer' GROUP BY user_id"
        )
        return self._as_far_as_readable(query)

    def known_users(self) -> dict[int, tuple[str, str, bool]]:
        """Username, friendly name and whether Tautulli dropped the user, by user id."""
        if "users" not in self.schema.tables:
            return {}
        columns = self._ask(lambda db: columns_of(db, "users"))
        deleted = "deleted_user" if "deleted_user" in columns else "0"
        query = (
            "SELECT user_id, coalesce(username, ''), coalesce(friendly_name, ''),"  # noqa: S608 - our own names
            f" coalesce({deleted}, 0) FROM users WHERE typeof(user_id) = 'integer'"
        )
        rows = self._ask(lambda db: self._text_rows(db, query))
        return {row[0]: (row[1].strip(), row[2].strip(), row[3] == 1) for row in rows}

    def sections_of_plays(self) -> Sequence[tuple[int, int]]:
        """Section id and number of plays, of every library with plays."""
        if not self._has_section:
            return []
        query = (
            "SELECT section_id, count(*) FROM session_history"
            " WHERE typeof(section_id) = 'integer' GROUP BY section_id"
        )
        return self._as_far_as_readable(query)

    def known_sections(self) -> dict[int, tuple[str, str, bool]]:
        """Name, type and whether it was deleted, by section id.

        The same section id can stand under several server ids after a server was set up
        anew: the one that was not deleted is meant.
        """
        if "library_sections" not in self.schema.tables:
            return {}
        columns = self._ask(lambda db: columns_of(db, "library_sections"))
        deleted = "deleted_section" if "deleted_section" in columns else "0"
        query = (
            "SELECT section_id, coalesce(section_name, ''), coalesce(section_type, ''),"  # noqa: S608 - our own names
            f" coalesce({deleted}, 0) FROM library_sections"
            f" WHERE typeof(section_id) = 'integer' ORDER BY {deleted} DESC, id"
        )
        rows = self._ask(lambda db: self._text_rows(db, query))
        return {row[0]: (row[1].strip(), row[2].strip(), row[3] == 1) for row in rows}

    def lookups(self) -> Sequence[Lookup]:
        """What Tautulli's lookup tables know."""
        return self._ask(lambda db: read_lookups(db, self.schema.tables))

    def _as_far_as_readable(self, query: str) -> list[Any]:
        """The answer to a question about all plays; nothing where the table is damaged.

        The plays themselves are read around the damage; only these counts are missing then.
        """
        try:
            return self._ask(lambda db: self._text_rows(db, query))
        except SourceDamagedError:
            return []

    def _rows(self, db: sqlite3.Connection, after: int, upto: int, size: int) -> list[Row]:
        return self._text_rows(db, self.schema.query, (after, upto, size))

    def _rows_around_damage(self, after: int, upto: int) -> tuple[list[Row], list[Rejected]]:
        rows: list[Row] = []
        unreadable: list[Rejected] = []
        for row_id in range(after + 1, upto + 1):
            try:
                rows += self._ask(partial(self._rows, after=row_id - 1, upto=row_id, size=1))
            except SourceDamagedError:
                self.unreadable.add(row_id)
                unreadable.append(Rejected(Reason.UNREADABLE, row_id, source=self.shown))
        return rows, unreadable

    def _text_rows(
        self, db: sqlite3.Connection, query: str, parameters: Sequence[object] = ()
    ) -> list[Any]:
        """Rows with their text decoded; strictly first, for that is much faster."""
        try:
            return db.execute(query, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "Could not decode" not in str(error):
                raise
        db.text_factory = decode
        try:
            return db.execute(query, parameters).fetchall()
        finally:
            db.text_factory = str

    def _ask(self, question: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """The answer to a question, asked again when the file was written meanwhile."""
        for attempt in range(_REREADS):
            try:
                answer = question(self.sqlite.connection)
            except sqlite3.Error as error:
                if not self.sqlite.changed():
                    raise explain(error, self.shown) from error
            else:
                if not self.sqlite.changed():
                    return answer
            time.sleep(0.05 * 2**attempt)  # Tautulli is writing: let it finish
            self.sqlite.reopen()
        raise BusyError(
            f"{self.shown} kept changing while it was read.",
            hint="Try again when Tautulli is less busy, or read one of its backups.",
        )


def _extent(db: sqlite3.Connection) -> tuple[int, int, int]:
    """How many rows, the last id, and about when the newest play started."""
    try:
        count, last = db.execute(
            "SELECT count(*), coalesce(max(id), 0) FROM session_history"
        ).fetchone()
    except sqlite3.DatabaseError:  # damaged: what SQLite notes of an AUTOINCREMENT has to do
        found = db.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'session_history'"
        ).fetchone()
        if found is None:
            raise
        return found[0], found[0], 0
    (newest,) = db.execute(
        "SELECT coalesce(max(started), 0) FROM session_history"
        " WHERE id > ? - 1000 AND typeof(started) = 'integer'",
        (last,),
    ).fetchone()
    return count, last, newest
