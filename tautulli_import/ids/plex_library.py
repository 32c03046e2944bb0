"""Read the ids that a Plex library database has: ``com.plexapp.plugins.library.db`` or a backup.

Plex keeps films, shows, seasons and episodes in ``metadata_items``, where ``id`` is the rating key
and ``parent_id`` leads from an episode to its season and show. Items stay there for a while after
they left the library. The ids of sites are tags of type 314, such as ``tmdb://603``. Libraries of
the old agents have none, but there the GUID itself has an id.

Some of Plex's indexes are sorted by an ICU collation that a plain SQLite does not have. So nothing
here compares or sorts titles in SQL.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from ..errors import (
    BusyError,
    DamagedDatabaseError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
)
from ..sources.database.rows import Row, decode
from ..sources.database.salvage.soundness import SoundCheck
from ..sources.database.schema import columns_of
from ..sources.database.sqlite import SqliteFile
from .metadata import Metadata

__all__ = ["PlexLibrary"]

_ITEMS: Final = "metadata_items"
_TABLES: Final = frozenset({_ITEMS, "taggings", "tags"})
_ESSENTIAL: Final = frozenset({"id", "parent_id", "metadata_type", "guid", "title"})
_TYPES: Final = {1: "movie", 2: "show"}
_AT_ONCE: Final = 500
_LARGEST_VALUE: Final = 16 << 20
_COLLATION: Final = re.compile(r"""COLLATE\s+["'`\[]?(\w+)""", re.IGNORECASE)
_HINTS: Final[Mapping[type[TautulliImportError], str]] = {
    NotFoundError: "Plex's database is com.plexapp.plugins.library.db in its data directory, under "
    "Plug-in Support/Databases.",
    SourceUnreachableError: "Run as a user that can read it, or copy it together with its -wal.",
    BusyError: "Plex may be cleaning up. Try again later, or use a dated backup beside it.",
    DamagedDatabaseError: "Use one of the dated backups beside it.",
}
_OTHER_HINT: Final = (
    "Use com.plexapp.plugins.library.db, or a dated backup beside it, in Plex's data directory "
    "under Plug-in Support/Databases."
)


class PlexLibrary:
    """A Plex library database, opened for reading."""

    def __init__(self, path: Path) -> None:
        """Open the file and check that it is Plex's.

        Raises:
            SourceDamagedError: it is damaged, or it is another file.
            TautulliImportError: it cannot be read; see ``SqliteFile``.
        """
        with _hints_about_plex():
            self._file = SqliteFile(path)
        self.shown = self._file.shown
        self._check = SoundCheck(self._connect_again, self.shown, _TABLES)
        try:
            with _hints_about_plex():
                self._tables = self._file.ask(lambda db: self._file.tables(db, _TABLES))
                self._columns = self._file.ask(lambda db: columns_of(db, _ITEMS))
                self._refuse_other_databases()
        except BaseException:
            self.close()
            raise

    @property
    def notices(self) -> Sequence[str]:
        """Sentences about how the file is read."""
        return self._file.notices

    def close(self) -> None:
        """Close the file, and remove the private copy if there is one."""
        self._check.stop()
        self._file.close()

    def films(self, guids: Collection[str]) -> Mapping[str, Sequence[Metadata]]:
        """Return the films with these GUIDs, by GUID. One film can be in two libraries.

        Raises:
            TautulliImportError: the file cannot be read.
        """
        columns = f"i.guid, {self._selected('i')}"
        # The plus sign keeps SQLite from using the index of types, which has few values.
        query = f"SELECT {columns} FROM {_ITEMS} i WHERE +i.metadata_type = 1 AND i.guid IN"  # noqa: S608 - our own names
        return self._by_guid(query, guids)

    def shows(self, guids: Collection[str]) -> Mapping[str, Sequence[Metadata]]:
        """Return the shows of the episodes with these GUIDs, by the GUID of the episode.

        Raises:
            TautulliImportError: the file cannot be read.
        """
        query = (
            f"SELECT e.guid, {self._selected('s')} FROM {_ITEMS} e"  # noqa: S608 - our own names
            f" JOIN {_ITEMS} p ON p.id = e.parent_id JOIN {_ITEMS} s ON s.id = p.parent_id"
            " WHERE +e.metadata_type = 4 AND +s.metadata_type = 2 AND e.guid IN"
        )
        return self._by_guid(query, guids)

    def items(self, keys: Collection[int]) -> Mapping[int, Metadata]:
        """Return the films and shows with these rating keys.

        Raises:
            TautulliImportError: the file cannot be read.
        """
        columns = f"'', {self._selected('i')}"
        query = f"SELECT {columns} FROM {_ITEMS} i WHERE +i.metadata_type IN (1, 2) AND i.id IN"  # noqa: S608 - our own names
        return {key: metadata for _, key, metadata in self._found(query, keys)}

    def refuse_damage(self) -> None:
        """Wait for the check that the tables are whole.

        Raises:
            DamagedDatabaseError: they are not.
            BusyError: the file was written all the time.
        """
        with _hints_about_plex():
            if words := self._check.damage():
                raise DamagedDatabaseError(f"{self.shown} is damaged: {words}.")

    def _by_guid(self, query: str, guids: Collection[str]) -> Mapping[str, Sequence[Metadata]]:
        found: defaultdict[str, list[Metadata]] = defaultdict(list)
        for guid, _, metadata in self._found(query, guids):
            found[guid].append(metadata)
        return found

    def _found(
        self, query: str, values: Collection[str] | Collection[int]
    ) -> Iterator[tuple[str, int, Metadata]]:
        """Run a query for all values. Yield the GUID, the rating key and the metadata of each."""
        self._check.begin()
        with _hints_about_plex():
            rows = list(self._rows(query, values))
            tags = self._tags({row[1] for row in rows})
        for asked, key, kind, guid, title, original, year in rows:
            yield (
                _text(asked),
                key,
                Metadata(
                    media_type=_TYPES[kind],
                    title=_text(title),
                    original_title=_text(original),
                    year=year if isinstance(year, int) and 0 < year < 10_000 else None,
                    guid=_text(guid),
                    guids=tuple(tags.get(key, ())),
                ),
            )

    def _tags(self, keys: Collection[int]) -> Mapping[int, Sequence[str]]:
        """Return the ids of sites by rating key. Databases before 2020 have none."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        if self._tables >= _TABLES:
            query = (
                "SELECT g.metadata_item_id, t.tag FROM taggings g JOIN tags t ON t.id = g.tag_id"
                " WHERE +t.tag_type = 314 AND g.metadata_item_id IN"
            )
            for key, tag in self._rows(query, keys):
                found[key].append(_text(tag))
        return found

    def _rows(self, query: str, values: Iterable[str] | Iterable[int]) -> Iterator[Row]:
        """Run a query for the values, some hundred at a time."""
        every = list(values)
        for start in range(0, len(every), _AT_ONCE):
            some = every[start : start + _AT_ONCE]
            text = f"{query} ({', '.join('?' * len(some))})"
            yield from self._file.ask(partial(_fetched, query=text, values=some))

    def _selected(self, table: str) -> str:
        columns = ("id", "metadata_type", "guid", "title", "original_title", "year")
        return ", ".join(f"{table}.{one}" if one in self._columns else "NULL" for one in columns)

    def _refuse_other_databases(self) -> None:
        """Refuse a database that is not Plex's.

        Raises:
            SourceDamagedError: it is another one.
        """
        if self._columns >= _ESSENTIAL:
            return
        if "session_history" in self._tables:
            raise SourceDamagedError(f"{self.shown} is a Tautulli database, not one of Plex.")
        raise SourceDamagedError(
            f"{self.shown} is not a Plex library database: it has no table {_ITEMS} with items."
        )

    def _connect_again(self) -> tuple[sqlite3.Connection, Callable[[], bool]]:
        """Open a second connection for the check, which needs each collation of the indexes."""
        connection, was_written = self._file.connect_again()
        for (sql,) in connection.execute("SELECT sql FROM sqlite_master"):
            for name in _COLLATION.findall(sql or ""):
                if name.upper() not in ("BINARY", "NOCASE", "RTRIM"):
                    connection.create_collation(name, _compare)
        return connection, was_written


def _fetched(db: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Row]:
    db.text_factory = decode
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)  # a summary is longer than a title
    return db.execute(query, values).fetchall()


def _compare(one: str, other: str) -> int:
    return (one > other) - (one < other)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@contextmanager
def _hints_about_plex() -> Iterator[None]:
    """Replace the hint of an error about a SQLite file if it is about Tautulli's."""
    try:
        yield
    except TautulliImportError as error:
        if not error.hint or "Tautulli" in error.hint or "pipe" in error.hint:
            fitting = (hint for kind, hint in _HINTS.items() if isinstance(error, kind))
            error.hint = next(fitting, _OTHER_HINT)
        raise
