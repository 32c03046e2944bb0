"""Whole invented histories, and the truth about them that was known before they were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from msgspec import Struct

from tautulli_import.items.build import records_of
from tautulli_import.items.pipeline import ReadResult, read
from tautulli_import.model.items import EXTERNAL, Episode, Ids, Movie, Record
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source
from tests.support.history import Play, Truth, Work, generate
from tests.support.one_run import add_up_outputs
from tests.support.products import rarely

# In seed 7 one user goes on with two viewings of one film by turns, by chance. No row tells so.
HISTORIES = [
    *rarely([(3000, seed) for seed in (1, 2, 3, 4, 5, 6)], [(3000, 1), (3000, 2)]),
    *((6000, 9), (400, 160)),
]


class Import(Struct, frozen=True):
    """One history, read both ways, and the truth about it."""

    truth: Truth
    newest: ReadResult
    viewings: ReadResult
    records: Sequence[Record]
    every_record: Sequence[Record]

    def by_work(self) -> dict[int, list[Record]]:
        """Return the records of each work, by its number."""
        found: dict[int, list[Record]] = {}
        for record in self.records:
            found.setdefault(self.work_of(record).number, []).append(record)
        return found

    def work_of(self, record: Record) -> Work:
        """Return the work that the play behind a record was a play of."""
        work = self.truth.work(record.play_id)
        assert work is not None, f"{record.key} is neither a film nor an episode"
        return work


@pytest.fixture(scope="module", params=HISTORIES, ids=lambda h: f"{h[0]}-plays-seed-{h[1]}")
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Import:
    plays, seed = request.param
    path = tmp_path_factory.mktemp("truth") / "tautulli.db"
    truth = generate(path, plays=plays, seed=seed)
    source = Source([path], page=997)
    try:
        newest = read(source, Selection())
        viewings = read(source, Selection(), every_viewing=True)
    finally:
        source.close()
    return Import(
        truth,
        newest,
        viewings,
        records_of(newest, every_viewing=False),
        records_of(viewings, every_viewing=True),
    )


def test_every_watched_film_and_numbered_episode_is_imported_exactly_once(
    imported: Import,
) -> None:
    by_work = imported.by_work()
    wanted = {work.number: 1 for work in imported.truth.works if work.numbered and work.watched}
    assert {number: len(records) for number, records in by_work.items()} == wanted


def test_nothing_that_was_never_watched_is_imported(imported: Import) -> None:
    for record in (*imported.records, *imported.every_record):
        assert record.play_id in {play.row_id for play in imported.work_of(record).watched}


def test_no_item_has_an_id_of_something_else(imported: Import) -> None:
    for record in imported.records:
        work = imported.work_of(record)
        wrong = external(ids_of(record)).items() - work.ids.items()
        assert not wrong, f"{work.title} ({work.show}) was given {wrong}"


def test_the_ids_of_plex_are_those_the_work_itself_had(imported: Import) -> None:
    of_shows: dict[int | None, set[int]] = {}
    for work in imported.truth.works:
        of_shows.setdefault(work.show_number, set()).update(work.show_keys)
    for record in imported.records:
        work, ids = imported.work_of(record), ids_of(record)
        keys = work.rating_keys if work.kind == "movie" else of_shows[work.show_number]
        # A key that another title has got since is left out.
        assert ids.plex is None or ids.plex in {str(key) for key in keys}
        assert ids.guid is None or ids.guid in work.plex_guids
        assert ids.guid is None or work.kind == "movie"


def test_whatever_the_history_tells_the_ids_of_has_an_id(imported: Import) -> None:
    for record in imported.records:
        work = imported.work_of(record)
        if work.derivable:
            assert external(ids_of(record)), f"{work.title} ({work.show}) has no id"


def test_a_show_that_tautulli_looked_up_has_an_id(imported: Import) -> None:
    looked_up = 0
    for record in imported.records:
        work = imported.work_of(record)
        if work.kind == "episode" and any("tvdb" in play.lookup_ids for play in work.plays):
            looked_up += 1
            assert external(ids_of(record)), f"{work.show} has no id"
    assert looked_up


def test_watched_at_is_when_it_was_last_watched_to_the_end(imported: Import) -> None:
    for record in imported.records:
        newest = newest_of(imported.work_of(record).watched)
        assert record.play_id == newest.row_id
        assert record.epoch == newest.watched_at
        assert record.item.watched_at == in_utc(newest.watched_at)


def test_an_item_says_what_was_played(imported: Import) -> None:
    for record in imported.records:
        work, item = imported.work_of(record), record.item
        assert (item.title, item.year) == (work.title, work.year)
        if isinstance(item, Movie):
            assert work.kind == "movie"
        else:
            numbers = (item.series_title, item.season, item.episode)
            assert numbers == (work.show, work.season, work.episode)


def test_records_come_in_the_order_of_watching_and_each_key_once(imported: Import) -> None:
    for records in (imported.records, imported.every_record):
        assert all(one.epoch <= other.epoch for one, other in pairwise(records))
        assert max(Counter(record.key for record in records).values()) == 1


def test_with_every_viewing_there_is_one_record_for_each_viewing_of_each_user(
    imported: Import,
) -> None:
    wanted: list[int] = []
    for work in imported.truth.works:
        plays = sorted(work.watched if work.numbered else (), key=lambda play: play.started)
        for user in {play.user_id for play in plays}:
            viewings: list[list[Play]] = []
            for play in (one for one in plays if one.user_id == user):
                # The generator lets one user begin a film again before it has ended.
                if viewings and play.started < newest_of(viewings[-1]).watched_at:
                    viewings[-1].append(play)
                else:
                    viewings.append([play])
            wanted += [newest_of(viewing).row_id for viewing in viewings]
    wanted.sort()
    assert sorted(record.play_id for record in imported.every_record) == wanted


def test_with_every_viewing_the_key_is_that_of_the_work_and_the_second(imported: Import) -> None:
    keys = {imported.work_of(record).number: record.key for record in imported.records}
    for record in imported.every_record:
        assert record.key == f"{keys[imported.work_of(record).number]}@{record.epoch}"


def test_every_row_is_accounted_for(imported: Import) -> None:
    truth = imported.truth
    unnumbered = sum(len(work.watched) for work in truth.works if not work.numbered)
    kinds = truth.totals.by_media_type
    for reading, records in (
        (imported.newest, imported.records),
        (imported.viewings, imported.every_record),
    ):
        plays = add_up_outputs(reading, [records])
        assert plays.read == truth.totals.rows
        assert plays.filtered == {
            "media_type": sum(kinds.get(kind, 0) for kind in ("track", "clip", "photo")),
            "live": kinds["live"],
            "partial": truth.totals.partial,
        }
        assert sum(plays.rejected.values()) == unnumbered
        assert plays.rejected.keys() <= {"no_season_number", "no_episode_number"}
        assert plays.emitted == len(records)
        assert plays.merged == truth.totals.watched - unnumbered - len(records)


def external(ids: Ids) -> dict[str, str]:
    """Return the ids that mean something outside this Plex server."""
    return {name: value for name in EXTERNAL if (value := getattr(ids, name))}


def ids_of(record: Record) -> Ids:
    """Return a film's ids, or those of an episode's show."""
    return record.item.show_ids if isinstance(record.item, Episode) else record.item.ids


def newest_of(plays: Sequence[Play]) -> Play:
    """Return the play that stopped last."""
    return max(plays, key=lambda play: (play.watched_at, play.row_id))


def in_utc(epoch: int) -> str:
    """Return the one form of time that is written."""
    return datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")
