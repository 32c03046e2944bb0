"""Being asked to stop: at once, or after the step that is held."""

# ruff: noqa: PT012 - a step of several lines is what is tested

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread, get_ident, get_native_id

import pytest

from tautulli_import import interrupts
from tautulli_import.errors import SinkError
from tautulli_import.interrupts import Stopped, defer_signals
from tautulli_import.state.file import StateFile
from tests.support.waiting import LONG


@pytest.fixture(autouse=True)
def _nobody_has_asked() -> Iterator[None]:
    interrupts.forget()
    yield
    interrupts.forget()


def test_a_stop_comes_at_once() -> None:
    with pytest.raises(Stopped) as stopped:
        interrupts.ask(signal.SIGTERM)
    assert stopped.value.number == signal.SIGTERM


def test_a_step_that_is_held_is_finished_first() -> None:
    done = []
    with pytest.raises(Stopped) as stopped, defer_signals():
        assert interrupts.ask(signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]
    assert stopped.value.number == signal.SIGINT


def test_a_step_in_a_step_does_not_end_the_outer_one() -> None:
    done = []
    with pytest.raises(Stopped), defer_signals():
        with defer_signals():
            assert interrupts.ask(signal.SIGINT)
            done.append("inner")
        done.append("outer")
        with defer_signals():
            done.append("another")
    assert done == ["inner", "outer", "another"]


def test_the_second_one_is_told_that_it_is_the_second() -> None:
    with pytest.raises(Stopped), defer_signals():
        assert interrupts.ask(signal.SIGINT)
        assert not interrupts.ask(signal.SIGTERM)
    assert not interrupts.ask(signal.SIGTERM)


def test_the_first_one_is_what_it_ends_with() -> None:
    with pytest.raises(Stopped) as stopped, defer_signals():
        interrupts.ask(signal.SIGHUP)
        interrupts.ask(signal.SIGTERM)
    assert stopped.value.number == signal.SIGHUP


def _saved(done: list[str]) -> None:
    """Do what a run does when it is stopped."""
    try:
        interrupts.ask(signal.SIGTERM)
    except Stopped:
        with defer_signals():
            done.append("saved")
        with defer_signals(), defer_signals():
            done.append("written down")
        raise


def test_what_is_saved_after_the_stop_is_not_stopped_again() -> None:
    done: list[str] = []
    with pytest.raises(Stopped):
        _saved(done)
    assert done == ["saved", "written down"]


def test_a_stop_that_somebody_swallowed_comes_again_after_the_next_step() -> None:
    """A signal can come in a callback of somebody's C code, which gives exceptions to nobody."""
    with suppress(Stopped):
        interrupts.ask(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped, defer_signals():
        pass
    assert stopped.value.number == signal.SIGTERM


def test_a_step_that_fails_while_a_stop_was_asked_for_stops_and_remembers_why() -> None:
    failure = SinkError("full")
    with pytest.raises(Stopped) as stopped, defer_signals():
        interrupts.ask(signal.SIGTERM)
        raise failure
    assert stopped.value.__context__ is failure


def test_a_step_that_fails_by_itself_fails() -> None:
    with pytest.raises(SinkError), defer_signals():
        raise SinkError("full")
    with pytest.raises(Stopped):
        interrupts.ask(signal.SIGTERM)


def test_after_a_stop_in_an_inner_step_that_failed_nothing_is_held_any_more() -> None:
    with pytest.raises(Stopped), defer_signals(), defer_signals():
        interrupts.ask(signal.SIGTERM)
        raise SinkError("full")
    interrupts.forget()
    with pytest.raises(Stopped):
        interrupts.ask(signal.SIGTERM)


def test_what_is_forgotten_stops_nothing() -> None:
    with defer_signals():
        interrupts.ask(signal.SIGTERM)
        interrupts.forget()
    with pytest.raises(Stopped) as stopped:
        interrupts.ask(signal.SIGINT)
    assert stopped.value.number == signal.SIGINT


def test_nothing_that_catches_errors_catches_a_stop() -> None:
    assert not issubclass(Stopped, Exception)


# The thread that watches.


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread's state can be seen")
def test_a_signal_that_another_thread_receives_ends_what_the_main_thread_waits_for() -> None:
    """CPython runs the handler in the main thread only, which would read for ever."""
    reader, writer = os.pipe()
    place = Path(f"/proc/self/task/{get_native_id()}/wchan")
    has_stopped = Event()

    def send() -> None:
        while "pipe" not in place.read_text():
            has_stopped.wait(0.001)
        signal.pthread_kill(get_ident(), signal.SIGUSR1)
        if not has_stopped.wait(LONG):
            os.write(writer, b"too late")

    before = signal.signal(signal.SIGUSR1, lambda number, _: interrupts.ask(number) and None)
    thread = Thread(target=send)
    try:
        with pytest.raises(Stopped), interrupts.enforced([signal.SIGUSR1], os._exit):
            thread.start()
            os.read(reader, 8)
        has_stopped.set()
        thread.join()
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 8)
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reader)
        os.close(writer)


# The steps of a state file.


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    """Yield a state file with nothing in it."""
    with closing(StateFile(tmp_path, "file:///a.db")) as made:
        yield made


def kept(state: StateFile) -> int | None:
    """Return what another process finds in it."""
    assert state.path is not None
    with closing(sqlite3.connect(state.path)) as other:
        row = other.execute("SELECT value FROM about WHERE name = 'number'").fetchone()
    return None if row is None else int(row[0])


def test_a_step_is_kept_whole_when_a_stop_comes_in_its_middle(state: StateFile) -> None:
    with pytest.raises(Stopped), state.step():
        state.put("number", 1)
        interrupts.ask(signal.SIGTERM)
        state.put("number", 2)
    assert kept(state) == 2


def test_of_a_step_that_fails_nothing_is_kept(state: StateFile) -> None:
    with pytest.raises(RuntimeError), state.step():
        state.put("number", 1)
        raise RuntimeError
    assert kept(state) is None
    with state.step():
        state.put("number", 2)
    assert kept(state) == 2


def test_of_a_step_that_fails_and_is_stopped_nothing_is_kept_and_the_next_one_works(
    state: StateFile,
) -> None:
    with pytest.raises(Stopped), state.step():
        state.put("number", 1)
        interrupts.ask(signal.SIGTERM)
        raise RuntimeError
    assert kept(state) is None
    interrupts.forget()
    with state.step():
        state.put("number", 2)
    assert kept(state) == 2


def synchronous(state: StateFile) -> int:
    """How hard SQLite tries: 1 is after the death of a process, 2 after a power cut as well."""
    return int(state.conn.execute("PRAGMA synchronous").fetchone()[0])


def test_a_durable_step_is_durable_and_the_next_one_is_as_ever(state: StateFile) -> None:
    with state.step(durable=True):
        assert synchronous(state) == 2
    assert synchronous(state) == 1
    with pytest.raises(RuntimeError), state.step(durable=True):
        raise RuntimeError
    assert synchronous(state) == 1


def test_a_failing_disk_is_said_with_the_path_and_the_way_out(state: StateFile) -> None:
    state.conn.execute("PRAGMA query_only = 1")
    with pytest.raises(SinkError) as failed, state.step():
        state.put("number", 1)
    assert str(state.path) in str(failed.value)
    assert "--state-dir" in failed.value.hint
    state.conn.execute("PRAGMA query_only = 0")
    with state.step():
        state.put("number", 2)
    assert kept(state) == 2
