"""Whichever door the plays come through, what comes out is the same, byte for byte."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy

import pytest

from tautulli_import.model.plays import Play
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.sources.http.history_api import COLUMNS
from tautulli_import.sources.http.sync import sync
from tautulli_import.state.file import StateFile
from tests.conftest import Cli
from tests.support.doors import Doors, opened
from tests.support.history import generate
from tests.support.over_http import small_windows
from tests.support.products import crossed
from tests.support.tautulli import FakeTautulli

ZONES = [
    ("UTC", 21),
    ("America/New_York", 22),
    ("Australia/Lord_Howe", 23),
    ("Asia/Kolkata", 24),
    ("Pacific/Kiritimati", 25),
]


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where generated histories are kept, to be copied."""
    return tmp_path_factory.mktemp("histories")


def history(histories: Path, to: Path, seed: int, *, plays: int = 700) -> Path:
    """Return a generated history: one of all that a Tautulli has seen in twelve years."""
    made = histories / f"{seed}-{plays}.db"
    if not made.exists():
        generate(made, plays=plays, seed=seed, truth=False)
    return Path(copy(made, to / "tautulli.db"))


def deliverable(database: Path) -> None:
    """Leave only what can be known over HTTP: every row, and no answer of another site."""
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("UPDATE session_history_metadata SET duration = 1 WHERE duration = 0")
        conn.execute("DELETE FROM themoviedb_lookup")
        conn.execute("DELETE FROM tvmaze_lookup")


@pytest.fixture(scope="module")
def served(histories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeTautulli]:
    """Yield the server of one history, in the zone with the oddest clock."""
    database = history(histories, tmp_path_factory.mktemp("served"), 23)
    deliverable(database)
    with FakeTautulli(database, zone="Australia/Lord_Howe") as fake:
        yield fake


@pytest.fixture
def doors(served: FakeTautulli, environment: dict[str, str]) -> Iterator[Doors]:
    """Yield the doors to that history. Over HTTP it is read once; each test finds it remembered."""
    folder = served.database.parent
    with opened(folder, environment, database=served.database, fake=served) as found:
        settings = {**served.settings}
        yield found
        served.settings = settings
        folder.joinpath("config.ini").unlink(missing_ok=True)


# Everything.


@pytest.mark.parametrize(("zone", "seed"), ZONES)
def test_all_doors_lead_to_the_same_files(
    histories: Path, tmp_path: Path, environment: dict[str, str], zone: str, seed: int
) -> None:
    database = history(histories, tmp_path, seed)
    deliverable(database)
    with opened(tmp_path, environment, database=database, zone=zone) as doors, small_windows(140):
        expected = doors.written("db")
        assert {Path(name).name for name in expected.files} >= {"history.json"}
        assert expected.report["plays"]["read"] == 700
        assert expected.report["plays"]["emitted"] > 100
        assert doors.written("api") == expected
        assert doors.written("api") == expected  # out of what is remembered, this time
        assert doors.written("via") == expected
        listed = doors.listed("db")
        assert listed.lines.count("\n") == listed.report["plays"]["emitted"]
        assert doors.listed("api") == listed
        assert doors.listed("via") == listed


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", [26, 27, 28])
def test_the_downloaded_database_is_the_database(
    histories: Path, tmp_path: Path, environment: dict[str, str], seed: int
) -> None:
    """With rows that no request can have in it, and with what other sites once answered."""
    database = history(histories, tmp_path, seed)
    with opened(tmp_path, environment, database=database, zone="America/New_York") as doors:
        expected = doors.written("db", "--rewatches")
        assert expected.report["items"]["ids_from"]["lookup_tables"] > 0
        assert doors.written("via", "--rewatches") == expected
        every = doors.listed("db", "--include-partial")
        assert doors.listed("via", "--include-partial") == every
        # Those rows are all that is missing over HTTP.
        over_http = doors.listed("api", "--include-partial")
    with closing(sqlite3.connect(database)) as conn:
        sql = "SELECT count(*) FROM session_history_metadata WHERE duration = 0"
        (bad,) = conn.execute(sql).fetchone()
    assert bad
    assert over_http.report["plays"]["rejected"]["not_delivered"] == bad
    assert over_http.report["plays"]["read"] == every.report["plays"]["read"]


# Every option that chooses.

OPTIONS: list[tuple[str, ...]] = [
    ("--rewatches",),
    ("--each-user",),
    ("--each-user", "--rewatches", "--include-partial"),
    ("--user", "10000001"),
    ("--user", "bob"),
    ("--user", "bobby"),
    ("--user", "Çağla Ünal 🌸"),
    ("--user", "old_roommate"),
    ("--user", "alice", "--user", "kid"),
    ("--library", "1"),
    ("--library", "Séries", "--include-partial"),
    ("--library", "アニメ", "--library", "3"),
    ("--library", "9", "--rewatches"),
    ("--media-type", "live"),
    ("--media-type", "movie", "--media-type", "live", "--rewatches"),
    ("--media-type", "episode"),
    ("--since", "2019-04-07"),
    ("--until", "2019-04-07"),
    ("--since", "2016-01-01T12:30:00+02:00", "--until", "2021-10-03"),
    ("--min-percent", "0"),
    ("--min-percent", "5"),
    ("--min-percent", "50"),
    ("--min-percent", "100"),
    ("--include-partial",),
    ("--include-partial", "--rewatches"),
    ("--watched-at", "started", "--rewatches"),
    ("--user", "bob", "--library", "2", "--since", "2018-01-01", "--min-percent", "20"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_every_choice_is_the_same_through_all_doors(doors: Doors, options: tuple[str, ...]) -> None:
    expected = doors.listed("db", *options)
    assert expected.lines
    assert doors.listed("api", *options) == expected
    assert doors.listed("via", *options) == expected


def test_files_of_each_user_have_the_same_names_and_contents(doors: Doors) -> None:
    expected = doors.written("db", "--each-user", "--rewatches")
    assert len(expected.files) >= 10
    assert doors.written("api", "--each-user", "--rewatches") == expected
    assert doors.written("via", "--each-user", "--rewatches") == expected


def test_corrections_fit_the_same_items(doors: Doors, tmp_path: Path) -> None:
    numbers = {
        item["key"].removeprefix("plex:").partition("#")[0]: bool(item["series_title"])
        for item in doors.listed("db").report["without_external_id"]
    }
    ids = tmp_path / "ids.csv"
    with ids.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["type", "rating_key", "guid", "title", "year", "tmdb", "imdb", "tvdb"])
        for tmdb, (number, of_a_show) in enumerate(numbers.items(), 9_000_000):
            writer.writerow(["show" if of_a_show else "movie", number, "", "", "", tmdb, "", ""])
    expected = doors.listed("db", "--ids", ids)
    assert expected.report["items"]["ids_from"]["corrections"] > 10
    assert doors.listed("api", "--ids", ids) == expected
    assert doors.listed("via", "--ids", ids) == expected


@pytest.mark.parametrize(
    ("marker", "percent"), crossed([0, 1, 2, 3], [(85, 85), (50, 95), (100, 1)]), ids=str
)
def test_the_owners_thresholds_decide_alike(
    doors: Doors, marker: int, percent: tuple[int, int]
) -> None:
    movies, shows = percent
    settings = {"movie_watched_percent": movies, "tv_watched_percent": shows}
    doors.fake.settings |= {**settings, "watched_marker": marker}
    lines = [f"{name} = {value}" for name, value in doors.fake.settings.items()]
    doors.database.with_name("config.ini").write_text("\n".join(["[Monitoring]", *lines]), "utf-8")
    expected = doors.listed("db")
    assert doors.listed("api") == expected
    assert doors.listed("via") == expected


# What the front door says of it.


def test_the_summary_counts_the_same(histories: Path, tmp_path: Path, cli: Cli) -> None:
    database = history(histories, tmp_path, 21, plays=300)
    deliverable(database)
    with FakeTautulli(database, zone="Asia/Kolkata") as fake:
        env = fake.environment
        runs = {
            "db": ("db", database, "--no-enrich"),
            "api": ("api", "--no-enrich"),
            "via": ("api", "--no-enrich", "--via", "database"),
        }
        told = {}
        for name, args in runs.items():
            done = cli(*args, "--to", "tracker", "--out", name, "--json", "--strict", env=env)
            assert done.code == 9, done.err  # some episodes have no number
            told[name] = json.loads(done.out)
            assert told[name]["command"] == args[0]
    assert told["db"]["plays"]["read"] == 300
    for name in ("api", "via"):
        assert told[name]["plays"] == told["db"]["plays"]
        assert told[name]["items"] == told["db"]["items"]
        assert told[name]["requests"]["history"] > 0
    assert told["db"]["requests"] == {"history": 0, "metadata": 0, "other": 0}


def test_the_looks_tell_the_same(doors: Doors) -> None:
    server = ("--url", doors.fake.url, "--state-dir", doors.folder / "state-api", "--json")
    for command in ("users", "libraries", "check", "unresolved"):
        alone = ("--no-enrich",) if command in ("check", "unresolved") else ()
        db, api = (
            json.loads(doors.look(command, *args, *alone).out)
            for args in ((doors.database, "--json"), ("api", *server))
        )
        if command in ("check", "unresolved"):
            for told in (db, api):
                for name in ("source", "libraries", "server", "elapsed_seconds", "warnings"):
                    told.pop(name, None)
        if command == "libraries":  # the deleted ones are in no list that Tautulli gives
            db = [library for library in db if not library["deleted"]]
        if command == "users":  # whoever has no friendly name can have the other one over HTTP
            for user in (*db, *api):
                user["friendly_name"] = user["friendly_name"] or user["username"]
        assert api == db


# What a playback event will be made of.

_PLAY = Play.__struct_fields__.index("paused_counter")  # events need it as well
#: Where the database has what is kept of a row for other purposes than a play's.
_PLACES = {
    "friendly_name": "CASE WHEN trim(coalesce(u.friendly_name, '')) = '' THEN u.username "
    "ELSE u.friendly_name END",
    "parent_title": "m.parent_title",
    "transcode_decision": "i.transcode_decision",
}
#: Tautulli shows some platforms under another name.
_RENAMED = {"windows": "Windows", "osx": "macOS", "Mystery 4": "Playstation 4"}


def test_what_events_are_made_of_is_kept_as_the_database_has_it(
    histories: Path, tmp_path: Path
) -> None:
    database = history(histories, tmp_path, 22)
    deliverable(database)
    with closing(sqlite3.connect(database)) as conn:
        with conn:
            conn.execute("UPDATE session_history SET paused_counter = 17 WHERE id % 7 = 0")
            conn.execute(
                "UPDATE session_history SET location = 'wan', relayed = 1 WHERE id % 5 = 0"
            )
            conn.execute("UPDATE session_history SET secure = NULL, relayed = '' WHERE id % 11 = 0")
            conn.execute("UPDATE session_history SET ip_address = '2001:db8::1' WHERE id % 3 = 0")
            conn.execute("UPDATE session_history SET player = '<b>\"&amp;🌸' WHERE id % 13 = 0")
            conn.execute("UPDATE session_history SET platform = 'osx' WHERE id % 17 = 0")
        columns = ", ".join(_PLACES.get(name, f"h.{name}") for name in COLUMNS[_PLAY:])
        sql = (
            f"SELECT h.id, {columns} FROM session_history h "  # noqa: S608
            "JOIN session_history_metadata m USING (id) "
            "JOIN session_history_media_info i USING (id) "
            "LEFT JOIN users u ON u.user_id = h.user_id ORDER BY h.id"
        )
        expected = [
            dict(zip(("id", *COLUMNS[_PLAY:]), row, strict=True)) for row in conn.execute(sql)
        ]
    for row in expected:
        row["platform"] = _RENAMED.get(row["platform"], row["platform"])
        for name in ("paused_counter", "parent_rating_key", "secure", "relayed"):
            row[name] = None if row[name] == "" else row[name]
        row["paused_counter"] = row["paused_counter"] or 0  # a sum of nothing
    with FakeTautulli(database, zone="Pacific/Kiritimati") as fake:
        tautulli = Tautulli(Access(parse_address(fake.url), fake.key))
        state = StateFile(tmp_path / "state", fake.url)
        with closing(tautulli), closing(state):
            sync(tautulli, state, now=1_800_000_000)
            names = ", ".join(("id", *COLUMNS[_PLAY:]))
            kept = state.conn.execute(f"SELECT {names} FROM plays ORDER BY id").fetchall()  # noqa: S608
    found = [dict(zip(("id", *COLUMNS[_PLAY:]), row, strict=True)) for row in kept]
    assert len(found) == 700
    for row in found:
        row["paused_counter"] = row["paused_counter"] or 0
    assert found == expected
