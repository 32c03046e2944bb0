"""Keep the state of one source between runs, in a SQLite file in the state directory.

The file saves time. Without it, or if it is damaged, the next run gives the same result and takes
longer. Every step is one transaction, so a killed run leaves the last complete step. Only this
user can read the file, because it contains the history of a household.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import msgspec

from ..errors import BusyError, ConfigurationError, SinkError
from ..interrupts import defer_signals
from .folder import check_folder, check_state_file, make_folder

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = [
    "STATE_TABLES",
    "StateFile",
    "database_source",
    "shown_source",
    "state_file",
    "state_files",
]

_LOG: Final = logging.getLogger(__name__)
# 1: a server's history and metadata. 2: jobs, runs and published keys, of database files too.
# 3: no plays in the checkpoints of items.
_SCHEMA: Final = 3
_BUSY_SECONDS: Final = 30.0
_TABLES: Final[dict[str, tuple[dict[str, type], str | tuple[str, ...]]]] = {
    "jobs": (
        {
            "key": str,
            "series": str,
            "about": str,
            "status": str,
            "landmarks": str,
            "rows": int,
            "reached": bytes,
            "updated": int,
        },
        "key",
    ),
    "published": (
        {"job": str, "sink": str, "target": str, "user": str, "staged": bytes, "published": bytes},
        ("job", "sink", "target", "user"),
    ),
    "runs": ({"id": int, "told": str}, "id"),
}
STATE_TABLES: Final = frozenset({"about", *_TABLES})
"""The tables that every state file has. Those of a server have others, with its history."""
_T = TypeVar("_T")


def database_source(paths: Sequence[Path]) -> str:
    """Return the source name of database files: the path of one, the directories of several.

    A directory of backups has other files every week, but they are of the same history.
    """
    real = [Path(os.path.realpath(path)) for path in paths]
    places = real if len(real) == 1 else sorted({path.parent for path in real})
    return "file://" + os.pathsep.join(
        os.fsencode(place).decode("utf-8", "backslashreplace") for place in places
    )


def shown_source(source: str) -> str:
    """Return the name of a source for a person: of database files their path."""
    return source.removeprefix("file://")


def state_file(folder: Path, source: str) -> Path:
    """Return the path of a source's state file. A person can recognise the source by its name.

    No two sources have the same path.
    """
    scheme, _, rest = source.partition("://")
    name = rest.rstrip("/").rpartition("/")[2] if scheme == "file" else rest
    plain = re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:60]
    return folder / f"{plain}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.db"


def state_files(folder: Path) -> Sequence[Path]:
    """Return the state files in a folder, by name.

    Raises:
        ConfigurationError: another user can write in the folder, or into a file.
    """
    try:
        check_folder(folder)
        found = sorted(path for path in folder.glob("*.db") if path.is_file())
    except OSError:
        return []
    for path in found:
        check_state_file(path)
    return found


class StateFile:
    """The state file of one source. ``notices`` are sentences about it for the user."""

    def __init__(self, folder: Path | None, source: str) -> None:
        """Open or create the file of ``source`` in ``folder``.

        ``source`` is a server's address without secrets, or a name from ``database_source``.
        If ``folder`` is ``None`` or cannot be used, the state is kept in a temporary file, which
        ``close`` removes. A damaged file is renamed, and a new one is created.

        Raises:
            ConfigurationError: a newer version of this program wrote it, or another user can
                write it.
        """
        self.notices: list[str] = []
        self.path = None if folder is None else state_file(folder, source)
        self._views: list[sqlite3.Connection] = []
        self.conn: sqlite3.Connection = self._open()
        _LOG.debug("The state of %s is in %s", source, self.path or "a temporary file")

    @classmethod
    def existing(cls, path: Path, *, reads_only: bool = False) -> StateFile | None:
        """Open an existing state file. Return ``None`` if it is damaged or of another version.

        With ``reads_only`` the file cannot be written, and stays untouched.
        """
        found = cls.__new__(cls)
        found.notices, found.path, found._views = [], path, []  # noqa: SLF001 - its own
        try:
            found.conn = _open_for_reading(path) if reads_only else _open_for_writing(str(path))
        except (sqlite3.Error, OSError, ConfigurationError):
            return None
        return found

    @property
    def db(self) -> Database:
        """Return the file for sqlite-utils, which takes long to import."""
        return _database(self.conn)

    def tables(self) -> set[str]:
        """Return the names of the tables."""
        return _tables(self.conn)

    def close(self) -> None:
        """Close the file."""
        for view in self._views:
            view.close()
        self.conn.close()

    def view(self) -> sqlite3.Connection:
        """Return a connection that sees the present state, while other runs continue to write.

        The caller may close it. ``close`` closes it too.
        """
        if self.path is None:
            return self.conn
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM about").fetchone()
        self._views.append(connection)
        return connection

    @contextmanager
    def step(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Run one transaction. A signal is deferred until it has ended.

        With ``durable`` it survives a power cut, otherwise only the death of this process.

        Raises:
            BusyError: another run has been writing for 30 seconds.
            SinkError: the disk is full or failing.
        """
        connection = self.conn
        with defer_signals():
            try:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise self.error_of(error) from error
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self.error_of(error) from error
                raise
            finally:
                if durable:
                    with suppress(sqlite3.Error):
                        connection.execute("PRAGMA synchronous = NORMAL")

    def get(
        self, name: str, kind: type[_T], *, view: sqlite3.Connection | None = None
    ) -> _T | None:
        """Return a saved value, or ``None`` if there is none of this type."""
        row = (
            (view or self.conn)
            .execute("SELECT value FROM about WHERE name = ?", (name,))
            .fetchone()
        )
        if row is None:
            return None
        try:
            return msgspec.json.decode(row[0], type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def put(self, name: str, value: object) -> None:
        """Save a value. Call this inside a ``step``."""
        self.conn.execute(
            "INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)",
            (name, msgspec.json.encode(value).decode()),
        )

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            return _open_for_writing("")
        try:
            make_folder(self.path.parent)
            check_state_file(self.path)
            self.path.touch(mode=0o600)
            if not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return _open_for_writing(str(self.path))
        except OSError as error:
            why = error.strerror or str(error)
        except sqlite3.DatabaseError as error:
            if _code(error) not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                why = str(error)
            else:
                return self._replace_damaged(str(error))
        self.notices.append(
            f"Nothing can be saved in {self.path} ({why}), so every run reads everything. "
            "Choose another directory with --state-dir."
        )
        self.path = None
        return _open_for_writing("")

    def _replace_damaged(self, why: str) -> sqlite3.Connection:
        """Rename a damaged file, and create a new one."""
        assert self.path is not None  # noqa: S101 - only a file can be damaged
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()
        self.notices.append(
            f"The state file {self.path} is damaged ({why}). It was renamed to {aside.name}, and "
            "everything is read again."
        )
        self.path.touch(mode=0o600)
        return _open_for_writing(str(self.path))

    def error_of(self, error: sqlite3.Error) -> BusyError | SinkError:
        """Return the error to raise instead of an error of SQLite about this file."""
        if _code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return BusyError(
                f"Another run is using {self.path}.", hint="Try again when it has ended."
            )
        return SinkError(
            f"{self.path or 'A temporary file'} could not be read or written: {error}.",
            hint="Make room, or choose another directory with --state-dir.",
        )


def _open_for_writing(path: str) -> sqlite3.Connection:
    """Open a state file for writing, and bring its tables up to date.

    With an empty path SQLite makes a temporary file, and removes it when it is closed.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        _check_pages(connection)
        _refuse_foreign(connection)
        if path:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _upgrade(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a state file for reading, also while a run writes it. Leave no files behind.

    ``mode=ro`` alone would leave a ``-wal`` and a ``-shm`` file (SQLite 3.40).
    """
    wal = path.with_name(f"{path.name}-wal")
    options = "mode=ro" if wal.exists() and wal.stat().st_size else "immutable=1"
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        connection.close()
        raise
    if found not in (2, _SCHEMA):  # to a reader, 2 and 3 are the same
        connection.close()
        raise _DamagedError("it is of another version")
    return connection


def _upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Upgrade the tables to this version's schema in place. Keep their rows.

    Raises:
        ConfigurationError: a newer version wrote the file.
    """
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == _SCHEMA:
        return
    if found > _SCHEMA:
        raise ConfigurationError(
            f"{path} was written by a newer version of tautulli-import (its schema is {found}, "
            f"this version knows {_SCHEMA}).",
            hint="Use that version, or choose another directory with --state-dir.",
        )
    db = _database(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        db.table("about").create({"name": str, "value": str}, pk="name", if_not_exists=True)
        for name, (columns, key) in _TABLES.items():
            db.table(name).create(dict(columns), pk=key, if_not_exists=True)
        if "sights" in _tables(connection):
            connection.execute(
                "UPDATE jobs SET reached = NULL WHERE key IN (SELECT job FROM sights)"
            )
            connection.execute("DROP TABLE sights")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _database(connection: sqlite3.Connection) -> Database:
    from sqlite_utils import Database

    return Database(connection, execute_plugins=False)


def _tables(connection: sqlite3.Connection) -> set[str]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in names}


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    """Refuse another program's database, before anything in it is changed."""
    tables = _tables(connection)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    wanted = STATE_TABLES if version > 1 else {"about"}
    if (tables or version) and not wanted <= tables and version <= _SCHEMA:
        raise _DamagedError("it belongs to another program")


def _check_pages(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _DamagedError(str(found))


class _DamagedError(sqlite3.DatabaseError):
    """A check found damage that SQLite itself did not report."""

    sqlite_errorname = "SQLITE_CORRUPT"


def _code(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(str(name).split("_")[:2])
