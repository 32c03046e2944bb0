"""Stop the runs of other processes."""

from __future__ import annotations

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
            os.kill(holder.pid, signal.SIGTERM)
        except OSError as error:
            if lock.is_held():
                refused = TautulliImportError(
                    f"Process {holder.pid} could not be stopped: {error.strerror}.",
                    hint="It belongs to another user, or runs in another container. Stop it there.",
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
