"""`db` and the Tautulli whose database it is: it is asked for ids, where it is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.conftest import Result
from tests.support.history import add_play, create
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import KEY, FakeTautulli, certificate, html

LENDS = "with the API key from"


class Home(Struct):
    """A Tautulli's own directory: database, `config.ini`, and the server itself."""

    inside: Inside
    server: FakeTautulli
    database: Path

    def lend(self, **general: object) -> Path:
        """Write a `config.ini` that tells where this server is, unless told otherwise."""
        lines: dict[str, object] = {
            "api_enabled": 1,
            "api_key": KEY,
            "http_host": "0.0.0.0",  # noqa: S104 - as Tautulli writes it
            "http_port": self.server.port,
            "http_root": self.server.root,
            "enable_https": int(self.server.origin.startswith("https")),
        }
        path = self.database.with_name("config.ini")
        text = "".join(f"{name} = {value}\n" for name, value in (lines | general).items())
        path.write_text(f"[General]\n{text}[Monitoring]\n", encoding="utf-8")
        return path

    def imports(self, *args: str | Path, **env: str) -> Result:
        """Import the database into a file."""
        out = self.database.with_name("items.jsonl")
        out.unlink(missing_ok=True)
        return self.inside("db", self.database, "--to", "jsonl", "--out", out, *args, env=env)

    @property
    def ids(self) -> dict[str, str]:
        """The external ids of the film that Plex knows, as they were written."""
        lines = self.database.with_name("items.jsonl").read_text(encoding="utf-8").splitlines()
        (item,) = (json.loads(line) for line in lines)
        found: dict[str, Any] = item["ids"]
        return {name: value for name, value in found.items() if name not in ("plex", "guid")}


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "tautulli.db"
    path.parent.mkdir()
    with closing(create(path)) as conn:
        add_play(conn, title="A Film", year=2001, rating_key=7)
    return path


def knows(server: FakeTautulli) -> FakeTautulli:
    """Plex knows the film."""
    guids = ["imdb://tt0000007"]
    film = {"media_type": "movie", "title": "A Film", "year": "2001", "guids": guids}
    server.plex[7] = film
    return server


@pytest.fixture
def home(inside: Inside, database: Path) -> Iterator[Home]:
    with FakeTautulli(database) as server:
        yield Home(inside, knows(server), database)


# What is lent.


def test_the_config_ini_beside_the_database_lends_address_and_key(home: Home) -> None:
    ini = home.lend()
    result = home.imports()
    assert result.code == 0
    assert home.ids == {"imdb": "tt0000007"}
    assert (
        f"Looking up missing ids through {home.server.url}, with the API key from {ini}. "
        "--no-enrich turns this off." in result.err
    )
    assert {asked.key_in for asked in home.server.requests} == {"form"}
    assert len(home.server.asked("get_metadata")) == 1
    assert not home.server.asked("get_history")


def test_without_a_config_ini_nobody_is_asked(home: Home) -> None:
    result = home.imports()
    assert (result.code, home.ids, home.server.requests) == (0, {}, [])
    assert LENDS not in result.err


@pytest.mark.parametrize("said", ["--no-enrich", "TAUTULLI_IMPORT_ENRICH"])
def test_it_can_be_left_out(home: Home, said: str) -> None:
    home.lend()
    result = home.imports(said) if said.startswith("-") else home.imports(**{said: "0"})
    assert (result.code, home.ids, home.server.requests) == (0, {}, [])
    assert LENDS not in result.err


def test_quiet_is_quiet_about_it(home: Home) -> None:
    home.lend()
    result = home.imports("--quiet")
    assert (result.code, result.err) == (0, "")
    assert home.ids == {"imdb": "tt0000007"}


def test_another_config_ini_can_be_named(home: Home, tmp_path: Path) -> None:
    named = home.lend().rename(tmp_path / "named.ini")
    result = home.imports("--config-ini", named)
    assert f"with the API key from {named}." in result.err
    assert home.ids == {"imdb": "tt0000007"}


def test_of_a_backup_it_is_the_one_above(home: Home) -> None:
    home.lend()
    folder = home.database.parent / "backups"
    folder.mkdir()
    backup = home.database.rename(folder / "tautulli.backup-20200101.sched.db")
    result = home.inside("db", backup, "--dry-run")
    assert LENDS in result.err
    assert "tt0000007" in result.out


def test_a_database_from_standard_input_has_nothing_beside_it(home: Home) -> None:
    home.lend()
    result = home.inside("db", "-", "--dry-run", stdin=home.database.read_bytes())
    assert result.code == 0
    assert home.server.requests == []


def test_looking_asks_as_well_and_listing_does_not(home: Home) -> None:
    home.lend()
    assert home.inside("users", home.database).code == 0
    assert home.inside("libraries", home.database).code == 0
    assert home.server.requests == []
    result = home.inside("check", home.database, "--json")
    assert json.loads(result.out)["items"]["ids_from"]["get_metadata"] == 1


def test_what_was_answered_is_remembered(home: Home) -> None:
    home.lend()
    home.imports()
    asked = len(home.server.requests)
    home.imports()
    assert len(home.server.requests) == asked
    assert home.ids == {"imdb": "tt0000007"}


# Where it answers.


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "127.0.0.1", "localhost", '"0.0.0.0"'])  # noqa: S104
def test_everywhere_is_here(home: Home, host: str) -> None:
    home.lend(http_host=host)
    home.imports()
    assert home.ids == {"imdb": "tt0000007"}


@pytest.mark.parametrize("root", ["tautulli", "/tautulli", "/tautulli/", '"/tautulli"'])
def test_its_http_root_is_lent_as_well(inside: Inside, database: Path, root: str) -> None:
    with FakeTautulli(database, http_root="/tautulli") as server:
        home = Home(inside, knows(server), database)
        home.lend(http_root=root)
        home.imports()
    assert home.ids == {"imdb": "tt0000007"}


def test_a_certificate_of_its_own_is_no_obstacle_on_this_machine(
    inside: Inside, database: Path, tmp_path: Path
) -> None:
    tls = certificate(tmp_path)
    with FakeTautulli(database, tls=tls) as server:
        home = Home(inside, knows(server), database)
        home.lend()
        assert f"missing ids through https://127.0.0.1:{server.port}," in home.imports().err
        assert home.ids == {"imdb": "tt0000007"}
        # Anybody can be anywhere else.
        home.lend(http_host="localhost")
        result = home.imports("--state-dir", tmp_path / "other")
    assert result.code == 0
    assert home.ids == {}
    assert "certificate" in result.err


@pytest.mark.parametrize(
    "general",
    [
        {"api_enabled": 0},
        {"api_enabled": "False"},
        {"api_key": ""},
        {"api_key": '""'},
        {"http_port": ""},
        {"http_port": "many"},
        {"http_port": -1},
        {"http_port": 99_999},
        {"http_host": "two words"},
        {"http_host": "<host>"},
    ],
    ids=str,
)
def test_what_lends_nothing_is_no_error(home: Home, general: dict[str, object]) -> None:
    home.lend(**general)
    result = home.imports()
    assert (result.code, home.ids, home.server.requests) == (0, {}, [])
    assert LENDS not in result.err


@pytest.mark.parametrize(
    "text",
    [b"", b"no ini", b"\xff\xfe\x00", b"[General]", b"[General]\napi_key\n=\n", b"[[General]]"],
    ids=repr,
)
def test_a_config_ini_that_is_none_lends_nothing(home: Home, text: bytes) -> None:
    home.lend().write_bytes(text)
    home.inside("users", home.database)
    home.imports()
    assert home.server.requests == []


# Nothing that goes wrong there is worth an import.


def test_a_server_that_is_off_does_not_fail_the_import(home: Home) -> None:
    home.lend()
    home.server.close()
    result = home.imports()
    assert result.code == 0
    assert home.ids == {}
    assert "Cannot connect to Tautulli at" in result.err
    assert "No ids from Plex for 1 film or show: " in result.err
    assert "Run the same command again later." in result.err
    assert "Error" not in result.err


@pytest.mark.parametrize("what", ["another key", "the API is off", "a page", "Plex is down"])
def test_a_server_that_does_not_answer_does_not_fail_the_import(home: Home, what: str) -> None:
    home.lend(api_key="another" if what == "another key" else KEY)
    home.server.settings["api_enabled"] = what != "the API is off"
    home.server.plex_up = what != "Plex is down"
    home.server.faults[:] = [html(200, "Log in")] if what == "a page" else []
    result = home.imports()
    assert result.code == 0
    assert home.ids == {}
    assert "Run the same command again later." in result.err
    home.lend()
    home.server.settings["api_enabled"] = home.server.plex_up = True
    home.server.faults.clear()
    home.imports()
    assert home.ids == {"imdb": "tt0000007"}


@pytest.mark.parametrize("host", ["\N{PILE OF POO}", "nas..example", "xn--a", "n" * 70])
def test_a_host_that_cannot_be_asked_does_not_fail_the_import(home: Home, host: str) -> None:
    home.lend(http_host=host)
    result = home.imports()
    assert result.code == 0
    assert home.ids == {}
    assert "Traceback" not in result.err


# What was named goes before what is lent.


def test_a_server_that_was_named_is_asked_and_not_the_lent_one(home: Home) -> None:
    home.lend(http_port=1)
    result = home.imports("--url", home.server.url, TAUTULLI_API_KEY=KEY)
    assert result.code == 0
    assert home.ids == {"imdb": "tt0000007"}
    assert LENDS not in result.err


def test_a_lent_key_never_goes_to_a_server_that_was_named(home: Home) -> None:
    home.lend(api_key="lent")
    result = home.imports("--url", home.server.url)
    assert (result.code, home.ids, home.server.requests) == (0, {}, [])


def test_a_key_that_was_given_never_goes_to_a_lent_server(home: Home) -> None:
    home.lend()
    result = home.imports(TAUTULLI_API_KEY="given")
    assert (result.code, home.ids, home.server.requests) == (0, {}, [])


def test_a_url_that_is_none_is_an_error_when_it_is_needed(home: Home) -> None:
    result = home.imports("--url", "ftp://nas", TAUTULLI_API_KEY=KEY)
    assert result.code == 2
    assert "must begin with http://" in result.err
    assert home.imports("--url", "ftp://nas", "--no-enrich", TAUTULLI_API_KEY=KEY).code == 0


@pytest.mark.parametrize("server", ["api", "crosswatch"])
@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks5://me:secret-word@127.0.0.1:9", "SOCKS needs the Python package socksio."),
        ("ftp://me:secret-word@127.0.0.1:9", "it must begin with http:// or https://."),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(
    inside: Inside,
    history: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    server: str,
    proxy: str,
    why: str,
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    names = {"ALL_PROXY": proxy, "TAUTULLI_API_KEY": "0" * 32, "CW_TOKEN": "cwt_0123456789"}
    command = {
        "api": ("api", "--url", "https://127.0.0.1:9", "-n"),
        "crosswatch": (
            "db",
            history,
            "--to",
            "crosswatch",
            "--crosswatch-url",
            "https://127.0.0.1:9",
        ),
    }[server]
    done = inside(*command, env=names)
    assert done.code == 2, done.err
    assert f"cannot be used for https://127.0.0.1:9: {why}" in done.err
    assert "secret-word" not in done.err
