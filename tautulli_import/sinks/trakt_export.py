"""Write ZIP files like Trakt's own data export, for ``--to trakt-export``.

Yamtrack, Ryot, CrossWatch, scrob and others import it. They find an episode by the ids of its
show and its numbers. Trakt's own importer does not: it wants the episode's ids, and takes an
IMDb id in an episode's row for the show, all of which it then marks as watched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from ..archives import batches, json_list, zipped
from ..model.items import Episode, Ids, Record
from .exports import ExportSink

__all__ = ["TraktExportSink"]

# CrossWatch (August 2026) takes 50,000 entries and 60 MB of an upload, and 8 MiB of a member. Of
# further entries it says nothing. Ryot takes 16 MiB of a member.
_MOST_ENTRIES: Final = 50_000
_MOST_BYTES: Final = 50_000_000
_MOST_BYTES_OF_MEMBER: Final = 8_000_000
_NUMBERS: Final = ("trakt", "tmdb", "tvdb")


class TraktExportSink(ExportSink):
    """Writes an entry for every viewing."""

    summary = "a ZIP for Yamtrack, Ryot, scrob and others"
    default = "tautulli-trakt-export.zip"
    mark = b"tautulli-import trakt-export"
    next_step = "Import each file as a Trakt export: in Yamtrack, Ryot, CrossWatch or scrob."
    caution = "Do not upload the export to Trakt itself. It would mark whole shows as watched."

    def refuses(self, record: Record) -> str | None:
        """Refuse what has no id that Trakt knows."""
        return None if _ids(record.item.ids) else "without a TMDB, IMDb, TVDB or Trakt id"

    def parts(self, records: Iterator[Record]) -> Iterator[bytes]:
        """Yield ZIP files."""
        for entries in batches(map(_entry, records), size=_MOST_BYTES, most=_MOST_ENTRIES):
            members = batches(entries, size=_MOST_BYTES_OF_MEMBER)
            yield zipped(
                (
                    (f"watched-history-{number}.json", json_list(member))
                    for number, member in enumerate(members, 1)
                ),
                self.mark,
            )


def _entry(record: Record) -> bytes:
    item = record.item
    value: dict[str, object] = {
        "id": record.play_id,
        "watched_at": item.watched_at.replace("Z", ".000Z"),
        "action": "watch",
        "type": "movie",
    }
    if isinstance(item, Episode):
        value["type"] = "episode"
        # The year of an episode is not that of its show.
        value["show"] = {"title": item.series_title, "year": None, "ids": _ids(item.show_ids)}
        value["episode"] = {
            "season": item.season,
            "number": item.episode,
            "title": item.title,
            "ids": {},
        }
    else:
        value["movie"] = {"title": item.title, "year": item.year, "ids": _ids(item.ids)}
    return msgspec.json.encode(value)


def _ids(ids: Ids) -> dict[str, int | str]:
    """Return the ids that Trakt's export has, as it has them: only that of IMDb is text."""
    found: dict[str, int | str] = {}
    for site in _NUMBERS:
        value = getattr(ids, site)
        if value and value.isascii() and value.isdigit():
            found[site] = int(value)
    return found | ({"imdb": ids.imdb} if ids.imdb else {})
