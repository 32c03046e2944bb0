"""The token goes to CrossWatch and nowhere else, whichever way it comes in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.conftest import Result
from tests.support.crosswatch import TOKEN, Answer, Call, crosswatch
from tests.support.pushing import Pushes
from tests.support.tautulli.tls import certificate

PASSWORD = "p&ss/w0rd+of=the%proxy"  # noqa: S105 - of a proxy of ours


@pytest.fixture(autouse=True)
def _hidden(pushes: Pushes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = urlsplit(pushes.fake.url)
    secret = f"{url.scheme}://me:{quote(PASSWORD, safe='')}@{url.netloc}"
    pushes.nights.environment["CW_URL"] = secret  # type: ignore[index]


def leaks(text: str) -> list[str]:
    """Return the secrets in a text, or the beginnings of some."""
    secrets = (TOKEN[4:], PASSWORD, quote(PASSWORD, safe=""))
    return [secret for secret in secrets if secret[:8] in text]


def look(
    pushes: Pushes, caplog: pytest.LogCaptureFixture, *results: Result, own: Path | None = None
) -> None:
    """Look for secrets in what was said, logged and written."""
    for result in results:
        assert leaks(result.out + result.err) == []
    assert leaks(caplog.text) == []
    for path in pushes.nights.folder.rglob("*"):
        if path.is_file() and path != own:
            assert leaks(path.read_bytes().decode("latin-1")) == [], path


def push(pushes: Pushes, *options: str | Path) -> Result:
    nights = pushes.nights
    state = ("--state-dir", nights.folder / "state")
    return nights.inside("db", nights.path, "--to", "crosswatch", "--no-enrich", *state, *options)


@pytest.mark.parametrize("way", ["CW_TOKEN", "setting", "file", "config.toml", ".env", "option"])
def test_no_way_in_tells_the_token(
    pushes: Pushes, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    env = pushes.nights.environment
    options: list[str | Path] = ["--verbose", "--debug", "--report", "report.json"]
    own = pushes.nights.folder / "own"
    if way != "CW_TOKEN":
        del env["CW_TOKEN"]  # type: ignore[attr-defined]
    if way == "setting":
        env["TAUTULLI_IMPORT_CROSSWATCH_TOKEN"] = TOKEN  # type: ignore[index]
    elif way == "file":
        own.write_text(f"{TOKEN}\n", "utf-8")
        options += ["--crosswatch-token-file", own]
    elif way == "config.toml":
        own = Path(env["XDG_CONFIG_HOME"]) / "tautulli-import" / "config.toml"
        own.parent.mkdir()
        own.write_text(f'crosswatch_token = "{TOKEN}"\n', "utf-8")
    elif way == ".env":
        own = pushes.nights.folder / ".env"
        own.write_text(f"CW_TOKEN={TOKEN}\n", "utf-8")
    elif way == "option":
        options += ["--crosswatch-token", TOKEN]
    result = push(pushes, *options)
    assert result.code == 0, result.err
    assert ("A secret is on the command line" in result.err) == (way == "option")
    shown = pushes.nights.inside("config", "show", "--json")
    look(pushes, caplog, result, push(pushes, "--quiet", *options), shown, own=own)
    assert "POST /api/maintenance/crosswatch-tracker/import?provider_instance=default: 200, " in (
        result.err
    )
    assert "import" in {call.name for call in pushes.fake.calls}


def test_a_dotenv_does_not_decide_where_the_token_goes(pushes: Pushes) -> None:
    del pushes.nights.environment["CW_URL"]  # type: ignore[attr-defined]
    (pushes.nights.folder / ".env").write_text(f"CW_URL={pushes.fake.url}\n", "utf-8")
    result = push(pushes)
    assert result.code == 2
    assert "could get the secret" in result.err
    assert pushes.fake.calls == []


def echo(status: int) -> Callable[[Call], Answer]:
    """Return a fault that quotes everything that was sent."""

    def fault(call: Call) -> Answer:
        return status, {"ok": False, "error": f"{call.headers} {call.path} {call.body!r}"}

    return fault


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 413, 422, 500, 502, 503])
@pytest.mark.parametrize("name", ["health", "whoami", "preview", "commit"])
@pytest.mark.sampled(4)
def test_a_server_that_quotes_the_request(
    pushes: Pushes, caplog: pytest.LogCaptureFixture, name: str, status: int
) -> None:
    pushes.fake.is_admin = False
    quoting = echo(status)
    pushes.fake.faults.append(lambda call: quoting(call) if call.name == name else None)
    look(pushes, caplog, push(pushes), push(pushes, "--debug", "--verbose"))


@pytest.mark.parametrize("is_admin", [False, True])
def test_a_server_that_quotes_the_token_in_a_good_answer(
    pushes: Pushes, caplog: pytest.LogCaptureFixture, *, is_admin: bool
) -> None:
    fake = pushes.fake
    fake.is_admin = is_admin
    said: dict[str, object] = {"ok": False, "error": f"bad header X-CW-Token: {TOKEN}"}

    def fault(call: Call) -> Answer | None:
        if call.name == "import":
            return 200, said
        if call.name != "preview":
            return None
        _, answer = fake._answer(call)  # noqa: SLF001 - the real answer, a little changed
        assert isinstance(answer, dict)
        return 200, answer | {"target_instance": TOKEN}

    fake.faults.append(fault)
    done = push(pushes, "--all-users", "--json")
    assert done.code == 8
    look(pushes, caplog, done)


def test_no_error_shows_the_password_of_a_proxy(pushes: Pushes) -> None:
    quoting = 200, {"ok": True, "provider_instance": PASSWORD, "target": "state"}
    pushes.fake.faults.append(lambda call: quoting if call.name == "import" else None)
    done = push(pushes, "--all-users", "--json")
    assert "of …" in done.err
    assert "of …" in done.out
    assert leaks(done.out + done.err) == []


def test_a_certificate_of_its_own(pushes: Pushes, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with crosswatch(tls=(cert, key)) as fake:
        pushes.nights.environment["CW_URL"] = fake.url  # type: ignore[index]
        refused = push(pushes)
        assert refused.code == 3
        assert "--crosswatch-ca-file" in refused.err
        assert fake.calls == []
        trusted = push(pushes, "--crosswatch-ca-file", cert)
        assert trusted.code == 0, trusted.err
        blind = push(pushes, "--insecure")
        assert blind.code == 0, blind.err
        assert "Any server can pretend to be" in blind.err
