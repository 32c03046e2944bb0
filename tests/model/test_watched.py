"""Tautulli's own rule for "watched", as its API's ``watched_status`` shows it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.model.plays import Play
from tautulli_import.model.watched import WatchedRule, percent_complete
from tests.support.rows import watched

LENGTH = 100_000
DEFAULTS = WatchedRule()


def play(offset: int | None = 0, **fields: Any) -> Play:
    """Return a play that got to ``offset`` of a film 100 seconds long."""
    values: dict[str, Any] = dict.fromkeys(Play.__struct_fields__)
    values |= {
        "id": 1,
        "media_type": "movie",
        "view_offset": offset,
        "duration": LENGTH,
        **fields,
    }
    return Play(**values)


def test_tautullis_defaults_are_85_percent_and_the_first_of_percent_and_marker() -> None:
    assert (DEFAULTS.movie_percent, DEFAULTS.tv_percent, DEFAULTS.marker) == (85, 85, 3)


def test_a_film_stopped_after_two_minutes_is_not_watched() -> None:
    assert not watched(play(120_000, duration=7_200_000))


# Where the watched part begins, in milliseconds of 100,000, by marker mode.
@pytest.mark.parametrize(
    ("mode", "first", "final", "begins"),
    [
        # 0: the percentage decides, whatever the markers say.
        (0, None, None, 85_000),
        (0, 70_000, 80_000, 85_000),
        (0, 90_000, 95_000, 85_000),
        # 1: the final credits decide, where they are known.
        (1, None, None, 85_000),
        (1, 70_000, None, 85_000),
        (1, None, 80_000, 80_000),
        (1, 70_000, 80_000, 80_000),
        (1, 70_000, 95_000, 95_000),
        # 2: the first credits decide, where they are known.
        (2, None, None, 85_000),
        (2, None, 80_000, 85_000),
        (2, 70_000, None, 70_000),
        (2, 70_000, 80_000, 70_000),
        (2, 90_000, 95_000, 90_000),
        # 3: the first credits or the percentage, whichever comes earlier.
        (3, None, None, 85_000),
        (3, None, 80_000, 85_000),
        (3, 70_000, None, 70_000),
        (3, 70_000, 80_000, 70_000),
        (3, 90_000, 95_000, 85_000),
        # A marker at 0 is no marker.
        (1, 0, 0, 85_000),
        (2, 0, 0, 85_000),
        (3, 0, 0, 85_000),
        # A mode that nobody knows is the percentage.
        (7, 70_000, 80_000, 85_000),
    ],
)
def test_where_the_watched_part_begins(
    mode: int, first: int | None, final: int | None, begins: int
) -> None:
    rule = WatchedRule(marker=mode)
    markers = {"credits_first": first, "credits_final": final}
    assert watched(play(begins, **markers), rule)
    assert watched(play(LENGTH, **markers), rule)
    assert not watched(play(begins - 1, **markers), rule)
    assert not watched(play(0, **markers), rule)
    assert not watched(play(None, **markers), rule)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("duration", [None, 0])
@pytest.mark.parametrize("first", [None, 70_000])
def test_what_has_no_length_is_never_watched(
    mode: int, duration: int | None, first: int | None
) -> None:
    rule = WatchedRule(marker=mode)
    given_play = play(99_000, duration=duration, credits_first=first, credits_final=first)
    assert not watched(given_play, rule)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("duration", [None, LENGTH])
def test_live_tv_is_always_watched(mode: int, duration: int | None) -> None:
    assert watched(play(0, live=1, duration=duration), WatchedRule(marker=mode))
    assert watched(play(None, live=1, duration=duration), WatchedRule(marker=mode))


def test_films_and_episodes_have_thresholds_of_their_own() -> None:
    rule = WatchedRule(movie_percent=90, tv_percent=50)
    assert not watched(play(89_999), rule)
    assert watched(play(90_000), rule)
    assert not watched(play(49_999, media_type="episode"), rule)
    assert watched(play(50_000, media_type="episode"), rule)


@pytest.mark.parametrize(("percent", "begins"), [(1, 1000), (50, 50_000), (100, 100_000)])
def test_the_threshold_is_a_share_of_the_length(percent: int, begins: int) -> None:
    rule = WatchedRule(movie_percent=percent)
    assert watched(play(begins), rule)
    assert not watched(play(begins - 1), rule)


def test_what_tautulli_itself_said_is_not_computed_again() -> None:
    assert watched(play(0, watched=True))
    assert not watched(play(LENGTH, watched=False))
    assert not watched(play(LENGTH, watched=False, live=1))


@settings(deadline=None)
@given(
    mode=st.integers(0, 4),
    percent=st.integers(1, 100),
    first=st.none() | st.integers(1, LENGTH),
    final=st.none() | st.integers(1, LENGTH),
    one=st.integers(0, LENGTH),
    other=st.integers(0, LENGTH),
)
def test_whoever_got_further_watched_no_less(
    *, mode: int, percent: int, first: int | None, final: int | None, one: int, other: int
) -> None:
    rule = WatchedRule(movie_percent=percent, marker=mode)
    less, more = (
        watched(play(offset, credits_first=first, credits_final=final), rule)
        for offset in sorted((one, other))
    )
    assert more or not less


# How far it got.


@pytest.mark.parametrize(
    ("offset", "duration", "percent"),
    [
        (0, 100, 0),
        (100, 100, 100),
        (50_499, LENGTH, 50),
        (50_501, LENGTH, 51),
        # Halves go to the even number, as Python rounds and Tautulli with it.
        (50_500, LENGTH, 50),
        (51_500, LENGTH, 52),
        (120_000, LENGTH, 120),
        # A missing offset is a tenth of a millisecond to Tautulli.
        (None, LENGTH, 0),
        (None, 1, 10),
        (50, None, None),
        (50, 0, None),
        (None, None, 10),
    ],
)
def test_percent_is_rounded_as_tautulli_rounds_it(
    offset: int | None, duration: int | None, percent: int | None
) -> None:
    assert percent_complete(play(offset, duration=duration)) == percent


@pytest.mark.parametrize(("said", "percent"), [(0, 0), (42, 42), (999, 999), (720_000, None)])
def test_the_percent_that_tautulli_said_is_taken_where_it_makes_sense(
    said: int, percent: int | None
) -> None:
    assert percent_complete(play(None, duration=None, percent=said)) == percent


def test_live_tv_is_complete() -> None:
    assert percent_complete(play(0, live=1)) == 100
    assert percent_complete(play(None, live=1, duration=None, percent=0)) == 100
