"""Apply Tautulli's own rule for "watched" to a row of its database.

The rule is ``helpers.check_watched`` of Tautulli 2.17.2. The API's ``watched_status`` is 1 for
exactly these rows (measured 2026-08). Offsets and durations are in milliseconds.
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

    def is_watched(self, play: Play) -> bool:
        """Return true if Tautulli shows this play as watched."""
        if play.watched is not None:
            return play.watched
        if play.live:
            return True
        percent = self.movie_percent if play.media_type == "movie" else self.tv_percent
        threshold = percent / 100 * (play.duration or 0)
        if not threshold:
            return False
        first = play.credits_first
        if self.marker == 3:
            if first and first < threshold:
                threshold = first
        elif self.marker == 1:
            threshold = play.credits_final or threshold
        elif self.marker == 2:
            threshold = first or threshold
        return (play.view_offset or 0) >= threshold


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
