"""Counts the boundaries that a run crosses, writes them down, and strikes at one of them."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

import msgspec

from tests.crash.spec import ERRORS, Boundary, Kind, Spec, When, can_strike

__all__ = ["Watch"]

_SIGNALS: Final = {
    "kill": signal.SIGKILL,
    "sigterm": signal.SIGTERM,
    "sigint": signal.SIGINT,
}
_SQL_ERRORS: Final = {
    "open": ("unable to open database file", "SQLITE_CANTOPEN", 14),
    "ENOSPC": ("database or disk is full", "SQLITE_FULL", 13),
    "EIO": ("disk I/O error", "SQLITE_IOERR_WRITE", 778),
    "EACCES": ("attempt to write a readonly database", "SQLITE_READONLY", 8),
}


class Watch:
    """Of one run. ``log`` is a descriptor; what it holds survives a kill."""

    def __init__(self, spec: Spec, log: int | None) -> None:
        self._folders = [(os.path.realpath(path), name) for name, path in spec.watched.items()]
        self._strike = spec.strike
        self._log = log
        self._count = 0
        self._struck = False
        self._lock = RLock()
        self._write = os.write
        self._kill = os.kill

    def name_of(self, path: object, dir_fd: int | None = None) -> str | None:
        """Return the name of a path or descriptor in the log, or ``None`` if it is not watched."""
        if isinstance(path, int):
            found = _path_of(path)
        else:
            found = os.fsdecode(path)  # type: ignore[arg-type]
            if dir_fd is not None:
                found = os.path.join(_path_of(dir_fd), found)  # noqa: PTH118 - bytes and all
        found = os.path.abspath(found)  # noqa: PTH100 - links are not followed
        for folder, name in self._folders:
            if found == folder or found.startswith(folder + os.sep):
                return name + found[len(folder) :]
        return None

    def _path_named(self, name: str) -> str:
        """Return the path that has this name in the log: the kernel's errors bear the path."""
        folder, slash, rest = name.partition("/")
        root = next(path for path, known in self._folders if known == folder)
        return f"{root}{slash}{rest}"

    @contextmanager
    def operation(
        self, kind: Kind, name: str, *, undo: Callable[[], object] | None = None
    ) -> Iterator[bool]:
        """Cross the boundaries before and after; whether it has to be done by half.

        ``undo`` is what SQLite does of itself when an error of the disk meets a transaction.
        """
        half = self._cross("before", kind, name, undo)
        yield half
        if not half:
            self._cross("after", kind, name, undo)

    def _cross(self, when: When, kind: Kind, name: str, undo: Callable[[], object] | None) -> bool:
        with self._lock:
            self._count += 1
            here = Boundary(self._count, when, kind, name)
            strike = self._strike
            struck = (
                strike is not None
                and (here.number == strike.at or (strike.lasting and self._struck))
                and can_strike(strike.fault, here)
            )
            if struck:
                here = msgspec.structs.replace(here, struck=True)
                self._struck = True
            if self._log is not None:
                self._write(self._log, msgspec.json.encode(here) + b"\n")
            if not struck or strike is None:
                return False
            if strike.fault in _SIGNALS:
                self._kill(os.getpid(), _SIGNALS[strike.fault])
                return False
            if strike.fault == "short":
                # After half of a write the disk is full.
                self._strike = msgspec.structs.replace(strike, fault="ENOSPC", lasting=True)
                return True
        if kind.startswith("sql"):
            if strike.fault == "EIO" and undo:
                undo()
            raise _sql_error("open" if kind == "sql open" else strike.fault)
        number = ERRORS[strike.fault]
        raise OSError(number, os.strerror(number), self._path_named(name))


def _sql_error(fault: str) -> sqlite3.OperationalError:
    message, name, code = _SQL_ERRORS[fault]
    error: Any = sqlite3.OperationalError(message)
    error.sqlite_errorname = name
    error.sqlite_errorcode = code
    found: sqlite3.OperationalError = error
    return found


def _path_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""
