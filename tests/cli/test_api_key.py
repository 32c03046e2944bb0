"""The API key: the places it can be in, which of them wins, and what is no key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

from tests.conftest import Result
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.tautulli import KEY, FakeTautulli


class Place(Struct):
    """The program, a server that sees which key comes, and a directory to work in."""

    run: Inside
    server: FakeTautulli
    folder: Path
    config: Path

    def users(
        self, *args: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Result:
        """Ask something harmless."""
        variables = {"TAUTULLI_URL": self.server.url, **(env or {})}
        return self.run("users", "api", "--json", *args, env=variables, stdin=stdin)

    def write(self, name: str, text: str | bytes) -> Path:
        """Return a file in the working directory."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def configure(self, text: str) -> None:
        """Write `config.toml`."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(text, encoding="utf-8")

    @property
    def keys(self) -> list[str]:
        """The keys that came with the requests."""
        return [asked.form["apikey"] for asked in self.server.requests]


@pytest.fixture
def place(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    folder = tmp_path / "work"
    folder.mkdir()
    with closing(create(tmp_path / "tautulli.db")) as conn:
        add_play(conn, title="Film")
    with FakeTautulli(tmp_path / "tautulli.db") as server:
        run = Inside(folder, environment, monkeypatch)
        config = tmp_path / "home" / "config" / "tautulli-import" / "config.toml"
        yield Place(run, server, folder, config)


# Which of them wins.


class Said(Struct, frozen=True):
    """A key, said in one place."""

    key: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = {}
    dotenv: str = ""
    config: str = ""


#: From the highest to the lowest.
PLACES: Final = (
    Said("option-file", args=["--api-key-file", "option-file"]),
    Said("option", args=["--api-key", "option"]),
    Said("environment-file", env={"TAUTULLI_API_KEY_FILE": "environment-file"}),
    Said("environment", env={"TAUTULLI_API_KEY": "environment"}),
    Said("dotenv-file", dotenv="TAUTULLI_API_KEY_FILE=dotenv-file"),
    Said("dotenv", dotenv="TAUTULLI_API_KEY=dotenv"),
    Said("config-file", config='api_key_file = "config-file"'),
    Said("config", config='api_key = "config"'),
)


@pytest.mark.parametrize("highest", range(len(PLACES)), ids=lambda index: PLACES[index].key)
def test_the_highest_place_wins(place: Place, highest: int) -> None:
    said = PLACES[highest:]
    for one in said:
        place.write(one.key, f"{one.key}\n")
    place.write(".env", "\n".join(one.dotenv for one in said))
    place.configure("\n".join(one.config for one in said))
    args = [word for one in said for word in one.args]
    env = {name: value for one in said for name, value in one.env.items()}

    place.users(*args, env=env)

    assert set(place.keys) == {said[0].key}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("higher", "lower"), [*combinations(PLACES, 2)], ids=lambda said: said.key)
def test_of_two_places_the_higher_wins(place: Place, higher: Said, lower: Said) -> None:
    said = (lower, higher)
    for one in said:
        place.write(one.key, f"{one.key}\n")
    place.write(".env", "\n".join(one.dotenv for one in said))
    place.configure("\n".join(one.config for one in said))

    place.users(*(word for one in said for word in one.args), env={**said[0].env, **said[1].env})

    assert set(place.keys) == {higher.key}


def test_every_setting_has_a_long_name_in_the_environment(place: Place) -> None:
    place.users(
        env={
            "TAUTULLI_URL": "",
            "TAUTULLI_IMPORT_URL": place.server.url,
            "TAUTULLI_IMPORT_API_KEY": KEY,
        }
    )
    assert set(place.keys) == {KEY}


def test_the_server_can_stand_in_a_file_as_well(place: Place) -> None:
    place.write(".env", f"TAUTULLI_URL={place.server.url}\nTAUTULLI_API_KEY={KEY}\n")
    assert place.users(env={"TAUTULLI_URL": ""}).code == 0
    place.write(".env", "")
    place.configure(f'url = "{place.server.url}"\napi_key = "{KEY}"\n')
    assert place.users(env={"TAUTULLI_URL": ""}).code == 0
    assert set(place.keys) == {KEY}


def test_an_empty_variable_is_none(place: Place) -> None:
    place.write(".env", f"TAUTULLI_API_KEY={KEY}\n")
    assert place.users(env={"TAUTULLI_API_KEY": "", "TAUTULLI_API_KEY_FILE": ""}).code == 0


# What is a key.


@pytest.mark.parametrize(
    "text",
    [
        *(f"{KEY}", f"{KEY}\n", f"{KEY}\r\n", f"\n\n{KEY}\n\n", f"  {KEY}\t", f"\ufeff{KEY}\n"),
    ],
    ids=ascii,
)
def test_a_file_holds_the_key_and_blanks_around_it(place: Place, text: str) -> None:
    path = place.write("key", text)
    assert place.users("--api-key-file", path).code == 0
    assert set(place.keys) == {KEY}


def test_a_key_can_come_from_standard_input(place: Place) -> None:
    assert place.users("--api-key-file", "-", stdin=f"{KEY}\n".encode()).code == 0
    assert set(place.keys) == {KEY}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n", "\ufeff", "two words-of-it", f"{KEY}\n{KEY}", f"api_key = {KEY}"),
        *("schlüssel-words-of-it", "\x00words-of-it", "words-\x1b-of-it", "words-of-it\x07"),
    ],
    ids=ascii,
)
def test_what_is_no_key_is_refused_and_not_quoted(place: Place, text: str) -> None:
    path = place.write("key", text)
    result = place.users("--api-key-file", path)
    assert result.code == 2
    assert str(path) in result.err
    assert "words-of-it" not in result.err
    assert KEY not in result.err
    assert place.keys == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x80words-of-it", bytes(range(256))])
def test_what_is_no_text_is_refused(place: Place, content: bytes) -> None:
    result = place.users("--api-key-file", place.write("key", content))
    assert result.code == 2
    assert "words" not in result.err


def test_no_file_is_not_found(place: Place) -> None:
    result = place.users("--api-key-file", "nowhere")
    assert result.code == 5
    assert "There is no file nowhere." in result.err


def test_a_directory_is_no_key(place: Place) -> None:
    result = place.users("--api-key-file", place.folder)
    assert result.code == 2
    assert f"Cannot read {place.folder}: Is a directory." in result.err


def test_a_file_that_may_not_be_read_is_said(
    tmp_path: Path, bound: Callable[..., tuple[int, str, str]]
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY, encoding="utf-8")
    path.chmod(0)
    code, out, err = bound("users", "api", "--url", "127.0.0.1:1", "--api-key-file", path)
    assert (code, out) == (2, "")
    assert f"Cannot read {path}: Permission denied." in err


def test_standard_input_without_a_key_is_said(place: Place) -> None:
    result = place.users("--api-key-file", "-")
    assert result.code == 2
    assert "key" in result.err
    assert place.keys == []


@pytest.mark.parametrize("args", [("db", "-", "--dry-run"), ("check", "-")])
def test_standard_input_cannot_be_the_key_and_the_database(
    place: Place, tmp_path: Path, args: Sequence[str]
) -> None:
    stdin = f"{KEY}\n".encode() + (tmp_path / "tautulli.db").read_bytes()
    env = {"TAUTULLI_URL": place.server.url}
    result = place.run(*args, "--api-key-file", "-", stdin=stdin, env=env)
    assert result.code == 2
    assert "standard input" in result.err


@pytest.mark.parametrize("where", ["TAUTULLI_API_KEY", "TAUTULLI_IMPORT_API_KEY"])
@pytest.mark.parametrize("text", ["two words-of-it", "words-of-it-ü", "words-of-it\n\nx"])
def test_what_is_no_key_is_refused_wherever_it_stands(place: Place, where: str, text: str) -> None:
    result = place.users(env={where: text})
    assert result.code == 2
    assert "words-of-it" not in result.err
    assert place.keys == []


def test_no_key_at_all_is_said_with_the_places_for_one(place: Place) -> None:
    result = place.users()
    assert result.code == 2
    assert "No Tautulli API key given." in result.err
    assert "TAUTULLI_API_KEY" in result.err
    assert "--api-key-file" in result.err


def test_no_server_at_all_is_said(place: Place) -> None:
    result = place.users(env={"TAUTULLI_URL": "", "TAUTULLI_API_KEY": KEY})
    assert result.code == 2
    assert "No Tautulli address given." in result.err
    assert "TAUTULLI_URL" in result.err


# A key that others can see.


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
@pytest.mark.parametrize("command", [["api", "--dry-run"], ["check", "api"], ["users", "api"]])
def test_a_key_on_the_command_line_works_with_a_warning(
    place: Place, command: list[str], quiet: list[str]
) -> None:
    if quiet and "users" in command:  # it has nothing to be quiet about
        return
    env = {"TAUTULLI_URL": place.server.url}
    result = place.run(*command, *quiet, "--api-key", KEY, env=env)
    assert result.code == 0
    assert result.err.count("Warning: The API key is on the command line") == 1
    assert KEY not in result.out + result.err


def test_a_key_anywhere_else_is_not_worth_a_warning(place: Place) -> None:
    place.write("key", KEY).chmod(0o600)
    assert "Warning" not in place.users("--api-key-file", "key").err
    assert "Warning" not in place.users(env={"TAUTULLI_API_KEY": KEY}).err


def test_a_key_on_the_command_line_that_is_not_needed_is_warned_of_as_well(
    place: Place, tmp_path: Path
) -> None:
    result = place.run("db", tmp_path / "tautulli.db", "--dry-run", "--api-key", KEY)
    assert result.code == 0
    assert "Warning: The API key is on the command line" in result.err
    assert KEY not in result.out + result.err
