"""Notice damage of a database that reading it does not show.

SQLite reads a swapped, a doubled or an overwritten page without an error if it looks like a page.
``quick_check`` sees that. ``integrity_check`` also compares each row with the indexes, which takes
six times as long (SQLite 3.40, 1,000,000 plays). Of that, only the numbers of rows are compared.

``quick_check`` first checks the trees of pages, and then reads every row, which takes two thirds of
its time. Imports read the rows as well, so for them it ends there.

The check runs in a thread beside the reading. SQLite releases the interpreter's lock meanwhile.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from itertools import takewhile
from typing import Final, TypeAlias

from ....errors import BusyError
from ....interrupts import check
from ..schema import TABLES, quoted
from ..sqlite_errors import code_of, explain

__all__ = ["Connect", "SoundCheck"]

Connect: TypeAlias = Callable[[], tuple[sqlite3.Connection, Callable[[], bool]]]
"""Opens the file again, and returns a function that tells whether it was written since then."""

_TRIES: Final = 8
_WAIT_SECONDS: Final = 0.1
# An interrupt that comes between two statements ends neither.
_STOPS: Final = 10
_MOST_BYTES: Final = 16 << 20
_DAMAGE: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_TOOBIG")
_PASSING: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_CANTOPEN")
# Odd values that Tautulli wrote itself, for example text in an INTEGER column.
_NO_DAMAGE: Final = re.compile(r"ok$|\w+ value in |non-\w+ |CHECK constraint failed|.*not UTF")


# From 3.46 on, ``quick_check`` compares the numbers of entries of a table and its indexes itself.
_COUNTS_ENTRIES: Final = sqlite3.sqlite_version_info >= (3, 46)
# How newer ones count their steps has to be tried first.
_STEPS_ARE_KNOWN: Final = sqlite3.sqlite_version_info < (3, 55)


class SoundCheck:
    """The check of one file. It begins when it is asked for, and has one result."""

    def __init__(
        self,
        connect: Connect,
        shown: str,
        tables: Collection[str] = TABLES,
        *,
        trees_only: Collection[str] = (),
    ) -> None:
        """Prepare the check of these tables. ``shown`` is the name of the file in messages.

        Rows of the tables in ``trees_only`` are not read. Their reader must notice what SQLite says
        about a row.
        """
        self._connect = connect
        self._tables = frozenset(tables)
        self.trees_only = frozenset(trees_only)
        self._shown = shown
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._stopping = threading.Event()
        self._damage: str | None = None
        self._error: sqlite3.Error | None = None

    def begin(self) -> None:
        """Begin the check in a thread, unless it has begun."""
        if self._thread is None:
            # It must not keep a process alive that was asked to stop.
            self._thread = threading.Thread(target=self._run, name="sound_check", daemon=True)
            self._thread.start()

    @property
    def has_found_damage(self) -> bool:
        """True if damage was found already. Wrong row ids can make the reading endless."""
        return bool(self._damage)

    def damage(self) -> str:
        """Wait for the result, and return SQLite's words for the damage; empty if it is whole.

        Raises:
            BusyError: the file was written or locked all the time.
            TautulliImportError: it cannot be checked.
        """
        self.begin()
        while not self._done.wait(_WAIT_SECONDS):
            check()
        if self._error:
            raise explain(self._error, self._shown) from self._error
        if self._damage is None:
            raise BusyError(
                f"{self._shown} kept changing while it was checked for damage.",
                hint="Try again when Tautulli is less busy, or read one of its backups.",
            )
        return self._damage

    def stop(self) -> None:
        """End the check without a result."""
        self._stopping.set()
        for _ in range(_STOPS):
            if self._thread is None or not self._thread.is_alive():
                return
            if (connection := self._connection) is not None:
                with suppress(sqlite3.ProgrammingError):  # it was closed at this moment
                    connection.interrupt()
            self._thread.join(_WAIT_SECONDS)

    def _run(self) -> None:
        try:
            for attempt in range(_TRIES):
                self._damage, self._error = self._try()
                is_final = self._error and not code_of(self._error).startswith(_PASSING)
                if self._damage is not None or is_final:
                    return
                if self._stopping.wait(0.05 * 2**attempt):  # Tautulli is writing; let it finish
                    return
        finally:
            self._done.set()

    def _try(self) -> tuple[str | None, sqlite3.Error | None]:
        """Return the damage, or ``None`` and an error if nothing is known.

        Without an error the file was written meanwhile.
        """
        was_written: Callable[[], bool] = bool
        try:
            connection, was_written = self._connect()
            with closing(connection):
                self._connection = connection
                found = next(_damage_in(connection, self._tables, self.trees_only), "")
        except sqlite3.Error as error:
            if not code_of(error).startswith(_DAMAGE):
                return None, error
            found = str(error)
        finally:
            self._connection = None
        return None if found and was_written() else found, None


def _damage_in(
    db: sqlite3.Connection, tables: Collection[str], trees_only: Collection[str] = ()
) -> Iterator[str]:
    """Return SQLite's words for each damage of the tables that are read."""
    # ``stop`` ends a statement. The handler would take the interpreter's lock from the reading.
    db.set_progress_handler(None, 0)
    # A large value is the reader's business, but one of gigabytes is a record with wrong numbers.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    db.execute("PRAGMA ignore_check_constraints = ON")  # they are statements of the file's author
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
    for table in sorted({str(name) for (name,) in rows}.intersection(tables)):
        check = _tree_lines if table in trees_only else _lines
        yield from (line for line in check(db, table) if not _NO_DAMAGE.match(line))
        if _COUNTS_ENTRIES:
            continue
        # Without an order to do otherwise, SQLite counts the rows of the smallest index.
        ((differ,),) = db.execute(
            f"SELECT (SELECT count(*) FROM {quoted(table)})"  # noqa: S608 - quoted
            f" <> (SELECT count(*) FROM {quoted(table)} NOT INDEXED)"
        )
        if differ:
            yield f"wrong number of rows in {table}"


def _lines(db: sqlite3.Connection, table: str) -> Iterator[str]:
    return (str(line) for (line,) in db.execute(f"PRAGMA quick_check({quoted(table)})"))


def _tree_lines(db: sqlite3.Connection, table: str) -> Iterator[str]:
    """Run ``quick_check`` up to where it reads rows, or to its end if that place is unknown.

    SQLite calls the handler after a number of steps. A step is an instruction, and from 3.42 on
    also a page of a tree. All trees together are one instruction (3.40 to 3.54).
    """
    steps = [name for _, name, *_ in db.execute(f"EXPLAIN PRAGMA quick_check({quoted(table)})")]
    trees_come_first = "IntegrityCk" in takewhile(lambda name: name != "Rewind", steps)
    if not (trees_come_first and _STEPS_ARE_KNOWN):
        yield from _lines(db, table)
        return
    ((pages,),) = db.execute("PRAGMA page_count")
    ended: list[bool] = []

    def end() -> bool:
        ended.append(True)
        return True

    db.set_progress_handler(end, 2 * pages + 1_000)
    try:
        # Trees give one line. Python asks for another one before it returns it, hence the LIMIT.
        for (line,) in db.execute("SELECT * FROM pragma_quick_check(?) LIMIT 1", (table,)):
            yield str(line)
    except sqlite3.OperationalError:
        if not ended:  # ``stop`` did it
            raise
    finally:
        db.set_progress_handler(None, 0)
