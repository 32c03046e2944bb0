"""Whose checkpoint it is: the options of a job, and a dry run, which leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tautulli_import.checkpoint.runs import lock_of
from tests.conftest import Cli
from tests.nightly import Night, Nights, at_home, said

SETTLED = 12


@pytest.fixture
def nights(tmp_path: Path, environment: dict[str, str]) -> Iterator[Nights]:
    """A small history."""
    with at_home(tmp_path, environment) as made:
        made.years()
        yield made


# An unfinished job, and other options.


@pytest.mark.parametrize(
    ("begun", "then", "words"),
    [
        (("--rewatches",), (), "begun with --rewatches and is not finished"),
        (("--each-user",), (), "begun with --each-user and is not finished"),
        (
            ("--rewatches", "--each-user"),
            ("--rewatches",),
            "begun with --rewatches and --each-user and is not finished",
        ),
        ((), ("--rewatches",), "begun with fewer options and is not finished"),
    ],
)
def test_an_unfinished_import_is_not_gone_on_with_under_other_options(
    nights: Nights, begun: tuple[str, ...], then: tuple[str, ...], words: str
) -> None:
    nights.cut_short(*begun, after=8)
    done = nights.run(*then)
    assert done.code == 2
    assert words in said(done)
    assert "--restart" in done.err
    assert nights.files() == {}
    assert nights.run(*begun).carried == 8
    assert nights.run(*then).code == 0


def test_restart_is_the_way_out(nights: Nights) -> None:
    nights.cut_short("--rewatches", after=8)
    assert nights.run("--restart").carried == 0
    assert nights.night().carried == SETTLED
    assert nights.run("--rewatches").carried == 0


def test_after_a_finished_import_other_options_are_welcome(nights: Nights) -> None:
    nights.run("--rewatches")
    assert nights.run().carried == 0
    assert nights.run().carried == SETTLED
    assert nights.run("--rewatches").carried == SETTLED


def test_an_import_that_got_nowhere_stands_in_nobodys_way(nights: Nights) -> None:
    nights.cut_short("--rewatches", after=0)
    assert nights.run().code == 0


def test_an_unfinished_import_into_another_place_stands_in_nobodys_way(nights: Nights) -> None:
    nights.cut_short("--rewatches", after=8)
    assert nights.run(to="editor").code == 0
    assert nights.run("--user", "alice").code == 0


def test_a_dry_run_is_not_refused(nights: Nights) -> None:
    """It continues nothing and writes nothing, whatever it was asked for."""
    nights.cut_short("--rewatches", after=8)
    assert nights.run("--dry-run").code == 0


@pytest.mark.parametrize("after", [1, 5, 8, 13])
@pytest.mark.parametrize("options", [(), ("--rewatches",), ("--each-user",)])
def test_an_import_that_was_cut_short_goes_on_where_it_was(
    nights: Nights, options: tuple[str, ...], after: int
) -> None:
    nights.cut_short(*options, after=after)
    assert nights.files() == {}
    assert nights.night(*options, days=0).carried == min(after, SETTLED)


def test_an_import_that_is_cut_short_again_and_again_comes_to_its_end(nights: Nights) -> None:
    for done in range(SETTLED):
        assert nights.ask("SELECT count(*) FROM jobs WHERE rows > ?", done) == [(0,)] if done else 1
        nights.cut_short(after=1)
    assert nights.ask("SELECT rows, status FROM jobs") == [(SETTLED, "unfinished")]
    assert nights.night().carried == SETTLED
    assert nights.ask("SELECT status FROM jobs") == [("completed",)]


# Selections.

SELECTIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("--user", "alice"),
    ("--user", "bob"),
    ("--library", "Films"),
    ("--media-type", "movie"),
    ("--since", "2024-09-01"),
    ("--until", "2025-05-01"),
    ("--include-partial",),
    ("--min-percent", "50"),
    ("--watched-at", "started"),
)


def test_every_selection_has_a_checkpoint_of_its_own(nights: Nights) -> None:
    for options in SELECTIONS:
        assert nights.run(*options).carried == 0
    for options in SELECTIONS:
        assert nights.run(*options).carried == SETTLED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("--user", "alice"), ("--user", "1")),
        (("--user", "alice", "--user", "bob"), ("--user", "Bob", "--user", "Alice")),
        (("--library", "Films"), ("--library", "1")),
        (
            ("--media-type", "movie", "--media-type", "live"),
            ("--media-type", "live", "--media-type", "movie"),
        ),
        (("--since", "2024-09-01"), ("--since", "2024-09-01T00:00:00Z")),
        ((), ("--strict", "--quiet", "--media-type", "movie", "--media-type", "episode")),
    ],
)
def test_the_same_thing_said_otherwise_is_the_same(
    nights: Nights, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    nights.run(*one)
    done = nights.run(*other)
    assert done.code in (0, 9)
    assert done.carried == SETTLED


@pytest.mark.parametrize("when", [("--since", "1000d"), ("--until", "10d"), ("--since", " 99D ")])
def test_a_date_that_moves_is_read_whole_each_time(nights: Nights, when: tuple[str, str]) -> None:
    for _ in range(2):
        done = nights.run(*when, days=1)
        assert (done.code, done.carried) == (0, 0)


def test_several_files_are_read_whole_each_time(nights: Nights) -> None:
    backup = nights.backup()
    for _ in range(2):
        done = nights.run(backup)
        assert (done.code, done.carried, done.told["plays"]["filtered"]["duplicate"]) == (0, 0, 14)


def test_a_database_from_standard_input_leaves_nothing(nights: Nights) -> None:
    content = nights.path.read_bytes()
    place = ("--to", "tracker", "--out", nights.out / "tracker")
    for _ in range(2):
        done = nights.inside(
            *("db", "-", *place, "--no-enrich", "--state-dir", nights.state), stdin=content
        )
        assert done.code == 0, done.err
    assert not nights.state.exists()


# A dry run.


def trace(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file in a folder, when it was written, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def counts(night: Night) -> object:
    """What a report counts."""
    outputs = [
        {name: value for name, value in output.items() if name != "written"}
        for output in night.told["outputs"]
    ]
    return night.told["plays"], night.told["items"], outputs, night.carried


def test_a_dry_run_makes_no_state(nights: Nights, environment: dict[str, str]) -> None:
    assert nights.run("--dry-run").code == 0
    assert not nights.state.exists()
    assert not nights.out.exists()
    nights.inside("db", nights.path, "--dry-run", "--no-enrich")
    assert trace(Path(environment["XDG_STATE_HOME"])) == {}


@pytest.mark.parametrize("restart", [(), ("--restart",)])
def test_a_dry_run_leaves_the_state_as_it_is(nights: Nights, restart: tuple[str, ...]) -> None:
    nights.run()
    nights.film(-0.5, "Brand New")
    before = trace(nights.state), trace(nights.out)
    done = nights.run("--dry-run", *restart, days=1)
    assert done.changes == (1, 0, 0)
    assert done.carried == (0 if restart else SETTLED)
    assert (trace(nights.state), trace(nights.out)) == before


def test_a_dry_run_leaves_other_selections_alone(nights: Nights) -> None:
    nights.run()
    before = trace(nights.state)
    assert nights.run("--dry-run", "--user", "alice").carried == 0
    assert trace(nights.state) == before


def test_a_dry_run_leaves_a_damaged_state_for_the_next_import(nights: Nights) -> None:
    nights.run()
    (path,) = nights.state.glob("*.db")
    path.write_bytes(b"no database" * 1000)
    before = trace(nights.state)
    done = nights.run("--dry-run")
    assert (done.code, done.carried, done.read) == (0, 0, 14)
    assert trace(nights.state) == before


@pytest.mark.parametrize("version", [1, 99])
def test_a_dry_run_leaves_a_state_of_another_version_as_it_is(nights: Nights, version: int) -> None:
    nights.run()
    nights.ask(f"PRAGMA user_version = {version}")
    before = trace(nights.state)
    assert nights.run("--dry-run").read == 14
    assert trace(nights.state) == before


@pytest.mark.parametrize(
    "options", [(), ("--rewatches",), ("--each-user",), ("--user", "alice"), ("--include-partial",)]
)
def test_the_counts_of_a_dry_run_are_those_of_the_run(
    nights: Nights, options: tuple[str, ...]
) -> None:
    nights.film(30, "Unknown", year=2001, rating_key=77)
    nights.film(3, "Filler", year=2001)
    for day in range(3):
        nights.film(-day - 0.5, f"New {day}")
        nights.film(-day - 0.4, "Film 1", year=1991)
        nights.film(-day - 0.3, "Unknown", year=2001, rating_key=77)
        before = trace(nights.state) if day else {}
        corrections = nights.path.with_name("ids.csv")
        corrections.write_text(f"type,rating_key,tmdb\nmovie,77,{600 + day}\n", "utf-8")
        given = (*options, "--ids", str(corrections))
        dry = nights.run("--dry-run", *given, days=1)
        assert trace(nights.state) == before if day else not nights.state.exists()
        real = nights.night(*given, days=0)
        assert counts(dry) == counts(real)
        assert day == 0 or real.carried > 0


def test_what_a_dry_run_lists_is_everything(nights: Nights) -> None:
    first = nights.run("--dry-run")
    nights.run()
    again = nights.run("--dry-run")
    assert again.carried == SETTLED
    assert again.out == first.out


def test_a_dry_run_asks_nobody_to_wait(nights: Nights) -> None:
    """It takes no lock, for it writes nothing, and runs while another holds it."""
    nights.run()
    assert [*nights.state.glob("*.lock")] == []
    (state,) = nights.state.glob("*.db")
    lock = lock_of(state)
    assert lock.take()
    assert nights.run("--dry-run").carried == SETTLED
    lock.release()
    assert [*nights.state.glob("*.lock")] == []


def test_the_program_itself_carries_what_it_has_read(cli: Cli, nights: Nights) -> None:
    """As a process of its own, over two thousand rows, at the time that it is."""
    nights.conn.execute("DELETE FROM session_history")
    nights.conn.execute("DELETE FROM session_history_metadata")
    nights.conn.execute("DELETE FROM session_history_media_info")
    nights.conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2400)"
        " INSERT INTO session_history (id, reference_id, started, stopped, user_id, media_type)"
        " SELECT i, i, 1500000000 + i * 3600, 1500003000 + i * 3600, 1, 'movie' FROM n"
    )
    nights.conn.execute(
        "INSERT INTO session_history_metadata (id, media_type, title, year, rating_key)"
        " SELECT id, 'movie', 'Film ' || (id % 70), 2000, 1 + id % 70 FROM session_history"
    )
    nights.conn.execute(
        "INSERT INTO session_history_media_info (id) SELECT id FROM session_history"
    )
    nights.conn.commit()
    command = ("db", nights.path, "--to", "tracker", "--include-partial", "--json")
    first, second = cli(*command), cli(*command)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert json.loads(first.out)["carried"] == 0
    told = json.loads(second.out)
    assert (told["carried"], told["plays"]["read"]) == (2400, 2400)
    assert told["items"]["unchanged"] == 70
