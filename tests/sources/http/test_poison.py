"""Rows that Tautulli fails on: found, reported, passed by; and every other row is there."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tautulli_import.errors import SourceDamagedError
from tests.conftest import Cli
from tests.support.history.schema import Value
from tests.support.over_http import DAY, NOW, Home, Run, small_windows
from tests.support.tautulli import Asked, Reply, on, status, times
from tests.support.terminal import in_a_terminal


def undelivered(home: Home, run: Run) -> list[int]:
    """Return the rows that are listed and were not had, the count checked."""
    missing = [number for number in home.listed if number not in run.plays]
    assert run.reasons.get("not_delivered", 0) == len(missing)
    return missing


def spoil(home: Home, table: str, column: str, value: Value | bytes, *ids: int) -> None:
    """Put a value into a column of these rows."""
    with home.conn:
        sql = f"UPDATE {table} SET {column} = ? WHERE id = ?"  # noqa: S608
        home.conn.executemany(sql, [(value, one) for one in ids])


# What is left out, and what is not.


def test_a_film_without_a_length_is_left_out_and_reported(home: Home) -> None:
    home.films(30)
    poisoned = home.poison(100)
    run = home.run()
    assert undelivered(home, run) == [poisoned]
    (row,) = run.rejected
    assert row.reason == "not_delivered"
    assert row.id is None
    assert row.source == home.fake.url
    assert "number 1 of" in row.detail
    assert "sorted by duration" in row.detail


def test_while_it_is_searched_there_is_no_estimate_of_the_time(
    home: Home, tmp_path: Path, environment: dict[str, str]
) -> None:
    home.films(30)
    home.poison(100)
    env = {**environment, **home.fake.environment}
    args = ("api", "--to", "tracker", "--out", "tracker", "--no-enrich", "--all-users")
    code, shown = in_a_terminal(*args, cwd=tmp_path, environment=env)
    assert code == 0
    plain = re.sub(r"[\s━]+", " ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown))
    searched = re.findall(r"Searching bad rows \d+ requests \d:\d\d:\d\d (?=(\S+))", plain)
    assert set(searched) == {"Searching", "Fetching"}, plain


POISONS: list[tuple[str, str, Value | bytes]] = [
    ("session_history_metadata", "duration", 0),
    ("session_history_metadata", "duration", "long"),
    ("session_history", "media_type", "game"),
    ("session_history", "media_type", None),
    ("session_history_metadata", "marker_credits_first", "late"),
    ("session_history_metadata", "title", b"bytes"),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("which", [0, 7, 29])
@pytest.mark.parametrize(("table", "column", "value"), POISONS)
def test_a_row_that_spoils_its_page_is_left_out_alone(
    home: Home, table: str, column: str, value: Value | bytes, which: int
) -> None:
    ids = home.films(30)
    spoil(home, table, column, value, ids[which])
    with small_windows(12):
        assert undelivered(home, home.run()) == [ids[which]]


def test_of_a_day_with_many_plays_only_the_bad_ones_are_left_out(home: Home) -> None:
    bad = []
    for number in range(60):
        made = home.poison(30) if number % 20 == 11 else home.film(30)
        bad += [made] if number % 20 == 11 else []
    with small_windows(10):
        assert undelivered(home, home.run()) == bad


def test_healthy_rows_between_bad_ones_are_not_taken_for_bad(home: Home) -> None:
    """Sorted by length they stand together, and those of an unknown kind do not."""
    ids = home.films(40)
    bad = [ids[number] for number in (10, 11, 13, 16, 17, 21)]
    spoil(home, "session_history", "media_type", "game", *bad)
    assert undelivered(home, home.run()) == bad


def test_bad_rows_of_all_kinds_at_once(home: Home) -> None:
    ids = home.films(200)
    bad = {home.poison(4 + number * 3) for number in range(40)}
    for step, (table, column, value) in enumerate(POISONS):
        chosen = ids[step * 5 :: 53]
        spoil(home, table, column, value, *chosen)
        bad |= {*chosen}
    with small_windows(60):
        assert {*undelivered(home, home.run())} == bad


def test_a_row_in_no_window_can_be_a_bad_one(home: Home) -> None:
    home.films(30)
    home.film(title="Odd", started=None, stopped=NOW)
    poisoned = home.poison(started=None, stopped=NOW)
    run = home.run()
    assert undelivered(home, run) == [poisoned]
    again = home.run(now=NOW + DAY)
    assert again.ids == run.ids
    assert not again.read_again


@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", range(12))
def test_a_passing_failure_during_the_search_costs_no_row(home: Home, number: int) -> None:
    """A locked database fails like a bad row, and a moment later it does not."""
    home.films(40, first=40)
    bad = [home.poison(15), home.poison(20)]
    asked = count()

    def fault(one: Asked) -> Reply | None:
        if one.cmd == "get_history" and next(asked) == number:
            return status(500, b"<h1>500 Internal Server Error</h1>")(one)
        return None

    home.fake.faults.append(fault)
    assert undelivered(home, home.run()) == bad


# What it costs.


@pytest.mark.parametrize("bad", [1, 60, 300])
def test_hundreds_of_films_without_a_length_cost_tens_of_requests(home: Home, bad: int) -> None:
    home.films(600)
    for number in range(bad):
        home.poison(4 + number * 300 / bad)
    run = home.run()
    assert len(undelivered(home, run)) == bad
    assert len(run.plays) == 600
    assert len(run.history) <= 80


def test_a_single_bad_row_of_an_unknown_kind_costs_a_few_requests(home: Home) -> None:
    ids = home.films(600)
    spoil(home, "session_history", "media_type", "game", ids[300])
    run = home.run()
    assert undelivered(home, run) == [ids[300]]
    assert len(run.history) <= 30


def test_a_tautulli_that_fails_on_most_of_its_rows_is_in_trouble(home: Home) -> None:
    home.films(20)
    for number in range(600):
        home.poison(4 + number / 4)
    with pytest.raises(SourceDamagedError, match="fails on most of its rows") as caught:
        home.run()
    assert "tautulli-import db" in caught.value.hint
    assert len(home.fake.requests) < 100


# Later runs.


def test_bad_rows_do_not_make_the_second_run_read_everything_again(home: Home) -> None:
    home.films(60)
    for days in (0.5, 1, 10, 100, 300):
        home.poison(days)
    with small_windows(25):
        first = home.run()
        for later in (60, DAY, 5 * DAY):
            run = home.run(now=NOW + later)
            assert run.ids == first.ids
            assert run.reasons == first.reasons == {"not_delivered": 5}
            assert not run.read_again
            assert len(run.history) <= 16


def test_where_bad_rows_are_old_the_second_run_takes_three_requests(home: Home) -> None:
    home.films(60)
    home.poison(30)
    home.run()
    run = home.run(now=NOW + 60)
    assert len(run.asked) <= 3
    assert run.reasons == {"not_delivered": 1}


def test_a_bad_row_is_counted_once_when_windows_were_halved(home: Home) -> None:
    home.films(30)
    home.poison(1)
    home.fake.faults.append(times(1, on("get_history", status(504))))
    assert home.run().reasons == {"not_delivered": 1}
    run = home.run(now=NOW + 60)
    assert run.reasons == {"not_delivered": 1}
    assert not run.read_again


def test_a_bad_row_is_counted_once_when_a_play_appears_where_it_began(home: Home) -> None:
    home.films(30)
    home.poison(1)
    home.poison(8)
    home.run()
    home.film(10, stopped=NOW + 100)
    for later in (DAY, DAY + 60):
        run = home.run(now=NOW + later)
        assert len(run.ids) == 31
        assert run.reasons == {"not_delivered": 2}
        assert not run.read_again


def test_a_bad_row_that_was_mended_lately_is_read(home: Home) -> None:
    home.films(30)
    mended = home.poison(1)
    home.run()
    home.execute("UPDATE session_history_metadata SET duration = 7200000 WHERE id = ?", mended)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert not run.rejected


def test_a_bad_row_that_was_deleted_is_gone(home: Home) -> None:
    home.films(30)
    poisoned = home.poison(100)
    home.run()
    home.delete(poisoned)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert not run.rejected


# What a person is told.


def test_a_person_is_told_of_rows_that_were_left_out_and_how_to_have_them(
    home: Home, cli: Cli
) -> None:
    home.films(5)
    home.poison(1)
    env = home.fake.environment
    done = cli("api", "--to", "tracker", env=env)
    assert done.code == 0
    assert "Warning: Tautulli's API fails on 1 row" in done.err
    assert "--via database" in done.err
    assert cli("api", "--to", "tracker", "--strict", env=env).code == 9


def test_a_row_that_a_killed_run_noted_is_counted_once(home: Home) -> None:
    """The next run divides the days in another way, and meets the row in another window."""
    home.films(60)
    poisoned = home.poison(200)
    with small_windows(12):
        home.run()
    (path,) = home.state.glob("*.db")
    with closing(sqlite3.connect(path)) as conn, conn:  # as if killed before it noted how far it is
        (value,) = conn.execute("SELECT value FROM about WHERE name = 'progress'").fetchone()
        value = json.dumps(json.loads(value) | {"oldest": "2025-05-20", "complete": False})
        conn.execute("UPDATE about SET value = ? WHERE name = 'progress'", (value,))
    with small_windows(30):
        run = home.run(now=NOW + 60)
    assert undelivered(home, run) == [poisoned]
    assert not run.read_again
