"""Write items as JSON Lines, for ``--to jsonl`` and for a dry run into a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ..files import read_start, refuse_other_kind, write_whole
from ..formatting import shown
from ..model.items import Record
from .base import Receipt, SnapshotSink, file_of_user
from .comparing import FileComparison
from .events_jsonl import EventsSink

__all__ = ["JsonlSink", "lines"]


_START: Final = b'{"key":'
"""The beginning of each file of items."""


def lines(records: Sequence[Record]) -> Iterator[bytes]:
    """Yield each record as a line of JSON: ``key``, with ``--each-user`` ``user``, the item."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        head = b'{"key":' + encode(record.key)
        if record.user is not None:
            head += b',"user":' + encode(record.user)
        yield head + b"," + encode(record.item)[1:] + b"\n"


class JsonlSink(SnapshotSink):
    """Items as JSON Lines, on standard output or in a file that is replaced as a whole."""

    summary = "JSON Lines, for jq and your own programs"
    to_stdout = True
    lines = True
    for_events = EventsSink

    @property
    def path(self) -> Path | None:
        """Return the path of the file; ``None`` for standard output."""
        out, user = self.options.out, self.options.user
        if out is None or out == Path("-"):
            return None
        return file_of_user(out, user) if user else out

    def writes(self) -> Sequence[Path]:
        """Return the file; nothing for standard output."""
        return [self.path] if self.path else []

    def check(self) -> None:
        """Check that the file to replace is absent or has items.

        Raises:
            SinkError: the file has other content.
        """
        if path := self._existing():
            refuse_other_kind(path, _START, "a file of items")

    def commit(self) -> Receipt:
        """Write the lines.

        Raises:
            BrokenPipeError: the reader of standard output has left.
            SinkError: the file could not be written, or has other content.
        """
        receipt = self.preview()
        path = self.path
        if path is None:
            self.options.stdout.writelines(lines(self.records))
            self.options.stdout.flush()
        elif receipt.new or (not self.records and self._has_content()):
            write_whole(path, lines(self.records))
            receipt = msgspec.structs.replace(receipt, written=[shown(path)])
        return receipt

    def preview(self) -> Receipt:
        """Return the receipt. All records count as new, unless the file has the same content."""
        count = len(self.records)
        path = self.path
        if path is None:
            return Receipt("standard output", new=count, total=count)
        self.check()
        same = self._is_same()
        return Receipt(
            shown(path), new=0 if same else count, unchanged=count if same else 0, total=count
        )

    def _is_same(self) -> bool:
        """Return true if the file has the lines of the records."""
        there = FileComparison(self._existing())
        return all(there.take(line) for line in lines(self.records)) and there.is_equal()

    def _has_content(self) -> bool:
        path = self._existing()
        return bool(path and read_start(path, 1))

    def _existing(self) -> Path | None:
        """Return the path of the file if it is there. A pipe or device is not read."""
        path = self.path
        return path if path is not None and (path.is_file() or path.is_dir()) else None
