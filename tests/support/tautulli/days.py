"""The calendar day of a moment, as SQLite tells it where the server lives."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from math import floor, fmod
from zoneinfo import ZoneInfo

__all__ = ["day_of"]

#: Until here SQLite asks the system; later (and earlier) years borrow the rules of 2000 to 2003.
_ASKED_UNTIL = 2_147_385_600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_2000 = 946_684_800
_CYCLE = 146_097 * 86_400
#: The first moment that SQLite knows, and the end of its last year.
_FIRST, _END, _LAST_YEAR = -210_866_760_000, 253_402_300_800, 9999


@cache
def day_of(zone: ZoneInfo) -> Callable[[object], str | None]:
    """Return a function from epoch seconds to a day in `zone`, or None for what has no day."""

    # A crawl asks for the same days again with every window.
    @lru_cache(maxsize=1 << 18)
    def local_day(started: object) -> str | None:
        seconds = _seconds(started)
        if seconds is None or not _FIRST <= seconds < _END:
            return None
        if 0 <= seconds <= _ASKED_UNTIL:
            return datetime.fromtimestamp(seconds, zone).date().isoformat()
        year, rest = _moved(seconds + _borrowed_offset(seconds, zone))
        return f"{year:04}{rest:-%m-%d}" if year <= _LAST_YEAR else None

    return local_day


def _seconds(value: object) -> int | None:
    """Return the number that a cell holds.

    Text in a column of numbers is not one, or it would be a number; bytes can still be one.
    """
    if isinstance(value, int):
        return value
    try:
        return floor(float(value)) if isinstance(value, float | bytes) else None
    except (OverflowError, ValueError):
        return None


def _borrowed_offset(seconds: int, zone: ZoneInfo) -> int:
    year, moment = _moved(seconds)
    # The remainder has the sign of the year.
    borrowed = moment.replace(year=2000 + int(fmod(year, 4)))
    offset = borrowed.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _moved(seconds: int) -> tuple[int, datetime]:
    """Return the year of a moment, and a moment like it in 2000 to 2399.

    The calendar repeats itself after 400 years; Python knows none before the year 1.
    """
    cycles, rest = divmod(seconds - _YEAR_2000, _CYCLE)
    moment = _EPOCH + timedelta(seconds=_YEAR_2000 + rest)
    return moment.year + 400 * cycles, moment
