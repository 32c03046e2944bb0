"""Write one playback event a line, in the order of Tautulli's rows, for ``--to jsonl --events``.

The first run builds the file under a random name until it is whole. Later runs append to it. If
one of them is killed, the next run cuts off what it appended after the last saved position. Before
a run appends, the note says so. Lines that follow without it are another program's and are kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from ..directory import Directory, Place, is_temporary, located
from ..errors import SinkError
from ..files import is_stream, read_start, refuse_other_kind, sync_name, write_error
from ..formatting import many, shown
from ..model.events import PlaybackEvent
from ..state.checkpoint import Position
from .base import Receipt, SinkOptions, StreamSink

__all__ = ["EventsSink"]

_BEGINS: Final = b'{"schema_version":'
_TAIL: Final = 1 << 16
_CHUNK: Final = 1 << 20
_UNFINISHED: Final = ".unfinished"


class _Note(Struct, frozen=True):
    """The state of the file, saved for the next run."""

    length: int
    tail: str
    """A checksum of the last 64 KiB. It tells apart files of the same name."""
    events: int
    finished: bool
    """The file has its own name already."""
    building: str = ""
    """Its random name until then."""
    appending: bool = False
    """A run may have written lines after ``length``. They are cut off and written again."""


class EventsSink(StreamSink):
    """Events as JSON Lines, on standard output or in a file."""

    summary = "JSON Lines, for jq and your own programs"
    to_stdout = True

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._file: BinaryIO | None = None
        self._resources = ExitStack()
        self._place: Place | None = None
        self._building = ""
        """The name of the file until it is whole."""
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
        self._is_appending = False
        self._cut = 0
        """The number of bytes that were cut off."""
        self._saved_note = ""
        self._encode = msgspec.json.Encoder().encode_lines

    @property
    def path(self) -> Path | None:
        """Return the path of the file; ``None`` for standard output."""
        out = self.options.out
        return None if out is None or out == Path("-") else out

    @property
    def target(self) -> str:
        """Return the real path of the file, or ``standard output``."""
        return shown(Path(os.path.realpath(self.path))) if self.path else "standard output"

    def check(self) -> None:
        """Check that the existing file is absent or has events.

        Raises:
            SinkError: the file has other content, or cannot be read.
        """
        path = self.path
        if path is None or is_stream(path):
            return
        refuse_other_kind(path, _BEGINS, "a file of events")
        if read_start(path, 1) and not all(map(_may_be_event, _last_lines(path))):
            raise SinkError(
                f"{shown(path)} ends with lines that are not events, and they would be lost.",
                hint="Move it away, or choose another file with --out.",
            )

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Return ``saved`` if the file still has that length and the same last 64 KiB there.

        Raises:
            SinkError: lines follow that no run of this program has written.
        """
        del job
        path = self.path
        if saved is None or not saved.note or path is None or is_stream(path):
            return None
        try:
            note = msgspec.json.decode(saved.note, type=_Note)
            with located(path) as (directory, name, _):
                is_named = note.finished or directory.stat(note.building) is None
                with os.fdopen(directory.open(name if is_named else note.building), "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size < note.length or _tail(file.fileno(), note.length) != note.tail:
                        return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if size > note.length and is_named and not note.appending:
            raise SinkError(
                f"{shown(path)} has {many(size - note.length, 'byte')} more than the last run "
                "wrote, and they would be lost.",
                hint="Move the new lines to another file. To write the whole file anew without "
                "them, add --restart.",
            )
        self._cut = size - note.length
        self._before = msgspec.structs.replace(note, finished=is_named)
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
        self._is_appending = not self._is_new
        self._place = self._resources.enter_context(located(path, make=True))
        directory, name, is_pipe = self._place
        if is_pipe:
            descriptor = directory.open_stream(name)
        elif after is not None and self._before is not None:
            self._building = self._before.building
            opened = self._building if self._is_new else name
            descriptor = directory.open(opened, os.O_RDWR)
        else:
            self._clear_unfinished(directory, name)
            descriptor, self._building = directory.create(name, _UNFINISHED)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        if not is_pipe and self._file.seek(0, os.SEEK_END) > self._length:
            self._file.truncate(self._length)
            self._file.seek(self._length)
        if self._is_appending:
            self._update_note()

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
        if self._is_new and self._place is not None and self._is_on_disk and self._is_unchanged():
            self._place.directory.remove(self._building)
            self._is_new, self._new = False, 0
            self._update_note()
        if self._is_on_disk:
            self._is_appending = os.fstat(self._open.fileno()).st_size > self._length
            self._update_note()
        named = shown(self.options.out or Path())
        written = [named] if path is not None and (self._new or self._is_new) else []
        if self._place is not None and self._is_on_disk and written:
            os.fsync(self._open.fileno())
            if self._is_new:
                self._give_name(*self._place[:2])
        return Receipt(
            self.target if path is None else named,
            new=self._new,
            total=self._events,
            written=[] if self.options.dry_run else written,
            notices=[_said_of_cut(named)] if self._cut and self._before else [],
        )

    def close(self) -> None:
        """Close the file. Remove an unfinished file that the next run cannot resume."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if self._is_new and not self._saved_note and self._place is not None:
                with suppress(OSError):
                    self._place.directory.remove(self._building)
        self._resources.close()

    @property
    def _is_on_disk(self) -> bool:
        """Return whether the sink writes to a regular file."""
        return self._file is not None and self._place is not None and not self._place.is_stream

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _clear_unfinished(self, directory: Directory, name: str) -> None:
        """Remove what killed runs into this file left, and this run cannot resume."""
        directory.clear_left_behind()
        with suppress(OSError):
            for one in directory.names():
                if is_temporary(one, name, _UNFINISHED):
                    directory.remove_abandoned(one)

    def _is_unchanged(self) -> bool:
        """Return whether the old file has the content of the new one."""
        if self._place is None:
            return False
        try:
            with os.fdopen(self._place.directory.open(self._place.name), "rb") as old:
                size, mine = os.fstat(old.fileno()).st_size, self._open.fileno()
                return size == os.fstat(mine).st_size and all(
                    old.read(_CHUNK) == os.pread(mine, _CHUNK, at) for at in range(0, size, _CHUNK)
                )
        except OSError:
            return False

    def _give_name(self, directory: Directory, name: str) -> None:
        """Give the new file its own name, and replace an old file of that name."""
        path = directory.path / name
        try:
            directory.adopt(self._open.fileno(), name)
            directory.rename(self._building, name)
        except OSError as error:
            raise write_error(path, error) from error
        sync_name(directory, path)
        self._is_new = False
        self._update_note()

    def _update_note(self) -> None:
        """Update the note, if there is one, because more than the length has changed."""
        if self._saved_note:
            self._saved_note = self._described()

    def _described(self) -> str:
        tail = _tail(self._open.fileno(), self._length)
        note = _Note(
            *(self._length, tail, self._events_then, not self._is_new, self._building),
            appending=self._is_appending,
        )
        return msgspec.json.encode(note).decode()


def _last_lines(path: Path) -> Sequence[bytes]:
    """Return the lines in the last 64 KiB of a file. The first one may be a part of a line."""
    with located(path) as place, os.fdopen(place.directory.open(place.name), "rb") as file:
        begin = max(0, os.fstat(file.fileno()).st_size - _TAIL)
        lines = os.pread(file.fileno(), _TAIL, begin).splitlines()
    return lines[1:] if begin else lines


def _may_be_event(line: bytes) -> bool:
    """Return true if a line begins as an event does. A killed run may have written half of one."""
    return line.startswith(_BEGINS) or _BEGINS.startswith(line)


def _said_of_cut(path: str) -> str:
    return f"The last lines of {path} were written again, because the last run did not record them."


def _tail(descriptor: int, length: int) -> str:
    """Return the checksum of the last 64 KiB of a file that ends at ``length``."""
    begin = max(0, length - _TAIL)
    return blake2b(os.pread(descriptor, length - begin, begin), digest_size=16).hexdigest()
