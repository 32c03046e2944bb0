"""``status`` and ``stop``: how the last import of each source got on, and an end to one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..stopping import Stopped
from . import options
from .guard import guarded

if TYPE_CHECKING:
    from ..checkpoint.runs import Run

__all__ = ["state_files", "state_folder", "status", "stop"]

_EVERY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.1

_Watch = Annotated[
    bool, typer.Option("--watch", help="Again every second, until nothing is running any more.")
]
_All = Annotated[bool, typer.Option("--all", help="All of them, where several are running.")]


def status(
    *,
    watch: _Watch = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """How the last import of each source got on: running, completed, failed or cancelled."""
    with guarded(debug=debug, color=color):
        folder = state_folder(state_dir)
        if watch:
            try:
                _watch(folder, as_json=json)
            except Stopped as stopped:  # there is nothing that could have been left unfinished
                raise typer.Exit(128 + stopped.number) from None
        else:
            _show(_runs(folder), as_json=json)


def stop(
    *,
    everything: _All = False,
    state_dir: options.StateDir = None,
    debug: options.Debug = False,
    color: options.Color = None,
) -> None:
    """End a running import in good order: what it has read is kept, and outputs stay whole."""
    with guarded(debug=debug, color=color):
        _stop(state_folder(state_dir), everything=everything)


def state_files(folder: Path) -> Sequence[Path]:
    """The state files in a folder."""
    try:
        return sorted(path for path in folder.glob("*.db") if path.is_file())
    except OSError:
        return []


def state_folder(state_dir: Path | None) -> Path:
    """The folder that is meant, given ``--state-dir``."""
    from ..settings import load

    return load({"state_dir": state_dir} if state_dir else {}).settings.state_folder


def _runs(folder: Path) -> list[Run]:
    """The last run of each source, the latest first."""
    from ..checkpoint.runs import last_run

    found = [run for path in state_files(folder) if (run := last_run(path)) is not None]
    return sorted(found, key=lambda run: run.began, reverse=True)


def _show(runs: Sequence[Run], *, as_json: bool) -> None:
    if as_json:
        import msgspec

        told = {"schema": 1, "runs": [_told(run) for run in runs]}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
        return
    from ..wording import harmless

    lines = [line for run in runs for line in _lines(run)] or ["Nothing has been imported yet."]
    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def _told(run: Run) -> dict[str, object]:
    import msgspec

    told: dict[str, object] = msgspec.to_builtins(run)
    told |= {
        "percent": None if run.percent is None else round(run.percent, 1),
        "plays_per_second": round(run.per_second) if run.per_second else None,
        "seconds_left": None if run.seconds_left is None else round(run.seconds_left, 1),
    }
    return told


def _lines(run: Run) -> Iterator[str]:
    """What a person wants to know of a run."""
    from ..wording import duration, in_words

    yield f"{run.source} → {', '.join(run.targets)}"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
    if run.status == "running":
        yield f"  running since {began} (process {run.pid}): {in_words(run)}"
        yield "  End it with: tautulli-import stop"
        return
    took = duration((run.ended or run.updated) - run.began)
    code = "" if run.exit_code in (None, 0) else f" with exit code {run.exit_code}"
    at = "" if run.status == "completed" or run.phase == "starting" else f", at: {in_words(run)}"
    said = f": {run.said}" if run.said else ""
    yield f"  {run.status}{code}, {began}, after {took}{at}{said}"
    if run.error:
        yield f"  {run.error}"
    if run.next_step:
        yield f"  Next: {run.next_step}"


def _watch(folder: Path, *, as_json: bool) -> None:
    """Show it again and again; on a terminal in the same place."""
    from ..console import Screen

    if as_json or not sys.stdout.isatty():
        said: object = None
        while True:
            runs = _runs(folder)
            if runs != said:
                _show(runs, as_json=as_json)
                said = runs
            if not _is_any_running(runs):
                return
            time.sleep(_EVERY_SECONDS)
    with Screen().live() as show:
        while True:
            runs = _runs(folder)
            show([line for run in runs for line in _lines(run)] or ["Nothing is running."])
            if not _is_any_running(runs):
                return
            time.sleep(_EVERY_SECONDS)


def _is_any_running(runs: Sequence[Run]) -> bool:
    return any(run.status == "running" for run in runs)


def _stop(folder: Path, *, everything: bool) -> None:
    import os
    import signal

    from ..checkpoint.runs import lock_of
    from ..console import Screen
    from ..errors import BusyError, ConfigurationError, TautulliImportError

    screen = Screen()
    running = [lock for path in state_files(folder) if (lock := lock_of(path)).is_held()]
    known = [(lock, holder) for lock in running if (holder := lock.holder()) is not None]
    if not running:
        screen.note("Nothing is running.")
        return
    if len(running) > 1 and not everything:
        lines = "; ".join(f"process {holder.pid}: {holder.line}" for _, holder in known)
        raise ConfigurationError(
            f"{len(running)} imports are running: {lines}.",
            hint="End all of them with --all, or one of them with kill and its number.",
        )
    deaf: TautulliImportError | None = None
    for lock, holder in known:
        try:
            os.kill(holder.pid, signal.SIGTERM)
        except OSError as error:
            if lock.is_held():
                deaf = TautulliImportError(
                    f"Process {holder.pid} could not be told to stop: {error.strerror}.",
                    hint="It belongs to another user, or runs in another container: stop it there.",
                )
    if deaf is not None:
        raise deaf
    deadline = time.monotonic() + _STOP_SECONDS
    while any(lock.is_held() for lock in running):
        if time.monotonic() > deadline:
            raise BusyError(
                "It was told to stop, and is still finishing what it was writing.",
                hint="Look again with 'tautulli-import status'.",
            )
        time.sleep(_LOOK_SECONDS)
    for _, holder in known:
        screen.note(f"Stopped. To go on: {holder.line}")
