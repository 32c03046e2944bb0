"""The boundaries of files: every call that changes a file or a folder.

A file that is opened for writing is counted where its bytes go to the kernel, below Python's
buffer: what is still in the buffer is lost with a killed process, and has to be.
"""

from __future__ import annotations

import _io
import builtins
import fcntl
import io
import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from tests.crash.spec import Kind
from tests.crash.watch import Watch

__all__ = ["tear_renames", "watch_files"]

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: Functions of `os` by the kind of what they do to the path or descriptor they are given first.
_CALLS: Final[dict[str, Kind]] = {
    "fsync": "fsync",
    "fdatasync": "fsync",
    "fchmod": "attributes",
    "chmod": "attributes",
    "fchown": "attributes",
    "chown": "attributes",
    "utime": "attributes",
    "ftruncate": "truncate",
    "truncate": "truncate",
    "posix_fallocate": "truncate",
    "unlink": "unlink",
    "remove": "unlink",
    "rmdir": "unlink",
    "mkdir": "mkdir",
    "sendfile": "write",
}
#: And those that give it a second name; that counts as well.
_NAMING: Final = ("rename", "replace", "link", "symlink")


def watch_files(watch: Watch) -> None:
    """Have all that is done to watched files counted, from now on and for good."""
    plain_open = io.open

    def opened(  # noqa: PLR0917 - as the function in whose place it stands
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Callable[[str, int], int] | None = None,
    ) -> Any:
        name = watch.name_of(file) if set(mode) & set("wax+") else None
        if name is None:
            return plain_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Raw(watch, name, file, mode=mode.replace("t", ""), closefd=closefd, opener=opener)
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else getattr(raw, "_blksize", io.DEFAULT_BUFFER_SIZE)
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
        buffer = kind(raw, size)
        if "b" in mode:
            return buffer
        encoding = io.text_encoding(encoding)
        text = io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)
        text.mode = mode  # type: ignore[misc]
        return text

    for module in (builtins, io, _io):
        setattr(module, "open", opened)  # noqa: B010 - which is no name that it may have
    _watch_os_open(watch)
    _watch_writes(watch)
    for name, kind in _CALLS.items():
        setattr(os, name, _counted(watch, kind, getattr(os, name)))
    for name in _NAMING:
        setattr(os, name, _counted(watch, "rename", getattr(os, name), both=True))
    fcntl.flock = _counted(watch, "lock", fcntl.flock)
    fcntl.lockf = _counted(watch, "lock", fcntl.lockf)


def tear_renames() -> None:
    """Break the system: a file is renamed by copying it, a kilobyte at a time."""

    def torn(
        source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with (
            os.fdopen(os.open(source, os.O_RDONLY, dir_fd=src_dir_fd), "rb") as old,
            os.fdopen(os.open(target, flags, dir_fd=dst_dir_fd), "wb", buffering=0) as new,
        ):
            while piece := old.read(1024):
                new.write(piece)
        os.unlink(source, dir_fd=src_dir_fd)

    os.rename = os.replace = torn  # type: ignore[assignment]


class _Raw(io.FileIO):
    """A file below its buffer."""

    def __init__(
        self,
        watch: Watch,
        name: str,
        file: Any,
        *,
        mode: str,
        closefd: bool,
        opener: Callable[[str, int], int] | None,
    ) -> None:
        self._watch = watch
        mode = mode.replace("b", "")
        if isinstance(file, int):
            super().__init__(file, mode, closefd, opener)
        else:
            with watch.operation("open", name):
                super().__init__(file, mode, closefd, opener)
        self._name = watch.name_of(self.fileno()) or name  # an opener may have chosen another

    def write(self, data: Any, /) -> int:
        """Write, all or what there is room for."""
        with self._watch.operation("write", self._name) as half:
            return int(super().write(_first_half(data) if half else data))

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or lengthen."""
        with self._watch.operation("truncate", self._name):
            return super().truncate(size)


def _first_half(data: Any) -> memoryview:
    view = memoryview(data).cast("B")
    return view[: len(view) // 2]


def _watch_os_open(watch: Watch) -> None:
    plain = os.open

    @wraps(plain)
    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        name = watch.name_of(path, dir_fd) if flags & _WRITING else None
        if name is None:
            return plain(path, flags, mode, dir_fd=dir_fd)
        with watch.operation("open", name):
            return plain(path, flags, mode, dir_fd=dir_fd)

    os.open = opened


def _watch_writes(watch: Watch) -> None:
    plain, at, vector = os.write, os.pwrite, os.writev

    @wraps(plain)
    def write(descriptor: int, data: Any) -> int:
        name = watch.name_of(descriptor)
        if name is None:
            return plain(descriptor, data)
        with watch.operation("write", name) as half:
            return plain(descriptor, _first_half(data) if half else data)

    @wraps(at)
    def pwrite(descriptor: int, data: Any, offset: int) -> int:
        name = watch.name_of(descriptor)
        if name is None:
            return at(descriptor, data, offset)
        with watch.operation("write", name) as half:
            return at(descriptor, _first_half(data) if half else data, offset)

    @wraps(vector)
    def writev(descriptor: int, pieces: Any) -> int:
        if watch.name_of(descriptor) is None:
            return vector(descriptor, pieces)
        return write(descriptor, b"".join(pieces))

    os.write, os.pwrite, os.writev = write, pwrite, writev


def _counted(
    watch: Watch, kind: Kind, plain: Callable[..., Any], *, both: bool = False
) -> Callable[..., Any]:
    @wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        name = watch.name_of(_descriptor(args[0]), kwargs.get("dir_fd"))
        if both:
            name = watch.name_of(args[1], kwargs.get("dst_dir_fd")) or name
        if name is None:
            return plain(*args, **kwargs)
        with watch.operation(kind, name):
            return plain(*args, **kwargs)

    return call


def _descriptor(file: Any) -> Any:
    return file.fileno() if hasattr(file, "fileno") else file
