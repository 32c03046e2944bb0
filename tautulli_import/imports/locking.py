"""Allow one import at a time of one source, and into one place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..directory import located
from ..errors import BusyError
from ..formatting import shown
from ..state.claim import claim_file
from ..state.folder import make_folder
from ..state.lock import Holder, Lock
from ..state.runs import Run, describe, last_run, lock_of

__all__ = ["HeldLocks", "hold_locks"]

_RETRY_SECONDS: Final = 0.2
_HOLDER_TRIES: Final = 100
_HOLDER_SECONDS: Final = 0.02


class HeldLocks:
    """The locks of one run."""

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._locks = locks

    def note(self, holder: Holder) -> None:
        """Write the holder into the locks, for the processes that wait for them."""
        for lock in self._locks:
            lock.note(holder)


@contextmanager
def hold_locks(
    state: Path | None,
    places: Sequence[Path],
    note: Callable[[str], None],
    *,
    wait: float,
    line: str,
) -> Iterator[HeldLocks]:
    """Lock the state file and every place that will be written. Wait up to ``wait`` seconds.

    ``line`` is the command without secrets, for other processes. ``note`` is called with a
    sentence for the user. A place where no lock file can be created is skipped, because nothing
    can be written there either, and the sink raises the error.

    Raises:
        BusyError: another import still has one of them.
    """
    made: list[Path] = []
    locks: list[Lock] = []
    deadline = time.monotonic() + wait
    was_said = False
    try:
        while (busy := _take(_locks_of(state, places, made), locks)) is not None:
            if time.monotonic() >= deadline:
                raise _busy(busy)
            if not was_said:
                note(f"Waiting up to {wait:g} s: {_busy(busy)}")
                was_said = True
            time.sleep(min(_RETRY_SECONDS, max(0.0, deadline - time.monotonic())))
        if soft := next((lock for lock in locks if lock.missing), None):
            note(
                f"The file system of {shown(soft.path.parent)} has no file locks ({soft.missing}). "
                f"{claim_file(soft.path.name)} is used instead. If an import is killed on another "
                "machine or in another container, remove that file."
            )
        held = HeldLocks(locks)
        held.note(Holder(os.getpid(), line=line))
        yield held
    finally:
        for lock in reversed(locks):
            lock.release()
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()  # fails if the import wrote into it


def _locks_of(state: Path | None, places: Sequence[Path], made: list[Path]) -> list[Lock]:
    """Return the locks to take. They are found again each time, because directories come and go."""
    beside = {path for place in places if (path := _beside(place, made)) is not None}
    wanted = [Lock(path) for path in sorted(beside)]
    if state is not None:
        with suppress(OSError):
            make_folder(state.parent)
        wanted.append(lock_of(state))
    return wanted


def _take(wanted: Sequence[Lock], locks: list[Lock]) -> Lock | None:
    """Take all locks, or none. Return the lock that another import has, or ``None``."""
    for lock in wanted:
        try:
            taken = lock.take()
        except OSError:
            continue
        if not taken:
            for one in reversed(locks):
                one.release()
            locks.clear()
            return lock
        locks.append(lock)
    return None


def _beside(place: Path, made: list[Path]) -> Path | None:
    """Return the path of the lock of a place, a file beside it. A device or a pipe has none.

    Missing directories are created and added to ``made``.
    """
    missing = [one for one in (place.parent, *place.parent.parents) if not one.exists()]
    try:
        with located(place, make=True) as (directory, name, is_pipe):
            if is_pipe:
                return None
            folder = Path(os.path.realpath(directory.path))
    except OSError:
        return None
    made += reversed(missing)
    if (folder / name).is_dir() and not os.access(folder, os.W_OK):
        return folder / name / ".tautulli-import.lock"
    return folder / f".{name}.lock"


def _busy(lock: Lock) -> BusyError:
    holder = lock.holder()
    for _ in range(_HOLDER_TRIES):  # the other import writes it just after taking the lock
        if holder is not None:
            break
        time.sleep(_HOLDER_SECONDS)
        holder = lock.holder()
    what = shown(lock.path)
    claimed = shown(lock.path.with_name(claim_file(lock.path.name)))
    remove = f" If that process has ended, remove {claimed}." if lock.is_claimed() else ""
    if holder is None:
        return BusyError(
            f"Another import is running ({what} is locked).",
            hint=f"Try again when it has ended.{remove}",
        )
    run: Run | None = None
    if holder.state and holder.run:
        run = last_run(Path(os.fsdecode(holder.state)), holder.run)
    progress = f" Its progress: {describe(run)}." if run else ""
    return BusyError(
        f"Another import is running, process {holder.pid}: {holder.line}.{progress}",
        hint="Wait for it with --wait SECONDS, watch it with 'tautulli-import status --watch', or "
        f"end it with 'tautulli-import stop'.{remove}",
    )
