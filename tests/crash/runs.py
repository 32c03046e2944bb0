"""Runs of the program that something happens to, each a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.crash.spec import Boundary, Spec, decoded
from tests.support.forked import ROOT, started

__all__ = ["End", "run"]

_PATIENCE: Final = 120.0


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


def run(
    spec: Spec,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    kill_after: float | None = None,
) -> End:
    """Run the program in `folder` and return when it has ended.

    It is killed after `kill_after` seconds. The log of the spec is read and removed.
    """
    began = time.monotonic()
    with started(
        "tests.crash.driver",
        [msgspec.json.encode(spec).decode(), "--", *arguments],
        environment={**environment, "PYTHONPATH": str(ROOT)},
        folder=folder,
    ) as process:
        try:
            out, err = process.communicate(timeout=kill_after or _PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    seconds = time.monotonic() - began
    boundaries: Sequence[Boundary] = ()
    if spec.log is not None:
        log = Path(spec.log)
        boundaries = decoded(log.read_bytes()) if log.exists() else ()
        log.unlink(missing_ok=True)
    said, why = out.decode(errors="replace"), err.decode(errors="replace")
    return End(process.returncode, said, why, boundaries, seconds)
