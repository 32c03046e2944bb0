"""Define the playback event that the second seed's pipeline takes."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["PlaybackEvent"]


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
