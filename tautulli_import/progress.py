"""Define the interface for progress, which a bar, a log, several of them or nobody shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias

__all__ = ["UNITS", "UNSEEN", "Phase", "Progress", "ProgressGroup"]

Phase: TypeAlias = Literal[
    "downloading",
    "salvaging",
    "fetching",
    "searching",
    "counting",
    "reading",
    "matching ids",
    "asking for ids",
    "writing",
    "pushing",
    "comparing",
    "consuming",
]

UNITS: Final[Mapping[Phase, str]] = {
    "downloading": "MB",
    "salvaging": "pages",
    "fetching": "plays",
    "searching": "requests",
    "counting": "plays",
    "reading": "plays",
    "matching ids": "titles",
    "asking for ids": "questions",
    "writing": "items",
    "pushing": "items",
    "comparing": "items",
    "consuming": "messages",
}
"""The unit that each phase counts."""


class Progress(Protocol):
    """Shows or records how far a run is."""

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Start a phase, or start it again.

        ``total`` is its size in the unit of the phase, 0 if it is not known. Earlier runs have
        done ``done`` of it.
        """

    def reached(self, done: int) -> None:
        """Set how much of the phase is done, earlier runs included."""

    def idle(self) -> None:
        """Show everything that is done, because nothing more comes for the moment."""


class ProgressGroup:
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
