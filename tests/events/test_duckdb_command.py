"""``--to duckdb`` as people run it: once, again, cut short, and where it cannot be."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from tautulli_import.errors import SinkError
from tautulli_import.event_store import store
from tautulli_import.sinks import tracker
from tests.conftest import Result
from tests.support.event_pipeline import TABLE, Pipeline, ask, generated, pipeline, rows
from tests.support.history import add_play
from tests.support.nats import api
from tests.support.running import Programs, to_go_on

EVERYTHING: Final = "FROM playback_events ORDER BY ALL"
_HOLDS: Final = """
import sys
import duckdb
db = duckdb.connect(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def line(tmp_path: Path, environment: dict[str, str]) -> Iterator[Pipeline]:
    """Yield an empty history; nothing serves yet."""
    with pipeline(tmp_path, environment, serves=False) as made:
        yield made


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a believable history of two thousand events; nobody writes to it."""
    return generated(tmp_path_factory.mktemp("history"), 2_000)


@contextmanager
def in_use(path: Path) -> Iterator[int]:
    """Another program has the file open meanwhile; its process."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        yield other.pid
        other.communicate()


def said(done: Result) -> str:
    return " ".join(done.err.split())


def everything(path: Path) -> list[tuple[Any, ...]]:
    return ask(path, EVERYTHING)


# Once, and again.


def test_the_first_import_makes_the_file_with_views_to_look_at(line: Pipeline) -> None:
    line.something_of_everything()
    done = line.run("db", line.path, "--to", "duckdb")
    assert done.code == 0
    assert "9 events are now in playback-events.duckdb (duckdb): 9 new." in said(done)
    assert [title for _, title, _ in line.rows()].count("A Song") == 1
    shows = line.ask("SELECT title, plays, viewers FROM top_shows")
    assert shows == [("A Show", 3, 1)]
    users = line.ask("SELECT name, plays FROM plays_per_user ORDER BY name")
    assert users == [("Alice", 6), ("Bob", 3)]


def test_a_play_is_told_as_tautulli_has_it(line: Pipeline) -> None:
    add_play(
        line.conn,
        media_type="episode",
        title="Pilot",
        grandparent_title="Some Show",
        parent_title="Season 1",
        user_id=2,
        user="bob",
        rating_key=54321,
        year=2019,
        started=1_700_000_000,
        stopped=1_700_002_805,
        paused_counter=12,
        duration=2_880_000,
        view_offset=2_822_400,
        platform="Roku",
        location="cellular",
        secure=0,
    )
    line.store()
    query = (
        "SELECT id::VARCHAR, session_key, user_id, username, friendly_name, parent_title, "
        "grandparent_title, rating_key, year, media_duration, started_at::VARCHAR, "
        "stopped_at::VARCHAR, percent_complete, play_duration, location_type, secure "
        "FROM playback_events"
    )
    [found] = line.ask(query)
    assert found[1:] == (
        *("tautulli-1", 2, "bob", "Bob", "Season 1", "Some Show", "54321", 2019, 2880),
        *("2023-11-14 22:13:20", "2023-11-14 23:00:05", 98, 2793, "wan", False),
    )


def test_again_there_is_nothing_new_and_the_file_is_not_touched(line: Pipeline) -> None:
    line.films(5)
    line.store()
    before = (line.folder / TABLE).read_bytes()
    done = line.store()
    assert (done.new, done.duplicates, done.carried) == (0, 0, 5)
    assert f"Nothing new: 5 plays read, {TABLE} is up to date." in done.said
    assert (line.folder / TABLE).read_bytes() == before


def test_nothing_at_all_is_said_by_a_quiet_night(line: Pipeline) -> None:
    line.films(5)
    for _ in range(2):
        done = line.run("db", line.path, "--to", "duckdb", "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")


def test_later_runs_add_what_is_new(line: Pipeline) -> None:
    line.films(5)
    line.store()
    line.add("Newer")
    done = line.store()
    assert (done.new, done.carried, done.told["outputs"][0]["total"]) == (1, 5, 6)
    assert done.told["plays"]["emitted"] == 6


def test_from_the_beginning_everything_is_known(line: Pipeline) -> None:
    line.films(5)
    line.store()
    done = line.store("--restart")
    assert (done.new, done.duplicates, done.carried) == (0, 5, 0)
    assert len(line.rows()) == 5


def test_a_file_that_was_removed_is_made_anew_and_that_is_said(line: Pipeline) -> None:
    line.films(5)
    line.store()
    (line.folder / TABLE).unlink()
    done = line.store()
    assert (done.new, done.carried, len(done.again)) == (5, 0, 1)


def test_a_file_from_a_backup_gets_what_it_lacks_and_no_more(line: Pipeline) -> None:
    line.films(5)
    line.store()
    old = (line.folder / TABLE).read_bytes()
    line.add("Newer")
    line.store()
    (line.folder / TABLE).write_bytes(old)
    done = line.store()
    assert (done.new, done.duplicates, done.carried) == (1, 0, 5)
    assert len(line.rows()) == 6


def test_an_event_that_was_delivered_stays_as_it_was(line: Pipeline) -> None:
    line.add("Old Title")
    line.store()
    line.conn.execute("UPDATE session_history_metadata SET title = 'New Title'")
    line.conn.commit()
    assert line.store().new == 0
    assert line.store("--restart").new == 0
    assert [title for _, title, _ in line.rows()] == ["Old Title"]


def test_what_others_put_beside_our_tables_is_left_alone(line: Pipeline) -> None:
    line.films(2)
    line.store()
    with duckdb.connect(str(line.folder / TABLE)) as db:
        db.execute("CREATE TABLE mine AS SELECT title FROM playback_events")
        db.execute("CREATE VIEW yours AS FROM mine")
    line.add("Newer")
    assert line.store().new == 1
    assert line.ask("SELECT count(*) FROM yours") == [(2,)]


# Without writing.


def test_a_dry_run_counts_as_the_real_one_and_writes_nothing(line: Pipeline) -> None:
    line.films(5)
    line.store()
    line.add("Newer")
    line.add("Newest", user_id=0)
    before = (line.folder / TABLE).read_bytes()
    for options in ((), ("--restart",)):
        report = line.folder / "dry.json"
        args = ("db", line.path, "--to", "duckdb", *options)
        dry = line.run(*args, "--dry-run", "--report", report)
        assert dry.code == 0, dry.err
        assert (line.folder / TABLE).read_bytes() == before
        told = json.loads(report.read_bytes())
        titles = [json.loads(one)["title"] for one in dry.out.splitlines()]
        assert titles[-2:] == ["Newer", "Newest"]
        assert len(titles) == (7 if options else 2)
        real = line.store(*options).told
        for name in ("plays", "items", "carried", "sinks", "view"):
            assert told[name] == real[name], name
        wanted = dict(real["outputs"][0], written=[])
        assert told["outputs"] == [wanted]
        (line.folder / TABLE).write_bytes(before)


def test_a_dry_run_without_a_file_leaves_nothing(line: Pipeline) -> None:
    line.films(5)
    there = sorted(path.name for path in line.folder.rglob("*"))
    done = line.run("db", line.path, "--to", "duckdb", "--dry-run", "--format", "table")
    assert done.code == 0
    assert "5 events would be in playback-events.duckdb (duckdb): 5 new." in said(done)
    assert sorted(path.name for path in line.folder.rglob("*")) == there


# Cut short.


@pytest.mark.sampled(2)
@pytest.mark.parametrize("place", ["page:0", "page:9", "commit:1", "commit:2", "commit:9"])
def test_an_import_that_is_killed_ends_as_if_nothing_had_been(
    line: Pipeline, running: Programs, history: Path, place: str
) -> None:
    whole = line.imported("db", history, "--to", "duckdb", "--out", "whole.duckdb")
    args = ("db", history, "--to", "duckdb", "--out", "cut.duckdb")
    gate = running.gate("middle")
    program = running.start(*args, at=(place, gate))
    gate.reached(program)
    program.killed()
    # The first transaction is that of looking whether a file could be made.
    done = line.imported(*args)
    assert done.told["plays"] == whole.told["plays"]
    assert everything(line.folder / "cut.duckdb") == everything(line.folder / "whole.duckdb")
    stored = len(rows(line.folder / "cut.duckdb"))
    assert stored == 2_000
    assert done.duplicates == 0, "what was committed is not read again"
    assert (done.carried > 0) == (place in {"commit:2", "commit:9"})


def test_what_was_committed_before_a_kill_can_be_looked_at(
    line: Pipeline, running: Programs, history: Path
) -> None:
    gate = running.gate("middle")
    program = running.start("db", history, "--to", "duckdb", at=("commit:5", gate))
    gate.reached(program)
    program.killed()
    stored = len(line.rows())
    assert 400 <= stored < 2_000
    done = line.imported("db", history, "--to", "duckdb")
    assert done.new == 2_000 - stored


def test_ctrl_c_leaves_whole_batches_and_tells_how_to_go_on(
    line: Pipeline, running: Programs, history: Path
) -> None:
    gate = running.gate("middle")
    program = running.start("db", history, "--to", "duckdb", at=("page:8", gate))
    gate.reached(program)
    done = program.stopped(signal.SIGINT)
    assert done.code == 130
    assert to_go_on(done.err) == f"tautulli-import db {history} --to duckdb"
    after = line.imported("db", history, "--to", "duckdb")
    assert (after.duplicates, len(line.rows())) == (0, 2_000)
    assert [path.name for path in line.folder.glob(".*.lock")] == []


@pytest.mark.parametrize("size", ["7", "10000"])
def test_the_size_of_a_page_changes_nothing(line: Pipeline, history: Path, size: str) -> None:
    line.imported("db", history, "--to", "duckdb")
    args = ("db", history, "--to", "duckdb", "--out", "other.duckdb", "--batch-size", size)
    assert line.imported(*args).new == 2_000
    assert everything(line.folder / "other.duckdb") == everything(line.folder / TABLE)


# Files that cannot be used.


def test_a_file_that_is_open_elsewhere_is_busy_and_by_whom_is_told(line: Pipeline) -> None:
    line.films(2)
    line.store()
    line.add("Newer")
    with in_use(line.folder / TABLE) as process:
        done = line.run("db", line.path, "--to", "duckdb")
        assert done.code == 6
        assert str(process) in said(done)
        assert "Only one program at a time can open a DuckDB file" in said(done)
    assert line.store().new == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"SQLite format 3\0" + bytes(100), "is an SQLite database"),
        (b"a diary of somebody", "is another kind of file"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_kept(
    line: Pipeline, content: bytes, words: str
) -> None:
    line.films(2)
    (line.folder / TABLE).write_bytes(content)
    done = line.run("db", line.path, "--to", "duckdb")
    assert done.code == 8
    assert words in said(done)
    assert "--out" in said(done)
    assert (line.folder / TABLE).read_bytes() == content


def test_another_programs_duckdb_file_is_refused_and_kept(line: Pipeline) -> None:
    line.films(2)
    with duckdb.connect(str(line.folder / TABLE)) as db:
        db.execute("CREATE TABLE playback_events AS SELECT 1 AS mine")
    content = (line.folder / TABLE).read_bytes()
    for options in ((), ("--dry-run",), ("--restart",)):
        done = line.run("db", line.path, "--to", "duckdb", *options)
        assert (done.code, done.out) == (8, "")
        assert "is a DuckDB file of another program" in said(done)
    assert (line.folder / TABLE).read_bytes() == content


def test_the_source_is_no_place_to_write(line: Pipeline) -> None:
    line.films(2)
    before = line.path.read_bytes()
    done = line.run("db", line.path, "--to", "duckdb", "--out", line.path)
    assert done.code == 2
    assert line.path.read_bytes() == before


@pytest.mark.parametrize("out", ["-", "absent?.duckdb", "."])
def test_what_cannot_be_a_file_is_refused(line: Pipeline, out: str) -> None:
    line.films(2)
    done = line.run("db", line.path, "--to", "duckdb", "--out", out)
    assert done.code in {2, 8}
    assert "--out" in said(done) or "Name a file" in said(done)


# Beside others.


@pytest.fixture
def serving(line: Pipeline) -> Pipeline:
    """With a server."""
    line.server.start()
    return line


def several(line: Pipeline) -> tuple[str | Path, ...]:
    return ("db", line.path, "--to", "tracker", "--to", "duckdb", "--to", "nats")


def outputs(line: Pipeline) -> tuple[bool, bool, int]:
    """Whether the tracker is there, whether the table is, and how many messages are."""
    has_tracker = (line.folder / "crosswatch-tracker" / "history.json").exists()
    return has_tracker, (line.folder / TABLE).exists(), len(line.published)


def test_several_sinks_get_theirs_in_one_run(serving: Pipeline) -> None:
    serving.something_of_everything()
    done = serving.imported(*several(serving))
    assert [one["sink"] for one in done.told["outputs"]] == ["tracker", "duckdb", "nats"]
    assert outputs(serving) == (True, True, 9)
    assert len(serving.rows()) == 9
    assert serving.imported(*several(serving)).new == 0


def test_a_server_that_is_down_costs_the_others_nothing(serving: Pipeline) -> None:
    serving.something_of_everything()
    serving.server.kill()
    done = serving.run(*several(serving))
    assert done.code == 8
    assert "Cannot connect to NATS" in said(done)
    assert len(serving.rows()) == 9
    assert (serving.folder / "crosswatch-tracker" / "history.json").exists()
    assert f" are now in {TABLE} (duckdb): 9 new." in said(done)
    serving.server.start()
    after = serving.imported(*several(serving))
    by_sink = {one["sink"]: one["new"] for one in after.told["outputs"]}
    assert by_sink == {"tracker": 0, "duckdb": 0, "nats": 9}


def test_a_table_that_fails_in_the_middle_costs_the_others_nothing(
    serving: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.something_of_everything()
    query = vars(store)["run"]

    def fails(db: Any, words: str, *values: object) -> list[Any]:
        if words.startswith("INSERT INTO playback_events"):
            raise duckdb.IOException("IO Error: No space left on device")
        found: list[Any] = query(db, words, *values)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(store, "run", fails)
        done = serving.run(*several(serving), "--json")
    assert done.code == 8
    assert "No space left on device" in said(done)
    told = json.loads(done.out)
    assert told["status"] == "failed"
    assert [one["sink"] for one in told["outputs"]] == ["tracker", "nats"]
    assert outputs(serving) == (True, True, 9)
    assert serving.rows() == []
    after = serving.imported(*several(serving))
    assert {one["sink"]: one["new"] for one in after.told["outputs"]} == {
        "tracker": 0,
        "duckdb": 9,
        "nats": 0,
    }


def test_a_tracker_that_fails_costs_the_streams_nothing(
    serving: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object, **_options: object) -> bool:
        raise SinkError("No space left on device.")

    serving.something_of_everything()
    with monkeypatch.context() as patch:
        patch.setattr(tracker, "write_whole", fails)
        done = serving.run(*several(serving))
    assert done.code == 8
    assert "No space left on device" in said(done)
    assert outputs(serving) == (False, True, 9)
    assert len(serving.rows()) == 9
    after = serving.imported(*several(serving))
    assert [one["new"] for one in after.told["outputs"]][1:] == [0, 0]
    assert outputs(serving) == (True, True, 9)


def test_a_place_that_cannot_be_used_is_told_before_anything_is_written(serving: Pipeline) -> None:
    serving.something_of_everything()
    (serving.folder / "crosswatch-tracker" / "history.json").mkdir(parents=True)
    done = serving.run(*several(serving))
    assert done.code == 8
    assert not (serving.folder / TABLE).exists()
    assert api(serving.server.access(), "STREAM.NAMES")["total"] == 0


def test_two_backups_of_one_server_are_one_history(line: Pipeline, tmp_path: Path) -> None:
    line.films(5)
    older = tmp_path / "older.db"
    copy = sqlite3.connect(older)
    line.conn.backup(copy)
    copy.close()
    line.films(3, first=3, last=1)
    done = line.imported("db", older, line.path, "--to", "duckdb")
    assert (done.new, done.told["plays"]["filtered"]) == (8, {"duplicate": 5})
    assert len(line.rows()) == 8


# Without it.


def test_without_duckdb_it_says_what_to_install(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = line.run("db", line.path, "--to", "duckdb")
    assert done.code == 2
    assert "Install it: pipx inject tautulli-import duckdb (in a clone: " in said(done)
