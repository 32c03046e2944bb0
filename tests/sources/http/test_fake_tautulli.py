"""The fake Tautulli says what the real one said, and lies only when it is told to.

`tests/support/tautulli/samples` holds an invented history of odd plays, and what Tautulli 2.17.2 in
Berlin answered when it had that history as its own.
"""

import gzip
import http.client
import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.history import add_play, create
from tests.support.tautulli import (
    KEY,
    Asked,
    Change,
    FakeTautulli,
    Fault,
    Reply,
    after,
    broken_json,
    certificate,
    chunked,
    close,
    empty_success,
    fewer_rows,
    hang,
    hang_up,
    html,
    json_error,
    not_an_object,
    on,
    redirect,
    repeated_page,
    reset,
    retry_after,
    shrinking_total,
    slow,
    status,
    times,
    truncated,
    when,
    with_data,
    with_rows,
    without,
    wrong_types,
)
from tests.support.waiting import LONG, SOON, until

SAMPLES = Path(__file__).parent.parent.parent / "support" / "tautulli" / "samples"
REAL: list[dict[str, Any]] = json.loads((SAMPLES / "answers.json").read_text(encoding="utf-8"))
#: What a client says of a connection that is gone.
LOST = (OSError, http.client.HTTPException)


class Answer:
    """A whole answer, decoded."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()

    @property
    def body(self) -> bytes:
        """The body, without compression."""
        packed = self.headers["Content-Encoding"] == "gzip"
        return gzip.decompress(self.raw) if packed else self.raw

    @property
    def response(self) -> dict[str, Any]:
        """What is in the envelope."""
        envelope: dict[str, dict[str, Any]] = json.loads(self.body)
        return envelope["response"]

    @property
    def data(self) -> Any:
        """The data of a success."""
        assert self.status == HTTPStatus.OK
        assert self.response["result"] == "success"
        return self.response["data"]

    @property
    def ids(self) -> list[int]:
        """The row ids of a history."""
        return [row["id"] for row in self.data["data"]]


class Client:
    """A plain client that keeps its connection, and repeats and follows nothing."""

    def __init__(self, tautulli: FakeTautulli) -> None:
        self.tautulli = tautulli
        self.connection = http.client.HTTPConnection("127.0.0.1", tautulli.port, timeout=LONG)

    def send(
        self,
        path: str,
        *,
        method: str = "GET",
        form: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return the answer, whatever it is."""
        body = None if form is None else urlencode(form)
        headers = dict(headers or {})
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self.connection.request(method, path, body=body, headers=headers)
            return Answer(self.connection.getresponse())
        except LOST:
            self.connection.close()
            raise

    def ask(self, query: str, **headers: str) -> Answer:
        """Ask with the key of the server."""
        tautulli = self.tautulli
        path = f"{tautulli.root}/api/v2?apikey={tautulli.key}&{query}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(path, headers=named)

    def history(self, query: str = "", **headers: str) -> Answer:
        """Ask for every play, not for groups, and for none that is in progress."""
        asked = f"cmd=get_history&grouping=0&include_activity=0&length=100&order_dir=asc{query}"
        return self.ask(asked, **headers)


Talk = Callable[[FakeTautulli], Client]


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Make clients, and hang up in the end."""
    clients: list[Client] = []

    def make(tautulli: FakeTautulli) -> Client:
        clients.append(Client(tautulli))
        return clients[-1]

    yield make
    for client in clients:
        client.connection.close()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Twelve films, a day apart."""
    path = tmp_path / "films.db"
    with closing(create(path)) as conn:
        for number in range(1, 13):
            add_play(conn, title=f"Film {number}")
    return path


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the history over which the real answers were given."""
    path = tmp_path_factory.mktemp("odd") / "tautulli.db"
    with closing(create(path)) as conn:
        conn.executescript((SAMPLES / "history.sql").read_text(encoding="utf-8"))
    return path


@pytest.fixture(scope="module")
def berlin(odd: Path) -> Iterator[Client]:
    """Yield a server with that history, in Berlin and without a Plex, and a client for it."""
    with FakeTautulli(odd, zone="Europe/Berlin") as tautulli:
        tautulli.plex_up = False
        client = Client(tautulli)
        yield client
        client.connection.close()


# What the real one said.


@pytest.mark.sampled(3)
@pytest.mark.parametrize("cost", [False, True])
@pytest.mark.parametrize("real", REAL, ids=[real["query"] for real in REAL])
def test_the_answer_is_that_of_the_real_one(
    berlin: Client, real: dict[str, Any], *, cost: bool
) -> None:
    berlin.tautulli.cost = cost
    answer = berlin.ask(real["query"])
    assert answer.status == real["status"]
    response = answer.response
    assert response["result"] == real["result"]
    assert (response["message"] or "").split(" Possible")[0] == (real["message"] or "")
    assert _shortened(response["data"], like=real["data"]) == real["data"]


def _shortened(data: Any, *, like: Any) -> Any:
    """Leave only the ids of rows where no more was kept of the real ones."""
    kept = like.get("data") if isinstance(like, dict) else None
    if kept and not isinstance(kept[0], dict):
        return data | {"data": [row["row_id"] for row in data["data"]]}
    return data


def test_a_row_has_the_keys_of_a_real_one_in_their_order(berlin: Client) -> None:
    row = berlin.history("&after=2020-01-01").data["data"][0]
    real = REAL[0]["data"]["data"][0]
    assert list(row) == list(real)
    assert len(row) == 44


def test_a_row_that_spoils_a_page_spoils_only_pages_with_it(berlin: Client) -> None:
    spoilt = "&after=2010-05-01&before=2010-05-31"
    assert berlin.history(spoilt).status == HTTPStatus.INTERNAL_SERVER_ERROR
    # The window holds five rows; the third is the only one that a page can be made of.
    found = berlin.ask(
        "cmd=get_history&grouping=0&include_activity=0&order_dir=asc&start=2&length=1" + spoilt
    )
    assert found.data["recordsFiltered"] == 5
    assert len(found.ids) == 1


def test_settings_decide_what_is_watched(films: Path, talk: Talk) -> None:
    with closing(sqlite3.connect(films)) as conn, conn:
        conn.execute("UPDATE session_history SET view_offset = 5000000")
        conn.execute("UPDATE session_history_metadata SET marker_credits_first = 4000000")
    with FakeTautulli(films) as tautulli:
        client = talk(tautulli)

        def watched() -> set[float]:
            return {row["watched_status"] for row in client.history().data["data"]}

        assert watched() == {1}
        tautulli.settings["watched_marker"] = 0
        assert watched() == {0.75}
        tautulli.settings["movie_watched_percent"] = 60
        assert watched() == {1}
        monitoring = client.ask("cmd=get_settings&key=Monitoring").data
    assert (monitoring["movie_watched_percent"], monitoring["watched_marker"]) == (60, 0)


def test_a_database_with_a_problem_looks_like_no_history(films: Path, talk: Talk) -> None:
    with closing(sqlite3.connect(films)) as conn, conn:
        conn.execute("DROP TABLE session_history_media_info")
    with FakeTautulli(films) as tautulli:
        data = talk(tautulli).history().data
    assert (data["recordsFiltered"], data["recordsTotal"], data["data"]) == (0, 0, [])


def test_rows_may_come_and_go_during_a_crawl(films: Path, talk: Talk) -> None:
    def insert(asked: Asked) -> None:
        if asked.params.get("start") == "4":
            with closing(sqlite3.connect(films)) as conn:
                add_play(conn, title="Film 13")
                with conn:
                    conn.execute("DELETE FROM session_history WHERE id = 1")

    with FakeTautulli(films) as tautulli:
        tautulli.before_history = insert
        client = talk(tautulli)
        pages = [client.history(f"&start={start}").ids for start in (0, 4, 8)]
    assert pages == [[*range(1, 13)], [*range(6, 14)], [*range(10, 14)]]


# Who may ask what, and where.


def test_the_key_is_taken_from_the_query_and_from_a_form(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        client = talk(tautulli)
        client.history()
        form = {"apikey": KEY, "cmd": "get_history", "grouping": "0"}
        answer = client.send("/api/v2", method="POST", form=form)
        assert client.send("/api/v2").status == HTTPStatus.BAD_REQUEST
        asked = tautulli.requests
    assert answer.data["recordsFiltered"] == 12
    assert [each.key_in for each in asked] == ["query", "form", ""]
    assert [each.rows for each in asked] == [12, 12, 0]
    assert [each.status for each in asked] == [200, 200, 400]
    assert asked[1].params == {"cmd": "get_history", "grouping": "0"}
    assert KEY not in asked[1].path
    assert tautulli.asked("get_history") == asked[:2]
    assert tautulli.connections == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v2?cmd=status", "Parameter apikey is required"),
        ("/api/v2?cmd=status&apikey=", "Invalid apikey"),
        ("/api/v2?cmd=status&apikey=wrong", "Invalid apikey"),
        (f"/api/v2?cmd=status&apikey={KEY}&apikey={KEY}", "Invalid apikey"),
        ("/api/v2?cmd=nope&apikey=wrong", "Unknown command: nope."),
        (f"/api/v2?apikey={KEY}", "Parameter cmd is required."),
    ],
)
def test_a_refusal_is_a_400_with_its_reason(berlin: Client, path: str, message: str) -> None:
    answer = berlin.send(path)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.response["result"] == "error"
    assert answer.response["message"].startswith(message)


def test_the_api_can_be_switched_off(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.settings["api_enabled"] = False
        answer = talk(tautulli).history()
    assert (answer.status, answer.response["message"]) == (400, "API not enabled")


@pytest.mark.parametrize("path", ["/api", "/api/v1"])
def test_another_version_of_the_api_is_an_error_under_200(berlin: Client, path: str) -> None:
    answer = berlin.send(f"{path}?apikey={KEY}&cmd=status")
    assert (answer.status, answer.response["result"]) == (200, "error")
    assert "/api/v2" in answer.response["message"]


@pytest.mark.parametrize("path", ["/nope", "/tautulli/api/v2", "//api/v2", "/API/v2"])
def test_other_paths_are_not_found(berlin: Client, path: str) -> None:
    answer = berlin.send(f"{path}?apikey={KEY}&cmd=status")
    assert answer.status == HTTPStatus.NOT_FOUND
    assert json.loads(answer.body)["error"] is True


def test_below_a_root_nothing_is_found_without_it(films: Path, talk: Talk) -> None:
    with FakeTautulli(films, http_root="/tautulli") as tautulli:
        client = talk(tautulli)
        assert tautulli.url.endswith(f":{tautulli.port}/tautulli")
        assert client.ask("cmd=status").response["message"] == "Ok"
        for path in ("/api/v2?cmd=status", "/", "/tautullix/api/v2"):
            answer = client.send(path)
            assert answer.status == HTTPStatus.NOT_FOUND
            assert answer.headers["Content-Type"].startswith("text/html")
        # The only one of the real one's own redirects that carries the key on.
        moved = client.send(f"/tautulli?apikey={KEY}")
        assert moved.status == HTTPStatus.MOVED_PERMANENTLY
        assert moved.headers["Location"] == f"{tautulli.url}/?apikey={KEY}"
        assert client.send("/tautulli/").headers["Location"] == f"{tautulli.url}/home"


def test_the_base_url_leads_home(berlin: Client) -> None:
    answer = berlin.send("/")
    assert answer.status == HTTPStatus.SEE_OTHER
    assert answer.headers["Location"] == f"{berlin.tautulli.url}/home"


def test_a_proxy_wants_a_password(films: Path, talk: Talk) -> None:
    with FakeTautulli(films, basic_auth=("me", "secret")) as tautulli:
        client = talk(tautulli)
        refused = client.history()
        word = b64encode(b"me:secret").decode()
        assert client.history(Authorization=f"Basic {word}").ids == [*range(1, 13)]
    assert refused.status == HTTPStatus.UNAUTHORIZED
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert refused.headers["Content-Type"].startswith("text/html")


def test_it_speaks_tls(films: Path, tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    with FakeTautulli(films, tls=pair) as tautulli:
        assert tautulli.url == f"https://127.0.0.1:{tautulli.port}"
        for context in (ssl.create_default_context(cafile=str(pair[0])), None):
            strict = http.client.HTTPSConnection("127.0.0.1", tautulli.port, context=context)
            with closing(strict):
                if context is None:
                    with pytest.raises(ssl.SSLCertVerificationError):
                        strict.request("GET", "/")
                    continue
                strict.request("GET", f"/api/v2?apikey={KEY}&cmd=status")
                assert Answer(strict.getresponse()).response["message"] == "Ok"
        # Somebody who says nothing does not hold up the end.
        silent = socket.create_connection(("127.0.0.1", tautulli.port))
        before = time.monotonic()
    silent.close()
    assert time.monotonic() - before < SOON
    assert len(tautulli.requests) == 1


def test_it_serves_from_the_command_line(films: Path) -> None:
    command = [sys.executable, "-m", "tests.support.tautulli", str(films), "--key", "k" * 32]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
            connection.request("GET", f"/api/v2?apikey={'k' * 32}&cmd=get_history&grouping=0")
            assert len(Answer(connection.getresponse()).ids) == 12
        server.send_signal(signal.SIGINT)
        assert server.wait(LONG) == 0


def test_answers_are_compressed_on_demand(berlin: Client) -> None:
    plain = berlin.history("&user_id=1&after=2020-01-01")
    packed = berlin.history("&user_id=1&after=2020-01-01", Accept_Encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Content-Encoding"] is None
    assert packed.body == plain.body
    assert len(packed.raw) == int(packed.headers["Content-Length"]) < len(plain.raw) / 3


def test_head_is_answered_without_a_body(berlin: Client) -> None:
    answer = berlin.send(f"/api/v2?apikey={KEY}&cmd=status", method="HEAD")
    assert (answer.status, answer.raw) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


# What older servers lack.


@pytest.mark.parametrize(
    ("feature", "query", "number"),
    [
        ("before_after", "cmd=get_history&grouping=0&length=100&after=2039-01-01", 12),
        ("lists", "cmd=get_history&grouping=0&user_id=1,2", 0),
        ("grouping", "cmd=get_history&grouping=0", 6),
        ("include_activity", "cmd=get_history&grouping=0&include_activity=0", 13),
    ],
)
def test_an_old_server_ignores_what_it_does_not_know(
    films: Path, talk: Talk, feature: str, query: str, number: int
) -> None:
    with closing(sqlite3.connect(films)) as conn, conn:
        conn.execute("UPDATE session_history SET reference_id = (id + 1) / 2")
    with FakeTautulli(films) as tautulli:
        tautulli.features.remove(feature)
        tautulli.settings["include_activity"] = feature == "include_activity"
        tautulli.activity.append({"title": "Now"})
        assert len(talk(tautulli).ask(query).ids) == number


def test_an_old_server_has_no_row_id(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.features.remove("row_id")
        rows = talk(tautulli).history().data["data"]
    assert not any("row_id" in row for row in rows)
    assert rows[0]["id"] == 1


def test_an_old_server_takes_no_post(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.features.remove("post")
        answer = talk(tautulli).send("/api/v2", method="POST", form={"apikey": KEY})
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED


def test_what_is_in_progress_comes_first_and_has_no_row_id(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.activity.append({"title": "Now", "full_title": "Now", "user_id": 2})
        client = talk(tautulli)
        now, *rest = client.ask("cmd=get_history").data["data"]
        assert client.ask("cmd=get_history&user_id=1").data["recordsFiltered"] == 12
    assert (now["row_id"], now["reference_id"], now["stopped"]) == (None, None, 0)
    assert (now["state"], now["title"], now["group_count"]) == ("playing", "Now", None)
    assert [row["row_id"] for row in rest] == [*range(12, 0, -1)]


# Other commands.


def test_metadata_is_what_plex_has_while_it_is_up(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.plex[12] = {"title": "Film", "guids": ["imdb://tt1"]}
        client = talk(tautulli)
        assert client.ask("cmd=get_metadata&rating_key=12").data["guids"] == ["imdb://tt1"]
        assert client.ask("cmd=get_metadata&rating_key=13").data == {}
        assert client.ask("cmd=server_status").data == {"connected": True}
        tautulli.plex_up = False
        assert client.ask("cmd=get_metadata&rating_key=12").data == {}
        assert client.ask("cmd=server_status").data == {"connected": False}


def test_the_server_tells_who_it_is(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.settings |= {"version": "v2.9.0", "identifier": "abc"}
        client = talk(tautulli)
        assert client.ask("cmd=get_tautulli_info").data["tautulli_version"] == "v2.9.0"
        assert client.ask("cmd=get_server_info").data["pms_identifier"] == "abc"
        assert client.ask("cmd=get_server_id").data == {"identifier": None}
        found = client.ask("cmd=get_server_id&hostname=plex&port=32400").data
    assert found == {"identifier": "abc"}


def test_libraries_are_those_of_plex_and_numbers_in_them_are_text(odd: Path, talk: Talk) -> None:
    with FakeTautulli(odd) as tautulli:
        libraries = talk(tautulli).ask("cmd=get_libraries").data
    assert [library["section_id"] for library in libraries] == ["1", "2"]
    assert "child_count" not in libraries[0]
    assert libraries[1]["child_count"] == "0"


def test_a_download_is_the_main_file_without_tokens(tmp_path: Path, talk: Talk) -> None:
    path = tmp_path / "live.db"
    with closing(create(path, wal=True)) as conn:
        with conn:
            conn.execute("UPDATE users SET user_token = 'secret'")
        add_play(conn, title="Written back")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        add_play(conn, title="Still in the WAL")
        with FakeTautulli(path) as tautulli:
            client = talk(tautulli)
            assert client.history().ids == [1, 2]
            answer = client.ask("cmd=download_database", Accept_Encoding="gzip")
        # The server leaves the WAL alone.
        assert path.with_name("live.db-wal").stat().st_size > 0
    assert answer.headers["Content-Type"] == "application/x-download"
    assert int(answer.headers["Content-Length"]) == len(answer.raw) == len(answer.body)
    assert answer.raw[18:20] == b"\x02\x02"
    assert b"secret" not in answer.raw
    copy = tmp_path / "copy.db"
    copy.write_bytes(answer.raw)
    with closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as conn:
        titles = conn.execute("SELECT title FROM session_history_metadata").fetchall()
    assert titles == [("Written back",)]


def test_while_the_database_is_locked_an_older_copy_is_sent(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli, closing(sqlite3.connect(films)) as conn:
        tautulli.patience = 0.05
        client = talk(tautulli)
        conn.execute("BEGIN EXCLUSIVE")
        first = client.ask("cmd=download_database")
        conn.rollback()
        older = client.ask("cmd=download_database")
        with conn:
            conn.execute("CREATE TABLE newer (id INTEGER)")
        conn.execute("BEGIN EXCLUSIVE")
        assert client.history().data["recordsTotal"] == 0
        locked = client.ask("cmd=download_database")
        conn.rollback()
    assert first.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert older.status == locked.status == HTTPStatus.OK
    assert b"newer" not in locked.raw


# Faults.


@pytest.fixture
def faulty(films: Path, talk: Talk) -> Iterator[Callable[..., Client]]:
    """Serve the films with faults."""
    with FakeTautulli(films) as tautulli:

        def make(*faults: Fault) -> Client:
            tautulli.faults.extend(faults)
            return talk(tautulli)

        yield make


Faulty = Callable[..., Client]


@pytest.mark.parametrize(
    ("fault", "code", "header", "body"),
    [
        (status(503), 503, "", b""),
        (status(599, b"odd"), 599, "", b"odd"),
        (html(), 502, "", b"Bad Gateway"),
        (html(200, "Log in"), 200, "", b"Log in"),
        (json_error("Out of order", 200), 200, "", b"Out of order"),
        (redirect("http://127.0.0.1:9/"), 302, "http://127.0.0.1:9/", b""),
        (retry_after(7), 429, "7", b""),
        (retry_after("Wed, 21 Oct 2037 07:28:00 GMT", 503), 503, "Wed, 21 Oct", b""),
        (broken_json(), 200, "", b'{"response": {"result": "succ'),
        (not_an_object(), 200, "", b"[]"),
        (not_an_object("text"), 200, "", b'"text"'),
        (empty_success(), 200, "", b'"recordsTotal": 0'),
    ],
)
def test_a_fault_answers_instead(
    faulty: Faulty, fault: Fault, code: int, header: str, body: bytes
) -> None:
    client = faulty(fault)
    answer = client.history()
    assert answer.status == code
    assert body in answer.raw
    found = answer.headers["Location"] or answer.headers["Retry-After"] or ""
    assert found.startswith(header)
    assert client.tautulli.requests[0].status == code
    # Nothing of this breaks the connection.
    client.history()
    assert client.tautulli.connections == 1


def test_the_first_fault_that_replies_wins_and_some_run_out(faulty: Faulty) -> None:
    client = faulty(
        on("get_history", times(2, status(500)), start=4),
        times(1, on("get_history", status(501))),
        on("status", after(1, status(502))),
        when(lambda asked: "search" in asked.params, status(504)),
    )
    codes = [client.history(f"&start={start}").status for start in (4, 0, 0, 4, 4)]
    assert codes == [500, 501, 200, 500, 200]
    assert [client.ask("cmd=status").status for _ in range(3)] == [200, 502, 502]
    assert client.history("&search=x").status == 504


def test_a_reply_can_be_anything(faulty: Faulty) -> None:
    client = faulty(
        times(1, lambda _: Reply(status=207, headers={"X-Odd": "yes"})),
        times(1, lambda asked: Reply(body=asked.path.encode())),
    )
    answer = client.history()
    assert (answer.status, answer.headers["X-Odd"]) == (207, "yes")
    assert json.loads(answer.body)["response"]["data"]["recordsTotal"] == 12
    assert client.send("/x?y").raw == b"/x?y"


@pytest.mark.parametrize("fault", [truncated(100), reset(), reset(100), close()])
def test_a_connection_breaks_once(faulty: Faulty, fault: Fault) -> None:
    client = faulty(times(1, fault))
    with pytest.raises(LOST):
        client.history()
    assert client.history().ids == [*range(1, 13)]
    assert client.tautulli.connections == 2


def test_a_reset_is_told_apart_from_an_end(faulty: Faulty) -> None:
    client = faulty(times(1, reset()), times(1, close()))
    with pytest.raises(ConnectionResetError) as broken:
        client.history()
    assert not isinstance(broken.value, http.client.RemoteDisconnected)
    with pytest.raises(http.client.RemoteDisconnected):
        client.history()


def test_a_server_hangs_up_after_an_answer_without_a_word(faulty: Faulty) -> None:
    client = faulty(times(1, hang_up()))
    answer = client.history()
    assert answer.ids == [*range(1, 13)]
    assert answer.headers["Connection"] is None
    with pytest.raises(LOST):
        client.history()


@pytest.mark.parametrize("fault", [hang(0.2), slow(0.2)])
def test_an_answer_can_take_its_time(faulty: Faulty, fault: Fault) -> None:
    client = faulty(fault)
    before = time.monotonic()
    assert client.history().ids == [*range(1, 13)]
    assert time.monotonic() - before >= 0.15


@pytest.mark.parametrize("fault", [hang(600), slow(600)])
def test_the_end_of_a_test_interrupts_what_hangs(films: Path, talk: Talk, fault: Fault) -> None:
    with FakeTautulli(films) as tautulli:
        tautulli.faults.append(fault)
        client = talk(tautulli)
        client.connection.timeout = 0.2
        with suppress(*LOST):
            client.history()
        until(lambda: tautulli.requests)
        before = time.monotonic()
    assert time.monotonic() - before < SOON
    assert len(tautulli.requests) == 1


def test_chunks_are_an_answer_like_any_other(faulty: Faulty) -> None:
    client = faulty(chunked(), lambda _: Reply(chunked=True, slow=0.1))
    assert client.history().ids == [*range(1, 13)]
    client.tautulli.faults.pop(0)
    answer = client.history()
    assert answer.headers["Content-Length"] is None
    assert answer.ids == [*range(1, 13)]


def test_a_page_can_be_repeated(faulty: Faulty) -> None:
    client = faulty(on("get_history", repeated_page()))
    page = "cmd=get_history&grouping=0&include_activity=0&length=5&order_dir=asc&start="
    assert client.ask(f"{page}0").ids == client.ask(f"{page}5").ids == [1, 2, 3, 4, 5]
    assert [asked.params["start"] for asked in client.tautulli.requests] == ["0", "5"]


def test_totals_can_shrink_and_rows_go_missing(faulty: Faulty) -> None:
    client = faulty(
        times(2, shrinking_total(3)), times(1, fewer_rows(4)), empty_success(total=True)
    )
    assert [client.history().data["recordsFiltered"] for _ in range(2)] == [9, 6]
    fewer = client.history()
    assert (fewer.data["recordsFiltered"], len(fewer.ids)) == (12, 8)
    assert client.tautulli.requests[-1].rows == 8
    empty = client.history().data
    assert (empty["recordsFiltered"], empty["recordsTotal"], empty["data"]) == (0, 12, [])


def test_data_and_rows_can_be_changed(faulty: Faulty) -> None:
    client = faulty(
        times(1, with_data(recordsFiltered="many", data=None)),
        times(1, with_rows(title=None)),
        times(1, without("guid", "row_id")),
        times(1, wrong_types()),
        times(1, Change(lambda data: [data])),
    )
    data = [client.history().data for _ in range(5)]
    assert (data[0]["recordsFiltered"], data[0]["data"]) == ("many", None)
    assert {row["title"] for row in data[1]["data"]} == {None}
    assert not {"guid", "row_id"} & data[2]["data"][0].keys()
    assert data[3]["data"][0]["started"] == {"at": 1}
    assert data[4][0]["recordsFiltered"] == 12
    assert [asked.rows for asked in client.tautulli.requests] == [0, 12, 12, 12, 1]


def test_a_change_leaves_errors_alone(faulty: Faulty) -> None:
    client = faulty(fewer_rows())
    assert client.ask("cmd=nope").status == HTTPStatus.BAD_REQUEST


def test_a_failure_of_the_server_itself_is_no_answer(films: Path, talk: Talk) -> None:
    def fails(_: Asked) -> None:
        raise ZeroDivisionError

    def ask() -> None:
        with FakeTautulli(films) as tautulli:
            tautulli.before_history = fails
            with pytest.raises(LOST):
                talk(tautulli).history()

    with pytest.raises(RuntimeError, match="the fake server itself"):
        ask()


def test_the_peak_of_requests_at_once_is_known(films: Path, talk: Talk) -> None:
    with FakeTautulli(films) as tautulli:
        client = talk(tautulli)
        for _ in range(3):
            client.history()
    assert tautulli.most_at_once == 1
    assert [asked.at for asked in tautulli.requests] == sorted(a.at for a in tautulli.requests)
