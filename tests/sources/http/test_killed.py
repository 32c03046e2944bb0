"""`api` killed in the middle, and several at once: the next run ends as if nothing had been."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tautulli_import.errors import UnauthorisedError
from tests.conftest import Cli
from tests.support.over_http import DAY, Home
from tests.support.running import Program, Programs, Unanswered
from tests.support.tautulli import Asked, on, slow, status

PLAYS = 150


@pytest.fixture
def home(home: Home) -> Home:
    """Return a history of a few years up to now, and the Tautulli that has it."""
    now = int(time.time())
    for number in range(PLAYS):
        started = now - number * 5 * DAY - 7200
        home.film(title=f"Film {number}", year=1950 + number % 70, started=started)
    return home


class Started(Protocol):
    """Starts `api --to tracker` with small windows in a folder."""

    def __call__(
        self, folder: Path, *args: str | Path, env: Mapping[str, str] | None = None
    ) -> Program:
        """Start it with these arguments."""


@pytest.fixture
def started(home: Home, running: Programs, environment: dict[str, str]) -> Started:
    """Start the program with small windows."""

    def start(folder: Path, *args: str | Path, env: Mapping[str, str] | None = None) -> Program:
        folder.mkdir(exist_ok=True)
        env = {**environment, **home.fake.environment, **(env or {})}
        return running.start("api", "--to", "tracker", *args, windows=40, env=env, cwd=folder)

    return start


def finish(program: Program) -> str:
    """Wait for a good end, and return what it said."""
    done = program.ended()
    assert done.code == 0, done.err
    return done.err


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
    finish(started(tmp_path / "whole", env={"XDG_STATE_HOME": str(tmp_path / "other")}))
    whole = len(home.fake.asked("get_history"))
    assert whole >= 6
    home.fake.requests.clear()

    hanging = Unanswered("get_history", number, never=True)
    home.fake.faults.append(hanging)
    program = started(tmp_path / "cut")
    hanging.wait()
    program.killed()
    finished = windows(home.fake.asked("get_history")[:number])
    home.fake.faults.clear()
    home.fake.requests.clear()
    assert not (tmp_path / "cut" / "crosswatch-tracker").exists()

    assert "read again" not in finish(started(tmp_path / "cut"))
    assert tracker(tmp_path / "cut") == tracker(tmp_path / "whole")
    assert titles(tmp_path / "cut") == ALL
    again = home.fake.asked("get_history")
    assert not finished & windows(again)
    assert len(again) <= whole - number + 3


def test_the_program_as_it_is_goes_on_where_it_was(
    home: Home, running: Programs, cli: Cli, tmp_path: Path
) -> None:
    """Its first window is the newest 45 days: they are kept, and not asked for again."""
    env = home.fake.environment
    hanging = Unanswered("get_history", 1, never=True)
    home.fake.faults.append(hanging)
    program = running.start("api", "--to", "tracker", env=env)
    hanging.wait()
    program.killed()
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
    hanging = Unanswered("get_history", 4, never=True)
    home.fake.faults.append(hanging)
    program = started(tmp_path)
    hanging.wait()
    program.ask(signal.SIGINT)
    done = program.ended(10)
    assert done.code == 130
    assert "Traceback" not in done.err
    finished = windows(home.fake.asked("get_history")[:4])
    home.fake.faults.clear()
    home.fake.requests.clear()
    finish(started(tmp_path))
    assert not finished & windows(home.fake.asked("get_history"))
    assert titles(tmp_path) == ALL


# Several at once.


def test_of_two_runs_at_the_same_moment_the_second_waits_if_it_may(
    home: Home, started: Started, tmp_path: Path
) -> None:
    home.fake.faults.append(on("get_history", slow(0.1)))
    both = [started(tmp_path / name, "--wait", "60") for name in ("one", "two")]
    said = [finish(program) for program in both]
    assert sum("Waiting up to 60 s" in words for words in said) == 1
    assert tracker(tmp_path / "one") == tracker(tmp_path / "two")
    assert titles(tmp_path / "one") == ALL
    home.fake.requests.clear()
    assert "Nothing new" in finish(started(tmp_path / "one"))
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
    finish(started(tmp_path, "--via", "database"))
    ((copy, folder),) = seen
    assert copy.name == "tautulli.db"
    assert folder.st_mode & 0o777 == 0o700
    assert folder.st_uid == os.getuid()
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize("moment", ["download_database", "get_history"])
def test_what_a_killed_run_has_downloaded_is_swept_by_the_next(
    home: Home, started: Started, temporary: Path, tmp_path: Path, moment: str
) -> None:
    hanging = Unanswered(moment, never=True)
    home.fake.faults.append(hanging)
    program = started(tmp_path, "--via", "database")
    hanging.wait()
    program.killed()
    assert copies(temporary)
    home.fake.faults.clear()
    finish(started(tmp_path, "--via", "database"))
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
    hanging = Unanswered(moment, never=True)
    home.fake.faults.append(hanging)
    program = started(tmp_path, "--via", "database")
    hanging.wait()
    program.ask(number)
    assert program.ended(10).code == 128 + number
    assert not [*temporary.iterdir()]


def test_a_run_leaves_the_downloaded_database_of_another_alone(
    home: Home, started: Started, temporary: Path, tmp_path: Path
) -> None:
    hanging = Unanswered("get_history", never=True)
    home.fake.faults.append(hanging)
    one = started(tmp_path / "one", "--via", "database")
    hanging.wait()
    (copy,) = copies(temporary)
    home.fake.faults.clear()
    elsewhere = ("--state-dir", tmp_path / "elsewhere")
    finish(started(tmp_path / "two", "--via", "database", *elsewhere))
    assert copies(temporary) == [copy]
    one.ask(signal.SIGTERM)
    one.ended(10)
    assert not [*temporary.iterdir()]
