"""What can be wrong with a NATS server, a stream or a secret: said in a sentence, and soon."""

import asyncio
import json
import logging
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tautulli_import.errors import (
    ConfigurationError,
    NotFoundError,
    SinkError,
    SourceUnreachableError,
    TautulliImportError,
    UnauthorisedError,
)
from tautulli_import.jetstream import credentials
from tautulli_import.jetstream.access import Access
from tautulli_import.jetstream.connection import Connection
from tautulli_import.jetstream.stream import StreamState, ensure_stream, look_at_stream
from tests.support.nats import NatsServer, api, asking, free_port, impatient, make_stream
from tests.support.tautulli.tls import certificate
from tests.support.waiting import LONG, SOON

SECRET = "s3cr%40t"  # noqa: S105 - the tests look for it everywhere
PLAIN = "s3cr@t"
USERS = f"""authorization {{ users: [ {{ user: alice, password: "{PLAIN}" }} ] }}"""


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path)


def opened(access: Access) -> None:
    with asking(access):
        pass


def failing(access: Access) -> TautulliImportError:
    """Return the error of connecting, which has to come without waiting for anything."""
    began = time.monotonic()
    with pytest.raises(TautulliImportError) as caught:
        opened(msgspec.structs.replace(access, timeout=LONG))
    assert time.monotonic() - began < SOON
    assert caught.value.hint
    return caught.value


def at(server: NatsServer, who: dict[str, str]) -> dict[str, str]:
    """Return the settings, with the server's address in them."""
    host = f"127.0.0.1:{server.port}"
    return {name: value.replace("{host}", host) for name, value in who.items()}


@contextmanager
def listening(greeting: bytes, tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Somebody who says a thing to whoever connects, and answers PING; with TLS at once."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = door.accept()
                with suppress(OSError), sock:
                    talk(context.wrap_socket(sock, server_side=True) if context else sock)

    def talk(sock: socket.socket) -> None:
        with sock:
            sock.sendall(greeting)
            while told := sock.recv(4096):
                if b"PING" in told:
                    sock.sendall(b"PONG\r\n")

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_server_that_is_down_is_told_at_once() -> None:
    error = failing(Access(url=f"nats://127.0.0.1:{free_port()}"))
    assert type(error) is SourceUnreachableError
    assert "connection refused" in str(error)
    assert "nats-server is running" in error.hint


def test_a_frozen_server_is_told_before_it_is_asked_anything(server: NatsServer) -> None:
    server.freeze()
    with pytest.raises(SourceUnreachableError, match="no answer in time"):
        opened(server.access(timeout=1.0))


def test_a_name_that_nobody_knows_is_told() -> None:
    error = failing(Access(url="nats.invalid"))
    assert type(error) is SourceUnreachableError
    assert str(error) == "Cannot connect to NATS at nats://nats.invalid:4222 (unknown host name)."


def test_somebody_else_on_the_port_is_told() -> None:
    with listening(b"SSH-2.0-OpenSSH_9.2p1\r\n") as port:
        error = failing(Access(url=f"nats://127.0.0.1:{port}"))
    assert "is not a NATS server" in str(error)
    with listening(b"x" * 100_000) as port:
        error = failing(Access(url=f"nats://127.0.0.1:{port}"))
    assert "is not a NATS server" in str(error)


def test_the_next_server_of_the_list_is_taken_when_one_is_down(server: NatsServer) -> None:
    down = f"127.0.0.1:{free_port()}"
    with asking(server.access(url=f"{down}, {server.url}")) as connection:
        assert connection.max_payload == 1_048_576


def test_of_several_servers_the_most_telling_trouble_is_said(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", USERS) as server:
        error = failing(server.access(url=f"127.0.0.1:{free_port()},{server.url}"))
    assert type(error) is UnauthorisedError
    assert str(error).startswith("None of the 2 NATS servers can be used. ")
    assert server.url in str(error)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "nats://", "nats://host:port", "nats://host:99999", "", " , "]
)
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    error = failing(Access(url=url))
    assert type(error) is ConfigurationError
    assert "nats://HOST:4222" in error.hint


def test_without_nats_py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    error = failing(Access())
    assert type(error) is ConfigurationError
    assert (str(error), error.hint) == (
        "The package nats-py is missing. NATS needs it.",
        "Install it: pipx inject tautulli-import nats-py (in a clone: pip install '.[nats]')",
    )


@pytest.mark.parametrize(
    "who",
    [
        {"user": "alice", "password": PLAIN},
        {"url": "nats://alice:" + SECRET + "@{host}"},
        {"url": "nats://alice:" + SECRET + "@{host},nats://{host}"},
    ],
)
def test_a_user_and_a_password_let_us_in(tmp_path: Path, who: dict[str, str]) -> None:
    with NatsServer(tmp_path / "nats", USERS) as server:
        host = f"127.0.0.1:{server.port}"
        opened(
            server.access(**{name: value.replace("{host}", host) for name, value in who.items()})
        )


@pytest.mark.parametrize("who", [{"token": PLAIN}, {"url": f"nats://{SECRET}@{{host}}"}])
def test_a_token_lets_us_in(tmp_path: Path, who: dict[str, str]) -> None:
    with NatsServer(tmp_path / "nats", f'authorization {{ token: "{PLAIN}" }}') as server:
        host = f"127.0.0.1:{server.port}"
        opened(
            server.access(**{name: value.replace("{host}", host) for name, value in who.items()})
        )


@pytest.mark.parametrize(
    ("who", "hint"),
    [
        ({}, "Use --nats-user with --nats-password-file"),
        ({"user": "alice", "password": "wr0ng"}, "--nats-password-file"),
        ({"user": "bob", "password": PLAIN}, "--nats-user"),
        ({"token": PLAIN}, "--nats-token-file"),
        ({"url": "nats://alice:" + SECRET + "x@{host}"}, "--nats-user"),
    ],
)
def test_who_is_not_let_in_is_told_so_and_no_secret_is_said(
    tmp_path: Path,
    who: dict[str, str],
    hint: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with NatsServer(tmp_path / "nats", USERS) as server:
        access = server.access(**at(server, who))
        error = failing(access)
    assert type(error) is UnauthorisedError
    assert hint in error.hint
    told = "".join(traceback.format_exception(error)) + error.hint + repr(access)
    told += caplog.text + "".join(capfd.readouterr())
    assert not [secret for secret in (SECRET, PLAIN, "wr0ng") if secret in told]


def test_a_server_that_goes_away_says_nothing_of_it_on_the_terminal(
    server: NatsServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with asking(server.access(patience=0.3)) as connection:
        server.kill()
        with pytest.raises(SourceUnreachableError, match=r"gone for 0\.3 seconds"):
            connection.run(connection.ask("$JS.API.INFO"))
    assert ("".join(capfd.readouterr()), caplog.text) == ("", "")


def test_an_answer_is_waited_for_across_a_restart(server: NatsServer) -> None:
    with asking(server.access()) as connection:
        server.restart()
        assert ensure_stream(connection)
        assert connection.generation == 2


def test_a_frozen_server_leaves_no_question_waiting(server: NatsServer) -> None:
    with asking(server.access()) as connection:
        server.freeze()
        began = time.monotonic()
        with (
            impatient(connection, timeout=0.3),
            pytest.raises(SourceUnreachableError, match=r"did not answer within 0\.3 seconds"),
        ):
            connection.run(connection.ask("$JS.API.INFO"))
    assert time.monotonic() - began < SOON


def test_credentials_that_are_none_are_told(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "user.creds"
    assert type(failing(server.access(creds=path))) is NotFoundError
    path.write_text("-----BEGIN NATS USER JWT-----\nx.y.z\n", encoding="utf-8")
    assert "is not a credentials file" in str(failing(server.access(creds=path)))
    path.write_text("BEGIN NATS USER JWT\nBEGIN USER NKEY SEED\n", encoding="utf-8")
    monkeypatch.setattr(credentials, "find_spec", lambda _name: None)
    assert failing(server.access(creds=path)).hint.startswith(
        "Install it: pipx inject tautulli-import nkeys "
    )


def test_tls_is_spoken_where_the_authority_is_known(
    tmp_path: Path, certificates: tuple[Path, Path]
) -> None:
    cert, key = certificates
    config = f'tls {{ cert_file: "{cert}", key_file: "{key}" }}'
    with NatsServer(tmp_path / "nats", config) as server:
        opened(server.access(url=server.url.replace("nats", "tls"), ca_file=cert))
        opened(server.access(ca_file=cert))
        error = failing(server.access())
        assert type(error) is SourceUnreachableError
        assert "certificate that is not trusted" in str(error)
        assert "--nats-ca-file" in error.hint
        with asking(server.access(ca_file=cert)) as connection:
            server.restart()
            assert ensure_stream(connection)


def test_a_server_that_wants_our_certificate_gets_it(
    tmp_path: Path, certificates: tuple[Path, Path]
) -> None:
    cert, key = certificates
    config = f'tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{cert}", verify: true }}'
    with NatsServer(tmp_path / "nats", config) as server:
        opened(server.access(ca_file=cert, cert=cert, key=key))
        error = failing(server.access(ca_file=cert))
    assert type(error) is UnauthorisedError
    assert "--nats-cert" in error.hint


def test_a_server_that_wants_tls_before_anything_else_gets_it(
    certificates: tuple[Path, Path],
) -> None:
    info = b'INFO {"server_id":"x","version":"2.10.4","headers":true,"max_payload":4096}\r\n'
    with listening(info, certificates) as port:
        access = Access(url=f"127.0.0.1:{port}", ca_file=certificates[0], tls_first=True)
        with asking(access) as connection:
            assert connection.max_payload == 4096


def test_a_server_that_does_not_want_tls_first_is_told(server: NatsServer) -> None:
    error = failing(server.access(tls_first=True))
    assert type(error) is SourceUnreachableError
    assert "--nats-tls-first" in error.hint


def test_without_tls_nobody_is_told_who_we_are_where_it_was_asked_for(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", f"{USERS}\ntrace: true\ndebug: true") as server:
        url = f"tls://127.0.0.1:{server.port}"
        error = failing(server.access(url=url, user="alice", password=PLAIN))
        assert type(error) is SourceUnreachableError
        assert "does not offer TLS" in str(error)
        assert "CONNECT" not in server.log


@pytest.mark.parametrize("which", ["ca_file", "cert", "key"])
def test_a_file_for_tls_that_is_none_is_told(
    server: NatsServer, tmp_path: Path, which: str
) -> None:
    path = tmp_path / "file.pem"
    given: dict[str, Any] = {"cert": path, which: path}
    error = failing(server.access(**given))
    assert type(error) is NotFoundError
    assert str(path) in str(error)
    path.write_text("no certificate\n", encoding="utf-8")
    error = failing(server.access(**given))
    assert type(error) is ConfigurationError
    assert "PEM" in error.hint


def ensured(access: Access, *, create: bool = True) -> StreamState | None:
    with asking(access) as connection:
        return ensure_stream(connection, create=create)


def unfit(access: Access) -> TautulliImportError:
    with pytest.raises(TautulliImportError) as caught:
        ensured(access)
    assert caught.value.hint
    return caught.value


def test_the_stream_is_made_as_the_specification_has_it(server: NatsServer) -> None:
    made = ensured(server.access())
    assert made is not None
    config = api(server.access(), "STREAM.INFO.MEDIA_EVENTS")["config"]
    assert config["subjects"] == ["playback.>", "plex.>", "jellyfin.>", "tautulli.>"]
    wanted = {
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": 7 * 24 * 3600 * 10**9,
        "max_bytes": 10 * 1024**3,
        "duplicate_window": 120 * 10**9,
        "num_replicas": 1,
    }
    assert {name: config[name] for name in wanted} == wanted
    assert (made.duplicate_window, made.max_msg_size, made.messages) == (120, -1, 0)
    server.restart()
    assert ensured(server.access()) == made


def test_a_stream_that_is_there_is_never_altered(server: NatsServer) -> None:
    make_stream(server.access(), max_age=3600 * 10**9, max_bytes=1_000_000)
    before = api(server.access(), "STREAM.INFO.MEDIA_EVENTS")
    assert ensured(server.access())
    after = api(server.access(), "STREAM.INFO.MEDIA_EVENTS")
    assert (after["config"], after["created"]) == (before["config"], before["created"])


def test_where_nothing_may_be_made_nothing_is(server: NatsServer) -> None:
    assert ensured(server.access(), create=False) is None
    assert api(server.access(), "STREAM.NAMES")["streams"] is None
    with asking(server.access()) as connection:
        assert look_at_stream(connection) is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"subjects": ["plex.>", "x"]}, "its subjects are plex.>, x"),
        ({"no_ack": True}, "does not acknowledge"),
    ],
)
def test_a_stream_that_is_not_fit_is_told(
    server: NatsServer, config: dict[str, Any], words: str
) -> None:
    make_stream(server.access(), **config)
    error = unfit(server.access())
    assert type(error) is SinkError
    assert words in str(error)
    assert "--nats-stream NAME" in error.hint


def test_a_sealed_stream_is_told(server: NatsServer) -> None:
    access = server.access()
    make_stream(access)
    config = api(access, "STREAM.INFO.MEDIA_EVENTS")["config"]
    assert "error" not in api(access, "STREAM.UPDATE.MEDIA_EVENTS", {**config, "sealed": True})
    assert "is sealed" in str(unfit(access))


def test_a_mirror_is_told(server: NatsServer) -> None:
    make_stream(server.access(), name="FIRST")
    make_stream(server.access(), subjects=None, mirror={"name": "FIRST"})
    assert "is a mirror" in str(unfit(server.access()))


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("subjects", [["playback.>"], ["jellyfin.a.*"], ["x", "*.b"]])
def test_another_stream_with_our_subjects_is_named(
    server: NatsServer, subjects: list[str], create: bool
) -> None:
    # Since nats-server 2.10 a stream whose subjects match those of JetStream acknowledges nothing.
    no_ack = "*.b" in subjects
    make_stream(server.access(), name="THEIRS", subjects=subjects, no_ack=no_ack)
    with pytest.raises(SinkError, match="THEIRS") as caught:
        ensured(server.access(), create=create)
    assert "--nats-stream THEIRS" in caught.value.hint


@pytest.mark.parametrize("name", ["A B", "a.b", "*", "", "x/y", "a>"])
def test_what_cannot_be_a_streams_name_is_refused(server: NatsServer, name: str) -> None:
    assert type(unfit(server.access(stream=name))) is ConfigurationError


def test_a_server_without_jetstream_is_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", jetstream=False) as server:
        error = unfit(server.access())
    assert type(error) is SourceUnreachableError
    assert "has no JetStream" in str(error)
    assert "nats-server -js" in error.hint


def account(limits: str) -> str:
    return f"accounts {{ A {{ {limits} users: [ {{ user: a, password: b }} ] }} }}"


def test_an_account_without_jetstream_is_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats", account("")) as server:
        error = unfit(server.access(user="a", password="b"))  # noqa: S106 - no secret
    assert isinstance(error, SourceUnreachableError)
    assert "JetStream not enabled for account" in str(error)


def test_too_little_room_for_the_stream_is_told_and_no_smaller_one_made(tmp_path: Path) -> None:
    store = f'jetstream {{ store_dir: "{tmp_path / "store"}", max_file_store: 1G }}'
    with NatsServer(tmp_path / "nats", store) as server:
        error = unfit(server.access())
        assert type(error) is SinkError
        assert "with room for 10 GiB: insufficient storage resources available" in str(error)
        assert "max_file_store" in error.hint
        assert "nats stream add MEDIA_EVENTS" in error.hint
        assert api(server.access(), "STREAM.NAMES")["streams"] is None


def test_how_much_an_account_may_store_is_told(tmp_path: Path) -> None:
    limits = account("jetstream: { max_file: 2147483648 },")
    with NatsServer(tmp_path / "nats", limits) as server:
        error = unfit(server.access(user="a", password="b"))  # noqa: S106 - no secret
    assert "this account may store 2.0 GiB" in str(error)


@pytest.mark.parametrize(
    "denied", ['publish: { deny: "$JS.API.STREAM.CREATE.>" }', 'subscribe: { deny: "_INBOX.>" }']
)
def test_what_we_may_not_do_is_told_at_once(tmp_path: Path, denied: str) -> None:
    user = f"{{ user: a, password: b, permissions: {{ {denied} }} }}"
    with NatsServer(tmp_path / "nats", f"authorization {{ users: [ {user} ] }}") as server:
        began = time.monotonic()
        error = unfit(server.access(user="a", password="b"))  # noqa: S106 - no secret
        assert time.monotonic() - began < SOON
    assert type(error) is UnauthorisedError
    assert "_INBOX.>" in error.hint


def test_a_connection_that_was_never_opened_is_closed_without_a_word() -> None:
    connection = Connection(Access())
    connection.close()
    connection.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://u:sec,ret@127.0.0.1:4999", "nats://127.0.0.1:4999"),
        ("nats://u:s,e@a:1,nats://u:s,e@b:2", "nats://a:1,nats://b:2"),
        ("a:1,b:2", "nats://a:1,nats://b:2"),
        ("u:s,e@a:1,b:2", "nats://a:1,nats://b:2"),
    ],
)
def test_a_password_with_a_comma_is_shown_nowhere(url: str, shown: str) -> None:
    assert Access(url=url).shown == shown


# Servers that a server announces.


class Hostile:
    """Listens like a NATS server. It can announce another one, and break every connection."""

    def __init__(self, announces: str = "") -> None:
        self.heard: list[bytes] = []
        self._info = {"max_payload": 1 << 20, "connect_urls": [announces] if announces else None}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                connection.sendall(b"INFO " + json.dumps(self._info).encode() + b"\r\n")
                heard = b""
                while b"PING" not in heard and (more := connection.recv(4096)):
                    heard += more
                self.heard.append(heard)
                if heard == b"END":
                    return
                connection.sendall(b"PONG\r\n")

    def close(self) -> None:
        """Stop listening."""
        host, _, port = self.place.partition(":")
        with socket.create_connection((host, int(port))) as last:
            last.recv(4096)
            last.sendall(b"END")
        self._thread.join(10)
        self._socket.close()


@pytest.mark.parametrize(
    "who", [{"user": "alice", "password": PLAIN}, {"token": PLAIN}, {"url": f"nats://{SECRET}@"}]
)
def test_a_server_that_a_server_announces_gets_no_secret(who: dict[str, Any]) -> None:
    with closing(Hostile()) as trap, closing(Hostile(trap.place)) as named:
        url = f"{who.get('url', 'nats://')}{named.place}"
        with asking(Access(**{**who, "url": url, "timeout": LONG})) as connection:

            async def broke_off() -> None:
                while len(named.heard) < 3 and not trap.heard:  # noqa: ASYNC110 - of threads
                    await asyncio.sleep(0.01)

            connection.run(broke_off())
    assert not any(PLAIN.encode() in heard for heard in trap.heard)
    assert all(PLAIN.encode() in heard for heard in named.heard[:3])


@pytest.mark.parametrize("who", [{"user": "a\x07"}, {"token": "a\nb"}, {"url": "nats://a%0Ab@x"}])
def test_a_secret_with_control_characters_is_refused(who: dict[str, Any]) -> None:
    assert "has control characters" in str(failing(Access(**who)))
