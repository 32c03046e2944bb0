"""Write files so that they are whole or absent, and only where nobody can redirect them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from .directory import Directory, Place, located, open_directory
from .errors import ConfigurationError, SinkError
from .formatting import shown

__all__ = [
    "check_permission",
    "check_place",
    "chunks_of",
    "expand_home",
    "identity",
    "is_stream",
    "names_in",
    "read_bytes",
    "read_chunks",
    "read_start",
    "refuse_other_kind",
    "remove_file",
    "stamp",
    "sync_name",
    "write_error",
    "write_whole",
]

_CHUNK: Final = 1 << 20


def expand_home(path: Path) -> Path:
    """Replace ``~`` at the start. A shell does not do that in a file or in a quoted word.

    Raises:
        ConfigurationError: there is no such user, or the user has no home directory.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"There is no home directory {path.parts[0]} for {shown(path)}.",
            hint=f"Write the whole path. For a name that begins with ~ use ./{shown(path)}",
        ) from None


def write_whole(
    path: Path,
    chunks: Iterable[bytes],
    *,
    mtime: float | None = None,
    option: str = "--out",
    unless: Callable[[], bool] | None = None,
    is_read_in_place: bool = False,
) -> bool:
    """Write a file so that at every instant either the old or the new file is there, whole.

    The steps are: temporary name in the same directory, fsync, rename, fsync of the directory.
    A symbolic link stays a link. A pipe or a device is written to, not replaced. ``option`` is the
    option that named the path, for the hint. ``unless`` is called just before the rename. If it
    returns true, nothing is replaced, and the result is false. For ``is_read_in_place`` and the
    mode of the file see ``Directory.adopt``.

    Raises:
        SinkError: the file could not be written, or a link on the way to it is not followed. The
            old file is unchanged.
        BrokenPipeError: the reader of a pipe has left.
    """
    try:
        with located(path, make=True) as place:
            if place.is_stream:
                _write_through(place, chunks)
                return True
            place.directory.clear_left_behind()
            return _write_and_rename(
                place, chunks, mtime, unless, is_read_in_place=is_read_in_place
            )
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(path, error, option) from error


def check_place(path: Path) -> None:
    """Check that a file can be at ``path``. Missing directories are created later.

    Raises:
        SinkError: there is a directory, or a file is where a directory must be.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises without permission
        raise SinkError(
            f"{shown(path)} is a directory, but a file is written there.",
            hint="Name a file with --out.",
        )
    above = _lowest_existing(path)
    if not os.path.isdir(above):  # noqa: PTH112
        raise SinkError(
            f"{shown(above)} is not a directory, so {shown(path)} cannot be written.",
            hint="Choose another place with --out.",
        )


def check_permission(path: Path) -> None:
    """Check that a file that does not exist can be created. One that exists may be up to date.

    Raises:
        SinkError: there is no permission, or the file system is read-only.
    """
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises without permission
        return
    above = _lowest_existing(path)
    if not os.access(above, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(above).f_flag & os.ST_RDONLY
        code = errno.EROFS if is_read_only else errno.EACCES
        raise write_error(path, OSError(code, os.strerror(code), shown(above / path.name)))


def _lowest_existing(path: Path) -> Path:
    """Return the lowest directory above ``path`` that exists, or the file in its place."""
    real = Path(os.path.realpath(path))
    return next(one for one in real.parents if os.path.lexists(one))


def write_error(path: Path, error: OSError, option: str = "--out") -> SinkError:
    """Return the error to raise when a file could not be written."""
    if isinstance(error, PermissionError) and not is_stream(path):
        named = Path(error.filename) if isinstance(error.filename, str) else path
        directory = (named if len(named.parts) > 1 else path).parent
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


def is_stream(path: Path) -> bool:
    """Return whether a path is a pipe or a device. Writing to it can block."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:
        return False


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield the content of a file that exists, piece by piece.

    Raises:
        OSError: it cannot be read.
        SinkError: a link on the way to it is not followed.
    """
    with located(path) as place, os.fdopen(place.directory.open(place.name), "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def names_in(directory: Path) -> list[str]:
    """Return the names in a directory; none if it is absent or cannot be read."""
    try:
        with open_directory(directory) as opened:
            return sorted(opened.names())
    except (OSError, SinkError):
        return []


def read_bytes(path: Path) -> bytes | None:
    """Return the content of a file, or ``None`` if it is absent.

    Raises:
        SinkError: the file cannot be read, or a link on the way to it is not followed.
    """
    return read_start(path, -1)


def read_start(path: Path, size: int, option: str = "--out") -> bytes | None:
    """Return the first bytes of a file, or ``None`` if it is absent. A size of -1 is all of it.

    ``option`` is the option that named the path, for the hint.

    Raises:
        SinkError: the file cannot be read, or a link on the way to it is not followed.
    """
    try:
        with located(path) as place, os.fdopen(place.directory.open(place.name), "rb") as file:
            return file.read(size)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SinkError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
            hint="Writing would lose its content. Check its permissions, or choose another place "
            f"with {option}.",
        ) from error


def refuse_other_kind(path: Path, mark: bytes, kind: str, option: str = "--out") -> None:
    """Check that nothing is replaced but a file of this program that begins with ``mark``.

    Raises:
        SinkError: there is another file, or a link that is not followed.
    """
    begin = None if is_stream(path) else read_start(path, len(mark), option)
    if begin and begin != mark:
        raise SinkError(
            f"{shown(path)} is not {kind} of this program, so it is not replaced.",
            hint=f"Move it away, or choose another file with {option}.",
        )


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        SinkError: it could not be removed, or a link on the way to it is not followed.
    """
    try:
        with located(path) as place:
            place.directory.remove(place.name)
    except OSError as error:
        raise SinkError(
            f"{shown(path)} could not be removed: {error.strerror or error}.",
            hint="An earlier run wrote it, and it is out of date. Remove it yourself.",
        ) from error


def read_chunks(path: Path) -> Iterator[bytes] | None:
    """Return the content of a regular file in pieces, or ``None`` if there is no such file.

    Raises:
        SinkError: the file cannot be read, or a link on the way to it is not followed.
    """
    return None if is_stream(path) or read_start(path, 0) is None else chunks_of(path)


def sync_name(directory: Directory, path: Path) -> None:
    """Make the name of a file durable, so that a power cut cannot undo it.

    Raises:
        SinkError: the directory could not be synchronised.
    """
    try:
        directory.sync()
    except OSError as error:
        raise SinkError(
            f"{shown(path)} was written, but a power cut could still undo that: "
            f"{error.strerror or error}.",
            hint="Check the disk, and run the same command again.",
        ) from error


def _write_through(place: Place, chunks: Iterable[bytes]) -> None:
    """Write to a pipe or a device without a buffer, so that closing it does not block."""
    with os.fdopen(place.directory.open_stream(place.name), "wb", buffering=0) as file:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]


def _write_and_rename(
    place: Place,
    chunks: Iterable[bytes],
    mtime: float | None,
    unless: Callable[[], bool] | None,
    *,
    is_read_in_place: bool,
) -> bool:
    """Write the temporary file and rename it. Return false if ``unless`` prevented that."""
    directory, name, _ = place
    descriptor, temporary = directory.create(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
            file.flush()
            directory.adopt(descriptor, name, is_read_in_place=is_read_in_place)
            if mtime is not None:
                os.utime(descriptor, (mtime, mtime))
            os.fsync(descriptor)
            if unless is not None and unless():
                directory.remove(temporary)
                return False
            directory.rename(temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            directory.remove(temporary)
        raise
    sync_name(directory, directory.path / name)
    return True
