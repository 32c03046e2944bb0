"""`api --via database`: the database as a file, what it lacks, and when it is of no use."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tautulli_import.model.played import PlayedMovie
from tautulli_import.model.plays import Play
from tautulli_import.progress import Phase, ProgressGroup
from tautulli_import.sources.database.source import Source
from tautulli_import.sources.http.download import download
from tests.conftest import Result
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.over_http import DAY, NOW, Home, no_waiting
from tests.support.tautulli import (
    Fault,
    Reply,
    hang,
    html,
    on,
    reset,
    slow,
    status,
    times,
    truncated,
)

FELL_BACK = "The database could not be downloaded, so the history is read instead"


@dataclass
class Runs:
    """Runs of `api --via database --dry-run` in this process."""

    home: Home
    inside: Inside

    def __call__(self, *options: str | Path, env: dict[str, str] | None = None) -> Result:
        """Run it to its end."""
        args = ("api", "--via", "database", "--dry-run", "--no-enrich", *options)
        return self.inside(*args, env=self.home.fake.environment | (env or {}))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Forty films in a database that Tautulli is writing to, as it does by default."""
    with closing(Home(tmp_path, wal=True)) as made, no_waiting():
        made.films(40)
        made.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        made.conn.execute("PRAGMA wal_autocheckpoint = 0")
        made.fake.patience = 0.2
        yield made


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Return the place for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def run(home: Home, inside: Inside, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Run the program in this process, where nothing of its user can be seen."""
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return Runs(home, inside)


def titles(result: Result) -> list[str]:
    """Return the titles that a dry run would import, sorted."""
    assert result.code == 0, result.err
    return sorted(json.loads(line)["title"] for line in result.out.splitlines())


def every(home: Home) -> list[str]:
    """Return the titles of all plays, sorted."""
    found = home.conn.execute("SELECT title FROM session_history_metadata").fetchall()
    return sorted({title for (title,) in found})


# When all is well.


def test_it_is_downloaded_once_and_held_against_the_newest_plays(home: Home, run: Runs) -> None:
    done = run()
    assert titles(done) == every(home)
    assert "\n40 plays read: 40 would be imported" in done.err
    commands = [asked.cmd for asked in home.fake.requests]
    assert sorted(commands) == ["download_database", "get_history", "get_settings"]


def test_nothing_is_left_in_the_place_for_temporary_files(
    home: Home, run: Runs, temporary: Path
) -> None:
    titles(run())
    home.fake.faults.append(on("download_database", html(200)))
    titles(run())
    home.fake.faults[:] = [on("get_history", status(401))]
    assert run().code == 4
    assert not [*temporary.glob("tautulli-import-*")]


class Recorded(ProgressGroup):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[tuple[str, int]] = []
        self.megabytes: list[int] = []

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Keep the phase and its size."""
        assert not done
        self.began.append((phase, total))

    def reached(self, done: int) -> None:
        """Keep how far it is."""
        self.megabytes.append(done)


def test_how_far_the_download_is_is_told_in_megabytes(home: Home) -> None:
    home.execute("CREATE TABLE filler AS SELECT randomblob(3200000)")
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    told = Recorded()
    with closing(home.client()) as tautulli:
        download(tautulli, now=NOW, progress=told).close()
    assert told.began == [("downloading", 3)]
    assert told.megabytes == sorted(told.megabytes)
    assert told.megabytes[-1] == 3


def test_on_a_terminal_there_is_a_bar(home: Home, environment: dict[str, str]) -> None:
    home.fake.faults.append(on("get_history", hang(0.5)))
    ours, theirs = pty.openpty()
    server = home.fake.environment
    command = [sys.executable, "-m", "tautulli_import", "api", "--via", "database", "--dry-run"]
    with subprocess.Popen(
        command,
        env=environment | server | {"TERM": "xterm"},
        cwd=home.path.parent,
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    ) as program:
        out, _ = program.communicate(timeout=60)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # nobody is at the other end any more
        while piece := os.read(ours, 10_000):
            said += piece
    os.close(ours)
    assert program.returncode == 0
    assert len(out.splitlines()) == 40
    assert b"Downloading" in said


def test_it_takes_the_thresholds_of_the_server(home: Home, run: Runs) -> None:
    home.film(10, title="Half", view_offset=4_000_000)
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert "Half" not in titles(run())
    home.fake.settings["movie_watched_percent"] = 50
    assert "Half" in titles(run())


# What the file does not have yet.


def test_plays_that_tautulli_has_not_written_back_yet_are_asked_for(home: Home, run: Runs) -> None:
    home.film(0.2, title="Late")
    home.film(0.1, title="Latest")
    done = run()
    assert titles(done) == every(home)
    assert "2 plays that the downloaded database did not have yet were requested" in done.err
    assert FELL_BACK not in done.err


def days_of(plays: Iterable[Play]) -> list[str | None]:
    """Return the release days of films."""
    return [PlayedMovie(None, None, None, None, None, play.aired).aired for play in plays]


def test_release_days_are_the_same_through_every_door(home: Home) -> None:
    """Also those of plays that the downloaded file lacks."""
    for number, cell in enumerate(("2019-03-08", "2019-03-08 00:00:00", "2019-02-30", "", None, 0)):
        home.film(0.9 - number / 10, originally_available_at=cell)
    with closing(Source([home.path])) as file:
        expected = days_of(play for batch in file.batches() for play in batch.plays)
    assert expected[-6:] == ["2019-03-08", "2019-03-08", None, None, None, None]
    assert days_of(home.run().plays.values()) == expected
    with closing(home.client()) as tautulli, closing(download(tautulli, now=NOW)) as source:
        assert "6 plays" in source.notices[0]
        assert days_of(play for batch in source.batches() for play in batch.plays) == expected


def test_a_trigger_in_the_downloaded_database_never_runs(home: Home, run: Runs) -> None:
    home.execute(
        "CREATE TRIGGER late AFTER INSERT ON session_history_metadata WHEN new.title = 'Late'"
        " BEGIN DELETE FROM session_history; END"
    )
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    home.execute("DROP TRIGGER late")  # only the server's history is without it
    home.film(0.2, title="Late")
    assert titles(run()) == every(home)


def test_an_older_copy_is_made_up_for(home: Home, run: Runs) -> None:
    """When its database is locked, Tautulli sends the copy of the last time."""
    titles(run())
    for days in (3, 2, 1):
        home.film(days, title=f"Late {days}")
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    home.conn.execute("BEGIN IMMEDIATE")
    done = run()
    home.conn.rollback()
    assert titles(done) == every(home)
    assert "3 plays that the downloaded database did not have yet were requested" in done.err


def test_a_much_older_copy_is_made_up_for(home: Home, run: Runs) -> None:
    home.delete(*home.listed[20:])
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    titles(run())
    home.films(30, first=190, last=1)
    home.conn.execute("BEGIN IMMEDIATE")
    done = run()
    home.conn.rollback()
    assert titles(done) == every(home)


def test_a_play_paused_for_weeks_that_the_file_does_not_have(home: Home, run: Runs) -> None:
    home.film(30, title="Paused", stopped=NOW)
    assert titles(run()) == every(home)


def test_a_late_play_without_a_day_is_not_lost(home: Home, run: Runs) -> None:
    home.film(title="Odd", started=None, stopped=NOW)
    assert titles(run()) == every(home)


def test_late_plays_count_for_their_users_and_libraries(home: Home, run: Runs) -> None:
    home.film(0.2, title="Bob's", user_id=2, user="bob", section_id=2)
    home.film(0.1, title="Guest's", user_id=9, user="guest", section_id=1)
    assert titles(run("--user", "Bob")) == ["Bob's"]
    assert titles(run("--user", "guest")) == ["Guest's"]
    assert titles(run("--library", "Shows")) == ["Bob's"]
    assert titles(run("--each-user")) == every(home)


def test_a_late_play_that_cannot_be_delivered_is_reported(home: Home, run: Runs) -> None:
    home.poison(0.1)
    done = run()
    assert FELL_BACK in done.err
    assert "Tautulli's API fails on 1 row" in done.err
    assert titles(done) == [title for title in every(home) if title != "Poison"]


def test_a_play_that_is_logged_meanwhile_is_there(home: Home, run: Runs) -> None:
    def log(_: object) -> None:
        home.fake.before_history = None
        with closing(sqlite3.connect(home.path)) as conn:
            add_play(conn, title="Late", started=NOW - DAY)

    home.fake.before_history = log
    done = run()
    assert "Late" in titles(done)
    assert FELL_BACK not in done.err


# When it is of no use, the plays are asked for.


def test_rows_that_were_deleted_since_an_older_copy(home: Home, run: Runs) -> None:
    titles(run())
    home.delete(7)
    home.conn.execute("BEGIN IMMEDIATE")
    done = run()
    home.conn.rollback()
    assert FELL_BACK in done.err
    assert titles(done) == every(home)


@pytest.mark.parametrize("plays", [30, 40, 50])
def test_a_database_that_is_not_that_of_the_history(
    home: Home, run: Runs, tmp_path: Path, plays: int
) -> None:
    with closing(create(tmp_path / "other.db")) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for number in range(plays):
            add_play(conn, title="Another", started=NOW - number * DAY, user_id=7)
    other = (tmp_path / "other.db").read_bytes()
    home.fake.faults.append(on("download_database", lambda _: Reply(body=other)))
    done = run()
    assert FELL_BACK in done.err
    assert titles(done) == every(home)


def test_a_database_with_the_same_numbers_and_other_plays(home: Home, run: Runs) -> None:
    home.film(2)
    home.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def change(_: object) -> None:
        home.fake.before_history = None
        with closing(sqlite3.connect(home.path)) as conn, conn:
            conn.execute("UPDATE session_history SET started = started - 60, user_id = 2")

    home.fake.before_history = change
    done = run()
    assert FELL_BACK in done.err
    assert "is not from its history" in done.err
    assert titles(done) == every(home)


def _some(size: int) -> Callable[[Home], Fault]:
    return lambda home: lambda _: Reply(body=home.path.read_bytes()[:size])


UNUSABLE: dict[str, Callable[[Home], Fault]] = {
    "not-a-database": lambda _: lambda _: Reply(body=b"This is no database. " * 100),
    "nothing": lambda _: lambda _: Reply(body=b""),
    "only-the-head": _some(100),
    "half-a-database": _some(20_000),
    "login-page": lambda _: html(200, "<h1>Log in</h1>"),
    "internal-error": lambda _: status(500, b"Error downloading database. Check the logs."),
    "truncated": lambda _: truncated(20_000),
    "reset": lambda _: reset(20_000),
    "unknown-command": lambda _: (
        lambda _: Reply(
            status=400,
            headers={"Content-Type": "application/json"},
            body=b'{"response": {"result": "error", "message": "Unknown command", "data": {}}}',
        )
    ),
}


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_without_a_usable_database_the_plays_are_asked_for(
    home: Home, run: Runs, temporary: Path, unusable: str
) -> None:
    home.fake.faults.append(on("download_database", UNUSABLE[unusable](home)))
    done = run()
    assert titles(done) == every(home)
    assert FELL_BACK in done.err
    assert not [*temporary.glob("tautulli-import-*")]


def test_a_download_that_breaks_off_once_is_begun_again(home: Home, run: Runs) -> None:
    home.fake.faults.append(on("download_database", times(1, truncated(20_000))))
    done = run()
    assert titles(done) == every(home)
    assert FELL_BACK not in done.err


def test_a_slow_download_is_waited_for(home: Home, run: Runs) -> None:
    home.fake.faults.append(on("download_database", slow(2.5)))
    done = run("--timeout", "2")
    assert titles(done) == every(home)
    assert FELL_BACK not in done.err


def test_an_old_server_that_knows_no_windows_is_asked_for_everything(home: Home, run: Runs) -> None:
    home.fake.features.remove("before_after")
    done = run()
    assert titles(done) == every(home)


def test_a_wrong_key_is_no_reason_to_ask_otherwise(home: Home, run: Runs) -> None:
    done = run(env={"TAUTULLI_API_KEY": "0" * 32})
    assert done.code == 4
    assert FELL_BACK not in done.err
    assert "get_history" not in {asked.cmd for asked in home.fake.requests}


def test_without_room_for_it_there_is_a_sentence(
    home: Home, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    done = run()
    assert done.code == 3
    assert "TMPDIR" in done.err
    assert "Traceback" not in done.err
    assert home.listed


def test_what_the_other_way_remembers_is_left_alone(home: Home, run: Runs) -> None:
    titles(run("--via", "history"))
    titles(run())
    home.fake.requests.clear()
    assert titles(run("--via", "history")) == every(home)
    assert len(home.fake.requests) <= 3
    home.film(-0.5)
    assert home.run(now=NOW + DAY).ids == home.listed
