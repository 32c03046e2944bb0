"""Read the history JSON of CrossWatch: ``history.json``, its export, and Editor datasets.

Measured on CrossWatch v0.11.3: it reads a file with a byte order mark, or a malformed one, as
empty, and then overwrites it. It keeps the fields of an item that its function ``minimal`` keeps.
It compares ``watched_at`` as a string. On the same key the newer entry wins. A pair with
"Rewatches" on rewrites all keys of the file to ``key@epoch`` and adds two fields to every entry.
"""

from __future__ import annotations

import codecs
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Raw, Struct

from ..errors import NotFoundError, SinkError
from ..files import read_bytes
from ..model.keys import event_key
from .entries import epoch_of, is_event, overlaid, time_of, values_of

__all__ = [
    "HISTORY_END",
    "HISTORY_START",
    "UPLOAD",
    "check_history",
    "check_text",
    "content_of",
    "decoded",
    "exported",
    "exported_in",
    "history_chunks",
    "history_lines",
    "newer_of",
    "no_history",
    "under_event_keys",
]

UPLOAD: Final = (
    "the upload of the tracker archive (v0.11.3: Settings › Maintenance › Maintenance Tools › "
    "Archive & Recovery › CW tracker archive › Import tracker archive)"
)
"""The function of CrossWatch that takes a tracker file. Newer versions moved its menu."""

# A million plays of 285,000 titles are 90 MB in this format (November 2026).
_MOST_BYTES: Final = 256 * 1024 * 1024
# An export of everything has some dozens.
_MOST_MEMBERS: Final = 10_000
_ENTRY: Final = b"PK\x01\x02"
"""The beginning of an entry in the directory of a ZIP."""
_CHUNK: Final = 1 << 20
_LINES: Final = 200
HISTORY_START: Final = b'{"ts":%d,"items":{'
HISTORY_END: Final = b"\n}}\n"
_MARK: Final = codecs.BOM_UTF8


class _Tracker(Struct):
    """A tracker file. Its entries are decoded only where they differ."""

    items: dict[str, Raw]


class _Envelope(Struct):
    """The start of any of the formats."""

    items: Raw = Raw(b"null")
    kind: Raw = Raw(b"null")


class _Row(Struct):
    """A row of an Editor dataset."""

    key: str


def content_of(path: Path) -> bytes | None:
    """Return the content of a history, or ``None`` if it is absent.

    Raises:
        SinkError: it cannot be read, or is larger than any history.
    """
    with suppress(OSError):
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(path)
    return read_bytes(path)


def history_chunks(now: int, entries: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield a tracker file in pieces.

    It has one entry a line, so that ``diff`` can compare two histories.
    """
    yield HISTORY_START % now
    lines = history_lines(entries)
    while some := b"".join(islice(lines, _LINES)):
        yield some
    yield HISTORY_END


def history_lines(entries: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield the entries of a tracker file."""
    encode = msgspec.json.Encoder().encode
    separator = b"\n"
    for key, raw in entries:
        yield b"%b%b:%b" % (separator, encode(key), raw)
        separator = b",\n"


def check_history(path: Path) -> None:
    """Check that the content of a ``history.json`` can be merged, without decoding its entries.

    Raises:
        SinkError: the file is not a history, so merging would lose its content.
    """
    content = content_of(path)
    if content is None:
        return
    try:
        is_history = _starts(msgspec.json.decode(content, type=_Envelope).items, b"{")
    except (msgspec.DecodeError, RecursionError):
        is_history = False
    if not is_history:
        decoded(content, path)


def exported(path: Path) -> dict[str, Raw]:
    """Return the entries of an export of CrossWatch: ``history.json``, or a ZIP with one.

    Raises:
        NotFoundError: there is no such file, or no history in the ZIP.
        SinkError: the file is not a history.
    """
    content = content_of(path) if path.is_file() else None
    if content is None:
        raise NotFoundError(
            f"The file of --merge-with does not exist: {path}.",
            hint="Use --merge-with with the archive that CrossWatch exported, or its history.json.",
        )
    if content.startswith(b"PK"):
        if content.count(_ENTRY) > _MOST_MEMBERS:
            raise _not_unpacked(path, f"it has more than {_MOST_MEMBERS:,} files")
        return exported_in(io.BytesIO(content), path)
    return decoded(content, path)


def exported_in(file: IO[bytes], path: Path) -> dict[str, Raw]:
    """Return the entries of the ``history.json`` in a ZIP. ``path`` is its name for messages.

    CrossWatch uses no other method than deflate.

    Raises:
        NotFoundError: there is none.
        SinkError: the ZIP cannot be unpacked, or holds more than any export.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            content = _history_of(archive, path)
    except (NotFoundError, SinkError):
        raise
    except Exception as error:  # whatever zipfile, zlib and struct raise for a broken file
        raise _not_unpacked(path, str(error) or type(error).__name__) from error
    return decoded(content, path)


def under_event_keys(entries: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return entries under event keys, for the Editor. Two of one viewing become one."""
    found: dict[str, Raw] = {}
    for old, raw in entries.items():
        epoch = None if is_event(old) else epoch_of(time_of(raw))
        key = old if epoch is None else event_key(old, epoch)
        if key in found:
            both = overlaid(values_of(found[key]), values_of(raw))
            found[key] = Raw(msgspec.json.encode(both))
        else:
            found[key] = raw
    return found


def newer_of(one: Mapping[str, Raw], other: Mapping[str, Raw]) -> dict[str, Raw]:
    """Merge two histories. On the same key the newer entry wins; of equal ones, ``other``'s."""
    merged = dict(one)
    for key, raw in other.items():
        if key not in merged or time_of(merged[key]) <= time_of(raw):
            merged[key] = raw
    return merged


def decoded(content: bytes, path: Path) -> dict[str, Raw]:
    """Decode ``{"ts": …, "items": {…}}``, an old bare ``{key: item}``, or an Editor dataset.

    Raises:
        SinkError: the content is none of these.
    """
    try:
        check_text(content)
        try:
            return msgspec.json.decode(content, type=_Tracker).items
        except msgspec.DecodeError:
            return _other_format(content.removeprefix(_MARK))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # nested too deeply
        raise no_history(path) from None


def no_history(path: Path) -> SinkError:
    """Return the error to raise for a file whose content would be lost."""
    return SinkError(
        f"{path} is not a CrossWatch history, so nothing can be merged into it.",
        hint="CrossWatch reads it as empty. Check it, move it away, and run the same command "
        "again.",
    )


def _other_format(content: bytes) -> dict[str, Raw]:
    envelope = msgspec.json.decode(content, type=_Envelope)
    if _starts(envelope.items, b"[") and _starts(envelope.kind, b'"history"'):
        rows = msgspec.json.decode(envelope.items, type=list[_Row])
        values = msgspec.json.decode(envelope.items, type=list[dict[str, Raw]])
        for one in values:
            del one["key"]
        return {
            row.key: Raw(msgspec.json.encode(one)) for row, one in zip(rows, values, strict=True)
        }
    if not _starts(envelope.items, b"null"):
        return msgspec.json.decode(envelope.items, type=dict[str, Raw])
    items = msgspec.json.decode(content, type=dict[str, Raw])
    if not all("watched_at" in values_of(raw) for raw in items.values()):
        raise msgspec.DecodeError("no items")
    return items


def _starts(raw: Raw, start: bytes) -> bool:
    return bytes(memoryview(raw)[: len(start)]) == start


def check_text(content: bytes) -> None:
    """Check that all of a file is UTF-8, because entries are copied without being decoded."""
    if content.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    for start in range(0, len(view), _CHUNK):
        decoder.decode(view[start : start + _CHUNK])
    decoder.decode(b"", final=True)


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
        return b"".join(iter(lambda: unpacked.read(_CHUNK), b""))


def _not_unpacked(path: Path, reason: str) -> SinkError:
    return SinkError(
        f"{path} cannot be unpacked: {reason}.", hint="Export it from CrossWatch again."
    )


def _too_large(path: Path) -> SinkError:
    return SinkError(
        f"{path} holds more than {_MOST_BYTES >> 20} MB, which is more than any history.",
        hint="Check that CrossWatch made it. It is not read and not changed.",
    )
