"""``status`` and ``stop``: show the last run of each source, and stop a running one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from ...interrupts import Stopped
from ..options import Flags

if TYPE_CHECKING:
    from ...state.runs import Run

__all__ = ["status", "stop"]

_EVERY_SECONDS: Final = 1.0


def status(flags: Flags, *, watch: bool, json: bool) -> None:
    """Show the last run of each source."""
    from ...settings.loaded import load
    from ...state.runs import last_runs

    folder = load(flags).settings.state_folder
    if not watch:
        _show(last_runs(folder), as_json=json)
        return
    try:
        _watch(folder, as_json=json)
    except Stopped as stopped:  # no message: nothing is left unfinished
        raise typer.Exit(128 + stopped.number) from None


def stop(flags: Flags, *, all: bool) -> None:  # noqa: A002 - the option's name
    """Stop a running import. It keeps what it has read, and its outputs stay whole."""
    from ...settings.loaded import load
    from ...state.stop import held_locks, stop_runs
    from ..console import Screen

    screen = Screen()
    running = held_locks(load(flags).settings.state_folder)
    if not running:
        screen.note("Nothing is running.")
        return
    for holder in stop_runs(running, every=all):
        screen.note(f"Stopped. To go on: {holder.line}")


def _show(runs: Sequence[Run], *, as_json: bool) -> None:
    from ...formatting import harmless
    from ..formatting import print_json

    if as_json:
        print_json({"schema": 1, "runs": [_fields(run) for run in runs]})
        return
    lines = [line for run in runs for line in _lines(run)] or ["Nothing has been imported yet."]
    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def _fields(run: Run) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(run)
    fields |= {
        **{f"{name}_at": _iso(getattr(run, name)) for name in ("began", "updated", "ended")},
        "percent": None if run.percent is None else round(run.percent, 1),
        "plays_per_second": round(run.per_second) if run.per_second else None,
        "seconds_left": None if run.seconds_left is None else round(run.seconds_left, 1),
    }
    return fields


def _iso(moment: float | None) -> str | None:
    from datetime import UTC, datetime

    return None if moment is None else f"{datetime.fromtimestamp(int(moment), UTC):%FT%TZ}"


def _lines(run: Run) -> Iterator[str]:
    """Return the lines that describe a run to a person."""
    from ...formatting import duration
    from ...state.runs import describe

    yield f"{run.source} → {', '.join(run.targets)}"
    began = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(run.began))
    if run.status == "running":
        yield f"  running since {began} (process {run.pid}): {describe(run)}"
        yield "  End it with: tautulli-import stop"
        return
    took = duration((run.ended or run.updated) - run.began)
    code = "" if run.exit_code in (None, 0) else f" with exit code {run.exit_code}"
    at = "" if run.status == "completed" or run.phase == "starting" else f", at: {describe(run)}"
    outcome = f": {run.said}" if run.said else ""
    yield f"  {run.status}{code}, {began}, after {took}{at}{outcome}"
    if run.error:
        yield f"  {run.error}"
    if run.next_step:
        yield f"  Next: {run.next_step}"


def _watch(folder: Path, *, as_json: bool) -> None:
    """Print the runs each second if they changed. A terminal shows them in the same place."""
    from ...state.runs import last_runs
    from ..console import Screen

    if as_json or not sys.stdout.isatty():
        printed: object = None
        while True:
            runs = last_runs(folder)
            if runs != printed:
                _show(runs, as_json=as_json)
                printed = runs
            if not _is_any_running(runs):
                return
            time.sleep(_EVERY_SECONDS)
    with Screen().live() as show:
        while True:
            runs = last_runs(folder)
            show([line for run in runs for line in _lines(run)] or ["Nothing is running."])
            if not _is_any_running(runs):
                return
            time.sleep(_EVERY_SECONDS)


def _is_any_running(runs: Sequence[Run]) -> bool:
    return any(run.status == "running" for run in runs)
