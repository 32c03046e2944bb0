"""However a history comes in, in parts, in another order, twice: it says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec import msgpack, structs

from tautulli_import.checkpoint.journal import About, Journal
from tautulli_import.checkpoint.state import StateFile
from tautulli_import.dedup import History, Sight
from tautulli_import.errors import SourceUnreachableError
from tautulli_import.models import Landmark, Play, Reason, Record, Rejected
from tautulli_import.pipeline import Reading, read, records_of
from tautulli_import.resume import Ledger
from tautulli_import.selection import Selection
from tautulli_import.sources.base import Batch, Cursor, Library, Lookup, User
from tautulli_import.watched import WatchedRule

NOW = 1_750_000_000
DAY = 86_400
RULE = WatchedRule()
# Nothing here is about speed, and a busy machine is no failure.
UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Memory:
    """A source of these plays, in batches of any size, that vanishes after so many of them."""

    name = "memory"
    notices: Sequence[str] = ()

    def __init__(
        self,
        plays: Sequence[Play],
        *,
        size: int = 1,
        settled: int | None = None,
        batches: int | None = None,
        rejected: Collection[int] = (),
    ) -> None:
        """Of the plays the first so many are settled, all unless told."""
        self._plays = plays
        self._size = size
        self._settled = len(plays) if settled is None else settled
        self._left = batches
        self._rejected = rejected

    def total(self) -> int:
        """How many rows there are."""
        return len(self._plays)

    def batches(self, after: Cursor | None, *, detailed: bool = False) -> Iterator[Batch]:
        """Those behind the cursor, which is how many lie before it."""
        assert not detailed
        for begin in range(int(after or 0), len(self._plays), self._size):
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    raise SourceUnreachableError("It vanished.")
            part = self._plays[begin : begin + self._size]
            end = begin + len(part)
            yield Batch(
                [play for play in part if play.id not in self._rejected],
                Cursor(str(end)),
                RULE,
                [
                    Rejected(Reason.NO_METADATA, play.id, source=self.name)
                    for play in part
                    if play.id in self._rejected
                ],
                settled=end <= self._settled,
                mark=sum(map(_mark, part)),
                source=self.name,
            )

    def marked(self, upto: Cursor, *, detailed: bool = False) -> tuple[int, int] | None:
        """Count and sum up what lies before it."""
        assert not detailed
        part = self._plays[: int(upto)]
        return len(part), sum(map(_mark, part))

    def landmarks(self) -> Sequence[Landmark]:
        """Every play."""
        return [Landmark(play.id, play.started, play.user_id) for play in self._plays]

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many are here."""
        return len({*landmarks} & {*self.landmarks()})

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """Those of these numbers."""
        yield Batch([play for play in self._plays if play.id in ids], Cursor("0"), RULE)

    def users(self) -> Sequence[User]:
        """Nobody is known by name."""
        return ()

    def libraries(self) -> Sequence[Library]:
        """No library is known by name."""
        return ()

    def know_everybody(self) -> None:
        """Nothing to do."""

    def know_sections(self, sections: frozenset[int]) -> None:
        """Nothing to do."""

    def rules(self) -> Sequence[WatchedRule]:
        """Tautulli's defaults."""
        return [RULE]

    def lookups(self) -> Sequence[Lookup]:
        """Nothing is looked up."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def _mark(play: Play) -> int:
    return hash((play.id, play.title, play.started)) % 1_000_003


@st.composite
def one_play(draw: st.DrawFn, number: int) -> Play:
    """A play of one of a few films and episodes, by one of two people, as odd as they come."""
    title = draw(st.integers(0, 4))
    started = draw(st.integers(1, 40)) * 1000
    is_film = draw(st.booleans())
    guid = draw(st.sampled_from(GUIDS))
    fields: dict[str, Any] = {
        "id": number,
        "reference_id": draw(st.sampled_from([number, None, 1, 2])),
        "started": started,
        "stopped": started + draw(st.sampled_from([0, 100, 500, -1])),
        "user_id": draw(st.sampled_from([1, 2, None])),
        "user": "somebody",
        "section_id": 1,
        "live": int(title == 4),
        "grandparent_rating_key": None,
        "season": None,
        "episode": None,
        "credits_first": None,
        "credits_final": None,
        "view_offset": draw(st.sampled_from([10, 95, 100])),
        "duration": 100,
    }
    if is_film:
        fields |= {"media_type": draw(st.sampled_from(["movie", "movie", "track"]))}
        fields |= {"rating_key": 10 + title, "title": f"Film {title}", "grandparent_title": None}
        fields |= {"year": 2000, "guid": guid.format(f"{title:07}")}
    else:
        show = draw(st.sampled_from([None, 71, 72]))
        fields |= {"media_type": "episode", "rating_key": 50 + title, "title": f"Episode {title}"}
        fields |= {"grandparent_title": show and f"Show {show}", "year": None}
        fields |= {"grandparent_rating_key": show, "season": 1, "guid": "local://1"}
        fields |= {"episode": draw(st.sampled_from([title, None]))}
    return Play(**fields)


@st.composite
def histories(draw: st.DrawFn) -> list[Play]:
    """A small history, in the order of the numbers of its plays."""
    return [draw(one_play(number)) for number in range(1, draw(st.integers(2, 25)))]


KINDS = st.fixed_dictionaries({"every_viewing": st.booleans(), "each_user": st.booleans()})


GUIDS = ("plex://movie/5d77", "plex://movie/{}", "com.plexapp.agents.imdb://tt{}?lang=en")
ABOUT = About("memory", "db", ("x=y",), {}, {})


@contextmanager
def journal() -> Iterator[Journal]:
    """What is remembered, in a file that is gone afterwards."""
    with closing(StateFile(None, "memory")) as state:
        yield Journal(state, ABOUT)


def imported(source: Memory, remembered: Journal | None, **kind: Any) -> Reading:
    """Read a source; with what is remembered, go on from there."""
    ledger = Ledger(remembered, source, now=NOW) if remembered else None
    if ledger:
        # Every row is worth a checkpoint.
        with patch("tautulli_import.resume._NEW_ROWS", 1):
            return read(source, Selection(), ledger=ledger, **kind)
    return read(source, Selection(), **kind)


def told(reading: Reading, *, in_order: bool = True, **kind: Any) -> dict[str, Any]:
    """All that a reading says, but for how it came to it."""
    users = sorted({survivor.partition[0] for survivor in reading.survivors}, key=str)
    every = kind["every_viewing"]
    records: list[Sequence[Record]] = [
        records_of(reading, every_viewing=every, user_id=user) for user in users
    ]
    rejected = [*reading.rejected]
    if not in_order:
        rejected.sort(key=lambda row: (row.source, row.id or 0))
    return {
        "read": reading.read,
        "verdicts": dict(reading.verdicts),
        "accepted": {user: count for user, count in reading.accepted.items() if count},
        "records": records,
        "rejected": rejected,
        "conflicts": sorted(map(repr, reading.identified.conflicts)),
    }


@UNHURRIED
@given(histories(), KINDS, st.data())
def test_stopped_at_any_batch_and_gone_on_with_it_is_the_same(
    plays: list[Play], kind: dict[str, Any], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 5), "rows a batch")
    settled = data.draw(st.integers(0, len(plays)), "settled rows")
    lost = data.draw(st.sets(st.integers(1, len(plays)), max_size=3), "rows without metadata")
    stops = data.draw(st.lists(st.integers(0, 6), max_size=5), "batches before it vanishes")
    whole = imported(Memory(plays, size=size, rejected=lost), None, **kind)
    with journal() as remembered:
        for stop in stops:
            source = Memory(plays, size=size, settled=settled, rejected=lost, batches=stop)
            try:
                reading = imported(source, remembered, **kind)
            except SourceUnreachableError:
                continue
            assert told(reading, **kind) == told(whole, **kind)
        source = Memory(plays, size=size, settled=settled, rejected=lost)
        reading = imported(source, remembered, **kind)
        assert told(reading, **kind) == told(whole, **kind)
        assert reading.carried <= settled
        assert reading.carried % size == 0 or reading.carried == len(plays)


@UNHURRIED
@given(histories(), KINDS, st.integers(1, 5))
def test_read_twice_it_is_the_same_and_nothing_is_read(
    plays: list[Play], kind: dict[str, Any], size: int
) -> None:
    with journal() as remembered:
        first = imported(Memory(plays, size=size), remembered, **kind)
        second = imported(Memory(plays, size=size), remembered, **kind)
        assert told(first, **kind) == told(second, **kind)
        assert (first.carried, second.carried) == (0, len(plays))


@UNHURRIED
@given(histories(), KINDS, st.data())
def test_a_history_that_grows_is_as_one_that_was_there_at_once(
    plays: list[Play], kind: dict[str, Any], data: st.DataObject
) -> None:
    nights = data.draw(st.lists(st.integers(1, len(plays)), max_size=4), "rows each night")
    with journal() as remembered:
        for count in sorted(nights):
            some = plays[:count]
            settled = data.draw(st.integers(0, count), "settled rows")
            reading = imported(Memory(some, settled=settled), remembered, **kind)
            assert told(reading, **kind) == told(imported(Memory(some), None, **kind), **kind)


@UNHURRIED
@given(histories(), KINDS, st.data())
def test_in_another_order_it_is_the_same(
    plays: list[Play], kind: dict[str, Any], data: st.DataObject
) -> None:
    others = data.draw(st.permutations(plays), "order")
    size = data.draw(st.integers(1, 30), "rows a batch")
    one = told(imported(Memory(plays), None, **kind), in_order=False, **kind)
    assert told(imported(Memory(others, size=size), None, **kind), in_order=False, **kind) == one


@pytest.mark.parametrize("first", [0, 1])
def test_a_film_that_is_a_broadcast_in_one_of_its_plays_is_the_same_in_any_order(
    first: int,
) -> None:
    """A broadcast's rating key counts less than the library's, whichever play was read first."""
    guid = "plex://movie/5d77"
    library = _plain(1, guid=guid, rating_key=10, started=1000, stopped=1100)
    two = [
        _plain(2, guid=guid, rating_key=11, started=2000, stopped=2100, live=1),
        _plain(3, guid=guid, rating_key=11, started=2000, stopped=2100, live=0),
    ]
    reading = imported(Memory([library, two[first], two[1 - first]]), None)
    assert [record.key for record in records_of(reading, every_viewing=False)] == ["plex:11"]


@UNHURRIED
@given(histories(), KINDS, st.data())
def test_any_change_to_what_was_read_is_noticed(
    plays: list[Play], kind: dict[str, Any], data: st.DataObject
) -> None:
    """A play is gone, is another, or one has come in between: it is as if nothing were known."""
    with journal() as remembered:
        imported(Memory(plays), remembered, **kind)
        at = data.draw(st.integers(0, len(plays) - 1), "which play")
        other = data.draw(one_play(plays[at].id), "in its place")
        changed = data.draw(
            st.sampled_from(
                [
                    [*plays[:at], *plays[at + 1 :]],
                    [*plays[:at], other, *plays[at + 1 :]],
                    [*plays[:at], *plays[at + 1 :], plays[at]],
                ]
            ),
            "the history then",
        )
        if not Memory(changed).recognised(Memory(plays).landmarks()):
            return
        reading = imported(Memory(changed), remembered, **kind)
        if [_mark(play) for play in changed] != [_mark(play) for play in plays]:
            alone = imported(Memory(changed), None, **kind)
            assert told(reading, in_order=False, **kind) == told(alone, in_order=False, **kind)


@UNHURRIED
@given(histories(), KINDS, st.integers(0, 25))
def test_what_is_remembered_and_recalled_is_what_was_taken(
    plays: list[Play], kind: dict[str, Any], split: int
) -> None:
    judge = Selection().judge(RULE)
    one, other, third = History(**kind), History(**kind), History(**kind)
    one.take(plays, judge)
    other.take(plays[:split], judge)
    packed = msgpack.encode([*other.remembered()])
    third.recall(msgpack.decode(packed, type=list[Sight]))
    third.verdicts, third.accepted = Counter(other.verdicts), Counter(other.accepted)
    third.take(plays[split:], judge)
    assert [*third.remembered()] == [*one.remembered()]
    assert (third.verdicts, third.accepted) == (one.verdicts, one.accepted)
    sightings = [(sighting.order, [*sighting.going_on()]) for sighting in one.sightings]
    assert [(found.order, [*found.going_on()]) for found in third.sightings] == sightings


@UNHURRIED
@given(histories(), st.booleans())
def test_what_is_taken_twice_survives_once(plays: list[Play], every_viewing: bool) -> None:
    judge = Selection().judge(RULE)
    one, twice = History(every_viewing=every_viewing), History(every_viewing=every_viewing)
    one.take(plays, judge)
    twice.take(plays, judge)
    twice.take(plays, judge)
    survivors = [[*sighting.going_on()] for sighting in one.sightings]
    assert [[*sighting.going_on()] for sighting in twice.sightings] == survivors


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_a_checkpoint_is_kept_by_the_time(seconds: float) -> None:
    """Every so many seconds, however few the rows are; and not before."""
    plays = [_plain(number) for number in range(1, 11)]
    with journal() as remembered:
        with patch("tautulli_import.resume._EVERY_SECONDS", seconds):
            source = Memory(plays)
            read(source, Selection(), ledger=Ledger(remembered, source, now=NOW))
        checkpoint = remembered.checkpoint()
        assert checkpoint is not None
        assert (checkpoint.rows > 0) is (seconds == 0)


def _plain(number: int, **fields: Any) -> Play:
    row = (number, number, 1000 * number, 1000 * number + 100, 1, "a", 1, "movie", 0, 7, None)
    play = Play(*row, "Film", None, None, None, 2000, None, 95, 100, None, None)
    return structs.replace(play, **fields)


def test_a_checkpoint_that_is_not_settled_is_not_kept() -> None:
    plays = [_plain(number) for number in range(1, 11)]
    with journal() as remembered:
        imported(Memory(plays, settled=0), remembered)
        assert remembered.reached() is None


def test_a_second_journal_of_another_job_knows_nothing() -> None:
    plays = [_plain(number) for number in range(1, 11)]
    with closing(StateFile(None, "memory")) as state:
        one = Journal(state, ABOUT)
        other = Journal(state, About("memory", "db", ("x=z",), {}, {}))
        imported(Memory(plays), one)
        assert one.reached() is not None
        assert other.reached() is None
        assert other.checkpoint() is None


def test_a_journal_that_only_looks_notes_nothing() -> None:
    plays = [_plain(number) for number in range(1, 11)]
    with closing(StateFile(None, "memory")) as state:
        only = Journal(state, ABOUT, writes=False)
        imported(Memory(plays), only)
        only.stage("x", "y", "", {"key": (1, 2)})
        only.publish("x", "y", "")
        only.finish(())
        assert only.checkpoint() is None
        assert only.published("x", "y", "") == {}
        imported(Memory(plays), Journal(state, ABOUT))
        only.forget()
        assert only.checkpoint() is not None


def test_what_is_staged_counts_until_it_is_published() -> None:
    with journal() as one:
        one.stage("x", "y", "", {"a": (1, 10)})
        assert one.published("x", "y", "") == {"a": (1, 10)}
        one.publish("x", "y", "")
        one.stage("x", "y", "", {"b": (1, 10)})
        assert one.published("x", "y", "") == {"a": (1, 10), "b": (1, 10)}
        one.publish("x", "y", "")
        assert one.published("x", "y", "") == {"b": (1, 10)}
        assert one.published("x", "y", "1") == one.published("x", "z", "") == {}


def test_what_was_staged_and_never_published_gives_way_to_what_is_published_again() -> None:
    with journal() as one:
        one.stage("x", "y", "", {"a": (1, 10)})
        one.publish("x", "y", "")
        one.stage("x", "y", "", {"b": (1, 10)})  # and the sink failed
        one.stage("x", "y", "", {"a": (1, 10)})
        one.publish("x", "y", "")
        assert one.published("x", "y", "") == {"a": (1, 10)}
