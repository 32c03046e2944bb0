"""One import at a time, of one source and into one place; and nothing to clean afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.state.lock import Holder, Lock
from tests.conftest import Result
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.over_http import Home
from tests.support.running import Program, Programs, Unanswered
from tests.support.waiting import SOON

#: Starts the program so many times at the same moment; a line for each as it ends.
SWARM = """
import os, signal, sys
from tautulli_import.__main__ import main
from tests.support.forked import warm
signal.alarm(300)
warm()
count, folder, sys.argv = int(sys.argv[1]), sys.argv[2], ["tautulli-import", *sys.argv[3:]]
waiting, start = os.pipe()
numbers = {}
for number in range(count):
    pid = os.fork()
    numbers[pid] = number
    if pid:
        continue
    signal.alarm(300)
    os.close(start)
    os.dup2(os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT), 2)
    os.read(waiting, 1)
    code = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stderr.flush()
        os._exit(code)
os.close(start)
for _ in range(count):
    pid, status = os.wait()
    print(numbers[pid], pid, os.waitstatus_to_exitcode(status), flush=True)
"""
STARTS = 20
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return the database of another Tautulli."""
    path = tmp_path / "other.db"
    with closing(create(path)) as conn:
        add_play(conn, title="Elsewhere", year=1999)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Thirty films of the last years, and the Tautulli that has them."""
    (tmp_path / "server").mkdir()
    with closing(Home(tmp_path / "server")) as made:
        made.films(30)
        yield made


def titles(root: Path) -> list[str]:
    """Return the titles in a tracker."""
    items = json.loads((root / "history.json").read_bytes())["items"]
    return sorted(item["title"] for item in items.values())


def locks(folder: Path) -> list[Path]:
    """Lock files, but for those in the directory of the state."""
    return [path for path in folder.rglob("*.lock") if "home" not in path.parts]


FILMS = ["An Episode", "First Film", "Second Film", "Third Film"]


# Twenty at once.


def ends(swarm: Program, count: int) -> list[tuple[str, int, int]]:
    """Return where each of the first ``count`` to end has written, its process, its exit code."""
    out = swarm.process.stdout
    assert out is not None
    lines = [out.readline().split() for _ in range(count)]
    return [(name.decode(), int(pid), int(code)) for name, pid, code in lines]


def look_at_the_losers(swarm: Program, said: Path, command: str) -> int:
    """Check that all but one end at once and name that one. Return its process."""
    losers = ends(swarm, STARTS - 1)
    assert [code for _, _, code in losers] == [6] * (STARTS - 1)
    words = {(said / name).read_text() for name, _, _ in losers}
    told = re.compile(
        rf"Error: Another import is running, process (\d+): {re.escape(command)}\."
        r"( Its progress: \w[^\n]*\.)?\n  Wait for it with --wait [^\n]*\n"
    )
    found = [told.fullmatch(one) for one in words]
    assert None not in found, words
    (winner,) = {int(one[1]) for one in found if one}
    assert winner not in [pid for _, pid, _ in losers]
    return winner


def test_of_twenty_starts_at_the_same_moment_one_runs(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    gate = running.gate("config")
    said = tmp_path / "said"
    said.mkdir()
    command = ("db", history, "--to", "tracker", "--config-ini", gate.path, "--no-enrich")

    swarm = running.start(str(STARTS), said, *command, python=["-c", SWARM])
    gate.reached(swarm)
    line = " ".join(["tautulli-import", *map(str, command)])
    winner = look_at_the_losers(swarm, said, line)
    gate.open()

    ((_, pid, code),) = ends(swarm, 1)
    assert (pid, code) == (winner, 0)
    assert titles(tmp_path / "crosswatch-tracker") == FILMS
    assert locks(tmp_path) == []


def test_of_twenty_starts_over_http_one_asks(running: Programs, home: Home, tmp_path: Path) -> None:
    unanswered = Unanswered("get_history")
    home.fake.faults.append(unanswered)
    said = tmp_path / "said"
    said.mkdir()
    env = home.fake.environment

    command = ("api", "--to", "tracker", "--no-enrich")
    swarm = running.start(str(STARTS), said, *command, python=["-c", SWARM], env=env)
    unanswered.wait()
    winner = look_at_the_losers(swarm, said, " ".join(["tautulli-import", *command]))
    assert len(home.fake.asked("get_history")) == 1
    unanswered.let_go()

    ((_, pid, code),) = ends(swarm, 1)
    assert (pid, code) == (winner, 0)
    assert len(titles(tmp_path / "crosswatch-tracker")) == 30
    assert locks(tmp_path) == []


# What is one at a time.


def busy(done: Result, first: Program) -> None:
    """Check that it left at once, and told who is there."""
    assert done.code == 6, done.err
    assert f"Another import is running, process {first.pid}: tautulli-import db " in done.err
    assert done.out == ""


def test_the_second_is_told_how_far_the_first_is(
    running: Programs, inside: Inside, history: Path
) -> None:
    gate = running.gate("page")
    command = ("db", history, "--to", "tracker", "--batch-size", "1")
    first = running.start(*command, at=("page:2", gate))
    gate.reached(first)

    done = inside(*command)

    busy(done, first)
    assert "Its progress: reading, " in done.err
    assert " of 4 plays)" in done.err
    assert "--wait SECONDS" in done.err
    assert "tautulli-import status --watch" in done.err
    assert "tautulli-import stop" in done.err


def test_two_sources_into_one_tracker(
    running: Programs, inside: Inside, history: Path, other: Path, tmp_path: Path
) -> None:
    first, gate = running.held_up(history, "--to", "tracker")
    busy(inside("db", other, "--to", "tracker"), first)
    gate.open()
    assert first.ended().code == 0
    assert inside("db", other, "--to", "tracker").code == 0
    assert titles(tmp_path / "crosswatch-tracker") == sorted([*FILMS, "Elsewhere"])
    assert locks(tmp_path) == []


def test_one_tracker_by_several_names(
    running: Programs, inside: Inside, history: Path, other: Path, tmp_path: Path
) -> None:
    (tmp_path / "real" / "tracker").mkdir(parents=True)
    (tmp_path / "link-to-tracker").symlink_to("real/tracker")
    (tmp_path / "link-to-folder").symlink_to(tmp_path / "real")
    first, _ = running.held_up(history, "--to", "tracker", "--out", tmp_path / "real" / "tracker")
    for name in (
        "real/tracker",
        "real/tracker/",
        "real/../real/./tracker",
        "link-to-tracker",
        "link-to-folder/tracker",
    ):
        busy(inside("db", other, "--to", "tracker", "--out", name), first)


def test_one_tracker_for_all_users_and_for_each(
    running: Programs, inside: Inside, history: Path, other: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker", "--each-user")
    busy(inside("db", other, "--to", "tracker"), first)
    busy(inside("db", other, "--to", "tracker", "--each-user"), first)


def test_one_file(
    running: Programs, inside: Inside, history: Path, other: Path, tmp_path: Path
) -> None:
    sinks = ("--to", "editor", "--to", "jsonl", "--out", "editor=a-history.json", "--out")
    first, gate = running.held_up(history, *sinks, "jsonl=b")
    busy(inside("db", other, "--to", "editor", "--out", tmp_path / "a-history.json"), first)
    busy(inside("db", other, "--to", "jsonl", "--out", tmp_path / "b"), first)
    gate.open()
    assert first.ended().code == 0
    assert locks(tmp_path) == []


def test_one_of_several_places_is_enough(
    running: Programs, inside: Inside, history: Path, other: Path, tmp_path: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker", "--out", "b")
    both = ("--to", "jsonl", "--to", "tracker", "--out", "jsonl=a", "--out", "tracker=b")
    busy(inside("db", other, *both), first)
    assert [path.name for path in locks(tmp_path)] == [".b.lock"]
    assert inside("db", other, "--to", "jsonl", "--out", "a").code == 0


def test_one_source_into_two_places(running: Programs, inside: Inside, history: Path) -> None:
    first, _ = running.held_up(history, "--to", "tracker", "--out", "one")
    busy(inside("db", history, "--to", "tracker", "--out", "two"), first)
    busy(inside("db", history, "--to", "jsonl"), first)


def test_one_place_with_two_states(
    running: Programs, inside: Inside, history: Path, tmp_path: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker", "--state-dir", "one")
    busy(inside("db", history, "--to", "tracker", "--state-dir", "two"), first)
    assert not [*(tmp_path / "two").glob("*.db")]


def test_another_source_into_another_place_runs_meanwhile(
    running: Programs, inside: Inside, history: Path, other: Path, tmp_path: Path
) -> None:
    first, gate = running.held_up(history, "--to", "tracker", "--out", "one")
    assert inside("db", other, "--to", "tracker", "--out", "two").code == 0
    assert titles(tmp_path / "two") == ["Elsewhere"]
    gate.open()
    assert first.ended().code == 0
    assert titles(tmp_path / "one") == FILMS


def test_one_source_with_two_states_into_two_places_runs_meanwhile(
    running: Programs, inside: Inside, history: Path
) -> None:
    first, gate = running.held_up(history, "--to", "tracker", "--out", "one", "--state-dir", "a")
    assert inside("db", history, "--to", "tracker", "--out", "two", "--state-dir", "b").code == 0
    gate.open()
    assert first.ended().code == 0


def test_standard_output_and_devices_are_nobodys(
    running: Programs, inside: Inside, history: Path, other: Path
) -> None:
    first, gate = running.held_up(history, "--to", "jsonl", "--out", "/dev/null")
    assert inside("db", other, "--to", "jsonl", "--out", "/dev/null").code == 0
    assert inside("db", other, "--to", "jsonl").code == 0
    gate.open()
    assert first.ended().code == 0
    assert not Path("/dev/.null.lock").exists()


def test_who_only_looks_is_not_held_up(running: Programs, inside: Inside, history: Path) -> None:
    running.held_up(history, "--to", "tracker")
    looked = inside("db", history, "--to", "tracker", "--dry-run")
    assert (looked.code, len(looked.out.splitlines())) == (0, 4)
    for command in ("check", "users", "libraries", "unresolved"):
        assert inside(command, history).code == 0
    assert inside("status").code == 0
    assert inside("checkpoint", "list").code == 0


def test_who_only_looks_over_http_is_not_held_up(
    running: Programs, inside: Inside, home: Home
) -> None:
    env = home.fake.environment
    unanswered = Unanswered("get_history")
    home.fake.faults.append(unanswered)
    first = running.start("api", "--to", "tracker", "--no-enrich", env=env)
    unanswered.wait()
    home.fake.faults.clear()
    looked = inside("api", "--to", "tracker", "--dry-run", "--no-enrich", env=env)
    assert (looked.code, len(looked.out.splitlines())) == (0, 30)
    assert first.process.poll() is None
    for command in ("check", "users", "libraries", "unresolved"):
        assert inside(command, env=env).code == 0
    assert inside("api", "--to", "tracker", env=env).code == 6
    unanswered.let_go()
    assert first.ended().code == 0


def test_what_is_remembered_is_not_cleared_under_a_run(
    running: Programs, inside: Inside, history: Path
) -> None:
    assert inside("db", history, "--to", "tracker").code == 0
    running.held_up(history, "--to", "tracker")
    done = inside("checkpoint", "clear", "--all")
    assert done.code == 6
    assert "tautulli-import stop" in done.err


# Waiting for it.


def test_it_waits_and_says_for_what(
    running: Programs, history: Path, other: Path, tmp_path: Path
) -> None:
    first, gate = running.held_up(history, "--to", "tracker")
    second = running.start("db", other, "--to", "tracker", "--wait", "60", "--json")
    err = second.process.stderr
    assert err is not None
    said = err.readline().decode()
    assert said.startswith("Waiting up to 60 s: Another import is running, process ")
    assert f"process {first.pid}: tautulli-import db {history} " in said

    gate.open()

    assert first.ended().code == 0
    assert second.ended().code == 0
    assert titles(tmp_path / "crosswatch-tracker") == sorted([*FILMS, "Elsewhere"])
    assert locks(tmp_path) == []


def test_it_waits_no_longer_than_it_was_told(
    running: Programs, inside: Inside, history: Path, other: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker")
    began = time.monotonic()
    done = inside("db", other, "--to", "tracker", "--wait", "0.3")
    assert 0.3 <= time.monotonic() - began < SOON
    busy(done, first)
    assert done.err.startswith("Waiting up to 0.3 s: ")


def test_who_waits_in_silence_waits_all_the_same(
    running: Programs, history: Path, other: Path, tmp_path: Path
) -> None:
    first, gate = running.held_up(history, "--to", "tracker")
    second = running.start("db", other, "--to", "tracker", "--wait", "60", "--quiet")
    gate.open()
    assert first.ended().code == 0
    assert second.ended() == Result(0, "", "")
    assert len(titles(tmp_path / "crosswatch-tracker")) == 5


def test_who_has_waited_holds_the_place_as_if_it_had_been_first(
    running: Programs, inside: Inside, history: Path, other: Path
) -> None:
    """The first has made the directory, and takes it away because nothing came into it."""
    place = ("--to", "tracker", "--out", "made/by/the/first")
    first, _ = running.held_up(history, *place)
    gate = running.gate("second")
    waiting = ("db", other, *place, "--wait", "60", "--config-ini", gate.path, "--no-enrich")
    second = running.start(*waiting)
    err = second.process.stderr
    assert err is not None
    assert err.readline().startswith(b"Waiting")
    assert first.stopped(signal.SIGTERM).code == 143
    gate.reached(second)
    busy(inside("db", history, *place, "--state-dir", "third"), second)


# What a killed one leaves.


def test_after_a_killed_one_the_next_starts_at_once(
    running: Programs, inside: Inside, history: Path, tmp_path: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker")
    first.killed()
    assert [path.name for path in locks(tmp_path)] == [".crosswatch-tracker.lock"]
    assert inside("db", history, "--to", "tracker").code == 0
    assert titles(tmp_path / "crosswatch-tracker") == FILMS
    assert locks(tmp_path) == []


def test_who_waits_for_one_that_is_killed_goes_on(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker")
    second = running.start("db", history, "--to", "tracker", "--wait", "60")
    err = second.process.stderr
    assert err is not None
    assert err.readline().startswith(b"Waiting")
    first.killed()
    assert second.ended(SOON).code == 0
    assert locks(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b'{"pid":1,"line":"old"}', b'{"pid":1,"li'])
def test_a_lock_file_that_nobody_holds_does_not_matter(
    inside: Inside, history: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / ".crosswatch-tracker.lock").write_bytes(content)
    assert inside("db", history, "--to", "tracker").code == 0
    assert locks(tmp_path) == []


def test_a_file_of_another_program_under_the_name_of_a_lock_stays(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / ".crosswatch-tracker.lock"
    theirs.write_text("not at all JSON", "utf-8")
    assert inside("db", history, "--to", "tracker").code == 0
    assert theirs.read_text("utf-8") == "not at all JSON"


def test_a_lock_that_was_just_taken_tells_nothing_of_who_had_it_before(tmp_path: Path) -> None:
    """`stop` would end whoever has that number now."""
    path = tmp_path / "lock"
    path.write_bytes(b'{"pid":1,"state":"","run":0,"line":"of one that was killed"}')
    lock = Lock(path)
    assert lock.take()
    assert Lock(path).holder() is None
    lock.release()


# Locks.


def test_a_lock_that_is_held_cannot_be_taken_and_tells_its_holder(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.take()
    first.note(Holder(7, b"state", 3, "a line"))
    assert not second.take()
    assert second.is_held()
    assert second.holder() == Holder(7, b"state", 3, "a line")
    first.release()
    assert not second.is_held()
    assert second.holder() is None
    assert second.take()
    second.release()


def test_a_lock_that_others_only_look_at_is_taken_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    with path.open("wb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        tries = iter(range(100))

        def wait(_: float) -> None:
            if next(tries) == 50:
                fcntl.flock(looked_at, fcntl.LOCK_UN)

        monkeypatch.setattr("tautulli_import.state.lock.time.sleep", wait)
        lock = Lock(path)
        assert lock.take()
        lock.release()


def test_a_lock_that_is_given_back_leaves_no_file_and_takes_no_other_away(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = Lock(path)
    lock.release()
    assert lock.take()
    assert path.exists()
    lock.release()
    lock.release()
    assert not path.exists()
    assert not lock.is_held()
    assert lock.holder() is None


def test_a_lock_whose_file_was_taken_away_is_taken_in_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    old, new = Lock(path), Lock(path)
    assert old.take()
    path.unlink()
    assert new.take()
    assert Lock(path).is_held()
    old.release()
    assert Lock(path).is_held()
    new.release()
    assert not path.exists()


def test_a_lock_file_is_never_followed_to_another_place(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    (tmp_path / ".crosswatch-tracker.lock").symlink_to("precious")
    with pytest.raises(OSError, match=r"lock"):
        Lock(tmp_path / ".crosswatch-tracker.lock").take()
    assert (tmp_path / "precious").read_bytes() == b"keep"


def test_two_locks_of_one_process_keep_each_other_out(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert lock.take()
    assert not Lock(tmp_path / "lock").take()
    lock.release()


# Where the places are.


def test_a_tracker_whose_folder_may_not_be_written_is_locked_from_within(
    running: Programs,
    bound: Callable[..., tuple[int, str, str]],
    history: Path,
    other: Path,
    tmp_path: Path,
) -> None:
    """A volume of a container: the root is writable, and what it hangs in is not."""
    root = tmp_path / "volume" / "tracker"
    root.mkdir(parents=True)
    root.parent.chmod(0o555)
    code, _, err = bound("db", history, "--to", "tracker", "--out", root)
    assert code == 0, err
    assert titles(root) == FILMS
    assert locks(tmp_path) == []

    held = Lock(root / ".tautulli-import.lock")
    assert held.take()
    code, _, err = bound("db", other, "--to", "tracker", "--out", root)
    held.release()
    assert code == 6, err
    root.parent.chmod(0o755)
    assert running


def test_directories_are_made_as_deep_as_they_have_to_be(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    assert inside("db", history, "--to", "tracker", "--out", "a/b/c/d").code == 0
    assert titles(tmp_path / "a" / "b" / "c" / "d") == FILMS
    assert locks(tmp_path) == []


@pytest.mark.parametrize(
    ("argument", "code"), [("gone.db", 5), ("--user=nobody", 5), ("--since=2999-01-01", 0)]
)
def test_directories_that_were_made_for_nothing_are_taken_away_again(
    inside: Inside, history: Path, tmp_path: Path, argument: str, code: int
) -> None:
    (tmp_path / "kept").mkdir()
    what = [argument] if argument == "gone.db" else [str(history), argument]
    assert inside("db", *what, "--to", "tracker", "--out", "kept/a/b/c").code == code
    assert [*(tmp_path / "kept").iterdir()] == []


def test_directories_are_taken_away_when_it_is_stopped_before_it_writes(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    place = (
        "--to",
        "tracker",
        "--to",
        "editor",
        "--out",
        "tracker=a/b/c",
        "--out",
        "editor=a/d/e-history.json",
    )
    first, _ = running.held_up(history, *place)
    assert (tmp_path / "a" / "b").is_dir()
    assert first.stopped(signal.SIGTERM).code == 143
    assert not (tmp_path / "a").exists()


def test_what_somebody_put_into_a_made_directory_stays(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    first, _ = running.held_up(history, "--to", "tracker", "--out", "a/b/c")
    (tmp_path / "a" / "mine").write_text("mine")
    assert first.stopped(signal.SIGTERM).code == 143
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_a_place_whose_name_is_not_utf8(
    inside: Inside, history: Path, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    state = Path(os.fsdecode(os.fsencode(tmp_path) + b"/st\xff"))
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/root\xff"))
    done = inside("db", history, "--to", "tracker", "--state-dir", state, "--out", root)
    assert done.code == 0, done.err
    assert titles(root) == FILMS
    assert inside("status", "--state-dir", state, env=environment).code == 0
