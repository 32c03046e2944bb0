"""Write files so that they are whole or absent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import SinkError

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
# CrossWatch (v0.11.3) treats a file that it cannot read as empty, and overwrites it.
_MODE = 0o644


def write_whole(
    path: Path,
    chunks: Iterable[bytes],
    *,
    mtime: float | None = None,
    option: str = "--out",
    unless: Callable[[], bool] | None = None,
) -> bool:
    """Write a file so that at every instant either the old or the new file is there, whole.

    The steps are: temporary name in the same directory, fsync, rename, fsync of the directory.
    The temporary name does not end in ``.json``, because CrossWatch (v0.11.3) reads stray
    ``.json`` files as state. A symbolic link stays a link. A pipe or a device is written to, not
    replaced. ``option`` is the option that named the path, for the hint. ``unless`` is called just
    before the rename. If it returns true, nothing is replaced, and the result is false.

    Raises:
        SinkError: the file could not be written. The old file is unchanged.
        BrokenPipeError: the reader of a pipe has left.
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
        raise _not_written(path, error, option) from error


def _not_written(path: Path, error: OSError, option: str) -> SinkError:
    """Return the error to raise when a file could not be written."""
    if isinstance(error, PermissionError) and not is_stream(path):
        directory = Path(error.filename or path).parent
        return SinkError(
            f"You have no permission to write in {shown(directory)}.",
            hint=f"Nothing was changed. Choose another directory with {option}.",
        )
    return SinkError(
        f"{shown(path)} could not be written: {error.strerror or error}.",
        hint=f"Nothing was changed. Make room, or choose another place with {option}.",
    )


def stamp(path: Path) -> object:
    """Return a value that changes when the file is replaced or written; ``None`` if absent."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def identity(path: Path) -> object:
    """Return a value that is equal for two paths if they are the same file, existing or not."""
    try:
        info = path.stat()
    except OSError:
        return os.path.realpath(path)
    return info.st_dev, info.st_ino


def shown(path: Path) -> str:
    """Return a path for messages and reports. Bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def is_stream(path: Path) -> bool:
    """Return whether a path is a pipe or a device. Writing to it can block."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:
        return False


def _write_through(path: Path, chunks: Iterable[bytes]) -> None:
    """Write to a pipe or a device without a buffer, so that closing it does not block."""
    with path.open("wb", buffering=0) as file:  # a directory fails here, with its own message
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
    """Write the temporary file and rename it. Return false if ``unless`` prevented that."""
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
    """Rename a whole, durable file to its own name, and replace an old file of that name.

    Raises:
        SinkError: it could not be renamed. The old file is unchanged.
    """
    try:
        with temporary.open("rb") as file:
            _give_to_owner_of(path.parent, file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error, "--out") from error
    _sync_name(path)


def _sync_name(path: Path) -> None:
    """Make the name of a file durable, so that a power cut cannot undo it.

    Raises:
        SinkError: the directory could not be synchronised.
    """
    try:
        _sync_directory(path.parent)
    except OSError as error:
        raise SinkError(
            f"{shown(path)} was written, but a power cut could still undo that: "
            f"{error.strerror or error}.",
            hint="Check the disk, and run the same command again.",
        ) from error


def make_directory(directory: Path) -> None:
    """Create a directory and its parents, each with the owner of the directory above it."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    directory.chmod(_DIRECTORY_MODE)  # CrossWatch has to read it, whatever the umask
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _give_to_owner_of(directory.parent, descriptor)
    finally:
        os.close(descriptor)
    _sync_directory(directory.parent)


def _clear_left_behind(directory: Path) -> None:
    """Remove the temporary files of killed processes of this program from a directory."""
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
    """Return the content of a file, or ``None`` if it is absent.

    Raises:
        SinkError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SinkError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
            hint="Writing would lose its content. Check its permissions, or choose another place "
            "with --out.",
        ) from error


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    """Give a new file the owner of its directory, if we are root (in a container, with sudo)."""
    owner = directory.stat()
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
