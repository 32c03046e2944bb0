"""What is remembered of a job in a state file, and what an older state file keeps of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec import msgpack

from tautulli_import.model.plays import SampleRow
from tautulli_import.model.rejections import Reason, Rejected
from tautulli_import.state.checkpoint import CheckpointStore, JobKey, Position, packed
from tautulli_import.state.file import StateFile
from tests.support.nightly import Nights

JOB = JobKey("memory", "db", ("x=y",), {}, {})
OTHER = JobKey("memory", "db", ("x=z",), {}, {})
SAMPLES = (SampleRow(1, 2, 3), SampleRow(4, 5, None))
POSITION = Position(
    "7", 7, -12, {Reason.LIVE: 2}, [Rejected(Reason.NO_SHOW, 3)], {"movie": 4}, "a note"
)


@pytest.fixture
def state() -> Iterator[StateFile]:
    """Yield a state file that is gone afterwards."""
    with closing(StateFile(None, "memory")) as made:
        yield made


def test_a_job_is_begun_and_finished(state: StateFile) -> None:
    store = CheckpointStore(state, JOB)
    assert (store.saved(), store.position()) == (None, None)
    store.begin(SAMPLES)
    saved = store.saved()
    assert saved is not None
    assert (saved.status, saved.rows, saved.about) == ("unfinished", 0, JOB)
    assert tuple(saved.samples) == SAMPLES
    store.finish(SAMPLES[:1], 12)
    saved = store.saved()
    assert saved is not None
    assert (saved.status, saved.rows, tuple(saved.samples)) == ("completed", 12, SAMPLES[:1])
    store.begin(())
    saved = store.saved()
    assert saved is not None
    assert (saved.status, saved.rows, tuple(saved.samples)) == ("unfinished", 12, SAMPLES[:1])


def test_a_position_is_what_was_saved(state: StateFile) -> None:
    store = CheckpointStore(state, JOB)
    store.save(POSITION, SAMPLES)
    assert store.position() == POSITION
    saved = store.saved()
    assert saved is not None
    assert (saved.status, saved.rows) == ("unfinished", 7)
    assert saved.bytes == len(packed(POSITION))
    store.finish(SAMPLES)
    saved = store.saved()
    assert saved is not None
    assert (saved.status, saved.rows) == ("completed", 7)
    store.clear_position()
    assert store.position() is None


def test_another_job_knows_nothing_of_it(state: StateFile) -> None:
    CheckpointStore(state, JOB).save(POSITION, SAMPLES)
    other = CheckpointStore(state, OTHER)
    assert (other.saved(), other.position()) == (None, None)


def test_a_job_that_is_forgotten_leaves_others(state: StateFile) -> None:
    store, other = CheckpointStore(state, JOB), CheckpointStore(state, OTHER)
    for one in (store, other):
        one.save(POSITION, SAMPLES)
    store.forget()
    assert (store.saved(), store.position()) == (None, None)
    assert other.position() == POSITION


def test_a_store_that_only_looks_notes_nothing(state: StateFile) -> None:
    only = CheckpointStore(state, JOB, writes=False)
    only.begin(SAMPLES)
    only.save(POSITION, SAMPLES)
    only.finish(SAMPLES)
    assert (only.saved(), only.position()) == (None, None)
    CheckpointStore(state, JOB).save(POSITION, SAMPLES)
    only.forget()
    only.clear_position()
    assert only.position() == POSITION


# A state file of schema 2, in which plays were kept as well.


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a history whose items and events were imported by the version before this one."""
    nights.film(200, "Unknown", year=2001, rating_key=12)
    nights.film(100, "Other", year=2002)
    nights.run(*ids(nights, 603))
    events(nights)
    as_schema_2(nights)
    return nights


def ids(nights: Nights, tmdb: int) -> tuple[str, str]:
    """Return the option that tells the id of a film."""
    path = nights.path.with_name("ids.csv")
    path.write_text(f"type,rating_key,tmdb\nmovie,12,{tmdb}\n", "utf-8")
    return ("--ids", str(path))


def events(nights: Nights) -> int:
    """Deliver the events into a file, and return how many rows were not read again."""
    done = nights.run("--events", "--to", "jsonl", "--out", nights.out / "e.jsonl", to=None)
    assert done.code == 0, done.err
    return int(done.told["carried"])


def as_schema_2(nights: Nights) -> None:
    """Make of the state file what the version before left: a position and plays of items."""
    (path,) = nights.state.glob("*.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        ((job,),) = conn.execute("SELECT key FROM jobs WHERE reached IS NULL").fetchall()
        conn.execute(
            "CREATE TABLE sights (job TEXT, number INTEGER, packed BLOB, PRIMARY KEY (job, number))"
        )
        conn.execute("INSERT INTO sights VALUES (?, 0, ?)", (job, b"plays" * 1000))
        conn.execute("UPDATE jobs SET reached = x'00', rows = 1 WHERE key = ?", (job,))
        ((of_events, cell),) = conn.execute(
            "SELECT key, reached FROM jobs WHERE key <> ?", (job,)
        ).fetchall()
        more = {"rules": [], "accepted": [[None, 2]], "sights": 0, "whole_at": 1}
        old = packed(msgpack.decode(cell[16:]) | more)
        conn.execute("UPDATE jobs SET reached = ? WHERE key = ?", (old, of_events))
        conn.execute("PRAGMA user_version = 2")


def test_an_upgrade_keeps_jobs_and_positions_of_events(nights: Nights) -> None:
    nights.film(-0.5, "Brand New")
    assert events(nights) == 2
    assert nights.ask("PRAGMA user_version") == [(3,)]
    assert nights.ask("SELECT name FROM sqlite_master WHERE name = 'sights'") == []
    assert nights.ask("SELECT count(*), count(reached), sum(rows) FROM jobs") == [(2, 1, 4)]


def test_an_upgrade_keeps_the_keys_that_were_published(nights: Nights) -> None:
    nights.film(-0.5, "Unknown", year=2001, rating_key=12)
    done = nights.run(*ids(nights, 604), days=1)
    assert (done.code, done.changes) == (0, (1, 0, 1)), done.err
    assert [*nights.items()][-1] == "tmdb:604"
    assert "tmdb:603" not in nights.items()


def test_an_upgrade_keeps_what_tells_another_history(nights: Nights) -> None:
    nights.execute("UPDATE session_history SET started = started + 77")
    assert nights.run().code == 2


def test_a_dry_run_reads_it_as_it_is(nights: Nights) -> None:
    done = nights.run("--dry-run", *ids(nights, 604))
    assert (done.code, done.changes) == (0, (0, 1, 0))
    assert nights.ask("PRAGMA user_version") == [(2,)]
    assert nights.inside("checkpoint", "list", "--state-dir", nights.state).code == 0
