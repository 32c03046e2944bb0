"""``--to duckdb``: playback events into the table of a DuckDB file, each play once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..checkpoint.journal import Position, packed, unpacked
from ..errors import ConfigurationError, SinkError
from ..event_store import EventStore
from ..models import PlaybackEvent
from ..stopping import held
from ..turns import when_free
from ..wording import many
from .base import Receipt, SinkOptions, StreamSink
from .files import shown

__all__ = ["DuckdbSink"]

_DEFAULT: Final = Path("playback-events.duckdb")
_BATCH: Final = 10_000
_A_MOMENT: Final = 3.0


class DuckdbSink(StreamSink):
    """Adds events, and with them, in the same transaction, the point up to which it has them.

    So it needs nobody to remember that: a file that was removed, or put back from a backup, gets
    what it lacks.
    """

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
        """The file.

        Raises:
            ConfigurationError: standard output was asked for.
        """
        out = self.options.out
        if out == Path("-"):
            raise ConfigurationError(
                "A DuckDB file cannot go to standard output.",
                hint="Name a file with --out, or use --to jsonl --events.",
            )
        return out or _DEFAULT

    @property
    def target(self) -> str:
        """The file's real name."""
        return shown(Path(os.path.realpath(self.path)))

    def writes(self) -> Sequence[Path]:
        """The file."""
        return [self.path]

    def check(self) -> None:
        """See whether the file can be used, and written.

        Raises:
            ConfigurationError: DuckDB is not installed, or standard output was asked for.
            BusyError: another process has it open.
            SinkError: it is something else, or may not be written.
        """
        path = self.path
        self._when_free(reads_only=True).close()
        if self.options.dry_run:
            return
        place = Path(os.path.realpath(path))
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK):
            raise SinkError(
                f"{shown(path)} may not be written.",
                hint="Mend the permissions, or name another file with --out.",
            )

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Open the file; how far the job is in it, whatever is remembered elsewhere.

        Raises:
            ConfigurationError: DuckDB is not installed, or standard output was asked for.
            BusyError: another process has it open.
            SinkError: it cannot be used.
        """
        del saved
        self._job = job
        self._store = self._when_free(reads_only=self.options.dry_run)
        kept = self._store.reached(job)
        return None if kept is None else unpacked(kept)

    def begin(self, after: Position | None) -> None:
        """Go on after that point; without one, what the file has of the job holds no more.

        Raises:
            SinkError: it could not be written.
        """
        self._position = self._stored = after
        if after is None and not self.options.dry_run and self._open.reached(self._job) is not None:
            self._open.forget(self._job)

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Take events; when there are many, they go into the file.

        Raises:
            SinkError: it could not be written.
        """
        self._buffer += events
        if position is not None:
            self._position = position
        if len(self._buffer) >= _BATCH:
            self._flush()

    def commit(self) -> None:
        """Add what is left, and note how far the job is.

        Raises:
            SinkError: it could not be written.
        """
        if self._buffer or self._position != self._stored:
            self._flush()

    @property
    def durable(self) -> int:
        """Count the events that are in the file."""
        return self._durable

    def finish(self) -> Receipt:
        """What came of it.

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
        """That events were left out which the table has not: a person may want them."""
        if not self._others:
            return []
        said = (
            f"{many(self._others, 'event')} left out, in whose place the table has another one of "
            "the same correlation key, or rating key, user and start: another server's, perhaps. "
            "A file of its own (--out) has room for all."
        )
        return [said]

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _when_free(self, *, reads_only: bool) -> EventStore:
        """The file, open; a consumer may have it for a moment."""
        return when_free(
            lambda: EventStore(self.path, reads_only=reads_only),
            wait=max(_A_MOMENT, self.options.wait),
        )

    @property
    def _open(self) -> EventStore:
        if self._store is None:
            raise ValueError("the file is not open")
        return self._store

    def _flush(self) -> None:
        events, position = self._buffer, self._position
        with held():  # what is in the file is counted, whatever comes next
            if self.options.dry_run:
                added = self._open.preview(events)
            else:
                keeps = position is not None and bool(self._job)
                reached = packed(position) if keeps and position is not None else None
                added = self._open.add(events, job=self._job, reached=reached)
            self._stored = position
            self._durable += len(events)
            self._new += added.stored
            self._known += added.known
            self._others += added.under_another_id
            self._buffer = []
