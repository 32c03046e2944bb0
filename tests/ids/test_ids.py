"""How external ids are found, from rows in a real database to the keys of the items.

Every test writes the plays that matter and nothing else. ``films`` and ``episodes`` below
write rows as Tautulli does; what is not named follows from what is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Struct, to_builtins

from tautulli_import.ids.corrections import Correction, parse
from tautulli_import.imports.report import count_items, without_external_id
from tautulli_import.items.build import Records, records_of
from tautulli_import.items.pipeline import ReadResult, read
from tautulli_import.model.items import EXTERNAL, Conflict, Episode, Ids, Movie, Origin, Record
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source
from tests.support.history import add_play, create
from tests.support.history.schema import Value, insert_sql
from tests.support.one_run import add_up_outputs

DAY = 86_400
LONG_BEFORE = 1_300_000_001
LONG_AGO = 1_400_000_000
LATER = 1_500_000_000
# What a test gives no time was played here, in the order in which it was written.
LATELY = 1_700_000_000
LONG_AFTER = 1_760_000_002

IMDB = "com.plexapp.agents.imdb://tt{}?lang=en"
TMDB = "com.plexapp.agents.themoviedb://{}?lang=en"
TVDB = "com.plexapp.agents.thetvdb://{}/{}/{}?lang=en"


def plex(kind: str, number: int) -> str:
    """Return a GUID of the current agents, which tells no external id."""
    return f"plex://{kind}/{number:024x}"


class Found(Struct, frozen=True):
    """What an import made of a database."""

    reading: ReadResult
    records: Records

    @property
    def keys(self) -> list[str]:
        """The canonical keys, oldest first."""
        return [record.key for record in self.records]

    @property
    def conflicts(self) -> Sequence[Conflict]:
        """What contradicted what."""
        return self.reading.identified.conflicts

    def the_one(self) -> Record:
        """Return the only record there should be."""
        assert len(self.records) == 1, self.keys
        return self.records[0]

    def of_play(self, play: int) -> Record:
        """Return the record that a play became."""
        return next(record for record in self.records if record.play_id == play)

    def origins(self, play: int) -> Mapping[str, Origin]:
        """Where each id of the record that a play became came from."""
        return dict(self.records.origins())[self.of_play(play).key]


class Tautulli:
    """A database to write plays into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.conn = create(path)
        self.conn.execute("PRAGMA synchronous = OFF")
        self.conn.execute("PRAGMA journal_mode = MEMORY")

    def film(self, **fields: Value) -> int:
        """Return a film watched to its end."""
        return add_play(self.conn, **{"media_type": "movie", **fields})

    def episode(self, **fields: Value) -> int:
        """Return an episode watched to its end."""
        return add_play(self.conn, **{"media_type": "episode", **fields})

    def looked_up(
        self,
        rating_key: int,
        *,
        tmdb: int | None = None,
        imdb: str | None = None,
        tvdb: int | None = None,
        kind: str = "movie",
        title: str | None = None,
        year: int | None = None,
    ) -> None:
        """Store what Tautulli once asked TheMovieDB and keeps."""
        name, date = ("title", "release_date") if kind == "movie" else ("name", "first_air_date")
        answer = {} if title is None else {name: title, date: f"{year}-03-31" if year else ""}
        self._insert(
            "themoviedb_lookup",
            rating_key=rating_key,
            themoviedb_id=tmdb,
            imdb_id=imdb,
            thetvdb_id=tvdb,
            themoviedb_url=f"https://www.themoviedb.org/{kind}/{tmdb}",
            themoviedb_json=json.dumps(answer),
        )

    def looked_up_on_tvmaze(
        self, rating_key: int, *, tvdb: int | None = None, imdb: str | None = None, title: str = ""
    ) -> None:
        """Store what Tautulli once asked TVmaze and keeps. TVmaze knows shows only."""
        self._insert(
            "tvmaze_lookup",
            rating_key=rating_key,
            tvmaze_id=rating_key + 1,
            imdb_id=imdb,
            thetvdb_id=tvdb,
            tvmaze_json=json.dumps({"name": title} if title else {}),
        )

    def rebuilt(self) -> None:
        """Show that the server was rebuilt: three keys mean other films, which nobody watched."""
        for key in (1, 2, 3):
            for title, when in (("Before", LONG_BEFORE), ("After", LONG_AFTER)):
                self.film(
                    rating_key=key,
                    title=f"{title} {key} of these",
                    view_offset=1000,
                    guid=plex("movie", 9_000 + key + when % 1000),
                    started=when,
                )

    def imported(
        self,
        selection: Selection | None = None,
        *,
        corrections: str = "",
        every_viewing: bool = False,
    ) -> Found:
        """Import it all, the counts checked."""
        source = Source([self.path])
        given_ids: Sequence[Correction] = parse(corrections, "ids.csv") if corrections else ()
        try:
            reading = read(
                source,
                selection or Selection(),
                corrections=given_ids,
                every_viewing=every_viewing,
            )
        finally:
            source.close()
        records = records_of(reading, every_viewing=every_viewing)
        add_up_outputs(reading, [records])
        return Found(reading, records)

    def _insert(self, table: str, **row: Value) -> None:
        with self.conn:
            self.conn.execute(insert_sql(table, row), [*row.values()])


@pytest.fixture
def tautulli(tmp_path: Path) -> Iterator[Tautulli]:
    """Yield a fresh, empty database."""
    made = Tautulli(tmp_path / "tautulli.db")
    with closing(made.conn):
        yield made


def external(ids: Ids) -> dict[str, str]:
    """Return the ids that mean something outside this Plex server."""
    return {name: value for name in EXTERNAL if (value := getattr(ids, name))}


def ids_of(record: Record) -> Ids:
    """Return a film's ids, or those of an episode's show."""
    return record.item.show_ids if isinstance(record.item, Episode) else record.item.ids


# The play's own GUID.


def test_a_legacy_guid_names_the_film(tautulli: Tautulli) -> None:
    play = tautulli.film(guid=IMDB.format("0133093"), rating_key=12)
    found = tautulli.imported()
    assert found.keys == ["imdb:tt0133093"]
    assert to_builtins(found.the_one().item.ids) == {"imdb": "tt0133093", "plex": "12"}
    assert found.origins(play) == {"imdb": Origin.GUID}


def test_a_legacy_guid_names_the_show_of_an_episode(tautulli: Tautulli) -> None:
    play = tautulli.episode(guid=TVDB.format(81189, 1, 1), grandparent_rating_key=77)
    found = tautulli.imported()
    assert found.keys == ["tvdb:81189#s01e01"]
    assert to_builtins(ids_of(found.the_one())) == {"tvdb": "81189", "plex": "77"}
    assert found.origins(play) == {"tvdb": Origin.GUID}


def test_a_legacy_guid_itself_is_never_written(tautulli: Tautulli) -> None:
    tautulli.film(guid=IMDB.format("0133093"))
    tautulli.episode(guid=TVDB.format(81189, 1, 1))
    assert [ids_of(record).guid for record in tautulli.imported().records] == [None, None]


def test_a_films_plex_guid_is_written_as_it_stands(tautulli: Tautulli) -> None:
    tautulli.film(guid="plex://movie/5d776825151a60001f24a9C4?lang=en", rating_key=12)
    record = tautulli.imported().the_one()
    assert record.key == "plex:12"
    assert record.item.ids == Ids(plex="12", guid="plex://movie/5d776825151a60001f24a9C4")


@pytest.mark.parametrize("kind", ["episode", "show", "season", "clip"])
def test_the_plex_guid_of_something_else_is_no_guid_of_a_film(
    tautulli: Tautulli, kind: str
) -> None:
    tautulli.film(guid=plex(kind, 5))
    assert tautulli.imported().the_one().item.ids.guid is None


def test_an_episodes_own_plex_guid_appears_nowhere(tautulli: Tautulli) -> None:
    tautulli.episode(guid=plex("episode", 5), grandparent_rating_key=77)
    tautulli.episode(guid=TVDB.format(1, 1, 2), media_index=2, grandparent_rating_key=77)
    for record in tautulli.imported().records:
        assert isinstance(record.item, Episode)
        assert record.item.ids.guid is None
        assert record.item.show_ids.guid is None


@pytest.mark.parametrize("guid", ["imdb://tt0959621", "tmdb://62085", "tvdb://349232"])
def test_an_episodes_own_external_id_is_not_taken_for_its_shows(
    tautulli: Tautulli, guid: str
) -> None:
    tautulli.episode(guid=guid, grandparent_rating_key=77)
    assert tautulli.imported().keys == ["plex:77#s01e01"]


def test_ids_and_show_ids_of_an_episode_are_the_same(tautulli: Tautulli) -> None:
    tautulli.episode(guid=TVDB.format(81189, 1, 1))
    tautulli.episode(guid=plex("episode", 1), grandparent_title="Another Show")
    for record in tautulli.imported().records:
        assert isinstance(record.item, Episode)
        assert record.item.ids == record.item.show_ids
        assert record.item.show_ids.plex


def test_an_id_that_a_film_has_as_an_episode_does_not_count(tautulli: Tautulli) -> None:
    tautulli.film(guid=TVDB.format(81189, 1, 1), rating_key=12)
    assert tautulli.imported().keys == ["plex:12"]


# Other plays of the same thing.


def test_old_plays_under_a_rating_key_tell_the_ids_of_the_new_ones(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), started=LONG_AGO)
    new = tautulli.film(rating_key=12, guid=plex("movie", 1), started=LATELY)
    found = tautulli.imported()
    assert found.keys == ["imdb:tt0133093"]
    assert found.origins(new) == {"imdb": Origin.OTHER_PLAYS}
    assert found.the_one().item.ids.guid == plex("movie", 1)
    assert found.conflicts == []


def test_later_plays_under_a_rating_key_tell_the_ids_of_the_old_ones(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=plex("movie", 1), started=LONG_AGO)
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0133093"]


def test_one_episode_of_old_tells_the_ids_of_its_whole_show(tautulli: Tautulli) -> None:
    tautulli.episode(guid=TVDB.format(81189, 1, 1), grandparent_rating_key=77, started=LONG_AGO)
    new = tautulli.episode(
        guid=plex("episode", 9), media_index=2, grandparent_rating_key=77, started=LATELY
    )
    found = tautulli.imported()
    assert found.keys == ["tvdb:81189#s01e01", "tvdb:81189#s01e02"]
    assert found.origins(new) == {"tvdb": Origin.OTHER_PLAYS}


def test_a_partial_play_is_evidence_too(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), started=LONG_AGO, view_offset=9)
    tautulli.film(rating_key=12, guid=plex("movie", 1), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0133093"]


def test_another_users_play_is_evidence_too(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), user_id=2, started=LONG_AGO)
    tautulli.film(rating_key=12, guid=plex("movie", 1), user_id=1, started=LATELY)
    assert tautulli.imported(Selection(users=frozenset({1}))).keys == ["imdb:tt0133093"]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(since=LATER),
        Selection(sections=frozenset({2})),
        Selection(media_types=frozenset({"movie"}), since=LATER),
    ],
)
def test_a_play_that_was_not_asked_for_is_evidence_too(
    tautulli: Tautulli, selection: Selection
) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), started=LONG_AGO, section_id=1)
    tautulli.film(rating_key=12, guid=plex("movie", 1), started=LATELY, section_id=2)
    assert tautulli.imported(selection).keys == ["imdb:tt0133093"]


def test_a_film_in_two_libraries_is_one_film(tautulli: Tautulli) -> None:
    guid = plex("movie", 1)
    tautulli.film(rating_key=12, guid=guid, section_id=1, started=LONG_AGO)
    tautulli.film(rating_key=900, guid=guid, section_id=8, started=LATELY)
    record = tautulli.imported().the_one()
    assert record.key == "plex:900"
    assert record.item.ids == Ids(plex="900", guid=guid)


def test_a_plex_guid_is_one_film_whatever_it_was_called(tautulli: Tautulli) -> None:
    guid = plex("movie", 1)
    tautulli.film(rating_key=12, guid=guid, title="Amélie", started=LONG_AGO)
    tautulli.film(rating_key=900, guid=guid, title="Le Fabuleux Destin", year=2001, started=LATELY)
    assert tautulli.imported().keys == ["plex:900"]


def test_evidence_goes_from_a_key_to_a_guid_and_on_to_another_key(tautulli: Tautulli) -> None:
    guid = plex("movie", 1)
    tautulli.film(rating_key=12, guid=TMDB.format(603), started=LONG_AGO)
    tautulli.film(rating_key=12, guid=guid, started=LATER)
    tautulli.film(rating_key=900, guid=guid, started=LATELY)
    assert tautulli.imported().keys == ["tmdb:603"]


def test_works_with_an_id_in_common_share_all_their_ids(tautulli: Tautulli) -> None:
    tautulli.film(
        rating_key=12, title="Der Film", guid="com.plexapp.agents.xbmcnfo://tt0133093", started=1
    )
    tautulli.film(rating_key=44, title="The Film", guid=IMDB.format("0133093"), started=LATER)
    tautulli.film(rating_key=44, title="The Film", guid=TMDB.format(603), started=LATELY)
    record = tautulli.imported().the_one()
    assert record.key == "tmdb:603"
    assert external(record.item.ids) == {"imdb": "tt0133093", "tmdb": "603"}


def test_a_film_whose_year_was_corrected_by_one_is_the_same_film(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, year=1998, guid=IMDB.format("0133093"), started=LONG_AGO)
    tautulli.film(rating_key=12, year=1999, guid=plex("movie", 1), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0133093"]


def test_an_episode_that_does_not_name_its_show_gets_the_name_from_others(
    tautulli: Tautulli,
) -> None:
    tautulli.episode(grandparent_rating_key=77, guid=TVDB.format(1, 1, 1))
    tautulli.episode(
        grandparent_rating_key=77,
        grandparent_title="",
        guid=plex("episode", 2),
        media_index=2,
    )
    found = tautulli.imported()
    assert found.keys == ["tvdb:1#s01e01", "tvdb:1#s01e02"]
    for record in found.records:
        assert isinstance(record.item, Episode)
        assert record.item.series_title == "A Show"


def test_a_broadcast_does_not_lend_its_passing_key_to_the_film_in_the_library(
    tautulli: Tautulli,
) -> None:
    tautulli.film(rating_key=12, guid=plex("movie", 1), started=LONG_AGO)
    tautulli.film(rating_key=900_000_001, guid=plex("movie", 1), live=1, started=LATELY)
    assert tautulli.imported().keys == ["plex:12"]


# A library that was set up anew: new keys, new GUIDs.


def test_a_film_in_a_new_library_is_known_by_title_and_year(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), started=LONG_AGO)
    new = tautulli.film(rating_key=900, guid=plex("movie", 1), started=LATELY)
    found = tautulli.imported()
    assert found.keys == ["imdb:tt0133093"]
    assert found.origins(new) == {"imdb": Origin.OTHER_PLAYS}
    assert found.the_one().item.ids.plex == "900"


def test_a_show_in_a_new_library_is_known_by_an_episode_of_both(tautulli: Tautulli) -> None:
    for number, (guid, key, when) in enumerate(
        ((TVDB.format(81189, 1, 3), 77, LONG_AGO), (plex("episode", 3), 900, LATELY))
    ):
        tautulli.episode(
            grandparent_rating_key=key,
            rating_key=key + 10 + number,
            title="And the Bag's in the River",
            media_index=3,
            year=2008,
            guid=guid,
            started=when,
        )
    tautulli.episode(
        grandparent_rating_key=900,
        title="Cancer Man",
        media_index=4,
        year=2008,
        guid=plex("episode", 4),
        started=LATELY + DAY,
    )
    assert tautulli.imported().keys == ["tvdb:81189#s01e03", "tvdb:81189#s01e04"]


def test_a_show_whose_plays_go_on_under_another_key_gets_no_ids_from_its_title(
    tautulli: Tautulli,
) -> None:
    tautulli.episode(
        grandparent_rating_key=77, guid=TVDB.format(81189, 1, 7), media_index=7, year=2008
    )
    tautulli.episode(
        grandparent_rating_key=900,
        guid=plex("episode", 4),
        parent_media_index=2,
        year=2009,
        started=LATELY,
    )
    assert tautulli.imported().keys == ["tvdb:81189#s01e07", "plex:900#s02e01"]


def test_a_film_without_a_year_is_never_matched_by_its_title(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, year="", guid=IMDB.format("0133093"), started=LONG_AGO)
    tautulli.film(rating_key=900, year="", guid=plex("movie", 1), started=LATER)
    tautulli.film(rating_key=901, year=1999, guid=plex("movie", 2), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0133093", "plex:900", "plex:901"]


def test_a_show_without_years_is_never_matched_by_its_title(tautulli: Tautulli) -> None:
    title = "And the Bag's in the River"
    tautulli.episode(grandparent_rating_key=77, year="", title=title, guid=TVDB.format(81189, 1, 1))
    tautulli.episode(
        grandparent_rating_key=900,
        rating_key=901,
        year="",
        title=title,
        guid=plex("episode", 1),
        started=LATELY,
    )
    assert tautulli.imported().keys == ["tvdb:81189#s01e01", "plex:900#s01e01"]


# Namesakes.


def test_films_of_one_title_and_different_years_stay_apart(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Dune", year=1984, guid=IMDB.format("0087182"))
    tautulli.film(rating_key=13, title="Dune", year=2021, guid=plex("movie", 1), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0087182", "plex:13"]


def test_films_of_one_title_and_year_stay_apart_where_their_guids_differ(
    tautulli: Tautulli,
) -> None:
    tautulli.film(rating_key=12, guid=TMDB.format(1), started=LONG_AGO)
    tautulli.film(rating_key=12, guid=plex("movie", 1), started=LATER)
    tautulli.film(rating_key=13, guid=plex("movie", 2), started=LATELY)
    assert tautulli.imported().keys == ["tmdb:1", "plex:13"]


def test_a_film_that_could_be_either_of_two_namesakes_is_neither(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=TMDB.format(1), started=LONG_AGO)
    tautulli.film(rating_key=13, guid=TMDB.format(2), started=LATER)
    tautulli.film(rating_key=14, guid=plex("movie", 2), started=LATELY)
    assert tautulli.imported().keys == ["tmdb:1", "tmdb:2", "plex:14"]


def test_shows_of_one_title_stay_apart_where_the_same_episode_differs(
    tautulli: Tautulli,
) -> None:
    office: dict[str, Value] = {"grandparent_title": "The Office", "media_index": 2}
    tautulli.episode(
        **office,
        grandparent_rating_key=77,
        title="Work Experience",
        year=2001,
        guid=TVDB.format(78107, 1, 2),
    )
    tautulli.episode(
        **office,
        grandparent_rating_key=78,
        title="Diversity Day",
        year=2005,
        guid=plex("episode", 2),
        started=LATELY,
    )
    assert tautulli.imported().keys == ["tvdb:78107#s01e02", "plex:78#s01e02"]


def test_a_pilot_alone_does_not_make_two_shows_of_one_title_one(tautulli: Tautulli) -> None:
    for key, guid, aired in (
        (77, TVDB.format(78107, 1, 1), "2001-07-09"),
        (78, plex("episode", 1), "2005-03-24"),
    ):
        tautulli.episode(
            grandparent_title="The Office",
            grandparent_rating_key=key,
            title="Pilot",
            guid=guid,
            originally_available_at=aired,
        )
    assert "plex:78#s01e01" in tautulli.imported().keys


def test_shows_of_one_title_that_have_no_key_are_told_apart_by_their_guids(
    tautulli: Tautulli,
) -> None:
    for tvdb, title, when in (
        (78107, "Work Experience", LONG_AGO),
        (73244, "Diversity Day", LATELY),
    ):
        tautulli.episode(
            grandparent_title="The Office",
            grandparent_rating_key="",
            title=title,
            guid=TVDB.format(tvdb, 1, 2),
            media_index=2,
            started=when,
        )
    assert tautulli.imported().keys == ["tvdb:78107#s01e02", "tvdb:73244#s01e02"]


def test_the_title_of_a_show_without_a_key_gives_it_no_ids(tautulli: Tautulli) -> None:
    tautulli.episode(
        grandparent_title="The Office",
        grandparent_rating_key="",
        year=2001,
        guid=TVDB.format(78107, 1, 2),
    )
    tautulli.episode(
        grandparent_title="The Office",
        grandparent_rating_key="",
        year=2024,
        parent_media_index=9,
        guid=plex("episode", 2),
        started=LATELY,
    )
    found = tautulli.imported()
    assert found.keys == ["tvdb:78107#s01e01"]
    assert [row.reason.value for row in found.reading.rejected] == ["no_show"]


# Rating keys that were handed out again.


def test_a_reused_rating_key_gives_another_film_no_ids(tautulli: Tautulli) -> None:
    tautulli.rebuilt()
    tautulli.film(rating_key=12, title="First", duration=6_000_000, guid=IMDB.format("0133093"))
    tautulli.film(rating_key=12, title="Second", year=2013, guid=plex("movie", 1), started=LATELY)
    assert tautulli.imported().keys == ["imdb:tt0133093", "plex:12"]


def test_a_film_that_was_matched_with_its_remake_first_is_one_film(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Dune", year=1984, guid=IMDB.format("0087182"))
    tautulli.film(
        rating_key=12, title="Dune", year=2021, guid=IMDB.format("1160419"), started=LATELY
    )
    assert tautulli.imported().keys == ["imdb:tt1160419"]


def test_a_reused_rating_key_gives_another_show_no_ids(tautulli: Tautulli) -> None:
    tautulli.rebuilt()
    tautulli.episode(
        grandparent_title="First",
        grandparent_rating_key=77,
        title="One",
        guid=TVDB.format(1, 1, 1),
    )
    tautulli.episode(
        grandparent_title="Second",
        grandparent_rating_key=77,
        title="Another",
        guid=plex("episode", 1),
        started=LATELY,
    )
    assert tautulli.imported().keys == ["tvdb:1#s01e01", "plex:77#s01e01"]


@pytest.mark.parametrize("title", ["Pilot", "Episode 1", "Folge 1", "S01E01"])
def test_keys_reused_down_to_the_pilot_give_another_show_no_ids(
    tautulli: Tautulli, title: str
) -> None:
    tautulli.rebuilt()
    for show, year, guid, when in (
        ("First", 1999, TVDB.format(1, 1, 1), LONG_AGO),
        ("Second", 2015, plex("episode", 1), LATELY),
    ):
        tautulli.episode(
            grandparent_title=show,
            grandparent_rating_key=77,
            rating_key=79,
            title=title,
            year=year,
            duration=2_700_000 + year,
            guid=guid,
            started=when,
        )
    assert tautulli.imported().keys == ["tvdb:1#s01e01", "plex:77#s01e01"]


def test_a_renamed_show_keeps_its_ids(tautulli: Tautulli) -> None:
    for show, guid, when in (
        ("The Office (US)", TVDB.format(73244, 1, 2), LONG_AGO),
        ("The Office", plex("episode", 2), LATELY),
    ):
        tautulli.episode(
            grandparent_title=show,
            grandparent_rating_key=77,
            rating_key=79,
            title="Diversity Day",
            media_index=2,
            guid=guid,
            started=when,
        )
    assert tautulli.imported().keys == ["tvdb:73244#s01e02"]


def test_two_films_that_shared_a_rating_key_are_both_imported_without_any_id(
    tautulli: Tautulli,
) -> None:
    tautulli.rebuilt()
    first = tautulli.film(
        rating_key=12, title="First", year=1984, duration=6_000_000, guid=plex("movie", 1)
    )
    second = tautulli.film(
        rating_key=12, title="Second", year=2013, guid=plex("movie", 2), started=LATELY
    )
    found = tautulli.imported()
    assert [record.play_id for record in found.records] == [first, second]


def test_a_key_that_changes_its_title_once_is_one_film(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="First", year=1984, guid=plex("movie", 1))
    second = tautulli.film(rating_key=12, title="Second", year=2013, started=LATELY)
    assert tautulli.imported().the_one().play_id == second


def test_a_home_video_that_was_renamed_is_one_film(tautulli: Tautulli) -> None:
    tautulli.rebuilt()
    for title, when in (("Christmas", LONG_AGO), ("Easter", LATELY)):
        tautulli.film(rating_key=12, title=title, year="", guid="local://12", started=when)
    assert tautulli.imported().the_one().item.title == "Easter"


# Contradictions.


def test_of_contradicting_guids_the_newest_wins_and_it_is_reported(tautulli: Tautulli) -> None:
    wrong = tautulli.film(rating_key=12, guid=TMDB.format(1), started=LONG_AGO)
    right = tautulli.film(rating_key=12, guid=TMDB.format(603), started=LATELY)
    found = tautulli.imported()
    assert found.keys == ["tmdb:603"]
    assert found.conflicts == [Conflict("movie", "A Film", "tmdb", "603", "1", (right, wrong))]


def test_the_newest_evidence_wins_though_it_was_not_watched_to_the_end(
    tautulli: Tautulli,
) -> None:
    wrong = tautulli.film(rating_key=12, guid=TMDB.format(1), started=LONG_AGO)
    tautulli.film(rating_key=12, guid=TMDB.format(603), started=LATELY, view_offset=1)
    found = tautulli.imported()
    assert found.the_one().play_id == wrong
    assert found.keys == ["tmdb:603"]
    assert found.origins(wrong) == {"tmdb": Origin.OTHER_PLAYS}


def test_nothing_is_learnt_from_before_a_contradiction(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0000001"), started=LONG_AGO)
    tautulli.film(rating_key=12, guid=TMDB.format(1), started=LATER)
    tautulli.film(rating_key=12, guid=TMDB.format(603), started=LATELY)
    assert external(tautulli.imported().the_one().item.ids) == {"tmdb": "603"}


def test_of_contradicting_shows_the_newest_wins_and_it_is_reported(tautulli: Tautulli) -> None:
    wrong = tautulli.episode(grandparent_rating_key=77, guid=TVDB.format(1, 1, 1), started=LONG_AGO)
    right = tautulli.episode(
        grandparent_rating_key=77, guid=TVDB.format(2, 1, 2), media_index=2, started=LATELY
    )
    found = tautulli.imported()
    assert found.keys == ["tvdb:2#s01e01", "tvdb:2#s01e02"]
    assert found.conflicts == [Conflict("show", "A Show", "tvdb", "2", "1", (right, wrong))]


def test_a_time_that_makes_no_sense_does_not_make_evidence_the_newest(
    tautulli: Tautulli,
) -> None:
    tautulli.film(
        rating_key=12, guid=TMDB.format(1), started=LONG_AGO * 1000, stopped=LONG_AGO * 1000
    )
    tautulli.film(rating_key=12, guid=TMDB.format(603), started=LATELY)
    assert tautulli.imported().keys == ["tmdb:603"]


def test_a_wrong_id_in_common_does_not_pull_two_films_into_one(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="First", year=1990, guid=TMDB.format(1), started=LONG_AGO)
    tautulli.film(
        rating_key=13, title="Second", year=2000, guid=IMDB.format("0000002"), started=LATER
    )
    tautulli.looked_up(12, tmdb=1, imdb="tt0000009", title="First", year=1990)
    tautulli.looked_up(13, tmdb=2, imdb="tt0000002", title="Second", year=2000)
    found = tautulli.imported()
    assert found.keys == ["tmdb:1", "tmdb:2"]


# Tautulli's lookup tables.


def test_a_film_gets_the_ids_that_tautulli_looked_up(tautulli: Tautulli) -> None:
    play = tautulli.film(rating_key=12, title="The Matrix", year=1999, guid=plex("movie", 1))
    tautulli.looked_up(12, tmdb=603, imdb="tt0133093", title="The Matrix", year=1999)
    found = tautulli.imported()
    assert found.keys == ["tmdb:603"]
    assert found.origins(play) == {
        "tmdb": Origin.LOOKUP_TABLES,
        "imdb": Origin.LOOKUP_TABLES,
    }


@pytest.mark.parametrize("title", ["", "A Show"])
def test_a_show_gets_the_ids_that_tautulli_looked_up_on_tvmaze(
    tautulli: Tautulli, title: str
) -> None:
    tautulli.episode(grandparent_rating_key=77)
    tautulli.looked_up_on_tvmaze(77, tvdb=81189, imdb="tt0903747", title=title)
    found = tautulli.imported()
    assert found.keys == ["imdb:tt0903747#s01e01"]
    assert external(ids_of(found.the_one())) == {"imdb": "tt0903747", "tvdb": "81189"}


def test_a_show_gets_the_ids_that_tautulli_looked_up_on_themoviedb(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_rating_key=77)
    tautulli.looked_up(77, kind="tv", tmdb=1396, tvdb=81189, title="A Show")
    assert tautulli.imported().keys == ["tmdb:1396#s01e01"]


def test_a_lookup_of_a_series_is_not_used_for_a_film(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12)
    tautulli.looked_up(12, kind="tv", tmdb=1396, title="A Film")
    assert tautulli.imported().keys == ["plex:12"]


def test_a_lookup_of_an_episode_is_not_used_for_its_show(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_rating_key=77, rating_key=79)
    tautulli.looked_up(79, kind="tv", tmdb=62085, title="A Show")
    assert tautulli.imported().keys == ["plex:77#s01e01"]


def test_a_show_under_two_keys_is_one_though_only_one_was_looked_up(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_rating_key=77, guid=TVDB.format(81189, 1, 1), started=LONG_AGO)
    tautulli.episode(
        grandparent_rating_key=900,
        rating_key=901,
        guid=TVDB.format(81189, 1, 2),
        media_index=2,
        started=LATELY,
    )
    tautulli.looked_up(900, kind="tv", tmdb=1396, tvdb=81189, title="A Show")
    found = tautulli.imported()
    assert found.keys == ["tmdb:1396#s01e01", "tmdb:1396#s01e02"]
    assert found.conflicts == []


def test_a_lookup_left_over_from_the_film_before_is_not_used(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Second", year=2013, guid=plex("movie", 1))
    tautulli.looked_up(12, tmdb=1, title="First", year=1984)
    assert tautulli.imported().keys == ["plex:12"]


def test_a_lookup_goes_to_that_film_under_a_reused_key_which_it_names(
    tautulli: Tautulli,
) -> None:
    tautulli.rebuilt()
    tautulli.film(rating_key=12, title="First", year=1984, duration=1, guid=plex("movie", 1))
    tautulli.film(rating_key=12, title="Second", year=2013, guid=plex("movie", 2), started=LATELY)
    tautulli.looked_up(12, tmdb=1, title="First", year=1984)
    found = tautulli.imported(Selection(include_partial=True))
    assert [key for key in found.keys if key in ("tmdb:1", "plex:12")] == ["tmdb:1", "plex:12"]


def test_a_nameless_lookup_under_a_reused_key_is_not_used(tautulli: Tautulli) -> None:
    tautulli.rebuilt()
    tautulli.film(rating_key=12, title="First", year=1984, duration=6_000_000, guid=TMDB.format(5))
    tautulli.film(rating_key=12, title="Second", year=2013, guid=plex("movie", 2), started=LATELY)
    tautulli.looked_up(12, tmdb=1)
    assert tautulli.imported().keys == ["tmdb:5", "plex:12"]


def test_a_lookup_that_contradicts_a_guid_is_not_used_and_reported(tautulli: Tautulli) -> None:
    play = tautulli.film(rating_key=12, guid=TMDB.format(603))
    tautulli.looked_up(12, tmdb=1, imdb="tt0000001", title="A Film", year=2010)
    found = tautulli.imported()
    assert external(found.the_one().item.ids) == {"tmdb": "603"}
    assert found.conflicts == [Conflict("movie", "A Film", "tmdb", "603", "1", (play,))]


def test_a_lookup_that_agrees_with_a_guid_adds_what_it_knows(tautulli: Tautulli) -> None:
    play = tautulli.film(rating_key=12, guid=IMDB.format("0133093"))
    tautulli.looked_up(12, tmdb=603, imdb="tt0133093", title="Matrix", year=1998)
    found = tautulli.imported()
    assert found.origins(play) == {"imdb": Origin.GUID, "tmdb": Origin.LOOKUP_TABLES}


def test_a_lookup_that_found_nothing_is_nothing(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12)
    tautulli.looked_up(12, tmdb=0, imdb="", title="A Film", year=2010)
    assert tautulli.imported().keys == ["plex:12"]


# A person's corrections.


@pytest.mark.parametrize(
    "line",
    [
        "movie,12,,,",
        f"movie,,{plex('movie', 1)},,",
        f"movie,,{plex('movie', 1)}?lang=en,,",
        f"movie,,{IMDB.format('0000001')},,",
        "movie,,,a film,2010",
        "movie,12,,A  Film,2010",
    ],
)
def test_a_correction_wins_over_everything(tautulli: Tautulli, line: str) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0000001"), started=LONG_AGO)
    new = tautulli.film(rating_key=12, guid=plex("movie", 1), started=LATELY)
    tautulli.looked_up(12, tmdb=1, imdb="tt0000001", title="A Film", year=2010)
    found = tautulli.imported(corrections=f"type,rating_key,guid,title,year,tmdb\n{line},603\n")
    assert found.keys == ["tmdb:603"]
    assert external(found.the_one().item.ids) == {"tmdb": "603"}
    assert found.origins(new) == {"tmdb": Origin.CORRECTIONS}
    assert found.reading.identified.unused == []


def test_a_correction_of_a_show_holds_for_all_its_episodes(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_rating_key=77, guid=TVDB.format(1, 1, 1), started=LONG_AGO)
    tautulli.episode(
        grandparent_rating_key=77, guid=plex("episode", 2), media_index=2, started=LATELY
    )
    found = tautulli.imported(corrections="type,title,tvdb\nshow,A Show,81189\n")
    assert found.keys == ["tvdb:81189#s01e01", "tvdb:81189#s01e02"]


def test_a_correction_finds_a_show_by_its_own_key_and_not_by_an_episodes(
    tautulli: Tautulli,
) -> None:
    tautulli.episode(grandparent_rating_key=77, rating_key=79)
    by_episode = tautulli.imported(corrections="type,rating_key,tvdb\nshow,79,81189\n")
    assert by_episode.keys == ["plex:77#s01e01"]
    by_show = tautulli.imported(corrections="type,rating_key,tvdb\nshow,77,81189\n")
    assert by_show.keys == ["tvdb:81189#s01e01"]


def test_a_correction_holds_where_another_film_says_otherwise(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="First", guid=TMDB.format(1), started=LONG_AGO)
    tautulli.film(
        rating_key=13, title="Second", year=2015, guid=IMDB.format("0133093"), started=LATELY
    )
    tautulli.looked_up(13, tmdb=7, imdb="tt0133093", title="Second", year=2015)
    found = tautulli.imported(corrections="type,rating_key,tmdb,imdb\nmovie,12,603,tt0133093\n")
    assert external(found.records[-1].item.ids)["tmdb"] == "603"


def test_a_correction_of_a_reused_key_does_not_make_two_films_one(tautulli: Tautulli) -> None:
    tautulli.rebuilt()
    first = tautulli.film(rating_key=12, title="First", year=1984, duration=6_000_000)
    second = tautulli.film(rating_key=12, title="Second", year=2013, started=LATELY)
    found = tautulli.imported(corrections="type,rating_key,tmdb\nmovie,12,603\n")
    assert [record.play_id for record in found.records] == [first, second]


def test_a_correction_names_one_of_the_films_that_shared_a_key_by_its_title(
    tautulli: Tautulli,
) -> None:
    tautulli.rebuilt()
    first: dict[str, Value] = {"title": "First", "year": 1984, "duration": 6_000_000}
    tautulli.film(**first, rating_key=12, guid=TMDB.format(1))
    tautulli.film(rating_key=12, title="Second", year=2013, started=LATELY)
    found = tautulli.imported(corrections="type,rating_key,title,tmdb\nmovie,12,Second,603\n")
    assert found.keys == ["tmdb:1", "tmdb:603"]


def test_corrections_that_fit_nothing_are_named(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12)
    found = tautulli.imported(
        corrections="type,rating_key,title,year,tmdb\n"
        "movie,12,,,603\n"
        "movie,13,,,604\n"
        "movie,12,Another Film,,605\n"
        "movie,,A Film,2011,606\n"
        "show,12,,,607\n"
    )
    assert [correction.line for correction in found.reading.identified.unused] == [3, 4, 5, 6]
    assert found.keys == ["tmdb:603"]


# Nothing was found.


def test_an_item_without_external_ids_is_kept_and_listed(tautulli: Tautulli) -> None:
    film = tautulli.film(rating_key=12, guid="local://12", title="Christmas", started=LONG_AGO)
    tautulli.episode(guid=TVDB.format(81189, 1, 1), started=LATER)
    episode = tautulli.episode(
        grandparent_rating_key=78, grandparent_title="Home", guid="", started=LATELY
    )
    records = tautulli.imported().records
    assert [(one.key, one.play) for one in without_external_id(records)] == [
        ("plex:12", film),
        ("plex:78#s01e01", episode),
    ]
    items = count_items(records.origins_of_keys())
    assert items.without_external_id == 2
    assert items.ids_from == {origin.value: int(origin is Origin.GUID) for origin in Origin}


def test_a_film_without_a_rating_key_is_keyed_by_its_guid(tautulli: Tautulli) -> None:
    tautulli.film(rating_key="", guid="plex://movie/5D776825151a60001f24a9c4")
    assert tautulli.imported().keys == ["guid:plex://movie/5d776825151a60001f24a9c4"]


def test_a_film_without_any_id_is_keyed_by_title_and_year(tautulli: Tautulli) -> None:
    tautulli.film(rating_key="", guid="", title="The Matrix", year=1999)
    assert tautulli.imported().keys == ["movie|title:the matrix|year:1999"]


@pytest.mark.parametrize("guid", ["", None, "local://9", "com.plexapp.agents.none://f00"])
def test_an_episode_whose_show_nothing_names_is_rejected_and_never_keyed_by_title(
    tautulli: Tautulli, guid: str | None
) -> None:
    play = tautulli.episode(grandparent_rating_key="", guid=guid)
    found = tautulli.imported()
    assert found.keys == []
    assert [(row.reason.value, row.id) for row in found.reading.rejected] == [("no_show", play)]


def test_every_play_of_an_episode_whose_show_nothing_names_is_counted(tautulli: Tautulli) -> None:
    plays = [tautulli.episode(grandparent_rating_key="", guid="", title="?") for _ in range(3)]
    tautulli.episode(grandparent_rating_key="", grandparent_title="", guid="")
    tautulli.episode(grandparent_rating_key="", guid="", title="?", view_offset=1)
    found = tautulli.imported(every_viewing=True)
    assert found.reading.verdicts == {"no_show": 4, "partial": 1}
    assert {row.id for row in found.reading.rejected} > set(plays)


def test_an_episode_without_a_show_key_is_keyed_by_its_legacy_guid(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_rating_key="", grandparent_title="", guid=TVDB.format(81189, 1, 1))
    assert tautulli.imported().keys == ["tvdb:81189#s01e01"]


# Whatever the rows say.

_GUIDS: Sequence[str | None] = (
    None,
    "",
    "local://1",
    IMDB.format("0000001"),
    TMDB.format(1),
    TVDB.format(1, 1, 1),
    TVDB.format(2, 1, 1),
    "com.plexapp.agents.themoviedb://9/1/1?lang=en",
    "imdb://tt0000009",
    "tvdb://99",
    plex("movie", 1),
    plex("episode", 1),
    plex("show", 1),
)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "media_type": st.sampled_from(["movie", "episode"]),
                "guid": st.sampled_from(_GUIDS),
                "rating_key": st.sampled_from([1, 2, ""]),
                "grandparent_rating_key": st.sampled_from([1, 3, ""]),
                "grandparent_title": st.sampled_from(["", "A Show", "B Show"]),
                "title": st.sampled_from(["", "One", "Two"]),
                "year": st.sampled_from(["", 2000, 2001, 2010]),
            }
        ),
        max_size=8,
    )
)
def test_an_id_is_only_ever_used_at_the_level_it_was_given_for(
    rows: list[dict[str, str | int | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tautulli = Tautulli(tmp_path_factory.mktemp("level") / "tautulli.db")
    with closing(tautulli.conn):
        _write(tautulli.conn, rows)
        found = tautulli.imported()
    for record in found.records:
        item = record.item
        if isinstance(item, Movie):
            assert external(item.ids).items() <= {("imdb", "tt0000001"), ("tmdb", "1")} | {
                ("imdb", "tt0000009"),
                ("tvdb", "99"),
            }
            assert item.ids.guid in (None, plex("movie", 1))
        else:
            own = Ids(guid=plex("episode", 1)), Ids()
            assert (item.ids, item.show_ids) in {(item.show_ids, item.ids), own}
            assert item.show_ids.guid is None
            assert external(item.show_ids).items() <= {("tvdb", "1"), ("tvdb", "2"), ("tmdb", "9")}
            assert record.key.endswith("#s01e01")
            assert record.key.startswith("guid:") is (item.show_ids == Ids())


def _write(conn: sqlite3.Connection, rows: Sequence[dict[str, str | int | None]]) -> None:
    for row in rows:
        add_play(conn, **row)


# Release days.


def test_a_show_that_could_be_either_of_two_by_its_air_days_is_neither(tautulli: Tautulli) -> None:
    for key, number, guid in (
        (77, 1, TVDB.format(1, 1, 1)),
        (88, 1, plex("episode", 1)),
        (88, 2, plex("episode", 2)),
        (99, 2, TVDB.format(2, 1, 2)),
    ):
        tautulli.episode(
            grandparent_title="The Show",
            grandparent_rating_key=key,
            media_index=number,
            guid=guid,
            originally_available_at=f"2019-01-0{number}",
            started=LATELY + key * 10 + number,
        )
    assert tautulli.imported().keys == [
        "tvdb:1#s01e01",
        "plex:88#s01e01",
        "plex:88#s01e02",
        "tvdb:2#s01e02",
    ]


# Suggestions.


def test_a_film_of_the_same_title_and_year_is_only_suggested(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, guid=IMDB.format("0133093"), originally_available_at="1999-03-31")
    tautulli.film(rating_key=13, guid="local://13", originally_available_at="")
    found = tautulli.imported()
    assert found.keys == ["imdb:tt0133093", "plex:13"]
    (suggestion,) = found.reading.identified.suggestions
    assert (suggestion.work.own_keys, suggestion.ids) == ((13,), {"imdb": "tt0133093"})
    assert suggestion.reason == "same title and year"


def test_a_lookup_of_another_release_day_is_only_suggested(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Dune", year=2021, guid=plex("movie", 1))
    tautulli.looked_up(12, tmdb=841, title="Dune", year=1984)
    found = tautulli.imported()
    assert found.keys == ["plex:12"]
    (suggestion,) = found.reading.identified.suggestions
    assert (suggestion.ids, suggestion.reason) == ({"tmdb": "841"}, "lookup of another release day")
