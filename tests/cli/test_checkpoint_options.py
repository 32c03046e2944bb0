"""Which runs are one job, and a dry run, which leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tautulli_import.state.runs import lock_of
from tests.support.nightly import Night, Nights


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a small history."""
    nights.years()
    return nights


# An unfinished job.


@pytest.mark.parametrize("after", [0, 5, 13])
@pytest.mark.parametrize("options", [(), ("--rewatches",), ("--each-user",)])
def test_an_import_that_was_cut_short_leaves_nothing_and_the_next_is_whole(
    nights: Nights, options: tuple[str, ...], after: int
) -> None:
    nights.cut_short(*options, after=after)
    assert nights.files() == {}
    assert nights.ask("SELECT rows, status FROM jobs") == [(0, "unfinished")]
    nights.run(*options)
    assert nights.ask("SELECT rows, status FROM jobs") == [(14, "completed")]
    assert nights.files() == nights.fresh(*options)


def test_an_unfinished_import_stands_in_nobodys_way(nights: Nights) -> None:
    nights.cut_short("--rewatches", after=8)
    for options in ((), ("--user", "alice"), ("--dry-run",), ("--restart",)):
        assert nights.run(*options).code == 0
    assert nights.run(to="editor").code == 0


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


def test_every_selection_is_a_job_of_its_own(nights: Nights) -> None:
    for _ in range(2):
        for options in SELECTIONS:
            assert nights.run(*options).code == 0
        assert nights.ask("SELECT count(*) FROM jobs") == [(len(SELECTIONS),)]


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
        ((), ("--strict", *(f"--media-type={kind}" for kind in ("track", "movie", "episode")))),
    ],
)
def test_the_same_thing_said_otherwise_is_the_same(
    nights: Nights, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    nights.run(*one)
    done = nights.run(*other)
    assert done.code in (0, 9)
    assert nights.ask("SELECT count(*) FROM jobs") == [(1,)]


@pytest.mark.parametrize("when", [("--since", "1000d"), ("--until", "10d"), ("--since", " 99D ")])
def test_a_date_that_moves_makes_no_job(nights: Nights, when: tuple[str, str]) -> None:
    """Tomorrow it selects other plays. What the tracker was given can still be taken back."""
    assert nights.run(*when).code == 0
    assert nights.ask("SELECT count(*) FROM jobs") == [(0,)]
    done = nights.night("--user", "alice", "--until", "2020-01-01", "--replace")
    assert done.changes[2] > 0
    assert nights.items() == {}


def test_several_files_are_one_job(nights: Nights) -> None:
    backup = nights.backup()
    for _ in range(2):
        done = nights.run(backup)
        assert (done.code, done.told["plays"]["filtered"]["duplicate"]) == (0, 14)
    assert nights.ask("SELECT count(*) FROM jobs") == [(1,)]


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
    """Return what a report counts."""
    outputs = [
        {name: value for name, value in output.items() if name != "written"}
        for output in night.told["outputs"]
    ]
    return night.told["plays"], night.told["items"], outputs


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
    assert (trace(nights.state), trace(nights.out)) == before


def test_a_dry_run_leaves_other_selections_alone(nights: Nights) -> None:
    nights.run()
    before = trace(nights.state)
    assert nights.run("--dry-run", "--user", "alice").code == 0
    assert trace(nights.state) == before


def test_a_dry_run_leaves_a_damaged_state_for_the_next_import(nights: Nights) -> None:
    nights.run()
    (path,) = nights.state.glob("*.db")
    path.write_bytes(b"no database" * 1000)
    before = trace(nights.state)
    done = nights.run("--dry-run")
    assert (done.code, done.read) == (0, 14)
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


def test_what_a_dry_run_lists_is_everything(nights: Nights) -> None:
    first = nights.run("--dry-run")
    nights.run()
    assert nights.run("--dry-run").out == first.out


def test_a_dry_run_asks_nobody_to_wait(nights: Nights) -> None:
    """It takes no lock, for it writes nothing, and runs while another holds it."""
    nights.run()
    assert [*nights.state.glob("*.lock")] == []
    (state,) = nights.state.glob("*.db")
    lock = lock_of(state)
    assert lock.take()
    assert nights.run("--dry-run").code == 0
    lock.release()
    assert [*nights.state.glob("*.lock")] == []
