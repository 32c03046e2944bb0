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
    "Episode",
    "Ids",
    "Item",
    "Kind",
    "Landmark",
    "Movie",
    "Origin",
    "Play",
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
    # Rejected: the row was asked for but cannot become an item.
    NO_METADATA = "no_metadata"
    NOT_DELIVERED = "not_delivered"
    UNREADABLE = "unreadable"
    NO_TIME = "no_time"
    NO_SEASON_NUMBER = "no_season_number"
    NO_EPISODE_NUMBER = "no_episode_number"
    NO_SHOW = "no_show"
    REUSED_NUMBER = "reused_number"
    NO_TITLE = "no_title"

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
    Reason.MEDIA_TYPE: "neither films nor episodes (music, clips, photos)",
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
    Reason.NO_TITLE: "a film without title, ids or rating key",
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
