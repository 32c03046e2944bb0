"""What Plex answered before: a table of the state file, with the time of each answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ..checkpoint.state import StateFile
from ..enrichment.metadata import Metadata, ids_of, is_about
from ..enrichment.works import Work
from ..errors import TautulliImportError

__all__ = ["NOTHING", "Memory", "said"]

_DAY: Final = 86_400
_WITH_IDS: Final = 180 * _DAY
_WITHOUT: Final = 30 * _DAY
NOTHING: Final = Metadata()
"""The answer about a number that nothing has any more."""


class Memory:
    """What was answered before, in the state file. Trouble with that is told, not raised."""

    def __init__(self, state: StateFile, now: int, by_key: Mapping[int, Sequence[Work]]) -> None:
        self.known: dict[int, Metadata] = {}
        """What is remembered of the works' keys, however old it is."""
        self.trouble = ""
        self._state = state
        self._now = now
        self._by_key = by_key
        self._asked: dict[int, int] = {}
        try:
            state.db.table("metadata").create(
                {"rating_key": int, "asked": int, "answer": str},
                pk="rating_key",
                if_not_exists=True,
            )
            rows = state.db.conn.execute("SELECT rating_key, asked, answer FROM metadata")
            for key, asked, text in rows:
                if key in by_key:
                    with suppress(msgspec.DecodeError, TypeError, ValueError):
                        self.known[key] = msgspec.json.decode(text, type=Metadata)
                        self._asked[key] = int(asked)
        except sqlite3.Error as error:
            self.trouble = said(error)

    def gives_ids(self, key: int) -> bool:
        """Whether what is remembered has ids for the works of that key."""
        return key in self.known and self._tells(key, self.known[key])

    def holds(self, key: int) -> bool:
        """Whether what is remembered still serves, so that nothing has to be asked."""
        if key not in self._asked:
            return False
        asked, answer = self._asked[key], self.known[key]
        age = self._now - asked
        if self._tells(key, answer):
            return 0 <= age < _WITH_IDS
        if answer != NOTHING and any(
            not is_about(work, answer) and asked < work.newest.when <= self._now
            for work in self._by_key[key]
        ):
            return False  # it was played after something else had its number: it has it again
        return 0 <= age < _WITHOUT

    def remember(self, answers: Mapping[int, Metadata]) -> Mapping[int, Metadata]:
        """Keep these answers, all or none, and return what is known now.

        What had ids once still has them when it is deleted. After a failure to write nothing
        more is tried.
        """
        settled = {
            key: self.known[key] if self.gives_ids(key) and not self._tells(key, answer) else answer
            for key, answer in answers.items()
        }
        if self.trouble:
            return settled
        try:
            rows = [
                (key, self._now, msgspec.json.encode(answer).decode())
                for key, answer in settled.items()
            ]
            with self._state.step() as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO metadata (rating_key, asked, answer) VALUES (?, ?, ?)",
                    rows,
                )
        except (TautulliImportError, OverflowError) as error:
            self.trouble = said(error)
        return settled

    def _tells(self, key: int, answer: Metadata) -> bool:
        return any(ids_of(work, answer) for work in self._by_key[key])


def said(error: Exception) -> str:
    """What went wrong, as a part of a sentence."""
    if isinstance(error, TautulliImportError):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"
