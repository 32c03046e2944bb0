"""A private folder for copies of somebody's history: gone afterwards, also after a crash.

A killed process cannot clean up, so the next run does: each folder holds a lock (flock) that
the kernel gives back when its process ends, and a folder whose lock is free is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PrivateFolder"]

_PREFIX: Final = "tautulli-import-"
_LOCK: Final = ".lock"


class PrivateFolder:
    """A folder in the place for temporary files, which only this user can read."""

    def __init__(self) -> None:
        """Make one; and remove those that killed runs of this user have left.

        Raises:
            OSError: there is no room, or no place for temporary files.
        """
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Under its name only when it is held: another run may be sweeping at this moment.
        made = self.path / f"{_LOCK}.new"
        self._lock = os.open(made, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
