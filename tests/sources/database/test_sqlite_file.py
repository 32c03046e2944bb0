"""Opening somebody else's database: nothing of it changes, and every refusal is a sentence.

The databases are real, and so are the processes that write to them, hold them and are killed.
"""

import gzip
import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import BusyError
from tautulli_import.sources.database import sqlite
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create

Builder = Callable[[Path], Path]
Snapshot = Mapping[str, tuple[object, ...]]

#: Wide enough that no message is broken into lines.
WIDE = {"COLUMNS": "2000"}
FILMS = ["Film 1", "Film 2", "Film 3", "Film 4"]

_WRITER = """
import json, os, sqlite3, sys
from tests.support.history import add_play

# A writer that does not wait: whoever stands in its way makes it fail at once.
conn = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for line in sys.stdin:
    order = json.loads(line)
    answer = {}
    try:
        if "play" in order:
            conn.execute("BEGIN IMMEDIATE")
            answer["done"] = add_play(conn, **order["play"])
        elif "sql" in order:
            answer["done"] = conn.execute(order["sql"]).fetchall()
        else:
            conn.close()
            answer["done"] = None
    except sqlite3.Error as error:
        answer["failed"] = str(error)
    print(json.dumps(answer), flush=True)
"""


class Writer:
    """Another process that has the database open, as Tautulli has; it does what it is told."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` over there."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent.parent)},
        )

    def sql(self, statement: str) -> Any:
        """Run a statement and return its rows; an error over there fails the test."""
        return self._order(sql=statement)

    def play(self, **fields: str | float | None) -> int:
        """Log a play and commit it; an error over there fails the test."""
        return int(self._order(play=fields))

    def close(self) -> None:
        """Close the connection as a program does that ends in peace."""
        self._order(close=True)
        self.end()

    def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it is doing."""
        self._process.send_signal(signal.SIGKILL)
        self.end()

    def end(self) -> None:
        """Wait for its end, and see to it that there is one."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait(timeout=60)

    def _order(self, **order: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, f"the writer was made to fail: {answer['failed']}"
        return answer["done"]


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Have another process open ``path``, for as long as this lasts."""
    writer = Writer(path)
    try:
        writer.sql("SELECT count(*) FROM sqlite_master")
        yield writer
    finally:
        writer.end()


def snapshot(folder: Path) -> Snapshot:
    """Everything about a directory that reading it must not change."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_ino,
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [folder, *folder.rglob("*")]
    }


def beside(path: Path, suffix: str) -> Path:
    """Return the ``-wal``, ``-shm`` or ``-journal`` of a database."""
    return path.with_name(path.name + suffix)


def new_database(folder: Path, *, wal: bool, films: int = 4, name: str = "tautulli.db") -> Path:
    """Return a closed database with some films in it."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    with closing(create(path, wal=wal)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        for number in range(1, films + 1):
            add_play(conn, title=f"Film {number}", year=2000 + number)
    return path


def titles(source: Source) -> list[str | None]:
    """Return the title of every play, in the order of reading."""
    return [play.title for batch in source.batches(None) for play in batch.plays]


def titles_of(path: Path) -> list[str | None]:
    """Return the title of every play in one database."""
    with closing(Source([path])) as source:
        return titles(source)


def titles_in(lines: str) -> list[str]:
    """Return the titles in the JSON lines of a dry run."""
    return [json.loads(line)["title"] for line in lines.splitlines()]


# Databases in every state in which they are found ----------------------------------------

_FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
    "INSERT INTO session_history_metadata (id, summary) SELECT i, hex(zeroblob(2000)) FROM n"
)


def rollback_mode_at_rest(folder: Path) -> Path:
    """Backups, and databases that were never in WAL mode."""
    return new_database(folder, wal=False)


def wal_mode_at_rest(folder: Path) -> Path:
    """Tautulli was stopped properly."""
    path = new_database(folder, wal=True)
    assert not beside(path, "-wal").exists()
    return path


def wal_mode_with_empty_leftovers(folder: Path) -> Path:
    """Somebody looked at it with a read-only connection."""
    path = new_database(folder, wal=True)
    beside(path, "-wal").touch()
    beside(path, "-shm").write_bytes(bytes(32768))
    return path


def wal_left_by_a_killed_writer(folder: Path) -> Path:
    """Kill the container: the last plays are in the -wal, and half a transaction is."""
    path = new_database(folder, wal=True, films=2)
    with writing(path) as writer:
        writer.sql("PRAGMA wal_autocheckpoint = 0")
        writer.play(title="Film 3", year=2003)
        writer.play(title="Film 4", year=2004)
        writer.sql("PRAGMA cache_size = 5")
        writer.sql("BEGIN")
        writer.sql("UPDATE session_history_metadata SET title = 'never committed'")
        writer.sql(_FILL)
        writer.kill()
    assert beside(path, "-wal").stat().st_size > 500 * 4000
    assert beside(path, "-shm").exists()
    return path


def wal_left_without_its_shm(folder: Path) -> Path:
    """Return the same, copied to another place by somebody who knew only of the -wal."""
    path = wal_left_by_a_killed_writer(folder)
    beside(path, "-shm").unlink()
    return path


def hot_journal_left_by_a_killed_writer(folder: Path) -> Path:
    """Killed in the middle of a transaction: the database itself is torn."""
    path = new_database(folder, wal=False)
    with writing(path) as writer:
        writer.sql("PRAGMA cache_size = 5")
        writer.sql("BEGIN")
        writer.sql("UPDATE session_history_metadata SET title = 'never committed'")
        writer.sql("DELETE FROM session_history WHERE id = 2")
        writer.sql(_FILL)
        writer.kill()
    journal = beside(path, "-journal").read_bytes()
    assert journal.startswith(bytes.fromhex("d9d505f920a163d7"))
    assert b"never committed" in path.read_bytes()
    return path


def journal_kept_by_persist_mode(folder: Path) -> Path:
    """journal_mode=PERSIST leaves a journal that means nothing."""
    path = new_database(folder, wal=False, films=3)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = PERSIST")
        add_play(conn, title="Film 4", year=2004)
    assert beside(path, "-journal").stat().st_size
    return path


STATES: list[Builder] = [
    rollback_mode_at_rest,
    wal_mode_at_rest,
    wal_mode_with_empty_leftovers,
    wal_left_by_a_killed_writer,
    wal_left_without_its_shm,
    hot_journal_left_by_a_killed_writer,
    journal_kept_by_persist_mode,
]
LEFT_BEHIND: list[Builder] = STATES[3:6]


def named(value: object) -> str:
    """Return a builder's own name, as the name of the case."""
    return getattr(value, "__name__", str(value)).replace("_", " ")


# Nothing is changed ----------------------------------------------------------------------


@pytest.mark.parametrize("build", STATES, ids=named)
def test_reading_changes_no_byte_and_no_file_beside_the_database(
    cli: Cli, tmp_path: Path, build: Builder
) -> None:
    path = build(tmp_path / "tautulli")
    private = tmp_path / "private"
    private.mkdir()
    before = snapshot(path.parent)

    tracker = cli("db", path, "--to", "tracker", env={"TMPDIR": str(private)})
    looked = cli("db", path, "--dry-run", env={"TMPDIR": str(private)})

    assert snapshot(path.parent) == before
    assert (tracker.code, looked.code) == (0, 0), tracker.err
    assert titles_in(looked.out) == FILMS
    assert list(private.iterdir()) == [], "a private copy was left behind"


@pytest.mark.parametrize("build", STATES, ids=named)
def test_opening_alone_changes_nothing_either(tmp_path: Path, build: Builder) -> None:
    path = build(tmp_path / "tautulli")
    before = snapshot(path.parent)
    with closing(Source([path], page=1)) as source:
        assert snapshot(path.parent) == before
        for _ in source.batches(None):
            assert snapshot(path.parent) == before
        assert [user.plays for user in source.users() if user.plays] == [4]
        assert [library.plays for library in source.libraries()] == [4]
        assert source.lookups() == []
    assert snapshot(path.parent) == before


@pytest.mark.parametrize("build", LEFT_BEHIND, ids=named)
def test_a_private_copy_is_announced_once(cli: Cli, tmp_path: Path, build: Builder) -> None:
    path = build(tmp_path / "tautulli")
    result = cli("db", path, "--dry-run", env=WIDE)
    told = [line for line in result.err.splitlines() if "private copy" in line]
    assert len(told) == 1
    assert str(path) in told[0]


def test_a_private_copy_can_be_read_by_nobody_else_and_is_gone_after_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wal_left_by_a_killed_writer(tmp_path / "tautulli")
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    with closing(Source([path])):
        (folder,) = private.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    assert list(private.iterdir()) == []


def test_a_private_copy_is_gone_when_it_turns_out_to_be_damaged(cli: Cli, tmp_path: Path) -> None:
    path = wal_left_by_a_killed_writer(tmp_path / "tautulli")
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\xff" * 4000)
    private = tmp_path / "private"
    private.mkdir()
    result = cli("db", path, "--dry-run", env={"TMPDIR": str(private)})
    assert result.code in (0, 7)  # the -wal may hold a whole first page
    assert "Traceback" not in result.err
    assert list(private.iterdir()) == []


# Permissions -----------------------------------------------------------------------------


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take away the right to write from a directory and all that is in it."""
    paths = [*folder.iterdir(), folder]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in zip(reversed(paths), reversed(modes), strict=True):
            path.chmod(mode)


def forbid(path: Path) -> None:
    """Make a file (or a directory) somebody else's, and private."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        path.chmod(0o700 if path.is_dir() else 0o600)
    else:
        path.chmod(0)


@pytest.mark.parametrize("build", STATES, ids=named)
def test_a_read_only_directory_is_enough(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path, build: Builder
) -> None:
    path = build(tmp_path / "tautulli")
    with read_only(path.parent):
        before = snapshot(path.parent)
        code, out, err = bound("db", path, "--dry-run")
        assert snapshot(path.parent) == before
    assert (code, titles_in(out)) == (0, FILMS), err


def test_a_live_database_in_a_directory_that_is_read_only_for_us_is_read_to_its_newest_row(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=3)
    with writing(path) as writer:
        writer.play(title="Film 4", year=2004)
        with read_only(path.parent):
            code, out, err = bound("db", path, "--dry-run")
        writer.play(title="Film 5", year=2005)
    assert (code, titles_in(out)) == (0, FILMS), err


def test_a_file_that_is_not_ours_to_read_is_exit_3(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=False)
    forbid(path)
    code, out, err = bound("db", path, "--dry-run")
    check_refusal(code, out, err, 3, f"You have no permission to read {path}.")


def test_a_directory_that_is_not_ours_to_enter_is_exit_3(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=False)
    forbid(path.parent)
    try:
        code, out, err = bound("db", path, "--dry-run")
    finally:
        path.parent.chmod(0o700)
    check_refusal(code, out, err, 3, "You have no permission to read")


def test_a_wal_that_is_not_ours_to_read_is_an_error_and_not_a_shorter_history(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = wal_left_without_its_shm(tmp_path / "tautulli")
    forbid(beside(path, "-wal"))
    code, out, err = bound("db", path, "--dry-run")
    check_refusal(code, out, err, 3, "-wal")
    assert "Make room" not in err, "the disk is not full"


# A live database -------------------------------------------------------------------------


def test_rows_that_are_only_in_the_wal_of_a_running_tautulli_are_imported(
    cli: Cli, tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=2)
    with writing(path) as writer:
        writer.sql("PRAGMA wal_autocheckpoint = 0")
        writer.play(title="Film 3", year=2003)
        writer.play(title="Film 4", year=2004)
        files = (path, beside(path, "-wal"))
        before = [file.read_bytes() for file in files]
        assert b"Film 4" not in before[0]

        result = cli("db", path, "--dry-run")

        assert (result.code, titles_in(result.out)) == (0, FILMS), result.err
        assert [file.read_bytes() for file in files] == before, "written, or checkpointed"
        assert "private copy" not in result.err
        writer.play(title="Film 5", year=2005)


def test_what_a_running_tautulli_has_not_committed_is_not_imported(
    cli: Cli, tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=True)
    with writing(path) as writer:
        writer.sql("PRAGMA cache_size = 5")
        writer.sql("BEGIN")
        writer.sql("UPDATE session_history_metadata SET title = 'never committed'")
        writer.sql(_FILL)
        result = cli("db", path, "--dry-run")
        assert (result.code, titles_in(result.out)) == (0, FILMS), result.err
        writer.sql("COMMIT")


def test_a_symbolic_link_to_a_running_tautullis_database_leads_to_its_newest_rows(
    cli: Cli, tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=2)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with writing(path) as writer:
        writer.play(title="Film 3", year=2003)
        writer.play(title="Film 4", year=2004)
        result = cli("db", link, "--dry-run")
    assert (result.code, titles_in(result.out)) == (0, FILMS), result.err


@pytest.mark.parametrize("build", LEFT_BEHIND, ids=named)
def test_a_symbolic_link_leads_to_what_a_crash_left_beside_the_database(
    tmp_path: Path, build: Builder
) -> None:
    path = build(tmp_path / "tautulli")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    before = snapshot(path.parent)
    assert titles_of(link) == FILMS
    assert snapshot(path.parent) == before


@pytest.mark.parametrize("wal", [True, False], ids=["WAL", "rollback journal"])
def test_tautulli_can_commit_between_our_batches(tmp_path: Path, wal: bool) -> None:
    path = new_database(tmp_path / "tautulli", wal=wal, films=6)
    with writing(path) as writer:
        writer.play(title="Film 7", year=2007)
        with closing(Source([path], page=2)) as source:
            source.refuse_damage()  # the check for damage has its own short locks
            ids: list[int] = []
            for batch in source.batches(None):
                ids += [play.id for play in batch.plays]
                writer.play(title="New", year=2020)
                if wal:
                    busy, _, _ = writer.sql("PRAGMA wal_checkpoint(TRUNCATE)")[0]
                    assert not busy, "a read transaction was open between two batches"
    assert ids[:7] == [1, 2, 3, 4, 5, 6, 7]
    assert len(set(ids)) == len(ids)


def writes_and_stays(writer: Writer) -> None:
    """Write new rows into the -wal only."""
    writer.play(title="New", year=2020)


def writes_and_checkpoints(writer: Writer) -> None:
    """Overwrite the pages of the database itself."""
    writer.sql("UPDATE session_history_metadata SET summary = hex(zeroblob(3000))")
    writer.play(title="New", year=2020)
    writer.sql("PRAGMA wal_checkpoint(TRUNCATE)")


def writes_and_closes(writer: Writer) -> None:
    """Write and close, as a Tautulli does that is started and stopped."""
    writer.sql("UPDATE session_history_metadata SET summary = hex(zeroblob(3000))")
    writer.play(title="New", year=2020)
    writer.close()


def rearranges_everything(writer: Writer) -> None:
    """Move every page to another place in the file."""
    writer.sql("UPDATE session_history_metadata SET summary = hex(zeroblob(3000))")
    writer.sql("VACUUM")
    writer.close()


def is_killed_after_a_commit(writer: Writer) -> None:
    """Leave a -wal that nobody holds."""
    writer.play(title="New", year=2020)
    writer.kill()


@pytest.mark.parametrize(
    "act",
    [
        writes_and_stays,
        writes_and_checkpoints,
        writes_and_closes,
        rearranges_everything,
        is_killed_after_a_commit,
    ],
    ids=named,
)
def test_a_tautulli_that_is_started_while_we_read_changes_nothing_about_the_rows_that_were_there(
    tmp_path: Path, act: Callable[[Writer], None]
) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=40)
    with closing(Source([path], page=10)) as source:
        batches = source.batches(None)
        read = [(play.id, play.title) for play in next(batches).plays]
        with writing(path) as writer:
            act(writer)
            read += [(play.id, play.title) for batch in batches for play in batch.plays]
            people = source.users()
    assert read[:40] == [(number, f"Film {number}") for number in range(1, 41)]
    assert len(set(read)) == len(read)
    assert people[0].username == "alice"


def test_a_tautulli_that_comes_and_goes_before_every_batch_costs_no_row(tmp_path: Path) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=40)
    read: list[int] = []
    with closing(Source([path], page=10)) as source:
        for batch in source.batches(None):
            read += [play.id for play in batch.plays]
            with writing(path) as writer:
                writes_and_closes(writer)
    assert read[:40] == list(range(1, 41))
    assert len(set(read)) == len(read)


def test_a_tautulli_that_stops_while_we_read_finds_everything_again(tmp_path: Path) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=4)
    with writing(path) as writer:
        writer.play(title="Film 5", year=2005)
        with closing(Source([path], page=2)) as source:
            batches = source.batches(None)
            read = [play.id for play in next(batches).plays]
            writer.play(title="Film 6", year=2006)
            writer.close()
            read += [play.id for batch in batches for play in batch.plays]
    assert read[:5] == [1, 2, 3, 4, 5]
    with writing(path) as writer:
        assert writer.sql("PRAGMA integrity_check") == [["ok"]]
        assert writer.sql("SELECT count(*) FROM session_history") == [[6]]
    assert titles_of(path)[4:] == ["Film 5", "Film 6"]


@pytest.mark.parametrize("wal", [True, False], ids=["WAL", "rollback journal"])
def test_a_tautulli_that_is_killed_in_mid_transaction_while_we_read_costs_no_row(
    tmp_path: Path, wal: bool
) -> None:
    path = new_database(tmp_path / "tautulli", wal=wal, films=40)
    with writing(path) as writer:
        writer.play(title="Film 41", year=2041)
        with closing(Source([path], page=10)) as source:
            batches = source.batches(None)
            read = [play.title for play in next(batches).plays]
            writer.sql("PRAGMA cache_size = 5")
            writer.sql("BEGIN")
            writer.sql("UPDATE session_history_metadata SET title = 'never committed'")
            writer.sql(_FILL)
            writer.kill()
            before = snapshot(path.parent)
            read += [play.title for batch in batches for play in batch.plays]
            after = snapshot(path.parent)
    assert read == [f"Film {number}" for number in range(1, 42)]
    if not wal:
        assert after == before


def test_rows_that_are_deleted_while_we_read_are_just_not_there_any_more(tmp_path: Path) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=9)
    with writing(path) as writer:
        writer.play(title="Film 10", year=2010)
        with closing(Source([path], page=3)) as source:
            batches = source.batches(None)
            read = [play.id for play in next(batches).plays]
            writer.sql("DELETE FROM session_history WHERE id BETWEEN 4 AND 7")
            read += [play.id for batch in batches for play in batch.plays]
    assert read == [1, 2, 3, 8, 9, 10]


# Locks -----------------------------------------------------------------------------------


def test_an_exclusive_lock_held_by_another_program_is_exit_6_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    path = new_database(tmp_path / "tautulli", wal=False)
    before = snapshot(path.parent)
    with writing(path) as writer:
        writer.sql("BEGIN EXCLUSIVE")
        with pytest.raises(BusyError, match=r"tautulli\.db is locked") as refused:
            Source([path])
        assert refused.value.exit_code == 6
        assert refused.value.hint
        writer.sql("ROLLBACK")
        assert titles_of(path) == FILMS
    assert snapshot(path.parent) == before


def test_an_exclusive_lock_taken_between_two_batches_is_exit_6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    path = new_database(tmp_path / "tautulli", wal=False)
    with writing(path) as writer, closing(Source([path], page=2)) as source:
        source.refuse_damage()  # the check for damage has its own short locks
        batches = source.batches(None)
        next(batches)
        writer.sql("BEGIN EXCLUSIVE")
        with pytest.raises(BusyError, match=r"tautulli\.db is locked"):
            next(batches)


def test_writers_of_a_wal_database_lock_nobody_out(tmp_path: Path) -> None:
    path = new_database(tmp_path / "tautulli", wal=True, films=3)
    with writing(path) as writer:
        writer.play(title="Film 4", year=2004)
        writer.sql("BEGIN EXCLUSIVE")
        assert titles_of(path) == FILMS


# What is no database of Tautulli's -------------------------------------------------------


def check_refusal(code: int, out: str, err: str, expected: int, words: str) -> None:
    """One sentence that says what happened, one line that says what to do, nothing else."""
    assert code == expected, err
    assert out == ""
    assert "Traceback" not in err
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, err
    assert words in errors[0]
    assert errors[0].endswith(".")
    hint = lines[lines.index(errors[0]) + 1 :]
    assert len(hint) == 1, err
    assert hint[0].startswith("  ")
    assert hint[0].strip()


def a_directory(path: Path) -> None:
    path.mkdir()


def an_empty_file(path: Path) -> None:
    path.touch()


def a_zip_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tautulli.db", b"SQLite format 3\x00")


def a_gzip_archive(path: Path) -> None:
    path.write_bytes(gzip.compress(b"SQLite format 3\x00" + bytes(4080)))


def random_bytes(path: Path) -> None:
    path.write_bytes(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256)))


def a_text_file(path: Path) -> None:
    path.write_text("see backups/\n")


def a_header_without_a_database(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def a_header_before_random_bytes(path: Path) -> None:
    random_bytes(path)
    path.write_bytes(b"SQLite format 3\x00" + path.read_bytes()[16:])


def another_programs_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)")


def a_database_without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 1")


def a_history_without_metadata(path: Path) -> None:
    with closing(create(path)) as conn:
        conn.execute("DROP TABLE session_history_metadata")


def a_history_without_its_times(path: Path) -> None:
    with closing(create(path)) as conn:
        conn.execute("ALTER TABLE session_history DROP COLUMN started")


def a_named_pipe(path: Path) -> None:
    os.mkfifo(path)


def cut_in_half(path: Path) -> None:
    new_database(path.parent, wal=False, films=200, name=path.name)
    os.truncate(path, path.stat().st_size // 2)


def cut_by_a_page(path: Path) -> None:
    new_database(path.parent, wal=False, films=200, name=path.name)
    os.truncate(path, path.stat().st_size - 4096)


def cut_in_half_in_wal_mode(path: Path) -> None:
    new_database(path.parent, wal=True, films=200, name=path.name)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_directory, "is a directory"),
        (an_empty_file, "is empty"),
        (a_zip_archive, "is a ZIP archive"),
        (a_gzip_archive, "is a gzip archive"),
        (random_bytes, "not a SQLite database, or it is encrypted"),
        (a_text_file, "not a SQLite database"),
        (a_header_without_a_database, "x.db"),
        (a_header_before_random_bytes, "x.db"),
        (another_programs_database, "the SQLite database of another program (with the tables moz_"),
        (a_database_without_tables, "without tables"),
        (a_history_without_metadata, "no table session_history_metadata"),
        (a_history_without_its_times, "no column for started"),
        (a_named_pipe, "not a regular file"),
        (cut_in_half, "damaged"),
        (cut_by_a_page, "damaged"),
        (cut_in_half_in_wal_mode, "damaged"),
    ],
    ids=named,
)
def test_what_is_no_usable_database_is_exit_7_with_a_sentence_and_a_hint(
    cli: Cli, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "x.db")
    before = snapshot(folder)
    out = tmp_path / "out"
    result = cli("db", folder / "x.db", "--to", "tracker", "--out", out, env=WIDE)
    check_refusal(result.code, result.out, result.err, 7, words)
    assert str(folder / "x.db") in result.err
    assert snapshot(folder) == before
    assert not out.exists()


def nothing(path: Path) -> None:
    assert not path.exists()


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere.db")


def a_path_below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


def a_path_below_nothing(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    "make", [nothing, a_link_to_nowhere, a_path_below_a_file, a_path_below_nothing], ids=named
)
def test_a_file_that_is_not_there_is_exit_5(
    cli: Cli, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "x.db")
    result = cli("db", folder / "x.db", "--dry-run", env=WIDE)
    check_refusal(result.code, result.out, result.err, 5, f"no file {folder / 'x.db'}")


def test_a_directory_with_a_database_in_it_is_not_guessed_at_but_named_in_the_hint(
    cli: Cli, history: Path
) -> None:
    result = cli("db", history.parent, "--dry-run", env=WIDE)
    check_refusal(result.code, result.out, result.err, 7, "is a directory")
    assert str(history) in result.err


def with_a_page_of_garbage(path: Path, needle: bytes, *, wal: bool) -> None:
    """Three hundred films, and 4096 bytes of nonsense where this text stood."""
    with closing(create(path, wal=wal)) as conn:
        for number in range(1, 301):
            add_play(conn, title=f"Film {number:03}", player=f"Player {number:03}")
    overwrite_the_page_of(path, needle)


def overwrite_the_page_of(path: Path, needle: bytes) -> None:
    """Write nonsense over the page on which this text stands."""
    content = bytearray(path.read_bytes())
    start = content.index(needle) // 4096 * 4096
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize("needle", [b"Player 150", b"Film 150"], ids=["history", "metadata"])
@pytest.mark.parametrize("wal", [True, False], ids=["WAL", "rollback journal"])
def test_around_a_page_of_garbage_every_other_row_is_read_and_the_end_is_exit_7(
    cli: Cli, tmp_path: Path, needle: bytes, wal: bool
) -> None:
    folder = tmp_path / "tautulli"
    folder.mkdir()
    path = folder / "tautulli.db"
    with_a_page_of_garbage(path, needle, wal=wal)
    before = snapshot(folder)

    report = tmp_path / "report.json"
    arguments = ("--batch-size", "50", "--dry-run", "--quiet", "--report", report, "--salvage")
    result = cli("db", path, *arguments, env=WIDE)

    assert snapshot(folder) == before
    told = json.loads(report.read_text()) if report.exists() else {"rejected_rows": []}
    lost = [row["id"] for row in told["rejected_rows"]]
    check_refusal(result.code, "", result.err, 7, f"{300 - len(lost)} plays were salvaged")
    assert 150 in lost
    assert lost == list(range(lost[0], lost[-1] + 1)), "one page holds neighbours"
    assert f"{len(lost)} plays are lost: rows {lost[0]} to {lost[-1]}" in result.err
    reason = "unreadable" if needle == b"Player 150" else "no_metadata"
    assert told["plays"]["rejected"] == {reason: len(lost)}
    assert told["plays"]["read"] == 300
    assert told["damaged"][0]["lost_rows"] == [[lost[0], lost[-1]]]
    expected = [f"Film {number:03}" for number in range(1, 301) if number not in lost]
    assert titles_in(result.out) == expected


def test_what_explains_a_damaged_database_says_what_is_lost(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    with_a_page_of_garbage(path, b"Player 150", wal=False)

    title, row, listed = (
        cli(*words, path, "--json", "--salvage", env=WIDE)
        for words in (("why", "Film 001"), ("why", "150"), ("unresolved",))
    )

    assert (title.code, row.code, listed.code) == (7, 7, 7)
    assert json.loads(title.out)["titles"][0]["title"] == "Film 001"
    assert [one["reason"] for one in json.loads(row.out)["rows"]] == ["unreadable"]
    assert json.loads(listed.out)["unreadable"] > 0
    assert "is damaged" in listed.err


def test_around_a_page_of_garbage_row_ids_that_never_were_are_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        for number in range(1, 301):
            add_play(conn, id=number * 10, title=f"Film {number:03}")
    overwrite_the_page_of(path, b"Film 150")
    with closing(Source([path], page=50, salvages=True)) as source:
        batches = list(source.batches(None))
    read = [play.id for batch in batches for play in batch.plays]
    lost = [row.id or 0 for batch in batches for row in batch.rejected]
    assert 1500 in lost
    assert sorted(read + lost) == list(range(10, 3001, 10))


def test_what_one_file_lost_to_damage_another_gives_back(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.db", tmp_path / "damaged.db"
    with_a_page_of_garbage(damaged, b"Film 150", wal=False)
    new_database(tmp_path, wal=False, films=0, name="whole.db")
    with closing(sqlite3.connect(whole)) as conn:
        for number in range(1, 301):
            add_play(conn, title=f"Film {number:03}", player=f"Player {number:03}")
    for paths in ([whole, damaged], [damaged, whole]):
        with closing(Source(paths, page=50, salvages=True)) as source:
            assert sorted(title or "" for title in titles(source)) == [
                f"Film {number:03}" for number in range(1, 301)
            ]


def test_one_unusable_file_among_several_stops_everything_and_is_the_one_that_is_named(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    an_empty_file(tmp_path / "empty.db")
    out = tmp_path / "out"
    result = cli("db", history, tmp_path / "empty.db", "--to", "tracker", "--out", out, env=WIDE)
    check_refusal(result.code, result.out, result.err, 7, "empty.db is empty")
    assert not out.exists()


def test_a_database_without_plays_is_no_error(cli: Cli, tmp_path: Path) -> None:
    create(tmp_path / "new.db").close()
    result = cli("check", tmp_path / "new.db", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["plays"]["read"] == 0


# Names -----------------------------------------------------------------------------------


NAMES = [
    "two words.db",
    "what?.db",
    "number#1.db",
    "100%41.db",
    "Fünf 📼.db",
    "[red]not markup[red].db",
    "a\nb.db",
    "file:x?mode=rwc.db",
    "C:\\tautulli.db",
    os.fsdecode(b"caf\xe9.db"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wal", [True, False], ids=["WAL", "rollback journal"])
def test_any_file_name_will_do(tmp_path: Path, name: str, wal: bool) -> None:
    folder = tmp_path / "tautulli"
    path = new_database(folder, wal=wal, name="plain.db").rename(folder / name)
    before = snapshot(folder)
    assert titles_of(path) == FILMS
    assert snapshot(folder) == before


def test_a_file_name_in_another_encoding_can_be_typed_and_reported(
    cli: Cli, tmp_path: Path
) -> None:
    path = new_database(tmp_path / "tautulli", wal=False).rename(tmp_path / NAMES[-1])
    result = cli("db", path, "--dry-run", "--report", tmp_path / "report.json", env=WIDE)
    assert (result.code, titles_in(result.out)) == (0, FILMS), result.err
    missing = cli("db", tmp_path / ("no" + NAMES[-1]), "--dry-run", env=WIDE)
    check_refusal(missing.code, missing.out, missing.err, 5, "There is no file")


def test_a_file_name_is_shown_as_it_is_and_never_obeyed(cli: Cli) -> None:
    result = cli("db", "[red]x\x1b[31m.db", "--dry-run", env=WIDE)
    check_refusal(result.code, result.out, result.err, 5, "[red]x")
    assert "\x1b" not in result.err


def test_a_relative_path_is_relative_to_the_working_directory(cli: Cli, history: Path) -> None:
    result = cli("db", history.name, "--dry-run", cwd=history.parent)
    assert result.code == 0, result.err
    assert len(titles_in(result.out)) == 4


# Standard input --------------------------------------------------------------------------


@pytest.mark.parametrize("wal", [True, False], ids=["WAL", "rollback journal"])
def test_a_dash_reads_the_database_from_standard_input(cli: Cli, tmp_path: Path, wal: bool) -> None:
    path = new_database(tmp_path / "tautulli", wal=wal)
    private = tmp_path / "private"
    private.mkdir()
    result = cli(
        "db", "-", "--dry-run", stdin=path.read_bytes(), env={"TMPDIR": str(private), **WIDE}
    )
    assert (result.code, titles_in(result.out)) == (0, FILMS), result.err
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("command", ["check", "users", "libraries", "unresolved"])
def test_every_command_that_looks_reads_standard_input_too(
    cli: Cli, history: Path, command: str
) -> None:
    result = cli(command, "-", "--json", stdin=history.read_bytes())
    assert result.code == 0, result.err
    assert json.loads(result.out)


def test_standard_input_joins_files(cli: Cli, history: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(create(other)) as conn:
        add_play(conn, title="Film 1", started=1_700_000_000)
    result = cli("db", "-", other, "--dry-run", stdin=history.read_bytes())
    assert result.code == 0, result.err
    assert {"First Film", "Film 1"} <= set(titles_in(result.out))


@pytest.mark.parametrize("make", [an_empty_file, a_zip_archive, random_bytes, cut_in_half])
def test_standard_input_is_refused_as_a_file_is_and_named(
    cli: Cli, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "x.db")
    private = tmp_path / "private"
    private.mkdir()
    content = (tmp_path / "x.db").read_bytes()
    env = {"TMPDIR": str(private), **WIDE}
    result = cli("db", "-", "--dry-run", stdin=content, env=env)
    check_refusal(result.code, result.out, result.err, 7, "standard input")
    assert list(private.iterdir()) == []


def test_standard_input_is_read_in_process_as_well(history: Path) -> None:
    piped = io.BytesIO(history.read_bytes())
    with closing(Source([Path("-")], stdin=piped)) as source:
        assert source.total() == 4
        assert source.name == "standard input"
