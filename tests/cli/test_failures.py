"""A failure is a sentence, a next step and an exit code; with --json also an object."""

import json
from pathlib import Path

import pytest

from tautulli_import.cli import importing
from tautulli_import.options import OPTIONS
from tests.conftest import Cli
from tests.sinks.test_third_party_sink import COMPLETE, install
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.tautulli import FakeTautulli

WITH_JSON = sorted(
    command
    for option in OPTIONS
    if option.name == "json"
    for command in option.commands.split(", ")
)
#: Arguments with which each command fails, its exit code and a word of the message.
FAILING = {
    "api": (["--to", "tracker"], 2, "address"),
    "db": (["gone.db", "--to", "tracker"], 5, "gone.db"),
    "check": (["gone.db"], 5, "gone.db"),
    "unresolved": (["gone.db"], 5, "gone.db"),
    "users": (["gone.db"], 5, "gone.db"),
    "libraries": (["gone.db"], 5, "gone.db"),
    "why": (["Title", "gone.db"], 5, "gone.db"),
    "consume": (["--once", "--nats-cert", "cert.pem"], 2, "private key"),
    "status": ([], 2, "format"),
    "checkpoint list": ([], 2, "format"),
    "checkpoint show": (["zzz"], 5, "zzz"),
    "config show": ([], 2, "format"),
}


@pytest.mark.parametrize("command", WITH_JSON)
def test_with_json_a_failure_is_an_object_as_well(inside: Inside, command: str) -> None:
    args, code, word = FAILING[command]
    env = {"TAUTULLI_IMPORT_FORMAT": "xml"} if word == "format" else {}

    failed = inside(*command.split(), *args, "--json", env=env)
    plain = inside(*command.split(), *args, env=env)

    assert failed.code == plain.code == code
    assert word in failed.err
    (line,) = failed.out.splitlines()
    error = json.loads(line)["error"]
    assert list(json.loads(line)) == ["error"]
    assert list(error)[:3] == ["code", "message", "hint"]
    assert error["code"] == failed.code
    assert error["message"] in failed.err
    assert error["hint"] in failed.err
    assert (plain.out, plain.err) == ("", failed.err)


@pytest.mark.parametrize("command", WITH_JSON)
def test_a_wrong_option_is_an_error_like_all_others(inside: Inside, command: str) -> None:
    failed = inside(*command.split(), "--json", "--no-such-option")
    assert failed.code == 2
    error = json.loads(failed.out)["error"]
    assert error["code"] == 2
    assert "--no-such-option" in error["message"]
    assert error["hint"] == f"All options: tautulli-import {command} --help"
    assert failed.err.startswith(f"Error: {error['message']}\n  {error['hint']}\n")


def test_a_result_that_came_before_the_failure_is_in_the_same_object(
    inside: Inside, tmp_path: Path
) -> None:
    _with_a_rejected_row(tmp_path / "a.db")
    for args in (["db", "a.db", "--to", "tracker"], ["check", "a.db"]):
        done = inside(*args, "--strict", "--json")
        assert done.code == 9
        (line,) = done.out.splitlines()
        told = json.loads(line)
        assert told["error"]["code"] == 9
        assert told["plays"]["rejected"] == {"no_episode_number": 1}
        assert "error" not in json.loads(inside(*args, "--json").out)


def _with_a_rejected_row(path: Path) -> None:
    conn = create(path)
    add_play(conn, title="Kept", guid="imdb://tt0000001")
    add_play(conn, media_type="episode", media_index="")
    conn.close()


def test_a_bug_is_an_object_too(
    inside: Inside, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(importing, "run", fail)
    done = inside("db", history, "--to", "tracker", "--all-users", "--json")
    assert done.code == 1
    error = json.loads(done.out)["error"]
    assert error["code"] == 1
    assert "RuntimeError: boom" in error["message"]
    assert error["hint"] in done.err


@pytest.mark.parametrize(
    "fails", ['open("/nowhere/at/all")', 'raise OSError(2, "/nowhere/at/all")']
)
def test_a_sink_that_cannot_open_a_file_is_no_failure_of_standard_output(
    cli: Cli, history: Path, tmp_path: Path, fails: str
) -> None:
    check = f"    def check(self):\n        {fails}\n\n    def write("
    env = install(tmp_path / "site", COMPLETE.replace("    def write(", check))
    done = cli("db", history, "--to", "titles", env=env)
    assert done.code == 1
    assert "standard output" not in done.err
    assert "/nowhere/at/all" in done.err


# A dry run with --json.


def test_a_dry_run_with_json_prints_the_result_and_says_where_the_items_are(
    inside: Inside, history: Path
) -> None:
    for option in ("--json", "--report"):
        args = [option] if option == "--json" else [option, "-"]
        done = inside("db", history, "-n", *args)
        assert done.code == 0
        (line,) = done.out.splitlines()
        assert json.loads(line)["items"]["new"] == 4
        assert "The items are not printed" in done.err
    events = inside("db", history, "-n", "--events", "--json")
    assert json.loads(events.out)["view"] == "events"
    assert "The events are not printed" in events.err


# What failed comes first.


def test_an_output_that_failed_is_told_before_those_that_were_written(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    broken = COMPLETE.replace("write_whole(", "raise RuntimeError('no route') or write_whole(")
    env = install(tmp_path / "site", broken)

    args = ("db", history, "--all-users", "--to", "titles")
    alone = cli(*args, env=env)
    done = cli(*args, "--to", "tracker", env=env)

    assert (alone.code, done.code) == (8, 8)
    assert alone.err.startswith("Error: ")
    assert "imported" not in alone.err
    assert " now in " not in alone.err
    assert done.err.startswith("Error: ")
    assert done.err.count("no route") == 1
    assert "3 films and 1 episode are now in crosswatch-tracker (tracker): 4 new." in done.err


# An address where a file is wanted, and the other way round.

_URL = "http://me:secret-word@nas:8181/home?apikey=secret-key"


@pytest.mark.parametrize(
    ("args", "code", "use"),
    [
        (["db", _URL, "--to", "tracker"], 5, "tautulli-import api --url http://nas:8181"),
        (["db", _URL], 5, "tautulli-import api --url http://nas:8181"),
        (["check", _URL], 5, "api in place of it, and --url http://nas:8181"),
        (["users", _URL], 5, "--url http://nas:8181"),
        (["why", "Title", _URL], 5, "--url http://nas:8181"),
        (["api", _URL, "--to", "tracker"], 2, "--url http://nas:8181"),
        (["api", "nas:8181"], 2, "--url http://nas:8181"),
        (["api", "tautulli.db", "--to", "tracker"], 2, "tautulli-import db tautulli.db"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_an_address_and_a_file_in_the_wrong_place_are_explained(
    inside: Inside, history: Path, args: list[str], code: int, use: str
) -> None:
    Path("tautulli.db").symlink_to(history)
    done = inside(*args)
    assert (done.code, done.out) == (code, "")
    assert use in done.err
    assert "secret" not in done.err


# Without --to.


def test_without_an_output_the_sinks_are_listed(cli: Cli, history: Path, tmp_path: Path) -> None:
    env = install(tmp_path / "site", COMPLETE)
    done = cli("db", history, env=env)
    assert done.code == 2
    assert "tautulli-import init" in done.err
    lines = {line.split()[1]: line for line in done.err.splitlines() if "--to " in line}
    assert lines.keys() == {
        *("crosswatch", "duckdb", "editor", "jsonl", "letterboxd", "nats", "simkl", "titles"),
        *("tracker", "trakt-export", "yamtrack"),
    }
    assert "CrossWatch's tracker" in lines["tracker"]
    assert lines["titles"].split() == ["--to", "titles"]  # it has no docstring
    choices = json.loads(cli("db", history, "--json", env=env).out)["error"]["choices"]
    assert choices == [line.strip() for line in lines.values()]


def test_a_sink_that_cannot_be_loaded_is_not_offered(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    done = cli("db", history, env=install(tmp_path / "site", "def (:\n"))
    assert (done.code, "--to tracker" in done.err, "--to titles" in done.err) == (2, True, False)


# Warnings under --quiet.


def test_with_quiet_a_warning_is_printed_once(inside: Inside, history: Path) -> None:
    args = ("db", history, "--to", "tracker", "--all-users", "-q")
    key = ("--api-key", "0123456789abcdef")
    first = inside(*args, *key)
    assert (first.code, first.err.count("Warning: The API key is on the command line")) == (0, 1)
    assert inside(*args, *key).err == ""
    assert inside(*args).err == ""
    # It went away, so that it is news.
    assert inside(*args, *key).err == first.err
    # A person who looks sees it, and a failure does not hide it.
    assert "Warning: The API key" in inside(*args[:-1], *key).err
    assert "Warning: The API key" in inside(*args, *key, "-n").err
    Path("bad.db").write_bytes(b"this is no database" * 100)
    assert "Warning: The API key" in inside("db", "bad.db", "--to", "tracker", "-q", *key).err


def test_a_warning_about_the_history_is_kept_over_a_night_without_news(
    inside: Inside, tmp_path: Path
) -> None:
    conn = create(tmp_path / "a.db")
    add_play(conn, title="One", guid="imdb://tt0000001")
    conn.commit()
    (tmp_path / "ids.csv").write_text("type,title,year,tmdb\nmovie,Nowhere,1999,1\n")
    args = ("db", "a.db", "--to", "tracker", "--ids", "ids.csv", "-q")
    assert "Warning: Corrections that match nothing" in inside(*args).err
    assert inside(*args).err == ""
    add_play(conn, title="Two", guid="imdb://tt0000002")
    conn.close()
    assert inside(*args).err == ""


def test_a_wrong_command_is_an_error_like_all_others(cli: Cli) -> None:
    said = cli("chek")
    told = cli("frob", "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: No such command 'chek'. Did you mean 'check'?\n")
    assert "All commands: tautulli-import --help" in said.err
    assert json.loads(told.out)["error"]["code"] == told.code == 2
    assert cli("checkpoint", "lst").err.startswith("Error: No such command 'lst'.")


@pytest.mark.parametrize("args", [("--versoin",), ("checkpoint", "--frob")])
def test_a_wrong_option_before_the_command_is_one_too(cli: Cli, args: tuple[str, ...]) -> None:
    said = cli(*args)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: No such option")
    assert said.err.endswith(" --help\n")
    assert "Usage:" not in said.err


def test_a_source_in_the_place_of_the_command_is_told_with_the_command(
    inside: Inside, history: Path
) -> None:
    said = inside(history)
    assert (said.code, said.out) == (2, "")
    assert "is a file, and no command is given.\n" in said.err
    assert f"For example: tautulli-import db {history} --dry-run" in said.err
    said = inside("https://me:secret@nas:8181/home")
    assert said.code == 2
    assert "For example: tautulli-import api --url https://nas:8181 --dry-run" in said.err
    assert "secret" not in said.err
    assert inside("x" * 5_000).err.startswith("Error: No such command")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--min-percent", "abc"), "--min-percent must be a whole number, not 'abc'."),
        (("--batch-size=1.5",), "--batch-size must be a whole number, not '1.5'."),
        (("--timeout", "soon"), "--timeout must be a number, not 'soon'."),
    ],
)
def test_what_is_no_number_is_named(inside: Inside, args: tuple[str, ...], words: str) -> None:
    said = inside("db", "a.db", *args)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"Error: {words}\n")


@pytest.mark.parametrize("wrong", [("--since", "2020-13"), ("--since=2021", "--until=2020")])
@pytest.mark.parametrize("command", [("api", "--to", "tracker"), ("check", "api")])
def test_a_wrong_date_costs_no_request(
    inside: Inside, history: Path, command: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    with FakeTautulli(history) as fake:
        said = inside(*command, *wrong, env=fake.environment)
        assert said.code == 2
        assert "2020" in said.err
        assert fake.requests == []
