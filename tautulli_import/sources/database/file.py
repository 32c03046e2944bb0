"""Read one Tautulli database file: its rows page by page, and its small tables.

Every query is one short statement, so that no lock lasts longer. If the file was written while a
query ran, the query runs again.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from operator import itemgetter
from typing import Any, Final

from msgspec import Struct

from ...errors import DamagedPageError
from ...model.plays import Play, SampleRow
from ...model.rejections import Reason, Rejected
from ...model.watched import WatchedRule
from ..base import Lookup, spread
from .frozen_copy import FrozenCopy
from .judged import Judge
from .judged_rows import add_functions, judged_rows
from .lookups import read_lookups
from .rows import Identity, Row, decode, identity_of, integer, name_of, settle, text
from .schema import TABLES, Schema, columns_of, extent, read_schema
from .sqlite import SqliteFile

__all__ = ["DatabaseFile", "Named", "Page", "Read"]

_PAGE_ONE_BY_ONE: Final = 10_000
# Ids a query for checksums covers at least, and the number of such queries at most.
_CHECKSUM_IDS: Final = 50_000
_CHECKSUM_QUERIES: Final = 200
_SECTION: Final = Play.__struct_fields__.index("section_id")
_USER: Final = Play.__struct_fields__.index("user")


class Read(Struct, frozen=True):
    """Reads the rows of a file, in the order of their ids."""

    rows: Callable[[sqlite3.Connection, int, int, int], list[Any]]
    """Returns rows: after an id, up to an id, at most so many."""
    row_id: Callable[[Any], int] = itemgetter(0)
    """Returns the id of a row."""


class Page(Struct, frozen=True):
    """Some rows of one file, and the range of ids that they cover."""

    rows: Sequence[Any]
    unreadable: Sequence[Rejected]
    after: int
    """The id before the first one."""
    upto: int
    """The last id."""


class Named(Struct, frozen=True):
    """A user or a library as one of the small tables has it."""

    name: str
    detail: str
    """The friendly name of a user, or the type of a library."""
    deleted: bool


class DatabaseFile:
    """One database, opened for reading."""

    def __init__(self, sqlite: SqliteFile | FrozenCopy) -> None:
        """Read the schema. The file is closed if it cannot be used.

        Raises:
            TautulliImportError: it is not Tautulli's, or it cannot be read.
        """
        self.sqlite = sqlite
        self.shown = sqlite.shown
        self.unusable: dict[int, Rejected] = {}
        """Rows that were read but could not be used, by id. A backup may have them whole."""
        self._with_functions: sqlite3.Connection | None = None
        self.rule = WatchedRule()
        """The thresholds for its plays."""
        self.has_older = False
        """True if an older backup is read as well. Without one ``unusable`` stays empty."""
        try:
            tables = self.sqlite.ask(lambda db: sqlite.tables(db, TABLES))
            self.schema: Schema = self.sqlite.ask(lambda db: read_schema(db, self.shown, tables))
            self._columns = self.sqlite.ask(lambda db: columns_of(db, "session_history"))
            self.count, self.first, self.last, newest = self.sqlite.ask(
                lambda db: extent(db, self.shown)
            )
            self.newest = newest
            """The start of the newest play (epoch seconds), 0 without one."""
            self._lost = sqlite.lost
            self.count += len(self._lost)
            self.first = min([self.first, *self._lost[:1]])
            self.last = max([self.last, *self._lost[-1:]])
            # The newer of two backups has the newer play. The rest makes ties repeatable.
            self.age = (newest, self.last, self.count, sqlite.written, self.shown)
        except BaseException:
            self.sqlite.close()
            raise

    @property
    def notices(self) -> list[str]:
        """Sentences about a private copy, and about columns that the file lacks."""
        return [*self.sqlite.notices, *self.schema.missing]

    def pages(self, after: int, size: int, read: Read) -> Iterator[Page]:
        """Read all rows with an id above ``after``, ``size`` rows a page.

        Rows are read one by one where one is too large. Those that cannot be read are rejected by
        their ids, and so are those that a damaged file has lost.

        Raises:
            SourceDamagedError: the check, which begins here, has found damage.
        """
        self.sqlite.begin_check()
        while after < self.last:
            unreadable: list[Rejected] = []
            try:
                rows = self.sqlite.ask(partial(_call, read, after, self.last, size))
                upto = read.row_id(rows[-1]) if rows else self.last
            except DamagedPageError:
                rows, unreadable, upto = self._rows_one_by_one(read, after, size)
            if self._lost:
                unreadable += self._lost_between(after, upto)
            yield Page(rows, unreadable, after, upto)
            after = upto

    def plays(self, *, detailed: bool = False) -> Read:
        """Return how to read the fields of ``Play``. Detailed rows have details and checksums."""
        query = self.schema.detailed if detailed else self.schema.query
        return Read(lambda db, *window: self._decoded(db, query, window))

    def judged(self, judge: Judge) -> Read:
        """Return how to read the rows as a judge has them."""

        def read(db: sqlite3.Connection, *window: int) -> list[Any]:
            if db is not self._with_functions:
                add_functions(db)
                self._with_functions = db
            return judged_rows(db, judge, window)

        return Read(read, lambda row: judge.orders.row_id(row[0]))

    def checksum(self, upto: int) -> tuple[int, int] | None:
        """Count the rows up to an id, and sum up their checksums.

        Return ``None`` if the file is damaged there.
        """
        count = total = 0
        query = self.schema.checksums
        # Short queries, so that no lock lasts. Not too many of them if ids lie far apart.
        step = max(_CHECKSUM_IDS, (upto - self.first) // _CHECKSUM_QUERIES + 1)
        for after in range(self.first - 1, upto, step):
            window = (after, min(after + step, upto))
            try:
                ((rows, checksum),) = self._rows(query, window)
            except DamagedPageError:
                return None
            count, total = count + rows, total + checksum
        return count, total

    def sample_rows(self) -> Sequence[SampleRow]:
        """Return some rows, spread from the first to the last, that identify the history."""
        found: dict[int, SampleRow] = {}
        for number in spread(self.first, self.last):
            for one in self._sample_rows("id >= ? ORDER BY id LIMIT 1", (number,)):
                found[one.id] = one
        return list(found.values())

    def count_matches(self, samples: Sequence[SampleRow]) -> int:
        """Count the sample rows that the file has unchanged."""
        wanted = set(samples)
        where = f"id IN ({', '.join('?' * len(wanted))})"
        found = self._sample_rows(where, [one.id for one in wanted])
        return sum(1 for one in found if one in wanted)

    def chosen(self, ids: Sequence[int], read: Read) -> Iterator[Any]:
        """Read the rows with these ids. Missing and unreadable ones are left out."""
        for number in ids:
            with suppress(DamagedPageError):
                yield from self.sqlite.ask(partial(_call, read, number - 1, number, 1))

    def _sample_rows(self, where: str, values: Sequence[object]) -> Sequence[SampleRow]:
        user = "user_id" if "user_id" in self._columns else "NULL"
        query = f"SELECT id, started, {user} FROM session_history WHERE {where}"  # noqa: S608 - our own names
        try:
            rows = self._rows(query, values)
        except DamagedPageError:
            return ()
        return [SampleRow(row[0], integer(row[1]), integer(row[2])) for row in rows]

    def identities(self, after: int, upto: int) -> Sequence[tuple[Identity, int | None, str]]:
        """Return the identity, the section and the user's name of every row between two ids."""
        columns = [
            name if name in self._columns else "NULL"
            for name in ("started", "user_id", "section_id", "user")
        ]
        query = (
            f"SELECT id, {', '.join(columns)} FROM session_history"  # noqa: S608 - our own names
            " WHERE id > ? AND id <= ?"
        )
        try:
            rows = self._rows(query, (after, upto))
        except DamagedPageError:
            ids = self._ids(after, upto, -1)
            rows = [
                (*identity_of(row), row[_SECTION], row[_USER])
                for row in self.chosen(ids, self.plays())
            ]
        return [
            ((row[0], integer(row[1]), integer(row[2])), integer(row[3]), name_of(row[4]))
            for row in rows
        ]

    def spans(self, size: int) -> Iterator[tuple[int, int]]:
        """Return ranges of ``size`` ids, first excluded, that cover every row of the file.

        A gap is skipped: one row with a huge id would else take longer than anybody waits.
        """
        query = "SELECT min(id) FROM session_history WHERE id > ?"
        after: int | None = self.first - 1
        while after is not None and after < self.last:
            upto = min(after + size, self.last)
            yield after, upto
            try:
                ((following,),) = self._rows(query, (upto,))
                after = None if following is None else following - 1
            except DamagedPageError:
                after = upto

    def users_of_plays(self) -> Mapping[int | str, tuple[int, str]]:
        """Return the number of plays and the newest name in the history, by user id.

        Plays without a user id are counted by the name in their rows.
        """
        try:
            found: list[Row] = [(None, 1)]
            if "user_id" in self._columns:
                # The index alone gives the counts. Then one row of each user is read for the name.
                counts = "SELECT user_id, count(*) FROM session_history GROUP BY user_id"
                found = self._rows(counts)
            users: dict[int | str, tuple[int, str]] = {
                number: (count, self._newest_name(number))
                for number, count in found
                if isinstance(number, int)
            }
            if len(users) < len(found):
                for name, count in self._plays_without_id():
                    key = name_of(name)
                    users[key] = (users.get(key, (0, ""))[0] + count, key)
        except DamagedPageError:
            users, _ = self._counted_one_by_one
        return users

    def _plays_without_id(self) -> Sequence[Row]:
        """Count the plays without a user id, by the name in their rows."""
        name = "user" if "user" in self._columns else "NULL"
        where = "WHERE typeof(user_id) <> 'integer'" if "user_id" in self._columns else ""
        query = f"SELECT {name}, count(*) FROM session_history {where} GROUP BY 1"  # noqa: S608 - our own names
        return self._rows(query)

    def _newest_name(self, user_id: int) -> str:
        if "user" not in self._columns:
            return ""
        query = (
            "SELECT user FROM session_history WHERE user_id = ? AND trim(user) <> ''"
            " ORDER BY id DESC LIMIT 1"
        )
        rows = self._rows(query, (user_id,))
        return name_of(rows[0][0]) if rows else ""

    def sections_of_plays(self) -> Mapping[int | str, tuple[int, str]]:
        """Return the number of plays and a made-up name, by section id."""
        if not self.schema.sections:
            return {}
        counts: Counter[int] = Counter()
        try:
            for section, count in self._rows(self.schema.sections):
                if (number := integer(section)) is not None:
                    counts[number] += count
        except DamagedPageError:
            _, counts = self._counted_one_by_one
        return {section: (count, f"library {section}") for section, count in counts.items()}

    def known_users(self) -> Mapping[int | str, Named]:
        """Return the users table, by user id."""
        return self._named("users", "user_id", "username", "friendly_name", "deleted_user")

    def known_sections(self) -> Mapping[int | str, Named]:
        """Return the libraries table, by section id.

        After a new setup of Plex the table can have a section id once for each server id. Then the
        row that was not deleted counts.
        """
        return self._named(
            "library_sections", "section_id", "section_name", "section_type", "deleted_section"
        )

    def lookups(self) -> Sequence[Lookup]:
        """Return the answers in Tautulli's lookup tables."""
        return self.sqlite.ask(lambda db: read_lookups(db, self.schema.tables, self._decoded))

    def _named(
        self, table: str, key: str, name: str, detail: str, deleted: str
    ) -> dict[int | str, Named]:
        """Read one of the small tables. Columns that it lacks are read as NULL."""
        columns = self.sqlite.ask(lambda db: columns_of(db, table))
        if key not in columns:
            return {}
        wanted = [column if column in columns else "NULL" for column in (name, detail, deleted)]
        query = f"SELECT {', '.join([key, *wanted])} FROM {table} ORDER BY rowid"  # noqa: S608 - our own names
        found: dict[int | str, Named] = {}
        for number, *cells in self._rows(query):
            row_key = integer(number)
            title, more = ((text(cell) or "").strip() for cell in cells[:2])
            one = Named(title, more, deleted=integer(cells[2]) == 1)
            if row_key is not None and (row_key not in found or not one.deleted):
                found[row_key] = one
        return found

    @cached_property
    def _counted_one_by_one(self) -> tuple[dict[int | str, tuple[int, str]], Counter[int]]:
        """Users with their number of plays and newest name, and plays of each section.

        They are counted row by row, because a row is too large.
        """
        users: dict[int | str, tuple[int, str]] = {}
        sections: Counter[int] = Counter()
        for page in self.pages(self.first - 1, _PAGE_ONE_BY_ONE, self.plays()):
            for play in settle(page.rows, self.shown)[0]:
                name = name_of(play.user)
                user = name if play.user_id is None else play.user_id
                users[user] = (users.get(user, (0, ""))[0] + 1, name)
                if play.section_id is not None:
                    sections[play.section_id] += 1
        return users, sections

    def _rows_one_by_one(
        self, read: Read, after: int, size: int
    ) -> tuple[list[Any], list[Rejected], int]:
        """Read the next rows one by one. Return rows, unreadable rows and the last id."""
        ids = self._ids(after, self.last, size)
        rows: list[Any] = []
        unreadable: list[Rejected] = []
        for number in ids:
            try:
                rows += self.sqlite.ask(partial(_call, read, number - 1, number, 1))
            except DamagedPageError:
                unreadable.append(Rejected(Reason.UNREADABLE, number, source=self.shown))
        return rows, unreadable, ids[-1] if ids else self.last

    def _lost_between(self, after: int, upto: int) -> Sequence[Rejected]:
        begin, end = bisect_right(self._lost, after), bisect_right(self._lost, upto)
        return [
            Rejected(Reason.UNREADABLE, number, source=self.shown)
            for number in self._lost[begin:end]
        ]

    def _ids(self, after: int, upto: int, size: int) -> Sequence[int]:
        """Return the first ids in a range. ``size`` is -1 for all."""
        query = "SELECT id FROM session_history WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        found = self._rows(query, (after, upto, size))
        return [number for (number,) in found]

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query."""
        return self.sqlite.ask(partial(self._decoded, query=query, parameters=parameters))

    def _decoded(
        self, db: sqlite3.Connection, query: str, parameters: Sequence[object] = ()
    ) -> list[Any]:
        """Run a query and decode its text.

        Strict decoding is much faster, so it is tried first.
        """
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


def _call(read: Read, after: int, upto: int, size: int, db: sqlite3.Connection) -> list[Any]:
    return read.rows(db, after, upto, size)
