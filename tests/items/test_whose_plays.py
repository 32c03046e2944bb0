"""Whose plays become one history is asked or said, and not every night again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.history import add_play, add_user
from tests.support.tautulli import FakeTautulli, on, status
from tests.support.terminal import in_a_terminal

COMMAND = ("--to", "tracker", "--no-enrich")
MERGING = "Warning: Merging the plays of 2 users into one history: Alice (3), Bob (1)."
CHOICES = "Choose with --user NAME or --each-user, or confirm with --all-users."
UP_TO_DATE = "Nothing new: 4 plays read, crosswatch-tracker is up to date.\n"
ALICE = ["First Film", "Second Film", "A Show"]
BOB = ["Third Film"]


def said(cli: Cli, history: Path, *options: str) -> str:
    """Return what an import of it says."""
    done = cli("db", history, *COMMAND, *options)
    assert done.code == 0, done.err
    return done.err


def titles(tmp_path: Path, user: str = "") -> list[str]:
    """Return the titles of films and shows in the tracker."""
    path = tmp_path / "crosswatch-tracker" / user / "history.json"
    items = json.loads(path.read_bytes())["items"].values()
    return [item.get("series_title") or item["title"] for item in items]


def add_carol(history: Path) -> None:
    """Have another user watch something."""
    with closing(sqlite3.connect(history)) as conn, conn:
        add_user(conn, 3, "carol", "Carol")
        add_play(conn, title="Fourth Film", year=2004, user_id=3, user="carol")


# Where nobody can be asked.


def test_whose_plays_are_merged_is_said_once(cli: Cli, history: Path) -> None:
    first = said(cli, history)
    assert MERGING in first
    assert CHOICES in first
    assert said(cli, history) == UP_TO_DATE


def test_a_quiet_run_says_it_too(cli: Cli, history: Path) -> None:
    assert said(cli, history, "--quiet") == f"{MERGING} {CHOICES}\n"
    assert said(cli, history, "--quiet") == ""
    assert said(cli, history) == UP_TO_DATE


def test_everybody_is_named(cli: Cli, history: Path) -> None:
    with closing(sqlite3.connect(history)) as conn, conn:
        for number in range(3, 13):
            add_user(conn, number, f"user{number}", f"User {number}")
            add_play(conn, title=f"Film {number}", user_id=number, user=f"user{number}")
    told = said(cli, history)
    assert all(f"User {number} (1)" in told for number in range(3, 13))


def test_it_is_said_again_when_somebody_has_come_to_it(cli: Cli, history: Path) -> None:
    said(cli, history)
    add_carol(history)
    assert "Merging the plays of 3 users" in said(cli, history)


def test_of_another_output_it_is_said_as_well(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert MERGING in said(cli, history, "--out", "elsewhere")


def test_another_selection_for_the_same_output_says_it_no_more(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert "Merging" not in said(cli, history, "--include-partial")


def test_a_dry_run_always_says_it(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert "Merging the plays of 2 users" in said(cli, history, "--dry-run")


def test_who_forgets_the_checkpoint_is_told_again(cli: Cli, history: Path) -> None:
    said(cli, history)
    assert cli("checkpoint", "clear", "--all").code == 0
    assert MERGING in said(cli, history)


def test_all_users_is_the_explicit_yes(cli: Cli, history: Path, tmp_path: Path) -> None:
    assert "Merging" not in said(cli, history, "--all-users")
    assert titles(tmp_path) == [*ALICE, *BOB]
    add_carol(history)
    assert "Merging" not in said(cli, history)


@pytest.mark.parametrize("other", [("--user", "alice"), ("--each-user",)])
def test_all_users_goes_with_no_other_choice(
    cli: Cli, history: Path, other: tuple[str, ...]
) -> None:
    done = cli("db", history, *COMMAND, "--all-users", *other)
    assert done.code == 2
    assert f"--all-users and {other[0]} cannot be used together." in done.err


def test_an_option_wins_over_the_environment(cli: Cli, history: Path, tmp_path: Path) -> None:
    alice, everybody = {"TAUTULLI_IMPORT_USER": "alice"}, {"TAUTULLI_IMPORT_ALL_USERS": "1"}
    assert cli("db", history, *COMMAND, "--user", "bob", env=everybody).code == 0
    assert titles(tmp_path) == BOB
    assert cli("db", history, *COMMAND, "--all-users", env=alice).code == 0
    assert titles(tmp_path) == [*ALICE, *BOB]


# On a terminal.


@pytest.fixture
def typing(
    history: Path, tmp_path: Path, environment: dict[str, str]
) -> Callable[..., tuple[int, str]]:
    """Import on a terminal where somebody types."""

    def run(*options: str, typed: str = "\x04") -> tuple[int, str]:
        code, shown = in_a_terminal(
            *("db", str(history), *COMMAND, "--no-color", *options),
            cwd=tmp_path,
            environment=environment,
            typed=typed,
        )
        return code, " ".join(shown.split())

    return run


def test_a_terminal_asks_once_with_the_options_that_say_the_same(
    typing: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = typing(typed="2\n")
    assert code == 0, shown
    assert "The history has plays of 2 users. Whose go into" in shown
    for row in (
        "a all together, as one history --all-users",
        "e one output for each user --each-user",
        "1 only Alice (3 plays) --user 1",
        "2 only Bob (1 play) --user 2",
        "The option for it is --user 2.",
    ):
        assert row in shown
    assert "Merging" not in shown
    assert titles(tmp_path) == BOB

    code, shown = typing()
    assert code == 0
    assert shown.endswith(UP_TO_DATE.strip())
    assert "or a number:" not in shown


# Over HTTP, where reading a history can take an hour.


class Served:
    """Imports over HTTP on a terminal where somebody types."""

    def __init__(self, fake: FakeTautulli, folder: Path, environment: dict[str, str]) -> None:
        self.fake = fake
        self._folder = folder
        self._environment = {**environment, **fake.environment}

    def __call__(self, *options: str, typed: str = "\x04") -> tuple[int, str]:
        """Import, and return the exit code and what was shown."""
        args = ("api", *COMMAND, "--no-color", *options)
        code, shown = in_a_terminal(
            *args, cwd=self._folder, environment=self._environment, typed=typed
        )
        return code, " ".join(shown.split())

    @property
    def asked(self) -> list[str]:
        """The commands so far. They are forgotten."""
        found = [one.cmd for one in self.fake.requests]
        self.fake.requests.clear()
        return found


@pytest.fixture
def served(history: Path, tmp_path: Path, environment: dict[str, str]) -> Iterator[Served]:
    """Yield the history on a server."""
    with FakeTautulli(history) as fake:
        yield Served(fake, tmp_path, environment)


def test_the_question_comes_before_the_history_is_fetched(served: Served, tmp_path: Path) -> None:
    code, shown = served(typed="\x04")
    assert code == 2
    assert "Tautulli lists 2 users with plays (for a deleted one, use --user NAME)." in shown
    assert "1 only Alice (3 plays) --user 1" in shown
    assert served.asked == ["get_users_table"]

    code, shown = served(typed="2\n")
    assert code == 0, shown
    assert shown.count("or a number:") == 1
    assert titles(tmp_path) == BOB
    assert served.asked.count("get_users_table") == 1

    code, shown = served()
    assert code == 0
    assert shown.endswith(UP_TO_DATE.strip())
    assert "get_users_table" not in served.asked
    assert titles(tmp_path) == BOB


@pytest.mark.parametrize(("typed", "user"), [("a\n", ""), ("e\n", "Alice")])
def test_the_answer_is_remembered_when_the_fetch_fails(
    served: Served, tmp_path: Path, typed: str, user: str
) -> None:
    served.fake.faults.append(on("get_history", status(401)))
    code, shown = served(typed=typed)
    assert code != 0
    assert shown.count("or a number:") == 1
    served.fake.faults.clear()
    code, shown = served()
    assert code == 0, shown
    assert "or a number:" not in shown
    assert titles(tmp_path, user) == (ALICE if user else [*ALICE, *BOB])


def test_without_the_list_of_users_the_question_comes_afterwards(
    served: Served, tmp_path: Path
) -> None:
    served.fake.faults.append(on("get_users_table", status(404)))
    code, shown = served(typed="2\n")
    assert code == 0, shown
    assert "The history has plays of 2 users. Whose go into" in shown
    assert titles(tmp_path) == BOB


@pytest.mark.parametrize(
    "options", [("--dry-run",), ("--quiet",), ("--user", "bob"), ("--all-users",), ("--each-user",)]
)
def test_who_has_chosen_or_cannot_be_asked_costs_no_request(
    served: Served, options: tuple[str, ...]
) -> None:
    code, shown = served(*options)
    assert code == 0
    assert "or a number:" not in shown
    assert "get_users_table" not in served.asked


# A name that nobody has.


def test_a_mistyped_user_is_found_before_the_history_is_fetched(served: Served) -> None:
    code, shown = served("--user", "alcie")
    assert code == 5, shown
    assert "There is no user called 'alcie'." in shown
    assert "Did you mean Alice (id 1, 3 plays)?" in shown
    asked = [one.params.get("length") for one in served.fake.requests if one.cmd == "get_history"]
    assert set(asked) <= {"0"}  # only counted


def test_a_name_that_tautulli_does_not_list_may_be_that_of_a_deleted_user(
    served: Served, history: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(history)) as conn, conn:
        conn.execute("UPDATE users SET deleted_user = 1 WHERE username = 'bob'")
    served.fake.faults.append(on("get_users_table", status(404)))
    assert served("--user", "bob", "--dry-run", "--state-dir", "other")[0] == 0
    served.fake.faults.clear()
    code, shown = served("--user", "bob")
    assert code == 0, shown
    assert "There is no user called 'bob'." in shown
    assert "The history is read all the same, because it also has plays of users" in shown
    assert titles(tmp_path) == BOB
    served.asked  # noqa: B018 - forgets them
    code, shown = served("--user", "bob")
    assert (code, "no user called" in shown) == (0, False), shown
    assert "get_users_table" not in served.asked
    assert served("--user", "bbo")[0] == 5


# On a terminal, later runs.


def test_an_earlier_choice_is_said_when_something_is_new(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path, tmp_path: Path
) -> None:
    typing(typed="1\n")
    with closing(sqlite3.connect(history)) as conn, conn:
        add_play(conn, title="Another", year=2005, user="alice")
        add_play(conn, title="Bob's Other", year=2005, user_id=2, user="bob")
    told = said(cli, history)
    assert "Only the plays of Alice, as chosen in an earlier run. Use --all-users" in told
    assert titles(tmp_path) == [*ALICE, "Another"]


def test_all_together_can_be_chosen(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path, tmp_path: Path
) -> None:
    assert typing(typed="A\n")[0] == 0
    assert titles(tmp_path) == [*ALICE, *BOB]
    assert said(cli, history) == UP_TO_DATE


def test_one_output_each_can_be_chosen(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path, tmp_path: Path
) -> None:
    assert typing(typed="e\n")[0] == 0
    assert (titles(tmp_path, "Alice"), titles(tmp_path, "Bob")) == (ALICE, BOB)
    add_carol(history)
    said(cli, history)
    assert titles(tmp_path, "Carol") == ["Fourth Film"]


def test_a_wrong_answer_is_asked_again(
    typing: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = typing(typed="9\n\n2\n")
    assert (code, shown.count("or a number:")) == (0, 3)
    assert titles(tmp_path) == BOB


@pytest.mark.parametrize("typed", ["x\ny\nz\n", "\x04"])
def test_without_an_answer_nothing_is_written(
    typing: Callable[..., tuple[int, str]], tmp_path: Path, typed: str
) -> None:
    code, shown = typing(typed=typed)
    assert code == 2
    assert "Use --all-users, --each-user or --user NAME. Nothing was written." in shown
    assert not (tmp_path / "crosswatch-tracker").exists()
    assert typing(typed="2\n")[0] == 0


@pytest.mark.parametrize(
    "options", [("--dry-run",), ("--quiet",), ("--user", "bob"), ("--all-users",), ("--each-user",)]
)
def test_nobody_is_asked_who_has_chosen_or_writes_nothing(
    typing: Callable[..., tuple[int, str]], options: tuple[str, ...]
) -> None:
    code, shown = typing(*options)
    assert code == 0
    assert "or a number:" not in shown


def test_of_an_output_that_is_not_new_nobody_is_asked(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path
) -> None:
    said(cli, history, "--user", "alice")
    code, shown = typing()
    assert code == 0
    assert "or a number:" not in shown
    assert MERGING in shown


def test_replace_corrects_the_choice(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path, tmp_path: Path
) -> None:
    typing(typed="a\n")
    said(cli, history, "--user", "alice", "--replace")
    assert titles(tmp_path) == ALICE
    assert said(cli, history) == UP_TO_DATE
    assert titles(tmp_path) == ALICE


def test_a_choice_counts_for_an_output_beside_the_one_that_remembers_it(
    typing: Callable[..., tuple[int, str]], cli: Cli, history: Path, tmp_path: Path
) -> None:
    typing(typed="1\n")
    both = ("--to", "tracker", "--to", "editor", "--no-enrich")
    assert cli("db", history, *both).code == 0
    assert titles(tmp_path) == ALICE
    assert b"Third Film" not in (tmp_path / "tautulli-editor-history.json").read_bytes()


def test_choices_that_differ_are_an_error(cli: Cli, history: Path, tmp_path: Path) -> None:
    for sink, user in (("tracker", "alice"), ("editor", "bob")):
        done = cli("db", history, "--to", sink, "--no-enrich", "--user", user, "--replace")
        assert done.code == 0, done.err
    done = cli("db", history, "--to", "tracker", "--to", "editor", "--no-enrich")
    assert done.code == 2
    assert "tracker and editor remember different choices of users." in done.err
    assert titles(tmp_path) == ALICE
