"""``--to nats``, and what happens to the server or to the import itself in the middle of it."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.event_pipeline import Done, Pipeline, generated, is_unread
from tests.support.nats import api, count
from tests.support.running import Gate, Program, Programs, on_the_shelf, to_go_on
from tests.support.waiting import SOON

EVENTS: Final = 1_200
#: Eight hundred are published by then, in two steps, and more are read.
LATE: Final = "page:5"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve hundred events; nobody writes to it."""
    return generated(tmp_path_factory.mktemp("history"), EVENTS)


@pytest.fixture
def import_of(running: Programs, history: Path) -> Callable[..., tuple[Program, Gate]]:
    """Start the import of the history; it stands in the middle of it."""

    def start(place: str = LATE) -> tuple[Program, Gate]:
        gate = running.gate("middle")
        program = running.start("db", history, "--to", "nats", at=(place, gate))
        gate.reached(program)
        return program, gate

    return start


def all_once(found: Sequence[str]) -> None:
    """Every event is there, and none of them twice."""
    assert len(found) == len(set(found)) == EVENTS


def again(line: Pipeline, history: Path) -> Done:
    return line.imported("db", history, "--to", "nats")


# The server.


def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of()
    line.server.restart()
    gate.open()
    done = program.ended()
    assert done.code == 0, done.err
    all_once(line.published)


def test_a_server_that_is_killed_with_messages_on_their_way_loses_nothing(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of()
    line.server.freeze()
    gate.open()
    program.until(lambda: is_unread(line.server))
    line.server.restart()
    done = program.ended()
    assert done.code == 0, done.err
    all_once(line.published)


def test_a_server_that_is_gone_for_a_while_is_waited_for(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of()
    line.server.kill()
    with socket.create_server(("127.0.0.1", line.server.port)) as nobody:
        gate.open()
        nobody.accept()[0].close()
        nobody.accept()[0].close()
        assert program.process.poll() is None
    line.server.start()
    done = program.ended()
    assert done.code == 0, done.err
    all_once(line.published)
    assert done.err.count("Error") == 0


def test_a_server_that_is_gone_for_good_is_told_and_the_next_run_goes_on(
    line: Pipeline, history: Path, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of(f"impatient-{LATE}")
    line.server.kill()
    gate.open()
    done = program.ended()
    assert done.code == 8
    said = " ".join(done.err.split())
    assert f"Error: NATS at {line.server.url} has acknowledged nothing for 1 seconds" in said
    assert "800 of the 1,200 events read so far are in it" in said
    assert "Run the same command again" in said
    assert "Traceback" not in said
    line.server.start()
    assert count(line.server.access()) == 800
    next_one = again(line, history)
    # Pages are the steps of what is remembered, and the last one may have been cut.
    assert 0 <= next_one.duplicates < 200
    assert next_one.new == 400
    assert next_one.carried >= 800
    assert next_one.told["plays"]["emitted"] == EVENTS
    all_once(line.published)
    assert again(line, history).carried == next_one.told["plays"]["read"]


def test_a_run_that_failed_is_told_as_failed(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of(f"impatient-{LATE}")
    line.server.kill()
    gate.open()
    assert program.ended().code == 8
    assert "failed" in line.run("status").out


# The import.


def test_an_import_that_is_killed_is_done_again_and_everything_is_there_once(
    line: Pipeline, history: Path, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, _ = import_of()
    program.killed()
    assert count(line.server.access()) == 800
    done = again(line, history)
    assert done.new == 400
    all_once(line.published)
    consumed = line.consume()
    assert (consumed.told["received"], consumed.told["stored"]) == (EVENTS, EVENTS)
    assert sorted(one for one, *_ in line.rows()) == sorted(line.published)


def test_ctrl_c_remembers_what_was_acknowledged(
    line: Pipeline, history: Path, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, _ = import_of()
    done = program.stopped(signal.SIGINT)
    assert done.code == 130
    assert to_go_on(done.err).endswith(f"db {history} --to nats")
    there = count(line.server.access())
    assert 800 <= there < EVENTS
    next_one = again(line, history)
    assert next_one.carried >= 800
    assert (next_one.new, next_one.duplicates < 200) == (EVENTS - there, True)
    all_once(line.published)


def test_the_command_that_it_tells_goes_on(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, _ = import_of()
    done = program.stopped(signal.SIGTERM)
    assert done.code == 143
    subprocess.run(
        ["/bin/sh", "-c", to_go_on(done.err)],
        cwd=line.folder,
        env=on_the_shelf(line.folder, line.environment),
        capture_output=True,
        timeout=60,
        check=True,
    )
    all_once(line.published)


def test_ctrl_c_does_not_wait_for_a_server_that_is_silent(
    line: Pipeline, history: Path, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of()
    line.server.freeze()
    gate.open()
    program.until(lambda: is_unread(line.server))
    program.ask(signal.SIGINT)
    done = program.ended(SOON)
    assert done.code == 130
    assert "Traceback" not in done.err
    line.server.thaw()
    next_one = again(line, history)
    assert next_one.carried >= 800
    all_once(line.published)


def test_ctrl_c_while_it_reads_does_not_wait_for_a_silent_server_either(
    line: Pipeline, history: Path, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, _ = import_of()
    line.server.freeze()
    done = program.stopped(signal.SIGINT)
    assert done.code == 130
    line.server.thaw()
    next_one = again(line, history)
    assert next_one.carried >= 800
    all_once(line.published)


def test_a_stream_that_is_removed_in_the_middle_is_told(
    line: Pipeline, import_of: Callable[..., tuple[Program, Gate]]
) -> None:
    program, gate = import_of(f"impatient-{LATE}")
    api(line.server.access(), "STREAM.DELETE.MEDIA_EVENTS")
    gate.open()
    done = program.ended()
    assert done.code == 8
    assert "no stream takes playback.tautulli-import." in " ".join(done.err.split())
