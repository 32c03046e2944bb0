"""The program run inside the test's own process: nothing to start, nothing to wait for.

A process of its own proves more and costs a second. Where a test is one of hundreds, or listens
to what is logged, it runs the same command line in here.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tautulli_import.cli.app import app
from tautulli_import.sinks import installed
from tests.conftest import Result

__all__ = ["Inside", "inside"]

#: What is installed is looked for once: it is the same every time, and there are many packages.
_entry_points = cache(entry_points)


class Inside:
    """Runs the command line with an environment and a directory of its own."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.environment = environment
        monkeypatch.chdir(folder)
        monkeypatch.setattr(installed, "entry_points", _entry_points)

    def __call__(
        self, *args: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Result:
        """Run it with these arguments; what the program does not catch is the test's."""
        environment: dict[str, str | None] = dict.fromkeys(os.environ)
        environment |= {**self.environment, **(env or {})}
        with CliRunner(env=environment).isolation(input=stdin) as (out, err, _):
            code = 0
            try:
                _command().main(args=[*map(str, args)], prog_name="tautulli-import")
            except SystemExit as end:
                code = int(end.code or 0)
            sys.stdout.flush()
            sys.stderr.flush()
            said = [stream.getvalue().decode(errors="surrogateescape") for stream in (out, err)]
        return Result(code, *said)


@contextmanager
def inside(folder: Path, environment: Mapping[str, str]) -> Iterator[Inside]:
    """Yield the program in this process, which hears signals afterwards as it did before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    with pytest.MonkeyPatch.context() as patch:
        try:
            yield Inside(folder, environment, patch)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


@cache
def _command() -> Any:
    return get_command(app)
