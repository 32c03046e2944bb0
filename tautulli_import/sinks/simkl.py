"""Write a ZIP like SIMKL's own backup, for ``--to simkl``.

A film is an entry, a show is an entry with the dates of its episodes. The second viewings are
entries of their own with ``is_rewatch``, so are the third ones, and so on. Shows are never called
completed, because nothing tells how many episodes they have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ..archives import zipped
from ..model.items import Episode, Ids, Record
from .exports import ExportSink

__all__ = ["SimklSink"]

_SITES: Final = ("simkl", "imdb", "tmdb", "tvdb", "mal", "anidb", "anilist", "kitsu")


class SimklSink(ExportSink):
    """Writes every viewing into one ``SimklBackup.json``."""

    summary = "a backup (ZIP) for SIMKL"
    default = "tautulli-simkl.zip"
    mark = b"tautulli-import simkl"
    next_step = "Upload the file at https://simkl.com/apps/import/json/."

    def refuses(self, record: Record) -> str | None:
        """Refuse what has no id that SIMKL knows."""
        return None if _ids(record.item.ids) else "without an id that SIMKL knows"

    def parts(self, records: Iterator[Record]) -> Iterator[bytes]:
        """Yield the ZIP. SIMKL has one file."""
        movies: list[dict[str, Any]] = []
        shows: dict[tuple[str, int], dict[str, Any]] = {}
        for record in records:
            item, when = record.item, record.item.watched_at
            if not isinstance(item, Episode):
                movie = {"title": item.title, "year": item.year, "ids": _ids(item.ids)}
                movies.append(_entry(record, "completed", movie=movie))
                continue
            key = record.key.rpartition("#")[0], record.viewing
            if key not in shows:
                show = {"title": item.series_title, "year": None, "ids": _ids(item.show_ids)}
                shows[key] = _entry(record, "watching", show=show, seasons={})
            entry = shows[key]
            entry["last_watched_at"] = when
            entry["seasons"].setdefault(item.season, {})[item.episode] = when
        for entry in shows.values():
            entry["seasons"] = [
                {
                    "number": season,
                    "episodes": [
                        {"number": number, "watched_at": when}
                        for number, when in sorted(episodes.items())
                    ],
                }
                for season, episodes in sorted(entry["seasons"].items())
            ]
        backup = {"shows": [*shows.values()], "anime": [], "movies": movies}
        yield zipped([("SimklBackup.json", msgspec.json.encode(backup))], self.mark)


def _entry(record: Record, status: str, **more: object) -> dict[str, Any]:
    entry = {"status": status, "last_watched_at": record.item.watched_at, **more}
    entry["is_rewatch"] = record.viewing > 1
    if record.viewing > 1:
        entry["rewatch_id"] = record.viewing - 1
    return entry


def _ids(ids: Ids) -> dict[str, str]:
    return {site: value for site in _SITES if (value := getattr(ids, site))}
