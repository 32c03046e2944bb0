"""A signal ends a run in good order: nothing is torn, and it says how to go on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import Cli, Result
from tests.sinks.test_third_party_sink import COMPLETE, install
from tests.support.forked import started
from tests.support.history import add_play, add_user, create
from tests.support.over_http import Home
from tests.support.running import ROOT, Gate, Program, Programs, Unanswered, on_the_shelf, to_go_on
from tests.support.tautulli import KEY
from tests.support.waiting import SOON

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
every_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
PLAYS = 60
SMALL_PIPE = 4096
ROOM = "a place for what is too long for one line of a pipe, " * 3
LOOKS = 20


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Sixty films of long ago, by two users."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob", "Bob")
        for number in range(PLAYS):
            title = f"Film {number}: {ROOM}"
            add_play(conn, title=title, year=1950 + number, user_id=1 + number % 2)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Sixty films of the last years, and the Tautulli that has them."""
    (tmp_path / "server").mkdir()
    with closing(Home(tmp_path / "server")) as made:
        made.films(PLAYS, first=2000, last=600)
        yield made


@pytest.fixture
def server(home: Home) -> Mapping[str, str]:
    """Where the Tautulli is, and its key."""
    return home.fake.environment


def tracker(folder: Path) -> str:
    """Return what the tracker holds, but for the time at which it was written."""
    written = (folder / "crosswatch-tracker" / "history.json").read_text(encoding="utf-8")
    return re.sub(r'"ts": ?[0-9]+', '"ts":0', written)


def ended_well(done: Result, number: int) -> None:
    """Check that it left with the code of the signal, and without a word too many."""
    assert done.code == 128 + number, done.err
    assert "Traceback" not in done.err
    assert "bug in" not in done.err
    assert "Exception" not in done.err


def left_nothing(folder: Path) -> None:
    """Neither a lock nor half a file is beside the outputs."""
    left = [path.name for path in folder.rglob("*") if "home" not in path.parts]
    assert [name for name in left if name.endswith((".lock", ".partial"))] == []


def gone_on(cli: Cli, said: str, env: Mapping[str, str] | None = None) -> Result:
    """Run the command that it has told."""
    program, *words = shlex.split(to_go_on(said))
    assert program == "tautulli-import"
    done = cli(*words, env=env)
    assert done.code == 0, done.err
    return done


@contextmanager
def unread() -> Iterator[tuple[int, int]]:
    """Yield a small pipe whose reader reads nothing: its two ends."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def is_full(reader: int) -> bool:
    """Whether nothing more goes into a pipe."""
    (waiting,) = struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))
    return int(waiting) >= SMALL_PIPE // 2


# While it reads.


@every_signal
def test_while_a_database_is_read(
    running: Programs,
    cli: Cli,
    database: Path,
    tmp_path: Path,
    *,
    number: signal.Signals,
) -> None:
    gate = running.gate("page")
    command = ("db", database, "--to", "tracker", "--batch-size", "7")
    program = running.start(*command, at=("page:3", gate))
    gate.reached(program)

    done = program.stopped(number)

    ended_well(done, number)
    assert re.match(
        r"Stopped while reading, 35 % \(21 of 60 plays\)\. Every output is whole: [^\n]*\n"
        r"  To go on: tautulli-import db [^\n]*\n\Z",
        done.err.partition("--all-users.\n")[2],
    )
    assert not (tmp_path / "crosswatch-tracker").exists()
    left_nothing(tmp_path)
    gone_on(cli, done.err)
    whole = tmp_path / "whole"
    whole.mkdir()
    assert cli(*command, "--state-dir", "other", cwd=whole).code == 0
    assert tracker(tmp_path) == tracker(whole)


def test_events_that_were_delivered_are_not_read_again(
    running: Programs, database: Path, tmp_path: Path, cli: Cli
) -> None:
    gate = running.gate("page")
    place = ("--events", "--to", "jsonl", "--out", "events.jsonl")
    command = ("db", database, *place, "--batch-size", "10", "--json")
    program = running.start(*command, at=("page:3", gate))
    gate.reached(program)
    done = program.stopped(signal.SIGINT)
    told = json.loads(gone_on(cli, done.err).out)
    assert told["carried"] == 30
    assert told["plays"]["read"] == PLAYS
    assert len((tmp_path / "events.jsonl").read_bytes().splitlines()) == PLAYS


def test_stopped_again_and_again_it_gets_to_its_end(
    running: Programs, cli: Cli, database: Path, tmp_path: Path
) -> None:
    command = ("db", database, "--to", "tracker", "--batch-size", "10")
    for turn in range(3):
        gate = running.gate(f"page-{turn}")
        program = running.start(*command, at=("page:1", gate))
        gate.reached(program)
        done = program.stopped(SIGNALS[turn])
        ended_well(done, SIGNALS[turn])
        assert "(10 of 60 plays)" in done.err
        assert not (tmp_path / "crosswatch-tracker").exists()
    assert cli(*command).code == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    assert cli(*command, "--state-dir", "other", cwd=whole).code == 0
    assert tracker(tmp_path) == tracker(whole)


def test_before_anything_is_read(
    running: Programs, database: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    program, _ = running.held_up(database, "--to", "tracker")
    done = program.stopped(signal.SIGTERM)
    ended_well(done, signal.SIGTERM)
    assert done.err.startswith("Stopped. Every output is whole")
    assert "--config-ini" in to_go_on(done.err)
    left_nothing(tmp_path)
    assert environment


@pytest.mark.skipif(sys.platform != "linux", reason="only there it can be seen where it waits")
def test_while_standard_input_says_nothing(running: Programs, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        program = running.start("db", "-", "--to", "tracker", stdin=reader)
        program.until(lambda: "pipe" in Path(f"/proc/{program.pid}/wchan").read_text())
        ended_well(program.stopped(signal.SIGTERM), signal.SIGTERM)
    finally:
        os.close(reader)
        os.close(writer)
    left_nothing(tmp_path)


def test_while_headers_trickle_in(
    running: Programs, server: Mapping[str, str], tmp_path: Path
) -> None:
    """Each byte ends one wait and begins another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        env = {**server, "TAUTULLI_URL": url}
        program = running.start("api", "--to", "tracker", "--no-enrich", env=env)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            program.ask(signal.SIGINT)
            program.until(lambda: trickles(connection) or program.process.poll() is not None)
            ended_well(program.ended(SOON), signal.SIGINT)
    left_nothing(tmp_path)


def trickles(connection: socket.socket) -> bool:
    """Send a byte; return true if the other side is gone."""
    try:
        connection.sendall(b"x")
    except OSError:
        return True
    return False


def test_during_the_crawl(
    running: Programs, home: Home, server: Mapping[str, str], tmp_path: Path, cli: Cli
) -> None:
    unanswered = Unanswered("get_history", 3)
    home.fake.faults.append(unanswered)
    command = ("api", "--to", "tracker", "--no-enrich")
    program = running.start(*command, windows=10, env=server)
    unanswered.wait()

    done = program.stopped(signal.SIGHUP)

    ended_well(done, signal.SIGHUP)
    assert done.err.startswith("Stopped while fetching, ")
    assert KEY not in done.err
    left_nothing(tmp_path)
    unanswered.let_go()
    home.fake.faults.clear()
    gone_on(cli, done.err, server)
    items = json.loads(tracker(tmp_path))["items"]
    assert len(items) == PLAYS


def test_during_a_download(
    running: Programs, home: Home, server: Mapping[str, str], tmp_path: Path, cli: Cli
) -> None:
    unanswered = Unanswered("download_database")
    home.fake.faults.append(unanswered)
    program = running.start(
        "api", "--via", "database", "--to", "tracker", "--no-enrich", env=server
    )
    unanswered.wait()
    done = program.stopped(signal.SIGTERM)
    ended_well(done, signal.SIGTERM)
    unanswered.let_go()
    gone_on(cli, done.err, server)
    assert len(json.loads(tracker(tmp_path))["items"]) == PLAYS


@pytest.mark.parametrize(
    ("command", "number"), [("server_status", signal.SIGTERM), ("get_metadata", signal.SIGINT)]
)
def test_while_ids_are_asked_for(
    running: Programs,
    home: Home,
    server: Mapping[str, str],
    tmp_path: Path,
    *,
    command: str,
    number: signal.Signals,
) -> None:
    unanswered = Unanswered(command)
    home.fake.faults.append(unanswered)
    program = running.start("api", "--to", "tracker", env=server)
    unanswered.wait()
    done = program.stopped(number)
    unanswered.let_go()
    ended_well(done, number)
    assert to_go_on(done.err) == "tautulli-import api --to tracker"
    left_nothing(tmp_path)
    assert not (tmp_path / "crosswatch-tracker").exists()


def test_while_it_waits_for_another(running: Programs, database: Path, tmp_path: Path) -> None:
    first, gate = running.held_up(database, "--to", "tracker")
    second = running.start("db", database, "--to", "tracker", "--wait", "600")
    err = second.process.stderr
    assert err is not None
    assert err.readline().startswith(b"Waiting")
    ended_well(second.stopped(signal.SIGINT), signal.SIGINT)
    assert first.process.poll() is None
    gate.open()
    assert first.ended().code == 0
    left_nothing(tmp_path)


def test_who_is_stopped_while_it_waits_says_how_to_go_on(running: Programs, database: Path) -> None:
    running.held_up(database, "--to", "tracker")
    second = running.start("db", database, "--to", "tracker", "--wait", "600")
    err = second.process.stderr
    assert err is not None
    assert err.readline().startswith(b"Waiting")
    line = f"tautulli-import db {database} --to tracker --wait 600"
    assert to_go_on(second.stopped(signal.SIGTERM).err) == line


# While it writes.


@pytest.mark.parametrize(("which", "number"), [(0, signal.SIGINT), (1, signal.SIGHUP)])
def test_while_a_tracker_is_written(
    running: Programs,
    database: Path,
    tmp_path: Path,
    cli: Cli,
    *,
    which: int,
    number: signal.Signals,
) -> None:
    """Before the snapshot and before the history: what was begun is ended."""
    gate = running.gate("write")
    program = running.start("db", database, "--to", "tracker", at=(f"write:{which}", gate))
    gate.reached(program)
    program.ask(number)
    gate.open()
    done = program.ended(SOON)
    ended_well(done, number)
    assert to_go_on(done.err) == f"tautulli-import db {database} --to tracker"
    assert len(json.loads(tracker(tmp_path))["items"]) == PLAYS
    assert len([*(tmp_path / "crosswatch-tracker" / "snapshots").iterdir()]) == 1
    left_nothing(tmp_path)
    again = cli("db", database, "--to", "tracker")
    assert (again.code, "Nothing new" in again.err) == (0, True)


def test_while_the_first_of_two_sinks_is_written(
    running: Programs, database: Path, tmp_path: Path, cli: Cli
) -> None:
    gate = running.gate("write")
    sinks = ("--to", "tracker", "--to", "editor")
    program = running.start("db", database, *sinks, at=("write:1", gate))
    gate.reached(program)
    program.ask(signal.SIGINT)
    gate.open()
    done = program.ended(SOON)
    ended_well(done, signal.SIGINT)
    assert len(json.loads(tracker(tmp_path))["items"]) == PLAYS
    editor = tmp_path / "tautulli-editor-history.json"
    assert not editor.exists()
    gone_on(cli, done.err)
    assert editor.exists()
    assert len([*(tmp_path / "crosswatch-tracker" / "snapshots").iterdir()]) == 1


def blocked_in_commit(running: Programs, database: Path, folder: Path) -> tuple[Program, Gate]:
    """Return a sink of somebody else that takes forever."""
    gate = running.gate("commit")
    source = COMPLETE.replace(
        "        write_whole(",
        f"        Path({str(gate.path)!r}).read_bytes()\n        write_whole(",
    )
    env = install(folder / "site", source)
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], str(ROOT)])
    program = running.start("db", database, "--to", "titles", env=env)
    gate.reached(program)
    return program, gate


def test_the_second_signal_leaves_at_once_whatever_is_being_written(
    running: Programs, database: Path, tmp_path: Path, cli: Cli
) -> None:
    program, _ = blocked_in_commit(running, database, tmp_path)
    before = waits(program)
    program.ask(signal.SIGTERM)
    program.until(lambda: waits(program) > before)  # it has noticed, and waits again
    done = program.stopped(signal.SIGINT)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert not (tmp_path / "titles.txt").exists()
    assert cli("db", database, "--to", "tracker").code == 0


def waits(program: Program) -> int:
    """Return how often its main thread has begun to wait for something."""
    told = Path(f"/proc/{program.pid}/status").read_text()
    return int(told.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def deaf(running: Programs, database: Path) -> Program:
    """Return a run in code in C that never ends and that no signal interrupts."""
    gate = running.gate("deaf")
    program = running.start("db", database, "--to", "tracker", at=("deaf:0", gate))
    gate.reached(program)
    gate.open()
    looks: list[str] = []

    def is_deaf() -> bool:
        # A thread that waits for Python's lock is in a futex, too, but wakes up all the time.
        status = Path(f"/proc/{program.pid}/status").read_text()
        looks.append(status[status.index("voluntary_ctxt_switches") :])
        in_futex = "futex" in Path(f"/proc/{program.pid}/wchan").read_text()
        return in_futex and len(looks) > LOOKS and len(set(looks[-LOOKS:])) == 1

    program.until(is_deaf)
    return program


def test_the_second_signal_ends_what_does_not_even_notice_the_first(
    running: Programs, database: Path, tmp_path: Path
) -> None:
    program = deaf(running, database)
    program.ask(signal.SIGTERM)
    done = program.stopped(signal.SIGINT)
    assert done.code in (130, 143)  # when both come at once, the lower number is seen first
    assert "Stopped at once. Run the same command again." in done.err
    assert not (tmp_path / "crosswatch-tracker").exists()


def test_one_signal_ends_what_does_not_notice_it(
    running: Programs, cli: Cli, database: Path, tmp_path: Path
) -> None:
    done = deaf(running, database).stopped(signal.SIGHUP)
    ended_well(done, signal.SIGHUP)
    assert "Stopped at once. Run the same command again." in done.err
    assert cli("db", database, "--to", "tracker").code == 0
    assert len(json.loads(tracker(tmp_path))["items"]) == PLAYS


def test_the_first_signal_lets_somebody_elses_sink_finish(
    running: Programs, database: Path, tmp_path: Path
) -> None:
    program, gate = blocked_in_commit(running, database, tmp_path)
    program.ask(signal.SIGTERM)
    gate.open()
    ended_well(program.ended(SOON), signal.SIGTERM)
    assert len((tmp_path / "titles.txt").read_text().splitlines()) == PLAYS
    left_nothing(tmp_path)


# A pipe that nobody reads, and one whose reader has enough.


@pytest.mark.parametrize(
    ("sink", "number"),
    [
        ("jsonl", signal.SIGINT),
        ("jsonl --out -", signal.SIGHUP),
        ("editor --out -", signal.SIGTERM),
    ],
)
def test_while_nobody_reads_what_it_writes(
    running: Programs, database: Path, tmp_path: Path, *, sink: str, number: signal.Signals
) -> None:
    with unread() as (reader, writer):
        program = running.start("db", database, "--to", *sink.split(), stdout=writer)
        program.until(lambda: is_full(reader))
        done = program.stopped(number)
    ended_well(done, number)
    assert to_go_on(done.err) == f"tautulli-import db {database} --to {sink}"
    left_nothing(tmp_path)


def test_while_nobody_reads_a_dry_run(running: Programs, database: Path) -> None:
    with unread() as (reader, writer):
        program = running.start("db", database, "--dry-run", stdout=writer)
        program.until(lambda: is_full(reader))
        ended_well(program.stopped(signal.SIGTERM), signal.SIGTERM)


@pytest.mark.parametrize("sink", ["jsonl", "editor"])
def test_while_nobody_reads_the_pipe_that_out_names(
    running: Programs, database: Path, tmp_path: Path, sink: str
) -> None:
    pipe = tmp_path / "pipe-history.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    program = running.start("db", database, "--to", sink, "--out", pipe)
    program.until(lambda: is_full(reader))
    done = program.stopped(signal.SIGTERM)
    os.close(reader)
    ended_well(done, signal.SIGTERM)


def test_a_reader_that_has_enough_is_no_error(
    cli: Cli, database: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    command = 'tautulli-import db "$0" --to jsonl --quiet --all-users'
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {command} | head -1", str(database)],
        cwd=tmp_path,
        env=on_the_shelf(tmp_path, environment),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(cli("status", "--json").out)["runs"][0]["status"] == "completed"
    left_nothing(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "--to jsonl --all-users",
        "--dry-run",
        "--to tracker --json --all-users",
        "--to editor --out - --all-users",
    ],
)
def test_a_reader_that_was_never_there_is_no_error(
    running: Programs, database: Path, command: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = running.start("db", database, *command.split(), "--quiet", stdout=writer)
    os.close(writer)
    done = program.ended()
    assert (done.code, done.err) == (0, "")


# How to go on.


def test_what_it_says_can_be_typed_into_a_shell(
    running: Programs, database: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    odd = tmp_path / "it's a $HOME & more; *"
    gate = running.gate("page")
    command = ("db", database, "--to=tracker", "--out", odd, "--user", "Alice", "--user=bob")
    program = running.start(*command, "--restart", at=("page:0", gate))
    gate.reached(program)
    done = program.stopped(signal.SIGINT)
    assert "--restart" not in to_go_on(done.err)
    subprocess.run(
        ["/bin/sh", "-c", to_go_on(done.err)],
        cwd=tmp_path,
        env=on_the_shelf(tmp_path, environment),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert len(json.loads((odd / "history.json").read_bytes())["items"]) == PLAYS


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--api-key", KEY], "--api-key …"),
        ([f"--api-key={KEY}"], "--api-key …"),
        (["--url", "http://me:pass-word@{place}/api/v2?apikey=" + KEY], "--url http://{place}"),
        (["--url=http://me:pass-word@{place}"], "--url http://{place}"),
    ],
)
def test_no_secret_stands_in_what_it_says(
    running: Programs, home: Home, tmp_path: Path, typed: list[str], told: str
) -> None:
    unanswered = Unanswered("get_history")
    home.fake.faults.append(unanswered)
    place = home.fake.url.partition("://")[2]
    env = home.fake.environment
    words = [word.replace("{place}", place) for word in typed]
    program = running.start("api", "--to", "tracker", "--no-enrich", *words, env=env)
    unanswered.wait()
    done = program.stopped(signal.SIGTERM)
    unanswered.let_go()
    ended_well(done, signal.SIGTERM)
    line = to_go_on(done.err)
    assert told.replace("{place}", place) in line.replace("'", "")
    for secret in (KEY, "pass-word"):
        assert secret not in done.err
        for path in (tmp_path / "home").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()


# At its very beginning and its very end.

#: The program, which gets a signal while it still loads itself, or when it is through.
AT_THE_EDGE = """
import atexit, os, signal, sys, threading
number, moment = int(sys.argv[1]), sys.argv[2]
sys.argv = ["tautulli-import", *sys.argv[3:]]
class Loading:
    def find_spec(self, name, *_):
        if name == moment:
            os.kill(os.getpid(), number)
if moment == "exit":
    atexit.register(os.kill, os.getpid(), number)
if moment == "a thread starts":  # the one that watches for signals, when they are handled
    start = threading.Thread.start
    threading.Thread.start = lambda self: (os.kill(os.getpid(), number), start(self))
sys.meta_path.insert(0, Loading())
from tautulli_import.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("tautulli_import.cli.app", signal.SIGINT),
        ("tautulli_import.cli.importing", signal.SIGHUP),
        ("a thread starts", signal.SIGHUP),
        ("exit", signal.SIGTERM),
    ],
)
def test_there_is_no_traceback_at_its_beginning_or_its_end(
    running: Programs, database: Path, tmp_path: Path, *, moment: str, number: signal.Signals
) -> None:
    edge = ["-c", AT_THE_EDGE, str(int(number)), moment]
    done = running.start("db", database, "--to", "tracker", python=edge).ended()
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    assert done.code in (-number, 128 + number, *([0] if moment == "exit" else []))
    assert (tmp_path / "crosswatch-tracker").exists() == (moment == "exit")


# Who starts it may have other plans.


def test_under_nohup_a_hangup_is_nothing(running: Programs, database: Path, tmp_path: Path) -> None:
    gate = running.gate("config")
    program = running.start(
        *("db", database, "--to", "tracker", "--config-ini", gate.path, "--no-enrich"),
        within=["/bin/sh", "-c", 'trap "" HUP; exec "$0" "$@"'],
    )
    gate.reached(program)
    program.ask(signal.SIGHUP)
    gate.open()
    assert program.ended().code == 0
    assert len(json.loads(tracker(tmp_path))["items"]) == PLAYS


def test_a_stopped_run_is_told_as_cancelled(running: Programs, cli: Cli, database: Path) -> None:
    program, _ = running.held_up(database, "--to", "tracker")
    done = program.stopped(signal.SIGHUP)
    (run,) = json.loads(cli("status", "--json").out)["runs"]
    assert (run["status"], run["exit_code"], run["error"]) == ("cancelled", 129, "")
    assert run["next_step"] == run["line"] == to_go_on(done.err)


def test_a_terminal_that_is_closed_during_a_question_is_a_hangup(
    cli: Cli, environment: dict[str, str], database: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    arguments = ["db", str(database), "--to", "tracker"]
    with started(
        *("tautulli_import", arguments),
        environment=environment,
        folder=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        session=True,  # so that no signal comes before the error of the terminal
    ) as process:
        os.close(theirs)
        shown = b""
        while b"or a number: " not in shown:
            shown += os.read(ours, 65536)
        os.close(ours)
        assert process.wait(timeout=60) == 129
    (run,) = json.loads(cli("status", "--json").out)["runs"]
    assert (run["status"], run["exit_code"], run["error"]) == ("cancelled", 129, "")


def test_one_that_only_looks_can_be_stopped(running: Programs, database: Path) -> None:
    gate = running.gate("config")
    program = running.start("check", database, "--config-ini", gate.path)
    gate.reached(program)
    ended_well(program.stopped(signal.SIGINT), signal.SIGINT)
