"""The files for other trackers: ``--to letterboxd``, ``trakt-export``, ``simkl``, ``yamtrack``."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.sinks import trakt_export
from tests.conftest import Cli, Result
from tests.sinks.test_third_party_sink import install
from tests.support.history import add_play, add_user, create
from tests.support.inside import Inside
from tests.support.running import Programs

FILES = {
    "letterboxd": "tautulli-letterboxd.csv",
    "trakt-export": "tautulli-trakt-export.zip",
    "simkl": "tautulli-simkl.zip",
    "yamtrack": "tautulli-yamtrack.csv",
}
every_format = pytest.mark.parametrize("sink", FILES)


def at(text: str) -> int:
    """Return the epoch seconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Plays:
    """A history to add plays to, each by the time when it stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        create(path).close()

    def film(self, stopped: str, tmdb: int | str = 603, **more: Any) -> None:
        """Add a whole play of a film with this TMDB id, or with this agent and its id."""
        agent = f"themoviedb://{tmdb}" if isinstance(tmdb, int) else tmdb
        given = {"title": "The Matrix", "year": 1999, **more}
        guid = f"com.plexapp.agents.{agent}?lang=en"
        self._add(stopped, 7200, {"guid": guid, **given})

    def episode(self, stopped: str, season: int = 1, number: int = 2, **more: Any) -> None:
        """Add a whole play of an episode of a show with a TMDB id."""
        guid = f"com.plexapp.agents.themoviedb://1399/{season}/{number}?lang=en"
        title = {"grandparent_title": "Game of Thrones", "title": "The Kingsroad", "year": 2011}
        numbers = {"parent_media_index": season, "media_index": number}
        given = {"media_type": "episode", "guid": guid, **title, **numbers, **more}
        self._add(stopped, 2700, given)

    def _add(self, stopped: str, seconds: int, given: Mapping[str, Any]) -> None:
        end = at(stopped)
        with closing(sqlite3.connect(self.path)) as conn:
            add_play(conn, started=end - seconds, stopped=end, **given)


@pytest.fixture
def plays(tmp_path: Path) -> Plays:
    """Return an empty history."""
    return Plays(tmp_path / "tautulli.db")


def written(inside: Inside, plays: Plays, sink: str, *options: str | Path) -> Result:
    zone = ("--timezone", "UTC") if sink in ("letterboxd", "yamtrack") else ()
    done = inside("db", plays.path, "--to", sink, "--no-enrich", *zone, *options)
    assert done.code == 0, done.err
    return done


def letterboxd(path: Path) -> list[dict[str, str]]:
    """Read a file by the rules of Letterboxd: a backslash escapes a quote."""
    text = io.StringIO(path.read_text("utf-8"), newline="")
    return [*csv.DictReader(text, doublequote=False, escapechar="\\", strict=True)]


def yamtrack(path: Path) -> list[dict[str, str]]:
    """Read a file as Yamtrack does: cut it into lines first, then read those as CSV."""
    return [*csv.DictReader(path.read_bytes().decode("utf-8").splitlines(), strict=True)]


def members(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def simkl(path: Path) -> dict[str, Any]:
    ((name, backup),) = members(path).items()
    assert name == "SimklBackup.json"
    assert isinstance(backup, dict)
    return backup


def held(path: Path) -> int:
    """Return the number of viewings in a file."""
    if path.name.startswith("tautulli-letterboxd"):
        return len(letterboxd(path))
    if path.name.startswith("tautulli-yamtrack"):
        return sum(row["media_type"] in ("movie", "episode") for row in yamtrack(path))
    if path.name.startswith("tautulli-trakt-export"):
        return sum(map(len, members(path).values()))
    backup = simkl(path)
    seasons = [season for show in backup["shows"] for season in show["seasons"]]
    return len(backup["movies"]) + sum(len(season["episodes"]) for season in seasons)


# What the files look like, held against the examples in the documentation of their readers.


def test_a_film_for_letterboxd_has_its_ids_and_the_day(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    plays.film("2024-03-01T20:15:30")
    plays.film("2024-03-05T20:15:30", "imdb://tt0113277", title='Heat: "L.A.", \\o/', year=1995)

    written(inside, plays, "letterboxd")

    assert letterboxd(tmp_path / FILES["letterboxd"]) == [
        {
            "Title": "The Matrix",
            "Year": "1999",
            "WatchedDate": "2024-03-01",
            "Rewatch": "false",
            "tmdbID": "603",
            "imdbID": "",
        },
        {
            "Title": 'Heat: "L.A.", \\o/',
            "Year": "1995",
            "WatchedDate": "2024-03-05",
            "Rewatch": "false",
            "tmdbID": "",
            "imdbID": "tt0113277",
        },
    ]


def test_entries_of_the_trakt_export_are_those_of_trakts_own(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    plays.film("2014-04-05T15:27:00")
    plays.episode("2014-04-06T15:27:00", year=2014)

    written(inside, plays, "trakt-export")

    assert members(tmp_path / FILES["trakt-export"]) == {
        "watched-history-1.json": [
            {
                "id": 1,
                "watched_at": "2014-04-05T15:27:00.000Z",
                "action": "watch",
                "type": "movie",
                "movie": {"title": "The Matrix", "year": 1999, "ids": {"tmdb": 603}},
            },
            {
                "id": 2,
                "watched_at": "2014-04-06T15:27:00.000Z",
                "action": "watch",
                "type": "episode",
                "show": {"title": "Game of Thrones", "year": None, "ids": {"tmdb": 1399}},
                "episode": {"season": 1, "number": 2, "title": "The Kingsroad", "ids": {}},
            },
        ]
    }


def test_the_simkl_backup_has_rewatches_as_entries_of_their_own(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    for day in ("2024-03-01", "2024-04-01"):
        plays.film(f"{day}T20:00:00")
        plays.episode(f"{day}T21:00:00", 2, 1)
    plays.episode("2024-03-02T21:00:00", 1, 2)

    written(inside, plays, "simkl")

    film = {"title": "The Matrix", "year": 1999, "ids": {"tmdb": "603"}}
    show = {"title": "Game of Thrones", "year": None, "ids": {"tmdb": "1399"}}
    first, second = "2024-03-01T20:00:00Z", "2024-04-01T20:00:00Z"
    third = "2024-03-02T21:00:00Z"
    assert simkl(tmp_path / FILES["simkl"]) == {
        "shows": [
            {
                "status": "watching",
                "last_watched_at": third,
                "show": show,
                "seasons": [
                    {"number": 1, "episodes": [{"number": 2, "watched_at": third}]},
                    {
                        "number": 2,
                        "episodes": [{"number": 1, "watched_at": "2024-03-01T21:00:00Z"}],
                    },
                ],
                "is_rewatch": False,
            },
            {
                "status": "watching",
                "last_watched_at": "2024-04-01T21:00:00Z",
                "show": show,
                "seasons": [
                    {
                        "number": 2,
                        "episodes": [{"number": 1, "watched_at": "2024-04-01T21:00:00Z"}],
                    }
                ],
                "is_rewatch": True,
                "rewatch_id": 1,
            },
        ],
        "anime": [],
        "movies": [
            {
                "status": "completed",
                "last_watched_at": first,
                "movie": film,
                "is_rewatch": False,
            },
            {
                "status": "completed",
                "last_watched_at": second,
                "movie": film,
                "is_rewatch": True,
                "rewatch_id": 1,
            },
        ],
    }


def test_yamtrack_gets_the_show_and_the_season_before_their_episodes(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    plays.episode("2024-03-01T21:00:00", 0, 1, grandparent_title="Game\u2028of\n\x85 Thrones")
    plays.film("2024-07-01T21:30:00")

    written(inside, plays, "yamtrack", "--timezone", "Europe/Berlin")

    rows = yamtrack(tmp_path / FILES["yamtrack"])
    # The columns of Yamtrack's own export.
    assert set(rows[0]) == {
        *("media_id", "source", "media_type", "title", "image", "season_number"),
        *("episode_number", "score", "progress", "status", "start_date", "end_date", "notes"),
        "progressed_at",
    }
    show = {"media_id": "1399", "source": "tmdb", "title": "Game of Thrones"}
    when = "2024-03-01T22:00:00+01:00"
    told = [{name: value for name, value in row.items() if value} for row in rows]
    told[0]["title"] = " ".join(told[0]["title"].split())
    told[1]["title"] = told[2]["title"] = told[0]["title"]
    assert told == [
        {**show, "media_type": "tv", "status": "In progress"},
        {**show, "media_type": "season", "season_number": "0", "status": "In progress"},
        {
            **show,
            "media_type": "episode",
            "season_number": "0",
            "episode_number": "1",
            "end_date": when,
            "progressed_at": when,
        },
        {
            "media_id": "603",
            "source": "tmdb",
            "media_type": "movie",
            "title": "The Matrix",
            "status": "Completed",
            "progress": "1",
            "end_date": "2024-07-01T23:30:00+02:00",
            "progressed_at": "2024-07-01T23:30:00+02:00",
        },
    ]


# Every viewing.


def rewatches(path: Path, sink: str) -> Sequence[object]:
    """Return what a file says of each viewing of a film: is it a rewatch?"""
    if sink == "letterboxd":
        return [row["Rewatch"] == "true" for row in letterboxd(path)]
    return [movie["is_rewatch"] for movie in simkl(path)["movies"]]


@pytest.mark.parametrize("sink", ["letterboxd", "simkl"])
def test_a_viewing_before_since_makes_the_next_one_a_rewatch(
    inside: Inside, plays: Plays, tmp_path: Path, sink: str
) -> None:
    plays.film("2023-01-01T20:00:00")
    plays.film("2024-01-01T20:00:00")
    plays.film("2024-02-01T20:00:00", 604, title="The Matrix Reloaded", year=2003)

    written(inside, plays, sink, "--since", "2023-06-01")

    assert rewatches(tmp_path / FILES[sink], sink) == [True, False]


def test_half_a_viewing_before_is_no_viewing(inside: Inside, plays: Plays, tmp_path: Path) -> None:
    plays.film("2023-01-01T20:00:00", view_offset=600_000)
    plays.film("2024-01-01T20:00:00")

    written(inside, plays, "letterboxd", "--since", "2023-06-01")

    assert rewatches(tmp_path / FILES["letterboxd"], "letterboxd") == [False]


@pytest.mark.parametrize(
    ("whose", "expected"),
    [
        (("--all-users",), {"": [False, True]}),
        (("--user", "bob"), {"": [False]}),
        (("--each-user",), {"-Alice": [False], "-Bob": [False]}),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_a_rewatch_is_one_of_the_same_history(
    inside: Inside,
    plays: Plays,
    tmp_path: Path,
    whose: tuple[str, ...],
    expected: Mapping[str, list[bool]],
) -> None:
    with closing(sqlite3.connect(plays.path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob", "Bob")
    plays.film("2024-02-01T20:00:00", user_id=2, user="bob")
    plays.film("2024-01-01T20:00:00", user_id=1, user="alice")

    written(inside, plays, "letterboxd", *whose)

    found = {
        path.stem.removeprefix("tautulli-letterboxd"): rewatches(path, "letterboxd")
        for path in tmp_path.glob("*.csv")
    }
    assert found == expected


def test_the_second_viewing_on_one_day_would_overwrite_the_first_on_letterboxd(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    plays.film("2024-01-01T12:00:00")
    plays.film("2024-01-01T22:00:00")

    done = written(inside, plays, "letterboxd")

    assert rewatches(tmp_path / FILES["letterboxd"], "letterboxd") == [False]
    assert "1  second viewings of a film on one day" in done.err


@pytest.mark.parametrize(
    ("zone", "day"), [("Asia/Tokyo", "2024-03-02"), ("America/New_York", "2024-03-01")]
)
def test_the_time_zone_decides_the_day(
    inside: Inside, plays: Plays, tmp_path: Path, zone: str, day: str
) -> None:
    plays.film("2024-03-02T01:30:00")
    done = written(inside, plays, "letterboxd", "--timezone", zone)
    assert [row["WatchedDate"] for row in letterboxd(tmp_path / FILES["letterboxd"])] == [day]
    assert f"Days are those of {zone}." in done.err


def test_without_a_time_zone_the_day_is_the_systems(cli: Cli, plays: Plays, tmp_path: Path) -> None:
    plays.film("2024-03-02T01:30:00")
    done = cli("db", plays.path, "--to", "letterboxd", env={"TZ": "EST5"})
    assert [r["WatchedDate"] for r in letterboxd(tmp_path / FILES["letterboxd"])] == ["2024-03-01"]
    assert "Days are those of the system (EST). Use --timezone to change that." in done.err


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/berlin", "Did you mean Europe/Berlin?"),
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("Europe/Berlni", "Did you mean Europe/Berlin"),
        ("new york", "Did you mean America/New_York"),
        ("Europe", "Did you mean "),
        ("../etc/passwd", "Use a name from the IANA list"),
        ("", "Use a name from the IANA list"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_similar_ones(
    inside: Inside, plays: Plays, tmp_path: Path, name: str, hint: str
) -> None:
    plays.film("2024-03-02T01:30:00")
    done = inside("db", plays.path, "--to", "letterboxd", "--timezone", name)
    assert done.code == 2
    assert f"There is no time zone called {name!r} (--timezone)." in done.err
    assert hint in done.err
    assert not (tmp_path / FILES["letterboxd"]).exists()


# What a format cannot hold.


@pytest.fixture
def mixed(plays: Plays) -> Plays:
    """Return a history with one viewing of each sort."""
    plays.film("2024-01-01T20:00:00")
    plays.film("2024-01-02T20:00:00", "imdb://tt0113277", title="Heat", year=1995)
    plays.film("2024-01-03T20:00:00", "none://x", title="Home Video", year=None)
    plays.episode("2024-01-04T20:00:00")
    return plays


LEFT_OUT = {
    "letterboxd": {
        "episodes (Letterboxd has only films)": ["The Kingsroad"],
        "films without a TMDB or IMDb id and without a year": ["Home Video"],
    },
    "trakt-export": {"without a TMDB, IMDb, TVDB or Trakt id": ["Home Video"]},
    "simkl": {"without an id that SIMKL knows": ["Home Video"]},
    "yamtrack": {"without a TMDB id": ["Heat", "Home Video"]},
}


@every_format
@pytest.mark.parametrize("dry", [(), ("--dry-run", "--format", "table")], ids=["real", "dry"])
def test_what_a_format_cannot_hold_is_counted_and_listed(
    inside: Inside, mixed: Plays, tmp_path: Path, sink: str, dry: tuple[str, ...]
) -> None:
    done = written(inside, mixed, sink, "--report", "report.json", *dry)

    told = json.loads((tmp_path / "report.json").read_bytes())
    expected = LEFT_OUT[sink]
    count = sum(map(len, expected.values()))
    (output,) = told["outputs"]
    assert output["left_out"] == {reason: len(titles) for reason, titles in expected.items()}
    assert (output["new"], output["total"]) == (4 - count, 4 - count)
    listed = [(one["sink"], one["reason"], one["title"]) for one in told["left_out"]]
    assert sorted(listed) == sorted(
        (sink, reason, title) for reason, titles in expected.items() for title in titles
    )
    assert all(f"{len(titles)}  {reason}\n" in done.err for reason, titles in expected.items())
    assert f"{count} that {sink} cannot hold" in done.err
    assert (tmp_path / FILES[sink]).exists() is not bool(dry)
    if not dry:
        assert held(tmp_path / FILES[sink]) == 4 - count


def test_nothing_is_up_to_date_if_a_format_can_hold_nothing(
    inside: Inside, plays: Plays, tmp_path: Path
) -> None:
    plays.film("2024-01-02T20:00:00", "imdb://tt0113277", title="Heat", year=1995)
    for _ in range(2):
        done = written(inside, plays, "yamtrack", "--report", "report.json")
        assert "up to date" not in done.err
        assert "0 viewings are in tautulli-yamtrack.csv (yamtrack): nothing new." in done.err
        assert "1  without a TMDB id\n" in done.err
    assert json.loads((tmp_path / "report.json").read_bytes())["outputs"][0]["total"] == 0
    assert not (tmp_path / FILES["yamtrack"]).exists()


def test_the_trakt_export_says_that_trakt_itself_is_not_its_reader(
    inside: Inside, mixed: Plays
) -> None:
    assert "Do not upload the export to Trakt itself" in written(inside, mixed, "trakt-export").err


# Whole files, the same every time.


@every_format
def test_a_second_run_writes_nothing(
    inside: Inside, mixed: Plays, tmp_path: Path, sink: str
) -> None:
    written(inside, mixed, sink)
    before = (tmp_path / FILES[sink]).stat().st_mtime_ns

    done = written(inside, mixed, sink)

    assert done.err.startswith("Nothing new: ")
    assert done.err.count("\n") == 1
    assert (tmp_path / FILES[sink]).stat().st_mtime_ns == before


@every_format
def test_the_same_history_gives_the_same_bytes_in_another_system(
    cli: Cli, mixed: Plays, tmp_path: Path, sink: str
) -> None:
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        options = ("--out", f"{number}.x", "--state-dir", f"s{number}")
        env = {"TZ": zone, "TAUTULLI_IMPORT_TIMEZONE": "Europe/Berlin"}
        done = cli("db", mixed.path, "--to", sink, *options, env=env)
        assert done.code == 0, done.err
    assert (tmp_path / "0.x").read_bytes() == (tmp_path / "1.x").read_bytes()


@every_format
def test_a_signal_while_a_file_is_made_ends_the_run_at_once(
    running: Programs, mixed: Plays, tmp_path: Path, sink: str
) -> None:
    gate = running.gate("write")
    command = ("db", mixed.path, "--to", sink, "--no-enrich")
    program = running.start(*command, at=("write:0", gate))
    gate.reached(program)
    done = program.stopped(signal.SIGTERM)
    assert done.code == 128 + signal.SIGTERM, done.err
    assert "To go on: tautulli-import db" in done.err
    assert not (tmp_path / FILES[sink]).exists()


@every_format
@pytest.mark.parametrize("content", [b"Date,Name,Year,Letterboxd URI\n", b"PK\x03\x04", b"x"])
def test_a_file_from_elsewhere_is_not_replaced(
    inside: Inside, mixed: Plays, tmp_path: Path, sink: str, content: bytes
) -> None:
    path = tmp_path / FILES[sink]
    path.write_bytes(content)

    done = inside("db", mixed.path, "--to", sink)

    assert (done.code, path.read_bytes()) == (8, content)
    assert f"{path.name} is not a file of this program, so it is not replaced." in done.err


def test_a_file_of_one_format_is_not_replaced_by_another(inside: Inside, mixed: Plays) -> None:
    written(inside, mixed, "simkl", "--out", "x.zip")
    assert inside("db", mixed.path, "--to", "trakt-export", "--out", "x.zip").code == 8


@every_format
def test_an_empty_selection_empties_the_file_and_makes_none(
    inside: Inside, mixed: Plays, tmp_path: Path, sink: str
) -> None:
    path = tmp_path / FILES[sink]
    written(inside, mixed, sink, "--since", "2025-01-01")
    assert not path.exists()

    written(inside, mixed, sink)
    written(inside, mixed, sink, "--since", "2025-01-01")
    assert held(path) == 0


@every_format
@pytest.mark.parametrize("out", ["-", "/dev/null"])
def test_what_is_no_file_is_refused(inside: Inside, mixed: Plays, sink: str, out: str) -> None:
    done = inside("db", mixed.path, "--to", sink, "--out", out)
    assert (done.code, done.out) == (2, "")
    assert f"{out} is no file" in done.err


@every_format
def test_each_user_has_a_file(inside: Inside, plays: Plays, tmp_path: Path, sink: str) -> None:
    with closing(sqlite3.connect(plays.path)) as conn:
        add_user(conn, 1, "alice", "Alice")
        add_user(conn, 2, "bob", "Bob")
    plays.film("2024-01-01T20:00:00")
    plays.film("2024-01-02T20:00:00", user_id=2)
    plays.film("2024-01-03T20:00:00", user_id=2)

    written(inside, plays, sink, "--each-user", "--out", f"out/{FILES[sink]}")

    stem, _, suffix = FILES[sink].partition(".")
    found = {path.name: held(path) for path in (tmp_path / "out").iterdir()}
    assert found == {f"{stem}-Alice.{suffix}": 1, f"{stem}-Bob.{suffix}": 2}


@every_format
@pytest.mark.parametrize(("options", "user"), [((), ""), (("--each-user",), "-Alice")])
def test_a_name_without_an_ending_is_given_one_that_the_reader_takes(
    inside: Inside, plays: Plays, tmp_path: Path, *, sink: str, options: tuple[str, ...], user: str
) -> None:
    with closing(sqlite3.connect(plays.path)) as conn:
        add_user(conn, 1, "alice", "Alice")
    plays.film("2024-01-01T20:00:00")

    done = inside("db", plays.path, "--to", sink, "--out", "out/mine", *options)

    ending = Path(FILES[sink]).suffix
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"mine{user}{ending}"]
    assert f"out/mine{user}{ending} ({sink})" in done.err


# No file is larger than its reader takes.


@pytest.fixture
def large(plays: Plays) -> Plays:
    """Return a history whose titles take 2.5 MB."""
    for number in range(1, 26):
        title = f"{number} {'long ' * 20_000}"
        plays.film(f"2024-01-{number:02}T20:00:00", number, title=title)
    return plays


def test_letterboxd_gets_files_of_at_most_a_megabyte_each_with_a_header(
    inside: Inside, large: Plays, tmp_path: Path
) -> None:
    written(inside, large, "letterboxd")

    names = ["tautulli-letterboxd.csv", *(f"tautulli-letterboxd({n}).csv" for n in (2, 3))]
    paths = [tmp_path / name for name in names]
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == sorted(names)
    assert max(path.stat().st_size for path in paths) <= 1_000_000
    ids = [row["tmdbID"] for path in paths for row in letterboxd(path)]
    assert ids == [str(number) for number in range(1, 26)]


def test_files_that_are_needed_no_more_are_removed(
    inside: Inside, large: Plays, tmp_path: Path
) -> None:
    written(inside, large, "letterboxd")
    (tmp_path / "tautulli-letterboxd(5).csv").write_bytes(b"from elsewhere")

    written(inside, large, "letterboxd", "--since", "2024-01-24")

    names = {path.name for path in tmp_path.glob("*.csv")}
    assert names == {"tautulli-letterboxd.csv", "tautulli-letterboxd(5).csv"}


def test_a_further_file_from_elsewhere_is_not_replaced(
    inside: Inside, large: Plays, tmp_path: Path
) -> None:
    other = tmp_path / "tautulli-letterboxd(2).csv"
    other.write_bytes(b"from elsewhere")

    done = inside("db", large.path, "--to", "letterboxd")

    assert (done.code, other.read_bytes()) == (8, b"from elsewhere")
    assert not (tmp_path / "tautulli-letterboxd.csv").exists()


@pytest.mark.parametrize("option", ["--report", "--page"])
def test_a_further_file_is_not_replaced_by_a_report_or_a_page(
    inside: Inside, large: Plays, tmp_path: Path, option: str
) -> None:
    name = "tautulli-letterboxd(2).csv"
    done = inside("db", large.path, "--to", "letterboxd", option, name)
    assert done.code == 8
    assert f"{name} is not a {option[2:]} of this program, so it is not replaced." in done.err
    written(inside, large, "letterboxd")
    assert (tmp_path / name).read_bytes().startswith(b"Title,")


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the readers of the Trakt export take less than they do."""
    monkeypatch.setattr(trakt_export, "_MOST_ENTRIES", 20)
    monkeypatch.setattr(trakt_export, "_MOST_BYTES_OF_MEMBER", 500_000)


@pytest.mark.usefixtures("_small_limits")
def test_the_trakt_export_is_cut_into_files_and_members(
    inside: Inside, large: Plays, tmp_path: Path
) -> None:
    written(inside, large, "trakt-export")

    first, second = (tmp_path / f"tautulli-trakt-export{n}.zip" for n in ("", "(2)"))
    assert list(members(first)) == [f"watched-history-{n}.json" for n in range(1, 6)]
    assert list(members(second)) == ["watched-history-1.json", "watched-history-2.json"]
    assert (held(first), held(second)) == (20, 5)
    for path in (first, second):
        with zipfile.ZipFile(path) as archive:
            assert max(info.file_size for info in archive.infolist()) <= 500_000


# The same contract for everybody.

MINE = '''\
"""A CSV for a tracker that nobody knows."""

from tautulli_import.sinks.exports import ExportSink


class MySink(ExportSink):
    default = "mine.csv"
    mark = b"title,day,again\\n"
    next_step = "Import it."

    def refuses(self, record):
        return None if record.item.year else "without a year"

    def parts(self, records):
        rows = (f"{r.item.title},{self.options.local(r.epoch):%x},{r.viewing}\\n" for r in records)
        yield self.mark + "".join(rows).encode()
'''


def test_somebody_elses_format_is_as_small(cli: Cli, mixed: Plays, tmp_path: Path) -> None:
    env = install(tmp_path / "site", MINE, "mine_sink:MySink", package="mine-sink", sink="mine")
    mixed.film("2024-02-01T20:00:00")

    done = cli("db", mixed.path, "--to", "mine", env=env)

    assert done.code == 0, done.err
    assert (tmp_path / "mine.csv").read_text("utf-8").splitlines() == [
        "title,day,again",
        "The Matrix,01/01/24,1",
        "Heat,01/02/24,1",
        "The Kingsroad,01/04/24,1",
        "The Matrix,02/01/24,2",
    ]
    assert "1  without a year" in done.err
