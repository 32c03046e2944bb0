"""Define the thresholds from which Tautulli shows a play as watched, and how far a play got.

The rule itself is applied where rows are read, in ``sources.database.judged``. ``threshold``
only explains it to a person.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from .plays import Play

__all__ = ["Threshold", "WatchedRule", "percent_complete", "threshold"]


class WatchedRule(Struct, frozen=True, gc=False):
    """The thresholds: ``[Monitoring]`` of Tautulli's ``config.ini``, or Tautulli's defaults."""

    movie_percent: int = 85
    tv_percent: int = 85
    marker: int = 3
    """Credits marker that decides: 1 the final one, 2 the first, 3 the first or the percentage."""
    origin: str = "Tautulli's defaults"


class Threshold(Struct, frozen=True, gc=False):
    """The position from which a play counts as watched."""

    by: Literal["percent", "first credits marker", "final credits marker"]
    milliseconds: float


def threshold(play: Play, rule: WatchedRule) -> Threshold | None:
    """Return the position from which Tautulli's rule counts a play as watched.

    Return ``None`` if it counts as watched or not whatever its position is: live TV, and an item
    without a length.
    """
    if play.live or not play.duration:
        return None
    percent = rule.movie_percent if play.media_type == "movie" else rule.tv_percent
    share = percent / 100 * play.duration
    first, final = play.credits_first, play.credits_final
    if first and (rule.marker == 2 or (rule.marker == 3 and first < share)):
        return Threshold("first credits marker", first)
    if final and rule.marker == 1:
        return Threshold("final credits marker", final)
    return Threshold("percent", share)


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
