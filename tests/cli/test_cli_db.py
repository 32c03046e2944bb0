"""``tautulli-import db``: what every option does, what is written where, how it ends."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tautulli_import.errors import ConfigurationError
from tautulli_import.imports.job import Job
from tautulli_import.imports.run import run
from tautulli_import.model.selection import Selection
from tautulli_import.sources.base import JudgedBatch
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli, Result
from tests.support.forked import started
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.inside import Inside
from tests.support.one_run import target

MARCH_2019 = 1_552_000_000  # 2019-03-07T23:06:40Z
JUNE_2024 = 1_717_200_000  # 2024-06-01T00:00:00Z
_DAY = 86_400


@pytest.fixture(scope="module")
def household_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a history in which every option of ``db`` changes something."""
    path = tmp_path_factory.mktemp("household") / "household.db"
    film = 7_200_000
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice A.")
        add_user(conn, 2, "bob", "Bobby")
        add_user(conn, 3, "sam1", "Sam")
        add_user(conn, 4, "sam2", "Sam")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_library(conn, 3, "Kids", "movie")
        add_library(conn, 4, "Kids", "movie", deleted=1)
        add_play(conn, title="Old", year=2001, started=MARCH_2019, guid="imdb://tt0000001")
        add_play(conn, title="New", year=2002, started=JUNE_2024)
        add_play(conn, title="New", year=2002, started=JUNE_2024 + 30 * _DAY)
        add_play(conn, title="Half", started=JUNE_2024 + _DAY, view_offset=film // 2)
        add_play(conn, title="Tenth", started=JUNE_2024 + 2 * _DAY, view_offset=film // 10)
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            title="Pilot",
            user_id=2,
            user="bob",
            started=JUNE_2024 + 3 * _DAY,
        )
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            title="Numberless",
            user_id=2,
            user="bob",
            media_index="",
            started=JUNE_2024 + 4 * _DAY,
        )
        add_play(conn, title="On air", live=1, user_id=2, started=JUNE_2024 + 5 * _DAY)
        add_play(conn, title="Song", media_type="track", started=JUNE_2024 + 6 * _DAY)
        add_play(conn, title="Cartoon", section_id=3, user_id=3, started=JUNE_2024 + 7 * _DAY)
        add_play(conn, title="Puppets", section_id=4, user_id=4, started=JUNE_2024 + 8 * _DAY)
    return path


@pytest.fixture
def household(household_once: Path, tmp_path: Path) -> Path:
    """Return the same, a copy for each test."""
    return Path(copy(household_once, tmp_path))


USUAL = {"Old", "New", "Pilot", "Cartoon", "Puppets"}


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def titles(result: Result) -> set[str]:
    return {row["title"] for row in rows(result)}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }


def report_of(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    assert isinstance(value, dict)
    return value


# What is imported.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], USUAL),
        (["--user", "alice"], {"Old", "New"}),
        (["--user", "ALICE a."], {"Old", "New"}),
        (["--user", "1"], {"Old", "New"}),
        (["--user", "bob", "--user", "sam1"], {"Pilot", "Cartoon"}),
        (["--library", "Shows"], {"Pilot"}),
        (["--library", "3"], {"Cartoon"}),
        (["--library", "Films", "--library", "4"], {"Old", "New", "Puppets"}),
        (["--media-type", "movie"], USUAL - {"Pilot"}),
        (["--media-type", "episode"], {"Pilot"}),
        (["--media-type", "live"], {"On air"}),
        (["--media-type", "movie", "--media-type", "live"], USUAL - {"Pilot"} | {"On air"}),
        (["--since", "2020-01-01"], USUAL - {"Old"}),
        (["--until", "2019-03-08"], {"Old"}),
        (["--until", "2019-03-07"], set()),
        (["--since", "2019-03-08", "--until", "2019-03-08"], {"Old"}),
        (["--since", "2019-03-08T02:00:00+01:00", "--until", "2019-03-08T01:06:41Z"], {"Old"}),
        (["--since", "2019-03-08T01:06:41Z", "--until", "2020-01-01"], set()),
        (["--until", "36500d"], set()),
        (["--since", "36500d"], USUAL),
        (["--min-percent", "50"], USUAL | {"Half"}),
        (["--min-percent", "51"], USUAL),
        (["--min-percent", "0"], USUAL | {"Half", "Tenth"}),
        (["--min-percent", "96"], set()),
        (["--include-partial"], USUAL | {"Half", "Tenth"}),
        (["--include-partial", "--no-include-partial"], USUAL),
        (["--batch-size", "1"], USUAL),
    ],
    ids=lambda one: " ".join(sorted(one) if isinstance(one, frozenset | set) else one),
)
def test_a_choice_of_plays_is_exactly_that(
    inside: Inside, household: Path, options: list[str], expected: set[str]
) -> None:
    assert titles(inside("db", household, "--dry-run", *options)) == expected


def test_a_film_watched_twice_is_one_item_unless_rewatches_are_wanted(
    inside: Inside, household: Path
) -> None:
    once = rows(inside("db", household, "--dry-run"))
    twice = rows(inside("db", household, "--dry-run", "--rewatches"))
    assert [row["watched_at"] for row in once if row["title"] == "New"] == ["2024-07-01T02:00:00Z"]
    assert [row["watched_at"] for row in twice if row["title"] == "New"] == [
        "2024-06-01T02:00:00Z",
        "2024-07-01T02:00:00Z",
    ]


def test_watched_at_is_the_end_of_a_play_unless_its_start_is_wanted(
    inside: Inside, household: Path
) -> None:
    def when(*options: str) -> str:
        found = rows(inside("db", household, "--dry-run", *options))
        return str(next(row["watched_at"] for row in found if row["title"] == "Old"))

    assert when() == when("--watched-at", "stopped") == "2019-03-08T01:06:40Z"
    assert when("--watched-at", "started") == "2019-03-07T23:06:40Z"


def test_each_user_keeps_plays_apart(inside: Inside, household: Path) -> None:
    owners = {
        row["title"]: row["user"] for row in rows(inside("db", household, "-n", "--each-user"))
    }
    assert owners["Old"] == "Alice A."
    assert owners["Pilot"] == "Bobby"
    assert all("user" not in row for row in rows(inside("db", household, "-n")))


def test_ids_of_a_persons_own_are_used(cli: Cli, household: Path, tmp_path: Path) -> None:
    text = "type,title,year,tmdb\nshow,A Show,,77\nmovie,New,2002,88\n"
    (tmp_path / "ids.csv").write_text(text, encoding="utf-8")

    from_file = rows(cli("db", household, "-n", "--ids", "ids.csv"))
    from_stdin = rows(cli("db", household, "-n", "--ids", "-", stdin=text.encode()))

    keys = {row["title"]: row["key"] for row in from_file}
    assert keys["Pilot"] == "tmdb:77#s01e01"
    assert keys["New"] == "tmdb:88"
    assert from_stdin == from_file


def test_a_list_of_titles_that_was_not_filled_in_is_said(inside: Inside, household: Path) -> None:
    assert inside("unresolved", household, "--csv", "ids.csv").code == 0
    done = inside("db", household, "-n", "--all-users", "--ids", "ids.csv")
    assert done.code == 0
    assert "Warning: No line of ids.csv has an id, so the file changes nothing.\n" in done.err


def test_an_import_of_an_empty_history_is_no_silent_success(inside: Inside, tmp_path: Path) -> None:
    """It is that of a Tautulli in another place, such as a new container without its volume."""
    create(tmp_path / "empty.db").close()
    warning = "Warning: The history has no plays. Check the path or the address.\n"
    first, *others = [inside("db", "empty.db", "--to", "tracker", "-q") for _ in range(3)]
    assert first == Result(0, "", warning)
    assert others == [Result(0, "", "")] * 2  # cron is told once
    assert warning in inside("db", "empty.db", "--to", "tracker").err


def test_an_older_history_than_that_of_the_last_run_is_said(
    inside: Inside, household: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.db"
    copy(household, older)
    with closing(sqlite3.connect(older)) as conn, conn:
        last = conn.execute("SELECT max(id) FROM session_history").fetchone()[0]
        conn.execute("DELETE FROM session_history WHERE id = ?", (last,))
        (left,) = conn.execute("SELECT count(*) FROM session_history").fetchone()
    args = ("db", household, "--to", "tracker", "--all-users", "-q")
    assert inside(*args) == Result(0, "", "")
    older.replace(household)
    warning = (
        f"Warning: The history has lost 1 of its {left + 1} plays since the last run. If you did "
        "not delete them in Tautulli, it is an older backup.\n"
    )
    assert inside(*args) == Result(0, "", warning)
    assert inside(*args) == Result(0, "", ""), "the last run had the same plays"


def test_plays_of_the_future_may_be_a_wrong_clock(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "tautulli.db")) as conn:
        add_play(conn, title="Now", year=2001)
        add_play(conn, title="Soon", year=2002, started=4_000_000_000)
    warning = (
        "Warning: 1 play with an impossible time, before 2008 or in the future, was rejected. If "
        "recent plays are missing, check the clock of this machine: date\n"
    )
    runs = [inside("db", "tautulli.db", "--to", "tracker", "-q") for _ in range(2)]
    assert runs == [Result(0, "", warning), Result(0, "", "")]  # cron is told once


def test_thresholds_come_from_the_config_ini_that_is_named(
    inside: Inside, household: Path, tmp_path: Path
) -> None:
    config = tmp_path / "other.ini"
    config.write_text("[Monitoring]\nmovie_watched_percent = 40\n", encoding="utf-8")

    assert titles(inside("db", household, "-n", "--config-ini", config)) == USUAL | {"Half"}
    said = inside("db", household, "-n", "--config-ini", config, "--verbose").err
    assert "40 % of a film" in said
    assert "other.ini" in said


def test_several_databases_are_one_history(inside: Inside, household: Path, tmp_path: Path) -> None:
    with closing(create(tmp_path / "more.db")) as conn:
        add_play(conn, id=500, title="Newer", started=JUNE_2024 + 90 * _DAY)
    together = inside("db", household, tmp_path / "more.db", "-n")
    assert titles(together) == USUAL | {"Newer"}


def test_a_database_comes_through_standard_input(cli: Cli, household: Path) -> None:
    assert titles(cli("db", "-", "-n", stdin=household.read_bytes())) == USUAL


def test_one_standard_input_does_not_serve_two(cli: Cli) -> None:
    assert cli("db", "-", "-n", "--ids", "-").code == 2


# How a dry run shows it.


def test_a_dry_run_in_a_pipe_is_lines_of_json_unless_a_table_is_wanted(
    cli: Cli, household: Path
) -> None:
    lines = cli("db", household, "-n", "--format", "jsonl")
    assert lines.out == cli("db", household, "-n").out
    assert [next(iter(json.loads(line))) for line in lines.out.splitlines()] == ["key"] * 5

    table = cli("db", household, "-n", "--format", "table")
    assert table.code == 0
    assert "{" not in table.out
    assert "Pilot" in table.out
    assert "imdb:tt0000001" in table.out


@pytest.mark.parametrize(
    "options",
    [
        ["--to", "tracker", "--out", "root"],
        ["--to", "editor", "--out", "x-history.json"],
        ["--to", "jsonl", "--out", "items.jsonl"],
        ["--to", "editor", "--to", "tracker"],
        ["--to", "tracker", "--rewatches", "--each-user"],
    ],
    ids=" ".join,
)
def test_a_dry_run_writes_nothing_and_tells_the_numbers_of_the_real_run(
    inside: Inside, household: Path, tmp_path: Path, options: list[str]
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()

    def told(name: str, *more: str) -> dict[str, Any]:
        result = inside("db", household, *options, *more, "--report", reports / name)
        assert result.code == 0, result.err
        return report_of(reports / name)

    for run_number in ("first", "second"):
        before = {name: facts for name, facts in listing(tmp_path).items() if "reports" not in name}
        dry = told(f"{run_number}-dry.json", "--dry-run")
        after = {name: facts for name, facts in listing(tmp_path).items() if "reports" not in name}
        assert after == before
        real = told(f"{run_number}.json")
        assert (dry["dry_run"], real["dry_run"]) == (True, False)
        for name in ("plays", "items", "rejected_rows", "without_external_id", "ids", "sinks"):
            assert dry[name] == real[name], name
        for ours, theirs in zip(dry["outputs"], real["outputs"], strict=True):
            assert {**ours, "written": None} == {**theirs, "written": None}
            assert ours["written"] == []
    assert real["items"]["new"] == 0
    assert real["items"]["unchanged"] == real["items"]["movies"] + real["items"]["episodes"]


def test_a_dry_run_needs_no_sink_and_leaves_nothing_beside_the_database(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    before = listing(tmp_path)
    assert len(rows(cli("db", history, "--dry-run"))) == 4
    assert listing(tmp_path) == before


# Where it goes.


def test_several_sinks_read_the_source_once(household: Path, tmp_path: Path) -> None:
    class Counting(Source):
        readings = 0

        def judged(self, selection: Selection, *, detailed: bool = False) -> Iterator[JudgedBatch]:
            """As ever, and counted."""
            self.readings += 1
            return super().judged(selection, detailed=detailed)

    out = BytesIO()
    targets = [
        target("tracker", tmp_path / "root"),
        target("editor", tmp_path / "x-history.json"),
        target("jsonl", stdout=out),
    ]
    with closing(Counting([household])) as source:
        outcome = run(source, Job("db", targets, Selection()))

    assert source.readings == 1
    assert [delivery.sink for delivery in outcome.deliveries] == ["tracker", "editor", "jsonl"]
    assert len(report_of(tmp_path / "root" / "history.json")["items"]) == 5
    assert len(report_of(tmp_path / "x-history.json")["items"]) == 6
    assert len(out.getvalue().splitlines()) == 5


def test_each_of_several_sinks_writes_where_it_is_told(
    inside: Inside, household: Path, tmp_path: Path
) -> None:
    sinks = ("--to", "tracker", "--to", "editor", "--to", "jsonl")
    outs = ("--out", "tracker=t", "--out", "editor=e-history.json", "--out", "jsonl=j=1.jsonl")

    result = inside("db", household, *sinks, *outs)

    assert (result.code, result.out) == (0, "")
    for name in ("t/history.json", "e-history.json", "j=1.jsonl"):
        assert (tmp_path / name).is_file()


def test_standard_output_carries_data_and_nothing_else(cli: Cli, household: Path) -> None:
    assert cli("db", household, "--to", "tracker", "-v").out == ""
    with_jsonl = cli("db", household, "--to", "tracker", "--to", "jsonl", "-v")
    assert len(rows(with_jsonl)) == 5
    assert len(rows(cli("db", household, "-n", "-v", "--to", "tracker"))) == 5


def test_the_source_is_not_touched(cli: Cli, history: Path) -> None:
    before = listing(history.parent), history.read_bytes()
    assert cli("db", history, "--to", "tracker").code == 0
    assert (listing(history.parent), history.read_bytes()) == before


# What is said.


def test_with_several_users_the_run_says_whose_plays_it_merges(
    inside: Inside, household: Path
) -> None:
    said = inside("db", household, "-n").err
    for name in ("Alice A.", "Bobby", "Sam", "--user", "--each-user"):
        assert name in said
    assert "Bobby" not in inside("db", household, "-n", "--user", "alice").err


def test_the_summary_tells_how_many_partial_plays_were_left_out_and_how_to_have_them(
    inside: Inside, household: Path
) -> None:
    for options in (["-n", "-v"], ["--to", "tracker", "-v"]):
        partial = [
            line
            for line in inside("db", household, *options).err.splitlines()
            if "not watched to the end" in line
        ]
        assert len(partial) == 1
        assert " 2 " in partial[0]
        assert "--include-partial" in partial[0]


def test_quiet_says_nothing_when_all_is_well(cli: Cli, household: Path) -> None:
    for _ in range(2):
        result = cli("db", household, "--to", "tracker", "--quiet", "--all-users")
        assert (result.code, result.out, result.err) == (0, "", "")


def test_quiet_is_not_silent_about_an_error(cli: Cli, tmp_path: Path) -> None:
    result = cli("db", tmp_path / "gone.db", "--to", "tracker", "-q")
    assert result.code == 5
    assert "gone.db" in result.err


def test_the_second_run_says_in_one_line_that_nothing_is_new(cli: Cli, household: Path) -> None:
    args = ("db", household, "--to", "tracker", "--user", "alice")
    assert cli(*args).code == 0

    result = cli(*args)

    assert (result.code, result.out) == (0, "")
    (line,) = result.err.splitlines()
    assert "Nothing new" in line


def test_verbose_says_more(inside: Inside, household: Path) -> None:
    usual = inside("db", household, "-n").err
    more = inside("db", household, "-n", "--verbose").err
    assert "Watched means" not in usual
    assert "Watched means 85 % of a film" in more
    assert len(more.splitlines()) > len(usual.splitlines())


# --json.

SHAPE: dict[str, Any] = {
    "schema": int,
    "command": str,
    "status": str,
    "dry_run": bool,
    "sinks": list,
    "plays": {"read": int, "filtered": dict, "rejected": dict, "merged": int, "emitted": int},
    "items": {
        "movies": int,
        "episodes": int,
        "new": int,
        "updated": int,
        "unchanged": int,
        "without_external_id": int,
        "ids_from": {
            "guid": int,
            "other_plays": int,
            "lookup_tables": int,
            "corrections": int,
            "get_metadata": int,
            "title": int,
            "plex_db": int,
            "plex_cloud": int,
        },
        "tracks": int,
    },
    "requests": {"history": int, "metadata": int, "other": int},
    "elapsed_seconds": float,
    "plays_per_second": int,
}


def assert_shape(value: dict[str, Any], shape: dict[str, Any]) -> None:
    assert list(value)[: len(shape)] == list(shape)
    for name, kind in shape.items():
        if isinstance(kind, dict):
            assert list(value[name]) == list(kind)
            assert_shape(value[name], kind)
        else:
            assert type(value[name]) is kind, name


def assert_adds_up(plays: dict[str, Any]) -> None:
    away = sum(plays["filtered"].values()) + sum(plays["rejected"].values())
    assert plays["read"] == away + plays["merged"] + plays["emitted"]


def test_the_summary_as_json_is_the_contract(cli: Cli, household: Path) -> None:
    result = cli("db", household, "--to", "tracker", "--json", "-q", "--all-users")

    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 1
    told = json.loads(result.out)
    assert_shape(told, SHAPE)
    assert (told["schema"], told["command"], told["status"]) == (1, "db", "completed")
    assert (told["dry_run"], told["sinks"]) == (False, ["tracker"])
    assert told["plays"] == {
        "read": 11,
        "filtered": {"media_type": 1, "live": 1, "partial": 2},
        "rejected": {"no_episode_number": 1},
        "merged": 1,
        "emitted": 5,
    }
    assert told["items"] == {
        "movies": 4,
        "episodes": 1,
        "new": 5,
        "updated": 0,
        "unchanged": 0,
        "without_external_id": 4,
        "ids_from": {
            "guid": 1,
            "other_plays": 0,
            "lookup_tables": 0,
            "corrections": 0,
            "get_metadata": 0,
            "title": 0,
            "plex_db": 0,
            "plex_cloud": 0,
        },
        "tracks": 0,
    }
    assert told["requests"] == {"history": 0, "metadata": 0, "other": 0}


def test_the_second_run_tells_the_same_plays_and_nothing_new(cli: Cli, household: Path) -> None:
    first, second = (json.loads(cli("db", household, "--to", "tracker", "--json").out)
                     for _ in range(2))  # fmt: skip
    assert second["plays"] == first["plays"]
    assert (second["items"]["new"], second["items"]["unchanged"]) == (0, 5)


@pytest.mark.parametrize(
    "options",
    [
        ["--to", "jsonl"],
        ["--to", "jsonl", "--out", "-"],
        ["--to", "tracker", "--to", "jsonl"],
        ["--to", "editor", "--out", "-"],
        ["--dry-run", "--format", "jsonl"],
        ["--dry-run", "--report", "-"],
    ],
    ids=" ".join,
)
def test_the_summary_and_the_items_do_not_share_standard_output(
    inside: Inside, household: Path, tmp_path: Path, options: list[str]
) -> None:
    before = listing(tmp_path)
    result = inside("db", household, *options, "--json")
    assert result.code == 2
    assert json.loads(result.out).keys() == {"error"}
    assert "--report" in result.err
    assert listing(tmp_path) == before


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(include_partial=True, media_types=frozenset({"movie", "episode", "live"})),
        Selection(users=frozenset({10_000_002}), min_percent=20),
        Selection(since=1_500_000_000, until=1_600_000_000, watched_at="started"),
        Selection(users=frozenset({1})),
    ],
    ids=["all", "everything", "one user", "dates", "nobody"],
)
@pytest.mark.parametrize("each_user", [False, True], ids=["together", "each user"])
@pytest.mark.parametrize("rewatches", [False, True], ids=["newest", "rewatches"])
def test_every_row_is_accounted_for_by_every_sink(
    years: Path, selection: Selection, each_user: bool, rewatches: bool
) -> None:
    places = {"jsonl": None, "editor": Path("x-history.json"), "tracker": Path("root")}
    job = Job(
        "db",
        [target(name, out, every_viewing=rewatches, dry_run=True) for name, out in places.items()],
        selection,
        dry_run=True,
        each_user=each_user,
        report=Path("report.json"),
    )
    with closing(Source([years])) as source:
        outcome = run(source, job)

    report = outcome.report
    away = sum(report.plays.filtered.values()) + sum(report.plays.rejected.values())
    assert report.plays.read == 3000
    assert report.plays.read == away + report.plays.merged + report.plays.emitted
    assert len(report.rejected_rows) == sum(report.plays.rejected.values())
    for name in ("jsonl", "editor", "tracker"):
        of_sink = [output for output in report.outputs if output.sink == name]
        assert away + sum(output.merged + output.emitted for output in of_sink) == 3000


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("years") / "years.db"
    generate(path, plays=3000, seed=7, truth=False)
    return path


# --report.


def test_the_report_is_the_summary_and_every_row_and_item_behind_it(
    cli: Cli, household: Path, tmp_path: Path
) -> None:
    (tmp_path / "ids.csv").write_text("type,title,year,tmdb\nmovie,New,2002,88\n", encoding="utf-8")
    args = ("db", household, "--to", "tracker", "--ids", "ids.csv", "--report", "report.json")

    result = cli(*args, "--json")

    summary = json.loads(result.out)
    report = report_of(tmp_path / "report.json")
    assert {name: report[name] for name in summary} == summary
    assert list(report)[: len(summary)] == list(summary)
    assert_adds_up(report["plays"])
    assert [(row["id"], row["reason"], row["detail"]) for row in report["rejected_rows"]] == [
        (7, "no_episode_number", "A Show - Numberless")
    ]
    without = {row["title"]: row for row in report["without_external_id"]}
    assert set(without) == {"Pilot", "Cartoon", "Puppets"}
    assert len(without) == report["items"]["without_external_id"]
    assert (without["Pilot"]["series_title"], without["Pilot"]["play"]) == ("A Show", 6)
    assert without["Pilot"]["key"].startswith("plex:")
    assert report["ids"] == [
        {"key": "imdb:tt0000001", "ids": {"imdb": "guid"}},
        {"key": "tmdb:88", "ids": {"tmdb": "corrections"}},
    ]


def test_a_report_of_years_lists_each_rejected_row_once(
    cli: Cli, years: Path, tmp_path: Path
) -> None:
    assert cli("db", years, "--to", "tracker", "--report", "report.json").code == 0

    report = report_of(tmp_path / "report.json")
    ids = [row["id"] for row in report["rejected_rows"]]
    assert len(ids) == len(set(ids)) == sum(report["plays"]["rejected"].values()) > 0
    by_reason: dict[str, int] = {}
    for row in report["rejected_rows"]:
        by_reason[row["reason"]] = by_reason.get(row["reason"], 0) + 1
    assert by_reason == report["plays"]["rejected"]
    items = report_of(tmp_path / "crosswatch-tracker" / "history.json")["items"]
    with_ids = {row["key"] for row in report["ids"]}
    without = {row["key"] for row in report["without_external_id"]}
    assert with_ids | without == set(items)
    assert with_ids & without == set()
    for row in report["ids"]:
        item = items[row["key"]]
        external = set(item["ids"]) - {"plex", "guid"}
        assert set(row["ids"]) == external


def test_a_report_that_has_nowhere_to_go_is_found_out_before_the_run(
    inside: Inside, household: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for place in ("no/such/report.json", "folder"):
        result = inside("db", household, "--to", "tracker", "--report", place)
        assert result.code in (2, 8)
        assert place.partition("/")[0] in result.err
        assert not (tmp_path / "crosswatch-tracker").exists()


@pytest.mark.parametrize("option", ["--report", "--page"])
def test_a_report_that_cannot_be_written_hides_nothing_of_the_outputs(
    inside: Inside, household: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "full.html").symlink_to("/dev/full")

    command = ("db", household, "--to", "tracker", option, "full.html")
    result = inside(*command, "--json")

    assert result.code == 8
    assert "full.html could not be written: No space left on device." in result.err
    assert f"The outputs are not affected. Choose another file with {option}." in result.err
    assert "Nothing was changed" not in result.err
    assert "5 new" in result.err
    assert "Wrote" not in result.err
    told = json.loads(result.out)
    assert (told["status"], told["items"]["new"], told["error"]["code"]) == ("completed", 5, 8)
    assert len(report_of(tmp_path / "crosswatch-tracker" / "history.json")["items"]) == 5


# How it ends.


def test_strict_imports_everything_and_leaves_with_9(
    inside: Inside, household: Path, history: Path, tmp_path: Path
) -> None:
    result = inside("db", household, "--to", "tracker", "--strict", "--report", "report.json")

    assert result.code == 9
    assert "1 row" in result.err
    assert len(report_of(tmp_path / "crosswatch-tracker" / "history.json")["items"]) == 5
    assert len(report_of(tmp_path / "report.json")["rejected_rows"]) == 1
    assert inside("db", history, "--to", "tracker", "--strict").code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["db", "DB"],
        ["db", "--dry-run"],
        ["db", "DB", "--no-such-option"],
        ["db", "DB", "--to"],
        ["db", "DB", "--to", "nowhere"],
        ["db", "DB", "-n", "--format", "xml"],
        ["db", "DB", "-n", "--media-type", "music"],
        ["db", "DB", "-n", "--min-percent", "101"],
        ["db", "DB", "-n", "--min-percent", "-1"],
        ["db", "DB", "-n", "--min-percent", "half"],
        ["db", "DB", "-n", "--batch-size", "0"],
        ["db", "DB", "-n", "--batch-size", "10001"],
        ["db", "DB", "-n", "--watched-at", "paused"],
        ["db", "DB", "-n", "--since", "tomorrow"],
        ["db", "DB", "-n", "--until", "2024-13-01"],
        ["db", "DB", "-n", "--since", "2024-01-02", "--until", "2024-01-01"],
        ["db", "DB", "--to", "tracker", "--to", "editor", "--out", "somewhere"],
        ["db", "DB", "--to", "editor", "--to", "jsonl", "--out", "editor=-"],
        ["db", "DB", "--to", "tracker", "--out", "-"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_is_told_and_ends_with_2(
    inside: Inside, household: Path, tmp_path: Path, args: list[str]
) -> None:
    before = listing(tmp_path)
    result = inside(*[household if arg == "DB" else arg for arg in args])
    assert (result.code, result.out) == (2, "")
    assert result.err.strip()
    assert "Traceback" not in result.err
    assert listing(tmp_path) == before


def test_a_name_of_several_users_is_refused_with_those_it_could_mean(
    inside: Inside, household: Path
) -> None:
    result = inside("db", household, "-n", "--user", "Sam")
    assert (result.code, result.out) == (2, "")
    for told in ("id 3", "id 4", "--user"):
        assert told in result.err
    assert inside("db", household, "-n", "--library", "Kids").code == 2


def test_an_unknown_name_is_told_with_those_there_are(inside: Inside, household: Path) -> None:
    for option, name, known in (
        ("--user", "nobody", "Alice A."),
        ("--user", "alcie", "Alice A."),
        ("--library", "Musicals", "Films"),
    ):
        result = inside("db", household, "-n", option, name)
        assert (result.code, result.out) == (5, "")
        assert name in result.err
        assert known in result.err


def test_a_file_that_is_missing_or_is_no_database_has_its_own_code(
    inside: Inside, household: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("not a database\n" * 100, encoding="utf-8")
    assert inside("db", tmp_path / "gone.db", "-n").code == 5
    assert inside("db", tmp_path / "text.db", "-n").code == 7
    assert inside("db", household, "-n", "--ids", tmp_path / "gone.csv").code == 5
    assert inside("db", household, tmp_path / "gone.db", "-n").code == 5


def test_there_is_a_traceback_with_debug_and_only_then(cli: Cli, tmp_path: Path) -> None:
    plain = cli("db", tmp_path / "gone.db", "-n")
    debug = cli("db", tmp_path / "gone.db", "-n", "--debug")
    assert "Traceback" not in plain.err
    assert plain.err.count("\n") <= 3
    assert "Traceback" in debug.err
    assert debug.code == plain.code == 5


def test_help_and_version_need_no_database(cli: Cli) -> None:
    version = cli("--version")
    assert (version.code, version.err) == (0, "")
    assert version.out.startswith("tautulli-import ")
    assert cli("--version", "--help").code == 0
    told = cli("db", "--help")
    assert told.code == 0
    for option in ("--to", "--out", "--dry-run", "--user", "--rewatches", "--report", "--json"):
        assert option in told.out
    assert cli().code in (0, 2)


# Signals.


def start(
    *args: str | Path, cwd: Path, environment: dict[str, str], **more: str
) -> subprocess.Popen[bytes]:
    return started(
        *("tautulli_import", [*map(str, args)]),
        environment={**environment, **more},
        folder=cwd,
        stdin=subprocess.PIPE,
    )


def write_until_it_reads(process: subprocess.Popen[bytes]) -> None:
    """Write more than a pipe holds: when that returns, the program has begun to read."""
    assert process.stdin is not None
    os.write(process.stdin.fileno(), b"SQLite format 3\x00")
    for _ in range(32):
        os.write(process.stdin.fileno(), bytes(65536))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_a_signal_while_reading_leaves_everything_as_it_was(
    cli: Cli,
    history: Path,
    tmp_path: Path,
    environment: dict[str, str],
    *,
    number: signal.Signals,
    code: int,
) -> None:
    assert cli("db", history, "--to", "tracker", "--out", "root").code == 0
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = listing(tmp_path)
    args = ("db", "-", "--to", "tracker", "--out", "root")

    with start(*args, cwd=tmp_path, environment=environment, TMPDIR=str(temporary)) as process:
        write_until_it_reads(process)
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()

    assert out == b""
    assert b"Traceback" not in err
    assert b"To go on: tautulli-import db" in err
    after = listing(tmp_path)
    assert set(after) == set(before)
    assert {n: after[n] for n in after if n.startswith("root")} == {
        n: before[n] for n in before if n.startswith("root")
    }


def test_an_interrupt_while_lines_wait_for_their_reader_is_no_traceback(
    years: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with start("db", years, "--to", "jsonl", cwd=tmp_path, environment=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"key":')
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=60) in (0, 130, -signal.SIGINT)  # the last: it was through
    assert b"Traceback" not in err


# Refusals of the job itself.


@pytest.mark.parametrize("out", [None, Path("-")])
def test_each_user_does_not_fit_a_dataset_on_standard_output(
    household: Path, out: Path | None
) -> None:
    stdout = BytesIO()
    targets = [target("editor", out or Path("-"), stdout=stdout)]
    with closing(Source([household])) as source, pytest.raises(ConfigurationError):
        run(source, Job("db", targets, Selection(), each_user=True))
    assert stdout.getvalue() == b""


def test_when_one_sink_cannot_be_written_the_error_names_it(
    household: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").write_text("in the way", encoding="utf-8")
    targets = [target("tracker", tmp_path / "root")]
    with closing(Source([household])) as source:
        job = Job("db", targets, Selection())
        outcome = run(source, job)
    assert outcome.failure is not None
    assert "root" in str(outcome.failure)
    assert outcome.failure.exit_code == 8
    assert outcome.report.status == "failed"
