"""Tautullis of former years: what they cannot do is noticed, and made up for or said."""

from __future__ import annotations

import pytest

from tautulli_import.errors import SourceDamagedError
from tests.conftest import Cli
from tests.support.over_http import DAY, NOW, Home, small_windows


def test_one_that_knows_no_windows_is_read_by_position_each_time(home: Home) -> None:
    home.films(70)
    home.film(title="Odd", started=None, stopped=NOW)
    home.fake.features.remove("before_after")
    with small_windows(20):
        for hour in range(3):
            run = home.run(now=NOW + hour * 3600)
            assert run.ids == home.listed
            assert any("older than 2.8" in notice for notice in run.notices)
            assert max(asked.rows for asked in run.history) <= 20
            home.film(0)


def test_one_that_knows_no_windows_and_fails_on_some_rows(home: Home) -> None:
    home.films(70)
    bad = [home.poison(50), home.poison(3)]
    home.fake.features.remove("before_after")
    for hour in range(2):
        run = home.run(now=NOW + hour * 3600)
        assert run.ids == [number for number in home.listed if number not in bad]
        assert run.reasons == {"not_delivered": 2}


def test_one_that_learns_windows_is_asked_for_them(home: Home) -> None:
    home.films(70)
    home.fake.features.remove("before_after")
    home.run()
    home.fake.features.add("before_after")
    home.film(0)
    run = home.run(now=NOW + DAY)
    assert run.ids == home.listed
    assert len(run.history) <= 2


def test_one_whose_rows_have_no_row_id_tells_their_id(home: Home) -> None:
    home.films(30)
    home.fake.features.remove("row_id")
    assert home.run().ids == home.listed


def test_one_that_shows_what_is_being_played(home: Home) -> None:
    home.films(30)
    home.fake.features.remove("include_activity")
    home.fake.activity += [{}, {"started": NOW}]
    for hour in range(2):
        run = home.run(now=NOW + hour * 3600)
        assert run.ids == home.listed
        assert "In progress" not in {play.title for play in run.plays.values()}


def test_one_that_shows_what_is_being_played_and_has_lost_a_row(home: Home) -> None:
    ids = home.films(30)
    home.execute("DELETE FROM session_history_metadata WHERE id = ?", ids[4])
    home.fake.features.remove("include_activity")
    home.fake.activity.append({})
    run = home.run()
    assert run.ids == home.listed
    assert run.reasons == {"no_metadata": 1}


def test_one_that_groups_is_refused(home: Home) -> None:
    home.film(10)
    home.film(9, reference_id=1)
    home.fake.features.remove("grouping")
    with pytest.raises(SourceDamagedError, match="groups plays") as caught:
        home.run()
    assert "tautulli-import db" in caught.value.hint


def test_one_that_groups_is_refused_in_a_sentence(home: Home, cli: Cli) -> None:
    home.film(10)
    home.film(9, reference_id=1)
    home.fake.features.remove("grouping")
    env = home.fake.environment
    done = cli("api", "--to", "tracker", env=env)
    assert done.code == SourceDamagedError.exit_code
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert not (home.path.parent / "crosswatch-tracker").exists()


def test_one_that_takes_no_post_is_asked_by_get(home: Home) -> None:
    home.films(30)
    home.fake.features.remove("post")
    run = home.run()
    assert run.ids == home.listed
    assert {asked.method for asked in run.asked[1:]} == {"GET"}
    assert any("The API key is sent in the URL" in notice for notice in run.notices)


def test_one_that_does_not_know_its_settings_by_name(home: Home) -> None:
    """The thresholds are not known then, and its own verdict is believed."""
    home.films(30)
    home.fake.settings["watched_marker"] = None
    assert home.run().ids == home.listed
