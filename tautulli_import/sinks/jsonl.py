"""``--to jsonl``, and the dry run in a pipe: one item a line, its key first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ..models import Record
from .base import Receipt, Sink
from .files import read_bytes, write_whole

__all__ = ["JsonlSink", "lines"]


def lines(records: Sequence[Record]) -> Iterator[bytes]:
    """Each record as a line of JSON: ``key``, with ``--each-user`` ``user``, then the item."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        head = b'{"key":' + encode(record.key)
        if record.user is not None:
            head += b',"user":' + encode(record.user)
        yield head + b"," + encode(record.item)[1:] + b"\n"


class JsonlSink(Sink):
    """Items as JSON Lines, on standard output or in a file that is replaced as a whole."""

    to_stdout = True
    lines = True
    _records: Sequence[Record] = ()

    @property
    def path(self) -> Path | None:
        """The file; ``None`` for standard output."""
        out, user = self.options.out, self.options.user
        if out is None or out == Path("-"):
            return None
        return out.with_name(f"{out.stem}-{user}{out.suffix}") if user else out

    def write(self, records: Sequence[Record]) -> None:
        """Take records."""
        self._records = [*self._records, *records]

    def commit(self) -> Receipt:
        """Write the lines.

        Raises:
            BrokenPipeError: the reader of standard output has left.
            SinkError: the file could not be written.
        """
        receipt = self.preview()
        path = self.path
        if path is None:
            self.options.stdout.writelines(lines(self._records))
            self.options.stdout.flush()
        elif read_bytes(path) != b"".join(lines(self._records)):
            write_whole(path, lines(self._records))
            receipt = msgspec.structs.replace(receipt, written=[str(path)])
        return receipt

    def preview(self) -> Receipt:
        """What would be written; all of it counts as new unless the file says just this."""
        count = len(self._records)
        path = self.path
        if path is None:
            return Receipt("standard output", new=count, total=count)
        same = read_bytes(path) == b"".join(lines(self._records))
        return Receipt(
            str(path), new=0 if same else count, unchanged=count if same else 0, total=count
        )
