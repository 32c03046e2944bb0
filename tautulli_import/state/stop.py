"""Stop the runs of other processes."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import BusyError, ConfigurationError, TautulliImportError
from .file import state_files
from .lock import Holder, Lock
from .runs import lock_of

__all__ = ["held_locks", "stop_runs"]

_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.1
_PROC: Final = Path("/proc/self/fd")


def held_locks(folder: Path) -> Sequence[Lock]:
    """Return the locks of the runs that use a state file in ``folder``."""
    return [lock for path in state_files(folder) if (lock := lock_of(path)).is_held()]


def stop_runs(running: Sequence[Lock], *, every: bool) -> Sequence[Holder]:
    """Ask the holders of these locks to stop, wait until they have, and return them.

    Raises:
        ConfigurationError: several are running, and ``every`` is false.
        BusyError: one of them is still finishing its output.
        TautulliImportError: this user may not send a signal to one of them.
    """
    known = [(lock, holder) for lock in running if (holder := lock.holder()) is not None]
    if len(running) > 1 and not every:
        lines = "; ".join(f"process {holder.pid}: {holder.line}" for _, holder in known)
        raise ConfigurationError(
            f"{len(running)} imports are running: {lines}.",
            hint="End all of them with --all, or one of them with 'kill' and its process number.",
        )
    refused: TautulliImportError | None = None
    for lock, holder in known:
        try:
            _terminate(holder.pid, lock)
        except OSError as error:
            if lock.is_held():
                hint = "It belongs to another user, or runs in another container. Stop it there."
                if not _PROC.exists():
                    hint = f"This system does not tell who holds a lock. Run: kill {holder.pid}"
                refused = TautulliImportError(
                    f"Process {holder.pid} could not be stopped: {error.strerror}.", hint=hint
                )
    if len(known) < len(running) and refused is None:
        refused = TautulliImportError(
            "An import is running, but its lock file does not tell which process it is.",
            hint="Stop it where it was started.",
        )
    if refused is not None:
        raise refused
    deadline = time.monotonic() + _STOP_SECONDS
    while any(lock.is_held() for lock in running):
        if time.monotonic() > deadline:
            raise BusyError(
                "The import was asked to stop, but is still finishing what it was writing.",
                hint="See its progress with 'tautulli-import status'.",
            )
        time.sleep(_POLL_SECONDS)
    return [holder for _, holder in known]


def _terminate(process: int, lock: Lock) -> None:
    """Ask a process to stop, after making sure that it is the one that holds the lock.

    Its number comes from a file, and may belong to another process by now.

    Raises:
        OSError: it has not opened the lock file, or may not be signalled.
    """
    if process <= 1:
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
    descriptor = os.pidfd_open(process) if hasattr(os, "pidfd_open") else None
    try:
        if not lock.is_open_in(process):
            raise OSError(errno.ESRCH, "it is not the process that holds the lock")
        if descriptor is None:
            os.kill(process, signal.SIGTERM)
        else:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    finally:
        if descriptor is not None:
            os.close(descriptor)
