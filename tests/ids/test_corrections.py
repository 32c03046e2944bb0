"""``--ids FILE``: what may stand in it, and what it says when something else does.

What a correction does to the items is told in ``test_ids``.
"""

from __future__ import annotations

import csv
import io
import re
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from tautulli_import.errors import ConfigurationError
from tautulli_import.ids.corrections import (
    _FORMULA,
    _NO_FORMULA,
    COLUMNS,
    Correction,
    parse,
)
from tautulli_import.ids.unresolved import list_unresolved, write_csv
from tautulli_import.items.pipeline import read
from tautulli_import.model.items import EXTERNAL
from tautulli_import.model.selection import Selection
from tautulli_import.sources.database.source import Source
from tests.support.history import add_play, create

HEAD = "type,rating_key,guid,title,year,tmdb,imdb,tvdb\n"


def one(text: str) -> Correction:
    """Return the only correction in a file."""
    (found,) = parse(text, "ids.csv")
    return found


def complaint(text: str) -> ConfigurationError:
    """Return what is said about a file that is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "ids.csv")
    assert caught.value.hint
    return caught.value


# What may stand there.


def test_a_film_is_named_by_its_rating_key() -> None:
    assert one(HEAD + "movie,12,,,,603,tt0133093,\n") == Correction(
        2, "movie", 12, "", "", None, {"tmdb": "603", "imdb": "tt0133093"}
    )


def test_a_show_is_named_by_its_title() -> None:
    assert one(HEAD + "show,,,The Office,,,,73244\n") == Correction(
        2, "show", None, "", "The Office", None, {"tvdb": "73244"}
    )


def test_a_guid_is_compared_without_its_query() -> None:
    line = "movie,,com.plexapp.agents.imdb://tt1?lang=en,,,603,,\n"
    assert one(HEAD + line).guid == "com.plexapp.agents.imdb://tt1"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_all_serve(delimiter: str) -> None:
    text = "type,title,year,tmdb\nmovie,Heat,1995,949\n".replace(",", delimiter)
    assert one(text).ids == {"tmdb": "949"}


def test_a_title_with_a_comma_stands_in_quotes() -> None:
    assert one('type,title,year,tmdb\nmovie,"Good, the Bad",1966,429\n').title == "Good, the Bad"


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_file_from_a_spreadsheet_is_read(end: str) -> None:
    text = f"\ufeffType, Title ,YEAR,Notes,TMDB{end or chr(10)}Movie, Heat ,1995,seen it, 949 {end}"
    found = one(text)
    assert (found.kind, found.title, found.year, found.ids) == (
        "movie",
        "Heat",
        1995,
        {"tmdb": "949"},
    )


def test_a_line_without_ids_does_nothing_yet() -> None:
    assert parse(HEAD + "movie,12,,,,,,\n,,,,,,,\n\nshow,13,,,,,,\n", "ids.csv") == []


def test_a_line_is_counted_as_an_editor_counts_it() -> None:
    text = HEAD + '\nmovie,12,,"two\nlines",,603,,\nmovie,13,,,,604,,\n'
    assert parse(text, "ids.csv")[-1].line == 5


def test_the_same_line_twice_is_no_contradiction() -> None:
    assert len(parse(HEAD + "movie,12,,,,603,,\n" * 2, "ids.csv")) == 2


@pytest.mark.parametrize("namespace", EXTERNAL)
def test_every_namespace_can_be_given(namespace: str) -> None:
    value = "tt0133093" if namespace == "imdb" else "603"
    assert one(f"type,rating_key,{namespace}\nmovie,12,{value}\n").ids == {namespace: value}


def test_upper_case_is_no_mistake() -> None:
    assert one("type,rating_key,imdb\nMOVIE,12,TT0133093\n").ids == {"imdb": "tt0133093"}


# What may not.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the column 'type' is missing"),
        ("rating_key,tmdb\n12,603\n", "line 1: the column 'type' is missing"),
        ("type,tmdb\nmovie,603\n", "line 1: no column says which film or show a line means"),
        ("type,title,year\nmovie,Heat,1995\n", "line 1: no column has ids"),
        ("type,title,tmdb,tmdb\nmovie,Heat,1,2\n", "line 1: a column appears twice"),
        ("type,title,tmdb,Tmdb\nmovie,Heat,1,2\n", "line 1: a column appears twice"),
        (HEAD + "movie,12,,,,603,,,\n", "line 2: there are more values than columns"),
        (HEAD + "movie,,,Good, the Bad,1966,429,,\n", "line 2: there are more values"),
        (HEAD + "movie,12,,,,tt0133093,,\n", "line 2: 'tt0133093' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,0,,\n", "line 2: '0' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,none,,\n", "line 2: 'none' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,-603,,\n", "line 2: '-603' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,6 03,,\n", "line 2: '6 03' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,٣,,\n", "line 2: '٣' is not a valid tmdb id"),
        (HEAD + "movie,12,,,,,0133093,\n", "line 2: '0133093' is not a valid imdb id"),
        (HEAD + "movie,12,,,,,tt٣,\n", "line 2: 'tt٣' is not a valid imdb id"),
        (
            HEAD + "movie,12,,,,https://www.themoviedb.org/movie/603,,\n",
            "line 2: 'https://www.themoviedb.org/movie/603' is not a valid tmdb id",
        ),
        (HEAD + "episode,12,,,,603,,\n", "line 2: type must be movie or show, not 'episode'"),
        (HEAD + ",12,,,,603,,\n", "line 2: type must be movie or show, not ''"),
        (HEAD + "movie,twelve,,,,603,,\n", "line 2: 'twelve' is not a valid rating_key"),
        (HEAD + "movie,-12,,,,603,,\n", "line 2: '-12' is not a valid rating_key"),
        (HEAD + "movie,,,Heat,MCMXCV,949,,\n", "line 2: 'MCMXCV' is not a valid year"),
        (HEAD + "movie,,,,,603,,\n", "line 2: the line does not say which film or show it means"),
        (
            HEAD + "movie,,,,1999,603,,\n",
            "line 2: the line does not say which film or show it means",
        ),
        (HEAD + "movie,,,Heat,,949,,\n", "line 2: several films can have this title"),
        (
            HEAD + "movie,12,,,,603,,\nshow,1,,,,5,,\nmovie,12,,,,604,,\n",
            "line 4: gives other ids than line 2",
        ),
        (
            HEAD + "show,,,the  office,,,,1\nshow,,,The Office,,,,2\n",
            "line 3: gives other ids than line 2",
        ),
        (HEAD + 'movie,12,,"Heat,1995,949,,\n', "line 2: unexpected end of data"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_to_do(text: str, message: str) -> None:
    assert f"ids.csv, {message}" in str(complaint(text))


def test_one_wrong_line_and_nothing_of_the_file_is_used() -> None:
    assert "line 3" in str(complaint(HEAD + "movie,12,,,,603,,\nmovie,13,,,,x,,\n"))


def test_a_title_that_is_data_cannot_break_the_message() -> None:
    error = complaint(HEAD + "movie,\x1b[31m,,,,603,,\n")
    assert "\x1b" not in str(error)


def test_a_number_too_long_for_a_number_is_a_mistake_like_any_other() -> None:
    assert "ids.csv, line 2: " in str(complaint(HEAD + "movie," + "9" * 5000 + ",,,,603,,\n"))


@pytest.mark.parametrize("before", ["", "\n", "\n\n\n", ",,,,,,,\n", "movie,12,,,,603,,\n\n"])
@pytest.mark.parametrize("wrong", ["movie,13,,,,x,,\n", 'movie,13,,"a"b,,603,,\n'])
def test_the_line_that_is_named_is_the_one_that_is_wrong(before: str, wrong: str) -> None:
    line = 2 + before.count("\n")
    assert str(complaint(HEAD + before + wrong)).startswith(f"ids.csv, line {line}: ")


@settings(deadline=None)
@given(st.text(), st.booleans())
@example("movie,\x00,,,,603,,", True)
@example('movie,12,,"a"b,,603,,', True)
def test_any_text_is_corrections_or_a_clear_error(text: str, headed: bool) -> None:
    try:
        found = parse(HEAD + text if headed else text, "ids.csv")
    except ConfigurationError as error:
        told = str(error)
        assert told.startswith("ids.csv, line ")
    else:
        assert all(correction.ids for correction in found)


# The list of what is missing.


@pytest.mark.parametrize("title", ["Heat", 'Say "Harbour", Twice', "Two\nLines", " =1+1; x\t"])
def test_the_list_of_what_is_missing_can_be_filled_in_and_given_back(
    tmp_path: Path, title: str
) -> None:
    path = tmp_path / "tautulli.db"
    conn = create(path)
    add_play(conn, rating_key=12, title=title, year=1995)
    add_play(conn, rating_key=13, guid="com.plexapp.agents.imdb://tt0133093", title="Known")
    add_play(conn, media_type="episode", grandparent_rating_key=77, grandparent_title="A Show")
    conn.close()
    source = Source([path])
    try:
        found = read(source, Selection()).identified
        titles = list_unresolved(found.works, found)
        assert len(titles) == 2
        file = io.StringIO()
        write_csv(titles, file)
        listed = file.getvalue()
        assert listed.startswith(",".join(COLUMNS) + ",")
        assert parse(listed, "ids.csv") == []
        filled = listed.replace(",1995,,,", ",1995,949,,").replace("A Show,,,,", "A Show,,,,81189")
        corrections = parse(filled, "ids.csv")
        again = read(source, Selection(), corrections=corrections).identified
    finally:
        source.close()
    assert again.unused == []
    assert list_unresolved(again.works, again) == []


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "'=x", "''-x", "a;=x", "a\t+x", "a;'=x", "Re;-)"]


@pytest.mark.parametrize("title", FORMULAS)
def test_a_spreadsheet_runs_no_title_as_a_formula(tmp_path: Path, title: str) -> None:
    path = tmp_path / "tautulli.db"
    with closing(create(path)) as conn:
        add_play(conn, title=title, year=2001, guid=f"{title}/1", rating_key=None)
    file = io.StringIO()
    with closing(Source([path])) as source:
        found = read(source, Selection()).identified
        write_csv(list_unresolved(found.works, found), file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    for cell in (row["title"], row["guid"]):
        assert not [part for part in re.split("[;\t]", cell) if part[:1] in set("=+-@\t\r")]

    back = one(file.getvalue().replace(",2001,,,", ",2001,603,,"))
    assert (back.title, back.guid) == (title, f"{title}/1")


@given(st.text("='+-@;\ta", max_size=8))
def test_reading_back_undoes_what_was_done_against_formulas(text: str) -> None:
    assert _NO_FORMULA.sub("", _FORMULA.sub("'", text)) == text
