"""Decide where to resume the delivery of events, or why to start over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from ..formatting import many
from ..model.plays import SampleRow
from ..sources.base import Cursor
from ..sources.database.source import Source
from ..sources.same_history import refuse_other_history
from ..state.checkpoint import CheckpointStore, Position

__all__ = ["EventCheckpoint"]

_EVERY_SECONDS: Final = 5.0
# Saving may take at most a twentieth of the time between two saves.
_SHARE: Final = 20


class EventCheckpoint:
    """The checkpoint of one stream: the position up to which its sink has the events of a source.

    A delivered event stays as it is, even if Tautulli changes its row later. Everything is read
    again only if plays were deleted or inserted, or if old row numbers belong to other plays now.
    """

    def __init__(self, store: CheckpointStore, source: Source, *, restart: bool = False) -> None:
        """Keep the store and the source. ``restart`` forgets what earlier runs delivered."""
        self.notices: list[str] = []
        self.store = store
        self._source = source
        self._restart = restart
        self._every = _EVERY_SECONDS
        self._samples: Sequence[SampleRow] = ()
        self._matching = 0
        self._last: Position | None = None
        self._last_rows = 0
        self._saved_at = time.monotonic()

    @property
    def job(self) -> str:
        """Return the short name of the job."""
        return self.store.job.key

    def saved(self) -> Position | None:
        """Return the position in the state file. ``sink.recall`` must confirm it.

        Raises:
            CheckpointError: it is of another history.
        """
        if self._restart:
            self.store.forget()
            return None
        self._matching = refuse_other_history(self._source, self.store.saved())
        return self.store.position()

    def resume(self, found: Position | None) -> Position | None:
        """Return the position to resume after, given the sink's, or ``None`` for the first row.

        Raises:
            SourceDamagedError: a file is damaged.
        """
        saved = None if self._restart else self.store.saved()
        if self._restart:
            found = None
        if found is not None:
            why = self._why_not(found, saved.samples if saved else ())
            self._source.refuse_damage()  # a damaged file must not end what was reached
            if why:
                self._report(why)
                found = None
        elif saved is not None and saved.rows:
            self._report("the output does not have, or does not show, the events of earlier runs")
        self._samples = self._source.sample_rows()
        self.store.begin(self._samples)
        self._last = found
        if found is None:
            self.store.clear_position()
        else:
            self._last_rows = found.rows
        self._saved_at = time.monotonic()
        return found

    def is_due(self, rows: int) -> bool:
        """Return true if it is time to save, after so many rows."""
        return rows > self._last_rows and time.monotonic() - self._saved_at >= self._every

    def save(self, delivered: Position | None) -> None:
        """Save the position of the delivered events, if it has changed.

        Raises:
            SinkError: the state file cannot be written.
        """
        began = time.monotonic()
        if delivered is not None and delivered != self._last:
            self.store.save(delivered, self._samples)
            self._last = delivered
        self._last_rows = delivered.rows if delivered else 0
        self._saved_at = time.monotonic()
        self._every = max(self._every, _SHARE * (self._saved_at - began))

    def finish(self) -> None:
        """Save that the sink has all events."""
        self.store.finish(self._samples)

    def _why_not(self, position: Position, samples: Sequence[SampleRow]) -> str:
        """Return what has changed in the rows up to a position, or an empty text."""
        marked = self._source.checksum(Cursor(position.cursor))
        if marked is None:
            return "the source cannot show if old plays have changed"
        rows, checksum = marked
        if (rows, checksum) == (position.rows, position.checksum):
            return ""
        lost_newest = self._matching < len(samples) and not self._source.count_matches(samples[-1:])
        if rows < position.rows and lost_newest:
            return "the newest plays of the last run are missing, as after a restored backup"
        if rows < position.rows:
            count = position.rows - rows
            return f"{many(count, 'old play')} {'was' if count == 1 else 'were'} deleted"
        if rows > position.rows:
            count = rows - position.rows
            return f"{many(count, 'play')} {'was' if count == 1 else 'were'} added between old ones"
        return "old row numbers belong to other plays now"

    def _report(self, why: str) -> None:
        if not self._source.rereads:
            self.notices.append(f"Everything is read again: {why}.")
