"""Tautulli's SQLite files as a source: one database, or several overlapping backups.

Rows are read in short keyset pages on ``id``, so that no lock is held between them and
memory stays flat. Several files are read newest first; a row of an older file that stands
under the same id, start and user in a newer one is the same play, counted and passed by.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, TypeVar

import msgspec

from ..errors import BusyError
from ..models import Play, Reason, Rejected
from ..watched import WatchedRule
from .base import Batch, Cursor, Library, Lookup, User
from .config_ini import rule_beside, rule_from
from .lookups import read_lookups
from .schema import Schema, columns_of, look_at
from .sqlite_file import SqliteFile, explain

__all__ = ["DatabaseSource"]

_PAGE: Final = 10_000
_REREADS: Final = 8
_PLAYS: Final = list[Play]
_ABSENCE: Final = itemgetter(-1)  # the query's last column: 0 when a row is whole
_TEXTS: Final = frozenset({"user", "media_type", "title", "grandparent_title", "guid"})
_Answer = TypeVar("_Answer")
_Row: TypeAlias = tuple[Any, ...]


class DatabaseSource:
    """One or more Tautulli databases, read as if they were one."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        config_ini: Path | None = None,
        page: int = _PAGE,
        stdin: BinaryIO | None = None,
    ) -> None:
        """Open every file and look at its schema; ``-`` among ``paths`` is ``stdin``.

        Raises:
            TautulliImportError: one of the files cannot be used; see ``sources.sqlite_file``.
        """
        self.name = ", ".join("standard input" if str(path) == "-" else str(path) for path in paths)
        self._page = page
        self._files: list[_File] = []
        try:
            for path in dict.fromkeys(paths):
                rule = rule_from(config_ini) if config_ini else rule_beside(path)
                piped = stdin if str(path) == "-" else None
                self._files.append(_File(path, rule, piped))
        except BaseException:
            self.close()
            raise
        self._files.sort(key=lambda file: file.newest, reverse=True)

    @property
    def notices(self) -> Sequence[str]:
        """How the files are read, and what old ones lack."""
        return [notice for file in self._files for notice in file.notices]

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds in force, without repetition."""
        return list(dict.fromkeys(file.rule for file in self._files))

    def total(self) -> int:
        """How many rows there are in all files together."""
        return sum(file.count for file in self._files)

    def batches(self, after: Cursor | None = None) -> Iterator[Batch]:
        """Every row of every file; see ``Source.batches``."""
        position, last = _read_cursor(after)
        for index, file in enumerate(self._files):
            if index < position:
                continue
            start = last if index == position else 0
            newer = self._files[:index]
            for batch, ids in file.pages(start, self._page):
                cursor = Cursor(f"{index}:{ids[1]}")
                if newer:
                    yield _without_known(batch, newer, ids, cursor)
                else:
                    yield msgspec.structs.replace(batch, cursor=cursor)

    def users(self) -> Sequence[User]:
        """Everybody in the users tables and everybody with plays."""
        plays: Counter[int] = Counter()
        names: dict[int, tuple[str, str, bool]] = {}
        for file in reversed(self._files):  # the newest file's names win
            for user_id, count, name in file.users_of_plays():
                plays[user_id] += count
                names.setdefault(user_id, (name, "", True))
            names |= file.known_users()
        found = [
            User(user_id, username, friendly, plays[user_id], deleted=deleted)
            for user_id, (username, friendly, deleted) in names.items()
            if plays[user_id] or not deleted
        ]
        return sorted(found, key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """Every section in the libraries tables and every section with plays."""
        plays: Counter[int] = Counter()
        known: dict[int, tuple[str, str, bool]] = {}
        for file in reversed(self._files):
            for section_id, count in file.sections_of_plays():
                plays[section_id] += count
            known |= file.known_sections()
        found = [
            Library(
                section,
                *known.get(section, (f"library {section}", "", True))[:2],
                plays=plays[section],
                deleted=known.get(section, ("", "", True))[2],
            )
            for section in known.keys() | plays.keys()
            if plays[section] or not known[section][2]
        ]
        return sorted(found, key=lambda library: (-library.plays, library.section_id))

    def lookups(self) -> Sequence[Lookup]:
        """Tautulli's own lookup tables; those of a newer file first."""
        return [lookup for file in self._files for lookup in file.lookups()]

    def close(self) -> None:
        """Close every file and remove private copies."""
        for file in self._files:
            file.sqlite.close()


class _File:
    """One database: its rows, page by page, and its small tables."""

    def __init__(self, path: Path, rule: WatchedRule, stdin: BinaryIO | None) -> None:
        self.rule = rule
        self.sqlite = SqliteFile(path, stdin=stdin)
        self.shown = self.sqlite.shown
        try:
            self.schema: Schema = self._ask(lambda db: look_at(db, self.shown))
            self.count, self.last, newest = self._ask(_extent)
            self.newest = (newest, self.last)
        except BaseException:
            self.sqlite.close()
            raise

    @property
    def notices(self) -> list[str]:
        return [*self.sqlite.notices, *self.schema.missing]

    def pages(self, after: int, size: int) -> Iterator[tuple[Batch, tuple[int, int]]]:
        """Batches, each with the ids between which it lies (first excluded, last included)."""
        while after < self.last:
            rows = self._ask(partial(self._rows, after=after, size=size))
            if not rows:
                return
            begin, after = after, rows[-1][0]
            plays, rejected = _settle(rows, self.shown)
            yield Batch(plays, Cursor(""), self.rule, rejected), (begin, after)

    def same_plays(self, ids: tuple[int, int]) -> frozenset[_Row]:
        """Id, start and user of this file's rows between two ids."""
        query = "SELECT id, started, user_id FROM session_history WHERE id > ? AND id <= ?"
        return frozenset(self._ask(lambda db: db.execute(query, ids).fetchall()))

    def users_of_plays(self) -> Sequence[tuple[int, int, str]]:
        query = (
            "SELECT user_id, count(*), coalesce(max(user), '') FROM session_history"
            " WHERE typeof(user_id) = 'integer' GROUP BY user_id"
        )
        return self._ask(lambda db: self._text_rows(db, query))

    def known_users(self) -> dict[int, tuple[str, str, bool]]:
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
        if "section_id" not in self._ask(lambda db: columns_of(db, "session_history")):
            return []
        query = (
            "SELECT section_id, count(*) FROM session_history"
            " WHERE typeof(section_id) = 'integer' GROUP BY section_id"
        )
        return self._ask(lambda db: db.execute(query).fetchall())

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
        return self._ask(lambda db: read_lookups(db, self.schema.tables))

    def _rows(self, db: sqlite3.Connection, after: int, size: int) -> list[_Row]:
        return self._text_rows(db, self.schema.query, (after, self.last, size))

    def _text_rows(
        self, db: sqlite3.Connection, query: str, parameters: Sequence[object] = ()
    ) -> list[Any]:
        """Rows with their text decoded; strictly first, for that is much faster."""
        try:
            return db.execute(query, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "Could not decode" not in str(error):
                raise
        db.text_factory = _decode
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
    count, last = db.execute(
        "SELECT count(*), coalesce(max(id), 0) FROM session_history"
    ).fetchone()
    (newest,) = db.execute(
        "SELECT coalesce(max(started), 0) FROM session_history"
        " WHERE id > ? - 1000 AND typeof(started) = 'integer'",
        (last,),
    ).fetchone()
    return count, last, newest


def _without_known(
    batch: Batch, newer: Sequence[_File], ids: tuple[int, int], cursor: Cursor
) -> Batch:
    known = frozenset[_Row]().union(*(file.same_plays(ids) for file in newer))
    plays = [play for play in batch.plays if (play.id, play.started, play.user_id) not in known]
    return msgspec.structs.replace(
        batch, plays=plays, cursor=cursor, duplicates=len(batch.plays) - len(plays)
    )


def _read_cursor(cursor: Cursor | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    index, _, last = cursor.partition(":")
    return int(index), int(last)


def _settle(rows: list[_Row], shown: str) -> tuple[Sequence[Play], Sequence[Rejected]]:
    """Plays out of raw rows; the rows that cannot be one, with the reason.

    The common batch is checked and converted as a whole; only a batch in which something
    is odd is looked at row by row.
    """
    if not any(map(_ABSENCE, rows)):
        try:
            return msgspec.convert(rows, _PLAYS), ()
        except msgspec.ValidationError:
            pass
    plays: list[Play] = []
    rejected: list[Rejected] = []
    for row in rows:
        if absence := row[-1]:
            reason = Reason.NO_METADATA if absence & 1 else Reason.NO_MEDIA_INFO
            rejected.append(Rejected(reason, row[0], source=shown))
            continue
        try:
            plays.append(msgspec.convert(row, Play))
        except msgspec.ValidationError:
            plays.append(_play_of_odd_values(row))
    return plays, rejected


def _play_of_odd_values(row: _Row) -> Play:
    """A play from a row whose INTEGER columns hold text and whose TEXT columns hold numbers."""
    values: dict[str, Any] = {
        field: _text(value) if field in _TEXTS else _integer(value)
        for field, value in zip(Play.__struct_fields__, row, strict=False)
    }
    values["media_type"] = values["media_type"] or ""
    values["watched"] = None
    return Play(**values)


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    text = (_text(value) or "").strip()
    digits = text[1:] if text[:1] == "-" else text
    return int(text) if digits.isdecimal() and digits.isascii() else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _decode(value) if isinstance(value, bytes) else str(value)


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace")
