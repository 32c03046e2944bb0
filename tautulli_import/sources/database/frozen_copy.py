"""Read the local copy of an API history as it was when reading began."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from ...interrupts import check
from ...state.file import StateFile

__all__ = ["FrozenCopy"]

_Answer = TypeVar("_Answer")


class FrozenCopy:
    """A state file in one read transaction, which hides what other runs write meanwhile.

    It has the interface of ``SqliteFile``. The state file closes the connection.
    """

    written: Final = 0
    lost: Final[Sequence[int]] = ()

    def __init__(self, state: StateFile, shown: str) -> None:
        """Begin the transaction. ``shown`` is the name of the history in messages."""
        self.shown = shown
        self.notices: list[str] = []
        self.connection = state.view()
        self._state = state

    def ask(self, query: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return the answer of ``query``.

        Raises:
            BusyError: another run is using the state file.
            SinkError: it cannot be read.
        """
        try:
            return query(self.connection)
        except sqlite3.Error as error:
            check()  # a signal interrupts a query, and SQLite drops the exception
            raise self._state.error_of(error) from error

    def tables(self, db: sqlite3.Connection, needed: Collection[str]) -> frozenset[str]:  # noqa: ARG002 - as of SqliteFile
        """Return the names of all tables, and of the views that take their place."""
        names = db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        return frozenset(str(name) for (name,) in names)

    def begin_check(self) -> None:
        """Do nothing, because the state file has a check of its own."""

    def close(self) -> None:
        """End the transaction, so that other runs can reuse the space of deleted rows."""
        if self.connection is not self._state.conn:
            self.connection.close()
