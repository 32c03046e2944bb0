"""What is remembered of one Tautulli between runs: a SQLite file in the state directory.

It saves asking again, and nothing else: without it, or with a damaged one, the answer is the
same and takes longer. Every step is one transaction, so a killed run leaves the last whole
step. The file is for this user only, because the history of a household is in it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from .errors import BusyError, SinkError

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["StateFile"]

_SCHEMA: Final = 1
_BUSY_SECONDS: Final = 30.0
_T = TypeVar("_T")


class StateFile:
    """One server's file. ``notices`` says what a person should know about it."""

    def __init__(self, folder: Path | None, server: str) -> None:
        """Open or make the file of ``server`` (its address without secrets) in ``folder``.

        With ``None``, and where the folder cannot be used, everything is kept in a temporary
        file that is gone afterwards. A damaged file is set aside.
        """
        self.notices: list[str] = []
        self.path = None if folder is None else folder / _name_of(server)
        self._views: list[sqlite3.Connection] = []
        self.db: Database = self._open()

    def close(self) -> None:
        """Close the file."""
        for view in self._views:
            view.close()
        self.db.conn.close()

    def view(self) -> sqlite3.Connection:
        """What is remembered now, to be read while other runs go on; it can be closed early."""
        if self.path is None:
            return self.db.conn
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM about").fetchone()
        self._views.append(connection)
        return connection

    @contextmanager
    def step(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            BusyError: another run has been writing for half a minute.
            SinkError: the disk is full or failing.
        """
        connection = self.db.conn
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._sentence(error) from error
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._sentence(error) from error
            raise

    def get(
        self, name: str, kind: type[_T], *, view: sqlite3.Connection | None = None
    ) -> _T | None:
        """A remembered value; ``None`` when there is none of that kind."""
        row = (
            (view or self.db.conn)
            .execute("SELECT value FROM about WHERE name = ?", (name,))
            .fetchone()
        )
        if row is None:
            return None
        try:
            return msgspec.json.decode(row[0], type=kind)
        except msgspec.DecodeError:
            return None

    def put(self, name: str, value: object) -> None:
        """Remember a value; inside a ``step``."""
        self.db.conn.execute(
            "INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)",
            (name, msgspec.json.encode(value).decode()),
        )

    def _open(self) -> Database:
        if self.path is None:
            return _prepared("")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            return _prepared(str(self.path))
        except OSError as error:
            why = error.strerror or str(error)
        except sqlite3.DatabaseError as error:
            if _code(error) not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                why = str(error)
            else:
                return self._anew(str(error))
        self.notices.append(
            f"Nothing can be remembered in {self.path} ({why}): every run reads everything. "
            "--state-dir names another place."
        )
        self.path = None
        return _prepared("")

    def _anew(self, why: str) -> Database:
        """Set a damaged file aside and begin a new one."""
        assert self.path is not None  # noqa: S101 - only a file can be damaged
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()
        self.notices.append(
            f"What was remembered in {self.path} is damaged ({why}): it was set aside as "
            f"{aside.name}, and everything is read again."
        )
        self.path.touch(mode=0o600)
        return _prepared(str(self.path))

    def _sentence(self, error: sqlite3.Error) -> BusyError | SinkError:
        if _code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return BusyError(
                f"{self.path} is in use by another run.", hint="Try again when that has ended."
            )
        return SinkError(
            f"{self.path or 'A temporary file'} could not be written: {error}.",
            hint="Make room, or name another place with --state-dir.",
        )


def _prepared(path: str) -> Database:
    """The database with its tables; an empty path is a temporary file of SQLite's own."""
    from sqlite_utils import Database

    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        if path:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _check(connection)
        db = Database(connection)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != _SCHEMA:
            for table in (*db.view_names(), *db.table_names()):
                if not table.startswith("sqlite_"):
                    connection.execute(f"DROP TABLE IF EXISTS [{table}]")
        db.table("about").create({"name": str, "value": str}, pk="name", if_not_exists=True)
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    except BaseException:
        connection.close()
        raise
    return db


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _Corrupt(str(found))


class _Corrupt(sqlite3.DatabaseError):
    """Found by looking, not by falling over it."""

    sqlite_errorname = "SQLITE_CORRUPT"


def _name_of(server: str) -> str:
    """A file name that a person recognises and no two servers share."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", server.partition("://")[2].lower()).strip("-.")[:60]
    return f"{plain}-{hashlib.sha256(server.encode()).hexdigest()[:8]}.db"


def _code(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(str(name).split("_")[:2])
