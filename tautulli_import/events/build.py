"""Build the playback event of a row of the history."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ..model.clock import LAST_MOMENT, watched_at
from ..model.events import PlaybackEvent
from ..model.keys import correlation_key, event_id, session_key
from ..model.plays import Details, Play
from ..model.watched import percent_complete

__all__ = ["EVENT_SOURCE", "Naming", "event"]

EVENT_SOURCE: Final = "tautulli-import"

_SCHEMA: Final = 1

# Tautulli's API shows some of Plex's platform names under these (2.17.2). Its database keeps
# Plex's names.
_PLATFORMS: Final = {
    "Konvergo": "Plex Media Player",
    "Mystery 3": "Playstation 3",
    "Mystery 4": "Playstation 4",
    "Mystery 5": "Xbox 360",
    "WebMAF": "Playstation 4",
    "windows": "Windows",
    "osx": "macOS",
    "macos": "macOS",
}


class Naming(Struct, frozen=True):
    """The origin that events name."""

    source: str = EVENT_SOURCE
    server_id: str = ""
    """The name of one of several servers. Empty if there is one."""


def event(play: Play, details: Details, naming: Naming) -> PlaybackEvent:
    """Build the event for a row of the history, watched or not.

    It is the same from the API and from a database. The row has a start and a user, because
    ``Selection.judge_event`` rejects the others. An impossible stop is left out. Lengths are cut
    to whole seconds.
    """
    started, user_id = play.started, play.user_id
    if started is None or user_id is None:
        raise ValueError("an event without a start or a user")
    stopped = play.stopped
    if stopped is None or not started <= stopped <= LAST_MOMENT:
        stopped = None
    started_at = watched_at(started)
    stopped_at = None if stopped is None else watched_at(stopped)
    paused = max(0, play.paused_counter or 0)  # Tautulli takes none for 0 (2.17.2)
    percent = percent_complete(play)
    session = session_key(play.id)
    title = play.title or ""
    rating_key = str(play.rating_key) if play.rating_key else None
    username = play.user or ""
    platform, machine_id = details.platform, details.machine_id
    location, secure = details.location, details.secure
    return PlaybackEvent(
        schema_version=_SCHEMA,
        event_id=event_id(session, started, user_id),
        session_key=session,
        correlation_key=correlation_key(
            naming.source,
            naming.server_id,
            user_id,
            rating_key or "",
            title,
            machine_id or "",
            started_at,
            session,
        ),
        source=naming.source,
        server_id=naming.server_id,
        timestamp=stopped_at or started_at,
        user_id=user_id,
        username=username,
        friendly_name=(details.friendly_name or "").strip() or username or None,
        media_type=play.media_type,
        title=title,
        parent_title=details.parent_title or None,
        grandparent_title=play.grandparent_title or None,
        rating_key=rating_key,
        year=play.year or None,
        media_duration=play.duration // 1000 if play.duration and play.duration > 0 else None,
        started_at=started_at,
        stopped_at=stopped_at,
        percent_complete=None if percent is None else min(100, max(0, percent)),
        play_duration=None if stopped is None else max(0, stopped - started - paused),
        paused_counter=paused,
        platform=_PLATFORMS.get(platform, platform) if platform else None,
        platform_version=details.platform_version or None,
        player=details.player or None,
        product=details.product or None,
        product_version=details.product_version or None,
        machine_id=machine_id or None,
        ip_address=details.ip_address or None,
        location_type=None if not location else location if location == "lan" else "wan",
        transcode_decision=details.transcode_decision or None,
        video_resolution=details.video_resolution or None,
        video_codec=details.video_codec or None,
        video_dynamic_range=details.video_dynamic_range or None,
        audio_codec=details.audio_codec or None,
        audio_channels=details.audio_channels,
        stream_bitrate=details.stream_bitrate,
        bandwidth=details.bandwidth,
        secure=None if secure is None else secure != 0,
    )
