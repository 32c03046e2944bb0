"""Whole or absent: how every file of ours is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError

__all__ = ["read_bytes", "write_whole"]

_MODE = 0o644  # CrossWatch counts a file that it cannot read as empty, and overwrites it


def write_whole(path: Path, chunks: Iterable[bytes], *, mtime: float | None = None) -> None:
    """Write a file so that at every instant either the old or the new one is there, whole.

    Temporary name in the same directory, fsync, rename, fsync of the directory. The name
    does not end in ``.json``: CrossWatch reads stray ``.json`` files as state.

    Raises:
        SinkError: it could not be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            _give_to_owner_of(path.parent, file.fileno())
            os.fsync(file.fileno())
        if mtime is not None:
            os.utime(temporary, (mtime, mtime))
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SinkError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Nothing was changed. Make room, or name another place with --out.",
        ) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_bytes(path: Path) -> bytes | None:
    """The whole file, or ``None`` where there is none.

    Raises:
        SinkError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SinkError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="What is in it would be lost. Mend its permissions, or use another --out.",
        ) from error


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    """As root (a container, sudo): the file belongs to whom the directory belongs."""
    owner = directory.stat()
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
