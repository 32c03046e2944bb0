"""What a GUID says about ids, and at which level."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.model.guids import (
    clean_id,
    fits_episode,
    guid_kind,
    is_aired_order,
    listed_ids,
    movie_ids,
    numbers_in,
    plex_guid,
    series_ids,
    show_ids,
)
from tautulli_import.model.items import EXTERNAL

AGENT = "com.plexapp.agents."

FILMS = [
    (AGENT + "imdb://tt0111161?lang=en", {"imdb": "tt0111161"}),
    (AGENT + "themoviedb://278?lang=en", {"tmdb": "278"}),
    (AGENT + "hama://tmdb-129?lang=en", {"tmdb": "129"}),
    (AGENT + "hama://imdb-tt0245429?lang=en", {"imdb": "tt0245429"}),
    (AGENT + "hama://anidb-112?lang=en", {"anidb": "112"}),
    (AGENT + "xbmcnfo://tt0111161?lang=en", {"imdb": "tt0111161"}),
    (AGENT + "xbmcnfo://278?lang=en", {"tmdb": "278"}),
    (AGENT + "hama://3351?lang=en", {"anidb": "3351"}),
    (AGENT + "anidb://112?lang=en", {"anidb": "112"}),
    (AGENT + "tmdb://603?lang=en", {"tmdb": "603"}),
    (AGENT + "standalone://278?lang=en", {"tmdb": "278"}),
    ("net.fribbtastic.coding.plex.myanimelist://199?lang=en", {"mal": "199"}),
    ("imdb://tt0111161", {"imdb": "tt0111161"}),
    ("tmdb://278", {"tmdb": "278"}),
    ("tvdb://190", {"tvdb": "190"}),
]

EPISODES = [
    (AGENT + "themoviedb://1399/3/9?lang=en", {"tmdb": "1399"}),
    (AGENT + "thetvdb://79349/1/1?lang=en", {"tvdb": "79349"}),
    (AGENT + "thetvdb://79349/0/1?lang=en", {"tvdb": "79349"}),
    (AGENT + "thetvdb://79349/2015-01-05?lang=en", {"tvdb": "79349"}),
    (AGENT + "hama://tvdb-79349/1/5?lang=en", {"tvdb": "79349"}),
    (AGENT + "hama://tvdb2-79349/1/5?lang=en", {"tvdb": "79349"}),
    (AGENT + "hama://anidb-23/1/5?lang=en", {"anidb": "23"}),
    (AGENT + "hama://anidb-23/0/5?lang=en", {"anidb": "23"}),
    (AGENT + "hama://23/01/5?lang=en", {"anidb": "23"}),
    (AGENT + "hama://tsdb-1399/2/5?lang=en", {"tmdb": "1399"}),
    (AGENT + "anidb://23/1/5?lang=en", {"anidb": "23"}),
    (AGENT + "tmdb://1398/2/1?lang=en", {"tmdb": "1398"}),
    (AGENT + "mcm://MCM_TV_A_79349/2/6?lang=en", {"tvdb": "79349"}),
    ("net.fribbtastic.coding.plex.myanimelist://1535/1/1?lang=en", {"mal": "1535"}),
    ("net.devvsbugs.coding.plex.myanimelist://9253/1/2?lang=en", {"mal": "9253"}),
    (AGENT + "hama://tmdb-1399/1/5?lang=en", {"tmdb": "1399"}),
    (AGENT + "hama://imdb-tt0944947/1/5?lang=en", {"imdb": "tt0944947"}),
    (AGENT + "xbmcnfotv://79349/1/1?lang=en", {"tvdb": "79349"}),
]

OTHER_ORDERS = [
    AGENT + "thetvdbdvdorder://79349/1/1?lang=en",
    AGENT + "abstvdb://79349/1/1?lang=en",
    *(AGENT + f"hama://tvdb{mode}-79349/1/5?lang=en" for mode in (3, 4, 5, 6)),
    *(AGENT + f"hama://anidb{mode}-23/1/5?lang=en" for mode in (2, 3, 4)),
]

SERIES = [
    (AGENT + "thetvdb://121361?lang=en", {"tvdb": "121361"}),
    (AGENT + "mcm://MCM_TV_A_79349", {"tvdb": "79349"}),
    (AGENT + "hama://tsdb-1399?lang=en", {"tmdb": "1399"}),
    (AGENT + "anidb://23?lang=en", {"anidb": "23"}),
    (AGENT + "tmdb://1398?lang=en", {"tmdb": "1398"}),
    ("net.devvsbugs.coding.plex.myanimelist://1535?lang=en", {"mal": "1535"}),
    (AGENT + "themoviedb://1399?lang=en", {"tmdb": "1399"}),
    (AGENT + "hama://tvdb-79349?lang=en", {"tvdb": "79349"}),
    (AGENT + "hama://tvdb2-79349?lang=en", {"tvdb": "79349"}),
    (AGENT + "hama://anidb-23?lang=en", {"anidb": "23"}),
    (AGENT + "hama://imdb-tt0944947?lang=en", {"imdb": "tt0944947"}),
    (AGENT + "xbmcnfotv://79349?lang=en", {"tvdb": "79349"}),
    (AGENT + "xbmcnfotv://tt0944947?lang=en", {"imdb": "tt0944947"}),
    (AGENT + "imdb://tt0944947?lang=en", {"imdb": "tt0944947"}),
    ("tvdb://121361", {"tvdb": "121361"}),
    ("tmdb://1399", {"tmdb": "1399"}),
    ("imdb://tt0944947", {"imdb": "tt0944947"}),
]

NO_IDS = [
    None,
    "",
    "   ",
    "plex://movie/5d776825151a60001f24a9c4",
    "plex://episode/5d9c135046115600200bb8ca",
    "plex://show/5d9c083b46115600200aa7b6",
    "plex://season/602e67d31d3358002c411c39",
    "local://12345",
    AGENT + "none://5f2c1b1a?lang=xn",
    "tv.plex.xmltv://EP012345670089",
    "com.someone.agents.imdb://tt0111161",
    AGENT + "fernsehserien.de://tatort-1099/1/2",
    AGENT + "coffeeflux://1535/1/1",
    AGENT + "youtube://UC603xyz/1/603",
    AGENT + "kinopoisk://42664?lang=ru",
    AGENT + "ofdb://603",
    AGENT + "mcm://MCM_M_603",
    "mbid://f27ec8db",
    "iva://603",
    "tv.plex.agents.custom.someone://movie/603",
    *OTHER_ORDERS,
    *(re.sub(r"/1/\d", "", guid) for guid in OTHER_ORDERS if "anidb" not in guid),
    AGENT + "hama://anidb-23/2/5?lang=en",
    AGENT + "anidb://23/3/5?lang=en",
    "net.devvsbugs.coding.plex.myanimelist://1535/2/1?lang=en",
    "imdb:tt0111161",
    "tt0111161",
    "278",
    AGENT + "imdb://",
    AGENT + "themoviedb://?lang=en",
]


@pytest.mark.parametrize(("guid", "ids"), FILMS)
def test_a_films_guid_gives_the_films_ids(guid: str, ids: dict[str, str]) -> None:
    assert movie_ids(guid) == ids


@pytest.mark.parametrize(("guid", "ids"), EPISODES)
def test_an_episodes_guid_gives_the_shows_ids(guid: str, ids: dict[str, str]) -> None:
    assert show_ids(guid) == ids


@pytest.mark.parametrize(("guid", "ids"), SERIES)
def test_a_shows_own_guid_gives_its_ids(guid: str, ids: dict[str, str]) -> None:
    assert series_ids(guid) == ids


@pytest.mark.parametrize(
    "guid",
    [
        *(guid for guid, _ in EPISODES),
        AGENT + "thetvdb://121361/2?lang=en",
        AGENT + "xbmcnfo://tt0111161?lang=en",
        AGENT + "none://121361",
        AGENT + "thetvdb://abc",
        "plex://show/5d9c083b46115600200aa7b6",
        "local://77",
        "121361",
        "",
        None,
    ],
)
def test_what_is_no_shows_own_guid_tells_no_ids_of_it(guid: str | None) -> None:
    assert series_ids(guid) == {}


@pytest.mark.parametrize(
    ("guids", "ids"),
    [
        (["imdb://tt6257259", "tmdb://66078", "tvdb://151997"],
         {"imdb": "tt6257259", "tmdb": "66078", "tvdb": "151997"}),
        (["TMDB://66078", " imdb://TT6257259"], {"imdb": "tt6257259", "tmdb": "66078"}),
        (["anidb://23", "mal://1", "anilist://2"], {"anidb": "23", "mal": "1", "anilist": "2"}),
        (["tmdb://66078", "tmdb://66078"], {"tmdb": "66078"}),
        (["tmdb://66078", "tmdb://66079", "imdb://tt1"], {"imdb": "tt1"}),
        (["mbid://77", "nfo://66078", "plex://show/5d77", "local://5", AGENT + "imdb://tt1"], {}),
        (["tmdb://", "tmdb://0", "tmdb://x", "tmdb://1/2", "imdb://66078", "tmdb", "", "://"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_a_list_of_guids_tells_the_ids_of_what_it_was_given_for(
    guids: list[str], ids: dict[str, str]
) -> None:
    assert listed_ids(guids) == ids


@pytest.mark.parametrize("guid", [guid for guid, _ in EPISODES])
def test_an_episodes_guid_gives_a_film_nothing(guid: str) -> None:
    assert movie_ids(guid) == {}


@pytest.mark.parametrize("guid", NO_IDS)
def test_what_tells_no_id_gives_none(guid: str | None) -> None:
    assert movie_ids(guid) == {}
    assert show_ids(guid) == {}
    assert series_ids(guid) == {}


@pytest.mark.parametrize("guid", ["imdb://tt0959621", "tmdb://62085", "tvdb://349232"])
def test_an_entry_of_an_episodes_guids_is_the_episodes_own_and_not_its_shows(guid: str) -> None:
    assert show_ids(guid) == {}


@pytest.mark.parametrize(
    "guid",
    [
        AGENT + "thetvdb://79349/2/6?lang=en",
        AGENT + "themoviedb://1399/2/6#x",
        AGENT + "hama://anidb-23/02/006",
        AGENT + "hama://tvdb2-79349/2/6",
        AGENT + "mcm://MCM_TV_A_79349/2/6",
        AGENT + "none://c1d2603/2/6?lang=xn",
        "net.fribbtastic.coding.plex.myanimelist://1535/2/6",
    ],
)
def test_a_legacy_guid_of_an_episode_has_its_season_and_its_number(guid: str) -> None:
    assert numbers_in(guid) == (2, 6)
    assert is_aired_order(guid)


@pytest.mark.parametrize("guid", OTHER_ORDERS)
def test_a_guid_in_another_order_has_the_numbers_of_plex(guid: str) -> None:
    assert numbers_in(guid) in {(1, 1), (1, 5)}
    assert not is_aired_order(guid)


@pytest.mark.parametrize(
    "guid",
    [
        AGENT + "thetvdb://79349/2015-01-05?lang=en",
        AGENT + "thetvdb://79349/2",
        AGENT + "thetvdb://79349/2/6/7",
        AGENT + "thetvdb://79349/-1/6",
        AGENT + "thetvdb://79349/２/6",
        "plex://episode/2/6",
        "imdb://tt0111161/2/6",
        "local://12345",
        None,
    ],
)
def test_no_other_guid_has_numbers_that_count(guid: str | None) -> None:
    assert numbers_in(guid) is None


@pytest.mark.parametrize(
    ("namespace", "season", "fits"),
    [
        *(("anidb", season, fits) for season, fits in ((None, True), (0, True), (1, True))),
        *((namespace, 2, False) for namespace in ("anidb", "mal", "anilist", "kitsu")),
        *((namespace, 2, True) for namespace in ("tvdb", "tmdb", "imdb")),
    ],
)
def test_an_id_of_a_site_with_an_entry_a_season_fits_only_the_first(
    namespace: str, season: int | None, fits: bool
) -> None:
    assert fits_episode(namespace, "plex://episode/5d9c135046115600200bb8ca", season) is fits
    assert not fits_episode(namespace, OTHER_ORDERS[0], season)


@pytest.mark.parametrize("guid", OTHER_ORDERS)
def test_an_order_that_is_not_the_aired_one_is_recognised(guid: str) -> None:
    assert not is_aired_order(guid)
    assert not is_aired_order(guid.upper())


def test_a_themoviedb_id_without_numbers_is_a_film_and_no_show() -> None:
    assert show_ids(AGENT + "themoviedb://1399?lang=en") == {}


def test_a_series_id_of_hama_does_not_name_a_film() -> None:
    assert movie_ids(AGENT + "hama://tvdb-79349?lang=en") == {}


@pytest.mark.parametrize(
    "end", ["", "?lang=en", "#x", "?lang=en#x", "?guid=a://9/9/9", "#/9/9", "?lang=en/1/1"]
)
def test_query_and_fragment_are_taken_off_first(end: str) -> None:
    assert movie_ids(AGENT + "themoviedb://278" + end) == {"tmdb": "278"}
    assert show_ids(AGENT + "thetvdb://79349/1/1" + end) == {"tvdb": "79349"}
    assert plex_guid("plex://movie/5d776825" + end) == "plex://movie/5d776825"


@pytest.mark.parametrize(("guid", "ids"), FILMS)
def test_the_scheme_of_a_film_is_compared_without_case(guid: str, ids: dict[str, str]) -> None:
    scheme, _, rest = guid.partition("://")
    assert movie_ids(f"{scheme.upper()}://{rest}") == ids
    assert movie_ids(f"{scheme.title()}://{rest}") == ids


@pytest.mark.parametrize(("guid", "ids"), EPISODES)
def test_the_scheme_of_an_episode_is_compared_without_case(guid: str, ids: dict[str, str]) -> None:
    scheme, _, rest = guid.partition("://")
    assert show_ids(f"{scheme.upper()}://{rest}") == ids


def test_the_hex_of_a_plex_guid_is_kept_as_written() -> None:
    guid = "plex://movie/5D776825151a60001f24A9c4"
    assert plex_guid(guid) == guid


@pytest.mark.parametrize(
    "guid",
    [None, "", "plex://", "plex://movie", "plex://movie/", "xplex://movie/5d77", "local://5"],
)
def test_what_is_no_plex_guid_is_none(guid: str | None) -> None:
    assert plex_guid(guid) is None


@pytest.mark.parametrize("number", ["0", "000", "12a", "-5", "1.5", "٣", "²", "１２", " "])
def test_what_is_no_number_is_no_id(number: str) -> None:
    assert movie_ids(AGENT + "themoviedb://" + number) == {}
    assert show_ids(AGENT + f"thetvdb://{number}/1/1") == {}
    assert show_ids(AGENT + f"hama://anidb-{number}/1/1") == {}


@pytest.mark.parametrize(
    ("namespace", "value", "cleaned"),
    [
        ("imdb", "tt0111161", "tt0111161"),
        ("imdb", " TT0111161 ", "tt0111161"),
        ("imdb", "https://www.imdb.com/title/tt0111161/", "tt0111161"),
        ("imdb", "0111161", None),
        ("tmdb", "278", "278"),
        ("tmdb", "movie/278", "278"),
        ("tvdb", "79349", "79349"),
        ("plex", "/library/metadata/12", "12"),
        ("guid", "plex://movie/5d77", "plex://movie/5d77"),
        ("guid", "com.plexapp.agents.thetvdb://81189/1/1", None),
        *(
            (namespace, nothing, None)
            for namespace in ("imdb", "tmdb", "tvdb", "guid")
            for nothing in ("", "0", "none", "None", "null", "nan", "undefined", "unknown")
        ),
    ],
)
def test_an_id_is_kept_as_crosswatch_keeps_it(
    namespace: str, value: str, cleaned: str | None
) -> None:
    assert clean_id(namespace, value) == cleaned


@pytest.mark.parametrize(
    ("guid", "kind"),
    [
        (None, "empty"),
        (" ", "empty"),
        ("plex://movie/5d77", "plex"),
        (AGENT + "thetvdb://1/1/1", "thetvdb"),
        (AGENT + "hama://anidb-1/1/1", "hama"),
        ("local://1", "local"),
        ("tv.plex.xmltv://1", "xmltv"),
        ("no guid at all", "other"),
    ],
)
def test_the_sort_of_a_guid_has_a_short_name(guid: str | None, kind: str) -> None:
    assert guid_kind(guid) == kind


# Whatever is written there.

_SCHEMES = [
    *(AGENT + name for name in ("imdb", "themoviedb", "thetvdb", "thetvdbdvdorder", "hama")),
    *(AGENT + name for name in ("xbmcnfo", "xbmcnfotv", "none", "anidb", "tmdb", "mcm")),
    "net.fribbtastic.coding.plex.myanimelist",
    *("plex", "imdb", "tmdb", "tvdb", "local", "tv.plex.xmltv", "http", ""),
]
_NUMBERS = st.integers(0, 10**9).map(str)
_SERIES = st.one_of(
    _NUMBERS,
    _NUMBERS.map("tt{}".format),
    st.builds(
        "{}-{}".format,
        st.sampled_from(["tvdb", "tvdb4", "anidb", "anidb2", "tmdb", "imdb", "tsdb"]),
        _NUMBERS | _NUMBERS.map("tt{}".format),
    ),
    st.text(max_size=8),
)
_PATHS = st.lists(_SERIES, max_size=4).map("/".join)
_ENDS = st.sampled_from(["", "?lang=en", "#a", "?lang=en#b", "/", " "])
GUIDS = st.one_of(
    st.none(),
    st.text(),
    st.builds("{}://{}{}".format, st.sampled_from(_SCHEMES), _PATHS, _ENDS),
)
EPISODE_GUIDS = st.builds(
    "{}://{}/{}/{}{}".format, st.sampled_from(_SCHEMES), _SERIES, _NUMBERS, _NUMBERS, _ENDS
)


@settings(deadline=None)
@given(GUIDS)
def test_nothing_that_may_be_written_there_raises(guid: str | None) -> None:
    movie_ids(guid)
    show_ids(guid)
    series_ids(guid)
    plex_guid(guid)
    numbers_in(guid)
    listed_ids([guid or ""])
    assert guid_kind(guid)


@settings(deadline=None)
@given(st.sampled_from([*EXTERNAL, "plex", "guid"]), st.text())
def test_cleaning_an_id_never_raises_and_changes_nothing_the_second_time(
    namespace: str, value: str
) -> None:
    once = clean_id(namespace, value)
    assert once is None or clean_id(namespace, once) == once


@settings(deadline=None)
@given(GUIDS)
def test_every_id_has_the_form_of_its_namespace(guid: str | None) -> None:
    for ids in (movie_ids(guid), show_ids(guid), series_ids(guid), listed_ids([guid or ""])):
        for namespace, value in ids.items():
            form = r"tt[0-9]+" if namespace == "imdb" else r"[0-9]*[1-9][0-9]*"
            assert namespace in EXTERNAL
            assert re.fullmatch(form, value)
            assert value in str(guid).lower()


@settings(deadline=None)
@given(EPISODE_GUIDS)
def test_no_id_of_a_film_ever_comes_out_of_an_episodes_form(guid: str) -> None:
    assert movie_ids(guid) == {}


@settings(deadline=None)
@given(st.sampled_from(["imdb", "tmdb", "tvdb", "plex", "local"]), _PATHS, _ENDS)
def test_no_id_of_a_show_ever_comes_out_of_an_items_own_id(
    scheme: str, path: str, end: str
) -> None:
    assert show_ids(f"{scheme}://{path}{end}") == {}


@settings(deadline=None)
@given(GUIDS)
def test_a_guid_names_a_film_or_a_show_and_only_hama_may_mean_either(guid: str | None) -> None:
    if movie_ids(guid) and show_ids(guid):
        assert guid_kind(guid) == "hama"


@settings(deadline=None)
@given(GUIDS)
def test_a_plex_guid_is_a_part_of_what_was_written(guid: str | None) -> None:
    found = plex_guid(guid)
    if found is not None:
        assert guid is not None
        assert guid.strip().startswith(found)
        assert not movie_ids(guid)
        assert not show_ids(guid)
