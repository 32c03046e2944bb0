"""Every field of a playback event, out of the columns that Tautulli really has, odd ones too."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from tests.conftest import Cli
from tests.sources.database.test_old_schemas import drop_column
from tests.support.event_rows import Event, Rows, events_in
from tests.support.history import add_play, add_user, create_plexpy_2015
from tests.support.history.schema import Value
from tests.support.history.words import HOSTILE

START: Final = 1_704_067_200
"""2024-01-01T00:00:00Z."""
ABSENT: Final = object()
ALWAYS: Final = frozenset(
    {
        *("schema_version", "event_id", "session_key", "correlation_key", "source", "timestamp"),
        *("user_id", "username", "media_type", "title", "started_at"),
    }
)
"""What every message has, whatever the row."""
Cases: TypeAlias = list[tuple[Value | bytes, Any]]


def _text(*more: tuple[Value | bytes, Any]) -> Cases:
    """Return what any column with text becomes."""
    return [("Some Text", "Some Text"), ("", ABSENT), (None, ABSENT), (7, "7"),
            ('<b>&amp;"\\', '<b>&amp;"\\'), (b"caf\xe9", "caf\ufffd"), *more]  # fmt: skip


def _number(*more: tuple[Value | bytes, Any]) -> Cases:
    """Return what any column with a number becomes; ``''`` is what Tautulli writes for none."""
    return [(8000, 8000), ("8000", 8000), (" 12 ", 12), (6.0, 6), (0, 0), ("", ABSENT),
            (None, ABSENT), ("many", ABSENT), (1.5, ABSENT), (10**17, 10**17), *more]  # fmt: skip


LONG_AGO: Final[Cases] = [
    (START + 60, "2024-01-01T00:01:00Z"),
    (START, "2024-01-01T00:00:00Z"),
    (str(START + 60), "2024-01-01T00:01:00Z"),
    (253_402_300_799, "9999-12-31T23:59:59Z"),
    (START - 1, ABSENT),
    (253_402_300_800, ABSENT),
    (START * 1000, ABSENT),
    (10**15, ABSENT),
    (0, ABSENT),
    (-1, ABSENT),
    (1.5, ABSENT),
    ("", ABSENT),
    (None, ABSENT),
    ("late", ABSENT),
]
FIELDS: Final[dict[tuple[str, str], Cases]] = {
    ("h.user", "username"): [
        ("alice", "alice"), ("", ""), (None, ""), (7, "7"), ("<b>&amp;", "<b>&amp;"),
    ],
    ("m.parent_title", "parent_title"): _text(),
    ("m.grandparent_title", "grandparent_title"): _text(),
    ("m.title", "title"): [("A Film", "A Film"), ("", ""), (None, ""), (1984, "1984"), (" ", " ")],
    ("m.rating_key", "rating_key"): [
        (54321, "54321"), ("54321", "54321"), (0, ABSENT), ("", ABSENT), (None, ABSENT),
        ("x", ABSENT),
    ],
    ("m.year", "year"): [
        (2019, 2019), ("2004", 2004), (0, ABSENT), ("", ABSENT), (None, ABSENT), ("x", ABSENT),
        (1999.5, ABSENT),
    ],
    ("m.duration", "media_duration"): [
        (2_880_000, 2880), ("60000", 60), (2_880_999, 2880), (60_000.5, 60), (0, ABSENT),
        (-5, ABSENT), ("", ABSENT), (None, ABSENT), ("x", ABSENT),
    ],
    ("h.stopped", "stopped_at"): LONG_AGO,
    ("h.paused_counter", "paused_counter"): [
        (12, 12), ("12", 12), (0, 0), ("", 0), (None, 0), ("x", 0), (-5, 0), (10**6, 10**6),
    ],
    ("h.platform", "platform"): _text(
        ("Konvergo", "Plex Media Player"), ("Mystery 3", "Playstation 3"),
        ("Mystery 4", "Playstation 4"), ("Mystery 5", "Xbox 360"), ("WebMAF", "Playstation 4"),
        ("windows", "Windows"), ("osx", "macOS"), ("macos", "macOS"), ("Windows", "Windows"),
    ),
    ("h.platform_version", "platform_version"): _text(),
    ("h.player", "player"): _text(),
    ("h.product", "product"): _text(),
    ("h.product_version", "product_version"): _text(),
    ("h.machine_id", "machine_id"): _text(),
    ("h.ip_address", "ip_address"): _text(("2001:db8::1", "2001:db8::1")),
    ("h.location", "location_type"): [
        ("lan", "lan"), ("wan", "wan"), ("cellular", "wan"), ("x", "wan"), ("", ABSENT),
        (None, ABSENT),
    ],
    ("i.transcode_decision", "transcode_decision"): _text(("direct play", "direct play")),
    ("i.video_resolution", "video_resolution"): _text(("1080", "1080"), ("4k", "4k")),
    ("i.video_codec", "video_codec"): _text(),
    ("i.video_dynamic_range", "video_dynamic_range"): _text(),
    ("i.audio_codec", "audio_codec"): _text(),
    ("i.audio_channels", "audio_channels"): _number((6, 6)),
    ("i.stream_bitrate", "stream_bitrate"): _number(),
    ("h.bandwidth", "bandwidth"): _number(),
    ("h.secure", "secure"): [
        (1, True), (0, False), ("1", True), ("0", False), ("", ABSENT), (None, ABSENT),
        ("x", ABSENT),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("place", "field"), FIELDS, ids=lambda one: one)
def test_a_field_is_what_its_column_says_and_is_absent_where_that_says_nothing(
    rows: Rows, place: str, field: str
) -> None:
    cases = FIELDS[place, field]
    for value, _ in cases:
        # With something odd in another column as well: rows are settled by two ways.
        for other in (9000, ""):
            number = rows.add(started=START, stopped=START + 60, user="alice", bandwidth=other)
            rows.set("m.full_title", "", number)  # it is the title if there is no other
            rows.set(place, value, number)
    found = rows.events()
    expected = [(value, shown) for value, shown in cases for _ in range(2)]
    assert len(found) == len(expected)
    for event, (value, shown) in zip(found, expected, strict=True):
        assert event.get(field, ABSENT) == shown, value
        if shown is not ABSENT:
            assert type(event[field]) is type(shown), value
        assert event.keys() >= ALWAYS
        assert None not in event.values()


def test_every_field_of_the_message_is_looked_at_here_or_beside_the_ids() -> None:
    from tautulli_import.model.events import PlaybackEvent

    elsewhere = {"server_id", "friendly_name", "percent_complete", "play_duration"}
    here = {field for _, field in FIELDS}
    assert {*PlaybackEvent.__struct_fields__} == here | ALWAYS | elsewhere


# When, how long, how far.


def test_the_timestamp_is_the_stop_and_else_the_start(rows: Rows) -> None:
    for stopped, _ in LONG_AGO:
        assert not isinstance(stopped, bytes)
        rows.set("h.stopped", stopped, rows.add(started=START))
    for event in rows.events():
        assert event["timestamp"] == event.get("stopped_at", event["started_at"])
        assert event["started_at"] == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("length", "paused", "expected"),
    [
        (2805, 12, 2793),
        (2805, 0, 2805),
        (2805, None, 2805),
        (2805, "", 2805),
        (2805, "12", 2793),
        (2805, -12, 2805),
        (60, 60, 0),
        (60, 61, 0),
        (0, 0, 0),
    ],
)
def test_the_play_duration_is_what_was_played_and_never_negative(
    rows: Rows, length: int, paused: Value, expected: int
) -> None:
    rows.add(started=START, stopped=START + length, paused_counter=paused)
    (event,) = rows.events()
    assert event["play_duration"] == expected


@pytest.mark.parametrize("stopped", [None, 0, "", START - 1, START * 1000])
def test_without_a_stop_that_makes_sense_nobody_knows_how_long_it_was(
    rows: Rows, stopped: Value
) -> None:
    rows.add(started=START, stopped=stopped, paused_counter=5)
    (event,) = rows.events()
    assert "play_duration" not in event
    assert event["paused_counter"] == 5


@pytest.mark.parametrize(
    ("offset", "duration", "expected"),
    [
        (2_822_400, 2_880_000, 98),
        (0, 100, 0),
        (100, 100, 100),
        (999, 100, 100),
        (101, 100, 100),
        (-50, 100, 0),
        (None, 100_000, 0),
        ("", 100_000, 0),
        ("50000", "100000", 50),
        (1_250, 100_000, 1),
        (1_500, 100_000, 2),
        (50_000, 0, ABSENT),
        (50_000, "", ABSENT),
        (50_000, None, ABSENT),
        (10**12, 100, ABSENT),  # no length can be meant by that one
    ],
)
def test_how_far_it_got_is_from_0_to_100_or_not_known(
    rows: Rows, offset: Value, duration: Value, expected: object
) -> None:
    rows.add(view_offset=offset, duration=duration)
    (event,) = rows.events()
    assert event.get("percent_complete", ABSENT) == expected


def test_lengths_of_nothing_do_not_disturb_the_rest(rows: Rows) -> None:
    rows.add(duration=0, view_offset=0, started=START, stopped=START, paused_counter=0)
    (event,) = rows.events()
    assert "media_duration" not in event
    assert (event["play_duration"], event["paused_counter"]) == (0, 0)


# Who and what.


def test_a_friendly_name_is_the_one_of_the_users_table_then_the_username(rows: Rows) -> None:
    cases: list[tuple[int, str | None, str | None, str | None, Any]] = [
        # user, username and friendly name of the table, the name in the row, what is told
        (11, "carol", "Carol C", "carol", "Carol C"),
        (12, "dave", None, "dave_then", "dave"),
        (13, "erin", "", "erin", "erin"),
        (14, "frank", "   ", "frank", "frank"),
        (15, "", "", "grace", "grace"),
        (16, None, None, "heidi", "heidi"),
        (17, "ivan", " Ivan I ", None, "Ivan I"),
        (18, "", "", "", ABSENT),
        (19, "judy", "[bold]J[/bold] \x1b[2J", "judy", "[bold]J[/bold] \x1b[2J"),
    ]
    for user, username, friendly, name, _ in cases:
        if username is not None:
            add_user(rows.conn, user, username, friendly)
        rows.set("h.user", name, rows.add(user_id=user))
    found = rows.events()
    for event, (user, _, _, name, shown) in zip(found, cases, strict=True):
        assert event.get("friendly_name", ABSENT) == shown, user
        assert event["username"] == (name or "")


@pytest.mark.parametrize(
    ("rating_key", "title", "machine", "expected"),
    [
        (54321, "Pilot", "abc", "54321:abc"),
        ("", "Pilot", "abc", "383e2d946278a872:abc"),
        (0, "Amélie: Le Film", "abc", "851d161f843ed623:abc"),
        (None, "Pilot", "", "383e2d946278a872:unknown"),
        (54321, "", None, "54321:unknown"),
        ("x", "", "a:b", f"{sha256(b'').hexdigest()[:16]}:a:b"),
    ],
)
def test_the_correlation_key_is_made_of_what_the_row_has(
    rows: Rows, rating_key: Value, title: str, machine: Value, expected: str
) -> None:
    number = rows.add(title, started=START, user_id=2)
    rows.set("m.rating_key", rating_key, number)
    rows.set("h.machine_id", machine, number)
    (event,) = rows.events()
    assert event["correlation_key"] == (
        f"tautulli-import:default:2:{expected}:2024-01-01T00:00:00:tautulli-{number}"
    )


def test_titles_are_data_and_stay_what_they_are(rows: Rows) -> None:
    titles = [*HOSTILE, "a\x00b", "\x1b[2J", "[bold]x[/bold]", "\u2028\u2029", "🦊" * 200, "\ufffd"]
    for title in titles:
        rows.add(title, grandparent_title=title, rating_key="")
    found = rows.events()
    assert [event["title"] for event in found] == titles
    for event in found:
        digest = sha256(event["title"].encode()).hexdigest()[:16]
        assert digest in event["correlation_key"]


# Databases of other years.

DETAILS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("session_history", "paused_counter"): {"paused_counter": 0, "play_duration": 60},
    ("session_history", "platform"): {"platform": ABSENT},
    ("session_history", "platform_version"): {"platform_version": ABSENT},
    ("session_history", "player"): {"player": ABSENT},
    ("session_history", "product"): {"product": ABSENT},
    ("session_history", "product_version"): {"product_version": ABSENT},
    ("session_history", "ip_address"): {"ip_address": ABSENT},
    ("session_history", "location"): {"location_type": ABSENT},
    ("session_history", "secure"): {"secure": ABSENT},
    ("session_history", "relayed"): {},
    ("session_history", "bandwidth"): {"bandwidth": ABSENT},
    ("session_history", "user"): {"username": ""},
    ("session_history", "reference_id"): {},
    ("session_history_metadata", "parent_title"): {"parent_title": ABSENT},
    ("session_history_metadata", "grandparent_title"): {"grandparent_title": ABSENT},
    ("session_history_metadata", "live"): {},
    ("session_history_metadata", "year"): {"year": ABSENT},
    ("session_history_metadata", "guid"): {},
    ("session_history_metadata", "rating_key"): {},
    ("session_history_media_info", "transcode_decision"): {"transcode_decision": ABSENT},
    ("session_history_media_info", "video_resolution"): {"video_resolution": ABSENT},
    ("session_history_media_info", "video_codec"): {"video_codec": ABSENT},
    ("session_history_media_info", "video_dynamic_range"): {"video_dynamic_range": ABSENT},
    ("session_history_media_info", "audio_codec"): {"audio_codec": ABSENT},
    ("session_history_media_info", "audio_channels"): {"audio_channels": ABSENT},
    ("session_history_media_info", "stream_bitrate"): {"stream_bitrate": ABSENT},
    ("users", "friendly_name"): {"friendly_name": "alice"},
}
"""A column, and what an event lacks without it."""
FULL: Final[dict[str, Value]] = {
    "media_type": "episode", "grandparent_title": "A Show", "parent_title": "Season 1",
    "started": START, "stopped": START + 60, "paused_counter": 0, "user": "alice",
    "platform_version": "12", "product_version": "9", "location": "lan", "bandwidth": 9000,
    "transcode_decision": "copy", "video_resolution": "1080", "video_codec": "h264",
    "video_dynamic_range": "SDR", "audio_codec": "aac", "audio_channels": 2,
    "stream_bitrate": 8000,
}  # fmt: skip


def changed(before: Event, after: Event) -> dict[str, Any]:
    """Return what became of an event's fields."""
    names = before.keys() | after.keys()
    return {
        name: after.get(name, ABSENT)
        for name in names
        if before.get(name, ABSENT) != after.get(name, ABSENT)
    }


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("table", "column"), DETAILS)
def test_what_an_old_database_does_not_know_is_absent_and_all_else_the_same(
    rows: Rows, table: str, column: str
) -> None:
    rows.add("An Episode", **FULL)
    (before,) = rows.events()
    drop_column(rows.conn, table, column)
    (after,) = rows.events()
    lost = {name: value for name, value in DETAILS[table, column].items() if before[name] != value}
    assert changed(before, after) == lost


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ("users", {"friendly_name"}),
        (
            "session_history_media_info",
            {"transcode_decision", "video_resolution", "video_codec", "video_dynamic_range",
             "audio_codec", "audio_channels", "stream_bitrate"},
        ),
        ("library_sections", set()),
    ],
)  # fmt: skip
def test_a_database_without_one_table_has_the_events_without_its_fields(
    rows: Rows, table: str, lost: set[str]
) -> None:
    rows.add("An Episode", **FULL)
    (before,) = rows.events()
    with rows.conn:
        rows.conn.execute(f"DROP TABLE {table}")
    (after,) = rows.events()
    assert changed(before, after).keys() == lost
    if table == "users":
        assert after["friendly_name"] == "alice"


def test_a_database_that_does_not_know_whose_plays_they_are_has_no_events(rows: Rows) -> None:
    rows.add()
    drop_column(rows.conn, "session_history", "user_id")
    found, report = rows.told()
    assert (found, report["plays"]["rejected"]) == ([], {"no_user": 1})


def test_a_plexpy_database_of_2015_has_events(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "plexpy.db"
    with closing(create_plexpy_2015(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_play(conn, title="Half a Film", view_offset=3_600_000, started=START, user="alice")
        add_play(conn, media_type="episode", grandparent_title="A Show", started=START + 9)
        add_play(conn, media_type="track", title="A Song", started=START + 10)
    done = cli("db", path, "--dry-run", "--events")
    assert done.code == 0, done.err
    film, episode, track = events_in(done.out)
    assert (film["title"], film["percent_complete"], film["friendly_name"]) == (
        "Half a Film",
        50,
        "Alice",
    )
    assert episode["grandparent_title"] == "A Show"
    assert track["media_type"] == "track"
    for event in (film, episode, track):
        assert event.keys() >= ALWAYS
        assert not event.keys() & {"location_type", "secure", "bandwidth", "video_dynamic_range"}
