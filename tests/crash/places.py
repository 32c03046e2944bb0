"""Where trials take place: quick folders, and file systems of a chosen size."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

__all__ = ["PLENTY", "empty", "quick_folder", "remount"]

PLENTY: Final = 64_000_000
"""Bytes: room for everything."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Yield a folder for stages, in memory where there is such a place.

    A killed process leaves the same there as on a disk, and trials are not held up by one.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    with TemporaryDirectory(prefix="crash-", dir=memory if usable else None) as folder:
        yield Path(folder)


def remount(folder: Path, size: int) -> None:
    """Give another size to a file system in memory."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)  # noqa: S607


def empty(folder: Path) -> None:
    """Take away what is in it; it may be the root of a file system itself."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
