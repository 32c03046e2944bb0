"""One question to a Tautulli: how it is put, how often it is tried, and what is said at last."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
)
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.sources.http.responses import MOST_TRIES
from tests.sources.http.conftest import Connect, history_of
from tests.support.tautulli import (
    KEY,
    FakeTautulli,
    Fault,
    broken_json,
    close,
    hang_up,
    html,
    json_error,
    redirect,
    reset,
    retry_after,
    status,
    times,
    truncated,
    when,
)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited between two tries."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def refused(client: Tautulli) -> TautulliImportError:
    """Return the error that a question ends with; a hint is always there."""
    with pytest.raises(TautulliImportError) as caught:
        history_of(client)
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"
    return caught.value


# How it is put.


def test_the_key_goes_in_the_body_and_never_in_the_url(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    assert history_of(client)["recordsFiltered"] == 5
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.key_in) == ("POST", "/api/v2", "form")
    assert KEY not in str(asked.headers)
    assert asked.form["cmd"] == "get_history"
    assert client.asked == {"get_history": 1}


def test_it_says_who_it_is_and_takes_compressed_answers(
    server: FakeTautulli, connect: Connect
) -> None:
    assert len(history_of(connect(server.url))["data"]) == 5
    (asked,) = server.requests
    assert asked.header("User-Agent").startswith("tautulli-import/")
    assert asked.header("Accept-Encoding") == "gzip"


def test_any_key_and_any_parameter_arrives_as_it_is(history: Path, connect: Connect) -> None:
    key = "k+e&y=%41 ü/?#"
    with FakeTautulli(history, key=key) as server:
        client = connect(server.url, key)
        history_of(client, search="a&b=c%20+d")
        client.by_get = True
        history_of(client, search="a&b=c%20+d")
    assert [asked.params["search"] for asked in server.requests] == ["a&b=c%20+d"] * 2
    assert [asked.status for asked in server.requests] == [200, 200]


def test_many_questions_go_over_one_connection(server: FakeTautulli, connect: Connect) -> None:
    client = connect(server.url)
    for _ in range(20):
        history_of(client)
    assert server.connections == 1


@pytest.mark.usefixtures("_no_waiting")
def test_a_connection_that_died_unnoticed_is_replaced(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    server.faults.append(hang_up())
    for _ in range(5):
        assert history_of(client)["recordsFiltered"] == 5
    assert 5 <= server.connections <= 10  # one more where the end was noticed too late


@pytest.mark.usefixtures("_no_waiting")
def test_an_error_does_not_cost_the_connection(server: FakeTautulli, connect: Connect) -> None:
    client = connect(server.url)
    server.faults.append(times(2, html(502)))
    history_of(client)
    assert [asked.status for asked in server.requests] == [502, 502, 200]
    assert server.connections == 1


# POST, and what takes none.


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    "fault",
    [
        *(status(code) for code in (403, 405, 411, 415, 501)),
        html(405, "Method Not Allowed"),
        html(403, "Forbidden"),
        json_error("Parameter apikey is required"),
    ],
)
def test_what_takes_no_post_is_asked_by_get_from_then_on(
    server: FakeTautulli, connect: Connect, fault: Fault
) -> None:
    client = connect(server.url)
    server.faults.append(when(lambda asked: asked.method == "POST", fault))
    for _ in range(3):
        assert history_of(client)["recordsFiltered"] == 5
    assert [asked.method for asked in server.requests] == ["POST", "GET", "GET", "GET"]
    assert [asked.key_in for asked in server.requests] == ["form", "query", "query", "query"]
    assert client.by_get


@pytest.mark.usefixtures("_no_waiting")
def test_an_old_server_takes_no_post(server: FakeTautulli, connect: Connect) -> None:
    server.features.remove("post")
    assert history_of(connect(server.url))["recordsFiltered"] == 5


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(400), NotFoundError),
        (status(401), UnauthorisedError),
        (status(404), NotFoundError),
        (json_error("Invalid apikey"), UnauthorisedError),
    ],
)
def test_the_key_is_not_put_into_a_url_for_any_other_refusal(
    server: FakeTautulli, connect: Connect, fault: Fault, error: type[Exception]
) -> None:
    client = connect(server.url)
    server.faults.append(fault)
    assert isinstance(refused(client), error)
    assert [asked.method for asked in server.requests] == ["POST"]
    assert not client.by_get


@pytest.mark.usefixtures("_no_waiting")
def test_where_get_is_refused_as_well_it_is_said_once(
    server: FakeTautulli, connect: Connect
) -> None:
    server.faults.append(html(403, "Forbidden"))
    error = refused(connect(server.url))
    assert isinstance(error, UnauthorisedError)
    assert "answered 403: Forbidden." in str(error)
    assert [asked.method for asked in server.requests] == ["POST", "GET"]


# How often it is tried.

PASSES: Mapping[str, Callable[[], Fault]] = {
    **{f"status {code}": partial(status, code) for code in (408, 429, 500, 502, 503, 504, 524)},
    "a page": partial(html, 502),
    "a busy server": partial(retry_after, 1),
    "a busy proxy": partial(retry_after, 1, 503),
    "an internal error": partial(json_error, "Check the logs for errors", 500),
    "half an answer": broken_json,
    "a torn answer": partial(truncated, 10),
    "a reset": reset,
    "a reset in the body": partial(reset, 10),
    "a closed connection": close,
}


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("name", PASSES)
def test_what_passes_is_tried_again(server: FakeTautulli, connect: Connect, name: str) -> None:
    said: list[str] = []
    client = connect(server.url, on_wait=said.append)
    server.faults.append(times(1, PASSES[name]()))
    assert history_of(client)["recordsFiltered"] == 5
    assert len(server.requests) == 2
    (sentence,) = said
    assert sentence.startswith(f"{server.url}/api/v2 get_history (2020) ")
    assert sentence.endswith(". Trying again.")
    assert ".." not in sentence


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("name", PASSES)
def test_what_does_not_pass_ends_after_a_few_tries(
    server: FakeTautulli, connect: Connect, name: str
) -> None:
    said: list[str] = []
    client = connect(server.url, on_wait=said.append)
    server.faults.append(PASSES[name]())
    error = refused(client)
    tries = len(server.requests)
    assert isinstance(error, SourceUnreachableError)
    assert 1 < tries <= MOST_TRIES
    assert str(error).startswith(f"{server.url}/api/v2 get_history (2020, attempt {tries}) ")
    assert str(error).endswith(".")
    assert ".." not in str(error)
    assert len(said) == tries - 1


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("name", ["status 500", "status 504", "an internal error"])
def test_a_question_that_can_be_divided_is_not_put_again_as_it_is(
    server: FakeTautulli, connect: Connect, name: str
) -> None:
    client = connect(server.url)
    server.faults.append(PASSES[name]())
    with pytest.raises(UnansweredError):
        client.ask("get_history", dict[str, Any], divisible=True)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(400), NotFoundError),
        (status(401), UnauthorisedError),
        (html(401, "Log in"), UnauthorisedError),
        (status(407), UnauthorisedError),
        (status(410), NotFoundError),
        (status(413), UnansweredError),
        (html(200, "<title>Log in</title>"), NotFoundError),
        (html(404), NotFoundError),
        (redirect("/home"), ConfigurationError),
        (json_error("Invalid apikey"), UnauthorisedError),
        (json_error("Invalid apikey", 200), UnauthorisedError),
        (json_error("API not enabled"), UnauthorisedError),
        (json_error("API key not generated"), UnauthorisedError),
        (json_error("Unknown command: get_history"), SourceDamagedError),
        (json_error("Please use the /api/v2 endpoint.", 200), NotFoundError),
        (json_error("Anything else"), SourceDamagedError),
        (json_error(""), SourceDamagedError),
    ],
)
def test_what_will_not_change_is_not_asked_again(
    server: FakeTautulli, connect: Connect, fault: Fault, error: type[TautulliImportError]
) -> None:
    server.faults.append(fault)
    caught = refused(connect(server.url))
    assert type(caught) is error
    assert len(server.requests) == 1
    assert "attempt" not in str(caught)


@pytest.mark.usefixtures("_no_waiting")
def test_nobody_there_is_said_after_a_few_tries(connect: Connect) -> None:
    said: list[str] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # nobody else can take it, and nobody listens
        port = probe.getsockname()[1]
        error = refused(connect(f"http://127.0.0.1:{port}", on_wait=said.append))
    assert type(error) is SourceUnreachableError
    assert str(error) == (
        f"Cannot connect to Tautulli at http://127.0.0.1:{port} "
        "(connection refused, tried 3 times)."
    )
    assert "Check that Tautulli is running" in error.hint
    assert "8181" not in error.hint
    assert 1 <= len(said) < MOST_TRIES


@pytest.mark.usefixtures("_no_waiting")
def test_a_url_without_a_port_is_pointed_at(connect: Connect) -> None:
    error = refused(connect("http://tautulli.invalid"))
    assert type(error) is SourceUnreachableError
    assert "8181" in error.hint


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("host", ["nas..example", f"{'n' * 64}.example"])
def test_a_name_that_nobody_can_look_up_is_an_error_like_any_other(
    connect: Connect, host: str
) -> None:
    with pytest.raises((SourceUnreachableError, ConfigurationError)):
        history_of(connect(f"http://{host}:8181"))


@pytest.mark.usefixtures("_no_waiting")
def test_a_server_that_restarts_is_waited_for_longer_than_one_that_never_was(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    history_of(client)
    server.close()
    error = refused(client)
    assert f"tried {MOST_TRIES} times" in str(error)


# How long it waits.


def test_between_two_tries_it_waits_longer_and_longer_and_never_equally(
    server: FakeTautulli, connect: Connect, waits: list[float]
) -> None:
    server.faults.append(status(502))
    seen = set()
    for seed in range(3):
        random.seed(seed)
        waits.clear()
        refused(connect(server.url))
        assert 0.4 < waits[0] < 2
        assert waits[-1] > waits[0] * 2
        assert max(waits) < 30
        seen.add(tuple(waits))
    assert len(seen) == 3


@pytest.mark.parametrize("code", [429, 503])
def test_it_waits_as_long_as_the_server_says(
    server: FakeTautulli, connect: Connect, waits: list[float], code: int
) -> None:
    server.faults.append(times(2, retry_after(17, code)))
    history_of(connect(server.url))
    assert waits == [17, 17]


def test_the_server_can_say_it_as_a_date(
    server: FakeTautulli, connect: Connect, waits: list[float]
) -> None:
    then = datetime.now(UTC) + timedelta(seconds=60)
    server.faults.append(times(1, retry_after(format_datetime(then, usegmt=True))))
    history_of(connect(server.url))
    assert [55 < wait <= 60 for wait in waits] == [True]


@pytest.mark.parametrize("value", [0, "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_what_is_over_is_not_waited_for(
    server: FakeTautulli, connect: Connect, waits: list[float], value: int | str
) -> None:
    server.faults.append(times(1, retry_after(value)))
    history_of(connect(server.url))
    assert sum(waits) == 0


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "-5", "1.5", "1e9", "٣", "²", "nan", "\x00", "9" * 400, "Wed, 21 Oct"),
        *("Wed, 21 Oct x 07:28:00 GMT", "Wed, 99 Foo 2015 99:99:99 XXX", "," * 100),
    ],
    ids=ascii,
)
def test_what_is_no_time_is_waited_for_as_if_nothing_was_said(
    server: FakeTautulli, connect: Connect, waits: list[float], value: str
) -> None:
    text = value.encode().decode("latin-1").replace("\x00", "")
    server.faults.append(times(1, retry_after(text)))
    history_of(connect(server.url))
    assert [0.4 < wait < 2 for wait in waits] == [True]


@pytest.mark.parametrize("value", [86_400, 999_999_999, "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_nobody_waits_for_a_day(
    server: FakeTautulli, connect: Connect, waits: list[float], value: int | str
) -> None:
    server.faults.append(retry_after(value))
    error = refused(connect(server.url))
    assert type(error) is SourceUnreachableError
    assert "asks to wait" in str(error)
    assert waits == []
    assert len(server.requests) == 1
