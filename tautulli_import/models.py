"""The values that pass between the stages.

They are msgspec structs: slotted, immutable, and built in C from a database row or a JSON
object. So a million plays can be checked and typed one by one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "EXTERNAL",
    "Conflict",
    "Details",
    "Episode",
    "Ids",
    "Item",
    "Kind",
    "Landmark",
    "Movie",
    "Origin",
    "Play",
    "PlaybackEvent",
    "Reason",
    "Record",
    "Rejected",
]

Kind: TypeAlias = Literal["movie", "show"]
"""A film or a whole show. These have external ids, single episodes do not."""

EXTERNAL = ("tmdb", "imdb", "tvdb", "trakt", "mal", "anilist", "kitsu", "anidb", "simkl")
"""The namespaces of ids that are valid outside one Plex server, best first.

The order is that of CrossWatch's canonical keys (v0.11.3)."""


class Play(Struct, frozen=True, gc=False, array_like=True):
    """One row of Tautulli's ``session_history``: one player from start to stop.

    It is the same from the API and from a database. Missing values are ``None``. Times are epoch
    seconds (UTC). Offsets, durations and markers are milliseconds. ``array_like``: a source
    delivers the fields in this order.
    """

    id: int
    reference_id: int | None
    started: int | None
    stopped: int | None
    user_id: int | None
    user: str | None
    section_id: int | None
    media_type: str
    live: int | None
    rating_key: int | None
    grandparent_rating_key: int | None
    title: str | None
    grandparent_title: str | None
    season: int | None
    episode: int | None
    year: int | None
    guid: str | None
    view_offset: int | None
    duration: int | None
    credits_first: int | None
    credits_final: int | None
    percent: int | None = None
    """As Tautulli computed it (API), or ``None`` if offset and duration are known (database)."""
    watched: bool | None = None
    """Tautulli's own verdict (API), or ``None`` if the rule must be applied (database)."""


class Details(Struct, frozen=True, gc=False, array_like=True):
    """The fields of a row that only playback events need. ``None`` if unknown.

    ``array_like``: a source delivers the fields in this order. Those that the API and the
    database both have come first, then those that only the database has.
    """

    friendly_name: str | None = None
    parent_title: str | None = None
    paused_counter: int | None = None
    """Seconds."""
    platform: str | None = None
    player: str | None = None
    product: str | None = None
    machine_id: str | None = None
    ip_address: str | None = None
    location: str | None = None
    transcode_decision: str | None = None
    secure: int | None = None
    relayed: int | None = None
    platform_version: str | None = None
    product_version: str | None = None
    video_resolution: str | None = None
    video_codec: str | None = None
    video_dynamic_range: str | None = None
    audio_codec: str | None = None
    audio_channels: int | None = None
    stream_bitrate: int | None = None
    """Kilobits per second, like ``bandwidth``."""
    bandwidth: int | None = None


class PlaybackEvent(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One row of the history in the shape of the second seed. Its JSON is the message.

    Unknown values are absent. Times are ``YYYY-MM-DDTHH:MM:SSZ``, durations are seconds. Fields
    with a default may be missing in messages of other programs.
    """

    schema_version: int = 0
    event_id: str
    session_key: str = ""
    correlation_key: str = ""
    source: str
    server_id: str = ""
    timestamp: str
    user_id: int
    username: str
    friendly_name: str | None = None
    media_type: str
    title: str
    parent_title: str | None = None
    grandparent_title: str | None = None
    rating_key: str | None = None
    year: int | None = None
    media_duration: int | None = None
    started_at: str
    stopped_at: str | None = None
    percent_complete: int | None = None
    play_duration: int | None = None
    paused_counter: int | None = None
    platform: str | None = None
    platform_version: str | None = None
    player: str | None = None
    product: str | None = None
    product_version: str | None = None
    machine_id: str | None = None
    ip_address: str | None = None
    location_type: str | None = None
    transcode_decision: str | None = None
    video_resolution: str | None = None
    video_codec: str | None = None
    video_dynamic_range: str | None = None
    audio_codec: str | None = None
    audio_channels: int | None = None
    stream_bitrate: int | None = None
    bandwidth: int | None = None
    secure: bool | None = None


class Landmark(Struct, frozen=True, gc=False, array_like=True):
    """A sample row: no other history has this play under the same number."""

    id: int
    started: int | None
    user_id: int | None


class Ids(Struct, frozen=True, gc=False, omit_defaults=True):
    """Ids by namespace, in the order of the first seed. Values are strings, never empty."""

    imdb: str | None = None
    tmdb: str | None = None
    tvdb: str | None = None
    trakt: str | None = None
    mal: str | None = None
    anilist: str | None = None
    kitsu: str | None = None
    anidb: str | None = None
    simkl: str | None = None
    plex: str | None = None
    guid: str | None = None


class Movie(Struct, frozen=True, gc=False, tag_field="type", tag="movie"):
    """A watched film, in the JSON shape of CrossWatch's Tautulli module."""

    ids: Ids
    title: str
    year: int | None
    watched_at: str


class Episode(Struct, frozen=True, gc=False, tag_field="type", tag="episode"):
    """A watched episode. ``ids`` and ``show_ids`` both hold the *show's* ids.

    CrossWatch compares the two by namespace. It would take an id in ``ids`` that differs from
    ``show_ids`` for the episode's own (measured on v0.11.3).
    """

    ids: Ids
    title: str
    year: int | None
    season: int
    episode: int
    watched_at: str
    series_title: str
    show_ids: Ids


Item: TypeAlias = Movie | Episode


class Origin(StrEnum):
    """The origin of an external id: the steps of the search for ids, cheapest first."""

    GUID = "guid"
    OTHER_PLAYS = "other_plays"
    LOOKUP_TABLES = "lookup_tables"
    CORRECTIONS = "corrections"
    GET_METADATA = "get_metadata"


class Record(Struct, frozen=True, gc=False):
    """An item for a sink, with its key and its play."""

    key: str
    item: Item
    epoch: int
    play_id: int
    origins: tuple[tuple[str, Origin], ...]
    user: str | None = None
    """The user's name, with ``--each-user``."""


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


class Conflict(Struct, frozen=True, gc=False):
    """Two ids of one title that cannot both be true, and which one is used."""

    kind: Kind
    title: str
    namespace: str
    kept: str
    dropped: str
    plays: tuple[int, ...]
    """Row ids of the newest play with the kept id, and of the newest with the dropped id."""
