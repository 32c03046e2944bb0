"""`--library` over HTTP, where no row tells which library it is from."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.conftest import Cli
from tests.support.history import add_library
from tests.support.over_http import DAY, NOW, Home, Run, small_windows

FILMS, SHOWS, KIDS, GONE = 1, 2, 3, 4


@pytest.fixture
def home(home: Home) -> Home:
    """Forty films, every fourth of them from the same one of four libraries, one deleted."""
    add_library(home.conn, KIDS, "Kids", "movie")
    add_library(home.conn, GONE, "Gone", "movie", deleted=1)
    home.films(40)
    home.execute("UPDATE session_history SET section_id = 1 + id % 4")
    return home


@pytest.fixture
def env(home: Home) -> Mapping[str, str]:
    """Where the Tautulli is, and its key."""
    return home.fake.environment


def of(home: Home, *sections: int) -> list[int]:
    """Return the ids of the plays that are from these libraries."""
    marks = ", ".join("?" * len(sections))
    sql = f"SELECT id FROM session_history WHERE section_id IN ({marks}) ORDER BY id"  # noqa: S608
    return [number for (number,) in home.conn.execute(sql, sections)]


def told(run: Run, *sections: int) -> list[int]:
    """Return the ids of the plays that are known to be from these libraries."""
    return [play.id for play in run.plays.values() if play.section_id in sections]


def titles(out: str) -> set[str]:
    """Return the titles of a dry run."""
    return {json.loads(line)["title"] for line in out.splitlines()}


@pytest.mark.parametrize(
    ("wanted", "sections"),
    [
        (["Films"], [FILMS]),
        (["kids"], [KIDS]),
        (["2"], [SHOWS]),
        (["Films", "3"], [FILMS, KIDS]),
        (["4"], [GONE]),
    ],
)
def test_a_library_is_chosen_by_name_or_number(
    home: Home, env: Mapping[str, str], cli: Cli, wanted: list[str], sections: list[int]
) -> None:
    options = [part for name in wanted for part in ("--library", name)]
    done = cli("api", "--dry-run", "--no-enrich", *options, env=env)
    assert done.code == 0, done.err
    assert titles(done.out) == {f"Film {number - 1}" for number in of(home, *sections)}


def test_a_library_that_nobody_knows_is_an_error(
    home: Home, env: Mapping[str, str], cli: Cli
) -> None:
    for name in ("Cartoons", "77"):
        done = cli("api", "--dry-run", "--library", name, env=env)
        assert done.code == 5
        assert f"There is no library called '{name}'" in done.err
    assert home.listed


def test_only_rows_of_the_library_are_asked_for_once_more(home: Home) -> None:
    run = home.run(sections=frozenset({KIDS}))
    assert told(run, KIDS) == of(home, KIDS)
    asked = [one for one in run.history if "section_id" in one.params]
    assert {one.params["section_id"] for one in asked} == {str(KIDS)}
    assert sum(one.rows for one in asked) == 10
    assert len(asked) == 1


def test_what_is_known_of_a_library_is_remembered(home: Home) -> None:
    sections = frozenset({KIDS, SHOWS})
    home.run(sections=sections)
    run = home.run(now=NOW + DAY, sections=sections)
    assert told(run, KIDS, SHOWS) == of(home, KIDS, SHOWS)
    assert len(run.asked) <= 3
    new = home.film(-1.5, section_id=KIDS)
    run = home.run(now=NOW + 2 * DAY, sections=sections)
    assert told(run, KIDS, SHOWS) == of(home, KIDS, SHOWS)
    assert new in told(run, KIDS)
    assert len(run.asked) <= 5


def test_a_library_asked_for_later_is_found_out_then(home: Home) -> None:
    home.run()
    home.film(-0.5, section_id=GONE)
    assert told(home.run(now=NOW + DAY, sections=frozenset({GONE})), GONE) == of(home, GONE)


def test_it_is_found_out_again_after_everything_was_read_again(home: Home) -> None:
    sections = frozenset({KIDS})
    home.run(sections=sections)
    home.execute("UPDATE session_history SET section_id = 3 WHERE id = 2")
    run = home.run(now=NOW + 31 * DAY, sections=sections)
    assert run.read_again
    assert told(run, KIDS) == of(home, KIDS)


@pytest.mark.parametrize("later", [DAY, 31 * DAY])
def test_a_play_that_was_paused_for_long_is_found(home: Home, later: int) -> None:
    sections = frozenset({KIDS})
    home.run(sections=sections)
    home.film(30, section_id=KIDS, stopped=NOW + 60)
    run = home.run(now=NOW + later, sections=sections)
    assert told(run, KIDS) == of(home, KIDS)


@pytest.mark.parametrize("started", [None, "", NOW * 1000, 10**15])
def test_a_play_in_no_window_is_from_its_library(home: Home, started: str | int | None) -> None:
    home.film(title="Odd", started=started, stopped=NOW - 60, section_id=KIDS)
    run = home.run(sections=frozenset({KIDS}))
    assert told(run, KIDS) == of(home, KIDS)


def test_rows_that_cannot_be_delivered_do_not_matter(home: Home) -> None:
    bad = [home.poison(days, section_id=KIDS) for days in (1, 20, 30)]
    run = home.run(sections=frozenset({KIDS}))
    assert told(run, KIDS) == [number for number in of(home, KIDS) if number not in bad]
    assert run.reasons == {"not_delivered": 3}


def test_a_large_library_is_read_in_windows(home: Home) -> None:
    with small_windows(7):
        run = home.run(sections=frozenset({FILMS, SHOWS, KIDS, GONE}))
    for section in (FILMS, SHOWS, KIDS, GONE):
        assert told(run, section) == of(home, section)
    assert max(asked.rows for asked in run.history) <= 7


def test_an_old_server_is_asked_by_position(home: Home) -> None:
    home.fake.features.remove("before_after")
    for hour in range(2):
        run = home.run(now=NOW + hour * 3600, sections=frozenset({KIDS}))
        assert told(run, KIDS) == of(home, KIDS)
