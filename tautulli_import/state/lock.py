"""Lock files that the kernel releases when a process is killed.

A lock is ``flock`` on a small file. The process that holds it is alive. The content of the file
only tells others which process they are waiting for. It is believed only if nobody else can have
written it.

Some file systems have no ``flock`` (network mounts, some FUSE ones). There a second file, which
names the process, is the lock; see ``claim``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..directory import Directory, is_trusted, open_directory
from ..errors import SinkError
from .claim import claim, is_claimed, unclaim

__all__ = ["Holder", "Lock"]

# ``is_held`` in another process takes the lock for a moment, so one failure proves nothing. That
# moment is long on a busy machine.
_TRIES: Final = 4
_MOST_TRIES: Final = 500
_RETRY_SECONDS: Final = 0.02
_MOST_BYTES: Final = 65_536
_BEGINS: Final = b'{"pid":'
_HELD: Final = (BlockingIOError, PermissionError)
"""Another process has the lock. NFS reports it as the second one."""


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
        self._directory: Directory | None = None
        self._descriptor: int | None = None
        self.missing = ""
        """The reason why there is no ``flock``; empty if there is, or before ``take``."""

    def take(self) -> bool:
        """Take the lock and return true, or return false at once if another process holds it.

        Raises:
            OSError: the file cannot be created here.
        """
        for attempt in range(_MOST_TRIES):
            if self._take():
                return True
            if attempt >= _TRIES - 1 and self.is_held():
                return False
            time.sleep(_RETRY_SECONDS)
        return False

    def note(self, holder: Holder) -> None:
        """Write the holder into the file, for others. A failure to write is ignored."""
        if self._descriptor is not None and _is_ours(self._descriptor):
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, msgspec.json.encode(holder), 0)

    def holder(self) -> Holder | None:
        """Return the holder, if the file names one and only we or root can have written it."""
        with suppress(OSError, SinkError), open_directory(self.path.parent) as directory:
            descriptor = directory.open(self.path.name)
            try:
                info = os.fstat(descriptor)
                if is_trusted(info) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    return _decoded(descriptor)
            finally:
                os.close(descriptor)
        return None

    def is_held(self) -> bool:
        """Return true if a process holds the lock now."""
        try:
            with open_directory(self.path.parent) as directory:
                descriptor = directory.open(self.path.name)
        except (OSError, SinkError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except _HELD:
            return True
        except OSError:
            return is_claimed(self.path)
        finally:
            os.close(descriptor)
        return False

    def is_claimed(self) -> bool:
        """Return true if a file stands for the lock, because the file system has no ``flock``."""
        return is_claimed(self.path)

    def is_open_in(self, process: int) -> bool:
        """Return true if a process has the lock file open. Only Linux can tell."""
        try:
            wanted = self.path.lstat()
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    if os.path.samestat(descriptor.stat(), wanted):
                        return True
        except OSError:
            pass
        return False

    def release(self) -> None:
        """Release the lock and remove the file, if it is one of ours."""
        if self._descriptor is None or self._directory is None:
            return
        with suppress(OSError):
            if _is_ours(self._descriptor) and self._is_still(self._descriptor, self._directory):
                self._directory.remove(self.path.name)
        self._unclaim(self._directory)
        os.close(self._descriptor)
        self._directory.close()
        self._descriptor = self._directory = None

    def _take(self) -> bool:
        directory = open_directory(self.path.parent)
        try:
            descriptor = self._taken(directory)
            if descriptor is None:
                return False
            self._directory, self._descriptor = directory, descriptor
            if _is_ours(descriptor):
                with suppress(OSError):
                    os.ftruncate(descriptor, 0)  # the holder that a killed run wrote
            return True
        finally:
            if self._directory is not directory:
                directory.close()

    def _taken(self, directory: Directory) -> int | None:
        while True:
            descriptor = directory.lock_file(self.path.name)
            is_locked = is_kept = False
            try:
                is_locked = self._is_locked(descriptor, directory)
                is_kept = is_locked and self._is_still(descriptor, directory)
            finally:
                if not is_kept:
                    self._unclaim(directory)
                    os.close(descriptor)
            if is_kept:
                return descriptor
            if not is_locked:
                return None
            # Its last holder has just removed the file.

    def _is_locked(self, descriptor: int, directory: Directory) -> bool:
        """Lock an open file, or claim it where that is not possible. Return false if it is taken.

        Raises:
            OSError: it can be neither locked nor claimed.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except _HELD:
            return False
        except OSError as error:
            # NFS does so for a file that we may only read. A shared lock shows if it is taken.
            if error.errno == errno.EBADF and _is_locked_for_writing(descriptor):
                return False
            if not claim(directory, self.path.name):
                return False
            self.missing = error.strerror or str(error)
        return True

    def _unclaim(self, directory: Directory) -> None:
        if self.missing:
            self.missing = ""
            with suppress(OSError):
                unclaim(directory, self.path.name)

    def _is_still(self, descriptor: int, directory: Directory) -> bool:
        """Return true if the open file is still the one of that name."""
        there = directory.stat(self.path.name)
        return there is not None and os.path.samestat(os.fstat(descriptor), there)


def _is_locked_for_writing(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except _HELD:
        return True
    except OSError:
        pass
    return False


def _is_ours(descriptor: int) -> bool:
    """Return true if the content of a lock file may be replaced: it is empty or names a holder.

    A file with a second name can be any file of ours, whose content another user wants removed.
    """
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        return False
    return info.st_size == 0 or os.pread(descriptor, len(_BEGINS), 0) == _BEGINS


def _decoded(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, _MOST_BYTES, 0), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
