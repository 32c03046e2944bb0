"""CrossWatch's keys, to the letter: in the Editor and in rewatch pairs it trusts them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import structs

from tautulli_import.model.items import EXTERNAL, Ids
from tautulli_import.model.keys import best_id, episode_key, event_key, movie_key

BEST_FIRST = (
    *("tmdb", "imdb", "tvdb", "trakt", "mal", "anilist", "kitsu", "anidb", "simkl"),
    *("plex", "guid"),
)
SOME_IDS = st.dictionaries(
    st.sampled_from(BEST_FIRST), st.from_regex(r"[A-Za-z0-9:/]+", fullmatch=True)
).map(lambda ids: Ids(**ids))


def test_the_namespaces_stand_in_the_order_of_crosswatch() -> None:
    assert (*EXTERNAL, "plex", "guid") == BEST_FIRST


@pytest.mark.parametrize(("better", "worse"), [*pairwise(BEST_FIRST), ("tmdb", "guid")])
def test_the_better_namespace_makes_the_key(better: str, worse: str) -> None:
    assert best_id(Ids(**{worse: "2", better: "1"})) == f"{better}:1"
    assert best_id(Ids(**{worse: "2"})) == f"{worse}:2"


@settings(deadline=None)
@given(SOME_IDS)
def test_the_key_is_the_first_namespace_present(ids: Ids) -> None:
    present = [name for name in BEST_FIRST if getattr(ids, name)]
    first = present[0] if present else None
    assert best_id(ids) == (f"{first}:{getattr(ids, first)}".lower() if first else None)


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        (Ids(tmdb="603", imdb="tt0133093"), "tmdb:603"),
        (Ids(imdb="TT0133093", tvdb="1"), "imdb:tt0133093"),
        (Ids(plex="40759", guid="plex://movie/5D77"), "plex:40759"),
        (Ids(guid="plex://movie/5D776825151a"), "guid:plex://movie/5d776825151a"),
        (Ids(), "movie|title:the matrix|year:1999"),
        (Ids(tmdb=""), "movie|title:the matrix|year:1999"),
    ],
)
def test_a_film_is_keyed_by_its_best_id_and_by_title_only_without_any(ids: Ids, key: str) -> None:
    assert movie_key(ids, " The MATRIX ", 1999) == key


def test_a_film_of_no_known_year_is_keyed_by_its_title() -> None:
    assert movie_key(Ids(), "The Matrix", None) == "movie|title:the matrix|year:"


@pytest.mark.parametrize(
    ("season", "episode", "end"),
    [
        (1, 1, "#s01e01"),
        (0, 1, "#s00e01"),
        (0, 0, "#s00e00"),
        (9, 10, "#s09e10"),
        (99, 99, "#s99e99"),
        (100, 100, "#s100e100"),
        (2024, 1131, "#s2024e1131"),
    ],
)
def test_numbers_have_two_digits_or_as_many_as_it_takes(
    season: int, episode: int, end: str
) -> None:
    assert episode_key("tmdb:1396", season, episode) == "tmdb:1396" + end


def test_an_episode_of_which_only_the_servers_own_show_is_known_is_keyed_by_that() -> None:
    assert episode_key(best_id(Ids(plex="40759")) or "", 2, 4) == "plex:40759#s02e04"


def test_an_episode_never_falls_to_a_title_key() -> None:
    assert best_id(Ids()) is None


def test_an_event_key_is_the_canonical_key_and_the_second() -> None:
    assert event_key("tmdb:603", 1709324130) == "tmdb:603@1709324130"
    assert event_key("tmdb:1396#s01e01", 0) == "tmdb:1396#s01e01@0"


@settings(deadline=None)
@given(SOME_IDS, st.text(), st.none() | st.integers(1880, 2100))
def test_a_films_key_is_lower_case_and_never_empty(ids: Ids, title: str, year: int | None) -> None:
    key = movie_key(ids, title, year)
    assert key == key.lower()
    assert key.startswith("movie|title:") == (best_id(ids) is None)


@settings(deadline=None)
@given(SOME_IDS, st.integers(0, 3000), st.integers(0, 3000))
def test_an_episodes_key_can_be_read_back(ids: Ids, season: int, episode: int) -> None:
    show = best_id(ids)
    if show is None:
        assert ids == Ids() or not any(structs.astuple(ids))
        return
    key = episode_key(show, season, episode)
    assert key == key.lower()
    found = re.fullmatch(r"(.+)#s(\d{2,})e(\d{2,})", key)
    assert found
    assert found[1] == show
    assert (int(found[2]), int(found[3])) == (season, episode)
