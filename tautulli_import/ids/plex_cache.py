"""Cache the answers of Plex in a table of the state file, each with its time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ..errors import TautulliImportError
from ..state.file import StateFile
from .metadata import Metadata, Question

__all__ = ["NOTHING", "MetadataCache", "short_reason"]

_DAY: Final = 86_400
_WITH_IDS: Final = 180 * _DAY
_WITHOUT: Final = 30 * _DAY
NOTHING: Final = Metadata()
"""The answer about a rating key that no item has any more."""


class MetadataCache:
    """Earlier answers in the state file. A failure of the file is in ``trouble``, not raised."""

    def __init__(
        self, state: StateFile, now: int, by_key: Mapping[int, Sequence[Question]]
    ) -> None:
        self.known: dict[int, Metadata] = {}
        """The answers about the keys, expired ones included."""
        self.trouble = ""
        self._state = state
        self._now = now
        self._by_key = by_key
        self._asked: dict[int, int] = {}
        try:
            if "metadata" not in state.tables():
                state.db.table("metadata").create(
                    {"rating_key": int, "asked": int, "answer": str}, pk="rating_key"
                )
            rows = state.conn.execute("SELECT rating_key, asked, answer FROM metadata")
            for key, asked, text in rows:
                if key in by_key:
                    with suppress(msgspec.DecodeError, RecursionError, TypeError, ValueError):
                        self.known[key] = msgspec.json.decode(text, type=Metadata)
                        self._asked[key] = int(asked)
        except sqlite3.Error as error:
            self.trouble = short_reason(error)

    def helps(self, key: int) -> bool:
        """Return true if the stored answer has what a question about that key wants."""
        return key in self.known and self._helps(key, self.known[key])

    def holds(self, key: int) -> bool:
        """Return true if the stored answer has not expired, so that Plex need not be asked."""
        if key not in self._asked:
            return False
        asked, answer = self._asked[key], self.known[key]
        age = self._now - asked
        if answer != NOTHING and any(
            not question.fits(answer) and asked < question.newest <= self._now
            for question in self._by_key[key]
        ):
            return False  # it was played under another title since, so it has another match
        return 0 <= age < (_WITH_IDS if self._helps(key, answer) else _WITHOUT)

    def remember(self, answers: Mapping[int, Metadata]) -> Mapping[int, Metadata]:
        """Store these answers, all or none, and return the answers that are valid now.

        An item that had ids keeps them after it is deleted. After a failure to write, nothing
        more is written.
        """
        valid = dict(answers)
        for key, answer in answers.items():
            if self.helps(key) and not self._helps(key, answer):
                valid[key] = self.known[key]
        if self.trouble:
            return valid
        try:
            rows = [
                (key, self._now, msgspec.json.encode(answer).decode())
                for key, answer in valid.items()
            ]
            with self._state.step() as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO metadata (rating_key, asked, answer) VALUES (?, ?, ?)",
                    rows,
                )
        except (TautulliImportError, OverflowError) as error:
            self.trouble = short_reason(error)
        return valid

    def _helps(self, key: int, answer: Metadata) -> bool:
        return any(question.helps(answer) for question in self._by_key[key])


def short_reason(error: Exception) -> str:
    """Describe an error as a part of a sentence."""
    if isinstance(error, TautulliImportError):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"
