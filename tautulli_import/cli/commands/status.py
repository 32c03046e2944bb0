"""``status`` and ``stop``: show the last run to each output, and stop a running one."""

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
    from ...state.runs import LastRuns, Run

__all__ = ["status", "stop"]

_EVERY_SECONDS: Final = 1.0
_MOST: Final = 10
"""The outputs to show to a person."""


def status(flags: Flags, *, watch: bool, json: bool) -> None:
    """Show the last run to each output."""
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


def _show(runs: Sequence[LastRuns], *, as_json: bool) -> None:
    from ...formatting import harmless
    from ..console import Screen
    from ..formatting import print_json

    if as_json:
        both = [one for last in runs for one in (last.attempt, last.run) if one is not None]
        print_json({"schema": 1, "runs": [_fields(run) for run in both]})
        return
    lines = _newest(runs) or ["Nothing has been imported yet."]
    screen = Screen()
    for line in lines:
        content = line.lstrip()
        if "tautulli-import " in line:  # a command to copy must not be wrapped
            sys.stdout.write(f"{harmless(line)}\n")
        else:
            screen.paragraph(content, indent=len(line) - len(content))
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


def _newest(runs: Sequence[LastRuns]) -> Sequence[str]:
    """Return the lines that describe the last runs to the newest outputs, and all running ones."""
    from ...formatting import many

    older = [last for last in runs[_MOST:] if last.run.status == "running"]
    shown = [*runs[:_MOST], *older]
    lines = [line for last in shown for line in _lines(last)]
    if more := len(runs) - len(shown):
        lines.append(f"… and {many(more, 'older one')}. To list all: tautulli-import status --json")
    return lines


def _lines(last: LastRuns) -> Iterator[str]:
    """Return the lines that describe the last run to an output to a person."""
    from ...formatting import duration
    from ...state.file import shown_source
    from ...state.runs import describe

    run, attempt = last.run, last.attempt
    yield f"{shown_source(run.source)} → {', '.join(run.targets)}"
    if run.status == "running":
        yield f"  running since {_local(run)} (process {run.pid}): {describe(run)}"
        yield "  End it with: tautulli-import stop"
        return
    took = duration((run.ended or run.updated) - run.began)
    progress = describe(run, has_ended=True)
    at = "" if run.status == "completed" or run.phase == "starting" else f", at: {progress}"
    outcome = f": {run.said}" if run.said else ""
    yield f"  {run.status}{_code(run)}, {_local(run)}, after {took}{at}{outcome}"
    yield from _what_to_do(run)
    if attempt is not None:
        verb = "failed" if attempt.status == "failed" else "was cancelled"
        yield f"  The last attempt {verb}{_code(attempt)}, {_local(attempt)}"
        yield from _what_to_do(attempt)


def _what_to_do(run: Run) -> Iterator[str]:
    if run.error:
        yield f"  {run.error}"
    if run.next_step:
        yield f"  Next: {run.next_step}"


def _local(run: Run) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(run.began))


def _code(run: Run) -> str:
    return "" if run.exit_code in (None, 0) else f" with exit code {run.exit_code}"


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
            show(_newest(runs) or ["Nothing is running."])
            if not _is_any_running(runs):
                return
            time.sleep(_EVERY_SECONDS)


def _is_any_running(runs: Sequence[LastRuns]) -> bool:
    return any(last.run.status == "running" for last in runs)
