"""Processes of the program that start in milliseconds: forks of one that has imported everything.

A fork is a process like any other. It has its own streams, environment, directory and signals, it
can be killed, and it ends as an interpreter ends. What it does not do again is to import, which
takes a fresh interpreter most of a second. What only a fresh interpreter reads (``PYTHON…`` but
for ``PYTHONPATH``, the locale) is given to a fresh interpreter.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.metadata
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import typer.main
from msgspec import Struct

__all__ = ["ROOT", "started", "warm"]

ROOT: Final = Path(__file__).parent.parent.parent
_LARGEST: Final = 150_000
_SUBREAPER: Final = 36
#: The version of the interface, and CAP_DAC_OVERRIDE with CAP_DAC_READ_SEARCH.
_CAPABILITIES: Final = 0x20080522
_OVERRIDE: Final = 0b110
_LOCALE: Final = {"LC_ALL": "C.UTF-8"}
_entry_points = cache(importlib.metadata.entry_points)
#: What the program imports where it is used.
_LATE: Final = (
    *("certifi", "encodings.idna", "httpcore", "httpx", "platformdirs", "pydantic_settings"),
    *("rich.progress", "rich.table", "sqlite_utils", "stamina", "runpy", "csv", "typer.rich_utils"),
    *("duckdb", "nats", "tests.support.held_up"),
    *("tests.crash.files", "tests.crash.sql", "tests.support.over_http"),
)


class _Order(Struct, frozen=True):
    """What is to be run; names can be bytes that are no UTF-8."""

    module: str
    arguments: Sequence[bytes]
    environment: Mapping[bytes, bytes]
    folder: bytes
    umask: int
    group: bool
    session: bool
    bound: bool


class _Server:
    """The process that is forked, from the outside."""

    def __init__(self) -> None:
        # Forks of a fork become children of this process, which can wait for them then.
        assert ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0) == 0
        self._one_at_a_time = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = ("PATH", "HOME", "TMPDIR")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forked", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={name: os.environ[name] for name in kept if name in os.environ} | _LOCALE,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, order: _Order, streams: Sequence[int]) -> int:
        """Start a process with these streams, and return its number."""
        with self._one_at_a_time:
            socket.send_fds(self._socket, [msgspec.msgpack.encode(order)], [*streams])
            answer = self._socket.recv(64)
        if not answer:
            raise RuntimeError("the process that is forked has ended")
        return int(answer)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()


@cache
def _server() -> _Server:
    made = _Server()
    atexit.register(made.close)
    return made


class _Forked(subprocess.Popen[bytes]):
    """A process like any other, but for how it is started."""

    def __init__(self, order: _Order, *, stdin: int, stdout: int, stderr: int) -> None:
        self._order = order
        super().__init__(order.arguments, stdin=stdin, stdout=stdout, stderr=stderr)

    def _execute_child(self, *args: Any) -> None:
        """Take the place of fork and exec; what comes is as of CPython 3.11 to 3.14."""
        to_read, _, _, to_write, _, to_tell = ends = args[10:16]
        streams = [
            own if own >= 0 else number for number, own in enumerate((to_read, to_write, to_tell))
        ]
        try:
            self.pid = _server().fork(self._order, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def started(
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    group: bool = False,
    session: bool = False,
    bound: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``python -m MODULE ARGUMENTS…``, by a fork where that is the same.

    It gets a process ``group`` or a ``session`` of its own if that is wanted. When it is
    ``bound``, file permissions bind it even where it is run by root.
    """
    if not _is_plain(environment):
        assert not bound
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            cwd=folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            process_group=0 if group else None,
            start_new_session=session,
        )
    os.umask(umask := os.umask(0))
    order = _Order(
        module,
        [*map(os.fsencode, arguments)],
        {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
        os.fsencode(folder),
        umask,
        group,
        session,
        bound,
    )
    return _Forked(order, stdin=stdin, stdout=stdout, stderr=stderr)


def _is_plain(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter of this environment would be like the one that is forked."""
    told = {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "LC_")) and name != "PYTHONPATH"
    }
    return sys.platform == "linux" and told == _LOCALE


# Inside the process that is forked.


def warm() -> None:
    """Import everything, make the commands and look for the sinks."""
    # These come out the same every time, and take a run half of its time.
    typer.main.get_command = cache(typer.main.get_command)
    vars(importlib.metadata)["entry_points"] = _entry_points
    from typer.completion import (  # type: ignore[attr-defined]  # Typer lists no names
        completion_init,
    )

    import tautulli_import
    from tautulli_import.cli.app import app
    from tautulli_import.sinks.installed import InstalledSinks

    InstalledSinks()
    for module in pkgutil.walk_packages(tautulli_import.__path__, "tautulli_import."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    typer.main.get_command(app)
    completion_init()  # the program itself does it only for a shell that asks
    for name in ("tautulli_import.__main__", "tests.support.held_up"):
        del sys.modules[name]  # which is run anew
    gc.collect()
    gc.freeze()


def _serve(channel: socket.socket) -> _Order:
    """Fork for every order; return in the forks."""
    while True:
        message, streams, *_ = socket.recv_fds(channel, _LARGEST, 3)
        if not message:
            os._exit(0)
        order = msgspec.msgpack.decode(message, type=_Order)
        read, write = os.pipe()
        between = os.fork()
        if between == 0:
            number = os.fork()
            if number == 0:
                os.close(read)
                os.close(write)
                channel.close()
                for place, stream in enumerate(streams):
                    os.dup2(stream, place)
                    os.close(stream)
                return order
            if order.group:
                os.setpgid(number, number)
            os.write(write, b"%d" % number)
            os._exit(0)
        os.close(write)
        os.waitpid(between, 0)  # the fork has become a child of whoever gave the order
        answer = os.read(read, 64)
        for descriptor in (read, *streams):
            os.close(descriptor)
        channel.send(answer)


def _run(order: _Order) -> None:
    """Run the module, in a fork."""
    os.environ.clear()
    os.environb.update(order.environment)
    time.tzset()
    os.umask(order.umask)
    os.chdir(order.folder)
    if order.session:
        os.setsid()
    if order.bound:
        _give_up_rights()
    _open_streams()
    sys.path[0] = os.fsdecode(order.folder)
    if (path := os.environ.get("PYTHONPATH", str(ROOT))) != str(ROOT):
        sys.path[1:1] = path.split(os.pathsep)
        _entry_points.cache_clear()
    sys.argv = [order.module, *map(os.fsdecode, order.arguments)]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        _end(end.code or 0)
        raise
    _end(0)


def _end(code: int) -> None:
    """End without taking the interpreter apart, which takes longer than most runs do.

    It returns where there is more to an end: a thread, or output that finds nobody.
    """
    if threading.active_count() == 1:
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to have them run
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _give_up_rights() -> None:
    """Do without the capabilities of root that override file permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for number in range(3):  # effective, permitted, inheritable
        sets[number] &= ~_OVERRIDE
    assert libc.capset(header, sets) == 0


def _open_streams() -> None:
    """Have the standard streams as an interpreter makes them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        new = open(  # noqa: SIM115 - for good
            number, "w" if number else "r", encoding=old.encoding, errors=old.errors, closefd=False
        )
        new.reconfigure(line_buffering=number == 2 or new.isatty())
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


if __name__ == "__main__":
    warm()
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
