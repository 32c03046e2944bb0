"""What a play is: small histories out of public bug reports, each with its right answer.

`FORMAT.md` tells what is in a case. Every case is read through both doors, which must agree.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import Case, compare, run
from tests.support.inside import Inside

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.toml")))
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
