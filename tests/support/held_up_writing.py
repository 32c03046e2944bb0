"""The program, held up while it writes a file of events; see ``tests.support.held_up``.

When it comes to a place whose name begins with ``noted-``, it has a checkpoint of every page
before: otherwise it makes one every few seconds only.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from tautulli_import import files
from tautulli_import.__main__ import main
from tautulli_import.events import resume
from tautulli_import.sinks import events_jsonl
from tautulli_import.sinks.events_jsonl import EventsSink
from tautulli_import.state.checkpoint import Position
from tests.support.held_up import before_page


def amid_lines(number: int, pipe: Path) -> None:
    """Stop when half of the so-many-th page of events is in its file, counted from 0."""
    begin = EventsSink.begin

    def halting(self: EventsSink, after: Position | None) -> None:
        begin(self, after)
        self._file = _Halting(self._file, number, pipe)  # type: ignore[assignment]

    EventsSink.begin = halting  # type: ignore[method-assign]


class _Halting:
    """A file that takes half of what it is given the so-many-th time, and waits then."""

    def __init__(self, file: BinaryIO | None, number: int, pipe: Path) -> None:
        assert file is not None
        self._file = file
        self._places = count()
        self._number = number
        self._pipe = pipe

    def write(self, lines: memoryview) -> int:
        """Write as a raw file does: perhaps not all."""
        if next(self._places) != self._number:
            return self._file.write(lines)
        written = self._file.write(lines[: len(lines) // 2])
        self._pipe.read_bytes()
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def around_name(number: int, pipe: Path) -> None:
    """Stop before a new file gets its name (0), or right after (1)."""
    put_in_place = files.put_in_place

    def later(temporary: Path, path: Path) -> None:
        if number == 0:
            pipe.read_bytes()
        put_in_place(temporary, path)
        if number == 1:
            pipe.read_bytes()

    vars(events_jsonl)["put_in_place"] = later


if __name__ == "__main__":
    place, _, which = sys.argv[1].partition(":")
    if place.startswith("noted-"):
        vars(resume).update(_EVERY_SECONDS=0.0, _SHARE=0)
    stop = {"page": before_page, "lines": amid_lines, "name": around_name}
    stop[place.removeprefix("noted-")](int(which), Path(sys.argv[2]))
    sys.argv = ["tautulli-import", *sys.argv[3:]]
    main()
