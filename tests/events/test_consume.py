"""``consume``: out of a stream into a table, until it is drained or told to stop."""

from __future__ import annotations

import signal
from contextlib import closing, suppress
from pathlib import Path

import duckdb
import msgspec
import pytest

from tests.conftest import Result
from tests.support.event_pipeline import TABLE, Pipeline, generated, put
from tests.support.nats import NatsServer, api, event, make_stream
from tests.support.running import Program, Programs, to_go_on
from tests.support.waiting import SOON, until

DURABLE = "tautulli-import"


def said(done: Result) -> str:
    return " ".join(done.err.split())


def left(server: NatsServer, durable: str = DURABLE) -> tuple[int, int]:
    """How many messages nobody has got yet, and how many nobody has acknowledged."""
    told = api(server.access(), f"CONSUMER.INFO.MEDIA_EVENTS.{durable}")
    return (told["num_pending"], told["num_ack_pending"]) if "config" in told else (-1, -1)


def looked_at(line: Pipeline, name: str = TABLE) -> int:
    """How many events a person sees who opens the file now; -1 when it cannot be opened."""
    with (
        suppress(duckdb.IOException),
        closing(duckdb.connect(str(line.folder / name), read_only=True)) as db,
    ):
        return int(db.execute("SELECT count(*) FROM playback_events").fetchall()[0][0])
    return -1


def publish(line: Pipeline, *numbers: int) -> None:
    for number in numbers:
        put(line.server, msgspec.json.encode(event(number)))


# Once.


def test_once_it_drains_the_stream_and_ends(line: Pipeline) -> None:
    line.something_of_everything()
    line.publish()
    done = line.run("consume", "--once")
    assert (done.code, done.out) == (0, "")
    assert f"9 messages received: 9 new, 0 known, 0 unusable. {TABLE} has 9 events." in said(done)
    assert left(line.server) == (0, 0)
    done = line.run("consume", "--once")
    assert f"0 messages received: 0 new, 0 known, 0 unusable. {TABLE} has 9 events." in said(done)


def test_its_numbers_are_one_object_and_add_up(line: Pipeline) -> None:
    line.films(5)
    line.publish()
    line.store()
    line.add("Newest")
    line.publish()
    for payload in (b"garbage", msgspec.json.encode(event(1)), msgspec.json.encode(event(1))):
        put(line.server, payload)
    told = dict(line.consume().told)
    assert told.pop("elapsed_seconds") >= 0
    assert told == {
        "schema": 1,
        "command": "consume",
        "target": TABLE,
        "received": 9,
        "stored": 2,
        "known": {"event_id": 1, "table": 5},
        "poison": 1,
        "redelivered": 0,
        "total": 7,
        "stopped": False,
    }
    assert told["received"] == told["stored"] + sum(told["known"].values()) + told["poison"]


def test_what_is_known_is_told_by_what_it_is_known(line: Pipeline) -> None:
    first = event(1)
    same_session = event(2, session_key=first.session_key)
    same_play = event(3, rating_key=first.rating_key)
    same_key = event(4, correlation_key=first.correlation_key, started_at="2024-01-01T00:00:00Z")
    make_stream(line.server.access())
    for one in (first, same_session, same_play, same_key):
        put(line.server, msgspec.json.encode(one))
    done = line.consume()
    assert done.told["known"] == {"another_event": 1, "correlation_key": 1, "session_key": 1}
    assert done.told["total"] == 1


def test_an_empty_stream_makes_an_empty_table(line: Pipeline) -> None:
    line.publish()
    assert line.consume().told["total"] == 0
    assert line.rows() == []


def test_a_quiet_run_says_nothing_unless_a_person_should_look(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    done = line.run("consume", "--once", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    put(line.server, b"garbage")
    done = line.run("consume", "--once", "--quiet")
    assert done.code == 0
    assert said(done).startswith("Warning: 1 message could not be used")


def test_other_subjects_of_the_stream_are_left_alone(line: Pipeline) -> None:
    line.films(2)
    line.publish()
    put(line.server, b"not ours", subject="plex.something")
    assert line.consume().told["received"] == 2


def test_consumers_of_different_names_get_everything_each(line: Pipeline) -> None:
    line.films(4)
    line.publish()
    first = line.consume()
    second = line.consume("--durable", "attic", "--out", "attic.duckdb")
    assert first.told["stored"] == second.told["stored"] == 4
    assert line.rows("attic.duckdb") == line.rows()


def test_a_new_consumer_waits_as_long_as_was_said(line: Pipeline) -> None:
    line.publish()
    line.consume("--ack-wait", "7")
    told = api(line.server.access(), f"CONSUMER.INFO.MEDIA_EVENTS.{DURABLE}")["config"]
    assert (told["ack_wait"], told["durable_name"]) == (7 * 10**9, DURABLE)


def test_a_folder_for_the_file_is_made(line: Pipeline) -> None:
    line.films(1)
    line.publish()
    line.consume("--out", "some/where/events.duckdb")
    assert len(line.rows("some/where/events.duckdb")) == 1


def test_an_importer_and_a_consumer_can_share_a_file(line: Pipeline, tmp_path: Path) -> None:
    history = generated(tmp_path, 500)
    line.imported("db", history, "--to", "nats", "--to", "duckdb")
    done = line.consume()
    assert (done.told["known"], done.told["total"]) == ({"table": 500}, 500)


# Until it is told to stop.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_it_runs_until_it_is_told_to_stop(
    line: Pipeline, running: Programs, number: signal.Signals
) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume")
    program.until(lambda: left(line.server) == (0, 0))
    done = program.stopped(number)
    assert (done.code, done.out) == (0, "")
    assert f"5 messages received: 5 new, 0 known, 0 unusable. {TABLE} has 5 events." in said(done)
    assert len(line.rows()) == 5


def test_its_numbers_are_told_at_the_end_too(line: Pipeline, running: Programs) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume", "--json")
    program.until(lambda: left(line.server) == (0, 0))
    told = msgspec.json.decode(program.stopped(signal.SIGTERM).out.encode())
    assert (told["received"], told["stored"], told["stopped"]) == (5, 5, True)


def test_while_it_is_idle_a_person_can_look_into_the_file(
    line: Pipeline, running: Programs
) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume")
    program.until(lambda: looked_at(line) == 5)
    line.add("Newest")
    line.publish()
    program.until(lambda: looked_at(line) == 6)
    assert program.stopped(signal.SIGTERM).code == 0


def test_while_it_is_idle_an_import_can_write_to_the_file(
    line: Pipeline, running: Programs
) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume")
    program.until(lambda: looked_at(line) == 5)
    line.add("Newest")
    assert line.store().new == 1
    line.publish()
    program.until(lambda: left(line.server) == (0, 0))
    done = program.stopped(signal.SIGTERM)
    assert "6 messages received: 5 new, 1 known" in said(done)


def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    line: Pipeline, running: Programs
) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume")
    program.until(lambda: looked_at(line) == 5)
    line.server.restart()
    line.add("Newest")
    line.publish()
    program.until(lambda: looked_at(line) == 6)
    assert program.stopped(signal.SIGTERM).code == 0


def test_a_server_that_is_gone_for_good_ends_it(line: Pipeline, running: Programs) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume", env={"TAUTULLI_IMPORT_NATS_PATIENCE": "1"})
    program.until(lambda: looked_at(line) == 5)
    line.server.kill()
    done = program.ended()
    assert done.code == 3
    assert f"NATS at {line.server.url} has" in said(done)
    assert "Traceback" not in done.err
    assert len(line.rows()) == 5


def test_a_stream_that_is_removed_ends_it(line: Pipeline, running: Programs) -> None:
    line.films(5)
    line.publish()
    program = running.start("consume")
    program.until(lambda: looked_at(line) == 5)
    api(line.server.access(), "STREAM.DELETE.MEDIA_EVENTS")
    done = program.ended()
    assert done.code == 5
    assert "no longer exists" in said(done)


# Stopped before the stream was drained.


def stopped_in_the_middle(running: Programs, *options: str) -> Program:
    """Return a consumer asked to stop after a commit and before the acknowledgement."""
    gate = running.gate("acknowledge")
    program = running.start("consume", *options, at=("acknowledge:0", gate))
    gate.reached(program)
    program.ask(signal.SIGINT)
    gate.open()
    return program


def test_ctrl_c_finishes_the_batch_and_tells_how_to_go_on(
    line: Pipeline, running: Programs, tmp_path: Path
) -> None:
    line.imported("db", generated(tmp_path, 600), "--to", "nats")
    done = stopped_in_the_middle(running, "--once").ended(SOON)
    assert (done.code, done.out) == (130, "")
    assert "Stopped after 500 messages, 500 of them new." in said(done)
    assert to_go_on(done.err) == "tautulli-import consume --once"
    until(lambda: left(line.server) == (100, 0))
    after = line.consume()
    assert (after.told["received"], after.told["redelivered"]) == (100, 0)
    assert len(line.rows()) == 600


def test_without_once_the_same_is_a_good_end(
    line: Pipeline, running: Programs, tmp_path: Path
) -> None:
    line.imported("db", generated(tmp_path, 600), "--to", "nats")
    done = stopped_in_the_middle(running).ended(SOON)
    assert done.code == 0, done.err
    assert "500 messages received: 500 new" in said(done)
    assert line.consume().told["received"] == 100


# What it cannot work with.


def test_an_absent_stream_is_told(line: Pipeline) -> None:
    done = line.run("consume", "--once")
    assert done.code == 5
    assert "There is no stream MEDIA_EVENTS" in said(done)
    assert "--nats-stream" in said(done)
    assert not (line.folder / TABLE).exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"deliver_subject": "somewhere"}, "is a push consumer"),
        ({"filter_subject": "playback.other.>"}, "is for playback.other.>"),
        ({"ack_policy": "none"}, "acknowledgement policy none"),
    ],
)
def test_a_consumer_of_another_kind_is_told(
    line: Pipeline, config: dict[str, str], words: str
) -> None:
    line.films(1)
    line.publish()
    wanted = {"durable_name": DURABLE, "ack_policy": "explicit", "filter_subject": "playback.>"}
    request = {"stream_name": "MEDIA_EVENTS", "config": {**wanted, **config}}
    where = f"CONSUMER.DURABLE.CREATE.MEDIA_EVENTS.{DURABLE}"
    assert "error" not in api(line.server.access(), where, request)
    done = line.run("consume", "--once")
    assert done.code == 2
    assert words in said(done)
    assert line.consume("--durable", "another").told["stored"] == 1


@pytest.mark.parametrize("name", ["a.b", "a b", "a/b", "*", ">", ""])
def test_a_name_that_no_consumer_can_have_is_refused(line: Pipeline, name: str) -> None:
    line.publish()
    done = line.run("consume", "--once", "--durable", name)
    assert done.code == 2
    assert "cannot be the name of a consumer" in said(done)


def test_a_file_of_something_else_costs_no_message(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    content = b"a diary of somebody"
    (line.folder / TABLE).write_bytes(content)
    done = line.run("consume", "--once")
    assert done.code == 8
    assert "is another kind of file, not a DuckDB file" in said(done)
    assert (line.folder / TABLE).read_bytes() == content
    assert line.consume("--out", "another.duckdb").told["received"] == 3


def test_a_history_cannot_be_taken_for_a_table(line: Pipeline) -> None:
    line.films(1)
    line.publish()
    before = line.path.read_bytes()
    done = line.run("consume", "--once", "--out", line.path)
    assert done.code == 8
    assert "an SQLite database" in said(done)
    assert line.path.read_bytes() == before


def test_clearing_everything_forgets_consumers_too(line: Pipeline) -> None:
    line.films(3)
    line.publish()
    line.consume()
    assert "completed" in line.run("status").out
    done = line.run("checkpoint", "clear", "--all")
    assert done.err == "Forgotten: 1 checkpoint, the last runs of 2 sources.\n"
    assert line.run("status").out == "Nothing has been imported yet.\n"
    assert "There is nothing to forget." in line.run("checkpoint", "clear", "--all").err
    assert line.consume().told["received"] == 0, "what NATS knows of the consumer stays"
