"""Write a CrossWatch Editor dataset, for ``--to editor``, with a row for every viewing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from ..crosswatch.archive import packed, unpacked
from ..errors import ConfigurationError, SinkError
from ..files import write_whole
from ..formatting import many, shown
from ..model.items import Record
from .base import Receipt, SnapshotSink
from .comparing import same_start
from .crosswatch_json import (
    UPLOAD,
    check_text,
    content_of,
    exported,
    under_event_keys,
)
from .entries import values_of
from .merged import Merged, Rules, encoded_item
from .merging import merge

__all__ = ["EditorSink"]

_DEFAULT: Final = Path("tautulli-editor-history.json")
_OURS: Final = "tautulli-"
"""The beginning of each provider_event_id that this sink writes."""
_SUFFIX: Final = "-history.json"
# The import of CrossWatch v0.11.3 refuses larger files, and silently leaves out further rows.
_WIZARD_BYTES: Final = 8 * 1024 * 1024
_WIZARD_ROWS: Final = 50_000
_HEAD: Final = {
    "kind": "history",
    "source": "state",
    "provider": "CROSSWATCH",
    "provider_instance": "default",
}


_BLOCKS: Final = b',"blocks":['
_Kind = TypeVar("_Kind")


class _Row(Struct, gc=False):
    """The fields of a row that tell whose it is."""

    key: str
    provider_event_id: object = ""


class _Dataset(Struct, Generic[_Kind]):
    """An Editor dataset."""

    kind: str
    provider: str
    items: list[_Kind]


class EditorSink(SnapshotSink):
    """Writes one file that CrossWatch's Editor, tracker upload and import all take.

    A ZIP is for the import alone, which takes more rows in it.
    """

    summary = "a file for CrossWatch's Editor, to clean up by hand first"
    every_viewing = True
    merges = True
    supersedes = True

    @property
    def path(self) -> Path:
        """Return the path of the dataset; ``-`` for standard output.

        Raises:
            ConfigurationError: CrossWatch (v0.11.3) does not take a file of that name.
        """
        out = self.options.out or _DEFAULT
        if out == Path("-"):
            return out
        ending = "-history.zip" if out.suffix == ".zip" else _SUFFIX
        if not out.name.endswith(ending) and out.name != "history.json":
            raise ConfigurationError(
                f"CrossWatch does not take an Editor dataset called {out.name}.",
                hint=f"Use a name that ends in {ending}: --out "
                + shlex.quote(shown(out.with_name((out.stem or "tautulli") + ending))),
            )
        if "list" in out.name.lower():
            raise ConfigurationError(
                f"CrossWatch takes every row of a file called {out.name} for a watchlist entry.",
                hint="Use a name without 'list' with --out.",
            )
        if not self.options.user:
            return out
        stem = out.name.removesuffix(f"history{out.suffix}")
        return out.with_name(f"{stem}{self.options.user}{ending}")

    def writes(self) -> Sequence[Path]:
        """Return the dataset; nothing for standard output."""
        return [] if self.path == Path("-") else [self.path]

    def check(self) -> None:
        """Check the name, and that the existing file has no foreign rows.

        Raises:
            ConfigurationError: CrossWatch does not take a file of that name.
            SinkError: the existing file has foreign content.
            NotFoundError: the file of ``--merge-with`` does not exist.
        """
        content = self._content()
        if content is not None:
            self._check_rows(content)
        if self.options.merge_with:
            exported(self.options.merge_with)

    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return."""
        receipt, _ = self._compared()
        return receipt

    def commit(self) -> Receipt:
        """Merge into the existing dataset, if that changes it.

        Raises:
            SinkError: the existing file has foreign content, or the file cannot be written.
        """
        path = self.path
        receipt, merged = self._compared()
        if merged is None:
            return receipt
        rows = (raw for _, raw in merged.entries())
        if path.suffix == ".zip":
            write_whole(path, [packed(rows)])
            return self._written(receipt)
        chunks = _encoded(self.options.now, rows)
        if path == Path("-"):
            self.options.stdout.writelines(chunks)
            self.options.stdout.flush()
            return receipt
        write_whole(path, chunks)
        return self._written(receipt)

    def _compared(self) -> tuple[Receipt, Merged | None]:
        """Merge with the existing rows. Return ``None`` in place of an unchanged dataset."""
        base, records, path = self.options.merge_with, self.records, self.path
        content = self._content()
        same = 0
        if content is not None:
            self._check_rows(content)
            if not base:
                same, is_all = _same_start(content, records)
                if is_all:
                    count = len(records)
                    return self._receipt(Receipt("", 0, unchanged=count, total=count)), None
        there = _rows_of(content, path) if content is not None else {}
        rules = Rules(_encoded_row, True, self.superseded, self.options.same_play)
        try:
            foreign = under_event_keys(exported(base)) if base else {}
            rows = {
                key: Raw(msgspec.json.encode({"key": key, **values_of(raw)}))
                for key, raw in foreign.items()
            }
            merged = merge(there, records, rules, export=rows, same=same)
        except (msgspec.DecodeError, RecursionError):
            raise _no_dataset(path) from None
        is_changed = merged.differs_from(there) if base else merged.is_changed
        return self._receipt(merged.counts()), merged if is_changed or path == Path("-") else None

    def _receipt(self, counts: Receipt) -> Receipt:
        """Return the receipt with the target and what to do next."""
        path = self.path
        return msgspec.structs.replace(
            counts,
            target="standard output" if path == Path("-") else shown(path),
        )

    def _written(self, receipt: Receipt) -> Receipt:
        """Return the receipt for a file that was written, with what to do next."""
        return msgspec.structs.replace(
            receipt,
            written=[shown(self.path)],
            next_steps=[*self._steps(receipt.total, self.path.stat().st_size)],
        )

    def _steps(self, rows: int, size: int) -> Iterator[str]:
        """Yield what to do with the file, by its rows and its size in bytes."""
        path = self.path
        name = shown(path)
        is_large = path.suffix == ".json" and size > _WIZARD_BYTES
        if rows > _WIZARD_ROWS:
            yield (
                f"CrossWatch's import takes {_WIZARD_ROWS:,} rows and leaves out the rest without "
                "a word. Use --to crosswatch, or parts with --since and --until."
            )
        elif is_large:
            yield (
                f"{name} is too large for CrossWatch's import. Write a ZIP for it: --out "
                + shlex.quote(shown(path.with_suffix(".zip")))
            )
        else:
            yield (
                f"In CrossWatch, use Import with the source Generic CSV/JSON (v0.11.3: Main › "
                f"Import / Export) and choose {name}. It adds every row."
            )
        if path.suffix == ".json" and (is_large or rows > _WIZARD_ROWS):
            yield (
                f"Or rename it to history.json and use {UPLOAD}. It replaces the tracker's history."
            )
        yield (
            "Then clean up in the Editor: Source Current State, Kind History, Provider CrossWatch."
        )

    def _content(self) -> bytes | None:
        """Return the existing dataset, or ``None``. A pipe or device is not read.

        Raises:
            SinkError: it cannot be read.
        """
        path = self.path
        is_there = path != Path("-") and (path.is_file() or path.is_dir())
        content = content_of(path) if is_there else None
        if content is None or path.suffix != ".zip":
            return content
        try:
            return b"".join(_encoded(0, unpacked(content)))
        except Exception:  # noqa: BLE001 - whatever zipfile and the decoder raise
            raise _no_dataset(path) from None

    def _check_rows(self, content: bytes) -> None:
        """Check that all existing rows are ours, or are meant to be merged with.

        Raises:
            SinkError: some rows are not ours, or the file is not a dataset.
        """
        path = self.path
        rows = _dataset(content, path, _Row)
        foreign = [row.key for row in rows if not str(row.provider_event_id).startswith(_OURS)]
        if foreign and not self.options.merge_with:
            raise SinkError(
                f"{shown(path)} has {many(len(foreign), 'row')} that did not come from Tautulli "
                f"(first: {foreign[0]}), so it is not replaced.",
                hint="Choose another file with --out, or merge with it: --merge-with "
                + shlex.quote(shown(path)),
            )


def _encoded_row(record: Record) -> bytes:
    encode = msgspec.json.encode
    return (
        b'{"key":'
        + encode(record.key)
        + b","
        + encoded_item(record)[1:-1]
        + b',"provider_event_id":"%s%d"}' % (_OURS.encode(), record.play_id)
    )


def _encoded(now: int, rows: Iterable[bytes]) -> Iterator[bytes]:
    head = msgspec.json.encode({**_HEAD, "ts": now, "blocks": []})
    yield head[:-1] + b',"items":['
    separator = b"\n"
    for row in rows:
        yield separator + row
        separator = b",\n"
    yield b"\n]}\n"


def _same_start(content: bytes, records: Sequence[Record]) -> tuple[int, bool]:
    """Compare a file with what would be written if it had nothing but the records.

    Return the number of rows that are equal, and true if that is the whole file.
    """
    lines = _encoded(0, map(_encoded_row, records))
    start = next(lines)
    rest = start[start.index(_BLOCKS) :]
    place = content.find(_BLOCKS)
    if not content.startswith(rest, place):
        return 0, False
    count, is_all = same_start(content, place + len(rest), lines)
    return min(count, len(records)), is_all and bool(records)


def _rows_of(content: bytes, path: Path) -> dict[str, Raw]:
    """Return the rows of a dataset by key.

    Raises:
        SinkError: the file is not a dataset.
    """
    keys = (row.key for row in _dataset(content, path, _Row))
    return dict(zip(keys, _dataset(content, path, Raw), strict=True))


def _dataset(content: bytes, path: Path, row: type[_Kind]) -> list[_Kind]:
    """Decode the rows of a dataset, each as a ``row``.

    Raises:
        SinkError: the file is not a dataset.
    """
    try:
        check_text(content)
        dataset = msgspec.json.decode(content, type=_Dataset[row])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_dataset(path) from None
    if (dataset.kind, dataset.provider) != (_HEAD["kind"], _HEAD["provider"]):
        raise _no_dataset(path)
    return dataset.items


def _no_dataset(path: Path) -> SinkError:
    return SinkError(
        f"{shown(path)} is not an Editor dataset, so it is not replaced.",
        hint="Move it away, or choose another file with --out.",
    )
