"""Find the columns of a Tautulli database, and build the query that reads its plays.

Databases of ten years must be readable. A PlexPy database of 2015 has no ``reference_id``, no
``live``, no credits markers and no libraries. A missing column is read as NULL and reported once.
Nothing here guesses.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence, Set as AbstractSet
from typing import Final

from msgspec import Struct

from ...errors import SourceDamagedError

__all__ = ["HISTORY_TABLES", "TABLES", "Schema", "columns_of", "extent", "quoted", "read_schema"]

_HISTORY: Final = "session_history"
_METADATA: Final = "session_history_metadata"
_MEDIA_INFO: Final = "session_history_media_info"
HISTORY_TABLES: Final = {"h": _HISTORY, "m": _METADATA, "i": _MEDIA_INFO}
"""The tables that hold a play, by their aliases in queries."""
TABLES: Final = frozenset(
    {
        *HISTORY_TABLES.values(),
        *("users", "library_sections", "themoviedb_lookup", "tvmaze_lookup"),
    }
)
"""All tables that are read."""
_HINT: Final = (
    "Tautulli's database is tautulli.db in its data directory (/config in the container)."
)

# Field of Play -> the columns that may hold it. The first column that the database has is read.
# Tautulli moved the section from one table to another, so there the first filled column is read.
# The metadata's rating keys come first, because Tautulli's API shows those (2.17.2).
_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("h.id",),
    "reference_id": ("h.reference_id",),
    "started": ("h.started",),
    "stopped": ("h.stopped",),
    "user_id": ("h.user_id",),
    "user": ("h.user",),
    "section_id": ("h.section_id", "m.section_id", "m.library_id"),
    "media_type": ("h.media_type", "m.media_type"),
    "live": ("m.live",),
    "rating_key": ("m.rating_key", "h.rating_key"),
    "grandparent_rating_key": ("m.grandparent_rating_key", "h.grandparent_rating_key"),
    "title": ("m.title",),
    "grandparent_title": ("m.grandparent_title",),
    "season": ("m.parent_media_index",),
    "episode": ("m.media_index",),
    "year": ("m.year",),
    "guid": ("m.guid",),
    "view_offset": ("h.view_offset",),
    "duration": ("m.duration",),
    "credits_first": ("m.marker_credits_first",),
    "credits_final": ("m.marker_credits_final",),
    # Only a history from Tautulli's API has these two.
    "percent": ("h.percent",),
    "watched": ("h.watched",),
    "aired": ("m.originally_available_at",),
    "paused_counter": ("h.paused_counter",),
    "parent_rating_key": ("m.parent_rating_key", "h.parent_rating_key"),
}
# Field of Details -> its column. A database has no friendly name with its plays, so that is looked
# up in the table of users, as Tautulli's API does it (2.17.2).
_DETAILS: Final[dict[str, str]] = {
    "friendly_name": "h.friendly_name",
    "parent_title": "m.parent_title",
    "platform": "h.platform",
    "player": "h.player",
    "product": "h.product",
    "machine_id": "h.machine_id",
    "ip_address": "h.ip_address",
    "location": "h.location",
    "transcode_decision": "i.transcode_decision",
    "secure": "h.secure",
    "relayed": "h.relayed",
    "platform_version": "h.platform_version",
    "product_version": "h.product_version",
    "video_resolution": "i.video_resolution",
    "video_codec": "i.video_codec",
    "video_dynamic_range": "i.video_dynamic_range",
    "audio_codec": "i.audio_codec",
    "audio_channels": "i.audio_channels",
    "stream_bitrate": "i.stream_bitrate",
    "bandwidth": "h.bandwidth",
}
_LOWEST: Final = -(2**63)
_IDENTITY: Final = ("h.started", "h.user_id")
# Tautulli often writes '' into these INTEGER columns, for example as the season of a film.
_OFTEN_EMPTY: Final = frozenset(
    {"grandparent_rating_key", "parent_rating_key", "season", "episode", "year", "duration"}
)
# Tautulli 2.2.3-beta left the title empty. Then the full title has it: ``Show - Title``.
_FULL_TITLE: Final = {"m.title", "m.full_title", "m.grandparent_title"}
_TITLE: Final = (
    "CASE WHEN m.title <> '' THEN m.title"
    " WHEN instr(m.full_title, m.grandparent_title || ' - ') = 1"
    " THEN substr(m.full_title, length(m.grandparent_title) + 4)"
    " WHEN m.full_title <> '' THEN m.full_title ELSE m.title END"
)
_USER: Final = ("user_id", "username", "friendly_name")
_ESSENTIAL: Final = ("id", "started", "media_type", "title")
# What a person loses when a column is missing. Other columns are not worth a notice.
_LOSSES: Final = {
    "section_id": "plays cannot be chosen by library",
    "live": "live TV cannot be told from films and episodes",
    "guid": "no external ids can be read from the plays themselves",
    "view_offset": "how far a play got is not known",
    "duration": "how far a play got is not known",
}


class Schema(Struct, frozen=True):
    """The queries that fit one database."""

    query: str
    """Select the fields of ``Play`` in their order, and the sum of what is absent.

    Absent metadata counts 1, absent media info 2. Parameters: the id before the first row, the
    last id, and the number of rows.
    """
    detailed: str
    """The same, with the fields of ``Details`` and the row's checksum after those of ``Play``."""
    checksums: str
    """Count the rows between two ids, and sum up their checksums and what is absent."""
    columns: Mapping[str, str]
    """The alias and name of the column of each field of ``Play`` and ``Details``."""
    expressions: Mapping[str, str]
    """The SQL for each field of ``Play``. It is ``NULL`` if the database has no such column."""
    joined: str
    """The FROM clause of the tables that hold a play."""
    lacks_metadata: str
    """SQL that is true for a row without metadata. It reads both rows up to their last value.

    There SQLite fails if the values of a row have not the length of the row.
    """
    has_media_info: bool
    """False if the database has no table for it."""
    missing: tuple[str, ...]
    """Sentences about missing columns."""
    tables: frozenset[str]
    sections: str
    """Count the plays of each section. Empty if the database has no sections."""


def read_schema(connection: sqlite3.Connection, shown: str, tables: frozenset[str]) -> Schema:
    """Return the schema of a database with these tables. ``shown`` is its name in messages.

    Raises:
        SourceDamagedError: it is not Tautulli's, or it lacks a column of every Tautulli.
        sqlite3.Error: it cannot be read.
    """
    absent = [table for table in (_HISTORY, _METADATA) if table not in tables]
    if absent:
        raise SourceDamagedError(_not_tautulli(shown, tables, absent), hint=_HINT)
    columns = {
        f"{alias}.{name}"
        for alias, table in HISTORY_TABLES.items()
        for name in columns_of(connection, table)
    }
    chosen = {
        field: [place for place in places if place in columns] for field, places in _PLACES.items()
    }
    for field in _ESSENTIAL:
        if not chosen[field]:
            raise SourceDamagedError(
                f"{shown} has no column for {field}. "
                "Neither Tautulli nor PlexPy wrote this history.",
                hint=_HINT,
            )
    missing = tuple(
        f"{shown} is from a time before Tautulli kept {field}: {loss}."
        for field, loss in _LOSSES.items()
        if not chosen[field]
    )
    has_info = _MEDIA_INFO in tables
    expressions = {field: _expression(field, at, columns) for field, at in chosen.items()}
    selected = ", ".join(expressions.values())
    join = f"LEFT JOIN {_MEDIA_INFO} i ON i.id = h.id " if has_info else ""
    lacks_metadata = (
        f"((h.{_last_column(connection, _HISTORY)} IS NULL)"
        f" | (m.{_last_column(connection, _METADATA)} IS NULL)) AND m.id IS NULL"
    )
    absence = f"({lacks_metadata})" + (" + 2 * (i.id IS NULL)" if has_info else "")
    tables_joined = f"FROM {_HISTORY} h LEFT JOIN {_METADATA} m ON m.id = h.id {join}"
    checksum = _checksum([name for name in _IDENTITY if name in columns])
    known = {name for name in columns_of(connection, "users") if name in _USER}
    details = [_detail(place, columns, known) for place in _DETAILS.values()]
    while details and details[-1] == "NULL":  # each one would take time in every row
        details.pop()
    query, detailed = (
        f"SELECT {selected}, {more}{absence} {tables_joined}"
        "WHERE h.id > ? AND h.id <= ? ORDER BY h.id LIMIT ?"
        for more in ("", ", ".join([*details, checksum, ""]))
    )
    found = {field: places[0] for field, places in chosen.items() if places}
    found |= {field: place for field, place in _DETAILS.items() if place in columns}
    return Schema(
        query=query,
        detailed=detailed,
        checksums=f"SELECT count(*), coalesce(sum({checksum} + ({absence})), 0) {tables_joined}"
        "WHERE h.id > ? AND h.id <= ?",
        columns=found,
        expressions=expressions,
        joined=tables_joined,
        lacks_metadata=lacks_metadata,
        has_media_info=has_info,
        missing=missing,
        tables=tables,
        sections=_sections(chosen["section_id"]),
    )


def _checksum(columns: Sequence[str]) -> str:
    """Return SQL for a small number that changes with the row's id and with each of ``columns``.

    The number is always an integer: a product that is too large becomes a REAL, and the CAST cuts
    that to the largest integer.
    """
    parts = " + ".join(f"coalesce({name}, 3) * {2 * at + 3}" for at, name in enumerate(columns))
    return f"(CAST({parts} AS INTEGER) % 1000003) * ((h.id & 1023) + 1)"


def _sections(places: list[str]) -> str:
    """Return the query that counts the plays of each section; empty without such a column."""
    if not places:
        return ""
    needed = any(place.startswith("m.") for place in places)
    join = f" LEFT JOIN {_METADATA} m ON m.id = h.id" if needed else ""
    return (
        f"SELECT {_expression('section_id', places)}, count(*)"  # noqa: S608 - names from the lists above
        f" FROM {_HISTORY} h{join} GROUP BY 1"
    )


def extent(db: sqlite3.Connection, shown: str) -> tuple[int, int, int, int]:
    """Return the number of rows, the first and the last id, and the start of the newest play.

    The start is in epoch seconds, 0 if it is not known. It is the newest of the last 1000 ids.

    Raises:
        SourceDamagedError: the first id is the lowest of all, so nothing can be read after one.
        sqlite3.Error: the file cannot be read.
    """
    count, first, last = db.execute(
        "SELECT count(*), coalesce(min(id), 1), coalesce(max(id), 0) FROM session_history"
    ).fetchone()
    if first == _LOWEST:
        raise SourceDamagedError(
            f"{shown} has a play with the id {_LOWEST}, which Tautulli never gives.",
            hint="Read one of Tautulli's backups.",
        )
    (newest,) = db.execute(
        "SELECT coalesce(max(started), 0) FROM session_history"
        " WHERE id > ? - 1000 AND typeof(started) = 'integer'",
        (last,),
    ).fetchone()
    return count, first, last, newest


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the columns of a table; none if it does not exist."""
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(str(name) for (name,) in rows)


def quoted(name: str) -> str:
    """Return a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _last_column(connection: sqlite3.Connection, table: str) -> str:
    query = "SELECT name FROM pragma_table_info(?) ORDER BY cid DESC LIMIT 1"
    ((name,),) = connection.execute(query, (table,))
    return quoted(str(name))


def _detail(place: str, columns: set[str], users: set[str]) -> str:
    """Return SQL for a field of ``Details``. ``users`` are columns of the table of users."""
    if place in columns:
        return place
    if place != _DETAILS["friendly_name"]:
        return "NULL"
    if not {"user_id", "username"} <= users or "h.user_id" not in columns:
        return "NULL"
    name = "username"
    if "friendly_name" in users:
        name = "iif(trim(coalesce(friendly_name, '')) = '', username, friendly_name)"
    return f"(SELECT {name} FROM users WHERE users.user_id = h.user_id LIMIT 1)"  # noqa: S608 - our own names


def _expression(field: str, places: list[str], columns: AbstractSet[str] = frozenset()) -> str:
    """Return SQL for a field of ``Play`` that is in one of these columns."""
    if not places:
        return "NULL"
    if field == "title" and columns >= _FULL_TITLE:
        return _TITLE
    if field == "section_id" and len(places) > 1:
        return "coalesce(" + ", ".join(f"nullif({place}, '')" for place in places) + ")"
    return f"nullif({places[0]}, '')" if field in _OFTEN_EMPTY else places[0]


def _not_tautulli(shown: str, tables: frozenset[str], absent: list[str]) -> str:
    if not tables:
        return f"{shown} is a SQLite database without tables."
    if _HISTORY in tables:
        return f"{shown} looks like Tautulli's database but has no table {absent[0]}."
    some = ", ".join(sorted(tables)[:4])
    return f"{shown} is the SQLite database of another program (with the tables {some} …)."
