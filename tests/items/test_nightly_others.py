"""Another history at the place of the first: it is refused, and nothing of either is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.history import add_play, create
from tests.support.nightly import DAY, NOW, Nights, at_home


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a small history."""
    nights.years()
    return nights


def other_database(path: Path, *, rows: int = 30, **fields: int) -> Path:
    """Return a history that has nothing to do with the first."""
    with closing(create(path)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for number in range(rows):
            add_play(
                conn,
                title=f"Other {number}",
                started=NOW - (200 - number) * DAY - 777,
                **{"user_id": 7} | fields,
            )
    return path


def test_another_database_at_the_same_place_is_refused(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    before, checkpoint = nights.files(), nights.ask("SELECT * FROM jobs")
    nights.replace(other_database(tmp_path / "other.db"))
    done = nights.run()
    assert done.code == 2
    assert f"{nights.path} is not the database this command read last time (0 of " in done.err
    assert "--restart" in done.err
    assert "--state-dir" in done.err
    assert nights.files() == before
    assert nights.ask("SELECT * FROM jobs") == checkpoint


@pytest.mark.parametrize("rows", [1, 14, 40])
def test_it_is_recognised_however_many_plays_it_has(
    nights: Nights, tmp_path: Path, rows: int
) -> None:
    nights.run()
    nights.replace(other_database(tmp_path / "other.db", rows=rows))
    assert nights.run().code == 2


def test_it_is_refused_every_time(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    nights.replace(other_database(tmp_path / "other.db"))
    assert [nights.run(days=1).code for _ in range(3)] == [2, 2, 2]


def test_the_first_database_put_back_is_gone_on_with(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    backup = nights.backup()
    nights.replace(other_database(tmp_path / "other.db"))
    assert nights.run().code == 2
    nights.replace(backup)
    assert nights.night().changes == (0, 0, 0)


def test_restart_begins_with_the_other_database(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    nights.replace(other_database(tmp_path / "other.db"))
    done = nights.run("--restart")
    assert (done.code, done.read) == (0, 30)
    assert {"Film 1", "Other 1"} <= {*nights.titles()}
    assert nights.night().changes == (0, 0, 0)


def test_another_state_directory_keeps_both(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    backup = nights.backup()
    nights.replace(other_database(tmp_path / "other.db"))
    elsewhere = ("--state-dir", str(tmp_path / "elsewhere"))
    assert nights.run(*elsewhere).code == 0
    assert nights.run(*elsewhere).read == 30
    nights.replace(backup)
    assert nights.night().read == 14


def test_a_dry_run_refuses_it_as_well(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    nights.replace(other_database(tmp_path / "other.db"))
    assert nights.run("--dry-run").code == 2
    assert nights.run("--dry-run", "--restart").read == 30


def test_an_emptied_database_is_refused(nights: Nights) -> None:
    """Tautulli was set up anew: none of the plays is there that were."""
    nights.run()
    before = nights.files()
    nights.delete(*range(1, 15))
    done = nights.run()
    assert done.code == 2
    assert nights.files() == before
    assert nights.run("--restart").code == 0
    assert nights.files() == before


def test_a_database_that_was_empty_is_the_same_when_it_fills(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with at_home(tmp_path, environment) as nights:
        assert nights.run().code == 0
        nights.years()
        assert nights.run().code == 0
        assert nights.night().changes == (0, 0, 0)


def test_a_database_of_which_one_old_play_is_left_is_the_same(nights: Nights) -> None:
    nights.run()
    nights.delete(*range(2, 15))
    nights.film(-0.5, "Brand New")
    done = nights.night()
    assert (done.read, done.changes) == (2, (1, 0, 0))


def test_a_history_in_which_all_starts_were_mended_is_not_taken_for_another(
    nights: Nights,
) -> None:
    """Somebody has shifted all times by an hour: none of the plays is recognised any more."""
    nights.run()
    nights.execute("UPDATE session_history SET started = started + 3600, stopped = stopped + 3600")
    done = nights.run()
    assert done.code == 2
    assert nights.run("--restart").code == 0


def test_a_damaged_row_among_the_landmarks_is_no_other_history(nights: Nights) -> None:
    nights.run()
    with closing(sqlite3.connect(nights.path)) as conn, conn:
        conn.execute("UPDATE session_history SET started = 'x', user_id = 'y' WHERE id < 14")
    nights.night()
