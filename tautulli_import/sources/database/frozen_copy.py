"""Read the local copy of an API history as it was when reading began."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from ...errors import TautulliImportError
from ...state.file import StateFile

__all__ = ["FrozenCopy"]


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

    def tables(self, db: sqlite3.Connection, needed: Collection[str]) -> frozenset[str]:  # noqa: ARG002 - as of SqliteFile
        """Return the names of all tables, and of the views that take their place."""
        names = db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        return frozenset(str(name) for (name,) in names)

    def begin_check(self) -> None:
        """Do nothing, because the state file has a check of its own."""

    def refuse_known_damage(self) -> None:
        """Do nothing, because nothing is checked."""

    def reopen(self) -> None:
        """Do nothing, because the transaction never changes."""

    def changed(self, error: sqlite3.Error | None = None) -> bool:  # noqa: ARG002 - as of SqliteFile
        """Return false, because the transaction never changes."""
        return False

    def explain(self, error: sqlite3.Error) -> TautulliImportError:
        """Return the error for an exception of SQLite about the state file."""
        return self._state.error_of(error)

    def close(self) -> None:
        """End the transaction, so that other runs can reuse the space of deleted rows."""
        if self.connection is not self._state.conn:
            self.connection.close()
