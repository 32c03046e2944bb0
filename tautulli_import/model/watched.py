"""Define the thresholds from which Tautulli shows a play as watched, and how far a play got.

The rule itself is applied where rows are read, in ``sources.database.judged``.
"""

from __future__ import annotations

from msgspec import Struct

from .plays import Play

__all__ = ["WatchedRule", "percent_complete"]


class WatchedRule(Struct, frozen=True, gc=False):
    """The thresholds: ``[Monitoring]`` of Tautulli's ``config.ini``, or Tautulli's defaults."""

    movie_percent: int = 85
    tv_percent: int = 85
    marker: int = 3
    """Credits marker that decides: 1 the final one, 2 the first, 3 the first or the percentage."""
    origin: str = "Tautulli's defaults"


def percent_complete(play: Play) -> int | None:
    """Return how far the play got in percent, rounded as Tautulli rounds it. Live TV is 100.

    Return ``None`` if it is unknown. For an item without a length Tautulli assumes one
    millisecond. Its API then returns 10 for a play without an offset, and thousands for others.
    Thousands are no percentages. The 10 is kept, because API and database must give the same.
    """
    if play.live:
        return 100
    percent = play.percent
    if percent is None:
        if play.duration == 0:  # Tautulli's API fails on such a row
            return None
        offset = 0.1 if play.view_offset is None else float(play.view_offset)
        percent = round(offset / (play.duration or 1) * 100)
    return percent if percent < 1000 else None
