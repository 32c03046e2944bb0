"""The local copy of a history over HTTP, as it was when reading began."""

from __future__ import annotations

import sqlite3
from typing import Final

from ...errors import TautulliImportError
from ...state.file import StateFile

__all__ = ["FrozenCopy"]


class FrozenCopy:
    """A state file seen from one read transaction: what other runs write does not show.

    It is read by the same questions as ``SqliteFile``. The state file closes the connection.
    """

    written: Final = 0

    def __init__(self, state: StateFile, shown: str) -> None:
        """Begin the transaction; ``shown`` is what messages call the history."""
        self.shown = shown
        self.notices: list[str] = []
        self.connection = state.view()
        self._state = state

    def reopen(self) -> None:
        """Do nothing: what is read never changes."""

    def changed(self, error: sqlite3.Error | None = None) -> bool:  # noqa: ARG002 - as of SqliteFile
        """Return False: what is read never changes."""
        return False

    def explain(self, error: sqlite3.Error) -> TautulliImportError:
        """Return the sentence for what SQLite said about the state file."""
        return self._state.sentence(error)

    def close(self) -> None:
        """Let other runs reclaim what only this one still saw."""
        if self.connection is not self._state.db.conn:
            self.connection.close()
