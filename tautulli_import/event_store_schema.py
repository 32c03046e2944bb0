"""What a DuckDB file of playback events looks like, and how one is told from other files.

The columns are those of ``PlaybackEvent``, taken from its fields: there is no second list.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

import msgspec

from .errors import BusyError, SinkError, TautulliImportError
from .models import PlaybackEvent
from .sinks.files import shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "COLUMNS",
    "DEFINITIONS",
    "EVENTS",
    "KEYS",
    "VIEWS",
    "column_of",
    "is_ours",
    "is_plain",
    "is_there",
    "keys_of",
    "run",
    "settled",
    "share_a_key",
    "trouble",
]

EVENTS: Final = "playback_events"
# The table by which our files are known; it holds the number of the layout.
_MARKER: Final = "tautulli_import"
_LAYOUT: Final = 1

_TYPES: Final = {int: "BIGINT", str: "VARCHAR", bool: "BOOLEAN"}
_TIMES: Final = ("timestamp", "started_at", "stopped_at")
_ID: Final = "event_id"
_NEEDED: Final = frozenset({"correlation_key", "started_at", "user_id", "media_type", "title"})
_SQLITE: Final = b"SQLite format 3\0"
_MAGIC: Final = b"DUCK"
_MAGIC_AT: Final = 8
_HEAD: Final = 16
_ANOTHER: Final = "Move it aside, or name another file with --out."
_PLAIN: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"(?: [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z){3}"
).fullmatch
_KIND: Final = re.compile(r"^[A-Za-z ]+ Error: ")
_HOLDER: Final = re.compile(r"held in (?P<program>.*?) ?\(PID (?P<process>[0-9]+)\)")


def _columns() -> Mapping[str, str]:
    """The type in DuckDB of each field of an event, in their order."""
    types = {}
    for field in msgspec.structs.fields(PlaybackEvent):
        plain = next((one for one in get_args(field.type) if one in _TYPES), field.type)
        types[field.name] = _TYPES[plain]
    return types | {_ID: "UUID"} | dict.fromkeys(_TIMES, "TIMESTAMP")


COLUMNS: Final = _columns()
"""The fields of an event, each with its type in DuckDB."""
KEYS: Final = (("event_id",), ("correlation_key",), ("rating_key", "user_id", "started_at"))
"""Fields that two events cannot share; where one of them is NULL they share nothing."""


def column_of(field: str) -> str:
    """The column in which a field stands."""
    return "id" if field == _ID else field


def _table() -> str:
    columns = [
        f'"{column_of(field)}" {kind}{" NOT NULL" if field in _NEEDED else ""}'
        for field, kind in COLUMNS.items()
    ]
    primary, *others = (", ".join(column_of(field) for field in key) for key in KEYS)
    unique = [f"UNIQUE ({key})" for key in others]
    return f"CREATE TABLE {EVENTS} ({', '.join([*columns, f'PRIMARY KEY ({primary})', *unique])})"


_KINDS: Final = (
    "count(*) FILTER (WHERE media_type = 'movie') AS films, "
    "count(*) FILTER (WHERE media_type = 'episode') AS episodes, "
    "count(*) FILTER (WHERE media_type = 'track') AS tracks"
)
# Tenths of an hour, counted in whole numbers, half a tenth upwards. DuckDB 1 rounds 6.05 to 6.1
# and DuckDB 2 (2026) to 6.0: round() is not used on fractions here.
_HOURS: Final = (
    "CAST((coalesce(sum(play_duration), 0) + 180) // 360 AS DOUBLE) / CAST(10 AS DOUBLE) AS hours"
)
_MUCH: Final = (
    f"count(*) AS plays, {_HOURS}, count(DISTINCT user_id) AS viewers, "
    "max(started_at) AS last_played"
)

VIEWS: Final[Mapping[str, str]] = {
    "plays_per_month": (
        f"SELECT strftime(started_at, '%Y-%m') AS month, {_KINDS}, {_HOURS} "  # noqa: S608 - ours
        f"FROM {EVENTS} GROUP BY month ORDER BY month"
    ),
    "top_shows": (
        f"SELECT grandparent_title AS title, {_MUCH} FROM {EVENTS} "  # noqa: S608 - ours
        "WHERE media_type = 'episode' AND grandparent_title IS NOT NULL "
        "GROUP BY grandparent_title ORDER BY plays DESC, grandparent_title"
    ),
    "top_films": (
        f"SELECT title, year, {_MUCH} FROM {EVENTS} "  # noqa: S608 - ours
        "WHERE media_type = 'movie' GROUP BY title, year ORDER BY plays DESC, title, year"
    ),
    "plays_per_user": (
        "SELECT user_id, "  # noqa: S608 - ours
        "arg_max(coalesce(friendly_name, username), started_at) AS name, "
        f"count(*) AS plays, {_KINDS}, {_HOURS}, max(started_at) AS last_played "
        f"FROM {EVENTS} GROUP BY user_id ORDER BY plays DESC, user_id"
    ),
}
"""What a person wants to see first, by name. Months are UTC; hours leave pauses out."""

_POISON: Final = (
    "CREATE TABLE poison_messages (stream VARCHAR NOT NULL, sequence BIGINT NOT NULL, "
    "subject VARCHAR NOT NULL, reason VARCHAR NOT NULL, payload BLOB NOT NULL, "
    "received_at TIMESTAMP NOT NULL)"
)
DEFINITIONS: Final[Sequence[str]] = (
    _table(),
    "CREATE TABLE checkpoints (job VARCHAR NOT NULL, reached BLOB NOT NULL)",
    _POISON,
    *(f"CREATE VIEW {name} AS {query}" for name, query in VIEWS.items()),
    f"CREATE TABLE {_MARKER} (layout INTEGER NOT NULL)",
    f"INSERT INTO {_MARKER} VALUES ({_LAYOUT})",  # noqa: S608 - ours
)
"""The statements that make an empty file ours."""


def run(db: DuckDBPyConnection, query: str, *values: object) -> list[Any]:
    """All rows of the answer: an unread one would block the next statement."""
    return db.execute(query, values).fetchall()


def is_plain(event: PlaybackEvent) -> bool:
    """Whether it is written as ``settled`` writes it; those of our own are."""
    stopped = event.started_at if event.stopped_at is None else event.stopped_at
    said = f"{event.event_id} {event.started_at} {event.timestamp} {stopped}"
    return _PLAIN(said) is not None and event.rating_key != ""


def settled(event: PlaybackEvent) -> PlaybackEvent:
    """The event as the table takes it: the same thing is always written the same way.

    The id is a UUID in lower case; times are UTC and end with Z; an empty rating key is none. What
    is not Unicode in a text is replaced.

    Raises:
        ValueError: it cannot be stored, and why.
    """
    changes: dict[str, object] = {"rating_key": event.rating_key or None}
    if not event.stopped_at:
        event = msgspec.structs.replace(event, stopped_at=None)
    try:
        changes["event_id"] = str(UUID(event.event_id))
    except ValueError:
        raise ValueError(f"its event_id is no UUID: {event.event_id[:50]!r}") from None
    for field, kind in COLUMNS.items():
        value = getattr(event, field)
        if kind == "TIMESTAMP" and value is not None:
            changes[field] = _utc(field, value)
        elif kind == "VARCHAR" and value and not value.isascii():
            changes[field] = value.encode("utf-8", "replace").decode()
    return msgspec.structs.replace(event, **changes)


def _utc(field: str, value: str) -> str:
    """A moment as DuckDB understands it: it would take no notice of an offset."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError(f"its {field} is no time: {value[:50]!r}") from None
    return f"{moment.isoformat()}Z"


def keys_of(event: PlaybackEvent) -> Sequence[object]:
    """What a settled event cannot share with another; without a rating key it has one less."""
    keys = [("id", event.event_id), ("correlation_key", event.correlation_key)]
    if event.rating_key is None:
        return keys
    return [*keys, (event.rating_key, event.user_id, event.started_at)]


def share_a_key(events: Sequence[PlaybackEvent]) -> bool:
    """Whether two settled events are the same play; that is rare, and quickly seen."""
    plays = [(e.rating_key, e.user_id, e.started_at) for e in events if e.rating_key is not None]
    return (
        len({event.event_id for event in events}) < len(events)
        or len({event.correlation_key for event in events}) < len(events)
        or len(set(plays)) < len(plays)
    )


def is_there(path: Path) -> bool:
    """Whether there is a DuckDB file; an empty one is none yet.

    Raises:
        SinkError: it is something else, or cannot be looked at.
    """
    head = b""
    real = os.path.realpath(path)
    # What follows a ? it takes for something else than a part of the name.
    if "?" in real or os.fsencode(real) != shown(Path(real)).encode():
        raise SinkError(
            f"DuckDB cannot use {shown(path)}: it takes no question mark in a name, and nothing "
            "that is not UTF-8.",
            hint="Name another file with --out.",
        )
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            with path.open("rb") as file:
                head = file.read(_HEAD)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SinkError(
            f"{shown(path)} cannot be read: {error.strerror or error}.",
            hint="Mend its permissions, or name another file with --out.",
        ) from error
    if not stat.S_ISREG(kind):
        what = "a directory" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise SinkError(f"{shown(path)} is {what}, not a file.", hint="Name a file with --out.")
    if head and head[_MAGIC_AT:][: len(_MAGIC)] != _MAGIC:
        what = "an SQLite database" if head.startswith(_SQLITE) else "something else"
        raise SinkError(f"{shown(path)} is {what}, not a DuckDB file.", hint=_ANOTHER)
    return bool(head)


def is_ours(db: DuckDBPyConnection, path: Path) -> bool:
    """Whether the open file at ``path`` has our tables; false where it has none at all.

    Raises:
        SinkError: what is in it was put there by somebody else, or by another version.
    """
    tables = run(
        db,
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()",
    )
    if not tables:
        return False
    if (_MARKER,) not in tables:
        raise SinkError(f"{shown(path)} is another program's DuckDB file.", hint=_ANOTHER)
    layout = run(db, f"SELECT max(layout) FROM {_MARKER}")[0][0]  # noqa: S608 - our own words
    if layout != _LAYOUT:
        raise SinkError(
            f"{shown(path)} was written by a newer version of tautulli-import (its layout is "
            f"{layout}, this version knows {_LAYOUT}).",
            hint="Use that version, or name another file with --out.",
        )
    return True


def trouble(path: Path, said: str) -> TautulliImportError:
    """What DuckDB said about the file at ``path``, as an error of ours."""
    said = _KIND.sub("", said.strip().partition("\n")[0])
    if "Could not set lock" in said:
        holder = _HOLDER.search(said)
        who = f" ({holder['program']}, process {holder['process']})" if holder else ""
        return BusyError(
            f"{shown(path)} is open in another program{who}.",
            hint="DuckDB lets only one in. Close it there, or wait for it, and run this again.",
        )
    if "different configuration" in said:
        return BusyError(f"{shown(path)} is open already.", hint="Name another file with --out.")
    if "JSON transform error" in said:
        return SinkError(
            f"What was to go into {shown(path)} does not fit: {said.rpartition(', in line ')[2]}",
            hint="This is a fault of the program that made it. Please report it.",
        )
    return SinkError(
        f"{shown(path)} cannot be read or written: {said}",
        hint="What was in it before is still there. Make room, mend its permissions, or name "
        "another file with --out.",
    )
