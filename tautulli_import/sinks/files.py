"""Whole or absent: how every file of ours is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import SinkError

__all__ = [
    "identity",
    "is_stream",
    "make_directory",
    "put_in_place",
    "read_bytes",
    "shown",
    "stamp",
    "write_whole",
]

_DIRECTORY_MODE = 0o755
_MODE = 0o644  # CrossWatch counts a file that it cannot read as empty, and overwrites it


def write_whole(
    path: Path,
    chunks: Iterable[bytes],
    *,
    mtime: float | None = None,
    option: str = "--out",
    unless: Callable[[], bool] | None = None,
) -> bool:
    """Write a file so that at every instant either the old or the new one is there, whole.

    Temporary name in the same directory, fsync, rename, fsync of the directory. The name
    does not end in ``.json``: CrossWatch reads stray ``.json`` files as state. A symbolic
    link stays one; a pipe or a device is written to, not replaced. ``option`` is what named
    the path, for the hint. ``unless`` is asked at the last moment: when it says so, nothing
    is replaced, and the answer is false.

    Raises:
        SinkError: it could not be written; the old file is untouched.
    """
    try:
        path = path.resolve() if path.is_symlink() else path
        if path.exists() and not path.is_file():
            _write_through(path, chunks)
            return True
        make_directory(path.parent)
        _clear_left_behind(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        return _write_and_rename(path, temporary, chunks, mtime, unless)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(
            f"{shown(path)} could not be written: {error.strerror or error}.",
            hint=f"What stood there is unchanged. Make room, or name another place with {option}.",
        ) from error


def stamp(path: Path) -> object:
    """Another one whenever the file was replaced or written; ``None`` where there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def identity(path: Path) -> object:
    """The same of two paths exactly if they are one file, there already or not."""
    try:
        info = path.stat()
    except OSError:
        return os.path.realpath(path)
    return info.st_dev, info.st_ino


def shown(path: Path) -> str:
    """A path for messages and reports, which are UTF-8; a file name can be any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def is_stream(path: Path) -> bool:
    """Whether it is a pipe or a device: what is written there is gone, and may have to wait."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:
        return False


def _write_through(path: Path, chunks: Iterable[bytes]) -> None:
    """Write to a pipe or a device; nothing is kept back that closing it would wait for."""
    with path.open("wb", buffering=0) as file:  # of a directory: "Is a directory"
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]


def _write_and_rename(
    path: Path,
    temporary: Path,
    chunks: Iterable[bytes],
    mtime: float | None,
    unless: Callable[[], bool] | None,
) -> bool:
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            _give_to_owner_of(path.parent, file.fileno())
            os.fsync(file.fileno())
        if mtime is not None:
            os.utime(temporary, (mtime, mtime))
        if unless is not None and unless():
            temporary.unlink()
            return False
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_name(path)
    return True


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a file that is whole and durable its own name, over whatever has that name.

    Raises:
        SinkError: it could not be; what had the name still has it.
    """
    try:
        with temporary.open("rb") as file:
            _give_to_owner_of(path.parent, file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SinkError(
            f"{shown(path)} could not be written: {error.strerror or error}.",
            hint="Name another place with --out.",
        ) from error
    _sync_name(path)


def _sync_name(path: Path) -> None:
    """Let a power cut not undo that a file has this name.

    Raises:
        SinkError: that cannot be promised.
    """
    try:
        _sync_directory(path.parent)
    except OSError as error:
        raise SinkError(
            f"{shown(path)} was written, but a power cut could still undo that: "
            f"{error.strerror or error}.",
            hint="Look after the disk, and run it again.",
        ) from error


def make_directory(directory: Path) -> None:
    """Make it and what is above it, each belonging to whom the directory above belongs."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    directory.chmod(_DIRECTORY_MODE)  # whatever the umask: CrossWatch has to get in
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _give_to_owner_of(directory.parent, descriptor)
    finally:
        os.close(descriptor)
    _sync_directory(directory.parent)


def _clear_left_behind(directory: Path) -> None:
    """Remove what killed processes of ours left in a directory."""
    for partial in directory.glob(".*.partial"):
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
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SinkError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
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
