"""Show the progress of each phase of a run as a bar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress as Bars,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..progress import UNITS, Phase

__all__ = ["Bar"]

_LABELS: Final[Mapping[Phase, str]] = {
    "downloading": "Downloading, MB",
    "salvaging": "Salvaging, pages",
    "fetching": "Fetching plays",
    "searching": "Searching bad rows",
    "counting": "Counting plays",
    "reading": "Reading plays",
    "matching ids": "Matching ids",
    "asking for ids": "Asking for ids",
    "writing": "Writing",
    "pushing": "Pushing items",
    "comparing": "Comparing items",
    "consuming": "Reading messages",
}
_STEPS: Final[Mapping[Phase, int]] = {
    "salvaging": 500,
    "fetching": 0,
    "counting": 5_000,
    "reading": 5_000,
    "consuming": 5_000,
}
"""The phases that show a rate, and the steps in their unit between two updates."""
_VERY_WIDE: Final = 120
"""The columns of a terminal that a bar need not fill."""
_WIDE: Final = 78
"""The columns of a terminal that has room for a bar, its numbers and its speed."""


class Bar:
    """Shows the progress of each phase as one bar, with its speed, and the time it takes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.shows_writing = False
        """True if nothing is printed on the terminal while sinks write."""
        self._bars: Bars | None = None
        self._task = TaskID(0)
        self._phase: Phase = "reading"
        self._done = 0
        self._shown = 0

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Show a bar for this phase in place of the one before."""
        self.end()
        if phase in ("writing", "pushing", "comparing") and not self.shows_writing:
            return
        if phase == "writing":
            total = 0  # a sink of files does not tell how far it is
        self._phase = phase
        self._done = self._shown = done
        fills = self._console.width < _VERY_WIDE
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=None if fills else 40),
            TextColumn("{task.fields[counts]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        ]
        if self._console.width < _WIDE:
            del columns[3]
        self._bars = Bars(*columns, console=self._console, transient=True, expand=fills)
        self._task = self._bars.add_task(
            _LABELS[phase], total=total or None, completed=done, rate="", counts=self._counts(total)
        )
        self._bars.start()

    def reached(self, done: int) -> None:
        """Set how much is done. Not every page of a few hundred plays updates the bar."""
        self._done = done
        if done - self._shown >= _STEPS.get(self._phase, 0):
            self.idle()

    def idle(self) -> None:
        """Show everything that is done."""
        if self._bars is None:
            return
        task = self._bars.tasks[0]
        counts = self._counts(int(task.total or 0))
        self._bars.update(self._task, completed=self._done, counts=counts)
        self._shown = self._done
        if task.speed and self._phase in _STEPS:
            rate = f"{task.speed:,.0f} {UNITS[self._phase]}/s"
            self._bars.update(self._task, rate=rate)

    def end(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _counts(self, total: int) -> str:
        if self._phase == "searching":  # the label does not name what is counted
            return f"{self._done:,} {UNITS[self._phase]}"
        if total:
            return f"{self._done:,}/{total:,}"
        return f"{self._done:,}" if self._done else ""
