"""The program as a process that a test can hold up, look at while it runs, and end.

Nothing here sleeps: the program stops at a named pipe that nobody has written to yet, and the
test sees that it has come there.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Event
from typing import Final

from tests.conftest import Result
from tests.support.forked import ROOT, started
from tests.support.tautulli import Asked, Reply
from tests.support.waiting import LONGEST, SOON

__all__ = [
    "ROOT",
    "Gate",
    "Program",
    "Programs",
    "Unanswered",
    "on_the_shelf",
    "programs",
    "to_go_on",
]

_LOOK: Final = 0.01
#: What a gate says that is read as a config.ini.
CONFIG: Final = b"[Monitoring]\nmovie_watched_percent = 85\n"


class Program:
    """One process of the program."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid

    def ask(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self, within: float = LONGEST) -> Result:
        """Wait for its end, and tell how it ended; fails when it does not end in that time."""
        out, err = self.process.communicate(timeout=within)
        return Result(
            self.process.returncode,
            (out or b"").decode(errors="surrogateescape"),
            (err or b"").decode(errors="surrogateescape"),
        )

    def stopped(self, number: signal.Signals) -> Result:
        """Send it a signal, and tell how it ended; it has to end at once."""
        self.ask(number)
        return self.ended(SOON)

    def killed(self) -> None:
        """End it as a power cut does."""
        self.ask(signal.SIGKILL)
        assert self.ended().code == -signal.SIGKILL

    def until(self, happened: Callable[[], object]) -> None:
        """Wait until something has happened, which has to be before the program ends."""
        deadline = time.monotonic() + LONGEST
        while not happened():
            assert time.monotonic() < deadline, "it did not come to that"
            try:
                self.process.wait(_LOOK)
            except subprocess.TimeoutExpired:
                continue
            assert happened(), f"it has ended: {self.ended()}"


class Gate:
    """A named pipe that holds up whoever reads it until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._writer: int | None = None

    def reached(self, program: Program) -> None:
        """Wait until the program stands before it."""
        program.until(self._is_read)

    def open(self, content: bytes = CONFIG) -> None:
        """Let it go on."""
        assert self._writer is not None, "nobody stands before it"
        os.write(self._writer, content)
        self.shut()

    def shut(self) -> None:
        """Let go of it."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def _is_read(self) -> bool:
        try:
            self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody has opened it for reading
            return False
        return True


class Unanswered:
    """A fault: a kind of question, from the so-many-th on (from 0), is answered when let go.

    With ``never`` there is no answer, and who asks does not hold up the server.
    """

    def __init__(self, cmd: str, number: int = 0, *, never: bool = False) -> None:
        self._cmd = cmd
        self._number = number
        self._never = never
        self._asked = count()
        self._reached = Event()
        self._may_go = Event()

    def __call__(self, one: Asked) -> Reply | None:
        """Leave the real answer to the server, later."""
        if one.cmd != self._cmd or next(self._asked) < self._number:
            return None
        self._reached.set()
        if self._never:
            return Reply(hang=600)
        self._may_go.wait(LONGEST)
        return None

    def wait(self) -> None:
        """Return as soon as somebody waits for an answer."""
        assert self._reached.wait(LONGEST), "it did not come to that"

    def let_go(self) -> None:
        """Answer, from now on."""
        self._may_go.set()


class Programs:
    """Starts the program, and makes gates for it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "PYTHONPATH": str(ROOT)}
        self._started: list[Program] = []
        self._gates: list[Gate] = []

    def gate(self, name: str) -> Gate:
        """Return a gate, not yet open."""
        gate = Gate(self.folder / f"gate-{name}")
        self._gates.append(gate)
        return gate

    def start(
        self,
        *args: str | Path,
        at: tuple[str, Gate] | None = None,
        windows: int = 0,
        python: Sequence[str] = ("-m", "tautulli_import"),
        within: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
    ) -> Program:
        """Start it with these arguments.

        With ``at`` it stops at a place of ``tests.support.held_up`` until the gate is open. With
        ``windows`` it reads so few rows at a time over HTTP. ``python`` is what is run in its
        stead, and ``within`` a command that starts it. Without one it is a fork, whose command
        line in the list of processes is another.
        """
        if windows:
            python = ("-m", "tests.support.held_up", f"windows:{windows}", "")
        if at is not None:
            python = ("-m", "tests.support.held_up", at[0], str(at[1].path))
        environment = {**self.environment, **(env or {})}
        flag, *command = (*python, *map(str, args))
        if flag == "-m" and not within:
            process = started(
                *(command[0], command[1:]),
                environment=environment,
                folder=cwd or self.folder,
                stdin=stdin,
                stdout=stdout,
                group=True,
            )
        else:
            process = subprocess.Popen(
                [*within, sys.executable, flag, *command],
                env=environment,
                cwd=cwd or self.folder,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        program = Program(process)
        self._started.append(program)
        return program

    def held_up(
        self, *args: str | Path, name: str = "config", env: Mapping[str, str] | None = None
    ) -> tuple[Program, Gate]:
        """Start ``db`` with these arguments; it stands, with its locks, before it reads a play."""
        gate = self.gate(name)
        command = ("db", *args, "--config-ini", gate.path, "--no-enrich")
        program = self.start(*command, env=env)
        gate.reached(program)
        return program, gate

    def close(self) -> None:
        """End whatever still runs."""
        for gate in self._gates:
            gate.shut()
        for program in self._started:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.process.communicate()


@contextmanager
def programs(folder: Path, environment: Mapping[str, str]) -> Iterator[Programs]:
    """Programs that are ended with the test."""
    made = Programs(folder, environment)
    try:
        yield made
    finally:
        made.close()


def to_go_on(said: str) -> str:
    """Return the command that a stopped run tells."""
    found = re.search(r"^  To go on: (.+)$", said, re.MULTILINE)
    assert found, said
    return found.group(1)


def on_the_shelf(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a shell finds ``tautulli-import``."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    script = place / "tautulli-import"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tautulli_import "$@"\n')
    script.chmod(0o755)
    path = environment.get("PATH", os.defpath)
    return {**environment, "PYTHONPATH": str(ROOT), "PATH": f"{place}{os.pathsep}{path}"}
