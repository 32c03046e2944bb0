"""Decide which plays of one user and one film or episode are one viewing.

Tautulli's ``reference_id`` is not used: PlexPy put several whole viewings into one group, Tautulli
2.12.5 and later put the rest of a watched film into a group of its own, and 0 is no group at all.
Times and positions are the evidence instead, those that the API and a database both have.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct

__all__ = ["SAME_PLAY", "UNKNOWN", "Evidence", "estimated_length", "viewings"]

SAME_PLAY: Final = 60
"""Seconds between two times of one viewing. CrossWatch (v0.12.2) has this tolerance, too."""
UNKNOWN: Final = -1

_DAY: Final = 86_400
# How far before the end of the last play the next one may begin and still continue it. Players skip
# back some seconds, people some minutes, and percentages are rounded: five points and two minutes.
# A sixth of what was reached limits that for short items and for a low --min-percent.
_POINTS_BACK: Final = 5
_SECONDS_BACK: Final = 120
_LARGEST_SHARE_BACK: Final = 6
# Smaller pieces say too little about the length, because percentages are rounded.
_LEAST_POINTS: Final = 3
_SAME_LENGTH: Final = 1.1


class Evidence(Struct, frozen=True, gc=False):
    """The facts about one play that decide its viewing. ``UNKNOWN`` where there is no fact."""

    id: int
    begun: int
    """Epoch seconds, UTC."""
    ended: int
    """Epoch seconds, UTC; not before ``begun``."""
    played: int
    """Seconds without pauses."""
    reached: int
    """The position at the end, in percent."""
    watched: bool
    """True if Tautulli shows the play as watched, or if it has ``--min-percent``."""


_E = TypeVar("_E", bound=Evidence)


def viewings(plays: Sequence[_E], length: float | None = None) -> list[list[_E]]:
    """Return the plays of each viewing, oldest viewing first.

    ``plays`` are all plays of one user and one film or episode, in any order. ``length`` is that
    of the item in seconds. Without it, it is estimated from the plays.

    A viewing takes in all plays until one of them is watched. After that, it takes in only plays
    that overlap a watched one, or begin about where the last watched one ended. All others go into
    the next viewing. A play that can be the rest of both goes to the one whose end is nearer. If
    it is unknown where a play begins, it goes on with none that was watched, so that no viewing
    is lost. A play that is not watched can begin a viewing but never join two.
    """
    if len(plays) == 1:
        return [list(plays)]
    ordered = sorted(plays, key=_order)
    if length is None:
        length = estimated_length(ordered)
    found: list[list[_E]] = []
    done: list[_E] = []  # the newest viewing with a watched play
    begun = until = reached = UNKNOWN  # those of its watched plays
    unfinished: list[_E] = []  # the viewing after it, of which nothing is watched yet
    furthest = UNKNOWN  # how far that got
    for play in ordered:
        begins = _begins(play, length)
        overlaps = play.begun < until or play.begun == begun
        goes_on = overlaps or _is_about(begins, reached, length)
        if goes_on and unfinished and not overlaps:  # the rest can come after a false start
            goes_on = abs(begins - reached) < abs(begins - furthest)
        viewing = done if goes_on else unfinished
        if not viewing:
            found.append(viewing)
        viewing.append(play)
        if play.watched:
            ended = min(play.ended, play.begun + _DAY)  # a clock that jumps covers no other viewing
            if viewing is unfinished or ended >= until:
                until, reached = ended, play.reached
            begun = play.begun
        if viewing is unfinished:
            furthest = max(furthest, play.reached)
            if play.watched:
                done, unfinished, furthest = unfinished, [], UNKNOWN
    return found


def _order(play: Evidence) -> tuple[int, int, int]:
    return play.begun, play.ended, play.id


def _begins(play: Evidence, length: float) -> float:
    """Return where a play begins, in percent. Tautulli does not keep that.

    It is the end less what was played.
    """
    if UNKNOWN in (play.played, play.reached) or not length:
        return UNKNOWN
    return max(0.0, play.reached - 100 * play.played / length)


def _is_about(begins: float, reached: int, length: float) -> bool:
    """Return true if ``begins`` is about where a play ended, or after that (percent)."""
    if UNKNOWN in (begins, reached):
        return False
    back = min(_POINTS_BACK + 100 * _SECONDS_BACK / length, reached / _LARGEST_SHARE_BACK)
    return begins > reached - back


def estimated_length(ordered: Sequence[Evidence]) -> float:
    """Estimate the length of an item in seconds from the plays of one user; 0 if unknown.

    The API has no lengths, and both sources must give the same answer. A play from the beginning
    shows the length: what was played, divided by the share that it reached. Of all those lengths
    the one that most plays agree with is used, and the longest of several. A play agrees if it
    went from the beginning, or on from where the play before it ended, in an item of that length.
    """
    lengths: list[float] = []
    agreeing: list[float] = []
    before = UNKNOWN
    for play in ordered:
        if play.played > 0 and play.reached >= _LEAST_POINTS:
            lengths.append(100 * play.played / play.reached)
            if before >= _LEAST_POINTS and play.reached - before >= _LEAST_POINTS:
                agreeing.append(100 * play.played / (play.reached - before))
        before = play.reached
    if not lengths:
        return 0.0
    agreeing = sorted([*agreeing, *lengths])
    if agreeing[-1] <= agreeing[0] * _SAME_LENGTH:
        return max(lengths)  # all agree, as most do

    def support(length: float) -> tuple[int, float]:
        low = bisect_left(agreeing, length / _SAME_LENGTH)
        return bisect_right(agreeing, length * _SAME_LENGTH) - low, length

    return max(map(support, lengths))[1]
