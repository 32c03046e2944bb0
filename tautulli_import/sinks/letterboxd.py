"""Write CSV files for Letterboxd's importer, for ``--to letterboxd``.

The format is that of https://letterboxd.com/about/importing-data/ (November 2026): UTF-8, columns
in any order, quotes in quoted text escaped with a backslash, at most 1 MB a file. An id matches
exactly, else title and year. A film of the same day updates the diary entry that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..archives import batches
from ..model.items import Episode, Record
from .base import SinkOptions
from .exports import ExportSink, plain

__all__ = ["LetterboxdSink"]

_MOST_BYTES: Final = 1_000_000
_HEADER: Final = b"Title,Year,WatchedDate,Rewatch,tmdbID,imdbID\n"


class LetterboxdSink(ExportSink):
    """Writes a row for each film and day."""

    summary = "films as CSV files for Letterboxd"
    default = "tautulli-letterboxd.csv"
    mark = _HEADER
    is_local = True
    next_step = "Upload each file at https://letterboxd.com/import/."

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._days: set[tuple[str, str]] = set()

    def refuses(self, record: Record) -> str | None:
        """Refuse episodes, films that nothing can match, and a second viewing on one day."""
        item = record.item
        if isinstance(item, Episode):
            return "episodes (Letterboxd has only films)"
        if not (item.ids.tmdb or item.ids.imdb or (item.title and item.year)):
            return "films without a TMDB or IMDb id and without a year"
        day = record.key.rpartition("@")[0], self._day(record)
        if day in self._days:
            return "second viewings of a film on one day"
        self._days.add(day)
        return None

    def parts(self, records: Iterator[Record]) -> Iterator[bytes]:
        """Yield CSV files, each with the header."""
        for rows in batches(map(self._row, records), size=_MOST_BYTES - len(_HEADER)):
            yield _HEADER + b"".join(rows)

    def _row(self, record: Record) -> bytes:
        item = record.item
        title = plain(item.title).replace("\\", "\\\\").replace('"', '\\"')
        rewatch = "true" if record.viewing > 1 else "false"
        ids = f"{item.ids.tmdb or ''},{item.ids.imdb or ''}"
        return f'"{title}",{item.year or ""},{self._day(record)},{rewatch},{ids}\n'.encode()

    def _day(self, record: Record) -> str:
        return self.options.local(record.epoch).date().isoformat()
