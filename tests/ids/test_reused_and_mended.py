"""Numbers that were given out again, matches that were mended, rows that only a backup has.

Plex gives a rating key to another title, a person mends a wrong match, Tautulli loses half of
a row: nobody's film may vanish in another one because of that, and every row stays counted.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.errors import ConfigurationError
from tautulli_import.ids.corrections import parse
from tautulli_import.ids.unresolved import list_unresolved, write_csv
from tautulli_import.items.build import records_of
from tautulli_import.items.pipeline import ReadResult, read
from tautulli_import.model.items import Episode
from tautulli_import.model.rejections import Reason
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source
from tests.conftest import Cli
from tests.ids.test_ids import (
    DAY,
    IMDB,
    LATELY,
    LATER,
    LONG_AGO,
    TMDB,
    TVDB,
    Tautulli,
    external,
    ids_of,
    plex,
)
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.history.schema import insert_sql
from tests.support.one_run import add_up_outputs

HEAD = "type,rating_key,guid,title,year,tmdb,imdb,tvdb\n"
PLAY_TABLES = ("session_history", "session_history_metadata", "session_history_media_info")


@pytest.fixture
def tautulli(tmp_path: Path) -> Iterator[Tautulli]:
    """Yield a fresh, empty database."""
    made = Tautulli(tmp_path / "tautulli.db")
    with closing(made.conn):
        yield made


# A wrong match that was mended.


def test_a_film_once_taken_for_another_does_not_pull_that_one_in(tautulli: Tautulli) -> None:
    other, mine = plex("movie", 2), plex("movie", 1)
    tautulli.film(rating_key=10, title="Solaris", year=2002, guid=other, started=LONG_AGO)
    tautulli.film(rating_key=20, title="Solaris", year=2002, guid=other, started=LATER)
    tautulli.film(rating_key=10, title="Stalker", year=1979, guid=mine)

    found = tautulli.imported()

    assert [(record.key, record.item.title) for record in found.records] == [
        ("plex:20", "Solaris"),
        ("plex:10", "Stalker"),
    ]


@pytest.mark.parametrize("year", [1972, 1973, None])
def test_a_film_once_given_the_guid_of_its_namesake_alone_stays_itself(
    tautulli: Tautulli, year: int | None
) -> None:
    tautulli.film(
        rating_key=10, title="Solaris", year=year, guid=plex("movie", 2), started=LONG_AGO
    )
    tautulli.film(
        rating_key=20, title="Solaris", year=1972, guid=plex("movie", 2), started=LONG_AGO + DAY
    )
    tautulli.film(rating_key=10, title="Solaris", year=1972, guid=plex("movie", 1), started=LATER)

    assert sorted(tautulli.imported().keys) == ["plex:10", "plex:20"]


def test_the_order_of_the_wrong_match_and_the_other_film_does_not_matter(
    tautulli: Tautulli,
) -> None:
    other = plex("movie", 2)
    tautulli.film(rating_key=20, title="Solaris", year=2002, guid=other, started=LONG_AGO)
    tautulli.film(rating_key=10, title="Solaris", year=2002, guid=other, started=LATER)
    tautulli.film(rating_key=10, title="Stalker", year=1979, guid=plex("movie", 1))
    tautulli.film(rating_key=20, title="Solaris", year=2002, guid=other)

    assert sorted(tautulli.imported().keys) == ["plex:10", "plex:20"]


def test_one_film_under_two_keys_is_still_one_film(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=10, title="Heat", year=1995, guid=plex("movie", 1), started=LONG_AGO)
    tautulli.film(rating_key=20, title="Heat", year=1995, guid=plex("movie", 1))

    assert tautulli.imported().keys == ["plex:20"]


def office(tautulli: Tautulli, key: int, number: int, guid: int, started: int) -> int:
    """Return an episode of a show called "The Office"."""
    return tautulli.episode(
        grandparent_title="The Office",
        grandparent_rating_key=key,
        rating_key=key * 100 + number,
        title=f"Day {number} of {key}",
        media_index=number,
        guid=plex("episode", guid),
        started=started,
    )


def test_a_show_once_taken_for_its_namesake_does_not_pull_that_one_in(tautulli: Tautulli) -> None:
    for number in (1, 2, 3):
        office(tautulli, 77, number, 200 + number, LONG_AGO + number)
        office(tautulli, 88, number, 200 + number, LONG_AGO + DAY + number)
        office(tautulli, 77, number, 100 + number, LATER + number)

    found = tautulli.imported()

    assert sorted(found.keys) == [
        f"plex:{key}#s01e0{number}" for key in (77, 88) for number in (1, 2, 3)
    ]


def test_a_few_episodes_not_watched_since_do_not_make_two_shows_one(tautulli: Tautulli) -> None:
    for number in (1, 2, 3):
        office(tautulli, 77, number, 200 + number, LONG_AGO + number)
        office(tautulli, 88, number, 200 + number, LONG_AGO + DAY + number)
    for number in (1, 2):
        office(tautulli, 77, number, 100 + number, LATER + number)

    assert len(tautulli.imported().records) == 6


# Nothing that only a file can tell decides what belongs together.


def works_of(path: Path) -> set[frozenset[int]]:
    """Return the films and shows, as the plays that each of them is known by."""
    with closing(Source([path])) as source:
        reading = read(source, Selection(include_partial=True))
    return {
        frozenset(
            reading.groups.orders.row_id(reading.groups.newest[group])
            for one in work.appearances
            for group in one.groups
        )
        for work in reading.identified.works
    }


def test_what_belongs_together_does_not_depend_on_how_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "years.db"
    generate(path, plays=2000, seed=11, truth=False)
    before = works_of(path)

    change(
        path,
        "UPDATE session_history_metadata SET duration = NULL",
        "UPDATE session_history_media_info SET duration = NULL",
    )

    assert len(before) > 50
    assert works_of(path) == before


# What Tautulli looked up for whatever had the key before.


def test_a_stale_lookup_is_not_believed_for_the_year_alone(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Second", year=1999)
    tautulli.looked_up(12, tmdb=5, title="First", year=1999)

    assert tautulli.imported().keys == ["plex:12"]


def test_a_lookup_goes_to_the_one_of_two_films_of_a_year_that_it_names(
    tautulli: Tautulli,
) -> None:
    tautulli.rebuilt()
    tautulli.film(rating_key=12, title="First", year=1999, started=LONG_AGO)
    tautulli.film(rating_key=12, title="Second", year=1999)
    tautulli.looked_up(12, tmdb=5, title=" FIRST ", year=1999)

    assert tautulli.imported().keys == ["tmdb:5", "plex:12"]


@pytest.mark.parametrize("kind", ["movie", "tv"])
def test_a_lookup_is_believed_by_the_title_in_its_own_language(
    tautulli: Tautulli, kind: str
) -> None:
    names = ("title", "original_title") if kind == "movie" else ("name", "original_name")
    if kind == "movie":
        tautulli.film(rating_key=12, title="Il buono, il brutto", year=1966)
    else:
        tautulli.episode(grandparent_rating_key=12, grandparent_title="Il buono, il brutto")
    row = {
        "rating_key": 12,
        "themoviedb_id": 429,
        "themoviedb_url": f"https://www.themoviedb.org/{kind}/429",
        "themoviedb_json": json.dumps(
            dict(zip(names, ("Good", "Il Buono, Il Brutto"), strict=True))
        ),
    }
    with tautulli.conn:
        tautulli.conn.execute(insert_sql("themoviedb_lookup", row), [*row.values()])

    assert external(ids_of(tautulli.imported().the_one())) == {"tmdb": "429"}


def test_a_lookup_is_believed_by_an_id_in_common(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Heat", year=1995, guid=IMDB.format("0113277"))
    tautulli.looked_up(12, tmdb=949, imdb="tt0113277", title="Fuego contra fuego", year=1995)

    assert external(ids_of(tautulli.imported().the_one())) == {"imdb": "tt0113277", "tmdb": "949"}


# Three backups that overlap.


def database(path: Path, rows: Sequence[int]) -> Path:
    """Return a database with a film under each of these row ids."""
    with closing(create(path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_library(conn, 1, "Films", "movie")
        for row in rows:
            add_play(conn, id=row, title=f"Film {row}")
    return path


def change(path: Path, *statements: str) -> None:
    """Do something to a database."""
    with closing(sqlite3.connect(path)) as conn, conn:
        for statement in statements:
            conn.execute(statement)


@pytest.fixture
def backups(tmp_path: Path) -> list[Path]:
    """Ten plays today, seven and four of them in the backups; newest first."""
    now = database(tmp_path / "now.db", range(1, 11))
    made = [now]
    for name, upto in (("older", 7), ("oldest", 4)):
        copied = tmp_path / f"{name}.db"
        shutil.copyfile(now, copied)
        change(copied, *(f"DELETE FROM {table} WHERE id > {upto}" for table in PLAY_TABLES))  # noqa: S608
        made.append(copied)
    return made


def reading_of(paths: Sequence[Path], *, page: int = 10_000) -> ReadResult:
    """Read these files as one history, the counts checked."""
    with closing(Source(paths, page=page)) as source:
        total = source.total()
        reading = read(source, Selection())
    assert reading.read == total
    add_up_outputs(reading, [records_of(reading, every_viewing=False)])
    return reading


@pytest.mark.parametrize("page", [1, 3, 10_000])
@pytest.mark.parametrize("table", ["session_history_metadata", "session_history_media_info"])
def test_a_row_that_only_the_oldest_of_three_has_whole_is_imported_once(
    backups: list[Path], *, table: str, page: int
) -> None:
    for newer in backups[:2]:
        change(newer, f"DELETE FROM {table} WHERE id = 1")  # noqa: S608

    reading = reading_of(backups, page=page)

    assert sorted(map(reading.kept.orders.row_id, reading.kept.order)) == list(range(1, 11))
    assert dict(reading.verdicts) == {Reason.DUPLICATE: 11}
    assert reading.rejected == []


def test_a_row_that_the_newest_alone_has_lost_is_imported_once(
    backups: list[Path],
) -> None:
    change(backups[0], "DELETE FROM session_history_metadata WHERE id = 1")

    reading = reading_of(backups)

    assert sorted(map(reading.kept.orders.row_id, reading.kept.order)) == list(range(1, 11))
    assert dict(reading.verdicts) == {Reason.DUPLICATE: 11}
    assert reading.rejected == []


def test_a_row_that_none_of_three_has_whole_is_rejected_once(
    backups: list[Path],
) -> None:
    for file in backups:
        change(file, "DELETE FROM session_history_metadata WHERE id = 1")

    reading = reading_of(backups)

    assert dict(reading.verdicts) == {Reason.DUPLICATE: 11, Reason.NO_METADATA: 1}
    assert [row.id for row in reading.rejected] == [1]


def test_a_row_that_an_older_file_alone_lacks_half_of_is_a_duplicate(
    backups: list[Path],
) -> None:
    change(backups[1], "DELETE FROM session_history_metadata WHERE id IN (1, 6)")
    change(backups[2], "DELETE FROM session_history_metadata WHERE id = 1")

    reading = reading_of(backups)

    assert dict(reading.verdicts) == {Reason.DUPLICATE: 11}
    assert reading.rejected == []
    assert len(reading.kept) == 10


# A show whose number in Plex is another one's now.


def give_away(tautulli: Tautulli, guids: str) -> Tautulli:
    """Show A, watched six times by two people under number 10; show B has the number now."""
    for again in (0, 1):
        for number in (1, 2):
            for user in (1, 2)[: 1 + number % 2]:
                tautulli.episode(
                    grandparent_title="Show A",
                    grandparent_rating_key=10,
                    rating_key=100 + number,
                    title=f"Chapter {number}",
                    media_index=number,
                    guid=guids.format(number),
                    user_id=user,
                    started=LONG_AGO + (again * 10 + number) * DAY + user,
                )
    tautulli.episode(
        grandparent_title="Show A",
        grandparent_rating_key=10,
        rating_key=101,
        title="Chapter 1",
        media_index=1,
        guid=guids.format(1),
        view_offset=1,
        started=LATER,
    )
    for user in (1, 2):
        tautulli.episode(
            grandparent_title="Show B",
            grandparent_rating_key=10,
            rating_key=500,
            title="Beginnings",
            guid=plex("episode", 500),
            user_id=user,
            started=LATELY + user,
        )
    tautulli.rebuilt()
    return tautulli


@pytest.fixture
def given_away(tautulli: Tautulli) -> Tautulli:
    """Give away the number of a show whose GUIDs hold no id."""
    return give_away(tautulli, "com.plexapp.agents.youtube://someone/1/{}")


@pytest.mark.parametrize("every_viewing", [True, False])
def test_every_play_of_a_show_that_lost_its_number_is_rejected_by_itself(
    given_away: Tautulli, *, every_viewing: bool
) -> None:
    found = given_away.imported(every_viewing=every_viewing)

    assert {key.partition("@")[0] for key in found.keys} == {"plex:10#s01e01"}
    assert {getattr(record.item, "series_title", "") for record in found.records} == {"Show B"}
    assert dict(found.reading.verdicts) == {Reason.REUSED_NUMBER: 6, Reason.PARTIAL: 7}
    rejected = found.reading.rejected
    assert sorted(row.id or 0 for row in rejected) == list(range(1, 7))
    assert {row.reason for row in rejected} == {Reason.REUSED_NUMBER}
    assert {row.detail for row in rejected} == {"Show A - Chapter 1", "Show A - Chapter 2"}


@pytest.mark.parametrize("every_viewing", [True, False])
def test_the_counts_of_each_user_add_up_without_the_plays_that_have_no_number(
    given_away: Tautulli, *, every_viewing: bool
) -> None:
    with closing(Source([given_away.path], page=2)) as source:
        reading = read(
            source,
            Selection(),
            every_viewing=every_viewing,
            each_user=True,
        )

    outputs = [
        records_of(reading, every_viewing=every_viewing, user_id=user, user=str(user))
        for user in (1, 2)
    ]
    plays = add_up_outputs(reading, outputs)
    assert plays.rejected == {"reused_number": 6}
    assert (plays.read, plays.emitted, plays.merged) == (15, 2, 0)
    assert +Counter(reading.accepted) == {1: 1, 2: 1}
    assert len(reading.rejected) == 6


def test_the_program_tells_the_same_of_everybody_and_of_each(
    cli: Cli, given_away: Tautulli
) -> None:
    alone = cli("db", given_away.path, "-n", "--each-user", "--report", "each.json")
    together = cli("db", given_away.path, "-n", "--report", "all.json")

    assert (alone.code, together.code) == (0, 0), alone.err + together.err
    for name in ("each.json", "all.json"):
        told = json.loads((given_away.path.parent / name).read_bytes())
        assert told["plays"]["rejected"] == {"reused_number": 6}
        assert sorted(row["id"] for row in told["rejected_rows"]) == list(range(1, 7))


def test_an_episode_of_a_show_that_lost_its_number_has_its_own_plex_guid(
    tautulli: Tautulli,
) -> None:
    found = give_away(tautulli, "plex://episode/5d9c1131e264b7001fc0000{}").imported()

    assert sorted(found.keys) == [
        "guid:plex://episode/5d9c1131e264b7001fc00001#s01e01",
        "guid:plex://episode/5d9c1131e264b7001fc00002#s01e02",
        "plex:10#s01e01",
    ]
    assert found.reading.rejected == []


def test_a_show_that_is_in_the_library_under_a_new_number_loses_nothing(
    tautulli: Tautulli,
) -> None:
    given_away = give_away(tautulli, plex("episode", 10) + "{}")
    given_away.episode(
        grandparent_title="Show A",
        grandparent_rating_key=30,
        rating_key=300,
        title="Chapter 1",
        guid=plex("episode", 10) + "1",
        started=LATELY + DAY,
    )

    found = given_away.imported()

    assert sorted(found.keys) == ["plex:10#s01e01", "plex:30#s01e01", "plex:30#s01e02"]
    assert Reason.REUSED_NUMBER not in found.reading.verdicts


# An episode that names no show.


def test_a_nameless_episode_belongs_where_another_play_of_it_does(tautulli: Tautulli) -> None:
    guid = plex("episode", 5)
    tautulli.episode(grandparent_title="Fargo", grandparent_rating_key=7, guid=guid)
    nameless = tautulli.episode(
        grandparent_title="",
        grandparent_rating_key="",
        guid=guid.upper().replace("PLEX://EPISODE", "plex://episode"),
        started=LATELY,
    )

    record = tautulli.imported().the_one()

    assert (record.key, record.play_id) == ("plex:7#s01e01", nameless)
    assert isinstance(record.item, Episode)
    assert record.item.series_title == "Fargo"


def test_a_nameless_episode_that_no_other_play_explains_is_rejected(tautulli: Tautulli) -> None:
    tautulli.episode(grandparent_title="Fargo", grandparent_rating_key=7, guid=plex("episode", 5))
    play = tautulli.episode(
        grandparent_title="", grandparent_rating_key="", guid=plex("episode", 6)
    )

    found = tautulli.imported()

    assert found.keys == ["plex:7#s01e01"]
    assert [(row.id, row.reason) for row in found.reading.rejected] == [(play, Reason.NO_SHOW)]


# A person's corrections.


def refusal(tautulli: Tautulli, corrections: str) -> ConfigurationError:
    """Return what is said about corrections that cannot be carried out."""
    with pytest.raises(ConfigurationError) as caught:
        tautulli.imported(corrections=corrections)
    return caught.value


def test_a_title_that_two_shows_have_is_refused_with_their_rating_keys(
    tautulli: Tautulli,
) -> None:
    tautulli.episode(
        grandparent_title="The Office", grandparent_rating_key=77, guid=TVDB.format(78107, 1, 1)
    )
    office(tautulli, 88, 1, 5, LATELY)

    error = refusal(tautulli, HEAD + "show,,,The Office,,,,73244\n")

    assert "Line 2 of the corrections" in str(error)
    assert "77" in error.hint
    assert "88" in error.hint


def test_a_title_that_two_shows_without_ids_have_is_refused_as_well(tautulli: Tautulli) -> None:
    """Their first episodes are under different ``plex://`` GUIDs: these are not one show."""
    for number in (1, 2):
        office(tautulli, 77, number, 100 + number, LONG_AGO + number * DAY)
        office(tautulli, 88, number, 200 + number, LONG_AGO + number * DAY + 9)

    error = refusal(tautulli, HEAD + "show,,,The Office,,,,73244\n")

    assert "77" in error.hint
    assert "88" in error.hint


def test_with_its_rating_key_one_of_two_shows_of_a_title_is_meant(tautulli: Tautulli) -> None:
    office(tautulli, 77, 1, 101, LONG_AGO)
    office(tautulli, 88, 1, 201, LATELY)

    found = tautulli.imported(corrections=HEAD + "show,88,,,,,,73244\n")

    assert sorted(found.keys) == ["plex:77#s01e01", "tvdb:73244#s01e01"]


@pytest.mark.parametrize(
    "second",
    [
        "movie,,,Heat,1995,950,,\n",
        f"movie,,{plex('movie', 1)},,,950,,\n",
        "movie,12,,Heat,1995,,tt0113277,\n",
    ],
    ids=["by title", "by GUID", "another namespace"],
)
def test_two_lines_that_say_different_things_of_one_film_are_refused(
    tautulli: Tautulli, second: str
) -> None:
    tautulli.film(rating_key=12, title="Heat", year=1995, guid=plex("movie", 1))

    error = refusal(tautulli, HEAD + "movie,12,,,,949,,\n" + second)

    assert "2 and 3" in str(error)
    assert "'Heat'" in str(error)


def test_two_lines_that_say_the_same_of_one_film_are_fine(tautulli: Tautulli) -> None:
    tautulli.film(rating_key=12, title="Heat", year=1995)

    found = tautulli.imported(corrections=HEAD + "movie,12,,,,949,,\nmovie,,,Heat,1995,949,,\n")

    assert found.keys == ["tmdb:949"]
    assert found.reading.identified.unused == []


def test_what_was_corrected_is_no_contradiction_any_more(tautulli: Tautulli) -> None:
    for number, started in ((949, LONG_AGO), (950, LATER)):
        tautulli.film(rating_key=12, title="Heat", guid=TMDB.format(number), started=started)
    assert len(tautulli.imported().conflicts) == 1

    found = tautulli.imported(corrections=HEAD + "movie,12,,,,951,,\n")

    assert found.keys == ["tmdb:951"]
    assert found.conflicts == []


def test_a_contradiction_of_another_film_of_the_same_title_is_still_told(
    tautulli: Tautulli,
) -> None:
    for key, year in ((12, 1972), (13, 2002)):
        for number, started in ((1, LONG_AGO), (2, LATER)):
            tautulli.film(
                rating_key=key,
                title="Solaris",
                year=year,
                guid=TMDB.format(key * 10 + number),
                started=started,
            )
    assert len(tautulli.imported().conflicts) == 2

    found = tautulli.imported(corrections=HEAD + "movie,12,,,,951,,\n")

    assert [conflict.kept for conflict in found.conflicts] == ["132"]


def test_what_has_no_key_is_written_down_with_its_guid_and_can_be_filled_in(
    tautulli: Tautulli,
) -> None:
    tautulli.film(rating_key=12, title="With", year=1999)
    tautulli.film(rating_key="", title="Without", year=2001, guid=plex("movie", 9))
    file = io.StringIO()
    found = tautulli.imported().reading.identified
    write_csv(list_unresolved(found.works, found), file)

    lines: Sequence[Mapping[str, str]] = [*csv.DictReader(io.StringIO(file.getvalue()))]
    assert [(line["title"], line["rating_key"], line["guid"]) for line in lines] == [
        ("With", "12", ""),
        ("Without", "", plex("movie", 9)),
    ]
    filled = io.StringIO()
    writer = csv.DictWriter(filled, lines[0])
    writer.writeheader()
    writer.writerows({**line, "tmdb": str(60 + n)} for n, line in enumerate(lines))
    imported = tautulli.imported(corrections=filled.getvalue())
    assert sorted(imported.keys) == ["tmdb:60", "tmdb:61"]


@pytest.mark.parametrize(
    ("column", "meant"), [("tmbd", "tmdb"), ("idmb", "imdb"), ("ratingkey", "rating_key")]
)
def test_a_misspelt_column_is_refused_with_what_was_meant(column: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"type,title,year,trakt,{column}\nmovie,Heat,1995,1,949\n", "ids.csv")

    assert repr(column) in str(caught.value)
    assert meant in caught.value.hint


def test_a_column_of_ones_own_is_no_misspelt_one() -> None:
    text = "type,title,year,tmdb,notes,seen on\nmovie,Heat,1995,949,good,TV\n"
    assert parse(text, "ids.csv")[0].ids == {"tmdb": "949"}


_TABLE = "type,title,year,tmdb\nmovie,First Film,2001,603\nmovie,Zoë,1999,604\n"


@pytest.mark.parametrize(
    "content",
    [
        _TABLE.replace("\n", "\r").encode(),
        _TABLE.replace("\n", "\r").encode("utf-8-sig"),
        _TABLE.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
        b"\xfe\xff" + _TABLE.encode("utf-16-be"),
        b"\xff\xfe" + _TABLE.replace("\n", "\r").encode("utf-16-le"),
    ],
    ids=["CR only", "CR only with a mark", "UTF-16", "UTF-16 big endian", "UTF-16 and CR only"],
)
def test_corrections_are_read_however_a_spreadsheet_has_saved_them(
    cli: Cli, history: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "ids.csv").write_bytes(content)

    result = cli("db", history, "-n", "--ids", "ids.csv")

    assert result.code == 0, result.err
    keys = {one["title"]: one["key"] for one in map(json.loads, result.out.splitlines())}
    assert keys["First Film"] == "tmdb:603"
    assert "match nothing in the history: line 3" in result.err


# Who is meant.


@pytest.mark.parametrize("name", ["", "  "])
@pytest.mark.parametrize("option", ["--user", "--library"])
def test_a_name_that_is_empty_is_refused_and_does_not_mean_everybody(
    cli: Cli, history: Path, tmp_path: Path, option: str, name: str
) -> None:
    result = cli("db", history, "--to", "tracker", option, name)

    assert (result.code, result.out) == (2, "")
    assert f"{option} has an empty value" in result.err
    assert not (tmp_path / "crosswatch-tracker").exists()


def test_an_id_wins_over_the_name_of_somebody_else(cli: Cli, tmp_path: Path) -> None:
    with closing(create(tmp_path / "t.db")) as conn:
        add_user(conn, 7, "12", "12")
        add_user(conn, 12, "bob", "Bob")
        add_play(conn, title="Seven's", user_id=7, user="12")
        add_play(conn, title="Bob's", user_id=12, user="bob")

    result = cli("db", tmp_path / "t.db", "-n", "--user", "12")

    assert result.code == 0, result.err
    assert [json.loads(line)["title"] for line in result.out.splitlines()] == ["Bob's"]


# The thresholds of a backup.


@pytest.mark.parametrize("folder", ["backups", "other"])
def test_above_a_directory_called_backups_is_the_config_ini_of_the_backups(
    cli: Cli, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / "config.ini").write_text(
        "[Monitoring]\nmovie_watched_percent = 40\nwatched_marker = 0\n", encoding="utf-8"
    )
    backup = tmp_path / folder / "tautulli.db"
    with closing(create(backup)) as conn:
        add_play(conn, title="Half", duration=7_200_000, view_offset=3_600_000)

    inside = cli("db", "tautulli.db", "-n", cwd=tmp_path / folder)
    outside = cli("db", backup, "-n")

    assert (inside.code, outside.code) == (0, 0), inside.err + outside.err
    count = 1 if folder == "backups" else 0
    assert len(outside.out.splitlines()) == count
    assert len(inside.out.splitlines()) == count


# Many plays under one key.


def test_a_show_of_thousands_of_episodes_that_was_renamed_takes_no_time(
    tautulli: Tautulli,
) -> None:
    """Every one has a GUID of its own that says nothing. To compare each with each took minutes."""
    with tautulli.conn:
        for number in range(4_000):
            tautulli.episode(
                grandparent_title="Before" if number < 2_000 else "After",
                grandparent_rating_key=77,
                media_index=number + 1,
                guid=f"local://{number}",
                started=LONG_AGO + number * 3600,
            )
    assert len(tautulli.imported().records) == 4_000


def test_broadcasts_under_one_passing_key_are_not_one_show(tautulli: Tautulli) -> None:
    for number, title in enumerate(("The News", "A Game")):
        tautulli.episode(
            grandparent_title=title,
            grandparent_rating_key=900,
            live=1,
            media_index=number + 1,
            guid="tv.plex.xmltv://x",
            started=LATELY + number,
        )
    selection = Selection(media_types=frozenset({"live"}))
    assert len(tautulli.imported(selection).reading.identified.works) == 2
