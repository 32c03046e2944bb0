"""Keep the answers of Plex's metadata service in a table of a state file.

A ``plex://`` GUID never changes its meaning, so an answer with ids is kept for good. Ids are added
to new films and shows later, so another answer is asked for again after a month.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ..errors import TautulliImportError
from ..state.file import StateFile
from .metadata import Metadata
from .plex_cache import short_reason

__all__ = ["CloudCache"]

_WITHOUT: Final = 30 * 86_400


class CloudCache:
    """Earlier answers. A failure of the file is in ``trouble``, not raised."""

    def __init__(self, state: StateFile, now: int) -> None:
        self.trouble = ""
        self._state = state
        self._now = now

    def known(self, guids: Sequence[str]) -> dict[str, Metadata]:
        """Return the answers about these GUIDs that need not be asked for again."""
        found: dict[str, Metadata] = {}
        try:
            if "plex_cloud" not in self._state.tables():
                self._state.db.table("plex_cloud").create(
                    {"guid": str, "asked": int, "answer": str}, pk="guid"
                )
            for guid in guids:
                query = "SELECT asked, answer FROM plex_cloud WHERE guid = ?"
                for asked, text in self._state.conn.execute(query, (guid,)):
                    with suppress(msgspec.DecodeError, RecursionError, TypeError, ValueError):
                        answer = msgspec.json.decode(text, type=Metadata)
                        if answer.guids or answer.show_guid or self._is_new(int(asked)):
                            found[guid] = answer
        except (TautulliImportError, sqlite3.Error) as error:
            self.trouble = short_reason(error)
        return found

    def remember(self, guid: str, answer: Metadata) -> None:
        """Store an answer. After a failure to write, nothing more is written."""
        if self.trouble:
            return
        try:
            with self._state.step() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO plex_cloud (guid, asked, answer) VALUES (?, ?, ?)",
                    (guid, self._now, msgspec.json.encode(answer).decode()),
                )
        except (TautulliImportError, OverflowError) as error:
            self.trouble = short_reason(error)

    def _is_new(self, asked: int) -> bool:
        return 0 <= self._now - asked < _WITHOUT
