"""Know the columns of every PlexPy and Tautulli since 2015, for files that have lost their schema.

A column's place depends on the version that created the table: a new table has it in the middle,
and an upgrade adds it at the end. A record has no names, so the order of the columns is all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final, Literal, TypeAlias

from msgspec import Struct

__all__ = ["Kind", "Layout", "known_layouts", "least_columns"]

Kind: TypeAlias = Literal["INTEGER", "TEXT", ""]
"""The type of a column. Without one it holds anything."""


class Layout(Struct, frozen=True):
    """The columns of a table in the order of its records."""

    table: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    least: int
    """The number of columns that the table began with. Rows from before an upgrade are shorter."""


# Tables as Tautulli 2.17.2 creates them. ' is TEXT, all others are INTEGER. :YYMM is the month in
# which a column came (without: it was there in July 2015), and -YYMM that in which it went.
_CREATED: Final[Sequence[tuple[str, str]]] = [
    (
        "session_history",
        """id reference_id:1509 started stopped rating_key user_id user' ip_address'
        paused_counter player' product':1712 product_version':1712 platform'
        platform_version':1712 profile':1712 machine_id' bandwidth:1712 location':1712
        quality_profile':1712 secure:1905 relayed:1905 parent_rating_key
        grandparent_rating_key media_type' section_id:2103 view_offset""",
    ),
    (
        "session_history_metadata",
        """id rating_key parent_rating_key grandparent_rating_key title' parent_title'
        grandparent_title' original_title':1805 full_title':1508 media_index
        parent_media_index section_id:1601-2103 library_id:1510-1601 thumb' parent_thumb'
        grandparent_thumb' art' media_type' year originally_available_at' added_at
        updated_at last_viewed_at content_rating' summary' tagline':1509 rating' duration
        guid' directors' writers' actors' genres' studio' labels':1604 live:2002
        channel_call_sign':2002 channel_id':2404 channel_identifier':2002
        channel_title':2404 channel_thumb':2002 channel_vcn':2404 marker_credits_first:2302
        marker_credits_final:2302""",
    ),
    (
        "session_history_media_info",
        """id rating_key video_decision' audio_decision' transcode_decision':1603 duration
        container' bitrate width height video_bitrate:1712 video_bit_depth:1712 video_codec'
        video_codec_level':1712 video_width:1712 video_height:1712 video_resolution'
        video_framerate' video_scan_type':1909 video_full_resolution':1909
        video_dynamic_range':2001 aspect_ratio' audio_bitrate:1712 audio_codec'
        audio_channels audio_language':2102 audio_language_code':2102 subtitles:1712
        subtitle_codec':1712 subtitle_forced:2212 subtitle_language':2212
        transcode_protocol' transcode_container' transcode_video_codec'
        transcode_audio_codec' transcode_audio_channels transcode_width transcode_height
        transcode_hw_requested:1712 transcode_hw_full_pipeline:1712
        transcode_hw_decode':1712 transcode_hw_decode_title':1712 transcode_hw_decoding:1801
        transcode_hw_encode':1712 transcode_hw_encode_title':1712 transcode_hw_encoding:1801
        stream_container':1712 stream_container_decision':1712 stream_bitrate:1712
        stream_video_decision':1712 stream_video_bitrate:1712 stream_video_codec':1712
        stream_video_codec_level':1712 stream_video_bit_depth:1712 stream_video_height:1712
        stream_video_width:1712 stream_video_resolution':1712 stream_video_framerate':1712
        stream_video_scan_type':1909 stream_video_full_resolution':1909
        stream_video_dynamic_range':2001 stream_audio_decision':1712
        stream_audio_codec':1712 stream_audio_bitrate:1712 stream_audio_channels:1712
        stream_audio_language':2102 stream_audio_language_code':2102
        stream_subtitle_decision':1712 stream_subtitle_codec':1712
        stream_subtitle_container':1712 stream_subtitle_forced:1712
        stream_subtitle_language':2212 synced_version:1712 synced_version_profile':1712
        optimized_version:1712 optimized_version_profile':1712 optimized_version_title':1712""",
    ),
    (
        "session_history_media_info",  # until November 2017, in another order
        """id rating_key video_decision' audio_decision' transcode_decision':1603 duration
        width height container' video_codec' audio_codec' bitrate video_resolution'
        video_framerate' aspect_ratio' audio_channels transcode_protocol'
        transcode_container' transcode_video_codec' transcode_audio_codec'
        transcode_audio_channels transcode_width transcode_height""",
    ),
    (
        "users",
        """id user_id username' friendly_name' thumb' custom_avatar_url':1508 title':2204
        email' is_active:2004 is_admin:1801 is_home_user is_allow_sync is_restricted
        do_notify:1508 keep_history:1508 deleted_user:1511 allow_guest:1604 user_token':1604
        server_token':1604 shared_libraries':1604 filter_all':1604 filter_movies':1604
        filter_tv':1604 filter_music':1604 filter_photos':1604""",
    ),
    (
        "library_sections",
        """id server_id':1512 section_id section_name' section_type' agent':1810 thumb':1512
        custom_thumb_url':1512 art':1601 custom_art_url':2003 count:1512 parent_count:1512
        child_count:1512 is_active:2004 do_notify:1512 do_notify_created:1601
        keep_history:1512 deleted_section:1601""",
    ),
    (
        "themoviedb_lookup",
        """id rating_key:1707 thetvdb_id imdb_id' themoviedb_id themoviedb_url'
        themoviedb_json'""",
    ),
    ("tvmaze_lookup", "id rating_key:1707 thetvdb_id imdb_id' tvmaze_id tvmaze_url' tvmaze_json'"),
]
# The order in which an upgrade adds the columns that a table lacks (2.17.2).
_ADDED: Final[Mapping[str, str]] = {
    "session_history": """reference_id platform_version product product_version profile bandwidth
        location quality_profile secure relayed section_id""",
    "session_history_metadata": """full_title tagline labels original_title live
        channel_call_sign channel_identifier channel_thumb marker_credits_first
        marker_credits_final channel_id channel_title channel_vcn""",
    "session_history_media_info": """transcode_decision video_bit_depth video_bitrate
        video_codec_level video_width video_height audio_bitrate transcode_hw_requested
        transcode_hw_full_pipeline transcode_hw_decode transcode_hw_encode
        transcode_hw_decode_title transcode_hw_encode_title stream_container
        stream_container_decision stream_bitrate stream_video_decision stream_video_bitrate
        stream_video_codec stream_video_codec_level stream_video_bit_depth stream_video_height
        stream_video_width stream_video_resolution stream_video_framerate
        stream_audio_decision stream_audio_codec stream_audio_bitrate stream_audio_channels
        stream_subtitle_decision stream_subtitle_codec stream_subtitle_container
        stream_subtitle_forced subtitles synced_version optimized_version
        optimized_version_profile subtitle_codec synced_version_profile
        optimized_version_title transcode_hw_decoding transcode_hw_encoding video_scan_type
        video_full_resolution stream_video_scan_type stream_video_full_resolution
        video_dynamic_range stream_video_dynamic_range audio_language audio_language_code
        stream_audio_language stream_audio_language_code subtitle_language
        stream_subtitle_language subtitle_forced""",
    "users": """do_notify keep_history custom_avatar_url deleted_user allow_guest user_token
        server_token shared_libraries filter_all filter_movies filter_tv filter_music
        filter_photos is_admin is_active title""",
    "library_sections": "agent custom_art_url is_active",
    "themoviedb_lookup": "rating_key",
    "tvmaze_lookup": "rating_key",
}
_COLUMN: Final = re.compile(r"(\w+)('?)(?::(\d+))?(?:-(\d+))?")
_FIRST: Final = "1507"
_NEVER: Final = "9999"


@cache
def known_layouts() -> Sequence[Layout]:
    """Return the layouts of every version's tables, each with all later upgrades."""
    found: dict[tuple[str, tuple[str, ...]], Layout] = {}
    for table, written in _CREATED:
        for layout in _layouts_of(table, written):
            found.setdefault((table, layout.columns), layout)
    return list(found.values())


@cache
def least_columns(table: str) -> int:
    """Return the number of columns that the oldest version of a table had."""
    return min((one.least for one in known_layouts() if one.table == table), default=2)


def _layouts_of(table: str, written: str) -> Iterator[Layout]:
    columns = [
        (name, "TEXT" if text else "INTEGER", came or _FIRST, went or _NEVER)
        for name, text, came, went in _COLUMN.findall(written)
    ]
    kind_of: dict[str, Kind] = {}
    for _, other in (pair for pair in _CREATED if pair[0] == table):
        for name, text, _, _ in _COLUMN.findall(other):
            kind_of[name] = "TEXT" if text else "INTEGER"
    for month in sorted({came for _, _, came, _ in columns}):
        created = [name for name, _, came, went in columns if came <= month < went]
        added = [name for name in _ADDED[table].split() if name not in created]
        names = (*created, *added)
        yield Layout(table, names, tuple(kind_of[name] for name in names), len(created))
