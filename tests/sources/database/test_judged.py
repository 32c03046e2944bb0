"""Rows are judged by SQLite as the model would judge them, whatever their values are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from msgspec import structs

from tautulli_import.model.clock import FIRST_MOMENT, moment
from tautulli_import.model.judged import REASONS, UNSURE, DetailedRow, Orders, orders_of
from tautulli_import.model.played import Played, PlayedEpisode, PlayedMovie
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Reason
from tautulli_import.model.selection import Selection
from tautulli_import.model.watched import percent_complete
from tautulli_import.sources.database.rows import integer, settled_played
from tests.support.rows import judged, verdict

NOW = 1_700_000_000
LATEST = NOW + 86_400
HOUR = 3_600_000


def film(**fields: Any) -> Play:
    """Return a film of two hours, watched to its end."""
    values: dict[str, Any] = dict.fromkeys(Play.__struct_fields__)
    values |= {
        "id": 1,
        "media_type": "movie",
        "started": NOW - 7200,
        "stopped": NOW,
        "user_id": 7,
        "title": "A Film",
        "rating_key": 12,
        "year": 2010,
        "guid": "imdb://tt1",
        "live": 0,
        "view_offset": 2 * HOUR,
        "duration": 2 * HOUR,
        "aired": "2010-05-06",
    }
    return Play(**(values | fields))


def episode(**fields: Any) -> Play:
    """Return an episode, watched to its end."""
    of_show = {"grandparent_rating_key": 77, "grandparent_title": "A Show"}
    numbers = {"season": 1, "episode": 2, "parent_rating_key": 78}
    return film(**({"media_type": "episode", **of_show, **numbers} | fields))


def played(play: Play) -> Played:
    """Return what was played."""
    ((_, _, what),) = judged([play])
    return settled_played(what)


TIMES = st.sampled_from(
    [None, 0, -5, 5, FIRST_MOMENT - 1, FIRST_MOMENT, NOW - 100, NOW, LATEST, LATEST + 1, NOW * 1000]
)


@settings(max_examples=300, deadline=None)
@given(started=TIMES, stopped=TIMES)
def test_the_times_of_a_play_are_its_moments(started: int | None, stopped: int | None) -> None:
    play = film(started=started, stopped=stopped)
    ((order, place, _, _, begun, *_),) = judged([play], Selection(latest=LATEST), detailed=True)
    ended = Orders().time(order)
    assert Orders().row_id(order) == play.id
    assert ended == moment(play, latest=LATEST)
    assert begun == moment(play, "started", latest=LATEST)
    wanted = Reason.IMPOSSIBLE_TIME if started or stopped else Reason.NO_TIME
    assert REASONS[place or 0] is (None if ended else wanted)


@pytest.mark.parametrize("row_id", [1, -1, 1 << 40])
def test_a_time_is_a_whole_number_however_it_is_stored(row_id: int) -> None:
    orders = orders_of(row_id, row_id)
    times: Any = {"started": float(NOW - 100), "stopped": float(NOW)}
    (row,) = judged([film(id=row_id, user_id=7.0, **times)], detailed=True, orders=orders)
    found = DetailedRow._make(row)
    assert (orders.time(found.order), orders.row_id(found.order)) == (NOW, row_id)
    assert repr((found.user, found.begun, found.played)) == repr((7, NOW - 100, 100))
    (row,) = judged([film(id=row_id, started=NOW - 0.5, stopped=str(NOW))], orders=orders)
    assert orders.time(row[0]) == NOW


@settings(max_examples=300, deadline=None)
@given(
    offset=st.none() | st.integers(0, 3000) | st.sampled_from([-7, 5 * HOUR]),
    duration=st.none() | st.integers(0, 400) | st.just(2 * HOUR),
    percent=st.none() | st.sampled_from([0, 50, 101, 999, 1000, 8000]),
    live=st.sampled_from([None, 0, 1]),
)
@example(offset=1, duration=200, percent=None, live=0)  # 0.5 % is 0 %, and 1.5 % is 2 %
@example(offset=3, duration=200, percent=None, live=0)
def test_the_position_is_the_percentage_of_an_event(
    offset: int | None, duration: int | None, percent: int | None, live: int | None
) -> None:
    play = film(view_offset=offset, duration=duration, percent=percent, live=live)
    (row,) = judged([play], Selection(frozenset({"movie", "live"})), detailed=True)
    expected = percent_complete(play)
    found = DetailedRow._make(row).percent
    assert found == (None if expected is None else min(max(expected, 0), 100))


@pytest.mark.parametrize(
    ("paused", "seconds"), [(None, 100), (0, 100), (30, 70), (100, 0), (101, 100), (-5, 100)]
)
def test_pauses_that_are_longer_than_the_play_are_ignored(paused: int | None, seconds: int) -> None:
    (row,) = judged([film(started=NOW - 100, paused_counter=paused)], detailed=True)
    assert DetailedRow._make(row).played == seconds


# Fields that name an episode. SQLite does not settle their values.
_NAMING = ("season", "episode", "grandparent_rating_key")

# Values of odd types, and the whole numbers in them.
ODD = ["12", "-3", " 7 ", "", "x", "7.5", 7.5, 12.0, b"12", b"\xff", "9" * 30]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "field",
    [
        *("started", "stopped", "user_id", "section_id", "live", "rating_key", "view_offset"),
        *("duration", "credits_first", "season", "episode", "grandparent_rating_key", "year"),
        "parent_rating_key",
    ],
)
def test_an_odd_value_counts_as_the_whole_number_in_it(field: str, value: object) -> None:
    number = integer(value)
    if field in ("view_offset", "duration", "credits_first") and isinstance(value, float):
        number = int(value)
    for play in (film(), episode()):
        odd, plain = (structs.replace(play, **{field: cell}) for cell in (value, number))
        ((odd_row,), (plain_row,)) = (judged([each], detailed=True) for each in (odd, plain))
        odd_one, plain_one = map(DetailedRow._make, (odd_row, plain_row))
        if odd_one.what is not None and plain_one.what is not None:
            assert settled_played(odd_one.what) == settled_played(plain_one.what)
        if field in _NAMING:  # what odd values name is settled when it is decoded
            assert REASONS[odd_one.verdict or 0] is REASONS[plain_one.verdict or 0]
            odd_one = odd_one._replace(verdict=plain_one.verdict)
        assert odd_one._replace(what=None) == plain_one._replace(what=None)


@pytest.mark.parametrize(
    ("value", "told"),
    [(1917, "1917"), (b"Am\xe9lie", "Am\ufffdlie"), (b"Up", "Up"), (None, None), ("", "")],
)
def test_a_title_is_a_text_whatever_it_was_stored_as(value: object, told: str | None) -> None:
    assert played(film(title=value)).title == told
    assert played(episode(grandparent_title=value)).work_title == told


def test_a_title_that_looks_like_json_is_a_title() -> None:
    title = 'He said: "no",Inf,\\ 9e999\n\x01\x00 🎬'
    assert played(film(title=title)).title == title


def test_an_infinite_number_is_no_year() -> None:
    assert played(film(year=float("inf"), title="a,Inf]")) == PlayedMovie(
        "imdb://tt1", 12, "a,Inf]", None, 0, "2010-05-06"
    )


def test_what_was_played_has_all_that_names_an_episode() -> None:
    assert played(episode()) == PlayedEpisode(
        "imdb://tt1", 12, "A Film", 2010, 0, "2010-05-06", 1, 2, 78, 77, "A Show"
    )


@pytest.mark.parametrize("missing", ["season", "episode", "grandparent_rating_key"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_row_that_may_lack_a_key_is_accepted_but_unsure(missing: str, value: object) -> None:
    ((_, place, *_),) = judged([episode(**{missing: value})])
    assert place == UNSURE


@pytest.mark.parametrize("play", [film(), episode()], ids=["film", "episode"])
@pytest.mark.parametrize("value", ["", "12", 7.5, "x"], ids=repr)
@pytest.mark.parametrize(
    "field",
    [
        *("year", "rating_key", "parent_rating_key", "season", "episode"),
        *("grandparent_rating_key", "title"),
    ],
)
def test_an_odd_value_elsewhere_in_a_row_does_not_change_what_was_played(
    play: Play, field: str, value: object
) -> None:
    one = structs.replace(play, **{field: value})
    ((_, _, usual),) = judged([one])
    ((_, _, beside_an_odd_value),) = judged([structs.replace(one, started="x")])
    assert beside_an_odd_value == usual


@pytest.mark.parametrize("media_type", [None, "", "clip"])
def test_a_row_of_no_known_media_type_is_of_another_one(media_type: Any) -> None:
    assert verdict(film(media_type=media_type)) is Reason.MEDIA_TYPE


def test_a_user_without_an_id_is_known_by_name() -> None:
    alice = Selection(users=frozenset({9}), names=frozenset({"Zoë's 'TV'", "x"}))
    assert verdict(film(user_id=None, user=" Zoë's 'TV' "), alice) is None
    assert verdict(film(user_id="", user="x"), alice) is None
    assert verdict(film(user_id=None, user=b"\xff"), alice) is Reason.USER
    assert verdict(film(user_id=8, user="x"), alice) is Reason.USER
    assert verdict(film(user_id=9, user="y"), alice) is None
