"""Decide when a play counts as watched, and convert dates of people and of CrossWatch."""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from ..errors import ConfigurationError
from .plays import Play

__all__ = [
    "FIRST_MOMENT",
    "LAST_MOMENT",
    "LATEST",
    "WatchedAt",
    "is_relative",
    "latest_moment",
    "moment",
    "parse_moment",
    "watched_at",
]

WatchedAt: TypeAlias = Literal["stopped", "started"]

_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)

FIRST_MOMENT: Final = 1_199_145_600
"""2008-01-01T00:00:00Z. Plex is of 2008, so an earlier time comes from a broken clock."""

LAST_MOMENT: Final = 253_402_300_799
"""9999-12-31T23:59:59Z. A later time is invalid: milliseconds that were taken for seconds."""

LATEST: Final = 4_294_967_295
"""2106-02-07T06:28:15Z. It is the last time that has 32 bits."""


def latest_moment(now: int) -> int:
    """Return the last possible time of a play (epoch seconds, UTC) in a run at ``now``.

    Clocks of servers differ by hours, so a play may be a day ahead.
    """
    return now + _DAY


def moment(play: Play, watched_at: WatchedAt = "stopped", *, latest: int) -> int:
    """Return when the play counts as watched (epoch seconds, UTC), or 0 without a possible time.

    It is the time it stopped, or if there is none, the time it started. (CrossWatch took the
    start until its issue 1063.) A time before 2008 or after ``latest`` comes from a broken clock
    and counts as none. A stop before the start counts as none, too.
    """
    started, stopped = play.started or 0, play.stopped or 0
    if not FIRST_MOMENT <= started <= latest:
        started = 0
    if not (started or FIRST_MOMENT) <= stopped <= latest:
        return started
    return started if started and watched_at == "started" else stopped


_AGO: Final = re.compile(r"([0-9]{1,6})(d|w|mo|y)")
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"mo": 1, "y": 12}
_SPAN: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_HINT: Final = (
    "Use a year (2020), a month (2020-05), a day (2020-05-31, today, yesterday), "
    "a time (2020-05-31T20:15:00Z), or a time ago: 30d, 2w, 6mo, 10y."
)


def parse_moment(text: str, *, now: int, end: bool = False) -> int:
    """Parse ``--since`` and ``--until``; the hint of the error lists the forms.

    Return epoch seconds. Days, months and years are those in UTC, like ``watched_at``. With
    ``end`` the whole of one counts, so that ``--until 2024`` includes all of 2024.

    Raises:
        ConfigurationError: the text has none of the forms.
    """
    word = text.strip().lower()
    today = now - now % _DAY
    if word in ("today", "yesterday"):
        return today - (_DAY if word == "yesterday" else 0) + (_DAY if end else 0)
    if ago := _AGO.fullmatch(word):
        number, unit = int(ago[1]), ago[2]
        if unit in _DAYS:
            return now - number * _DAYS[unit] * _DAY
        return _months_before(now, number * _MONTHS[unit])
    try:
        if span := _SPAN.fullmatch(word):
            return _span(int(span[1]), span[2], span[3], end=end)
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", word):  # fromisoformat also takes 2024-W09
            raise ValueError(word)  # noqa: TRY301 - the error below explains it
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a valid date.", hint=_HINT) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def is_relative(text: str | None) -> bool:
    """Return true if ``parse_moment`` gives another time for this text tomorrow."""
    word = (text or "").strip().lower()
    return word in ("today", "yesterday") or _AGO.fullmatch(word) is not None


def _span(year: int, month: str | None, day: str | None, *, end: bool) -> int:
    """Return the first moment of a year, month or day, or with ``end`` the first one after it."""
    first = datetime(year, int(month or 1), int(day or 1), tzinfo=UTC)
    if not end:
        days = 0
    elif month is None:
        days = 365 + isleap(year)
    else:
        days = monthrange(year, first.month)[1] if day is None else 1
    return int(first.timestamp()) + days * _DAY


def _months_before(now: int, months: int) -> int:
    """Return the same time of day months ago. 31 May minus three months is the last of February."""
    day = _EPOCH + timedelta(days=now // _DAY)
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < date.min.year:
        return (date.min - _EPOCH).days * _DAY
    first = date(year, month + 1, 1)
    last = monthrange(year, month + 1)[1]
    then = first + timedelta(days=min(day.day, last) - 1)
    return (then - _EPOCH).days * _DAY + now % _DAY


# Formatting the numbers each time takes twice as long.
_MINUTES: Final = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1_440)]
_SECONDS: Final = [f"{second:02}Z" for second in range(60)]


def watched_at(epoch: int) -> str:
    """Format epoch seconds as ``YYYY-MM-DDTHH:MM:SSZ``. CrossWatch compares these as strings."""
    minute, second = divmod(epoch, 60)
    return f"{_day(minute // 1_440)}{_MINUTES[minute % 1_440]}{_SECONDS[second]}"


@lru_cache(maxsize=8_192)
def _day(number: int) -> str:
    """Format a day since 1970. It is cached, because formatting is slow and days are few."""
    return (_EPOCH + timedelta(days=number)).isoformat()
