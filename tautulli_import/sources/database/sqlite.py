"""Open the SQLite file of another program without changing anything of it.

Measured with SQLite 3.40 (Tautulli keeps its database in WAL mode):

* ``mode=ro`` on a WAL database without a ``-wal`` *creates* a ``-wal`` and a ``-shm``. A
  read-only connection cannot remove them again.
* ``immutable=1`` creates nothing, but does not see the content of a ``-wal``.
* ``mode=ro`` on a ``-wal`` without a ``-shm`` creates the ``-shm``. It rebuilds a ``-shm`` that a
  crash left behind. It fails on a rollback journal that a crash left behind.

So there are four modes. The files beside the database decide which one is used:

=================================  ==================================================
no ``-wal``, or an empty one       immutable, and every batch is checked afterwards
not in WAL mode                    ``mode=ro``, with short reads that lock out writers
``-wal`` in use by a live process  ``mode=ro``, with short reads beside Tautulli
a ``-wal`` or journal left behind  a private copy of all files, with a notice
=================================  ==================================================
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import struct
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import quote

from ...errors import (
    BusyError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
)
from ...formatting import shown
from ...interrupts import check
from ...temp_folder import PrivateFolder
from .foreign import open_foreign, real_tables
from .private_copy import beside, copy_with_sides, size_of
from .sqlite_errors import BUSY_SECONDS, code_of, explain, not_sqlite, not_there

__all__ = ["SqliteFile", "is_sqlite"]

_LOG: Final = logging.getLogger(__name__)
_MAGIC: Final = b"SQLite format 3\x00"
_MOST_TRIES: Final = 8
_Answer = TypeVar("_Answer")
_ARCHIVES: Final = {b"PK\x03\x04": "ZIP", b"\x1f\x8b": "gzip", b"(\xb5/\xfd": "zstd"}

Mode = Literal["immutable", "locking", "live", "copy"]
_OPTIONS: Final[Mapping[Mode, str]] = {
    "immutable": "immutable=1",
    "locking": "mode=ro",
    "live": "mode=ro",
    "copy": "mode=rw",  # SQLite may have to roll back the journal of the copy
}


class SqliteFile:
    """A SQLite file of another program, opened for reading.

    Do not keep ``connection``: ``ask`` may replace it.
    """

    lost: Sequence[int] = ()
    """The ids of rows that are known to be missing, ascending."""

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        """Open ``path``. ``name`` is used in messages in place of it.

        Raises:
            NotFoundError: there is no such file.
            SourceUnreachableError: this user has no permission to read it.
            SourceDamagedError: it is a directory, empty, or not SQLite.
        """
        self.shown = name or shown(path)
        self.notices: list[str] = []
        self._private: PrivateFolder | None = None
        # SQLite looks for the -wal beside the file itself, not beside a link to it.
        self._path = _resolved(path)
        try:
            self._refuse_other_files()
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def written(self) -> int:
        """The time of the last write to the file (nanoseconds)."""
        return self._path.stat().st_mtime_ns

    def explain(self, error: sqlite3.Error) -> TautulliImportError:
        """Return the error for an exception of SQLite about the file."""
        return explain(error, self.shown)

    def tables(self, db: sqlite3.Connection, needed: Collection[str]) -> frozenset[str]:
        """Return the names of all tables.

        Raises:
            SourceDamagedError: one of the ``needed`` ones is a view or something else.
            sqlite3.Error: the file cannot be read.
        """
        return real_tables(db, self.shown, needed)

    def ask(self, query: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return the answer of ``query``. Run it again if the file was written meanwhile.

        Raises:
            BusyError: the file was written each time.
            TautulliImportError: the file cannot be read, or is known to be damaged.
        """
        self.refuse_known_damage()
        for attempt in range(_MOST_TRIES):
            try:
                answer = query(self.connection)
            except sqlite3.Error as error:
                check()  # a signal interrupts a query, and SQLite drops the exception
                if not self.changed(error):
                    raise self.explain(error) from error
            else:
                if not self.changed():
                    return answer
            time.sleep(0.05 * 2**attempt)  # its program is writing; let it finish
            self.connection.close()
            self._open()  # in the mode that fits it now
        raise BusyError(
            f"{self.shown} kept changing while it was read.",
            hint="Try again when Tautulli is less busy, or read one of its backups.",
        )

    def changed(self, error: sqlite3.Error | None = None) -> bool:
        """Return whether the last answer, or ``error``, is invalid and the file must be reopened.

        In immutable mode that is so after every write, because reads may be torn. With locks or a
        live ``-wal`` it is so after a writer was killed and left a journal behind, because a reader
        may not roll it back. SQLite keeps everything else consistent.
        """
        if self._mode in ("locking", "live"):
            return error is not None and code_of(error).startswith("SQLITE_READONLY")
        return self._mode == "immutable" and self._fingerprint(self._path) != self._seen

    def close(self) -> None:
        """Close the connection, and remove the private copy if there is one."""
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()
        if self._private is not None:
            self._private.remove()
            self._private = None

    def _refuse_other_files(self) -> None:
        """Refuse a path that is not a readable SQLite file, with an error that says what it is."""
        path = self._path
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                inside = sorted(path.glob("*.db"))
                raise SourceDamagedError(
                    f"{self.shown} is a directory, not a database.",
                    hint=f"There is a database in it: {inside[0]}"
                    if inside
                    else "Give the path of the file. Tautulli calls it tautulli.db.",
                )
            if not stat.S_ISREG(mode):
                raise SourceDamagedError(
                    f"{self.shown} is not a regular file.",
                    hint="To read from a pipe, give '-' as the path.",
                )
            with path.open("rb") as file:
                head = file.read(16)
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(self.shown) from None
        except PermissionError:
            raise SourceUnreachableError(
                f"You have no permission to read {self.shown}.",
                hint="Run as the user that Tautulli runs as, or copy the file "
                "together with its -wal.",
            ) from None
        except OSError as error:
            raise SourceUnreachableError(
                f"{self.shown} cannot be read: {error.strerror}.", hint="Check the disk."
            ) from error
        if not head:
            raise SourceDamagedError(
                f"{self.shown} is empty (0 bytes).", hint="Use a backup from Tautulli's backups/."
            )
        if head != _MAGIC:
            for magic, archive in _ARCHIVES.items():
                if head.startswith(magic):
                    raise SourceDamagedError(
                        f"{self.shown} is a {archive} archive, not a database.",
                        hint="Unpack it, and give the path of the .db file inside.",
                    )
            raise not_sqlite(self.shown)

    def _open(self) -> None:
        self._mode: Mode = self._fitting_mode()
        try:
            try:
                self._connect()
            except sqlite3.Error as error:
                if self._mode not in ("locking", "live") or code_of(error) in (
                    "SQLITE_BUSY",
                    "SQLITE_NOTADB",
                ):
                    raise
                # The directory is read-only, or the -shm is not writable. A copy always works.
                if hasattr(self, "connection"):
                    self.connection.close()
                self._mode = "copy"
                self._connect()
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def _connect(self) -> None:
        """Connect in the chosen mode. A private copy is made first if the mode is ``copy``."""
        path = self._copy() if self._mode == "copy" else self._path
        if self._mode == "immutable":
            self._seen = self._fingerprint(path)
        self._opened = path
        self.connection = _connected(path, self._mode)
        self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _LOG.debug("%s is read in the mode %r", path, self._mode)

    def connect_again(self) -> tuple[sqlite3.Connection, Callable[[], bool]]:
        """Open a second connection, for long statements in another thread.

        Also return a function that returns true if the answers may be invalid, because the file was
        written meanwhile. The connection locks out no writer, so it reads without locks where
        ``connection`` has them.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        path, mode = self._opened, self._mode
        if mode in ("live", "copy"):
            return _connected(path, mode), bool
        seen = self._fingerprint(path)
        is_written = size_of(beside(path, "-journal")) > 0
        connection = _connected(path, "immutable")
        return connection, lambda: is_written or self._fingerprint(path) != seen

    def begin_check(self) -> None:
        """Do nothing. ``GuardedFile`` looks for damage."""

    def refuse_known_damage(self) -> None:
        """Do nothing. ``GuardedFile`` raises an error if it has found damage."""

    def _fitting_mode(self) -> Mode:
        """Return the mode that the files beside the database ask for; see the module."""
        if size_of(beside(self._path, "-journal")):
            return "copy"
        if not size_of(beside(self._path, "-wal")):
            # Another process may be writing to a rollback-journal database at this moment. Only
            # mode=ro respects its locks.
            return "immutable" if self._is_wal() else "locking"
        return "live" if _in_use(beside(self._path, "-shm")) else "copy"

    def _is_wal(self) -> bool:
        try:
            with self._path.open("rb") as file:
                return file.read(20)[18:] == b"\x02\x02"
        except OSError as error:
            raise SourceUnreachableError(
                f"{self.shown} cannot be read: {error.strerror}.", hint="Check the disk."
            ) from error

    def _fingerprint(self, path: Path) -> tuple[object, ...]:
        try:
            info = path.stat()
        except OSError:
            return ()
        return (
            info.st_ino,
            info.st_size,
            info.st_mtime_ns,
            bool(size_of(beside(path, "-wal"))),
            bool(size_of(beside(path, "-journal"))),
        )

    def _copy(self) -> Path:
        """Make a consistent private copy of the database and of the files beside it."""
        target = self._private_folder() / "copy.db"
        copy_with_sides(self._path, target, self.shown)
        self.notices.append(
            f"Reading a private copy of {self.shown}, because reading the -wal or -journal "
            "beside it in place would change it."
        )
        return target

    def _private_folder(self) -> Path:
        if self._private is None:
            self._private = PrivateFolder()
        return self._private.path


def _connected(path: Path, mode: Mode) -> sqlite3.Connection:
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{_OPTIONS[mode]}"
    connection = open_foreign(uri, wait=BUSY_SECONDS)
    connection.execute("PRAGMA query_only=1")
    return connection


def is_sqlite(path: Path) -> bool:
    """Return whether a file begins as SQLite files do.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links; opening it fails with a message
        return path


def _in_use(shm: Path) -> bool:
    """Return whether a live process has this ``-shm`` open.

    Every SQLite connection in WAL mode holds a shared lock on byte 128 of the ``-shm`` (the
    "deadman switch") while it is open. A crash releases the lock. The kernel is asked for the
    holder; no lock is taken.
    """
    if not size_of(shm):
        return False
    if not sys.platform.startswith("linux"):
        return True
    import fcntl

    layout = "hhqqi"
    lock = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 128, 1, 0)
    try:
        with shm.open("rb") as file:
            answer = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, lock))
    except OSError:
        return False
    return bool(answer[0] != fcntl.F_UNLCK)
