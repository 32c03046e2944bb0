"""Consumers that are killed, several at once, and a file that somebody else has open."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pytest

from tests.conftest import Result
from tests.support.event_pipeline import TABLE, Pipeline, generated, put
from tests.support.nats import api, event
from tests.support.running import Gate, Program, Programs
from tests.support.waiting import SOON, until

#: More than one consumer takes at once, and less than three do.
EVENTS: Final = 1_200
_HOLDS: Final = """
import sys
import duckdb
db = duckdb.connect(sys.argv[1], read_only=True)
print(flush=True)
sys.stdin.read()
"""
_SAID: Final = ("/bin/sh", "-c", 'exec "$@" 2> said', "sh")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve hundred events; nobody writes to it."""
    return generated(tmp_path_factory.mktemp("history"), EVENTS)


def said(done: Result) -> str:
    return " ".join(done.err.split())


def taken(line: Pipeline) -> int:
    """How many messages somebody has, who has not acknowledged them."""
    told = api(line.server.access(), "CONSUMER.INFO.MEDIA_EVENTS.tautulli-import")
    return int(told.get("num_ack_pending", 0))


def left(line: Pipeline) -> int:
    """How many messages nobody has acknowledged."""
    told = api(line.server.access(), "CONSUMER.INFO.MEDIA_EVENTS.tautulli-import")
    return int(told["num_pending"]) + int(told["num_ack_pending"])


def at_ease(line: Pipeline) -> int:
    """How many consumers wait for a message."""
    told = api(line.server.access(), "CONSUMER.INFO.MEDIA_EVENTS.tautulli-import")
    return int(told.get("num_waiting", 0))


def can_be_opened(path: Path) -> bool:
    """Whether nobody has the file at the moment."""
    with suppress(duckdb.IOException), closing(duckdb.connect(str(path), read_only=True)):
        return True
    return False


def killed(running: Programs, place: str, *options: str) -> None:
    """Start a consumer, and kill it at a place; what it has comes again after a second.

    On a slow machine it may come again a second time, while the next consumer is at it.
    """
    gate = running.gate("killed")
    options = ("--once", *(options or ("--ack-wait", "1")))
    program = running.start("consume", *options, at=(place, gate))
    gate.reached(program)
    program.killed()


def comes_again_after(line: Pipeline, seconds: float) -> None:
    """Let the server wait so long for an acknowledgement, also of what it has delivered."""
    name = "MEDIA_EVENTS.tautulli-import"
    config = api(line.server.access(), f"CONSUMER.INFO.{name}")["config"]
    request = {"stream_name": "MEDIA_EVENTS", "config": config | {"ack_wait": int(seconds * 1e9)}}
    told = api(line.server.access(), f"CONSUMER.DURABLE.CREATE.{name}", request)
    assert "error" not in told, told


def told_by(result: Result) -> Mapping[str, Any]:
    """Return the summary of a consumer that has ended well."""
    assert result.code == 0, result.err
    told: dict[str, Any] = msgspec.json.decode(result.out.encode())
    assert told["received"] == told["stored"] + sum(told["known"].values()) + told["poison"]
    return told


@contextmanager
def in_use(path: Path) -> Iterator[int]:
    """Another program has the file open meanwhile; its process."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        try:
            yield other.pid
        finally:
            other.communicate()


# Killed.


def test_what_was_committed_and_not_acknowledged_comes_again_and_is_known(
    line: Pipeline, running: Programs
) -> None:
    line.films(50)
    line.publish()
    killed(running, "acknowledge:0")
    assert len(line.rows()) == taken(line) == 50
    done = line.consume()
    assert (done.told["stored"], done.told["known"]["table"], done.told["total"]) == (0, 50, 50)
    assert done.told["redelivered"] >= 50
    assert (len(line.rows()), left(line)) == (50, 0)


def test_what_was_not_committed_comes_again_and_is_stored(
    line: Pipeline, running: Programs
) -> None:
    line.films(50)
    line.publish()
    killed(running, "commit:0")
    assert (line.rows(), taken(line)) == ([], 50)
    done = line.consume()
    assert (done.told["stored"], "table" in done.told["known"]) == (50, False)
    assert done.told["redelivered"] >= 50
    assert (len(line.rows()), left(line)) == (50, 0)


def test_poison_that_was_kept_and_not_terminated_is_kept_once(
    line: Pipeline, running: Programs
) -> None:
    line.films(3)
    line.publish()
    put(line.server, b"garbage")
    killed(running, "acknowledge:0")
    done = line.consume()
    assert (done.told["known"]["table"], done.told["poison"] >= 1) == (3, True)
    assert line.ask("SELECT count(*) FROM poison_messages") == [(1,)]
    assert left(line) == 0


@pytest.mark.parametrize("place", ["acknowledge:1", "commit:1"])
def test_a_consumer_killed_on_its_way_leaves_the_rest_to_the_next(
    line: Pipeline, running: Programs, history: Path, place: str
) -> None:
    line.imported("db", history, "--to", "nats")
    killed(running, place)
    stored = 500 if place == "commit:1" else 1_000
    assert len(line.rows()) == stored
    until(lambda: left(line) == EVENTS - 500)
    done = line.consume()
    assert done.told["stored"] == EVENTS - stored
    assert done.told["known"].get("table", 0) == stored - 500
    assert (len(line.rows()), left(line)) == (EVENTS, 0)


def test_it_waits_for_what_a_dead_consumer_had_and_says_so(
    line: Pipeline, running: Programs
) -> None:
    line.films(50)
    line.publish()
    killed(running, "commit:0", "--ack-wait", "600")
    program = running.start("consume", "--once", within=_SAID)
    told = line.folder / "said"
    waits = b"Waiting for 50 messages that another consumer has."
    program.until(lambda: told.exists() and waits in told.read_bytes())
    comes_again_after(line, 0.1)
    assert program.ended().code == 0
    assert "messages received: 50 new" in told.read_text("utf-8")


def test_a_server_killed_between_commit_and_acknowledgement_costs_nothing(
    line: Pipeline, running: Programs
) -> None:
    line.films(50)
    line.publish()
    gate = running.gate("acknowledge")
    program = running.start("consume", "--once", "--json", at=("acknowledge:0", gate))
    gate.reached(program)
    line.server.restart()
    gate.open()
    told = told_by(program.ended())
    assert (told["stored"], told["total"]) == (50, 50)
    assert (len(line.rows()), left(line)) == (50, 0)


# Several.


def two_at_work(running: Programs, *options: str) -> tuple[Program, Program, Gate]:
    """One that has committed its first messages, behind a gate; one that is about to."""
    gates = []
    started = []
    for place in ("fetch:0", "acknowledge:0"):
        gate = running.gate(place.partition(":")[0])
        program = running.start("consume", "--once", "--json", *options, at=(place, gate))
        gate.reached(program)
        gates.append(gate)
        started.append(program)
    gates[0].open()
    return started[1], started[0], gates[1]


def test_two_consumers_share_the_work_and_the_file(
    line: Pipeline, running: Programs, history: Path
) -> None:
    line.imported("db", history, "--to", "nats")
    first, second, gate = two_at_work(running, "--ack-wait", "600")
    second.until(lambda: taken(line) == 1_000)
    gate.open()
    told = [told_by(one.ended()) for one in (first, second)]
    assert sum(one["stored"] for one in told) == EVENTS
    assert [one["known"] for one in told] == [{}, {}]
    assert min(one["stored"] for one in told) >= 500
    assert (len(line.rows()), left(line)) == (EVENTS, 0)


def test_two_consumers_with_a_file_each_have_every_event_once(
    line: Pipeline, running: Programs, history: Path
) -> None:
    line.imported("db", history, "--to", "nats")
    names = ("one.duckdb", "two.duckdb")
    started = []
    for name in names:
        gate = running.gate(name)
        args = ("consume", "--once", "--json", "--ack-wait", "600", "--out", name)
        program = running.start(*args, at=("acknowledge:0", gate))
        gate.reached(program)
        started.append((program, gate))
    for _, gate in started:
        gate.open()
    told = [told_by(program.ended()) for program, _ in started]
    assert sum(one["received"] for one in told) == sum(one["stored"] for one in told) == EVENTS
    found = [one for name in names for one, *_ in line.rows(name)]
    assert len(found) == len(set(found)) == EVENTS
    assert left(line) == 0


def test_the_survivor_of_two_ends_with_everything(
    line: Pipeline, running: Programs, history: Path
) -> None:
    line.imported("db", history, "--to", "nats")
    first, second, _ = two_at_work(running, "--ack-wait", "1")
    first.killed()
    told = told_by(second.ended())
    assert told["stored"] == EVENTS - 500
    assert (len(line.rows()), left(line)) == (EVENTS, 0)


def test_many_at_once_on_a_new_file_leave_one_row_of_each(
    line: Pipeline, running: Programs
) -> None:
    """Whoever comes first makes the file and the consumer; nobody trips over that."""
    line.films(200)
    line.publish()
    started = [running.start("consume", "--once", "--json") for _ in range(4)]
    told = [told_by(program.ended()) for program in started]
    assert sum(one["stored"] for one in told) == 200
    assert (len(line.rows()), left(line)) == (200, 0)


def test_while_others_wait_for_the_file_none_of_them_keeps_it(
    line: Pipeline, running: Programs
) -> None:
    line.films(5)
    line.publish()
    idle = [running.start("consume") for _ in range(2)]
    idle[0].until(lambda: at_ease(line) == 2 and can_be_opened(line.folder / TABLE))
    assert line.store().duplicates == 5
    for program in idle:
        assert program.stopped(signal.SIGTERM).code == 0


# A file that somebody else has open.


def test_without_patience_a_file_in_use_is_told_at_once(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    line.consume()
    with in_use(line.folder / TABLE) as process:
        done = line.run("consume", "--once", "--wait", "0")
    assert done.code == 6
    assert f"is open in another program ({Path(sys.executable).resolve()}" in said(done)
    assert f"process {process}" in said(done)


def waiting(line: Pipeline, running: Programs, *options: str) -> Program:
    """Return a consumer that waits for the file, and says so."""
    program = running.start("consume", *options, within=_SAID)
    told = line.folder / "said"
    program.until(lambda: told.exists() and b"is open in" in told.read_bytes())
    return program


def test_a_file_in_use_is_waited_for(line: Pipeline, running: Programs) -> None:
    line.films(3)
    line.publish()
    line.store()
    with in_use(line.folder / TABLE):
        program = waiting(line, running, "--once", "--json", "--wait", "50")
    assert told_by(program.ended())["known"] == {"table": 3}
    words = " ".join((line.folder / "said").read_text("utf-8").split())
    assert words.startswith(f"Waiting up to 50 s: {TABLE} is open in another program")


def test_what_was_taken_while_the_file_was_in_use_is_not_lost(
    line: Pipeline, running: Programs
) -> None:
    line.publish()
    program = running.start("consume", "--wait", "0", "--ack-wait", "1")
    program.until(lambda: at_ease(line) == 1)
    with in_use(line.folder / TABLE):
        put(line.server, msgspec.json.encode(event(1)))
        done = program.ended()
    assert done.code == 6
    assert left(line) == 1
    assert line.consume().told["stored"] == 1


def test_a_stop_is_not_held_up_by_a_file_in_use(line: Pipeline, running: Programs) -> None:
    line.films(3)
    line.publish()
    line.store()
    with in_use(line.folder / TABLE):
        for options, code in ((("--once",), 130), ((), 0)):
            program = waiting(line, running, *options)
            program.ask(signal.SIGINT)
            assert program.ended(SOON).code == code
            (line.folder / "said").unlink()
    assert left(line) == 3
