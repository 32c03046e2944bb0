"""Write files that other trackers import: whole, in parts, with a count of what is left out.

A subclass says which records its format cannot hold, and yields the content of its files. All
else is the same for every format.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, SinkError
from ..files import is_stream, read_bytes, read_start, remove_file, write_whole
from ..formatting import shown
from ..model.items import Record
from .base import Receipt, SnapshotSink, file_of_user

__all__ = ["ExportSink", "plain"]

_START: Final = 200
"""The bytes at the start of a file among which its mark is."""


class _Made(Struct, frozen=True):
    """The content of the files, and the records that are in none of them."""

    parts: Sequence[bytes]
    held: int
    left_out: Mapping[str, Sequence[int]]


class ExportSink(SnapshotSink):
    """Writes every viewing into files that are replaced as a whole.

    The second file is called ``NAME(2)``, and so on: no user's name has brackets in it.
    """

    every_viewing = True
    is_stoppable = True  # a million viewings take longer than a stop may
    default: ClassVar[str]
    """The name of the first file without ``--out``."""
    mark: ClassVar[bytes]
    """Bytes near the start of each file, by which the sink knows its own."""
    next_step: ClassVar[str]
    """A sentence about where to import the files."""
    caution: ClassVar[str] = ""
    """A sentence about what not to do with the file."""

    @abstractmethod
    def refuses(self, record: Record) -> str | None:
        """Return the reason why the format cannot hold a record, or ``None`` if it can.

        It is called once for each record, in their order.
        """

    @abstractmethod
    def parts(self, records: Iterator[Record]) -> Iterator[bytes]:
        """Yield the content of each file, at least one. The records are those it can hold."""

    @property
    def path(self) -> Path:
        """Return the path of the first file. A name without an ending is given that of the format.

        Raises:
            ConfigurationError: ``--out`` is standard output, a pipe or a device.
        """
        out = self.options.out or Path(self.default)
        if out == Path("-") or is_stream(out):
            raise ConfigurationError(
                f"{shown(out)} is no file, and this format can need several files.",
                hint=f"Use a name such as --out {self.default}",
            )
        if not out.suffix and not out.is_dir():
            out = out.with_name(out.name + Path(self.default).suffix)
        user = self.options.user
        return file_of_user(out, user) if user else out

    def writes(self) -> Sequence[Path]:
        """Return the first file. How many there are depends on the records."""
        return [self.path]

    def check(self) -> None:
        """Check that the first file is absent or ours. How many there are is not known yet.

        Raises:
            ConfigurationError: ``--out`` is no file.
            SinkError: the file has other content.
        """
        self._check(self.path)

    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return.

        Raises:
            SinkError: a file has other content.
        """
        return self._receipt(is_same=self._is_same())

    def commit(self) -> Receipt:
        """Write the files, and remove further ones that an earlier run needed.

        Raises:
            SinkError: a file could not be written, or has other content.
        """
        is_same = self._is_same()
        receipt = self._receipt(is_same=is_same)
        if is_same:
            return receipt
        for path, part in zip(self._paths, self._made.parts, strict=True):
            write_whole(path, [part])
        for path in self._surplus():
            remove_file(path)
        return msgspec.structs.replace(receipt, written=[shown(path) for path in self._paths])

    @cached_property
    def _made(self) -> _Made:
        left_out: dict[str, array[int]] = {}

        def held() -> Iterator[Record]:
            for place, record in enumerate(self.records):
                if (reason := self.refuses(record)) is None:
                    yield record
                else:
                    left_out.setdefault(reason, array("q")).append(place)

        parts = list(self.parts(held()))
        return _Made(parts, len(self.records) - sum(map(len, left_out.values())), left_out)

    def _receipt(self, *, is_same: bool) -> Receipt:
        held = self._made.held
        options = self.options
        zone = options.timezone or f"the system ({options.local(options.now):%Z})"
        days = f"Days are those of {zone}. Use --timezone to change that."
        said = (days if self.is_local else "", self.caution)
        return Receipt(
            shown(self.path),
            new=0 if is_same else held,
            unchanged=held if is_same else 0,
            total=held,
            notices=() if is_same else tuple(filter(None, said)),
            next_steps=(self.next_step,),
            left_out=self._made.left_out,
        )

    def _is_same(self) -> bool:
        """Return true if there is nothing to write: the same files, or none and no records.

        Raises:
            SinkError: a file has other content.
        """
        there = [self._check(path) for path in self._paths]
        if not self._made.held and not any(there):
            return True
        found = map(read_bytes, self._paths) if all(there) else ()
        return [*found] == self._made.parts and not any(self._surplus())

    @property
    def _paths(self) -> Sequence[Path]:
        return [self._numbered(number) for number, _ in enumerate(self._made.parts, 1)]

    def _surplus(self) -> Iterator[Path]:
        """Yield the files of an earlier run that had more of them."""
        further = map(self._numbered, count(len(self._made.parts) + 1))
        return takewhile(lambda path: self.mark in (read_start(path, _START) or b""), further)

    def _check(self, path: Path) -> bool:
        """Return true if there is a file, and false if there is none.

        Raises:
            SinkError: it is not ours.
        """
        start = read_start(path, _START)
        if start and self.mark not in start:
            raise SinkError(
                f"{shown(path)} is not a file of this program, so it is not replaced.",
                hint="Move it away, or choose another file with --out.",
            )
        return start is not None

    def _numbered(self, number: int) -> Path:
        path = self.path
        return path if number == 1 else path.with_name(f"{path.stem}({number}){path.suffix}")


def plain(text: str) -> str:
    """Return a text on one line. Readers split a file at all that Python takes for a line end."""
    return " ".join(text.splitlines())
