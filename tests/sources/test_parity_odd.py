"""Rows as no Tautulli should write them, and people as they are: all doors make the same of them.

What cannot be known over HTTP is told here as well: the numbers of rows that Tautulli does not
list, and rows that it cannot deliver.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.doors import DOORS, Doors, opened
from tests.support.history import add_people, add_play
from tests.support.history.schema import Value
from tests.support.history.words import HOSTILE
from tests.support.products import crossed

DAY = 86_400
FIRST = 1_700_000_000
CHOICES: list[tuple[str, ...]] = [
    ("--rewatches", "--include-partial", "--watched-at", "started", "--library", "1"),
    ("--each-user", "--min-percent", "50"),
    ("--user", "1", "--since", "2023-11-20"),
]


@pytest.fixture
def doors(tmp_path: Path, environment: dict[str, str]) -> Iterator[Doors]:
    """Yield the doors to four films and four episodes, some of them twice, by two people."""
    with opened(tmp_path, environment, zone="America/New_York") as found:
        with closing(sqlite3.connect(found.database)) as conn:
            conn.execute("PRAGMA synchronous = OFF")
            add_people(conn)
            for number in range(8):
                user = 1 + number // 2 % 2
                when = FIRST + number * DAY
                name = ("", "alice", "bob")[user]
                who: dict[str, Value] = {"user_id": user, "user": name, "started": when}
                if number % 2:
                    who |= {"media_type": "episode", "grandparent_title": "A Show"}
                    add_play(conn, **who, title="Part", media_index=1 + number // 4)
                else:
                    add_play(conn, **who, title=f"Film {number // 4}", year=2001 + number // 4)
        yield found


def change(doors: Doors, sql: str, *values: Value | bytes) -> None:
    """Change the database."""
    with closing(sqlite3.connect(doors.database)) as conn, conn:
        conn.execute(sql, values)


def agree(doors: Doors, *choices: tuple[str, ...]) -> None:
    """Hold what comes out of the doors against each other."""
    for options in choices or CHOICES:
        expected = doors.listed("db", *options)
        assert doors.listed("api", *options) == expected
        assert doors.listed("via", *options) == expected


def test_the_history_itself_agrees(doors: Doors) -> None:
    agree(doors)
    assert len(doors.listed("api").keys) == 4


# Odd values.

_H, _M = "session_history", "session_history_metadata"
ODD: dict[str, list[Value]] = {
    f"{_H}.started": [None, "", "yesterday", 0, -5, 1.5, FIRST * 1000, 253_402_300_799, 10**15],
    f"{_H}.stopped": [None, "", "late", 0, -1, FIRST - DAY, FIRST * 1000, 10**15, 1.5],
    f"{_H}.user_id": [None, "", "alice", 0, 77, -1],
    f"{_H}.user": [None, "", "renamed", "<b>&amp;"],
    f"{_H}.reference_id": [None, "", "x", 1],
    f"{_H}.section_id": [None, "", "films", 2, 99],
    f"{_H}.view_offset": [None, "", "half", 0, -5, 1.5, 3_600_000, 10**12],
    f"{_H}.rating_key": [None, "", "x", 7],
    f"{_H}.paused_counter": [None, "", "x", 10**6],
    f"{_M}.rating_key": [None, "", "x", 0, 7],
    f"{_M}.grandparent_rating_key": [None, "", "x", 0, 7],
    f"{_M}.title": [None, "", " ", 7, "&lt;b&gt; &amp;amp; <i>"],
    f"{_M}.grandparent_title": [None, "", 24, '<Show> & "Tell"'],
    f"{_M}.media_index": [None, "", "x", "007", 0, -1, 1.5, 10**9],
    f"{_M}.parent_media_index": [None, "", "x", "007", 0, -1, 1.5],
    f"{_M}.year": [None, "", "x", 0, -1, 1999.5, "2004"],
    f"{_M}.guid": [None, "", "x", "local://7", "imdb://tt0000001", "tvdb://5?lang=<en>"],
    f"{_M}.duration": [None, "", 1, 1.5, "60000", 10**12],
    f"{_M}.live": [None, "", 1, "1"],
    f"{_M}.marker_credits_first": [0, 60_000, 10**9],
    f"{_M}.marker_credits_final": [0, 60_000, 10**9],
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("place", "choice"), crossed(ODD, CHOICES))
def test_odd_values_are_taken_for_the_same(
    doors: Doors, place: str, choice: tuple[str, ...]
) -> None:
    table, _, column = place.partition(".")
    with closing(sqlite3.connect(doors.database)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for value in ODD[place]:
            for kind in ("movie", "episode"):
                number = add_play(conn, media_type=kind, title=f"{kind} {value}", user="alice")
                with conn:
                    sql = f"UPDATE {table} SET {column} = ? WHERE id = ?"  # noqa: S608
                    conn.execute(sql, (value, number))
    agree(doors, choice)
    assert doors.listed("api", "--include-partial").report["plays"]["read"] == 8 + 2 * len(
        ODD[place]
    )


TITLES = [*HOSTILE, "<b>&amp;</b>", "&lt;", "&amp;lt;", "'\"\\", "🦊" * 200, "a\x00b", "\x1b[2J"]


def test_titles_are_the_same_to_the_letter(doors: Doors) -> None:
    with closing(sqlite3.connect(doors.database)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for title in TITLES:
            add_play(conn, title=title, full_title=title)
            add_play(conn, media_type="episode", title="Pilot", grandparent_title=title)
    agree(doors)
    found = [json.loads(line) for line in doors.listed("api").lines.splitlines()]
    assert {*TITLES} <= {item["title"] for item in found}
    assert {*TITLES} <= {item.get("series_title") for item in found}


@pytest.mark.parametrize(
    "name", ["<b>&amp;</b>", "&lt;", "🦊", "\x1b[2J", "[bold]x[/bold]", "../x"]
)
def test_names_are_the_same_to_the_letter(doors: Doors, name: str) -> None:
    change(doors, "UPDATE users SET friendly_name = ? WHERE user_id = 2", name)
    people(doors, name)


def test_text_that_is_no_utf_8_is_never_lost_silently(doors: Doors) -> None:
    """For Tautulli that is an error of its database, and looks like no history."""
    change(doors, "UPDATE session_history_metadata SET title = CAST(x'ff41' AS TEXT) WHERE id = 3")
    assert doors.listed("via") == doors.listed("db")
    done = doors.run("api", "--dry-run")
    assert done.code in {3, 7}
    assert "contradicts itself" in done.err


# Rows that are not listed, and rows that are not delivered.


def test_rows_without_metadata_are_counted_alike_and_have_no_number_over_http(
    doors: Doors,
) -> None:
    change(doors, "DELETE FROM session_history_metadata WHERE id = 3")
    change(doors, "DELETE FROM session_history_media_info WHERE id = 8")
    for options in CHOICES:
        db, api, via = (doors.listed(door, *options) for door in DOORS)
        assert via == db
        assert api.lines == db.lines
        assert api.report["plays"] == db.report["plays"]
        assert api.report["plays"]["rejected"]["no_metadata"] == 2
        assert api.report["items"] == db.report["items"]
        lost = {("no_metadata", 3), ("no_metadata", 8)}
        assert set(db.rejected) >= lost
        nameless = [row for row in api.rejected if row not in db.rejected]
        assert nameless == [("no_metadata", None)] * 2
        assert [row for row in api.rejected if row[1]] == [
            row for row in db.rejected if row not in lost
        ]


def test_users_come_in_the_same_order_when_rows_are_not_listed(doors: Doors) -> None:
    change(doors, "DELETE FROM session_history_metadata WHERE id IN (1, 2)")
    expected = doors.listed("db", "--each-user")
    assert doors.listed("via", "--each-user") == expected
    assert doors.listed("api", "--each-user").lines == expected.lines


def test_rows_that_cannot_be_delivered_are_missing_over_http_only(doors: Doors) -> None:
    change(doors, "UPDATE session_history_metadata SET duration = 0 WHERE id = 3")
    for options in CHOICES:
        db, api, via = (doors.listed(door, *options) for door in DOORS)
        assert via == db
        assert api.report["plays"]["read"] == db.report["plays"]["read"]
        assert ("not_delivered", None) in api.rejected


# People.


def people(doors: Doors, *names: str) -> None:
    """Hold the doors against each other for everybody apart, and for each of these."""
    agree(doors, ("--each-user",), *(("--user", name) for name in names))


def test_somebody_without_a_friendly_name(doors: Doors) -> None:
    for name in (None, "", "  "):
        change(doors, "UPDATE users SET friendly_name = ? WHERE user_id = 2", name)
        people(doors, "bob", "2")


def test_somebody_whose_name_has_blanks_around_it(doors: Doors) -> None:
    change(doors, "UPDATE users SET friendly_name = '  Bobby ' WHERE user_id = 2")
    people(doors, "Bobby", "bob")


def test_somebody_who_was_deleted(doors: Doors) -> None:
    change(doors, "UPDATE users SET deleted_user = 1 WHERE user_id = 2")
    people(doors, "Bob", "bob", "2")


def test_somebody_who_was_deleted_and_whose_newest_play_has_no_name(doors: Doors) -> None:
    change(doors, "UPDATE users SET deleted_user = 1, friendly_name = 'Rob' WHERE user_id = 2")
    change(doors, "UPDATE session_history SET user = NULL WHERE id = 8")
    people(doors, "Rob", "2", "bob")


def test_somebody_whom_tautulli_does_not_know_any_more(doors: Doors) -> None:
    change(doors, "DELETE FROM users WHERE user_id = 2")
    people(doors, "bob", "2")


def test_somebody_who_was_renamed(doors: Doors) -> None:
    change(doors, "UPDATE users SET username = 'robert', friendly_name = 'Rob' WHERE user_id = 2")
    people(doors, "robert", "Rob", "2")
    for door in DOORS:
        assert doors.run(door, "--dry-run", "--user", "bob").code == 5


def test_a_name_that_somebody_else_has_now_means_that_one(doors: Doors) -> None:
    change(doors, "UPDATE users SET username = 'robert', friendly_name = 'Rob' WHERE user_id = 2")
    change(doors, "INSERT INTO users (user_id, username) VALUES (3, 'bob')")
    with closing(sqlite3.connect(doors.database)) as conn:
        add_play(conn, user_id=3, user="robin", title="Hers")
    people(doors, "bob", "robert")
    (line,) = doors.listed("api", "--user", "bob").lines.splitlines()
    assert json.loads(line)["title"] == "Hers"


def test_somebody_without_plays_has_nothing(doors: Doors) -> None:
    change(doors, "INSERT INTO users (user_id, username) VALUES (9, 'guest')")
    people(doors, "guest", "Local")


@pytest.mark.parametrize("name", ["nobody", "", "Ali"])
def test_an_unknown_name_is_refused_by_all(doors: Doors, name: str) -> None:
    codes = [doors.run(door, "--dry-run", "--user", name).code for door in DOORS]
    assert codes[0] in {2, 5}
    assert codes == codes[:1] * 3


def test_a_name_that_fits_two_is_refused_by_all(doors: Doors) -> None:
    change(doors, "UPDATE users SET friendly_name = 'Sam' WHERE user_id IN (1, 2)")
    change(doors, "INSERT INTO library_sections (section_id, section_name) VALUES (7, 'films')")
    for options in (("--user", "Sam"), ("--library", "FILMS")):
        done = [doors.run(door, "--dry-run", *options) for door in DOORS]
        assert {one.code for one in done} == {2}
        said = {one.err[one.err.index("Error: 2 ") :] for one in done}
        assert len(said) == 1
