"""One at a time: locks that the kernel keeps, so that a killed process leaves nothing to clean.

A lock is ``flock`` on a small file: whoever has it open and locked is alive. What stands in
the file only tells others whom they are waiting for.
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

# Somebody who only looks whether a lock is held has it for a moment.
_TRIES: Final = 4
_MOMENT: Final = 0.02
_MOST: Final = 65_536


class Holder(Struct, frozen=True):
    """Who holds a lock."""

    pid: int
    state: bytes = b""
    """The path of the state file in which its progress stands; empty where there is none."""
    run: int = 0
    """The number of its run there; 0 as long as there is none."""
    line: str = ""
    """Its command line, without secrets."""


class Lock:
    """A lock file. Nothing is opened or made before ``take``."""

    def __init__(self, path: Path) -> None:
        """The file is made when the lock is taken, and goes when it is given back."""
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock if nobody has it; it never waits.

        Raises:
            OSError: there can be no such file here.
        """
        for attempt in range(_TRIES):
            if self._take():
                return True
            if attempt < _TRIES - 1:
                time.sleep(_MOMENT)
        return False

    def note(self, holder: Holder) -> None:
        """Tell others who holds it; that it cannot be told is no harm."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, msgspec.json.encode(holder), 0)

    def holder(self) -> Holder | None:
        """Who holds it, as far as that was told."""
        try:
            with self.path.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST), type=Holder)
        except (OSError, msgspec.DecodeError):
            return None

    def is_held(self) -> bool:
        """Whether somebody has it now."""
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
        """Give it back."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            if _is_still(self._descriptor, self.path):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _take(self) -> bool:
        while True:
            descriptor = _opened(self.path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            if _is_still(descriptor, self.path):
                with suppress(OSError):
                    os.ftruncate(descriptor, 0)  # what a killed run wrote of itself
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # its last holder has just taken the file away


def _opened(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError:  # another user's
        return os.open(path, os.O_RDONLY | flags)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    mine = os.fstat(descriptor)
    try:
        there = path.lstat()
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
