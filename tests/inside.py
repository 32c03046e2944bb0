"""The program run inside the test's own process: nothing to start, nothing to wait for.

A process of its own proves more and costs a second. Where a test is one of hundreds, or looks at
what the program says to Python's logging, it runs the same command line in here.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tautulli_import.cli.app import app
from tests.conftest import Result

__all__ = ["Inside"]


class Inside:
    """Runs the command line with an environment and a directory of its own."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._environment = environment
        monkeypatch.chdir(folder)

    def __call__(
        self,
        *args: str | Path,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run it with these arguments; what nobody has caught is the test's."""
        environment: dict[str, str | None] = dict.fromkeys(os.environ)
        environment |= self._environment | dict(env or {})
        result = CliRunner(env=environment).invoke(
            app, [*map(str, args)], input=stdin, catch_exceptions=False
        )
        return Result(
            result.exit_code,
            result.stdout_bytes.decode(errors="surrogateescape"),
            result.stderr_bytes.decode(errors="surrogateescape"),
        )
