"""Define plays as they come from a source: rows of the history, their details, sample rows."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Details", "Play", "SampleRow"]


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
    aired: str | None = None
    """The day of the release or of the first broadcast, as Tautulli has it."""
    paused_counter: int | None = None
    """Seconds of pauses between start and stop."""
    parent_rating_key: int | None = None
    """The rating key of an episode's season."""


class Details(Struct, frozen=True, gc=False, array_like=True):
    """The fields of a row that only playback events need. ``None`` if unknown.

    ``array_like``: a source delivers the fields in this order. Those that the API and the
    database both have come first, then those that only the database has.
    """

    friendly_name: str | None = None
    parent_title: str | None = None
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


class SampleRow(Struct, frozen=True, gc=False, array_like=True):
    """A play that identifies a history. No other history has it under the same row id."""

    id: int
    started: int | None
    user_id: int | None
