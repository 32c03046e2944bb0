"""``make bench``, the part about playback events: into JetStream, DuckDB, and the one to the other.

Each rate stands beside that of the way that one would try first: one message at a time, and
``INSERT … ON CONFLICT DO NOTHING``. Those are measured on a part of the events; the others are the
best of three, for the machines that this runs on are shared and noisy.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tautulli_import.events.build import Naming, event
from tautulli_import.model.events import PlaybackEvent
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.duckdb import DuckdbSink
from tautulli_import.sinks.nats import NatsSink
from tautulli_import.sources.database.source import Source
from tests.support.history import generate
from tests.support.nats import NatsServer

__all__ = ["measure"]

_PAGE = 200
_FEW = 3_000
_ROUNDS = 3


def measure(database: Path, plays: int) -> None:
    """Print the rates of a history of so many plays; it is made where it is not there yet."""
    if not database.exists():
        generate(database, plays=plays, truth=False)
    events = _events(database)
    print(f"{len(events):,} playback events")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with NatsServer(folder / "nats") as server:
            _jetstream(server, folder, database, events)
        _duckdb(folder, database, events)


def _jetstream(
    server: NatsServer, folder: Path, database: Path, events: Sequence[PlaybackEvent]
) -> None:
    rate = _FEW / _seconds(lambda: asyncio.run(_one_by_one(server.url, events[:_FEW])))
    _tell("JetStream, one by one", rate, f"of {_FEW:,} of them, in a stream of their own")
    alone = known = 0.0
    for number in range(_ROUNDS):  # each in a stream of its own
        with NatsServer(folder / str(number)) as another:
            alone = max(alone, _publish(another, events))
            known = max(known, _publish(another, events))
    _tell("JetStream, as --to nats publishes", alone, f"{alone / rate:.1f} x; wanted: 20,000")
    _tell("the same again, all known", known)
    took = _program("db", database, "--to", "nats", "--nats-url", server.url, folder=folder)
    _tell("db --to nats, whole", len(events) / took, "start-up included")
    took = _program(
        "consume", "--once", "--nats-url", server.url, "--out", folder / "c.duckdb", folder=folder
    )
    _tell("consume --once into DuckDB", len(events) / took, "start-up included")


def _duckdb(folder: Path, database: Path, events: Sequence[PlaybackEvent]) -> None:
    rate = _FEW / _seconds(lambda: _on_conflict(folder / "o.duckdb", events[:_FEW]))
    _tell("DuckDB, INSERT … ON CONFLICT", rate, f"of {_FEW:,} of them")
    alone = known = 0.0
    for number in range(_ROUNDS):
        alone = max(alone, _store(folder / f"{number}.duckdb", events))
        known = max(known, _store(folder / f"{number}.duckdb", events))
    _tell("DuckDB, as --to duckdb stores", alone, f"{alone / rate:.1f} x; wanted: 40,000")
    _tell("the same again, all known", known)
    for what in ("whole", "whole, nothing new"):
        target = folder / "w.duckdb"
        took = _program("db", database, "--to", "duckdb", "--out", target, folder=folder)
        _tell(f"db --to duckdb, {what}", len(events) / took, f"{took:.2f} s, start-up included")


def _events(database: Path) -> list[PlaybackEvent]:
    with closing(Source([database])) as source:
        return [
            event(play, batch.details[play.id], Naming())
            for batch in source.batches(None, detailed=True)
            for play in batch.plays
            if play.started and play.user_id and play.title and not play.live
            if play.media_type in ("movie", "episode", "track")
        ]


def _publish(server: NatsServer, events: Sequence[PlaybackEvent]) -> float:
    options = SinkOptions(out=None, stdout=sys.stdout.buffer, now=0, nats=server.access())
    with closing(NatsSink(options)) as sink:
        sink.recall("", None)
        sink.begin(None)
        return len(events) / _seconds(lambda: _give(sink, events))


def _store(path: Path, events: Sequence[PlaybackEvent]) -> float:
    options = SinkOptions(out=path, stdout=sys.stdout.buffer, now=0)
    with closing(DuckdbSink(options)) as sink:
        sink.recall("", None)
        sink.begin(None)
        return len(events) / _seconds(lambda: _give(sink, events))


def _give(sink: NatsSink | DuckdbSink, events: Sequence[PlaybackEvent]) -> None:
    for start in range(0, len(events), _PAGE):
        sink.write(events[start : start + _PAGE], None)
    sink.commit()


async def _one_by_one(url: str, events: Sequence[PlaybackEvent]) -> None:
    """Do what a plain script does: publish, wait for the acknowledgement, publish the next."""
    import nats

    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="ONE", subjects=["one.>"])
    for one in events:
        headers = {"Nats-Msg-Id": one.event_id}
        await stream.publish("one.by.one", msgspec.json.encode(one), headers=headers, timeout=5)
    await client.close()


def _on_conflict(path: Path, events: Sequence[PlaybackEvent]) -> None:
    """Do what a plain script does: one statement a batch. DuckDB sorts out duplicates."""
    import duckdb

    names = PlaybackEvent.__struct_fields__
    columns = ", ".join(f'"{name}" VARCHAR' for name in names)
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute(
            f"CREATE TABLE events ({columns}, UNIQUE (event_id), UNIQUE (correlation_key),"
            " UNIQUE (rating_key, user_id, started_at))"
        )
        row = f"({', '.join('?' * len(names))})"
        for start in range(0, len(events), 1_000):
            part = events[start : start + 1_000]
            values = [value for one in part for value in msgspec.structs.astuple(one)]
            connection.execute(
                f"INSERT INTO events VALUES {', '.join([row] * len(part))} ON CONFLICT DO NOTHING",  # noqa: S608 - question marks
                values,
            ).fetchall()


def _program(*arguments: str | Path, folder: Path) -> float:
    """How long a command of the program takes, in a process of its own."""
    state = [] if arguments[0] == "consume" else ["--state-dir", folder / "state"]
    command = [sys.executable, "-m", "tautulli_import", *arguments, *state, "--json", "-q"]

    def run() -> Any:
        words = [str(word) for word in command]
        done = subprocess.run(words, check=True, capture_output=True)
        return json.loads(done.stdout)

    return _seconds(run)


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()  # as a run of the program does it
    try:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    finally:
        gc.enable()


def _tell(what: str, rate: float, more: str = "") -> None:
    print(f"{what:<36} {rate:10,.0f} events/s   {more}".rstrip())
