"""Reading a whole history over HTTP: what is asked, in which pieces, and that nothing is lost."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tautulli_import.errors import SourceUnreachableError, TautulliImportError
from tautulli_import.sources.crawl import Crawl, Stretch
from tautulli_import.sources.listing import Listing
from tests.history import add_play
from tests.over_http import DAY, NOW, Home, no_waiting, small_windows
from tests.tautulli import (
    Asked,
    Fault,
    Reply,
    broken_json,
    close,
    empty_success,
    fewer_rows,
    hang,
    html,
    on,
    repeated_page,
    reset,
    shrinking_total,
    status,
    times,
    truncated,
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh, empty history and the Tautulli that has it."""
    with closing(Home(tmp_path)) as made, no_waiting():
        yield made


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


def test_one_question_is_asked_at_a_time(home: Home) -> None:
    home.films(60)
    with small_windows(10):
        home.run()
    assert home.fake.most_at_once == 1
    assert home.fake.connections == 1


@pytest.mark.parametrize("evenly", [True, False])
@pytest.mark.parametrize("plays", [60, 500, 2000])
def test_a_crawl_takes_few_requests(home: Home, plays: int, *, evenly: bool) -> None:
    if evenly:
        home.films(plays, first=3000, last=1)
    else:  # most of them lately, and years without any
        dice = random.Random(plays)
        for _ in range(plays):
            home.film(min(3000, dice.expovariate(1 / 200)) + (2000 if dice.random() < 0.1 else 0))
    with small_windows(1000):
        run = home.run()
    assert run.ids == home.listed
    # A window takes 25,000 rows, here 1000: so 10,000 are 400.
    assert len(run.history) <= 4 + plays / 400


def test_a_small_history_takes_three_requests(home: Home) -> None:
    home.films(100)
    assert len(home.run().asked) == 3


def test_an_empty_history_is_an_empty_history(home: Home) -> None:
    run = home.run()
    assert (run.ids, run.rejected, run.total) == ([], [], 0)


def test_windows_follow_each_other_without_a_gap_and_without_overlap(home: Home) -> None:
    home.films(300)
    with small_windows(1000):  # no window is cut short, for all would fit into one
        with small_windows(100):
            run = home.run()
    whole = [window for window, asked in zip(run.windows, run.history, strict=True) if asked.rows]
    for (after, _), (_, before) in zip(whole, whole[1:], strict=False):
        assert date.fromisoformat(before) == date.fromisoformat(after) - timedelta(days=1)
    assert whole[0][1] == whole[-1][0] == ""
    assert sum(asked.rows for asked in run.history) == 300


def test_memory_is_bounded_by_a_window(home: Home) -> None:
    home.films(500)
    stretches: list[Stretch] = []
    with closing(home.client()) as tautulli, small_windows(50):
        listing = Listing(tautulli)
        crawl = Crawl(listing, stretches.append, today=date(2025, 6, 15), most=50)
        rows = crawl.newest(date(2025, 5, 1))

        def remaining() -> int:
            assert listing.total is not None
            return listing.total - sum(len(stretch.rows) for stretch in stretches)

        crawl.backwards(date(2025, 4, 30), remaining, lambda _: None, per_day=rows / 45)
    assert sorted(row[0] for stretch in stretches for row in stretch.rows) == home.listed
    assert max(len(stretch.rows) for stretch in stretches) <= 50
    assert len(stretches) >= 10


# Days are the server's.

#: A change of the clock, and with it what can be wrong with days: half an hour, at midnight, a
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


@pytest.mark.parametrize("size", [8, 20, 1000])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_every_row_is_read_once_across_a_change_of_the_clock(
    tmp_path: Path, zone: str, day: str, size: int
) -> None:
    change = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    with closing(Home(tmp_path, zone=zone)) as home, no_waiting(), small_windows(size):
        for hours in range(-72, 73, 2):
            home.film(started=change + hours * 3600 - 1 + hours % 4)
        for now in (change + 74 * 3600, change + 60 * DAY, change + 4000 * DAY):
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


def test_rows_without_a_day_at_both_ends_are_found(home: Home) -> None:
    home.films(30)
    for started in [*NO_DAY, *NO_DAY]:
        home.film(title="Odd", started=started, stopped=NOW - DAY)
    assert home.run().ids == home.listed


def test_a_row_without_a_start_and_one_that_cannot_be_delivered(home: Home) -> None:
    home.films(30)
    home.film(title="Odd", started=None, stopped=NOW - 5 * DAY)
    poisoned = home.poison(1)
    run = home.run()
    assert run.ids == [number for number in home.listed if number != poisoned]
    assert run.reasons == {"not_delivered": 1}


def test_many_rows_in_no_window_are_found(home: Home) -> None:
    home.films(100)
    for number in range(60):
        home.film(title="Odd", started=(NOW - number * DAY) * 1000, stopped=NOW - number * DAY)
    with small_windows(20):
        assert home.run().ids == home.listed


def test_many_rows_that_are_never_listed_are_counted(home: Home) -> None:
    ids = home.films(100)
    for number in range(60):
        home.film(10 + number, title="Lost")
    home.execute("DELETE FROM session_history_metadata WHERE title = 'Lost'")
    with small_windows(20):
        run = home.run()
    assert run.ids == ids
    assert run.reasons == {"no_metadata": 60}


# Answers that fail are asked for in smaller pieces.


def large(home: Home, most: int, reply: Reply) -> Fault:
    """Reply like this to every question whose true answer has more rows than that."""

    def fault(asked: Asked) -> Reply | None:
        if asked.cmd != "get_history":
            return None
        home.fake.before_history = None
        found = home.fake.answer_to(_copy(asked), home.fake.key, Reply())
        return reply if found.rows > most else None

    return fault


def _copy(asked: Asked) -> Asked:
    """The question, to be asked without a trace."""
    return Asked(
        asked.method, asked.cmd, asked.params, asked.path, asked.body, asked.headers, asked.key_in
    )


FAILURES = {
    "gateway-time-out": Reply(status=504, body=b""),
    "internal-error": Reply(status=500, body=b"<h1>500 Internal Server Error</h1>"),
    "bad-gateway": Reply(status=502, body=b""),
    "too-large": Reply(status=413, body=b""),
    "reset": Reply(reset=True),
    "closed": Reply(close=True),
    "reset-in-the-middle": Reply(reset=True, truncate=300),
    "truncated": Reply(truncate=300),
    "cut-off-json": Reply(body=b'{"response": {"result": "success", "data": {'),
    "unpackable": Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("most", [1, 7])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_fails_for_being_large_is_read_in_small_pieces(
    home: Home, failure: Reply, most: int
) -> None:
    home.films(20)
    for _ in range(12):  # one day, which cannot be halved by days
        home.film(40)
    home.fake.faults.append(large(home, most, failure))
    run = home.run()
    assert run.ids == home.listed
    assert not run.rejected


def test_a_window_that_times_out_is_halved(home: Home) -> None:
    home.films(40)
    home.fake.faults.append(times(3, on("get_history", hang(30))))
    assert home.run(timeout=0.3).ids == home.listed


def test_windows_shrink_and_grow_again(home: Home) -> None:
    home.films(2000, first=4000, last=1)
    crawling = [0]

    def slow_for_a_while(asked: Asked) -> Reply | None:
        crawling[0] += asked.cmd == "get_history"
        return Reply(status=504, body=b"") if 3 <= crawling[0] <= 6 else None

    home.fake.faults.append(slow_for_a_while)
    with small_windows(100):
        run = home.run()
    assert run.ids == home.listed
    rows = [asked.rows for asked in run.history]
    assert max(rows[6:9]) < 50
    assert max(rows[9:]) > 60


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_server_that_never_answers_is_given_up(home: Home, failure: Reply) -> None:
    home.films(20)

    def fault(asked: Asked) -> Reply | None:
        return failure if asked.cmd == "get_history" else None

    home.fake.faults.append(fault)
    with pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.requests) < 60


def test_a_row_that_alone_gets_no_answer_fails_the_run(home: Home) -> None:
    """It may be the network's fault, and then the row is not to be left out."""
    ids = home.films(20)
    title = "Film 7"

    def fault(asked: Asked) -> Reply | None:
        if asked.cmd != "get_history":
            return None
        body = home.fake.answer_to(_copy(asked), home.fake.key, Reply()).body
        return Reply(status=504, body=b"") if f'"{title}"'.encode() in body else None

    home.fake.faults.append(fault)
    with pytest.raises(SourceUnreachableError):
        home.run()
    home.fake.faults.clear()
    assert home.run().ids == ids


# Answers that look like success and are none.


@pytest.mark.parametrize(
    "lie",
    [empty_success(), empty_success(total=True), fewer_rows(), shrinking_total(), repeated_page()],
    ids=["empty", "empty-with-total", "fewer", "shrinking", "repeated"],
)
@pytest.mark.parametrize("how_often", [1, 2])
def test_a_passing_lie_does_no_harm(home: Home, lie: Fault, how_often: int) -> None:
    home.films(40)
    home.fake.faults.append(times(how_often, on("get_history", lie)))
    with small_windows(15):
        run = home.run()
    assert run.ids == home.listed
    assert not run.rejected


@pytest.mark.parametrize(
    "lie",
    [empty_success(), empty_success(total=True), fewer_rows(), shrinking_total()],
    ids=["empty", "empty-with-total", "fewer", "shrinking"],
)
def test_a_lasting_lie_is_an_error(home: Home, lie: Fault) -> None:
    home.films(40)
    home.fake.faults.append(on("get_history", lie))
    with pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.requests) < 100


def test_a_server_that_ignores_where_to_start_is_an_error(home: Home) -> None:
    for _ in range(30):
        home.film(30)
    home.fake.faults.append(on("get_history", repeated_page()))
    with small_windows(10), pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.requests) < 100


@pytest.mark.parametrize("seed", range(12))
def test_whatever_fails_now_and_then_nothing_is_lost_silently(home: Home, seed: int) -> None:
    dice = random.Random(seed)
    home.films(80)
    home.film(title="Odd", started="", stopped=NOW)
    home.execute("DELETE FROM session_history_metadata WHERE id = 70")
    poisoned = {home.poison(100), home.poison(2)}
    deliverable = [number for number in home.listed if number not in poisoned]
    faults = [
        *(status(500), status(502), status(504), reset(), close(), truncated(200), broken_json()),
        *(empty_success(), fewer_rows(), repeated_page(), shrinking_total(), html(200)),
    ]

    def now_and_then(asked: Asked) -> Reply | None:
        if asked.cmd == "get_history" and dice.random() < 0.15:
            return dice.choice(faults)(asked)
        return None

    home.fake.faults.append(now_and_then)
    with small_windows(20):
        for hour in range(4):
            if hour == 3:
                home.fake.faults.clear()
            try:
                run = home.run(now=NOW + hour * 3600)
            except TautulliImportError:
                continue
            assert run.ids == deliverable
            assert run.reasons == {"not_delivered": 2, "no_metadata": 1}


# The history changes meanwhile.


def meanwhile(home: Home, when: dict[int, str]) -> None:
    """Change the database right before the so-many-th question for the history."""
    asked = iter(range(10_000))

    def change(_: Asked) -> None:
        if sql := when.get(next(asked)):
            with closing(sqlite3.connect(home.path)) as conn, conn:
                conn.executescript(sql)

    home.fake.before_history = change


DELETED = "".join(
    f"DELETE FROM session_history{table} WHERE id = {{id}};"
    for table in ("", "_metadata", "_media_info")
)


@pytest.mark.parametrize("at", range(7))
def test_a_play_logged_during_the_crawl_is_there(home: Home, at: int) -> None:
    home.films(60)
    asked = iter(range(10_000))

    def log(_: Asked) -> None:
        if next(asked) == at:
            with closing(sqlite3.connect(home.path)) as conn:
                add_play(conn, title="Late", started=NOW - 3600, stopped=NOW)

    home.fake.before_history = log
    with small_windows(20):
        run = home.run()
    assert set(range(1, 61)) <= set(run.ids)
    if len(run.history) > at + 1:  # else it came after the last word
        assert run.ids == home.listed
    assert home.run(now=NOW + 60).ids == home.listed


@pytest.mark.parametrize("victim", [1, 30, 60])
@pytest.mark.parametrize("at", range(4))
def test_a_play_deleted_during_the_crawl_is_gone(home: Home, at: int, victim: int) -> None:
    home.films(60)
    meanwhile(home, {at: DELETED.format(id=victim)})
    with small_windows(20):
        run = home.run()
    assert run.ids == home.listed
    assert victim not in run.ids


def test_a_play_that_is_continued_during_the_crawl_is_there_as_it_is_in_the_end(
    home: Home,
) -> None:
    home.films(60)
    going = home.film(0.1, view_offset=60_000)
    late = f"UPDATE session_history SET stopped = {NOW + 500} WHERE id = {going}"
    meanwhile(home, {2: late})
    with small_windows(20):
        home.run()
        assert home.run(now=NOW + 3600).plays[going].stopped == NOW + 500


def test_a_play_every_few_questions_does_not_keep_it_from_ending(home: Home) -> None:
    home.films(100)
    asked = iter(range(10_000))

    def log(_: Asked) -> None:
        if next(asked) % 3 == 0:
            with closing(sqlite3.connect(home.path)) as conn:
                add_play(conn, title="Late", started=NOW - 3600, stopped=NOW)

    home.fake.before_history = log
    with small_windows(20):
        run = home.run()
    assert set(range(1, 101)) <= set(run.ids)
