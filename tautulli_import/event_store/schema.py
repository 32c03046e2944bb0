"""Define the tables of a DuckDB file of playback events, and recognise such a file.

The columns are generated from the fields of ``PlaybackEvent``, so that there is no second list.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

import msgspec

from ..directory import exchangeable, is_trusted, located
from ..errors import BusyError, SinkError, TautulliImportError
from ..formatting import shown
from ..model.events import PlaybackEvent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "COLUMNS",
    "DEFINITIONS",
    "EVENTS",
    "KEYS",
    "VIEWS",
    "column_of",
    "failure",
    "is_ours",
    "is_plain",
    "is_there",
    "keys_of",
    "normalised",
    "run",
    "share_a_key",
]

EVENTS: Final = "playback_events"
# The table that marks our files. It holds the number of the layout.
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
_ANOTHER: Final = "Move it away, or choose another file with --out."
_PLAIN: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"(?: [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z){3}"
).fullmatch
_KIND: Final = re.compile(r"^[A-Za-z ]+ Error: ")
_HOLDER: Final = re.compile(r"held in (?P<program>.*?) ?\(PID (?P<process>[0-9]+)\)")


def _columns() -> Mapping[str, str]:
    """Return the DuckDB type of each field of an event, in the order of the fields."""
    types = {}
    for field in msgspec.structs.fields(PlaybackEvent):
        plain = next((one for one in get_args(field.type) if one in _TYPES), field.type)
        types[field.name] = _TYPES[plain]
    return types | {_ID: "UUID"} | dict.fromkeys(_TIMES, "TIMESTAMP")


COLUMNS: Final = _columns()
"""The fields of an event with their DuckDB types."""
KEYS: Final = (("event_id",), ("correlation_key",), ("rating_key", "user_id", "started_at"))
"""The unique keys. Two events are the same play if one of these is equal and has no NULL."""


def column_of(field: str) -> str:
    """Return the name of a field's column."""
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
"""Views for a first look at the data, by name. Months are UTC. Hours exclude pauses."""

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
"""The statements that create all tables and views in an empty file."""


def run(db: DuckDBPyConnection, query: str, *values: object) -> list[Any]:
    """Execute a statement and return all rows. An unread result would block the next statement."""
    return db.execute(query, values).fetchall()


def is_plain(event: PlaybackEvent) -> bool:
    """Return whether ``normalised`` would change nothing but texts. True for our own events."""
    stopped = event.started_at if event.stopped_at is None else event.stopped_at
    said = f"{event.event_id} {event.started_at} {event.timestamp} {stopped}"
    return _PLAIN(said) is not None and event.rating_key != ""


def normalised(event: PlaybackEvent) -> PlaybackEvent:
    """Return the event in the form that the table stores.

    The id is a UUID in lower case. Times are UTC and end with Z. An empty rating key becomes
    ``None``. Lone surrogates in texts are replaced.

    Raises:
        ValueError: the event cannot be stored. The text is the reason.
    """
    changes: dict[str, object] = {"rating_key": event.rating_key or None}
    if not event.stopped_at:
        event = msgspec.structs.replace(event, stopped_at=None)
    try:
        changes["event_id"] = str(UUID(event.event_id))
    except ValueError:
        raise ValueError(f"its event_id is not a UUID: {event.event_id[:50]!r}") from None
    for field, kind in COLUMNS.items():
        value = getattr(event, field)
        if kind == "TIMESTAMP" and value is not None:
            changes[field] = _utc(field, value)
        elif kind == "VARCHAR" and value and not value.isascii():
            changes[field] = value.encode("utf-8", "replace").decode()
    return msgspec.structs.replace(event, **changes)


def _utc(field: str, value: str) -> str:
    """Return a time in UTC without an offset. DuckDB would ignore the offset.

    Raises:
        ValueError: the value is not a time.
    """
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError(f"its {field} is not a time: {value[:50]!r}") from None
    return f"{moment.isoformat()}Z"


def keys_of(event: PlaybackEvent) -> Sequence[object]:
    """Return the unique keys of a normalised event: two without a rating key, otherwise three."""
    keys = [("id", event.event_id), ("correlation_key", event.correlation_key)]
    if event.rating_key is None:
        return keys
    return [*keys, (event.rating_key, event.user_id, event.started_at)]


def share_a_key(events: Sequence[PlaybackEvent]) -> bool:
    """Return whether two of the normalised events are the same play. This is rare."""
    plays = [(e.rating_key, e.user_id, e.started_at) for e in events if e.rating_key is not None]
    return (
        len({event.event_id for event in events}) < len(events)
        or len({event.correlation_key for event in events}) < len(events)
        or len(set(plays)) < len(plays)
    )


def is_there(path: Path) -> bool:
    """Return whether there is a DuckDB file. An empty file counts as absent.

    Raises:
        SinkError: it is not a DuckDB file, cannot be read, or has a name that DuckDB cannot use.
    """
    head = b""
    real = os.path.realpath(path)
    # DuckDB takes what follows a question mark for options.
    if "?" in real or os.fsencode(real) != shown(Path(real)).encode():
        raise SinkError(
            f"DuckDB cannot use {shown(path)}, because the name has a question mark or is not "
            "UTF-8.",
            hint="Choose another file with --out.",
        )
    _check_place(path)
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
            hint="Check its permissions, or choose another file with --out.",
        ) from error
    if not stat.S_ISREG(kind):
        what = "a directory" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise SinkError(f"{shown(path)} is {what}, not a file.", hint="Choose a file with --out.")
    if head and head[_MAGIC_AT:][: len(_MAGIC)] != _MAGIC:
        what = "an SQLite database" if head.startswith(_SQLITE) else "another kind of file"
        raise SinkError(f"{shown(path)} is {what}, not a DuckDB file.", hint=_ANOTHER)
    return bool(head)


def _check_place(path: Path) -> None:
    """Check that DuckDB, which opens files by name, cannot be led to another file.

    Raises:
        SinkError: another user can exchange the file or its log, or put links in their place.
    """
    found = exchangeable(path.parent)
    if found is not None:
        where, info = found
        if info.st_uid in (0, os.geteuid()):
            who, hint = "Every user", f"Run: chmod o-w {shlex.quote(shown(where))}"
        else:
            who = f"Another user (uid {info.st_uid})"
            hint = "Run this command as that user, or choose a file in a directory of your own."
        raise SinkError(
            f"{who} can exchange files in {shown(where)}. DuckDB opens its files by name, so it is "
            "not used there.",
            hint=hint,
        )
    with (
        suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError),
        located(path) as (directory, name, _),
    ):
        for one in (name, f"{name}.wal"):
            there = directory.stat(one)
            if there is None or is_trusted(there):
                continue
            if stat.S_ISLNK(there.st_mode) or directory.is_shared:
                raise SinkError(
                    f"{shown(directory.path / one)} belongs to another user (uid {there.st_uid}), "
                    "so it is not used.",
                    hint="Choose another file with --out.",
                )


def is_ours(db: DuckDBPyConnection, path: Path) -> bool:
    """Return whether the open file at ``path`` has our tables. False if it has no tables.

    Raises:
        SinkError: it has tables of another program, or of another version of this one.
    """
    tables = run(
        db,
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()",
    )
    if not tables:
        return False
    if (_MARKER,) not in tables:
        raise SinkError(f"{shown(path)} is a DuckDB file of another program.", hint=_ANOTHER)
    layout = run(db, f"SELECT max(layout) FROM {_MARKER}")[0][0]  # noqa: S608 - our own words
    if layout != _LAYOUT:
        raise SinkError(
            f"{shown(path)} was written by a newer version of tautulli-import (layout {layout}; "
            f"this version knows layout {_LAYOUT}).",
            hint="Update tautulli-import, or choose another file with --out.",
        )
    return True


def failure(path: Path, said: str) -> TautulliImportError:
    """Return the error to raise when DuckDB failed on the file at ``path`` with the words ``said``.

    The words are those of DuckDB 1.2 to 2.0 (2026).
    """
    said = _KIND.sub("", said.strip().partition("\n")[0])
    if "Could not set lock" in said:
        holder = _HOLDER.search(said)
        who = f" ({holder['program']}, process {holder['process']})" if holder else ""
        return BusyError(
            f"{shown(path)} is open in another program{who}.",
            hint="Only one program at a time can open a DuckDB file. Close it there, and run the "
            "same command again.",
        )
    if "different configuration" in said:
        return BusyError(
            f"{shown(path)} is already open in this run.", hint="Choose another file with --out."
        )
    if "JSON transform error" in said:
        return SinkError(
            f"An event does not fit into {shown(path)}: {said.rpartition(', in line ')[2]}",
            hint="This is a bug in the program that made the event. Please report it.",
        )
    return SinkError(
        f"{shown(path)} cannot be read or written: {said}",
        hint="Nothing in it was lost. Make room, check its permissions, or choose another file "
        "with --out.",
    )
