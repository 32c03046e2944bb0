"""Damaged databases: noticed always, refused with an account, and imported with ``--salvage``."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tautulli_import.errors import DamagedHistoryError, TautulliImportError
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Rejected
from tautulli_import.sources.database.source import Source
from tautulli_import.sources.database.sqlite import SqliteFile
from tests.conftest import Cli, Result
from tests.support.damage import DAMAGES, PAGE, Damage, Pristine, flipped_bytes, varint
from tests.support.history import add_library, add_play, add_user, create, create_plexpy_2015
from tests.support.history.generator import generate
from tests.support.inside import Inside

PLAYS: Final = 400
TABLES: Final = ("session_history", "session_history_metadata", "session_history_media_info")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Pristine:
    """Return a generated history that nothing has happened to."""
    path = tmp_path_factory.mktemp("pristine") / "whole.db"
    generate(path, plays=PLAYS, seed=3, wal=False, truth=False)
    return Pristine(path)


@pytest.fixture(scope="module")
def whole(pristine: Pristine) -> Mapping[int, Play]:
    """Return all of its plays."""
    plays, rejected = read(pristine.path)
    assert rejected == {}
    return plays


def read(path: Path, *, salvages: bool = False) -> tuple[dict[int, Play], dict[int, Rejected]]:
    """Return the plays and the rejected rows of a file that is whole or salvaged."""
    plays: dict[int, Play] = {}
    rejected: dict[int, Rejected] = {}
    with closing(Source([path], salvages=salvages)) as source:
        for batch in source.batches(None):
            plays |= {play.id: play for play in batch.plays}
            rejected |= {row.id: row for row in batch.rejected if row.id is not None}
        source.refuse_damage()
        assert len(plays) + len(rejected) == source.total()
    return plays, rejected


def outcome(
    path: Path, *, salvages: bool = False
) -> tuple[dict[int, Play], dict[int, Rejected]] | TautulliImportError:
    """Return what ``read`` returns, or the error that it raises."""
    try:
        return read(path, salvages=salvages)
    except TautulliImportError as error:
        return error


def passes(path: Path, check: str) -> bool:
    """Return what a check of SQLite's own says."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
            return conn.execute(f"PRAGMA {check}").fetchall() == [("ok",)]
    except sqlite3.Error:
        return False


def said(result: Result) -> str:
    """Return the messages without line breaks."""
    return " ".join(result.err.split())


# Fourteen ways of damage ----------------------------------------------------------------


@pytest.mark.sampled(72)
@pytest.mark.parametrize("seed", range(72))
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_damage_that_sqlite_sees_is_silent_and_every_row_that_is_still_there_is_salvaged(
    pristine: Pristine, whole: Mapping[int, Play], tmp_path: Path, damage: Damage, seed: int
) -> None:
    content = damage(pristine, Random(seed))  # noqa: S311 - the same damage each time
    path = tmp_path / "tautulli.db"
    path.write_bytes(content)
    unsalvaged = outcome(path)
    if isinstance(unsalvaged, TautulliImportError):
        assert unsalvaged.exit_code == 7
        assert "is damaged" in str(unsalvaged)
    else:
        # A wrong value in a column with an index is seen by integrity_check alone, as the manual
        # says. But then no row is lost.
        assert unsalvaged == (whole, {}) or passes(path, "quick_check")
        if not passes(path, "integrity_check"):
            assert (unsalvaged[0].keys(), unsalvaged[1]) == (whole.keys(), {})
    there = pristine.whole_plays(content)
    salvaged = outcome(path, salvages=True)
    if isinstance(salvaged, TautulliImportError):
        assert (salvaged.exit_code, there) == (7, set())
        return
    found, rejected = salvaged
    assert path.read_bytes() == content
    same = {number for number, play in found.items() if whole.get(number) == play}
    assert len(there - same) <= len(there) // 100
    traces = rejected.keys() | found.keys()
    assert set(whole) <= traces, "a row was lost without a word"
    if damage.__name__ not in _INSIDE:
        assert same == set(found), "a play was changed by the damage"
        assert traces == set(whole), "a row was made up"


_INSIDE: Final = ("garbage_inside", "hole", "cut_inside_a_page")
"""Nonsense in a number of a row cannot be told from another number."""


# What a person sees ---------------------------------------------------------------------


def damaged(path: Path, needle: bytes = b"Player 150") -> None:
    """Make a history of 300 films, with a page of zeros where the text stood."""
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        for number in range(1, 301):
            started = 1_600_000_000 + number * 86_400
            add_play(conn, title=f"Film {number}", player=f"Player {number:03}", started=started)
    zero(path, path.read_bytes().index(needle))


def zero(path: Path, at: int) -> None:
    """Overwrite the page around an offset with zeros."""
    content = bytearray(path.read_bytes())
    begin = at // PAGE * PAGE
    content[begin : begin + PAGE] = bytes(PAGE)
    path.write_bytes(content)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return a damaged database in a folder as Tautulli has it."""
    folder = tmp_path / "tautulli"
    (folder / "backups").mkdir(parents=True)
    damaged(folder / "tautulli.db")
    return folder / "tautulli.db"


@pytest.fixture
def backup(history: Path) -> Path:
    """Return a backup of it from before the damage, without the last ten plays."""
    path = history.parent / "backups" / "tautulli.backup-20210701.sched.db"
    damaged(path)
    path.unlink()
    with closing(create(path)) as conn:
        for number in range(1, 291):
            started = 1_600_000_000 + number * 86_400
            add_play(conn, title=f"Film {number}", player=f"Player {number:03}", started=started)
    return path


def titles(result: Result) -> set[str]:
    """Return the titles of a dry run."""
    return {json.loads(line)["title"] for line in result.out.splitlines()}


def test_a_damaged_database_is_refused_with_an_account_and_nothing_is_written(
    cli: Cli, history: Path, backup: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = cli("db", history, "--to", "tracker", "--out", out)
    assert (done.code, done.out) == (7, "")
    assert not out.exists()
    text = said(done)
    lost = 300 - int(text.partition(" plays can be salvaged")[0].rpartition(" ")[2])
    assert 0 < lost < 50
    assert f"{lost} plays are lost: rows " in text
    assert re.search(r", played between 2021-0[12]-\d\d and 2021-0[23]-\d\d\.", text)
    assert f"{backup} has {lost} of the lost plays" in text
    assert f"tautulli-import db {history} --to tracker --out {out} {backup} --salvage" in text


def test_the_command_that_is_named_reads_the_lost_plays_from_the_backup(
    inside: Inside, history: Path, backup: Path
) -> None:
    done = inside("db", history, backup, "--salvage", "--dry-run")
    assert done.code == 0, done.err
    assert titles(done) == {f"Film {number}" for number in range(1, 301)}
    assert re.search(r"Warning: \S+ is damaged. \d+ plays were salvaged.", said(done))
    assert re.search(r"All \d+ lost ones were read from another file.", said(done))
    assert said(done).count("is damaged") == 1
    assert "rejected" not in said(done).replace("0 rejected", "")


@pytest.mark.parametrize(
    "command", [("check",), ("unresolved",), ("why", "Film 150")], ids=lambda one: one[0]
)
def test_looking_at_a_salvaged_history_fails_only_if_plays_are_missing(
    inside: Inside, history: Path, backup: Path, command: tuple[str, ...]
) -> None:
    whole = inside(*command, history, backup, "--salvage")
    assert (whole.code, said(whole).count("is damaged")) == (0, 1)
    less = inside(*command, history, "--salvage")
    assert said(less).count("is damaged") == (0 if command[0] == "why" else 1)
    assert less.code == (5 if command[0] == "why" else 7)  # the title is among the lost plays


def test_damage_is_told_beside_an_output_that_failed(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    out = tmp_path / "full.jsonl"
    out.symlink_to("/dev/full")
    done = inside("db", history, "--salvage", "--to", "jsonl", "--out", out)
    assert done.code == 8
    assert "plays are lost: rows" in said(done)


def test_a_reader_who_leaves_early_hides_no_loss(cli: Cli, history: Path, backup: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = ("db", history, backup, "--salvage", "--to", "jsonl", "--out", "-", "--events")
    done = cli(*command, stdout=write_end)
    os.close(write_end)
    assert done.code == 7
    assert "read from another file" not in said(done)


def test_what_is_left_is_imported_and_the_end_is_exit_7(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    before = history.read_bytes()
    out, report = tmp_path / "items.jsonl", tmp_path / "report.json"
    options = ("--to", "jsonl", "--out", out, "--report", report, "--json")
    done = inside("db", history, "--salvage", *options)
    assert done.code == 7
    assert history.read_bytes() == before
    assert {path.name for path in history.parent.iterdir()} == {"backups", history.name}
    told = json.loads(done.out)
    (damage,) = told["damaged"]
    assert damage["source"] == str(history)
    assert damage["plays"] + damage["lost"] == told["plays"]["read"] == 300
    assert told["plays"]["rejected"] == {"unreadable": damage["lost"]}
    ((first, last),) = damage["lost_rows"]
    assert first <= 150 <= last
    assert last - first + 1 == damage["lost"]
    assert told["warnings"][0].startswith(f"{history} is damaged.")
    assert said(done).count("is damaged") == 1
    rows = json.loads(report.read_text())["rejected_rows"]
    assert [row["id"] for row in rows] == list(range(first, last + 1))
    assert len(out.read_text().splitlines()) == damage["plays"]
    assert f"{damage['plays']} plays were salvaged" in said(done)


def test_a_whole_database_is_no_other_with_salvage(inside: Inside, backup: Path) -> None:
    done = inside("db", backup, "--salvage", "--dry-run")
    assert done.code == 0, done.err
    assert done.out == inside("db", backup, "--dry-run").out
    assert "damaged" not in done.err


def with_a_page_twice(pristine: Pristine) -> bytes:
    """Return a damaged history that SQLite reads without an error."""
    content = bytearray(pristine.content)
    one, other = pristine.leaves["session_history"][1:3]
    content[(one - 1) * PAGE : one * PAGE] = pristine.page(other)
    return bytes(content)


@pytest.mark.parametrize("options", [(), ("--events",)], ids=["items", "events"])
def test_damage_that_reading_does_not_show_is_noticed_before_anything_is_written(
    pristine: Pristine, inside: Inside, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path, out = tmp_path / "tautulli.db", tmp_path / "out.jsonl"
    path.write_bytes(with_a_page_twice(pristine))
    done = inside("db", path, "--to", "jsonl", "--out", out, *options)
    assert done.code == 7
    assert "is damaged" in done.err
    assert not out.exists()


def with_a_wrong_length(pristine: Pristine, table: str) -> bytes:
    """Return a damaged history with a row that says that one of its texts is shorter than it is."""
    content = bytearray(pristine.content)
    cell = pristine.cells[table][150]
    at = (cell.page - 1) * PAGE + cell.begin
    for _ in ("length of the row", "id", "length of its header"):
        _, at = varint(content, at)
    while not (content[at] > 13 and content[at] % 2):
        at += 1
    content[at] -= 2
    return bytes(content)


@pytest.mark.parametrize("options", [(), ("--events",)], ids=["items", "events"])
@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_wrong_inside_is_noticed_by_what_reads_it(
    pristine: Pristine, inside: Inside, tmp_path: Path, table: str, options: tuple[str, ...]
) -> None:
    path, out = tmp_path / "tautulli.db", tmp_path / "out.jsonl"
    path.write_bytes(with_a_wrong_length(pristine, table))
    assert not passes(path, "quick_check")
    command: tuple[str | Path, ...] = ("db", path, "--to", "jsonl", "--out", out, *options)
    done = inside(*command)
    if table == "session_history_media_info" and not options:  # nothing of it becomes an item
        assert done.code == 0, done.err
        assert out.read_bytes() == inside("db", pristine.path, "--dry-run").out.encode()
        return
    assert (done.code, out.exists()) == (7, False)
    assert "plays can be salvaged" in said(done)
    assert inside(*command, "--salvage").code == 7
    assert out.exists()


def test_a_page_that_went_back_to_an_older_state_is_noticed(inside: Inside, tmp_path: Path) -> None:
    """SQLite's ``quick_check`` does not see that, because the page is whole."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
        for number in range(1, 101):
            add_play(conn, title=f"Film {number}")
        older = path.read_bytes()
        add_play(conn, title="Film 101")
    newer = Pristine(path)
    number = newer.cells["session_history"][101].page
    assert newer.cells["session_history"][100].page == number
    content = bytearray(newer.content)
    begin, end = (number - 1) * PAGE, number * PAGE
    content[begin:end] = older[begin:end]
    path.write_bytes(content)
    done = inside("db", path, "--dry-run")
    assert (done.code, done.out) == (7, "")
    assert "1 play is lost: row 101" in said(done)


def test_a_wrong_row_id_that_makes_the_reading_endless_ends_it(
    pristine: Pristine, cli: Cli, tmp_path: Path
) -> None:
    """Row ids that are out of order lead back to a page that was read."""
    path = tmp_path / "tautulli.db"
    path.write_bytes(flipped_bytes(pristine, Random(109)))  # noqa: S311 - the same damage each time
    done = cli("db", path, "--dry-run")
    assert done.code == 7
    assert "is damaged" in said(done)


def test_the_check_locks_out_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as writer:
        assert writer.execute("PRAGMA journal_mode = DELETE").fetchall() == [("delete",)]
        for number in range(1, 101):
            add_play(writer, title=f"Film {number}")
        writer.execute("PRAGMA busy_timeout = 0")
        with closing(SqliteFile(path)) as file:
            checking, was_written = file.connect_again()
            with closing(checking):
                rows = checking.execute("SELECT * FROM session_history")
                rows.fetchone()  # the statement goes on
                assert not was_written()
                add_play(writer, title="Film 101")
                assert was_written()


def test_a_stream_goes_on_where_it_was_after_a_damaged_database(
    inside: Inside, pristine: Pristine, tmp_path: Path
) -> None:
    path, out = tmp_path / "tautulli.db", tmp_path / "out.jsonl"
    path.write_bytes(pristine.content)
    command = ("db", path, "--to", "jsonl", "--events", "--out", out, "--json")
    assert inside(*command).code == 0
    written = out.read_bytes()
    path.write_bytes(with_a_page_twice(pristine))
    assert inside(*command).code == 7
    path.write_bytes(pristine.content)
    done = inside(*command)
    assert (done.code, json.loads(done.out)["carried"]) == (0, PLAYS)
    assert out.read_bytes() == written


@pytest.mark.parametrize("setting", ["option", "environment"])
def test_lost_plays_are_not_taken_back_with_replace(
    inside: Inside, history: Path, tmp_path: Path, setting: str
) -> None:
    out = tmp_path / "items.jsonl"
    command = ("db", history, "--to", "jsonl", "--out", out)
    inside(*command, "--salvage")
    before = out.read_bytes()
    env = {"TAUTULLI_IMPORT_SALVAGE": "true"} if setting == "environment" else {}
    options = ("--salvage",) if setting == "option" else ()
    done = inside(*command, "--replace", *options, env=env)
    assert (done.code, out.read_bytes()) == (2, before)
    assert "--replace and --salvage cannot be used together" in said(done)


def test_a_file_that_cannot_be_checked_is_not_whole(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_play(conn, title="Film")
        conn.create_collation("klingon", lambda one, other: (one > other) - (one < other))
        conn.execute("CREATE INDEX odd ON session_history (user COLLATE klingon)")
        conn.commit()
    done = inside("db", path, "--dry-run")
    assert (done.code, done.out) == (7, "")
    assert "no such collation sequence: klingon" in said(done)


def test_check_notices_and_salvages_as_an_import_does(inside: Inside, history: Path) -> None:
    refused = inside("check", history, "--json")
    assert refused.code == 7
    assert json.loads(refused.out).keys() == {"error"}
    assert "Use --salvage" in said(refused)
    done = inside("check", history, "--json", "--salvage")
    assert done.code == 7
    found = json.loads(done.out)
    assert found["damaged"][0]["plays"] == found["plays"]["emitted"]


def test_a_damaged_header_is_no_other_kind_of_file(inside: Inside, history: Path) -> None:
    content = history.read_bytes()
    history.write_bytes(bytes(100) + content[100:])
    assert "plays can be salvaged" in said(inside("db", history, "--dry-run"))
    done = inside("db", history, "--dry-run", "--salvage")
    assert (done.code, "Film 300" in titles(done)) == (7, True)


def test_a_damaged_database_from_standard_input_is_salvaged(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    env = {"TMPDIR": str(private)}
    content = history.read_bytes()
    assert "standard input is damaged" in said(
        inside("db", "-", "--dry-run", stdin=content, env=env)
    )
    done = inside("db", "-", "--dry-run", "--salvage", stdin=content, env=env)
    assert (done.code, "Film 300" in titles(done)) == (7, True)
    assert [*private.iterdir()] == []


def test_a_setting_salvages_as_the_option_does(inside: Inside, history: Path) -> None:
    done = inside("db", history, "--dry-run", env={"TAUTULLI_IMPORT_SALVAGE": "true"})
    assert (done.code, "Film 300" in titles(done)) == (7, True)


def test_a_backup_of_another_history_is_not_named(
    inside: Inside, history: Path, backup: Path
) -> None:
    with closing(sqlite3.connect(backup)) as conn, conn:
        conn.execute("UPDATE session_history SET started = started + 7")
    assert str(backup) not in said(inside("db", history, "--dry-run"))


# What counts as a row -------------------------------------------------------------------


def test_deleted_plays_do_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        for number in range(1, 301):
            add_play(conn, title=f"Film {number}", player=f"Player {number:03}")
        conn.execute("PRAGMA secure_delete = OFF")
        with conn:
            for table in TABLES:
                conn.execute(f"DELETE FROM {table} WHERE id BETWEEN 100 AND 200")  # noqa: S608
    assert b"Player 150" in path.read_bytes()
    zero(path, path.read_bytes().rindex(b"Player 250"))
    found, rejected = read(path, salvages=True)
    assert 250 in rejected
    assert (found.keys() | rejected.keys()).isdisjoint(range(100, 201))


def test_the_newest_version_of_a_row_wins(tmp_path: Path) -> None:
    """Its older version is on a page that no tree leads to any more."""
    path = tmp_path / "tautulli.db"
    damaged(path)
    content = path.read_bytes()
    old = content.index(b"Film 20") // PAGE * PAGE
    stale = content[old : old + PAGE].replace(b"Film 20", b"Stale20")
    path.write_bytes(content + stale)
    found, _ = read(path, salvages=True)
    assert found[20].title == "Film 20"


def test_what_is_in_the_wal_is_salvaged_too(tmp_path: Path) -> None:
    live, path = tmp_path / "live.db", tmp_path / "tautulli.db"
    with closing(create(live, wal=True)) as conn:
        for number in range(1, 301):
            add_play(conn, title=f"Film {number}", player=f"Player {number:03}")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        add_play(conn, title="In the WAL")
        shutil.copyfile(live, path)
        shutil.copyfile(f"{live}-wal", f"{path}-wal")
    zero(path, path.read_bytes().index(b"Player 150"))
    for header in (path.read_bytes()[:100], bytes(100)):
        path.write_bytes(header + path.read_bytes()[100:])
        found, _ = read(path, salvages=True)
        assert "In the WAL" in {play.title for play in found.values()}


def test_a_row_that_lost_its_media_info_is_a_play(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    damaged(path, b"Player 150")
    with closing(create(tmp_path / "other.db")) as conn:
        for number in range(1, 301):
            add_play(conn, title=f"Film {number}", container=f"Container {number}")
    zero(tmp_path / "other.db", (tmp_path / "other.db").read_bytes().index(b"Container 150"))
    done = inside("db", tmp_path / "other.db", "--dry-run", "--salvage", "--report", "report.json")
    assert len(titles(done)) == 300
    (damage,) = json.loads(Path("report.json").read_text())["damaged"]
    assert damage["without_details"] > 0
    assert damage["lost"] == 0


# Schemas that are known -----------------------------------------------------------------


def plexpy_2015(path: Path) -> sqlite3.Connection:
    return create_plexpy_2015(path)


def tautulli_today(path: Path) -> sqlite3.Connection:
    return create(path)


def tautulli_upgraded(path: Path) -> sqlite3.Connection:
    """Make a database of 2018 that was upgraded since: the new columns are at the end."""
    conn = create(path)
    for column in ("section_id", "secure", "relayed"):
        conn.execute("DROP INDEX IF EXISTS idx_session_history_section_id")
        conn.execute("DROP INDEX IF EXISTS idx_session_history_section_id_stopped")
        conn.execute(f"ALTER TABLE session_history DROP COLUMN {column}")
    for column in ("secure", "relayed", "section_id"):
        conn.execute(f"ALTER TABLE session_history ADD COLUMN {column} INTEGER")
    for column in ("marker_credits_first", "marker_credits_final"):
        conn.execute(f"ALTER TABLE session_history_metadata DROP COLUMN {column}")
    conn.execute("DROP INDEX idx_session_history_metadata_live")
    for column in ("channel_id", "channel_title", "channel_vcn"):
        conn.execute(f"ALTER TABLE session_history_metadata DROP COLUMN {column}")
    for column in ("marker_credits_first", "marker_credits_final"):
        conn.execute(f"ALTER TABLE session_history_metadata ADD COLUMN {column} INTEGER")
    for column in ("channel_id", "channel_title", "channel_vcn"):
        conn.execute(f"ALTER TABLE session_history_metadata ADD COLUMN {column} TEXT")
    conn.commit()
    return conn


@pytest.mark.parametrize(
    "make", [plexpy_2015, tautulli_today, tautulli_upgraded], ids=lambda make: make.__name__
)
def test_without_its_schema_a_database_of_any_age_is_read(
    tmp_path: Path, make: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "tautulli.db"
    with closing(make(path)) as conn:
        for number in range(1, 200):
            add_play(
                conn,
                title=f"Film {number}",
                full_title=f"Full {number}",
                started=1_600_000_000 + number,
                section_id=3,
                user="alice",
            )
    expected, _ = read(path)
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as conn:
        pages = conn.execute("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'").fetchall()
    for (number,) in pages:
        content[(number - 1) * PAGE : number * PAGE] = bytes(PAGE)
    path.write_bytes(content)
    found, rejected = read(path, salvages=True)
    assert rejected == {}
    assert found == expected


# Tables without keys --------------------------------------------------------------------


def without_keys(path: Path, plays: int) -> None:
    """Make a database as a person repairs it: each table copied, without its key."""
    with closing(create(path)) as conn:
        for number in range(1, plays + 1):
            add_play(conn, title=f"Film {number}")
        with conn:
            for table in TABLES:
                conn.execute(f"CREATE TABLE copied AS SELECT * FROM {table}")  # noqa: S608
                conn.execute(f"DROP TABLE {table}")
                conn.execute(f"ALTER TABLE copied RENAME TO {table}")


def test_a_database_without_keys_is_read_as_one_with_keys(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    without_keys(path, 50)
    before = path.read_bytes()
    done = inside("db", path, "--dry-run")
    assert done.code == 0, done.err
    assert titles(done) == {f"Film {number}" for number in range(1, 51)}
    assert "its tables have lost their primary keys" in said(done)
    assert path.read_bytes() == before


def test_a_database_without_keys_takes_time_in_proportion_to_its_plays(tmp_path: Path) -> None:
    """Steps of SQLite are counted, because a clock would lie on a busy machine."""
    steps = []
    for plays in (200, 400):
        path = tmp_path / f"{plays}.db"
        without_keys(path, plays)
        count = 0

        def one_more() -> int:
            nonlocal count
            count += 1
            return 0

        with closing(Source([path])) as source:
            source.files[0].sqlite.connection.set_progress_handler(one_more, 100)
            assert sum(len(batch.plays) for batch in source.batches(None)) == plays
        steps.append(count)
    assert steps[1] < steps[0] * 3


def test_a_damaged_database_without_keys_is_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "tautulli.db"
    without_keys(path, 300)
    zero(path, path.read_bytes().rindex(b"Film 150"))
    with pytest.raises(DamagedHistoryError):
        read(path)
    found, rejected = read(path, salvages=True)
    assert 150 in rejected
    assert found.keys() | rejected.keys() == set(range(1, 301))


def test_the_report_of_a_whole_database_names_no_damage(inside: Inside, tmp_path: Path) -> None:
    create(tmp_path / "new.db").close()
    done = inside("db", tmp_path / "new.db", "--to", "jsonl", "--out", "x.jsonl", "--json")
    told: dict[str, Any] = json.loads(done.out)
    assert (done.code, told["damaged"]) == (0, [])


@pytest.mark.parametrize("command", ["users", "libraries"])
def test_users_and_libraries_of_a_damaged_database_are_listed_with_salvage(
    inside: Inside, history: Path, command: str
) -> None:
    history.write_bytes(bytes(100) + history.read_bytes()[100:])
    refused = inside(command, history)
    assert (refused.code, "Use --salvage" in said(refused)) == (7, True)
    done = inside(command, history, "--salvage", "--json")
    assert done.code == 0, done.err
    assert {"users": "Alice", "libraries": "Films"}[command] in done.out
