"""What is known after some of a source's batches: the tally that a reading keeps and remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from .checkpoint.journal import Reached
from .dedup import History, Sight, Sighting, owner
from .models import Play, Reason, Rejected
from .selection import Judge, Selection
from .sources.base import Batch, Cursor, Source
from .stopping import held
from .watched import WatchedRule

__all__ = ["Tally"]


class Tally:
    """What is known after some batches, and how to go on after them in another run."""

    def __init__(self, history: History, selection: Selection, *, each_user: bool) -> None:
        self.history = history
        self.rejected: dict[tuple[str, int | str], Rejected] = {}
        self.verdicts: Counter[Reason] = Counter()
        """Of what is no play; ``history`` has those of plays."""
        self.rows = 0
        self._selection = selection
        self._each_user = each_user
        self._judges: dict[object, Judge] = {}
        self._cursor = Cursor("")
        self._mark = 0
        self._is_settled = True
        self._is_whole = True

    def recall(self, reached: Reached, sights: Sequence[Sight], source: str) -> Cursor:
        """Begin after what was reached in the source of that name."""
        self.history.recall(sights)
        self.history.verdicts.update(reached.verdicts)
        self.history.accepted.update(dict(reached.accepted))
        # The same file can be named by another path today.
        named = [msgspec.structs.replace(row, source=source) for row in reached.rejected]
        self.rejected |= {_place(row): row for row in named}
        self.rows, self._mark, self._cursor = reached.rows, reached.mark, Cursor(reached.cursor)
        return self._cursor

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
            turned_away = self.history.take(batch.plays, judge)
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


def _place(row: Rejected) -> tuple[str, int | str]:
    """Which row it is; where Tautulli does not tell its number, the detail does."""
    return row.source, row.detail if row.id is None else row.id


def _rejected(play: Play, reason: Reason, source: str = "") -> Rejected:
    name = " - ".join(filter(None, (play.grandparent_title, play.title)))
    return Rejected(reason, play.id, name, source)
