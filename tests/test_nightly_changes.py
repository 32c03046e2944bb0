"""What was read long ago and is another now: it is noticed, said, and everything is read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.history.schema import Value
from tests.nightly import DAY, NOW, Nights, at_home

SETTLED = 12
CHANGED = "old plays have changed, as after Tautulli refreshed its metadata"


@pytest.fixture
def nights(tmp_path: Path, environment: dict[str, str]) -> Iterator[Nights]:
    """A small history."""
    with at_home(tmp_path, environment) as made:
        made.years()
        yield made


def only(nights: Nights, *why: str, **how: float) -> None:
    """Run it: for this reason everything is read again, and the next night it is not."""
    found = nights.night(**how)
    assert found.why == [f"Everything is read again: {one}." for one in why]
    assert found.carried == (0 if why else SETTLED)
    again = nights.night()
    assert again.why == []
    assert again.carried >= SETTLED - 2


# What stands in an old row.

ROW: dict[str, Value] = {
    "reference_id": 4,
    "started": NOW - 300 * DAY,
    "stopped": NOW - 200 * DAY,
    "user_id": 2,
    "view_offset": 10_000,
    "section_id": 2,
}
METADATA: dict[str, Value] = {
    "title": "Another Title",
    "guid": "com.plexapp.agents.imdb://tt0133093?lang=en",
    "rating_key": 4242,
    "year": 1977,
    "updated_at": 1_600_000_000,
}
EPISODE: dict[str, Value] = {
    "grandparent_title": "Another Show",
    "grandparent_rating_key": 4242,
    "parent_media_index": 2,
    "media_index": 8,
}


@pytest.mark.parametrize("column", ROW)
def test_an_old_play_that_has_changed(nights: Nights, column: str) -> None:
    nights.run()
    nights.play(5, **{column: ROW[column]})
    only(nights, CHANGED)


@pytest.mark.parametrize("column", METADATA)
def test_an_old_title_that_has_changed(nights: Nights, column: str) -> None:
    nights.run()
    nights.meta(5, **{column: METADATA[column]})
    only(nights, CHANGED)


@pytest.mark.parametrize("column", EPISODE)
def test_an_old_episode_that_has_changed(nights: Nights, column: str) -> None:
    nights.run()
    nights.meta(6, **{column: EPISODE[column]})
    only(nights, CHANGED)


@pytest.mark.parametrize("value", [None, "", "no number", 1, 1.5])
def test_a_number_that_becomes_something_else(nights: Nights, value: float | str | None) -> None:
    nights.run()
    nights.meta(6, media_index=value)
    nights.meta(6, updated_at=1_600_000_000)
    only(nights, CHANGED)


@pytest.mark.parametrize("title", [None, "", "Film 44"])
def test_a_title_that_becomes_nothing_or_longer(nights: Nights, title: str | None) -> None:
    nights.run()
    nights.meta(5, title=title)
    only(nights, CHANGED)


def test_a_title_of_the_same_length_is_seen_by_the_time_of_its_refresh(nights: Nights) -> None:
    """Tautulli writes Plex's `updated_at` with whatever it writes into old metadata."""
    nights.run()
    nights.meta(5, title="Mlif 4", updated_at=1_600_000_001)
    only(nights, CHANGED)
    assert "Mlif 4" in nights.titles()


def test_two_rows_that_have_exchanged_what_is_in_them(nights: Nights) -> None:
    """The sum over what stands in them is the same; which row it stands in tells."""
    nights.run()
    one = nights.conn.execute("SELECT started, stopped FROM session_history WHERE id = 3")
    other = nights.conn.execute("SELECT started, stopped FROM session_history WHERE id = 4")
    (third,), (fourth,) = one.fetchall(), other.fetchall()
    nights.play(3, started=fourth[0], stopped=fourth[1])
    nights.play(4, started=third[0], stopped=third[1])
    only(nights, CHANGED)


def test_metadata_that_was_deleted(nights: Nights) -> None:
    nights.run()
    nights.execute("DELETE FROM session_history_metadata WHERE id = 5")
    only(nights, CHANGED)
    found = nights.night()
    assert found.told["plays"]["rejected"]["no_metadata"] == 1
    assert "Film 4" in nights.titles()


@pytest.mark.parametrize("table", ["session_history_metadata", "session_history_media_info"])
def test_what_is_missing_of_a_row_and_comes_back(nights: Nights, table: str) -> None:
    kept = nights.conn.execute(f"SELECT * FROM {table} WHERE id = 5").fetchone()  # noqa: S608 - our own names
    nights.execute(f"DELETE FROM {table} WHERE id = 5")  # noqa: S608 - as above
    assert nights.run().told["plays"]["rejected"]["no_metadata"] == 1
    marks = ", ".join("?" * len(kept))
    nights.execute(f"INSERT INTO {table} VALUES ({marks})", *kept)  # noqa: S608 - as above
    only(nights, CHANGED)
    assert "Film 4" in nights.titles()


def test_a_change_is_seen_on_the_first_row_and_on_the_last_settled(nights: Nights) -> None:
    nights.run()
    nights.meta(1, title="Another Title")
    only(nights, CHANGED)
    nights.meta(SETTLED, title="Another Title")
    only(nights, CHANGED)


def test_two_rows_that_both_changed(nights: Nights) -> None:
    nights.run()
    nights.meta(2, title="Film 1 and more")
    nights.meta(3, title="F")
    only(nights, CHANGED)


# Rows that are gone, or were not there.


def test_an_old_play_that_was_deleted(nights: Nights) -> None:
    nights.run()
    nights.delete(5)
    only(nights, "1 old play was deleted")
    assert "Film 4" in nights.titles()  # an import takes nothing away


def test_the_newest_old_play_that_was_deleted(nights: Nights) -> None:
    nights.run()
    nights.delete(SETTLED)
    only(nights, "1 old play was deleted")


def test_everything_old_that_was_deleted(nights: Nights) -> None:
    nights.run()
    nights.delete(*range(1, SETTLED + 1))
    found = nights.night()
    assert found.why == ["Everything is read again: 12 old plays were deleted."]
    assert len(nights.titles()) == 9


def test_a_play_deleted_and_another_written(nights: Nights) -> None:
    nights.run()
    nights.delete(5)
    nights.film(300, "Other", id=5)
    only(nights, CHANGED)
    assert {"Film 4", "Other"} <= {*nights.titles()}


def test_old_plays_that_were_imported_into_tautulli(nights: Nights) -> None:
    """They have high numbers and old dates: they are read as new ones are."""
    nights.run()
    for number in range(5):
        nights.film(1000 + number, f"Imported {number}", user_id=2)
    found = nights.night()
    assert (found.carried, found.changes, found.why) == (SETTLED, (5, 0, 0), [])
    assert nights.titles()[0] == "Imported 4"


def test_old_plays_that_were_imported_into_a_gap(nights: Nights) -> None:
    nights.film(50, "After the gap", id=40)
    nights.film(3, "Lately", id=41)
    nights.delete(13, 14)
    nights.run()
    for number in (20, 21, 22):
        nights.film(500 + number, f"Imported {number}", id=number)
    found = nights.night()
    assert found.why == ["Everything is read again: 3 plays have come in between old ones."]
    assert found.changes == (3, 0, 0)
    assert nights.night().why == []


def test_plays_with_numbers_before_the_first(nights: Nights) -> None:
    nights.run()
    nights.film(500, "Zero", id=0)
    nights.film(501, "Below", id=-5)
    found = nights.night()
    assert found.why == ["Everything is read again: 2 plays have come in between old ones."]
    assert found.changes == (2, 0, 0)
    assert nights.night().carried == SETTLED + 2


def test_a_deleted_play_and_one_that_came_in_between(nights: Nights) -> None:
    nights.film(50, "After the gap", id=40)
    nights.film(3, "Lately", id=41)
    nights.delete(13, 14)
    nights.run()
    nights.delete(2)
    nights.film(500, "Imported", id=20)
    found = nights.night()
    assert found.why == [f"Everything is read again: {CHANGED}."]
    assert found.changes == (1, 0, 0)


# A backup.


def test_a_backup_of_yesterday_that_was_restored(nights: Nights) -> None:
    """All that is settled is in it: nothing is read again, and nothing is taken away."""
    backup = nights.backup()
    nights.film(0.5, "Lost")
    nights.run()
    nights.replace(backup)
    found = nights.night()
    assert (found.carried, found.why) == (SETTLED, [])
    assert "Lost" in nights.titles()


def test_a_backup_of_yesterday_in_which_the_numbers_are_given_again(nights: Nights) -> None:
    backup = nights.backup()
    lost = nights.film(0.5, "Lost")
    nights.run()
    nights.replace(backup)
    assert nights.film(-0.5, "Instead") == lost
    found = nights.night()
    assert (found.carried, found.changes) == (SETTLED, (1, 0, 0))
    assert {"Lost", "Instead"} <= {*nights.titles()}


def test_an_old_backup_that_was_restored(nights: Nights) -> None:
    nights.delete(13, 14)
    backup = nights.backup()
    for number in range(5):
        nights.film(50 - number, f"Lost {number}")
    nights.run()
    nights.replace(backup)
    found = nights.night()
    why = "the newest plays of last time are gone, as after a restored backup"
    assert found.why == [f"Everything is read again: {why}."]
    assert found.read == SETTLED
    assert "Lost 3" in nights.titles()
    assert nights.night().why == []


@pytest.mark.parametrize("count", [3, 5, 8])
def test_an_old_backup_in_which_the_numbers_are_given_again(nights: Nights, count: int) -> None:
    """Fewer new plays than were lost, as many, and more."""
    nights.delete(13, 14)
    backup = nights.backup()
    for number in range(5):
        nights.film(50 - number, f"Lost {number}")
    nights.run()
    nights.replace(backup)
    for number in range(count):
        nights.film(30 - number, f"Instead {number}")
    found = nights.night()
    assert len(found.why) == 1
    assert found.carried == 0
    assert {"Lost 0", "Instead 0", f"Instead {count - 1}"} <= {*nights.titles()}
    assert nights.night().why == []


def test_a_backup_that_is_read_in_another_place_is_another_job(nights: Nights) -> None:
    """Where a copy lies says nothing of whether it is the same; it is read on its own."""
    backup = nights.backup()
    nights.run()
    done = nights.inside(
        *("db", backup, "--to", "tracker", "--out", nights.out / "tracker", "--no-enrich"),
        *("--state-dir", nights.state),
    )
    assert done.code == 0
    assert "Nothing new: 14 plays read" in done.err
    assert len([*nights.state.glob("*.db")]) == 2


def test_a_database_that_moved_to_another_place_is_begun_there(nights: Nights) -> None:
    nights.run()
    moved = nights.path.parent / "moved"
    moved.mkdir()
    nights.path = nights.path.rename(moved / "tautulli.db")
    assert nights.run().carried == 0
    assert nights.night().carried == SETTLED


def test_a_database_is_the_same_by_whatever_path_it_is_named(nights: Nights) -> None:
    nights.run()
    link = nights.path.with_name("link.db")
    link.symlink_to(nights.path)
    for nights.path in (link, Path("link.db"), Path(f"../{link.parent.name}/tautulli.db")):
        assert nights.night().carried == SETTLED


# What is not in the rows.


def ini(nights: Nights, **values: int) -> None:
    """Write the `config.ini` beside the database."""
    lines = [f"{name} = {value}" for name, value in values.items()]
    text = "\n".join(["[Monitoring]", *lines, ""])
    (nights.path.parent / "config.ini").write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("movie_watched_percent", 1), ("tv_watched_percent", 99), ("watched_marker", 0)],
)
def test_thresholds_that_were_changed(nights: Nights, setting: str, value: int) -> None:
    ini(nights, movie_watched_percent=85, tv_watched_percent=85, watched_marker=3)
    nights.run()
    ini(nights, **({"movie_watched_percent": 85, "tv_watched_percent": 85} | {setting: value}))
    only(nights, "the thresholds for watched were changed")
    assert ("Half" in nights.titles()) is (setting == "movie_watched_percent")


def test_the_same_thresholds_said_elsewhere_are_no_change(nights: Nights) -> None:
    nights.run()
    ini(nights, movie_watched_percent=85, tv_watched_percent=85)
    only(nights)


def test_other_thresholds_by_option_are_a_change(nights: Nights, tmp_path: Path) -> None:
    nights.run()
    other = tmp_path / "other.ini"
    other.write_text("[Monitoring]\nmovie_watched_percent = 1\n", "utf-8")
    found = nights.night("--config-ini", other)
    assert found.why == ["Everything is read again: the thresholds for watched were changed."]
    assert "Half" in nights.titles()


def test_once_a_month_everything_is_read_again(nights: Nights) -> None:
    nights.run()
    assert nights.night(days=29).why == []
    only(nights, "it was last read whole a month ago", days=2)
    assert nights.night(days=28).why == []
    only(nights, "it was last read whole a month ago", days=2)


def test_a_month_is_counted_from_the_last_whole_reading(nights: Nights) -> None:
    nights.run()
    nights.film(20, "Another")
    for _ in range(6):
        assert nights.night(days=4).why == []
    only(nights, "it was last read whole a month ago", days=7)


def test_once_a_month_what_no_sum_can_tell_comes_to_light(nights: Nights) -> None:
    nights.run()
    nights.meta(5, title="Mlif 4")  # as long as it was, and without a new time of refresh
    nights.run(days=1)
    assert "Mlif 4" not in nights.titles()
    nights.night(days=30)
    assert "Mlif 4" in nights.titles()


# However little is remembered.


@pytest.mark.parametrize("days", [1, 31])
def test_a_reason_is_given_once_even_where_little_was_read(
    tmp_path: Path, environment: dict[str, str], days: int
) -> None:
    """A first run was cut short and has left a checkpoint; what is there is not worth another."""
    with at_home(tmp_path, environment, new_rows=2_000) as nights:
        nights.years()
        nights.cut_short(after=8)
        nights.meta(5, title="Another Title")
        assert len(nights.run(days=days).why) == 1
        assert nights.run(days=1).why == []
