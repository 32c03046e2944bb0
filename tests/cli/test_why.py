"""``why``: what became of a play, and from which evidence."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.model.rejections import Reason
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.history.schema import Value
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli
from tests.support.terminal import in_a_terminal

DAY = 86_400
MARCH = 1_551_916_800  # 2019-03-07T00:00:00Z
APRIL = MARCH + 25 * DAY
_TWO_HOURS = 7_200_000
_RULE = "It counts as watched from 85 % (1:42:00) on, by Tautulli's defaults."


_POSITIONS = re.compile(r".*it reached (\S+) of .* counts as watched from .*\((\S+)\) on")


def seconds(shown: str) -> int:
    hours, minutes, rest = map(int, shown.split(":"))
    return hours * 3600 + minutes * 60 + rest


class Asking:
    """A database to be filled, and ``why`` to be asked about it."""

    def __init__(self, inside: Inside, path: Path) -> None:
        self.inside = inside
        self.path = path
        with closing(create(path)) as conn:
            add_user(conn, 1, "alice", "Alice")
            add_user(conn, 2, "bob", "Bob")
            add_library(conn, 1, "Films", "movie")
            add_library(conn, 2, "Shows", "show")

    def play(self, **fields: Value) -> int:
        """Add a film's play. Return its row id."""
        with closing(sqlite3.connect(self.path)) as conn:
            return add_play(conn, **fields)

    def episode(self, show: str, number: int, started: int, key: int, **fields: Value) -> int:
        """Add an episode's play. Return its row id."""
        return self.play(
            media_type="episode",
            grandparent_title=show,
            grandparent_rating_key=key,
            parent_rating_key="",
            rating_key=key + number,
            media_index=number,
            title=f"Episode {number}",
            started=started,
            **fields,
        )

    def told(self, asked: str, *options: str | Path) -> dict[str, Any]:
        """Return what ``why --json`` says."""
        result = self.inside("why", asked, self.path, "--json", *options)
        assert result.code == 0, result.err
        found: dict[str, Any] = json.loads(result.out)
        return found

    def title(self, asked: str, *options: str | Path) -> dict[str, Any]:
        """Return the only film or show that it finds."""
        (found,) = self.told(asked, *options)["titles"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def asking(inside: Inside, tmp_path: Path) -> Asking:
    return Asking(inside, tmp_path / "tautulli.db")


def sentences(found: dict[str, Any]) -> str:
    return " ".join(found["sentences"])


# Of films and shows.


def test_a_renamed_show_is_one_and_why_it_is(asking: Asking) -> None:
    asking.episode("Haus des Geldes", 1, MARCH, 77)
    asking.play(title="Heat", rating_key=91, started=MARCH - DAY)
    asking.play(title="Heat", rating_key=91, started=APRIL + DAY)
    asking.episode("Money Heist", 2, APRIL, 77)

    for title in ("Money Heist", "haus des geldes"):
        found = asking.title(title)
        assert (found["type"], found["title"]) == ("show", "Money Heist")
        assert [one["title"] for one in found["titles"]] == ["Money Heist", "Haus des Geldes"]
        assert found["rating_keys"] == [77]
        assert (
            "Rating key 77 was called Haus des Geldes until 2019-03-07 and Money Heist from "
            "2019-04-01. It is one show: a higher rating key, 91, kept its meaning across that "
            "change." in found["sentences"]
        )
        assert [play["key"] for play in found["plays"]] == ["plex:77#s01e02", "plex:77#s01e01"]


def test_a_key_that_was_given_out_again_is_two(asking: Asking) -> None:
    imdb = "com.plexapp.agents.imdb://{}?lang=en"
    asking.play(title="Heat", rating_key=10, guid=imdb.format("tt0113277"), started=MARCH)
    asking.play(title="Up", rating_key=10, guid=imdb.format("tt1049413"), started=APRIL)
    asking.play(title="Heat", rating_key=11, guid=imdb.format("tt0113277"), started=APRIL + DAY)

    said = sentences(asking.title("Heat"))

    assert (
        "Rating key 10 was called Heat until 2019-03-07 and Up from 2019-04-01. They are two "
        "films: one of them has rating key 11 on the other side of that change." in said
    )
    assert "Rating key 10 is that of Up (2010) now." in said
    assert "Rating keys 10 and 11 have an external id in common. It is one film." in said


def test_two_namesakes_are_both_told_and_what_parts_them(asking: Asking) -> None:
    asking.play(title="Crash", year=1996, rating_key=10, guid="imdb://tt0115964")
    asking.play(title="Crash", year=2004, rating_key=20)

    old, new = sorted(asking.told("crash")["titles"], key=lambda one: one["year"])

    assert [one["value"] for one in old["ids"]] == ["tt0115964"]
    assert old["ids"][0]["sentence"].startswith("imdb tt0115964, from the GUIDs of its plays")
    assert new["ids"] == []
    assert (
        "Another film of this title is Crash (1996), rating key 10, imdb tt0115964. They are two: "
        "only the title connects them." in new["sentences"]
    )
    assert "It has no external id. Its GUID is Plex's own." in new["sentences"]


def test_namesakes_of_one_year_are_a_suggestion(asking: Asking) -> None:
    day = {"originally_available_at": "2022-02-24"}
    asking.play(title="Pinocchio", year=2022, rating_key=10, guid="imdb://tt1488589")
    asking.play(title="Pinocchio", year=2022, rating_key=20, **day)

    found = asking.told("Pinocchio")["titles"]

    assert [one["suggestions"] for one in found if not one["ids"]] == [
        [{"ids": {"imdb": "tt1488589"}, "reason": "same title and year as Pinocchio"}]
    ]


def test_contradicting_ids_are_told(asking: Asking) -> None:
    agent = "com.plexapp.agents.imdb://{}"
    old = asking.play(title="Heat", rating_key=1, guid=agent.format("tt0000001"), started=MARCH)
    new = asking.play(title="Heat", rating_key=1, guid=agent.format("tt0000002"), started=APRIL)

    (conflict,) = asking.title("Heat")["conflicts"]

    assert (conflict["kept"], conflict["dropped"]) == ("tt0000002", "tt0000001")
    assert conflict["plays"] == [new, old]


def test_corrections_are_named_as_the_origin(asking: Asking, tmp_path: Path) -> None:
    asking.play(title="Heat", rating_key=12)
    (tmp_path / "ids.csv").write_text("type,rating_key,tmdb\nmovie,12,949\n")

    found = asking.title("Heat", "--ids", "ids.csv")

    assert [one["sentence"] for one in found["ids"]] == ["tmdb 949, from --ids"]
    assert found["plays"][0]["key"] == "tmdb:949"


def test_a_deleted_film_is_no_longer_in_plex(asking: Asking, tmp_path: Path) -> None:
    asking.play(title="Gone", rating_key=12)
    with FakeTautulli(asking.path) as server, no_waiting():
        state = ("--state-dir", tmp_path / "state")
        result = asking.inside("why", "Gone", "api", *state, env=server.environment)

    assert result.code == 0, result.err
    assert "Plex no longer has an item with its rating key, 12." in result.out
    assert "Tautulli says so" in result.out


def test_that_plex_was_not_asked_is_said_once_and_not_of_titles_with_ids(asking: Asking) -> None:
    asking.play(title="Crash", year=1996, rating_key=10)
    asking.play(title="Crash", year=2004, rating_key=20)
    asking.play(title="Heat", rating_key=30, guid="imdb://tt0113277")

    result = asking.inside("why", "Crash", asking.path)

    assert result.out.count("It has no external id.") == 2
    assert "Plex was not asked" not in result.out
    assert result.err.count("Plex was not asked for ids (use --url and an API key).") == 1
    assert asking.told("Crash")["plex_asked"] is False
    assert "not asked" not in asking.inside("why", "Heat", asking.path).err


@pytest.mark.parametrize("command", [("why", "Crash"), ("unresolved",)], ids=lambda one: one[0])
def test_that_plex_gives_no_answer_is_said_once(
    asking: Asking, tmp_path: Path, command: tuple[str, ...]
) -> None:
    asking.play(title="Crash", year=1996, rating_key=10)
    asking.play(title="Crash", year=2004, rating_key=20)
    with FakeTautulli(asking.path) as server, no_waiting():
        server.plex_up = False
        state = ("--state-dir", tmp_path / "state")
        result = asking.inside(*command, "api", *state, env=server.environment)

    assert result.code == 0, result.err
    assert result.err.count("No ids from Plex for 2 films and shows: Plex is not reachable.") == 1
    assert result.out.count("Its GUID is Plex's own.") == 2
    assert "answer" not in result.out


# Of plays.


def only_play(found: dict[str, Any]) -> dict[str, Any]:
    (play,) = found["plays"]
    assert isinstance(play, dict)
    return play


def test_an_imported_play_and_one_that_is_merged_into_it(asking: Asking) -> None:
    old = asking.play(title="Heat", rating_key=12, started=MARCH, user_id=2)
    new = asking.play(title="Heat", rating_key=12, started=APRIL)

    found = asking.title("Heat")
    newer, older = found["plays"]

    assert (newer["row"], newer["outcome"], newer["user"]) == (new, "imported", "Alice")
    assert newer["time"] == "2019-04-01T02:00:00Z"
    assert newer["sentences"] == [
        f"Watched: it reached 1:54:00 of 2:00:00 (95 %). {_RULE}",
        "Imported as plex:12, whose newest play it is.",
    ]
    assert (older["row"], older["outcome"], older["user"]) == (old, "merged", "Bob")
    assert (older["key"], older["merged_into"]) == ("plex:12", new)
    assert older["sentences"][1] == (
        f"Merged into row {new} (2019-04-01 02:00 UTC), the newest play of plex:12."
    )
    assert found["counts"] == {
        "read": 2,
        "filtered": {},
        "rejected": {},
        "merged": 1,
        "emitted": 1,
    }


def test_a_play_without_a_user_is_imported_under_its_key(asking: Asking) -> None:
    row = asking.play(title="Heat", rating_key=12, year="unknown", user_id="")

    (play,) = asking.title("Heat")["plays"]

    assert (play["row"], play["outcome"], play["key"]) == (row, "imported", "plex:12")
    assert asking.title(str(row))["title"] == "Heat"


def test_a_partial_play_names_the_threshold_and_its_origin(asking: Asking, tmp_path: Path) -> None:
    asking.play(title="Heat", view_offset=_TWO_HOURS // 2)
    (tmp_path / "config.ini").write_text("[Monitoring]\nmovie_watched_percent = 70\n")

    rule = f"It counts as watched from 70 % (1:24:00) on, by {tmp_path / 'config.ini'}."

    play = only_play(asking.title("Heat"))

    assert (play["watched"], play["percent"], play["outcome"]) == (False, 50, "left out")
    assert play["reason"] == "partial"
    assert play["sentences"] == [
        f"Not watched: it reached 1:00:00 of 2:00:00 (50 %). {rule}",
        "Left out: it was not watched to the end. To import it, add --include-partial.",
    ]


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        (
            {"view_offset": 6_000_000, "marker_credits_first": 5_900_000},
            [],
            "It counts as watched from the first credits marker (1:38:20) on",
        ),
        ({"view_offset": 1}, ["--min-percent", "50"], "Not watched: it reached 0 %, and --min"),
        ({"view_offset": 1}, ["--min-percent", "50"], "not watched far enough for --min-percent."),
        (
            {"view_offset": 1},
            ["--include-partial"],
            "--include-partial imports it all the same. Imported as plex:",
        ),
        ({"duration": None, "view_offset": 9}, [], "Not watched: the length of the film is not"),
        ({"live": 1}, [], "Left out: it is live TV. To import it, add --media-type live."),
        ({}, ["--media-type", "episode", "--media-type", "live"], None),
        ({"user_id": 2}, ["--user", "alice"], "it is a play of Bob, and --user chooses others."),
        ({}, ["--library", "Shows"], "it is from a library that --library does not choose."),
        (
            {},
            ["--since", "2030-01-01"],
            "Left out: its time is outside of --since 2030-01-01 00:00 UTC.",
        ),
        ({"started": 9, "stopped": 10}, [], f"Rejected: {Reason.IMPOSSIBLE_TIME.sentence}."),
        ({"rating_key": None, "title": "", "guid": None}, [], f"{Reason.NO_TITLE.sentence}."),
        ({"media_type": "track"}, [], "it is music, which only playback events have (--events)."),
        ({"media_type": "clip"}, [], "its media type is clip, which is never imported."),
        (
            {"media_type": "episode", "media_index": "", "guid": None},
            [],
            f"Rejected: {Reason.NO_EPISODE_NUMBER.sentence}.",
        ),
        (
            {
                "media_type": "episode",
                "grandparent_rating_key": "",
                "guid": None,
                "grandparent_title": "",
            },
            [],
            f"Rejected: {Reason.NO_SHOW.sentence}.",
        ),
    ],
)
def test_a_row_says_what_became_of_it(
    asking: Asking, fields: dict[str, Value], options: Sequence[str], said: str | None
) -> None:
    asking.play(title="Another")
    row = asking.play(**{"title": "Heat", "year": 1995, **fields})

    told = asking.told(str(row), *options)

    plays = [*(play for one in told["titles"] for play in one["plays"]), *told["rows"]]
    assert [play["row"] for play in plays] == [row]
    if said is None:
        said = "--media-type does not ask for films."
    assert said in " ".join(plays[0]["sentences"])


def test_a_row_without_metadata_is_told(asking: Asking) -> None:
    row = asking.play(title="Heat")
    with closing(sqlite3.connect(asking.path)) as conn, conn:
        conn.execute("DELETE FROM session_history_metadata")

    told = asking.told(str(row))

    assert told["titles"] == []
    assert [(play["row"], play["reason"]) for play in told["rows"]] == [(row, "no_metadata")]


def test_the_numbers_of_another_row_are_told(asking: Asking) -> None:
    guid = "plex://episode/5d9c1131e264b7001fc00051"
    asking.episode("A Show", 1, MARCH, 77, guid=guid)
    row = asking.episode("A Show", 1, APRIL, 77, guid=guid)
    with closing(sqlite3.connect(asking.path)) as conn, conn:
        conn.execute(
            "UPDATE session_history_metadata SET media_index = '', parent_media_index = '' "
            "WHERE id = ?",
            (row,),
        )

    play = asking.title("A Show")["plays"][0]

    assert (play["row"], play["season"], play["episode"]) == (row, 1, 1)
    assert "Its row lacks the numbers." in " ".join(play["sentences"])


def test_every_play_is_accounted_for_as_the_import_does(inside: Inside, tmp_path: Path) -> None:
    """What is explained row by row is what the import counts, and its keys are those written."""
    path = tmp_path / "years.db"
    generate(path, plays=600)
    assert inside("db", path, "--to", "jsonl", "--out", "items.jsonl").code == 0
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    titles = {item.get("series_title") or item["title"] for item in items}

    keys: set[str] = set()
    compared = 0
    for title in sorted(titles)[::3]:
        result = inside("why", title, path, "--json")
        assert result.code == 0, result.err
        for found in json.loads(result.out)["titles"]:
            imported = {play["key"] for play in found["plays"] if play["outcome"] == "imported"}
            assert len(imported) == found["counts"]["emitted"]
            assert found["counts"]["read"] == len(found["plays"])
            keys |= imported
            for play in found["plays"]:
                if positions := _POSITIONS.match(play["sentences"][0]):
                    reached, needed = map(seconds, positions.groups())
                    # The positions are shown without their fractions.
                    assert play["watched"] is (reached >= needed) or reached == needed
                    compared += 1

    assert compared > 100
    assert len(keys) > 20
    assert keys <= {item["key"] for item in items}


# What is found.


def test_a_number_that_is_a_row_and_a_title_is_both(asking: Asking) -> None:
    asking.play(title="1917", id=5)
    asking.play(title="Heat", id=1917)

    result = asking.inside("why", "1917", asking.path)

    assert result.code == 0
    assert "1917 is both a row number and a title." in result.err
    assert "Heat (film, 2010)" in result.out
    assert "1917 (film, 2010)" in result.out


def test_a_part_of_a_title_finds_each_title_with_it(asking: Asking) -> None:
    for number in range(12):
        asking.play(title=f"Star Journey {number}", rating_key=100 + number)
    asking.play(title="Heat")

    result = asking.inside("why", "journey", asking.path)

    assert result.out.count("(film, 2010)") == 10
    assert "More titles contain this: Star Journey 1, Star Journey 0" in result.err
    assert len(asking.told("JOURNEY")["titles"]) == 12


def test_an_episode_is_found_by_its_title(asking: Asking) -> None:
    asking.episode("A Show", 1, MARCH, 77)
    asking.episode("A Show", 2, APRIL, 77)

    found = asking.title("episode 2")

    assert found["title"] == "A Show"
    assert [play["episode"] for play in found["plays"]] == [2]
    assert found["other_plays"] == 1


def test_of_many_plays_the_newest_are_shown_and_all_with_verbose(asking: Asking) -> None:
    for number in range(25):
        asking.episode("A Show", number, MARCH + number * DAY, 77)

    shown = asking.inside("why", "A Show", asking.path).out
    everything = asking.inside("why", "A Show", asking.path, "--verbose").out

    assert shown.count("Watched: ") == 20
    assert "… and 5 other plays." in shown
    assert "S01E24" in shown
    assert "S01E04" not in shown
    assert everything.count("Watched: ") == 25


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("99", "has no row 99, and no film or show of that title.\n  Its rows have numbers from 1"),
        ("Haet", "has no film or show called 'Haet'.\n  The nearest titles: Heat.\n"),
        ("0" * 30, "has no film or show called"),
    ],
)
def test_what_is_not_there_is_an_error_with_a_hint(asking: Asking, asked: str, said: str) -> None:
    asking.play(title="Heat")

    result = asking.inside("why", asked, asking.path)

    assert (result.code, result.out) == (5, "")
    assert said in result.err


def test_the_source_may_be_named_first(asking: Asking) -> None:
    asking.play(title="A Film")
    right = asking.inside("why", "film", asking.path)
    assert (right.code, asking.inside("why", asking.path, "film")) == (0, right)
    with FakeTautulli(asking.path) as server, no_waiting():
        env = server.environment
        right = asking.inside("why", "film", "api", env=env)
        assert (right.code, asking.inside("why", "api", "film", env=env).out) == (0, right.out)


def test_a_source_alone_is_no_title(asking: Asking) -> None:
    said = asking.inside("why", asking.path)
    assert (said.code, said.out) == (2, "")
    assert f"{asking.path} is a file, and no title is given." in said.err
    assert f'Name a title first: tautulli-import why "TITLE" {asking.path}' in said.err


def test_nothing_is_no_title(asking: Asking) -> None:
    result = asking.inside("why", " ", asking.path)
    assert (result.code, result.out) == (2, "")


def test_of_two_backups_the_rows_count_once(asking: Asking, tmp_path: Path) -> None:
    row = asking.play(title="Heat", rating_key=12, started=MARCH)
    (tmp_path / "old.db").write_bytes(asking.path.read_bytes())
    new = asking.play(title="Heat", rating_key=12, started=APRIL)

    found = asking.title("Heat", tmp_path / "old.db")

    assert [play["row"] for play in found["plays"]] == [new, row]


def test_nothing_is_written(asking: Asking, tmp_path: Path) -> None:
    asking.play(title="Heat")
    before = sorted(tmp_path.iterdir()), asking.path.read_bytes()
    asking.title("Heat")
    assert (sorted(tmp_path.iterdir()), asking.path.read_bytes()) == before


@pytest.mark.parametrize("columns", [80, 60])
def test_on_a_terminal_nothing_is_cut(
    asking: Asking, tmp_path: Path, environment: dict[str, str], columns: int
) -> None:
    guid = "com.plexapp.agents.imdb://tt0113277?lang=en"
    title = "The Assassination of Jesse James by the Coward Robert Ford and Others of His Time"
    asking.play(title=title, rating_key=1, guid=guid, started=MARCH)
    asking.play(title="Heat", rating_key=1, guid=guid, started=APRIL, view_offset=1)

    code, shown = in_a_terminal(
        *("why", "Heat", asking.path),
        cwd=tmp_path,
        environment=environment,
        COLUMNS=str(columns),
        NO_COLOR="1",
        TERM="dumb",
    )

    assert code == 0
    lines = [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= columns
    assert "…" not in shown
    words = " ".join(shown.split())
    assert " ".join(title.split()) in words
    assert _RULE in words
