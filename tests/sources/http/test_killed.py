"""`api` killed in the middle, and several at once: the next run ends as if nothing had been."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from typing import Protocol

import pytest

from tautulli_import.errors import UnauthorisedError
from tests.conftest import Cli
from tests.support.over_http import DAY, Home
from tests.support.tautulli import Asked, Reply, on, slow, status

ROOT = Path(__file__).parent.parent.parent.parent
PLAYS = 150
#: The program with windows of so few rows that a small history takes many of them.
SMALL_WINDOWS = """
from tautulli_import.__main__ import main
from tests.support.over_http import small_windows
with small_windows(40):
    main()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Yield a history of a few years up to now, and the Tautulli that has it."""
    with closing(Home(tmp_path)) as made:
        now = int(time.time())
        for number in range(PLAYS):
            started = now - number * 5 * DAY - 7200
            made.film(title=f"Film {number}", year=1950 + number % 70, started=started)
        yield made


class Hanging:
    """A fault: from the so-many-th question of a kind on (counted from 0) there is no answer."""

    def __init__(self, cmd: str, number: int = 0) -> None:
        self._cmd = cmd
        self._number = number
        self._asked = count()
        self._reached = Event()

    def __call__(self, one: Asked) -> Reply | None:
        """Reply to a request, and say that it has come to that."""
        if one.cmd != self._cmd or next(self._asked) < self._number:
            return None
        self._reached.set()
        return Reply(hang=600)

    def wait(self) -> None:
        """Return as soon as somebody waits for an answer."""
        assert self._reached.wait(30), "it did not come to that"


class Started(Protocol):
    """Starts the program in a folder, to be killed in the end if it is still there."""

    def __call__(
        self, folder: Path, *args: str | Path, env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Start `api --to tracker` with these arguments."""


@pytest.fixture
def started(home: Home, environment: dict[str, str]) -> Started:
    """Start the program with small windows."""
    server = {"TAUTULLI_URL": home.fake.url, "TAUTULLI_API_KEY": home.fake.key}

    @contextmanager
    def start(
        folder: Path, *args: str | Path, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        folder.mkdir(exist_ok=True)
        program = subprocess.Popen(
            [sys.executable, "-c", SMALL_WINDOWS, "api", "--to", "tracker", *map(str, args)],
            env={**environment, **server, "PYTHONPATH": str(ROOT), **(env or {})},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        with program:
            try:
                yield program
            finally:
                program.kill()

    return start


def finish(program: subprocess.Popen[bytes]) -> str:
    """Wait for a good end, and return what it said."""
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err.decode()
    return err.decode()


def tracker(folder: Path) -> str:
    """Return what the tracker holds, but for the time at which it was written."""
    written = (folder / "crosswatch-tracker" / "history.json").read_text(encoding="utf-8")
    return re.sub(r'"ts": ?[0-9]+', '"ts": 0', written)


def titles(folder: Path) -> set[str]:
    """Return the titles in the tracker."""
    return {item["title"] for item in json.loads(tracker(folder))["items"].values()}


ALL = {f"Film {number}" for number in range(PLAYS)}


def windows(asked: Sequence[Asked]) -> set[tuple[str, str]]:
    """Return the windows of these questions for the history."""
    return {(one.params.get("after", ""), one.params.get("before", "")) for one in asked}


@pytest.mark.parametrize("number", [1, 4])
def test_a_killed_crawl_goes_on_where_it_was(
    home: Home, started: Started, tmp_path: Path, number: int
) -> None:
    with started(tmp_path / "whole", env={"XDG_STATE_HOME": str(tmp_path / "other")}) as program:
        finish(program)
    whole = len(home.fake.asked("get_history"))
    assert whole >= 6
    home.fake.requests.clear()

    hanging = Hanging("get_history", number)
    home.fake.faults.append(hanging)
    with started(tmp_path / "cut") as program:
        hanging.wait()
        program.send_signal(signal.SIGKILL)
        assert program.wait(30) == -signal.SIGKILL
    finished = windows(home.fake.asked("get_history")[:number])
    home.fake.faults.clear()
    home.fake.requests.clear()
    assert not (tmp_path / "cut" / "crosswatch-tracker").exists()

    with started(tmp_path / "cut") as program:
        assert "read again" not in finish(program)
    assert tracker(tmp_path / "cut") == tracker(tmp_path / "whole")
    assert titles(tmp_path / "cut") == ALL
    again = home.fake.asked("get_history")
    assert not finished & windows(again)
    assert len(again) <= whole - number + 3


def test_the_program_as_it_is_goes_on_where_it_was(
    home: Home, environment: dict[str, str], cli: Cli, tmp_path: Path
) -> None:
    """Its first window is the newest 45 days: they are kept, and not asked for again."""
    env = {"TAUTULLI_URL": home.fake.url, "TAUTULLI_API_KEY": home.fake.key}
    hanging = Hanging("get_history", 1)
    home.fake.faults.append(hanging)
    command = [sys.executable, "-m", "tautulli_import", "api", "--to", "tracker"]
    with subprocess.Popen(command, env=environment | env, cwd=tmp_path) as program:
        hanging.wait()
        program.kill()
    had = home.fake.asked("get_history")[0].rows
    home.fake.faults.clear()
    home.fake.requests.clear()
    assert cli("api", "--to", "tracker", env=env).code == 0
    newest, rest = home.fake.asked("get_history")
    assert newest.rows == 1
    assert rest.rows == PLAYS - had
    assert titles(tmp_path) == ALL


def test_ctrl_c_ends_a_crawl_at_once_and_keeps_what_was_read(
    home: Home, started: Started, tmp_path: Path
) -> None:
    hanging = Hanging("get_history", 4)
    home.fake.faults.append(hanging)
    with started(tmp_path) as program:
        hanging.wait()
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=10)
    assert program.returncode == 130
    assert "Traceback" not in err.decode()
    finished = windows(home.fake.asked("get_history")[:4])
    home.fake.faults.clear()
    home.fake.requests.clear()
    with started(tmp_path) as program:
        finish(program)
    assert not finished & windows(home.fake.asked("get_history"))
    assert titles(tmp_path) == ALL


# Several at once.


def test_of_two_runs_at_the_same_moment_the_second_waits_if_it_may(
    home: Home, started: Started, tmp_path: Path
) -> None:
    home.fake.faults.append(on("get_history", slow(0.1)))
    with (
        started(tmp_path / "one", "--wait", "60") as one,
        started(tmp_path / "two", "--wait", "60") as two,
    ):
        said = finish(one), finish(two)
    assert sum("Waiting, 60 s at most" in words for words in said) == 1
    assert tracker(tmp_path / "one") == tracker(tmp_path / "two")
    assert titles(tmp_path / "one") == ALL
    home.fake.requests.clear()
    with started(tmp_path / "one") as one:
        assert "Nothing new" in finish(one)
    assert len(home.fake.requests) <= 3


def test_a_run_that_reads_everything_again_takes_nothing_from_one_that_is_about_to_write(
    home: Home,
) -> None:
    """Both remember in one file: the second has to wait, or to leave the plays where they are."""
    now = int(time.time())
    with home.source(now=now) as first:
        home.fake.faults.append(on("get_history", status(401)))
        with pytest.raises(UnauthorisedError), home.source(now=now, restart=True):
            pass
        read = [play.id for batch in first.batches() for play in batch.plays]
    assert read == home.listed


# The database that `--via database` downloads.


@pytest.fixture
def temporary(tmp_path: Path, environment: dict[str, str]) -> Path:
    """Return the place for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment["TMPDIR"] = str(folder)
    return folder


def copies(temporary: Path) -> list[Path]:
    """Databases in the place for temporary files."""
    return [*temporary.glob("tautulli-import-*/*.db")]


def test_the_downloaded_database_is_private_and_gone_afterwards(
    home: Home, started: Started, temporary: Path, tmp_path: Path
) -> None:
    seen: list[tuple[Path, os.stat_result]] = []

    def look(_: Asked) -> None:
        seen.extend((copy, copy.parent.stat()) for copy in copies(temporary))

    home.fake.before_history = look
    with started(tmp_path, "--via", "database") as program:
        finish(program)
    ((copy, folder),) = seen
    assert copy.name == "tautulli.db"
    assert folder.st_mode & 0o777 == 0o700
    assert folder.st_uid == os.getuid()
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize("moment", ["download_database", "get_history"])
def test_what_a_killed_run_has_downloaded_is_swept_by_the_next(
    home: Home, started: Started, temporary: Path, tmp_path: Path, moment: str
) -> None:
    hanging = Hanging(moment)
    home.fake.faults.append(hanging)
    with started(tmp_path, "--via", "database") as program:
        hanging.wait()
        program.kill()
        program.wait(30)
    assert copies(temporary)
    home.fake.faults.clear()
    with started(tmp_path, "--via", "database") as program:
        finish(program)
    assert not [*temporary.iterdir()]
    assert titles(tmp_path) == ALL


@pytest.mark.parametrize(
    ("moment", "number"), [("download_database", signal.SIGTERM), ("get_history", signal.SIGINT)]
)
def test_a_signal_takes_the_downloaded_database_away(
    home: Home,
    started: Started,
    temporary: Path,
    tmp_path: Path,
    *,
    moment: str,
    number: signal.Signals,
) -> None:
    hanging = Hanging(moment)
    home.fake.faults.append(hanging)
    with started(tmp_path, "--via", "database") as program:
        hanging.wait()
        program.send_signal(number)
        assert program.wait(10) == 128 + number
    assert not [*temporary.iterdir()]


def test_a_run_leaves_the_downloaded_database_of_another_alone(
    home: Home, started: Started, temporary: Path, tmp_path: Path
) -> None:
    hanging = Hanging("get_history")
    home.fake.faults.append(hanging)
    with started(tmp_path / "one", "--via", "database") as one:
        hanging.wait()
        (copy,) = copies(temporary)
        home.fake.faults.clear()
        elsewhere = ("--state-dir", tmp_path / "elsewhere")
        with started(tmp_path / "two", "--via", "database", *elsewhere) as two:
            finish(two)
        assert copies(temporary) == [copy]
        one.terminate()
        one.wait(10)
    assert not [*temporary.iterdir()]
