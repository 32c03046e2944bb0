"""What a play is: small histories out of public bug reports, each with its right answer.

`FORMAT.md` tells what is in a case. Every case is read through both doors, which must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.support.cases import Case, compare, run
from tests.support.inside import Inside

HERE = Path(__file__).parent

#: Cases that do not pass yet. One that begins to pass has to be taken off the list.
NOT_YET = frozenset(
    {
        "merge-episode-under-another-id",
        "merge-film-under-another-id",
        "merge-ids-are-joined",
        "merge-newer-entry-stays",
        "merge-same-viewing-from-elsewhere",
    }
)


def _cases() -> Iterator[ParameterSet]:
    for path in sorted(HERE.glob("*.toml")):
        marks = [pytest.mark.xfail(strict=True)] if path.stem in NOT_YET else []
        yield pytest.param(path.stem, marks=marks)


@pytest.mark.parametrize("name", [*_cases()])
def test_a_history_has_its_right_answer(name: str, inside: Inside, tmp_path: Path) -> None:
    case = Case(HERE / f"{name}.toml")
    outcomes = {door: run(inside, case, door, tmp_path / door) for door in case.doors}
    assert {door: outcome.troubles for door, outcome in outcomes.items() if outcome.troubles} == {}
    if len(outcomes) > 1:
        assert outcomes["api"].items == outcomes["db"].items
    if case.want_same_as:
        other = Case(HERE / f"{case.want_same_as}.toml")
        theirs = run(inside, other, case.doors[0], tmp_path / "other").lines
        assert compare(theirs, outcomes[case.doors[0]].lines) == []


def test_every_case_that_does_not_pass_yet_is_there() -> None:
    assert {path.stem for path in HERE.glob("*.toml")} >= NOT_YET
