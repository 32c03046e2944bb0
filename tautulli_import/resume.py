"""How a reading goes on from what earlier runs reached, and when it must not.

What is remembered is believed only as long as the source proves that it is the same history,
and that nothing has changed in the part that is not read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from .checkpoint.journal import Checkpoint, Journal, Reached
from .dedup import Sight
from .errors import CheckpointError
from .models import Landmark
from .sources.base import Cursor, Source
from .wording import many

__all__ = ["Bookmark", "Ledger"]

_WHOLE_AGAIN: Final = 30 * 86_400
_EVERY_SECONDS: Final = 5.0
# A checkpoint may cost a twentieth of the time since the last one.
_SHARE: Final = 20
_NEW_ROWS: Final = 2_000


class _Remembered:
    """What earlier runs of a job have reached, held against the source as it is now."""

    def __init__(self, journal: Journal, source: Source, *, restart: bool) -> None:
        self.notices: list[str] = []
        self.journal = journal
        self._source = source
        self._restart = restart
        self._every = _EVERY_SECONDS
        self._landmarks: Sequence[Landmark] = ()
        self._noted_rows = 0
        self._noted_at = time.monotonic()

    def is_due(self, rows: int) -> bool:
        """Whether it is time to note that so many rows were read."""
        return rows > self._noted_rows and time.monotonic() - self._noted_at >= self._every

    def finish(self) -> None:
        """Note that every sink has everything."""
        self.journal.finish(self._landmarks)

    def _begin(self) -> None:
        """Note that the job is under way."""
        self._landmarks = self._source.landmarks()
        self.journal.begin(self._landmarks)
        self._noted_at = time.monotonic()

    def _noted(self, rows: int, began: float) -> None:
        """It was noted that so many rows were read, which took from ``began`` until now."""
        self._noted_rows = rows
        self._noted_at = time.monotonic()
        self._every = max(self._every, _SHARE * (self._noted_at - began))

    def _recognised(self, checkpoint: Checkpoint | None) -> int:
        """How many of the plays that are remembered are in the source.

        Raises:
            CheckpointError: it is another history, or was begun with other options and not
                ended.
        """
        other = self.journal.begun_otherwise() if self.journal.writes else None
        if other is not None and (checkpoint is None or checkpoint.status == "completed"):
            raise CheckpointError(
                f"An import of {self._source.name} into the same place was begun with "
                f"{_in_words(other.about.options)} and is not finished.",
                hint="Run it as it was begun, or forget that with --restart.",
            )
        known = checkpoint.landmarks if checkpoint else ()
        recognised = self._source.recognised(known) if known else 0
        if known and not recognised:
            raise CheckpointError(
                f"{self._source.name} holds another history than the one that was read from there "
                f"before: none of {len(known)} plays that are remembered of it is in it.",
                hint="If it is meant, forget the other one with --restart, or keep both with "
                "another --state-dir.",
            )
        return recognised

    def _changed(
        self,
        reached: Reached,
        known: Sequence[Landmark],
        recognised: int,
        *,
        detailed: bool = False,
    ) -> str:
        """What has changed in the part that was read before; empty when nothing has."""
        marked = self._source.marked(Cursor(reached.cursor), detailed=detailed)
        if marked is None:
            return "it cannot be told whether old plays have changed"
        rows, mark = marked
        if (rows, mark) == (reached.rows, reached.mark):
            return ""
        if rows < reached.rows and recognised < len(known) and not self._has(known[-1]):
            return "the newest plays of last time are gone, as after a restored backup"
        if rows < reached.rows:
            count = reached.rows - rows
            return f"{many(count, 'old play')} {'was' if count == 1 else 'were'} deleted"
        if rows > reached.rows:
            count = rows - reached.rows
            have = "has" if count == 1 else "have"
            return f"{many(count, 'play')} {have} come in between old ones"
        if detailed:
            return "other plays stand under the numbers of old ones"
        return "old plays have changed, as after Tautulli refreshed its metadata"

    def _has(self, landmark: Landmark) -> bool:
        return self._source.recognised([landmark]) == 1

    def _say(self, why: str) -> None:
        if not any("read again" in notice for notice in self._source.notices):
            self.notices.append(f"Everything is read again: {why}.")


class Ledger(_Remembered):
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
        super().__init__(journal, source, restart=restart)
        self._now = now
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
        self._begin()
        if found is None:
            self.journal.unread()
        else:
            self._noted_rows = found[0].rows
            self._whole_at = found[0].whole_at
        return found

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
        self._noted(reached.rows, began)

    def _believed(self) -> tuple[Reached, Sequence[Sight]] | None:
        checkpoint = self.journal.checkpoint()
        recognised = self._recognised(checkpoint)
        if checkpoint is None:
            return None
        found = self.journal.reached()
        if found is None and not checkpoint.rows:
            return None
        why = (
            self._why_not(found[0], checkpoint.landmarks, recognised)
            if found
            else "what was remembered is damaged, or of another version of this program"
        )
        if why:
            self._say(why)
        return None if why else found

    def _why_not(self, reached: Reached, known: Sequence[Landmark], recognised: int) -> str:
        """Why what was reached does not hold any more; empty when it does."""
        if [_of(rule) for rule in reached.rules] != [_of(rule) for rule in self._source.rules()]:
            return "the thresholds for watched were changed"
        if self._now - reached.whole_at > _WHOLE_AGAIN:
            return "it was last read whole a month ago"
        return self._changed(reached, known, recognised)


class Bookmark(_Remembered):
    """The checkpoint of one stream: up to where its sink was given the events of a source.

    An event that was delivered stays as it was, whatever Tautulli changes about its row later,
    so nothing is read again for that; only when other plays stand under old numbers.
    """

    def __init__(self, journal: Journal, source: Source, *, restart: bool = False) -> None:
        """``restart`` forgets."""
        super().__init__(journal, source, restart=restart)
        self._saved: Reached | None = None
        self._recognised_now = 0

    @property
    def job(self) -> str:
        """What the job is called."""
        return self.journal.about.key

    def remembered(self) -> Reached | None:
        """What the state file has of earlier runs; only the sink knows whether it holds.

        Raises:
            CheckpointError: it is of another history.
        """
        if self._restart:
            self.journal.forget()
            return None
        self._recognised_now = self._recognised(self.journal.checkpoint())
        found = self.journal.reached()
        return found[0] if found else None

    def go_on(self, found: Reached | None) -> Reached | None:
        """Begin after what the sink says it has, if that holds; ``None``: from the first row."""
        checkpoint = None if self._restart else self.journal.checkpoint()
        if self._restart:
            found = None
        if found is not None:
            known = checkpoint.landmarks if checkpoint else ()
            why = self._changed(found, known, self._recognised_now, detailed=True)
            if why:
                self._say(why)
                found = None
        elif checkpoint is not None and checkpoint.rows:
            self._say("what was delivered before is no longer there, or cannot be told from it")
        self._begin()
        self._saved = found
        if found is None:
            self.journal.unread()
        else:
            self._noted_rows = found.rows
        return found

    def save(self, delivered: Reached | None) -> None:
        """Note how far the sink has it, where that is farther than before.

        Raises:
            SinkError: it cannot be written.
        """
        began = time.monotonic()
        if delivered is not None and delivered != self._saved:
            self.journal.save(delivered, (), self._landmarks)
            self._saved = delivered
        self._noted(delivered.rows if delivered else 0, began)


def _of(rule: object) -> tuple[object, ...]:
    """The thresholds alone, wherever they were read."""
    return tuple(getattr(rule, name) for name in ("movie_percent", "tv_percent", "marker"))


def _in_words(options: object) -> str:
    """Options as they are typed."""
    if not isinstance(options, dict):
        return "other options"
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is True]
    return " and ".join(given) if given else "fewer options"
