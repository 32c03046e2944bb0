"""Lock files that the kernel releases when a process is killed.

A lock is ``flock`` on a small file. The process that holds it is alive. The content of the file
only tells others which process they are waiting for.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

__all__ = ["Holder", "Lock"]

# ``is_held`` in another process takes the lock for a moment, so one failure proves nothing.
_TRIES: Final = 4
_RETRY_SECONDS: Final = 0.02
_MOST_BYTES: Final = 65_536


class Holder(Struct, frozen=True):
    """The process that holds a lock."""

    pid: int
    state: bytes = b""
    """The path of the state file with its progress. Empty if there is none."""
    run: int = 0
    """The number of its run there, or 0 if there is none yet."""
    line: str = ""
    """Its command line, without secrets."""


class Lock:
    """A lock file."""

    def __init__(self, path: Path) -> None:
        """``take`` creates the file at ``path``, and ``release`` removes it."""
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock and return true, or return false at once if another process holds it.

        Raises:
            OSError: the file cannot be created here.
        """
        for attempt in range(_TRIES):
            if self._take():
                return True
            if attempt < _TRIES - 1:
                time.sleep(_RETRY_SECONDS)
        return False

    def note(self, holder: Holder) -> None:
        """Write the holder into the file, for others. A failure to write is ignored."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, msgspec.json.encode(holder), 0)

    def holder(self) -> Holder | None:
        """Return the holder, if the file names one."""
        try:
            with self.path.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_BYTES), type=Holder)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def is_held(self) -> bool:
        """Return true if a process holds the lock now."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Release the lock and remove the file."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            if _is_still(self._descriptor, self.path):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _take(self) -> bool:
        while True:
            descriptor = _open(self.path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            if _is_still(descriptor, self.path):
                with suppress(OSError):
                    os.ftruncate(descriptor, 0)  # the holder that a killed run wrote
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # its last holder has just removed the file


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError:  # the file belongs to another user
        return os.open(path, os.O_RDONLY | flags)


def _is_still(descriptor: int, path: Path) -> bool:
    """Return true if the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
