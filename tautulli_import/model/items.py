"""Define items as they go to a sink: films and episodes, their ids, the origins of the ids."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["EXTERNAL", "Conflict", "Episode", "Ids", "Item", "Kind", "Movie", "Origin", "Record"]

Kind: TypeAlias = Literal["movie", "show"]
"""A film or a whole show. These have external ids, single episodes do not."""

EXTERNAL = ("tmdb", "imdb", "tvdb", "trakt", "mal", "anilist", "kitsu", "anidb", "simkl")
"""The namespaces of ids that are valid outside one Plex server, best first.

The order is that of CrossWatch's canonical keys (v0.11.3)."""


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


class Episode(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="episode"):
    """A watched episode. ``ids`` and ``show_ids`` both hold the *show's* ids.

    CrossWatch compares the two by namespace. It would take an id in ``ids`` that differs from
    ``show_ids`` for the episode's own (measured on v0.11.3). Without ``show_ids`` it keys an
    episode by its own ids, so that is what an episode has whose show has no id.
    """

    ids: Ids
    title: str
    year: int | None
    season: int
    episode: int
    watched_at: str
    series_title: str = ""
    """Left out of the JSON if it is empty."""
    show_ids: Ids = Ids()


Item: TypeAlias = Movie | Episode


class Origin(StrEnum):
    """The origin of an external id: the steps of the search for ids, cheapest first."""

    GUID = "guid"
    OTHER_PLAYS = "other_plays"
    LOOKUP_TABLES = "lookup_tables"
    CORRECTIONS = "corrections"
    GET_METADATA = "get_metadata"
    TITLE = "title"
    PLEX_DB = "plex_db"
    PLEX_CLOUD = "plex_cloud"


class Record(Struct, frozen=True, gc=False):
    """An item for a sink, with its key and its play."""

    key: str
    item: Item
    epoch: int
    play_id: int
    user: str | None = None
    """The user's name, with ``--each-user``."""
    begun: int = 0
    """The time when its viewing began (epoch seconds, UTC), or 0 if unknown."""
    ended: int = 0
    """The time when its viewing ended (epoch seconds, UTC), or 0 if unknown."""
    viewing: int = 0
    """1 for the first viewing of the title, 2 for the next one. The whole history counts, also
    before ``--since``. 0 if the sink does not get every viewing."""


class Conflict(Struct, frozen=True, gc=False):
    """Two ids of one title that cannot both be right. ``kept`` is used, ``dropped`` is not."""

    kind: Kind
    title: str
    namespace: str
    kept: str
    dropped: str
    plays: tuple[int, ...]
    """Row ids of the newest play with the kept id, and of the newest with the dropped id."""
