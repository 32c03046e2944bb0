"""A file of events, and a run that is killed, stopped, held up, or finds the disk full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.event_rows import Rows, run, titles_in, whole, why
from tests.support.products import rarely
from tests.support.running import ROOT, Gate, Program, Programs, to_go_on

PAGE: Final = ("--batch-size", "2")


@pytest.fixture
def rows(rows: Rows) -> Rows:
    """Ten plays: five pages."""
    for number in range(10):
        rows.add(f"Play {number}", view_offset=number * 1000)
    return rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the events go."""
    return tmp_path / "out" / "events.jsonl"


def command(rows: Rows, out: Path) -> list[str | Path]:
    """Return the command, two rows a page."""
    return ["db", rows.path, "--to", "jsonl", "--events", "--out", out, *PAGE]


def held_up(
    place: str, rows: Rows, out: Path, running: Programs, name: str = ""
) -> tuple[Program, Gate]:
    """Start it, and wait until it has come to a place of ``tests.support.held_up``."""
    gate = running.gate(name or place.replace(":", "-"))
    program = running.start(*command(rows, out), at=(place, gate))
    gate.reached(program)
    return program, gate


def killed_at(place: str, rows: Rows, out: Path, running: Programs, name: str = "") -> None:
    """Start it, and kill it when it has come to a place of ``tests.support.held_up``."""
    program, gate = held_up(place, rows, out, running, name)
    program.killed()
    gate.shut()


def carried(rows: Rows, out: Path) -> int:
    """Run it to its end; how many rows were not read again. Nothing is said of a repetition."""
    report = out.parent.parent / "report.json"
    assert why(run(rows, out, "--report", report)) == ""
    return int(json.loads(report.read_bytes())["carried"])


# Killed.


@pytest.mark.parametrize(
    ("place", "known"),
    [
        ("page:0", 0),
        ("page:3", 0),
        ("lines:2", 0),
        ("noted-page:1", 2),
        ("noted-page:4", 8),
        ("noted-lines:0", 0),
        ("noted-lines:3", 6),
        ("noted-lines:4", 8),
        ("name:0", 10),
        ("noted-name:0", 10),
    ],
)
def test_killed_while_it_is_built_there_is_no_file_yet_and_the_next_run_goes_on(
    rows: Rows, out: Path, running: Programs, place: str, known: int
) -> None:
    killed_at(place, rows, out, running)
    assert not out.exists()
    assert carried(rows, out) == known
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]
    assert "Nothing new" in run(rows, out).err


@pytest.mark.parametrize("place", ["name:1", "noted-name:1"])
def test_killed_when_it_has_its_name_it_is_whole(
    rows: Rows, out: Path, running: Programs, place: str
) -> None:
    killed_at(place, rows, out, running)
    assert out.read_bytes() == whole(rows)
    before = out.stat().st_ino
    assert carried(rows, out) == 10
    rows.add("New")
    assert carried(rows, out) == 10
    assert out.read_bytes() == whole(rows)
    assert out.stat().st_ino == before


@pytest.mark.parametrize(
    ("place", "known"),
    [
        ("page:0", 10),
        ("page:2", 10),
        ("lines:0", 10),
        ("lines:2", 10),
        ("noted-page:2", 14),
        ("noted-lines:0", 10),
        ("noted-lines:3", 16),
    ],
)
def test_killed_while_it_grows_it_keeps_what_it_had_and_the_next_run_cuts_off_the_rest(
    rows: Rows, out: Path, running: Programs, place: str, known: int
) -> None:
    run(rows, out)
    before = out.read_bytes()
    for number in range(8):
        rows.add(f"New {number}")
    killed_at(place, rows, out, running)
    assert out.read_bytes().startswith(before)
    assert carried(rows, out) == known
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]
    assert "Nothing new" in run(rows, out).err


@pytest.mark.parametrize("is_first", [True, False])
def test_nothing_is_left_of_plays_that_are_deleted_before_the_next_run(
    rows: Rows, out: Path, running: Programs, *, is_first: bool
) -> None:
    """They are in the file, in part or whole, and beyond what is noted of it."""
    if not is_first:
        run(rows, out)
        for number in range(10):
            rows.add(f"New {number}")
    killed_at("noted-lines:3", rows, out, running)
    known = 6 if is_first else 16
    rows.delete(*range(known + 1, known + 5))
    assert carried(rows, out) == known
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


def test_killed_again_and_again_it_comes_to_the_same_end(
    rows: Rows, out: Path, running: Programs
) -> None:
    for turn, place in enumerate(["noted-page:1", "noted-lines:1", "lines:0", "noted-page:2"]):
        killed_at(place, rows, out, running, name=str(turn))
        assert not out.exists()
    assert carried(rows, out) == 8
    assert out.read_bytes() == whole(rows)
    for turn, place in enumerate(["lines:0", "noted-lines:1", "noted-page:1", "page:0"], start=4):
        rows.add(f"New {turn}")
        rows.add(f"Newer {turn}")
        rows.add(f"Newest {turn}")
        killed_at(place, rows, out, running, name=str(turn))
    assert carried(rows, out) > 10
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


def test_while_it_is_written_anew_the_old_one_stays_until_the_new_one_is_whole(
    rows: Rows, out: Path, running: Programs
) -> None:
    run(rows, out)
    before = out.read_bytes()
    rows.delete(3)
    for place in ("page:2", "noted-lines:3", "name:0"):
        killed_at(place, rows, out, running)
        assert out.read_bytes() == before
    assert carried(rows, out) == 9
    assert out.read_bytes() == whole(rows)
    assert "Play 2" not in titles_in(out.read_bytes())
    assert [*out.parent.iterdir()] == [out]


def test_events_that_were_on_their_way_stay_as_they_were(
    rows: Rows, out: Path, running: Programs
) -> None:
    expected = whole(rows)
    killed_at("noted-page:2", rows, out, running)
    rows.set("m.title", "Renamed", 1)
    assert carried(rows, out) == 4
    assert out.read_bytes() == expected


def test_another_history_that_comes_between_is_delivered_from_its_first_row(
    rows: Rows, out: Path, running: Programs
) -> None:
    backup = rows.backup()
    rows.delete(2)
    killed_at("noted-page:3", rows, out, running)
    rows.replace(backup)
    assert why(run(rows, out)) == "1 play was added between old ones"
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize("what", ["gone", "cut", "other"])
def test_a_half_built_file_that_is_not_what_it_was_is_built_anew(
    rows: Rows, out: Path, running: Programs, what: str
) -> None:
    killed_at("noted-page:3", rows, out, running)
    (half,) = out.parent.glob(".events.jsonl.*.unfinished")
    content = half.read_bytes()
    half.unlink()
    if what == "cut":
        half.write_bytes(content[:-1])
    if what == "other":
        half.write_bytes(b"x" * len(content))
    assert why(run(rows, out))
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


def test_restart_after_a_kill_begins_anew(rows: Rows, out: Path, running: Programs) -> None:
    killed_at("noted-page:3", rows, out, running)
    rows.set("m.title", "Renamed", 1)
    assert why(run(rows, out, "--restart")) == ""
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


def test_a_dry_run_after_a_kill_shows_what_is_left_and_leaves_it(
    rows: Rows, out: Path, running: Programs
) -> None:
    killed_at("noted-lines:3", rows, out, running)
    before = {path: path.read_bytes() for path in out.parent.iterdir()}
    done = rows.run("--to", "jsonl", "--out", out, "--dry-run", *PAGE)
    assert titles_in(done.out) == [f"Play {number}" for number in range(6, 10)]
    assert {path: path.read_bytes() for path in out.parent.iterdir()} == before
    assert carried(rows, out) == 6
    assert out.read_bytes() == whole(rows)


# Stopped, and not alone.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", ["page:2", "lines:1", "name:0"])
def test_stopped_by_a_signal_it_says_how_to_go_on(
    rows: Rows, out: Path, running: Programs, *, place: str, number: signal.Signals
) -> None:
    program, gate = held_up(place, rows, out, running)
    program.ask(number)
    if place != "page:2":  # a step that has begun is finished
        gate.open()
    done = program.ended()
    assert done.code == 128 + number, done.err
    assert "Traceback" not in done.err
    assert "--to jsonl --events" in to_go_on(done.err)
    if out.exists():
        assert place == "name:0"
        assert out.read_bytes() == whole(rows)
    assert carried(rows, out) == {"page:2": 4, "lines:1": 4, "name:0": 10}[place]
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]


def test_a_second_run_into_the_same_file_is_told_to_wait(
    rows: Rows, out: Path, running: Programs, tmp_path: Path
) -> None:
    first, gate = held_up("page:2", rows, out, running)
    elsewhere = ("--state-dir", tmp_path / "elsewhere")
    second = rows.run("--to", "jsonl", "--out", out, *elsewhere)
    assert second.code == 6, second.err
    gate.open()
    assert first.ended().code == 0
    assert out.read_bytes() == whole(rows)


def test_nobody_who_looks_sees_half_a_line(rows: Rows, out: Path, running: Programs) -> None:
    """A reader of the file while it is made sees none at all, or all of it."""
    program, gate = held_up("lines:2", rows, out, running)
    assert not out.exists()
    gate.open()
    assert program.ended().code == 0
    assert out.read_bytes() == whole(rows)


# No room.

FULL: Final = """
set -e
mount -t tmpfs -o size={size} none "$1"
shift
"$@" 2>said && exit 99 || code=$?
cat said >&2
ls -A "$OLDPWD_OUT"
if [ -e "$OLDPWD_OUT/events.jsonl" ]; then cp "$OLDPWD_OUT/events.jsonl" kept.jsonl; fi
mount -o remount,size=10m "$OLDPWD_OUT"
"$@" 2>>said
ls -A "$OLDPWD_OUT"
cp "$OLDPWD_OUT/events.jsonl" whole.jsonl
exit $code
"""


def unshare(folder: Path) -> list[str]:
    """Return the words before a command that mounts a file system of its own, or skip the test."""
    program = shutil.which("unshare") or ""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    for options in (["-m"], ["-r", "-m"]):
        trial = [program, *options, *mount]
        if program and not subprocess.run(trial, capture_output=True, check=False).returncode:
            return [program, *options]
    pytest.skip("nothing may be mounted here")


def on_a_full_disk(
    rows: Rows, out: Path, environment: dict[str, str], size: str
) -> subprocess.CompletedProcess[str]:
    """Run it where there is room for so much, and again in the same place with room enough."""
    out.parent.mkdir(exist_ok=True)
    program = [sys.executable, "-m", "tautulli_import", *map(str, command(rows, out))]
    script = FULL.format(size=size)
    return subprocess.run(
        [*unshare(out.parent), "sh", "-c", script, "sh", str(out.parent), *program],
        capture_output=True,
        text=True,
        cwd=rows.folder,
        env={**environment, "PYTHONPATH": str(ROOT), "OLDPWD_OUT": str(out.parent)},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("size", rarely(["4k", "16k"], ["16k"]))
def test_a_full_disk_is_a_clear_error_and_leaves_no_file_by_that_name(
    rows: Rows, out: Path, environment: dict[str, str], size: str
) -> None:
    for number in range(40):
        rows.add(f"More {number}")
    done = on_a_full_disk(rows, out, environment, size)
    assert done.returncode == 8, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (rows.folder / "kept.jsonl").exists()
    assert done.stdout.split()[-1] == "events.jsonl"
    assert done.stdout.count(".unfinished") <= 1  # not after the second run
    assert (rows.folder / "whole.jsonl").read_bytes() == whole(rows)


def test_a_file_may_not_grow_any_more_and_keeps_what_it_had(
    rows: Rows, out: Path, running: Programs
) -> None:
    """The kernel takes what fits, and then nothing (``EFBIG``)."""
    run(rows, out)
    before = out.read_bytes()
    for number in range(200):
        rows.add(f"New {number}", player="x" * 2000)
    blocks = 300_000 // 512
    program = running.start(
        *command(rows, out), within=("sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh")
    )
    done = program.ended()
    assert done.code == 8, done.err
    assert "Traceback" not in done.err
    assert out.read_bytes().startswith(before)
    assert os.path.getsize(out) <= 300_032  # noqa: PTH202 - the number is what it is about
    run(rows, out)
    assert out.read_bytes() == whole(rows)
    assert [*out.parent.iterdir()] == [out]
