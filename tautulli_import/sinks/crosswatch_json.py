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
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import NotFoundError, SinkError
from ..keys import event_key, movie_key
from ..mapper import watched_at
from ..models import Ids, Movie, Record
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
_WEAK: Final = ("plex:", "guid:")
_NONE: Final[Mapping[str, int]] = {}
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
    removed: int = 0
    """Entries of ours whose plays stand under other keys now."""


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


def merge(
    existing: Mapping[str, Entry],
    records: Iterable[Record],
    superseded: Mapping[str, int] = _NONE,
) -> Merged:
    """Records into what is there, by CrossWatch's own rule; every foreign entry stays.

    What stands under a ``superseded`` key goes, if it is still of the moment (epoch seconds,
    UTC) under which we wrote it: its plays are in the records under other keys. On the same
    key and moment only the fields that we write are ours: what CrossWatch or another source
    has added to the entry stays in it.
    """
    entries = dict(existing)
    new = updated = unchanged = 0
    others = _Others(existing)
    for record in records:
        raw = _encode(record.item)
        when = record.item.watched_at
        standing = _key_there(record, existing)
        twins = [key for key in others.twins_of(record) if key != standing and key in entries]
        there = existing[standing] if standing else None
        if there is None:
            # The other key came of ids that are superseded: only what is no id is kept.
            same = [key for key in twins if existing[key].watched_at == when]
            value = {**existing[same[0]].value, **msgspec.json.decode(raw)} if same else {}
            entries[record.key] = Entry(_encode(value) if same else raw, when, value)
        elif there.watched_at == when:
            value = _overlaid(there.value, msgspec.json.decode(raw))
            if value != there.value:
                entries[standing or record.key] = Entry(_encode(value), when, value)
        elif there.watched_at < when:
            entries[standing or record.key] = Entry(raw, when, {})
        for key in twins:
            del entries[key]
        if twins:
            updated += 1
        elif there is None:
            new += 1
        elif entries[standing or record.key] is there:
            unchanged += 1
        else:
            updated += 1
    stale = [
        key
        for written, epoch in superseded.items()
        # A pair with "Rewatches" on has rewritten our plain keys.
        for key in (written, event_key(written, epoch))
        if key in existing
        and entries.get(key) is existing[key]
        and existing[key].watched_at == watched_at(epoch)
    ]
    for key in stale:
        del entries[key]
    ordered = dict(sorted(entries.items(), key=lambda pair: pair[1].watched_at))
    return Merged(ordered, new, updated, unchanged, len(stale))


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


class _Others:
    """Finds what stands under another key and is the very title or viewing of a record.

    It was written before an external id was known or corrected, or before every viewing was
    kept. It is recognised by the number in Plex (or by the title, where it was keyed by that)
    together with type, titles and numbers. An entry of the same moment is the same viewing;
    of a title, what stands under an id of this Plex server alone is superseded when older, as
    it would be under one key.
    """

    def __init__(self, existing: Mapping[str, Entry]) -> None:
        self._by_moment: dict[str, list[tuple[str, Entry]]] = {}
        self._weak: dict[str, list[tuple[str, Entry]]] = {}
        for key, entry in existing.items():
            self._by_moment.setdefault(entry.watched_at, []).append((key, entry))
            if key.startswith(_WEAK):
                self._weak.setdefault(key, []).append((key, entry))

    def twins_of(self, record: Record) -> list[str]:
        item = record.item
        events = bool(_EVENT.search(record.key))
        found = [
            key
            for key, entry in self._by_moment.get(item.watched_at, ())
            if key != record.key
            and (events or not _EVENT.search(key))
            and _is_same(key, entry, record)
        ]
        if events or record.key.startswith(_WEAK):
            return found
        ids = item.ids if isinstance(item, Movie) else item.show_ids
        number = "" if isinstance(item, Movie) else record.key[record.key.index("#") :]
        for name, value in (("plex", ids.plex), ("guid", ids.guid)):
            for key, entry in self._weak.get(f"{name}:{value}{number}".lower(), ()):
                older = entry.watched_at < item.watched_at
                if older and _is_same(key, entry, record):
                    found.append(key)
        return found


def _is_same(key: str, entry: Entry, record: Record) -> bool:
    item = msgspec.to_builtins(record.item)
    fields = ("type", "title", "season", "episode", "series_title")
    if any(entry.value.get(field) != item.get(field) for field in fields):
        return False
    base = _EVENT.sub("", key)
    if base == _EVENT.sub("", record.key):
        return True
    if "|title:" in base:
        return bool(base == movie_key(Ids(), item["title"], item["year"]))
    which = "show_ids" if "show_ids" in item else "ids"
    theirs = entry.value.get(which)
    plex = item[which].get("plex")
    return plex is not None and isinstance(theirs, dict) and theirs.get("plex") == plex


def _overlaid(there: Mapping[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Our fields over an entry of the same moment; the ids of both."""
    merged = {**there, **ours}
    for name in ("ids", "show_ids"):
        before = there.get(name)
        if name in ours and isinstance(before, dict):
            merged[name] = {**before, **ours[name]}
    return merged


def _decoded(content: bytes, path: Path) -> dict[str, Entry]:
    """The entries in ``{"ts": …, "items": {…}}``, or in a bare ``{key: item}`` of old times."""
    try:
        state = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
        items = state.get("items")
        if items is None and all(isinstance(v, dict) and "watched_at" in v for v in state.values()):
            items = state
        if isinstance(items, list) and state.get("kind") == "history":  # an Editor dataset
            items = {row["key"]: {k: v for k, v in row.items() if k != "key"} for row in items}
        return {str(key): _entry(value) for key, value in items.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
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
