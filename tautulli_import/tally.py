"""What is known after some of a source's batches: the tally that a reading keeps and remembers.

``Tally`` is that of items, which are made when everything is read; ``StreamTally`` that of
playback events, which go on row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from .checkpoint.journal import Reached
from .dedup import History, Sight, Sighting, owner
from .mapper import Naming, event
from .models import Play, PlaybackEvent, Reason, Rejected
from .selection import Judge, Selection
from .sources.base import Batch, Cursor, Source
from .stopping import held
from .watched import WatchedRule

__all__ = ["StreamTally", "Tally"]


class _Counted:
    """Every row of some batches, accounted for."""

    def __init__(self) -> None:
        self.rejected: dict[tuple[str, int | str], Rejected] = {}
        self.verdicts: Counter[Reason] = Counter()
        self.rows = 0
        self._cursor = Cursor("")
        self._mark = 0

    def _go_on(self, reached: Reached, source: str) -> Cursor:
        # The same file can be named by another path today.
        named = [msgspec.structs.replace(row, source=source) for row in reached.rejected]
        self.rejected |= {_place(row): row for row in named}
        self.rows, self._mark, self._cursor = reached.rows, reached.mark, Cursor(reached.cursor)
        return self._cursor

    def _count(self, batch: Batch, turned_away: Iterable[tuple[Play, Reason]]) -> int:
        """Count what no play came of, and note the rows that were rejected."""
        self.verdicts.update(row.reason for row in batch.rejected)
        for row in batch.recovered:
            self.verdicts[row.reason] -= 1
            self.rejected.pop(_place(row), None)
        self.verdicts[Reason.DUPLICATE] += batch.duplicates + len(batch.recovered)
        rows_of_batch = (_rejected(play, why, batch.source) for play, why in turned_away)
        self.rejected |= {_place(row): row for row in (*batch.rejected, *rows_of_batch)}
        rows = len(batch.plays) + len(batch.rejected) + batch.duplicates
        self.rows += rows
        self._mark += batch.mark
        self._cursor = batch.cursor
        return rows


class Tally(_Counted):
    """What is known after some batches, and how to go on after them in another run.

    ``verdicts`` are those of what is no play; ``history`` has those of plays.
    """

    def __init__(self, history: History, selection: Selection, *, each_user: bool) -> None:
        super().__init__()
        self.history = history
        self._selection = selection
        self._each_user = each_user
        self._judges: dict[object, Judge] = {}
        self._is_settled = True
        self._is_whole = True

    def recall(self, reached: Reached, sights: Sequence[Sight], source: str) -> Cursor:
        """Begin after what was reached in the source of that name."""
        self.history.recall(sights)
        self.history.verdicts.update(reached.verdicts)
        self.history.accepted.update(dict(reached.accepted))
        return self._go_on(reached, source)

    def reached(self) -> Reached | None:
        """What to remember; ``None`` where some of it may be different the next time."""
        if not (self._is_settled and self._is_whole and self.rows):
            return None
        verdicts = self.verdicts + self.history.verdicts
        return Reached(
            cursor=self._cursor,
            rows=self.rows,
            mark=self._mark,
            rules=(),
            verdicts=dict(verdicts),
            accepted=list(self.history.accepted.items()),
            rejected=list(self.rejected.values()),
            sights=0,
            whole_at=0,
        )

    def judge(self, rule: WatchedRule) -> Judge:
        """The verdict under these thresholds."""
        judge = self._judges.get(rule)
        if judge is None:
            judge = self._judges[rule] = self._selection.judge(rule)
        return judge

    def take(self, batch: Batch) -> int:
        """Take a batch in, all of it or nothing; how many rows it had."""
        judge = self.judge(batch.rule)
        with held():
            self._is_whole = False
            rows = self._count(batch, self.history.take(batch.plays, judge))
            self._is_settled = self._is_settled and batch.settled
            self._is_whole = True
        return rows

    def turn_away(self, homeless: Sequence[tuple[Sighting, Reason]], source: Source) -> None:
        """Count the plays of these as rejected after all.

        Few histories have any, and only here each play of them has to be known one by one.
        """
        reasons = {id(sighting): reason for sighting, reason in homeless}
        for batch in source.batches(None):
            judge = self.judge(batch.rule)
            for play, sighting in self.history.plays_of([one for one, _ in homeless], batch.plays):
                if judge(play) is not None:
                    continue
                reason = reasons[id(sighting)]
                self.verdicts[reason] += 1
                self.history.accepted[owner(play) if self._each_user else None] -= 1
                self.rejected[batch.source, play.id] = _rejected(play, reason, batch.source)


class StreamTally(_Counted):
    """Rows made into playback events, and what to remember of those before the next."""

    def __init__(
        self,
        selection: Selection,
        naming: Naming,
        refuses: Callable[[PlaybackEvent], Reason | None],
    ) -> None:
        """``refuses`` is asked why the sink does not want an event that is as it should be."""
        super().__init__()
        self.accepted: Counter[str] = Counter()
        """Events by media type."""
        self._judge = selection.judge_event()
        self._naming = naming
        self._refuses = refuses
        self._reached: Reached | None = None
        self._noted: tuple[Rejected, ...] = ()

    def recall(self, reached: Reached, source: str) -> Cursor:
        """Begin after what was reached in the source of that name."""
        self.verdicts.update(reached.verdicts)
        self.accepted.update(reached.kinds)
        self._reached = reached
        cursor = self._go_on(reached, source)
        self._noted = tuple(self.rejected.values())
        return cursor

    def take(self, batch: Batch) -> list[PlaybackEvent]:
        """The events of a batch, in the order of its rows."""
        events: list[PlaybackEvent] = []
        kinds: list[str] = []
        turned_away: list[tuple[Play, Reason]] = []
        judge, refuses, details, naming = self._judge, self._refuses, batch.details, self._naming
        for play in batch.plays:
            reason = judge(play)
            if reason is None:
                made = event(play, details[play.id], naming)
                reason = refuses(made)
                if reason is None:
                    events.append(made)
                    kinds.append(play.media_type)
                    continue
            self.verdicts[reason] += 1
            if reason.rejects:
                turned_away.append((play, reason))
        self.accepted.update(kinds)
        self._count(batch, turned_away)
        if turned_away or batch.rejected or batch.recovered:
            self._noted = tuple(self.rejected.values())
        if batch.numbered:
            self._reached = Reached(
                cursor=self._cursor,
                rows=self.rows,
                mark=self._mark,
                rules=(),
                verdicts=+self.verdicts,
                accepted=(),
                rejected=self._noted,
                sights=0,
                whole_at=0,
                kinds=dict(self.accepted),
            )
        return events

    @property
    def reached(self) -> Reached | None:
        """The last point from which another run can go on."""
        return self._reached


def _place(row: Rejected) -> tuple[str, int | str]:
    """Which row it is; where Tautulli does not tell its number, the detail does."""
    return row.source, row.detail if row.id is None else row.id


def _rejected(play: Play, reason: Reason, source: str = "") -> Rejected:
    name = " - ".join(filter(None, (play.grandparent_title, play.title)))
    return Rejected(reason, play.id, name, source)
