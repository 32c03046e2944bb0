"""Reading a whole history over HTTP in date windows, around whatever fails.

Every request makes Tautulli run its query over all rows of the window, and only then cut a page
out of it: a small page of a large window costs nearly as much as the large window. A window that
is read in one go costs its own rows and no others (measured on 2.17.2), so windows are sized by
what came back, from the newest days to the oldest. Where one fails it is halved, by days and then
by rows, until what cannot be delivered is alone; that is remembered, and passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

from ...errors import UnansweredError, UndeliverableError
from ..database.rows import Row
from .history_api import HistoryApi, Page, Window, day_of
from .positions import FetchCounts, PositionReader, Undelivered

__all__ = ["Crawl", "FetchedDays"]

MOST: Final = 25_000
"""Rows that a window is read with at most; where it has more, the rest is asked for anew."""
_WANTED: Final = 18_000
_FEWEST: Final = 500
_FIRST_DAYS: Final = 45
_BEGINNING: Final = date(1990, 1, 1)
_GROWTH: Final = 10
_RECORDED: Final = "movie,episode,track,clip,photo"
_LIVE: Final = "live"


class FetchedDays(Struct, frozen=True):
    """Days, and what was read of them."""

    window: Window
    rows: Sequence[Row]
    undelivered: Sequence[Undelivered] = ()
    """Of the window, all that were met so far."""


class Crawl:
    """Reads windows; each stretch that is whole is handed to ``keep`` at once."""

    def __init__(
        self,
        listing: HistoryApi,
        keep: Callable[[FetchedDays], None],
        *,
        today: date,
        most: int = MOST,
    ) -> None:
        self._listing = listing
        self._keep = keep
        self._today = today
        self._most = most
        self._wanted = min(_WANTED, most)
        self._shrunk = False
        self._tally = FetchCounts()

    def newest(self, after: date, *, cut: date | None = None) -> int:
        """Read from a day on, with no end: what was logged lately, and what comes meanwhile.

        Returns how many rows there are. Where some cannot be had, those from ``cut`` on are
        noted apart from the earlier ones: the next run will read them again.
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
        """Read everything up to a day, newest days first.

        ``remaining`` says how many rows are still to come: about, for it counts those that
        Tautulli never lists. ``reached`` is told the first day of all that is read so far;
        ``per_day`` is how many rows a day has, as far as one knows.
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
        """How many days to read next, after so many of that density."""
        wished = self._wanted / per_day if per_day else days * _GROWTH
        return max(1, min(round(wished), days * _GROWTH))

    def whole(self) -> None:
        """Read everything by position, from a server that knows no windows."""
        self._by_position(Window(), 0, self._most)

    def undated(self, missing: int, listed: int) -> Sequence[Undelivered]:
        """Read rows that are in no window: they have no start, or one that no calendar has.

        Sorted by time those without one come first, those beyond every calendar last.
        ``listed`` is how many rows there are in all, ``missing`` how many of them no window had.
        Returns what could not be had, which may have been met in a window already.
        """
        spans = PositionReader(self._listing, Window(), self._tally)
        count = min(missing, listed)
        for begin, end in ((0, count), (max(count, listed - count), listed)):
            for position in range(begin, end, self._most):
                rows = spans.read(position, min(position + self._most, end))
                self._keep(FetchedDays(Window(), rows))
        return spans.undelivered

    def count(self) -> Page:
        """How many rows are listed, and how many there are, without reading any."""
        return self._listing.page(Window(), 0, 0, divisible=False)

    def _read(self, window: Window, *, cut: date | None = None) -> int:
        """Read a window whole, in as many pieces as it takes; how many rows it has."""
        try:
            page = self._listing.page(window, 0, self._most)
        except UnansweredError as error:
            if not self._listing.windows:
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
        self._tally.delivered += count
        most = min(_WANTED, self._most)
        self._wanted = min(self._wanted * 3 // 2, most)
        self._shrunk = self._wanted < most
        if page.filtered <= count:
            self._keep(FetchedDays(window, page.rows))
            return count
        last = next((row[2] for row in reversed(page.rows) if row[2] is not None), None)
        # One day back: the server's day can be another than that of UTC.
        rest = Window(day_of(last) - timedelta(days=1), window.before) if last else window
        if rest.after is None or (window.after is not None and rest.after <= window.after):
            self._keep(FetchedDays(window, page.rows))
            return count + self._by_position(window, count, self._most)
        self._keep(FetchedDays(Window(window.after, rest.after - timedelta(days=1)), page.rows))
        return count + self._read(rest)

    def _divide(self, window: Window) -> int:
        """Read a window in halves: of its days, and where it is a single day, of its rows."""
        halves = window.halves(self._today)
        if halves is None:
            count = self._count(window)
            return self._by_position(window, 0, max(1, (count + 1) // 2))
        older, newer = halves
        return self._read(newer) + self._read(older)

    def _around(self, window: Window) -> int | None:
        """Read a window around the rows that Tautulli cannot deliver, of the two sorts known.

        There can be hundreds, and to halve the days around each would take thousands of
        requests. A media type that it does not know can be left out by asking for those that it
        knows. And where it divides by a length of zero: sorted by duration such rows stand
        together, so that there are two ends to find, however many they are; live TV, of which
        it takes no percentage, set aside. ``None`` where it cannot be asked for media types.
        """
        # Without rows nothing is built that could fail, so this tells how many there are.
        total = self._count(window)
        count, live = self._count(window, _RECORDED), self._count(window, _LIVE)
        if not count:
            return None  # nothing but live TV, or an old one that does not know lists of types
        strange = total - count - live
        spans = PositionReader(
            self._listing, window, self._tally, order="duration", kinds=_RECORDED
        )
        begin = end = 0
        rows = spans.whole(count, self._most) if strange else None
        if rows is None:
            begin, rows = spans.first_failing(count)
            end = spans.first_answered(begin, count)
            for position in range(end, count, self._most):
                self._keep(FetchedDays(window, rows))
                rows = spans.read(position, min(position + self._most, count))
        spans.pass_by(begin, end)
        spans.pass_by(count, count + strange)
        self._keep(FetchedDays(window, rows))
        broadcast = PositionReader(self._listing, window, self._tally, kinds=_LIVE)
        rows = broadcast.read(0, live)
        self._keep(FetchedDays(window, rows, [*spans.undelivered, *broadcast.undelivered]))
        return total

    def _count(self, window: Window, kinds: str = "") -> int:
        return self._listing.page(window, 0, 0, kinds=kinds, divisible=False).filtered

    def _by_position(self, window: Window, begin: int, size: int) -> int:
        """Read what cannot be divided by days, so many rows at a time; how many there are."""
        count = self._count(window)
        spans = PositionReader(self._listing, window, self._tally)
        for position in range(begin, count, size):
            rows = spans.read(position, min(position + size, count))
            self._keep(FetchedDays(window, rows, spans.undelivered))
        return max(0, count - begin)
