"""Each user's history goes into the profile that the settings name, and into no other."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any
from unittest.mock import patch

import pytest

from tautulli_import.sinks.crosswatch import CrosswatchSink
from tests.support.nightly import said
from tests.support.pushing import Pushes

PROFILES = "TAUTULLI_IMPORT_PROFILES"


@pytest.fixture
def two(pushes: Pushes) -> Pushes:
    """Return a CrossWatch with two profiles more."""
    pushes.fake.add_profile("CW-P01", "Kids")
    pushes.fake.add_profile("CW-P02", "Two")
    return pushes


def name_profiles(pushes: Pushes, profiles: str) -> None:
    pushes.nights.environment[PROFILES] = profiles  # type: ignore[index]


def test_an_id_and_its_label_are_one_profile(two: Pushes) -> None:
    name_profiles(two, "alice=CW-P01,bob=Kids")
    assert "Alice and Bob have the same place" in two.fails(2, "--each-user")
    assert two.fake.items("CW-P01") == {}


def test_a_remembered_choice_mixes_no_users(two: Pushes) -> None:
    name_profiles(two, "alice=default,bob=CW-P01")
    two.run("--each-user", "--replace")
    before = dict(two.fake.trackers)
    name_profiles(two, "alice=CW-P01,bob=CW-P01")
    assert "have the same place" in said(two.run(days=1, code=2))
    assert two.fake.trackers == before


def test_a_username_goes_before_a_friendly_name(two: Pushes) -> None:
    two.nights.execute("UPDATE users SET friendly_name = 'bob' WHERE username = 'alice'")
    name_profiles(two, "bob=CW-P02,alice=CW-P01")
    two.run("--each-user")
    found = {one: len(two.fake.items(one)) for one in ("CW-P01", "CW-P02")}
    users = {"CW-P01": "1", "CW-P02": "2"}
    assert found == {one: len(two.expected("--user", user)) for one, user in users.items()}
    assert len(set(found.values())) == 2


def test_plays_without_a_user_are_refused_before_anything_is_written(two: Pushes) -> None:
    name_profiles(two, "alice=CW-P01,bob=CW-P02")
    newest = "SELECT max(id) FROM session_history"
    two.nights.execute(
        f"UPDATE session_history SET user_id = NULL, user = '' WHERE id = ({newest})"  # noqa: S608
    )
    assert "No profile of CrossWatch is given for the user unknown" in two.fails(2, "--each-user")
    assert two.fake.trackers == {}


# An id and its label are one output, also in what is remembered.


def told(pushes: Pushes, *command: str) -> dict[str, Any]:
    """Return what a command prints as JSON."""
    done = pushes.nights.inside(*command, "--json", "--state-dir", pushes.nights.state)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_an_id_and_its_label_have_one_state(two: Pushes) -> None:
    two.run("--profile", "Kids", "--all-users")
    assert "Nothing new" in said(two.run("--profile", "CW-P01", "--all-users"))
    (run,) = told(two, "status")["runs"]
    assert run["targets"] == [f"crosswatch={two.fake.url} cw-p01"]
    (checkpoint,) = told(two, "checkpoint", "list")["checkpoints"]
    assert checkpoint["sinks"] == [f"crosswatch={two.fake.url} cw-p01"]


def test_an_output_is_known_by_its_id_also_when_nobody_answers(two: Pushes) -> None:
    two.run("--profile", "Kids", "--all-users")
    two.fake.faults.append(lambda _: (503, b""))
    two.run("--profile", "Kids", "--all-users", code=8)
    failed, good = told(two, "status")["runs"]
    assert (good["status"], failed["status"]) == ("completed", "failed")
    assert good["targets"] == failed["targets"]


def test_what_an_earlier_version_remembered_under_the_label_is_taken_over(two: Pushes) -> None:
    with patch.object(CrosswatchSink, "identity", CrosswatchSink.asked_identity):
        two.run("--profile", "Kids", "--user", "alice", "--replace")
    looked = said(two.run("--profile", "Kids", "--dry-run"))
    assert "Only the plays of Alice, as chosen in an earlier run." in looked
    for profile in ("Kids", "CW-P01", "Kids"):
        two.run("--profile", profile, "--restart")
        assert two.fake.items("CW-P01").keys() == two.expected("--user", "alice").keys()
    with closing(sqlite3.connect(next(two.nights.state.glob("*.db")))) as state:
        places = state.execute("SELECT DISTINCT target FROM published").fetchall()
    assert places == [(f"{two.fake.url} cw-p01",)]
