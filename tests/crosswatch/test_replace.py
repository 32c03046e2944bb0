"""``--replace`` over HTTP: what is ours and not wanted goes, and nothing else does."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crosswatch.conftest import INTO_THE_TRACKER
from tests.crosswatch.test_checks import PAIR
from tests.support.crosswatch import Answer, Call
from tests.support.nightly import NOW, said
from tests.support.pushing import Pushes

FOREIGN = {
    "type": "movie",
    "ids": {"tmdb": "9"},
    "title": "Foreign",
    "year": 2000,
    "watched_at": "2019-01-01T00:00:00Z",
}


def titles(pushes: Pushes) -> list[str]:
    return sorted(item["title"] for item in pushes.fake.items().values())


@pytest.fixture
def both(pushes: Pushes) -> Pushes:
    """Return a tracker with everybody's plays and a foreign entry."""
    pushes.run("--all-users", "--rewatches")
    pushes.fake.items()["tmdb:9"] = dict(FOREIGN)
    return pushes


def test_entries_of_ours_that_are_not_wanted_are_removed(both: Pushes) -> None:
    before = len(both.fake.items())
    done = both.run("--user", "alice", "--rewatches", "--replace", days=1)
    expected = both.expected("--user", "alice", "--rewatches")
    assert both.fake.items().keys() == {*expected, "tmdb:9"}
    assert both.fake.items()["tmdb:9"] == FOREIGN
    assert done.told["outputs"][0]["removed"] == before - len(expected) - 1
    assert f"This run will remove {before - len(expected) - 1}" in said(done) or (
        "will remove them" in said(done)
    )
    again = both.run("--user", "alice", "--rewatches", "--replace", days=1)
    assert again.changes == (0, 0, 0)
    assert len(both.fake.asked("import")) == 2


def test_without_it_they_stay_and_are_named(both: Pushes) -> None:
    before = set(both.fake.items())
    told = said(both.run("--user", "alice", "--rewatches", days=1))
    assert set(both.fake.items()) == before
    assert "add --replace" in told
    assert "Bob (" in told


def test_what_the_import_wrote_is_removed_too(by_import: Pushes) -> None:
    by_import.run("--all-users")
    by_import.fake.is_admin = True
    by_import.run("--user", "alice", "--replace", days=1)
    assert by_import.fake.items().keys() == by_import.expected("--user", "alice").keys()


def test_an_older_viewing_that_a_newer_one_left_behind_is_removed(pushes: Pushes) -> None:
    pushes.run("--all-users", "--replace")
    pushes.nights.film(0.5, "Film 6", year=1996)
    pushes.run("--all-users", days=1)
    assert [*pushes.fake.items()] != [*pushes.expected("--all-users")]
    pushes.run("--all-users", "--replace", days=1)
    assert pushes.fake.items().keys() == pushes.expected("--all-users").keys()


@pytest.mark.parametrize("options", [(), ("--rewatches",)])
def test_an_entry_that_somebody_changed_stays(pushes: Pushes, options: tuple[str, ...]) -> None:
    pushes.run("--all-users", *options)
    items = pushes.fake.items()
    theirs = next(key for key, item in items.items() if item["title"] == "Film 5")
    items[theirs]["watched_at"] = "2021-05-05T05:05:05Z"
    done = pushes.run("--user", "alice", "--replace", *options, days=1)
    assert pushes.fake.items()[theirs]["watched_at"] == "2021-05-05T05:05:05Z"
    assert done.told["outputs"][0]["kept"] == 1


def test_the_export_is_kept_first(both: Pushes) -> None:
    before = dict(both.fake.items())
    done = both.run("--user", "alice", "--rewatches", "--replace", days=1)
    (copy,) = done.told["outputs"][0]["copies"]
    with zipfile.ZipFile(copy) as archive:
        assert json.loads(archive.read("history.json"))["items"] == before
    assert Path(copy).is_relative_to(both.nights.state / "previous")
    for day in range(5):
        both.fake.items()[f"tmdb:{day}"] = dict(FOREIGN)
        user = ("alice", "bob")[day % 2]
        both.run("--user", user, "--rewatches", "--replace", days=1)
    assert len([*(both.nights.state / "previous").iterdir()]) == 3


def test_it_needs_an_administrator_and_a_state_directory(both: Pushes) -> None:
    both.fake.is_admin = False
    assert "needs the token of an administrator" in both.fails(4, "--replace")
    assert both.fake.asked("export") == both.fake.asked("export")[:1]


def test_a_tracker_that_changes_meanwhile_is_not_overwritten(both: Pushes) -> None:
    fake = both.fake
    before = dict(fake.items())

    def written() -> None:
        fake.items()["tmdb:10"] = dict(FOREIGN)

    fake.before["crosswatch-tracker"] = [lambda: None, written]
    told = both.fails(6, "--user", "alice", "--rewatches", "--replace")
    assert "was changed during the import" in told
    assert fake.items().keys() == {*before, "tmdb:10"}
    both.run("--user", "alice", "--rewatches", "--replace")
    assert "tmdb:10" in fake.items()


def test_an_upload_that_did_not_arrive_is_an_error(both: Pushes) -> None:
    both.fake.loses_writes = True
    told = both.fails(8, "--user", "alice", "--rewatches", "--replace")
    assert "does not have what was uploaded" in told


def test_nothing_is_replaced_in_a_sync_that_began_meanwhile(both: Pushes) -> None:
    before = dict(both.fake.items())
    both.forget_calls()
    both.fake.before["version"] = [both.fake.begin_sync]
    told = both.fails(6, "--user", "alice", "--rewatches", "--replace")
    assert "or a sync began" in told
    assert both.fake.asked("import") == []
    assert both.fake.items() == before


def test_a_sync_during_the_upload_is_told_whatever_it_has_written(both: Pushes) -> None:
    def write() -> None:
        both.fake.begin_sync()
        both.fake.items()["tmdb:10"] = dict(FOREIGN)

    both.fake.before["import"] = [lambda: both.fake.before.update(export=[write])]
    told = both.fails(6, "--user", "alice", "--rewatches", "--replace")
    assert "A sync began" in told
    assert "Remove" in told


@pytest.mark.parametrize(
    "change",
    [{"provider_instance": "x"}, {"target": "snapshot"}, {"kind": "ratings"}, {"ok": False}],
)
def test_an_upload_that_went_elsewhere_is_an_error(both: Pushes, change: dict[str, object]) -> None:
    def elsewhere(call: Call) -> Answer | None:
        answer = {"ok": True, "provider_instance": "default", "target": "state", "kind": "history"}
        return (200, answer | change) if call.name == "import" else None

    both.fake.faults.append(elsewhere)
    told = both.fails(8, "--user", "alice", "--rewatches", "--replace")
    assert "did not take the history" in told or "took the history" in told


def test_what_a_pair_would_remove_elsewhere_is_listed_and_needs_a_word(both: Pushes) -> None:
    both.fake.pairs = [PAIR]
    before = dict(both.fake.items())
    options = ("--user", "alice", "--rewatches", "--replace")
    told = both.fails(2, *options)
    assert "CROSSWATCH – TRAKT has Remove on" in told
    assert "Film 5" in told
    assert "--drop-synced" in told
    assert both.fake.items() == before
    both.run(*options, "--drop-synced")
    assert len(both.fake.items()) < len(before)


def test_what_would_be_removed_is_listed_whatever_another_program_made_of_it(both: Pushes) -> None:
    both.fake.pairs = [PAIR]
    for item in both.fake.items().values():
        if item["type"] == "episode":
            item["season"] = None
            item["episode"] = "1"
    told = both.fails(2, "--user", "alice", "--rewatches", "--replace")
    assert re.search(r" S\d\dE\d\d[,.]", told)


def test_a_full_disk_for_temporary_files_is_no_failure_of_standard_output(
    both: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    told = both.fails(8, "--user", "alice", "--rewatches", "--replace")
    assert "standard output" not in told
    assert f"temporary file: {os.strerror(errno.ENOSPC)}" in told


@pytest.mark.parametrize(("mode", "is_refused"), [("two-way", True), ("one-way", False)])
def test_a_pair_that_only_writes_here_removes_nothing_elsewhere(
    both: Pushes, mode: str, *, is_refused: bool
) -> None:
    both.fake.pairs = [PAIR | {"source": "PLEX", "target": "CROSSWATCH", "mode": mode}]
    code = 2 if is_refused else 0
    both.run("--user", "alice", "--rewatches", "--replace", code=code)


def test_a_pair_that_removes_nothing_of_this_is_no_obstacle(both: Pushes) -> None:
    both.fake.pairs = [PAIR]
    both.run("--all-users", "--rewatches", "--replace", days=1)


def test_a_pair_that_would_bring_back_what_is_removed_is_named(both: Pushes) -> None:
    both.fake.pairs = [INTO_THE_TRACKER]
    options = ("--user", "alice", "--rewatches", "--replace")
    for more in ("--dry-run",), ():
        told = said(both.run(*options, *more))
        assert "The sync pair TRAKT – CROSSWATCH adds again what is removed here" in told
    assert "adds again" not in said(both.run(*options, days=1))


def test_drop_synced_alone_is_a_mistake(both: Pushes) -> None:
    assert "--drop-synced is only for --replace" in both.fails(2, "--drop-synced")


def test_a_dry_run_shows_it_and_changes_nothing(both: Pushes) -> None:
    both.fake.pairs = [PAIR]
    before = dict(both.fake.items())
    done = both.run("--user", "alice", "--rewatches", "--replace", "--dry-run", days=1)
    assert done.told["outputs"][0]["removed"] > 0
    assert "has Remove on" in said(done)
    assert both.fake.items() == before
    assert len(both.fake.asked("import")) == 1


def test_a_key_that_changed_is_replaced(pushes: Pushes) -> None:
    pushes.nights.film(30, "Unknown", year=2001, rating_key=99)
    pushes.run()
    ids = pushes.nights.folder / "ids.csv"
    ids.write_text("type,rating_key,tmdb\nmovie,99,603\n", "utf-8")
    pushes.run("--ids", ids, days=1)
    pushes.run("--ids", ids, "--replace", days=1)
    keys = [key for key, item in pushes.fake.items().items() if item["title"] == "Unknown"]
    assert [key.partition("@")[0] for key in keys] == ["tmdb:603"]


# The same viewing, noted by another program.


def near(pushes: Pushes, seconds: int) -> dict[str, Any]:
    """Put an entry of another program into the tracker, near the end of a film of ours."""
    pushes.nights.film(40, "Seen Twice", year=2011, guid="imdb://tt0000077")
    end = NOW - 40 * 86_400 + 7_200
    when = end + seconds
    stamp = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {
        "type": "movie",
        "ids": {"imdb": "tt0000077"},
        "title": "Seen Twice",
        "watched_at": stamp,
    }
    pushes.fake.trackers["default"] = {f"imdb:tt0000077@{when}": item}
    return item


def test_a_viewing_that_another_program_noted_is_not_pushed_again(pushes: Pushes) -> None:
    item = near(pushes, 20)
    pushes.run("--rewatches")
    found = [one for one in pushes.fake.items().values() if one["title"] == "Seen Twice"]
    assert found == [item]
    pushes.forget_calls()
    assert "Nothing new" in said(pushes.run("--rewatches", days=1))
    (sample,) = pushes.sent()
    assert "Seen Twice" not in [row["title"] for row in sample]


def test_after_a_replacement_such_a_viewing_is_still_known(pushes: Pushes) -> None:
    item = near(pushes, 20)
    pushes.run("--rewatches")
    pushes.run("--rewatches", "--replace", days=1)
    pushes.forget_calls()
    assert "Nothing new" in said(pushes.run("--rewatches", days=1))
    (sample,) = pushes.sent()
    assert "Seen Twice" not in [row["title"] for row in sample]
    assert [one for one in pushes.fake.items().values() if one["title"] == "Seen Twice"] == [item]


def test_how_near_is_a_matter_of_choice(pushes: Pushes) -> None:
    near(pushes, 200)
    pushes.run("--rewatches", "--same-play", "10", "--dry-run")
    pushes.run("--rewatches", "--same-play", "10")
    found = [one for one in pushes.fake.items().values() if one["title"] == "Seen Twice"]
    assert len(found) == 2


def test_without_an_administrator_that_is_said_once(by_import: Pushes) -> None:
    near(by_import, 20)
    assert "--same-play has no effect" in said(by_import.run("--rewatches"))
    assert len(titles(by_import)) == len(by_import.expected("--rewatches")) + 1
    by_import.nights.film(1, "New", year=2020)
    assert "--same-play has no effect" not in said(by_import.run("--rewatches", days=1))
