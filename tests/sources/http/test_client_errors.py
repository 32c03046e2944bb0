"""What is said when a Tautulli does not answer, and files that it sends."""

from __future__ import annotations

from collections.abc import Callable
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
    UndeliverableError,
)
from tautulli_import.sources.http.client import Tautulli
from tests.sources.http.conftest import Connect, history_of
from tests.support.tautulli import (
    KEY,
    FakeTautulli,
    Fault,
    Reply,
    close,
    empty_success,
    html,
    json_error,
    on,
    redirect,
    reset,
    status,
    times,
    truncated,
)


def refused(client: Tautulli) -> TautulliImportError:
    """Return the error that a question ends with; a hint is always there."""
    with pytest.raises(TautulliImportError) as caught:
        history_of(client)
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"
    return caught.value


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
