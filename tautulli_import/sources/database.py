"""Tautulli's SQLite files as a source: one database, or several overlapping backups.

Rows are read in short keyset pages on ``id``, so that no lock is held between them and
memory stays flat. Several files are read newest first; a row of an older file that stands
under the same id, start and user in a newer one is the same play, counted and passed by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from ..watched import WatchedRule
from .base import Batch, Cursor, Library, Lookup, User
from .config_ini import rule_beside, rule_from
from .database_file import DatabaseFile
from .rows import Row

__all__ = ["DatabaseSource"]

_PAGE: Final = 10_000


class DatabaseSource:
    """One or more Tautulli databases, read as if they were one."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        config_ini: Path | None = None,
        page: int = _PAGE,
        stdin: BinaryIO | None = None,
    ) -> None:
        """Open every file and look at its schema; ``-`` among ``paths`` is ``stdin``.

        Raises:
            TautulliImportError: one of the files cannot be used; see ``sources.sqlite_file``.
        """
        self.name = ", ".join("standard input" if str(path) == "-" else str(path) for path in paths)
        self._page = page
        self._files: list[DatabaseFile] = []
        try:
            for path in dict.fromkeys(paths):
                rule = rule_from(config_ini) if config_ini else rule_beside(path)
                piped = stdin if str(path) == "-" else None
                self._files.append(DatabaseFile(path, rule, piped))
        except BaseException:
            self.close()
            raise
        self._files.sort(key=lambda file: file.newest, reverse=True)

    @property
    def notices(self) -> Sequence[str]:
        """How the files are read, and what old ones lack."""
        return [notice for file in self._files for notice in file.notices]

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds in force, without repetition."""
        return list(dict.fromkeys(file.rule for file in self._files))

    def total(self) -> int:
        """How many rows there are in all files together."""
        return sum(file.count for file in self._files)

    def batches(self, after: Cursor | None = None) -> Iterator[Batch]:
        """Every row of every file; see ``Source.batches``."""
        position, last = _read_cursor(after)
        for index, file in enumerate(self._files):
            if index < position:
                continue
            start = last if index == position else 0
            newer = self._files[:index]
            for batch, ids in file.pages(start, self._page):
                cursor = Cursor(f"{index}:{ids[1]}")
                if newer:
                    yield _without_known(batch, newer, ids, cursor)
                else:
                    yield msgspec.structs.replace(batch, cursor=cursor)

    def users(self) -> Sequence[User]:
        """Everybody in the users tables and everybody with plays."""
        return self._users

    @cached_property
    def _users(self) -> Sequence[User]:
        plays: Counter[int] = Counter()
        names: dict[int, tuple[str, str, bool]] = {}
        for file in reversed(self._files):  # the newest file's names win
            twice, _ = self._counted_twice(file)
            for user_id, count, name in file.users_of_plays():
                plays[user_id] += count - twice[user_id]
                names.setdefault(user_id, (name, "", True))
            names |= file.known_users()
        found = [
            User(user_id, username, friendly, plays[user_id], deleted=deleted)
            for user_id, (username, friendly, deleted) in names.items()
            if plays[user_id] or not deleted
        ]
        return sorted(found, key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """Every section in the libraries tables and every section with plays."""
        plays: Counter[int] = Counter()
        known: dict[int, tuple[str, str, bool]] = {}
        for file in reversed(self._files):
            _, twice = self._counted_twice(file)
            for section_id, count in file.sections_of_plays():
                plays[section_id] += count - twice[section_id]
            known |= file.known_sections()
        found = [
            Library(
                section,
                *known.get(section, (f"library {section}", "", True))[:2],
                plays=plays[section],
                deleted=known.get(section, ("", "", True))[2],
            )
            for section in known.keys() | plays.keys()
            if plays[section] or not known[section][2]
        ]
        return sorted(found, key=lambda library: (-library.plays, library.section_id))

    def _counted_twice(self, file: DatabaseFile) -> tuple[Counter[object], Counter[object]]:
        """By user and by section, the plays of this file that a newer one has as well."""
        users: Counter[object] = Counter()
        sections: Counter[object] = Counter()
        newer = self._files[: self._files.index(file)]
        for after in range(0, file.last if newer else 0, self._page):
            ids = (after, after + self._page)
            known = _known(newer, ids)
            for identity, section in file.identities(ids):
                if identity in known:
                    users[identity[2]] += 1
                    sections[section] += 1
        return users, sections

    def lookups(self) -> Sequence[Lookup]:
        """Tautulli's own lookup tables; those of a newer file first."""
        return [lookup for file in self._files for lookup in file.lookups()]

    def close(self) -> None:
        """Close every file and remove private copies."""
        for file in self._files:
            file.sqlite.close()


def _without_known(
    batch: Batch, newer: Sequence[DatabaseFile], ids: tuple[int, int], cursor: Cursor
) -> Batch:
    known = _known(newer, ids)
    plays = [play for play in batch.plays if (play.id, play.started, play.user_id) not in known]
    return msgspec.structs.replace(
        batch, plays=plays, cursor=cursor, duplicates=len(batch.plays) - len(plays)
    )


def _known(files: Sequence[DatabaseFile], ids: tuple[int, int]) -> frozenset[Row]:
    """Id, start and user of what these files have between two ids and can give."""
    return frozenset(
        identity
        for file in files
        for identity, _ in file.identities(ids)
        if identity[0] not in file.unreadable
    )


def _read_cursor(cursor: Cursor | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    index, _, last = cursor.partition(":")
    return int(index), int(last)
