"""The JSON that CrossWatch reads: encoding ours, reading back what is there, merging the two.

Measured on CrossWatch v0.11.3: a byte order mark, or anything malformed, reads as empty and
is then overwritten; an item is what ``minimal`` keeps of it; ``watched_at`` is compared as a
string; on the same key the newer one wins. A pair with "Rewatches" on rewrites the keys of
the whole file to ``key@epoch`` and adds two fields of its own to every entry.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import NotFoundError, SinkError
from ..keys import event_key
from ..models import Movie, Record
from .files import read_bytes

__all__ = [
    "UPLOAD",
    "Entry",
    "Merged",
    "entries_of",
    "event_entries_of",
    "exported",
    "merge",
    "newer_of",
]

UPLOAD: Final = (
    "Settings › Maintenance › Maintenance Tools › Archive & Recovery › CW tracker archive › "
    "Import tracker archive"
)
"""Where CrossWatch takes a tracker file, by its menus (v0.11.3; the last is the upload icon)."""

_EVENT: Final = re.compile(r"@(\d{7,}(~.+)?|id:.+)$")
_encode: Final = msgspec.json.Encoder().encode


class Entry(Struct, frozen=True, gc=False):
    """One entry of a history file: ready to be written, and what merging must know of it."""

    raw: bytes
    watched_at: str
    value: Mapping[str, Any]


class Merged(Struct, frozen=True):
    """A history after merging, entries in ascending ``watched_at`` order."""

    entries: Mapping[str, Entry]
    new: int
    updated: int
    unchanged: int


def entries_of(path: Path) -> dict[str, Entry]:
    """What is in a ``history.json``; nothing where there is no such file.

    Raises:
        SinkError: it is there and is not a history: merging would lose what is in it.
    """
    content = read_bytes(path)
    return {} if content is None else _decoded(content, path)


def exported(path: Path) -> dict[str, Entry]:
    """What a person exported from CrossWatch: ``history.json``, or the ZIP it comes in.

    Raises:
        NotFoundError: there is no such file, or no history in the ZIP.
        SinkError: it is no history.
    """
    content = read_bytes(path) if path.is_file() else None
    if content is None:
        raise NotFoundError(
            f"There is no file {path}.",
            hint="--merge-with takes the archive that CrossWatch exported, or its history.json.",
        )
    if content.startswith(b"PK"):
        content = _history_in_archive(content, path)
    return _decoded(content, path)


def event_entries_of(path: Path | None) -> dict[str, Entry]:
    """An exported history under event keys, as the Editor wants them; nothing without one.

    Raises:
        NotFoundError: there is no such file.
        SinkError: it is no history.
    """
    if path is None:
        return {}
    found: dict[str, Entry] = {}
    for key, entry in exported(path).items():
        epoch = None if _EVENT.search(key) else _epoch(entry.watched_at)
        found[key if epoch is None else event_key(key, epoch)] = entry
    return found


def merge(existing: Mapping[str, Entry], records: Iterable[Record]) -> Merged:
    """Records into what is there, by CrossWatch's own rule; every foreign entry stays.

    On the same key and moment only the fields that we write are ours: what CrossWatch or
    another source has added to the entry stays in it.
    """
    entries = dict(existing)
    new = updated = unchanged = 0
    weak = _weakly_keyed(existing)
    for record in records:
        raw = _encode(record.item)
        when = record.item.watched_at
        for twin in _twins(record, weak):
            entries.pop(twin, None)
        standing = _key_there(record, existing)
        if standing is None:
            entries[record.key] = Entry(raw, when, {})
            new += 1
            continue
        there = existing[standing]
        ours = msgspec.json.decode(raw)
        if there.watched_at > when or there.value == there.value | ours:
            unchanged += 1
            continue
        value = there.value | ours if there.watched_at == when else ours
        entries[standing] = Entry(_encode(value), when, value)
        updated += 1
    ordered = dict(sorted(entries.items(), key=lambda pair: pair[1].watched_at))
    return Merged(ordered, new, updated, unchanged)


def newer_of(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> dict[str, Entry]:
    """Two histories as one: on the same key the newer entry, of equal ones that of ``other``."""
    merged = dict(one)
    for key, entry in other.items():
        if key not in merged or merged[key].watched_at <= entry.watched_at:
            merged[key] = entry
    return merged


def _key_there(record: Record, existing: Mapping[str, Entry]) -> str | None:
    """The key under which this very title or viewing stands there already."""
    if record.key in existing:
        return record.key
    # A pair with "Rewatches" on has rewritten our plain keys.
    event = event_key(record.key, record.epoch)
    return event if event in existing else None


def _weakly_keyed(existing: Mapping[str, Entry]) -> dict[str, list[tuple[str, Entry]]]:
    """The entries that stand under ids of one Plex server only, by key without the event."""
    found: dict[str, list[tuple[str, Entry]]] = {}
    for key, entry in existing.items():
        if key.startswith(("plex:", "guid:")):
            found.setdefault(_EVENT.sub("", key), []).append((key, entry))
    return found


def _twins(record: Record, weak: Mapping[str, Sequence[tuple[str, Entry]]]) -> Iterator[str]:
    """Keys of what is this very title or viewing, written before an external id was known.

    It was then keyed by the Plex rating key or GUID that the item still carries. Of a title
    an older viewing is superseded, as it would be under one key; of viewings only the same.
    """
    if not weak or record.key.startswith(("plex:", "guid:")):
        return
    item = record.item
    ids = item.ids if isinstance(item, Movie) else item.show_ids
    events = bool(_EVENT.search(record.key))
    number = "" if isinstance(item, Movie) else record.key[record.key.index("#") :]
    number = _EVENT.sub("", number)
    for name, value in (("plex", ids.plex), ("guid", ids.guid)):
        for key, entry in weak.get(f"{name}:{value}{number}".lower(), ()):
            same = entry.value.get("title") == item.title
            when = entry.watched_at == item.watched_at
            if not events and not _EVENT.search(key):
                when = entry.watched_at <= item.watched_at
            if same and when and events is bool(_EVENT.search(key)):
                yield key


def _decoded(content: bytes, path: Path) -> dict[str, Entry]:
    """The entries in ``{"ts": …, "items": {…}}``, or in a bare ``{key: item}`` of old times."""
    try:
        state = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
        items = state.get("items")
        if items is None and all(isinstance(v, dict) and "watched_at" in v for v in state.values()):
            items = state
        return {str(key): _entry(value) for key, value in items.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError):
        raise SinkError(
            f"{path} is not a CrossWatch history, so nothing can be merged into it.",
            hint="CrossWatch would read it as empty. Look at it, move it aside, and run again.",
        ) from None


def _entry(value: object) -> Entry:
    """An entry as it stands there; what is no item is carried along and never looked at."""
    item = value if isinstance(value, dict) else {}
    return Entry(_encode(value), str(item.get("watched_at") or ""), item)


def _history_in_archive(content: bytes, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [n for n in archive.namelist() if n.rpartition("/")[2] == "history.json"]
            if names:
                return archive.read(min(names, key=len))
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise SinkError(
            f"{path} cannot be unpacked: {error}.", hint="Export it from CrossWatch once more."
        ) from error
    raise NotFoundError(
        f"There is no history.json in {path}.",
        hint="Export it with 'Tracker state files' ticked.",
    )


def _epoch(watched_at: str) -> int | None:
    try:
        when = datetime.fromisoformat(watched_at)
    except ValueError:
        return None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
