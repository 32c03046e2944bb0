"""Writing a great many plays quickly.

What makes it quick: one list per table, handed to SQLite in batches; literals in the statement
for the columns that are always empty; and the dozens of columns that depend only on the item, or
only on the way of streaming, put together once.
"""

import json
import sqlite3
from collections.abc import Iterable

from tests.support.history.media import Home
from tests.support.history.people import LIBRARIES, STREAMS, USERS
from tests.support.history.schema import PLAY_TABLES, SERVER_ID, Value, insert_sql

Cells = tuple[Value, ...]

#: The order in which the generator gives the cells of session_history.
HISTORY = (
    *("id", "reference_id", "started", "stopped", "rating_key", "user_id", "user"),
    *("paused_counter", "parent_rating_key", "grandparent_rating_key", "media_type"),
    *("section_id", "view_offset", "bandwidth", "ip_address", "location"),
    *("player", "product", "product_version", "platform", "platform_version", "profile"),
    "machine_id",
)
#: Of session_history_metadata what differs from play to play, before `METADATA`.
METADATA_OF_PLAY = (
    *("id", "guid", "duration", "last_viewed_at", "marker_credits_first"),
    "marker_credits_final",
)
#: Of session_history_metadata what is the same in every play of an item at home.
METADATA = (
    *("rating_key", "parent_rating_key", "grandparent_rating_key", "title", "parent_title"),
    *("grandparent_title", "full_title", "media_index", "parent_media_index", "thumb"),
    *("parent_thumb", "grandparent_thumb", "art", "media_type", "year"),
    *("originally_available_at", "added_at", "updated_at", "live", "summary", "tagline"),
    *("actors", "writers", "directors", "genres", "studio", "content_rating", "rating"),
    "channel_call_sign",
)
#: Of session_history_media_info what differs from play to play, before a stream's columns.
MEDIA_OF_PLAY = ("id", "rating_key", "duration")
STREAM_CELLS: tuple[Cells, ...] = tuple(tuple(stream.values()) for stream in STREAMS)

_CONSTANTS: dict[str, Value] = {"quality_profile": "Original", "secure": 1, "relayed": 0}
_BATCH = 20_000
_TEXTS = METADATA[METADATA.index("summary") :]


class Writer:
    """Collects rows and writes them in batches."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Prepare the three statements."""
        self._conn = conn
        stream = tuple(STREAMS[0])
        bound = (HISTORY, METADATA_OF_PLAY + METADATA, MEDIA_OF_PLAY + stream)
        self._statements = [
            _statement(conn, table, columns)
            for table, columns in zip(PLAY_TABLES, bound, strict=True)
        ]
        self._batches: tuple[list[Cells], list[Cells], list[Cells]] = ([], [], [])

    def add(self, history: Cells, metadata: Cells, media: Cells) -> None:
        """Take the three rows of one play."""
        first, second, third = self._batches
        first.append(history)
        second.append(metadata)
        third.append(media)
        if len(first) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        for statement, batch in zip(self._statements, self._batches, strict=True):
            self._conn.executemany(statement, batch)
            batch.clear()
        self._conn.commit()


def _statement(conn: sqlite3.Connection, table: str, bound: Iterable[str]) -> str:
    columns = [*bound]
    names = [str(row[1]) for row in conn.execute(f"PRAGMA table_info({table})")]
    empty = {name: _CONSTANTS.get(name, "") for name in names if name not in columns}
    return insert_sql(table, columns, empty)


def metadata_cells(home: Home) -> Cells:
    """Return the cells of `METADATA` for an item at home."""
    item = home.item
    show = item.subject.title if item.media_type in {"episode", "track"} else ""
    key, season_key, show_key = home.rating_key, home.season_key or "", home.show_key or ""
    top = show_key or key

    def picture(of: Value, what: str = "thumb") -> str:
        return f"/library/metadata/{of}/{what}/{home.since}" if of else ""

    return (
        *(key, season_key, show_key, item.title, item.parent_title, show),
        f"{show} - {item.title}" if show else item.title,
        *(item.episode_cell, item.season_cell),
        *(picture(key), picture(season_key), picture(show_key), picture(top, "art")),
        *(item.media_type, item.year or "", item.aired),
        *(home.since, home.since + 5000, int(item.kind == "live")),
        *(item.texts.get(name, "") for name in _TEXTS),
    )


def write_people(conn: sqlite3.Connection) -> None:
    """Write the users that are still there, and all libraries."""
    conn.executemany(
        "INSERT INTO users (user_id, username, friendly_name, email, is_admin, is_home_user,"
        " is_restricted, user_token, server_token) VALUES (?, ?, ?, ?, ?, 1, 0, '', '')",
        [
            (user.user_id, user.username, user.friendly_name, f"{n}@example.org", int(n == 0))
            for n, user in enumerate(USERS)
            if not user.deleted
        ],
    )
    conn.executemany(
        "INSERT INTO library_sections (server_id, section_id, section_name, section_type, agent,"
        " count, is_active, deleted_section) VALUES (?, ?, ?, ?, ?, 100, ?, ?)",
        [
            (
                SERVER_ID,
                lib.section,
                lib.name,
                lib.section_type,
                lib.agent,
                not lib.deleted,
                lib.deleted,
            )
            for lib in LIBRARIES
        ],
    )


def write_lookups(conn: sqlite3.Connection, lookups: dict[tuple[str, int], dict[str, str]]) -> None:
    """Write the lookup tables, each with the service's own answer as Tautulli keeps it."""
    for (table, key), ids in lookups.items():
        row: dict[str, Value] = {"rating_key": key, "imdb_id": ids.get("imdb")}
        if "tvdb" in ids:
            row["thetvdb_id"] = int(ids["tvdb"])
        if table == "tvmaze_lookup":
            row |= {"tvmaze_id": key + 40_000, "tvmaze_json": json.dumps({"externals": ids})}
        else:
            row |= {"themoviedb_id": int(ids["tmdb"]), "themoviedb_json": json.dumps(ids)}
        conn.execute(insert_sql(table, row), [*row.values()])


def write_session(conn: sqlite3.Connection, home: Home, started: int) -> None:
    """Write one play that is still going on: it is no history yet."""
    row: dict[str, Value] = {
        "session_key": 7,
        "rating_key": home.rating_key,
        "section_id": int(home.section_id),
        "media_type": home.item.media_type,
        "title": home.item.title,
        "full_title": home.item.title,
        "guid": home.guid,
        "started": started,
        "stopped": 0,
        "state": "playing",
        "user_id": USERS[0].user_id,
        "user": USERS[0].username,
        "view_offset": 60_000,
        "duration": home.item.duration,
    }
    conn.execute(insert_sql("sessions", row), [*row.values()])
