"""Define the reasons why a play is left out."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

__all__ = ["Reason", "Rejected"]


class Reason(StrEnum):
    """The reason why a play is left out. Every summary and report counts by these reasons."""

    # Enum's own hash is written in Python and slow, and every second play of a history is counted.
    __hash__ = str.__hash__

    # Filtered: the row is fine, but was not asked for.
    MEDIA_TYPE = "media_type"
    LIVE = "live"
    USER = "user"
    LIBRARY = "library"
    DATE = "date"
    PARTIAL = "partial"
    DUPLICATE = "duplicate"
    # Rejected: the row was asked for, but cannot become an item or an event, or be delivered.
    NO_METADATA = "no_metadata"
    NOT_DELIVERED = "not_delivered"
    UNREADABLE = "unreadable"
    NO_TIME = "no_time"
    IMPOSSIBLE_TIME = "impossible_time"
    NO_SEASON_NUMBER = "no_season_number"
    NO_EPISODE_NUMBER = "no_episode_number"
    NO_SHOW = "no_show"
    REUSED_NUMBER = "reused_number"
    NO_TITLE = "no_title"
    NO_USER = "no_user"
    LOCAL_USER = "local_user"
    TOO_LARGE = "too_large"

    @property
    def rejects(self) -> bool:
        """Return true if the row could not be used, false if it was not asked for."""
        return self not in _FILTERS

    @property
    def sentence(self) -> str:
        """Return the reason in words, for people."""
        return _SENTENCES[self]


_FILTERS = frozenset(
    {
        Reason.MEDIA_TYPE,
        Reason.LIVE,
        Reason.USER,
        Reason.LIBRARY,
        Reason.DATE,
        Reason.PARTIAL,
        Reason.DUPLICATE,
    }
)

_SENTENCES = {
    Reason.MEDIA_TYPE: "other media types",
    Reason.LIVE: "live TV",
    Reason.USER: "other users' plays",
    Reason.LIBRARY: "plays from other libraries",
    Reason.DATE: "outside the chosen dates",
    Reason.PARTIAL: "not watched to the end",
    Reason.DUPLICATE: "the same play in another database",
    Reason.NO_METADATA: "Tautulli has no metadata or media info for the row and does not list it",
    Reason.NOT_DELIVERED: "Tautulli's API fails on the row",
    Reason.UNREADABLE: "the row cannot be read",
    Reason.NO_TIME: "no valid time",
    Reason.IMPOSSIBLE_TIME: "an impossible time: before 2008, or in the future",
    Reason.NO_SEASON_NUMBER: "an episode without a season number",
    Reason.NO_EPISODE_NUMBER: "an episode without an episode number",
    Reason.NO_SHOW: "it is unknown which show the episode belongs to",
    Reason.REUSED_NUMBER: "the show has no known id, and another show has its rating key now",
    Reason.NO_TITLE: "it is unknown what was played: no title, ids or rating key",
    Reason.NO_USER: "it is unknown whose play it is",
    Reason.LOCAL_USER: "Tautulli's user 0 (Local), which consumers of playback events refuse",
    Reason.TOO_LARGE: "larger than the largest message of the NATS server",
}


class Rejected(Struct, frozen=True, gc=False):
    """One row that was asked for, but cannot be used."""

    reason: Reason
    id: int | None
    """The row's number, or ``None`` if unknown."""
    detail: str = ""
    source: str = ""
