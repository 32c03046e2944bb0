"""Which rows become playback events: ``db --events``, into a pipe and by way of a dry run."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import pytest

from tests.conftest import Cli
from tests.support.event_rows import Rows, events_in, titles_in
from tests.support.forked import started
from tests.support.history import add_play
from tests.support.history.schema import Value

DAY: Final = 86_400
FIRST: Final = 1_704_067_200
"""2024-01-01T00:00:00Z."""


# Kinds of rows.


def test_a_film_stopped_after_two_minutes_is_an_event(rows: Rows) -> None:
    rows.add("Seen", view_offset=7_000_000)
    rows.add("Given Up", view_offset=120_000)
    rows.add("Never Begun", view_offset=0)
    found = rows.events()
    assert [(event["title"], event["percent_complete"]) for event in found] == [
        ("Seen", 97),
        ("Given Up", 2),
        ("Never Begun", 0),
    ]


def test_every_row_of_a_resumed_viewing_is_an_event(rows: Rows) -> None:
    for _ in range(3):
        rows.add("In Three Parts", reference_id=1)
    found = rows.events()
    assert [event["session_key"] for event in found] == ["tautulli-1", "tautulli-2", "tautulli-3"]
    assert len({event["event_id"] for event in found}) == 3
    assert len({event["correlation_key"] for event in found}) == 3


def test_films_episodes_and_tracks_become_events_and_nothing_else(rows: Rows) -> None:
    for kind in ("movie", "episode", "track", "clip", "photo", "", "MOVIE"):
        rows.add(f"a {kind}", media_type=kind)
    found, report = rows.told()
    assert [event["media_type"] for event in found] == ["movie", "episode", "track"]
    assert report["plays"]["filtered"] == {"media_type": 4}
    assert {name: report["items"][name] for name in ("movies", "episodes", "tracks")} == {
        "movies": 1,
        "episodes": 1,
        "tracks": 1,
    }


def test_a_track_tells_its_album_and_its_band(rows: Rows) -> None:
    rows.add("A Song", media_type="track", duration=200_000, year="")
    (found,) = rows.events()
    names = ("media_type", "title", "parent_title", "grandparent_title", "media_duration")
    assert [found[name] for name in names] == ["track", "A Song", "An Album", "A Band", 200]
    assert "year" not in found


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["movie"], ["Film"]),
        (["episode"], ["Episode"]),
        (["track"], ["Song"]),
        (["track", "movie"], ["Film", "Song"]),
        (["live"], ["News", "Live Film"]),
        (["live", "track"], ["Song", "News", "Live Film"]),
        (["movie", "episode", "track", "live"], ["Film", "Episode", "Song", "News", "Live Film"]),
        ([], ["Film", "Episode", "Song"]),
    ],
)
def test_media_types_are_chosen_and_live_tv_only_when_it_is_asked_for(
    rows: Rows, kinds: list[str], expected: list[str]
) -> None:
    rows.add("Film")
    rows.add("Episode", media_type="episode")
    rows.add("Song", media_type="track")
    rows.add("News", media_type="episode", live=1)
    rows.add("Live Film", live=1)
    rows.add("Clip", media_type="clip")
    options = [word for kind in kinds for word in ("--media-type", kind)]
    assert rows.titles(*options) == expected


def test_live_tv_is_counted_as_such_and_is_always_watched_to_its_end(rows: Rows) -> None:
    rows.add("Film")
    rows.add("News", media_type="episode", live=1, view_offset=0, duration="")
    _, report = rows.told()
    assert report["plays"]["filtered"] == {"live": 1}
    (found,) = rows.events("--media-type", "live")
    assert (found["media_type"], found["percent_complete"]) == ("episode", 100)
    assert "media_duration" not in found


def test_an_episode_without_numbers_is_an_event_like_any_other(rows: Rows) -> None:
    rows.add("Daily", media_type="episode", media_index="", parent_media_index="")
    assert rows.titles() == ["Daily"]


def test_what_is_being_played_is_no_event(rows: Rows) -> None:
    rows.add("Over")
    with rows.conn:
        rows.conn.execute(
            "INSERT INTO sessions (session_key, rating_key, media_type, title, started, user_id)"
            " VALUES (7, 99, 'movie', 'Going On', 1700000000, 1)"
        )
    assert rows.titles() == ["Over"]


# Rows that lack something.


@pytest.mark.parametrize("started", [None, "", "yesterday", 0, -5, 1.5, FIRST * 1000, 10**15])
def test_a_row_without_a_start_that_makes_sense_is_rejected(rows: Rows, started: Value) -> None:
    rows.add("Good")
    bad = rows.add("Bad")
    rows.set("h.started", started, bad)
    found, report = rows.told()
    assert [event["title"] for event in found] == ["Good"]
    assert report["plays"]["rejected"] == {"no_time": 1}
    ((row),) = report["rejected_rows"]
    assert (row["reason"], row["id"], row["detail"]) == ("no_time", bad, "Bad")


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        (1, "1970-01-01T00:00:01Z"),
        (str(FIRST), "2024-01-01T00:00:00Z"),
        (float(FIRST), "2024-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ],
)
def test_any_start_that_a_clock_can_show_is_told_in_utc(
    rows: Rows, started: Value, shown: str
) -> None:
    rows.set("h.started", started, rows.add())
    rows.set("h.stopped", None)
    (found,) = rows.events()
    assert found["started_at"] == found["timestamp"] == shown
    assert f":{shown.removesuffix('Z')}:tautulli-1" in found["correlation_key"]


@pytest.mark.parametrize("user", [None, "", "alice"])
def test_a_row_without_a_user_is_rejected(rows: Rows, user: Value) -> None:
    rows.add("Good")
    bad = rows.add("Bad")
    rows.set("h.user_id", user, bad)
    found, report = rows.told()
    assert [event["title"] for event in found] == ["Good"]
    assert report["plays"]["rejected"] == {"no_user": 1}
    assert [row["id"] for row in report["rejected_rows"]] == [bad]


@pytest.mark.parametrize(("user", "shown"), [(0, 0), (-1, -1), ("7", 7), (2**62, 2**62)])
def test_any_number_is_a_user_tautullis_own_included(rows: Rows, user: Value, shown: int) -> None:
    rows.set("h.user_id", user, rows.add())
    (found,) = rows.events()
    assert found["user_id"] == shown


@pytest.mark.parametrize("title", [None, ""])
def test_a_row_without_a_title_is_an_event_without_one(rows: Rows, title: Value) -> None:
    number = rows.add()
    rows.set("m.title", title, number)
    rows.set("m.full_title", "", number)
    (found,) = rows.events()
    assert found["title"] == ""


@pytest.mark.parametrize("table", ["metadata", "media_info"])
def test_a_row_that_tautulli_does_not_list_is_rejected(rows: Rows, table: str) -> None:
    rows.add("Good")
    bad = rows.add("Bad")
    with rows.conn:
        sql = f"DELETE FROM session_history_{table} WHERE id = ?"  # noqa: S608 - from the list above
        rows.conn.execute(sql, (bad,))
    found, report = rows.told()
    assert [event["title"] for event in found] == ["Good"]
    assert report["plays"]["rejected"] == {"no_metadata": 1}


def test_what_was_not_asked_for_is_left_out_before_anything_is_held_against_it(rows: Rows) -> None:
    rows.set("h.started", None, rows.add(user_id=2))
    rows.add("Alice's")
    _, report = rows.told("--user", "alice")
    assert (report["plays"]["filtered"], report["plays"]["rejected"]) == ({"user": 1}, {})


def test_rejected_rows_are_a_failure_where_that_was_asked_for(rows: Rows) -> None:
    rows.set("h.user_id", None, rows.add())
    rows.add("Good")
    done = rows.run("--dry-run", "--strict")
    assert (done.code, titles_in(done.out)) == (9, ["Good"])


# Whose, from where, when, how far.


@pytest.mark.parametrize("name", ["bob", "Bob", "2", "BOB"])
def test_users_are_chosen_by_any_name(rows: Rows, name: str) -> None:
    rows.add("Alice's", user="alice")
    rows.add("Bob's", user_id=2, user="bob")
    found, report = rows.told("--user", name)
    assert [event["title"] for event in found] == ["Bob's"]
    assert report["plays"]["filtered"] == {"user": 1}


def test_nobody_is_told_that_plays_are_merged_for_every_event_says_whose_it_is(rows: Rows) -> None:
    rows.add("Alice's", user="alice")
    rows.add("Bob's", user_id=2, user="bob")
    assert "Merging" not in rows.run("--dry-run").err


@pytest.mark.parametrize("name", ["Music", "6"])
def test_libraries_are_chosen_by_name_and_number(rows: Rows, name: str) -> None:
    rows.add("Film")
    rows.add("Song", media_type="track")
    found, report = rows.told("--library", name)
    assert [event["title"] for event in found] == ["Song"]
    assert report["plays"]["filtered"] == {"library": 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--since", "2024-01-02"), ["2", "3"]),
        (("--until", "2024-01-02"), ["1", "2"]),
        (("--since", "2024-01-02", "--until", "2024-01-02"), ["2"]),
        (("--since", "2024-01-03", "--watched-at", "started"), []),
        (("--since", "2024-01-03"), ["3"]),
        (("--since", "2024-01-03T00:00:01Z"), ["3"]),
    ],
)
def test_dates_are_those_of_the_stop_unless_the_start_is_asked_for(
    rows: Rows, options: tuple[str, ...], expected: list[str]
) -> None:
    for number, stopped in enumerate((FIRST + 60, FIRST + DAY, FIRST + 2 * DAY + 1), start=1):
        rows.add(str(number), started=stopped - 60, stopped=stopped)
    found, report = rows.told(*options)
    assert [event["title"] for event in found] == expected
    assert report["plays"]["filtered"] == ({"date": 3 - len(expected)})


def test_a_row_without_a_stop_is_chosen_by_its_start(rows: Rows) -> None:
    for number in range(3):
        rows.add(str(number), started=FIRST + number * DAY, stopped=(0, None, 5)[number])
    assert rows.titles("--since", "2024-01-02", "--until", "2024-01-02") == ["1"]


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0, ["none", "half", "nearly", "all", "more"]),
        (1, ["half", "nearly", "all", "more"]),
        (50, ["half", "nearly", "all", "more"]),
        (51, ["nearly", "all", "more"]),
        (85, ["all", "more"]),
        (100, ["all", "more"]),
    ],
)
def test_min_percent_leaves_out_what_was_stopped_earlier(
    rows: Rows, least: int, expected: list[str]
) -> None:
    offsets = {"none": 0, "half": 50_000, "nearly": 84_000, "all": 100_000, "more": 120_000}
    for title, offset in offsets.items():
        rows.add(title, view_offset=offset, duration=100_000)
    rows.add("unknown", duration=0)
    found, report = rows.told("--min-percent", str(least))
    assert [event["title"] for event in found] == expected
    assert report["plays"]["filtered"] == {"partial": 6 - len(expected)}


def test_the_thresholds_of_tautulli_mean_nothing_to_events(rows: Rows) -> None:
    rows.add("Given Up", view_offset=1)
    rows.path.with_name("config.ini").write_text(
        "[Monitoring]\nmovie_watched_percent = 100\n", "utf-8"
    )
    assert rows.titles() == ["Given Up"]


# Where the rows come from.


def test_events_stand_in_the_order_of_the_rows_whatever_the_page(rows: Rows) -> None:
    for number in (1, 2, 3, 7, 500, 501, 10**9):
        rows.add(str(number), id=number, started=FIRST - number)
    expected = rows.run("--dry-run").out
    assert titles_in(expected) == ["1", "2", "3", "7", "500", "501", "1000000000"]
    for size in ("1", "2", "10000"):
        assert rows.run("--dry-run", "--batch-size", size).out == expected


def test_a_history_without_a_row_has_no_events(rows: Rows) -> None:
    found, report = rows.told()
    assert (found, report["plays"]["read"], report["view"]) == ([], 0, "events")


def test_of_overlapping_backups_every_play_is_one_event(rows: Rows, tmp_path: Path) -> None:
    for number in range(5):
        rows.add(str(number), started=FIRST + number)
    old = rows.backup().rename(tmp_path / "old.db")
    rows.delete(2)  # the backup still has it
    rows.set("m.title", "Renamed", 3)
    rows.add("5", started=FIRST + 5)
    with closing(sqlite3.connect(old)) as conn:
        add_play(conn, title="Only There", id=6, started=FIRST - 9, user_id=2)
    expected = {"0", "1", "Renamed", "3", "4", "5", "Only There"}
    orders = [(rows.path, old), (old, rows.path)]
    report = tmp_path / "report.json"
    runs = [
        rows.inside("db", *order, "--events", "--dry-run", "--report", report) for order in orders
    ]
    for done in runs:
        assert set(titles_in(done.out)) == expected
        assert done.out.count("\n") == len(expected)
    assert sorted(runs[0].out.split("\n")) == sorted(runs[1].out.split("\n"))
    plays = json.loads(report.read_bytes())["plays"]
    assert (plays["read"], plays["emitted"], plays["filtered"]) == (11, 7, {"duplicate": 4})


def test_what_the_newer_of_two_has_incomplete_is_told_by_the_older(
    rows: Rows, tmp_path: Path
) -> None:
    rows.add("Whole", player="TV", started=FIRST)
    rows.add("Newer", started=FIRST + DAY)
    old = rows.backup()
    rows.set("h.player", "Renamed")
    with rows.conn:
        rows.conn.execute("DELETE FROM session_history_metadata WHERE id = 1")
    rows.add("Newest", started=FIRST + 2 * DAY)
    report = tmp_path / "report.json"
    done = rows.inside("db", rows.path, old, "--events", "--dry-run", "--report", report)
    found = {event["title"]: event["player"] for event in events_in(done.out)}
    assert found == {"Newer": "Renamed", "Newest": "Living room", "Whole": "TV"}
    plays = json.loads(report.read_bytes())["plays"]
    assert (plays["read"], plays["emitted"], plays["rejected"]) == (5, 3, {})
    assert plays["filtered"] == {"duplicate": 2}


def test_a_number_that_was_given_twice_is_two_events(rows: Rows) -> None:
    """As after a backup was restored: the other history goes on under the same numbers."""
    rows.add("Both", started=FIRST)
    old = rows.backup()
    rows.add("Here", started=FIRST + 2 * DAY)
    with closing(sqlite3.connect(old)) as conn:
        add_play(conn, title="There", started=FIRST + DAY)
    done = rows.inside("db", rows.path, old, "--events", "--dry-run")
    found = events_in(done.out)
    assert [event["title"] for event in found] == ["Both", "Here", "There"]
    assert [event["session_key"] for event in found[1:]] == ["tautulli-2"] * 2
    for name in ("event_id", "correlation_key"):
        assert len({event[name] for event in found}) == 3


def test_a_database_from_standard_input_is_read(cli: Cli, rows: Rows, tmp_path: Path) -> None:
    rows.add("From a Pipe")
    done = cli("db", "-", "--dry-run", "--events", stdin=rows.path.read_bytes())
    assert (done.code, titles_in(done.out)) == (0, ["From a Pipe"]), done.err
    out = tmp_path / "events.jsonl"
    options = ("--to", "jsonl", "--events", "--out", out)
    done = cli("db", "-", *options, stdin=rows.path.read_bytes())
    assert (done.code, out.read_text("utf-8")) == (0, rows.run("--dry-run").out), done.err


def test_a_damaged_page_costs_its_rows_and_no_others(rows: Rows, tmp_path: Path) -> None:
    rows.generate(400)
    whole = events_in(rows.run("--dry-run").out)
    rows.damage()
    report = tmp_path / "report.json"
    refused = rows.run("--dry-run")
    assert (refused.code, refused.out) == (7, "")
    done = rows.run("--dry-run", "--report", report, "--salvage")
    assert done.code == 7
    found = events_in(done.out)
    assert 0 < len(whole) - len(found) < 100
    assert all(event in whole for event in found)
    plays = json.loads(report.read_bytes())["plays"]
    assert plays["rejected"]["unreadable"] >= len(whole) - len(found)
    left = sum(plays["filtered"].values()) + sum(plays["rejected"].values())
    assert plays["read"] == left + plays["emitted"] == 400


# Where they go.


@pytest.mark.parametrize("options", [("--dry-run",), ("--to", "jsonl"), ("--to=jsonl", "--out=-")])
def test_a_reader_that_has_seen_enough_is_no_error(
    rows: Rows, environment: dict[str, str], tmp_path: Path, options: tuple[str, ...]
) -> None:
    said = head(rows, environment, tmp_path, *options)
    assert "Traceback" not in said
    assert "Error" not in said
    assert "The reader of standard output closed it after" in said


def test_another_sink_gets_all_though_the_reader_of_the_lines_has_left(
    rows: Rows, environment: dict[str, str], tmp_path: Path
) -> None:
    head(rows, environment, tmp_path, "--to=jsonl", "--to=duckdb", "--out=duckdb=all.duckdb")
    with duckdb.connect(tmp_path / "all.duckdb") as db:
        assert db.execute("SELECT count(*) FROM playback_events").fetchall() == [(300,)]


def head(rows: Rows, environment: Mapping[str, str], folder: Path, *options: str) -> str:
    """Return what is said to ``head -1``, when far more is to come than a pipe holds."""
    for number in range(300):
        rows.add(str(number), player="x" * 500)
    command = ["db", str(rows.path), "--events", *options]
    with started("tautulli_import", command, environment=environment, folder=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert titles_in(process.stdout.readline()) == ["0"]
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(60) == 0, said
    return said


def test_a_device_without_room_is_a_clear_error(cli: Cli, rows: Rows) -> None:
    rows.add()
    done = cli("db", rows.path, "--events", "--to", "jsonl", "--out", "/dev/full")
    assert done.code == 8
    assert "No space left" in done.err
    assert "Traceback" not in done.err


def test_a_named_pipe_is_written_to_and_never_replaced(
    rows: Rows, environment: dict[str, str], tmp_path: Path
) -> None:
    rows.add("Through a Pipe")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    options = ["--to", "jsonl", "--events", "--out", str(pipe)]
    for _ in range(2):  # nothing is remembered of what is gone
        command = ["db", str(rows.path), *options]
        with started(
            "tautulli_import", command, environment=environment, folder=tmp_path
        ) as process:
            assert titles_in(pipe.read_bytes()) == ["Through a Pipe"]
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
    assert pipe.is_fifo()
