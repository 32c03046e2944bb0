"""A trial by lot: the same seed and number give the same scenario and the same blows.

A kill at a moment is the one thing that does not come out the same each time: the moment is a
share of the time that a clean run has taken, and machines are not that even.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from tests.crash.harness import Blow, Killed, Limit, Stage
from tests.crash.runs import End
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.spec import ERRORS, Fault, Strike

__all__ = ["Plan", "blows_of", "phase_of", "plan"]

How: TypeAlias = Literal["moment", "boundary", "several", "error", "signal", "limit"]

_WEIGHTS: Final[dict[How, int]] = {
    "moment": 40,
    "boundary": 20,
    "several": 12,
    "error": 18,
    "signal": 5,
    "limit": 5,
}
_AGAIN: Final = 0.1
_MOST_IN_A_ROW: Final = 4
_LARGEST: Final = 60_000


class Plan(Struct, frozen=True):
    """What the lot has fallen on; shares are of the boundaries, or of the time."""

    seed: int
    number: int
    scenario: Scenario
    how: How
    faults: Sequence[tuple[Fault | Literal["moment"], float, bool]]
    outputs: bool
    """Whether it is to be boundaries of the outputs; they are few beside those of the state."""
    again: bool

    @property
    def repeat(self) -> str:
        """The command that does it again."""
        return f"python -m tests.crash --seed {self.seed} --only {self.number}"


def plan(seed: int, number: int) -> Plan:
    """Draw the lot."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - has to be repeatable
    scenario = rng.choice(SCENARIOS)
    how: How = rng.choices([*_WEIGHTS], [*_WEIGHTS.values()])[0]
    count = rng.randint(2, _MOST_IN_A_ROW) if how == "several" else 1
    faults: list[tuple[Fault | Literal["moment"], float, bool]] = []
    for _ in range(count):
        fault: Fault | Literal["moment"] = "kill"
        if how == "moment" or (how == "several" and rng.random() < 0.7):
            fault = "moment"
        elif how == "error":
            fault = rng.choice([*ERRORS])
        elif how == "signal":
            fault = rng.choice(["sigterm", "sigint"])
        faults.append((fault, rng.random(), rng.random() < 0.5))
    outputs, again = rng.random() < 0.5, rng.random() < _AGAIN
    return Plan(seed, number, scenario, how, faults, outputs, again)


def blows_of(found: Plan, stage: Stage) -> list[Blow]:
    """Return the blows of a plan in a stage, whose clean run has boundaries and a length."""
    if found.how == "limit":
        return [Limit(int(share * _LARGEST)) for _, share, _ in found.faults]
    blows: list[Blow] = []
    for fault, share, lasting in found.faults:
        if fault == "moment":
            blows.append(Killed(share * stage.seconds))
            continue
        numbers = stage.numbers(fault, within="out" if found.outputs else "")
        numbers = numbers or stage.numbers(fault)
        if not numbers:  # a run that writes nothing
            blows.append(Killed(share * stage.seconds))
        else:
            number = numbers[int(share * len(numbers))]
            blows.append(Strike(fault, number, lasting and fault in ERRORS))
    return blows


def phase_of(end: End) -> str:
    """Return what a run was about when something happened to it, or when it was killed."""
    last = end.struck or (end.boundaries[-1] if end.boundaries else None)
    if end.code == 0 and end.struck is None:
        return "untouched"
    if last is None:
        return "reading, nothing written yet"
    folder = last.path.partition("/")[0]
    return {"state": "writing its state", "out": "writing the outputs"}.get(folder, folder)
