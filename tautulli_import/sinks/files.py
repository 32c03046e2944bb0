"""Whole or absent: how every file of ours is written."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError

__all__ = ["read_bytes", "write_whole"]

_MODE = 0o644  # CrossWatch counts a file that it cannot read as empty, and overwrites it


def write_whole(path: Path, chunks: Iterable[bytes], *, mtime: float | None = None) -> None:
    """Write a file so that at every instant either the old or the new one is there, whole.

    Temporary name in the same directory, fsync, rename, fsync of the directory. The name
    does not end in ``.json``: CrossWatch reads stray ``.json`` files as state. A symbolic
    link stays one; a pipe or a device is written to, not replaced.

    Raises:
        SinkError: it could not be written; the old file is untouched.
    """
    try:
        path = path.resolve() if path.is_symlink() else path
        if path.exists() and not path.is_file():
            with path.open("wb") as file:  # of a directory: "Is a directory"
                file.writelines(chunks)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_left_behind(path)
        _write_and_rename(path, path.with_name(_temporary(path, os.getpid())), chunks, mtime)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="What was there is unchanged. Make room, or name another place with --out.",
        ) from error


def _write_and_rename(
    path: Path, temporary: Path, chunks: Iterable[bytes], mtime: float | None
) -> None:
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            _give_to_owner_of(path.parent, file.fileno())
            os.fsync(file.fileno())
        if mtime is not None:
            os.utime(temporary, (mtime, mtime))
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _temporary(path: Path, process: int | str) -> str:
    return f".{path.name}.{process}.partial"


def _clear_left_behind(path: Path) -> None:
    """Remove what a killed process left beside ``path``."""
    for partial in path.parent.glob(glob.escape(_temporary(path, "@")).replace("@", "*")):
        process = partial.name.split(".")[-2]
        if process.isdecimal() and not _is_alive(int(process)):
            partial.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
