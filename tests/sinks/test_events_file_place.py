"""A file of events that is gone, cut, somebody else's, or may not be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.event_rows import Rows, run, stamp, stamped, whole, why


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


# When the file is not the one that was left.


def test_a_file_that_is_gone_is_written_anew_and_that_is_said(rows: Rows, out: Path) -> None:
    run(rows, out)
    out.unlink()
    done = run(rows, out)
    assert why(done) == "the output does not have, or does not show, the events of earlier runs"
    assert out.read_bytes() == whole(rows)


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_file_that_was_cut_is_written_anew(rows: Rows, out: Path, kept: int) -> None:
    run(rows, out)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:kept]))
    assert why(run(rows, out))
    assert out.read_bytes() == whole(rows)


def test_a_file_with_another_last_line_is_written_anew(rows: Rows, out: Path) -> None:
    run(rows, out)
    out.write_bytes(out.read_bytes().replace(b"Play 11", b"Play XX"))
    assert why(run(rows, out))
    assert out.read_bytes() == whole(rows)


def test_events_of_another_history_in_its_place_are_not_added_to(
    rows: Rows, out: Path, tmp_path: Path
) -> None:
    run(rows, out)
    other = tmp_path / "other.jsonl"
    run(rows, other, "--server-id", "attic")
    other.replace(out)
    rows.add("New")
    assert why(run(rows, out))
    assert out.read_bytes() == whole(rows)


def test_a_copy_of_it_can_stand_in_its_place(rows: Rows, out: Path) -> None:
    """As after a move to another disk: the bytes count, not the file."""
    run(rows, out)
    content = out.read_bytes()
    out.unlink()
    out.write_bytes(content)
    rows.add("New")
    assert why(run(rows, out)) == ""
    assert out.read_bytes() == whole(rows)


@pytest.mark.parametrize(
    "content",
    [
        b'{"key":"tmdb:603","type":"movie"}\n',
        b"notes of mine\n",
        b'{"schema": 1}',
        b"\n",
        b'{"schema_version"',
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_file_of_another_kind_is_refused_and_stays(
    rows: Rows, out: Path, content: bytes, *, is_first: bool
) -> None:
    out.parent.mkdir()
    if not is_first:
        run(rows, out)
    out.write_bytes(content)
    for extra in ((), ("--restart",), ("--dry-run",)):
        done = rows.run("--to", "jsonl", "--out", out, *extra)
        assert done.code == 8
        assert "is not a file of events" in " ".join(done.err.split())
        assert out.read_bytes() == content
        assert [*out.parent.iterdir()] == [out]


def test_an_empty_file_is_nobodys(rows: Rows, out: Path) -> None:
    out.parent.mkdir()
    out.touch()
    run(rows, out)
    assert out.read_bytes() == whole(rows)


def test_a_directory_is_refused(rows: Rows, out: Path) -> None:
    out.mkdir(parents=True)
    done = rows.run("--to", "jsonl", "--out", out)
    assert done.code == 8
    assert "irectory" in done.err
    assert [*out.iterdir()] == []
    assert [*out.parent.iterdir()] == [out]


def test_a_link_stays_one_and_its_file_is_the_one_that_grows(rows: Rows, out: Path) -> None:
    out.parent.mkdir()
    real = out.parent / "elsewhere" / "real.jsonl"
    real.parent.mkdir()
    out.symlink_to(real)
    run(rows, out)
    rows.add("New")
    run(rows, out)
    assert out.is_symlink()
    assert real.read_bytes() == whole(rows)
    assert why(run(rows, real)) == ""  # the same file, and the same checkpoint
    assert sorted(path.name for path in out.parent.iterdir()) == ["elsewhere", "events.jsonl"]


# Permissions.


def test_a_directory_that_may_not_be_written_is_a_clear_error(
    rows: Rows, out: Path, bound: Callable[..., tuple[int, str, str]]
) -> None:
    out.parent.mkdir()
    out.parent.chmod(0o555)
    command = ("db", rows.path, "--to", "jsonl", "--events", "--out", out)
    code, _, err = bound(*command)
    assert (code, "Traceback" in err, "You have no permission" in err) == (8, False, True)
    assert [*out.parent.iterdir()] == []
    out.parent.chmod(0o755)
    assert bound(*command)[0] == 0
    assert out.read_bytes() == whole(rows)
    out.parent.chmod(0o555)
    code, _, err = bound(*command)
    assert (code, "Nothing new" in err) == (0, True)
    rows.add("New")
    assert bound(*command)[0] == 0  # the file itself may be written
    assert out.read_bytes() == whole(rows)


def test_a_file_that_may_not_be_written_is_a_clear_error_and_stays(
    rows: Rows, out: Path, bound: Callable[..., tuple[int, str, str]]
) -> None:
    run(rows, out)
    rows.add("New")
    out.chmod(0o444)
    before = stamped(out)
    command = ("db", rows.path, "--to", "jsonl", "--events", "--out", out)
    code, _, err = bound(*command)
    assert (code, "Traceback" in err, "ermission denied" in err) == (8, False, True)
    assert stamp(out) == before
    out.chmod(0o644)
    assert bound(*command)[0] == 0
    assert out.read_bytes() == whole(rows)


EVENT = '{"schema_version":1,"event_id":"by another program"}\n'


@pytest.mark.parametrize("foreign", ['{"mine": 1}\n', "# seen in 2024\n", "\n", EVENT, EVENT[:20]])
@pytest.mark.parametrize("new", [True, False])
def test_what_somebody_else_appended_is_not_lost(
    rows: Rows, out: Path, foreign: str, *, new: bool
) -> None:
    run(rows, out)
    with out.open("a", encoding="utf-8") as file:
        file.write(foreign)
    content = out.read_bytes()
    if new:
        rows.add("New")
    done = rows.inside("db", rows.path, "--to", "jsonl", "--events", "--out", out)
    assert done.code == 8
    assert "would be lost" in done.err
    assert out.read_bytes() == content


def test_events_that_somebody_else_appended_go_only_with_restart(rows: Rows, out: Path) -> None:
    run(rows, out)
    with out.open("a", encoding="utf-8") as file:
        file.write(EVENT)
    done = rows.inside("db", rows.path, "--to", "jsonl", "--events", "--out", out)
    assert f"{out} has {len(EVENT)} bytes more than the last run wrote" in done.err
    assert "add --restart" in done.err
    run(rows, out, "--restart")
    assert out.read_bytes() == whole(rows)
