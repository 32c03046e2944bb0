"""Which plays are wanted, which of those cannot be used, and when a play took place."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from msgspec import structs

from tautulli_import.errors import ConfigurationError
from tautulli_import.model.clock import (
    FIRST_MOMENT,
    WatchedAt,
    is_relative,
    latest_moment,
    moment,
    parse_moment,
)
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Reason
from tautulli_import.model.selection import Selection
from tests.support.rows import verdict

NOW = 1_732_000_000
THEN = 1_600_000_000
DAY = 86_400
LAST_SECOND = 253_402_300_799


def play(**fields: Any) -> Play:
    """Return a two-hour film, watched to its end by user 1 out of library 1."""
    watched = Play(
        id=1,
        reference_id=1,
        started=1_700_000_000,
        stopped=1_700_007_200,
        user_id=1,
        user="alice",
        section_id=1,
        media_type="movie",
        live=0,
        rating_key=12,
        grandparent_rating_key=None,
        title="A Film",
        grandparent_title=None,
        season=None,
        episode=None,
        year=2010,
        guid="plex://movie/5d776825151a60001f24a9c4",
        view_offset=7_200_000,
        duration=7_200_000,
        credits_first=None,
        credits_final=None,
    )
    return structs.replace(watched, **fields)


def episode(**fields: Any) -> Play:
    """Return an episode, watched to its end."""
    return play(**{"media_type": "episode", "season": 1, "episode": 1, **fields})


# What was asked for.


def test_a_watched_film_and_a_watched_episode_go_on() -> None:
    assert verdict(play()) is None
    assert verdict(episode()) is None


def test_a_film_stopped_after_two_minutes_is_not_imported() -> None:
    assert verdict(play(view_offset=120_000)) is Reason.PARTIAL


@pytest.mark.parametrize("media_type", ["track", "clip", "photo", "", "Movie"])
def test_what_is_neither_film_nor_episode_is_filtered_whatever_was_asked_for(
    media_type: str,
) -> None:
    everything = Selection(
        media_types=frozenset({"movie", "episode", "live"}), include_partial=True
    )
    assert verdict(play(media_type=media_type)) is Reason.MEDIA_TYPE
    assert verdict(play(media_type=media_type, live=1), everything) is Reason.MEDIA_TYPE


def test_only_the_media_types_asked_for_go_on() -> None:
    films = Selection(media_types=frozenset({"movie"}))
    assert verdict(play(), films) is None
    assert verdict(episode(), films) is Reason.MEDIA_TYPE
    episodes = Selection(media_types=frozenset({"episode"}))
    assert verdict(play(), episodes) is Reason.MEDIA_TYPE
    assert verdict(episode(), episodes) is None


def test_live_tv_is_a_media_type_of_its_own() -> None:
    assert verdict(play(live=1)) is Reason.LIVE
    live = Selection(media_types=frozenset({"live"}))
    assert verdict(play(live=1), live) is None
    assert verdict(episode(live=1), live) is None
    assert verdict(play(), live) is Reason.MEDIA_TYPE


def test_only_the_users_asked_for_go_on() -> None:
    selection = Selection(users=frozenset({1, 2}))
    assert verdict(play(user_id=2), selection) is None
    assert verdict(play(user_id=3), selection) is Reason.USER
    assert verdict(play(user_id=None), selection) is Reason.USER
    assert verdict(play(user_id=None)) is None


def test_only_the_libraries_asked_for_go_on() -> None:
    selection = Selection(sections=frozenset({1}))
    assert verdict(play(section_id=1), selection) is None
    assert verdict(play(section_id=2), selection) is Reason.LIBRARY
    assert verdict(play(section_id=None), selection) is Reason.LIBRARY
    assert verdict(play(section_id=None)) is None


@pytest.mark.parametrize(
    ("when", "reason"),
    [(-1, Reason.DATE), (0, None), (1, None), (999, None), (1000, Reason.DATE)],
)
def test_since_is_the_first_second_that_counts_and_until_the_first_that_does_not(
    when: int, reason: Reason | None
) -> None:
    selection = Selection(since=THEN, until=THEN + 1000)
    assert verdict(play(started=FIRST_MOMENT, stopped=THEN + when), selection) is reason


def test_dates_are_those_of_the_time_that_was_asked_for() -> None:
    late, between = play(started=THEN, stopped=THEN + 2000), THEN + 1000
    assert verdict(late, Selection(until=between)) is Reason.DATE
    assert verdict(late, Selection(until=between, watched_at="started")) is None
    assert verdict(late, Selection(since=between)) is None
    assert verdict(late, Selection(since=between, watched_at="started")) is Reason.DATE


def test_a_play_without_a_time_is_rejected_and_not_taken_for_another_date() -> None:
    timeless = play(started=None, stopped=None)
    assert verdict(timeless, Selection(since=1000, until=2000)) is Reason.NO_TIME


def test_partial_plays_go_on_where_they_were_asked_for() -> None:
    selection = Selection(include_partial=True)
    assert verdict(play(view_offset=None), selection) is None
    assert verdict(play(duration=None), selection) is None


@pytest.mark.parametrize(
    ("offset", "least", "reason"),
    [
        (0, 1, Reason.PARTIAL),
        (78, 40, Reason.PARTIAL),
        (80, 40, None),
        (200, 100, None),
        # Compared as Tautulli shows it: 39.5 is shown as 40, and 38.5 as 38.
        (79, 40, None),
        (77, 39, Reason.PARTIAL),
        (None, 0, None),
    ],
)
def test_the_least_percentage_replaces_tautullis_rule(
    offset: int | None, least: int, reason: Reason | None
) -> None:
    one = play(view_offset=offset, duration=200)
    assert verdict(one, Selection(min_percent=least)) is reason


def test_the_least_percentage_overrules_markers_and_what_tautulli_said() -> None:
    selection = Selection(min_percent=95)
    assert verdict(play(view_offset=6_480_000, credits_first=1), selection) is Reason.PARTIAL
    assert verdict(play(view_offset=6_480_000, watched=True), selection) is Reason.PARTIAL
    assert verdict(play(view_offset=7_000_000, watched=False), selection) is None


@pytest.mark.parametrize("least", [0, 1, 100])
def test_a_play_of_unknown_percentage_is_partial_where_a_percentage_was_asked_for(
    least: int,
) -> None:
    assert verdict(play(duration=None), Selection(min_percent=least)) is Reason.PARTIAL


def test_live_tv_has_every_percentage() -> None:
    selection = Selection(media_types=frozenset({"live"}), min_percent=100)
    assert verdict(play(live=1, view_offset=0, duration=None), selection) is None


# What cannot be used.


@pytest.mark.parametrize(
    "fields",
    [{"episode": None}, {"season": None}, {"season": 0}, {"episode": 0}, {"title": None}],
)
def test_an_episode_may_lack_its_numbers_which_another_row_or_plex_can_tell(
    fields: dict[str, Any],
) -> None:
    assert verdict(episode(**fields)) is None


def test_what_was_not_asked_for_is_filtered_before_anything_is_held_against_it() -> None:
    bad = {"season": None, "episode": None, "started": None, "stopped": None}
    assert verdict(episode(**bad, view_offset=0)) is Reason.PARTIAL
    assert verdict(episode(**bad), Selection(users=frozenset({9}))) is Reason.USER
    assert verdict(episode(**bad, live=1)) is Reason.LIVE
    assert verdict(episode(**bad)) is Reason.NO_TIME


# Every way to be filtered, in the order in which verdicts are given.
_OBJECTIONS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.MEDIA_TYPE, {"media_type": "track"}),
    (Reason.LIVE, {"live": 1}),
    (Reason.USER, {"user_id": 2}),
    (Reason.LIBRARY, {"section_id": 2}),
    (Reason.DATE, {"started": THEN, "stopped": THEN + 1}),
    (Reason.PARTIAL, {"watched": False}),
]


@pytest.mark.parametrize(
    ("first", "second"), [*combinations(_OBJECTIONS, 2)], ids=lambda one: str(one[0])
)
def test_verdicts_are_given_in_one_order(
    first: tuple[Reason, dict[str, Any]], second: tuple[Reason, dict[str, Any]]
) -> None:
    selection = Selection(users=frozenset({1}), sections=frozenset({1}), since=THEN + 2)
    assert verdict(play(**first[1]), selection) is first[0]
    assert verdict(play(**{**second[1], **first[1]}), selection) is first[0]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_in_words_what_it_is(reason: Reason) -> None:
    assert reason.sentence
    assert isinstance(reason.rejects, bool)


# When it was.


_LATEST = latest_moment(NOW)


@pytest.mark.parametrize(
    ("started", "stopped", "watched_at", "when"),
    [
        (THEN, THEN + 9, "stopped", THEN + 9),
        (THEN, THEN + 9, "started", THEN),
        # One of them is missing.
        (THEN, None, "stopped", THEN),
        (THEN, 0, "stopped", THEN),
        (None, THEN, "stopped", THEN),
        (0, THEN, "started", THEN),
        (None, THEN, "started", THEN),
        # A clock that ran backwards: the start is believed.
        (THEN, THEN - 9, "stopped", THEN),
        (THEN, -5, "stopped", THEN),
        # Nothing is known.
        (None, None, "stopped", 0),
        (0, 0, "started", 0),
        # An impossible time is none, and the other one is enough.
        (-5, THEN, "stopped", THEN),
        (300, THEN, "started", THEN),
        (THEN, _LATEST + 1, "stopped", THEN),
        (_LATEST + 1, THEN, "started", THEN),
        (THEN, LAST_SECOND, "started", THEN),
        # The ends of what is possible.
        (FIRST_MOMENT, FIRST_MOMENT, "stopped", FIRST_MOMENT),
        (FIRST_MOMENT - 1, FIRST_MOMENT - 1, "stopped", 0),
        (_LATEST, _LATEST, "stopped", _LATEST),
        (_LATEST + 1, _LATEST + 1, "stopped", 0),
        # Milliseconds are no seconds.
        (THEN * 1000, THEN * 1000, "stopped", 0),
    ],
)
def test_a_play_took_place_when_it_stopped_else_when_it_started(
    started: int | None, stopped: int | None, watched_at: WatchedAt, when: int
) -> None:
    one = play(started=started, stopped=stopped)
    assert moment(one, watched_at, latest=_LATEST) == when


_TIMES = st.one_of(
    st.none(),
    st.integers(-10, 10),
    st.integers(-(2**63), 2**63 - 1),
    *(st.integers(edge - 2, edge + 2) for edge in (FIRST_MOMENT, _LATEST)),
)


@settings(deadline=None)
@given(_TIMES, _TIMES, st.sampled_from(["stopped", "started"]))
@example(THEN, LAST_SECOND + 1, "started")
def test_a_play_is_rejected_for_its_time_exactly_when_it_has_no_possible_one(
    started: int | None, stopped: int | None, watched_at: WatchedAt
) -> None:
    one = play(started=started, stopped=stopped)
    when = moment(one, watched_at, latest=_LATEST)
    assert when in (0, started, stopped)
    assert not when or FIRST_MOMENT <= when <= _LATEST
    wanted = Reason.IMPOSSIBLE_TIME if started or stopped else Reason.NO_TIME
    selection = Selection(watched_at=watched_at, latest=_LATEST)
    assert verdict(one, selection) is (None if when else wanted)


# --since and --until.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("2024-03-01", 1_709_251_200),
        ("2024-03-01T00:00:00Z", 1_709_251_200),
        ("2024-03-01T20:15:30Z", 1_709_324_130),
        ("2024-03-01T20:15:30", 1_709_324_130),
        ("2024-03-01 20:15:30", 1_709_324_130),
        ("2024-03-01T21:15:30+01:00", 1_709_324_130),
        (" 2024-03-01 ", 1_709_251_200),
        ("0d", NOW),
        ("1d", NOW - DAY),
        ("30d", NOW - 30 * DAY),
        ("30D", NOW - 30 * DAY),
        ("2w", NOW - 14 * DAY),
        ("2W", NOW - 14 * DAY),
        ("0mo", NOW),
        ("999999y", -62_135_596_800),
        ("2020", 1_577_836_800),
        ("2020-05", 1_588_291_200),
    ],
)
def test_a_time_is_written_as_a_day_a_time_a_longer_span_or_a_time_ago(
    text: str, seconds: int
) -> None:
    assert parse_moment(text, now=NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-12-31", 1_735_689_600),
        (" 2024-12-31 ", 1_735_689_600),
        ("2024-02-29", 1_709_251_200),
        ("2024-12-31T00:00:00Z", 1_735_603_200),
        ("2024-12-31T20:15", 1_735_676_100),
        ("30d", NOW - 30 * DAY),
        ("2w", NOW - 14 * DAY),
        ("2020", 1_609_459_200),
        ("2020-05", 1_590_969_600),
        ("2020-12", 1_609_459_200),
        ("9999", 253_402_300_800),
    ],
)
def test_until_a_day_means_to_its_last_second(text: str, seconds: int) -> None:
    assert parse_moment(text, now=NOW, end=True) == seconds


def test_until_the_end_of_a_year_is_the_whole_year() -> None:
    selection = Selection(until=parse_moment("2024-12-31", now=NOW, end=True))
    last = parse_moment("2024-12-31T23:59:59Z", now=NOW)
    assert verdict(play(stopped=last), selection) is None
    assert verdict(play(stopped=last + 1), selection) is Reason.DATE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "tomorrow",
        "2024-13-01",
        "2020-13",
        "0000",
        "202",
        "20200501",
        "3m",
        "2024-W09",
        "2023-02-29",
        "-3d",
        "3 d",
        "30h",
        "1709324130s",
        "1.5d",
    ],
)
def test_what_is_no_time_is_an_error_that_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid date") as caught:
        parse_moment(text, now=NOW)
    for form in ("2020", "2020-05-31", "yesterday", "30d", "2w", "6mo", "10y"):
        assert form in caught.value.hint


@settings(deadline=None)
@given(st.text(max_size=30), st.booleans())
def test_any_text_is_a_time_or_a_clear_error(text: str, end: bool) -> None:
    with suppress(ConfigurationError):
        assert isinstance(parse_moment(text, now=NOW, end=end), int)


@settings(deadline=None)
@given(st.datetimes(), st.booleans())
def test_every_moment_that_a_calendar_has_can_be_written(when: datetime, end: bool) -> None:
    whole = when.replace(microsecond=0)
    assert parse_moment(f"{whole.isoformat()}Z", now=NOW, end=end) == parse_moment(
        whole.isoformat(), now=NOW, end=end
    )


def _at(text: str) -> int:
    return parse_moment(text, now=NOW)


@pytest.mark.parametrize(
    ("now", "text", "seconds"),
    [
        ("2024-03-31T12:00:00Z", "1mo", "2024-02-29T12:00:00Z"),
        ("2023-03-31T12:00:00Z", "1mo", "2023-02-28T12:00:00Z"),
        ("2024-01-15T00:00:00Z", "1mo", "2023-12-15T00:00:00Z"),
        ("2024-01-15T00:00:00Z", "25mo", "2021-12-15T00:00:00Z"),
        ("2024-02-29T23:59:59Z", "1y", "2023-02-28T23:59:59Z"),
        ("2024-02-29T23:59:59Z", "4y", "2020-02-29T23:59:59Z"),
        ("2024-02-29T23:59:59Z", "today", "2024-02-29"),
        ("2024-03-01T00:00:00Z", "Yesterday", "2024-02-29"),
    ],
)
def test_months_and_years_ago_are_those_of_the_calendar(now: str, text: str, seconds: str) -> None:
    assert parse_moment(text, now=_at(now)) == _at(seconds)


def test_until_today_and_yesterday_include_the_whole_day() -> None:
    now = _at("2024-03-01T12:00:00Z")
    assert parse_moment("today", now=now, end=True) == _at("2024-03-02")
    assert parse_moment("yesterday", now=now, end=True) == _at("2024-03-01")


@settings(deadline=None)
@given(
    st.integers(0, 4_000_000_000),
    st.sampled_from(["d", "w", "mo", "y"]),
    st.lists(st.integers(0, 999_999), min_size=2, max_size=2).map(sorted),
)
def test_a_longer_time_ago_is_never_a_later_one(now: int, unit: str, numbers: list[int]) -> None:
    shorter, longer = numbers
    assert parse_moment(f"{longer}{unit}", now=now) <= parse_moment(f"{shorter}{unit}", now=now)
    assert parse_moment(f"{shorter}{unit}", now=now) <= now


_SPANS = ("%04d", "%04d-%02d", "%04d-%02d-%02d")


@settings(deadline=None)
@given(st.lists(st.dates(), min_size=2, max_size=2).map(sorted), st.sampled_from([1, 2, 3]))
def test_a_later_day_month_or_year_is_never_an_earlier_time(days: list[date], parts: int) -> None:
    first, last = (_SPANS[parts - 1] % tuple(day.timetuple()[:parts]) for day in days)
    for end in (False, True):
        assert parse_moment(first, now=NOW, end=end) <= parse_moment(last, now=NOW, end=end)
    assert parse_moment(first, now=NOW) < parse_moment(first, now=NOW, end=True)
    # The next one begins where this one ends.
    if first != last:
        assert parse_moment(first, now=NOW, end=True) <= parse_moment(last, now=NOW)


@pytest.mark.parametrize(
    ("text", "relative"),
    [
        *((text, True) for text in ("30d", "2W", "6mo", "10y", " today ", "yesterday")),
        *((text, False) for text in ("2020", "2020-05", "2020-05-31", None)),
    ],
)
def test_a_time_ago_is_another_one_tomorrow(text: str | None, relative: bool) -> None:
    assert is_relative(text) == relative
    if text is not None:
        same = parse_moment(text, now=NOW) == parse_moment(text, now=NOW + DAY)
        assert same is not relative
