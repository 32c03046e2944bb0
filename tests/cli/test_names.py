"""Users and libraries are named as people type them, and rows may have lost their user's id."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create
from tests.support.inside import Inside
from tests.support.tautulli import FakeTautulli

ZOE = "Zoe\u0308"  # e, and dots of its own


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an empty history."""
    return tmp_path / "tautulli.db"


@pytest.fixture
def conn(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the connection that a test writes its history with."""
    with closing(create(path)) as made:
        yield made


def titles(inside: Inside, path: Path, *options: str) -> set[str]:
    """Return the titles that an import with these options would take."""
    done = inside("db", path, "--dry-run", "--no-enrich", *options)
    assert done.code == 0, done.err
    return {json.loads(line)["title"] for line in done.out.splitlines()}


def watched(conn: sqlite3.Connection, title: str, user: str | None, number: int | None) -> None:
    """Write a play of a user with this id."""
    add_play(conn, title=title, user=user, user_id=number)
    conn.commit()


@pytest.mark.parametrize("typed", [ZOE, normalize("NFC", ZOE), "zoë", "ＺＯË"])
def test_a_user_is_found_in_any_unicode_form(
    inside: Inside, conn: sqlite3.Connection, path: Path, typed: str
) -> None:
    add_user(conn, 7, ZOE)
    watched(conn, "Hers", ZOE, 7)
    watched(conn, "His", "bob", 8)
    assert titles(inside, path, "--user", typed) == {"Hers"}


def test_a_library_is_found_in_any_unicode_form(
    inside: Inside, conn: sqlite3.Connection, path: Path
) -> None:
    add_library(conn, 5, "Se\u0301ries", "show")
    add_play(conn, title="There", section_id=5)
    add_play(conn, title="Elsewhere", section_id=1)
    conn.commit()
    assert titles(inside, path, "--library", "s\u00e9ries") == {"There"}


def test_an_exact_name_wins_over_the_other_form_and_that_over_another_case(
    inside: Inside, conn: sqlite3.Connection, path: Path
) -> None:
    for number, name in enumerate((ZOE, normalize("NFC", ZOE), "ZOE\u0308"), 1):
        add_user(conn, number, name)
        watched(conn, str(number), name, number)
    assert titles(inside, path, "--user", ZOE) == {"1"}
    assert titles(inside, path, "--user", normalize("NFC", ZOE)) == {"2"}
    assert titles(inside, path, "--user", normalize("NFC", "ZOE\u0308")) == {"3"}
    done = inside("db", path, "--dry-run", "--user", "zOË")
    assert done.code == 2
    assert "3 users are called" in done.err


@pytest.fixture
def household(conn: sqlite3.Connection, path: Path) -> Path:
    """Return a history in which rows have lost the ids of their users."""
    add_user(conn, 7, "alice", "Alice")
    add_user(conn, 8, "bob", "Bob")
    watched(conn, "Hers", "alice", 7)
    watched(conn, "Hers by name", "alice", None)
    watched(conn, "His", "bob", 8)
    watched(conn, "A guest's", "guest", None)
    watched(conn, "Nobody's", None, None)
    return path


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("alice", {"Hers", "Hers by name"}),
        ("7", {"Hers", "Hers by name"}),
        ("Bob", {"His"}),
        ("guest", {"A guest's"}),
        ("unknown", {"Nobody's"}),
    ],
)
def test_plays_without_a_user_id_are_chosen_by_the_name_in_their_rows(
    inside: Inside, household: Path, chosen: str, expected: set[str]
) -> None:
    assert titles(inside, household, "--user", chosen) == expected
    with FakeTautulli(household) as fake:
        args = ("api", "--dry-run", "--no-enrich", "--user", chosen)
        done = inside(*args, env=fake.environment)
    assert {json.loads(line)["title"] for line in done.out.splitlines()} == expected


def test_plays_without_a_user_id_are_listed(cli: Cli, household: Path) -> None:
    rows = json.loads(cli("users", household, "--json").out)
    without = [(row["username"], row["plays"]) for row in rows if row["user_id"] is None]
    assert without == [("", 1), ("alice", 1), ("guest", 1)]
    table = cli("users", household).out
    assert table.count("plays without a user id") == 3


def test_of_two_users_of_one_name_neither_gets_plays_without_an_id(
    inside: Inside, conn: sqlite3.Connection, household: Path
) -> None:
    add_user(conn, 9, "alice", "Another Alice")
    watched(conn, "The other's", "alice", 9)
    assert titles(inside, household, "--user", "7") == {"Hers"}
    assert titles(inside, household, "--user", "9") == {"The other's"}


def test_a_play_without_an_id_makes_no_other_job_of_it(
    inside: Inside, conn: sqlite3.Connection, household: Path
) -> None:
    """What earlier runs put into the tracker is still known as theirs."""
    run = ("db", household, "--to", "tracker", "--user", "bob", "--no-enrich")
    assert inside(*run).code == 0
    watched(conn, "His by name", "bob", None)
    assert inside(*run).code == 0
    jobs = json.loads(inside("checkpoint", "list", "--json").out)
    assert str(jobs).count("'id'") == 1
