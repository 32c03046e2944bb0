"""Tautulli's own rule for "watched", applied to a row of its database.

As ``helpers.check_watched`` of Tautulli 2.17.2 has it, read and measured 2026-08: the API's
``watched_status`` is 1 for exactly these rows. Offsets and durations in milliseconds.
"""

from __future__ import annotations

from msgspec import Struct

from .models import Play

__all__ = ["WatchedRule", "percent_complete"]


class WatchedRule(Struct, frozen=True, gc=False):
    """The thresholds in force: ``[Monitoring]`` of Tautulli's ``config.ini``, or its defaults."""

    movie_percent: int = 85
    tv_percent: int = 85
    marker: int = 3
    """Credits markers: 1 the final one decides, 2 the first, 3 the first or the percentage."""
    origin: str = "Tautulli's defaults"

    def is_watched(self, play: Play) -> bool:
        """Whether Tautulli shows this play as watched."""
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
    """How far the play got, in percent, rounded as Tautulli rounds it; live TV is 100.

    ``None`` where it is not known. Of what has no length Tautulli takes one millisecond for
    it: its API says 10 when nothing was noted of the play, and numbers in the thousands
    otherwise. Those are no percentages; the 10 is kept, for both ways of reading must agree.
    """
    if play.live:
        return 100
    percent = play.percent
    if percent is None:
        if play.duration == 0:  # its API cannot deliver such a row at all
            return None
        offset = 0.1 if play.view_offset is None else float(play.view_offset)
        percent = round(offset / (play.duration or 1) * 100)
    return percent if percent < 1000 else None
