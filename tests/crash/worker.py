"""A process of the long form: it carries out one plan after the other."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from msgspec import Struct

from tests.crash.chance import Plan, blows_of, phase_of
from tests.crash.harness import Stage
from tests.crash.scenarios import Scenario
from tests.support.inherited import keep_ignored_signals

__all__ = ["Result", "begin", "carry_out"]


class Result(Struct, frozen=True):
    """What came of a plan."""

    plan: Plan
    wrong: tuple[str, ...]
    lost: int = 0
    doubled: int = 0
    differing: bool = False
    wrong_codes: int = 0
    runs: int = 0
    ends: tuple[tuple[str, str], ...] = ()
    """How each struck run has ended, and what it was about."""


class _Worker:
    """Carries out plans; each scenario is made ready once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stages: dict[Scenario, Stage] = {}
        self._count = 0

    def carry_out(self, found: Plan) -> Result:
        """Do what the lot says."""
        stage = self._stages.get(found.scenario)
        if stage is None:
            self._count += 1
            place = self._folder / str(self._count)
            stage = self._stages[found.scenario] = Stage(place, found.scenario)
        trial = stage.trial(*blows_of(found, stage), again=found.again)
        return Result(
            found,
            tuple(trial.wrong),
            trial.lost,
            trial.doubled,
            trial.differing,
            trial.wrong_codes,
            trial.runs,
            tuple((_ending(end.code), phase_of(end)) for end in trial.ends),
        )


_workers: list[_Worker] = []


def begin(folder: str) -> None:
    """Make this process one that carries out plans, in a folder of its own."""
    keep_ignored_signals()
    place = Path(folder) / multiprocessing.current_process().name
    _workers.append(_Worker(place))


def carry_out(found: Plan) -> Result:
    """Do what the lot says; what cannot be tried is told as a failure."""
    try:
        return _workers[0].carry_out(found)
    except Exception as error:  # noqa: BLE001 - of the harness itself, or of a clean run
        return Result(found, (f"it could not be tried: {type(error).__name__}: {error}",))


def _ending(code: int) -> str:
    return {-9: "killed", 0: "ended well"}.get(code, f"exit {code}")
