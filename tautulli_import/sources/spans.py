"""Reading a window by positions, around single rows that cannot be had.

Tautulli 2.17.2 answers 500 to every page that holds a row whose film has a length of zero or
whose media type it does not know. Whatever fails is halved until such a row is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ..errors import SourceDamagedError, UnansweredError, UndeliverableError
from .listing import Listing, Order, Window
from .rows import Row

__all__ = ["Spans", "Tally", "Undelivered"]

_GIVE_UP: Final = 500


class Undelivered(Struct, frozen=True):
    """A row that cannot be had: where it stands, since its number is not known."""

    window: str
    position: int
    order: Order = "date"


class Tally(Struct):
    """Rows that were had in a crawl, and rows that could not be."""

    delivered: int = 0
    undelivered: int = 0


class Spans:
    """The rows of one window in one order, from a position up to another."""

    def __init__(
        self,
        listing: Listing,
        window: Window,
        tally: Tally,
        *,
        order: Order = "date",
        known: bool = False,
    ) -> None:
        self.undelivered: list[Undelivered] = []
        """What was met so far."""
        self._listing = listing
        self._window = window
        self._tally = tally
        self._order: Order = order
        self._known = known

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
            return self._page(begin, end)
        except UndeliverableError as error:
            if alone:
                try:  # all that it was part of has failed too; this is to be sure
                    return self._page(begin, end)
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
            try:
                rows += self._page(begin, end)
                begin, size = end, size * 2
            except UndeliverableError:
                while end - begin > 1:
                    middle = begin + (end - begin) // 2
                    try:
                        rows += self._page(begin, middle)
                        begin = middle
                    except UndeliverableError:
                        end = middle
                return begin, rows
        return count, rows

    def first_answered(self, failing: int, count: int) -> int:
        """The first position after a run of failing ones; ``count`` when there is none."""
        low, step = failing, 1
        while low + step < count and not self._answers(low + step):
            low, step = low + step, step * 2
        high = min(low + step, count)
        while high - low > 1:
            middle = low + (high - low) // 2
            if self._answers(middle):
                high = middle
            else:
                low = middle
        return high

    def pass_by(self, begin: int, end: int, error: UndeliverableError | None = None) -> None:
        """Note rows that cannot be had, as long as they are the exception.

        Raises:
            SourceDamagedError: they are not.
        """
        self._tally.undelivered += end - begin
        if self._tally.undelivered >= _GIVE_UP and self._tally.undelivered > self._tally.delivered:
            raise SourceDamagedError(
                "Tautulli fails on most of its rows."
                if error is None
                else f"Tautulli fails on most of its rows: {error}",
                hint="Its database is in trouble, or its version. 'tautulli-import db tautulli.db' "
                "reads the file itself.",
            ) from error
        self.undelivered += [
            Undelivered(str(self._window), position, self._order) for position in range(begin, end)
        ]

    def _answers(self, position: int) -> bool:
        try:
            self._page(position, position + 1)
        except UndeliverableError:
            return False
        return True

    def _page(self, begin: int, end: int) -> Sequence[Row]:
        page = self._listing.page(
            self._window, begin, end - begin, order=self._order, known=self._known
        )
        self._tally.delivered += len(page.rows)
        return page.rows
