"""Reading a whole history over HTTP: what is asked, in which windows, and that all of it comes."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path

import pytest

from tautulli_import.sources.http.crawl import Crawl, FetchedDays
from tautulli_import.sources.http.history_api import HistoryApi
from tests.support.history import add_play
from tests.support.over_http import DAY, NOW, Home, no_waiting, small_windows
from tests.support.products import crossed
from tests.support.tautulli import Asked

# What is asked for.


def test_plays_are_asked_for_oldest_first_ungrouped_and_without_what_is_being_played(
    home: Home,
) -> None:
    home.films(12)
    home.fake.activity.append({})
    with small_windows(5):
        run = home.run()
    assert run.ids == home.listed
    for asked in run.history:
        assert asked.method == "POST"
        assert asked.params["grouping"] == "0"
        assert asked.params["include_activity"] == "0"
        assert asked.params["order_column"] == "date"
        assert asked.params["order_dir"] == "asc"


def test_of_the_settings_only_those_of_monitoring_are_asked_for(home: Home) -> None:
    home.films(3)
    home.run()
    assert [asked.params["key"] for asked in home.fake.asked("get_settings")] == ["Monitoring"]


def test_one_question_is_asked_at_a_time_over_one_connection(home: Home) -> None:
    home.films(60)
    with small_windows(10):
        home.run()
    assert home.fake.most_at_once == 1
    assert home.fake.connections == 1


def test_a_small_history_takes_three_requests(home: Home) -> None:
    home.films(100)
    assert len(home.run().asked) == 3


def test_an_empty_history_is_an_empty_history(home: Home) -> None:
    run = home.run()
    assert (run.ids, run.rejected, run.total) == ([], [], 0)


@pytest.mark.parametrize("evenly", [True, False])
@pytest.mark.parametrize("plays", [60, 400, 1200])
def test_a_crawl_takes_few_requests(home: Home, plays: int, *, evenly: bool) -> None:
    if evenly:
        home.films(plays, first=3000, last=1)
    else:  # most of them lately, and years with hardly any
        dice = random.Random(plays)  # noqa: S311 - has to be repeatable
        for _ in range(plays):
            home.film(min(3000, dice.expovariate(1 / 200)) + (2000 if dice.random() < 0.1 else 0))
    with small_windows(500):
        run = home.run()
    assert run.ids == home.listed
    # A window takes 25,000 rows, here 500: so what is 10,000 there is 200 here.
    assert len(run.history) <= 4 + plays / 200


def test_windows_follow_each_other_without_a_gap_and_without_an_overlap(home: Home) -> None:
    home.films(300)
    with small_windows(200):
        run = home.run()
    assert len(run.windows) >= 3
    assert run.windows[0][1] == run.windows[-1][0] == ""
    for (after, _), (_, before) in pairwise(run.windows):
        assert date.fromisoformat(before) == date.fromisoformat(after) - timedelta(days=1)
    assert sum(asked.rows for asked in run.history) == 300


def test_memory_is_bounded_by_a_window(home: Home) -> None:
    home.films(500)
    stretches: list[FetchedDays] = []
    with closing(home.client()) as tautulli, small_windows(50):
        listing = HistoryApi(tautulli)
        crawl = Crawl(listing, stretches.append, today=date(2025, 6, 15), most=50)
        rows = crawl.newest(date(2025, 5, 1))

        def remaining() -> int:
            return (listing.total or 0) - len({row[0] for one in stretches for row in one.rows})

        crawl.backwards(date(2025, 4, 30), remaining, lambda _: None, per_day=rows / 45)
    assert {row[0] for stretch in stretches for row in stretch.rows} == {*home.listed}
    assert max(len(stretch.rows) for stretch in stretches) <= 50
    assert len(stretches) >= 10


def test_a_day_with_more_rows_than_a_window_takes(home: Home) -> None:
    home.films(20)
    for minute in range(75):
        home.film(30, started=NOW - 30 * DAY + minute * 60)
    for _ in range(30):  # all in one second
        home.film(200)
    with small_windows(10):
        run = home.run()
    assert run.ids == home.listed
    assert max(asked.rows for asked in run.history) <= 10


# Days are the server's.

#: Changes of the clock, and with them what can be odd about days: half an hour, at midnight, a
#: whole day that never was, and zones that are far from UTC.
CHANGES = [
    ("UTC", "2025-03-30"),
    ("Europe/Berlin", "2025-03-30"),
    ("America/New_York", "2024-11-03"),
    ("Australia/Lord_Howe", "2025-04-06"),
    ("Asia/Kolkata", "2025-04-06"),
    ("America/Asuncion", "2024-10-06"),
    ("Pacific/Kiritimati", "2025-01-01"),
    ("Pacific/Apia", "2011-12-30"),
    ("Etc/GMT+12", "2025-01-01"),
]


@pytest.mark.parametrize(("change_of", "size"), crossed(CHANGES, [8, 1000]), ids=str)
def test_every_row_is_read_across_a_change_of_the_clock(
    tmp_path: Path, change_of: tuple[str, str], size: int
) -> None:
    zone, day = change_of
    change = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    with closing(Home(tmp_path, zone=zone)) as home, no_waiting(), small_windows(size):
        for hours in range(-48, 49, 2):
            home.film(started=change + hours * 3600 - 1 + hours % 4)
        for now in (change + 50 * 3600, change + 1000 * DAY):
            run = home.run(now=now, state=tmp_path / f"state-{now}")
            assert run.ids == home.listed
            assert not run.rejected
            assert not run.notices


def test_plays_that_begin_tomorrow_are_read(home: Home) -> None:
    """Somebody's clock was wrong."""
    home.films(30)
    home.film(-400)
    home.film(-2)
    with small_windows(10):
        assert home.run().ids == home.listed


def test_plays_from_before_there_was_tautulli_are_read(home: Home) -> None:
    home.films(30)
    for started in (-5, 0, 1, 600_000_000, 631_152_000, 1_000_000_000):
        home.film(started=started, stopped=NOW)
    with small_windows(10):
        assert home.run().ids == home.listed


# Rows in no window.

NO_DAY = [None, "", "yesterday", NOW * 1000, 253_402_300_800, 10**15]


@pytest.mark.parametrize("started", NO_DAY)
def test_a_row_in_no_window_is_found(home: Home, started: str | int | None) -> None:
    home.films(30)
    odd = home.film(title="Odd", started=started, stopped=NOW - DAY)
    run = home.run()
    assert run.ids == home.listed
    assert run.plays[odd].title == "Odd"
    again = home.run(now=NOW + DAY)
    assert again.ids == home.listed
    assert len(again.asked) <= 3


def test_rows_in_no_window_are_found_at_both_ends(home: Home) -> None:
    home.films(30)
    for started in [*NO_DAY, *NO_DAY]:
        home.film(title="Odd", started=started, stopped=NOW - DAY)
    assert home.run().ids == home.listed


def test_a_row_of_the_year_9999_is_found(home: Home) -> None:
    home.films(30)
    home.film(started=253_402_300_799)
    home.film(started=253_400_000_000)
    with small_windows(10):
        assert home.run().ids == home.listed


@pytest.mark.parametrize("films", [60, 70, 100])
def test_many_rows_in_no_window_are_found(home: Home, films: int) -> None:
    """It looks for them in days that go back, further with every empty window."""
    home.films(films, first=30, last=1)
    for number in range(60):
        home.film(title="Odd", started=(NOW - number * DAY) * 1000, stopped=NOW - number * DAY)
    with small_windows(20):
        assert home.run().ids == home.listed


def test_a_row_in_no_window_beside_one_that_cannot_be_delivered(home: Home) -> None:
    home.films(30)
    home.film(title="Odd", started=None, stopped=NOW - 5 * DAY)
    poisoned = home.poison(1)
    run = home.run()
    assert run.ids == [number for number in home.listed if number != poisoned]
    assert run.reasons == {"not_delivered": 1}


# Rows that are never listed.


def test_a_row_without_metadata_or_media_info_is_counted(home: Home) -> None:
    ids = home.films(10)
    home.execute("DELETE FROM session_history_metadata WHERE id = ?", ids[2])
    home.execute("DELETE FROM session_history_media_info WHERE id = ?", ids[5])
    run = home.run()
    assert run.ids == home.listed
    assert run.reasons == {"no_metadata": 2}
    assert run.total == 10
    assert [row.detail for row in run.rejected] == ["1 of 2 not listed", "2 of 2 not listed"]


@pytest.mark.parametrize("films", [60, 70, 100])
def test_many_rows_that_are_never_listed_are_counted(home: Home, films: int) -> None:
    ids = home.films(films, first=30, last=1)
    for number in range(60):
        home.film(10 + number, title="Lost")
    home.execute(
        "DELETE FROM session_history_media_info WHERE id IN "
        "(SELECT id FROM session_history_metadata WHERE title = 'Lost')"
    )
    with small_windows(20):
        run = home.run()
    assert run.ids == ids
    assert run.reasons == {"no_metadata": 60}


# The history changes meanwhile.


def play_before(home: Home, *numbers: int) -> None:
    """Log a play right before these questions for the history, counted from 0."""
    asked = count()

    def log(_: Asked) -> None:
        if next(asked) in numbers:
            with closing(sqlite3.connect(home.path)) as conn:
                add_play(conn, title="Late", started=NOW - 3600, stopped=NOW)

    home.fake.before_history = log


def change_before(home: Home, number: int, sql: str) -> None:
    """Change the database right before this question for the history."""
    asked = count()

    def change(_: Asked) -> None:
        if next(asked) == number:
            with closing(sqlite3.connect(home.path)) as conn, conn:
                conn.executescript(sql)

    home.fake.before_history = change


@pytest.mark.parametrize("at", range(7))
def test_a_play_logged_during_the_crawl_is_there(home: Home, at: int) -> None:
    ids = home.films(60)
    play_before(home, at)
    with small_windows(20):
        run = home.run()
    assert run.ids == (home.listed if len(run.history) > at else ids)
    assert home.run(now=NOW + 60).ids == home.listed


def test_plays_logged_all_the_time_do_not_keep_it_from_ending(home: Home) -> None:
    ids = home.films(100)
    play_before(home, *range(0, 1000, 3))
    with small_windows(20):
        assert {*ids} <= {*home.run().ids}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("victim", [1, 30, 60])
@pytest.mark.parametrize("at", range(4))
def test_a_play_deleted_during_the_crawl_is_gone(home: Home, at: int, victim: int) -> None:
    home.films(60)
    tables = ("session_history", "session_history_metadata", "session_history_media_info")
    change_before(
        home,
        at,
        "".join(f"DELETE FROM {one} WHERE id = {victim};" for one in tables),  # noqa: S608
    )
    with small_windows(20):
        run = home.run()
    assert run.ids == home.listed
    assert victim not in run.ids


def test_a_play_that_is_continued_during_the_crawl_is_there_as_it_is_in_the_end(
    home: Home,
) -> None:
    home.films(60)
    going = home.film(0.1)
    stopped = NOW + 500
    sql = f"UPDATE session_history SET stopped = {stopped} WHERE id = {going};"  # noqa: S608
    change_before(home, 2, sql)
    with small_windows(20):
        home.run()
        run = home.run(now=NOW + 3600)
    assert run.ids == home.listed
    assert run.plays[going].stopped == stopped
