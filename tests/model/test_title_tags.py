"""Ids that people write into the names of folders."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.model.items import EXTERNAL
from tautulli_import.model.title_tags import ids_in_title


@pytest.mark.parametrize(
    ("tag", "ids"),
    [
        ("{imdb-tt5311514}", {"imdb": "tt5311514"}),
        ("{tmdb-278} {edition-4K}", {"tmdb": "278"}),
        ("{edition-Director's Cut}", {}),
        ("[tvdb-371310]", {"tvdb": "371310"}),
        ("[tvdbid=371310]", {"tvdb": "371310"}),
        ("[tmdbid-278][imdbid-tt0111161]", {"tmdb": "278", "imdb": "tt0111161"}),
        ("{TMDB-278}", {"tmdb": "278"}),
        ("[anidb-23]", {"anidb": "23"}),
        ("(tmdb: 278)", {"tmdb": "278"}),
        ("[tt0111161]", {"imdb": "tt0111161"}),
        ("{tmdb-278} {tmdb-278}", {"tmdb": "278"}),
        ("{tmdb-278} {tmdb-603} {imdb-tt0111161}", {"imdb": "tt0111161"}),
        ("{tmdb-0}", {}),
        ("[tvdb2-79349]", {"tvdb": "79349"}),
        ("[tvdb3-81797]", {}),
        ("[anidb2-23]", {}),
    ],
)
@pytest.mark.parametrize("place", ["The Title {}", "{} The Title", "The {} Title", "The Title{}"])
def test_an_id_in_a_title_is_a_persons_word(place: str, tag: str, ids: dict[str, str]) -> None:
    assert ids_in_title(place.replace("{}", tag)) == ("The Title", ids)


@pytest.mark.parametrize(
    "title",
    [
        *("", "Heat", "[REC]", "{Proof}", "Heat (1995)", "Heat [Bluray-1080p]", "Rate: [tmdb]"),
        *("tmdb-278", "[tmdb-]", "[imdbx-1]", "[tvmaze-1]", "[youtube-PL123]", "tt0111161"),
        *("[tmdb-278", "2  Fast", " Heat ", "{}", "[[]", "(tt1)"),
    ],
)  # fmt: skip
def test_a_title_without_a_tag_stays_as_it_is(title: str) -> None:
    assert ids_in_title(title) == (title, {})


def test_an_id_in_the_form_of_another_site_is_none() -> None:
    assert ids_in_title("Heat {imdb-0113277} {tmdb-tt0113277}") == ("Heat", {})


def test_of_a_title_that_is_only_a_tag_nothing_is_left() -> None:
    assert ids_in_title("{tmdb-278}") == ("", {"tmdb": "278"})


@settings(deadline=None)
@given(st.text(st.sampled_from("[]{}()-= tmdbiv024é")))
def test_whatever_stands_there_only_valid_ids_come_out(title: str) -> None:
    plain, ids = ids_in_title(title)
    assert len(plain) <= len(title)
    assert ids.keys() <= set(EXTERNAL)
    assert all(value.removeprefix("tt").isdecimal() for value in ids.values())
