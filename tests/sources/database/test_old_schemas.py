"""Ten years of databases: what an old one lacks is read as missing, and said once."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.model.plays import Play
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create, create_plexpy_2015

WIDE = {"COLUMNS": "2000"}
TABLES = ("session_history", "session_history_metadata", "session_history_media_info")


def notices_of(path: Path) -> Sequence[str]:
    """Return what is said about how one database is read."""
    with closing(Source([path])) as source:
        return source.notices


def plays_of(path: Path) -> Mapping[int, Play]:
    """All plays of one database, by row id."""
    with closing(Source([path])) as source:
        return {play.id: play for batch in source.batches(None) for play in batch.plays}


def drop_column(conn: sqlite3.Connection, table: str, column: str) -> None:
    """Take a column away, and the indexes that need it."""
    for name, statement in conn.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table,)
    ).fetchall():
        if statement and column in statement.partition("(")[2]:
            conn.execute(f"DROP INDEX {name}")
    conn.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    conn.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database of today with a film and an episode, to take something away from."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_play(conn, title="A Film", year=2001, user="alice")
        add_play(conn, media_type="episode", grandparent_title="A Show", user="alice")
    return path


# PlexPy, 2015 ----------------------------------------------------------------------------


@pytest.fixture
def plexpy(tmp_path: Path) -> Path:
    """Return a PlexPy database of 2015 with a film, half a film and an episode."""
    path = tmp_path / "plexpy.db"
    with closing(create_plexpy_2015(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_play(
            conn, title="A Film", year=2001, guid="com.plexapp.agents.imdb://tt0133093?lang=en"
        )
        add_play(conn, title="Half a Film", view_offset=3_600_000)
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            parent_media_index=2,
            media_index=3,
            guid="com.plexapp.agents.thetvdb://121361/2/3?lang=en",
        )
    return path


def test_a_plexpy_database_of_2015_is_imported(cli: Cli, plexpy: Path) -> None:
    result = cli("db", plexpy, "--dry-run", env=WIDE)
    assert result.code == 0, result.err
    film, episode = (json.loads(line) for line in result.out.splitlines())
    assert (film["title"], film["key"]) == ("A Film", "imdb:tt0133093")
    assert (episode["season"], episode["episode"]) == (2, 3)
    assert episode["show_ids"]["tvdb"] == "121361"


def test_what_a_plexpy_database_lacks_is_said_once(cli: Cli, plexpy: Path) -> None:
    result = cli("db", plexpy, "--dry-run", env=WIDE)
    for what in ("section_id", "live"):
        assert result.err.count(f"kept {what}:") == 1
    silent = cli("db", plexpy, "--dry-run", "--quiet", env=WIDE)
    assert silent.err == ""
    assert silent.out == result.out


@pytest.mark.parametrize("command", ["check", "users", "libraries", "unresolved"])
def test_every_command_reads_a_plexpy_database(cli: Cli, plexpy: Path, command: str) -> None:
    result = cli(command, plexpy, "--json")
    assert result.code == 0, result.err
    assert isinstance(json.loads(result.out), dict | list)


def test_users_of_a_plexpy_database_are_known_by_name(cli: Cli, plexpy: Path) -> None:
    result = cli("db", plexpy, "--dry-run", "--user", "Alice")
    assert len(result.out.splitlines()) == 2, result.err


@pytest.mark.parametrize("arguments", [("--rewatches",), ("--each-user",)])
def test_a_plexpy_database_can_be_read_in_every_manner(
    cli: Cli, plexpy: Path, arguments: tuple[str, ...]
) -> None:
    result = cli("db", plexpy, "--dry-run", *arguments)
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 2


def test_a_library_cannot_be_chosen_where_none_is_known(cli: Cli, plexpy: Path) -> None:
    result = cli("db", plexpy, "--dry-run", "--library", "Films", env=WIDE)
    assert result.code == 5
    assert result.out == ""
    assert "Films" in result.err


# One thing missing -----------------------------------------------------------------------

FIELDS = {
    ("session_history", "reference_id"): "reference_id",
    ("session_history", "stopped"): "stopped",
    ("session_history", "user_id"): "user_id",
    ("session_history", "user"): "user",
    ("session_history", "section_id"): "section_id",
    ("session_history", "view_offset"): "view_offset",
    ("session_history", "paused_counter"): "paused_counter",
    ("session_history_metadata", "live"): "live",
    ("session_history_metadata", "grandparent_title"): "grandparent_title",
    ("session_history_metadata", "parent_media_index"): "season",
    ("session_history_metadata", "media_index"): "episode",
    ("session_history_metadata", "year"): "year",
    ("session_history_metadata", "guid"): "guid",
    ("session_history_metadata", "duration"): "duration",
    ("session_history_metadata", "marker_credits_first"): "credits_first",
    ("session_history_metadata", "marker_credits_final"): "credits_final",
    ("session_history_metadata", "originally_available_at"): "aired",
}
SAID = {"section_id", "view_offset", "live", "guid", "duration"}


@pytest.mark.parametrize(("table", "column"), FIELDS)
def test_a_database_without_one_column_is_read_without_it(
    path: Path, table: str, column: str
) -> None:
    before = plays_of(path)
    with closing(sqlite3.connect(path)) as conn:
        drop_column(conn, table, column)
    plays = plays_of(path)
    assert list(plays) == [1, 2]
    for field in Play.__struct_fields__:
        expected = None if field == FIELDS[table, column] else getattr(before[2], field)
        assert getattr(plays[2], field) == expected, field
    told = [notice for notice in notices_of(path) if f"kept {column}:" in notice]
    assert len(told) == (1 if column in SAID else 0)
    with closing(Source([path])) as source:
        assert [user.plays for user in source.users() if user.user_id == 1] == [
            0 if column == "user_id" else 2
        ]
        assert len(source.libraries()) == 2


def test_without_any_length_nothing_is_known_to_be_watched_and_that_is_said(
    cli: Cli, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as conn:
        drop_column(conn, "session_history_metadata", "duration")
    result = cli("db", path, "--dry-run", env=WIDE)
    assert (result.code, result.out) == (0, "")
    assert result.err.count("kept duration: how far a play got is not known") == 1
    assert "--include-partial" in result.err
    everything = cli("db", path, "--dry-run", "--include-partial", env=WIDE)
    assert len(everything.out.splitlines()) == 2


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("rating_key", "rating_key"),
        ("grandparent_rating_key", "grandparent_rating_key"),
        ("media_type", "media_type"),
    ],
)
@pytest.mark.parametrize("table", TABLES[:2])
def test_what_two_tables_hold_is_read_from_the_one_that_has_it(
    path: Path, table: str, column: str, field: str
) -> None:
    before = plays_of(path)
    with closing(sqlite3.connect(path)) as conn:
        drop_column(conn, table, column)
    assert getattr(plays_of(path)[2], field) == getattr(before[2], field)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("users", "friendly_name"),
        ("users", "deleted_user"),
        ("library_sections", "deleted_section"),
        ("library_sections", "section_type"),
        ("themoviedb_lookup", "themoviedb_json"),
        ("themoviedb_lookup", "thetvdb_id"),
        ("tvmaze_lookup", "tvmaze_json"),
    ],
)
def test_small_tables_may_lack_a_column_as_well(path: Path, table: str, column: str) -> None:
    with closing(sqlite3.connect(path)) as conn:
        drop_column(conn, table, column)
    with closing(Source([path])) as source:
        alice = source.users()[0]
        assert (alice.user_id, alice.username, alice.plays) == (1, "alice", 2)
        assert {one.name: one.plays for one in source.libraries()} == {"Films": 1, "Shows": 1}
        assert source.lookups() == []
        assert source.notices == []


@pytest.mark.parametrize(
    "table",
    [
        "session_history_media_info",
        "users",
        "library_sections",
        "themoviedb_lookup",
        "tvmaze_lookup",
        "version_info",
        "sessions",
    ],
)
def test_a_database_without_one_table_is_read_without_it(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"DROP TABLE {table}")
    assert [play.title for play in plays_of(path).values()] == ["A Film", "An Episode"]
    with closing(Source([path])) as source:
        assert source.users()[0].plays == 2
        assert [one.plays for one in source.libraries()] == [1, 1]
        assert source.lookups() == []


def test_a_user_of_no_table_is_known_by_the_name_in_the_history(cli: Cli, path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DROP TABLE users")
    result = cli("db", path, "--dry-run", "--user", "alice")
    assert len(result.out.splitlines()) == 2, result.err


# The library of a play stood elsewhere once ----------------------------------------------


@pytest.mark.parametrize("column", ["section_id", "library_id"])
def test_a_section_that_only_the_metadata_knows_is_the_plays_section(
    cli: Cli, path: Path, column: str
) -> None:
    with closing(sqlite3.connect(path)) as conn:
        drop_column(conn, "session_history", "section_id")
        conn.execute(f"ALTER TABLE session_history_metadata ADD COLUMN {column} INTEGER")
        conn.execute(f"UPDATE session_history_metadata SET {column} = id")  # noqa: S608
        conn.commit()
    assert [play.section_id for play in plays_of(path).values()] == [1, 2]
    with closing(Source([path])) as source:
        assert {one.name: one.plays for one in source.libraries()} == {"Films": 1, "Shows": 1}
    result = cli("db", path, "--dry-run", "--library", "Films", env=WIDE)
    assert [json.loads(line)["title"] for line in result.out.splitlines()] == ["A Film"]
    assert "section_id" not in result.err


@pytest.mark.parametrize("nothing", ["NULL", "''"])
def test_a_section_that_the_history_does_not_tell_is_the_metadatas(
    path: Path, nothing: str
) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("ALTER TABLE session_history_metadata ADD COLUMN section_id INTEGER")
        conn.execute("UPDATE session_history_metadata SET section_id = id")
        conn.execute(f"UPDATE session_history SET section_id = {nothing} WHERE id = 2")  # noqa: S608
        conn.commit()
    assert [play.section_id for play in plays_of(path).values()] == [1, 2]


def test_a_newer_database_with_columns_unknown_to_us_is_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        for table in TABLES:
            conn.execute(f"ALTER TABLE {table} ADD COLUMN from_the_future TEXT DEFAULT 'x'")
        conn.execute("CREATE TABLE another (id INTEGER)")
    assert [play.title for play in plays_of(path).values()] == ["A Film", "An Episode"]
