"""One question to a Tautulli: how it is put, how often it is tried, and what is said at last."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import stamina

from tautulli_import.client.access import Access
from tautulli_import.client.address import parse_address
from tautulli_import.client.answers import MOST_TRIES
from tautulli_import.client.tautulli import Tautulli
from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
    UndeliverableError,
)
from tests.history import add_play, create
from tests.tautulli import (
    KEY,
    FakeTautulli,
    Fault,
    Reply,
    broken_json,
    close,
    empty_success,
    hang_up,
    html,
    json_error,
    on,
    redirect,
    reset,
    retry_after,
    status,
    times,
    truncated,
    when,
)

Connect = Callable[..., Tautulli]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "tautulli.db"
    with closing(create(path)) as conn:
        for number in range(5):
            add_play(conn, title=f"Film {number}")
    return path


@pytest.fixture
def server(history: Path) -> Iterator[FakeTautulli]:
    with FakeTautulli(history) as tautulli:
        yield tautulli


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make clients, and close them in the end."""
    clients: list[Tautulli] = []

    def make(
        url: str, key: str = KEY, on_wait: Callable[[str], None] | None = None, **given: Any
    ) -> Tautulli:
        access = Access(parse_address(url), key, **{"timeout": 5.0, **given})
        clients.append(Tautulli(access, on_wait=on_wait))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=MOST_TRIES + 1, cap=True):
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited between two tries."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def history_of(client: Tautulli, search: str = "") -> dict[str, Any]:
    """All rows, ungrouped."""
    kind = dict[str, Any]
    return client.ask("get_history", kind, about="2020", grouping=0, length=100, search=search)


def refused(client: Tautulli) -> TautulliImportError:
    """The error that a question ends with; a hint is always there."""
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
    assert server.connections == 5


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said: list[str] = []
    error = refused(connect(f"http://127.0.0.1:{port}", on_wait=said.append))
    assert type(error) is SourceUnreachableError
    assert "cannot be reached" in str(error)
    assert "Is Tautulli running" in error.hint
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
    assert f"attempt {MOST_TRIES}" in str(error)


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
    assert "wants to be left alone" in str(error)
    assert waits == []
    assert len(server.requests) == 1


# What is said.


@pytest.mark.usefixtures("_no_waiting")
def test_an_error_tells_where_what_which_days_which_attempt_and_which_version(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    client.ask("server_status", dict[str, Any])
    server.faults.append(on("get_history", html(502)))
    error = refused(client)
    assert str(error) == (
        f"{server.url}/api/v2 get_history (2020, attempt 5, Tautulli v2.17.2) "
        "answered 502: Bad Gateway."
    )
    assert "proxy" in error.hint


@pytest.mark.usefixtures("_no_waiting")
def test_the_version_is_asked_once_and_is_not_worth_an_error(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    history_of(client)
    server.faults.append(status(500))
    for _ in range(3):
        assert "Tautulli v" not in str(refused(client))
    assert len(server.asked("get_tautulli_info")) == 1


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("version", ["", None, 7, ["v2"], {}, "v" * 1000, f"v2 {KEY}"], ids=repr)
def test_a_version_can_be_anything(server: FakeTautulli, connect: Connect, version: object) -> None:
    client = connect(server.url)
    server.settings["version"] = version
    history_of(client)
    server.faults.append(on("get_history", status(502)))
    assert len(str(refused(client))) < 250
    assert KEY not in client.version


@pytest.mark.usefixtures("_no_waiting")
def test_a_long_page_is_cut_and_a_page_without_words_is_none(
    server: FakeTautulli, connect: Connect
) -> None:
    body = "<style>p{}</style><script>x</script><p>Sorry &amp; goodbye. " + "so long " * 100
    server.faults.append(html(502, body))
    told = str(refused(connect(server.url)))
    assert "answered 502: Sorry & goodbye. so long" in told
    assert len(told) < 250
    assert "<" not in told


@pytest.mark.usefixtures("_no_waiting")
def test_the_title_of_a_page_says_most(server: FakeTautulli, connect: Connect) -> None:
    server.faults.append(html(503, "<TITLE>\n Down for\n lunch </TITLE><h1>503</h1>"))
    assert "answered 503: Down for lunch." in str(refused(connect(server.url)))


@pytest.mark.usefixtures("_no_waiting")
def test_an_error_of_tautulli_is_told_in_its_own_words(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    with pytest.raises(SourceDamagedError) as caught:
        client.ask("no_such_command", dict[str, Any])
    assert "Unknown command: no_such_command." in str(caught.value)
    assert "Possible commands" not in str(caught.value)
    assert "too old" in caught.value.hint


def test_a_wrong_key_is_said_with_where_to_find_the_right_one(
    server: FakeTautulli, connect: Connect
) -> None:
    error = refused(connect(server.url, "wrong"))
    assert type(error) is UnauthorisedError
    assert "Invalid apikey" in str(error)
    assert "Settings > Web Interface > API" in error.hint


def test_a_server_without_its_api_is_said_with_how_to_switch_it_on(
    server: FakeTautulli, connect: Connect
) -> None:
    server.settings["api_enabled"] = False
    assert "Enable API" in refused(connect(server.url)).hint


@pytest.mark.usefixtures("_no_waiting")
def test_no_history_is_an_answer_for_who_asked(server: FakeTautulli, connect: Connect) -> None:
    server.faults.append(empty_success())
    assert history_of(connect(server.url))["recordsTotal"] == 0


# A file.


class Kept:
    """Keeps what is sent, of the last try only."""

    def __init__(self) -> None:
        self.tries = 0
        self.body = b""
        self.seen: list[tuple[int, int | None]] = []

    def begin(self) -> Callable[[bytes], object]:
        """Forget what there was."""
        self.tries += 1
        self.body = b""
        return self._take

    def advanced(self, done: int, total: int | None) -> None:
        """So much of it is there."""
        self.seen.append((done, total))

    def _take(self, piece: bytes) -> None:
        self.body += piece


def downloaded(client: Tautulli) -> Kept:
    kept = Kept()
    client.download("download_database", kept.begin, kept.advanced)
    return kept


def test_a_file_is_handed_on_as_it_comes(server: FakeTautulli, connect: Connect) -> None:
    kept = downloaded(connect(server.url))
    assert kept.body.startswith(b"SQLite format 3\0")
    assert kept.seen[-1] == (len(kept.body), len(kept.body))
    assert server.requests[0].key_in == "form"


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("fault", [truncated(50_000), reset(50_000), close(), status(502)])
def test_a_file_that_breaks_off_is_begun_anew(
    server: FakeTautulli, connect: Connect, fault: Fault
) -> None:
    server.faults.append(times(1, fault))
    kept = downloaded(connect(server.url))
    assert kept.tries == 2
    assert kept.seen[-1][0] == len(kept.body) == kept.seen[-1][1]


@pytest.mark.usefixtures("_no_waiting")
def test_a_file_without_a_length_is_whole_when_it_ends(
    server: FakeTautulli, connect: Connect
) -> None:
    server.faults.append(times(1, lambda _: Reply(chunked=True, truncate=50_000)))
    server.faults.append(lambda _: Reply(chunked=True))
    kept = downloaded(connect(server.url))
    assert kept.tries == 2
    assert kept.seen[-1] == (len(kept.body), None)


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(502), SourceUnreachableError),
        (html(401), UnauthorisedError),
        (html(404), NotFoundError),
        (json_error("Invalid apikey", 200), UnauthorisedError),
        (json_error("Unknown command: download_database"), SourceDamagedError),
        (html(500, "Error downloading database. Check the logs."), UndeliverableError),
        (redirect("/home"), ConfigurationError),
        (truncated(10), UnansweredError),
    ],
)
def test_no_file_is_said_like_no_answer(
    server: FakeTautulli, connect: Connect, fault: Fault, error: type[TautulliImportError]
) -> None:
    server.faults.append(fault)
    with pytest.raises(error) as caught:
        downloaded(connect(server.url))
    assert str(caught.value).startswith(f"{server.url}/api/v2 download_database")
    assert caught.value.hint


def test_a_disk_that_is_full_is_no_trouble_of_the_network(
    server: FakeTautulli, connect: Connect
) -> None:
    full = OSError(28, "No space left on device")

    def take(_: bytes) -> None:
        raise SourceDamagedError(str(full), hint="Make room.")

    with pytest.raises(SourceDamagedError, match="No space left"):
        connect(server.url).download("download_database", lambda: take, lambda *_: None)
    assert len(server.requests) == 1


def test_an_answer_that_needs_its_time_is_counted_from_its_beginning(
    server: FakeTautulli, connect: Connect
) -> None:
    client = connect(server.url)
    before = time.monotonic()
    server.faults.append(lambda _: Reply(hang=0.3))
    history_of(client)
    assert time.monotonic() - before >= 0.3
