"""`status` and `stop`: what a person, or a program, is told of imports, and ending one."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import SinkError
from tautulli_import.interrupts import Stopped
from tautulli_import.state import runs
from tautulli_import.state.file import StateFile
from tautulli_import.state.lock import Holder, Lock
from tautulli_import.state.runs import Run, RunLog, last_run, lock_of
from tests.conftest import Result
from tests.support.crosswatch import TOKEN
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.over_http import DAY, Home
from tests.support.running import Program, Programs, Unanswered, to_go_on
from tests.support.tautulli import KEY, FakeTautulli
from tests.support.waiting import SOON

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHAPE = {
    "id": int,
    "status": str,
    "line": str,
    "pid": int,
    "source": str,
    "targets": list,
    "began": float,
    "updated": float,
    "ended": float | None,
    "phase": str,
    "phase_began": float,
    "done": int,
    "carried": int,
    "total": int,
    "error": str,
    "next_step": str,
    "exit_code": int | None,
    "said": str,
    "percent": float | None,
    "plays_per_second": int | None,
    "seconds_left": float | None,
    "began_at": str,
    "updated_at": str,
    "ended_at": str | None,
}


@pytest.fixture
def state_dir(environment: Mapping[str, str]) -> Path:
    """Where the program remembers things."""
    return Path(environment["XDG_STATE_HOME"]) / "tautulli-import"


class Clock:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def time(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock by which runs are written down."""
    made = Clock()
    monkeypatch.setattr(runs, "time", made)
    return made


class Written:
    """Runs in a state file, written down without importing anything."""

    def __init__(self, folder: Path, source: str) -> None:
        self.state = StateFile(folder, source)
        assert self.state.path is not None
        self.path = self.state.path
        self.lock = lock_of(self.path)
        self.source = source

    def log(self, line: str = "tautulli-import db a.db", target: str = "tracker=/t") -> RunLog:
        """Return the log of a run that begins."""
        return RunLog(self.state, line, self.source, (target,))

    def holding(self) -> None:
        """As of a process that lives."""
        assert self.lock.take()

    @property
    def last(self) -> Run:
        """The last of them, as others see it."""
        found = last_run(self.path)
        assert found is not None
        return found

    def close(self) -> None:
        """As of a process that has ended."""
        self.lock.release()
        self.state.close()


@pytest.fixture
def written(state_dir: Path) -> Iterator[Written]:
    """Yield a state file of one database."""
    with closing(Written(state_dir, "file:///films/tautulli.db")) as made:
        yield made


def told(inside: Inside, *options: str | Path) -> list[dict[str, Any]]:
    """Return the runs of `status --json`."""
    done = inside("status", "--json", *options)
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    assert answer.keys() == {"schema", "runs"}
    assert answer["schema"] == 1
    found: list[dict[str, Any]] = answer["runs"]
    for run in found:
        assert run.keys() == SHAPE.keys()
        for name, kind in SHAPE.items():
            assert isinstance(run[name], kind), name
    return found


# Nothing, and what is over.


def test_before_the_first_import_there_is_nothing(inside: Inside, state_dir: Path) -> None:
    assert inside("status") == Result(0, "Nothing has been imported yet.\n", "")
    assert told(inside) == []
    assert not state_dir.exists()


def test_a_completed_import_says_what_came_of_it(inside: Inside, history: Path) -> None:
    assert inside("db", history, "--to", "tracker").code == 0
    (run,) = told(inside)
    assert (run["status"], run["exit_code"], run["percent"]) == ("completed", 0, 100.0)
    assert (run["error"], run["next_step"], run["seconds_left"]) == ("", "", None)
    assert run["said"] == "4 new and 0 updated of 4 plays"
    assert run["line"].startswith("tautulli-import")
    lines = inside("status").out.splitlines()
    assert lines[0].startswith(f"{history} → tracker={os.path.realpath(os.curdir)}")
    assert lines[1].startswith("  completed, 20")
    assert lines[1].endswith(": 4 new and 0 updated of 4 plays")
    assert len(lines) == 2
    assert inside("db", history, "--to", "tracker").code == 0
    (run,) = told(inside)
    assert run["said"] == "nothing new among 4 plays"


def test_a_failed_import_says_why_and_what_to_do(inside: Inside, history: Path) -> None:
    assert inside("db", history, "--to", "tracker", "--user", "nobody").code == 5
    (run,) = told(inside)
    assert (run["status"], run["exit_code"]) == ("failed", 5)
    assert "nobody" in run["error"]
    assert run["next_step"]
    out = inside("status").out
    assert "  failed with exit code 5, 20" in out
    assert f"  {run['error']}\n  Next: {run['next_step']}\n" in out


def test_a_mistyped_run_does_not_hide_the_last_good_one(inside: Inside, history: Path) -> None:
    assert inside("db", history, "--to", "tracker", "--all-users").code == 0
    for wrong, code in (("--user=nobody", 5), ("--since=soon", 2)):
        assert inside("db", history, "--to", "tracker", wrong).code == code
    attempt, good = told(inside)
    assert (attempt["status"], attempt["exit_code"]) == ("failed", 2)
    assert (good["status"], good["said"]) == ("completed", "4 new and 0 updated of 4 plays")
    lines = inside("status").out.splitlines()
    assert lines[0].startswith(f"{history} → tracker=")
    assert lines[1].startswith("  completed, 20")
    assert lines[2].startswith("  The last attempt failed with exit code 2, 20")
    assert lines[3:] == [f"  {attempt['error']}", f"  Next: {attempt['next_step']}"]

    assert inside("db", history, "--to", "tracker", "--all-users").code == 0
    (good,) = told(inside)
    assert good["said"] == "nothing new among 4 plays"


def test_over_http_a_mistyped_run_does_not_hide_the_last_good_one_either(
    inside: Inside, history: Path
) -> None:
    with FakeTautulli(history) as fake:
        command = ("api", "--to", "tracker", "--no-enrich")
        assert inside(*command, "--all-users", env=fake.environment).code == 0
        assert inside(*command, "--user", "nobody", env=fake.environment).code == 5
    assert [run["status"] for run in told(inside)] == ["failed", "completed"]


def test_a_run_that_broke_off_hides_the_good_one_before_it(
    inside: Inside, written: Written
) -> None:
    written.log().ended("done")
    log = written.log()
    log.begin("reading", 100)
    log.failed(SinkError("the disk is full"), 8)
    (run,) = told(inside)
    assert (run["status"], run["exit_code"]) == ("failed", 8)


def test_an_import_that_found_fault_with_rows_counts_as_failed(
    inside: Inside, tmp_path: Path
) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        add_play(conn, media_type="episode", media_index="")
    assert inside("db", "a.db", "--to", "tracker", "--strict").code == 9
    (run,) = told(inside)
    assert (run["status"], run["exit_code"]) == ("failed", 9)


def test_a_database_that_is_not_there_and_has_an_odd_name(inside: Inside, tmp_path: Path) -> None:
    """What cannot be written down as text is no reason for another error."""
    name = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gone\xff.db"))
    done = inside("db", name, "--to", "tracker")
    assert done.code == 5, done.err
    assert "bug in" not in done.err


def test_a_failed_import_without_a_hint_is_to_be_run_again(written: Written) -> None:
    log = written.log()
    log.failed(SinkError("the disk is full"), 8)
    assert written.last.next_step == "tautulli-import db a.db"
    written.log().failed(RuntimeError("boom"), 1)
    assert written.last.error == "RuntimeError: boom"
    assert written.last.next_step == "tautulli-import db a.db"
    written.log().failed(SinkError("full", hint="Make room."), 8)
    assert written.last.next_step == "Make room."


def test_a_cancelled_import_says_how_to_go_on(inside: Inside, written: Written) -> None:
    log = written.log("tautulli-import db 'my films.db'")
    log.begin("reading", 100)
    log.reached(41)
    log.failed(Stopped(signal.SIGTERM), 143)
    (run,) = told(inside)
    assert (run["status"], run["exit_code"], run["error"]) == ("cancelled", 143, "")
    assert run["percent"] == 41.0
    out = inside("status").out
    assert "  cancelled with exit code 143, " in out
    assert ", at: reading, 41 % (41 of 100 plays)" in out
    assert "  Next: tautulli-import db 'my films.db'\n" in out


def test_a_killed_import_is_told_as_failed(
    running: Programs, inside: Inside, history: Path
) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    (run,) = told(inside)
    assert (run["status"], run["pid"]) == ("running", program.pid)
    program.killed()
    (run,) = told(inside)
    assert run["status"] == "failed"
    assert "the process was killed" in run["error"]
    assert run["next_step"] == run["line"]
    assert f"--to tracker --config-ini {running.folder}" in run["line"]
    assert f"  Next: {run['line']}\n" in inside("status").out
    assert inside("db", history, "--to", "tracker").code == 0
    (run,) = told(inside)
    assert run["status"] == "completed"


def test_a_dry_run_is_no_import(inside: Inside, history: Path, state_dir: Path) -> None:
    assert inside("db", history, "--to", "tracker", "--dry-run").code == 0
    assert told(inside) == []
    assert inside("db", history, "--to", "tracker").code == 0
    assert inside("db", history, "--to", "tracker", "--dry-run", "--user", "nobody").code == 5
    (run,) = told(inside)
    assert run["status"] == "completed"
    assert state_dir.exists()


def test_the_last_hundred_runs_are_kept(written: Written) -> None:
    for number in range(103):
        written.log(f"line {number}").ended("done")
    connection = written.state.conn
    (count,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    assert count <= 101
    assert written.last.line == "line 102"
    assert written.last.id == 103


# What is running.


def test_how_far_it_is_how_fast_and_how_long_it_takes(
    inside: Inside, written: Written, clock: Clock
) -> None:
    log = written.log()
    written.holding()
    (run,) = told(inside)
    assert (run["phase"], run["percent"], run["plays_per_second"]) == ("starting", None, None)
    clock.now += 5
    log.begin("reading", 1_000)
    (run,) = told(inside)
    assert (run["phase"], run["percent"], run["seconds_left"]) == ("reading", 0.0, None)
    clock.now += 4
    log.reached(400)
    (run,) = told(inside)
    assert (run["percent"], run["plays_per_second"], run["seconds_left"]) == (40.0, 100, 6.0)
    lines = inside("status").out.splitlines()
    assert lines[1].startswith(f"  running since 2025-06-15 15:06:40 UTC (process {os.getpid()}): ")
    assert lines[1].endswith(": reading, 40 % (400 of 1,000 plays), 100 plays/s, about 6 s left")
    assert lines[2] == "  End it with: tautulli-import stop"


def test_after_a_resume_the_share_counts_all_and_the_speed_only_this_run(
    written: Written, clock: Clock
) -> None:
    log = written.log()
    written.holding()
    log.begin("reading", 1_000, 800)
    assert (written.last.percent, written.last.per_second) == (80.0, None)
    clock.now += 2
    log.reached(820)
    found = written.last
    assert (found.percent, found.per_second, found.seconds_left) == (82.0, 10, 18)


def test_a_resumed_stream_of_events_tells_where_it_goes_on(
    running: Programs, inside: Inside, history: Path
) -> None:
    place = ("--events", "--to", "jsonl", "--out", "events.jsonl")
    command = ("db", history, *place, "--batch-size", "1")
    gate = running.gate("first")
    program = running.start(*command, at=("page:2", gate))
    gate.reached(program)
    program.stopped(signal.SIGTERM)
    gate = running.gate("second")
    program = running.start(*command, at=("page:0", gate))
    gate.reached(program)
    (run,) = told(inside)
    assert (run["status"], run["done"], run["carried"], run["percent"]) == ("running", 2, 2, 50.0)
    assert (run["plays_per_second"], run["seconds_left"]) == (None, None)


def test_a_resumed_crawl_tells_where_it_goes_on(
    running: Programs, inside: Inside, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    with closing(Home(tmp_path / "server")) as home:
        for number in range(60):
            home.film(title=f"Film {number}", started=int(time.time()) - (number + 1) * 30 * DAY)
        env = home.fake.environment
        command = ("api", "--to", "tracker", "--no-enrich")
        seen = []
        for number in (3, 3):
            unanswered = Unanswered("get_history", number)
            home.fake.faults[:] = [unanswered]
            program = running.start(*command, windows=10, env=env)
            unanswered.wait()
            (run,) = told(inside)
            seen.append((run["phase"], run["carried"], run["percent"]))
            assert run["source"] == home.fake.url
            program.stopped(signal.SIGTERM)
            unanswered.let_go()
        listed = json.loads(inside("checkpoint", "list", "--json").out)
        lines = inside("checkpoint", "list").out.splitlines()
    (first, second) = seen
    assert first[0] == second[0] == "fetching"
    assert listed["checkpoints"] == []
    (copy,) = listed["copies"]
    assert (copy["source"], copy["complete"]) == (home.fake.url, False)
    assert 60 > copy["plays"] >= second[1]
    said = f"{copy['plays']} plays from {copy['oldest_day']} on were read."
    assert lines == [f"{home.fake.url}: {said} The next import reads on from there."]
    assert second[1] > first[1]
    assert second[2] >= 100 * second[1] / 60 > first[2] > 0


def test_it_is_written_down_once_a_second_and_at_every_change(
    written: Written, clock: Clock
) -> None:
    log = written.log()
    written.holding()
    log.begin("reading", 1_000)
    clock.now += 0.4
    log.reached(100)
    assert written.last.done == 0
    clock.now += 0.7
    log.reached(200)
    assert written.last.done == 200
    log.begin("writing", 7)
    assert (written.last.phase, written.last.total) == ("writing", 7)
    assert written.last.updated == clock.now


def test_the_speed_at_a_stop_is_over_all_the_time_it_took(written: Written, clock: Clock) -> None:
    """What is written down once a second is a second old."""
    log = written.log()
    log.begin("reading", 1_000)
    clock.now += 1
    log.reached(100)
    clock.now += 0.9
    log.reached(190)
    assert log.run.per_second == pytest.approx(100)


def test_other_phases_have_their_own_measure(
    inside: Inside, written: Written, clock: Clock
) -> None:
    log = written.log()
    written.holding()
    log.begin("downloading", 300)
    clock.now += 2
    log.reached(30)
    assert "downloading, 10 % (30 of 300 MB), 15 MB/s, about 18 s left" in inside("status").out
    log.begin("asking for ids", 12)
    clock.now += 2
    log.reached(6)
    assert "asking for ids, 50 % (6 of 12 questions), 3 questions/s" in inside("status").out
    log.begin("searching", 0)
    clock.now += 2
    log.reached(6)
    told = inside("status").out.splitlines()[1]
    assert told.endswith(": searching bad rows, 6 requests, 3 requests/s")
    log.begin("writing", 40)
    assert inside("status").out.splitlines()[1].endswith(": writing")


def test_several_sources_are_told_the_last_one_first(
    inside: Inside, state_dir: Path, clock: Clock
) -> None:
    sources = [f"file:///{name}/tautulli.db" for name in ("one", "two", "three")]
    for source in sources:
        clock.now += 10
        with closing(Written(state_dir, source)) as written:
            written.log().ended("done")
    assert [run["source"] for run in told(inside)] == sources[::-1]
    assert [line for line in inside("status").out.splitlines() if " → " in line] == [
        f"/{name}/tautulli.db → tracker=/t" for name in ("three", "two", "one")
    ]


def test_only_the_newest_outputs_are_shown_and_how_to_see_the_others(
    inside: Inside, state_dir: Path, clock: Clock
) -> None:
    with closing(Written(state_dir, "file:///films/tautulli.db")) as written:
        for number in range(1, 13):
            clock.now += 10
            written.log(target=f"jsonl=/{number}").ended("done")
    newest = [f"/films/tautulli.db → jsonl=/{number}" for number in range(12, 2, -1)]
    shown = inside("status").out.splitlines()
    assert [line for line in shown if " → " in line] == newest
    assert shown[-1] == "… and 2 older ones. To list all: tautulli-import status --json"
    assert len(told(inside)) == 12


def test_a_running_import_is_shown_however_many_came_after_it(
    inside: Inside, state_dir: Path, clock: Clock
) -> None:
    with closing(Written(state_dir, "file:///slow.db")) as slow:
        slow.holding()
        slow.log()
        with closing(Written(state_dir, "file:///films/tautulli.db")) as written:
            for number in range(11):
                clock.now += 10
                written.log(target=f"jsonl=/{number}").ended("done")
        shown = inside("status").out
    assert "/slow.db → tracker=/t\n  running since" in shown
    assert "… and 1 older one." in shown


def test_a_nightly_import_that_fails_is_not_hidden_by_another_of_the_same_history(
    inside: Inside, history: Path
) -> None:
    def nightly(user: str) -> int:
        return inside("db", history, "--to", "tracker", "--out", user, "--all-users", "-q").code

    assert nightly("alice") == nightly("bob") == 0
    gone = Path("bob").rename("gone")
    Path("bob").write_text("no directory")
    assert (nightly("bob"), nightly("alice")) == (8, 0)
    good, failed, before = told(inside)
    assert (good["status"], good["said"]) == ("completed", "nothing new among 4 plays")
    bob = f"tracker={Path('bob').absolute()}"
    assert (failed["status"], failed["exit_code"], failed["targets"]) == ("failed", 8, [bob])
    assert (before["status"], before["targets"]) == ("completed", [bob])
    assert "  The last attempt failed with exit code 8, 20" in inside("status").out

    Path("bob").unlink()
    gone.rename("bob")
    assert nightly("bob") == 0
    assert [run["status"] for run in told(inside)] == ["completed", "completed"]


def test_an_output_that_is_gone_is_told(inside: Inside, history: Path) -> None:
    """Cron may send no mail, and the output is checked before anything is read."""
    command = ("db", history, "--to", "crosswatch", "--crosswatch-url", "http://127.0.0.1:9")
    env = {"CW_TOKEN": TOKEN}
    assert inside(*command, "--all-users", env=env).code == 3
    assert told(inside) == []  # of a source that was never read nothing is kept
    assert inside("db", history, "--to", "tracker", "--all-users").code == 0
    assert inside(*command, "--all-users", env=env).code == 3
    failed, good = told(inside)
    assert (failed["status"], failed["exit_code"]) == ("failed", 3)
    at = "http://127.0.0.1:9"
    assert failed["error"] == f"Cannot connect to CrossWatch at {at} (connection refused)."
    assert failed["next_step"].startswith("Check that CrossWatch is running")
    assert failed["ended"] is not None
    assert good["status"] == "completed"


def test_a_failed_dry_run_is_not_recorded(inside: Inside, history: Path) -> None:
    command = ("db", history, "--to", "tracker", "--all-users")
    assert inside(*command).code == 0
    Path("file").write_text("no directory")
    assert inside(*command, "--out", "file", "--dry-run").code == 8
    assert [run["status"] for run in told(inside)] == ["completed"]


def test_what_was_removed_is_told(inside: Inside, history: Path) -> None:
    command = ("db", history, "--to", "tracker", "--replace")
    assert inside(*command, "--all-users").code == 0
    assert inside(*command, "--all-users", "--media-type", "movie").code == 0
    (run,) = told(inside)
    assert run["said"] == "nothing new among 4 plays, and 1 removed from the output"


def test_another_state_directory_is_another_world(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    assert inside("db", history, "--to", "tracker", "--state-dir", "mine").code == 0
    assert told(inside) == []
    assert len(told(inside, "--state-dir", tmp_path / "mine")) == 1
    assert inside("status", env={"TAUTULLI_IMPORT_STATE_DIR": "mine"}).out != inside("status").out


@pytest.mark.parametrize(
    "content", [b"", b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_state_file_is_passed_by(
    inside: Inside, history: Path, state_dir: Path, content: bytes
) -> None:
    assert inside("db", history, "--to", "tracker").code == 0
    (state_dir / "damaged-0123.db").write_bytes(content)
    assert [run["status"] for run in told(inside)] == ["completed"]
    assert inside("stop").code == 0


def test_what_a_terminal_would_obey_is_shown_as_something_harmless(
    inside: Inside, state_dir: Path
) -> None:
    evil = "\x1b\x07\r\u202e"
    with closing(Written(state_dir, f"file:///{evil}")) as written:
        written.log(f"tautulli-import db '{evil}'", f"tracker={evil}").failed(
            SinkError(f"{evil} could not be written", hint=f"Look at {evil}."), 8
        )
        done = inside("status")
        assert not set(evil) & set(done.out)
        assert done.out.count("\ufffd") >= 4 * 4
        (run,) = told(inside)
        assert evil in run["source"]
        written.log(f"tautulli-import db '{evil}'")
        written.holding()
        assert not set(evil) & set(inside("status").out)


# Secrets.


def test_the_key_is_nowhere(running: Programs, inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with closing(Home(tmp_path / "server")) as home:
        home.films(20)
        place = home.fake.url.partition("://")[2]
        url = f"http://me:pass-word@{place}/?apikey={KEY}"
        unanswered = Unanswered("get_history", 1)
        home.fake.faults.append(unanswered)
        command = ("api", "--url", url, "--api-key", KEY, "--to", "tracker", "--no-enrich")
        program = running.start(*command)
        unanswered.wait()
        assert _with_a_secret(tmp_path) == []
        status = inside("status", "--json").out + inside("status").out
        busy = inside(*command)
        assert busy.code == 6
        assert f"process {program.pid}" in busy.err
        for said in (status, busy.err):
            assert KEY not in said
            assert "pass-word" not in said
        unanswered.let_go()
        done = program.ended()
        assert done.code == 0
        assert KEY not in done.err
        assert _with_a_secret(tmp_path) == []


def _with_a_secret(folder: Path) -> list[Path]:
    """Files in which a secret stands, but for the database of the server itself."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "server"
        if any(secret in path.read_bytes() for secret in (KEY.encode(), b"pass-word"))
    ]


# Watching.


def test_watching_ends_when_nothing_is_running(inside: Inside, history: Path) -> None:
    assert inside("status", "--watch") == Result(0, "Nothing has been imported yet.\n", "")
    assert inside("db", history, "--to", "tracker").code == 0
    assert inside("status", "--watch").out == inside("status").out
    assert inside("status", "--watch", "--json").out == inside("status", "--json").out


def test_watching_tells_what_changes_and_ends_with_the_run(
    running: Programs, history: Path
) -> None:
    program, gate = running.held_up(history, "--to", "tracker")
    watching = running.start("status", "--watch", "--json")
    out = watching.process.stdout
    assert out is not None
    first = json.loads(out.readline())
    assert [run["status"] for run in first["runs"]] == ["running"]
    gate.open()
    assert program.ended().code == 0
    done = watching.ended(SOON)
    assert (done.code, done.err) == (0, "")
    last = json.loads(done.out.splitlines()[-1])
    assert [run["status"] for run in last["runs"]] == ["completed"]


def test_watching_sees_that_a_run_was_killed(running: Programs, history: Path) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    watching = running.start("status", "--watch")
    out = watching.process.stdout
    assert out is not None
    assert out.readline().startswith(os.fsencode(history))
    program.killed()
    done = watching.ended(SOON)
    assert done.code == 0
    assert "the process was killed" in done.out


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Yield a terminal: our end of it and the program's."""
    ours, its = pty.openpty()
    try:
        yield ours, its
    finally:
        os.close(ours)
        os.close(its)


def _seen(ours: int, program: Program, wanted: bytes) -> bytes:
    """Return what has come to a terminal, up to what is wanted."""
    seen = b""
    os.set_blocking(ours, False)

    def look() -> bool:
        nonlocal seen
        with suppress(BlockingIOError):
            seen += os.read(ours, 65_536)
        return wanted in seen

    program.until(look)
    return seen


def test_on_a_terminal_watching_draws_in_the_same_place(running: Programs, history: Path) -> None:
    gate = running.gate("page")
    command = ("db", history, "--to", "tracker", "--batch-size", "1")
    program = running.start(*command, at=("page:2", gate))
    gate.reached(program)
    with terminal() as (ours, its):
        env = {"TERM": "xterm-256color", "COLUMNS": "300"}
        watching = running.start("status", "--watch", stdout=its, env=env)
        _seen(ours, watching, b"reading, ")
        gate.open(b"")
        assert program.ended().code == 0
        seen = _seen(ours, watching, b"completed")
        done = watching.ended(SOON)
    assert (done.code, done.err) == (0, "")
    assert b"\x1b[1A" in seen  # up, to what was drawn before
    assert b"\x1b[2K" in seen  # and away with it


def test_watching_can_be_left(running: Programs, history: Path) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    watching = running.start("status", "--watch")
    out = watching.process.stdout
    assert out is not None
    out.readline()
    done = watching.stopped(signal.SIGINT)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert program.process.poll() is None


# Stopping.


def test_stop_ends_it_and_says_how_to_go_on(
    running: Programs, inside: Inside, history: Path
) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    stopped = inside("stop")
    assert (stopped.code, stopped.out) == (0, "")
    assert stopped.err.startswith("Stopped. To go on: tautulli-import db ")
    done = program.ended(SOON)
    assert done.code == 143
    assert to_go_on(done.err) == stopped.err.strip().partition("To go on: ")[2]
    (run,) = told(inside)
    assert (run["status"], run["exit_code"]) == ("cancelled", 143)
    assert inside("stop") == Result(0, "", "Nothing is running.\n")


def test_with_nothing_running_there_is_nothing_to_stop(inside: Inside, history: Path) -> None:
    assert inside("stop") == Result(0, "", "Nothing is running.\n")
    assert inside("db", history, "--to", "tracker").code == 0
    assert inside("stop") == Result(0, "", "Nothing is running.\n")


def test_a_killed_run_is_not_stopped_again(
    running: Programs, inside: Inside, history: Path
) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    program.killed()
    assert inside("stop") == Result(0, "", "Nothing is running.\n")


def test_of_several_it_has_to_be_said_which(
    running: Programs, inside: Inside, history: Path, tmp_path: Path
) -> None:
    with closing(create(tmp_path / "other.db")) as conn:
        add_play(conn)
    one, _ = running.held_up(history, "--to", "tracker", "--out", "one", name="one")
    two, _ = running.held_up(tmp_path / "other.db", "--to", "tracker", "--out", "two", name="two")
    done = inside("stop")
    assert done.code == 2
    assert "2 imports are running" in done.err
    for program in (one, two):
        assert f"process {program.pid}: tautulli-import db " in done.err
        assert program.process.poll() is None
    assert "--all" in done.err
    done = inside("stop", "--all")
    assert (done.code, done.err.count("To go on: ")) == (0, 2)
    assert [program.ended(SOON).code for program in (one, two)] == [143, 143]


def test_what_cannot_be_told_to_stop_is_said(
    running: Programs,
    inside: Inside,
    history: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, _ = running.held_up(history, "--to", "tracker")

    def forbidden(_descriptor: int, number: int) -> None:
        assert number == signal.SIGTERM
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(signal, "pidfd_send_signal", forbidden)
    done = inside("stop")
    assert done.code == 1
    assert f"Process {program.pid} could not be stopped: Operation not permitted." in done.err
    assert "another user, or runs in another container" in done.err


def test_a_process_that_does_not_hold_the_lock_is_never_signalled(
    inside: Inside, written: Written
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        written.holding()
        written.lock.note(Holder(bystander.pid, bytes(written.path), 1, "tautulli-import db a.db"))
        done = inside("stop")
        assert done.code == 1
        said = " ".join(done.err.split())
        assert f"Process {bystander.pid} could not be stopped" in said
        assert "it is not the process that holds the lock" in said
        assert bystander.poll() is None
        bystander.kill()


def test_what_cannot_be_told_to_stop_does_not_keep_the_others_running(
    running: Programs,
    inside: Inside,
    history: Path,
    state_dir: Path,
) -> None:
    program, _ = running.held_up(history, "--to", "tracker")
    with closing(Written(state_dir, "file:///a/a.db")) as foreign:
        foreign.holding()
        foreign.lock.note(Holder(4_000_000, bytes(foreign.path), 1, "tautulli-import db a.db"))
        done = inside("stop", "--all")
    assert done.code == 1
    assert program.ended(SOON).code == 143


def test_stop_does_not_wait_forever_for_what_is_being_written(
    running: Programs, inside: Inside, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = running.gate("write")
    program = running.start("db", history, "--to", "tracker", at=("write:0", gate))
    gate.reached(program)
    monkeypatch.setattr("tautulli_import.state.stop._STOP_SECONDS", 0.2)
    done = inside("stop")
    assert done.code == 6
    assert "still finishing what it was writing" in done.err
    gate.open()
    assert program.ended(SOON).code == 143


def test_stop_ends_nobody_on_the_word_of_a_killed_run(
    inside: Inside, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock was taken a moment ago, and who has it has not said so yet."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        Path(written.lock.path).write_bytes(
            b'{"pid":%d,"state":"","run":1,"line":"of one that was killed"}' % bystander.pid
        )
        written.holding()
        monkeypatch.setattr("tautulli_import.state.stop._STOP_SECONDS", 0.2)
        inside("stop")
        bystander.communicate(b"\n")
        assert bystander.returncode == 0


# That something could not be written down ends no import.


def test_an_import_whose_progress_cannot_be_written_down_goes_on(
    inside: Inside, history: Path, state_dir: Path, tmp_path: Path
) -> None:
    assert inside("db", history, "--to", "jsonl").code == 0
    (path,) = state_dir.glob("*.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(
            "CREATE TRIGGER never BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'never'); END"
        )
    done = inside("db", history, "--to", "tracker")
    assert done.code == 0, done.err
    assert (tmp_path / "crosswatch-tracker" / "history.json").exists()
    (run,) = told(inside)
    assert run["targets"] == ["jsonl=-"]


def test_a_log_in_a_file_that_cannot_be_written_is_quiet(written: Written) -> None:
    log = written.log()
    written.state.conn.execute("PRAGMA query_only = 1")
    log.begin("reading", 10)
    log.reached(3)
    log.idle()
    log.begin("writing", 3)
    log.failed(RuntimeError("x"), 1)
    log.ended("done")
    assert log.run.status == "completed"
    written.state.conn.execute("PRAGMA query_only = 0")


def test_a_log_in_a_closed_file_is_quiet(state_dir: Path) -> None:
    written = Written(state_dir, "file:///a.db")
    log = written.log()
    written.close()
    log.begin("reading", 10)
    log.ended("done")
    assert RunLog(written.state, "line", "source", ()).run.id == 0


def test_text_that_is_no_unicode_is_written_down_all_the_same(written: Written) -> None:
    name = os.fsdecode(b"\xff")
    written.log().failed(SinkError(f"{name} is full", hint=f"Look at {name}."), 8)
    assert written.last.exit_code == 8
    lock = Lock(written.path.with_name("other.lock"))
    assert lock.take()
    lock.note(Holder(1, os.fsencode(f"/state/{name}"), 1, "line"))
    lock.release()


def test_when_it_began_is_told_in_local_time(
    inside: Inside, written: Written, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.log().ended("done")
    assert clock.now
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert "completed, 2025-06-15 11:06:40 EDT, " in inside("status", env={"TZ": "UTC"}).out
        assert told(inside)[0]["ended_at"] == "2025-06-15T15:06:40Z"
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
