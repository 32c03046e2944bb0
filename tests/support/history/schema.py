"""Empty Tautulli databases, and a way to write single plays into them by hand.

A test that is about one odd row should show that row and nothing else: `add_play` fills in all
that the test does not care about, so that what it names is what matters.

Every helper commits, because what is under test opens the file on a connection of its own.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests.support.history.ddl import INDEXES, OLDEST_PLEXPY, TABLES

__all__ = [
    "OLDEST_PLEXPY",
    "SERVER_ID",
    "VERSION",
    "Value",
    "add_library",
    "add_people",
    "add_play",
    "add_user",
    "create",
    "create_plexpy_2015",
    "create_tables",
    "insert_sql",
]

#: What a cell of any column may hold.
Value = str | int | float | None

#: The version that a new database says it was written by.
VERSION = "v2.17.2"
#: The Plex server that libraries belong to when a test does not say.
SERVER_ID = "f" * 40

PLAY_TABLES = ("session_history", "session_history_metadata", "session_history_media_info")

_FIRST_PLAY = 1_600_000_000
_DAY = 86_400
_TWO_HOURS = 7_200_000
_FORTY_FIVE_MINUTES = 2_700_000


def create(path: str | Path, *, wal: bool = False) -> sqlite3.Connection:
    """Make the database that Tautulli 2.17.2 makes on its first start, with no plays.

    `wal` is Tautulli's own default; it is off here because one file is easier to copy and to
    damage on purpose. The last connection to close empties and removes the `-wal`: a test that
    is about a live database has to keep this connection open.
    """
    conn = _copied(path, _empty())
    if wal:
        conn.execute("PRAGMA journal_mode = WAL")
    return conn


def create_tables(path: str | Path) -> sqlite3.Connection:
    """Make the tables without their indexes, for who fills them first (see `ddl.INDEXES`)."""
    conn = _new(path, TABLES)
    with conn:
        conn.execute("INSERT INTO version_info VALUES ('version', ?)", (VERSION,))
        # Tautulli adds this user itself, for plays by nobody who is signed in.
        conn.execute("INSERT INTO users (user_id, username) VALUES (0, 'Local')")
    return conn


def create_plexpy_2015(path: str | Path) -> sqlite3.Connection:
    """Make a PlexPy database of 2015, which lacks most of today's columns and tables."""
    return _new(path, OLDEST_PLEXPY)


def add_play(conn: sqlite3.Connection, **fields: Value) -> int:
    """Insert one play and return its row id: a watched two-hour film by user 1, unless told.

    Takes any column of the three tables of a play, and writes one that several of them have
    (`rating_key`, `duration`, `media_type` …) to all of them. What is left out follows from what
    is given: an offset that means "watched" for the duration, keys and GUID that are the same
    for the same titles and different for different ones, `reference_id` from `id`. Columns that
    an older database lacks are ignored; a name that no database has is an error, for it is a
    misspelt one.
    """
    unknown = sorted(fields.keys() - _play_columns())
    if unknown:
        msg = f"no table of a play has the column {', '.join(unknown)}"
        raise TypeError(msg)
    row = _defaults(_next_id(conn) if fields.get("id") is None else fields["id"], fields)
    row.update({name: value for name, value in fields.items() if name != "id"})
    with conn:
        for table in PLAY_TABLES:
            columns = [name for name in _columns(conn, table) if name in row]
            conn.execute(insert_sql(table, columns), [row[name] for name in columns])
    return int(str(row["id"]))


def add_user(
    conn: sqlite3.Connection, user_id: int, username: str, friendly_name: str | None = None
) -> None:
    """Insert a user that is still there; a deleted one is a user that no row tells of."""
    _insert(conn, "users", user_id=user_id, username=username, friendly_name=friendly_name)


def add_library(
    conn: sqlite3.Connection,
    section_id: int,
    name: str,
    section_type: str,
    *,
    server_id: str = SERVER_ID,
    deleted: int = 0,
) -> None:
    """Insert a library; names need not be unique, only (server, section) is."""
    _insert(
        conn,
        "library_sections",
        section_id=section_id,
        section_name=name,
        section_type=section_type,
        server_id=server_id,
        deleted_section=deleted,
    )


def add_people(conn: sqlite3.Connection) -> None:
    """Write Alice and Bob, and libraries of films and of shows."""
    add_user(conn, 1, "alice", "Alice")
    add_user(conn, 2, "bob", "Bob")
    add_library(conn, 1, "Films", "movie")
    add_library(conn, 2, "Shows", "show")


def insert_sql(
    table: str, columns: Iterable[str], constants: Mapping[str, Value] | None = None
) -> str:
    """Return an INSERT with a placeholder for every column and literals for the constants.

    A literal costs nothing to bind, which is what makes it worth having: most columns of a real
    play are empty strings, and a million rows bind them 60 million times.
    """
    names = [*columns]
    values = ["?"] * len(names)
    for name, value in (constants or {}).items():
        names.append(name)
        values.append("NULL" if value is None else repr(value))
    # Names come from this package and from the schema, never from data.
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"  # noqa: S608


@cache
def _empty() -> bytes:
    """Return what `create` makes; made once, for hundreds of tests begin with it."""
    with closing(create_tables(":memory:")) as conn:
        conn.executescript(INDEXES)
        return conn.serialize()


def _copied(path: str | Path, content: bytes) -> sqlite3.Connection:
    if path == ":memory:":
        conn = sqlite3.connect(path)
        conn.deserialize(content)
        return conn
    with Path(path).open("xb") as file:
        file.write(content)
    return _hurried(sqlite3.connect(path))


def _new(path: str | Path, script: str) -> sqlite3.Connection:
    if Path(path).exists():
        msg = f"{path} already exists"
        raise FileExistsError(msg)
    conn = _hurried(sqlite3.connect(path))
    with conn:
        conn.executescript(script)
    return conn


def _hurried(conn: sqlite3.Connection) -> sqlite3.Connection:
    """Have commits cost no file: nobody pulls the plug while a test writes its history."""
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("PRAGMA journal_mode = MEMORY")
    return conn


def _insert(conn: sqlite3.Connection, table: str, **fields: Value) -> None:
    present = [name for name in _columns(conn, table) if name in fields]
    with conn:
        conn.execute(insert_sql(table, present), [fields[name] for name in present])


def _columns(conn: sqlite3.Connection, table: str) -> list[str]:
    found = conn.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return [*_columns_of(table, found[0])] if found else []


@cache
def _columns_of(table: str, sql: str) -> Sequence[str]:
    """Return the columns of a table that was made so: a play asks for those of three tables."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute(sql)
        return [str(row[1]) for row in conn.execute(f"PRAGMA table_info({table})")]


@cache
def _play_columns() -> frozenset[str]:
    """Every column that a play can have, in the newest schema."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.executescript(TABLES)
        return frozenset(name for table in PLAY_TABLES for name in _columns(conn, table))


def _next_id(conn: sqlite3.Connection) -> int:
    (highest,) = conn.execute("SELECT max(id) FROM session_history").fetchone()
    return int(highest or 0) + 1


def _defaults(play_id: Value, given: Mapping[str, Value]) -> dict[str, Value]:
    """Fill a whole row around what was given."""
    row: dict[str, Value] = dict.fromkeys(_play_columns(), "")
    kind = str(given.get("media_type") or "movie")
    row |= {
        "id": play_id,
        "reference_id": play_id,
        "media_type": kind,
        "user_id": 1,
        "ip_address": "192.0.2.10",
        "paused_counter": 0,
        "player": "Living room",
        "product": "Plex for Android (TV)",
        "product_version": "9.1.0",
        "platform": "Android",
        "machine_id": "0123456789abcdef",
        "location": "lan",
        "secure": 1,
        "relayed": 0,
        "section_id": 2 if kind == "episode" else 1,
        "live": 0,
        "marker_credits_first": None,
        "marker_credits_final": None,
        "transcode_decision": "direct play",
        "video_decision": "direct play",
        "audio_decision": "direct play",
        "title": "A Film",
        "year": 2010,
        "duration": _TWO_HOURS,
        "started": _FIRST_PLAY + int(str(play_id)) * _DAY,
    }
    if kind == "episode":
        row |= {
            "title": "An Episode",
            "grandparent_title": "A Show",
            "parent_media_index": 1,
            "media_index": 1,
            "duration": _FORTY_FIVE_MINUTES,
        }
    merged = {**row, **given}
    return row | _derived(merged, kind)


def _derived(row: Mapping[str, Value], kind: str) -> dict[str, Value]:
    """Return the defaults that depend on other values, so that equal media get equal keys."""
    season = row["parent_media_index"]
    is_episode = kind == "episode"
    show = f"show/{row['grandparent_title']}"
    item = f"{kind}/{show}/{season}/{row['media_index']}/{row['title']}/{row['year']}"
    duration, started = row["duration"], row["started"]
    length = duration if isinstance(duration, int) else 0
    return {
        "user": f"user{row['user_id']}",
        "rating_key": _key(item),
        "parent_rating_key": _key(f"{show}/{season}") if is_episode else "",
        "grandparent_rating_key": _key(show) if is_episode else "",
        "guid": f"plex://{kind}/{sha256(item.encode()).hexdigest()[:24]}",
        "parent_title": f"Season {season}" if is_episode else "",
        "full_title": f"{row['grandparent_title']} - {row['title']}"
        if is_episode
        else row["title"],
        "originally_available_at": f"{row['year']}-06-15" if row["year"] else "",
        "view_offset": length * 95 // 100,
        "stopped": started + length // 1000 if isinstance(started, int) else None,
    }


def _key(of: str) -> int:
    return 1_000_000 + zlib.crc32(of.encode()) % 1_000_000
