"""Windows that time out, break off, lie; crawls that are cut short: nothing is lost silently."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tautulli_import.errors import SourceUnreachableError, TautulliImportError, UnauthorisedError
from tests.support.over_http import NOW, Home, small_windows
from tests.support.tautulli import (
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

#: In how many requests a crawl of a few plays has to have given up.
MOST = 80


def history_only(fault: Fault, *, at_most: int = 1000) -> Fault:
    """Return a fault of the history. After ``at_most`` questions the key is refused."""
    asked = count()

    def limited(one: Asked) -> Reply | None:
        if one.cmd != "get_history":
            return None
        return fault(one) if next(asked) < at_most else Reply(status=401, body=b"Enough")

    return limited


def at(number: int, fault: Fault) -> Fault:
    """Return a fault of one question for the history, counted from 0."""
    asked = count()
    return lambda one: fault(one) if one.cmd == "get_history" and next(asked) == number else None


def large(home: Home, most: int, reply: Reply) -> Fault:
    """Reply like this to every question for the history whose answer has more rows than that."""

    def fault(asked: Asked) -> Reply | None:
        real = home.fake.answer_to(replace(asked), home.fake.key, Reply())
        return reply if real.rows > most else None

    return history_only(fault)


# What fails is asked for in smaller pieces.

FAILURES = {
    "gateway-time-out": Reply(status=504, body=b""),
    "internal-error": Reply(status=500, body=b"<h1>500 Internal Server Error</h1>"),
    "too-large": Reply(status=413, body=b""),
    "reset": Reply(reset=True),
    "closed": Reply(close=True),
    "reset-in-the-middle": Reply(reset=True, truncate=300),
    "truncated": Reply(truncate=300),
    "cut-off-json": Reply(body=b'{"response": {"result": "success", "data": {'),
    "unpackable": Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
}
every_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)


@pytest.mark.sampled(7)
@pytest.mark.parametrize("most", [1, 7])
@every_failure
def test_what_fails_for_being_large_is_read_in_small_pieces(
    home: Home, failure: Reply, most: int
) -> None:
    home.films(12)
    for _ in range(10):  # one day, which cannot be halved by days
        home.film(40)
    home.fake.faults.append(large(home, most, failure))
    run = home.run()
    assert run.ids == home.listed
    assert not run.rejected


def test_a_window_that_times_out_is_halved(home: Home) -> None:
    home.films(40)
    home.fake.faults.append(times(3, on("get_history", hang(600))))
    assert home.run(timeout=1).ids == home.listed


def test_windows_shrink_and_grow_again(home: Home) -> None:
    home.films(900, first=2000, last=1)
    asked = count()

    def slow_for_a_while(_: Asked) -> Reply | None:
        return Reply(status=504, body=b"") if 2 <= next(asked) <= 5 else None

    home.fake.faults.append(history_only(slow_for_a_while))
    with small_windows(100):
        run = home.run()
    assert run.ids == home.listed
    rows = [asked.rows for asked in run.history]
    assert max(rows[6:9]) < 50
    assert max(rows[9:]) > 60


@every_failure
def test_a_server_that_never_answers_is_given_up(home: Home, failure: Reply) -> None:
    home.films(20)
    home.fake.faults.append(history_only(lambda _: failure, at_most=MOST))
    with pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.asked("get_history")) < MOST


def test_a_row_that_alone_gets_no_answer_fails_the_run(home: Home) -> None:
    """It may be the network's fault, and then the row is not to be left out."""
    home.films(20)

    def fault(asked: Asked) -> Reply | None:
        real = home.fake.answer_to(replace(asked), home.fake.key, Reply())
        return Reply(status=504, body=b"") if b'"Film 7"' in real.body else None

    home.fake.faults.append(history_only(fault))
    with pytest.raises(SourceUnreachableError):
        home.run()
    home.fake.faults.clear()
    assert home.run().ids == home.listed


# Answers that look like success and are none.

LIES = {
    "empty": empty_success,
    "empty-with-total": lambda: empty_success(total=True),
    "fewer-rows": fewer_rows,
    "shrinking-total": shrinking_total,
}
every_lie = pytest.mark.parametrize("lie", LIES)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("number", range(4))
@every_lie
def test_a_passing_lie_does_no_harm(home: Home, lie: str, number: int) -> None:
    home.films(40)
    home.fake.faults.append(at(number, LIES[lie]()))
    with small_windows(15):
        run = home.run()
    assert run.ids == home.listed
    assert not run.rejected


@every_lie
def test_a_lasting_lie_is_an_error(home: Home, lie: str) -> None:
    home.films(40)
    home.fake.faults.append(history_only(LIES[lie](), at_most=3 * MOST))
    with pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.asked("get_history")) < 3 * MOST


def test_a_server_that_ignores_where_to_start_is_an_error(home: Home) -> None:
    for _ in range(30):
        home.film(30)
    home.fake.faults.append(history_only(repeated_page(), at_most=MOST))
    with small_windows(10), pytest.raises(TautulliImportError):
        home.run()
    assert len(home.fake.asked("get_history")) < MOST


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_now_and_then_the_plays_are_all_there(home: Home, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - has to be repeatable
    home.films(80)
    home.film(title="Odd", started="", stopped=NOW)
    home.execute("DELETE FROM session_history_metadata WHERE id = 70")
    faults = [
        *(status(502), status(504), reset(), close(), truncated(200), broken_json()),
        *(empty_success(), fewer_rows(), html(200)),
    ]
    home.fake.faults.append(
        history_only(lambda one: dice.choice(faults)(one) if dice.random() < 0.2 else None)
    )
    with small_windows(20):
        for hour in range(4):
            if hour == 3:
                home.fake.faults.clear()
            try:
                run = home.run(now=NOW + hour * 3600)
            except TautulliImportError:
                continue
            assert run.ids == home.listed
            assert run.reasons == {"no_metadata": 1}


# A crawl that is cut short goes on.


@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", range(8))
def test_a_crawl_that_fails_anywhere_goes_on_where_it_was(home: Home, number: int) -> None:
    home.films(100)
    home.poison(150)
    home.poison(1)
    deliverable = home.listed[:100]
    with small_windows(25):
        whole = home.run(state=home.path.with_name("other"))
        home.fake.faults.append(at(number, status(401)))
        before = len(home.fake.requests)
        with pytest.raises(UnauthorisedError):
            home.run()
        first = [one for one in home.fake.requests[before:] if one.cmd == "get_history"]
        home.fake.faults.clear()
        run = home.run(now=NOW + 60)
    assert run.ids == deliverable
    assert run.reasons == whole.reasons == {"not_delivered": 2}
    assert not run.read_again
    # All but the window that was under way, and the newest days, which are always asked for.
    assert len(run.history) <= len(whole.history) - len(first) + 8
    delivered = [one.params["after"] for one in first if one.rows > 0 and "after" in one.params]
    finished = set(delivered[:-1]) - {first[0].params["after"]}
    assert not finished & {after for after, _ in run.windows}


def test_two_servers_are_remembered_apart(home: Home, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with closing(Home(tmp_path / "other")) as other:
        home.films(10)
        for number in range(7):
            other.film(20 + number, title="Another", user_id=2)
        for hour in range(3):
            assert home.run(now=NOW + hour, state=tmp_path / "state").ids == home.listed
            run = other.run(now=NOW + hour, state=tmp_path / "state")
            assert run.ids == other.listed
            assert {play.title for play in run.plays.values()} == {"Another"}
            assert not run.notices
    assert len([*(tmp_path / "state").glob("*.db")]) == 2
