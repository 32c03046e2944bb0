"""A history, a NATS server, DuckDB files, and the program between them, run by its front door.

Most runs happen in this process: what is under test is the command line and everything behind it,
and a process of its own adds nothing but a second. Tests that kill something start one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
from msgspec import Struct

from tests.conftest import Result
from tests.support.history import generate
from tests.support.household import Household, household
from tests.support.inside import Inside
from tests.support.nats import NatsServer, api, asking
from tests.support.over_http import no_waiting
from tests.support.waiting import LONG, until

__all__ = [
    "TABLE",
    "Done",
    "Pipeline",
    "ask",
    "forgotten",
    "generated",
    "ids_in",
    "is_unread",
    "pipeline",
    "put",
    "rows",
]

TABLE: Final = "playback-events.duckdb"
"""Where events go when nobody names a file."""
_AT_ONCE: Final = 256
_EVENTS: Final = (
    "FROM session_history h JOIN session_history_metadata m USING (id) "
    "JOIN session_history_media_info USING (id) WHERE NOT coalesce(m.live, 0) "
    "AND h.media_type IN ('movie', 'episode', 'track') ORDER BY h.id"
)


class Done(Struct, frozen=True):
    """How a run ended, what it said, and its summary (nothing where it came to none)."""

    code: int
    out: str
    err: str
    told: Mapping[str, Any]

    @classmethod
    def of(cls, result: Result) -> Done:
        """Return a run with ``--json`` that has ended."""
        told = json.loads(result.out) if result.out.startswith("{") else {}
        return cls(result.code, result.out, result.err, told)

    @property
    def said(self) -> str:
        """What it said on standard error, in one line."""
        return " ".join(self.err.split())

    @property
    def new(self) -> int:
        """The new events of all outputs."""
        return sum(int(one["new"]) for one in self.told["outputs"])

    @property
    def duplicates(self) -> int:
        """Those that were known."""
        return sum(int(one["duplicates"]) for one in self.told["outputs"])

    @property
    def carried(self) -> int:
        """The rows that were not read again."""
        return int(self.told["carried"])

    @property
    def again(self) -> list[str]:
        """Why everything was read again."""
        return [one for one in self.told["warnings"] if "read again" in one]

    @property
    def known(self) -> int:
        """Of a consumer's messages those of events that were there already."""
        return sum(self.told["known"].values())


class Pipeline(Household):
    """The program in a directory of its own, with a history to import and a NATS server."""

    def __init__(self, folder: Path, inside: Inside, server: NatsServer) -> None:
        super().__init__(folder, inside)
        self.server = server

    def something_of_everything(self) -> int:
        """Write films, episodes and music, and a clip; return how many events they make."""
        self.films(4)
        self.add("Half a Film", view_offset=100_000)
        for number in range(3):
            self.add(media_type="episode", media_index=number, user_id=2)
        self.add("A Song", media_type="track", grandparent_title="A Band")
        self.add("A Clip", media_type="clip")
        return 9

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Result:
        """Run any command."""
        with no_waiting():
            return self.inside(*args, env=env, stdin=stdin)

    def imported(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Done:
        """Run a command that imports or consumes, to a good end."""
        done = Done.of(self.run(*args, "--json", env=env))
        assert done.code == 0, done.err
        return done

    def publish(self, *options: str | Path) -> Done:
        """``db --to nats``."""
        return self.imported("db", self.path, "--to", "nats", *options)

    def store(self, *options: str | Path) -> Done:
        """``db --to duckdb``."""
        return self.imported("db", self.path, "--to", "duckdb", *options)

    def consume(self, *options: str | Path) -> Done:
        """``consume --once``."""
        return self.imported("consume", "--once", *options)

    @property
    def published(self) -> list[str]:
        """The ids of the messages that the stream has, in their order."""
        return ids_in(self.server)

    def rows(self, name: str | Path = TABLE) -> list[tuple[str, str, int]]:
        """Return the events of a DuckDB file by id, title and user; see ``rows``."""
        return rows(self.folder / name)

    def ask(self, query: str, name: str | Path = TABLE) -> list[tuple[Any, ...]]:
        """Ask a DuckDB file something."""
        return ask(self.folder / name, query)


@contextmanager
def pipeline(
    folder: Path,
    environment: Mapping[str, str],
    *,
    config: str = "",
    jetstream: bool = True,
    serves: bool = True,
) -> Iterator[Pipeline]:
    """Yield a pipeline with an empty history and a server of its own; ``config`` is the server's.

    Unless it ``serves``, the server has yet to be started.
    """
    server = NatsServer(folder / "nats", config, jetstream=jetstream)
    environment = {
        **environment,
        "NATS_URL": server.url,
        "TAUTULLI_IMPORT_NATS_TIMEOUT": f"{LONG:g}",
        "TAUTULLI_IMPORT_NATS_PATIENCE": f"{LONG:g}",
    }
    with ExitStack() as stack, household(Pipeline, folder, environment, server=server) as made:
        stack.callback(server.kill)
        if serves:
            server.start()
        yield made


def generated(folder: Path, events: int) -> Path:
    """Return a believable history of so many events: films, episodes, music and some others."""
    path = folder / f"generated-{events}.db"
    generate(path, plays=events + events // 10 + 50, truth=False)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA synchronous = OFF")
        (last,) = conn.execute(f"SELECT id {_EVENTS} LIMIT 1 OFFSET {events - 1}").fetchone()
        for table in ("session_history", "session_history_metadata", "session_history_media_info"):
            conn.execute(f"DELETE FROM {table} WHERE id > ?", (last,))  # noqa: S608 - our own names
    return path


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a DuckDB file something, without writing to it."""
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query).fetchall()


def rows(path: Path) -> list[tuple[str, str, int]]:
    """Return the id, the title and the user of every event in a DuckDB file, sorted by session.

    Fails when one is there twice.
    """
    query = "SELECT id::VARCHAR, title, user_id, session_key FROM playback_events"
    found = ask(path, query)
    sessions = [session for *_, session in found]
    assert len(set(sessions)) == len(sessions), "an event is there twice"
    return [(one, title, user) for one, title, user, _ in sorted(found, key=_by_session)]


def _by_session(row: tuple[Any, ...]) -> int:
    return int(str(row[-1]).removeprefix("tautulli-"))


def ids_in(server: NatsServer, stream: str = "MEDIA_EVENTS") -> list[str]:
    """Return the ids of the playback events in a stream, in the order in which they stand there."""
    access = server.access(stream=stream)
    state = api(access, f"STREAM.INFO.{stream}")["state"]
    with asking(access) as connection:

        async def read(number: int) -> str:
            request = msgspec.json.encode({"seq": number})
            told = await connection.ask(f"$JS.API.STREAM.MSG.GET.{stream}", request)
            message = msgspec.json.decode(told, type=dict[str, Any])["message"]
            if not message["subject"].startswith("playback."):
                return ""
            return str(msgspec.json.decode(base64.b64decode(message["data"]))["event_id"])

        async def read_all() -> Sequence[str]:
            found: list[str] = []
            first, last = state["first_seq"], state["last_seq"]
            for start in range(first, last + 1, _AT_ONCE):
                numbers = range(start, min(start + _AT_ONCE, last + 1))
                found += await asyncio.gather(*map(read, numbers))
            return found

        return [one for one in connection.run(read_all()) if one]


def put(
    server: NatsServer,
    payload: bytes,
    *,
    subject: str = "playback.test.movie",
    message_id: str = "",
) -> bool:
    """Publish a message as any program might; whether the stream knew its id already."""
    headers = {"Nats-Msg-Id": message_id} if message_id else None
    with asking(server.access()) as connection:

        async def publish() -> bytes:
            client = connection.client
            return (await client.request(subject, payload, timeout=LONG, headers=headers)).data

        ack = msgspec.json.decode(connection.run(publish()), type=dict[str, Any])
    assert "error" not in ack, ack
    return bool(ack.get("duplicate"))


def forgotten(server: NatsServer, subject: str) -> None:
    """Wait until the stream has forgotten every message that it has by now."""
    put(server, b"probe", subject=subject, message_id="probe")
    until(lambda: not put(server, b"probe", subject=subject, message_id="probe"))


def is_unread(server: NatsServer) -> bool:
    """Whether somebody has sent the server something that it has not read."""
    here = f":{server.port:04X}"
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    sockets = [line.split() for line in lines]
    return any(one[1].endswith(here) and int(one[4].partition(":")[2], 16) for one in sockets)
