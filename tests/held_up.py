"""The program, held up at a place inside it: ``python -m tests.held_up PLACE PIPE ARGUMENTS…``.

At the place it reads a named pipe to its end, and then goes on as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tautulli_import.__main__ import main
from tautulli_import.sinks import editor, files, tracker
from tautulli_import.sources.database_file import DatabaseFile, Page


def before_page(number: int, pipe: Path) -> None:
    """Stop before the so-many-th page of a database, counted from 0."""
    pages = DatabaseFile.pages

    def some(self: DatabaseFile, after: int, size: int, **how: bool) -> Iterator[Page]:
        for place, page in enumerate(pages(self, after, size, **how)):
            if place == number:
                pipe.read_bytes()
            yield page

    DatabaseFile.pages = some  # type: ignore[method-assign]


def before_write(number: int, pipe: Path) -> None:
    """Stop before the so-many-th file of a sink is written, counted from 0."""
    places = count()
    write_whole = files.write_whole

    def later(*args: Any, **options: Any) -> bool:
        if next(places) == number:
            pipe.read_bytes()
        return write_whole(*args, **options)

    for module in (tracker, editor):
        vars(module)["write_whole"] = later


if __name__ == "__main__":
    place, _, which = sys.argv[1].partition(":")
    {"page": before_page, "write": before_write}[place](int(which), Path(sys.argv[2]))
    sys.argv = ["tautulli-import", *sys.argv[3:]]
    main()
