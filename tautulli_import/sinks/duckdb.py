"""Write playback events into the table of a DuckDB file, each play once, for ``--to duckdb``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError, SinkError
from ..event_store.connecting import retry_while_busy
from ..event_store.store import EventStore
from ..formatting import many, shown
from ..interrupts import defer_signals
from ..model.events import PlaybackEvent
from ..state.checkpoint import Position, packed, unpacked
from .base import Receipt, SinkOptions, StreamSink

__all__ = ["DuckdbSink"]

_DEFAULT: Final = Path("playback-events.duckdb")
_BATCH: Final = 10_000
_BRIEF_WAIT: Final = 3.0
"""Seconds to wait for the file, also without ``--wait``: a consumer may use it briefly."""


class DuckdbSink(StreamSink):
    """Adds events to the file, and in the same transaction the job's position after them.

    The position in the file counts, not the one in the state file. So a file that was removed, or
    restored from a backup, gets the events that it lacks.
    """

    summary = "playback events in a DuckDB file"

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._store: EventStore | None = None
        self._job = ""
        self._buffer: list[PlaybackEvent] = []
        self._position: Position | None = None
        self._stored: Position | None = None
        self._durable = 0
        self._new = 0
        self._known = 0
        self._others = 0

    @property
    def path(self) -> Path:
        """Return the path of the file.

        Raises:
            ConfigurationError: ``--out`` is standard output.
        """
        out = self.options.out
        if out == Path("-"):
            raise ConfigurationError(
                "--to duckdb writes a file and cannot write to standard output.",
                hint="Use --out FILE, or --to jsonl --events.",
            )
        return out or _DEFAULT

    @property
    def target(self) -> str:
        """Return the real path of the file."""
        return shown(Path(os.path.realpath(self.path)))

    def writes(self) -> Sequence[Path]:
        """Return the file."""
        return [self.path]

    def check(self) -> None:
        """Check that the file can be read and written.

        Raises:
            ConfigurationError: DuckDB is not installed, or ``--out`` is standard output.
            BusyError: another process has the file open.
            SinkError: it is not a file of this program, or there is no permission to write it.
        """
        path = self.path
        self._opened(reads_only=True).close()
        if self.options.dry_run:
            return
        place = Path(os.path.realpath(path))
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK):
            raise SinkError(
                f"You have no permission to write {shown(path)}.",
                hint="Choose another file with --out.",
            )

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Open the file, and return the job's position in it. ``saved`` is ignored.

        Raises:
            ConfigurationError: DuckDB is not installed, or ``--out`` is standard output.
            BusyError: another process has the file open.
            SinkError: the file cannot be used.
        """
        del saved
        self._job = job
        self._store = self._opened(reads_only=self.options.dry_run)
        kept = self._store.reached(job)
        return None if kept is None else unpacked(kept)

    def begin(self, after: Position | None) -> None:
        """Start after a position. With ``None``, delete the job's position in the file.

        Raises:
            SinkError: the file could not be written.
        """
        self._position = self._stored = after
        if after is None and not self.options.dry_run and self._open.reached(self._job) is not None:
            self._open.forget(self._job)

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Collect events, and write them to the file when there are 10,000.

        Raises:
            SinkError: the file could not be written.
        """
        self._buffer += events
        if position is not None:
            self._position = position
        if len(self._buffer) >= _BATCH:
            self._flush()

    def commit(self) -> None:
        """Write the collected events and the job's position.

        Raises:
            SinkError: the file could not be written.
        """
        if self._buffer or self._position != self._stored:
            self._flush()

    @property
    def durable(self) -> int:
        """Return the number of events that are in the file."""
        return self._durable

    def finish(self) -> Receipt:
        """Return the receipt.

        Raises:
            SinkError: the file cannot be read any more.
        """
        total = self._open.count()
        path = shown(self.path)
        is_written = self._new > 0 and not self.options.dry_run
        look = f'Look into it: duckdb {shlex.quote(path)} "FROM plays_per_month"'
        return Receipt(
            path,
            new=self._new,
            unchanged=self._known,
            total=total + self._new if self.options.dry_run else total,
            written=[path] if is_written else [],
            warnings=self._warnings(),
            next_steps=[look] if is_written else [],
        )

    def _warnings(self) -> Sequence[str]:
        """Return a warning if events were left out whose ids are not in the table."""
        if not self._others:
            return []
        said = (
            f"{many(self._others, 'event')} left out, because the table has other events with the "
            "same correlation key, or the same rating key, user and start. They may be from "
            "another server. To keep all of them, choose another file with --out."
        )
        return [said]

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _opened(self, *, reads_only: bool) -> EventStore:
        """Return the open file. Wait while another process has it open."""
        return retry_while_busy(
            lambda: EventStore(self.path, reads_only=reads_only),
            wait=max(_BRIEF_WAIT, self.options.wait),
        )

    @property
    def _open(self) -> EventStore:
        if self._store is None:
            raise ValueError("the file is not open")
        return self._store

    def _flush(self) -> None:
        events, position = self._buffer, self._position
        with defer_signals():  # no signal between writing and counting
            if self.options.dry_run:
                added = self._open.preview(events)
            else:
                reached = packed(position) if position is not None and self._job else None
                added = self._open.add(events, job=self._job, reached=reached)
            self._stored = position
            self._durable += len(events)
            self._new += added.stored
            self._known += added.known
            self._others += added.under_another_id
            self._buffer = []
