"""How far a run is, told to whoever shows it: a progress bar, a log, several of them, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias

__all__ = ["UNITS", "UNSEEN", "OldNames", "Phase", "Progress", "ProgressGroup"]

Phase: TypeAlias = Literal["downloading", "reading", "asking for ids", "writing", "consuming"]

UNITS: Final[Mapping[Phase, str]] = {
    "downloading": "MB",
    "reading": "plays",
    "asking for ids": "questions",
    "writing": "items",
    "consuming": "messages",
}
"""What is counted in each phase."""


class Progress(Protocol):
    """Shows or records how far a run is."""

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Start a phase, or start it again.

        ``total`` is its size in the unit of the phase, 0 if it is not known. Earlier runs have
        done ``done`` of it.
        """

    def reached(self, done: int) -> None:
        """Set how much of the phase is done, what earlier runs did included."""

    def idle(self) -> None:
        """Show everything that is done: nothing more comes for the moment."""


class OldNames:
    """Keeps the method names that callers used before ``Progress``. Goes with the last of them."""

    _old_phase: Phase | None = None
    _old_total = 0
    _old_done = 0

    def reading(self, total: int, done: int = 0) -> None:
        """Begin reading."""
        self._old_done = done
        self._begin("reading", total, done)

    def advanced(self, rows: int) -> None:
        """Count more rows."""
        self._old_done += rows
        self._reached(self._old_done)

    def downloading(self, done: int, total: int | None) -> None:
        """Set how many bytes have come."""
        self._enter("downloading", (total or 0) >> 20)
        self._reached(done >> 20)

    def asking(self, done: int, total: int) -> None:
        """Set how many questions are through."""
        self._enter("asking for ids", total)
        self._reached(done)

    def writing(self, items: int) -> None:
        """Begin writing."""
        self._begin("writing", items, 0)

    def _enter(self, phase: Phase, total: int) -> None:
        if (phase, total) != (self._old_phase, self._old_total):
            self._begin(phase, total, 0)

    def _begin(self, phase: Phase, total: int, done: int) -> None:
        self._old_phase, self._old_total = phase, total
        self.begin(phase, total, done)

    def _reached(self, done: int) -> None:
        self.reached(done)

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Start a phase."""
        raise NotImplementedError

    def reached(self, done: int) -> None:
        """Set how much of the phase is done."""
        raise NotImplementedError


class ProgressGroup(OldNames):
    """Passes everything on to each of its parts."""

    def __init__(self, *parts: Progress | None) -> None:
        self._parts = [part for part in parts if part is not None]

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Start a phase."""
        for part in self._parts:
            part.begin(phase, total, done)

    def reached(self, done: int) -> None:
        """Set how much of the phase is done."""
        for part in self._parts:
            part.reached(done)

    def idle(self) -> None:
        """Show everything that is done."""
        for part in self._parts:
            part.idle()


UNSEEN: Final = ProgressGroup()
"""Shows nothing."""
