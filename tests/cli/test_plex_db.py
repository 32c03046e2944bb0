"""``--plex-db``: ids out of a Plex library database, of titles that Plex may no longer have."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.items.test_known_truth import in_utc
from tests.support.history import Truth, Work, generate
from tests.support.inside import Inside
from tests.support.over_http import no_waiting
from tests.support.plex_library import Library, library_of
from tests.support.tautulli import FakeTautulli
from tests.support.untold import Untold, guid

IDS = ("imdb://tt0000001", "tmdb://11", "tvdb://111")
KNOWN = {"imdb": "tt0000001", "tmdb": "11", "tvdb": "111"}
OTHERS = ("imdb://tt0000002", "tmdb://22")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with closing(Library(tmp_path / "plex.db")) as made:
        yield made


@pytest.fixture
def untold(tmp_path: Path, inside: Inside, library: Library) -> Untold:
    return Untold(tmp_path, inside, ("--plex-db", library.path))


def test_a_film_has_the_ids_under_its_guid_whatever_its_key_and_title(
    untold: Untold, library: Library
) -> None:
    untold.film("Film", 1)
    library.film("Der Film", guid("movie", 1), *IDS, key=77)
    library.film("Film", guid("movie", 2), *OTHERS)
    library.conn.commit()

    assert untold.imported() == {"Film": KNOWN}
    report = untold.report()
    assert [set(one["ids"].values()) for one in report["ids"]] == [{"plex_db"}]
    assert report["items"]["ids_from"]["plex_db"] == 1
    assert "The Plex database gave ids to 1 film or show." in report["said"]


def test_a_second_import_says_one_line(untold: Untold, library: Library) -> None:
    untold.film("Film", 1)
    library.film("Film", guid("movie", 1), *IDS)
    library.conn.commit()
    untold.report()

    said = untold.report()["said"]
    assert said.count("\n") == 1
    assert said.startswith("Nothing new")


def test_an_episode_has_the_ids_of_its_show_and_not_its_own(
    untold: Untold, library: Library
) -> None:
    untold.episode("Show", 1, 5)
    untold.episode("Show", 2, 6)
    library.show("Die Serie", guid("show", 9), *IDS, episodes=[guid("episode", 6)])
    library.conn.commit()

    assert untold.imported() == {"Show": KNOWN}


def test_a_rating_key_counts_where_the_title_fits(untold: Untold, library: Library) -> None:
    untold.film("The Film", rating_key=5)
    untold.film("Another", rating_key=6)
    untold.film("Remade", rating_key=7)
    untold.film("Matched Anew", 8, rating_key=8)
    untold.episode("Show", 1, 99, grandparent_rating_key=9)
    untold.episode("Show (2)", 1, 98, grandparent_rating_key=10)
    library.film("THE  FILM", "", *IDS, key=5)
    library.film("Something Else", "", *OTHERS, key=6)
    library.film("Remade", "", *OTHERS, key=7, year=1950)
    library.film("Matched Anew", guid("movie", 81), *OTHERS, key=8)
    library.show("Show", guid("show", 3), *IDS, key=9)
    library.film("Show (2)", guid("movie", 4), *OTHERS, key=10)
    library.conn.commit()

    assert untold.imported() == {
        "The Film": KNOWN,
        "Another": {},
        "Remade": {},
        "Matched Anew": {},
        "Show": KNOWN,
        "Show (2)": {},
    }


def test_items_that_contradict_each_other_give_no_ids(untold: Untold, library: Library) -> None:
    untold.film("Film", 1)
    library.film("Film", guid("movie", 1), *IDS)
    library.film("Film", guid("movie", 1), *OTHERS)
    for episode, number in enumerate((11, 12, 13), 1):
        untold.episode("Two Shows", episode, number, grandparent_rating_key=30)
        untold.episode("One By Its Key", episode, number + 10, grandparent_rating_key=31)
        untold.episode("Nothing In Common", episode, number + 20, grandparent_rating_key=32)
    library.show("Two", guid("show", 1), *IDS, episodes=[guid("episode", 11)])
    library.show("Shows", guid("show", 2), *OTHERS, episodes=[guid("episode", 12)])
    library.show("Some", guid("show", 3), *OTHERS, episodes=[guid("episode", 21)])
    own = [guid("episode", 22)]
    library.show("One By Its Key", guid("show", 4), *IDS, episodes=own, key=31)
    library.show("Nothing", guid("show", 5), "tvdb://1", episodes=[guid("episode", 31)])
    library.show("In Common", guid("show", 6), "tmdb://2", episodes=[guid("episode", 32)])
    library.conn.commit()

    assert untold.imported() == {
        "Film": {},
        "Two Shows": {},
        "Nothing In Common": {},
        "One By Its Key": KNOWN,
    }


def test_a_film_in_two_libraries_has_the_ids_of_both(untold: Untold, library: Library) -> None:
    untold.film("Film", 1)
    library.film("Film", guid("movie", 1), "imdb://tt0000001")
    library.film("Film", guid("movie", 1), "tmdb://11", "tvdb://111", deleted_at=1_600_000_000)
    library.conn.commit()

    assert untold.imported() == {"Film": KNOWN}


def test_what_the_history_tells_is_not_overruled(untold: Untold, library: Library) -> None:
    own = "com.plexapp.agents.imdb://tt0000009?lang=en"
    untold.film("Film", rating_key=5, guid=own)
    untold.episode("DVDs", 1, 0, guid="com.plexapp.agents.thetvdbdvdorder://78/1/1?lang=en")
    library.film("Film", guid("movie", 1), *IDS, key=5)
    library.show("DVDs", guid("show", 2), *IDS, key=None)
    library.conn.commit()

    assert untold.imported() == {"Film": {"imdb": "tt0000009"}, "DVDs": {}}


def test_a_key_that_the_library_knows_joins_what_the_history_has_under_an_id(
    untold: Untold, library: Library
) -> None:
    untold.film("Film", rating_key=5, guid="com.plexapp.agents.imdb://tt0000001?lang=en")
    untold.film("Film", 1, rating_key=6, originally_available_at="")
    library.film("Film", guid("movie", 1), *IDS, key=6)
    library.conn.commit()

    assert untold.imported() == {"Film": KNOWN}


def test_a_library_of_the_old_agents_has_ids_in_its_guids(untold: Untold, library: Library) -> None:
    untold.film("Film", rating_key=5)
    untold.episode("Show", 1, 1, grandparent_rating_key=6)
    library.film("Film", "com.plexapp.agents.imdb://tt0000001?lang=en", key=5)
    library.show("Show", "com.plexapp.agents.thetvdb://111?lang=en", key=6)
    library.conn.executescript(
        "DROP TABLE taggings; DROP TABLE tags; ALTER TABLE metadata_items DROP COLUMN year;"
        "ALTER TABLE metadata_items DROP COLUMN original_title;"
    )
    library.conn.commit()

    assert untold.imported() == {"Film": {"imdb": "tt0000001"}, "Show": {"tvdb": "111"}}


# The file.


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and not path.name.endswith("-shm")
    }


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "left behind"])
def test_the_newest_rows_of_a_wal_are_read_and_nothing_is_written(
    untold: Untold, tmp_path: Path, *, is_live: bool
) -> None:
    untold.film("Film", 1)
    folder = tmp_path / "plex"
    folder.mkdir()
    with closing(Library(folder / "first.db", wal=True)) as library:
        library.film("Film", guid("movie", 1), *IDS)
        library.conn.commit()
        path = library.path
        if not is_live:
            path = folder / "left.db"
            for side in ("", "-wal"):
                shutil.copy(f"{library.path}{side}", f"{path}{side}")
        before = hashes(folder)
        assert f"{path.name}-wal" in before

        assert untold.imported("--plex-db", path) == {"Film": KNOWN}
        assert hashes(folder) == before


def test_a_wal_in_a_directory_that_cannot_be_written_is_read(
    untold: Untold, tmp_path: Path, bound: Callable[..., tuple[int, str, str]]
) -> None:
    untold.film("Film", 1)
    folder = tmp_path / "plex"
    folder.mkdir()
    with closing(Library(folder / "live.db", wal=True)) as library:
        library.film("Film", guid("movie", 1), *IDS)
        library.conn.commit()
        folder.chmod(0o555)
        try:
            code, out, err = bound("db", untold.path, "-n", "--plex-db", library.path)
        finally:
            folder.chmod(0o755)
    assert code == 0, err
    assert '"key":"tmdb:11"' in out


@pytest.mark.parametrize("table", ["tags", "taggings", "metadata_items"])
def test_damage_that_reading_does_not_show_ends_the_import(
    untold: Untold, tmp_path: Path, table: str
) -> None:
    untold.film("Film", 1)
    path = tmp_path / "damaged.db"
    with closing(Library(path)) as library:
        for number in range(1, 600):
            library.film(f"Film {number}", guid("movie", number), *IDS)
    assert untold.imported("--plex-db", path) == {"Film": KNOWN}
    with closing(sqlite3.connect(path)) as conn:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        pages = [page for (page,) in conn.execute(query, (table,))]
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    one, other = ((page - 1) * size for page in pages[2:4])
    content[one : one + size] = content[other : other + size]
    path.write_bytes(content)

    done = untold.run("db", untold.path, "--to", "tracker", "--plex-db", path)
    assert done.code == 7, done.err
    assert "damaged.db is damaged" in done.err
    assert "dated backups" in done.err
    assert not (tmp_path / "crosswatch-tracker").exists()


def test_another_file_is_refused_before_anything_is_read(untold: Untold, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a text that is longer than a header", encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "other.db")) as conn:
        conn.execute("CREATE TABLE metadata_items (id INTEGER PRIMARY KEY, name TEXT)")
    with closing(sqlite3.connect(tmp_path / "view.db")) as conn:
        conn.execute("CREATE VIEW metadata_items AS SELECT 1 AS id")
    os.mkfifo(tmp_path / "pipe.db")
    for name, code, said in (
        ("pipe.db", 7, "Use com.plexapp.plugins.library.db"),
        ("tautulli.db", 7, "is a Tautulli database, not one of Plex"),
        ("other.db", 7, "is not a Plex library database"),
        ("view.db", 7, "has a view in place of the table metadata_items"),
        ("notes.txt", 7, "is not a SQLite database"),
        ("gone.db", 5, "There is no file"),
        (".", 7, "is a directory"),
    ):
        for command, options in (("db", ["--dry-run"]), ("check", [])):
            done = untold.run(command, untold.path, *options, "--plex-db", tmp_path / name)
            assert (done.code, done.out) == (code, ""), (name, done.err)
            assert said in done.err
            assert ("com.plexapp.plugins.library.db" in done.err) is (name != ".")


def test_an_output_does_not_replace_it(untold: Untold, library: Library) -> None:
    untold.film("Film", 1)
    for place in (library.path, Path(f"{library.path}-wal")):
        done = untold.run("db", untold.path, "-n", *untold.options, "--report", place)
        assert done.code == 2
        assert "would overwrite" in done.err


# The other commands, and the other door.


def test_both_doors_read_it_before_anybody_is_asked(
    untold: Untold, library: Library, tmp_path: Path
) -> None:
    untold.film("Film", 1, rating_key=5)
    untold.film("Unknown", 2, rating_key=6)
    library.film("Film", guid("movie", 1), *IDS)
    library.conn.commit()
    items = untold.run("db", untold.path, "-n", "--all-users", *untold.options).out
    with FakeTautulli(untold.path) as server, no_waiting():
        args = ("--dry-run", "--all-users", "--state-dir", tmp_path / "state", *untold.options)
        done = untold.inside("api", *args, env=server.environment)
        asked = [one.params["rating_key"] for one in server.requests if one.cmd == "get_metadata"]

    assert done.code == 0, done.err
    assert done.out == items
    assert asked == ["6"]


def test_the_other_commands_tell_of_it(untold: Untold, library: Library) -> None:
    untold.film("Film", 1, rating_key=5)
    untold.film("Unknown", 2, rating_key=6)
    untold.film("Without", rating_key=7)
    library.film("Film", guid("movie", 1), *IDS)
    library.conn.commit()

    plain = untold.run("unresolved", untold.path).err
    assert "3 of these have a plex:// GUID or a rating key" in plain
    assert "--plex-db FILE" in plain
    assert "2 of these have a plex:// GUID, so" in plain
    assert "--plex-cloud --plex-token-file FILE" in plain
    with_library = untold.run("unresolved", untold.path, *untold.options)
    assert "--plex-db FILE" not in with_library.err
    assert "1 of these has a plex:// GUID, so" in with_library.err
    assert with_library.out.count("The Plex database gave no ids.") == 2
    why = untold.run("why", "Film", untold.path, *untold.options).out
    assert "tmdb 11, from the Plex library database" in why
    check = untold.run("check", untold.path, "--verbose", *untold.options)
    assert "the Plex library database 1" in check.out
    assert "The Plex database gave ids to 1 film or show." in check.err
    json_of_check = json.loads(untold.run("check", untold.path, "--json", *untold.options).out)
    assert json_of_check["items"]["ids_from"]["plex_db"] == 1


def test_of_a_whole_history_only_what_nobody_knows_has_no_ids(
    inside: Inside, tmp_path: Path
) -> None:
    path, report = tmp_path / "tautulli.db", tmp_path / "report.json"
    truth = generate(path, plays=6_000, seed=9)
    library = library_of(truth, tmp_path / "plex.db")
    command = ("db", path, "--dry-run", "--all-users", "--report", report)
    assert inside(*command).code == 0
    before = without_ids(report, truth)
    done = inside(*command, "--plex-db", library)
    assert done.code == 0
    after = without_ids(report, truth)

    # AniDB has an entry for each season, and its id of the show is that of the first.
    assert [work for work in after if "anidb" not in work.ids or (work.season or 0) < 2] == []
    assert len(after) < len(before) / 10
    assert wrong_ids(done.out, truth) == []


def without_ids(report: Path, truth: Truth) -> list[Work]:
    """Return what is without an id although somebody knows one."""
    rows = json.loads(report.read_bytes())["without_external_id"]
    works = (truth.work(row["play"]) for row in rows)
    return [work for work in works if work is not None and work.ids]


def wrong_ids(lines: str, truth: Truth) -> list[str]:
    """Return the items with an id that no work of the same title, played then, has."""
    watched: dict[tuple[str, str], list[Work]] = {}
    for work in truth.works:
        for play in work.watched:
            watched.setdefault((work.title, in_utc(play.watched_at)), []).append(work)
    wrong = []
    for line in lines.splitlines():
        item = json.loads(line)
        given = item.get("show_ids", item["ids"]).items()
        ids = {pair for pair in given if pair[0] not in ("plex", "guid")}
        if not any(ids <= work.ids.items() for work in watched[item["title"], item["watched_at"]]):
            wrong.append(line)
    return wrong
