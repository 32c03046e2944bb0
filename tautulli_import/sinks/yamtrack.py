"""Write a CSV file for Yamtrack's importer, for ``--to yamtrack``.

Yamtrack reads the columns by name. It finds titles by their TMDB ids, an episode by that of its
show. Every row is a viewing. It looks up titles and pictures itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from ..model.items import Episode, Record
from .exports import ExportSink, plain

__all__ = ["YamtrackSink"]

_COLUMNS: Final = (
    *("media_id", "source", "media_type", "title", "image", "season_number", "episode_number"),
    *("score", "status", "notes", "start_date", "end_date", "progress", "progressed_at"),
)
# "Completed" would make Yamtrack mark all episodes of a show or season as watched.
_STATUS: Final = {"movie": "Completed", "tv": "In progress", "season": "In progress"}


class YamtrackSink(ExportSink):
    """Writes a row for each show, season and viewing."""

    summary = "films and episodes as a CSV file for Yamtrack"
    default = "tautulli-yamtrack.csv"
    mark = ",".join(_COLUMNS).encode()
    is_local = True
    next_step = "In Yamtrack: Settings › Import › Yamtrack CSV, and choose the file."

    def refuses(self, record: Record) -> str | None:
        """Refuse what has no TMDB id."""
        tmdb = record.item.ids.tmdb or ""
        return None if tmdb.isascii() and tmdb.isdigit() else "without a TMDB id"

    def parts(self, records: Iterator[Record]) -> Iterator[bytes]:
        """Yield the file: shows, then their seasons, then films and episodes by time."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        viewings = [*records]
        writer.writeheader()
        shows: dict[str, Record] = {}
        seasons: dict[tuple[str, int], Record] = {}
        for record in viewings:
            if isinstance(record.item, Episode):
                shows.setdefault(record.item.ids.tmdb or "", record)
                seasons.setdefault((record.item.ids.tmdb or "", record.item.season), record)
        writer.writerows(_row(record, "tv") for record in shows.values())
        writer.writerows(_row(record, "season") for record in seasons.values())
        writer.writerows(self._viewing(record) for record in viewings)
        yield text.getvalue().encode()

    def _viewing(self, record: Record) -> dict[str, object]:
        row = _row(record, "episode" if isinstance(record.item, Episode) else "movie")
        row["end_date"] = row["progressed_at"] = self.options.local(record.epoch).isoformat()
        if row["media_type"] == "movie":
            row["progress"] = 1
        return row


def _row(record: Record, media_type: str) -> dict[str, object]:
    item = record.item
    row: dict[str, object] = {
        "media_id": item.ids.tmdb,
        "source": "tmdb",
        "media_type": media_type,
        "status": _STATUS.get(media_type, ""),
    }
    if not isinstance(item, Episode):
        return row | {"title": plain(item.title)}
    row["title"] = plain(item.series_title)
    if media_type != "tv":
        row["season_number"] = item.season
    if media_type == "episode":
        row["episode_number"] = item.episode
    return row
