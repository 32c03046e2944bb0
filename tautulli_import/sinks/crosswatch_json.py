"""Read, merge and encode the history JSON of CrossWatch.

Measured on CrossWatch v0.11.3: it reads a file with a byte order mark, or a malformed one, as
empty, and then overwrites it. It keeps the fields of an item that its function ``minimal`` keeps.
It compares ``watched_at`` as a string. On the same key the newer entry wins. A pair with
"Rewatches" on rewrites all keys of the file to ``key@epoch`` and adds two fields to every entry.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import NotFoundError, SinkError
from ..files import read_bytes
from ..model.clock import watched_at
from ..model.items import Ids, Movie, Record
from ..model.keys import event_key, movie_key

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
"""The menu path in CrossWatch (v0.11.3) to upload a tracker file. The last part is an icon."""

_EVENT: Final = re.compile(r"@(\d{7,}(~.+)?|id:.+)$")
_WEAK: Final = ("plex:", "guid:")
_NONE: Final[Mapping[str, int]] = {}
# A million plays of 285,000 titles are 90 MB in this format (November 2026).
_MOST_BYTES: Final = 256 * 1024 * 1024
# An export of everything has some dozens.
_MOST_MEMBERS: Final = 10_000
_encode: Final = msgspec.json.Encoder().encode


class Entry(Struct, frozen=True, gc=False):
    """One entry of a history file: its JSON, and the fields that merging compares."""

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
    """Our entries whose plays have other keys now."""


def entries_of(path: Path) -> dict[str, Entry]:
    """Return the entries of a ``history.json``; nothing if the file is absent.

    Raises:
        SinkError: the file is not a history, so merging would lose its content.
    """
    content = _content(path)
    return {} if content is None else _decoded(content, path)


def exported(path: Path) -> dict[str, Entry]:
    """Return the entries of an export of CrossWatch: ``history.json``, or a ZIP with one.

    Raises:
        NotFoundError: there is no such file, or no history in the ZIP.
        SinkError: the file is not a history.
    """
    content = _content(path) if path.is_file() else None
    if content is None:
        raise NotFoundError(
            f"The file of --merge-with does not exist: {path}.",
            hint="Use --merge-with with the archive that CrossWatch exported, or its history.json.",
        )
    if content.startswith(b"PK"):
        content = _history_in_archive(content, path)
    return _decoded(content, path)


def event_entries_of(path: Path | None) -> dict[str, Entry]:
    """Return the entries of an export under event keys, for the Editor; nothing for ``None``.

    Raises:
        NotFoundError: there is no such file, or no history in the ZIP.
        SinkError: the file is not a history.
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
    """Merge records into existing entries by CrossWatch's own rule. Keep every foreign entry.

    Remove an entry under a ``superseded`` key if its ``watched_at`` is still the time (epoch
    seconds, UTC) that we wrote: the records have its plays under other keys. Where key and time
    are equal, replace only the fields that we write, and keep those that CrossWatch or another
    source added.
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
            # The twin has its key from old ids, so only its other fields are kept.
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
        for key in (written, event_key(written, epoch))  # a pair with "Rewatches" rewrote it
        if key in existing
        and entries.get(key) is existing[key]
        and existing[key].watched_at == watched_at(epoch)
    ]
    for key in stale:
        del entries[key]
    ordered = dict(sorted(entries.items(), key=lambda pair: pair[1].watched_at))
    return Merged(ordered, new, updated, unchanged, len(stale))


def newer_of(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> dict[str, Entry]:
    """Merge two histories. On the same key the newer entry wins; of equal ones, ``other``'s."""
    merged = dict(one)
    for key, entry in other.items():
        if key not in merged or merged[key].watched_at <= entry.watched_at:
            merged[key] = entry
    return merged


def _key_there(record: Record, existing: Mapping[str, Entry]) -> str | None:
    """Return the existing key of this title or viewing, or ``None``."""
    if record.key in existing:
        return record.key
    event = event_key(record.key, record.epoch)  # a pair with "Rewatches" on rewrote it
    return event if event in existing else None


class _Others:
    """Finds entries under another key that are the same title or viewing as a record.

    Such an entry was written before an external id was known or corrected, or without
    ``--rewatches``. It is recognised by type, titles and numbers, together with the Plex rating
    key, or with the title if that is its key. An entry of the same time is the same viewing. An
    older entry whose key is an id of this Plex server is the same title, and the record replaces
    it, as it would under one key.
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
    """Return an existing entry of the same time with our fields over its own, and all ids."""
    merged = {**there, **ours}
    for name in ("ids", "show_ids"):
        before = there.get(name)
        if name in ours and isinstance(before, dict):
            merged[name] = {**before, **ours[name]}
    return merged


def _decoded(content: bytes, path: Path) -> dict[str, Entry]:
    """Decode ``{"ts": …, "items": {…}}``, an old bare ``{key: item}``, or an Editor dataset.

    Raises:
        SinkError: the content is none of these.
    """
    try:
        state = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
        items = state.get("items")
        if items is None and all(isinstance(v, dict) and "watched_at" in v for v in state.values()):
            items = state
        if isinstance(items, list) and state.get("kind") == "history":  # an Editor dataset
            items = {row["key"]: {k: v for k, v in row.items() if k != "key"} for row in items}
        return {str(key): _entry(value) for key, value in items.items()}
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,  # nested more than a thousand times
        AttributeError,
        KeyError,
        TypeError,
    ):
        raise SinkError(
            f"{path} is not a CrossWatch history, so nothing can be merged into it.",
            hint="CrossWatch reads it as empty. Check it, move it away, and run the same command "
            "again.",
        ) from None


def _entry(value: object) -> Entry:
    """Return an entry of a file. What is not an item is kept unchanged."""
    item = value if isinstance(value, dict) else {}
    return Entry(_encode(value), str(item.get("watched_at") or ""), item)


def _content(path: Path) -> bytes | None:
    """Return the content of a file, or ``None`` if it is absent.

    Raises:
        SinkError: it cannot be read, or is larger than any history.
    """
    with suppress(OSError):
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(path)
    return read_bytes(path)


def _history_in_archive(content: bytes, path: Path) -> bytes:
    """Return the ``history.json`` in a ZIP. CrossWatch uses no other method than deflate.

    Raises:
        NotFoundError: there is none.
        SinkError: the ZIP cannot be unpacked, or holds more than any export.
    """
    if content.count(b"PK\x01\x02") > _MOST_MEMBERS:  # what an entry of its directory begins with
        raise _not_unpacked(path, f"it has more than {_MOST_MEMBERS:,} files")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _history_of(archive, path)
    except (NotFoundError, SinkError):
        raise
    except Exception as error:  # whatever zipfile, zlib and struct raise for a broken file
        raise _not_unpacked(path, str(error) or type(error).__name__) from error


def _history_of(archive: zipfile.ZipFile, path: Path) -> bytes:
    found = [
        member
        for member in archive.infolist()
        if member.filename.rpartition("/")[2] == "history.json"
    ]
    if not found:
        raise NotFoundError(
            f"There is no history.json in {path}.",
            hint="Export it from CrossWatch with 'Tracker state files' ticked.",
        )
    history = min(found, key=lambda member: len(member.filename))
    if history.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _not_unpacked(path, "history.json is compressed in another way")
    if history.file_size > _MOST_BYTES:
        raise _too_large(path)
    # zipfile returns no more than `file_size` bytes. Asked for all at once it unpacks up to 2 GB
    # first (CPython 3.11), whatever the size in the directory is.
    with archive.open(history) as unpacked:
        return b"".join(iter(lambda: unpacked.read(1 << 20), b""))


def _not_unpacked(path: Path, reason: str) -> SinkError:
    return SinkError(
        f"{path} cannot be unpacked: {reason}.", hint="Export it from CrossWatch again."
    )


def _too_large(path: Path) -> SinkError:
    return SinkError(
        f"{path} holds more than {_MOST_BYTES >> 20} MB, which is more than any history.",
        hint="Check that CrossWatch made it. It is not read and not changed.",
    )


def _epoch(watched_at: str) -> int | None:
    try:
        when = datetime.fromisoformat(watched_at)
    except ValueError:
        return None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
