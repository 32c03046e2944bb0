"""Newest wins, a viewing is a viewing, and every row is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec import structs

from tautulli_import.counting import Plays
from tautulli_import.items.build import records_of as lazy_records_of
from tautulli_import.items.pipeline import ReadResult, read
from tautulli_import.model.clock import LAST_MOMENT, moment
from tautulli_import.model.groups import PlayGroups
from tautulli_import.model.items import Record
from tautulli_import.model.judged import NOBODY, Orders, orders_of
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Reason, Rejected
from tautulli_import.model.selection import Selection
from tautulli_import.model.watched import WatchedRule
from tautulli_import.sources.base import JudgedBatch, Library, Lookup, User
from tautulli_import.sources.database.rows import settled_played
from tautulli_import.sources.database.source import Source
from tests.support.one_run import add_up_outputs
from tests.support.rows import judged, verdict

HOUR = 3_600_000
RULE = WatchedRule()
EVERYTHING = Selection(include_partial=True)
# Nothing here is about speed, and a busy machine is no failure.
UNHURRIED = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class InMemory(Source):
    """A source that has what it was given, in batches of any size."""

    def __init__(
        self,
        plays: Sequence[Play],
        *,
        size: int | None = None,
        rejected: Sequence[Rejected] = (),
        duplicates: int = 0,
    ) -> None:
        self._plays = plays
        self._size = size or max(1, len(plays))
        self._rejected = rejected
        self._duplicates = duplicates

    name = "memory"
    notices: Sequence[str] = ()
    rereads = False

    @property
    def orders(self) -> Orders:
        """Those of the rows."""
        ids = [play.id for play in self._plays]
        return orders_of(min(ids, default=0), max(ids, default=0))

    def total(self) -> int:
        """How many rows there are, however they are read."""
        return len(self._plays) + len(self._rejected) + self._duplicates

    def judged(self, selection: Selection, *, detailed: bool = False) -> Iterator[JudgedBatch]:
        """Yield the plays, then what never became one."""
        rows = judged(self._plays, selection, RULE, detailed=detailed, orders=self.orders)
        for start in range(0, len(rows), self._size):
            yield JudgedBatch(rows[start : start + self._size])
        if self._rejected or self._duplicates:
            yield JudgedBatch((), self._rejected, self._duplicates)

    def refuse_damage(self) -> None:
        """Do nothing, because memory is whole."""

    def users(self) -> Sequence[User]:
        """Nobody is known by name."""
        return ()

    def libraries(self) -> Sequence[Library]:
        """No library is known by name."""
        return ()

    def rules(self) -> Sequence[WatchedRule]:
        """Tautulli's defaults."""
        return [WatchedRule()]

    def lookups(self) -> Sequence[Lookup]:
        """Nothing was looked up."""
        return ()

    def close(self) -> None:
        """There is nothing to let go of."""


def records_of(reading: ReadResult, *, every_viewing: bool, **user: Any) -> list[Record]:
    """Return the records, each built."""
    return list(lazy_records_of(reading, every_viewing=every_viewing, **user))


def film(play_id: int, **fields: Any) -> Play:
    """Return a film of two hours, watched to the end on its own day by user 1."""
    started = 1_600_000_000 + play_id * 86_400
    play = Play(
        id=play_id,
        reference_id=play_id,
        started=started,
        stopped=started + 7200,
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
        guid="com.plexapp.agents.themoviedb://603?lang=en",
        view_offset=2 * HOUR,
        duration=2 * HOUR,
        credits_first=None,
        credits_final=None,
    )
    if "started" in fields and "stopped" not in fields:
        fields["stopped"] = fields["started"] + 7200
    return structs.replace(play, **fields)


def episode(play_id: int, **fields: Any) -> Play:
    """Return an episode, watched to the end on its own day by user 1."""
    defaults: dict[str, Any] = {
        "media_type": "episode",
        "grandparent_rating_key": 77,
        "grandparent_title": "A Show",
        "season": 1,
        "episode": 1,
        "rating_key": 79,
        "title": "An Episode",
        "guid": "com.plexapp.agents.thetvdb://81189/1/1?lang=en",
    }
    return film(play_id, **{**defaults, **fields})


def piece(play_id: int, begin: int, end: int, **fields: Any) -> Play:
    """Return a play of the film from one percentage to another."""
    started = 1_600_000_000 + play_id * 86_400
    stopped = started + 72 * (end - begin)
    return film(play_id, stopped=stopped, view_offset=end * HOUR // 50, **fields)


def imported(
    plays: Sequence[Play],
    selection: Selection = EVERYTHING,
    *,
    every_viewing: bool = False,
    size: int | None = None,
) -> list[Record]:
    """Return the records of these plays, all users together, the counts checked."""
    reading = read(InMemory(plays, size=size), selection, every_viewing=every_viewing)
    records = records_of(reading, every_viewing=every_viewing)
    add_up_outputs(reading, [records])
    return records


def ids_of(records: Iterable[Record]) -> list[int]:
    """Which plays the records were made of."""
    return [record.play_id for record in records]


# Newest wins.


def test_of_several_plays_of_a_film_the_newest_is_imported() -> None:
    (record,) = imported([film(1), film(2), film(3)])
    assert (record.key, record.play_id) == ("tmdb:603", 3)


def test_newest_is_what_stopped_last_and_not_what_was_logged_last() -> None:
    late = film(1, started=1_700_000_000)
    assert ids_of(imported([late, film(2)])) == [1]


def test_of_plays_that_stopped_together_the_one_logged_last_is_the_newest() -> None:
    plays = [film(1, started=1_700_000_000), film(2, started=1_700_000_000)]
    assert ids_of(imported(plays)) == [2]
    assert ids_of(imported(plays[::-1])) == [2]


def test_newest_goes_by_the_start_where_the_start_was_asked_for() -> None:
    long = film(1, started=1_700_000_000, stopped=1_700_090_000)
    short = film(2, started=1_700_000_100, stopped=1_700_000_900)
    assert ids_of(imported([long, short])) == [1]
    started = Selection(include_partial=True, watched_at="started")
    (record,) = imported([long, short], started)
    assert (record.play_id, record.epoch) == (2, 1_700_000_100)
    assert record.item.watched_at == "2023-11-14T22:15:00Z"


def test_a_newer_play_that_was_not_watched_does_not_hide_an_older_one_that_was() -> None:
    assert ids_of(imported([film(1), film(2, view_offset=1)], Selection())) == [1]


def test_the_same_episode_under_two_spellings_of_its_guid_is_one() -> None:
    other = episode(2, guid="com.plexapp.agents.hama://tvdb-81189/1/1", rating_key=80)
    assert ids_of(imported([episode(1), other])) == [2]


def test_episodes_of_one_show_are_kept_apart_by_their_numbers() -> None:
    plays = [episode(1), episode(2, episode=2), episode(3, season=0), episode(4, season=100)]
    assert [record.key for record in imported(plays)] == [
        "tvdb:81189#s01e01",
        "tvdb:81189#s01e02",
        "tvdb:81189#s00e01",
        "tvdb:81189#s100e01",
    ]


# Viewings.


def test_every_viewing_is_kept_where_rewatches_are_asked_for() -> None:
    records = imported([film(1), film(2), film(3)], every_viewing=True)
    assert [record.key for record in records] == [
        f"tmdb:603@{moment(film(number), latest=LAST_MOMENT)}" for number in (1, 2, 3)
    ]


def test_resumed_plays_are_one_viewing_and_it_ended_with_the_last() -> None:
    parts = [piece(1, 0, 40), piece(2, 40, 88), piece(3, 88, 100), film(4)]
    assert ids_of(imported(parts, every_viewing=True)) == [3, 4]
    assert ids_of(imported(parts, Selection(), every_viewing=True)) == [3, 4]


def test_a_viewing_of_which_nothing_was_watched_is_kept_only_with_partial_plays() -> None:
    plays = [film(1), piece(2, 0, 30)]
    assert ids_of(imported(plays, every_viewing=True)) == [1, 2]
    assert ids_of(imported(plays, Selection(), every_viewing=True)) == [1]


@pytest.mark.parametrize("reference", [None, 0, 1])
def test_what_tautulli_groups_is_no_viewing(reference: int | None) -> None:
    plays = [film(number, reference_id=reference) for number in (1, 2, 3)]
    assert ids_of(imported(plays, every_viewing=True)) == [1, 2, 3]


def test_a_play_before_the_range_of_dates_is_evidence_and_no_item() -> None:
    """The rest of a film is no viewing of its own just because its beginning was not asked for."""
    plays = [piece(1, 0, 88), piece(2, 88, 100), film(3)]
    since = Selection(since=moment(plays[1], latest=LAST_MOMENT))
    assert ids_of(imported(plays, since, every_viewing=True)) == [2, 3]
    until = Selection(until=moment(plays[1], latest=LAST_MOMENT))
    assert ids_of(imported(plays, until, every_viewing=True)) == [1]


def test_two_titles_in_one_group_are_two_viewings() -> None:
    other = {
        "title": "Another",
        "rating_key": 13,
        "guid": "com.plexapp.agents.themoviedb://1?lang=en",
    }
    plays = [film(1), film(2, reference_id=1, **other), film(3)]
    assert ids_of(imported(plays, every_viewing=True)) == [1, 2, 3]


def test_a_viewing_goes_on_under_another_rating_key_of_the_same_film() -> None:
    plays = [piece(1, 0, 88), piece(2, 88, 100, rating_key=99)]
    assert ids_of(imported(plays, every_viewing=True)) == [2]


def test_a_viewing_belongs_to_one_user() -> None:
    plays = [piece(1, 0, 88), piece(2, 88, 100, user_id=2)]
    assert ids_of(imported(plays, every_viewing=True)) == [1, 2]


# Users.


def test_all_users_plays_are_merged_unless_they_are_to_be_kept_apart() -> None:
    assert ids_of(imported([film(1, user_id=1), film(2, user_id=2)])) == [2]


def test_each_user_gets_what_that_user_watched() -> None:
    plays = [film(1, user_id=1), film(2, user_id=2), film(3, user_id=1), film(4, user_id=2)]
    reading = read(InMemory(plays), EVERYTHING, each_user=True)
    assert reading.accepted == {1: 2, 2: 2}
    of_one = records_of(reading, every_viewing=False, user_id=1, user="alice")
    of_two = records_of(reading, every_viewing=False, user_id=2, user="bob")
    assert [(record.play_id, record.user) for record in of_one] == [(3, "alice")]
    assert [(record.play_id, record.user) for record in of_two] == [(4, "bob")]
    assert add_up_outputs(reading, [of_one, of_two]).merged == 2


def test_each_user_has_viewings_of_their_own() -> None:
    plays = [piece(1, 0, 88), piece(2, 88, 100), film(3), piece(4, 88, 100, user_id=2)]
    reading = read(InMemory(plays), EVERYTHING, each_user=True, every_viewing=True)
    assert ids_of(records_of(reading, every_viewing=True, user_id=1)) == [2, 3]
    assert ids_of(records_of(reading, every_viewing=True, user_id=2)) == [4]


def test_plays_that_name_no_user_are_not_lost() -> None:
    plays = [film(1, user_id=None), film(2, user_id=2), film(3, user_id=0)]
    reading = read(InMemory(plays), EVERYTHING, each_user=True)
    assert reading.accepted == {NOBODY: 1, 2: 1, 0: 1}
    for user, play in ((NOBODY, 1), (2, 2), (0, 3)):
        assert ids_of(records_of(reading, every_viewing=False, user_id=user)) == [play]


def test_a_user_whose_plays_all_turned_out_unusable_has_none() -> None:
    unkeyable = episode(1, grandparent_rating_key=None, guid=None, user_id=2)
    reading = read(InMemory([unkeyable, film(2)]), EVERYTHING, each_user=True)
    assert reading.accepted[2] == 0
    assert reading.verdicts == {Reason.NO_SHOW: 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": None, "guid": None, "rating_key": None}, Reason.NO_TITLE),
        ({"title": "", "guid": "", "rating_key": 0}, Reason.NO_TITLE),
        ({"title": None, "guid": None}, None),
        ({"rating_key": None, "guid": None}, None),
        ({"rating_key": None, "title": None}, None),
        ({"rating_key": None, "title": None, "guid": "com.plexapp.agents.imdb://tt1"}, None),
        # A GUID that tells nothing.
        ({"rating_key": None, "title": "", "guid": "local://77"}, Reason.NO_TITLE),
        (
            {"rating_key": None, "title": "", "guid": "com.plexapp.agents.none://f0"},
            Reason.NO_TITLE,
        ),
        ({"rating_key": None, "title": "", "guid": "nonsense"}, Reason.NO_TITLE),
    ],
)
def test_a_film_needs_a_title_or_a_key_or_an_id(
    fields: dict[str, Any], reason: Reason | None
) -> None:
    reading = read(InMemory([film(1, **fields)]), Selection())
    assert [row.reason for row in reading.rejected] == ([] if reason is None else [reason])
    assert len(records_of(reading, every_viewing=False)) == (reason is None)


# Records.


def test_records_come_in_ascending_order_of_watching() -> None:
    plays = [film(5, rating_key=2), film(2, rating_key=3), film(3, rating_key=4), film(4)]
    apart = [structs.replace(play, guid=None, title=str(play.id)) for play in plays]
    assert ids_of(imported(apart)) == [2, 3, 4, 5]


# Whatever is in the history.

_AT = 1_700_000_000
_WHEN = st.sampled_from([None, 0, -1, 5, _AT, _AT + 100, _AT + 200, 2_000_000_000, _AT * 1000])
_TITLES = st.sampled_from([None, "", "One", "Two"])


@cache  # to make a strategy takes longer than to draw from it
def _some_plays(ids: Sequence[int]) -> st.SearchStrategy[list[Play]]:
    return st.tuples(*(_a_play(number) for number in ids)).map(list)


@cache
def _a_play(number: int) -> st.SearchStrategy[Play]:
    return st.builds(
        Play,
        id=st.just(number),
        reference_id=st.sampled_from([None, 1, 2, number]),
        started=_WHEN,
        stopped=_WHEN,
        user_id=st.sampled_from([None, 0, 1, 2]),
        user=st.none(),
        section_id=st.sampled_from([None, 1, 2]),
        media_type=st.sampled_from(["movie", "episode", "episode", "track", ""]),
        live=st.sampled_from([None, 0, 0, 1]),
        rating_key=st.sampled_from([None, 0, 1, 2]),
        grandparent_rating_key=st.sampled_from([None, 0, 1, 3]),
        title=_TITLES,
        grandparent_title=_TITLES,
        season=st.sampled_from([None, 0, 1]),
        episode=st.sampled_from([None, 1, 2]),
        year=st.sampled_from([None, 0, 1999, 2000, 2010]),
        guid=st.sampled_from(
            [
                None,
                "",
                "local://1",
                "com.plexapp.agents.imdb://tt0000001",
                "com.plexapp.agents.themoviedb://1",
                "com.plexapp.agents.themoviedb://2",
                "com.plexapp.agents.thetvdb://1/1/1",
                "com.plexapp.agents.thetvdb://2/1/1",
                "plex://movie/5d776825151a60001f24a9a1",
                "plex://episode/5d776825151a60001f24a9a2",
            ]
        ),
        view_offset=st.sampled_from([None, 0, 50, 100]),
        duration=st.sampled_from([None, 0, 100]),
        credits_first=st.sampled_from([None, 0, 50]),
        credits_final=st.none(),
    )


HISTORIES = st.integers(0, 9).flatmap(lambda count: _some_plays(range(1, count + 1)))
SELECTIONS = st.builds(
    Selection,
    media_types=st.sets(st.sampled_from(["movie", "episode", "live"])).map(frozenset),
    users=st.sampled_from([None, None, frozenset({1}), frozenset({0, 2})]),
    sections=st.sampled_from([None, None, frozenset({1})]),
    since=st.sampled_from([None, None, _AT + 100]),
    until=st.sampled_from([None, None, _AT + 200]),
    latest=st.just(_AT + 86_400),
    min_percent=st.sampled_from([None, None, 50]),
    include_partial=st.booleans(),
    watched_at=st.sampled_from(["stopped", "started"]),
)


@UNHURRIED
@given(
    plays=HISTORIES,
    selection=SELECTIONS,
    every_viewing=st.booleans(),
    each_user=st.booleans(),
    unreadable=st.integers(0, 3),
    duplicates=st.integers(0, 3),
)
def test_every_row_is_filtered_rejected_merged_or_emitted(
    *,
    plays: list[Play],
    selection: Selection,
    every_viewing: bool,
    each_user: bool,
    unreadable: int,
    duplicates: int,
) -> None:
    rows = [Rejected(Reason.NO_METADATA, 1000 + n) for n in range(unreadable)]
    source = InMemory(plays, rejected=rows, duplicates=duplicates)
    reading = read(source, selection, every_viewing=every_viewing, each_user=each_user)
    outputs = _outputs(reading, every_viewing=every_viewing, each_user=each_user)
    counts = add_up_outputs(reading, outputs)
    assert counts.read == source.total()
    assert counts.read == _told(counts)
    assert len(reading.rejected) == sum(counts.rejected.values())
    assert Counter(row.reason.value for row in reading.rejected) == counts.rejected
    assert counts.filtered.get("duplicate", 0) == duplicates
    kept = [record.play_id for records in outputs for record in records]
    assert len(kept) == len(set(kept))
    assert set(kept).isdisjoint(row.id for row in reading.rejected)


@UNHURRIED
@given(plays=HISTORIES, selection=SELECTIONS)
def test_what_is_imported_was_wanted_and_something_is_if_anything_was(
    plays: list[Play], selection: Selection
) -> None:
    reading = read(InMemory(plays), selection)
    unkeyable = {row.id for row in reading.rejected}
    wanted = {play.id for play in plays if verdict(play, selection) is None} - unkeyable
    found = set(ids_of(records_of(reading, every_viewing=False)))
    assert found <= wanted
    assert bool(found) == bool(wanted)


@UNHURRIED
@given(
    both=HISTORIES.flatmap(lambda plays: st.tuples(st.just(plays), st.permutations(plays))),
    every_viewing=st.booleans(),
)
def test_the_order_in_which_plays_are_read_does_not_matter(
    both: tuple[list[Play], list[Play]], every_viewing: bool
) -> None:
    plays, shuffled = both
    assert imported(shuffled, every_viewing=every_viewing) == imported(
        plays, every_viewing=every_viewing
    )


@UNHURRIED
@given(plays=HISTORIES, size=st.integers(1, 4), every_viewing=st.booleans(), selection=SELECTIONS)
def test_how_plays_are_cut_into_batches_does_not_matter(
    plays: list[Play], size: int, every_viewing: bool, selection: Selection
) -> None:
    whole = read(InMemory(plays), selection, every_viewing=every_viewing)
    cut = read(InMemory(plays, size=size), selection, every_viewing=every_viewing)
    assert cut.verdicts == whole.verdicts
    assert cut.accepted == whole.accepted
    assert cut.identified.conflicts == whole.identified.conflicts
    assert records_of(cut, every_viewing=every_viewing) == records_of(
        whole, every_viewing=every_viewing
    )


@UNHURRIED
@given(plays=HISTORIES, every_viewing=st.booleans())
def test_each_users_records_are_those_of_a_history_with_that_user_alone(
    plays: list[Play], every_viewing: bool
) -> None:
    reading = read(InMemory(plays), EVERYTHING, each_user=True, every_viewing=every_viewing)
    for user in (0, 1, 2):
        alone = imported(
            plays,
            Selection(include_partial=True, users=frozenset({user})),
            every_viewing=every_viewing,
        )
        assert records_of(reading, every_viewing=every_viewing, user_id=user) == alone


@UNHURRIED
@given(plays=HISTORIES, every_viewing=st.booleans())
def test_each_key_has_one_record_and_they_are_in_order(
    plays: list[Play], every_viewing: bool
) -> None:
    records = imported(plays, every_viewing=every_viewing)
    keys = [record.key for record in records]
    assert len(set(keys)) == len(keys)
    assert records == sorted(records, key=lambda record: (record.epoch, record.play_id))


@UNHURRIED
@given(plays=HISTORIES)
def test_reading_a_play_twice_changes_nothing_but_the_counts(plays: list[Play]) -> None:
    assert imported([*plays, *plays]) == imported(plays)


GROUPINGS = st.fixed_dictionaries(
    {
        "every_viewing": st.booleans(),
        "each_user": st.booleans(),
        "watched_at": st.sampled_from(["stopped", "started"]),
    }
)


@UNHURRIED
@given(plays=HISTORIES, how=GROUPINGS, selection=SELECTIONS)
def test_row_ids_of_any_size_give_the_same_items(
    plays: list[Play], how: dict[str, Any], selection: Selection
) -> None:
    renumbered = [structs.replace(play, id=(play.id - 5) << 40) for play in plays]
    every_viewing, each_user = how["every_viewing"], how["each_user"]
    chosen = structs.replace(selection, watched_at=how["watched_at"])
    before, after = (
        _outputs(
            read(InMemory(some), chosen, every_viewing=every_viewing, each_user=each_user),
            every_viewing=every_viewing,
            each_user=each_user,
        )
        for some in (plays, renumbered)
    )
    as_before = [
        [structs.replace(record, play_id=(record.play_id >> 40) + 5) for record in records]
        for records in after
    ]
    assert as_before == before


def _told_of(groups: PlayGroups) -> list[str]:
    """Of each group its newest play of all, and what is kept of it."""
    groups.end()
    return sorted(
        repr(
            (
                groups.newest[group],
                groups.orders.time(groups.first[group]),
                groups.best[group],
                sorted(groups.newest_of_users().get(group, ())),
                _viewings_of(groups, group),
            )
        )
        for group in range(len(groups))
    )


def _viewings_of(groups: PlayGroups, group: int) -> list[int]:
    """Return the orders of a group's viewings."""
    if groups.every_play is None:
        return []
    only = [0 if number == group else -1 for number in range(len(groups))]
    return sorted(viewing.order for viewing in groups.every_play.viewings(only))


@UNHURRIED
@given(
    both=HISTORIES.flatmap(lambda plays: st.tuples(st.just(plays), st.permutations(plays))),
    how=GROUPINGS,
    selection=SELECTIONS,
    split=st.integers(0, 9),
)
def test_groups_are_the_same_in_whatever_order_and_parts_plays_come(
    both: tuple[list[Play], list[Play]], how: dict[str, Any], selection: Selection, split: int
) -> None:
    whole, parts = PlayGroups(settled_played, **how), PlayGroups(settled_played, **how)
    rows, shuffled = (judged(plays, selection, RULE, detailed=whole.is_detailed) for plays in both)
    rejected = whole.take(rows)
    again = [*parts.take(shuffled[:split]), *parts.take(shuffled[split:])]
    assert _told_of(parts) == _told_of(whole)
    assert parts.verdicts == whole.verdicts
    assert parts.accepted_by_user() == whole.accepted_by_user()
    assert sorted(row[:2] for row in again) == sorted(row[:2] for row in rejected)
    assert all(parts.find(row[2]) is not None for row in rows if row[1] is None)


@UNHURRIED
@given(plays=HISTORIES, how=GROUPINGS)
def test_plays_that_are_taken_twice_are_kept_once(plays: list[Play], how: dict[str, Any]) -> None:
    once, twice = PlayGroups(settled_played, **how), PlayGroups(settled_played, **how)
    rows = judged(plays, Selection(), RULE, detailed=once.is_detailed)
    for groups in (once, twice, twice):
        groups.take(rows)
    assert _told_of(twice) == _told_of(once)


@pytest.mark.parametrize("first", [0, 1])
def test_a_film_that_is_a_broadcast_in_one_of_its_plays_is_the_same_in_any_order(
    first: int,
) -> None:
    """A broadcast's rating key counts less than the library's, whichever play was read first."""
    guid = "plex://movie/5d77"
    library = film(1, guid=guid, rating_key=10)
    two = [film(number, guid=guid, rating_key=11, live=3 - number) for number in (2, 3)]
    two = [structs.replace(play, started=2_000_000_000, stopped=2_000_007_200) for play in two]
    (record,) = imported([library, two[first], two[1 - first]])
    assert record.key == "plex:11"


@pytest.mark.parametrize("every_viewing", [False, True])
def test_no_plays_make_no_records(every_viewing: bool) -> None:
    assert imported([], every_viewing=every_viewing) == []


def _outputs(reading: ReadResult, *, every_viewing: bool, each_user: bool) -> list[list[Record]]:
    users = list(reading.accepted) if each_user else [None]
    return [records_of(reading, every_viewing=every_viewing, user_id=user) for user in users]


def _told(counts: Plays) -> int:
    filtered, rejected = sum(counts.filtered.values()), sum(counts.rejected.values())
    return filtered + rejected + counts.merged + counts.emitted
