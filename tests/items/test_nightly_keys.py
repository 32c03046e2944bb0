"""New ids for old items: the old key is replaced, nothing stands twice, nothing foreign goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tautulli_import.errors import SinkError
from tautulli_import.sinks import tracker
from tests.support.nightly import DAY, NOW, Nights
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli

IMDB = "com.plexapp.agents.imdb://tt{}?lang=en"
KEY = 12


@pytest.fixture
def nights(nights: Nights) -> Nights:
    """Return a film that has no id but Plex's own, between two others."""
    nights.film(200, "Before", year=1999)
    nights.film(100, "Unknown", year=2001, rating_key=KEY)
    nights.film(90, "After", year=2002)
    return nights


def moment(days_ago: float, *, minutes: int = 120) -> int:
    """When a film that was begun so many days ago was over."""
    return NOW - int(days_ago * DAY) + 60 * minutes


def ids(nights: Nights, *lines: str, name: str = "ids.csv") -> tuple[str, str]:
    """Return the option for corrections: each film's rating key and number at TheMovieDB."""
    path = nights.path.with_name(name)
    text = "".join(f"movie,{line}\n" for line in lines)
    path.write_text(f"type,rating_key,tmdb\n{text}", "utf-8")
    return ("--ids", str(path))


def keys(nights: Nights, title: str = "Unknown", user: str = "") -> list[str]:
    """Return the keys under which a title stands, oldest first."""
    return [key for key, item in nights.items(user).items() if item["title"] == title]


def test_a_correction_replaces_the_old_key(nights: Nights) -> None:
    nights.run()
    assert keys(nights) == ["plex:12"]
    nights.night(*ids(nights, "12,603"))
    assert keys(nights) == ["tmdb:603"]
    assert len(nights.items()) == 3


def test_a_correction_that_is_taken_back_gives_the_old_key_back(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    nights.night()
    assert keys(nights) == ["plex:12"]


def test_a_correction_that_is_corrected(nights: Nights) -> None:
    nights.run()
    nights.night(*ids(nights, "12,603"))
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


@pytest.mark.parametrize("first", [(), ("12,603",)])
def test_a_title_that_was_watched_again_meanwhile(nights: Nights, first: tuple[str, ...]) -> None:
    """Its old entry is of another moment, and under another id: only the memory knows it."""
    nights.run(*ids(nights, *first))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


@pytest.mark.parametrize("first", [(), ("12,603",)])
def test_every_viewing_is_given_its_new_key(nights: Nights, first: tuple[str, ...]) -> None:
    nights.film(80, "Unknown", year=2001, rating_key=KEY)
    nights.run("--rewatches", *ids(nights, *first))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night("--rewatches", *ids(nights, "12,604"))
    moments = [moment(days) for days in (100, 80, -0.5)]
    assert keys(nights) == [f"tmdb:604@{one}" for one in moments]


def test_a_viewing_that_is_resumed_later_stands_once(nights: Nights) -> None:
    nights.film(2, "Long", year=2003)
    nights.run("--rewatches")
    nights.rest(-0.5, "Long", year=2003)
    done = nights.night("--rewatches")
    (key,) = keys(nights, "Long")
    assert key.endswith(f"@{moment(-0.5, minutes=6)}")
    assert done.changes[2] == 1


def test_a_viewing_that_was_begun_long_ago_and_is_resumed_stands_once(nights: Nights) -> None:
    nights.run("--rewatches")
    nights.rest(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night("--rewatches")
    assert keys(nights) == [f"plex:12@{moment(-0.5, minutes=6)}"]


def test_a_viewing_that_is_resumed_and_told_its_ids_at_once(nights: Nights) -> None:
    nights.run("--rewatches")
    nights.rest(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night("--rewatches", *ids(nights, "12,603"))
    assert keys(nights) == [f"tmdb:603@{moment(-0.5, minutes=6)}"]


def test_a_new_play_tells_the_id_of_old_ones(nights: Nights) -> None:
    nights.run()
    guid = IMDB.format("0133093")
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY, guid=guid)
    done = nights.night()
    assert keys(nights) == ["imdb:tt0133093"]
    assert done.told["items"]["ids_from"]["guid"] == 1


def test_a_new_play_that_is_no_viewing_tells_the_id_of_old_ones(nights: Nights) -> None:
    """Two minutes of a film are not a viewing, and say which film it is all the same."""
    nights.run()
    guid = IMDB.format("0133093")
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY, guid=guid, view_offset=120_000)
    nights.night()
    assert keys(nights) == ["imdb:tt0133093"]


def test_a_new_episode_tells_the_ids_of_its_whole_show(nights: Nights) -> None:
    for number in (1, 2, 3):
        nights.episode(60 - number, number, id=10 + number)
    nights.run()
    guid = "com.plexapp.agents.thetvdb://73244/1/4?lang=en"
    nights.episode(-0.5, 4, guid=guid)
    nights.night()
    shows = {key.partition("#")[0] for key in nights.items() if "#" in key}
    assert shows == {"tvdb:73244"}
    assert len(nights.items()) == 3 + 4


def test_a_refresh_of_the_metadata_gives_all_of_a_show_new_keys(nights: Nights) -> None:
    for number in (1, 2, 3):
        nights.episode(60 - number, number, id=10 + number)
    nights.run()
    for number in (1, 2, 3):
        guid = f"com.plexapp.agents.thetvdb://73244/1/{number}?lang=en"
        nights.set("m.guid", guid, 10 + number)
        nights.set("m.updated_at", 1_600_000_000, 10 + number)
    nights.night()
    assert [key for key in nights.items() if "#" in key] == [
        f"tvdb:73244#s01e0{number}" for number in (1, 2, 3)
    ]


def test_an_episode_that_was_given_another_number(nights: Nights) -> None:
    nights.episode(60, 1, id=11)
    nights.run()
    nights.set("m.media_index", 2, 11)
    done = nights.night()
    assert [key[-6:] for key in keys(nights, "Episode 1")] == ["s01e02"]
    assert done.changes == (1, 0, 1)


def test_plex_tells_the_id_of_what_had_none(nights: Nights, tmp_path: Path) -> None:
    key = tmp_path / "key"
    with FakeTautulli(nights.path) as fake, no_waiting():
        key.write_text(fake.key, "utf-8")
        server = ("--enrich", "--url", fake.url, "--api-key-file", str(key))
        nights.run()
        nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
        fake.plex[KEY] = _film("Unknown", "tmdb://603")
        done = nights.run(*server, days=1)
    assert done.code == 0, done.err
    assert keys(nights) == ["tmdb:603"]
    assert done.told["requests"]["metadata"] == 3


def _film(title: str, *guids: str) -> dict[str, Any]:
    missing = dict.fromkeys(("original_title", "parent_title", "grandparent_title", "guid"), "")
    lists: dict[str, object] = {"guids": [*guids], "parent_guids": [], "grandparent_guids": []}
    return {"media_type": "movie", "title": title, "year": "2001", **missing, **lists}


# What is not ours, or no longer.


def entry(title: str, days_ago: float, **more: object) -> dict[str, object]:
    """Return an entry that another source has put there."""
    when = f"20{25 - int(days_ago // 365):02d}-01-01T00:00:00Z"
    return {"type": "movie", "title": title, "year": 2001, "ids": {}, "watched_at": when, **more}


def test_foreign_entries_stay(nights: Nights) -> None:
    foreign = {"trakt:1": entry("Foreign", 10), "plex:999": entry("Other", 400)}
    nights.write_items(foreign)
    nights.run()
    nights.night(*ids(nights, "12,603"))
    items = nights.items()
    assert {key: items[key] for key in foreign} == foreign
    assert len(items) == 5


def test_a_foreign_entry_under_an_old_key_stays(nights: Nights) -> None:
    """Somebody else has put a newer viewing there, under the key that we had."""
    nights.run(*ids(nights, "12,603"))
    items = nights.items()
    items["tmdb:603"] = {**items["tmdb:603"], "watched_at": "2025-06-15T20:00:00Z"}
    nights.write_items(items)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604", "tmdb:603"]
    assert nights.items()["tmdb:603"] == items["tmdb:603"]


def test_what_crosswatch_adds_to_our_entry_does_not_make_it_foreign(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    items = nights.items()
    items["tmdb:603"]["_cw_event"] = "seen"
    nights.write_items(items)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


@pytest.mark.parametrize("again", [False, True])
def test_keys_that_crosswatch_has_rewritten(nights: Nights, *, again: bool) -> None:
    """A pair with "Rewatches" on writes every key as `key@epoch`."""
    nights.run(*ids(nights, "12,603"))
    moments = {"Before": 200, "Unknown": 100, "After": 90}
    items = nights.items()
    nights.write_items(
        {f"{key}@{moment(moments[item['title']])}": item for key, item in items.items()}
    )
    if again:
        nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,604"))
    (key,) = keys(nights)
    assert key.partition("@")[0] == "tmdb:604"
    assert len(nights.items()) == 3


def test_what_is_gone_from_the_tracker_is_not_missed(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    items = nights.items()
    del items["tmdb:603"]
    nights.write_items(items)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


def test_a_play_that_is_deleted_in_tautulli_stays(nights: Nights) -> None:
    nights.run()
    nights.delete(2)
    done = nights.night()
    assert keys(nights) == ["plex:12"]
    assert done.changes == (0, 0, 0)
    for _ in range(2):
        nights.night(*ids(nights, "12,603"))
    assert keys(nights) == ["plex:12"]


def test_a_deleted_play_of_a_title_that_was_watched_before_stays_newest(nights: Nights) -> None:
    newest = nights.film(3, "Before", year=1999)
    nights.run()
    before = nights.items()
    nights.delete(newest)
    nights.night()
    assert nights.items() == before


def test_a_play_that_no_longer_counts_as_watched_stays(nights: Nights) -> None:
    nights.run()
    nights.set("h.view_offset", 1000, 2)
    nights.night()
    assert keys(nights) == ["plex:12"]


def test_a_number_that_is_given_to_another_play_takes_nothing_away(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    nights.delete(2)
    nights.film(95, "Newcomer", year=2004, rating_key=77, id=2)
    nights.night(*ids(nights, "77,800"))
    assert keys(nights) == ["tmdb:603"]
    assert keys(nights, "Newcomer") == ["tmdb:800"]


def test_two_users_by_two_runs_into_one_tracker(nights: Nights) -> None:
    nights.film(70, "Unknown", year=2001, rating_key=KEY, user_id=2)
    nights.film(60, "Of Bob", year=2005, user_id=2, rating_key=13)
    for _ in range(2):
        nights.run("--user", "alice")
        nights.run("--user", "bob")
    assert len(nights.items()) == 4
    old = ids(nights, "12,603", "13,700")
    for user in ("alice", "bob", "alice"):
        nights.night("--user", user, *old)
    assert {*nights.items()} >= {"tmdb:603", "tmdb:700"}
    assert len(nights.items()) == 4
    assert nights.items()["tmdb:603"]["watched_at"] == "2025-04-06T17:06:40Z"


def test_one_user_whose_ids_change_takes_nothing_from_the_other(nights: Nights) -> None:
    """Bob watched the same film later, under an id that Alice's run has given up."""
    nights.film(70, "Unknown", year=2001, rating_key=KEY, user_id=2)
    old, new = ids(nights, "12,603"), ids(nights, "12,604", name="new.csv")
    nights.run("--user", "alice", *old)
    nights.run("--user", "bob", *old)
    nights.night("--user", "alice", *new)
    assert nights.items()["tmdb:603"]["watched_at"] == "2025-04-06T17:06:40Z"
    nights.night("--user", "bob", *new)
    assert keys(nights) == ["tmdb:604"]
    assert nights.items()["tmdb:604"]["watched_at"] == "2025-04-06T17:06:40Z"


def test_each_user_has_keys_of_his_own(nights: Nights) -> None:
    nights.film(70, "Unknown", year=2001, rating_key=KEY, user_id=2)
    nights.run("--each-user", *ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY, user_id=2)
    nights.night("--each-user", *ids(nights, "12,604"))
    assert keys(nights, user="Alice") == keys(nights, user="Bob") == ["tmdb:604"]


# What is remembered of it.


def test_a_restart_still_knows_what_was_published(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.run("--restart", *ids(nights, "12,604"), days=1)
    assert keys(nights) == ["tmdb:604"]


def test_another_place_is_another_tracker(nights: Nights) -> None:
    nights.run(*ids(nights, "12,603"))
    other = ("--to", "tracker", "--out", nights.out / "other")
    nights.run(*other, *ids(nights, "12,604"), to=None)
    assert keys(nights) == ["tmdb:603"]


def test_what_was_staged_and_never_came_through_is_cleaned_up(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed between the sink's commit and the note of it: the keys are ours."""
    with monkeypatch.context() as patch:
        patch.setattr("tautulli_import.state.outputs.OutputStore.publish", lambda *_: None)
        nights.run(*ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


def failing(patch: pytest.MonkeyPatch) -> None:
    """Make the tracker unwritable."""

    def fails(*_: object, **__: object) -> bool:
        raise SinkError("The disk is full.")

    patch.setattr(tracker, "write_whole", fails)


@pytest.mark.parametrize("times", [1, 2])
def test_ids_that_change_again_before_the_tracker_could_be_written(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    nights.run(*ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,603"))
    with monkeypatch.context() as patch:
        failing(patch)
        for attempt in range(times):
            assert nights.run(*ids(nights, f"12,{604 + attempt}")).code == 8
    nights.film(-0.7, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,610"))
    assert keys(nights) == ["tmdb:610"]


def test_ids_that_change_back_after_the_tracker_could_not_be_written(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was staged for the run that failed must not count as published by the next."""
    nights.run(*ids(nights, "12,603"))
    with monkeypatch.context() as patch:
        failing(patch)
        assert nights.run(*ids(nights, "12,604")).code == 8
    nights.run(*ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    nights.night(*ids(nights, "12,604"))
    assert keys(nights) == ["tmdb:604"]


def test_checkpoints_that_are_cleared_take_no_entry_away(nights: Nights) -> None:
    """Nobody knows any more what was given: an old key of another moment stays."""
    nights.run(*ids(nights, "12,603"))
    nights.film(-0.5, "Unknown", year=2001, rating_key=KEY)
    assert nights.inside("checkpoint", "clear", "--all", "--state-dir", nights.state).code == 0
    nights.night(*ids(nights, "12,604"))
    assert {"tmdb:604"} <= {*keys(nights)}
