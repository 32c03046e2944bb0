"""What tests of a single run need: a sink under its name, and the sum of what was read."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from tautulli_import.counting import Plays, add_up
from tautulli_import.imports.job import Target
from tautulli_import.items.pipeline import ReadResult
from tautulli_import.model.items import Record
from tautulli_import.sinks.base import Sink, SinkOptions
from tautulli_import.sinks.installed import InstalledSinks, make_sink

__all__ = ["add_up_outputs", "target"]

JUNE_2024 = 1_718_000_000


def target(name: str, out: Path | None = None, **options: Any) -> Target:
    """Make the sink called ``name`` for the place ``out``, as a command does."""
    given: dict[str, Any] = {"stdout": BytesIO(), "now": JUNE_2024} | options
    cls = InstalledSinks().load(name)
    if issubclass(cls, Sink) and cls.every_viewing:
        given["every_viewing"] = True
    return Target(name, make_sink(cls, name, SinkOptions(out=out, **given)))


def add_up_outputs(result: ReadResult, outputs: Sequence[Sequence[Record]]) -> Plays:
    """Check that every row is accounted for, all outputs together, and return the numbers."""
    accepted = sum(result.accepted.values())
    return add_up(result.read, result.verdicts, accepted, sum(map(len, outputs)))
