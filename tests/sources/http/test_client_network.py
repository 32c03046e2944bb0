"""The way to a Tautulli: certificates, proxies with passwords, HTTP roots, and time."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SourceUnreachableError,
    TautulliImportError,
    UnansweredError,
    UnauthorisedError,
)
from tautulli_import.sources.http import client
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tests.conftest import Cli
from tests.support.history import add_play, create
from tests.support.over_http import no_waiting
from tests.support.tautulli import KEY, FakeTautulli, certificate, hang, slow, times
from tests.support.waiting import SOON, until

Pair = tuple[Path, Path]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "tautulli.db"
    with closing(create(path)) as conn:
        add_play(conn, title="Film")
    return path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return a certificate for 127.0.0.1 that nobody has signed."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Put one question to a URL, without waiting between two tries."""

    def put(url: str, **given: Any) -> dict[str, Any]:
        tautulli = Tautulli(Access(parse_address(url), KEY, **{"timeout": 60.0, **given}))
        try:
            return tautulli.ask("get_history", dict[str, Any], grouping=0)
        finally:
            tautulli.close()

    with no_waiting():
        yield put


def error(ask: Ask, url: str, **given: Any) -> TautulliImportError:
    with pytest.raises(TautulliImportError) as caught:
        ask(url, **given)
    told = f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    assert "secret" not in told
    assert KEY not in told
    return caught.value


# Certificates.


def test_a_certificate_that_nobody_has_signed_is_refused_with_a_hint(
    history: Path, tls: Pair, ask: Ask
) -> None:
    with FakeTautulli(history, tls=tls) as server:
        told = error(ask, server.url)
    assert type(told) is SourceUnreachableError
    assert "has a certificate that is not trusted: self-signed certificate" in str(told)
    assert "--ca-file" in told.hint
    assert "--insecure" in told.hint
    assert server.connections == 1
    assert not server.requests


def test_a_certificate_that_was_named_is_trusted(history: Path, tls: Pair, ask: Ask) -> None:
    with FakeTautulli(history, tls=tls) as server:
        assert ask(server.url, ca_file=tls[0])["recordsTotal"] == 1


def test_any_certificate_can_be_accepted(history: Path, tls: Pair, ask: Ask) -> None:
    with FakeTautulli(history, tls=tls) as server:
        assert ask(server.url, insecure=True)["recordsTotal"] == 1


def test_a_certificate_for_another_name_is_refused(history: Path, tls: Pair, ask: Ask) -> None:
    with FakeTautulli(history, tls=tls) as server:
        told = error(ask, f"https://localhost:{server.port}", ca_file=tls[0])
        assert ask(f"https://localhost:{server.port}", insecure=True)["recordsTotal"] == 1
    assert "not trusted" in str(told)
    assert "localhost" in str(told)


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\xfe"], ids=repr)
def test_a_file_that_is_no_certificate_is_an_error(
    tmp_path: Path, ask: Ask, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    told = error(ask, "https://127.0.0.1:9", ca_file=path)
    assert type(told) is ConfigurationError
    assert str(path) in str(told)
    assert "--ca-file" in told.hint


def test_a_directory_is_no_certificate(tmp_path: Path, ask: Ask) -> None:
    assert type(error(ask, "https://127.0.0.1:9", ca_file=tmp_path)) is ConfigurationError


def test_plain_http_to_a_tls_port_is_said(history: Path, tls: Pair, ask: Ask) -> None:
    with FakeTautulli(history, tls=tls) as server:
        told = error(ask, f"http://127.0.0.1:{server.port}")
    assert isinstance(told, SourceUnreachableError)


def test_a_server_that_wants_https_is_understood(ask: Ask) -> None:
    # As CherryPy puts it, which is inside of Tautulli.
    said = b"The client sent a plain HTTP request, but this server only speaks HTTPS on this port."
    with Raw(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
    ) as raw:
        told = error(ask, raw.url)
    assert "only speaks HTTPS" in str(told)
    assert "https://" in told.hint


def test_https_to_a_plain_port_is_said(history: Path, ask: Ask) -> None:
    with FakeTautulli(history) as server:
        told = error(ask, f"https://127.0.0.1:{server.port}")
    assert isinstance(told, SourceUnreachableError)
    assert "HTTPS" in str(told)
    assert "http://" in told.hint


def test_the_command_line_takes_a_certificate(history: Path, tls: Pair, cli: Cli) -> None:
    with FakeTautulli(history, tls=tls) as server:
        env = server.environment
        refused = cli("users", "api", "--json", env=env)
        named = cli("users", "api", "--json", "--ca-file", tls[0], env=env)
        careless = cli("users", "api", "--json", "--insecure", env=env)
    assert refused.code == 3
    assert "--ca-file FILE" in refused.err
    assert (named.code, careless.code) == (0, 0)
    assert f"Any server can pretend to be {server.url} and get the API key" in careless.err
    assert named.out == careless.out
    assert '"plays":1' in named.out


# A proxy that wants a password.


def test_the_password_of_a_proxy_stands_in_the_url(history: Path, ask: Ask) -> None:
    with FakeTautulli(history, basic_auth=("me", "se:c@ret")) as server:
        url = server.url.replace("//", "//me:se%3Ac%40ret@")
        assert ask(url)["recordsTotal"] == 1
        (asked,) = server.requests
        assert asked.header("Authorization").startswith("Basic ")
        assert asked.key_in == "form"


@pytest.mark.parametrize("user", ["", "me:wrong@", "me@", ":secret@"])
def test_a_wrong_password_is_told_from_a_wrong_key(history: Path, ask: Ask, user: str) -> None:
    with FakeTautulli(history, basic_auth=("me", "secret")) as server:
        told = error(ask, server.url.replace("//", f"//{user}"))
    assert type(told) is UnauthorisedError
    assert "answered 401" in str(told)
    assert "https://user:password@host" in told.hint
    assert "wrong" not in f"{told} {told.hint}"
    assert len(server.requests) == 1


def test_behind_the_right_password_a_wrong_key_is_a_wrong_key(history: Path, ask: Ask) -> None:
    with FakeTautulli(history, basic_auth=("me", "secret"), key="other") as server:
        told = error(ask, server.url.replace("//", "//me:secret@"))
    assert "Invalid apikey" in str(told)


# HTTP roots.


@pytest.mark.parametrize("page", ["", "/", "/home", "/history#x", "/api/v2", "/home?a=b"])
def test_an_http_root_is_found_in_what_was_pasted(history: Path, ask: Ask, page: str) -> None:
    with FakeTautulli(history, http_root="/tautulli") as server:
        assert ask(f"{server.origin}/tautulli{page}")["recordsTotal"] == 1
        assert server.requests[0].path == "/tautulli/api/v2"


@pytest.mark.parametrize("root", ["", "/other", "/tautull", "/tautulli/more", "/Tautulli"])
def test_a_wrong_http_root_is_said(history: Path, ask: Ask, root: str) -> None:
    with FakeTautulli(history, http_root="/tautulli") as server:
        told = error(ask, f"{server.origin}{root}")
    assert type(told) is NotFoundError
    assert "there is no Tautulli at this path" in str(told)
    named = f"--url {server.origin}" if root else "with its HTTP root"
    assert named in told.hint


def test_an_http_root_that_is_none_is_said(history: Path, ask: Ask) -> None:
    """A POST to a wrong path is answered with 403, but no proxy is to blame."""
    with FakeTautulli(history) as server:
        told = error(ask, f"{server.url}/tautulli")
    assert type(told) is NotFoundError
    assert "there is no Tautulli at this path" in str(told)
    assert f"--url {server.origin}" in told.hint
    assert "proxy" not in told.hint


# Time.


def test_a_slow_answer_is_waited_for(history: Path, ask: Ask) -> None:
    with FakeTautulli(history) as server:
        server.faults.append(hang(1.2))
        assert ask(server.url)["recordsTotal"] == 1
        assert len(server.requests) == 1


def test_silence_ends_after_a_while_and_a_second_try(history: Path, ask: Ask) -> None:
    began = time.monotonic()
    with FakeTautulli(history) as server:
        server.faults.append(hang(600))
        told = error(ask, server.url, timeout=0.2)
        until(lambda: len(server.requests) == 2)
    assert time.monotonic() - began < SOON
    assert type(told) is UnansweredError
    assert "sent nothing for 0.2 seconds" in str(told)
    assert "--timeout SECONDS" in told.hint


def test_silence_can_pass(history: Path, ask: Ask) -> None:
    with FakeTautulli(history) as server:
        server.faults.append(times(1, hang(600)))
        assert ask(server.url, timeout=2)["recordsTotal"] == 1


def test_a_drip_is_no_answer_in_the_long_run(history: Path, ask: Ask) -> None:
    with FakeTautulli(history) as server:
        # A piece each half second is never silent for long.
        server.faults.append(slow(10))
        told = error(ask, server.url, timeout=1)
    assert type(told) is UnansweredError
    assert "needed more than 4 seconds for one answer" in str(told)
    assert "--timeout" in told.hint


HEAD: bytes = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("sent", "again"),
    [
        (HEAD + b"X: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", b" "),
    ],
    ids=["header", "continue", "body"],
)
def test_a_drip_of_anything_ends(
    ask: Ask, sent: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.2 / 60)
    with Raw(sent, again) as raw:
        told = error(ask, raw.url)
    assert type(told) is UnansweredError
    assert "needed more than 0.2 seconds for one answer" in str(told)


def downloaded(url: str, timeout: float) -> int:
    """Download a database, and return its size."""
    sizes = []
    with (
        closing(Tautulli(Access(parse_address(url), KEY, timeout=timeout))) as tautulli,
        no_waiting(),
    ):
        tautulli.download(
            "download_database", lambda: lambda _: None, lambda done, _: sizes.append(done)
        )
    return sizes[-1]


def test_a_download_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 1.2 / 60)
    head = HEAD + b"Content-Type: application/octet-stream\r\n\r\n"
    with Raw(head, b"1234") as raw, pytest.raises(UnansweredError, match=r"more than 1\.2 seconds"):
        downloaded(raw.url, timeout=60)  # a piece comes each hundredth of a second


def test_a_long_download_is_waited_for_while_it_keeps_arriving(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.4 / 60)
    with FakeTautulli(history) as server:
        server.faults.append(slow(1))
        assert downloaded(server.url, timeout=60) == history.stat().st_size


def test_a_download_that_is_larger_than_any_history_is_given_up(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tautulli_import.sources.http.client._LARGEST_DOWNLOAD", 1000)
    with FakeTautulli(history) as server, pytest.raises(UnansweredError, match="more than 0 GB"):
        downloaded(server.url, timeout=60)


def test_an_answer_that_is_compressed_twice_is_refused(ask: Ask) -> None:
    """Each pass can make a thousand times of it: one piece of 64 kB would be 64 GB."""
    twice = gzip.compress(gzip.compress(b" " * 5_000_000))
    head = HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(twice)
    with Raw(head + twice) as raw:
        told = error(ask, raw.url)
    assert "compressed more than once" in str(told)


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"\0" * 100, b"SSH-2.0-OpenSSH_9.6\r\n", b"* OK IMAP\r\n", b"HTTP/1.1"),
        *(
            b"HTTP/9.9 200 OK\r\n\r\n",
            b"HTTP/1.1 999999 X\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad\r\n\r\n",
        ),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"HTTP/1.0 200 OK\r\n\r\nnothing",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        "HTTP/1.1 200 Ü\r\nLocation: ü\r\nContent-Length: 0\r\n\r\n".encode(),
    ],
    ids=lambda sent: ascii(sent)[:50],
)
def test_what_speaks_no_http_is_an_error_like_any_other(ask: Ask, sent: bytes) -> None:
    began = time.monotonic()
    with Raw(sent) as raw:
        told = error(ask, raw.url)
    assert time.monotonic() - began < SOON
    assert told.exit_code in {3, 5, 7}
    assert str(told).startswith(f"{raw.url}/api/v2 get_history")


def test_a_timeout_is_set_on_the_command_line(history: Path, cli: Cli) -> None:
    with FakeTautulli(history) as server:
        server.faults.append(times(3, hang(600)))
        env = server.environment
        result = cli("api", "--dry-run", "--timeout", "1", env=env)
    assert result.code == 3
    assert "sent nothing for 1 seconds" in result.err


@pytest.mark.parametrize("seconds", ["0", "0.5", "-1", "9999", "soon", "nan"])
def test_a_timeout_that_is_none_is_refused(cli: Cli, seconds: str) -> None:
    result = cli("api", "--dry-run", "--url", "http://127.0.0.1:9", "--timeout", seconds)
    assert result.code == 2
    assert "timeout" in result.err
    assert "Traceback" not in result.err


class Raw:
    """Something that listens, and says what it was told to, whatever it is asked."""

    def __init__(self, sent: bytes, again: bytes = b"") -> None:
        """Prepare to say ``sent``, and ``again`` every hundredth of a second for ever."""
        self._sent = sent
        self._again = again
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Closing alone does not wake up who waits for a connection.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(60)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            with connection:
                try:
                    connection.settimeout(60)
                    connection.recv(65_536)
                    connection.sendall(self._sent)
                    while self._again and not self._over.wait(0.01):
                        connection.sendall(self._again)
                except OSError:
                    print("the client has left", file=sys.stderr)
