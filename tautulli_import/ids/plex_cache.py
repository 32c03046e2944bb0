"""Cache the answers of Plex in a table of a state file, each with its time."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

import msgspec

from ..errors import TautulliImportError
from ..state.file import StateFile
from .metadata import Metadata, Question

__all__ = ["NOTHING", "WITHOUT", "AnswerCache", "MetadataCache", "short_reason"]

_Key = TypeVar("_Key", int, str)
_DAY: Final = 86_400
_WITH_IDS: Final = 180 * _DAY
WITHOUT: Final = 30 * _DAY
"""The seconds after which an answer without ids is asked for again: Plex adds ids later."""
NOTHING: Final = Metadata()
"""The answer about a rating key that no item has any more."""


class AnswerCache(Generic[_Key]):
    """Earlier answers in the state file. A failure of the file is in ``trouble``, not raised."""

    def __init__(
        self, state: StateFile, now: int, table: str, column: tuple[str, type[_Key]]
    ) -> None:
        """``column`` is the name and the type of the key in the table."""
        self.known: dict[_Key, Metadata] = {}
        """The answers about the keys of ``load``, expired ones included."""
        self.trouble = ""
        self._state = state
        self._now = now
        self._table = table
        self._column, kind = column
        self._columns = {self._column: kind, "asked": int, "answer": str}
        self._asked: dict[_Key, int] = {}

    def load(self, keys: Collection[_Key]) -> None:
        """Read the answers about these keys."""
        try:
            if self._table not in self._state.tables():
                self._state.db.table(self._table).create(self._columns, pk=self._column)
            query = f"SELECT {self._column}, asked, answer FROM {self._table}"  # noqa: S608 - our own names
            for key, asked, text in self._state.conn.execute(query):
                if key in keys:
                    with suppress(msgspec.DecodeError, RecursionError, TypeError, ValueError):
                        self.known[key] = msgspec.json.decode(text, type=Metadata)
                        self._asked[key] = int(asked)
        except (TautulliImportError, sqlite3.Error) as error:
            self.trouble = short_reason(error)

    def is_younger(self, key: _Key, seconds: int) -> bool:
        """Return true if the question about a key was asked less than so many seconds ago."""
        return key in self._asked and 0 <= self._now - self._asked[key] < seconds

    def save(self, answers: Mapping[_Key, Metadata]) -> None:
        """Store these answers, all or none. After a failure to write, nothing more is written."""
        if self.trouble:
            return
        try:
            rows = [
                (key, self._now, msgspec.json.encode(answer).decode())
                for key, answer in answers.items()
            ]
            with self._state.step() as connection:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {self._table} ({self._column}, asked, answer)"  # noqa: S608 - our own names
                    " VALUES (?, ?, ?)",
                    rows,
                )
        except (TautulliImportError, OverflowError) as error:
            self.trouble = short_reason(error)


class MetadataCache(AnswerCache[int]):
    """Earlier answers about rating keys, as far as they help with the questions ``by_key``."""

    def __init__(
        self, state: StateFile, now: int, by_key: Mapping[int, Sequence[Question]]
    ) -> None:
        super().__init__(state, now, "metadata", ("rating_key", int))
        self._by_key = by_key
        self.load(by_key.keys())

    def helps(self, key: int) -> bool:
        """Return true if the stored answer has what a question about that key wants."""
        return key in self.known and self._helps(key, self.known[key])

    def holds(self, key: int) -> bool:
        """Return true if the stored answer has not expired, so that Plex need not be asked."""
        if key not in self._asked:
            return False
        asked, answer = self._asked[key], self.known[key]
        if answer != NOTHING and any(
            not question.fits(answer) and asked < question.newest <= self._now
            for question in self._by_key[key]
        ):
            return False  # it was played under another title since, so it has another match
        return self.is_younger(key, _WITH_IDS if self._helps(key, answer) else WITHOUT)

    def remember(self, answers: Mapping[int, Metadata]) -> Mapping[int, Metadata]:
        """Store these answers, and return the answers that are valid now.

        An item that had ids keeps them after it is deleted.
        """
        valid = dict(answers)
        for key, answer in answers.items():
            if self.helps(key) and not self._helps(key, answer):
                valid[key] = self.known[key]
        self.save(valid)
        return valid

    def _helps(self, key: int, answer: Metadata) -> bool:
        return any(question.helps(answer) for question in self._by_key[key])


def short_reason(error: Exception) -> str:
    """Describe an error as a part of a sentence."""
    if isinstance(error, TautulliImportError):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"
