"""One import at a time also on a file system that has no ``flock``."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.directory import open_directory
from tautulli_import.state import claim as claim_module
from tautulli_import.state.claim import claim, is_claimed
from tautulli_import.state.lock import Lock
from tests.conftest import Result
from tests.support.running import Gate, Program, Programs

ERRORS = ("ENOLCK", "ENOSYS", "EBADF", "EOPNOTSUPP")


def started(running: Programs, *args: str | Path, error: str = "ENOLCK") -> Program:
    """Start an import without file locks."""
    place = f"unlocked:{getattr(errno, error)}"
    return running.start(
        "db", *args, "--no-enrich", python=("-m", "tests.support.held_up", place, "")
    )


def run(running: Programs, *args: str | Path, error: str = "ENOLCK") -> Result:
    """Run an import without file locks to its end."""
    return started(running, *args, error=error).ended()


def held_up(running: Programs, history: Path) -> tuple[Program, Gate]:
    """Start an import that stands, with its locks, before it reads a play."""
    gate = running.gate("config")
    program = started(running, history, "--to", "tracker", "--config-ini", gate.path)
    gate.reached(program)
    return program, gate


def claims(folder: Path) -> list[Path]:
    """Return the files that stand for locks."""
    return [path for path in folder.rglob(".*.lock.pid") if path.is_file()]


@pytest.mark.parametrize("error", ERRORS)
def test_that_there_are_no_locks_is_told_once_and_the_import_goes_on(
    running: Programs, history: Path, tmp_path: Path, error: str
) -> None:
    done = run(running, history, "--to", "tracker", error=error)
    assert done.code == 0, done.err
    assert done.err.count("has no file locks") == 1
    assert f"({os.strerror(getattr(errno, error))})" in done.err
    assert ".crosswatch-tracker.lock.pid is used instead." in done.err
    assert (tmp_path / "crosswatch-tracker" / "history.json").exists()
    assert claims(tmp_path) == []


def test_a_second_import_is_told_of_the_first(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    first, gate = held_up(running, history)
    done = run(running, history, "--to", "tracker")
    assert done.code == 6
    assert f"Another import is running, process {first.pid}" in done.err
    assert f"remove {tmp_path / '.crosswatch-tracker.lock.pid'}." in done.err
    gate.open()
    assert first.ended().code == 0
    assert run(running, history, "--to", "tracker").code == 0


def test_what_a_killed_import_left_holds_up_nobody(
    running: Programs, history: Path, tmp_path: Path
) -> None:
    first, _ = held_up(running, history)
    first.killed()
    assert claims(tmp_path)
    done = run(running, history, "--to", "tracker")
    assert done.code == 0, done.err
    assert claims(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "is_busy"),
    [
        ({}, True),
        ({"began": "1"}, False),  # its number is another process's by now
        ({"boot": "before the machine was started anew"}, False),
        ({"host": "another machine"}, True),
        ({"space": "another container", "began": "1"}, True),
    ],
)
def test_a_process_counts_as_ended_only_where_that_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], *, is_busy: bool
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.take()
    claim = tmp_path / "lock.pid"
    claim.write_text(json.dumps(json.loads(claim.read_bytes()) | change), encoding="utf-8")
    assert is_claimed(second.path) is second.is_held() is is_busy
    assert second.take() is not is_busy
    first.release()
    second.release()


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_process_of_another_user_counts_as_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_hidden: bool
) -> None:
    def kill(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    really = Path.read_text

    def read_text(path: Path, *given: Any, **named: Any) -> str:
        if path.name == "stat":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return really(path, *given, **named)

    with open_directory(tmp_path) as directory:
        assert claim(directory, "lock")
        monkeypatch.setattr(os, "kill", kill)
        if is_hidden:  # /proc is mounted with hidepid=2
            monkeypatch.setattr(Path, "read_text", read_text)
        assert is_claimed(tmp_path / "lock")
        assert not claim(directory, "lock")


def test_two_that_find_the_same_abandoned_lock_do_not_both_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = claim_module._is_alive  # noqa: SLF001 - the moment between the judgement and the act
    others: list[bool] = []
    with open_directory(tmp_path) as directory:

        def held_up(*given: Any) -> bool:
            found = judge(*given)
            monkeypatch.setattr(claim_module, "_is_alive", judge)
            others.append(claim(directory, "lock"))
            return found

        assert claim(directory, "lock")
        abandoned = tmp_path / "lock.pid"
        content = json.loads(abandoned.read_bytes())
        abandoned.write_text(json.dumps(content | {"began": "1"}), encoding="utf-8")
        monkeypatch.setattr(claim_module, "_is_alive", held_up)
        assert [claim(directory, "lock"), *others] == [False, True]
        assert os.listdir(tmp_path) == ["lock.pid"]  # noqa: PTH208 - hidden ones as well
        assert is_claimed(tmp_path / "lock")


def test_a_claim_that_nobody_wrote_is_held_for_a_moment(tmp_path: Path) -> None:
    claim = tmp_path / "lock.pid"
    claim.touch()
    assert is_claimed(tmp_path / "lock")
    os.utime(claim, (0, 0))
    assert not is_claimed(tmp_path / "lock")


def test_a_lock_that_may_only_be_read_is_still_seen_to_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS refuses an exclusive lock on a file that is open for reading."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.take()
    really = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
