"""How a reading goes on from what earlier runs reached, and when it must not.

What is remembered is believed only as long as the source proves that it is the same history,
and that nothing has changed in the part that is not read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from .checkpoint.journal import Journal, Reached
from .dedup import Sight
from .errors import CheckpointError
from .models import Landmark
from .sources.base import Cursor, Source

__all__ = ["Ledger"]

_WHOLE_AGAIN: Final = 30 * 86_400
_EVERY_SECONDS: Final = 5.0
# A checkpoint may cost a twentieth of the time since the last one.
_SHARE: Final = 20
_NEW_ROWS: Final = 2_000


class Ledger:
    """The checkpoint of one reading: where to begin, and when to note how far it is."""

    def __init__(
        self,
        journal: Journal,
        source: Source,
        *,
        now: int,
        restart: bool = False,
    ) -> None:
        """``now`` is the time of the run (epoch seconds, UTC); ``restart`` forgets."""
        self.notices: list[str] = []
        self.journal = journal
        self._source = source
        self._now = now
        self._restart = restart
        self._every = _EVERY_SECONDS
        self._landmarks: Sequence[Landmark] = ()
        self._noted_rows = 0
        self._noted_at = time.monotonic()
        self._whole_at = now

    def resume(self) -> tuple[Reached, Sequence[Sight]] | None:
        """What an earlier run has reached, if it still holds; ``None``: read from the beginning.

        Raises:
            CheckpointError: it is of another history, or was begun with other options and not
                ended.
        """
        if self._restart:
            self.journal.forget()
        found = None if self._restart else self._believed()
        self._landmarks = self._source.landmarks()
        self.journal.begin(self._landmarks)
        if found is None:
            self.journal.unread()
        else:
            self._noted_rows = found[0].rows
            self._whole_at = found[0].whole_at
        self._noted_at = time.monotonic()
        return found

    def is_due(self, rows: int) -> bool:
        """Whether it is time to note that so many rows were read."""
        return rows > self._noted_rows and time.monotonic() - self._noted_at >= self._every

    def is_worth_it(self, rows: int) -> bool:
        """Whether so many rows are enough to be noted at the end of what is settled."""
        return rows - self._noted_rows >= _NEW_ROWS

    def save(self, reached: Reached, sights: Iterable[Sight]) -> None:
        """Note how far the source was read.

        Raises:
            SinkError: it cannot be written.
        """
        began = time.monotonic()
        reached = msgspec.structs.replace(
            reached, rules=self._source.rules(), whole_at=self._whole_at
        )
        self.journal.save(reached, sights, self._landmarks)
        self._noted_rows = reached.rows
        self._noted_at = time.monotonic()
        self._every = max(self._every, _SHARE * (self._noted_at - began))

    def finish(self) -> None:
        """Note that every sink has everything."""
        self.journal.finish(self._landmarks)

    def _believed(self) -> tuple[Reached, Sequence[Sight]] | None:
        checkpoint = self.journal.checkpoint()
        other = self.journal.begun_otherwise() if self.journal.writes else None
        if other is not None and (checkpoint is None or checkpoint.status == "completed"):
            raise CheckpointError(
                f"An import of {self._source.name} into the same place was begun with "
                f"{_in_words(other.about.options)} and is not finished.",
                hint="Run it as it was begun, or forget that with --restart.",
            )
        if checkpoint is None:
            return None
        known = checkpoint.landmarks
        recognised = self._source.recognised(known)
        if known and not recognised:
            raise CheckpointError(
                f"{self._source.name} holds another history than the one that was read from there "
                f"before: none of {len(known)} plays that are remembered of it is in it.",
                hint="If it is meant, forget the other one with --restart, or keep both with "
                "another --state-dir.",
            )
        found = self.journal.reached()
        if found is None and not checkpoint.rows:
            return None
        why = (
            self._why_not(found[0], known, recognised)
            if found
            else "what was remembered is damaged, or of another version of this program"
        )
        if why and not any("read again" in notice for notice in self._source.notices):
            self.notices.append(f"Everything is read again: {why}.")
        return None if why else found

    def _why_not(self, reached: Reached, known: Sequence[Landmark], recognised: int) -> str:
        """Why what was reached does not hold any more; empty when it does."""
        if [_of(rule) for rule in reached.rules] != [_of(rule) for rule in self._source.rules()]:
            return "the thresholds for watched were changed"
        if self._now - reached.whole_at > _WHOLE_AGAIN:
            return "it was last read whole a month ago"
        marked = self._source.marked(Cursor(reached.cursor))
        if marked is None:
            return "it cannot be told whether old plays have changed"
        rows, mark = marked
        if (rows, mark) == (reached.rows, reached.mark):
            return ""
        if rows < reached.rows and recognised < len(known) and not self._has(known[-1]):
            return "the newest plays of last time are gone, as after a restored backup"
        if rows < reached.rows:
            return f"{reached.rows - rows:,} old plays were deleted"
        if rows > reached.rows:
            return f"{rows - reached.rows:,} plays have come in between old ones"
        return "old plays have changed, as after Tautulli refreshed its metadata"

    def _has(self, landmark: Landmark) -> bool:
        return self._source.recognised([landmark]) == 1


def _of(rule: object) -> tuple[object, ...]:
    """The thresholds alone, wherever they were read."""
    return tuple(getattr(rule, name) for name in ("movie_percent", "tv_percent", "marker"))


def _in_words(options: object) -> str:
    """Options as they are typed."""
    if not isinstance(options, dict):
        return "other options"
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is True]
    return " and ".join(given) if given else "fewer options"
