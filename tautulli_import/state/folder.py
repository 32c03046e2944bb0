"""Create the state directory, and use it only if nobody else can change what is in it.

SQLite opens files by name. So no other user may be able to exchange a directory on the way to
them, or to put a link or a file of theirs in their place.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..directory import exchangeable
from ..errors import ConfigurationError
from ..formatting import shown

__all__ = ["check_folder", "check_state_file", "make_folder"]

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def make_folder(folder: Path) -> None:
    """Create the state directory and its missing parents, for this user only, and check it.

    Raises:
        ConfigurationError: see ``check_folder``.
        OSError: it cannot be created.
    """
    for one in reversed((folder, *folder.parents)):
        with suppress(FileExistsError):
            if not one.exists():
                one.mkdir(0o700)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Check that only we or root can write in the state directory, or exchange it.

    Raises:
        ConfigurationError: another user can. The hint has the command that changes that.
        OSError: it is absent, or not permitted.
    """
    found = exchangeable(folder)
    if found is not None:
        _refuse(*found)
    info = folder.stat()
    if stat.S_ISDIR(info.st_mode):
        _check(Path(os.path.realpath(folder)), info)


def check_state_file(path: Path) -> None:
    """Check that a state file and SQLite's files beside it are regular files and only ours.

    Raises:
        ConfigurationError: one is a link, or another user has made it or can write into it.
        OSError: one is a directory or a device.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        one = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            info = one.lstat()
            if stat.S_ISLNK(info.st_mode):
                raise ConfigurationError(
                    f"The state file {shown(one)} is a symbolic link, so it is not used.",
                    hint="Remove the link, or name the directory that it points into with "
                    "--state-dir.",
                )
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            _check(one, info)


def _check(path: Path, info: os.stat_result) -> None:
    if info.st_uid not in (0, os.geteuid()) or info.st_mode & _OTHERS:
        _refuse(path, info)


def _refuse(path: Path, info: os.stat_result) -> None:
    name = shlex.quote(shown(path))
    if info.st_uid in (0, os.geteuid()):
        raise ConfigurationError(
            f"Other users can write in {shown(path)}, so no state is kept there.",
            hint=f"Choose another directory with --state-dir, or run: chmod go-w {name}",
        )
    raise ConfigurationError(
        f"{shown(path)} belongs to another user (uid {info.st_uid}), so no state is kept there.",
        hint="Choose a directory of your own with --state-dir, or run as that user. To make it "
        f"yours: chown {os.geteuid()} {name}",
    )
