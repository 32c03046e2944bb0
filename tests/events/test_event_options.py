"""What goes with ``--events`` and what does not, and how a run of events is summed up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import Cli
from tests.support.event_rows import Rows, events_in, titles_in


@pytest.fixture
def rows(rows: Rows) -> Rows:
    """Yield a film seen, one given up, an episode, a track, live TV, a clip, one without a user.

    Twelve rows of it: every second is Bob's.
    """
    for who, name in ((1, "alice"), (2, "bob")):
        rows.add("Seen", user_id=who, user=name)
        rows.add("Given Up", user_id=who, user=name, view_offset=1)
        rows.add("Episode", user_id=who, user=name, media_type="episode")
        rows.add("Song", user_id=who, user=name, media_type="track")
        rows.add("News", user_id=who, user=name, media_type="episode", live=1)
    rows.add("Clip", media_type="clip")
    rows.add("Whose", user_id="")
    return rows


def config(environment: Mapping[str, str], text: str) -> None:
    """Write the settings of the person."""
    path = Path(environment["XDG_CONFIG_HOME"]) / "tautulli-import" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def said(done: Any) -> str:
    """Return what was said, in one line."""
    return " ".join(done.err.split())


# The summary.

SHAPE: dict[str, Any] = {
    "schema": 1,
    "command": "db",
    "status": "completed",
    "dry_run": False,
    "sinks": ["jsonl"],
    "plays": {
        "read": 12,
        "filtered": {"media_type": 1, "live": 2},
        "rejected": {"no_user": 1},
        "merged": 0,
        "emitted": 8,
    },
    "items": {
        "movies": 4,
        "episodes": 2,
        "new": 8,
        "updated": 0,
        "unchanged": 0,
        "without_external_id": 0,
        "ids_from": {},
        "tracks": 2,
    },
    "requests": {"history": 0, "metadata": 0, "other": 0},
    "outputs": [
        {
            "sink": "jsonl",
            "target": "events.jsonl",
            "user": None,
            "merged": 0,
            "emitted": 8,
            "new": 8,
            "updated": 0,
            "unchanged": 0,
            "removed": 0,
            "total": 8,
            "written": ["events.jsonl"],
            "duplicates": 0,
            "kept": 0,
            "copies": [],
            "left_out": {},
        }
    ],
    "warnings": [],
    "carried": 0,
    "view": "events",
    "damaged": [],
}


def without_clock(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary without what no two runs have in common."""
    of_the_run = {"elapsed_seconds", "plays_per_second", "source"}
    found = {name: value for name, value in told.items() if name not in of_the_run}
    for output in found["outputs"]:
        output["written"] = [Path(path).name for path in output["written"]]
        output["target"] = Path(output["target"]).name
    return found


def test_the_summary_as_json_is_the_contract(cli: Cli, rows: Rows) -> None:
    options = ("--to", "jsonl", "--events", "--out", "events.jsonl", "--json")
    done = cli("db", rows.path, *options)
    assert done.code == 0, done.err
    assert without_clock(json.loads(done.out)) == SHAPE


def test_the_report_has_every_rejected_row_and_no_items(rows: Rows, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = rows.run("--to", "jsonl", "--out", "events.jsonl", "--report", report)
    assert done.code == 0, done.err
    told = json.loads(report.read_bytes())
    (rejected,) = told.pop("rejected_rows")
    assert (rejected["reason"], rejected["id"], rejected["detail"]) == ("no_user", 12, "Whose")
    for name in ("without_external_id", "ids", "conflicts", "left_out"):
        assert told.pop(name) == []
    assert without_clock(told) == SHAPE


def test_a_second_run_tells_all_and_how_much_of_it_it_did_not_read_again(
    rows: Rows, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    options = ("--to", "jsonl", "--out", "events.jsonl", "--report", report)
    rows.run(*options)
    first = json.loads(report.read_bytes())
    rows.add("New", media_type="track")
    assert rows.run(*options).code == 0
    second = json.loads(report.read_bytes())
    assert (second["plays"]["read"], second["plays"]["emitted"], second["carried"]) == (13, 9, 12)
    assert second["rejected_rows"] == first["rejected_rows"]
    assert (second["items"]["tracks"], second["items"]["new"]) == (3, 1)
    (output,) = second["outputs"]
    assert (output["new"], output["total"], output["duplicates"]) == (1, 9, 0)


def test_the_numbers_of_a_dry_run_are_those_of_the_real_one(rows: Rows, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--to", "jsonl", "--out", "events.jsonl", "--report", report)
    found = []
    for extra in ((), ("--dry-run",)):
        rows.add("New")
        assert rows.run("--dry-run", *options).code == 0
        dry = without_clock(json.loads(report.read_bytes()))
        assert rows.run(*options, *extra).code == 0
        found.append((dry, without_clock(json.loads(report.read_bytes()))))
    for dry, real in found:
        for name in ("plays", "items", "carried", "rejected_rows"):
            assert dry[name] == real[name], name
        for name in ("emitted", "new", "total", "duplicates"):
            assert dry["outputs"][0][name] == real["outputs"][0][name], name
    assert (found[0][0]["carried"], found[1][0]["carried"]) == (0, 13)


def test_the_summary_for_people_tells_films_episodes_and_tracks(rows: Rows) -> None:
    done = rows.run("--to", "jsonl", "--out", "events.jsonl", "--verbose")
    result = "8 events are now in events.jsonl (jsonl): 8 new."
    for what in (result, "4 films", "2 episodes", "2 tracks"):
        assert what in said(done), what
    assert "it is unknown whose play it is" in said(done)
    assert "--include-partial" not in said(done)
    assert done.out == ""


def test_nothing_new_is_one_line_and_with_quiet_none(rows: Rows) -> None:
    options = ("--to", "jsonl", "--out", "events.jsonl")
    rows.run(*options)
    done = rows.run(*options)
    assert (done.code, done.out) == (0, "")
    assert done.err.count("\n") == 1
    assert "Nothing new" in done.err
    assert rows.run(*options, "--quiet").err == ""


def test_a_table_shows_events_by_year_and_kind(rows: Rows) -> None:
    done = rows.run("--dry-run", "--format", "table")
    assert done.code == 0, done.err
    assert "schema_version" not in done.out
    for what in ("2020", "Seen", "Song"):
        assert what in done.out + done.err, what


def test_a_dry_run_is_of_items_unless_events_are_asked_for(rows: Rows) -> None:
    done = rows.inside("db", rows.path, "--dry-run", "--no-enrich")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [item["title"] for item in found] == ["Seen", "Episode", "Whose"]
    assert all("event_id" not in item for item in found)


# Who they are from.


@pytest.mark.parametrize("name", ["attic", "A-1_b.c", "9", "x" * 200])
def test_a_server_is_named_by_letters_digits_and_a_little_more(rows: Rows, name: str) -> None:
    found = rows.events("--server-id", name)
    assert {event["server_id"] for event in found} == {name}
    assert all(event["correlation_key"].split(":")[1] == name for event in found)


@pytest.mark.parametrize("name", ["a:b", "a b", "a/b", "ä", "a\n", "*", ">", "x" * 201])
def test_what_would_make_another_key_is_no_name_of_a_server(rows: Rows, name: str) -> None:
    done = rows.run("--dry-run", "--server-id", name)
    assert (done.code, done.out) == (2, "")
    assert "--server-id" in done.err


@pytest.mark.parametrize("name", ["home", "A-1_b", "9"])
def test_a_source_is_named_by_letters_and_digits(rows: Rows, name: str) -> None:
    found = rows.events("--event-source", name)
    assert {event["source"] for event in found} == {name}
    assert all(event["correlation_key"].startswith(f"{name}:default:") for event in found)
    assert [event["event_id"] for event in found] == [
        event["event_id"] for event in rows.events()
    ]  # whoever says it


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a.b", "ä", "a\n", "*", ">", "x" * 201])
def test_what_would_make_another_subject_is_no_source(rows: Rows, name: str) -> None:
    done = rows.run("--dry-run", "--event-source", name)
    assert (done.code, done.out) == (2, "")
    assert "--event-source" in done.err


def test_server_and_source_can_stand_in_the_configuration(
    rows: Rows, environment: dict[str, str]
) -> None:
    config(environment, 'events = true\nserver_id = "attic"\nevent_source = "home"\n')
    done = rows.inside("db", rows.path, "--dry-run")
    assert {(one["source"], one["server_id"]) for one in events_in(done.out)} == {("home", "attic")}
    env = {"TAUTULLI_IMPORT_SERVER_ID": "cellar"}
    done = rows.inside("db", rows.path, "--dry-run", env=env)
    assert {one["server_id"] for one in events_in(done.out)} == {"cellar"}


# What does not go together.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--to", "tracker"), ("tracker takes films and episodes", "--events")),
        (("--to", "editor", "--dry-run"), ("editor takes films and episodes",)),
        (("--to", "tracker", "--to", "jsonl"), ("tracker takes films and episodes",)),
        (("--to", "duckdb", "--to", "tracker"), ("tracker takes films and episodes",)),
        (("--dry-run", "--each-user"), ("--each-user cannot be used", "--user")),
        (("--to", "jsonl", "--each-user"), ("--each-user cannot be used",)),
        (("--dry-run", "--rewatches"), ("--rewatches cannot be used with jsonl",)),
        (("--dry-run", "--include-partial"), ("--include-partial cannot be used with jsonl",)),
        (("--dry-run", "--ids", "ids.csv"), ("--ids cannot be used with jsonl",)),
        (("--dry-run", "--merge-with", "old.json"), ("None of these sinks uses --merge-with",)),
        (("--to", "duckdb", "--rewatches"), ("--rewatches cannot be used with duckdb",)),
        ((), ("No output given.", "duckdb", "jsonl", "nats", "--dry-run")),
        (("--to", "jsonl", "--json"), ("--json", "the events", "standard output")),
        (("--dry-run", "--report", "-", "--json"), ("--report -", "--json", "standard output")),
        (("--to", "jsonl", "--out", "tautulli.db"), ("tautulli.db",)),
    ],
)
def test_what_makes_no_sense_with_events_is_refused_before_anything_is_written(
    rows: Rows, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (tmp_path / "ids.csv").write_text("type,rating_key,tmdb\n", "utf-8")
    (tmp_path / "old.json").write_text('{"ts":1,"items":{}}', "utf-8")
    before = sorted(tmp_path.iterdir())
    bytes_before = rows.path.read_bytes()
    done = rows.run(*options)
    assert done.code == 2, done.err
    assert done.out == "" or json.loads(done.out).keys() == {"error"}
    for word in words:
        assert word in said(done)
    assert sorted(tmp_path.iterdir()) == before
    assert rows.path.read_bytes() == bytes_before


def test_two_that_go_to_standard_output_are_refused(rows: Rows) -> None:
    done = rows.run("--to", "jsonl", "--to", "duckdb", "--out", "duckdb=-")
    assert done.code == 2, done.err
    assert done.out == ""


def test_music_is_nothing_for_a_tracker(rows: Rows) -> None:
    done = rows.inside("db", rows.path, "--to", "tracker", "--media-type", "track")
    assert done.code == 2
    assert "A tracker cannot hold music." in done.err
    assert "Use --to duckdb, --to nats or --events for music." in done.err


def test_music_beside_films_is_left_out_of_a_tracker(rows: Rows, tmp_path: Path) -> None:
    types = ("--media-type", "track", "--media-type", "movie")
    done = rows.inside("db", rows.path, "--to", "tracker", "--no-enrich", *types)
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "crosswatch-tracker" / "history.json").read_bytes())
    assert [item["title"] for item in written["items"].values()] == ["Seen", "Whose"]


@pytest.mark.parametrize("setting", ["rewatches = true", "include_partial = true", 'ids = "x.csv"'])
def test_what_the_configuration_says_of_items_does_not_hinder_events(
    rows: Rows, environment: dict[str, str], tmp_path: Path, setting: str
) -> None:
    (tmp_path / "x.csv").write_text("type,rating_key,tmdb\n", "utf-8")
    expected = rows.run("--dry-run").out
    config(environment, f"{setting}\n")
    done = rows.run("--dry-run")
    assert (done.code, done.out) == (0, expected), done.err


def test_what_the_configuration_says_of_items_does_not_hinder_events_for_a_sink_of_its_own(
    rows: Rows, environment: dict[str, str]
) -> None:
    config(environment, 'rewatches = true\ninclude_partial = true\nto = ["tracker"]\n')
    done = rows.inside("db", rows.path, "--to", "duckdb", "--no-enrich")
    assert done.code == 0, done.err


# Several at once.


def test_a_tracker_and_a_table_of_events_are_filled_by_one_command(
    rows: Rows, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    sinks = ("--to", "tracker", "--to", "duckdb", "--out", "duckdb=events.duckdb")
    args = ("db", rows.path, *sinks, "--no-enrich", "--report", report, "--rewatches")
    for expected in (8, 0):
        done = rows.inside(*args)
        assert done.code == 0, done.err
        told = json.loads(report.read_bytes())
        assert told["sinks"] == ["tracker", "duckdb"]
        assert told["view"] == "viewings"  # of the first
        assert [output["sink"] for output in told["outputs"]] == ["tracker", "duckdb"]
        assert [output["duplicates"] for output in told["outputs"]] == [None, 0]
        assert (told["outputs"][1]["new"], told["outputs"][1]["total"]) == (expected, 8)
        assert {row["reason"] for row in told["rejected_rows"]} == {"no_user"}
    written = json.loads((tmp_path / "crosswatch-tracker" / "history.json").read_bytes())
    titles = {item["title"] for item in written["items"].values()}
    assert titles == {"Seen", "Episode", "Whose"}  # an item needs nobody who has watched it
    with duckdb.connect(tmp_path / "events.duckdb") as db:
        found = db.execute("SELECT title FROM playback_events ORDER BY started_at").fetchall()
    assert [title for (title,) in found] == ["Seen", "Given Up", "Episode", "Song"] * 2


def test_the_first_sink_decides_what_is_counted(rows: Rows, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = rows.inside(
        *("db", rows.path, "--to", "duckdb", "--to", "tracker"),
        *("--no-enrich", "--report", report),
    )
    assert done.code == 0, done.err
    told = json.loads(report.read_bytes())
    assert told["view"] == "events"
    assert (told["items"]["movies"], told["items"]["episodes"], told["items"]["tracks"]) == (
        4,
        2,
        2,
    )
    assert told["plays"] == SHAPE["plays"]


def test_a_table_and_lines_of_events_have_the_same_events(rows: Rows, tmp_path: Path) -> None:
    done = rows.run("--to", "jsonl", "--to", "duckdb", "--out", "duckdb=events.duckdb")
    assert done.code == 0, done.err
    with duckdb.connect(tmp_path / "events.duckdb") as db:
        found = db.execute("SELECT id FROM playback_events ORDER BY started_at").fetchall()
    assert [str(one) for (one,) in found] == [event["event_id"] for event in events_in(done.out)]


def test_one_that_fails_takes_nothing_from_the_other(rows: Rows, tmp_path: Path) -> None:
    outs = ("--out", "jsonl=/dev/full", "--out", "duckdb=events.duckdb")
    done = rows.run("--to", "jsonl", "--to", "duckdb", *outs)
    assert done.code == 8
    assert "No space left" in said(done)
    assert (tmp_path / "events.duckdb").exists()
    done = rows.run("--to", "duckdb", "--out", "events.duckdb")
    assert "Nothing new" in done.err


def test_lines_are_the_same_with_and_without_another_sink(rows: Rows) -> None:
    alone = rows.run("--to", "jsonl").out
    assert titles_in(alone) == ["Seen", "Given Up", "Episode", "Song"] * 2
    assert rows.run("--to", "duckdb", "--to", "jsonl").out == alone
