"""Several files at once: overlapping backups give every play once, whatever their order."""

import itertools
import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Rejected
from tautulli_import.sources.base import Library, User
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create

START = 1_600_000_000


def database(path: Path, rows: Sequence[int], *, prefix: str = "Film", user: int = 1) -> Path:
    """Return a database with a film under each of these row ids."""
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        for row in rows:
            add_play(conn, id=row, title=f"{prefix} {row}", user_id=user)
    return path


def backup(path: Path, to: Path, *, upto: int) -> Path:
    """Return a copy from the time when ``upto`` was the newest row."""
    shutil.copyfile(path, to)
    change(
        to,
        *(
            f"DELETE FROM {table} WHERE id > {upto}"  # noqa: S608
            for table in (
                *("session_history", "session_history_metadata", "session_history_media_info"),
            )
        ),
    )
    return to


def change(path: Path, *statements: str) -> None:
    """Do something to a database."""
    with closing(sqlite3.connect(path)) as conn, conn:
        for statement in statements:
            conn.execute(statement)


def read(*paths: Path, page: int = 10_000) -> tuple[list[Play], list[Rejected], int]:
    """All plays, rejected rows, and how many were passed by as known."""
    plays: list[Play] = []
    rejected: list[Rejected] = []
    duplicates = 0
    with closing(Source(paths, page=page)) as source:
        for batch in source.batches(None):
            plays += batch.plays
            rejected += batch.rejected
            duplicates += batch.duplicates
        assert len(plays) + len(rejected) + duplicates == source.total()
    return plays, rejected, duplicates


def titles(*paths: Path) -> list[str]:
    """Return the titles of all plays, sorted."""
    return sorted(str(play.title) for play in read(*paths)[0])


def users(*paths: Path) -> Mapping[int | None, User]:
    """Return the users, by id."""
    with closing(Source(paths)) as source:
        return {user.user_id: user for user in source.users()}


def libraries(*paths: Path) -> Mapping[int, Library]:
    """Return the libraries, by id."""
    with closing(Source(paths)) as source:
        return {library.section_id: library for library in source.libraries()}


@pytest.fixture
def now(tmp_path: Path) -> Path:
    """Return the database as it is today: ten plays."""
    return database(tmp_path / "tautulli.db", range(1, 11))


@pytest.fixture
def older(tmp_path: Path, now: Path) -> Path:
    """Its backup after seven plays."""
    return backup(now, tmp_path / "older.db", upto=7)


@pytest.fixture
def oldest(tmp_path: Path, now: Path) -> Path:
    """Its backup after four plays."""
    return backup(now, tmp_path / "oldest.db", upto=4)


# Each play once --------------------------------------------------------------------------


def test_overlapping_backups_give_every_play_once(now: Path, older: Path, oldest: Path) -> None:
    plays, rejected, duplicates = read(now, older, oldest)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert rejected == []
    assert duplicates == 7 + 4


@pytest.mark.parametrize("page", [1, 2, 3, 10_000])
def test_the_size_of_the_pages_changes_nothing(
    now: Path, older: Path, oldest: Path, page: int
) -> None:
    plays, _, duplicates = read(older, now, oldest, page=page)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert duplicates == 11


def test_reading_goes_on_after_any_cursor_in_any_of_the_files(now: Path, older: Path) -> None:
    database_ = older.with_name("other.db")
    database(database_, [3, 20, 21], prefix="Other", user=2)
    paths = [older, database_, now]
    with closing(Source(paths, page=2)) as source:
        batches = list(source.batches(None))
    done = 0
    everything = [play for batch in batches for play in batch.plays]
    for batch in batches:
        done += len(batch.plays)
        with closing(Source(paths, page=2)) as source:
            rest = [play for later in source.batches(batch.cursor) for play in later.plays]
        assert rest == everything[done:]


def test_duplicates_are_filtered_and_the_totals_add_up(
    cli: Cli, now: Path, older: Path, oldest: Path
) -> None:
    result = cli("check", now, older, oldest, "--json")
    assert result.code == 0, result.err
    plays = json.loads(result.out)["plays"]
    assert plays["read"] == 10 + 7 + 4
    assert plays["filtered"] == {"duplicate": 11}
    assert plays["emitted"] == 10


def test_the_order_of_the_arguments_does_not_matter(
    cli: Cli, now: Path, older: Path, oldest: Path
) -> None:
    change(older, "UPDATE session_history_metadata SET title = 'Old title', rating_key = 5")
    change(oldest, "UPDATE session_history_metadata SET title = 'Oldest title', rating_key = 6")
    outputs = {
        cli("db", *order, "--dry-run").out for order in itertools.permutations((now, older, oldest))
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 10


def test_the_order_does_not_matter_even_where_no_file_is_newer(tmp_path: Path, now: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copyfile(now, other)
    change(other, "UPDATE session_history_metadata SET title = 'Mended' WHERE id = 3")
    assert titles(now, other) == titles(other, now)


def test_the_same_file_twice_is_that_file_once(cli: Cli, now: Path) -> None:
    result = cli("db", now, now, "--dry-run")
    assert result.out == cli("db", now, "--dry-run").out
    assert "10 plays read" in result.err


def test_the_same_file_under_two_names_gives_every_play_once(now: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(now)
    plays, _, _ = read(now, tmp_path / "." / ".." / tmp_path.name / now.name, link)
    assert sorted(play.id for play in plays) == list(range(1, 11))


def test_backups_that_have_nothing_in_common_are_joined(tmp_path: Path) -> None:
    first = database(tmp_path / "1.db", range(1, 4))
    second = database(tmp_path / "2.db", range(4, 7))
    plays, _, duplicates = read(second, first)
    assert sorted(play.id for play in plays) == [1, 2, 3, 4, 5, 6]
    assert duplicates == 0


def test_a_play_that_was_deleted_since_comes_back_from_the_backup(now: Path, older: Path) -> None:
    change(now, "DELETE FROM session_history WHERE id = 3")
    plays, _, duplicates = read(now, older)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert duplicates == 6


def test_plays_of_another_tautulli_under_the_same_row_ids_are_kept(tmp_path: Path) -> None:
    mine = database(tmp_path / "mine.db", [1, 2, 3], prefix="Mine", user=1)
    yours = database(tmp_path / "yours.db", [1, 2, 3], prefix="Yours", user=9)
    assert titles(mine, yours) == ["Mine 1", "Mine 2", "Mine 3", "Yours 1", "Yours 2", "Yours 3"]


def test_another_start_under_the_same_row_id_is_another_play(tmp_path: Path) -> None:
    first = database(tmp_path / "1.db", [1])
    with closing(create(tmp_path / "2.db")) as conn:
        add_play(conn, id=1, title="Elsewhere", started=START + 5)
    assert titles(first, tmp_path / "2.db") == ["Elsewhere", "Film 1"]


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        ("started", "''"),
        ("started", "NULL"),
        ("started", "'soon'"),
        ("started", "1.5"),
        ("started", "CAST(x'ff' AS TEXT)"),
        ("started", "x'31'"),
        ("user_id", "''"),
        ("user_id", "NULL"),
        ("user_id", "'nobody'"),
        ("user_id", "CAST(x'ff' AS TEXT)"),
    ],
)
def test_an_odd_row_in_both_files_is_the_same_row_in_both(
    now: Path, older: Path, column: str, sql: str
) -> None:
    for path in (now, older):
        change(path, f"UPDATE session_history SET {column} = {sql} WHERE id = 3")  # noqa: S608
    plays, _, duplicates = read(now, older)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert duplicates == 7


# Which file is believed ------------------------------------------------------------------


def test_the_newest_files_metadata_wins(now: Path, older: Path) -> None:
    change(
        older,
        "UPDATE session_history_metadata SET title = 'Old', rating_key = 5, guid = 'old://1'"
        " WHERE id = 3",
        "UPDATE session_history SET rating_key = 5, section_id = 8 WHERE id = 3",
    )
    plays, _, duplicates = read(older, now)
    (third,) = [play for play in plays if play.id == 3]
    assert (third.title, third.section_id) == ("Film 3", 1)
    assert third.rating_key != 5
    assert duplicates == 7


def test_a_row_that_lost_its_metadata_since_comes_from_the_backup(now: Path, older: Path) -> None:
    change(now, "DELETE FROM session_history_metadata WHERE id = 3")
    plays, _, _ = read(now, older)
    assert "Film 3" in [play.title for play in plays], "a backup had the whole row"


def test_a_row_that_was_incomplete_in_the_backup_only_is_no_rejected_row(
    now: Path, older: Path
) -> None:
    change(older, "DELETE FROM session_history_metadata WHERE id = 3")
    plays, rejected, duplicates = read(now, older)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert rejected == [], "the row was imported: nothing is wrong with it"
    assert duplicates == 7


def test_a_row_that_is_incomplete_in_every_file_is_rejected_once(now: Path, older: Path) -> None:
    for path in (now, older):
        change(path, "DELETE FROM session_history_metadata WHERE id = 3")
    _, rejected, duplicates = read(now, older)
    assert [(row.id, row.source) for row in rejected] == [(3, str(now))]
    assert duplicates == 7


def test_the_newest_file_is_the_one_with_the_newest_play_not_the_highest_id(
    tmp_path: Path,
) -> None:
    first = database(tmp_path / "restored.db", [1, 2, 3])
    second = database(tmp_path / "longer.db", [1, 2, 3, 4])
    change(
        first,
        "UPDATE session_history_metadata SET title = 'Newest' WHERE id = 1",
        f"UPDATE session_history SET started = {START + 10**7} WHERE id = 3",  # noqa: S608
    )
    assert "Newest" in titles(second, first)
    assert "Film 1" not in titles(second, first)


# Users and libraries ---------------------------------------------------------------------


def test_plays_are_counted_once_for_users_and_libraries(
    now: Path, older: Path, oldest: Path
) -> None:
    assert users(now, older, oldest)[1].plays == 10
    assert libraries(now, older, oldest)[1].plays == 10


def test_names_come_from_the_newest_file(now: Path, older: Path) -> None:
    change(older, "UPDATE users SET username = 'al', friendly_name = 'Al' WHERE user_id = 1")
    change(older, "UPDATE library_sections SET section_name = 'Movies', section_type = 'show'")
    for paths in ((now, older), (older, now)):
        found = users(*paths)[1]
        assert (found.username, found.friendly_name) == ("alice", "Alice")
        library = libraries(*paths)[1]
        assert (library.name, library.section_type) == ("Films", "movie")


def test_who_and_what_was_deleted_since_is_deleted(now: Path, older: Path) -> None:
    change(now, "UPDATE users SET deleted_user = 1 WHERE user_id = 1")
    change(now, "UPDATE library_sections SET deleted_section = 1")
    for paths in ((now, older), (older, now)):
        assert users(*paths)[1].deleted
        assert libraries(*paths)[1].deleted


def test_a_name_that_only_a_backup_knows_is_a_name(now: Path, older: Path) -> None:
    change(now, "DELETE FROM users WHERE user_id = 1", "DELETE FROM library_sections")
    assert users(now, older)[1].name == "Alice"
    assert libraries(now, older)[1].name == "Films"


def test_somebody_of_no_table_is_called_what_the_newest_history_calls_them(
    now: Path, older: Path
) -> None:
    change(now, "DELETE FROM users", "UPDATE session_history SET user = 'new_name'")
    change(older, "DELETE FROM users", "UPDATE session_history SET user = 'old_name'")
    for paths in ((now, older), (older, now)):
        assert users(*paths)[1].name == "new_name"


def test_the_people_about_to_be_merged_are_announced_with_their_own_number_of_plays(
    cli: Cli, now: Path, older: Path
) -> None:
    for path in (now, older):
        change(path, "UPDATE session_history SET user_id = 2, user = 'bob' WHERE id <= 3")
    result = cli("db", now, older, "--dry-run")
    assert "Alice (7), bob (3)" in result.err


def test_a_user_is_chosen_by_name_across_all_files(cli: Cli, tmp_path: Path, now: Path) -> None:
    other = database(tmp_path / "other.db", [20, 21], prefix="Other", user=2)
    change(other, "INSERT INTO users (user_id, username) VALUES (2, 'bob')")
    result = cli("db", now, other, "--dry-run", "--user", "bob")
    found = [json.loads(line)["title"] for line in result.out.splitlines()]
    assert found == ["Other 20", "Other 21"]


# Old and new together --------------------------------------------------------------------


def test_an_old_schema_and_a_new_one_are_read_together(now: Path, older: Path) -> None:
    change(
        older,
        "DROP INDEX idx_session_history_reference_id",
        "ALTER TABLE session_history DROP COLUMN reference_id",
        "DROP TABLE session_history_media_info",
        "DROP TABLE library_sections",
    )
    plays, rejected, duplicates = read(older, now)
    assert sorted(play.id for play in plays) == list(range(1, 11))
    assert (rejected, duplicates) == ([], 7)


def test_a_backup_without_plays_adds_nothing(tmp_path: Path, now: Path) -> None:
    create(tmp_path / "empty.db").close()
    assert len(titles(tmp_path / "empty.db", now)) == 10
