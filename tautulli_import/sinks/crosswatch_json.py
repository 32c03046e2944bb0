"""The JSON that CrossWatch reads: encoding ours, and reading back what is there.

Facts of CrossWatch v0.11.3: a byte order mark, or anything malformed, reads as empty and is
then overwritten; an item is what ``minimal`` keeps of it; ``watched_at`` is compared as a
string; on the same key the newer one wins and an equal one replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import NotFoundError, SinkError
from ..keys import event_key
from ..models import Record
from .files import read_bytes

__all__ = ["IMPORT_FILE", "Entry", "Merged", "entries_of", "event_entries_of", "exported", "merge"]

IMPORT_FILE: Final = "Settings › Maintenance › Archive & Recovery › Import file"
"""Where CrossWatch takes a history file, by its menu (v0.11.3)."""

_encode: Final = msgspec.json.Encoder().encode


class Entry(Struct, frozen=True, gc=False):
    """One entry of a history file: ready to be written, and what merging must know of it."""

    raw: bytes
    watched_at: str
    value: Mapping[str, Any] | None = None
    """The decoded item, where it was read from a file."""


class Merged(Struct, frozen=True):
    """A history after merging, entries in ascending ``watched_at`` order."""

    entries: Mapping[str, Entry]
    new: int
    updated: int
    unchanged: int
    replaced: int
    """Entries of ours under a weaker key that the same play had before its ids were known."""


def entries_of(path: Path) -> dict[str, Entry]:
    """What is in a ``history.json``; nothing where there is no such file.

    Raises:
        SinkError: it is there and is not a history: merging would lose what is in it.
    """
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        state = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
        items = state["items"]
        return {
            str(key): Entry(_encode(value), str(value.get("watched_at") or ""), value)
            for key, value in items.items()
        }
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        raise SinkError(
            f"{path} is not a CrossWatch history, so nothing can be merged into it.",
            hint="CrossWatch would read it as empty. Look at it, move it aside, and run again.",
        ) from None


def exported(path: Path) -> dict[str, Entry]:
    """What is in the ``history.json`` that a person exported from CrossWatch.

    Raises:
        NotFoundError: there is no such file.
        SinkError: it is no history.
    """
    if not path.is_file():
        raise NotFoundError(
            f"There is no file {path}.",
            hint="--merge-with takes the history.json that CrossWatch exported.",
        )
    return entries_of(path)


def event_entries_of(path: Path | None) -> dict[str, Mapping[str, Any]]:
    """An exported history under event keys, as the Editor wants them; nothing without one.

    Raises:
        NotFoundError: there is no such file.
        SinkError: it is no history.
    """
    if path is None:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for key, entry in exported(path).items():
        try:
            when = datetime.fromisoformat(entry.watched_at)
        except ValueError:
            found[key] = entry.value or {}
        else:
            base = key.partition("@")[0]
            found[event_key(base, int(when.timestamp()))] = entry.value or {}
    return found


def merge(existing: Mapping[str, Entry], records: Iterable[Record]) -> Merged:
    """Records into what is there, by CrossWatch's own rule; every foreign entry stays."""
    entries = dict(existing)
    new = updated = unchanged = replaced = 0
    by_moment: dict[str, list[str]] = {}
    for key, entry in existing.items():
        by_moment.setdefault(entry.watched_at, []).append(key)
    for record in records:
        there = existing.get(record.key)
        ours = Entry(_encode(record.item), record.item.watched_at)
        if there is None:
            for key in by_moment.get(ours.watched_at, ()):
                if key in entries and _is_twin(existing[key], key, record):
                    del entries[key]
                    replaced += 1
            entries[record.key] = ours
            new += 1
        elif there.watched_at > ours.watched_at or there.value == msgspec.json.decode(ours.raw):
            unchanged += 1
        else:
            entries[record.key] = ours
            updated += 1
    ordered = dict(sorted(entries.items(), key=lambda pair: pair[1].watched_at))
    return Merged(ordered, new, updated, unchanged, replaced)


def _is_twin(entry: Entry, key: str, record: Record) -> bool:
    """Whether an entry is this very play, written before an external id was known.

    It was then keyed by the Plex rating key or GUID that the item still carries.
    """
    value = entry.value or {}
    base, _, event = key.partition("@")
    if bool(event) != ("@" in record.key):
        return False
    item = msgspec.to_builtins(record.item)
    ids = item.get("show_ids") or item["ids"]
    weak = {f"{name}:{ids[name]}".lower() for name in ("plex", "guid") if name in ids}
    same = all(
        value.get(field) == item.get(field)
        for field in ("type", "title", "season", "episode", "watched_at")
    )
    return same and base.partition("#")[0] in weak
