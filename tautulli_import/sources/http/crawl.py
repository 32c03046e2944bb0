"""Read a whole history over HTTP in windows of days, around everything that fails.

For every request Tautulli runs its query over all rows of the window, and then cuts a page out of
the result. So a small page of a large window takes nearly as long as the large window. A window
that is read in one request costs only its own rows (measured on 2.17.2). So windows are read whole,
from the newest days to the oldest, and sized by the density of the last one. A window that fails is
halved, by days and then by rows, until only an undeliverable row is left. That row is noted and
skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

from ...errors import UnansweredError, UndeliverableError
from ..database.rows import Row
from .history_api import HistoryApi, Page, Window, day_of
from .positions import FetchCounts, PositionReader, Undelivered

__all__ = ["Crawl", "FetchedDays"]

_LOG: Final = logging.getLogger(__name__)
MOST: Final = 25_000
"""The most rows of a request. If a window has more, the rest is read with further requests."""
_WANTED: Final = 18_000
_FEWEST: Final = 500
_FIRST_DAYS: Final = 45
_BEGINNING: Final = date(1990, 1, 1)
_GROWTH: Final = 10
_RECORDED: Final = "movie,episode,track,clip,photo"
_LIVE: Final = "live"


class FetchedDays(Struct, frozen=True):
    """A window that was read, with its rows."""

    window: Window
    rows: Sequence[Row]
    undelivered: Sequence[Undelivered] = ()
    """All undelivered rows of the window so far."""


class Crawl:
    """Reads windows. Each part that is complete goes to ``keep`` at once."""

    def __init__(
        self,
        api: HistoryApi,
        keep: Callable[[FetchedDays], None],
        *,
        today: date,
        most: int = MOST,
    ) -> None:
        self._api = api
        self._keep = keep
        self._today = today
        self._most = most
        self._wanted = min(_WANTED, most)
        self._shrunk = False
        self._counts = FetchCounts()

    def newest(self, after: date, *, cut: date | None = None) -> int:
        """Read the days from ``after`` on, without an end. Return the number of their rows.

        Undelivered rows from ``cut`` on are noted apart from earlier ones, because the next run
        reads those days again.
        """
        return self._read(Window(after=after), cut=cut)

    def backwards(
        self,
        before: date,
        remaining: Callable[[], int],
        reached: Callable[[date], None],
        *,
        per_day: float,
    ) -> None:
        """Read everything up to the day ``before``, newest days first.

        ``remaining`` returns about how many rows are left: it includes rows that Tautulli never
        lists. ``reached`` is called with the first day of everything read so far. ``per_day`` is an
        estimate of the number of rows a day.
        """
        days, upto = self._days(per_day, _FIRST_DAYS), before
        while remaining() > (self._wanted if self._shrunk else self._most):
            if upto <= _BEGINNING:
                break
            after = max(upto - timedelta(days=min(days, (upto - _BEGINNING).days)), _BEGINNING)
            rows = self._read(Window(after, upto))
            reached(after)
            days, upto = self._days(rows / days, days), after - timedelta(days=1)
        self._read(Window(before=upto))

    def _days(self, per_day: float, days: int) -> int:
        """Return the number of days to read next, after ``days`` with ``per_day`` rows each."""
        fitting = self._wanted / per_day if per_day else days * _GROWTH
        return max(1, min(round(fitting), days * _GROWTH))

    def whole(self) -> None:
        """Read everything by position, from a server that takes no windows."""
        self._by_position(Window(), 0, self._most)

    def undated(self, missing: int, listed: int) -> Sequence[Undelivered]:
        """Read the rows that are in no window, because they have no start or an impossible one.

        Sorted by time, rows without a start come first, and those past the calendar last.
        ``listed`` is the number of all rows, ``missing`` the number of those that no window had.
        Return the undelivered rows. They may have been found in a window already.
        """
        reader = PositionReader(self._api, Window(), self._counts)
        count = min(missing, listed)
        for begin, end in ((0, count), (max(count, listed - count), listed)):
            for position in range(begin, end, self._most):
                rows = reader.read(position, min(position + self._most, end))
                self._keep(FetchedDays(Window(), rows))
        return reader.undelivered

    def count(self) -> Page:
        """Return the number of listed rows and of all rows, without reading any."""
        return self._api.page(Window(), 0, 0, divisible=False)

    def _read(self, window: Window, *, cut: date | None = None) -> int:
        """Read a window in as many parts as necessary. Return the number of its rows."""
        try:
            page = self._api.page(window, 0, self._most)
        except UnansweredError as error:
            if not self._api.windows:
                raise
            if cut and window.after and window.after < cut:
                earlier = self._read(Window(window.after, cut - timedelta(days=1)))
                return earlier + self._read(Window(cut))
            if isinstance(error, UndeliverableError):
                count = self._around(window)
                return self._divide(window) if count is None else count
            self._wanted, self._shrunk = max(self._wanted // 2, _FEWEST), True
            return self._divide(window)
        count = len(page.rows)
        _LOG.debug("%s: %d of %d rows", window, count, page.filtered)
        self._counts.delivered += count
        most = min(_WANTED, self._most)
        self._wanted = min(self._wanted * 3 // 2, most)
        self._shrunk = self._wanted < most
        if page.filtered <= count:
            self._keep(FetchedDays(window, page.rows))
            return count
        last = next((row[2] for row in reversed(page.rows) if row[2] is not None), None)
        # One day earlier, because the server's day can differ from that in UTC.
        rest = Window(day_of(last) - timedelta(days=1), window.before) if last else window
        if rest.after is None or (window.after is not None and rest.after <= window.after):
            self._keep(FetchedDays(window, page.rows))
            return count + self._by_position(window, count, self._most)
        self._keep(FetchedDays(Window(window.after, rest.after - timedelta(days=1)), page.rows))
        return count + self._read(rest)

    def _divide(self, window: Window) -> int:
        """Read a window in two halves of its days. Halve a single day by its rows."""
        halves = window.halves(self._today)
        if halves is None:
            count = self._count(window)
            return self._by_position(window, 0, max(1, (count + 1) // 2))
        older, newer = halves
        return self._read(newer) + self._read(older)

    def _around(self, window: Window) -> int | None:
        """Read a window around the two known kinds of rows that Tautulli cannot deliver.

        There can be hundreds of them. Halving the days around each one would take thousands of
        requests. Rows of an unknown media type are left out by a request for the known types. Rows
        with a length of zero fail, because Tautulli divides by it. Sorted by duration these rows
        are neighbours, so that only their first and last one must be found. Live TV is read apart,
        because Tautulli computes no percentage of it. Return the number of rows, or ``None`` if the
        server does not take lists of media types.
        """
        # A request without rows cannot fail on a row.
        total = self._count(window)
        count, live = self._count(window, _RECORDED), self._count(window, _LIVE)
        if not count:
            return None  # only live TV, or an old server that does not take lists of types
        unknown = total - count - live
        reader = PositionReader(self._api, window, self._counts, order="duration", kinds=_RECORDED)
        begin = end = 0
        rows = reader.all_rows(count, self._most) if unknown else None
        if rows is None:
            begin, rows = reader.first_failing(count)
            end = reader.first_answered(begin, count)
            for position in range(end, count, self._most):
                self._keep(FetchedDays(window, rows))
                rows = reader.read(position, min(position + self._most, count))
        reader.skip(begin, end)
        reader.skip(count, count + unknown)
        self._keep(FetchedDays(window, rows))
        live_reader = PositionReader(self._api, window, self._counts, kinds=_LIVE)
        rows = live_reader.read(0, live)
        self._keep(FetchedDays(window, rows, [*reader.undelivered, *live_reader.undelivered]))
        return total

    def _count(self, window: Window, kinds: str = "") -> int:
        return self._api.page(window, 0, 0, kinds=kinds, divisible=False).filtered

    def _by_position(self, window: Window, begin: int, size: int) -> int:
        """Read a window from ``begin`` on, ``size`` rows at a time. Return the number of rows."""
        count = self._count(window)
        reader = PositionReader(self._api, window, self._counts)
        for position in range(begin, count, size):
            rows = reader.read(position, min(position + size, count))
            self._keep(FetchedDays(window, rows, reader.undelivered))
        return max(0, count - begin)
