"""Plex library databases as Plex writes them, by hand or out of the truth about a history."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

from tests.support.history import Truth, Work

__all__ = ["Library", "library_of"]

# Columns that the program does not read are left out where there are dozens of them. The index on
# the sorting title has a collation that a plain SQLite lacks, as Plex's has; the table of words
# has a tokenizer that it lacks.
_TABLES: Final = """
CREATE TABLE "metadata_items" ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
 "library_section_id" integer, "parent_id" integer, "metadata_type" integer, "guid" varchar(255),
 "title" varchar(255), "title_sort" varchar(255) COLLATE NOCASE, "original_title" varchar(255),
 "summary" text, "index" integer, "originally_available_at" datetime, "year" integer,
 "added_at" datetime, "deleted_at" datetime, "extra_data" varchar(255), 'remote' integer);
CREATE TABLE "tags" ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "metadata_item_id" integer,
 "tag" varchar(255) COLLATE NOCASE, "tag_type" integer, "extra_data" varchar(255));
CREATE TABLE "taggings" ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
 "metadata_item_id" integer, "tag_id" integer, "index" integer, "created_at" datetime);
CREATE INDEX "index_metadata_items_on_guid" ON "metadata_items" ("guid" );
CREATE INDEX "index_metadata_items_on_parent_id" ON "metadata_items" ("parent_id" );
CREATE INDEX "index_metadata_items_on_metadata_type" ON "metadata_items" ("metadata_type" );
CREATE INDEX "index_title_sort_icu" ON "metadata_items" ("title_sort" COLLATE icu_root);
CREATE INDEX "index_tags_on_tag_type" ON "tags" ("tag_type" );
CREATE INDEX "index_taggings_on_metadata_item_id" ON "taggings" ("metadata_item_id" );
CREATE INDEX "index_taggings_on_tag_id" ON "taggings" ("tag_id" );
"""
_WORDS: Final = (
    "CREATE VIRTUAL TABLE fts4_metadata_titles_icu USING fts4(content='metadata_items', title, "
    "tokenize=collating)"
)
_GENRE, _GUID = 1, 314


class Library:
    """A Plex library database that a test writes."""

    def __init__(self, path: Path, *, wal: bool = False) -> None:
        self.path = path
        self.conn = sqlite3.connect(path)
        self.conn.create_collation("icu_root", lambda one, other: (one > other) - (one < other))
        self.conn.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        self.conn.execute("PRAGMA synchronous = OFF")
        self.conn.executescript(_TABLES)
        # SQLite would refuse to make it here, for want of the tokenizer.
        self.conn.execute("PRAGMA writable_schema = ON")
        self.conn.execute(
            "INSERT INTO sqlite_master VALUES ('table', ?, ?, 0, ?)",
            ("fts4_metadata_titles_icu", "fts4_metadata_titles_icu", _WORDS),
        )
        self.conn.execute("PRAGMA writable_schema = OFF")
        self.conn.commit()
        self._keys = count(9_000_001)

    def item(
        self,
        kind: int,
        title: str,
        guid: str,
        *ids: str,
        key: int | None = None,
        parent: int | None = None,
        **cells: object,
    ) -> int:
        """Write an item with its tags, and return its rating key."""
        row = {
            "id": key or next(self._keys),
            "parent_id": parent,
            "metadata_type": kind,
            "guid": guid,
            "title": title,
            "title_sort": title,
            "library_section_id": 1,
            **cells,
        }
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self.conn.execute(
            f"INSERT OR REPLACE INTO metadata_items ({names}) VALUES ({marks})",  # noqa: S608
            [*row.values()],
        )
        for tag, kind_of_tag in (*((one, _GUID) for one in ids), ("Drama", _GENRE)):
            sql = "INSERT INTO tags (tag, tag_type) VALUES (?, ?)"
            number = self.conn.execute(sql, (tag, kind_of_tag)).lastrowid
            sql = "INSERT INTO taggings (metadata_item_id, tag_id) VALUES (?, ?)"
            self.conn.execute(sql, (row["id"], number))
        return int(str(row["id"]))

    def film(self, title: str, guid: str, *ids: str, **cells: object) -> int:
        """Write a film."""
        return self.item(1, title, guid, *ids, **cells)  # type: ignore[arg-type]

    def show(
        self, title: str, guid: str, *ids: str, episodes: Sequence[str] = (), key: int | None = None
    ) -> int:
        """Write a show with one season, whose episodes have these GUIDs and ids of their own."""
        show = self.item(2, title, guid, *ids, key=key)
        season = self.item(3, "Season 1", f"plex://season/{show:024x}", parent=show, index=1)
        for number, one in enumerate(episodes, 1):
            own = f"tvdb://{8_000_000 + number}", f"imdb://tt{7_000_000 + number}"
            self.item(4, f"Episode {number}", one, *own, parent=season, index=number)
        return show

    def close(self) -> None:
        """Commit and close it. The last connection empties the ``-wal``."""
        self.conn.commit()
        self.conn.close()


def library_of(truth: Truth, path: Path) -> Path:
    """Write the library that the plays of a history are from, as it is at the end of it.

    A rating key has what had it last. Films without a ``plex://`` GUID are there as unmatched.
    """
    with closing(Library(path)) as library:
        seasons: dict[tuple[int, int | None], int] = {}
        shows: dict[int, tuple[int | None, int]] = {}
        keys = sorted(
            {
                (play.rating_key, play.show_key, _newest(work, play.rating_key), work.number)
                for work in truth.works
                for play in work.plays
            },
            key=lambda one: one[2],
        )
        by_number = {work.number: work for work in truth.works}
        for key, show_key, _, number in keys:
            work = by_number[number]
            guids = [play.guid or "" for play in work.plays if play.rating_key == key]
            guid = max(guids, key=lambda one: one.startswith("plex://"))
            ids = tags_of(work.ids) if guid.startswith("plex://") else []
            if work.kind == "movie":
                library.film(work.title, guid, *ids, key=key, year=work.year)
                continue
            assert show_key
            if shows.get(show_key, (None, 0))[0] != work.show_number:
                of_show = f"plex://show/{work.show_number:024x}" if ids else f"local://{show_key}"
                library.item(2, work.show or "", of_show, *ids, key=show_key)
                shows[show_key] = work.show_number, show_key
            place = (show_key, work.season)
            if place not in seasons:
                seasons[place] = library.item(3, "Season", "", parent=show_key, index=work.season)
            library.item(4, work.title, guid, "tvdb://1", key=key, parent=seasons[place])
    return path


def tags_of(ids: Mapping[str, str]) -> list[str]:
    """Return ids as Plex lists them. It has none of AniDB."""
    return [f"{site}://{value}" for site, value in ids.items() if site in ("imdb", "tmdb", "tvdb")]


def _newest(work: Work, key: int) -> int:
    return max(play.started for play in work.plays if play.rating_key == key)
