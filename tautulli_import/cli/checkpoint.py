"""``checkpoint list``, ``show`` and ``clear``: what is remembered, and forgetting it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .guard import guarded
from .status import state_files, state_folder

if TYPE_CHECKING:
    from ..checkpoint.journal import SavedJob
    from ..checkpoint.state import StateFile

__all__ = ["checkpoint_app"]

checkpoint_app = typer.Typer(no_args_is_help=True, help="What is remembered between runs.")

_Name = Annotated[str, typer.Argument(metavar="ID", help="As 'checkpoint list' shows it.")]
_Names = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="As 'checkpoint list' shows them.")
]
_All = Annotated[bool, typer.Option("--all", help="All of them, and what was read over HTTP.")]


@checkpoint_app.command("list")
def list_(
    *,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Every import that is remembered: its source, its sinks, and how far it got."""
    with guarded(debug=debug, color=color):
        found = [one for _, checkpoints in _all(state_dir) for one in checkpoints]
        if json:
            _print_json({"schema": 1, "checkpoints": [_told(one) for one in found]})
            return
        from ..console import Screen

        screen = Screen(color=color is not False)
        if not found:
            screen.note("Nothing is remembered.")
            return
        screen.pairs([_row(one) for one in found], "Id", "State", "Plays", "Last", "Source", "Into")


@checkpoint_app.command()
def show(
    name: _Name,
    *,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """One of them, whole."""
    with guarded(debug=debug, color=color):
        path, one = _named(name, state_dir)
        told = _told(one) | {"state_file": str(path)}
        if json:
            _print_json({"schema": 1, **told})
            return
        from ..console import Screen

        rows = [(key.replace("_", " "), _written(value)) for key, value in told.items()]
        Screen(color=color is not False).pairs(rows)


@checkpoint_app.command()
def clear(
    names: _Names = None,
    *,
    everything: _All = False,
    state_dir: options.StateDir = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """Forget some of them, or all: the next import reads everything; no output is touched."""
    with guarded(debug=debug, color=color):
        from ..console import Screen
        from ..errors import ConfigurationError

        if not names and not everything:
            raise ConfigurationError(
                "Which checkpoint is to be forgotten?",
                hint="Name it as 'tautulli-import checkpoint list' shows it, or say --all.",
            )
        screen = Screen(color=color is not False)
        if everything:
            count = sum(_clear_all(path) for path, _ in list(_all(state_dir)))
        else:
            found = [_named(name, state_dir) for name in names or ()]
            chosen = {(path, one.key): one for path, one in found}
            for (path, _), one in chosen.items():
                _clear(path, one)
            count = len(chosen)
        screen.note(f"Forgotten: {count}.")


def _all(state_dir: Path | None) -> Iterator[tuple[Path, list[SavedJob]]]:
    """The checkpoints of each state file."""
    from ..checkpoint.journal import saved_jobs

    for path in state_files(state_folder(state_dir)):
        with _opened(path, reads_only=True) as state:
            if state is not None:
                yield path, list(saved_jobs(state))


@contextmanager
def _opened(path: Path, *, reads_only: bool = False) -> Iterator[StateFile | None]:
    """A state file as it lies there; ``None`` when it is damaged, which the next import mends."""
    from ..checkpoint.state import StateFile

    state = StateFile.existing(path, reads_only=reads_only)
    try:
        yield state
    finally:
        if state is not None:
            state.close()


def _named(name: str, state_dir: Path | None) -> tuple[Path, SavedJob]:
    from ..errors import NotFoundError

    found = [
        (path, one)
        for path, checkpoints in _all(state_dir)
        for one in checkpoints
        if one.key.startswith(name)
    ]
    if len(found) != 1:
        raise NotFoundError(
            f"{'Several checkpoints begin' if found else 'No checkpoint begins'} with {name}.",
            hint="'tautulli-import checkpoint list' shows them.",
        )
    return found[0]


def _clear(path: Path, one: SavedJob) -> None:
    with _locked(path), _opened(path) as state:
        if state is not None:
            with state.step() as db:
                db.execute("DELETE FROM jobs WHERE key = ?", (one.key,))
                db.execute("DELETE FROM about WHERE name = ?", (f"{one.key}:merges",))
                db.execute("DELETE FROM published WHERE job = ?", (one.key,))


def _clear_all(path: Path) -> int:
    with _locked(path), _opened(path) as state:
        if state is None:
            return 0
        (count,) = state.db.conn.execute("SELECT count(*) FROM jobs").fetchone()
        with state.step() as db:
            for table in sorted(set(state.db.table_names()) - {"runs"}):
                db.execute(f"DELETE FROM [{table}]")  # noqa: S608 - names of its own
        state.db.conn.execute("VACUUM")
        return int(count)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from ..checkpoint.runs import lock_of
    from ..errors import BusyError

    lock = lock_of(path)
    if not lock.take():
        raise BusyError(
            f"An import is using {path}.", hint="End it with 'tautulli-import stop', or wait."
        )
    try:
        yield
    finally:
        lock.release()


def _told(one: SavedJob) -> dict[str, object]:
    return {
        "id": one.key,
        "status": one.status,
        "source": one.about.source,
        "command": one.about.command,
        "sinks": list(one.about.sinks),
        "selection": dict(one.about.selection),
        "options": dict(one.about.options),
        "plays": one.rows,
        "updated": _when(one.updated),
        "first_landmark": list(_landmark(one, 0)),
        "last_landmark": list(_landmark(one, -1)),
        "bytes": one.bytes,
    }


def _landmark(one: SavedJob, place: int) -> tuple[int | None, ...]:
    """Row, start (epoch seconds) and user of a play by which the history is recognised."""
    if not one.samples:
        return ()
    mark = one.samples[place]
    return (mark.id, mark.started, mark.user_id)


def _row(one: SavedJob) -> tuple[str, ...]:
    into = ", ".join(one.about.sinks)
    return (one.key, one.status, f"{one.rows:,}", _when(one.updated), one.about.source, into)


def _when(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_written(one)}" for key, one in value.items() if one is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_json(value: object) -> None:
    import msgspec

    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
