"""Read a window by positions, around single rows that Tautulli cannot deliver.

Tautulli 2.17.2 answers 500 to every page with a film of length zero or with an unknown media type.
A page that fails is halved until it has only that row.
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

_MOST_UNDELIVERED: Final = 100
TOO_MANY: Final = "Tautulli fails on most of its rows"
_HINT: Final = (
    "Its database or its version has an error. Read the file itself: tautulli-import db tautulli.db"
)


def too_many(delivered: int, undelivered: int) -> bool:
    """Return whether undelivered rows are too many to be exceptions."""
    return undelivered >= _MOST_UNDELIVERED and undelivered > delivered


class Undelivered(Struct, frozen=True):
    """The position of a row that Tautulli cannot deliver. Its id is not known."""

    window: str
    position: int
    order: Order = "date"


class FetchCounts(Struct):
    """The number of rows in a crawl that Tautulli delivered, and that it could not deliver."""

    delivered: int = 0
    undelivered: int = 0


class PositionReader:
    """Reads the rows of one window, in one order, by position."""

    def __init__(
        self,
        api: HistoryApi,
        window: Window,
        counts: FetchCounts,
        *,
        order: Order = "date",
        kinds: str = "",
    ) -> None:
        self.undelivered: list[Undelivered] = []
        """The undelivered rows so far."""
        self._api = api
        self._window = window
        self._counts = counts
        self._order: Order = order
        self._kinds = kinds
        self._seen: set[int] = set()

    def read(self, begin: int, end: int) -> Sequence[Row]:
        """Return the rows from ``begin`` up to ``end``, without those that cannot be delivered.

        Raises:
            SourceDamagedError: too many rows cannot be delivered.
            UnansweredError: a request for a single row gets no answer, for another reason.
        """
        if begin >= end:
            return ()
        alone = end - begin == 1
        try:
            return self._not_repeated(self._page(begin, end), begin)
        except UndeliverableError as error:
            if alone:
                try:  # a second try, to be sure
                    return self._not_repeated(self._page(begin, end), begin)
                except UndeliverableError:
                    self.skip(begin, end, error)
                    return ()
        except UnansweredError:
            if alone:
                raise
        middle = begin + (end - begin) // 2
        return [*self.read(begin, middle), *self.read(middle, end)]

    def all_rows(self, count: int, most: int) -> Sequence[Row] | None:
        """Return all ``count`` rows, read ``most`` at a time; ``None`` if one is undeliverable."""
        rows: list[Row] = []
        try:
            for position in range(0, count, most):
                rows += self._page(position, min(position + most, count))
        except UndeliverableError:
            return None
        return rows

    def first_failing(self, count: int) -> tuple[int, Sequence[Row]]:
        """Return the first position that fails, and the rows before it; ``count`` if none fails.

        The search begins at the first row, in steps that double.
        """
        rows: list[Row] = []
        begin, size = 0, 1
        while begin < count:
            end = min(begin + size, count)
            found = self._if_delivered(begin, end)
            if found is not None:
                rows += found
                begin, size = end, size * 2
                continue
            while end - begin > 1:
                middle = begin + (end - begin) // 2
                found = self._if_delivered(begin, middle)
                if found is None:
                    end = middle
                else:
                    rows += found
                    begin = middle
            alone = self._if_delivered(begin, end)
            if alone is None:
                return begin, rows
            rows += alone  # the failure was temporary
            begin = end
        return count, rows

    def first_answered(self, failing: int, count: int) -> int:
        """Return the first position after the failing ones; ``count`` if all up to the end fail."""
        low, step = failing, 1
        while low + step < count and self._if_delivered(low + step, low + step + 1) is None:
            low, step = low + step, step * 2
        high = min(low + step, count)
        while high - low > 1:
            middle = low + (high - low) // 2
            if self._if_delivered(middle, middle + 1) is not None:
                high = middle
            else:
                low = middle
        return high

    def skip(self, begin: int, end: int, error: UndeliverableError | None = None) -> None:
        """Note rows that Tautulli cannot deliver.

        Raises:
            SourceDamagedError: there is an ``error``, and such rows are too many.
        """
        self._counts.undelivered += end - begin
        if error is not None and too_many(self._counts.delivered, self._counts.undelivered):
            raise SourceDamagedError(f"{TOO_MANY}: {error}", hint=_HINT) from error
        self.undelivered += [
            Undelivered(str(self._window), position, self._order) for position in range(begin, end)
        ]

    def _not_repeated(self, rows: Sequence[Row], begin: int) -> Sequence[Row]:
        """Return the rows, unless they were already sent for another position.

        Raises:
            SourceDamagedError: they were.
        """
        ids = {row[0] for row in rows}
        if ids and ids <= self._seen:
            raise SourceDamagedError(
                f"{self._api.where(self._window)} sent the same rows again, from {begin} on.",
                hint="Check whether a proxy in front of Tautulli caches answers.",
            )
        self._seen |= ids
        return rows

    def _if_delivered(self, begin: int, end: int) -> Sequence[Row] | None:
        """Return the rows, or ``None`` if Tautulli fails on them twice.

        One failure proves nothing: a locked database fails in the same way for a moment.
        """
        for _ in range(2):
            with suppress(UndeliverableError):
                return self._page(begin, end)
        return None

    def _page(self, begin: int, end: int) -> Sequence[Row]:
        page = self._api.page(
            self._window, begin, end - begin, order=self._order, kinds=self._kinds
        )
        self._counts.delivered += len(page.rows)
        return page.rows
