"""Lock without the kernel: a file that names the process that holds it.

A killed process leaves the file. It counts for nothing if its process has ended, which can be seen
only on the same machine and in the same container. Elsewhere a person has to remove the file.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..directory import Directory, open_directory
from ..errors import SinkError

__all__ = ["claim", "claim_file", "is_claimed", "unclaim"]

_ENDING: Final = ".pid"
_MOST_BYTES: Final = 4_096
_UNWRITTEN_SECONDS: Final = 10.0
"""Seconds after which an empty file counts as that of a process that was killed at once."""
_SETTLE_SECONDS: Final = 0.05
"""Two processes may find the same abandoned file. After this time only one of theirs is left."""


class _Claim(Struct, frozen=True):
    """The process that holds a lock."""

    pid: int
    began: str
    """The time when it began, in ticks since the machine was started; empty if that is unknown."""
    host: str
    boot: str
    """The present start of the machine; empty if that is unknown."""
    space: str
    """The process numbers of a container; empty if that is unknown."""


def claim_file(name: str) -> str:
    """Return the name of the file that stands for a lock file of this name."""
    return name + _ENDING


def claim(directory: Directory, name: str) -> bool:
    """Create the file, and return true, or return false if a process that may live has one.

    Raises:
        OSError: the file cannot be created here.
    """
    file = claim_file(name)
    is_taken_over = False
    try:
        descriptor = directory.create_new(file)
    except FileExistsError:
        judged = directory.stat(file)
        if judged is not None and (
            _is_alive(directory, file) or not _removed(directory, file, judged)
        ):
            return False
        is_taken_over = True
        try:
            descriptor = directory.create_new(file)
        except FileExistsError:
            return False
    try:
        os.write(descriptor, msgspec.json.encode(_claim_of(os.getpid())))
        if not is_taken_over:
            return True
        time.sleep(_SETTLE_SECONDS)
        there = directory.stat(file)
        return there is not None and os.path.samestat(os.fstat(descriptor), there)
    finally:
        os.close(descriptor)


def unclaim(directory: Directory, name: str) -> None:
    """Remove the file of this process."""
    directory.remove(claim_file(name))


def is_claimed(path: Path) -> bool:
    """Return true if a process that may live has claimed the lock file ``path``."""
    with suppress(OSError, SinkError), open_directory(path.parent) as directory:
        file = claim_file(path.name)
        return directory.stat(file) is not None and _is_alive(directory, file)
    return False


def _removed(directory: Directory, file: str, judged: os.stat_result) -> bool:
    """Remove an abandoned file. Return false, and put it back, if it is another one by now.

    Another process may have found the same one, and may hold the lock already.
    """
    descriptor, away = directory.create(file)
    os.close(descriptor)
    try:
        directory.rename(file, away)
    except FileNotFoundError:
        directory.remove(away)
        return True
    there = directory.stat(away)
    # The number of a removed file is soon given to a new one, so its time is compared, too.
    if there is None or (
        os.path.samestat(there, judged) and there.st_mtime_ns == judged.st_mtime_ns
    ):
        directory.remove(away)
        return True
    directory.rename(away, file)
    return False


def _is_alive(directory: Directory, file: str) -> bool:
    """Return false if the process that made the file has ended, as far as can be seen from here."""
    try:
        descriptor = directory.open(file)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True
    try:
        made = os.fstat(descriptor).st_mtime
        there = msgspec.json.decode(os.read(descriptor, _MOST_BYTES), type=_Claim)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return abs(time.time() - made) < _UNWRITTEN_SECONDS
    finally:
        os.close(descriptor)
    here = _claim_of(os.getpid())
    if (there.host, there.boot, there.space) != (here.host, here.boot, here.space):
        return there.host != here.host or there.boot == here.boot
    seen = _claim_of(there.pid)
    # Of another user's process Linux may not tell when it began ("hidepid").
    return seen.pid == there.pid and seen.began in ("", there.began)


def _claim_of(process: int) -> _Claim:
    """Return the claim of a process of this machine. One that has ended has no number."""
    began = boot = space = ""
    with suppress(OSError, IndexError):  # this is no Linux
        stat = Path(f"/proc/{process}/stat").read_text("ascii", errors="replace")
        began = stat.rpartition(")")[2].split()[19]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        process = -1
    except OSError:  # it is another user's
        pass
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    return _Claim(process, began, socket.gethostname(), boot, space)
