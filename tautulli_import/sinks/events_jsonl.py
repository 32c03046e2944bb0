"""Write one playback event a line, in the order of Tautulli's rows, for ``--to jsonl --events``.

The first run builds the file under another name until it is whole. Later runs append to it. If
one of them is killed, the next run cuts off what it appended after the last saved position.
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

from ..errors import SinkError
from ..files import is_stream, make_directory, put_in_place, shown
from ..model.events import PlaybackEvent
from ..state.checkpoint import Position
from .base import Receipt, SinkOptions, StreamSink

__all__ = ["EventsSink"]

_BEGINS: Final = b'{"schema_version":'
_TAIL: Final = 1 << 16


class _Note(Struct, frozen=True):
    """The state of the file, saved for the next run."""

    length: int
    tail: str
    """A checksum of the last 64 KiB. It tells apart files of the same name."""
    events: int
    finished: bool
    """The file has its own name already."""


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
        """The length of the file at the last position, in bytes and in events. Events after it
        are written again by the next run."""
        self._needs_commit = False
        self._saved_note = ""
        self._encode = msgspec.json.Encoder().encode_lines

    @property
    def path(self) -> Path | None:
        """Return the real path of the file; ``None`` for standard output."""
        out = self.options.out
        return None if out is None or out == Path("-") else Path(os.path.realpath(out))

    @property
    def target(self) -> str:
        """Return the real path of the file, or ``standard output``."""
        return shown(self.path) if self.path else "standard output"

    @property
    def _building(self) -> Path:
        """Return the path of the file until it is whole."""
        path = self.path or Path()
        return path.with_name(f".{path.name}.unfinished")

    def check(self) -> None:
        """Check that the existing file is absent or has events.

        Raises:
            SinkError: the file has other content, or cannot be read.
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
                hint="Choose another file with --out.",
            ) from error
        if begin and begin != _BEGINS:
            raise SinkError(
                f"{shown(path)} is not a file of events, so it is not replaced.",
                hint="Move it away, or choose another file with --out.",
            )

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Return ``saved`` if the file still has that length and the same last 64 KiB there.

        Raises:
            SinkError: lines follow that are not events, so no run of this program wrote them.
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
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not _BEGINS.startswith(more):
            raise SinkError(
                f"{shown(path)} ends with lines that are not events, and they would be lost.",
                hint="Move it away, or choose another file with --out.",
            )
        self._before = msgspec.structs.replace(note, finished=path == self.path)
        return saved

    def begin(self, after: Position | None) -> None:
        """Open the file and cut it to the position. Without a position, begin a new file."""
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
        """Write the lines. On standard output, flush after them."""
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
            self._needs_commit, self._events_then = True, self._events
            self._length = os.fstat(self._open.fileno()).st_size

    def commit(self) -> None:
        """Make the lines durable, and update the note."""
        if not self._needs_commit:
            return
        os.fsync(self._open.fileno())
        self._durable = self._new
        self._saved_note = self._described()
        self._needs_commit = False

    @property
    def durable(self) -> int:
        """Return the number of durable lines; 0 for standard output or a pipe."""
        return self._durable

    @property
    def note(self) -> str:
        """Return the length and the checksum of the durable file as JSON."""
        return self._saved_note

    def finish(self) -> Receipt:
        """Give a new file its own name, unless the old file has the same content.

        Raises:
            SinkError: the file could not be renamed.
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
        """Close the file. Remove an unfinished file that the next run cannot resume."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if self._is_new and not self._saved_note:
                with suppress(OSError):
                    self._building.unlink()

    @property
    def _is_on_disk(self) -> bool:
        """Return whether the sink writes to a regular file."""
        return self._file is not None and not is_stream(self.path or Path())

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _note_place(self) -> None:
        """Update the note after the file got its own name, if there is a note."""
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
