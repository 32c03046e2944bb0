"""Reading a window by positions, around single rows that cannot be had.

Tautulli 2.17.2 answers 500 to every page that holds a row whose film has a length of zero or
whose media type it does not know. Whatever fails is halved until such a row is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from ...errors import SourceDamagedError, UnansweredError, UndeliverableError
from ..database.rows import Row
from .history_api import HistoryApi, Order, Window

__all__ = ["TOO_MANY", "FetchCounts", "PositionReader", "Undelivered", "too_many"]

_GIVE_UP: Final = 100
TOO_MANY: Final = "Tautulli fails on most of its rows"
_HINT: Final = (
    "Its database is in trouble, or its version. 'tautulli-import db tautulli.db' reads the file "
    "itself."
)


def too_many(delivered: int, undelivered: int) -> bool:
    """Whether rows that cannot be had are no exception any more."""
    return undelivered >= _GIVE_UP and undelivered > delivered


class Undelivered(Struct, frozen=True):
    """A row that cannot be had: where it stands, since its number is not known."""

    window: str
    position: int
    order: Order = "date"


class FetchCounts(Struct):
    """Rows that were had in a crawl, and rows that could not be."""

    delivered: int = 0
    undelivered: int = 0


class PositionReader:
    """The rows of one window in one order, from a position up to another."""

    def __init__(
        self,
        listing: HistoryApi,
        window: Window,
        tally: FetchCounts,
        *,
        order: Order = "date",
        kinds: str = "",
    ) -> None:
        self.undelivered: list[Undelivered] = []
        """What was met so far."""
        self._listing = listing
        self._window = window
        self._tally = tally
        self._order: Order = order
        self._kinds = kinds
        self._seen: set[int] = set()

    def read(self, begin: int, end: int) -> Sequence[Row]:
        """The rows from ``begin`` up to ``end``, without those that cannot be had.

        Raises:
            SourceDamagedError: those are not the exception.
            UnansweredError: a single row gets no answer, and it is not the row's fault.
        """
        if begin >= end:
            return ()
        alone = end - begin == 1
        try:
            return self._new(self._page(begin, end), begin)
        except UndeliverableError as error:
            if alone:
                try:  # all that it was part of has failed too; this is to be sure
                    return self._new(self._page(begin, end), begin)
                except UndeliverableError:
                    self.pass_by(begin, end, error)
                    return ()
        except UnansweredError:
            if alone:
                raise
        middle = begin + (end - begin) // 2
        return [*self.read(begin, middle), *self.read(middle, end)]

    def whole(self, count: int, most: int) -> Sequence[Row] | None:
        """All rows, so many at a time; ``None`` when there are some that cannot be had."""
        rows: list[Row] = []
        try:
            for position in range(0, count, most):
                rows += self._page(position, min(position + most, count))
        except UndeliverableError:
            return None
        return rows

    def first_failing(self, count: int) -> tuple[int, Sequence[Row]]:
        """The first position that fails, and the rows before it; ``count`` when none does.

        It is looked for near the beginning, in steps that double.
        """
        rows: list[Row] = []
        begin, size = 0, 1
        while begin < count:
            end = min(begin + size, count)
            found = self._if_had(begin, end)
            if found is not None:
                rows += found
                begin, size = end, size * 2
                continue
            while end - begin > 1:
                middle = begin + (end - begin) // 2
                found = self._if_had(begin, middle)
                if found is None:
                    end = middle
                else:
                    rows += found
                    begin = middle
            alone = self._if_had(begin, end)
            if alone is None:
                return begin, rows
            rows += alone  # it was something that has passed
            begin = end
        return count, rows

    def first_answered(self, failing: int, count: int) -> int:
        """The first position after a run of failing ones; ``count`` when there is none."""
        low, step = failing, 1
        while low + step < count and self._if_had(low + step, low + step + 1) is None:
            low, step = low + step, step * 2
        high = min(low + step, count)
        while high - low > 1:
            middle = low + (high - low) // 2
            if self._if_had(middle, middle + 1) is not None:
                high = middle
            else:
                low = middle
        return high

    def pass_by(self, begin: int, end: int, error: UndeliverableError | None = None) -> None:
        """Note rows that cannot be had.

        Raises:
            SourceDamagedError: they are met one by one, with an ``error`` each, and are many.
        """
        self._tally.undelivered += end - begin
        if error is not None and too_many(self._tally.delivered, self._tally.undelivered):
            raise SourceDamagedError(f"{TOO_MANY}: {error}", hint=_HINT) from error
        self.undelivered += [
            Undelivered(str(self._window), position, self._order) for position in range(begin, end)
        ]

    def _new(self, rows: Sequence[Row], begin: int) -> Sequence[Row]:
        """The rows, which must not be those of another position."""
        ids = {row[0] for row in rows}
        if ids and ids <= self._seen:
            raise SourceDamagedError(
                f"{self._listing.where(self._window)} sent the same rows again, from {begin} on.",
                hint="Does something between here and Tautulli remember old answers?",
            )
        self._seen |= ids
        return rows

    def _if_had(self, begin: int, end: int) -> Sequence[Row] | None:
        """The rows, or ``None`` where they cannot be had.

        That has to be said twice: a locked database fails in the same way, and a moment later
        it does not.
        """
        for _ in range(2):
            with suppress(UndeliverableError):
                return self._page(begin, end)
        return None

    def _page(self, begin: int, end: int) -> Sequence[Row]:
        page = self._listing.page(
            self._window, begin, end - begin, order=self._order, kinds=self._kinds
        )
        self._tally.delivered += len(page.rows)
        return page.rows
