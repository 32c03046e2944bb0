"""Playback events are the same through every door: in identity, and in all that a door can know."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.sources.test_parity import OPTIONS, deliverable, history
from tests.support.doors import Doors, Listed, opened
from tests.support.event_rows import Event, events_in
from tests.support.history import add_people, add_play
from tests.support.history.schema import Value
from tests.support.history.words import HOSTILE
from tests.support.over_http import small_windows
from tests.support.tautulli import Asked, FakeTautulli, Reply

FROM_THE_FILE_ONLY: Final = frozenset(
    {
        *("media_duration", "platform_version", "product_version", "bandwidth", "stream_bitrate"),
        *("video_resolution", "video_codec", "video_dynamic_range", "audio_codec"),
        "audio_channels",
    }
)
"""What rows over HTTP do not carry, as the manual's table has it."""
IDENTITY: Final = ("event_id", "session_key", "correlation_key")
DAY: Final = 86_400
FIRST: Final = 1_700_000_000
EVENTS: Final = ("--events", "--media-type", "movie", "--media-type", "episode",
                 "--media-type", "track", "--media-type", "live")  # fmt: skip


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where generated histories are kept, to be copied."""
    return tmp_path_factory.mktemp("histories")


@pytest.fixture(scope="module")
def served(histories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeTautulli]:
    """Yield a server of one history. Over HTTP it is read once, and remembered beside it."""
    database = history(histories, tmp_path_factory.mktemp("served"), 23, plays=400)
    deliverable(database)
    with FakeTautulli(database) as fake:
        yield fake


@pytest.fixture
def doors(tmp_path: Path, environment: dict[str, str]) -> Iterator[Doors]:
    """Yield the doors to four films, two episodes and two tracks by two people."""
    with opened(tmp_path, environment, zone="America/New_York") as found:
        with closing(sqlite3.connect(found.database)) as conn:
            conn.execute("PRAGMA synchronous = OFF")
            add_people(conn)
            for number, kind in enumerate(["movie", "episode", "movie", "track"] * 2):
                user = 1 + number // 2 % 2
                add_play(
                    conn,
                    media_type=kind,
                    title=f"{kind} {number}",
                    user_id=user,
                    user=("", "alice", "bob")[user],
                    started=FIRST + number * DAY,
                    bandwidth=8000 + number,
                    video_codec="h264",
                    platform_version="12",
                )
        yield found


def over_http(event: Event) -> Event:
    """Return what of an event can be known over HTTP."""
    return {name: value for name, value in event.items() if name not in FROM_THE_FILE_ONLY}


def agree(doors: Doors, *options: str) -> tuple[Sequence[Event], Listed]:
    """Hold what comes out of the doors against each other; what came out of the file."""
    expected = doors.listed("db", *EVENTS, *options)
    found = events_in(expected.lines)
    assert doors.listed("via", *EVENTS, *options) == expected
    listed = doors.listed("api", *EVENTS, *options)
    for event, other in zip(found, events_in(listed.lines), strict=True):
        assert over_http(event) == other
        assert [*over_http(event)] == [*other]  # in the same order: the bytes are a contract
    assert listed.report == expected.report
    return found, expected


# Whole histories.


@pytest.mark.parametrize(
    ("zone", "seed"), [("UTC", 31), ("Australia/Lord_Howe", 32), ("Asia/Kolkata", 33)]
)
def test_all_doors_lead_to_the_same_events(
    histories: Path, tmp_path: Path, environment: dict[str, str], zone: str, seed: int
) -> None:
    database = history(histories, tmp_path, seed, plays=600)
    deliverable(database)
    with opened(tmp_path, environment, database=database, zone=zone) as doors, small_windows(150):
        found, listed = agree(doors)
    assert len(found) == listed.report["plays"]["emitted"] > 500
    assert {event["media_type"] for event in found} == {"movie", "episode", "track"}
    for name in IDENTITY:
        assert len({event[name] for event in found}) == len(found)


def test_rows_that_tautulli_fails_on_are_all_that_is_missing_over_http(
    histories: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    database = history(histories, tmp_path, 34, plays=600)
    with opened(tmp_path, environment, database=database) as doors:
        whole = doors.listed("db", *EVENTS)
        assert doors.listed("via", *EVENTS) == whole
        listed = doors.listed("api", *EVENTS)
    with closing(sqlite3.connect(database)) as conn:
        sql = "SELECT id FROM session_history_metadata WHERE duration = 0"
        bad = {f"tautulli-{number}" for (number,) in conn.execute(sql)}
    assert bad
    expected = [over_http(e) for e in events_in(whole.lines) if e["session_key"] not in bad]
    assert events_in(listed.lines) == expected
    assert listed.report["plays"]["rejected"]["not_delivered"] == len(bad)
    assert listed.report["plays"]["read"] == whole.report["plays"]["read"]


MEANINGLESS: Final = {"--rewatches", "--each-user", "--include-partial", "--media-type"}


@pytest.mark.parametrize(
    "options", [one for one in OPTIONS if not MEANINGLESS.intersection(one)], ids=" ".join
)
def test_every_choice_is_the_same_through_all_doors(
    served: FakeTautulli, environment: dict[str, str], options: tuple[str, ...]
) -> None:
    folder = served.database.parent
    with opened(folder, environment, database=served.database, fake=served) as doors:
        found, listed = agree(doors, *options)
    assert 0 < len(found) < listed.report["plays"]["read"] or options == ("--min-percent", "0")


@pytest.mark.parametrize("kinds", [("track",), ("live",), ("movie", "live"), ("episode", "track")])
def test_media_types_are_the_same_through_all_doors(
    served: FakeTautulli, environment: dict[str, str], kinds: tuple[str, ...]
) -> None:
    options = ("--events", *(word for kind in kinds for word in ("--media-type", kind)))
    folder = served.database.parent
    with opened(folder, environment, database=served.database, fake=served) as doors:
        expected = doors.listed("db", *options)
        assert doors.listed("via", *options) == expected
        listed = doors.listed("api", *options)
    assert expected.lines
    assert events_in(listed.lines) == [over_http(event) for event in events_in(expected.lines)]
    assert listed.report == expected.report


# Odd rows.

_H, _M, _I = "session_history", "session_history_metadata", "session_history_media_info"
TEXTS: Final[list[Value]] = [None, "", " ", 7, "<b>&amp;\"'\\", "🌸 \x1b[2J", "a\x00b"]
ODD: Final[Mapping[str, list[Value]]] = {
    f"{_H}.started": [None, "", "yesterday", 0, -5, 1.5, FIRST * 1000, 253_402_300_799, 10**15],
    f"{_H}.stopped": [None, "", "late", 0, -1, FIRST - DAY, FIRST * 1000, 10**15, 1.5],
    f"{_H}.user_id": [None, "", "alice", 0, 77, -1],
    f"{_H}.user": [None, "", "renamed", "<b>&amp;"],
    f"{_H}.reference_id": [None, "", "x", 1],
    f"{_H}.view_offset": [None, "", "half", 0, -5, 1.5, 3_600_000, 10**12],
    f"{_H}.rating_key": [None, "", "x", 7],
    f"{_H}.paused_counter": [None, "", "x", "12", -5, 1.5, 10**6],
    f"{_H}.platform": [*TEXTS, "Konvergo", "Mystery 3", "WebMAF", "windows", "osx", "macos"],
    f"{_H}.player": TEXTS,
    f"{_H}.product": TEXTS,
    f"{_H}.machine_id": TEXTS,
    f"{_H}.ip_address": [*TEXTS, "2001:db8::1"],
    f"{_H}.location": [*TEXTS, "wan", "lan", "LAN", "cellular"],
    f"{_H}.secure": [None, "", "x", 0, 1, "1", 2],
    f"{_H}.relayed": [None, "", "x", 0, 1],
    f"{_M}.rating_key": [None, "", "x", 0, 7],
    f"{_M}.title": [None, *HOSTILE, *TEXTS[1:]],
    f"{_M}.parent_title": TEXTS,
    f"{_M}.grandparent_title": TEXTS,
    f"{_M}.year": [None, "", "x", 0, -1, 1999.5, "2004"],
    f"{_M}.duration": [None, "", 1, 1.5, "60000", 10**12],
    f"{_M}.live": [None, "", 1, "1"],
    f"{_I}.transcode_decision": TEXTS,
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("place", ODD)
def test_odd_values_are_taken_for_the_same(doors: Doors, place: str) -> None:
    table, _, column = place.partition(".")
    with closing(sqlite3.connect(doors.database)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for value in ODD[place]:
            for kind in ("movie", "track"):
                number = add_play(conn, media_type=kind, title=f"{kind} {value}", user="alice")
                with conn:
                    sql = f"UPDATE {table} SET {column} = ? WHERE id = ?"  # noqa: S608
                    conn.execute(sql, (value, number))
    _, listed = agree(doors)
    assert listed.report["plays"]["read"] == 8 + 2 * len(ODD[place])


@pytest.mark.parametrize("name", [None, "", "  ", " Ivan ", "<b>&amp;", "🌸", "\x1b[2J"])
def test_friendly_names_are_the_same_to_the_letter(doors: Doors, name: str | None) -> None:
    with closing(sqlite3.connect(doors.database)) as conn, conn:
        conn.execute("UPDATE users SET friendly_name = ? WHERE user_id = 2", (name,))
    found, _ = agree(doors)
    names = {event.get("friendly_name") for event in found if event["user_id"] == 2}
    assert names == {(name or "").strip() or "bob"}


def test_of_a_user_who_is_gone_the_name_in_the_row_is_told(doors: Doors) -> None:
    with closing(sqlite3.connect(doors.database)) as conn, conn:
        conn.execute("DELETE FROM users WHERE user_id = 2")
    found, _ = agree(doors)
    assert {event["friendly_name"] for event in found} == {"Alice", "bob"}


def test_rows_that_lack_a_table_are_counted_through_all_doors(doors: Doors) -> None:
    with closing(sqlite3.connect(doors.database)) as conn, conn:
        conn.execute(f"DELETE FROM {_M} WHERE id = 2")  # noqa: S608 - our own name
        conn.execute(f"DELETE FROM {_I} WHERE id = 3")  # noqa: S608 - our own name
    listed = {door: doors.listed(door, *EVENTS) for door in ("db", "via", "api")}
    assert listed["via"] == listed["db"]
    for one in listed.values():
        assert one.report["plays"]["rejected"] == {"no_metadata": 2}
        keys = [event["session_key"] for event in events_in(one.lines)]
        assert keys == [f"tautulli-{number}" for number in (1, 4, 5, 6, 7, 8)]


# What only one of them can have.


def test_what_rows_over_http_do_not_carry_is_left_out_and_never_made_up(doors: Doors) -> None:
    (from_file, *_), listed = agree(doors)
    (over, *_) = events_in(doors.listed("api", *EVENTS).lines)
    assert from_file.keys() - over.keys() <= FROM_THE_FILE_ONLY
    assert {"media_duration", "bandwidth", "video_codec", "platform_version"} <= from_file.keys()
    assert not FROM_THE_FILE_ONLY & over.keys()
    assert listed.report["view"] == "events"


def test_the_newest_rows_that_a_download_has_not_yet_are_events_as_over_http(
    doors: Doors,
) -> None:
    """They are in Tautulli's write-ahead log, which is not sent."""
    old = doors.database.read_bytes()
    with closing(sqlite3.connect(doors.database)) as conn:
        add_play(conn, title="Last Night", user="alice", started=FIRST + 9 * DAY, bandwidth=1)
    expected = events_in(doors.listed("db", *EVENTS).lines)

    def an_older_file(one: Asked) -> Reply | None:
        return Reply(body=old) if one.cmd == "download_database" else None

    doors.fake.faults.append(an_older_file)
    found = events_in(doors.listed("via", *EVENTS).lines)
    assert found == [*expected[:-1], over_http(expected[-1])]
    assert found[-1]["title"] == "Last Night"


# Files, night by night.


def test_lines_grow_by_what_is_new_over_http_as_well(doors: Doors, tmp_path: Path) -> None:
    outs = {door: tmp_path / f"{door}.jsonl" for door in ("db", "api", "via")}
    before: Mapping[str, bytes] = {}
    for night in range(3):
        for door, out in outs.items():
            done = doors.run(door, "--to", "jsonl", *EVENTS, "--out", out)  # type: ignore[arg-type]
            assert done.code == 0, done.err
            assert ("Nothing new" in done.err) == (night == 2)
            assert "read again" not in done.err
        found = {door: out.read_bytes() for door, out in outs.items()}
        for door, lines in before.items():
            assert found[door].startswith(lines)
            assert (found[door] == lines) == (night == 2)
        before = found
        assert found["via"] == found["db"]
        assert events_in(found["api"]) == [over_http(event) for event in events_in(found["db"])]
        if night == 0:
            with closing(sqlite3.connect(doors.database)) as conn:
                add_play(conn, title="New", user="bob", user_id=2, started=FIRST + 20 * DAY)


def test_one_file_is_not_fed_by_two_doors_without_a_word(doors: Doors, tmp_path: Path) -> None:
    """Each door's lines are a whole file: the other door writes it anew."""
    out = tmp_path / "events.jsonl"
    options = ("--to", "jsonl", *EVENTS, "--out", out)
    assert doors.run("db", *options).code == 0
    whole = out.read_bytes()
    assert doors.run("api", *options).code == 0
    assert events_in(out.read_bytes()) == [over_http(event) for event in events_in(whole)]
    done = doors.run("db", *options)
    assert "read again" in " ".join(done.err.split())
    assert out.read_bytes() == whole


def test_a_history_over_http_that_was_restored_is_delivered_again(
    doors: Doors, tmp_path: Path
) -> None:
    out = tmp_path / "events.jsonl"
    options = ("--to", "jsonl", *EVENTS, "--out", out)
    assert doors.run("api", *options).code == 0
    with closing(sqlite3.connect(doors.database)) as conn, conn:
        for table in (_H, _M, _I):
            conn.execute(f"DELETE FROM {table} WHERE id > 6")  # noqa: S608 - our own names
    with closing(sqlite3.connect(doors.database)) as conn:
        add_play(conn, title="After the Backup", user="alice", started=FIRST + 30 * DAY)
    done = doors.run("api", *options)
    assert done.code == 0, done.err
    assert "read again" in " ".join(done.err.split())
    found = events_in(out.read_bytes())
    assert [event["session_key"] for event in found] == [f"tautulli-{n}" for n in range(1, 8)]
    assert found[-1]["title"] == "After the Backup"
    assert json.dumps(found) == json.dumps(events_in(doors.listed("api", *EVENTS).lines))
