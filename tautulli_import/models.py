"""The values that travel between the stages: plain, frozen, typed.

They are msgspec structs: slotted, immutable, and built from a database row or a
JSON object in C, which is what lets a million plays be checked and typed one by one.
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
"""What has external ids: a film, or a show as a whole (never a single episode)."""

EXTERNAL = ("tmdb", "imdb", "tvdb", "trakt", "mal", "anilist", "kitsu", "anidb", "simkl")
"""The namespaces of ids that mean something outside one Plex server, best first.

The order is that of CrossWatch's canonical keys (v0.11.3)."""


class Play(Struct, frozen=True, gc=False, array_like=True):
    """One row of Tautulli's ``session_history``: one start-to-stop of one player.

    The same whether it came over HTTP or out of SQLite; missing values are ``None``.
    Times are epoch seconds (UTC); offsets, durations and markers are milliseconds.
    ``array_like``: the order of the fields is the order in which a source delivers them.
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
    """As Tautulli computed it (API); ``None`` where offset and duration are known instead."""
    watched: bool | None = None
    """Tautulli's own verdict (API); ``None`` where the rule has to be applied to the row."""


class Details(Struct, frozen=True, gc=False, array_like=True):
    """What a playback event tells of a row besides its ``Play``; ``None`` where it is not known.

    ``array_like``, in the order in which a source delivers them: first what the API and the
    database both have, then what stands in the database only.
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
    """One row of the history as the second seed's pipeline takes it; its JSON is the message.

    What is not known is absent, never invented. Times are ``YYYY-MM-DDTHH:MM:SSZ``, durations
    seconds. A message of another program may lack what has a default here.
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
    """A play by which a history is recognised: no other has it under the same number."""

    id: int
    started: int | None
    user_id: int | None


class Ids(Struct, frozen=True, gc=False, omit_defaults=True):
    """Ids by namespace, in the order the seed writes them. Values are strings, never empty."""

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
    """A watched episode. ``ids`` and ``show_ids`` both carry the *show's* ids.

    CrossWatch recognises the copy per namespace; an id in ``ids`` that differed from
    ``show_ids`` would be taken for the episode's own (measured on v0.11.3).
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
    """Where an external id came from: the links of the enrichment chain, cheapest first."""

    GUID = "guid"
    OTHER_PLAYS = "other_plays"
    LOOKUP_TABLES = "lookup_tables"
    CORRECTIONS = "corrections"
    GET_METADATA = "get_metadata"


class Record(Struct, frozen=True, gc=False):
    """An item on its way to a sink: what is written, and where it came from."""

    key: str
    item: Item
    epoch: int
    play_id: int
    origins: tuple[tuple[str, Origin], ...]
    user: str | None = None
    """Whose it is, where ``--each-user`` keeps users apart."""


class Reason(StrEnum):
    """Why a play goes no further. The closed list behind every summary and report."""

    # Enum's own hash is written in Python, and every second play of a history is counted.
    __hash__ = str.__hash__

    # Filtered: the row is fine, the selection does not ask for it.
    MEDIA_TYPE = "media_type"
    LIVE = "live"
    USER = "user"
    LIBRARY = "library"
    DATE = "date"
    PARTIAL = "partial"
    DUPLICATE = "duplicate"
    # Rejected: the row was asked for but cannot become an item, or an event, or be delivered.
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
        """True where the row could not be used, false where it was not asked for."""
        return self not in _FILTERS

    @property
    def sentence(self) -> str:
        """The reason in words, for people."""
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
    Reason.MEDIA_TYPE: "of a media type that was not asked for",
    Reason.LIVE: "live TV",
    Reason.USER: "other users' plays",
    Reason.LIBRARY: "plays from other libraries",
    Reason.DATE: "outside the dates asked for",
    Reason.PARTIAL: "not watched to the end",
    Reason.DUPLICATE: "the same play in another of the databases",
    Reason.NO_METADATA: "Tautulli kept no metadata or media info for the row: it does not list it",
    Reason.NOT_DELIVERED: "Tautulli fails when it is asked for the row",
    Reason.UNREADABLE: "the row cannot be read",
    Reason.NO_TIME: "no time that makes sense",
    Reason.NO_SEASON_NUMBER: "an episode without a season number",
    Reason.NO_EPISODE_NUMBER: "an episode without an episode number",
    Reason.NO_SHOW: "nothing tells which show the episode belongs to",
    Reason.REUSED_NUMBER: "the show has no known id, and its number in Plex is another show's now",
    Reason.NO_TITLE: "nothing tells what was played: no title, ids or rating key",
    Reason.NO_USER: "nothing tells whose play it is",
    Reason.LOCAL_USER: "of Tautulli's user 0 (Local), whom consumers of playback events refuse",
    Reason.TOO_LARGE: "larger than the server takes messages",
}


class Rejected(Struct, frozen=True, gc=False):
    """One row that was asked for and cannot be used."""

    reason: Reason
    id: int | None
    """The row's number; ``None`` where Tautulli does not tell it."""
    detail: str = ""
    source: str = ""


class Conflict(Struct, frozen=True, gc=False):
    """Two pieces of evidence that cannot both be true, and which one was believed."""

    kind: Kind
    title: str
    namespace: str
    kept: str
    dropped: str
    plays: tuple[int, ...]
    """Row ids of the newest plays behind the one that was kept and the one that was not."""
