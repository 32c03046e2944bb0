"""Hold the program up at a place inside it: ``python -m tests.support.held_up PLACE PIPE …``.

At the place it reads a named pipe to its end, and then goes on as ever. When it comes to a place
whose name begins with ``noted-``, it has a checkpoint of every page before: otherwise it makes one
every few seconds only. After a place whose name begins with ``impatient-`` it waits a second for a
NATS server, and as long as ever before.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import msgspec

from tautulli_import import files
from tautulli_import.__main__ import main
from tautulli_import.directory import Directory
from tautulli_import.event_store import store
from tautulli_import.events import consume, resume
from tautulli_import.jetstream.connection import Connection
from tautulli_import.jetstream.consumer import Consumer, Message
from tautulli_import.sinks import duckdb, editor, exports, nats, tracker
from tautulli_import.sinks.events_jsonl import EventsSink
from tautulli_import.sources.database.file import DatabaseFile, Page, Read
from tautulli_import.state.checkpoint import Position
from tests.support import over_http


def before_page(number: int, pipe: Path) -> None:
    """Stop before the so-many-th page of a database, from 0; few events are published at a time."""
    pages = DatabaseFile.pages
    vars(nats)["_CHUNK"] = 400

    def some(self: DatabaseFile, after: int, size: int, read: Read) -> Iterator[Page]:
        for place, page in enumerate(pages(self, after, size, read)):
            if place == number:
                pipe.read_bytes()
            yield page

    DatabaseFile.pages = some  # type: ignore[method-assign]


def deaf_page(number: int, pipe: Path) -> None:
    """Wait for good before the so-many-th page, in code in C that no signal can interrupt."""
    pages = DatabaseFile.pages
    library = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(64)

    def some(self: DatabaseFile, after: int, size: int, read: Read) -> Iterator[Page]:
        for place, page in enumerate(pages(self, after, size, read)):
            if place == number:
                pipe.read_bytes()
                library.pthread_mutex_lock(mutex)
                library.pthread_mutex_lock(mutex)
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

    for module in (tracker, editor, exports):
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
    rename = Directory.rename

    def later(self: Directory, temporary: str, name: str) -> None:
        if number == 0:
            pipe.read_bytes()
        rename(self, temporary, name)
        if number == 1:
            pipe.read_bytes()

    Directory.rename = later  # type: ignore[method-assign]


def small_windows(rows: int, _pipe: Path) -> None:
    """Stop nowhere, and read so few rows at a time over HTTP."""
    stack = ExitStack()
    stack.enter_context(over_http.small_windows(rows))
    atexit.register(stack.close)


def without_locks(error: int, _pipe: Path) -> None:
    """Stop nowhere, and let the kernel answer every ``flock`` with this error."""

    def flock(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    fcntl.flock = flock


def give_up_soon(stop: Callable[[int, Path], None], number: int, pipe: Path) -> None:
    """Stop at a place, and give up a NATS server after a second from then on."""
    connections: list[Connection] = []
    open_ = Connection.open

    def remembered(self: Connection) -> None:
        connections.append(self)
        open_(self)

    def later() -> None:
        pipe.read_bytes()
        for one in connections:
            one.access = msgspec.structs.replace(one.access, timeout=0.3, patience=1.0)

    Connection.open = remembered  # type: ignore[method-assign]
    stop(number, cast("Path", SimpleNamespace(read_bytes=later)))


_PLACES = {
    "unlocked": without_locks,
    "lines": amid_lines,
    "name": around_name,
    "windows": small_windows,
    "page": before_page,
    "deaf": deaf_page,
    "write": before_write,
    "acknowledge": before_acknowledging,
    "commit": before_commit,
    "fetch": before_fetching,
}

if __name__ == "__main__":
    place, _, which = sys.argv[1].partition(":")
    if place.startswith("noted-"):
        vars(resume).update(_EVERY_SECONDS=0.0, _SHARE=0)
        place = place.removeprefix("noted-")
    stop = _PLACES[place.removeprefix("impatient-")]
    if place.startswith("impatient-"):
        stop = partial(give_up_soon, stop)
    stop(int(which), Path(sys.argv[2]))
    sys.argv = ["tautulli-import", *sys.argv[3:]]
    main()
