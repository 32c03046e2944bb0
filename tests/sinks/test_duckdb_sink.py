"""``--to duckdb``: events and the point they reach in one transaction, in real DuckDB files."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tautulli_import import interrupts
from tautulli_import.errors import SinkError
from tautulli_import.event_store.store import EventStore
from tautulli_import.model.rejections import Reason
from tautulli_import.sinks import duckdb as module
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.duckdb import DuckdbSink
from tautulli_import.state.checkpoint import Position, packed
from tests.event_store.test_event_store import played, plays, titles


def sink(path: Path | None, **options: Any) -> DuckdbSink:
    return DuckdbSink(SinkOptions(out=path, stdout=io.BytesIO(), now=0, **options))


def point(rows: int) -> Position:
    """Return a source read up to a row."""
    return Position(f"cursor {rows}", rows, 7, {Reason.LIVE: 1}, [])


def recalled(path: Path) -> Position | None:
    """Return the position in the file."""
    with closing(sink(path)) as made:
        return made.recall("job", None)


@contextmanager
def begun(path: Path, job: str = "job", **options: Any) -> Iterator[DuckdbSink]:
    """Yield a sink that goes on where the file is."""
    with closing(sink(path, **options)) as made:
        made.begin(made.recall(job, None))
        yield made


def imported(path: Path, numbers: Sequence[int], page: int = 3) -> Any:
    """Return a whole run over these rows, as the pipeline does it."""
    with closing(sink(path)) as made:
        after = made.recall("job", None)
        made.begin(after)
        done = after.rows if after else 0
        for start in range(done, len(numbers), page):
            part = numbers[start : start + page]
            made.write(plays(*part), point(start + len(part)))
        made.commit()
        return made.finish()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is going to be."""
    return tmp_path / "events.duckdb"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Batches of which a test can fill some."""
    monkeypatch.setattr(module, "_BATCH", 4)
    return 4


def test_a_first_run_says_what_it_stored_and_where(path: Path) -> None:
    receipt = imported(path, range(1, 8))
    assert (receipt.new, receipt.unchanged, receipt.total) == (7, 0, 7)
    assert receipt.target == str(path)
    assert receipt.written == [str(path)]
    assert receipt.next_steps == [f'Look into it: duckdb {path} "FROM plays_per_month"']
    assert titles(path) == [f"Film {number}" for number in range(1, 8)]


def test_the_next_step_can_be_pasted_whatever_the_file_is_called(tmp_path: Path) -> None:
    receipt = imported(tmp_path / "my film's.duckdb", [1])
    assert """duckdb '""" in receipt.next_steps[0]
    assert """my film'"'"'s.duckdb' "FROM""" in receipt.next_steps[0]


def test_what_other_runs_brought_is_known(path: Path) -> None:
    imported(path, range(7))
    with begun(path, "another job") as made:
        made.write(plays(*range(5, 10)), point(5))
        made.commit()
        receipt = made.finish()
    assert (receipt.new, receipt.unchanged, receipt.total) == (3, 2, 10)


# The point that is reached.


def test_what_counts_is_the_point_in_the_file(path: Path) -> None:
    imported(path, range(7))
    with closing(sink(path)) as made:
        assert made.recall("job", None) == point(7)
    with closing(sink(path)) as made:
        assert made.recall("job", point(3)) == point(7)
        made.begin(point(7))
        assert made.durable == 0
    path.unlink()
    with closing(sink(path)) as made:
        assert made.recall("job", point(7)) is None


def test_a_point_of_another_version_is_none(path: Path) -> None:
    with EventStore(path) as store:
        store.add([], job="job", reached=b"?" + packed(point(7)))
    with closing(sink(path)) as made:
        assert made.recall("job", None) is None


def test_a_run_from_the_first_row_forgets_the_point(path: Path) -> None:
    imported(path, range(7))
    with closing(sink(path)) as made:
        assert made.recall("job", None) is not None
        made.begin(None)
    assert recalled(path) is None


@pytest.mark.usefixtures("small")
def test_full_batches_are_durable_with_their_point_before_the_commit(path: Path) -> None:
    with begun(path) as made:
        made.write(plays(1, 2, 3), point(3))
        assert made.durable == 0
        made.write(plays(4, 5), point(6))
        assert made.durable == 5
        made.write(plays(6), point(7))
        assert made.durable == 5
        # It ends here, without a commit.
    assert recalled(path) == point(6)
    with begun(path) as made:
        assert made.finish().total == 5


def test_rows_without_events_move_the_point(path: Path) -> None:
    with begun(path) as made:
        made.write([], point(5))
        made.commit()
        assert made.durable == 0
        assert made.finish().written == []
    assert recalled(path) == point(5)


def test_events_that_nothing_can_be_remembered_of_are_stored_all_the_same(path: Path) -> None:
    with begun(path) as made:
        made.write(plays(1), None)
        made.commit()
        assert made.durable == 1
    assert recalled(path) is None
    with begun(path) as made:
        made.write(plays(2), point(2))
        made.commit()
        made.write(plays(3), None)
        made.commit()
        assert made.durable == 2
        assert made.finish().total == 3
    assert recalled(path) == point(2)


def test_a_point_that_stays_is_not_moved_beyond_by_later_events(path: Path) -> None:
    with begun(path) as made:
        for number in (1, 2, 3):
            made.write(plays(number), point(1))
        made.commit()
        assert made.durable == 3
    assert recalled(path) == point(1)
    assert titles(path) == ["Film 1", "Film 2", "Film 3"]


# When it goes wrong.


@pytest.mark.usefixtures("small")
def test_a_batch_that_fails_leaves_the_one_before(path: Path) -> None:
    with begun(path) as made:
        made.write(plays(1, 2, 3, 4), point(4))
        with pytest.raises(SinkError):
            made.write([*plays(5, 6, 7), played(8, year=2**63)], point(8))
        assert made.durable == 4
    assert recalled(path) == point(4)
    with begun(path) as made:
        made.write(plays(5, 6, 7, 8), point(8))
        assert made.finish().total == 8


def test_a_signal_in_the_middle_leaves_what_is_delivered_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = EventStore.add

    def interrupted(self: EventStore, *given: Any, **named: Any) -> Any:
        interrupts.ask(signal.SIGINT)
        return add(self, *given, **named)

    with begun(path) as made:
        made.write(plays(1, 2), point(2))
        monkeypatch.setattr(EventStore, "add", interrupted)
        try:
            with pytest.raises(interrupts.Stopped):
                made.commit()
        finally:
            interrupts.forget()
        assert made.durable == 2
    assert recalled(path) == point(2)
    assert titles(path) == ["Film 1", "Film 2"]


# A look before.


@pytest.mark.usefixtures("small")
def test_a_dry_run_counts_as_the_real_one_would_and_writes_nothing(path: Path) -> None:
    imported(path, range(5))
    before = path.stat().st_mtime_ns, path.read_bytes()

    def run(**options: Any) -> Any:
        with closing(sink(path, **options)) as made:
            made.recall("job", None)
            made.begin(None)
            for start in range(0, 10, 2):
                made.write(plays(start, start + 1, start), point(start))
            made.commit()
            return made.finish()

    dry = run(dry_run=True)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    real = run()
    assert (real.new, real.unchanged, real.total) == (5, 10, 10)
    assert dry == msgspec.structs.replace(real, written=[], next_steps=[])


def test_a_dry_run_makes_no_file_and_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.duckdb"
    made = sink(path, dry_run=True)
    made.check()
    with begun(path, dry_run=True) as made:
        made.write(plays(1, 2), point(2))
        made.commit()
        receipt = made.finish()
    assert (receipt.new, receipt.total, receipt.written) == (2, 2, [])
    assert list(tmp_path.iterdir()) == []


# Before anything is read.


def test_a_file_that_is_there_or_can_be_made_is_fine(tmp_path: Path, path: Path) -> None:
    sink(path).check()
    sink(tmp_path / "a" / "b" / "c.duckdb").check()
    assert list(tmp_path.iterdir()) == []
    imported(path, range(3))
    sink(path).check()


def test_a_place_without_permission_is_found_out_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)
    for missing in (tmp_path / "new.duckdb", tmp_path / "folder" / "new.duckdb"):
        with pytest.raises(SinkError, match="You have no permission to write"):
            sink(missing).check()
        sink(missing, dry_run=True).check()
