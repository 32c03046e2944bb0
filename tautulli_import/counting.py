"""Account for every row: *read = filtered + rejected + merged + emitted*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from .errors import AccountingError
from .model.played import Played, PlayedMovie
from .model.plays import Play
from .model.rejections import Reason, Rejected
from .sources.base import Batch, JudgedBatch

__all__ = ["Plays", "RowCounts", "add_up", "place_of", "rejected_play"]


class RowCounts:
    """Counts rows by their verdicts, and collects the rejected ones."""

    def __init__(self) -> None:
        self.rows = 0
        """All rows so far."""
        self.verdicts: Counter[Reason] = Counter()
        self.rejected: dict[tuple[str, int | str], Rejected] = {}
        """The rejected rows, by ``place_of``."""

    def count(self, batch: Batch | JudgedBatch, rejected: Iterable[Rejected]) -> None:
        """Count the rows of a batch that are not plays, and collect all rejected rows.

        ``rejected`` are the batch's plays that were rejected. The caller has counted their
        verdicts.
        """
        self.verdicts.update(row.reason for row in batch.rejected)
        for row in batch.recovered:
            self.verdicts[row.reason] -= 1
            self.rejected.pop(place_of(row), None)
        self.verdicts[Reason.DUPLICATE] += batch.duplicates + len(batch.recovered)
        for row in (*batch.rejected, *rejected):
            self.rejected[place_of(row)] = row
        self.rows += batch.size

    def reject(self, row: Rejected) -> None:
        """Count and collect a play that was accepted at first."""
        self.verdicts[row.reason] += 1
        self.rejected[place_of(row)] = row


def place_of(row: Rejected) -> tuple[str, int | str]:
    """Return the key of a row: its source, and its number or, without one, its detail."""
    return row.source, row.detail if row.id is None else row.id


def rejected_play(play: Play | Played, row_id: int, reason: Reason, source: str) -> Rejected:
    """Describe a play that was rejected."""
    series = None if isinstance(play, PlayedMovie) else play.grandparent_title
    return Rejected(reason, row_id, " - ".join(filter(None, (series, play.title))), source)


class Plays(Struct, frozen=True):
    """The numbers of rows: ``read = filtered + rejected + merged + emitted``."""

    read: int
    filtered: Mapping[str, int]
    rejected: Mapping[str, int]
    merged: int
    emitted: int


def add_up(read: int, verdicts: Mapping[Reason, int], accepted: int, emitted: int) -> Plays:
    """Check that every row that was read is accounted for.

    ``accepted`` plays became ``emitted`` items or events.

    Raises:
        AccountingError: a row was lost or counted twice.
    """
    ordered = [(reason, verdicts[reason]) for reason in Reason if verdicts.get(reason)]
    filtered = {reason.value: count for reason, count in ordered if not reason.rejects}
    rejected = {reason.value: count for reason, count in ordered if reason.rejects}
    plays = Plays(read, filtered, rejected, accepted - emitted, emitted)
    counted = sum(filtered.values()) + sum(rejected.values()) + accepted
    if counted != read or plays.merged < 0 or bool(accepted) != bool(emitted):
        raise AccountingError(
            f"The numbers do not add up: {read} plays were read, but {counted} are accounted "
            f"for. {accepted} of them became {emitted} records.",
            hint="This is a bug in tautulli-import. Please report it.",
        )
    return plays
