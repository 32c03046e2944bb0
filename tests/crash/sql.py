"""The boundaries of SQLite: every statement that writes, and every end of a transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Final, Literal
from urllib.parse import unquote

from tests.crash.spec import Kind
from tests.crash.watch import Watch

__all__ = ["watch_sqlite"]

_KINDS: Final[dict[str, Kind]] = {
    "BEGIN": "sql start",
    "SAVEPOINT": "sql start",
    "COMMIT": "sql commit",
    "END": "sql commit",
    "RELEASE": "sql commit",
    "ROLLBACK": "sql rollback",
}
_READING: Final = frozenset({"SELECT", "EXPLAIN", "VALUES", "ANALYZE", "DETACH", ""})
_WRITING_PRAGMA: Final = re.compile(
    r"PRAGMA\s+(\w+\.)?((journal_mode|user_version|application_id|auto_vacuum)\s*[=(]"
    r"|wal_checkpoint|incremental_vacuum|optimize)",
    re.IGNORECASE,
)
_CHANGES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


def watch_sqlite(watch: Watch) -> None:
    """Have connections to watched databases counted, from now on and for good."""
    plain = sqlite3.connect

    def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
        name = watch.name_of(_path(database)) if str(database) not in ("", ":memory:") else None
        if name is None or "mode=ro" in str(database) or "immutable=1" in str(database):
            return plain(database, *args, **kwargs)
        if "factory" in kwargs or len(args) > 4:
            raise TypeError("a connection with a factory of its own cannot be watched")
        made: dict[str, Any] = {"watch": watch, "name": name}
        factory = type("Watched", (_Connection,), made)
        with watch.operation("sql open", name):
            return plain(database, *args, factory=factory, **kwargs)

    sqlite3.connect = sqlite3.dbapi2.connect = connect


def _path(database: Any) -> Any:
    text = str(database)
    if text.startswith("file:"):
        return unquote(text.removeprefix("file:").partition("?")[0])
    return database


def _kind(sql: str) -> Kind | None:
    """Return what a statement does to the file; ``None`` where that is nothing."""
    text = re.sub(r"^(\s|--[^\n]*\n|/\*.*?\*/)*", "", sql, flags=re.DOTALL)
    word = re.match(r"\w*", text)
    first = word[0].upper() if word else ""
    if first == "PRAGMA":
        return "sql pragma" if _WRITING_PRAGMA.match(text) else None
    if first == "BEGIN" and re.match(r"BEGIN\s+(IMMEDIATE|EXCLUSIVE)", text, re.IGNORECASE):
        return "sql begin"
    if first in _READING or (first == "WITH" and not _CHANGES.search(text)):
        return None
    return _KINDS.get(first, "sql write")


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *args: Any) -> _Cursor:
        return self._do(_kind(sql), super().execute, sql, *args)

    def executemany(self, sql: str, *args: Any) -> _Cursor:
        return self._do(_kind(sql), super().executemany, sql, *args)

    def executescript(self, sql: str) -> _Cursor:
        return self._do("sql write", super().executescript, sql)

    def _do(self, kind: Kind | None, call: Callable[..., Any], *args: Any) -> _Cursor:
        connection: Any = self.connection
        if kind is None:
            call(*args)
            return self
        with connection.watch.operation(kind, connection.name, undo=connection.undo):
            call(*args)
        return self


class _Connection(sqlite3.Connection):
    watch: ClassVar[Watch]
    name: ClassVar[str]

    def cursor(self, *args: Any) -> Any:
        return super().cursor(*args) if args else super().cursor(_Cursor)

    def execute(self, sql: str, *args: Any) -> Any:
        return self.cursor().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        return self.cursor().executemany(sql, *args)

    def executescript(self, sql: str) -> Any:
        return self.cursor().executescript(sql)

    def commit(self) -> None:
        if self.in_transaction:
            with self.watch.operation("sql commit", self.name, undo=self.undo):
                super().commit()

    def rollback(self) -> None:
        if self.in_transaction:
            with self.watch.operation("sql rollback", self.name):
                super().rollback()

    def undo(self) -> None:
        """Roll back, as SQLite does when the disk fails."""
        if self.in_transaction:
            super().rollback()

    def close(self) -> None:
        with self.watch.operation("sql close", self.name):
            super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> Literal[False]:
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False
