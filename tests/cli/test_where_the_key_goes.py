"""A secret goes only where its owner sends it, and others on the machine do not see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tautulli_import.cli.connect import _proxy_of
from tautulli_import.sources.http.client import Tautulli
from tests.conftest import Cli, Result
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import KEY, FakeTautulli


class Place(Struct):
    """The program in a directory that somebody else prepared, and the server of its ``.env``."""

    run: Inside
    server: FakeTautulli
    folder: Path
    config: Path

    def dotenv(self, *lines: str) -> Path:
        """Write the ``.env`` of the directory."""
        path = self.folder / ".env"
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o600)
        return path

    def configure(self, text: str) -> Path:
        """Write the user's ``config.toml``."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(text, encoding="utf-8")
        return self.config

    def users(self, *args: str | Path, **env: str) -> Result:
        """Ask something harmless."""
        return self.run("users", "api", "--json", *args, env=env)

    def refused(self, result: Result, *said: str) -> None:
        """Check that nothing was sent, and what the error says."""
        assert result.code == 2, result.err
        assert self.server.requests == []
        for words in said:
            assert words in result.err
        assert KEY not in result.err


@pytest.fixture
def place(inside: Inside, history: Path, tmp_path: Path) -> Iterator[Place]:
    with FakeTautulli(history) as server, no_waiting():
        config = tmp_path / "home" / "config" / "tautulli-import" / "config.toml"
        yield Place(inside, server, tmp_path, config)


# The .env of the working directory.


@pytest.mark.parametrize("origin", ["environment", "option", "config.toml", "password"])
def test_a_dotenv_does_not_decide_where_a_key_from_elsewhere_goes(
    place: Place, tmp_path: Path, origin: str
) -> None:
    place.dotenv(f"TAUTULLI_URL={place.server.url}")
    if origin == "environment":
        place.refused(place.users(TAUTULLI_API_KEY=KEY), "url comes from .env", "(environment)")
    elif origin == "option":
        key = tmp_path / "key"
        key.write_text(KEY, encoding="utf-8")
        place.refused(place.users("--api-key-file", key), "from --api-key-file.", "--url")
    elif origin == "config.toml":
        config = place.configure(f'api_key = "{KEY}"')
        place.refused(place.users(), f"api_key ({config})", "put the secret into .env, too")
    else:
        place.dotenv("TAUTULLI_IMPORT_INSECURE=1", f"TAUTULLI_API_KEY={KEY}")
        place.configure('url = "https://me:word@127.0.0.1:1"')
        place.refused(place.users(), "insecure comes from .env", f"url ({place.config})")


@pytest.mark.parametrize("setting", ["INSECURE=1", "CA_FILE=ca.pem"])
def test_a_dotenv_does_not_weaken_the_way_of_a_key_from_elsewhere(
    place: Place, setting: str
) -> None:
    place.dotenv(f"TAUTULLI_IMPORT_{setting}")
    result = place.users(TAUTULLI_URL="https://127.0.0.1:1", TAUTULLI_API_KEY=KEY)
    place.refused(result, f"{setting.partition('=')[0].lower()} comes from .env")


def test_a_dotenv_does_not_weaken_the_way_of_a_lent_key(place: Place, history: Path) -> None:
    place.dotenv("TAUTULLI_IMPORT_INSECURE=1")
    ini = history.with_name("config.ini")
    settings = f"api_key = {KEY}\nhttp_port = 1\nhttp_host = tautulli.example\nenable_https = 1\n"
    ini.write_text(f"[General]\n{settings}", encoding="utf-8")
    result = place.run("db", history, "--dry-run")
    place.refused(result, "insecure comes from .env", str(ini))


@pytest.mark.parametrize("link", [False, True])
def test_a_dotenv_does_not_send_a_file_from_elsewhere(place: Place, link: bool) -> None:
    outside = place.folder / "home" / "token"
    outside.write_text(KEY, encoding="utf-8")
    work = place.folder / "work"
    work.mkdir()
    os.chdir(work)
    (work / "key").symlink_to(outside)
    name = "key" if link else "../home/token"
    (work / ".env").write_text(
        f"TAUTULLI_URL={place.server.url}\nTAUTULLI_API_KEY_FILE={name}\n", encoding="utf-8"
    )
    place.refused(place.users(), "url comes from .env", "api_key_file (.env)")


def test_a_dotenv_may_name_an_address_and_its_key(place: Place) -> None:
    path = place.dotenv(f"TAUTULLI_URL={place.server.url}", "TAUTULLI_API_KEY_FILE=key")
    place.configure('api_key = "of-another-server"')
    (place.folder / "key").write_text(KEY, encoding="utf-8")
    (place.folder / "key").chmod(0o600)
    result = place.users()
    assert result.code == 0
    assert {asked.form["apikey"] for asked in place.server.requests} == {KEY}
    assert result.err.splitlines() == [f"Settings were read from {path}."]
    assert place.run("check", "api", "--quiet").err == ""


def test_a_key_in_a_dotenv_may_go_to_an_address_that_the_user_names(place: Place) -> None:
    place.dotenv(f"TAUTULLI_API_KEY={KEY}")
    assert place.users("--url", place.server.url).code == 0


def test_a_dotenv_does_not_copy_a_secret_of_the_environment_into_an_address(place: Place) -> None:
    place.dotenv(f"TAUTULLI_URL={place.server.url}/${{GITHUB_TOKEN}}", f"TAUTULLI_API_KEY={KEY}")
    result = place.users(GITHUB_TOKEN="ghp-of-mine")  # noqa: S106 - not a real one
    assert result.code == 2
    assert "ghp-of-mine" not in result.err + str([asked.path for asked in place.server.requests])


def test_a_dotenv_of_somebody_else_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.dotenv(f"TAUTULLI_URL={place.server.url}", f"TAUTULLI_API_KEY={KEY}")
    if os.geteuid() == 0:
        os.chown(path, 54_321, -1)
    else:
        another = os.getuid() + 1
        monkeypatch.setattr("os.geteuid", lambda: another)
    place.refused(place.users(), f"{path} is not used, because it belongs to ", "sudo chown $(id")


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_dotenv_that_others_can_write_is_refused(
    place: Place, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.dotenv(f"TAUTULLI_URL={place.server.url}", f"TAUTULLI_API_KEY={KEY}")
    another = os.getegid() + 1
    monkeypatch.setattr("os.getegid", lambda: another)
    path.chmod(mode)
    place.refused(place.users(), "other users can write it", "chmod go-w .env")


def test_a_dotenv_that_the_users_own_group_can_write_is_used(place: Place) -> None:
    path = place.dotenv(f"TAUTULLI_URL={place.server.url}", f"TAUTULLI_API_KEY={KEY}")
    path.chmod(0o660)  # as with the umask of many distributions
    assert place.users().code == 0


def test_an_unknown_name_in_a_dotenv_is_refused_as_in_the_environment(place: Place) -> None:
    place.dotenv("TAUTULLI_IMPORT_USR=alice")
    place.refused(place.users(), "TAUTULLI_IMPORT_USR in .env is not a setting.", "_USER?")


@pytest.mark.parametrize("name", ["NATS_URL=nats://127.0.0.1:1", "TAUTULLI_IMPORT_NATS_CA_FILE=x"])
def test_a_dotenv_does_not_decide_where_a_secret_for_nats_goes(
    place: Place, history: Path, name: str
) -> None:
    place.dotenv(name)
    env = {"TAUTULLI_IMPORT_NATS_TOKEN": KEY}
    place.refused(place.run("db", history, "--to", "nats", env=env), "nats_token (environment)")
    place.refused(place.run("consume", "--once", env=env), "comes from .env")
    assert place.run("db", history, "--to", "tracker", env=env).code == 0


# Proxies of the environment.


def test_a_server_in_a_private_network_is_reached_without_a_proxy(place: Place) -> None:
    env = {"HTTP_PROXY": "http://127.0.0.1:1", "TAUTULLI_API_KEY": KEY}
    result = place.users("--url", place.server.url, **env)
    assert (result.code, result.err) == (0, "")


def test_a_proxy_that_can_read_the_key_is_warned_of(place: Place) -> None:
    env = {"HTTP_PROXY": "http://me:word@127.0.0.1:1", "TAUTULLI_API_KEY": KEY}
    result = place.users("--url", "http://tautulli.example", **env)
    assert result.code == 3
    assert result.err.count("The proxy 127.0.0.1:1 can read the API key") == 1
    assert "word" not in result.err


@pytest.mark.parametrize("direct", ["*", "tautulli.example", ".example", "x, Example"])
def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch, direct: str) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert _proxy_of("http://tautulli.example") == "127.0.0.1:1"
    monkeypatch.setenv("no_proxy", direct)
    assert _proxy_of("http://tautulli.example") == ""


def test_insecure_is_warned_of_in_every_run_also_a_quiet_one(place: Place) -> None:
    env = {"TAUTULLI_API_KEY": KEY, "TAUTULLI_IMPORT_INSECURE": "1"}
    result = place.run("check", "api", "--quiet", "--url", "https://127.0.0.1:1", env=env)
    assert result.code == 3
    assert "Warning: Any server can pretend to be https://127.0.0.1:1" in result.err
    assert "insecure (environment)" in result.err


# Files that others can read, and what is no secret.


@pytest.mark.parametrize(("mode", "verb"), [(0o644, "read"), (0o640, "read"), (0o602, "change")])
def test_a_key_file_that_others_can_use_is_warned_of(place: Place, mode: int, verb: str) -> None:
    path = place.folder / "key"
    path.write_text(f"\ufeff{KEY}\n", encoding="utf-8")
    path.chmod(mode)
    result = place.users("--url", place.server.url, "--api-key-file", path)
    assert result.code == 0
    assert f"{path} holds a secret, and other users can {verb} it." in result.err
    assert f"chmod 600 {path}" in result.err


def test_a_config_toml_with_a_key_that_others_can_read_is_warned_of(place: Place) -> None:
    config = place.configure(f'api_key = "{KEY}"')
    assert f"chmod 600 {config}" in place.users("--url", place.server.url).err
    config.chmod(0o600)
    assert place.users("--url", place.server.url).err == ""


def test_a_config_toml_with_an_address_that_others_can_change_is_warned_of(place: Place) -> None:
    config = place.configure(f'url = "{place.server.url}"')
    assert place.users(TAUTULLI_API_KEY=KEY).err == ""
    config.chmod(0o664)
    err = place.users(TAUTULLI_API_KEY=KEY).err
    assert f"{config} decides where a secret goes, and other users can change it." in err


@pytest.mark.parametrize("name", ["NATS_TOKEN", "NATS_PASSWORD", "NATS_USER"])
def test_a_secret_of_several_lines_is_refused_and_not_quoted(place: Place, name: str) -> None:
    result = place.run("consume", "--once", env={f"TAUTULLI_IMPORT_{name}": "words-of\nit"})
    assert result.code == 2
    assert f"{name.lower()} (environment) does not hold" in result.err
    assert "words-of" not in result.err


# Tracebacks.


def test_a_traceback_has_no_escape_sequences(cli: Cli) -> None:
    result = cli("db", "a\x1b[2Jb.db", "--dry-run", "--debug")
    assert result.code == 5
    assert "Traceback" in result.err
    assert "\x1b" not in result.err


def test_a_traceback_of_a_library_has_no_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError(f"Illegal header value {KEY!r}")

    monkeypatch.setattr(Tautulli, "ask", fail)
    result = place.users("--url", place.server.url, "--debug", TAUTULLI_API_KEY=f" {KEY} ")
    assert result.code == 1
    assert "Illegal header value '…'" in result.err
    assert KEY not in result.err
