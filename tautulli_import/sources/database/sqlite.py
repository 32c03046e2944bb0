"""Opening somebody else's SQLite file so that nothing of it changes.

Measured with SQLite 3.40 (Tautulli keeps its database in WAL mode):

* ``mode=ro`` on a WAL database without a ``-wal`` beside it *creates* a ``-wal`` and a
  ``-shm``, and a read-only connection cannot take them away again.
* ``immutable=1`` creates nothing, but does not see what is in a ``-wal``.
* ``mode=ro`` on a ``-wal`` without a ``-shm`` creates the ``-shm``; on a ``-shm`` that a
  crash left behind it rebuilds that file; and on a rollback journal that a crash left
  behind it fails.

So there are three ways in, and the files beside the database decide which:

=================================  ==================================================
no ``-wal``, or an empty one       immutable, and every batch is checked afterwards
``-wal`` in use by a live process  ``mode=ro``: short reads beside Tautulli
a ``-wal`` or journal left behind  a private copy of all of it, and that is said
=================================  ==================================================
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal
from urllib.parse import quote

from ...errors import (
    BusyError,
    DamagedPageError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
)
from ...temp_folder import PrivateFolder

__all__ = ["SqliteFile", "explain", "not_there"]

_MAGIC: Final = b"SQLite format 3\x00"
_ARCHIVES: Final = {b"PK\x03\x04": "ZIP", b"\x1f\x8b": "gzip", b"(\xb5/\xfd": "zstd"}
_BUSY_SECONDS: Final = 10.0
_COPY_ATTEMPTS: Final = 5

Mode = Literal["immutable", "live", "copy"]


class SqliteFile:
    """A SQLite file of another program, opened for reading.

    ``connection`` may be replaced by ``reopen``: ask for it each time.
    """

    def __init__(
        self, path: Path, *, stdin: BinaryIO | None = None, shown: str | None = None
    ) -> None:
        """Open ``path``; with ``stdin`` its bytes are spooled to a private file first.

        Raises:
            NotFoundError: there is no such file.
            SourceUnreachableError: it may not be read.
            SourceDamagedError: it is a directory, empty, or not SQLite.
        """
        # As bytes a file name can be anything; messages and reports are UTF-8.
        self.shown = shown or (
            "standard input" if stdin else os.fsencode(path).decode("utf-8", "replace")
        )
        self.notices: list[str] = []
        self._private: PrivateFolder | None = None
        # SQLite looks for the -wal beside the file itself, not beside a link to it.
        self._path = _resolved(path)
        try:
            if stdin:
                self._path = self._spool(stdin)
            self._check_what_it_is()
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def written(self) -> int:
        """When the file was last written (nanoseconds)."""
        return self._path.stat().st_mtime_ns

    def explain(self, error: sqlite3.Error) -> TautulliImportError:
        """Return the sentence for what SQLite said about the file."""
        return explain(error, self.shown)

    def reopen(self) -> None:
        """Look at the files again and open the way they ask for now."""
        self.connection.close()
        self._open()

    def changed(self, error: sqlite3.Error | None = None) -> bool:
        """Whether the file has to be opened anew: what was read, or ``error``, means nothing.

        On the immutable way in when it was written meanwhile, so that reads may be torn; on
        the live one when a writer was killed and left a journal behind, which a reader may
        not roll back. SQLite itself keeps the rest consistent.
        """
        if self._mode == "live":
            return error is not None and _code(error).startswith("SQLITE_READONLY")
        return self._mode == "immutable" and self._fingerprint(self._path) != self._seen

    def close(self) -> None:
        """Close the connection and remove the private copy, if one was made."""
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()
        if self._private is not None:
            self._private.remove()
            self._private = None

    def _check_what_it_is(self) -> None:
        path = self._path
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                inside = sorted(path.glob("*.db"))
                raise SourceDamagedError(
                    f"{self.shown} is a directory, not a database.",
                    hint=f"There is a database in it: {inside[0]}"
                    if inside
                    else "Name the file itself; Tautulli calls it tautulli.db.",
                )
            if not stat.S_ISREG(mode):
                raise SourceDamagedError(
                    f"{self.shown} is not a regular file.",
                    hint="To read from a pipe, name the source '-'.",
                )
            with path.open("rb") as file:
                head = file.read(16)
        except (FileNotFoundError, NotADirectoryError):
            raise not_there(self.shown) from None
        except PermissionError:
            raise SourceUnreachableError(
                f"{self.shown} may not be read by this user.",
                hint="Run as the user that Tautulli runs as, or copy the file "
                "together with its -wal.",
            ) from None
        except OSError as error:
            raise SourceUnreachableError(
                f"{self.shown} cannot be read: {error.strerror}.", hint="Check the disk."
            ) from error
        if not head:
            raise SourceDamagedError(
                f"{self.shown} is empty: 0 bytes.", hint="Take a backup from Tautulli's backups/."
            )
        if head != _MAGIC:
            for magic, archive in _ARCHIVES.items():
                if head.startswith(magic):
                    raise SourceDamagedError(
                        f"{self.shown} is a {archive} archive, not a database.",
                        hint="Unpack it, and name the .db file inside.",
                    )
            raise SourceDamagedError(
                f"{self.shown} is not a SQLite database, or it is encrypted.",
                hint="Tautulli's database is a plain SQLite file named tautulli.db.",
            )

    def _open(self) -> None:
        self._mode: Mode = self._way_in()
        try:
            try:
                self._connect()
            except sqlite3.Error as error:
                if self._mode != "live" or _code(error) in ("SQLITE_BUSY", "SQLITE_NOTADB"):
                    raise
                # A read-only directory, a -shm that may not be written: a copy always works.
                if hasattr(self, "connection"):
                    self.connection.close()
                self._mode = "copy"
                self._connect()
        except sqlite3.Error as error:
            raise explain(error, self.shown) from error

    def _connect(self) -> None:
        path = self._copy() if self._mode == "copy" else self._path
        if self._mode == "immutable":
            self._seen = self._fingerprint(path)
        # A copy is our own: its journal may have to be rolled back.
        options = {"immutable": "immutable=1", "live": "mode=ro", "copy": "mode=rw"}[self._mode]
        uri = f"file:{quote(os.fsencode(path.absolute()))}?{options}"
        self.connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
        self.connection.execute("PRAGMA query_only=1")
        self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _way_in(self) -> Mode:
        if _size(_beside(self._path, "-journal")):
            return "copy"
        if not _size(_beside(self._path, "-wal")):
            # A rollback-journal database may be in the middle of a write right now;
            # its locks tell, and only mode=ro looks at them.
            return "immutable" if self._is_wal() else "live"
        return "live" if _in_use(_beside(self._path, "-shm")) else "copy"

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
            bool(_size(_beside(path, "-wal"))),
            bool(_size(_beside(path, "-journal"))),
        )

    def _copy(self) -> Path:
        """A consistent private copy of the database and of what a crash left beside it."""
        folder = self._private_folder()
        target = folder / "copy.db"
        sides: Sequence[str] = ("", "-wal", "-journal")
        for _ in range(_COPY_ATTEMPTS):
            before = [self._state(side) for side in sides]
            try:
                for side in sides:
                    source = _beside(self._path, side)
                    copied = _beside(target, side)
                    if _size(source):
                        shutil.copyfile(source, copied)
                    else:
                        copied.unlink(missing_ok=True)
            except PermissionError as error:
                raise SourceUnreachableError(
                    f"{error.filename} may not be read by this user.",
                    hint="What is in it belongs to the database. Run as the user that Tautulli "
                    "runs as.",
                ) from None
            except OSError as error:
                raise SourceUnreachableError(
                    f"{self.shown} could not be copied to {folder}: {error.strerror}.",
                    hint="Make room there, or set TMPDIR to a directory that has it.",
                ) from error
            _beside(target, "-shm").unlink(missing_ok=True)
            if [self._state(side) for side in sides] == before:
                self.notices.append(
                    f"Reading a private copy of {self.shown}: what is beside it "
                    "(-wal or -journal) could not be read in place without touching it."
                )
                return target
        raise BusyError(
            f"{self.shown} kept changing while it was copied.",
            hint="Try again when Tautulli is less busy, or read one of its backups.",
        )

    def _state(self, side: str) -> tuple[int, int]:
        try:
            info = _beside(self._path, side).stat()
        except OSError:
            return (0, 0)
        return (info.st_size, info.st_mtime_ns)

    def _spool(self, stdin: BinaryIO) -> Path:
        try:
            target = self._private_folder() / "stdin.db"
            with target.open("wb") as file:
                shutil.copyfileobj(stdin, file, 1 << 20)
        except OSError as error:
            raise SourceUnreachableError(
                f"{self.shown} could not be kept in {tempfile.gettempdir()}: {error.strerror}.",
                hint="Make room there, or set TMPDIR to a directory that has it.",
            ) from error
        return target

    def _private_folder(self) -> Path:
        if self._private is None:
            self._private = PrivateFolder()
        return self._private.path


def not_there(shown: str) -> NotFoundError:
    """The sentence for a database that does not exist."""
    return NotFoundError(
        f"There is no file {shown}.",
        hint="Tautulli's database is tautulli.db in its data directory "
        "(/config in the container); backups are in backups/ beside it.",
    )


def explain(error: sqlite3.Error, shown: str) -> TautulliImportError:
    """The sentence for what SQLite said about the file called ``shown``."""
    code = _code(error)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            f"{shown} is locked by another program (waited {_BUSY_SECONDS:.0f} s).",
            hint="Tautulli may be making a backup or tidying up: try again in a minute.",
        )
    if code == "SQLITE_NOTADB":
        return SourceDamagedError(
            f"{shown} is not a SQLite database, or it is encrypted.",
            hint="Tautulli's database is a plain SQLite file named tautulli.db.",
        )
    if code.startswith("SQLITE_CORRUPT"):
        return DamagedPageError(
            f"{shown} is damaged: {error}.",
            hint="Read one of Tautulli's backups, or repair a copy: "
            "sqlite3 copy.db .recover | sqlite3 repaired.db",
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_AUTH")):
        return SourceUnreachableError(
            f"{shown} cannot be read: {error}.", hint="Check the disk and the permissions."
        )
    return SourceDamagedError(
        f"{shown} cannot be read: {error}.",
        hint="Is it Tautulli's own database? Try one of its backups.",
    )


def _code(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "") or ""


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links: opening it will say so
        return path


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _in_use(shm: Path) -> bool:
    """Whether a live process has this ``-shm`` open; asks the kernel, takes no lock.

    Every SQLite connection in WAL mode holds a shared lock on byte 128 of the ``-shm``
    (the "deadman switch") for as long as it lives; a crash releases it.
    """
    if not _size(shm):
        return False
    if not sys.platform.startswith("linux"):
        return True
    import fcntl

    layout = "hhqqi"
    asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 128, 1, 0)
    try:
        with shm.open("rb") as file:
            answer = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return False
    return bool(answer[0] != fcntl.F_UNLCK)
