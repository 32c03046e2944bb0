"""Search many intervals of time, each of a rating key."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

__all__ = ["Crossings", "Span", "Staircase", "add_spans"]

Span: TypeAlias = tuple[int, int, int]
"""A key between two times (epoch seconds, UTC): the first time, the last time and the key."""

_BLOCK: Final = 1024


def add_spans(
    spans: Sequence[tuple[int, int]], key: int, kept: list[Span], changed: list[Span]
) -> None:
    """Add the intervals in which a key kept its meaning, and those in which it changed it."""
    kept += [(first, last, key) for first, last in spans if first < last]
    changed += [(one[1], other[0], key) for one, other in pairwise(spans) if one[1] < other[0]]


class Crossings:
    """Intervals of keys. Counts and measures what they have in common with another interval."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._firsts = sorted(first for first, _, _ in spans)
        self._lasts = sorted(last for _, last, _ in spans)
        self._sums = [list(accumulate(of, initial=0)) for of in (self._firsts, self._lasts)]
        self._of_key: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for first, last, key in spans:
            self._of_key[key].append((first, last))

    def count(self, begin: int, end: int, key: int) -> int:
        """Count the intervals that overlap with one, without those of a key."""
        begun = bisect_left(self._firsts, end)
        over = bisect_right(self._lasts, begin)
        own = sum(first < end and last > begin for first, last in self._of_key.get(key, ()))
        return begun - over - own

    def seconds(self, begin: int, end: int, key: int) -> int:
        """Add up the time that intervals share with one, without those of a key.

        Divided by the length of that one, it is how many of them a moment in it has on average.
        """
        own = sum(
            max(min(last, end) - max(first, begin), 0) for first, last in self._of_key.get(key, ())
        )
        return self._seconds_until(end) - self._seconds_until(begin) - own

    def _seconds_until(self, moment: int) -> int:
        firsts, lasts = self._sums
        begun, over = bisect_left(self._firsts, moment), bisect_left(self._lasts, moment)
        return moment * (begun - over) - firsts[begun] + lasts[over]


class Staircase:
    """Finds an interval of a higher key that contains a given one.

    The intervals are sorted by key, in blocks. Of each block there are the sorted beginnings, and
    the latest end of all that begin so early.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted((key, first, last) for first, last, key in spans)
        self._keys = [key for key, _, _ in self._spans]
        self._blocks: list[tuple[list[int], list[int]]] = []
        for start in range(0, len(self._spans), _BLOCK):
            inside = sorted((first, last) for _, first, last in self._spans[start:][:_BLOCK])
            latest = list(accumulate((last for _, last in inside), max))
            self._blocks.append(([first for first, _ in inside], latest))

    def higher_key(self, key: int, begin: int, end: int) -> int | None:
        """Return a higher key with an interval that begins by ``begin`` and ends after ``end``.

        Return ``None`` if there is none.
        """
        start = bisect_right(self._keys, key)
        whole = -(-start // _BLOCK)
        for higher, first, last in self._spans[start : whole * _BLOCK]:
            if first <= begin and last >= end:
                return higher
        for number, (firsts, latest) in enumerate(self._blocks[whole:], whole):
            begun = bisect_right(firsts, begin)
            if begun and latest[begun - 1] >= end:
                inside = self._spans[number * _BLOCK : (number + 1) * _BLOCK]
                return next(k for k, first, last in inside if first <= begin and last >= end)
        return None
