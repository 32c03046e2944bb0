"""The API key, and what a proxy wants (a password, headers), appear nowhere but on the wire."""

from __future__ import annotations

import html
import json
import logging
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import pytest
import respx
from msgspec import Struct

from tautulli_import.errors import TautulliImportError
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tests.conftest import Cli, Result
from tests.support.history import add_library, add_play, add_user, create
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import (
    Asked,
    FakeTautulli,
    Fault,
    Reply,
    close,
    hang,
    json_error,
    on,
    redirect,
    status,
    when,
)
from tests.support.waiting import LONG, SOON

KEY: Final = "K3y/of+the=house&%41~9f8e7d6c5b4a"
SECOND: Final = "p&ss/w0rd+of=the%proxy"
"""The password of the proxy."""
USER: Final = "proxyuser"
COOKIE: Final = "c&okie/v4lue+of=the%proxy"
BEARER: Final = "b34rer-t0ken-of-the-proxy"
HEADERS: Final = f"Cookie: session={COOKIE}\nX-Proxy: Bearer {BEARER}"
"""The headers for the proxy."""


def forms(secret: str) -> set[str]:
    """How a secret can be written."""
    return {
        *(secret, quote(secret), quote(secret, safe=""), quote_plus(secret)),
        *(html.escape(secret), html.escape(quote_plus(secret)), json.dumps(secret)[1:-1]),
        repr(secret)[1:-1],
    }


SECRETS: Final = {
    *(form for secret in (KEY, SECOND, COOKIE, BEARER) for form in forms(secret)),
    b64encode(f"{USER}:{SECOND}".encode()).decode(),
}


def leaks(text: str) -> list[str]:
    """Return the secrets in a text, or the beginnings of some."""
    return sorted(secret for secret in SECRETS if secret[:8] in text)


def echo(code: int, kind: str = "text/html") -> Fault:
    """Return a page that quotes everything that was sent, as pages for developers do."""

    def answer(asked: Asked) -> Reply:
        sent = f"{asked.method} {asked.path} {asked.headers} {asked.body.decode()}"
        body = f"<h1>Sorry</h1><p>{html.escape(asked.path)}</p><pre>{sent}</pre>"
        return Reply(status=code, body=body.encode(), headers={"Content-Type": kind})

    return answer


def echo_briefly(code: int) -> Fault:
    """Return a page that quotes the form alone, so that it is not cut off."""
    return lambda asked: Reply(status=code, body=asked.body or asked.path.encode())


def echo_login(asked: Asked) -> Reply:
    """Return a page that quotes how the password was sent."""
    return Reply(status=502, body=asked.header("Authorization").encode())


def echo_token(asked: Asked) -> Reply:
    """Return an error that quotes a part of a header."""
    token = asked.header("X-Proxy").removeprefix("Bearer ")
    return Reply(status=401, body=json.dumps({"error": f"{token} has expired"}).encode())


def echo_error(code: int) -> Fault:
    """Return an error in Tautulli's own envelope, quoting the key."""
    return json_error(f"Failed for apikey={KEY} ({quote_plus(KEY)})", code)


FAULTS: Final[Mapping[str, Callable[[], Fault]]] = {
    **{f"page {code}": lambda code=code: echo(code) for code in (200, 401, 403, 404, 500, 502)},  # type: ignore[misc]
    **{f"brief {code}": lambda code=code: echo_briefly(code) for code in (200, 400, 429, 502)},  # type: ignore[misc]
    **{f"error {code}": lambda code=code: echo_error(code) for code in (200, 400, 500)},  # type: ignore[misc]
    "a password as it was sent": lambda: echo_login,
    "the token of a header": lambda: echo_token,
    "a redirect": lambda: redirect(f"/auth/login?apikey={quote_plus(KEY)}"),
    "a redirect with a path": lambda: redirect(f"https://a.example/{quote(KEY, safe='')}/x"),
    "a redirect with a user": lambda: redirect(f"https://{USER}:{quote_plus(SECOND)}@a.example/"),
    "a closed connection": close,
    "an invalid key": lambda: json_error("Invalid apikey"),
}


class Listening(Struct):
    """The program, a Tautulli behind a proxy, and everything that was said or written."""

    inside: Inside
    tautulli: FakeTautulli
    folder: Path
    log: pytest.LogCaptureFixture

    @property
    def url(self) -> str:
        """The server's address, with the password for the proxy."""
        return self.tautulli.url.replace("//", f"//{USER}:{quote(SECOND, safe='')}@")

    @property
    def secrets(self) -> dict[str, str]:
        """All secrets, as the program reads them from its environment."""
        given = {"TAUTULLI_URL": self.url, "TAUTULLI_API_KEY": KEY}
        return given | {"TAUTULLI_IMPORT_HEADER": HEADERS}

    def run(self, *args: str | Path) -> Result:
        """Run a command with the secrets in the environment, and look for them everywhere."""
        result = self.inside(*args, env=self.secrets)
        self.look(result)
        return result

    def look(self, result: Result) -> None:
        """Look for secrets in what was said, logged and written."""
        assert leaks(result.out) == []
        assert leaks(result.err) == []
        assert leaks(self.log.text) == []
        for path in self.folder.parent.rglob("*"):
            if path.is_file() and path.name not in {"config.ini", "tautulli.key", "headers"}:
                assert leaks(path.read_bytes().decode("latin-1")) == [], path
                assert leaks(str(path)) == []


@pytest.fixture
def listening(
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Listening]:
    folder = tmp_path / "work"
    (folder / "tautulli").mkdir(parents=True)
    with closing(create(folder / "tautulli" / "tautulli.db")) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        add_play(conn, title="Known", guid="imdb://tt0000001")
        add_play(conn, title="Unknown")
    caplog.set_level(logging.DEBUG)
    database = folder / "tautulli" / "tautulli.db"
    proxy = (USER, SECOND)
    with (
        FakeTautulli(database, key=KEY, basic_auth=proxy) as tautulli,
        no_waiting(),
    ):
        inside = Inside(folder, environment, monkeypatch)
        yield Listening(inside, tautulli, folder, caplog)


COMMANDS: Final[Sequence[Sequence[str]]] = [
    ["api", "--dry-run"],
    ["api", "--dry-run", "--format", "table", "--verbose"],
    ["api", "--to", "tracker", "--report", "report.json", "--json"],
    ["api", "--to", "jsonl", "--out", "items.jsonl", "--each-user", "--verbose", "--debug"],
    ["api", "--via", "database", "--to", "editor"],
    ["api", "--dry-run", "--library", "Films", "--user", "Alice"],
    ["check", "api"],
    ["check", "api", "--json", "--verbose", "--missing-ids", "missing.csv"],
    ["unresolved", "api", "--verbose", "--csv", "unresolved.csv"],
    ["why", "1", "api", "--verbose"],
    ["why", "1", "api", "--json"],
    ["users", "api"],
    ["users", "api", "--json"],
    ["libraries", "api"],
    ["libraries", "api", "--json"],
    ["db", "tautulli/tautulli.db", "--to", "tracker", "--report", "report.json", "--verbose"],
    ["check", "tautulli/tautulli.db", "--json"],
    ["config", "show"],
    ["config", "show", "--json"],
    ["config", "path"],
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("by_get", [False, True], ids=["post", "get"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_tells_a_secret(
    listening: Listening, command: Sequence[str], *, by_get: bool
) -> None:
    if by_get:
        listening.tautulli.features.remove("post")
    assert listening.run(*command).code == 0
    assert "config" in command or listening.tautulli.requests
    assert "config" in command or by_get == any(
        asked.key_in == "query" for asked in listening.tautulli.requests
    )


@pytest.mark.sampled(4)
@pytest.mark.parametrize("by_get", [False, True], ids=["post", "get"])
@pytest.mark.parametrize("name", FAULTS)
def test_no_error_tells_a_secret(listening: Listening, name: str, *, by_get: bool) -> None:
    if by_get:
        listening.tautulli.features.remove("post")
        fault = when(lambda asked: asked.method == "GET", FAULTS[name]())
    else:
        fault = FAULTS[name]()
    for debug in ([], ["--debug", "--verbose"]):
        listening.tautulli.faults[:] = [on("get_history", fault)]
        assert listening.run("api", "--dry-run", *debug).code > 0
    listening.tautulli.faults[:] = [on("get_metadata", fault)]
    assert listening.run("api", "--dry-run").code == 0
    listening.tautulli.faults[:] = [on("download_database", fault)]
    listening.run("api", "--dry-run", "--via", "database")
    listening.tautulli.faults[:] = [fault]
    for command in (["check", "api"], ["users", "api"], ["db", "tautulli/tautulli.db", "-n"]):
        listening.run(*command)


@pytest.mark.parametrize(
    "answer", [{"tautulli_version": secret} for secret in (KEY, SECOND, COOKIE, BEARER)]
)
def test_a_server_that_says_a_secret_is_not_repeated(
    listening: Listening, answer: Mapping[str, object]
) -> None:
    whole = {"response": {"result": "success", "data": answer}}
    body = json.dumps(whole).encode()
    listening.tautulli.faults.append(on("get_tautulli_info", lambda _: Reply(body=body)))
    assert listening.run("check", "api").code == 0


def test_a_url_with_a_pasted_key_is_not_shown(
    listening: Listening, environment: dict[str, str]
) -> None:
    del environment
    pasted = f"{listening.url}/api/v2?apikey={quote_plus(KEY)}&cmd=get_history"
    for command in (["config", "show"], ["config", "show", "--json"], ["api", "--dry-run"]):
        env = {"TAUTULLI_URL": pasted, "TAUTULLI_API_KEY": KEY}
        listening.look(listening.inside(*command, env=env))


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{USER}:{quote_plus(SECOND)}@nas/?apikey={quote_plus(KEY)}",
        f"http://{USER}:{SECOND}@nas:8181",
        f"http://nas:8181:{KEY}",
        f"http://nas<{KEY}>",
        f"http://{USER}:{quote_plus(SECOND)}@\N{PILE OF POO}/",
        f"http://{USER}:{quote_plus(SECOND)}@127.0.0.1:9/",
    ],
    ids=lambda url: ascii(url)[:8] + ascii(url)[-12:],
)
def test_a_url_that_cannot_be_used_is_not_quoted(listening: Listening, url: str) -> None:
    for command in (["api", "--dry-run", "--debug"], ["config", "show"], ["check", "api"]):
        env = {"TAUTULLI_URL": url, "TAUTULLI_API_KEY": KEY}
        listening.look(listening.inside(*command, env=env))


@pytest.mark.parametrize("name", ["TAUTULLI_URL", "TAUTULLI_API_KEY", "TAUTULLI_IMPORT_HEADER"])
@pytest.mark.parametrize("file", [".env", "config.toml"])
def test_a_broken_file_with_a_secret_is_not_quoted(
    listening: Listening, environment: dict[str, str], name: str, file: str
) -> None:
    setting = name.removeprefix("TAUTULLI_").removeprefix("IMPORT_").lower()
    value = {"url": listening.url, "api_key": KEY, "header": f"X-Proxy: {BEARER}"}[setting]
    config = Path(environment["XDG_CONFIG_HOME"]) / "tautulli-import" / "config.toml"
    path = listening.folder / file if file == ".env" else config
    path.parent.mkdir(exist_ok=True)
    broken = {
        ".env": [f"{name}={value}\n\xff", f"{name}='{value}\n"],
        "config.toml": [f"{setting} = {value}\n", f'{setting} = ["{value}"]\n', f"{value} = 1\n"],
    }
    for text in broken[file]:
        path.write_bytes(text.encode("latin-1"))
        result = listening.inside("users", "api", "--debug")
        path.unlink()
        listening.look(result)


def test_the_key_that_a_config_ini_lends_is_not_told(listening: Listening) -> None:
    ini = listening.folder / "tautulli" / "config.ini"
    ini.write_text(
        f"[General]\napi_enabled = 1\napi_key = {KEY}\nhttp_port = {listening.tautulli.port}\n"
        f"http_password = {SECOND}\n[PMS]\npms_token = {SECOND}\n",
        encoding="utf-8",
    )
    listening.tautulli.basic_auth = None
    for fault in (None, echo(502), redirect(f"/x?apikey={KEY}")):
        listening.tautulli.faults[:] = [fault] if fault else []
        for args in (["--verbose"], ["--report", "report.json"], ["--debug", "--json"]):
            result = listening.inside("db", "tautulli/tautulli.db", "--to", "tracker", *args)
            assert result.code == 0
            listening.look(result)
    assert listening.tautulli.requests


def test_the_key_in_a_file_is_not_told(listening: Listening) -> None:
    path, headers = listening.folder / "tautulli.key", listening.folder / "headers"
    path.write_text(f"{KEY}\n", encoding="utf-8")
    headers.write_text(HEADERS, encoding="utf-8")
    files = ("--api-key-file", path, "--header-file", headers)
    env = {"TAUTULLI_URL": listening.url}
    for command in (["users", "api"], ["api", "--dry-run", "--debug"], ["check", "api", "--json"]):
        result = listening.inside(*command, *files, env=env)
        assert result.code == 0
        listening.look(result)


def test_a_key_on_the_command_line_is_told_by_nobody_else(listening: Listening) -> None:
    env = {"TAUTULLI_URL": listening.url}
    lines = [word for line in HEADERS.split("\n") for word in ("--header", line)]
    result = listening.inside("api", "--dry-run", "--debug", "--api-key", KEY, *lines, env=env)
    assert result.code == 0
    listening.look(result)


@pytest.mark.parametrize("key_in", ["body", "query", "header"])
def test_the_key_is_not_told_wherever_it_is_sent(listening: Listening, key_in: str) -> None:
    assert listening.run("check", "api", "--key-in", key_in, "--verbose").code == 0
    # An address with a key in it is the most likely to be quoted.
    faults = [make() for make in FAULTS.values()][:: 1 if key_in == "query" else 4]
    for fault in (*faults, status(405)):
        listening.tautulli.faults[:] = [fault]
        assert listening.run("users", "api", "--key-in", key_in, "--debug").code > 0


# The program as a process.


def test_nobody_sees_the_key_in_the_list_of_processes(
    listening: Listening, environment: dict[str, str]
) -> None:
    arrived = threading.Event()

    def fault(asked: Asked) -> Reply | None:
        arrived.set()
        return hang(600)(asked)

    listening.tautulli.faults.append(on("get_history", fault))
    env = {**environment, **listening.secrets}
    with subprocess.Popen(
        [sys.executable, "-m", "tautulli_import", "api", "--dry-run"],
        env=env,
        cwd=listening.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert arrived.wait(LONG)
        shown = Path(f"/proc/{process.pid}/cmdline")
        told = shown.read_text(encoding="utf-8") if shown.exists() else ""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SOON)
    assert leaks(told) == []
    assert process.returncode == 130
    assert "Traceback" not in err
    listening.look(Result(process.returncode, out, err))


def test_a_traceback_does_not_tell_the_key(listening: Listening, cli: Cli) -> None:
    env = listening.secrets
    elsewhere = redirect(f"/x?apikey={quote_plus(KEY)}")
    for fault in (echo(401), echo_token, echo_error(400), elsewhere, status(401)):
        listening.tautulli.features.discard("post")
        listening.tautulli.faults[:] = [when(lambda asked: asked.method == "GET", fault)]
        result = cli("users", "api", "--debug", env=env, cwd=listening.folder)
        assert result.code > 0
        assert "Traceback" in result.err
        listening.look(result)


# A page that quotes the key, cut off in the middle of it.


@pytest.mark.parametrize("code", [200, 502])
@pytest.mark.parametrize(
    "key", ["0123456789abcdef0123456789abcdef", KEY, "short7"], ids=["hex", "odd", "short"]
)
def test_not_even_the_beginning_of_the_key_is_told(
    respx_mock: respx.MockRouter, code: int, key: str
) -> None:
    written = (key, quote_plus(key), "".join(f"&#{ord(char)};" for char in key))
    for form, length in product(written, range(60, 125, 3)):
        page = f"{'x' * length}{form} was not found"
        respx_mock.post().respond(code, text=page, content_type="text/html")
        client = Tautulli(Access(parse_address("http://nas:8181"), key))
        with (
            closing(client),
            no_waiting(),
            pytest.raises(TautulliImportError) as caught,
        ):
            client.ask("get_history", dict[str, object])
        told = f"{caught.value} {caught.value.hint}"
        assert key[:4] not in told
        assert quote_plus(key)[:5] not in told


@pytest.mark.parametrize("first", [(), ("status",), ("consume",), ("users", "--json", "--out")])
@pytest.mark.parametrize(
    "address", [f"http://admin:{BEARER}@localhost", f"http://localhost/api/v2?apikey={BEARER}&a=b"]
)
def test_an_address_in_the_wrong_place_is_not_quoted_with_its_secret(
    cli: Cli, first: Sequence[str], address: str
) -> None:
    done = cli(*first, address)
    assert done.code == 2
    assert BEARER not in done.out + done.err
