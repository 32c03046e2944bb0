"""What is remembered of one source between runs: a SQLite file in the state directory.

It saves reading again, and nothing else: without it, or with a damaged one, the answer is the
same and takes longer. Every step is one transaction, so a killed run leaves the last whole
step. The file is for this user only, because the history of a household is in it.
"""

from __future__ import annotations

import errno
import hashlib
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

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["StateFile", "database_source", "state_file", "state_files"]

# 1: a server's history and metadata. 2: jobs, runs and what was published, for files as well.
# 3: no more plays in checkpoints of items.
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
_T = TypeVar("_T")


def database_source(paths: Sequence[Path]) -> str:
    """What to call database files as a source: one by its place, several by their folders.

    The backups in a folder are others every week, and the same history still.
    """
    real = [Path(os.path.realpath(path)) for path in paths]
    places = real if len(real) == 1 else sorted({path.parent for path in real})
    return "file://" + os.pathsep.join(
        os.fsencode(place).decode("utf-8", "backslashreplace") for place in places
    )


def state_file(folder: Path, source: str) -> Path:
    """The state file of a source: a name that a person recognises and no two sources share."""
    scheme, _, rest = source.partition("://")
    name = rest.rstrip("/").rpartition("/")[2] if scheme == "file" else rest
    plain = re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:60]
    return folder / f"{plain}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.db"


def state_files(folder: Path) -> Sequence[Path]:
    """Return the state files in a folder."""
    try:
        return sorted(path for path in folder.glob("*.db") if path.is_file())
    except OSError:
        return []


class StateFile:
    """One source's file. ``notices`` says what a person should know about it."""

    def __init__(self, folder: Path | None, source: str) -> None:
        """Open or make the file of ``source`` in ``folder``.

        ``source`` is a server's address without secrets, or what ``database_source`` says.
        With ``None``, and where the folder cannot be used, everything is kept in a temporary
        file that is gone afterwards. A damaged file is set aside.

        Raises:
            ConfigurationError: a newer version of this program wrote it.
        """
        self.notices: list[str] = []
        self.path = None if folder is None else state_file(folder, source)
        self._views: list[sqlite3.Connection] = []
        self.db: Database = self._open()

    @classmethod
    def existing(cls, path: Path, *, reads_only: bool = False) -> StateFile | None:
        """A state file as it lies there; ``None`` when it is damaged or of another version.

        With ``reads_only`` nothing of it is touched, and nothing can be written.
        """
        found = cls.__new__(cls)
        found.notices, found.path, found._views = [], path, []  # noqa: SLF001 - its own
        try:
            found.db = _looked_at(path) if reads_only else _prepared(str(path))
        except (sqlite3.Error, OSError, ConfigurationError):
            return None
        return found

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
    def step(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing; nobody is stopped in the middle.

        ``durable``: it outlives a power cut as well as the death of this process.

        Raises:
            BusyError: another run has been writing for half a minute.
            SinkError: the disk is full or failing.
        """
        connection = self.db.conn
        with defer_signals():
            try:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise self.sentence(error) from error
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self.sentence(error) from error
                raise
            finally:
                if durable:
                    with suppress(sqlite3.Error):
                        connection.execute("PRAGMA synchronous = NORMAL")

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
            if not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
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

    def sentence(self, error: sqlite3.Error) -> BusyError | SinkError:
        """What SQLite said about the file, for a person."""
        if _code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return BusyError(
                f"{self.path} is in use by another run.", hint="Try again when that has ended."
            )
        return SinkError(
            f"{self.path or 'A temporary file'} could not be read or written: {error}.",
            hint="Make room, or name another place with --state-dir.",
        )


def _prepared(path: str) -> Database:
    """The database with its tables; an empty path is a temporary file of SQLite's own."""
    from sqlite_utils import Database

    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        _check(connection)
        db = Database(connection)
        _check_whose(db)
        if path:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _upgrade(db, path)
    except BaseException:
        connection.close()
        raise
    return db


def _looked_at(path: Path) -> Database:
    """The database for reading: beside a run that writes it, or else without leaving a trace.

    ``mode=ro`` on its own would leave a ``-wal`` and a ``-shm`` there (SQLite 3.40).
    """
    from sqlite_utils import Database

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
        raise _Corrupt("it is of another version")
    return Database(connection)


def _upgrade(db: Database, path: str) -> None:
    """Bring the tables to what this version knows; nothing that is in them is lost.

    Raises:
        ConfigurationError: a newer version wrote it.
    """
    found = db.conn.execute("PRAGMA user_version").fetchone()[0]
    if found == _SCHEMA:
        return
    if found > _SCHEMA:
        raise ConfigurationError(
            f"{path} was written by a newer version of tautulli-import (its schema is {found}, "
            f"this version knows {_SCHEMA}).",
            hint="Use that version, or name another place with --state-dir.",
        )
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        db.table("about").create({"name": str, "value": str}, pk="name", if_not_exists=True)
        for name, (columns, key) in _TABLES.items():
            db.table(name).create(dict(columns), pk=key, if_not_exists=True)
        if "sights" in db.table_names():
            db.conn.execute("UPDATE jobs SET reached = NULL WHERE key IN (SELECT job FROM sights)")
            db.conn.execute("DROP TABLE sights")
        db.conn.execute(f"PRAGMA user_version = {_SCHEMA}")
        db.conn.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.conn.execute("ROLLBACK")
        raise


def _check_whose(db: Database) -> None:
    """Refuse another program's database before anything of it is touched."""
    tables = set(db.table_names())
    version = db.conn.execute("PRAGMA user_version").fetchone()[0]
    wanted = {"about", *_TABLES} if version > 1 else {"about"}
    if (tables or version) and not wanted <= tables and version <= _SCHEMA:
        raise _Corrupt("it is another program's")


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _Corrupt(str(found))


class _Corrupt(sqlite3.DatabaseError):
    """Found by looking, not by falling over it."""

    sqlite_errorname = "SQLITE_CORRUPT"


def _code(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(str(name).split("_")[:2])
