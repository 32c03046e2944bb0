"""NATS on the command line: what goes wrong is a sentence and a code, and no secret is told."""

from __future__ import annotations

import signal
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.conftest import Result
from tests.support.event_pipeline import Pipeline, is_unread, pipeline
from tests.support.history import create
from tests.support.nats import api, count, free_port, make_stream
from tests.support.running import Programs, programs, to_go_on

PASSWORD: Final = "k3y%2Fof+the&house"  # noqa: S105 - the tests look for it everywhere
TOKEN: Final = "t0k3n~of+the&gate"  # noqa: S105 - as above
BY_PASSWORD: Final = f'authorization {{ user: "alice", password: "{PASSWORD}" }}'
BY_TOKEN: Final = f'authorization {{ token: "{TOKEN}" }}'
COMMANDS: Final[Sequence[Sequence[str]]] = [
    ("db", "tautulli.db", "--to", "nats"),
    ("consume", "--once"),
]
both = pytest.mark.parametrize("command", COMMANDS, ids=["db", "consume"])


@pytest.fixture
def line(tmp_path: Path, environment: dict[str, str]) -> Iterator[Pipeline]:
    """Yield a pipeline with two films and a stream that has them."""
    with pipeline(tmp_path, environment) as made:
        made.films(2)
        yield made


@pytest.fixture
def guarded(
    tmp_path: Path, environment: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Pipeline]:
    """Yield a pipeline with two films, and a server that wants to know who we are."""
    config = getattr(request, "param", BY_PASSWORD)
    with pipeline(tmp_path, environment, config=config) as made:
        made.films(2)
        yield made


def said(done: Result) -> str:
    return " ".join(done.err.split())


def refused(done: Result, code: int, *words: str) -> None:
    """Check that it failed in these words, with a hint, and wrote nothing on standard output."""
    assert done.code == code, done.err
    first, *hints = done.err.splitlines()[-2:]
    assert first.startswith("Error: "), done.err
    assert hints[0].startswith("  ")
    for word in words:
        assert word in said(done)
    assert "Traceback" not in done.err
    assert done.out == ""


# No server, or one that is of no use.


def test_a_server_that_is_down_is_said_by_both_ends(line: Pipeline) -> None:
    line.server.kill()
    words = (f"Cannot connect to NATS at {line.server.url}", "nats-server is running")
    refused(line.run(*COMMANDS[0]), 8, *words)
    refused(line.run(*COMMANDS[1]), 3, *words)
    assert not (line.folder / "playback-events.duckdb").exists()


def test_a_failed_import_is_remembered_as_none(line: Pipeline) -> None:
    line.server.kill()
    assert line.run(*COMMANDS[0]).code == 8
    line.server.start()
    done = line.publish()
    assert (done.new, done.carried, done.again) == (2, 0, [])


def test_the_address_can_be_an_option_or_a_setting(line: Pipeline) -> None:
    nowhere = f"nats://127.0.0.1:{free_port()}"
    done = line.run(*COMMANDS[0], "--nats-url", nowhere)
    refused(done, 8, nowhere)
    done = line.run(*COMMANDS[0], "--nats-url", line.server.url, env={"NATS_URL": nowhere})
    assert done.code == 0
    config = line.folder / "home" / "config" / "tautulli-import" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'nats_url = "{line.server.url}"\nnats_stream = "OTHER"\n', "utf-8")
    done = line.run("consume", "--once", env={"NATS_URL": ""})
    refused(done, 5, "no stream OTHER", line.server.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4222", "nats://", "nats://host:port", ","])
@both
def test_what_is_no_address_is_a_mistake(line: Pipeline, command: Sequence[str], url: str) -> None:
    refused(line.run(*command, "--nats-url", url), 2, "nats://HOST:4222")


def test_a_server_without_jetstream_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    with pipeline(tmp_path, environment, jetstream=False) as line:
        line.films(1)
        refused(line.run(*COMMANDS[0]), 8, "no JetStream")
        refused(line.run(*COMMANDS[1]), 3, "no JetStream")


def test_a_stream_of_something_else_is_said_and_not_touched(line: Pipeline) -> None:
    access = line.server.access()
    make_stream(access, subjects=["orders.>"])
    refused(line.run(*COMMANDS[0]), 8, "MEDIA_EVENTS", "orders.>", "--nats-stream")
    refused(line.run(*COMMANDS[1]), 2, "MEDIA_EVENTS", "playback.>", "--nats-stream")
    assert count(access) == 0
    assert api(access, "STREAM.INFO.MEDIA_EVENTS")["config"]["subjects"] == ["orders.>"]


def test_the_stream_that_has_the_subjects_is_named(line: Pipeline) -> None:
    make_stream(line.server.access(stream="THEIRS"))
    refused(line.run(*COMMANDS[0]), 8, "THEIRS", "--nats-stream THEIRS")
    assert line.publish("--nats-stream", "THEIRS").new == 2
    assert line.consume("--nats-stream", "THEIRS").told["stored"] == 2


def test_a_stream_that_is_full_is_said(line: Pipeline) -> None:
    make_stream(line.server.access(), max_msgs=1, discard="new")
    refused(line.run(*COMMANDS[0]), 8, "refused an event", "maximum messages", "limits")


def test_an_event_that_no_message_can_hold_is_rejected(line: Pipeline) -> None:
    make_stream(line.server.access(), max_msg_size=3_000)
    line.add("Long " * 1_000)
    done = line.publish()
    assert (done.new, done.told["plays"]["rejected"]) == (2, {"too_large": 1})


@both
def test_a_name_of_a_stream_is_one(line: Pipeline, command: Sequence[str]) -> None:
    for name in ("a.b", "a b", "a>"):
        refused(line.run(*command, "--nats-stream", name), 2, "--nats-stream", name)


# Options that cannot be used there.


@pytest.mark.parametrize("out", ["events.jsonl", "-", "nats=events.jsonl"])
def test_a_place_for_files_is_refused(line: Pipeline, out: str) -> None:
    refused(line.run(*COMMANDS[0], "--out", out), 2, "not into a file", "--nats-url")
    assert not (line.folder / "events.jsonl").exists()


@pytest.mark.parametrize("option", ["--rewatches", "--include-partial"])
def test_options_of_items_are_refused(line: Pipeline, option: str) -> None:
    refused(line.run(*COMMANDS[0], option), 2, f"{option} cannot be used with nats")


@pytest.mark.parametrize("source", ["a.b", "a b", "*", ">"])
def test_a_source_that_would_be_another_subject_is_refused(line: Pipeline, source: str) -> None:
    done = line.run(*COMMANDS[0], "--event-source", source)
    refused(done, 2, "--event-source")


def test_the_source_is_part_of_the_subject(line: Pipeline) -> None:
    line.publish("--event-source", "attic")
    told = api(line.server.access(), "STREAM.INFO.MEDIA_EVENTS", {"subjects_filter": ">"})
    assert told["state"]["subjects"] == {"playback.attic.movie": 2}


def test_a_dry_run_makes_no_stream_and_says_what_it_would_do(line: Pipeline) -> None:
    done = line.run(*COMMANDS[0], "--dry-run", "--format", "table")
    assert done.code == 0
    assert "2 events would be in " in said(done)
    assert api(line.server.access(), "STREAM.NAMES")["total"] == 0
    assert line.publish().new == 2


# Who we are.


def as_option(line: Pipeline, name: str, value: str) -> tuple[list[str], dict[str, str]]:
    del line
    return [f"--nats-{name}", value], {}


def as_file(line: Pipeline, name: str, value: str) -> tuple[list[str], dict[str, str]]:
    path = line.folder / f"{name}.secret"
    path.write_text(f"{value}\n", "utf-8")
    path.chmod(0o600)
    return [f"--nats-{name}-file", str(path)], {}


def as_variable(line: Pipeline, name: str, value: str) -> tuple[list[str], dict[str, str]]:
    del line
    return [], {f"TAUTULLI_IMPORT_NATS_{name.upper()}": value}


def as_variable_of_a_file(
    line: Pipeline, name: str, value: str
) -> tuple[list[str], dict[str, str]]:
    (_, path), _ = as_file(line, name, value)
    return [], {f"TAUTULLI_IMPORT_NATS_{name.upper()}_FILE": path}


def as_setting(line: Pipeline, name: str, value: str) -> tuple[list[str], dict[str, str]]:
    config = line.folder / "home" / "config" / "tautulli-import" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"nats_{name} = '{value}'\n", "utf-8")
    config.chmod(0o600)
    return [], {}


ways = pytest.mark.parametrize(
    "way", [as_option, as_file, as_variable, as_variable_of_a_file, as_setting]
)


def look(line: Pipeline, *results: Result) -> None:
    """Look for the secrets in what was said and in everything that was written."""
    forms = {form for secret in (PASSWORD, TOKEN) for form in written(secret)}
    for result in results:
        for form in forms:
            assert form not in result.out + result.err
    for path in line.folder.rglob("*"):
        ours = path.suffix not in {".secret", ".toml", ".conf", ".env"}
        if path.is_file() and ours and "nats" not in path.relative_to(line.folder).parts:
            content = path.read_bytes().decode("latin-1")
            assert [form for form in forms if form in content] == [], path


def written(secret: str) -> set[str]:
    """How a secret can be written, and its beginning."""
    return {quote(secret, safe="")[:8], secret[:8], b64encode(secret.encode()).decode()[:10]}


@ways
def test_a_password_lets_us_in_wherever_it_stands(guarded: Pipeline, way: object) -> None:
    assert callable(way)
    args, env = way(guarded, "password", PASSWORD)
    results = []
    for command in COMMANDS:
        done = guarded.run(*command, "--nats-user", "alice", *args, "--verbose", env=env)
        assert done.code == 0, done.err
        assert ("Warning" in done.err) == (way is as_option)
        results.append(done)
    assert guarded.rows()
    look(guarded, *results, guarded.run("status"), guarded.run("checkpoint", "list"))


@ways
@pytest.mark.parametrize("guarded", [BY_TOKEN], indirect=True, ids=["token"])
def test_a_token_lets_us_in_wherever_it_stands(guarded: Pipeline, way: object) -> None:
    assert callable(way)
    args, env = way(guarded, "token", TOKEN)
    results = []
    for command in COMMANDS:
        done = guarded.run(*command, *args, "--verbose", env=env)
        assert done.code == 0, done.err
        assert ("Warning" in done.err) == (way is as_option)
        results.append(done)
    assert guarded.rows()
    look(guarded, *results, guarded.run("status"), guarded.run("config", "show", env=env))


def test_a_password_comes_from_standard_input(guarded: Pipeline) -> None:
    args = ("--nats-user", "alice", "--nats-password-file", "-")
    for command in COMMANDS:
        done = guarded.run(*command, *args, stdin=f"{PASSWORD}\n".encode())
        assert done.code == 0, done.err


def test_a_password_in_the_address_works_and_is_not_told(guarded: Pipeline) -> None:
    address = guarded.server.url.replace("//", f"//alice:{quote(PASSWORD, safe='')}@")
    results = []
    for env, args in (({"NATS_URL": address}, ()), ({}, ("--nats-url", address))):
        for command in COMMANDS:
            done = guarded.run(*command, *args, "--verbose", env=env)
            assert done.code == 0, done.err
            assert ("Warning" in done.err) == bool(args)
            results.append(done)
    shown = [guarded.run(*words.split()) for words in ("status", "status --json")]
    listed = guarded.run("checkpoint", "list", "--json")
    assert guarded.server.url in listed.out
    look(guarded, *results, *shown, listed)


@both
def test_who_may_not_come_in_is_told_so_and_what_to_do(
    guarded: Pipeline, command: Sequence[str]
) -> None:
    code = 8 if command[0] == "db" else 4
    words = "refused the login"
    refused(guarded.run(*command), code, words, "--nats-user", "--nats-token-file")
    wrong = {"TAUTULLI_IMPORT_NATS_PASSWORD": TOKEN}
    done = guarded.run(*command, "--nats-user", "alice", "--debug", env=wrong)
    assert done.code == code
    assert "Check the user and the password (--nats-user, --nats-password-file)" in said(done)
    look(guarded, done)
    wrong = {"TAUTULLI_IMPORT_NATS_TOKEN": TOKEN}
    done = guarded.run(*command, "--debug", env=wrong)
    assert "Check the token for this server (--nats-token-file)" in said(done)
    look(guarded, done)


@both
def test_a_file_with_a_secret_has_to_be_there(guarded: Pipeline, command: Sequence[str]) -> None:
    done = guarded.run(*command, "--nats-user", "alice", "--nats-password-file", "absent")
    refused(done, 5, "There is no file absent", "--nats-password-file")
    refused(guarded.run(*command, "--nats-creds", "absent.creds"), 5, "absent.creds")
    refused(guarded.run(*command, "--nats-ca-file", "absent.pem"), 5, "absent.pem")
    refused(guarded.run(*command, "--nats-cert", "cert.pem"), 2, "--nats-key")


def test_standard_input_holds_one_thing(guarded: Pipeline) -> None:
    """Neither two secrets, nor a secret and the database."""
    with closing(create(guarded.folder / "other.db")):
        content = (guarded.folder / "other.db").read_bytes()
    args = ("--to", "nats", "--nats-user", "alice", "--nats-password-file", "-")
    done = guarded.run("db", "-", *args, stdin=content)
    refused(done, 2, "standard input")
    done = guarded.run("db", "tautulli.db", *args, "--nats-token-file", "-", stdin=b"x\n")
    refused(done, 2, "standard input")


# The list of processes, and the command that goes on.


def words_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@pytest.fixture
def running(guarded: Pipeline) -> Iterator[Programs]:
    """Start programs that know the password by their environment."""
    env: Mapping[str, str] = {**guarded.environment, "TAUTULLI_IMPORT_NATS_PASSWORD": PASSWORD}
    with programs(guarded.folder, env) as made:
        yield made


def test_nobody_sees_a_password_in_the_list_of_processes(
    guarded: Pipeline, running: Programs
) -> None:
    gate = running.gate("page")
    args = ("db", "tautulli.db", "--to", "nats", "--nats-user", "alice")
    program = running.start(*args, at=("page:0", gate), within=("env",))  # with words of its own
    gate.reached(program)
    told = words_of(program.pid)
    assert told.rstrip().endswith(" ".join(args))
    gate.open()
    done = program.ended()
    assert done.code == 0, done.err
    look(guarded, done, Result(0, told, ""))


def test_the_command_that_goes_on_has_no_password(guarded: Pipeline, running: Programs) -> None:
    gate = running.gate("page")
    address = guarded.server.url.replace("//", f"//alice:{quote(PASSWORD, safe='')}@")
    args = ("db", "tautulli.db", "--to", "nats", "--nats-url", address)
    program = running.start(*args, "--nats-password", PASSWORD, at=("page:0", gate))
    gate.reached(program)
    running_now = guarded.run("status")
    done = program.stopped(signal.SIGINT)
    assert done.code == 130
    assert to_go_on(done.err).endswith(f"--nats-url {guarded.server.url} --nats-password '…'")
    look(guarded, done, running_now, guarded.run("status"), guarded.run("status", "--json"))


def test_a_server_that_is_silent_is_told_without_a_password(
    guarded: Pipeline, running: Programs
) -> None:
    gate = running.gate("page")
    args = ("db", "tautulli.db", "--to", "nats", "--nats-user", "alice", "--debug")
    program = running.start(*args, at=("impatient-page:0", gate))
    gate.reached(program)
    guarded.server.freeze()
    gate.open()
    program.until(lambda: is_unread(guarded.server))
    done = program.ended()
    assert done.code == 8
    assert "has acknowledged nothing for 1 seconds" in said(done)
    assert "Traceback" in done.err
    look(guarded, done)


def test_files_of_ours_with_secrets_are_nobody_elses(guarded: Pipeline) -> None:
    """What is remembered may be read by its owner only."""
    env = {"TAUTULLI_IMPORT_NATS_PASSWORD": PASSWORD}
    assert guarded.run(*COMMANDS[0], "--nats-user", "alice", env=env).code == 0
    state = guarded.folder / "home" / "state" / "tautulli-import"
    assert [path for path in state.rglob("*") if path.stat().st_mode & 0o077] == []
