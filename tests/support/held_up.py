"""Hold the program up at a place inside it: ``python -m tests.support.held_up PLACE PIPE …``.

At the place it reads a named pipe to its end, and then goes on as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tautulli_import import files
from tautulli_import.__main__ import main
from tautulli_import.event_store import store
from tautulli_import.events import consume
from tautulli_import.jetstream.consumer import Consumer, Message
from tautulli_import.sinks import duckdb, editor, tracker
from tautulli_import.sources.database.file import DatabaseFile, Page


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


def small_batches() -> None:
    """Let an import store a hundred events at a time, and a consumer five hundred."""
    vars(duckdb)["_BATCH"] = 100
    vars(consume)["_BATCH"] = 500


def before_acknowledging(number: int, pipe: Path) -> None:
    """Stop before messages are acknowledged for the so-many-th time: they are committed."""
    places = count()
    small_batches()
    acknowledge = Consumer.acknowledge

    def later(self: Consumer, messages: Sequence[Message]) -> None:
        if next(places) == number:
            pipe.read_bytes()
        acknowledge(self, messages)

    Consumer.acknowledge = later  # type: ignore[method-assign]


def before_fetching(number: int, pipe: Path) -> None:
    """Stop before messages are asked for for the so-many-th time, from 0: nobody has the file."""
    places = count()
    small_batches()
    fetch = Consumer.fetch

    def later(self: Consumer, most: int, wait: float) -> list[Message]:
        if next(places) == number:
            pipe.read_bytes()
        return fetch(self, most, wait)

    Consumer.fetch = later  # type: ignore[method-assign]


def before_commit(number: int, pipe: Path) -> None:
    """Stop within the so-many-th transaction, from 0, when everything is in it."""
    places = count()
    run = vars(store)["run"]
    small_batches()

    def later(db: Any, query: str, *values: object) -> list[Any]:
        if query == "COMMIT" and next(places) == number:
            pipe.read_bytes()
        found: list[Any] = run(db, query, *values)
        return found

    vars(store)["run"] = later


_PLACES = {
    "page": before_page,
    "write": before_write,
    "acknowledge": before_acknowledging,
    "commit": before_commit,
    "fetch": before_fetching,
}

if __name__ == "__main__":
    place, _, which = sys.argv[1].partition(":")
    _PLACES[place](int(which), Path(sys.argv[2]))
    sys.argv = ["tautulli-import", *sys.argv[3:]]
    main()
