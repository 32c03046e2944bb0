"""Copy a database and the files beside it as they were at one moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from ...errors import BusyError, SourceUnreachableError

__all__ = ["NO_SPACE_HINT", "beside", "copy_with_sides", "size_of"]

NO_SPACE_HINT: Final = "Make room there, or set TMPDIR to a directory that has it."
_SIDES: Final = ("", "-wal", "-journal")
_ATTEMPTS: Final = 5


def copy_with_sides(path: Path, target: Path, shown: str) -> None:
    """Copy a database with its ``-wal`` and ``-journal`` to ``target``.

    ``shown`` is the name of the database in messages. Do not call this while this process has the
    database open in SQLite: closing a file releases all locks of a process on it (POSIX).

    Raises:
        SourceUnreachableError: a file cannot be read, or there is no space.
        BusyError: the files change all the time.
    """
    for _ in range(_ATTEMPTS):
        before = [_size_and_time(path, side) for side in _SIDES]
        try:
            for side in _SIDES:
                source, copied = beside(path, side), beside(target, side)
                if size_of(source):
                    shutil.copyfile(source, copied)
                else:
                    copied.unlink(missing_ok=True)
        except PermissionError as error:
            raise SourceUnreachableError(
                f"You have no permission to read {error.filename}.",
                hint="The file is part of the database. Run as the user that Tautulli runs as.",
            ) from None
        except OSError as error:
            raise SourceUnreachableError(
                f"{shown} could not be copied to {target.parent}: {error.strerror}.",
                hint=NO_SPACE_HINT,
            ) from error
        beside(target, "-shm").unlink(missing_ok=True)
        if [_size_and_time(path, side) for side in _SIDES] == before:
            return
    raise BusyError(
        f"{shown} kept changing while it was copied.",
        hint="Try again when Tautulli is less busy, or read one of its backups.",
    )


def beside(path: Path, suffix: str) -> Path:
    """Return the file of a database with this suffix, such as ``-wal``."""
    return path.with_name(path.name + suffix)


def size_of(path: Path) -> int:
    """Return the size of a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _size_and_time(path: Path, side: str) -> tuple[int, int]:
    try:
        info = beside(path, side).stat()
    except OSError:
        return (0, 0)
    return (info.st_size, info.st_mtime_ns)
