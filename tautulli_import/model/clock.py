"""Decide when a play counts as watched, and convert dates of people and of CrossWatch."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from ..errors import ConfigurationError
from .plays import Play

__all__ = [
    "FIRST_MOMENT",
    "LAST_MOMENT",
    "WatchedAt",
    "latest_moment",
    "moment",
    "parse_moment",
    "watched_at",
]

WatchedAt: TypeAlias = Literal["stopped", "started"]

_DAY = 86_400

FIRST_MOMENT: Final = 1_199_145_600
"""2008-01-01T00:00:00Z. Plex is of 2008, so an earlier time comes from a broken clock."""

LAST_MOMENT: Final = 253_402_300_799
"""9999-12-31T23:59:59Z. A later time is invalid: milliseconds that were taken for seconds."""


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


def parse_moment(text: str, *, now: int, end: bool = False) -> int:
    """Parse ``--since`` and ``--until`` (``2024-03-01``, a full time, or ``30d``).

    Return epoch seconds. A day is a day in UTC, like ``watched_at``. With ``end`` the whole day
    counts, so that ``--until 2024-12-31`` includes all of 2024.

    Raises:
        ConfigurationError: the text has none of the three forms.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,6}[dD]", text):
        return now - int(text[:-1]) * _DAY
    try:
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):  # fromisoformat also takes 2024-W09
            raise ValueError(text)  # noqa: TRY301 - the error below explains it
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not a valid date.",
            hint="Use 2024-03-01, 2024-03-01T20:15:00Z, or 30d for 30 days ago.",
        ) from None
    seconds = int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    return seconds + _DAY if end and len(text) <= len("2024-03-01") else seconds


_EPOCH: Final = date(1970, 1, 1)


def watched_at(epoch: int) -> str:
    """Format epoch seconds as ``YYYY-MM-DDTHH:MM:SSZ``. CrossWatch compares these as strings."""
    day, second = divmod(epoch, 86_400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_day(day)}T{hour:02}:{minute:02}:{second:02}Z"


@lru_cache(maxsize=8_192)
def _day(number: int) -> str:
    """Format a day since 1970. It is cached, because formatting is slow and days are few."""
    return (_EPOCH + timedelta(days=number)).isoformat()
