"""Select plays, and reject those that cannot become an item or an event.

``Selection.judge`` (for items) and ``judge_event`` (for playback events) give every play one
verdict: a ``Reason``, or ``None`` to accept it. Filters come before rejections, so a rejected
row is always one that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from .errors import ConfigurationError
from .guids import movie_ids, plex_guid
from .models import Play, Reason
from .watched import WatchedRule, percent_complete

__all__ = ["LAST_MOMENT", "Judge", "MediaType", "Selection", "WatchedAt", "moment", "parse_moment"]

MediaType: TypeAlias = Literal["movie", "episode", "track", "live"]
WatchedAt: TypeAlias = Literal["stopped", "started"]
Judge: TypeAlias = Callable[[Play], Reason | None]

_DAY = 86_400
LAST_MOMENT = 253_402_300_799
"""9999-12-31T23:59:59Z. A later time is invalid: milliseconds that were taken for seconds."""


def moment(play: Play, watched_at: WatchedAt = "stopped") -> int:
    """Return when the play counts as watched (epoch seconds, UTC), or 0 without a valid time.

    It is the time it stopped, or if there is none, the time it started. (CrossWatch took the
    start until its issue 1063.) A stop before the start, or after the year 9999, comes from a
    broken clock. Then the start counts.
    """
    started, stopped = play.started or 0, play.stopped or 0
    if not 0 < started <= LAST_MOMENT:
        started = 0
    if not started <= stopped <= LAST_MOMENT or stopped <= 0:
        return started
    return started if started and watched_at == "started" else stopped


class Selection(Struct, frozen=True):
    """The filters of a run. Times are epoch seconds, UTC. ``None`` means no filter."""

    media_types: frozenset[MediaType] = frozenset({"movie", "episode"})
    users: frozenset[int] | None = None
    sections: frozenset[int] | None = None
    since: int | None = None
    until: int | None = None
    """The first second after the range."""
    min_percent: int | None = None
    include_partial: bool = False
    watched_at: WatchedAt = "stopped"

    def judge(self, rule: WatchedRule) -> Judge:
        """Return the verdict for items under Tautulli's thresholds. A closure, for speed."""
        unwanted = self._unwanted(frozenset({"movie", "episode"}))
        every, least = self.include_partial, self.min_percent
        is_watched = rule.is_watched

        def verdict(play: Play) -> Reason | None:
            if reason := unwanted(play):
                return reason
            if every:
                pass
            elif least is not None:
                percent = percent_complete(play)
                if percent is None or percent < least:
                    return Reason.PARTIAL
            elif not is_watched(play):
                return Reason.PARTIAL
            return _unusable(play)

        return verdict

    def judge_event(self) -> Judge:
        """Return the verdict for playback events. Unwatched plays count, unless ``min_percent``."""
        unwanted = self._unwanted(frozenset({"movie", "episode", "track"}))
        least = self.min_percent

        def verdict(play: Play) -> Reason | None:
            if reason := unwanted(play):
                return reason
            if least is not None:
                percent = percent_complete(play)
                if percent is None or percent < least:
                    return Reason.PARTIAL
            if play.started is None or not 0 < play.started <= LAST_MOMENT:
                return Reason.NO_TIME
            return Reason.NO_USER if play.user_id is None else None

        return verdict

    def _unwanted(self, kinds: frozenset[str]) -> Judge:
        """Return the filter that all verdicts share. ``kinds`` are the usable media types."""
        types, users, sections = self.media_types, self.users, self.sections
        since, until, watched_at = self.since, self.until, self.watched_at
        dated = since is not None or until is not None

        def reason(play: Play) -> Reason | None:
            media_type = play.media_type
            if media_type not in kinds:
                return Reason.MEDIA_TYPE
            if play.live:
                if "live" not in types:
                    return Reason.LIVE
            elif media_type not in types:
                return Reason.MEDIA_TYPE
            if users is not None and play.user_id not in users:
                return Reason.USER
            if sections is not None and play.section_id not in sections:
                return Reason.LIBRARY
            if dated:
                when = moment(play, watched_at)
                if when and (
                    (since is not None and when < since) or (until is not None and when >= until)
                ):
                    return Reason.DATE
            return None

        return reason


def _unusable(play: Play) -> Reason | None:
    """Return why a selected play cannot become an item, or ``None`` if it can."""
    if play.media_type == "episode":
        if play.episode is None or play.episode < 0:
            return Reason.NO_EPISODE_NUMBER
        if play.season is None or play.season < 0:
            return Reason.NO_SEASON_NUMBER
    elif not (play.rating_key or play.title or movie_ids(play.guid)) and (
        plex_guid(play.guid, "movie") is None
    ):
        return Reason.NO_TITLE
    started, stopped = play.started, play.stopped
    if started and stopped and 0 < started <= stopped <= LAST_MOMENT:
        return None  # nearly every play: this saves a million calls of ``moment``
    return None if moment(play) else Reason.NO_TIME


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
