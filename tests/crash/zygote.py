"""A process that has imported everything, and forks the runs of the program.

A fork is a process like any other: what kills it and what it leaves is the same, but it starts in
a few milliseconds. The zygote has no threads of its own, so nothing is forked half-way.

It reads an `Order` a line and answers each with an `End`.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import os
import pkgutil
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, TextIO

import msgspec
from msgspec import Struct

from tests.crash.driver import prepare, run_program
from tests.crash.spec import Boundary, Spec, decoded

__all__ = ["End", "Order", "Zygote"]

ROOT: Final = Path(__file__).parent.parent.parent
_PATIENCE: Final = 60.0
#: What the program imports where it is used.
_HEAVY: Final = (
    *("anyio", "certifi", "encodings.idna", "httpcore", "httpx", "platformdirs"),
    *("pydantic_settings", "rich.progress", "rich.table", "sqlite_utils", "stamina"),
    "tests.support.over_http",
)


class Order(Struct, frozen=True):
    """A run to be made; ``kill_after`` so many seconds it is killed, wherever it is."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    spec: Spec = Spec()
    kill_after: float | None = None


class End(Struct, frozen=True):
    """How a run has ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str
    boundaries: Sequence[Boundary]
    seconds: float

    @property
    def struck(self) -> Boundary | None:
        """Where the fault came, if it did."""
        return next(iter(self.all_struck), None)

    @property
    def all_struck(self) -> Sequence[Boundary]:
        """Where it came, if it lasted."""
        return [one for one in self.boundaries if one.struck]


class Zygote:
    """The process, from the outside."""

    def __init__(self) -> None:
        path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=ROOT,
        )

    def run(self, order: Order) -> End:
        """Make a run and return when it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that makes the runs has ended")
        return msgspec.json.decode(line, type=End)

    def close(self) -> None:
        """End it."""
        with self._process as process:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def _serve(orders: BinaryIO, answers: BinaryIO) -> None:
    import typer.main

    # What comes out the same every time, and would take a run half of its time.
    for owner, name in ((importlib.metadata, "entry_points"), (typer.main, "get_command")):
        setattr(owner, name, cache(getattr(owner, name)))
    import tautulli_import
    from tautulli_import.cli.app import app

    for module in pkgutil.walk_packages(tautulli_import.__path__, "tautulli_import."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _HEAVY:
        importlib.import_module(name)
    typer.main.get_command(app)
    gc.collect()
    gc.freeze()
    for line in orders:
        end = _run(msgspec.json.decode(line, type=Order), (orders.fileno(), answers.fileno()))
        answers.write(msgspec.json.encode(end) + b"\n")
        answers.flush()


def _run(order: Order, ours: Sequence[int]) -> End:
    """Fork a run, and hear what it says until it is over."""
    began = time.monotonic()
    pipes = [os.pipe() for _ in range(3)]
    child = os.fork()
    if child == 0:
        _be_a_run(order, [write for _, write in pipes], ours)
    for _, write in pipes:
        os.close(write)
    deadline = began + (_PATIENCE if order.kill_after is None else order.kill_after)
    out, err, log = _heard([read for read, _ in pipes], deadline, child)
    _, status = os.waitpid(child, 0)
    return End(
        os.waitstatus_to_exitcode(status),
        out.decode(errors="replace"),
        err.decode(errors="replace"),
        decoded(log),
        time.monotonic() - began,
    )


def _heard(pipes: Sequence[int], deadline: float, child: int) -> list[bytes]:
    """All that comes out of the pipes; at the deadline the child is killed."""
    heard: dict[int, bytearray] = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                deadline = float("inf")
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                heard[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
            if deadline == float("inf"):
                deadline = time.monotonic() + _PATIENCE
    return [bytes(heard[pipe]) for pipe in pipes]


def _be_a_run(order: Order, pipes: Sequence[int], not_ours: Sequence[int]) -> None:
    """In the child: become a run of the program; does not return."""
    code = 70
    try:
        for descriptor in not_ours:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(pipes[0], 1)
        os.dup2(pipes[1], 2)
        sys.stdin, sys.stdout, sys.stderr = _streams()
        os.environ.clear()
        os.environ.update(order.environment)
        time.tzset()
        os.chdir(order.folder)
        prepare(order.spec, pipes[2])
        code = run_program([*order.arguments], windows=order.spec.windows)
    except BaseException:  # noqa: BLE001 - nothing of the child may come back into the zygote
        with suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
    os._exit(code)


def _streams() -> Sequence[TextIO]:
    """Return the standard streams, as a fresh interpreter would make them."""
    made = [os.fdopen(number, "r" if number == 0 else "w", closefd=False) for number in range(3)]
    made[2].reconfigure(line_buffering=True, errors="backslashreplace")
    return made


if __name__ == "__main__":
    # The standard streams belong to the runs.
    channel = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _serve(*channel)
