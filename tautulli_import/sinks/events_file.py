"""``--to jsonl --events``: one playback event a line, in the order of Tautulli's rows.

A file is made whole under another name first. Later runs add to it, and when one of them is cut
short, what it had added beyond the last checkpoint is cut off again by the next.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from ..checkpoint.journal import Position
from ..errors import SinkError
from ..models import PlaybackEvent
from .base import Receipt, SinkOptions, StreamSink
from .files import is_stream, make_directory, put_in_place, shown

__all__ = ["EventsSink"]

_BEGINS: Final = b'{"schema_version":'
_TAIL: Final = 1 << 16


class _Note(Struct, frozen=True):
    """What of the file is told to the next run."""

    length: int
    tail: str
    """A sum of its last bytes: another file of the same name has others."""
    events: int
    finished: bool
    """Whether it stands under its own name already."""


class EventsSink(StreamSink):
    """Events as JSON Lines, on standard output or in a file."""

    to_stdout = True

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._file: BinaryIO | None = None
        self._before: _Note | None = None
        self._is_new = True
        self._events = 0
        self._new = 0
        self._durable = 0
        self._length = 0
        self._events_then = 0
        """How long the file was at the last position, and with how many events: more may follow
        it that the next run is given again."""
        self._is_marked = False
        self._saved_note = ""
        self._encode = msgspec.json.Encoder().encode_lines

    @property
    def path(self) -> Path | None:
        """The file; ``None`` for standard output."""
        out = self.options.out
        return None if out is None or out == Path("-") else Path(os.path.realpath(out))

    @property
    def target(self) -> str:
        """The file's real name."""
        return shown(self.path) if self.path else "standard output"

    @property
    def _building(self) -> Path:
        """Where the file is until it is whole."""
        path = self.path or Path()
        return path.with_name(f".{path.name}.unfinished")

    def check(self) -> None:
        """Refuse to replace what is not of this kind.

        Raises:
            SinkError: the file holds something else, or is none.
        """
        path = self.path
        if path is None or is_stream(path):
            return
        try:
            with path.open("rb") as file:
                begin = file.read(len(_BEGINS))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise SinkError(
                f"{shown(path)} cannot be read: {error.strerror or error}.",
                hint="Name another file with --out.",
            ) from error
        if begin and begin != _BEGINS:
            raise SinkError(
                f"{shown(path)} is something else than events, and would be lost.",
                hint="Move it aside, or name another file with --out.",
            )

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """What is remembered, as long as the file is that long and ends so (64 KiB).

        Raises:
            SinkError: something follows in it that a run of ours cannot have left there.
        """
        del job
        if saved is None or not saved.note or self.path is None or is_stream(self.path):
            return None
        try:
            note = msgspec.json.decode(saved.note, type=_Note)
            path = self.path if note.finished or not self._building.exists() else self._building
            if path.stat().st_size < note.length or _tail(path, note.length) != note.tail:
                return None
            with path.open("rb") as file:
                file.seek(note.length)
                more = file.read(len(_BEGINS))
        except (msgspec.DecodeError, OSError):
            return None
        if not _BEGINS.startswith(more):
            raise SinkError(
                f"{shown(path)} ends with something else than events, and it would be lost.",
                hint="Move it aside, or name another file with --out.",
            )
        self._before = msgspec.structs.replace(note, finished=path == self.path)
        return saved

    def begin(self, after: Position | None) -> None:
        """Open the file, cut to what was delivered; or a new one that is not yet in its place."""
        path = self.path
        if after is not None and self._before is not None:
            self._events = self._events_then = self._before.events
            self._length, self._saved_note = self._before.length, after.note
            self._is_new = not self._before.finished
        if path is None or self.options.dry_run:
            return
        if is_stream(path):
            self._file = path.open("wb", buffering=0)
        elif after is not None and self._before is not None:
            self._file = (self._building if self._is_new else path).open("r+b", buffering=0)
            if self._file.seek(0, os.SEEK_END) > self._before.length:
                self._file.truncate(self._before.length)
                self._file.seek(self._before.length)
        else:
            make_directory(path.parent)
            self._file = self._building.open("wb", buffering=0)

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Write the lines; on standard output they are out as soon as the page is."""
        if events and not self.options.dry_run:
            lines = memoryview(self._encode(events))
            if self._file is None:
                self.options.stdout.write(lines)
                self.options.stdout.flush()
            while self._file is not None and lines:
                lines = lines[self._file.write(lines) :]
        self._events += len(events)
        self._new += len(events)
        if position is not None and self._is_on_disk:
            self._is_marked, self._events_then = True, self._events
            self._length = os.fstat(self._open.fileno()).st_size

    def commit(self) -> None:
        """Make the lines durable, and note how long the file is with them."""
        if not self._is_marked:
            return
        os.fsync(self._open.fileno())
        self._durable = self._new
        self._saved_note = self._described()
        self._is_marked = False

    @property
    def durable(self) -> int:
        """Count the lines that are durable: none of standard output or a pipe."""
        return self._durable

    @property
    def note(self) -> str:
        """Return how long the durable file is, and how it ends."""
        return self._saved_note

    def finish(self) -> Receipt:
        """Put a new file into its place, unless the one that stands there says just the same.

        Raises:
            SinkError: it could not be.
        """
        path = self.path
        if path is not None and self._is_new and self._is_on_disk and _same(self._building, path):
            self._building.unlink()
            self._is_new, self._new = False, 0
            self._note_place()
        named = shown(self.options.out or Path())
        written = [named] if path is not None and (self._new or self._is_new) else []
        if path is not None and self._is_on_disk and written:
            os.fsync(self._open.fileno())
            if self._is_new:
                put_in_place(self._building, path)
                self._is_new = False
                self._note_place()
        return Receipt(
            self.target if path is None else named,
            new=self._new,
            total=self._events,
            written=[] if self.options.dry_run else written,
        )

    def close(self) -> None:
        """Close the file. What the next run cannot go on with is not left lying about."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if self._is_new and not self._saved_note:
                with suppress(OSError):
                    self._building.unlink()

    @property
    def _is_on_disk(self) -> bool:
        """Whether it is being written to a file, which stays."""
        return self._file is not None and not is_stream(self.path or Path())

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _note_place(self) -> None:
        """Note where the file stands now, if a position was ever durable in it."""
        if self._saved_note:
            self._saved_note = self._described()

    def _described(self) -> str:
        path = self._building if self._is_new or self.path is None else self.path
        tail = _tail(path, self._length)
        note = _Note(self._length, tail, self._events_then, not self._is_new)
        return msgspec.json.encode(note).decode()


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _tail(path: Path, length: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, length - _TAIL))
        return blake2b(file.read(min(length, _TAIL)), digest_size=16).hexdigest()
