"""List the checkpoints in a state directory, and delete them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import BusyError, NotFoundError
from .checkpoint import SavedJob, saved_jobs
from .file import StateFile, state_files
from .outputs import forget_outputs
from .runs import lock_of

__all__ = ["clear", "clear_all", "named", "stored"]


def stored(folder: Path) -> Iterator[tuple[Path, Sequence[SavedJob]]]:
    """Yield each state file in ``folder`` with its checkpoints. Skip damaged files."""
    for path in state_files(folder):
        with _opened(path, reads_only=True) as state:
            if state is not None:
                yield path, list(saved_jobs(state))


def named(folder: Path, name: str) -> tuple[Path, SavedJob]:
    """Return the checkpoint whose key begins with ``name``, and its state file.

    Raises:
        NotFoundError: no key begins with it, or several do.
    """
    found = [
        (path, one) for path, found in stored(folder) for one in found if one.key.startswith(name)
    ]
    if len(found) != 1:
        raise NotFoundError(
            f"{'Several checkpoints begin' if found else 'No checkpoint begins'} with {name}.",
            hint="List them with 'tautulli-import checkpoint list'.",
        )
    return found[0]


def clear(path: Path, key: str) -> None:
    """Delete a checkpoint from a state file.

    Raises:
        BusyError: an import uses the file.
    """
    with _locked(path), _opened(path) as state:
        if state is not None:
            with state.step() as db:
                db.execute("DELETE FROM jobs WHERE key = ?", (key,))
                forget_outputs(state, key)


def clear_all(folder: Path) -> int:
    """Delete all checkpoints and local copies in ``folder``. Return the number of checkpoints.

    Raises:
        BusyError: an import uses one of the files.
    """
    return sum(_clear_file(path) for path, _ in list(stored(folder)))


def _clear_file(path: Path) -> int:
    with _locked(path), _opened(path) as state:
        if state is None:
            return 0
        (count,) = state.conn.execute("SELECT count(*) FROM jobs").fetchone()
        with state.step() as db:
            for table in sorted(state.tables() - {"runs"}):
                db.execute(f"DELETE FROM [{table}]")  # noqa: S608 - its own tables
        state.conn.execute("VACUUM")
        return int(count)


@contextmanager
def _opened(path: Path, *, reads_only: bool = False) -> Iterator[StateFile | None]:
    """Open a state file, or yield ``None`` if it is damaged. The next import replaces it."""
    state = StateFile.existing(path, reads_only=reads_only)
    try:
        yield state
    finally:
        if state is not None:
            state.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = lock_of(path)
    if not lock.take():
        raise BusyError(
            f"An import is using {path}.", hint="Wait, or end it with 'tautulli-import stop'."
        )
    try:
        yield
    finally:
        lock.release()
