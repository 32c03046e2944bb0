"""The second run and all after it: what is new is asked for, and nothing else, until it must be."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tautulli_import.errors import CheckpointError, ConfigurationError, UnauthorisedError
from tests.conftest import Cli
from tests.support.history import add_play, create
from tests.support.over_http import DAY, NOW, Home, small_windows
from tests.support.tautulli import after, on, status


@pytest.fixture
def home(home: Home) -> Home:
    """Sixty films of the last year, the newest four days old."""
    home.films(60)
    return home


@pytest.fixture
def env(home: Home) -> Mapping[str, str]:
    """Where the Tautulli is, and its key."""
    return home.fake.environment


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file in a folder: when it was written, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


# Nothing is new.


def test_a_run_with_nothing_new_says_so_in_one_line_and_touches_nothing(
    home: Home, env: Mapping[str, str], cli: Cli, tmp_path: Path
) -> None:
    assert cli("api", "--to", "tracker", env=env).code == 0
    before = files(tmp_path / "crosswatch-tracker")
    home.fake.requests.clear()
    done = cli("api", "--to", "tracker", env=env)
    assert done.code == 0
    assert done.out == ""
    assert done.err.startswith("Nothing new: 60 plays read")
    assert done.err.count("\n") == 1
    assert len(home.fake.requests) <= 3
    assert files(tmp_path / "crosswatch-tracker") == before
    assert cli("api", "--to", "tracker", "--quiet", env=env).err == ""


@pytest.mark.parametrize("later", [60, DAY, 10 * DAY, 29 * DAY])
def test_with_nothing_new_three_requests_are_enough(home: Home, later: int) -> None:
    home.run()
    run = home.run(now=NOW + later)
    assert run.ids == home.listed
    assert len(run.asked) <= 3
    assert not run.notices


def test_a_run_that_was_days_ago_is_gone_on_from_its_day(home: Home) -> None:
    """Two days for plays that stop later than they begin, and one for the zone.

    And the newest play, to know that it is still the same history.
    """
    home.run()
    assert home.run(now=NOW + 10 * DAY).windows == [("2025-06-10", "")]


# Something is.


def test_a_new_play_costs_one_question(home: Home) -> None:
    home.run()
    home.film(-1)
    run = home.run(now=NOW + 2 * DAY)
    assert run.ids == home.listed
    assert len(run.history) == 1
    assert run.history[0].rows == 2


def test_every_new_play_of_a_month_is_there(home: Home) -> None:
    home.run()
    for day in range(1, 29):
        home.film(-day)
        run = home.run(now=NOW + day * DAY + 3 * 3600)
        assert run.ids == home.listed
        assert len(run.asked) <= 3


def test_a_play_that_began_before_the_last_run_and_stopped_after_it(home: Home) -> None:
    home.run()
    home.film(1.5, stopped=NOW + 3600)
    run = home.run(now=NOW + 7200)
    assert run.ids == home.listed
    assert len(run.history) == 1


def test_a_play_that_was_paused_for_ten_days_is_found_where_it_began(home: Home) -> None:
    home.run()
    home.film(9, stopped=NOW + DAY - 60)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert len(run.history) == 2
    assert not run.notices
    assert len(home.run(now=NOW + DAY + 60).asked) <= 3


def test_a_play_that_was_paused_for_a_year_is_found_too(home: Home) -> None:
    home.run()
    home.film(300, stopped=NOW + DAY - 60)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert run.read_again
    assert not home.run(now=NOW + DAY + 60).read_again


def test_a_new_play_without_metadata_is_counted(home: Home) -> None:
    ids = home.listed
    home.run()
    lost = home.film(-0.5)
    home.execute("DELETE FROM session_history_media_info WHERE id = ?", lost)
    run = home.run(now=NOW + DAY)
    assert run.ids == ids
    assert run.reasons == {"no_metadata": 1}
    assert not run.read_again
    assert len(home.run(now=NOW + DAY + 60).asked) <= 3


def test_a_new_play_in_no_window_is_found(home: Home) -> None:
    home.run()
    home.film(title="Odd", started=None, stopped=NOW + 60)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert not run.read_again


def test_a_changed_user_name_or_title_of_late_is_taken_over(home: Home) -> None:
    new = home.film(1)
    home.run()
    home.execute("UPDATE session_history_metadata SET title = 'Renamed' WHERE id = ?", new)
    assert home.run(now=NOW + DAY).plays[new].title == "Renamed"


def test_a_play_that_is_new_is_written_and_said(
    home: Home, env: Mapping[str, str], cli: Cli, tmp_path: Path
) -> None:
    cli("api", "--to", "tracker", env=env)
    home.film(0.5, title="Brand New")
    done = cli("api", "--to", "tracker", env=env)
    assert "1 new" in done.err
    assert "Brand New" in (tmp_path / "crosswatch-tracker" / "history.json").read_text("utf-8")


# What is remembered is no good any more: everything is read again, and it says why.


def test_an_old_play_that_was_deleted(home: Home) -> None:
    home.run()
    home.delete(5)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert run.notices == [
        "Everything is read again: 60 rows were read, and it lists 59 of 59 (rows were deleted)."
    ]
    assert len(home.run(now=NOW + DAY + 60).asked) <= 3


def test_a_play_deleted_and_another_logged(home: Home) -> None:
    home.run()
    home.delete(5)
    home.film(-0.5)
    assert home.run(now=NOW + DAY).ids == home.listed


@pytest.mark.parametrize(
    ("setting", "value"),
    [("movie_watched_percent", 50), ("tv_watched_percent", 90), ("watched_marker", 0)],
)
def test_thresholds_that_were_changed(home: Home, setting: str, value: int) -> None:
    half = home.film(50, view_offset=4_000_000)
    assert home.run().plays[half].watched is False
    home.fake.settings[setting] = value
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert run.notices == ["Everything is read again: the thresholds for watched were changed."]
    assert run.plays[half].watched is (setting == "movie_watched_percent")
    assert not home.run(now=NOW + DAY + 60).notices


def test_thresholds_that_were_changed_while_a_crawl_was_cut_short(home: Home) -> None:
    half = home.film(300, view_offset=4_000_000)
    home.fake.faults.append(on("get_history", after(3, status(401))))
    with small_windows(20):
        with pytest.raises(UnauthorisedError):
            home.run()
        home.fake.faults.clear()
        home.fake.settings["movie_watched_percent"] = 50
        run = home.run(now=NOW + 60)
    assert run.ids == home.listed
    assert run.plays[half].watched is True
    assert run.read_again


def test_another_database_behind_the_same_address(home: Home, tmp_path: Path) -> None:
    home.run()
    with closing(create(tmp_path / "other.db")) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for number in range(70):
            started = NOW - number * 3600
            add_play(conn, title=f"Other {number}", started=started, user_id=7, user="somebody")
    home.replace(tmp_path / "other.db")
    with pytest.raises(
        CheckpointError, match="is not the Tautulli this command read last time"
    ) as refused:
        home.run(now=NOW + DAY)
    assert "--restart" in refused.value.hint
    run = home.run(now=NOW + DAY, restart=True)
    assert {play.user_id for play in run.plays.values()} == {7}
    assert run.ids == home.listed


def test_another_database_with_as_many_rows_and_the_same_numbers(
    home: Home, tmp_path: Path
) -> None:
    for hours in range(1, 4):
        home.film(hours / 24)
    home.run()
    with closing(create(tmp_path / "other.db")) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for number in range(63):
            add_play(conn, title=f"Other {number}", started=NOW - (62 - number) * 3000, user_id=7)
    home.replace(tmp_path / "other.db")
    with pytest.raises(CheckpointError):
        home.run(now=NOW + DAY)


def test_another_database_with_as_many_rows_and_none_of_late(home: Home) -> None:
    """Its number of rows alone says nothing; that the newest play is gone does."""
    home.run()
    home.execute("UPDATE session_history SET user_id = 7, started = started - 10 * 86400")
    with pytest.raises(CheckpointError):
        home.run(now=NOW + DAY)


def test_a_play_of_a_wrong_clock_does_not_hide_that_all_others_changed(home: Home) -> None:
    """Dated ten years ahead it would be the newest, and be there all the time."""
    home.film(-3_650)
    home.run()
    home.execute("UPDATE session_history SET started = started - 864000 WHERE id <= 60")
    run = home.run(now=NOW + DAY)
    assert "Everything is read again: recent plays are gone." in run.notices
    assert run.plays[60].started == NOW - 14 * DAY


def test_a_backup_that_was_restored(home: Home, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(backup)) as copy:
        home.conn.backup(copy)
    for hours in range(1, 6):
        home.film(-hours / 24)
    home.run(now=NOW + DAY)
    home.replace(backup)
    for hours in range(30, 35):  # the numbers of the rows that are lost, given again
        home.film(-hours / 24, title="After")
    run = home.run(now=NOW + 2 * DAY)
    assert run.ids == home.listed
    assert {play.title for play in run.plays.values() if play.id > 60} == {"After"}
    assert run.read_again


def test_once_a_month_everything_is_read_again(home: Home) -> None:
    """What was changed or deleted in old rows comes to light then."""
    home.run()
    home.execute("UPDATE session_history_metadata SET title = 'Corrected' WHERE id = 3")
    assert home.run(now=NOW + 29 * DAY).plays[3].title == "Film 2"
    run = home.run(now=NOW + 31 * DAY)
    assert run.plays[3].title == "Corrected"
    assert run.notices == ["Everything is read again: it was last read completely a month ago."]
    assert not home.run(now=NOW + 59 * DAY).notices
    assert home.run(now=NOW + 62 * DAY).read_again


def test_a_copy_of_an_older_version_without_release_days_is_read_again(home: Home) -> None:
    home.run()
    (file,) = home.state.glob("*.db")
    with closing(sqlite3.connect(file)) as conn, conn:
        (state,) = conn.execute("SELECT value FROM about WHERE name = 'progress'").fetchone()
        older = {name: value for name, value in json.loads(state).items() if name != "columns"}
        conn.execute("UPDATE about SET value = ? WHERE name = 'progress'", (json.dumps(older),))
        conn.execute("DROP VIEW session_history_metadata")
        conn.execute("ALTER TABLE plays DROP COLUMN aired")
        conn.execute("CREATE VIEW session_history_metadata AS SELECT id, title FROM plays")
    run = home.run(now=NOW + DAY)
    assert run.notices == [
        "Everything is read again: an older version of tautulli-import kept less of each play."
    ]
    assert {play.aired for play in run.plays.values()} == {
        f"{1950 + number}-06-15" for number in range(60)
    }
    assert not home.run(now=NOW + DAY + 60).notices


def test_restart_forgets_what_was_read(home: Home, env: Mapping[str, str], cli: Cli) -> None:
    home.run()
    home.execute("UPDATE session_history_metadata SET title = 'Corrected' WHERE id = 3")
    assert home.run(restart=True).plays[3].title == "Corrected"
    cli("api", "--dry-run", env=env)
    home.fake.requests.clear()
    assert cli("api", "--dry-run", "--restart", env=env).code == 0
    assert sum(asked.rows for asked in home.fake.asked("get_history")) == 60


def test_a_clock_that_was_set_back_does_no_harm(home: Home) -> None:
    home.run(now=NOW + 20 * DAY)
    home.film(0.5)
    assert home.run(now=NOW).ids == home.listed


# Where it is remembered.


def remembered(folder: Path) -> Path:
    """Return the one state file in a folder."""
    (found,) = folder.glob("*.db")
    return found


def test_what_is_remembered_is_for_this_user_only(
    home: Home, env: Mapping[str, str], cli: Cli, environment: dict[str, str], tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        assert cli("api", "--dry-run", env=env).code == 0
        assert cli("api", "--dry-run", "--state-dir", tmp_path / "a" / "b", env=env).code == 0
    finally:
        os.umask(before)
    for folder in (Path(environment["XDG_STATE_HOME"]) / "tautulli-import", tmp_path / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert home.fake.key.encode() not in path.read_bytes()
        assert "127.0.0.1" in remembered(folder).name


def test_nothing_is_written_elsewhere_than_in_the_state_directory(
    home: Home, env: Mapping[str, str], cli: Cli, environment: dict[str, str], tmp_path: Path
) -> None:
    assert cli("api", "--dry-run", "--state-dir", tmp_path / "mine", env=env).code == 0
    assert remembered(tmp_path / "mine")
    assert not [*Path(environment["XDG_STATE_HOME"]).iterdir()]
    before = len(home.fake.requests)
    cli("api", "--dry-run", "--state-dir", tmp_path / "mine", env=env)
    assert len(home.fake.requests) - before <= 3


@pytest.mark.parametrize("place", ["a file", "/proc/nowhere"])
def test_without_a_place_to_remember_it_works_and_says_so(
    home: Home, env: Mapping[str, str], cli: Cli, tmp_path: Path, place: str
) -> None:
    if place == "a file":
        (tmp_path / "file").write_text("mine")
        place = str(tmp_path / "file")
    for _ in range(2):
        home.fake.requests.clear()
        done = cli("api", "--dry-run", "--state-dir", place, env=env)
        assert done.code == 0
        assert len(done.out.splitlines()) == 60
        assert "Nothing can be saved in" in done.err
        assert "every run reads everything" in done.err
        assert sum(asked.rows for asked in home.fake.asked("get_history")) == 60


def test_a_state_directory_that_may_not_be_written(
    home: Home, environment: dict[str, str], bound: Callable[..., tuple[int, str, str]]
) -> None:
    home.state.mkdir(mode=0o500)
    environment |= home.fake.environment
    code, out, err = bound("api", "--dry-run", "--no-enrich", "--state-dir", home.state)
    assert code == 0, err
    assert len(out.splitlines()) == len(home.listed)
    assert "Nothing can be saved in" in err
    assert list(home.state.iterdir()) == []


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 1000)


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _torn_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192 : 3 * 4096] = b"\xff" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_garbage, _cut_off, _torn_page])
def test_a_damaged_state_file_is_set_aside(home: Home, damage: object) -> None:
    assert callable(damage)
    first = home.run()
    path = remembered(home.state)
    damage(path)
    broken = path.read_bytes()
    run = home.run(now=NOW + 60)
    assert run.plays == first.plays
    (notice,) = run.notices
    assert "is damaged" in notice
    assert "everything is read again" in notice
    (aside,) = home.state.glob("*.damaged-*")
    assert aside.name in notice
    assert aside.read_bytes() == broken
    again = home.run(now=NOW + 120)
    assert again.plays == first.plays
    assert len(again.asked) <= 3
    assert not again.notices


def test_an_empty_state_file_is_begun(home: Home) -> None:
    home.run()
    remembered(home.state).write_bytes(b"")
    assert home.run(now=NOW + 60).ids == home.listed


def test_a_state_file_of_a_newer_version_is_left_alone(home: Home) -> None:
    home.run()
    with closing(sqlite3.connect(remembered(home.state))) as conn, conn:
        conn.execute("PRAGMA user_version = 99")
    before = remembered(home.state).read_bytes()
    with pytest.raises(ConfigurationError, match="newer version"):
        home.run(now=NOW + 60)
    assert remembered(home.state).read_bytes() == before


def test_two_addresses_of_one_server_are_remembered_apart(home: Home) -> None:
    home.run()
    home.fake.root = "/tautulli"
    home.fake.url += "/tautulli"
    assert home.run().ids == home.listed
    assert len([*home.state.glob("*.db")]) == 2


def test_clearing_everything_says_that_the_history_of_a_server_is_forgotten(
    cli: Cli, env: Mapping[str, str]
) -> None:
    assert cli("api", "--to", "tracker", env=env).code == 0
    done = cli("checkpoint", "clear", "--all", env=env)
    told = "Forgotten: 1 checkpoint, what was read from 1 server, the last runs of 1 source."
    assert told in done.err
