"""Plays of one user and one film are one viewing where one goes on with another."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.model.viewings import (
    UNKNOWN,
    Evidence,
    estimated_length,
    viewings,
)

LENGTH = 7_200
DAY = 86_400
UNHURRIED = settings(deadline=None)

Piece = tuple[float, float, int, int]
"""Begun (days), played from, played to (percent), more seconds than that."""


def play(number: int, begun: float, begin: float, end: int, more: int = 0) -> Evidence:
    """Return a play of a film of two hours, from one percentage to another."""
    played = int((end - begin) * LENGTH / 100) + more
    start = 1_600_000_000 + int(begun * DAY)
    return Evidence(number, start, start + played, played, end, end >= 85)


def plays(*pieces: Sequence[float]) -> list[Evidence]:
    """Return a play for each piece, with row ids from 1."""
    return [
        play(number, begun, begin, int(end), *map(int, more))
        for number, (begun, begin, end, *more) in enumerate(pieces, 1)
    ]


def ids(found: Sequence[Sequence[Evidence]]) -> list[list[int]]:
    """Return the row ids of each viewing."""
    return [[one.id for one in viewing] for viewing in found]


MINUTE = 1 / 1440

CASES: dict[str, tuple[list[Sequence[float]], list[list[int]]]] = {
    "twice in a row": ([(0, 0, 100), (0.1, 0, 100)], [[1], [2]]),
    "twice, the first until the credits": ([(0, 0, 86), (0.1, 0, 100)], [[1], [2]]),
    "the rest on the next day": ([(0, 0, 88), (1, 88, 100)], [[1, 2]]),
    "the rest years later": ([(0, 0, 88), (900, 88, 100)], [[1, 2]]),
    "the rest, five minutes skipped back": ([(0, 0, 88), (1, 84, 100)], [[1, 2]]),
    "the rest, ten minutes skipped ahead": ([(0, 0, 86), (1, 94, 100)], [[1, 2]]),
    "from the middle after the end": ([(0, 0, 90), (1, 50, 95)], [[1], [2]]),
    "in pieces": (
        [(0, 0, 4), (1, 4, 12), (2, 12, 50), (3, 50, 88), (4, 88, 88)],
        [[1, 2, 3, 4, 5]],
    ),
    "started again after a stop": ([(0, 0, 40), (1, 0, 100)], [[1, 2]]),
    "twice, the second in pieces": ([(0, 0, 88), (1, 0, 40), (2, 40, 95)], [[1], [2, 3]]),
    "twice, the second until just below the mark": (
        [(0, 0, 88), (1, 0, 84), (2, 84, 100)],
        [[1], [2, 3]],
    ),
    "the rest after a false start": ([(0, 0, 88), (1, 0, 3), (1.1, 88, 100)], [[1, 3], [2]]),
    "a false start, then from the beginning": ([(0, 0, 88), (1, 0, 3), (2, 0, 95)], [[1], [2, 3]]),
    "begun again and given up": ([(0, 0, 95), (1, 0, 5)], [[1], [2]]),
    "logged four times": ([(n / DAY, 0, 100) for n in range(4)], [[1, 2, 3, 4]]),
    "logged twice, one row broken off": ([(0, 0, 100), (0.01, 0, 5), (9, 0, 99)], [[1, 2], [3]]),
    "two players at once": ([(0, 0, 100), (0.05, 0, 100)], [[1, 2]]),
    "a pause that nobody logged": (
        [(0, 0, 96), (5, 0, 97), (9, 0, 99, 36_000), (20, 0, 98)],
        [[1], [2], [3], [4]],
    ),
    "only the ends": ([(0, 88, 100), (5, 88, 100)], [[1], [2]]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_play_goes_on_with_a_viewing_or_begins_one(name: str) -> None:
    pieces, expected = CASES[name]
    assert ids(viewings(plays(*pieces))) == expected


@pytest.mark.parametrize("minutes", [1, 7, 24])
def test_a_short_episode_twice_in_a_row_is_two_viewings(minutes: int) -> None:
    length = minutes * 60
    twice = [
        Evidence(1, DAY, DAY + length, length, 97, watched=True),
        Evidence(2, DAY + length + 5, DAY + 2 * length + 5, length, 100, watched=True),
    ]
    assert ids(viewings(twice)) == [[1], [2]]


def test_a_clock_that_jumped_by_months_swallows_no_other_viewing() -> None:
    jumped = Evidence(1, DAY, 300 * DAY, 299 * DAY, 100, watched=True)
    assert ids(viewings([jumped, *(play(n, n - 18_000, 0, 100) for n in (20, 40))])) == [
        [1],
        [20],
        [40],
    ]


@pytest.mark.parametrize(("played", "reached"), [(UNKNOWN, 100), (7_000, UNKNOWN), (0, 100)])
def test_watched_plays_of_which_nothing_is_known_are_viewings(played: int, reached: int) -> None:
    found = [Evidence(n, n * DAY, n * DAY, played, reached, watched=True) for n in (1, 2, 3)]
    assert ids(viewings(found)) == [[1], [2], [3]]


def test_zero_seconds_at_the_same_second_are_one_viewing() -> None:
    found = [Evidence(n, DAY, DAY, 0, 100, watched=True) for n in (1, 2)]
    assert ids(viewings(found)) == [[1, 2]]


def test_the_length_is_the_one_that_most_plays_agree_with() -> None:
    seven = plays((0, 0, 4), (1, 4, 12), (2, 12, 27), (3, 27, 50), (4, 50, 88), (5, 88, 100))
    assert estimated_length(seven) == pytest.approx(LENGTH, rel=0.05)
    paused = plays((0, 0, 96), (5, 0, 97), (9, 0, 99, 36_000))
    assert estimated_length(paused) == pytest.approx(LENGTH, rel=0.05)
    assert estimated_length([]) == 0


HISTORIES = st.lists(
    st.builds(
        lambda begun, ends, more: (begun, min(ends), max(ends), more),
        st.integers(0, 400).map(lambda hours: hours / 24),
        st.tuples(st.integers(0, 100), st.integers(0, 100)),
        st.sampled_from([0, 0, 0, 60, 90_000]),
    ),
    max_size=8,
).map(lambda pieces: plays(*pieces))


@UNHURRIED
@given(history=HISTORIES, seed=st.integers())
def test_each_play_is_in_one_viewing_and_the_order_of_rows_does_not_matter(
    history: list[Evidence], seed: int
) -> None:
    found = viewings(history)
    assert sorted(one.id for viewing in found for one in viewing) == [one.id for one in history]
    shuffled = list(history)
    Random(seed).shuffle(shuffled)  # noqa: S311 - no secret
    assert viewings(shuffled) == found


@UNHURRIED
@given(history=HISTORIES, more=HISTORIES)
def test_a_play_that_was_not_watched_never_takes_a_viewing_away(
    history: list[Evidence], more: list[Evidence]
) -> None:
    """It can tell that a viewing began. The length of the item is the same."""

    def complete(found: Sequence[Sequence[Evidence]]) -> int:
        return sum(1 for viewing in found if any(one.watched for one in viewing))

    partial = [one for one in more if not one.watched]
    assert complete(viewings([*history, *partial], LENGTH)) >= complete(viewings(history, LENGTH))


@UNHURRIED
@given(
    ends=st.lists(st.integers(85, 100), min_size=1, max_size=6),
    gap=st.integers(0, 10**8),
    seconds=st.integers(60, 20_000),
)
def test_whole_plays_that_do_not_overlap_are_as_many_viewings(
    ends: list[int], gap: int, seconds: int
) -> None:
    begun, history = DAY, []
    for number, end in enumerate(ends):
        played = seconds * end // 100
        history.append(Evidence(number, begun, begun + played, played, end, watched=True))
        begun += played + gap
    assert len(viewings(history)) == len(ends)
