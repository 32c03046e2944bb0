"""Products of cases: each value is tried once in the suite, each pair of them by `make fuzz`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

__all__ = ["crossed", "rarely"]


def crossed(*axes: Iterable[object]) -> Sequence[ParameterSet]:
    """Return all combinations; so many that each value is in one are no fuzz."""
    values = [[*axis] for axis in axes]
    longest = max(map(len, values))
    once = {tuple(number % len(axis) for axis in values) for number in range(longest)}
    return [
        pytest.param(
            *(axis[number] for axis, number in zip(values, numbers, strict=True)),
            marks=() if numbers in once else pytest.mark.fuzz,
        )
        for numbers in product(*(range(len(axis)) for axis in values))
    ]


def rarely(found: Iterable[object], kept: Iterable[object]) -> Sequence[ParameterSet]:
    """Return all of these; those that are not kept in the suite are fuzz."""
    wanted = [*kept]
    return [pytest.param(one, marks=() if one in wanted else pytest.mark.fuzz) for one in found]
