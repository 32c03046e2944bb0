"""``--to jsonl --events --out FILE``, run after run: a file that grows by what is new."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.event_rows import (
    LONG_AGO,
    Rows,
    events_in,
    run,
    stamp,
    stamped,
    titles_in,
    whole,
    why,
)


@pytest.fixture
def rows(rows: Rows) -> Rows:
    """Twelve plays: films and tracks, some given up, one without a user."""
    for number in range(12):
        kind = "track" if number % 3 == 2 else "movie"
        rows.add(f"Play {number}", media_type=kind, view_offset=number * 1000)
    rows.set("h.user_id", "", 5)
    return rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the events go."""
    return tmp_path / "out" / "events.jsonl"


def new_in(rows: Rows, out: Path, *options: str | Path) -> tuple[int, int, int]:
    """Run it, and tell how many rows were not read again, how many events are new, and in all."""
    report = out.with_name("report.json")
    run(rows, out, "--report", report, *options)
    told: dict[str, Any] = json.loads(report.read_bytes())
    plays, (output,) = told["plays"], told["outputs"]
    left = sum(plays["filtered"].values()) + sum(plays["rejected"].values())
    assert plays["read"] == left + plays["emitted"]
    assert output["emitted"] == plays["emitted"]
    return told["carried"], output["new"], output["total"]


# Night by night.


def test_the_first_run_writes_a_whole_file_and_nothing_beside_it(rows: Rows, out: Path) -> None:
    run(rows, out)
    assert out.read_bytes() == whole(rows)
    assert titles_in(out.read_bytes()) == [f"Play {n}" for n in range(12) if n != 4]
    assert [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize("size", ["1", "5", "11", "12", "200"])
def test_the_file_does_not_depend_on_the_page(rows: Rows, out: Path, size: str) -> None:
    run(rows, out, "--batch-size", size)
    assert out.read_bytes() == whole(rows)


def test_a_second_run_does_not_touch_it(rows: Rows, out: Path) -> None:
    run(rows, out)
    before = stamped(out)
    done = run(rows, out)
    assert stamp(out) == before
    assert [*out.parent.iterdir()] == [out]
    assert "Nothing new" in done.err
    assert run(rows, out, "--quiet").err == ""


def test_new_rows_are_added_at_its_end(rows: Rows, out: Path) -> None:
    run(rows, out)
    for night in range(3):
        before = out.read_bytes()
        for number in range(night + 1):
            rows.add(f"Night {night}, {number}")
        done = run(rows, out)
        assert why(done) == ""
        assert out.read_bytes().startswith(before)
        assert out.read_bytes() == whole(rows)


def test_only_what_is_new_is_read_and_all_of_it_is_told(rows: Rows, out: Path) -> None:
    out.parent.mkdir()
    assert new_in(rows, out) == (0, 11, 11)
    assert new_in(rows, out) == (12, 0, 11)
    rows.add("New")
    rows.add("A Clip", media_type="clip")
    assert new_in(rows, out) == (12, 1, 12)
    assert new_in(rows, out) == (14, 0, 12)


def test_rows_that_become_no_events_are_not_read_again_either(rows: Rows, out: Path) -> None:
    out.parent.mkdir()
    for _ in range(5):
        rows.add("A Clip", media_type="clip")
    assert new_in(rows, out) == (0, 11, 11)
    before = stamped(out)
    for _ in range(5):
        rows.add("A Clip", media_type="clip")
    assert new_in(rows, out) == (17, 0, 11)
    assert new_in(rows, out) == (22, 0, 11)
    assert stamp(out) == before


def test_a_history_of_nothing_but_clips_makes_an_empty_file_once(rows: Rows, out: Path) -> None:
    rows.set("h.media_type", "clip")
    run(rows, out)
    before = stamped(out)
    run(rows, out)
    assert stamp(out) == before
    assert out.read_bytes() == b""
    rows.add("A Film at Last")
    run(rows, out)
    assert titles_in(out.read_bytes()) == ["A Film at Last"]


def test_an_empty_history_makes_an_empty_file_once(rows: Rows, out: Path) -> None:
    rows.delete(*range(1, 13))
    run(rows, out)
    before = stamped(out)
    run(rows, out)
    assert stamp(out) == before
    assert out.read_bytes() == b""
    rows.add("A Film at Last")
    run(rows, out)
    assert titles_in(out.read_bytes()) == ["A Film at Last"]


def test_an_event_that_was_delivered_stays_as_it_was(rows: Rows, out: Path) -> None:
    """Whatever Tautulli changes about its row: metadata refreshed, plays grouped, a pause more."""
    run(rows, out)
    before = out.read_bytes()
    rows.set("m.title", "Renamed", 2)
    rows.set("h.stopped", 1_700_000_000, 3)
    rows.set("h.reference_id", 1, 4)
    rows.set("users.friendly_name", "Alicia")
    done = run(rows, out)
    assert why(done) == ""
    assert out.read_bytes() == before
    rows.add("New")
    run(rows, out)
    assert out.read_bytes().startswith(before)
    assert events_in(out.read_bytes())[-1]["friendly_name"] == "Alicia"


def test_restart_writes_it_anew_as_the_rows_are_now(rows: Rows, out: Path) -> None:
    run(rows, out)
    rows.set("m.title", "Renamed", 2)
    done = run(rows, out, "--restart")
    assert why(done) == ""  # it was asked for
    assert out.read_bytes() == whole(rows)
    assert "Renamed" in titles_in(out.read_bytes())
    before = stamped(out)
    run(rows, out)
    assert stamp(out) == before


# When other plays stand under the old numbers.


def test_deleted_plays_leave_the_file_and_that_is_said(rows: Rows, out: Path) -> None:
    run(rows, out)
    rows.delete(3, 4)
    done = run(rows, out)
    assert why(done) == "2 old plays were deleted"
    assert out.read_bytes() == whole(rows)
    assert "Play 2" not in titles_in(out.read_bytes())
    assert why(run(rows, out)) == ""


def test_a_restored_backup_is_delivered_again_and_that_is_said(rows: Rows, out: Path) -> None:
    backup = rows.backup()
    rows.add("Lost 1", user_id=2)
    rows.add("Lost 2")
    run(rows, out)
    rows.replace(backup)
    rows.add("After the Backup", started=1_700_000_001)
    done = run(rows, out)
    assert "backup" in why(done)
    assert out.read_bytes() == whole(rows)
    assert titles_in(out.read_bytes())[-1] == "After the Backup"


def test_as_many_other_plays_under_the_same_numbers_are_noticed(rows: Rows, out: Path) -> None:
    backup = rows.backup()
    rows.add("Lost")
    run(rows, out)
    rows.replace(backup)
    rows.add("In Its Place", started=1_700_000_001)
    done = run(rows, out)
    assert why(done) == "old row numbers belong to other plays now"
    assert out.read_bytes() == whole(rows)


def test_plays_that_come_in_between_are_delivered(rows: Rows, out: Path) -> None:
    rows.delete(6)
    run(rows, out)
    rows.add("In Between", id=6, started=LONG_AGO)
    assert why(run(rows, out)) == "1 play was added between old ones"
    assert out.read_bytes() == whole(rows)


def test_another_history_is_refused_and_the_file_stays(rows: Rows, out: Path) -> None:
    run(rows, out)
    before = stamped(out)
    rows.set("h.started", LONG_AGO)
    done = rows.run("--to", "jsonl", "--out", out)
    assert done.code == 2
    assert "is not the database this command read last time" in " ".join(done.err.split())
    assert stamp(out) == before
    run(rows, out, "--restart")
    assert out.read_bytes() == whole(rows)


# Several choices, several databases, no checkpoint.


def test_each_choice_has_a_file_of_its_own(rows: Rows, tmp_path: Path) -> None:
    rows.set("h.user_id", 2, 3)
    files = {name: tmp_path / f"{name}.jsonl" for name in ("alice", "bob")}
    for _ in range(2):
        for name, path in files.items():
            assert why(run(rows, path, "--user", name)) == ""
        rows.add("Alice's")
        rows.add("Bob's", user_id=2)
    for name, path in files.items():
        run(rows, path, "--user", name)
        assert path.read_bytes() == whole(rows, "--user", name)


def test_another_choice_into_the_same_file_replaces_it_as_a_whole(rows: Rows, out: Path) -> None:
    run(rows, out)
    run(rows, out, "--media-type", "track")
    assert out.read_bytes() == whole(rows, "--media-type", "track")
    assert why(run(rows, out))
    assert out.read_bytes() == whole(rows)


def unremembered(rows: Rows, out: Path, how: str) -> None:
    """Run it in a manner of which nothing is remembered."""
    paths: list[str | Path] = [rows.path]
    stdin, more = b"", ["--since", "20000d"] if how == "days" else []
    if how == "several":
        paths.append(rows.backup())
    if how == "stdin":
        paths, stdin = ["-"], rows.path.read_bytes()
    done = rows.inside("db", *paths, "--events", "--to", "jsonl", "--out", out, *more, stdin=stdin)
    assert done.code == 0, done.err
    assert why(done) == ""


WAYS: Final = ("days", "several", "stdin")


@pytest.mark.parametrize("how", WAYS)
def test_what_nothing_is_remembered_of_is_written_as_a_whole_each_time(
    rows: Rows, out: Path, how: str
) -> None:
    for title in ("Play 1", "Renamed"):
        rows.set("m.title", title, 2)
        unremembered(rows, out, how)
        assert out.read_bytes() == whole(rows)
        assert [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize("how", WAYS)
def test_a_file_that_would_be_the_same_is_not_touched_though_nothing_is_remembered(
    rows: Rows, out: Path, how: str
) -> None:
    unremembered(rows, out, how)
    before = stamped(out)
    unremembered(rows, out, how)
    assert stamp(out) == before
    assert [*out.parent.iterdir()] == [out]


def test_of_a_damaged_database_what_can_be_read_stands_in_the_file_once(
    rows: Rows, out: Path
) -> None:
    """Everything is read again each time: what is missing may come back."""
    rows.generate(400)
    intact = rows.backup()
    rows.damage()
    expected = rows.run("--dry-run", "--salvage").out.encode()
    out.parent.mkdir()
    report = out.with_name("report.json")
    options = ("--to", "jsonl", "--out", out, "--batch-size", "50", "--report", report)
    assert rows.run(*options).code == 7
    assert not out.exists()
    for _ in range(3):
        done = rows.run(*options, "--salvage")
        assert done.code == 7
        assert out.read_bytes() == expected
        told = json.loads(report.read_bytes())
        assert told["outputs"][0]["total"] == len(events_in(expected))
        assert told["plays"]["read"] == 400
    assert told["carried"] == 0
    rows.replace(intact)
    run(rows, out)
    assert out.read_bytes() == whole(rows)
    assert len(events_in(out.read_bytes())) > len(events_in(expected))


# A dry run.


def test_a_dry_run_writes_nothing_and_notes_nothing(
    rows: Rows, out: Path, environment: dict[str, str]
) -> None:
    state = Path(environment["XDG_STATE_HOME"])
    assert rows.run("--to", "jsonl", "--out", out, "--dry-run").out.encode() == whole(rows)
    assert not out.parent.exists()
    assert [*state.iterdir()] == []
    run(rows, out)
    before = stamped(out)
    (path,) = state.rglob("*.db")
    rows.add("New")
    with closing(sqlite3.connect(path)) as conn:
        noted = conn.execute("SELECT * FROM jobs").fetchall()
    done = rows.run("--to", "jsonl", "--out", out, "--dry-run")
    assert titles_in(done.out) == ["New"]  # that is what would be added
    assert stamp(out) == before
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT * FROM jobs").fetchall() == noted
    run(rows, out)
    assert out.read_bytes() == whole(rows)


def test_a_dry_run_with_restart_forgets_nothing(rows: Rows, out: Path) -> None:
    run(rows, out)
    before = stamped(out)
    done = rows.run("--to", "jsonl", "--out", out, "--dry-run", "--restart")
    assert done.out.encode() == whole(rows)
    run(rows, out)
    assert stamp(out) == before
