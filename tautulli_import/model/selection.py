"""Select the plays of a run, and reject those that cannot become an item or an event.

``judge_event`` gives every play exactly one verdict for playback events: a ``Reason``, or ``None``
if the play is accepted. The filters come first, so a rejected row is always one that was asked
for. For items ``sources.database.judged`` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

from .clock import LAST_MOMENT, LATEST, WatchedAt, moment
from .plays import Play
from .rejections import Reason
from .watched import percent_complete

__all__ = ["Judge", "MediaType", "Selection"]

MediaType: TypeAlias = Literal["movie", "episode", "track", "live"]

Judge: TypeAlias = Callable[[Play], Reason | None]


class Selection(Struct, frozen=True):
    """The filters of a run. Times are epoch seconds, UTC. ``None`` means no filter."""

    media_types: frozenset[MediaType] = frozenset({"movie", "episode"})
    users: frozenset[int] | None = None
    names: frozenset[str] = frozenset()
    """Names of users whose plays without a user id are wanted as well. "" is a row without a name.
    They count only with ``users``."""
    sections: frozenset[int] | None = None
    since: int | None = None
    until: int | None = None
    """The first second after the range."""
    min_percent: int | None = None
    include_partial: bool = False
    watched_at: WatchedAt = "stopped"
    latest: int = LATEST
    """The last possible time of a play; see ``latest_moment``."""

    def judge_event(self) -> Judge:
        """Return the verdict for playback events. Unwatched plays count, unless ``min_percent``.

        An impossible time is no reason: an event is a row as it is, and none replaces another.
        """
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
        types, users, names, sections = self.media_types, self.users, self.names, self.sections
        since, until, watched_at, latest = self.since, self.until, self.watched_at, self.latest
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
            if (
                users is not None
                and (who := play.user_id) not in users
                and (who is not None or (play.user or "").strip() not in names)
            ):
                return Reason.USER
            if sections is not None and play.section_id not in sections:
                return Reason.LIBRARY
            if dated:
                when = moment(play, watched_at, latest=latest)
                if when and (
                    (since is not None and when < since) or (until is not None and when >= until)
                ):
                    return Reason.DATE
            return None

        return reason
