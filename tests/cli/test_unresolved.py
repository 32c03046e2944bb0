"""``unresolved``: films and shows without external ids, and what a person can do about them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import add_library, add_play, create
from tests.support.history.schema import Value
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli
from tests.support.terminal import in_a_terminal

_THEN = 1_600_000_000
LONG = "The Assassination of Jesse James by the Coward Robert Ford and Others of His Time"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return films and shows that lack ids for different reasons."""
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_library(conn, 1, "Films", "movie")
        add_play(conn, title="Known", year=2001, guid="imdb://tt0000001", rating_key=1)
        add_play(
            conn,
            title="Known",
            year=2001,
            rating_key=2,
            originally_available_at="2001-01-05",
            started=_THEN,
        )
        add_play(
            conn,
            title="Known",
            year=2001,
            rating_key=2,
            originally_available_at="2001-01-05",
            started=_THEN + 86_400,
        )
        add_play(conn, title=LONG, rating_key=3, guid="local://3")
        add_play(conn, title="Without", rating_key=4, guid="")
        add_play(conn, title="Keyless", rating_key="", year=2005)
        add_play(conn, title="Partial", rating_key=5, view_offset=1)
        add_play(
            conn,
            media_type="episode",
            grandparent_title="In Another Order",
            grandparent_rating_key=70,
            guid="com.plexapp.agents.thetvdbdvdorder://78874/1/1?lang=en",
        )
    return path


def told(
    inside: Inside, *args: str | Path, env: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return what ``unresolved --json`` says, by title."""
    result = inside("unresolved", *args, "--json", env=env)
    assert result.code == 0, result.err
    return {one["title"]: one for one in json.loads(result.out)["titles"]}


def test_a_show_of_which_an_id_fits_only_the_first_season_is_listed(
    inside: Inside, tmp_path: Path
) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        for season in (1, 2, 2):
            add_play(
                conn,
                media_type="episode",
                grandparent_title="Seasons",
                grandparent_rating_key=7,
                parent_media_index=season,
                guid=f"com.plexapp.agents.hama://anidb-69/{season}/1?lang=en",
            )
    (one,) = told(inside, path).values()
    assert one["plays"] == 2
    assert one["why"].startswith("Its ids (anidb 69) do not fit all of its episodes")
    assert "1 of these has ids that do not fit all of its episodes." in inside("check", path).out
    assert "1 have no external id and keep" in inside("db", path, "--dry-run").err


def test_each_title_without_an_id_says_why(inside: Inside, database: Path) -> None:
    found = told(inside, database)

    assert {title: one["why"] for title, one in found.items()} == {
        "Keyless": "Its GUID is Plex's own, and without a rating key Plex cannot be asked.",
        "Known": "Its GUID is Plex's own.",
        LONG: "Plex had not matched it when it was played.",
        "Without": "Its plays have no GUID.",
        "In Another Order": "Its episodes are counted in another order than the sites' (such as "
        "DVD order), so no id of a site fits them.",
    }
    known = found["Known"]
    assert (known["type"], known["rating_key"], known["year"]) == ("movie", 2, 2001)
    assert (known["plays"], known["first_play"], known["last_play"]) == (
        *(2, "2020-09-13T14:26:40Z"),
        "2020-09-14T14:26:40Z",
    )
    assert known["guid"].startswith("plex://movie/")
    assert known["suggestions"] == [
        {"ids": {"imdb": "tt0000001"}, "reason": "same title and year as Known"}
    ]


@pytest.mark.parametrize(
    ("watched_at", "time"), [("stopped", "13:26:40Z"), ("started", "12:26:40Z")]
)
def test_the_dates_are_those_of_the_plays_that_are_counted(
    inside: Inside, tmp_path: Path, watched_at: str, time: str
) -> None:
    path = tmp_path / "partial.db"
    show: dict[str, Value] = {"media_type": "episode", "grandparent_title": "Show"}
    show["grandparent_rating_key"] = 9
    with closing(create(path)) as conn:
        for day in range(6):
            seen: dict[str, Value] = {"started": _THEN + day * 86_400, "duration": 3_600_000}
            seen["view_offset"] = 3_600_000 if day in (2, 4) else 1
            add_play(conn, title="Film", rating_key=1, **seen)
            add_play(conn, title=f"E{day}", media_index=day, rating_key=10 + day, **show, **seen)

    found = told(inside, path, env={"TAUTULLI_IMPORT_WATCHED_AT": watched_at})

    for one in (found["Film"], found["Show"]):
        told_of = one["plays"], one["first_play"], one["last_play"]
        assert told_of == (2, f"2020-09-15T{time}", f"2020-09-17T{time}")


def test_what_plex_said_is_told(inside: Inside, database: Path, tmp_path: Path) -> None:
    with FakeTautulli(database) as server, no_waiting():
        server.plex[3] = {
            "media_type": "movie",
            "title": "Something Else",
            "rating_key": "3",
            "guid": "plex://movie/1",
        }
        server.plex[4] = {
            "media_type": "movie",
            "title": "Without",
            "rating_key": "4",
            "year": "2010",
            "guid": "local://4",
        }
        result = inside(
            "unresolved", "api", "--json", "--state-dir", tmp_path / "state", env=server.environment
        )
    assert result.code == 0, result.err
    found = {one["title"]: one["why"] for one in json.loads(result.out)["titles"]}

    assert found["Known"].endswith("and Plex no longer has an item with its rating key, 2.")
    assert found[LONG].endswith("and Plex now has Something Else under its rating key, 3.")
    assert found["Without"].endswith("and Plex has no id of another site for it either.")


def test_a_lookup_of_another_day_is_a_suggestion(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "dune.db"
    with closing(create(path)) as conn:
        add_play(conn, title="Dune", year=2021, rating_key=10)
        answer = {"title": "Dune", "release_date": "1984-12-14"}
        with conn:
            conn.execute(
                "INSERT INTO themoviedb_lookup"
                " (rating_key, themoviedb_id, themoviedb_url, imdb_id, themoviedb_json)"
                " VALUES (10, 841, 'https://www.themoviedb.org/movie/841', 'tt0087182', ?)",
                (json.dumps(answer),),
            )

    (dune,) = told(inside, path).values()

    assert dune["why"].endswith("has its title, but with another release day.")
    assert dune["suggestions"] == [
        {"ids": {"tmdb": "841", "imdb": "tt0087182"}, "reason": "lookup of another release day"}
    ]


def test_the_csv_can_be_given_to_ids_as_it_is_and_filled_in(
    inside: Inside, database: Path, tmp_path: Path
) -> None:
    assert inside("unresolved", database, "--csv", "ids.csv").code == 0
    with (tmp_path / "ids.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:8] == [
        "type",
        "rating_key",
        "guid",
        "title",
        "year",
        "tmdb",
        "imdb",
        "tvdb",
    ]
    known = next(row for row in rows if row["title"] == "Known")
    assert (known["imdb"], known["suggested_imdb"]) == ("", "tt0000001")
    assert known["suggested_because"] == "same title and year as Known"

    # A suggestion alone settles nothing.
    assert told(inside, database, "--ids", "ids.csv").keys() == told(inside, database).keys()
    known["imdb"] = known["suggested_imdb"]
    with (tmp_path / "ids.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    left = told(inside, database, "--ids", "ids.csv")

    assert "Known" not in left
    assert len(left) == len(rows) - 1


def test_a_suggested_id_has_a_column_to_be_copied_into(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "anime.db"
    with closing(create(path)) as conn:
        for key, guid in ((1, "com.plexapp.agents.hama://anidb-23/1/1"), (2, None)):
            add_play(
                conn,
                media_type="episode",
                grandparent_title="Cowboy Bebop",
                grandparent_rating_key=key,
                guid=guid,
                started=_THEN + key,
                originally_available_at="",
                year="",
            )

    result = inside("unresolved", path, "--csv", "-")

    (row,) = csv.DictReader(StringIO(result.out))
    assert (row["anidb"], row["suggested_anidb"]) == ("", "23")


def test_two_suggestions_leave_the_choice_to_a_person(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "twins.db"
    with closing(create(path)) as conn:
        for key, guid in ((1, "imdb://tt0000001"), (2, "imdb://tt0000002"), (3, None)):
            day = f"2001-0{key}-01"
            add_play(
                conn,
                title="Twins",
                year=2001,
                rating_key=key,
                guid=guid,
                originally_available_at=day,
            )

    (row,) = csv.DictReader(StringIO(inside("unresolved", path, "--csv", "-").out))

    assert sorted(row["suggested_imdb"].split(" or ")) == ["tt0000001", "tt0000002"]


def test_a_list_that_may_be_filled_in_is_not_replaced(
    inside: Inside, database: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "ids.csv"
    mine.write_text("type,rating_key,tmdb\nmovie,12,603\n")

    result = inside("unresolved", database, "--csv", "ids.csv")

    assert (result.code, result.out) == (8, "")
    assert "--csv" in result.err
    assert mine.read_text() == "type,rating_key,tmdb\nmovie,12,603\n"


def test_the_other_name_writes_the_same(inside: Inside, database: Path, tmp_path: Path) -> None:
    assert inside("unresolved", database, "--csv", "one.csv").code == 0
    assert inside("check", database, "--missing-ids", "other.csv").code == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_json_and_the_csv_do_not_share_standard_output(inside: Inside, database: Path) -> None:
    result = inside("unresolved", database, "--json", "--csv", "-")
    assert result.code == 2
    assert json.loads(result.out).keys() == {"error"}


def test_a_history_where_everything_has_ids_says_so(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "known.db"
    with closing(create(path)) as conn:
        add_play(conn, title="Known", guid="imdb://tt0000001")

    result = inside("unresolved", path)

    assert (result.code, result.out) == (0, "")
    assert "Every film and show that would be imported has an external id." in result.err


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_on_a_terminal_it_is_a_table_and_nothing_is_cut(
    database: Path, tmp_path: Path, environment: dict[str, str], columns: int
) -> None:
    code, shown = in_a_terminal(
        *("unresolved", database),
        cwd=tmp_path,
        environment=environment,
        COLUMNS=str(columns),
        NO_COLOR="1",
        TERM="dumb",
    )

    assert code == 0
    lines = [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= columns
    lines = list(filter(None, lines))
    assert "…" not in shown
    if columns > 40:
        assert lines[0].split() == ["Title", "Year", "Plays", "First", "play", "Last", "play"]
        row = next(line for line in lines if line.startswith("Known"))
        assert row.split() == ["Known", "2001", "2", "2020-09-13", "2020-09-14"]
    words = " ".join(shown.split())
    assert "Suggestion: imdb tt0000001 (same title and year as Known)." in words
    assert columns == 40 or all(word in words for word in LONG.split())
