"""Killed, or out of luck, at a boundary: the next run ends as if nothing had been.

A boundary is the moment before or after a write, an fsync, a rename, a statement that writes, a
commit: all that happens to the outputs and to the state. Two imports, one through each door and
one into each kind of output, are killed, starved and interrupted at a few of their boundaries.

The whole sweep is marked `fuzz`. `db` and `api` into a tracker are tried at all boundaries; only
of statements that find the disk full evenly spread ones of `api`, for they were all found
failing. Into other sinks what is done to the state is the same: there, all boundaries of the
outputs are tried and evenly spread ones of the state. Of later runs, whose boundaries are
hundreds of the same sorts, evenly spread ones are. `python -m tests.crash` draws from all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import pytest

from tests.crash.harness import Stage
from tests.crash.places import quick_folder
from tests.crash.scenarios import Scenario
from tests.crash.spec import Fault, Strike

FEW = (
    Scenario("db", "tracker", "replace", foreign=True, plays=120, batch=60),
    Scenario("db", "tracker", foreign=True, plays=120, batch=60),
    Scenario("api", "events", "more", plays=60, windows=80),
)
EVERYWHERE = (
    Scenario("db", "tracker", foreign=True, plays=120, batch=60),
    Scenario("api", "tracker", plays=40, windows=100, batch=40),
)
OUTPUTS = (
    Scenario("db", "jsonl", plays=120, batch=40),
    Scenario("db", "editor", plays=120, batch=40),
    Scenario("db", "events", plays=120, batch=40),
)
LATER = (
    Scenario("db", "tracker+editor", "more", foreign=True, plays=120, batch=60),
    Scenario("db", "tracker", "nothing", plays=120, batch=40),
    Scenario("db", "tracker+editor", "replace", foreign=True, plays=120, batch=60),
    Scenario("db", "events", "more", plays=120, batch=40),
    Scenario("api", "editor", "more", plays=60, windows=80),
    Scenario("api", "tracker", "nothing", plays=60, windows=80),
)
A_FEW: Final = 2
SAMPLE: Final = 5
AT_ONCE: Final = 2
STRUCK: Final[Sequence[Fault]] = ("kill", "ENOSPC", "sigterm")


class Stages:
    """The same scenario several times, for trials side by side."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.one = stages[0]
        self._stages = stages

    def numbers(self, fault: Fault, *, sample: int | None = None) -> Sequence[int]:
        """Return the boundaries to try."""
        if sample is not None or self.one.scenario in LATER:
            return self.one.numbers(fault, sample=sample or SAMPLE)
        everywhere = self.one.scenario in EVERYWHERE
        if everywhere and (self.one.scenario.door == "db" or fault != "ENOSPC"):
            return self.one.numbers(fault)
        state = self.one.numbers(fault, within="state", sample=SAMPLE)
        return state + self.one.numbers(fault, within="out")

    def check(self, strikes: Sequence[Strike]) -> None:
        """Nothing is wrong after each of these, in trials of their own."""
        count = len(self._stages)
        shares = [strikes[number::count] for number in range(count)]
        with ThreadPoolExecutor(count) as pool:
            found = [*pool.map(_wrong, self._stages, shares)]
        wrong = [sentence for share in found for sentence in share]
        assert not wrong, "\n".join(wrong)


def _wrong(stage: Stage, strikes: Sequence[Strike]) -> list[str]:
    return [sentence for strike in strikes for sentence in stage.trial(strike).wrong]


def made(scenario: Scenario, stack: ExitStack) -> Stages:
    """Return the stages of a scenario, for trials side by side."""
    folder = stack.enter_context(quick_folder())
    return Stages(
        [stack.enter_context(Stage(folder / str(number), scenario)) for number in range(AT_ONCE)]
    )


@pytest.fixture(scope="module", params=[*EVERYWHERE, *OUTPUTS, *LATER], ids=str)
def stages(request: pytest.FixtureRequest) -> Iterator[Stages]:
    """Each of the scenarios of the sweep."""
    with ExitStack() as stack:
        yield made(request.param, stack)


@pytest.mark.parametrize("scenario", FEW, ids=str)
def test_an_import_that_is_struck_leaves_everything_whole_and_ends_well_the_next_time(
    scenario: Scenario,
) -> None:
    with ExitStack() as stack:
        stages = made(scenario, stack)
        for fault in STRUCK:
            state = stages.one.numbers(fault, within="state", sample=A_FEW)
            out = stages.one.numbers(fault, within="out", sample=A_FEW)
            assert state
            assert out
            stages.check([Strike(fault, number) for number in (*state, *out)])


@pytest.mark.fuzz
def test_a_killed_import_run_again_ends_as_if_nothing_had_been(stages: Stages) -> None:
    stages.check([Strike("kill", number) for number in stages.numbers("kill")])


@pytest.mark.fuzz
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "short"])
def test_an_import_that_cannot_write_leaves_everything_whole_and_ends_well_the_next_time(
    stages: Stages, fault: Fault
) -> None:
    stages.check([Strike(fault, number) for number in stages.numbers(fault)])


@pytest.mark.fuzz
def test_an_import_whose_disk_stays_full_leaves_everything_whole(stages: Stages) -> None:
    numbers = stages.numbers("ENOSPC", sample=4)
    stages.check([Strike("ENOSPC", number, lasting=True) for number in numbers])


@pytest.mark.fuzz
@pytest.mark.parametrize("fault", ["sigterm", "sigint"])
def test_an_import_that_is_asked_to_stop_anywhere_can_be_continued(
    stages: Stages, fault: Fault
) -> None:
    stages.check([Strike(fault, number) for number in stages.numbers(fault, sample=3)])


@pytest.mark.fuzz
def test_an_import_killed_again_and_again_comes_to_its_end(stages: Stages) -> None:
    strikes = [Strike("kill", number) for number in stages.numbers("kill", sample=5)]
    wrong = stages.one.trial(*strikes, again=True).wrong
    assert not wrong, "\n".join(wrong)
