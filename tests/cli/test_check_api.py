"""`check api`, `users api`, `libraries api`: looking at a Tautulli over HTTP."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from shutil import copy
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.sources.http.health import Health, examine
from tests.conftest import Result
from tests.support.history import add_library, add_play, add_user, create
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import KEY, FakeTautulli, json_error, on, status


class Seen(Struct):
    """The program, and a Tautulli to look at."""

    inside: Inside
    server: FakeTautulli
    database: Path

    def run(self, *args: str | Path, **env: str) -> Result:
        """Run a command with the server in the environment."""
        return self.inside(*args, env=self.server.environment | env)

    def inspection(self, *args: str) -> dict[str, Any]:
        """Return what `check api --json` says."""
        result = self.run("check", "api", "--json", *args)
        assert result.code == 0, result.err
        found: dict[str, Any] = json.loads(result.out)
        return found

    def lines(self) -> dict[str, str]:
        """Return what `check api` prints, by its first word."""
        result = self.run("check", "api")
        assert result.code == 0, result.err
        return {
            line.split("  ")[0].strip(): line.split("  ", 1)[1].strip()
            for line in result.out.splitlines()
            if "  " in line.strip()
        }


@pytest.fixture
def seen(tmp_path: Path, inside: Inside) -> Iterator[Seen]:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob", "Bob")
        add_user(conn, 3, "carol", "Carol")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_library(conn, 3, "Empty", "movie")
        add_play(conn, title="Known", guid="imdb://tt0000001")
        add_play(conn, title="Unknown", year=2002)
        add_play(conn, title="Partial", year=2003, view_offset=1)
        add_play(conn, media_type="episode", grandparent_title="A Show", user_id=2, user="bob")
        add_play(conn, title="Gone", user_id=9, user="forgotten")
    with FakeTautulli(path) as server, no_waiting():
        yield Seen(inside, server, path)


# The server.


def test_it_tells_version_plex_and_rows(seen: Seen) -> None:
    lines = seen.lines()
    assert lines["Tautulli"] == "v2.17.2"
    assert lines["Plex"] == "A Plex Server, reachable"
    assert lines["Rows"].startswith("5, counted in ")


def test_the_same_is_in_its_json(seen: Seen) -> None:
    server = seen.inspection()["server"]
    assert 0 <= server.pop("seconds") < 5
    assert server == {
        "version": "v2.17.2",
        "plex": "A Plex Server",
        "plex_reachable": True,
        "rows": 5,
        "listed": 5,
        "warnings": [],
    }


def test_the_thresholds_in_force_are_told(seen: Seen) -> None:
    seen.server.settings |= {"movie_watched_percent": 51, "tv_watched_percent": 62}
    told = seen.lines()["Watched"]
    assert "51" in told
    assert "62" in told


def test_thresholds_decide_what_is_partial(seen: Seen) -> None:
    assert seen.inspection()["plays"]["filtered"]["partial"] == 1
    seen.server.settings |= {"movie_watched_percent": 99, "tv_watched_percent": 99}
    assert seen.inspection()["plays"]["filtered"]["partial"] == 5


def test_rows_that_are_never_listed_are_told(seen: Seen) -> None:
    with closing(sqlite3.connect(seen.database)) as conn, conn:
        conn.execute("DELETE FROM session_history_metadata WHERE id = 2")
    assert seen.lines()["Rows"].endswith("; 1 of them never listed")
    inspection = seen.inspection()
    assert (inspection["server"]["rows"], inspection["server"]["listed"]) == (5, 4)
    assert inspection["plays"]["rejected"]["no_metadata"] == 1


def test_a_plex_that_is_away_is_warned_of(seen: Seen) -> None:
    seen.server.plex_up = False
    result = seen.run("check", "api")
    assert result.code == 0
    assert "A Plex Server, not reachable" in result.out
    assert "Warning: Tautulli cannot connect to Plex" in result.err


@pytest.mark.parametrize(
    ("version", "warning"),
    [
        ("v2.17.2", ""),
        ("v2.8.0", ""),
        ("v3.0.0-beta", ""),
        ("2.12.5", ""),
        ("v2.7.7", "is older than 2.8, so every run has to read everything"),
        ("v2.2.4", "is older than 2.8, so every run has to read everything"),
        ("v2.1.44", "sends no GUIDs"),
        ("v1.4.25", "sends no GUIDs"),
        ("nightly", ""),
        ("", ""),
        ("v" * 500, ""),
    ],
)
def test_an_old_server_is_warned_of(seen: Seen, version: str, warning: str) -> None:
    seen.server.settings["version"] = version
    result = seen.run("check", "api")
    assert result.code == 0
    assert (f"Warning: Tautulli {version} {warning}" in result.err) == bool(warning)
    assert (version or "unknown version") in result.out or len(version) > 40


def test_a_server_that_tells_nothing_of_itself_is_looked_at_all_the_same(seen: Seen) -> None:
    refused = json_error("Unknown command: that")
    for cmd in ("get_tautulli_info", "get_server_info", "server_status", "get_settings"):
        seen.server.faults.append(on(cmd, refused))
    lines = seen.lines()
    assert lines["Tautulli"] == "unknown version"
    assert lines["Plex"] == "unknown name, unknown if reachable"


@pytest.mark.parametrize(
    ("seconds", "warning"),
    [
        (0.1, ""),
        (9.9, ""),
        (10, "took 10 seconds to count its rows. Reading them all takes about 1 min."),
        (33, "took 33 seconds to count its rows. Reading them all takes about 2 min."),
        (600, "took 600 seconds to count its rows. Reading them all takes about 40 min."),
    ],
)
def test_a_slow_server_is_warned_of(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, seconds: float, warning: str
) -> None:
    clock = count()
    slow = SimpleNamespace(perf_counter=lambda: next(clock) * seconds)
    monkeypatch.setattr("tautulli_import.sources.http.health.time", slow)
    with closing(Tautulli(Access(parse_address(seen.server.url), KEY))) as tautulli:
        health = examine(tautulli)
    assert isinstance(health, Health)
    assert health.seconds == round(seconds, 2)
    assert [warning in told for told in health.warnings] == [True] * bool(warning)
    assert not warning or "--via database" in health.warnings[0]


def test_looking_writes_nothing_but_what_is_remembered(seen: Seen, tmp_path: Path) -> None:
    def files() -> set[str]:
        kept = tmp_path / "home"
        return {str(path) for path in tmp_path.rglob("*") if kept not in path.parents}

    before = files()
    seen.run("check", "api")
    seen.run("users", "api")
    seen.run("libraries", "api")
    assert files() == before


def test_a_check_is_what_an_import_would_be(seen: Seen) -> None:
    inspection = seen.inspection("--no-enrich")
    result = seen.run("api", "--to", "jsonl", "--out", "items.jsonl", "--json", "--no-enrich")
    summary = json.loads(result.out)
    assert inspection["plays"] == summary["plays"]
    assert inspection["items"]["movies"] == summary["items"]["movies"]


def test_a_check_over_http_says_what_a_check_of_the_file_says(seen: Seen) -> None:
    over_http = seen.inspection("--no-enrich")
    file = json.loads(seen.run("check", seen.database, "--json", "--no-enrich").out)
    different = {"server", "source", "libraries"}
    assert {k: v for k, v in over_http.items() if k not in different} == {
        k: v for k, v in file.items() if k not in different
    }


def test_an_error_of_the_server_is_an_error(seen: Seen) -> None:
    seen.server.faults.append(on("get_history", status(401)))
    result = seen.run("check", "api")
    assert (result.code, result.out) == (4, "")


# Users and libraries.


def test_users_are_those_of_the_file_and_of_the_history(seen: Seen) -> None:
    over_http = json.loads(seen.run("users", "api", "--json").out)
    file = json.loads(seen.run("users", seen.database, "--json").out)
    for user in (*file, *over_http):  # Tautulli fills in the username for it
        user["friendly_name"] = user["friendly_name"] or user["username"]
    assert over_http == file
    assert [(user["username"], user["plays"], user["deleted"]) for user in over_http] == [
        ("alice", 3, False),
        ("bob", 1, False),
        ("forgotten", 1, True),
        ("Local", 0, False),
        ("carol", 0, False),
    ]


def test_users_are_a_table_for_people(seen: Seen) -> None:
    result = seen.run("users", "api")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1].split() == ["1", "alice", "Alice", "3"]
    assert "no longer known to Tautulli" in result.out


def test_libraries_are_those_of_the_file(seen: Seen) -> None:
    over_http = json.loads(seen.run("libraries", "api", "--json").out)
    file = json.loads(seen.run("libraries", seen.database, "--json").out)
    assert over_http == file
    assert [(one["name"], one["plays"]) for one in over_http] == [
        ("Films", 4),
        ("Shows", 1),
        ("Empty", 0),
    ]


def test_libraries_are_listed_without_reading_the_history(seen: Seen) -> None:
    assert seen.run("libraries", "api").code == 0
    assert [asked.rows for asked in seen.server.asked("get_history")] in ([], [0])
    assert len(seen.server.requests) <= 2


def test_listing_asks_nobody_for_ids(seen: Seen) -> None:
    seen.run("users", "api")
    seen.run("libraries", "api")
    assert seen.server.asked("get_metadata") == []


# Which door.


@pytest.mark.parametrize("command", ["check", "users", "libraries", "unresolved"])
def test_without_a_word_it_is_what_is_set(seen: Seen, command: str) -> None:
    assert seen.run(command).code == 0
    assert seen.server.requests
    seen.server.requests.clear()
    assert seen.run(command, "--no-enrich", IMPORT_DB_PATH=str(seen.database)).code in (0, 2)
    assert not seen.server.asked("get_history")


@pytest.mark.parametrize("command", ["check", "users", "libraries", "unresolved"])
def test_neither_is_an_error_that_names_both(seen: Seen, command: str) -> None:
    result = seen.inside(command)
    assert result.code == 2
    assert result.out == ""
    assert "tautulli.db" in result.err
    assert "TAUTULLI_URL" in result.err


@pytest.mark.parametrize("command", ["check", "users", "libraries", "unresolved"])
def test_both_at_once_are_refused(seen: Seen, command: str) -> None:
    result = seen.run(command, "api", seen.database)
    assert result.code == 2
    assert "./api" in result.err
    assert seen.server.requests == []


def test_a_file_may_be_called_api(seen: Seen) -> None:
    copy(seen.database, seen.database.with_name("api"))
    result = seen.run("users", "./api", "--json")
    assert result.code == 0
    assert seen.server.requests == []
    assert "alice" in result.out


@pytest.mark.parametrize("command", ["check", "users", "libraries", "api"])
def test_the_word_api_without_an_address_is_an_error(seen: Seen, command: str) -> None:
    args = ["--dry-run"] if command == "api" else ["api"]
    result = seen.inside(command, *args)
    assert result.code == 2
    assert "No Tautulli address given." in result.err
