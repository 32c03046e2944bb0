"""Reading rows: whatever a cell holds, a play comes out of it, or a reason with the row's id."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tautulli_import.model.plays import Play
from tautulli_import.model.selection import Selection
from tautulli_import.sources.base import Batch, Cursor, Library, User
from tautulli_import.sources.database.rows import settled_played
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create, generate

START = 1_600_000_000
STOP = START + 7200

Cell = str | int | float | None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test makes its database."""
    return tmp_path / "tautulli.db"


@contextmanager
def made(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a new database to write odd rows into."""
    with closing(create(path)) as conn:
        yield conn
        conn.commit()


def spoil(conn: sqlite3.Connection, row: int, column: str, sql: str) -> None:
    """Put the value of an SQL expression into every table of a play that has the column."""
    for table in ("session_history", "session_history_metadata", "session_history_media_info"):
        names = {str(info[1]) for info in conn.execute(f"PRAGMA table_info({table})")}
        if column in names:
            conn.execute(f"UPDATE {table} SET {column} = {sql} WHERE id = ?", (row,))  # noqa: S608
    conn.commit()


def batches_of(path: Path, *, page: int = 10_000) -> Sequence[Batch]:
    """All batches of one database."""
    with closing(Source([path], page=page)) as source:
        return list(source.batches(None))


def plays_of(path: Path, *, page: int = 10_000) -> dict[int, Play]:
    """All plays of one database, by row id, in the order of reading."""
    return {play.id: play for batch in batches_of(path, page=page) for play in batch.plays}


def people(path: Path) -> dict[int | None, User]:
    """Return the users of one database, by id."""
    with closing(Source([path])) as source:
        return {user.user_id: user for user in source.users()}


def sections(path: Path) -> dict[int, Library]:
    """Return the libraries of one database, by id."""
    with closing(Source([path])) as source:
        return {library.section_id: library for library in source.libraries()}


def json_lines(text: str) -> list[dict[str, object]]:
    """Return what a dry run printed."""
    return [json.loads(line) for line in text.splitlines()]


# Whole plays -----------------------------------------------------------------------------


def test_every_field_of_a_play_is_read_from_its_column(path: Path) -> None:
    with made(path) as conn:
        add_play(
            conn,
            id=7,
            reference_id=3,
            started=START,
            stopped=STOP,
            user_id=11,
            user="alice",
            paused_counter=60,
            section_id=4,
            media_type="episode",
            rating_key=101,
            grandparent_rating_key=100,
            title="The Pilot",
            grandparent_title="The Show",
            parent_media_index=2,
            media_index=5,
            year=2019,
            guid="com.plexapp.agents.thetvdb://1/2/5?lang=en",
            view_offset=1000,
            duration=2000,
            marker_credits_first=1800,
            marker_credits_final=1900,
            originally_available_at="2019-03-08",
        )
    assert plays_of(path) == {
        7: Play(
            id=7,
            reference_id=3,
            started=START,
            stopped=STOP,
            user_id=11,
            user="alice",
            section_id=4,
            media_type="episode",
            live=0,
            rating_key=101,
            grandparent_rating_key=100,
            title="The Pilot",
            grandparent_title="The Show",
            season=2,
            episode=5,
            year=2019,
            guid="com.plexapp.agents.thetvdb://1/2/5?lang=en",
            view_offset=1000,
            duration=2000,
            credits_first=1800,
            credits_final=1900,
            percent=None,
            watched=None,
            aired="2019-03-08",
            paused_counter=60,
            parent_rating_key=1106713,
        )
    }


@pytest.mark.parametrize("page", [1, 2, 3, 7, 10_000])
def test_the_size_of_the_pages_changes_nothing(path: Path, page: int) -> None:
    with made(path) as conn:
        for row in (1, 2, 3, 10, 11, 500, 501, 2**40, 2**62):
            add_play(conn, id=row, started=START)
    assert list(plays_of(path, page=page)) == [1, 2, 3, 10, 11, 500, 501, 2**40, 2**62]
    assert all(len(batch.plays) <= page for batch in batches_of(path, page=page))


@pytest.mark.parametrize("page", [1, 2, 5])
def test_reading_goes_on_after_any_cursor(path: Path, page: int) -> None:
    with made(path) as conn:
        for _ in range(5):
            add_play(conn)
    done: list[int] = []
    cursors: list[tuple[Cursor, int]] = []
    for batch in batches_of(path, page=page):
        done += [play.id for play in batch.plays]
        cursors.append((batch.cursor, len(done)))
    assert done == [1, 2, 3, 4, 5]
    for cursor, count in cursors:
        with closing(Source([path], page=page)) as source:
            rest = [play.id for batch in source.batches(cursor) for play in batch.plays]
        assert rest == done[count:]


def test_what_is_read_is_what_is_there(cli: Cli, path: Path) -> None:
    truth = generate(path, plays=3000, seed=4)
    result = cli("check", path, "--json")
    assert result.code == 0, result.err
    plays = json.loads(result.out)["plays"]
    assert plays["read"] == truth.totals.rows == 3000
    with closing(Source([path])) as source:
        assert source.total() == 3000


def test_no_row_is_too_low_to_be_read(path: Path) -> None:
    with made(path) as conn:
        for row in (-5, -1, 0, 1, 2):
            add_play(conn, id=row, started=START)
    with closing(Source([path], page=2)) as source:
        read = [play.id for batch in source.batches(None) for play in batch.plays]
        assert read == [-5, -1, 0, 1, 2]
        assert source.total() == 5


def test_a_database_in_utf_16_holds_the_same_text(path: Path, tmp_path: Path) -> None:
    with made(tmp_path / "utf8.db") as conn:
        add_play(conn, title="Žižek 🎬")
        script = "\n".join(conn.iterdump())
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA encoding = 'UTF-16le'")
        conn.executescript(script)
    assert plays_of(path)[1].title == "Žižek 🎬"


# Odd cells -------------------------------------------------------------------------------


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("''", None),
        ("NULL", None),
        ("' '", None),
        ("'seven'", None),
        ("'7'", 7),
        ("7.0", 7),
        ("x'37'", 7),
        ("x'ff'", None),
        ("x''", None),
        ("CAST(x'ff' AS TEXT)", None),
        ("CAST(x'37ff' AS TEXT)", None),
        ("'١٢'", None),
        ("'1²'", None),
        ("'7,5'", None),
        ("'0x10'", None),
        ("'1_000'", None),
        ("'2010-05-01'", None),
        ("'7' || char(0)", None),
        ("-7", -7),
        ("'-7'", -7),
        ("x'2d37'", -7),
        ("x'2d'", None),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9e999", None),
        ("-9e999", None),
    ],
)
@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("parent_media_index", "season"),
        ("user_id", "user_id"),
        ("view_offset", "view_offset"),
        ("marker_credits_first", "credits_first"),
    ],
)
def test_a_number_is_a_number_however_it_is_written_and_anything_else_is_missing(
    path: Path, column: str, field: str, sql: str, expected: int | None
) -> None:
    with made(path) as conn:
        add_play(conn, title="before", media_type="episode")
        add_play(conn, title="odd", media_type="episode")
        add_play(conn, title="after", media_type="episode")
        spoil(conn, 2, column, sql)
    plays = plays_of(path)
    assert [play.title for play in plays.values()] == ["before", "odd", "after"]
    assert getattr(plays[2], field) == expected
    assert getattr(plays[1], field) == getattr(plays[3], field)


@pytest.mark.parametrize("sql", ["7.5", "'7.5'", "7.9999"])
def test_half_an_episode_is_none_but_of_a_measured_time_the_fraction_is_cut(
    path: Path, sql: str
) -> None:
    counted = ("parent_media_index", "media_index", "user_id")
    measured = ("view_offset", "duration", "marker_credits_first", "marker_credits_final")
    with made(path) as conn:
        add_play(conn, media_type="episode")
        for column in (*counted, *measured):
            spoil(conn, 1, column, sql)
    play = plays_of(path)[1]
    assert (play.season, play.episode, play.user_id) == (None, None, None)
    assert (play.view_offset, play.duration) == (7, 7)
    assert (play.credits_first, play.credits_final) == (7, 7)


NO_DAYS = [
    *(None, "", "0", "2019", "2019-02-29", "2019-3-8", "0001-01-01", "1869-12-31", "-2019-01-01"),
    *("2019-03-08-09", "March 2019", "now", "12.5", "1999-00-00", "10000-01-01", b"\xff", 20190308),
]


def test_a_release_day_is_a_day_of_the_calendar_or_nothing(path: Path) -> None:
    days = {"1870-01-01": "1870-01-01", "2020-02-29": "2020-02-29"}
    times = {"2019-03-08 00:00:00": "2019-03-08", "2019-03-08T23:30:00-05:00": "2019-03-08"}
    cells = [*days.items(), *times.items(), *((cell, None) for cell in NO_DAYS)]
    with made(path) as conn:
        for number, (cell, _) in enumerate(cells, 1):
            add_play(conn)
            sql = "UPDATE session_history_metadata SET originally_available_at = ? WHERE id = ?"
            conn.execute(sql, (cell, number))
    with closing(Source([path])) as source:
        rows = [row for batch in source.judged(Selection()) for row in batch.rows]
    assert [settled_played(row[2]).aired for row in rows] == [day for _, day in cells]


NUMBERS = (
    *("reference_id", "started", "stopped", "user_id", "section_id", "live", "rating_key"),
    *("grandparent_rating_key", "parent_media_index", "media_index", "year", "view_offset"),
    *("duration", "marker_credits_first", "marker_credits_final"),
)
MONSTERS = {
    "ten thousand digits": "printf('%.10000c', '1')",
    "ten thousand digits in a blob": "CAST(printf('%.10000c', '1') AS BLOB)",
    "four hundred digits in a blob": "CAST(printf('%.400c', '1') AS BLOB)",
    "a float of three hundred digits": "1e300",
    "twenty-two digits": "'9999999999999999999999'",
    "the largest integer": "9223372036854775807",
    "the smallest integer": "-9223372036854775808",
    "infinity": "9e999",
    "nothing": "''",
    "a word": "'word'",
    "half a character": "CAST(x'c3' AS TEXT)",
    "foreign digits": "'١٢'",
}


@pytest.mark.parametrize("monster", MONSTERS.values(), ids=MONSTERS)
def test_no_value_of_any_number_stops_a_run_and_every_row_is_accounted_for(
    cli: Cli, path: Path, tmp_path: Path, monster: str
) -> None:
    with made(path) as conn:
        for _ in range(2 * len(NUMBERS)):
            add_play(conn, media_type="episode", title="An Episode")
        for row, column in enumerate(NUMBERS, 1):
            spoil(conn, row, column, monster)
        add_play(conn, title="A Film")
        for column in NUMBERS:
            spoil(conn, add_play(conn, title="A Spoilt Film"), column, monster)
    report = tmp_path / "report.json"
    arguments = ("--dry-run", "--include-partial", "--rewatches", "--report", report)
    result = cli("db", path, *arguments)
    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    told = json.loads(report.read_text())
    plays = told["plays"]
    parts = (*plays["filtered"].values(), *plays["rejected"].values())
    assert plays["read"] == 3 * len(NUMBERS) + 1
    assert plays["read"] == sum(parts) + plays["merged"] + plays["emitted"]
    assert len(told["rejected_rows"]) == sum(plays["rejected"].values())
    assert "A Film" in [item["title"] for item in json_lines(result.out)]


@pytest.mark.parametrize("options", [(), ("--rewatches",), ("--each-user",)])
@pytest.mark.parametrize("first", [1, -1], ids=["usual ids", "negative ids"])
def test_rows_without_a_key_are_accounted_for_whatever_else_is_odd_in_them(
    cli: Cli, path: Path, tmp_path: Path, first: int, options: Sequence[str]
) -> None:
    """They are read a second time, without the columns of users and times."""
    users: list[Cell] = [1, "", 1]
    with made(path) as conn:
        for number, user in enumerate(users, first):
            add_play(conn, id=number, title="", rating_key="none", guid="", user_id=user)
        add_play(conn, title="A Film", user_id="")
        conn.execute("UPDATE session_history SET started = started + 0.5 WHERE id = ?", (first,))
        conn.execute("UPDATE session_history SET media_type = NULL WHERE id = ?", (first + 2,))
    report = tmp_path / "report.json"
    result = cli("db", path, "--dry-run", "--report", report, *options)
    assert result.code == 0, result.err
    told = json.loads(report.read_text())
    assert (told["plays"]["read"], told["plays"]["filtered"]) == (4, {"media_type": 1})
    rows = {(row["id"], row["reason"]) for row in told["rejected_rows"]}
    assert rows == {(first, "no_title"), (first + 1, "no_title")}
    assert [item["title"] for item in json_lines(result.out)] == ["A Film"]


@pytest.mark.parametrize("arguments", [(), ("--min-percent", "50")], ids=["rule", "percent"])
def test_no_value_of_any_number_stops_the_judging_of_plays(
    cli: Cli, path: Path, arguments: Sequence[str]
) -> None:
    with made(path) as conn:
        for monster in MONSTERS.values():
            for column in NUMBERS:
                spoil(conn, add_play(conn, title="A Spoilt Film"), column, monster)
    result = cli("check", path, "--json", *arguments)
    assert result.code == 0, result.err
    assert json.loads(result.out)["plays"]["read"] == len(MONSTERS) * len(NUMBERS)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("NULL", None),
        ("''", ""),
        ("300", "300"),
        ("x'5570'", "Up"),
        ("'<&>'", "<&>"),
        ("CAST(x'416de96c6965' AS TEXT)", "Am\ufffdlie"),
        ("x'416de96c6965'", "Am\ufffdlie"),
        ("'Wall' || char(0) || 'E'", "Wall\0E"),
        ("'Wall' || char(27) || '[31mE'", "Wall\x1b[31mE"),
        ("'two' || char(10) || 'lines'", "two\nlines"),
        ("'🎬'", "🎬"),
        ("'[bold]x[/bold]'", "[bold]x[/bold]"),
    ],
)
@pytest.mark.parametrize(
    ("column", "field"),
    [("title", "title"), ("grandparent_title", "grandparent_title"), ("user", "user")],
)
def test_text_is_read_as_it_stands_and_bytes_that_are_no_text_are_marked(
    path: Path, column: str, field: str, sql: str, expected: str | None
) -> None:
    with made(path) as conn:
        add_play(conn, title="before", media_type="episode")
        add_play(conn, title="odd", full_title="", media_type="episode")
        add_play(conn, title="after", media_type="episode")
        spoil(conn, 2, column, sql)
    plays = plays_of(path)
    assert list(plays) == [1, 2, 3]
    assert getattr(plays[2], field) == expected
    assert (plays[1].title, plays[3].title) == ("before", "after")


def test_lone_surrogates_never_come_out_of_a_database(cli: Cli, path: Path) -> None:
    with made(path) as conn:
        for year, column in enumerate(("title", "user", "guid"), 2001):
            spoil(conn, add_play(conn, year=year), column, "CAST(x'41eda08042' AS TEXT)")
    for play in plays_of(path).values():
        for text in (play.title, play.user, play.guid):
            assert (text or "").encode("utf-8").isascii() or "\ufffd" in (text or "")
    result = cli("db", path, "--dry-run")
    assert result.code == 0, result.err
    assert "\ufffd" in str(json_lines(result.out)[0]["title"])


def test_titles_reach_the_output_as_they_are_and_the_terminal_without_escapes(
    cli: Cli, path: Path
) -> None:
    title = "A\x1b[31m\0 <b> & [red] \u202e film"
    with made(path) as conn:
        add_play(conn, title=title)
    assert json_lines(cli("db", path, "--dry-run").out)[0]["title"] == title
    table = cli("db", path, "--dry-run", "--format", "table")
    assert table.code == 0, table.err
    assert not {"\x1b", "\0", "\u202e"} & set(table.out + table.err)
    assert "[red]" in table.out


def test_a_missing_username_loses_nothing(cli: Cli, path: Path) -> None:
    with made(path) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_play(conn, title="Named", user="alice")
        add_play(conn, title="Nameless", user=None)
    result = cli("db", path, "--dry-run", "--user", "alice")
    assert [item["title"] for item in json_lines(result.out)] == ["Named", "Nameless"]


# Missing twins ---------------------------------------------------------------------------


def test_rows_without_their_twins_are_rejected_by_reason_and_id(
    cli: Cli, path: Path, tmp_path: Path
) -> None:
    with made(path) as conn:
        for number in range(1, 7):
            add_play(conn, title=f"Film {number}")
        conn.execute("DELETE FROM session_history_metadata WHERE id IN (2, 6)")
        conn.execute("DELETE FROM session_history_media_info WHERE id IN (4, 6)")
    report = tmp_path / "report.json"
    result = cli("db", path, "--dry-run", "--report", report)
    assert result.code == 0, result.err
    assert [item["title"] for item in json_lines(result.out)] == ["Film 1", "Film 3", "Film 5"]
    told = json.loads(report.read_text())
    assert told["plays"]["rejected"] == {"no_metadata": 3}
    rows = {(row["id"], row["reason"]) for row in told["rejected_rows"]}
    assert rows == {(2, "no_metadata"), (4, "no_metadata"), (6, "no_metadata")}
    assert {row["source"] for row in told["rejected_rows"]} == {str(path)}


def test_rejected_rows_are_exit_9_only_when_strict(cli: Cli, path: Path) -> None:
    with made(path) as conn:
        add_play(conn, title="Film 1")
        add_play(conn, title="Film 2")
        conn.execute("DELETE FROM session_history_metadata WHERE id = 2")
    assert cli("db", path, "--dry-run").code == 0
    strict = cli("db", path, "--dry-run", "--strict")
    assert strict.code == 9
    assert [item["title"] for item in json_lines(strict.out)] == ["Film 1"]
    assert "1 row" in strict.err


def test_a_page_of_nothing_but_rejected_rows_does_not_end_the_reading(path: Path) -> None:
    with made(path) as conn:
        for _ in range(9):
            add_play(conn)
        conn.execute("DELETE FROM session_history_metadata WHERE id BETWEEN 2 AND 8")
    batches = batches_of(path, page=3)
    assert [play.id for batch in batches for play in batch.plays] == [1, 9]
    assert [row.id for batch in batches for row in batch.rejected] == [2, 3, 4, 5, 6, 7, 8]


def test_metadata_without_a_play_is_no_play(path: Path) -> None:
    with made(path) as conn:
        add_play(conn)
        add_play(conn)
        conn.execute("DELETE FROM session_history WHERE id = 1")
    assert list(plays_of(path)) == [2]


# Times -----------------------------------------------------------------------------------

_AT_START = "2020-09-13T12:26:40Z"
_AT_STOP = "2020-09-13T14:26:40Z"


TIMES: Sequence[tuple[Cell, Cell, str | None]] = (
    (START, STOP, _AT_STOP),
    (START, 0, _AT_START),
    (START, None, _AT_START),
    (START, "", _AT_START),
    (START, "soon", _AT_START),
    (START, START - 3600, _AT_START),
    (START, -1, _AT_START),
    (None, STOP, _AT_STOP),
    (0, STOP, _AT_STOP),
    ("", STOP, _AT_STOP),
    (str(START), str(STOP), _AT_STOP),
    (float(START), float(STOP), _AT_STOP),
    # One possible time is enough.
    (300, STOP, _AT_STOP),
    (START, 2_114_380_800, _AT_START),
    (2_114_380_800, STOP, _AT_STOP),
    (START, START * 1000, _AT_START),
    (300, 7_500, None),
    (1_199_145_000, 1_199_145_599, None),
    (1_199_145_000, 1_199_145_600, "2008-01-01T00:00:00Z"),
    (2_114_380_800, 2_114_384_400, None),
    (None, None, None),
    (0, 0, None),
    ("", "", None),
    (-START, -STOP, None),
    ("2020-09-13", "2020-09-14", None),
    (START * 1000, STOP * 1000, None),
)


def test_a_play_counts_when_it_stopped_else_when_it_started_else_it_is_rejected(
    cli: Cli, path: Path, tmp_path: Path
) -> None:
    with made(path) as conn:
        for started, stopped, _ in TIMES:
            title = f"{started!r} to {stopped!r}"
            add_play(conn, title=title, started=started, stopped=stopped)
    report = tmp_path / "report.json"
    result = cli("db", path, "--dry-run", "--report", report)
    assert result.code == 0, result.err
    expected = {f"{started!r} to {stopped!r}": when for started, stopped, when in TIMES}
    found = {str(item["title"]): item["watched_at"] for item in json_lines(result.out)}
    assert found == {title: when for title, when in expected.items() if when}
    rejected = json.loads(report.read_text())["rejected_rows"]
    assert {row["id"]: row["reason"] for row in rejected} == {
        row: "impossible_time" if isinstance(started, int) and started else "no_time"
        for row, (started, _, when) in enumerate(TIMES, 1)
        if when is None
    }


# Users and libraries ---------------------------------------------------------------------


def test_users_are_told_by_table_and_by_plays(path: Path) -> None:
    with made(path) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob")
        add_user(conn, 3, "idle", "Never watches")
        add_user(conn, 4, "gone", "Gone, with plays")
        add_user(conn, 5, "gone2", "Gone, without plays")
        conn.execute("UPDATE users SET deleted_user = 1 WHERE user_id IN (4, 5)")
        for user_id, name in ((1, "alice"), (1, "alice"), (2, "bob"), (4, "gone"), (6, "ghost")):
            add_play(conn, user_id=user_id, user=name)
        add_play(conn, user_id=7, user=None)
        add_play(conn, user_id=None, user="nobody")
    found = people(path)
    plays = {number: user.plays for number, user in found.items()}
    assert plays == {0: 0, 1: 2, 2: 1, 3: 0, 4: 1, 6: 1, 7: 1, None: 1}
    assert found[None].name == "nobody"
    assert [found[number].name for number in (1, 2, 4, 6, 7)] == [
        *("Alice", "bob", "Gone, with plays", "ghost", "7"),
    ]
    assert [number for number, user in found.items() if user.deleted] == [4, 6, 7]
    assert next(iter(found)) == 1, "most plays first"


def test_names_that_are_no_text_are_shown_all_the_same(path: Path) -> None:
    with made(path) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_play(conn, user_id=1)
        add_library(conn, 1, "Films", "movie")
        conn.execute("UPDATE users SET friendly_name = CAST(x'41ff' AS TEXT) WHERE user_id = 1")
        conn.execute("UPDATE library_sections SET section_name = CAST(x'46ff' AS TEXT)")
    assert people(path)[1].friendly_name == "A\ufffd"
    assert sections(path)[1].name == "F\ufffd"


def test_names_that_are_blobs_are_shown_all_the_same(path: Path) -> None:
    with made(path) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        add_play(conn, user_id=1)
        add_play(conn, user_id=2, user="bob")
        conn.execute("UPDATE users SET friendly_name = x'416c' WHERE user_id = 1")
        conn.execute("UPDATE session_history SET user = x'626f62' WHERE user_id = 2")
        conn.execute("UPDATE library_sections SET section_name = x'46'")
    found = people(path)
    assert (found[1].name, found[2].name) == ("Al", "bob")
    assert sections(path)[1].name == "F"


def test_libraries_are_told_by_table_and_by_plays(path: Path) -> None:
    with made(path) as conn:
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_library(conn, 3, "Old films", "movie", deleted=1)
        add_library(conn, 4, "Old shows", "show", deleted=1)
        for section in (1, 1, 3, 9, "", None):
            add_play(conn, section_id=section)
    found = sections(path)
    assert {number: library.plays for number, library in found.items()} == {1: 2, 2: 0, 3: 1, 9: 1}
    assert [number for number, library in found.items() if library.deleted] == [3, 9]
    assert (found[3].name, found[3].section_type) == ("Old films", "movie")
    assert next(iter(found)) == 1, "most plays first"


@pytest.mark.parametrize("deleted_first", [True, False])
def test_of_several_servers_with_the_same_section_the_living_one_names_it(
    path: Path, deleted_first: bool
) -> None:
    rows = [("Cinema of the old server", 1, "a" * 40), ("Cinema", 0, "b" * 40)]
    with made(path) as conn:
        for name, deleted, server in rows if deleted_first else reversed(rows):
            add_library(conn, 5, name, "movie", server_id=server, deleted=deleted)
        add_play(conn, section_id=5)
    assert sections(path) == {5: Library(5, "Cinema", "movie", plays=1, deleted=False)}


# Tautulli's own lookups ------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "CAST(x'7b22ff' AS TEXT)",
        "x'7b7d'",
        "'{'",
        "'null'",
        "17",
        "printf('%.100000c', '[')",
        """'{"title": "\\ud800"}'""",
        """'{"title": 5, "release_date": 5}'""",
        """'{"release_date": "٢٠١٠-01-01"}'""",
        "'{\"title\": \"A Film\", \"x\": ' || printf('%.5000c', '1') || '}'",
    ],
)
def test_no_answer_that_tautulli_once_kept_stops_a_run(cli: Cli, path: Path, answer: str) -> None:
    with made(path) as conn:
        add_play(conn, title="A Film", year=2010, rating_key=5)
        conn.execute(
            "INSERT INTO themoviedb_lookup (rating_key, themoviedb_id, themoviedb_url,"  # noqa: S608
            f" themoviedb_json) VALUES (5, 603, 'https://www.themoviedb.org/movie/603', {answer})"
        )
    result = cli("db", path, "--dry-run")
    assert result.code == 0, result.err
    assert [item["title"] for item in json_lines(result.out)] == ["A Film"]


def test_lookups_with_odd_cells_are_passed_by(cli: Cli, path: Path) -> None:
    with made(path) as conn:
        add_play(conn, title="A Film", year=2010, rating_key=5)
        for values in (
            "'x', CAST(x'ff' AS TEXT), '', NULL",
            "6, x'ff', CAST(x'ff' AS TEXT), 'https://www.themoviedb.org/movie/1'",
            "7, '', NULL, CAST(x'ff' AS TEXT)",
            "8, 1.5, 9e999, ''",
        ):
            conn.execute(
                "INSERT INTO themoviedb_lookup (rating_key, themoviedb_id, imdb_id,"  # noqa: S608
                f" themoviedb_url) VALUES ({values})"
            )
    result = cli("db", path, "--dry-run")
    assert result.code == 0, result.err


# Memory ----------------------------------------------------------------------------------


def hundred_films(path: Path, plays: int) -> None:
    """So many plays of the same hundred films."""
    with made(path) as conn:
        for number in range(1, 101):
            add_play(conn, title=f"Film {number}", started=START + number)
        for table in ("session_history", "session_history_metadata", "session_history_media_info"):
            names = [str(info[1]) for info in conn.execute(f"PRAGMA table_info({table})")]
            cells = {"id": "x.i", "reference_id": "x.i", "started": f"{START} + x.i * 100"}
            cells["stopped"] = f"{STOP} + x.i * 100"
            values = ", ".join(cells.get(name, f"t.{name}") for name in names)
            conn.execute(
                "WITH RECURSIVE x(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM x WHERE i < ?)"  # noqa: S608
                f" INSERT INTO {table} SELECT {values} FROM x JOIN {table} t"
                " ON t.id = x.i % 100 + 1",
                (plays,),
            )


def peak_kilobytes(path: Path, environment: dict[str, str]) -> int:
    """Return the most memory that an import of the database takes."""
    with subprocess.Popen(
        [sys.executable, "-m", "tautulli_import", "check", str(path), "--json"],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=path.parent,
    ) as process:
        assert process.stdout
        census = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert census["items"]["movies"] == 100
    return usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)


@pytest.mark.fuzz
def test_ten_times_as_many_plays_of_the_same_films_need_no_more_memory(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    peaks = []
    for plays in (20_000, 200_000):
        path = tmp_path / f"{plays}.db"
        hundred_films(path, plays)
        peaks.append(peak_kilobytes(path, environment))
    few, many = peaks
    assert many - few < 8_000, f"{few} KB for 20,000 plays, {many} KB for 200,000"
