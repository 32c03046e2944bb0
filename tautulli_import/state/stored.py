"""List the checkpoints in a state directory, and delete them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, structs

from ..errors import BusyError, NotFoundError
from .checkpoint import SavedJob, saved_jobs
from .file import STATE_TABLES, StateFile, state_files
from .outputs import forget_outputs
from .runs import lock_of

__all__ = ["Cleared", "clear", "clear_all", "named", "opened", "stored"]


class Cleared(Struct, frozen=True):
    """The number of things that were deleted."""

    checkpoints: int = 0
    copies: int = 0
    """Servers whose history was kept."""
    runs: int = 0
    """Sources, consumers among them, whose last runs were known."""


def stored(folder: Path) -> Iterator[tuple[Path, Sequence[SavedJob]]]:
    """Yield each state file in ``folder`` with its checkpoints. Skip damaged files."""
    for path, state in opened(folder):
        yield path, list(saved_jobs(state))


def opened(folder: Path) -> Iterator[tuple[Path, StateFile]]:
    """Yield each state file in ``folder``, open for reading. Skip damaged files."""
    for path in state_files(folder):
        with _opened(path, reads_only=True) as state:
            if state is not None:
                yield path, state


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


def clear_all(folder: Path) -> Cleared:
    """Delete all that is remembered in ``folder``: of imports, of servers, and of consumers.

    Raises:
        BusyError: a run uses one of the files.
    """
    found = [_clear_file(path) for path in state_files(folder)]
    return Cleared(*map(sum, zip(*map(structs.astuple, found), strict=True)))


def _clear_file(path: Path) -> Cleared:
    with _locked(path), _opened(path) as state:
        if state is None:
            return Cleared()
        tables = state.tables()
        counts = {
            name: state.conn.execute(f"SELECT count(*) FROM [{name}]").fetchone()[0]  # noqa: S608 - its own tables
            for name in tables
        }
        with state.step() as db:
            for table in sorted(tables):
                db.execute(f"DELETE FROM [{table}]")  # noqa: S608 - its own tables
        state.conn.execute("VACUUM")
        of_a_server = sum(counts[name] for name in tables - STATE_TABLES)
        return Cleared(counts["jobs"], bool(of_a_server), bool(counts["runs"]))


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
