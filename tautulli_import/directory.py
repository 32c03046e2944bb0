"""Open a directory once and use it by descriptor, so that nobody can redirect what we write.

A directory of another user can change at any moment: a name in it can become a symbolic link to a
file that only we may write. So a path is walked one name at a time, and a link is followed only
where nobody but us or root can have made it. Files are created exclusively, under random names.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .errors import SinkError
from .formatting import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

__all__ = [
    "Directory",
    "Place",
    "exchangeable",
    "is_temporary",
    "is_trusted",
    "located",
    "open_directory",
]

_STEP: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Linux can pass through a directory that it may not list. Elsewhere it needs read permission.
_PASS: Final = _STEP | getattr(os, "O_PATH", os.O_RDONLY)
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MOST_LINKS: Final = 40
_PRIVATE: Final = 0o600
_NAME_LENGTH: Final = 60


class Directory:
    """An open directory. ``path`` is only for messages."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    @property
    def owner(self) -> tuple[int, int]:
        """Return the user and the group that the directory belongs to."""
        info = os.fstat(self._descriptor)
        return info.st_uid, info.st_gid

    @property
    def is_shared(self) -> bool:
        """Return whether every user can add names (as in ``/tmp``)."""
        return bool(os.fstat(self._descriptor).st_mode & stat.S_IWOTH)

    def names(self) -> Sequence[str]:
        """Return the names of what is in the directory."""
        descriptor = os.open(".", os.O_RDONLY | _STEP, dir_fd=self._descriptor)
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - by descriptor
        finally:
            os.close(descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """Return the status of a name, of a link itself; ``None`` if it is absent."""
        try:
            return os.lstat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None

    def link(self, name: str) -> str | None:
        """Return the target of a symbolic link that may be followed; ``None`` if it is no link.

        Raises:
            SinkError: another user could have made the link.
        """
        info = os.lstat(name, dir_fd=self._descriptor)
        if not stat.S_ISLNK(info.st_mode):
            return None
        if not (is_trusted(os.fstat(self._descriptor)) and is_trusted(info)):
            raise SinkError(
                f"{shown(self.path / name)} is a symbolic link that another user could have made, "
                "so it is not followed.",
                hint="Nothing was changed. Remove the link, or name the place that it points to.",
            )
        return os.readlink(name, dir_fd=self._descriptor)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a regular file that exists, and return its descriptor.

        Raises:
            OSError: it is absent, a link, a directory, a pipe or a device, or not permitted.
        """
        descriptor = os.open(name, flags | _FILE, dir_fd=self._descriptor)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(code, os.strerror(code))
        return descriptor

    def open_stream(self, name: str) -> int:
        """Open a pipe or a device for writing. ``located`` has decided that it may be opened.

        Raises:
            OSError: it cannot be opened, or has become a regular file.
        """
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return descriptor

    def lock_file(self, name: str) -> int:
        """Open a lock file, and create it if it is absent. Return its descriptor."""
        flags = os.O_CREAT | _FILE
        try:
            return os.open(name, os.O_RDWR | flags, 0o644, dir_fd=self._descriptor)
        except PermissionError:  # the file belongs to another user
            return os.open(name, os.O_RDONLY | _FILE, dir_fd=self._descriptor)

    def create_new(self, name: str, mode: int = 0o644) -> int:
        """Create a file of exactly this name, and return its descriptor.

        Raises:
            FileExistsError: there is one.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE
        return os.open(name, flags, mode, dir_fd=self._descriptor)

    def create(self, name: str, ending: str = "") -> tuple[int, str]:
        """Create a locked temporary file for ``name``. Return its descriptor and its name.

        It does not end in ``.json``, because CrossWatch (v0.11.3) reads stray ``.json`` files as
        state. The lock tells other runs that it is in use.
        """
        while True:
            token = secrets.token_hex(8)
            temporary = f".{name[:_NAME_LENGTH]}.tautulli-import-{token}{ending}"
            descriptor = self.create_new(temporary, _PRIVATE)
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else another run took it for an abandoned one
                return descriptor, temporary
            os.close(descriptor)

    def adopt(self, descriptor: int, name: str, *, is_read_in_place: bool = False) -> None:
        """Give a new file the owner and the mode that ``name`` must have.

        A file that it replaces keeps its owner and mode, because an administrator chose them.
        Otherwise the mode is 0600, and a new file of root belongs to the owner of the directory.
        With ``is_read_in_place`` another program reads it there: where that program runs as
        another user, who can write in the directory, the file is readable for it.
        """
        here, before = os.fstat(self._descriptor), self.stat(name)
        if before is not None and stat.S_ISREG(before.st_mode):
            mode, owner = stat.S_IMODE(before.st_mode) & 0o777, (before.st_uid, before.st_gid)
        else:
            mode, owner = _PRIVATE, (here.st_uid, here.st_gid)
            if os.geteuid() != 0:
                owner = (os.geteuid(), -1)
                is_theirs = here.st_uid != os.geteuid() or here.st_mode & stat.S_IWOTH
                if is_read_in_place and is_theirs:
                    mode = 0o644
                elif is_read_in_place and here.st_mode & stat.S_IWGRP:
                    mode, owner = 0o640, (os.geteuid(), here.st_gid)
            elif is_read_in_place and here.st_mode & stat.S_IWOTH:
                mode = 0o644
        if not _give(descriptor, *owner):
            mode = mode & 0o707 | (mode & 0o007) << 3  # our group has no more rights than others
        os.fchmod(descriptor, mode)

    def rename(self, temporary: str, name: str) -> None:
        """Rename a file within the directory."""
        fd = self._descriptor
        os.replace(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make the names in the directory durable."""
        descriptor = os.open(".", os.O_RDONLY | _STEP, dir_fd=self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def clear_left_behind(self) -> None:
        """Remove the temporary files of killed runs of this program."""
        with suppress(OSError):
            for name in self.names():
                if is_temporary(name):
                    self.remove_abandoned(name)

    def remove_abandoned(self, name: str) -> None:
        """Remove a temporary file, unless a run that still works has it locked."""
        with suppress(OSError):
            descriptor = self.open(name)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.remove(name)
            finally:
                os.close(descriptor)

    def _step(self, name: str, *, make: bool) -> Directory | str:
        """Return the directory of this name in here, or the target of a link that may be followed.

        With ``make`` create it if it is absent.
        """
        path = self.path / name
        try:
            return Directory(os.open(name, _PASS, dir_fd=self._descriptor), path)
        except FileNotFoundError:
            if not make:
                raise
            return self._made(name)
        except OSError:
            target = self.link(name)
            if target is None:
                raise
            return target

    def _made(self, name: str) -> Directory:
        """Create a directory. One of root belongs to the owner of the directory above it."""
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._descriptor)
        made = Directory(os.open(name, _PASS, dir_fd=self._descriptor), self.path / name)
        if os.geteuid() == 0 and made.owner[0] == 0 and not made.names():
            readable = os.open(name, os.O_RDONLY | _STEP, dir_fd=self._descriptor)
            try:
                if os.path.samestat(os.fstat(readable), os.fstat(made._descriptor)):
                    _give(readable, *self.owner)
            finally:
                os.close(readable)
        self.sync()
        return made


class Place(NamedTuple):
    """The directory and the name of a file, which may be absent."""

    directory: Directory
    name: str
    is_stream: bool
    """True for a pipe or a device. It is written to, not replaced."""


def open_directory(path: Path, *, make: bool = False, at: Directory | None = None) -> Directory:
    """Open a directory, from ``at`` or the working directory. With ``make`` create what is absent.

    Raises:
        SinkError: a part of the path is a link that another user could have made.
        OSError: it is absent, not a directory, or not permitted.
    """
    start = Path("/") if path.is_absolute() else Path()
    if at is None or path.is_absolute():
        here = Directory(os.open(start, _PASS & ~os.O_NOFOLLOW), start)
    else:
        here = Directory(os.dup(at._descriptor), at.path)  # noqa: SLF001 - its own
    parts = [part for part in reversed(path.parts) if part != "/"]
    links = 0
    try:
        while parts:
            step = here._step(parts.pop(), make=make)  # noqa: SLF001 - its own
            if isinstance(step, Directory):
                here.close()
                here = step
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))  # noqa: TRY301
            if step.startswith("/"):
                here.close()
                here = Directory(os.open("/", _PASS), Path("/"))
            parts += [part for part in reversed(Path(step).parts) if part != "/"]
    except OSError as error:
        failed = here.path / (error.filename or "") if isinstance(error.filename, str) else path
        here.close()
        raise type(error)(error.errno, error.strerror, str(failed)) from error
    except BaseException:
        here.close()
        raise
    return here


@contextmanager
def located(path: Path, *, make: bool = False) -> Iterator[Place]:
    """Open the directory of a file. A link that may be followed leads to that of its target.

    Raises:
        SinkError: a part of the path is a link that another user could have made.
        OSError: the directory is absent, or not permitted.
    """
    directory = open_directory(path.parent, make=make)
    try:
        for _ in range(_MOST_LINKS):
            name = path.name
            if name in ("", ".."):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            info = directory.stat(name)
            target = None if info is None else directory.link(name)
            if target is not None:
                with suppress(OSError):  # a link to nothing
                    info = os.stat(name, dir_fd=directory._descriptor)  # noqa: SLF001 - its own
            is_stream = info is not None and _is_stream(info.st_mode)
            if target is None or is_stream:
                yield Place(directory, name, is_stream)
                return
            path = Path(target)
            before, directory = directory, open_directory(path.parent, make=make, at=directory)
            before.close()
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    finally:
        directory.close()


def is_trusted(info: os.stat_result) -> bool:
    """Return true if it is ours or root's, and no other user can add names to it."""
    others = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_IWOTH
    return info.st_uid in (0, os.geteuid()) and not (others and not info.st_mode & stat.S_ISVTX)


def exchangeable(path: Path) -> tuple[Path, os.stat_result] | None:
    """Return the first directory in or above a path in which another user could exchange names.

    Libraries that open files by name (SQLite, DuckDB) are safe only if there is none. A missing
    directory counts as safe, because we would create it.
    """
    real = Path(os.path.realpath(path))
    for one in reversed((real, *real.parents)):
        try:
            info = one.stat()
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(info.st_mode) and not is_trusted(info):
            return one, info
    return None


def is_temporary(name: str, of: str | None = None, ending: str = "") -> bool:
    """Return true for the name of a temporary file of this program, of one file or of any."""
    stem = ".+" if of is None else re.escape(of[:_NAME_LENGTH])
    pattern = rf"\.{stem}\.tautulli-import-[0-9a-f]{{16}}{re.escape(ending)}"
    return bool(re.fullmatch(pattern, name, re.DOTALL))


def _is_stream(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _give(descriptor: int, user: int, group: int) -> bool:
    """Give a file to a user and a group. Return false if the group was not permitted."""
    info = os.fstat(descriptor)
    if info.st_uid == user and group in (-1, info.st_gid):
        return True
    with suppress(OSError):
        os.fchown(descriptor, user, group)
        return True
    with suppress(OSError):
        os.fchown(descriptor, -1, group)
        return True
    return False
