"""Provide a private folder for copies of a history, and remove it also after a crash.

A killed process cannot clean up, so the next run does. Each folder holds a locked file (flock).
The kernel releases the lock when the process ends, so a folder with a free lock is abandoned.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PrivateFolder"]

_PREFIX: Final = "tautulli-import-"
_LOCK: Final = ".lock"


class PrivateFolder:
    """A folder in the directory for temporary files, readable by this user only."""

    def __init__(self) -> None:
        """Create the folder, and remove those that killed runs of this user have left.

        Raises:
            OSError: there is no space, or no directory for temporary files.
        """
        _remove_abandoned(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Another run may be looking for abandoned folders at this moment. So the file gets its name
        # only once it is locked.
        unnamed = self.path / f"{_LOCK}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # without locks here it never gets that name, so nobody removes it
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder with everything in it. A second time, do nothing."""
        if self._lock < 0:  # the number may belong to another file by now
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)
        self._lock = -1


def _remove_abandoned(directory: Path) -> None:
    """Remove the folders of this user whose process has ended."""
    for folder in directory.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            info = folder.lstat()
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
