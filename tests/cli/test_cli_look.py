"""``check``, ``users`` and ``libraries``: looking without importing anything."""

import csv
import json
import os
from contextlib import closing
from io import StringIO
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tests.conftest import Cli
from tests.support.history import add_library, add_play, add_user, create, generate

_THEN = 1_600_000_000
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def household_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three users, one of them forgotten; five libraries' worth of everything."""
    path = tmp_path_factory.mktemp("household") / "household.db"
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice A.")
        add_user(conn, 2, "bob", "Bobby")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 2, "Shows", "show")
        add_library(conn, 3, "Gone", "movie", deleted=1)
        add_play(conn, title="Known", year=2001, guid="imdb://tt0000001", started=_THEN)
        add_play(conn, title="Known", year=2001, guid="imdb://tt0000001", started=_THEN + 86_400)
        add_play(conn, title="Unknown", year=2002, started=_THEN + 2 * 86_400)
        add_play(conn, title="Partial", year=2003, view_offset=1, started=_THEN + 3 * 86_400)
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            user_id=2,
            started=_THEN + 4 * 86_400,
        )
        add_play(
            conn,
            media_type="episode",
            grandparent_title="A Show",
            user_id=2,
            media_index="",
            started=_THEN + 5 * 86_400,
        )
        add_play(conn, media_type="track", title="Song", user_id=9, user="forgotten", section_id=3)
    return path


@pytest.fixture
def household(household_once: Path, tmp_path: Path) -> Path:
    """Return the same, a copy for each test."""
    return Path(copy(household_once, tmp_path))


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def checked(cli: Cli, *args: str | Path) -> dict[str, Any]:
    result = cli("check", *args, "--json", "--quiet")
    assert result.code == 0, result.err
    value = json.loads(result.out)
    assert isinstance(value, dict)
    return value


# users and libraries


def test_users_are_listed_with_their_plays_most_first(cli: Cli, household: Path) -> None:
    result = cli("users", household, "--json")

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)[:3] == [
        {
            "user_id": 1,
            "username": "alice",
            "friendly_name": "Alice A.",
            "plays": 4,
            "deleted": False,
        },
        {"user_id": 2, "username": "bob", "friendly_name": "Bobby", "plays": 2, "deleted": False},
        {
            "user_id": 9,
            "username": "forgotten",
            "friendly_name": "",
            "plays": 1,
            "deleted": True,
        },
    ]


def test_users_are_a_table_for_people(cli: Cli, household: Path) -> None:
    result = cli("users", household)
    assert (result.code, result.err) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["Id", "Username", "Friendly", "name", "Plays"]
    assert lines[1] == ["1", "alice", "Alice", "A.", "4"]
    assert "no longer known to Tautulli" in result.out


def test_libraries_are_listed_with_their_plays_most_first(cli: Cli, household: Path) -> None:
    result = cli("libraries", household, "--json")

    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == [
        {
            "section_id": section,
            "name": name,
            "section_type": kind,
            "plays": plays,
            "deleted": deleted,
        }
        for section, name, kind, plays, deleted in (
            (1, "Films", "movie", 4, False),
            (2, "Shows", "show", 2, False),
            (3, "Gone", "movie", 1, True),
        )
    ]


def test_libraries_are_a_table_for_people(cli: Cli, household: Path) -> None:
    result = cli("libraries", household)
    assert (result.code, result.err) == (0, "")
    assert [line.split()[0] for line in result.out.splitlines()] == ["Id", "1", "2", "3"]
    assert "deleted" in result.out


@pytest.mark.parametrize("command", ["users", "libraries", "check", "unresolved"])
def test_a_look_finds_its_database_in_the_settings_and_says_when_there_is_none(
    cli: Cli, household: Path, tmp_path: Path, command: str
) -> None:
    assert cli(command, env={"IMPORT_DB_PATH": str(household)}).code == 0
    assert cli(command, "-", stdin=household.read_bytes()).code == 0
    without = cli(command)
    assert (without.code, without.out) == (2, "")
    missing = cli(command, tmp_path / "gone.db")
    assert (missing.code, missing.out) == (5, "")
    assert "gone.db" in missing.err


@pytest.mark.parametrize("command", ["users", "libraries", "check", "unresolved"])
def test_a_reader_who_leaves_a_table_is_no_error(cli: Cli, household: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = cli(command, household, stdout=write)
    finally:
        os.close(write)
    assert (done.code, done.err) == (0, "")


# check


def test_check_tells_what_is_there(cli: Cli, household: Path) -> None:
    told = checked(cli, household)

    assert told["schema"] == 1
    assert told["source"] == str(household)
    assert (told["first"], told["last"]) == ("2020-09-13T14:26:40Z", "2020-09-20T14:26:40Z")
    assert told["media_types"] == {"movie": 4, "episode": 2, "track": 1}
    assert told["guid_kinds"] == {"imdb": 2, "plex": 4}
    assert told["users"] == {"Alice A.": 4, "Bobby": 2, "forgotten": 1}
    assert told["libraries"] == {"Films": 4, "Shows": 2, "Gone": 1}
    assert told["plays"] == {
        "read": 7,
        "filtered": {"media_type": 1, "partial": 1},
        "rejected": {"no_episode_number": 1},
        "merged": 1,
        "emitted": 3,
    }
    assert told["films"] == {"total": 2, "known": 1, "could_get": 1, "never": 0, "partly": 0}
    assert told["shows"] == {"total": 1, "known": 0, "could_get": 1, "never": 0, "partly": 0}
    assert told["items"]["without_external_id"] == 2


@pytest.mark.parametrize(
    ("options", "env", "way"),
    [
        ((), {}, "use --url and an API key"),
        ((), {"TAUTULLI_URL": NOWHERE}, "give the API key as well, with --api-key-file FILE"),
        ((), {"TAUTULLI_API_KEY": "k" * 32}, "give the address as well, with --url URL"),
        (("--no-enrich",), {"TAUTULLI_URL": NOWHERE}, "asking is off: --no-enrich"),
        ((), {"TAUTULLI_IMPORT_ENRICH": "0"}, "asking is off: enrich (environment)"),
    ],
)
def test_the_advice_to_ask_plex_is_about_what_is_missing(
    cli: Cli, household: Path, options: tuple[str, ...], env: dict[str, str], way: str
) -> None:
    told = cli("check", household, *options, env=env)
    assert f"1 have none yet, but Plex may know them ({way})." in told.out
    told = cli("unresolved", household, *options, env=env)
    assert f"Plex was not asked for ids ({way})." in told.err


def test_who_has_set_an_address_is_not_told_to_when_plex_did_not_answer(
    cli: Cli, household: Path
) -> None:
    both = {"TAUTULLI_URL": NOWHERE, "TAUTULLI_API_KEY": "k" * 32}
    told = cli("check", household, env=both)
    assert "1 have none yet, but Plex may know them (it did not answer)." in told.out
    assert "--url" not in told.out


def test_check_writes_nothing(cli: Cli, household: Path, tmp_path: Path) -> None:
    before = listing(tmp_path), household.read_bytes()
    assert cli("check", household).code == 0
    assert cli("check", household, "--json", "--verbose").code == 0
    assert (listing(tmp_path), household.read_bytes()) == before


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--user", "alice"],
        ["--include-partial", "--media-type", "movie"],
        ["--since", "2020-09-15", "--min-percent", "10"],
        ["--library", "Shows"],
    ],
    ids=" ".join,
)
def test_check_tells_the_numbers_of_the_import_it_looks_forward_to(
    cli: Cli, household: Path, tmp_path: Path, options: list[str]
) -> None:
    told = checked(cli, household, *options)
    args = ("--to", "tracker", "--out", "root", "--report", "report.json")
    assert cli("db", household, *options, *args).code == 0
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert told["plays"] == report["plays"]
    assert told["items"] == report["items"]


def test_check_of_years_agrees_with_itself(cli: Cli, tmp_path: Path) -> None:
    truth = generate(tmp_path / "years.db", plays=3000)
    told = checked(cli, tmp_path / "years.db")
    assert told["plays"]["read"] == truth.totals.rows == sum(told["media_types"].values())
    assert told["media_types"] == dict(truth.totals.by_media_type)
    assert sum(told["users"].values()) == 3000
    filtered, rejected = told["plays"]["filtered"], told["plays"]["rejected"]
    away = sum(filtered.values()) + sum(rejected.values())
    assert told["plays"]["read"] == away + told["plays"]["merged"] + told["plays"]["emitted"]
    assert filtered["partial"] == truth.totals.partial


def test_check_is_a_summary_for_people_on_standard_output(cli: Cli, household: Path) -> None:
    result = cli("check", household)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == f"{household}: 7 plays, from 2020-09-13 to 2020-09-20."
    for said in (
        "Users      Alice A. 4, Bobby 2, forgotten 1",
        "Kinds      4 films, 2 episodes, 1 track",
        "2 films and 1 episode would be imported.",
        "  1 of 2 films have external ids.",
        "2 plays would be left out:",
        "        1  other media types",
        "1 play would be rejected:",
        "        1  an episode without an episode number",
    ):
        assert said in lines
    assert "_" not in result.out.replace(str(household), ""), "the name of a field"
    assert "row 6" not in result.err
    assert "row 6" in cli("check", household, "--verbose").err


def test_check_of_an_empty_history_is_no_error(cli: Cli, tmp_path: Path) -> None:
    create(tmp_path / "empty.db").close()
    told = checked(cli, tmp_path / "empty.db")
    assert told["plays"]["read"] == 0
    assert (told["first"], told["last"]) == (None, None)
    assert cli("check", tmp_path / "empty.db").code == 0


def test_check_is_strict_when_asked(cli: Cli, household: Path, history: Path) -> None:
    assert cli("check", household, "--strict").code == 9
    assert cli("check", history, "--strict").code == 0


def test_what_has_no_ids_is_written_down_to_be_filled_in_and_read_back(
    cli: Cli, household: Path, tmp_path: Path
) -> None:
    assert cli("check", household, "--missing-ids", "ids.csv").code == 0

    with (tmp_path / "ids.csv").open(encoding="utf-8", newline="") as file:
        missing = list(csv.DictReader(file))
    assert sorted(row["title"] for row in missing) == ["A Show", "Unknown"]
    # As it is, it says nothing yet, and is understood all the same.
    assert cli("db", household, "-n", "--ids", "ids.csv").code == 0
    for number, row in enumerate(missing, 70):
        row["tmdb"] = str(number)
    with (tmp_path / "ids.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, missing[0])
        writer.writeheader()
        writer.writerows(missing)

    told = checked(cli, household, "--ids", "ids.csv")

    assert told["items"]["without_external_id"] == 0
    assert told["items"]["ids_from"]["corrections"] == 2


def test_on_standard_output_the_list_of_missing_ids_is_a_csv_and_nothing_else(
    cli: Cli, household: Path
) -> None:
    result = cli("check", household, "--missing-ids", "-")
    assert result.code == 0
    rows = list(csv.DictReader(StringIO(result.out)))
    assert [row.get("type") for row in rows] == ["movie", "show"]


def test_the_census_and_the_list_do_not_share_standard_output(cli: Cli, household: Path) -> None:
    result = cli("check", household, "--json", "--missing-ids", "-")
    assert result.code == 2
    assert json.loads(result.out).keys() == {"error"}


def test_two_users_or_libraries_of_one_name_are_both_counted(cli: Cli, tmp_path: Path) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        add_user(conn, 1, "sam1", "Sam")
        add_user(conn, 2, "sam2", "Sam")
        add_library(conn, 1, "Films", "movie")
        add_library(conn, 4, "Films", "movie")
        add_play(conn, title="One", user_id=1, section_id=1)
        add_play(conn, title="Two", user_id=2, section_id=4)
        add_play(conn, title="Three", user_id=2, section_id=4)
    told = checked(cli, tmp_path / "a.db")
    assert sum(told["users"].values()) == 3
    assert sum(told["libraries"].values()) == 3
