"""Who watches, on what, and out of which libraries."""

from enum import IntEnum
from typing import NamedTuple

from tests.support.history.schema import Value


class User(NamedTuple):
    """A user, and how much of the history is theirs."""

    user_id: int
    username: str
    friendly_name: str | None
    share: int
    deleted: bool = False


USERS = (
    User(10_000_001, "alice", "Alice (home)", 42),
    User(10_000_002, "bob", "Bobby", 25),
    User(10_000_003, "çağla.ünal", "Çağla Ünal 🌸", 16),
    User(10_000_004, "kid", None, 10),
    # In the history only: Tautulli forgot the user, not the plays.
    User(10_000_005, "old_roommate", "The Roommate", 7, deleted=True),
)
#: Of this user some rows lack the name, as rows do that were written while Plex was unreachable.
NAMELESS_USER = 10_000_002


class Section(IntEnum):
    """Libraries by their section id."""

    MOVIES = 1
    SHOWS = 2
    OLD_FILMS = 3
    SERIES = 4
    ANIME = 5
    MUSIC = 6
    PHOTOS = 7
    MOVIES_4K = 8
    CINEMA_OLD = 9
    CINEMA = 10
    KIDS_OLD = 11
    KIDS = 12
    HOME = 13
    NFO_FILMS = 14
    NFO_SHOWS = 15
    LIVE = 999_999


class Library(NamedTuple):
    """A row of library_sections."""

    section: Section
    name: str
    section_type: str
    agent: str
    deleted: int = 0


LIBRARIES = (
    Library(Section.MOVIES, "Movies", "movie", "tv.plex.agents.movie"),
    Library(Section.SHOWS, "TV Shows", "show", "tv.plex.agents.series"),
    Library(Section.OLD_FILMS, "Films (old)", "movie", "tv.plex.agents.movie"),
    Library(Section.SERIES, "Séries", "show", "tv.plex.agents.series"),
    Library(Section.ANIME, "アニメ", "show", "com.plexapp.agents.hama"),
    Library(Section.MUSIC, "Music", "artist", "tv.plex.agents.music"),
    Library(Section.PHOTOS, "Photos", "photo", "com.plexapp.agents.none"),
    # The same name as the first: nothing in Plex forbids it.
    Library(Section.MOVIES_4K, "Movies", "movie", "tv.plex.agents.movie"),
    Library(Section.CINEMA_OLD, "Cinéma", "movie", "com.plexapp.agents.imdb", deleted=1),
    Library(Section.CINEMA, "Cinéma", "movie", "tv.plex.agents.movie"),
    Library(Section.KIDS_OLD, "Kids TV", "show", "com.plexapp.agents.thetvdb", deleted=1),
    Library(Section.KIDS, "Kids TV", "show", "tv.plex.agents.series"),
    Library(Section.HOME, "Home Videos", "movie", "com.plexapp.agents.none"),
    Library(Section.NFO_FILMS, "NFO Films", "movie", "com.plexapp.agents.xbmcnfo"),
    Library(Section.NFO_SHOWS, "NFO Shows", "show", "com.plexapp.agents.xbmcnfotv"),
)

#: (player, product, platform, profile)
DEVICES = (
    ("Living Room", "Plex for Android (TV)", "Android", "Android"),
    ("Alice's iPhone", "Plex for iOS", "iOS", "iOS"),
    ("Chrome", "Plex Web", "Chrome", "Web"),
    ("Firefox", "Plex Web", "Firefox", "Web"),
    ("TV 2019 (Küche)", "Plex for Samsung", "Tizen", "Tizen"),
    ("Roku Ultra", "Plex for Roku", "Roku", "Roku"),
    ("Apple TV", "Plex for Apple TV", "tvOS", "tvOS"),
    ("HTPC", "Plex HTPC", "Linux", "HTPC"),
    ("Chromecast", "Plex Cast", "Chromecast", "Chromecast"),
    ("Xbox", "Plex for Xbox", "Windows", "Xbox One"),
    ("PS4-123", "Plex for PlayStation", "PlayStation 4", "PlayStation"),
    ("書斎", "Plexamp", "macOS", "Plexamp"),
)


def stream_columns(
    decision: str, height: int, width: int, video: str, audio: str
) -> dict[str, Value]:
    """Return what session_history_media_info says about one way of streaming."""
    bitrate = height * 9
    return {
        "video_decision": decision,
        "audio_decision": "copy" if decision == "transcode" else decision,
        "transcode_decision": decision,
        "container": "mkv",
        "bitrate": bitrate,
        "width": width,
        "height": height,
        "video_bitrate": bitrate * 9 // 10,
        "video_bit_depth": 8,
        "video_codec": video,
        "video_codec_level": "41",
        "video_width": width,
        "video_height": height,
        "video_resolution": str(height),
        "video_framerate": "24p",
        "video_scan_type": "progressive",
        "video_full_resolution": f"{height}p",
        "video_dynamic_range": "SDR",
        "aspect_ratio": "1.78",
        "audio_bitrate": 640,
        "audio_codec": audio,
        "audio_channels": 6,
        "audio_language": "English",
        "audio_language_code": "eng",
        "subtitles": 0,
        "stream_container": "mkv",
        "stream_container_decision": decision,
        "stream_bitrate": bitrate,
        "stream_video_decision": decision,
        "stream_video_codec": "h264",
        "stream_video_resolution": str(height),
        "stream_audio_decision": decision,
        "stream_audio_codec": audio,
        "stream_audio_channels": 6,
        "synced_version": 0,
        "optimized_version": 0,
    }


STREAMS = tuple(
    stream_columns(decision, height, width, video, audio)
    for decision in ("direct play", "copy", "transcode")
    for height, width in ((480, 720), (1080, 1920), (2160, 3840))
    for video, audio in (("h264", "ac3"), ("hevc", "eac3"))
)
