"""`db` night after night: what comes out is what one import of it all would make."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from tests.support.nightly import NOW, Nights, at_home

ALL = 14
"""Rows of the small history."""
IMDB = "com.plexapp.agents.imdb://tt{:07}?lang=en"


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a small history with something of everything in it."""
    nights.years()
    return nights


def same_as_fresh(nights: Nights, *options: str, to: str = "tracker") -> None:
    """Every file but the snapshots is what an import makes that knows of nothing."""
    found, alone = nights.files(), nights.fresh(*options, to=to)
    assert found.keys() >= {name for name in alone if "snapshots" not in name}
    for name in alone:
        assert "snapshots" in name or _plain(found[name]) == _plain(alone[name])


def _plain(content: bytes) -> object:
    """Return a file without the time at which it was written."""
    try:
        told = json.loads(content)
    except ValueError:
        return content
    return {name: value for name, value in told.items() if name != "ts"}


# Nothing is new.


def test_the_second_run_changes_nothing_and_counts_everything(nights: Nights) -> None:
    first = nights.run()
    second = nights.night(days=0)
    assert (first.read, second.read) == (ALL, ALL)
    assert second.changes == (0, 0, 0)
    assert second.told["items"]["unchanged"] == second.told["plays"]["emitted"]
    assert second.told["carried"] == 0


def test_a_run_with_nothing_new_says_so_in_one_line(nights: Nights) -> None:
    nights.run("--user", "alice")
    again = nights.run("--user", "alice")
    assert again.err.startswith("Nothing new: 14 plays read, ")
    assert again.err.count("\n") == 1
    assert nights.run("--user", "alice", "--quiet").err == ""


def test_a_run_with_nothing_new_touches_no_output(nights: Nights) -> None:
    nights.run()
    before = {path: path.stat().st_mtime_ns for path in nights.out.rglob("*")}
    nights.run(days=1)
    assert {path: path.stat().st_mtime_ns for path in nights.out.rglob("*")} == before


# Something is new.


def test_exactly_the_new_items_are_added(nights: Nights) -> None:
    nights.run()
    before = nights.items()
    nights.film(-0.5, "Brand New")
    nights.episode(-0.6, 9)
    assert nights.night().changes == (2, 0, 0)
    after = nights.items()
    assert {key: after[key] for key in before} == before
    assert {after[key]["title"] for key in after.keys() - before.keys()} == {
        "Brand New",
        "Episode 9",
    }


def test_a_title_watched_again_is_updated(nights: Nights) -> None:
    nights.run()
    nights.film(-0.5, "Film 3", year=1993)
    assert nights.night().changes == (0, 1, 0)
    assert nights.titles()[-1] == "Film 3"
    assert nights.titles().count("Film 3") == 1


EVERY = (
    pytest.param((), "tracker", id="tracker"),
    pytest.param((), "editor", id="editor"),
    pytest.param((), "jsonl", id="jsonl"),
    pytest.param(("--each-user",), "tracker", id="each_user"),
    pytest.param(("--each-user",), "editor", id="each_user_editor"),
    pytest.param(("--each-user", "--rewatches"), "tracker", id="each_user_rewatches"),
    pytest.param(("--rewatches",), "tracker", id="rewatches"),
    pytest.param(("--rewatches",), "jsonl", id="rewatches_jsonl"),
    pytest.param(("--user", "bob"), "tracker", id="user"),
    pytest.param(("--library", "Shows"), "tracker", id="library"),
    pytest.param(("--since", "2024-09-01"), "tracker", id="since"),
    pytest.param(("--include-partial",), "tracker", id="partial"),
    pytest.param(("--watched-at", "started"), "tracker", id="started"),
    pytest.param(("--strict", "--media-type", "movie"), "tracker", id="strict"),
)


@pytest.mark.parametrize(("options", "to"), EVERY)
def test_many_nights_end_as_one_import_of_it_all(
    nights: Nights, options: tuple[str, ...], to: str
) -> None:
    nights.run(*options, to=to)
    for day, later in ((1, 1), (9, 8)):
        nights.film(-day, f"New {day}", year=2010 + day, user_id=1 + day % 2)
        nights.episode(0.1 - day, day, user_id=2 - day % 2)
        nights.film(0.2 - day, "Film 1", year=1991)
        nights.night(*options, to=to, days=later)
    same_as_fresh(nights, *options, to=to)


def a_film(nights: Nights, number: int, days: int, user: int) -> None:
    """Write a film whose play tells no id."""
    told = {"year": 2000 + number, "rating_key": 10 + number, "user_id": user}
    nights.film(days, f"Film {number}", guid="local://1", **told)


def a_film_with_an_id(nights: Nights, number: int, days: int, user: int) -> None:
    """Write a film whose play tells its id, for the plays before it as well."""
    told = {"year": 2000 + number, "rating_key": 10 + number, "user_id": user}
    nights.film(days, f"Film {number}", guid=IMDB.format(number), **told)


def an_episode(nights: Nights, number: int, days: int, user: int) -> None:
    """Write an episode."""
    nights.episode(days, number, user_id=user)


def other_title(nights: Nights, number: int, days: int, user: int) -> None:
    """Give old plays another title of the same length."""
    del days, user
    sql = "UPDATE session_history_metadata SET title = 'Mlif ' || substr(title, 6) WHERE id % 4 = ?"
    nights.execute(f"{sql} AND media_type = 'movie'", number)


def other_guid(nights: Nights, number: int, days: int, user: int) -> None:
    """Give old plays another id, in a GUID of the same length."""
    del user
    sql = "UPDATE session_history_metadata SET guid = ? WHERE id % 4 = ? AND media_type = 'movie'"
    nights.execute(sql, IMDB.format(days), number)


GROWING = (a_film, a_film_with_an_id, an_episode)
CHANGING = (*GROWING, other_title, other_guid)
Step = tuple[Callable[[Nights, int, int, int], None], int, int, int]


def some_nights(
    steps: tuple[Callable[[Nights, int, int, int], None], ...],
) -> st.SearchStrategy[list[list[Step]]]:
    """Return what happens on each of a few days."""
    step = st.tuples(
        st.sampled_from(steps), st.integers(0, 3), st.integers(1, 300), st.integers(1, 2)
    )
    return st.lists(st.lists(step, min_size=1, max_size=5), min_size=2, max_size=4)


# A tracker keeps what it was given once; lines are written anew.
WAYS = st.one_of(
    st.tuples(st.sampled_from(["tracker", "editor"]), some_nights(GROWING)),
    st.tuples(st.just("jsonl"), some_nights(CHANGING)),
)


@settings(
    max_examples=12,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(way=WAYS, options=st.sampled_from([(), ("--rewatches",), ("--each-user",)]))
def test_whatever_happens_between_the_nights_they_end_as_one_import(
    environment: dict[str, str],
    way: tuple[str, list[list[Step]]],
    options: tuple[str, ...],
) -> None:
    to, days = way
    with (
        tempfile.TemporaryDirectory() as folder,
        at_home(Path(folder), environment) as nights,
    ):
        for steps in days:
            for write, number, ago, user in steps:
                write(nights, number, ago, user)
            nights.night(*options, to=to)
        same_as_fresh(nights, *options, to=to)


def test_two_outputs_of_one_run_are_both_right(nights: Nights) -> None:
    places = (
        "--out",
        f"tracker={nights.out}/tracker",
        "--out",
        f"editor={nights.out}/x-history.json",
    )
    options = ("--to", "tracker", "--to", "editor", *places)
    nights.run(*options, to=None)
    nights.film(-0.5, "Brand New")
    assert nights.night(*options, to=None).changes == (2, 0, 0)
    assert "Brand New" in nights.titles()
    assert b"Brand New" in nights.files()["x-history.json"]


# Something old has changed.


def test_an_old_title_of_the_same_length_is_seen_the_next_night(nights: Nights) -> None:
    nights.run()
    nights.set("m.title", "Mlif 4", 5)
    nights.night()
    assert "Mlif 4" in nights.titles()
    assert "Film 4" not in nights.titles()


def test_an_old_guid_of_the_same_length_is_seen_the_next_night(nights: Nights) -> None:
    play = nights.film(300, "Disputed", year=2000, rating_key=77, guid=IMDB.format(1234567))
    nights.run()
    assert _keys_of(nights, "Disputed") == ["imdb:tt1234567"]
    nights.set("m.guid", IMDB.format(7654321), play)
    done = nights.night()
    assert _keys_of(nights, "Disputed") == ["imdb:tt7654321"]
    assert done.changes == (0, 1, 0)
    assert nights.night().changes == (0, 0, 0)


def _keys_of(nights: Nights, title: str) -> list[str]:
    return [key for key, item in nights.items().items() if item["title"] == title]


def test_a_title_of_last_week_that_was_mended_is_seen(nights: Nights) -> None:
    new = nights.film(6, "Wrong", year=2001)
    nights.run()
    nights.set("m.title", "Right", new)
    nights.night()
    assert "Right" in nights.titles()
    assert "Wrong" not in nights.titles()


def test_a_play_that_goes_on_is_seen(nights: Nights) -> None:
    new = nights.film(1, "Paused", year=2001, view_offset=100_000)
    nights.run()
    assert "Paused" not in nights.titles()
    nights.set("h.view_offset", 7_000_000, new)
    nights.set("h.stopped", NOW + 3600, new)
    assert nights.night().changes == (1, 0, 0)
    assert nights.items()[next(reversed(nights.items()))]["watched_at"] == "2025-06-15T16:06:40Z"


def test_a_resumed_viewing_is_one(nights: Nights) -> None:
    nights.film(2, "Long", year=2001)
    nights.run("--rewatches")
    before = len(nights.items())
    nights.rest(-0.5, "Long", year=2001)
    nights.night("--rewatches")
    assert nights.titles().count("Long") == 1
    assert len(nights.items()) == before


def test_a_pause_that_changes_in_an_old_row_is_seen(nights: Nights) -> None:
    nights.film(4, "Long", year=2001)
    second = nights.film(3, "Long", year=2001)
    nights.run("--rewatches")
    assert nights.titles().count("Long") == 2
    nights.set("h.paused_counter", 7_000, second)  # so it was only the last minutes
    nights.night("--rewatches")
    assert nights.titles().count("Long") == 1


def test_thresholds_that_were_changed_are_those_of_the_next_run(nights: Nights) -> None:
    nights.run()
    ini = "[Monitoring]\nmovie_watched_percent = 1\n"
    (nights.path.parent / "config.ini").write_text(ini, "utf-8")
    nights.night()
    assert "Half" in nights.titles()


# Rows are gone.


def test_old_plays_that_were_deleted_stay_in_the_tracker(nights: Nights) -> None:
    """An import takes nothing away."""
    nights.run()
    nights.delete(5)
    done = nights.night()
    assert (done.read, done.changes) == (ALL - 1, (0, 0, 0))
    assert "Film 4" in nights.titles()


@pytest.mark.parametrize("count", [3, 5, 8])
def test_an_old_backup_in_which_the_numbers_are_given_again(nights: Nights, count: int) -> None:
    """Fewer new plays than were lost, as many, and more."""
    nights.delete(13, 14)
    backup = nights.backup()
    for number in range(5):
        nights.film(50 - number, f"Lost {number}")
    nights.run()
    nights.replace(backup)
    for number in range(count):
        nights.film(30 - number, f"Instead {number}")
    assert nights.night().changes == (count, 0, 0)
    assert {"Lost 0", "Lost 4", "Instead 0", f"Instead {count - 1}"} <= {*nights.titles()}


# Where it lies.


def test_a_backup_that_is_read_in_another_place_is_another_job(nights: Nights) -> None:
    """Where a copy lies says nothing of whether it is the same; it is read on its own."""
    backup = nights.backup()
    nights.run()
    done = nights.inside(
        *("db", backup, "--to", "tracker", "--out", nights.out / "tracker", "--no-enrich"),
        *("--state-dir", nights.state),
    )
    assert done.code == 0
    assert "Nothing new: 14 plays read" in done.err
    assert len([*nights.state.glob("*.db")]) == 2


def test_a_database_is_the_same_by_whatever_path_it_is_named(nights: Nights) -> None:
    nights.run()
    link = nights.path.with_name("link.db")
    link.symlink_to(nights.path)
    for nights.path in (link, Path("link.db"), Path(f"../{link.parent.name}/tautulli.db")):
        nights.night()
        assert nights.ask("SELECT count(*) FROM jobs") == [(1,)]
