"""Trouble where it is written: what stood there stays, and nothing is lost without a word."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tautulli_import import files as whole_files, interrupts
from tautulli_import.errors import SinkError
from tautulli_import.sinks import tracker as module
from tautulli_import.state.file import StateFile
from tests.sinks.test_tracker import THEN, files, film, foreign, items_of, put, sink
from tests.support.history import add_play
from tests.support.inside import Inside
from tests.support.running import Programs, programs

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Bound = Callable[..., tuple[int, str, str]]
FILMS = 4


@pytest.fixture
def state_dir(environment: Mapping[str, str]) -> Path:
    """Where the program remembers things."""
    return Path(environment["XDG_STATE_HOME"]) / "tautulli-import"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a tracker root with a film of another source, which nothing but files say is one."""
    put(tmp_path / "root", {"tmdb:949": foreign()})
    return tmp_path / "root"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Return a tracker root that CrossWatch works with."""
    put(tmp_path / ".cw_provider", {"tmdb:949": foreign()})
    return tmp_path / ".cw_provider"


def content(folder: Path) -> dict[str, bytes]:
    """All files in a folder, whatever they are."""
    return {name: (folder / name).read_bytes() for name in files(folder)}


def a_moment_later(patch: pytest.MonkeyPatch, *happens: Callable[[], object]) -> list[float]:
    """Let something happen in each of the moments that a tracker waits; returns how long it did."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        if len(waited) < len(happens):
            happens[len(waited)]()
        waited.append(seconds)

    patch.setattr(module.time, "sleep", sleep)  # type: ignore[attr-defined]
    return waited


def while_it_is_written(patch: pytest.MonkeyPatch, *happens: Callable[[], object]) -> None:
    """Let something happen after each time the history was read, before it is replaced."""
    times = count()

    def later(path: Path, chunks: Any, **options: Any) -> bool:
        if path.name == "history.json" and (number := next(times)) < len(happens):
            happens[number]()
        return whole_files.write_whole(path, chunks, **options)

    patch.setattr(module, "write_whole", later)


def replaced(root: Path, items: Mapping[str, object]) -> Callable[[], object]:
    """As CrossWatch writes: a file beside it, and its name."""

    def replace() -> None:
        beside = root / "history.json.tmp"
        beside.write_text(json.dumps({"ts": 2, "items": items}), encoding="utf-8")
        beside.replace(root / "history.json")

    return replace


HEAT = {"tmdb:949": foreign()}
TWO = HEAT | {"tmdb:680": foreign("Pulp Fiction", THEN + 9)}


# Where nothing may be written.


def test_a_tracker_that_may_not_be_written(bound: Bound, history: Path, root: Path) -> None:
    before = content(root)
    root.chmod(0o555)
    code, out, err = bound("db", history, "--to", "tracker", "--out", root)
    root.chmod(0o755)
    assert (code, out) == (8, "")
    assert f"You have no permission to write in {root}." in err
    assert "Nothing was changed. Choose another directory with --out." in err
    assert content(root) == before


def test_a_folder_in_which_no_tracker_can_be_made(
    bound: Bound, history: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o555)
    code, _, err = bound("db", history, "--to", "tracker", "--out", folder / "a" / "b")
    assert code == 8
    assert f"You have no permission to write in {folder}." in err
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("sink", ["jsonl", "editor"])
def test_a_file_in_a_folder_that_may_not_be_written(
    bound: Bound, history: Path, tmp_path: Path, sink: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / "a-history.json"
    folder.chmod(0o555)
    code, _, err = bound("db", history, "--to", sink, "--out", target)
    assert code == 8
    assert f"You have no permission to write in {folder}." in err
    assert [*folder.iterdir()] == []


def test_a_history_that_may_not_be_read_is_not_replaced(
    bound: Bound, history: Path, root: Path
) -> None:
    path = root / "history.json"
    before = path.read_bytes()
    path.chmod(0)
    code, _, err = bound("db", history, "--to", "tracker", "--out", root)
    path.chmod(0o644)
    assert code == 8
    assert f"{path} cannot be read: Permission denied" in err
    assert path.read_bytes() == before
    assert files(root) == ["history.json"]


def test_after_the_permission_is_there_again_the_next_run_writes(
    bound: Bound, history: Path, root: Path
) -> None:
    root.chmod(0o555)
    assert bound("db", history, "--to", "tracker", "--out", root)[0] == 8
    root.chmod(0o755)
    code, _, err = bound("db", history, "--to", "tracker", "--out", root)
    assert code == 0, err
    assert len(items_of(root)) == FILMS + 1


def test_where_one_place_cannot_be_written_the_other_is(
    bound: Bound, history: Path, root: Path, tmp_path: Path
) -> None:
    root.chmod(0o555)
    sinks = ("--to", "tracker", "--to", "jsonl", "--out", f"tracker={root}", "--out", "jsonl=a")
    code, _, _ = bound("db", history, *sinks)
    root.chmod(0o755)
    assert code == 8
    assert len((tmp_path / "a").read_bytes().splitlines()) == FILMS
    assert bound("db", history, *sinks)[0] == 0
    assert len(items_of(root)) == FILMS + 1


# Another program writes at the same moment.


def test_what_another_program_writes_meanwhile_is_merged_with(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_it_is_written(monkeypatch, replaced(root, TWO))
    receipt = sink(root, film()).commit()
    assert items_of(root).keys() == {"tmdb:603", *TWO}
    assert (receipt.new, receipt.total) == (1, 3)
    assert len([name for name in files(root) if "snapshots" in name]) == 1
    snapshot = next((root / "snapshots").iterdir())
    assert json.loads(snapshot.read_bytes())["items"] == items_of(root)


def test_what_another_program_takes_away_meanwhile_is_gone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_it_is_written(monkeypatch, (root / "history.json").unlink)
    sink(root, film()).commit()
    assert items_of(root).keys() == {"tmdb:603"}


def test_who_has_written_the_same_meanwhile_is_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root, root.parent / "other")
    sink(root.parent / "other", film()).commit()
    while_it_is_written(monkeypatch, replaced(root, items_of(root.parent / "other")))
    receipt = sink(root, film()).commit()
    assert not receipt.written
    assert (receipt.new, receipt.unchanged) == (0, 1)


def test_who_writes_each_time_before_it_wins_at_the_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [
        replaced(root, HEAT | {f"tmdb:{number}": foreign(f"{number}", THEN + number)})
        for number in range(100, 120)
    ]
    while_it_is_written(monkeypatch, *many)
    with pytest.raises(SinkError) as failed:
        sink(root, film()).commit()
    assert str(root / "history.json") in str(failed.value)
    assert "CrossWatch" in failed.value.hint
    assert "tmdb:603" not in items_of(root)
    assert "tmdb:949" in items_of(root)


@pytest.mark.parametrize("garbage", [b"", b"{", b"[1, 2]", b"\x00" * 100])
def test_a_history_that_turns_into_something_else_meanwhile_is_not_touched(
    inside: Inside, history: Path, root: Path, monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    path = root / "history.json"
    while_it_is_written(monkeypatch, lambda: path.write_bytes(garbage))
    done = inside("db", history, "--to", "tracker", "--out", root)
    assert done.code == 8, done.err
    assert str(path) in done.err
    assert path.read_bytes() == garbage


def test_a_history_that_becomes_a_directory_meanwhile(
    inside: Inside, history: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "history.json"

    def turn() -> None:
        path.unlink()
        path.mkdir()

    while_it_is_written(monkeypatch, turn)
    done = inside("db", history, "--to", "tracker", "--out", root)
    assert done.code == 8
    assert str(path) in done.err


def test_a_tracker_that_is_deleted_meanwhile_is_written_anew(
    inside: Inside, history: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_it_is_written(monkeypatch, lambda: shutil.rmtree(root))
    assert inside("db", history, "--to", "tracker", "--out", root).code == 0
    assert len(items_of(root)) == FILMS
    assert len([*(root / "snapshots").iterdir()]) == 1


# CrossWatch overwrites what was just written.


def test_what_was_overwritten_just_after_is_written_again(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CrossWatch has read the file before us, and writes after us."""
    waited = a_moment_later(monkeypatch, replaced(live, TWO))
    receipt = sink(live, film()).commit()
    assert items_of(live).keys() == {"tmdb:603", *TWO}
    (warning,) = receipt.warnings
    assert f"overwrote {live / 'history.json'} just after it was written" in warning
    assert len(waited) == 2
    assert len([*(live / "snapshots").iterdir()]) == 1


def test_the_warning_reaches_the_person_and_the_report(
    inside: Inside, history: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_moment_later(monkeypatch, replaced(live, TWO))
    done = inside("db", history, "--to", "tracker", "--out", live, "--quiet", "--report", "r.json")
    assert done.code == 0
    assert "Warning: Another program overwrote " in done.err
    report = json.loads(Path("r.json").read_bytes())
    assert any("Another program overwrote " in warning for warning in report["warnings"])
    assert len(items_of(live)) == FILMS + 2


def test_what_is_overwritten_each_time_is_said_to_be_lost(
    inside: Inside, history: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = a_moment_later(monkeypatch, *[replaced(live, TWO)] * 20)
    done = inside("db", history, "--to", "tracker", "--out", live)
    assert done.code == 8
    assert f"Another program keeps writing {live / 'history.json'}" in done.err
    assert "Stop CrossWatch" in done.err
    assert items_of(live).keys() == TWO.keys()
    assert len(waited) == 3
    monkeypatch.undo()
    monkeypatch.setattr(module, "_A_MOMENT", 0)
    assert inside("db", history, "--to", "tracker", "--out", live).code == 0
    assert len(items_of(live)) == FILMS + 2


def test_what_was_written_with_ours_in_it_is_no_loss(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_with_ours() -> None:
        replaced(live, items_of(live) | TWO)()

    a_moment_later(monkeypatch, write_with_ours)
    receipt = sink(live, film()).commit()
    assert receipt.warnings == []
    assert items_of(live).keys() == {"tmdb:603", *TWO}


def test_a_newer_viewing_that_was_written_just_after_is_no_loss(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = {"tmdb:603": foreign("The Matrix", THEN + 3600)}
    a_moment_later(monkeypatch, replaced(live, newer))
    receipt = sink(live, film()).commit()
    assert receipt.warnings == []
    assert items_of(live) == newer


def test_what_is_taken_away_just_after_is_written_again(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_moment_later(monkeypatch, (live / "history.json").unlink)
    receipt = sink(live, film()).commit()
    assert items_of(live).keys() == {"tmdb:603"}
    assert len(receipt.warnings) == 1


def test_what_becomes_unreadable_just_after_is_said_and_not_touched(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = live / "history.json"
    a_moment_later(monkeypatch, lambda: path.write_bytes(b"{"))
    with pytest.raises(SinkError, match="is not a CrossWatch history"):
        sink(live, film()).commit()
    assert path.read_bytes() == b"{"


@pytest.mark.parametrize(
    "name", [".cw_provider", "config/.cw_provider", ".cw_provider/profiles/two", "with others"]
)
def test_a_root_that_crosswatch_may_work_with_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir(parents=True)
    if name == "with others":
        (tmp_path / name / "ratings.json").write_text("{}")
    waited = a_moment_later(monkeypatch)
    sink(tmp_path / name, film()).commit()
    assert waited == [1.0]
    sink(tmp_path / name, film()).commit()
    assert waited == [1.0], "nothing was written, so there is nothing to read back"


@pytest.mark.parametrize("name", ["crosswatch-tracker", "new/one", "profile"])
def test_a_root_of_nobodys_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    waited = a_moment_later(monkeypatch)
    for when in (THEN, THEN + 60):
        sink(tmp_path / name, film(when=when)).commit()
    assert waited == []


def test_a_dry_run_waits_for_nothing(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = a_moment_later(monkeypatch)
    before = content(live)
    assert sink(live, film()).preview().new == 1
    assert waited == []
    assert content(live) == before


# Killed in the middle.


def test_one_killed_between_snapshot_and_history_leaves_one_snapshot(
    running: Programs, inside: Inside, history: Path, root: Path
) -> None:
    gate = running.gate("write")
    command = ("db", history, "--to", "tracker", "--out", root)
    program = running.start(*command, at=("write:1", gate))
    gate.reached(program)
    program.killed()
    assert len([*(root / "snapshots").iterdir()]) == 1
    assert items_of(root).keys() == HEAT.keys()
    assert inside(*command).code == 0
    (snapshot,) = (root / "snapshots").iterdir()
    assert json.loads(snapshot.read_bytes())["items"] == items_of(root)
    assert len(items_of(root)) == FILMS + 1
    assert sorted(files(root)) == ["history.json", f"snapshots/{snapshot.name}"]


def test_what_came_in_since_the_kill_gets_a_snapshot_of_its_own(
    running: Programs, inside: Inside, history: Path, root: Path
) -> None:
    gate = running.gate("write")
    command = ("db", history, "--to", "tracker", "--out", root)
    program = running.start(*command, at=("write:1", gate))
    gate.reached(program)
    program.killed()
    with closing(sqlite3.connect(history)) as conn:
        add_play(conn, title="A Fourth Film", year=2004)
    assert inside(*command).code == 0
    newest = max((root / "snapshots").iterdir())
    assert json.loads(newest.read_bytes())["items"] == items_of(root)
    assert len(items_of(root)) == FILMS + 2
    assert len([*(root / "snapshots").iterdir()]) == 2


# The state directory.


def test_a_state_directory_that_is_deleted_meanwhile(
    running: Programs, inside: Inside, history: Path, state_dir: Path, tmp_path: Path
) -> None:
    """What is remembered is lost; the output is right, or it says what is wrong with it."""
    gate = running.gate("page")
    command = ("db", history, "--to", "tracker", "--batch-size", "1")
    program = running.start(*command, at=("page:2", gate))
    gate.reached(program)
    shutil.rmtree(state_dir)
    gate.open(b"")
    done = program.ended()
    assert "bug in" not in done.err
    assert "Traceback" not in done.err
    if done.code == 8:
        assert str(state_dir) in done.err
        assert "--state-dir" in done.err
        assert not (tmp_path / "crosswatch-tracker").exists()
    else:
        assert done.code == 0, done.err
    assert inside("db", history, "--to", "tracker").code == 0
    assert len(items_of(tmp_path / "crosswatch-tracker")) == FILMS


def test_a_state_directory_that_becomes_read_only_meanwhile(
    running: Programs, inside: Inside, history: Path, state_dir: Path, tmp_path: Path
) -> None:
    gate = running.gate("page")
    command = ("db", history, "--to", "tracker", "--batch-size", "1")
    within = _obeying()
    program = running.start(*command, at=("page:2", gate), within=within)
    gate.reached(program)
    state_dir.chmod(0o500)
    for path in state_dir.iterdir():
        path.chmod(0o400)
    gate.open(b"")
    done = program.ended()
    state_dir.chmod(0o700)
    for path in state_dir.iterdir():
        path.chmod(0o600)
    assert "bug in" not in done.err
    assert done.code in (0, 8), done.err
    assert inside("db", history, "--to", "tracker").code == 0
    assert len(items_of(tmp_path / "crosswatch-tracker")) == FILMS


def _obeying() -> list[str]:
    """Return a command in front of one that is to be bound by permissions."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root ignores permissions, and there is no setpriv to make it obey")
    rights = "-dac_override,-dac_read_search"
    return [setpriv, "--bounding-set", rights, "--inh-caps", rights]


@pytest.mark.parametrize("sink_name", ["tracker", "editor", "jsonl"])
def test_a_state_file_that_may_not_be_written_is_said_and_the_outputs_are_there(
    bound: Bound, history: Path, tmp_path: Path, sink_name: str
) -> None:
    """Without a place to remember nothing is remembered; each run reads everything."""
    state = tmp_path / "state"
    state.mkdir(mode=0o500)
    command = ("db", history, "--to", sink_name, "--out", "a-history.json", "--state-dir", state)
    for _ in range(2):
        code, _, err = bound(*command)
        assert code == 0, err
        assert f"Nothing can be saved in {state}/" in err
    assert [*state.iterdir()] == []
    assert (tmp_path / "a-history.json").exists()


def test_a_state_file_that_another_program_holds_ends_it_with_a_word(
    inside: Inside, history: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup program, or somebody with the sqlite3 shell."""
    assert inside("db", history, "--to", "tracker").code == 0
    (path,) = state_dir.glob("*.db")
    monkeypatch.setattr("tautulli_import.state.file._BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = inside("db", history, "--to", "jsonl")
        other.execute("ROLLBACK")
    assert done.code == 6, done.err
    assert str(path) in done.err
    assert done.out == ""


def test_a_report_that_cannot_be_written_leaves_outputs_and_a_word(
    inside: Inside, history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports").mkdir()
    while_it_is_written(monkeypatch, (tmp_path / "reports").rmdir)
    report = ("--report", "reports/r.json")
    done = inside("db", history, "--to", "tracker", *report)
    assert done.code in (0, 8)
    assert len(items_of(tmp_path / "crosswatch-tracker")) == FILMS
    with closing(StateFile(tmp_path / "home/state/tautulli-import", f"file://{history}")) as state:
        (status,) = state.conn.execute("SELECT status FROM jobs").fetchone()
    assert status == "completed"


def test_a_file_system_that_is_read_only(
    history: Path, tmp_path: Path, environment: Mapping[str, str], root: Path
) -> None:
    """A volume of a container that is mounted for reading."""
    unshare = shutil.which("unshare")
    script = f'mount --bind "{root}" "{root}" && mount -o remount,ro,bind "{root}" && exec "$@"'
    if unshare is None:
        pytest.skip("there is no unshare to mount something with")
    space = [unshare, "--mount", "--map-root-user", "--", "/bin/sh", "-c", script, "sh"]
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    with programs(tmp_path, environment) as running:
        program = running.start("db", history, "--to", "tracker", "--out", root, within=space)
        done = program.ended()
    assert done.code == 8, done.err
    assert f"{root}/" in done.err
    assert "Read-only file system" in done.err
    assert files(root) == ["history.json"]


def test_who_has_asked_it_to_stop_does_not_wait_for_the_reading_back(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = a_moment_later(monkeypatch, lambda: None)
    tracker = sink(live, film())

    def stopped_while_it_writes() -> None:
        with interrupts.defer_signals():
            interrupts.ask(signal.SIGTERM)
            tracker.commit()

    with pytest.raises(interrupts.Stopped):
        stopped_while_it_writes()
    interrupts.forget()
    assert waited == []
    assert "tmdb:603" in items_of(live)
