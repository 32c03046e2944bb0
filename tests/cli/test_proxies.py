"""Tautulli behind a proxy that asks for a login: what is said, and what gets through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from ssl import TLSVersion

import pytest
from msgspec import Struct

from tautulli_import.cli.redact import typed_again
from tautulli_import.settings.loaded import load
from tests.conftest import Result
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.proxies import PROXIES, SECRET, Proxy
from tests.support.tautulli import KEY, FakeTautulli, Reply, certificate, redirect, status

TOKEN = PROXIES["Cloudflare Access"]


class Place(Struct):
    """The program, a Tautulli, and a directory to work in."""

    inside: Inside
    server: FakeTautulli
    folder: Path
    config: Path

    def run(self, *args: str | Path, **env: str) -> Result:
        """Run a command with the address and the key in the environment."""
        return self.inside(*args, env=self.server.environment | env)

    def users(self, *args: str | Path, **env: str) -> Result:
        """Ask something harmless."""
        return self.run("users", "api", "--json", *args, **env)

    def file(self, text: str, name: str = "headers") -> Path:
        """Write a file that only its owner can read."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def configure(self, text: str) -> None:
        """Write `config.toml`."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(text, encoding="utf-8")
        self.config.chmod(0o600)

    def past(self, proxy: Proxy) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return the options and the environment that get past a proxy."""
        args: list[str | Path] = [*proxy.args]
        if proxy.file:
            args += ["--header-file", self.file(proxy.file)]
        address = self.server.url.replace("//", f"//{proxy.user}@") if proxy.user else ""
        return args, {"TAUTULLI_URL": address} if address else {}


@pytest.fixture
def place(
    tmp_path: Path, history: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    folder = tmp_path / "work"
    folder.mkdir()
    config = tmp_path / "home" / "config" / "tautulli-import" / "config.toml"
    with FakeTautulli(history) as server, no_waiting():
        yield Place(Inside(folder, environment, monkeypatch), server, folder, config)


# Each proxy.


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_is_named_with_a_way_past_it(place: Place, name: str) -> None:
    proxy = PROXIES[name]
    place.server.faults.append(proxy)
    result = place.users()
    assert result.code == 4, result.err
    first, *more = result.err.splitlines()
    assert proxy.said in first
    assert proxy.hint in "\n".join(more)
    assert KEY not in result.err


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_lets_the_program_through(place: Place, name: str) -> None:
    proxy = PROXIES[name]
    place.server.faults.append(proxy)
    args, env = place.past(proxy)
    result = place.users(*args, **env)
    assert (result.code, result.err) == (0, "")
    assert len(json.loads(result.out)) == 3
    assert all(proxy.lets(asked) for asked in place.server.requests)


@pytest.mark.parametrize("name", PROXIES)
def test_a_login_is_not_tried_with_the_key_in_the_url(place: Place, name: str) -> None:
    place.server.faults.append(PROXIES[name])
    place.users()
    assert [asked.key_in for asked in place.server.requests] == ["form"]


def test_a_proxy_with_another_password_is_said(place: Place) -> None:
    place.server.faults.append(PROXIES["nginx, basic"])
    result = place.users(TAUTULLI_URL=place.server.url.replace("//", f"//me:x{SECRET}@"))
    assert result.code == 4
    assert "Put the right ones into the URL" in result.err
    assert SECRET not in result.err


def test_a_page_of_tautulli_behind_a_proxy_is_no_login(place: Place) -> None:
    headers = {"Set-Cookie": "authelia_session=x; Path=/", "Content-Type": "text/html"}
    place.server.faults.append(lambda _: Reply(status=404, body=b"<p>Lost", headers=headers))
    result = place.users()
    assert result.code == 5
    assert "Authelia" not in result.err


# Everywhere.


def test_headers_go_with_every_request_of_every_command(place: Place) -> None:
    place.server.faults.append(TOKEN)
    database = place.server.database
    args, _ = place.past(TOKEN)
    for command in (
        ("api", "--to", "jsonl", "--out", "items.jsonl"),
        ("api", "--via", "database", "--to", "jsonl", "--out", "other.jsonl"),
        ("check", "api"),
        ("libraries", "api"),
        ("db", database, "--dry-run", "--state-dir", "another"),
    ):
        place.server.requests.clear()
        result = place.run(*command, *args)
        assert result.code == 0, result.err
        assert place.server.requests
        assert all(TOKEN.lets(asked) for asked in place.server.requests)
    assert place.server.asked("get_metadata")


def test_headers_do_not_follow_a_redirect_to_another_host(place: Place, history: Path) -> None:
    args, _ = place.past(TOKEN)
    with FakeTautulli(history) as elsewhere:
        place.server.faults.append(redirect(f"{elsewhere.url}/api/v2"))
        assert place.users(*args).code == 2
        assert elsewhere.connections == 0


def test_a_server_that_lends_its_key_gets_no_headers(place: Place, history: Path) -> None:
    place.server.plex_up = True
    history.with_name("config.ini").write_text(
        f"[General]\napi_enabled = 1\napi_key = {KEY}\nhttp_port = {place.server.port}\n",
        encoding="utf-8",
    )
    args, _ = place.past(TOKEN)
    env = {"TAUTULLI_URL": "", "TAUTULLI_API_KEY": ""}
    result = place.run("db", history, "--dry-run", *args, "--key-in", "query", **env)
    assert result.code == 0
    assert place.server.requests
    for asked in place.server.requests:
        assert asked.header("CF-Access-Client-Secret") == ""
        assert asked.key_in == "form"


# Where the headers come from.


def test_headers_are_read_from_every_place_for_settings(place: Place) -> None:
    place.server.faults.append(TOKEN)
    lines = TOKEN.file.strip()
    one, two = lines.split("\n")
    place.file(lines, "named")
    assert place.users().code == 4
    assert place.users("--header", one, "--header", two).code == 0
    place.file(f"\n{one}\r\n  {two}\n\n")
    assert place.users("--header-file", "headers").code == 0
    piped = ("users", "api", "--header-file", "-")
    env = place.server.environment
    assert place.inside(*piped, stdin=f"{one}\n{two}".encode(), env=env).code == 0
    assert place.users(TAUTULLI_IMPORT_HEADER=lines).code == 0
    assert place.users(TAUTULLI_IMPORT_HEADER_FILE="named").code == 0
    place.configure(f"header = {json.dumps([one, two])}")
    assert place.users().code == 0
    assert place.users("--header", one).code == 4
    place.configure('header_file = "named"')
    assert place.users().code == 0
    place.configure("")
    place.file(f'TAUTULLI_IMPORT_HEADER="{one}\n{two}"\n', ".env")
    assert place.users().code == 0


def test_a_header_on_the_command_line_is_warned_of(place: Place) -> None:
    result = place.users("--header", f"Token: {SECRET}")
    assert result.code == 0
    assert result.err.count("Warning: An HTTP header is on the command line.") == 1
    assert "--header-file FILE" in result.err
    assert SECRET not in result.err


def test_a_header_file_that_others_can_read_is_warned_of(place: Place) -> None:
    path = place.file(f"Token: {SECRET}")
    path.chmod(0o644)
    assert f"{path} holds a secret" in place.users("--header-file", path).err


def test_a_header_and_a_file_of_one_place_contradict_each_other(place: Place) -> None:
    result = place.users("--header", "A: b", "--header-file", place.file("C: d"))
    assert result.code == 2
    assert "--header and --header-file are both given." in result.err
    assert place.server.requests == []


@pytest.mark.parametrize("origin", ["option", "environment", "config.toml"])
def test_a_dotenv_does_not_decide_where_headers_from_elsewhere_go(
    place: Place, origin: str
) -> None:
    place.file(f"TAUTULLI_URL={place.server.url}\nTAUTULLI_API_KEY={KEY}\n", ".env")
    env = {"TAUTULLI_URL": "", "TAUTULLI_API_KEY": ""}
    header = f"Token: {SECRET}"
    if origin == "environment":
        env["TAUTULLI_IMPORT_HEADER"] = header
    elif origin == "config.toml":
        place.configure(f'header = ["{header}"]')
    result = place.users(*(["--header", header] if origin == "option" else []), **env)
    assert result.code == 2
    assert "url comes from .env" in result.err
    assert "header" in result.err
    assert place.server.requests == []


def test_a_dotenv_does_not_put_a_key_from_elsewhere_into_the_url(place: Place) -> None:
    place.file("TAUTULLI_IMPORT_KEY_IN=query", ".env")
    result = place.users()
    assert result.code == 2
    assert "key_in comes from .env" in result.err
    assert place.server.requests == []


# What is no header.


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (SECRET, "must be NAME: VALUE"),
        (f"Token: \n {SECRET}", "must be NAME: VALUE"),
        (f": {SECRET}", "must be NAME: VALUE"),
        (f"To ken: {SECRET}", "must be NAME: VALUE"),
        (f"Tokén: {SECRET}", "must be NAME: VALUE"),
        (f"Token: {SECRET}\x00", "must have only printable ASCII characters"),
        (f"Token: {SECRET}\u2028", "must have only printable ASCII characters"),
        (f"Token: {SECRET}é", "must have only printable ASCII characters"),
        (f"HOST: {SECRET}", "is host, which the program sets itself"),
        (f"Content-Length: {SECRET}", "is content-length, which"),
        (f"Token: {SECRET}\ntoken: x", "Header 2 in {} has the name of one before it"),
    ],
    ids=ascii,
)
def test_what_is_no_header_is_refused_and_not_quoted(place: Place, line: str, said: str) -> None:
    path = place.file(line)
    result = place.users("--header-file", path, "--debug")
    assert result.code == 2
    assert said.format(path) in result.err
    assert "Header 1 in" in result.err or "Header 2 in" in result.err
    assert SECRET not in result.err
    assert place.server.requests == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n "], ids=ascii)
def test_a_header_with_a_line_break_is_one_header_and_refused(place: Place, end: str) -> None:
    result = place.users("--header", f"Token: {SECRET}{end}X-Other: elsewhere")
    assert result.code == 2
    assert "Header 1 in --header must have only printable ASCII characters." in result.err
    assert SECRET not in result.err


def test_no_file_of_headers_is_not_found(place: Place) -> None:
    result = place.users("--header-file", "nowhere")
    assert result.code == 5
    assert "There is no file nowhere." in result.err


def test_a_user_in_the_url_and_a_header_contradict_each_other(place: Place) -> None:
    path = place.file(f"Authorization: Bearer {SECRET}")
    result = place.users(
        "--header-file", path, TAUTULLI_URL=place.server.url.replace("//", "//me:word@")
    )
    assert result.code == 2
    assert "there is a header Authorization" in result.err


def test_the_key_in_a_header_and_another_such_header_contradict_each_other(place: Place) -> None:
    result = place.users("--key-in", "header", "--header-file", place.file("X-API-KEY: other"))
    assert result.code == 2
    assert "X-Api-Key" in result.err


def test_the_command_that_goes_on_has_no_header(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", environment)
    header = f"Token: {SECRET}"
    settings = load({"header": [header, "A: b"]}).settings
    words = ["api", "--header", header, "--header=A: b", "--out", f"{header}.json"]
    line = "tautulli-import api --header … --header … --out ….json"
    assert typed_again(words, settings).replace("'", "") == line


# Where the key is.


@pytest.mark.parametrize(
    ("where", "found", "header"),
    [("body", "form", ""), ("query", "query", ""), ("header", "form", KEY)],
)
@pytest.mark.parametrize("via", ["history", "database"])
def test_the_key_is_where_it_is_wanted(
    place: Place, where: str, found: str, header: str, via: str
) -> None:
    result = place.run("api", "--dry-run", "--via", via, "--key-in", where)
    assert result.code == 0, result.err
    for asked in place.server.requests:
        assert (asked.key_in, asked.header("X-Api-Key")) == (found, header)
    assert KEY not in result.err


@pytest.mark.parametrize("where", ["body", "header"])
def test_a_key_that_must_not_be_in_the_url_never_is(place: Place, where: str) -> None:
    place.server.features.remove("post")
    result = place.users("--key-in", where)
    assert result.code == 3
    assert "answered 405" in result.err
    assert "If it refuses POST, add --key-in query." in result.err
    assert [asked.key_in for asked in place.server.requests] == ["form"]
    assert place.users("--key-in", "query").code == 0


def test_another_place_for_the_key_is_refused(place: Place) -> None:
    result = place.users("--key-in", "cookie")
    assert result.code == 2
    assert "--key-in must be body, query or header, not 'cookie'." in result.err


# A client certificate.


@pytest.fixture
def guarded(place: Place, history: Path, tmp_path: Path) -> Iterator[Place]:
    """Yield a Tautulli behind a proxy that requires a client certificate."""
    for name in ("server", "client", "stranger"):
        (tmp_path / name).mkdir()
    tls, (allowed, _) = certificate(tmp_path / "server"), certificate(tmp_path / "client")
    certificate(tmp_path / "stranger")
    with FakeTautulli(history, tls=tls, client_ca=allowed) as server:
        place.configure(f'ca_file = "{tls[0]}"')
        yield Place(place.inside, server, tmp_path, place.config)


def own(folder: Path) -> tuple[str | Path, ...]:
    """Return the options for the certificate in a directory."""
    (folder / "key.pem").chmod(0o600)
    return "--client-cert", folder / "cert.pem", "--client-key", folder / "key.pem"


def test_a_client_certificate_is_required_and_sent(guarded: Place) -> None:
    result = guarded.users()
    assert result.code == 4, result.err
    assert "requires a client certificate" in result.err
    assert "--client-cert FILE --client-key FILE" in result.err
    assert guarded.server.requests == []
    result = guarded.users(*own(guarded.folder / "client"))
    assert (result.code, result.err) == (0, "")
    result = guarded.run("api", "--via", "database", "--dry-run", *own(guarded.folder / "client"))
    assert result.code == 0, result.err


def test_tls_1_2_does_not_tell_that_a_client_certificate_is_missing(
    place: Place, history: Path, tmp_path: Path
) -> None:
    tls = certificate(tmp_path)
    with FakeTautulli(history, tls=tls, client_ca=tls[0], newest_tls=TLSVersion.TLSv1_2) as server:
        args = ("--url", server.url, "--ca-file", tls[0])
        result = place.users(*args)
        assert result.code == 3, result.err
        assert "handshake failure" in result.err
        assert "If it requires a client certificate" in result.err
        assert place.users(*args, *own(tmp_path)).code == 0


def test_the_certificate_of_a_stranger_is_refused(guarded: Place) -> None:
    result = guarded.users(*own(guarded.folder / "stranger"))
    assert result.code == 4, result.err
    assert "does not accept the client certificate: unknown ca" in result.err
    assert guarded.server.requests == []


def test_nginx_without_a_client_certificate_is_understood(place: Place) -> None:
    said = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"
    place.server.faults.append(status(400, said))
    result = place.users()
    assert result.code == 4
    assert "--client-cert FILE" in result.err


@pytest.mark.parametrize("alone", ["--client-cert", "--client-key"])
def test_a_client_certificate_needs_its_key(guarded: Place, alone: str) -> None:
    result = guarded.users(alone, guarded.folder / "client" / "cert.pem")
    assert result.code == 2
    assert "Use both: --client-cert FILE --client-key FILE" in result.err


@pytest.mark.parametrize("content", ["", "no PEM", None])
def test_what_is_no_client_certificate_is_said(guarded: Place, content: str | None) -> None:
    args = own(guarded.folder / "client")
    path = guarded.folder / "client" / "cert.pem"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    result = guarded.users(*args)
    assert result.code == 2, result.err
    assert f"{path} and {path.with_name('key.pem')} cannot be used" in result.err
    assert guarded.server.requests == []


def test_a_client_certificate_without_https_is_refused(guarded: Place) -> None:
    args = own(guarded.folder / "client")
    result = guarded.users(*args, TAUTULLI_URL="http://127.0.0.1:1")
    assert result.code == 2
    assert "A client certificate needs HTTPS." in result.err


def test_a_key_of_a_client_certificate_that_others_can_read_is_warned_of(guarded: Place) -> None:
    args = own(guarded.folder / "client")
    (guarded.folder / "client" / "key.pem").chmod(0o644)
    assert "key.pem holds a secret" in guarded.users(*args).err
