"""`db` night after night: what is new is read, and what comes out is as if all had been read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tautulli_import.sources.database_file import DatabaseFile, Page
from tests.nightly import DAY, NOW, Nights, at_home

SETTLED = 12
"""Rows of the small history that ended more than a week before the first run."""
ALL = 14


@pytest.fixture
def nights(tmp_path: Path, environment: dict[str, str]) -> Iterator[Nights]:
    """A small history with something of everything in it."""
    with at_home(tmp_path, environment) as made:
        made.years()
        yield made


def fresh(nights: Nights, *options: str, to: str = "tracker") -> dict[str, bytes]:
    """What an import makes of it that knows of nothing and begins with nothing."""
    mine, nights.out = nights.out, nights.out.with_name("fresh")
    done = nights.run(*options, "--state-dir", nights.state.with_name("none"), to=to)
    assert done.code == 0, done.err
    assert done.carried == 0
    files = nights.files()
    nights.out = mine
    return files


# Nothing is new.


def test_the_first_run_carries_nothing(nights: Nights) -> None:
    first = nights.run()
    assert (first.code, first.carried, first.read) == (0, 0, ALL)


def test_the_second_run_reads_what_is_not_settled(nights: Nights) -> None:
    nights.run()
    second = nights.night(days=0)
    assert (second.carried, second.read) == (SETTLED, ALL)
    assert second.changes == (0, 0, 0)
    assert second.told["items"]["unchanged"] == second.told["plays"]["emitted"]


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


def test_no_old_row_is_read_a_second_time(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    nights.run()
    read: list[int] = []
    pages = DatabaseFile.pages

    def watched(file: DatabaseFile, after: int, size: int, **how: bool) -> Iterator[Page]:
        for page in pages(file, after, size, **how):
            read.extend(play.id for play in page.plays)
            yield page

    monkeypatch.setattr(DatabaseFile, "pages", watched)
    nights.run(days=1)
    assert read == [13, 14]


def test_rows_are_carried_by_the_batch(nights: Nights) -> None:
    """A batch in which something is not settled is read again, whole."""
    nights.run(batch=5)
    assert nights.night(days=0, batch=5).carried == 10


def test_the_size_of_a_batch_may_be_another_the_next_time(nights: Nights) -> None:
    nights.run(batch=5)
    assert nights.night(batch=3).carried == 10
    assert nights.night(batch=1).carried == 10
    assert nights.night(batch=1).carried == SETTLED


def test_a_few_new_rows_are_not_worth_a_checkpoint(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with at_home(tmp_path, environment, new_rows=2_000) as nights:
        nights.years()
        nights.run()
        assert nights.night().carried == 0


def test_two_thousand_rows_are(tmp_path: Path, environment: dict[str, str]) -> None:
    with at_home(tmp_path, environment, new_rows=2_000) as nights:
        ids = range(1, 2_101)
        started = [(one, NOW - 400 * DAY + one * 3600) for one in ids]
        nights.conn.executemany(
            "INSERT INTO session_history (id, reference_id, started, stopped, user_id,"
            " media_type, rating_key) VALUES (?1, ?1, ?2, ?2 + 60, 1, 'movie', ?1 % 50)",
            started,
        )
        nights.conn.executemany(
            "INSERT INTO session_history_metadata (id, media_type, title, year, rating_key)"
            " VALUES (?1, 'movie', 'Film ' || ?1 % 50, 2000, 1 + ?1 % 50)",
            [(one,) for one in ids],
        )
        nights.conn.executemany(
            "INSERT INTO session_history_media_info (id) VALUES (?)", [(one,) for one in ids]
        )
        nights.conn.commit()
        options = ("--include-partial",)
        assert nights.run(*options, batch=200).read == 2_100
        assert nights.night(*options, batch=200).carried == 2_000 + 100
        nights.film(-0.5, "New")
        again = nights.night(*options, batch=200)
        assert (again.carried, again.changes) == (2_100, (1, 0, 0))


# Something is new.


def test_exactly_the_new_items_are_added(nights: Nights) -> None:
    nights.run()
    before = nights.items()
    nights.film(-0.5, "Brand New")
    nights.episode(-0.6, 9)
    second = nights.night()
    assert second.changes == (2, 0, 0)
    assert second.carried == SETTLED
    after = nights.items()
    assert {key: after[key] for key in before} == before
    assert {after[key]["title"] for key in after.keys() - before.keys()} == {
        "Brand New",
        "Episode 9",
    }


def test_a_title_watched_again_is_updated(nights: Nights) -> None:
    nights.run()
    nights.film(-0.5, "Film 3", year=1993)
    second = nights.night()
    assert second.changes == (0, 1, 0)
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
    """Each night its output and its report are those of a run that reads everything."""
    nights.run(*options, to=to)
    carried = []
    for day, later in ((1, 1), (2, 1), (9, 7), (11, 2)):
        nights.film(-day, f"New {day}", year=2010 + day, user_id=1 + day % 2)
        nights.episode(0.1 - day, day, user_id=2 - day % 2)
        nights.film(0.2 - day, "Film 1", year=1991)
        carried.append(nights.night(*options, to=to, days=later).carried)
    assert carried == [SETTLED, SETTLED, SETTLED, ALL + 3]
    found, alone = nights.files(), fresh(nights, *options, to=to)
    for name in alone:
        assert "snapshots" in name or _plain(found[name]) == _plain(alone[name])


def _plain(content: bytes) -> object:
    """A file without the time at which it was written."""
    try:
        told = json.loads(content)
    except ValueError:
        return content
    return {name: value for name, value in told.items() if name != "ts"}


def test_the_report_lists_what_earlier_runs_rejected(nights: Nights) -> None:
    nights.run()
    nights.episode(-0.5, 7, parent_media_index="")
    second = nights.night()
    rows = [(row["id"], row["reason"]) for row in second.told["rejected_rows"]]
    assert rows == [(11, "no_episode_number"), (15, "no_season_number")]


def test_contradictions_are_found_over_old_and_new_plays(nights: Nights) -> None:
    """Two ids of one namespace for one film: one told by an old play, one by a new one."""
    imdb = "com.plexapp.agents.imdb://tt{}?lang=en"
    nights.film(50, "Disputed", year=2000, guid=imdb.format("0000001"), rating_key=77, id=20)
    nights.film(3, "Filler", id=30)
    nights.run()
    assert nights.night().told["conflicts"] == []
    nights.film(-0.5, "Disputed", year=2000, guid=imdb.format("0000002"), rating_key=77)
    told = nights.night().told
    assert told["plays"]["emitted"] == len(nights.items())


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
    assert nights.night(*options, to=None).carried == SETTLED
    assert set(fresh(nights)) >= {"tracker/history.json"}
    assert b"Brand New" in nights.files()["x-history.json"]


def test_a_database_that_is_read_in_two_places_has_a_checkpoint_in_each(nights: Nights) -> None:
    nights.run()
    assert nights.run(to="editor").carried == 0
    assert nights.night().carried == SETTLED
    assert nights.night(to="editor").carried == SETTLED


# What is not settled yet is looked at again.


def test_a_play_of_last_week_that_goes_on_is_seen(nights: Nights) -> None:
    new = nights.film(1, "Paused", year=2001, view_offset=100_000)
    nights.run()
    assert "Paused" not in nights.titles()
    nights.play(new, view_offset=7_000_000, stopped=NOW + 3600)
    assert nights.night().changes == (1, 0, 0)
    assert nights.items()[next(reversed(nights.items()))]["watched_at"] == "2025-06-15T16:06:40Z"


def test_a_title_of_last_week_that_was_mended_is_seen(nights: Nights) -> None:
    new = nights.film(6, "Wrong", year=2001)
    nights.run()
    nights.meta(new, title="Right")
    nights.night()
    assert "Right" in nights.titles()
    assert "Wrong" not in nights.titles()


def test_a_resumed_viewing_of_last_week_is_one(nights: Nights) -> None:
    first = nights.film(2, "Long", year=2001)
    nights.run("--rewatches")
    before = len(nights.items())
    nights.film(-0.5, "Long", year=2001, reference_id=first)
    nights.night("--rewatches")
    assert nights.titles().count("Long") == 1
    assert len(nights.items()) == before


def test_a_row_of_last_week_that_is_grouped_later_is_seen(nights: Nights) -> None:
    first = nights.film(4, "Long", year=2001)
    second = nights.film(3, "Long", year=2001)
    nights.run("--rewatches")
    assert nights.titles().count("Long") == 2
    nights.play(second, reference_id=first)
    nights.night("--rewatches")
    assert nights.titles().count("Long") == 1


def test_a_row_of_last_week_that_was_deleted_is_no_reason_to_read_everything(
    nights: Nights,
) -> None:
    nights.run()
    nights.delete(13)
    second = nights.night()
    assert (second.carried, second.read, second.why) == (SETTLED, ALL - 1, [])


def test_what_was_new_is_settled_after_a_week(nights: Nights) -> None:
    nights.run()
    assert nights.night(days=8).carried == SETTLED
    assert nights.night(days=1).carried == ALL


def test_an_old_row_behind_a_new_one_waits_until_that_is_settled(nights: Nights) -> None:
    nights.film(50, "Imported", year=2003)
    nights.run()
    assert nights.night().carried == SETTLED
    nights.night(days=8)
    assert nights.night().carried == ALL + 1


def test_a_clock_that_was_wrong_for_a_while_does_no_harm(nights: Nights) -> None:
    """A play of the year 2038 is no play of last week; one of tomorrow may be."""
    late = nights.film(0, "From the Future", started=2**31 - 10_000, stopped=2**31 - 1, id=40)
    nights.film(-0.9, "Tomorrow", id=41)
    nights.run()
    assert nights.night(days=0).carried == SETTLED
    nights.play(late, stopped=2**31 - 2)
    nights.night()
    nights.night(days=9)
    assert nights.night().carried == ALL + 2


def test_a_run_in_the_past_does_no_harm(nights: Nights) -> None:
    """The clock was set back between two nights."""
    nights.run(days=20)
    nights.film(1, "Brand New")
    assert nights.night(days=-20).changes == (1, 0, 0)
