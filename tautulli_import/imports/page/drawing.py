"""Compute the shapes of a page: the bands of the flow, and the cells of the calendars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Final

from msgspec import Struct

__all__ = ["Band", "Cell", "bands", "hours_of", "months_of"]

_HEIGHT: Final = 300
"""The height of all plays together, in pixels."""
_ROW: Final = 52
"""The least height of a band's row. Three lines of text fit in."""
_THINNEST: Final = 2.0
_LEVELS: Final = 4


class Band(Struct, frozen=True):
    """One outcome in the flow: the outline of its band, and the height of its row in pixels."""

    path: str
    height: float


class Cell(Struct, frozen=True):
    """A month, or an hour of a weekday, with its plays.

    The level is 0 without plays, otherwise 1 to 4.
    """

    row: int
    column: int
    count: int
    level: int


def bands(counts: Sequence[int]) -> Sequence[Band]:
    """Return the bands from one bar on the left to a row for each count on the right.

    They are drawn in a box that is 100 wide and as high as all rows. Their widths are to scale,
    but for very thin ones.
    """
    total = sum(counts) or 1
    shares = [max(count / total * _HEIGHT, _THINNEST) for count in counts]
    rows = [max(share, _ROW) for share in shares]
    found: list[Band] = []
    left, top = (sum(rows) - sum(shares)) / 2, 0.0
    for share, row in zip(shares, rows, strict=True):
        right = top + (row - share) / 2
        a, b, c, d = (f"{y:.1f}" for y in (left, right, right + share, left + share))
        found.append(Band(f"M0 {a}C50 {a} 50 {b} 100 {b}V{c}C50 {c} 50 {d} 0 {d}Z", round(row, 1)))
        left += share
        top += row
    return found


def months_of(months: Mapping[tuple[int, int], int]) -> Sequence[Sequence[Cell | None]]:
    """Return a row of twelve months for each year.

    Months before the first play and after the last one are ``None``.
    """
    if not months:
        return []
    first, last, many = min(months), max(months), _many(months.values())

    def cell(year: int, month: int) -> Cell | None:
        if not first <= (year, month) <= last:
            return None
        count = months.get((year, month), 0)
        return Cell(year - first[0], month - 1, count, _level(count, many))

    return [[cell(year, month) for month in range(1, 13)] for year in range(first[0], last[0] + 1)]


def hours_of(hours: Sequence[int]) -> Iterator[Sequence[Cell]]:
    """Yield a row of 24 hours for each weekday."""
    many = _many(hours)
    for weekday in range(7):
        counts = hours[weekday * 24 : weekday * 24 + 24]
        yield [Cell(weekday, hour, n, _level(n, many)) for hour, n in enumerate(counts)]


def _many(counts: Iterable[int]) -> int:
    """Return a number of plays that only one in ten months or hours with plays exceeds.

    A few very busy ones would make all others look empty.
    """
    ordered = sorted(filter(None, counts))
    return ordered[len(ordered) * 9 // 10] if ordered else 1


def _level(count: int, many: int) -> int:
    return min(_LEVELS, ceil(_LEVELS * count / many))
