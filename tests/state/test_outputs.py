"""What is remembered of an output: what it was given, over all jobs that wrote into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec import msgpack

from tautulli_import.model.items import Conflict
from tautulli_import.state.file import StateFile
from tautulli_import.state.outputs import (
    OutputNotes,
    OutputStore,
    Verified,
    Whose,
    encoded,
    forget_outputs,
)

PLACE = ("tracker", "/x/history.json", "")
OTHER = ("tracker", "/y/history.json", "")
NOTES = OutputNotes(selections=("all",), jobs=("one",), whose=Whose((1, 2)), told=(1, 2, 3))


@pytest.fixture
def state() -> Iterator[StateFile]:
    """Yield a state file that is gone afterwards."""
    with closing(StateFile(None, "memory")) as made:
        yield made


def write_row(state: StateFile, job: str, published: object) -> None:
    """Write the row of a job, as earlier versions did."""
    with state.step() as db:
        db.execute(
            "INSERT INTO published VALUES (?, ?, ?, ?, NULL, ?)",
            (job, *PLACE, msgpack.encode(published)),
        )


def test_what_is_staged_counts_until_it_is_published(state: StateFile) -> None:
    store = OutputStore(state)
    store.stage(PLACE, encoded({"a": (1, 10)}.items()), NOTES)
    assert store.entries(PLACE) == {"a": (1, 10)}
    store.publish(PLACE, NOTES)
    store.stage(PLACE, encoded({"b": (1, 10)}.items()), NOTES)
    assert store.entries(PLACE) == {"a": (1, 10), "b": (1, 10)}
    store.publish(PLACE, NOTES)
    assert store.entries(PLACE) == {"b": (1, 10)}
    assert store.entries(OTHER) == store.entries((*PLACE[:2], "1")) == {}


def test_what_was_never_published_gives_way_to_what_is(state: StateFile) -> None:
    store = OutputStore(state)
    store.stage(PLACE, encoded({"a": (1, 10)}.items()), NOTES)
    store.publish(PLACE, NOTES)
    store.stage(PLACE, encoded({"b": (1, 10)}.items()), NOTES)  # and the sink failed
    store.stage(PLACE, encoded({"a": (1, 10)}.items()), NOTES)
    store.publish(PLACE, NOTES)
    assert store.entries(PLACE) == {"a": (1, 10)}


def test_rows_of_single_jobs_count_until_something_is_published(state: StateFile) -> None:
    """Versions before kept a record for each job. The newer entry is the one in the output."""
    write_row(state, "one", {"a": (1, 10), "b": (2, 20)})
    write_row(state, "two", {"a": (3, 30), "b": (4, 5)})
    store = OutputStore(state)
    merged = {"a": (3, 30), "b": (2, 20)}
    assert store.entries(PLACE) == merged
    store.stage(PLACE, encoded(merged.items()), NOTES)
    store.publish(PLACE, NOTES)
    assert store.entries(PLACE) == merged
    assert state.conn.execute("SELECT count(*) FROM published").fetchone() == (1,)


def test_notes_are_those_of_the_place(state: StateFile) -> None:
    store = OutputStore(state)
    assert store.notes(PLACE) is None
    store.save_notes(PLACE, NOTES)
    assert (store.notes(PLACE), store.notes(OTHER)) == (NOTES, None)


def test_a_store_that_only_looks_notes_nothing(state: StateFile) -> None:
    only = OutputStore(state, writes=False)
    only.stage(PLACE, encoded({"a": (1, 10)}.items()), NOTES)
    only.publish(PLACE, NOTES)
    only.save_notes(PLACE, NOTES)
    only.save_conflicts([conflict("1", "2")])
    assert (only.entries(PLACE), only.notes(PLACE)) == ({}, None)
    assert only.new_conflicts([conflict("1", "2")])


def test_an_output_is_forgotten_with_its_last_job(state: StateFile) -> None:
    store = OutputStore(state)
    notes = OutputNotes(jobs=("one", "two"))
    store.stage(PLACE, encoded({"a": (1, 10)}.items()), notes)
    store.publish(PLACE, notes)
    store.verified(PLACE).save(Verified(b"12345678", 7))
    with state.step():
        forget_outputs(state, "one")
    assert store.entries(PLACE) == {"a": (1, 10)}
    assert store.verified(PLACE).load() == Verified(b"12345678", 7)
    assert store.notes(PLACE) == OutputNotes(jobs=("two",))
    with state.step():
        forget_outputs(state, "two")
    assert (store.entries(PLACE), store.notes(PLACE)) == ({}, None)
    assert store.verified(PLACE).load() == Verified()


def conflict(kept: str, dropped: str, title: str = "Film") -> Conflict:
    """Return a contradiction between two ids."""
    return Conflict("movie", title, "tmdb", kept, dropped, (1, 2))


def test_a_conflict_is_new_once(state: StateFile) -> None:
    store = OutputStore(state)
    one, other = conflict("1", "2"), conflict("1", "2", "Other")
    assert store.new_conflicts([one]) == [one]
    store.save_conflicts([one])
    assert store.new_conflicts([one, other]) == [other]
    assert store.new_conflicts([conflict("2", "1")]) == []  # the other play is newer now
    store.save_conflicts([])
    assert store.new_conflicts([one]) == [one]
