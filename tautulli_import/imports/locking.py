"""One import at a time: of one source, and into one place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import BusyError
from ..files import make_directory, shown
from ..state.lock import Holder, Lock
from ..state.runs import Run, describe, last_run, lock_of

__all__ = ["Held", "holding"]

_AGAIN_SECONDS: Final = 0.2
_TOLD_TRIES: Final = 20
_TOLD_SECONDS: Final = 0.02


class Held:
    """The locks of one run."""

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._locks = locks

    def note(self, holder: Holder) -> None:
        """Tell those who come later whom they are waiting for."""
        for lock in self._locks:
            lock.note(holder)


@contextmanager
def holding(
    state: Path | None,
    places: Sequence[Path],
    note: Callable[[str], None],
    *,
    wait: float,
    line: str,
) -> Iterator[Held]:
    """Hold the state file and every place that will be written; wait so many seconds for it.

    ``line`` is the command without secrets, to tell others. ``note`` is given a sentence for
    the user. Where there can be no lock file
    nobody can write either: then the sink says what is wrong.

    Raises:
        BusyError: another import has one of them.
    """
    made: list[Path] = []
    locks: list[Lock] = []
    deadline = time.monotonic() + wait
    was_said = False
    try:
        while (busy := _take(_wanted(state, places, made), locks)) is not None:
            if time.monotonic() >= deadline:
                raise _busy(busy)
            if not was_said:
                note(f"Waiting, {wait:g} s at most: {_busy(busy)}")
                was_said = True
            time.sleep(min(_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        held = Held(locks)
        held.note(Holder(os.getpid(), line=line))
        yield held
    finally:
        for lock in reversed(locks):
            lock.release()
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()  # only if nothing came into it


def _wanted(state: Path | None, places: Sequence[Path], made: list[Path]) -> list[Lock]:
    """The locks to take; looked for anew each time, for directories come and go."""
    wanted = [_beside(place, made) for place in sorted({_real(place) for place in places})]
    if state is not None:
        with suppress(OSError):
            state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted.append(lock_of(state))
    return [lock for lock in wanted if lock]


def _take(wanted: Sequence[Lock], locks: list[Lock]) -> Lock | None:
    """Take all of them, or none; which one another import has."""
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


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))


def _beside(place: Path, made: list[Path]) -> Lock | None:
    """The lock of a place: a file beside it that is gone afterwards; of a device or pipe none."""
    try:
        if place.exists() and not (place.is_file() or place.is_dir()):
            return None
        folder = place.parent
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        make_directory(folder)
    except OSError:
        return None
    made += reversed(missing)
    if place.is_dir() and not os.access(folder, os.W_OK):
        return Lock(place / ".tautulli-import.lock")
    return Lock(folder / f".{place.name}.lock")


def _busy(lock: Lock) -> BusyError:
    holder = lock.holder()
    for _ in range(_TOLD_TRIES):  # it was taken this very moment
        if holder is not None:
            break
        time.sleep(_TOLD_SECONDS)
        holder = lock.holder()
    what = shown(lock.path)
    if holder is None:
        return BusyError(
            f"Another import is under way ({what}).", hint="Try again when it has ended."
        )
    run: Run | None = None
    if holder.state and holder.run:
        run = last_run(Path(os.fsdecode(holder.state)), holder.run)
    told = f" It is at: {describe(run)}." if run else ""
    return BusyError(
        f"Another import is under way, process {holder.pid}: {holder.line}.{told}",
        hint="Wait for it with --wait SECONDS, watch it with 'tautulli-import status --watch', or "
        "end it with 'tautulli-import stop'.",
    )
