"""Merging into a history: one title is one entry, and nothing from elsewhere is lost."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.errors import SinkError
from tautulli_import.model.items import Episode, Ids, Item, Movie, Record
from tautulli_import.model.keys import best_id, episode_key, event_key, movie_key
from tautulli_import.sinks.base import Receipt, SinkOptions
from tautulli_import.sinks.editor import EditorSink
from tautulli_import.sinks.tracker import TrackerSink
from tests.sinks.test_tracker import NOW, THEN, items_of, put, state, utc
from tests.support.history import add_play, create
from tests.support.inside import Inside

HOUR = 3600


def film(
    when: int = THEN,
    title: str = "Heat",
    *,
    every: bool = False,
    play: int = 1,
    lasts: int = 0,
    **ids: str,
) -> Record:
    known = Ids(**{"plex": "10", **ids})
    key = movie_key(known, title, 1995)
    item: Item = Movie(known, title, 1995, utc(when))
    begun, ended = (when - lasts, when) if lasts else (0, 0)
    return Record(
        event_key(key, when) if every else key, item, when, play, begun=begun, ended=ended
    )


def episode(when: int = THEN, number: int = 2, *, every: bool = False, **ids: str) -> Record:
    known = Ids(**{"plex": "100", **ids})
    key = episode_key(best_id(known) or "", 1, number)
    item = Episode(known, f"Part {number}", 2011, 1, number, utc(when), "A Show", known)
    return Record(event_key(key, when) if every else key, item, when, number)


def theirs(when: int = THEN, title: str = "Heat", /, **ids: object) -> dict[str, Any]:
    return {"type": "movie", "ids": ids, "title": title, "year": 1995, "watched_at": utc(when)}


def their_episode(when: int = THEN, number: int = 2, /, **show_ids: str) -> dict[str, Any]:
    return {
        "type": "episode",
        "ids": show_ids,
        "title": f"S01E{number:02d}",
        "season": 1,
        "episode": number,
        "watched_at": utc(when),
        "series_title": "A Show",
        "show_ids": show_ids,
    }


def merged(
    root: Path,
    *records: Record,
    superseded: Mapping[str, int] | None = None,
    merge_with: Path | None = None,
    same_play: int = 60,
) -> Receipt:
    """Merge, and once more: that must change nothing."""

    def made(now: int) -> TrackerSink:
        options = SinkOptions(root, BytesIO(), now, merge_with=merge_with, same_play=same_play)
        sink = TrackerSink(options)
        sink.write(sorted(records, key=lambda record: record.epoch))
        return sink

    first = made(NOW)
    first.superseded = superseded or {}
    preview = first.preview()
    receipt = first.commit()
    assert (preview.new, preview.updated, preview.unchanged, preview.total) == (
        receipt.new,
        receipt.updated,
        receipt.unchanged,
        receipt.total,
    )
    before = state(root)
    again = made(NOW + HOUR).commit()
    assert state(root) == before
    assert (again.new, again.updated, again.unchanged) == (0, 0, len(records))
    return receipt


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.new, receipt.updated, receipt.unchanged, receipt.total


# One title is one entry.


def test_a_shared_id_makes_one_entry_with_all_ids_and_the_better_key(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, imdb="tt1", tmdb="949", trakt="7") | {"rating": 8}})

    receipt = merged(tmp_path, film(imdb="tt1"))

    assert counts(receipt) == (0, 1, 0, 1)
    assert items_of(tmp_path) == {
        "tmdb:949": {
            "type": "movie",
            "ids": {"imdb": "tt1", "tmdb": "949", "trakt": "7", "plex": "10"},
            "title": "Heat",
            "year": 1995,
            "watched_at": utc(THEN),
            "rating": 8,
        }
    }


def test_the_better_key_can_be_ours(tmp_path: Path) -> None:
    put(tmp_path, {"imdb:tt1": theirs(THEN - 9, imdb="tt1", trakt="7")})

    merged(tmp_path, film(imdb="tt1", tmdb="949"))

    assert items_of(tmp_path).keys() == {"tmdb:949"}
    assert items_of(tmp_path)["tmdb:949"]["ids"]["trakt"] == "7"


def test_a_newer_entry_keeps_its_time_and_its_fields_and_gets_our_ids(tmp_path: Path) -> None:
    put(tmp_path, {"imdb:tt1": theirs(THEN + 9, "HEAT", imdb="tt1")})

    receipt = merged(tmp_path, film(imdb="tt1", tmdb="949"))

    assert counts(receipt) == (0, 1, 0, 1)
    entry = items_of(tmp_path)["tmdb:949"]
    assert (entry["title"], entry["watched_at"]) == ("HEAT", utc(THEN + 9))
    assert entry["ids"] == {"imdb": "tt1", "tmdb": "949", "plex": "10"}


def test_a_newer_entry_that_knows_all_our_ids_is_not_touched(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN + 9, imdb="tt1", tmdb="949", trakt="7")})
    before = state(tmp_path)

    receipt = merged(tmp_path, film(imdb="tt1"))

    assert counts(receipt) == (0, 0, 1, 1)
    assert state(tmp_path) == before


def test_several_entries_of_one_title_become_one(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "imdb:tt1": theirs(THEN - 9, imdb="tt1") | {"rating": 8},
            "trakt:7": theirs(THEN + 9, trakt="7", tmdb="949"),
        },
    )

    merged(tmp_path, film(imdb="tt1", tmdb="949"))

    (entry,) = items_of(tmp_path).values()
    assert (entry["watched_at"], entry["rating"]) == (utc(THEN + 9), 8)
    assert entry["ids"] == {"imdb": "tt1", "tmdb": "949", "trakt": "7"}


def test_an_entry_that_names_two_ids_of_ours_joins_them(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, tmdb="949", imdb="tt1")})

    receipt = merged(tmp_path, film(THEN, imdb="tt1"), film(THEN + 5, tmdb="949", plex="11"))

    assert counts(receipt) == (0, 2, 0, 1)
    assert items_of(tmp_path)["tmdb:949"]["watched_at"] == utc(THEN + 5)


def test_a_film_and_a_show_never_share_an_id(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949#s01e02": their_episode(tmdb="949")})

    merged(tmp_path, film(tmdb="949"))

    assert items_of(tmp_path).keys() == {"tmdb:949", "tmdb:949#s01e02"}


def test_ids_that_are_numbers_are_the_same_ids(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, tmdb=949, imdb="TT1")})

    merged(tmp_path, film(imdb="tt1"))

    assert items_of(tmp_path).keys() == {"tmdb:949"}


@pytest.mark.parametrize("value", ["", "0", "None", None, "unknown"])
def test_what_crosswatch_takes_for_no_id_is_none(tmp_path: Path, value: str | None) -> None:
    put(tmp_path, {"trakt:7": theirs(THEN - 9, imdb=value, trakt="7")})

    merged(tmp_path, film(imdb="tt1"), film(THEN + 1, "Ran", imdb="tt2"))

    assert len(items_of(tmp_path)) == 3


# Episodes.


def test_an_episode_is_one_by_the_ids_of_its_show_and_its_numbers(tmp_path: Path) -> None:
    both = {"tmdb": "1399", "tvdb": "121361"}
    put(tmp_path, {"tmdb:1399#s01e02": their_episode(THEN - 9, **both)})

    merged(tmp_path, episode(tvdb="121361"), episode(THEN + 1, 3, tvdb="121361"))

    items = items_of(tmp_path)
    assert items.keys() == {"tmdb:1399#s01e02", "tvdb:121361#s01e03"}
    entry = items["tmdb:1399#s01e02"]
    assert entry["ids"] == entry["show_ids"] == {**both, "plex": "100"}
    assert entry["title"] == "Part 2"


def test_an_episode_is_of_a_show_whose_ids_another_episode_names(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "tmdb:1399#s01e02": their_episode(THEN - 9, tmdb="1399", tvdb="121361"),
            "tmdb:1399#s01e03": their_episode(THEN - 8, 3, tmdb="1399"),
        },
    )

    merged(tmp_path, episode(THEN, 3, tvdb="121361"))

    items = items_of(tmp_path)
    assert items.keys() == {"tmdb:1399#s01e02", "tmdb:1399#s01e03"}
    assert items["tmdb:1399#s01e03"]["watched_at"] == utc(THEN)


def test_ids_of_the_episode_itself_stay_its_own(tmp_path: Path) -> None:
    entry = their_episode(THEN - 9, tmdb="1399") | {"ids": {"tmdb": "63056", "imdb": "tt99"}}
    put(tmp_path, {"tmdb:1399#s01e02": entry})

    merged(tmp_path, episode(tmdb="1399", tvdb="121361", imdb="tt5"))

    after = items_of(tmp_path)["tmdb:1399#s01e02"]
    assert after["ids"] == {"tmdb": "63056", "imdb": "tt99"}
    assert after["show_ids"] == {"tmdb": "1399", "tvdb": "121361", "imdb": "tt5", "plex": "100"}


def test_an_id_of_an_episode_is_not_taken_for_that_of_its_show(tmp_path: Path) -> None:
    entry = their_episode(THEN - 9, tmdb="1399") | {"ids": {"tmdb": "63056", "imdb": "tt5"}}
    put(tmp_path, {"tmdb:1399#s01e02": entry})

    merged(tmp_path, episode(imdb="tt5"))

    assert items_of(tmp_path).keys() == {"tmdb:1399#s01e02", "imdb:tt5#s01e02"}


def test_an_episode_without_ids_of_its_show_has_them_in_its_key(tmp_path: Path) -> None:
    entry = their_episode(THEN - 9, tvdb="121361", tmdb="1399")
    del entry["show_ids"]
    put(tmp_path, {"tmdb:1399#s01e02": entry})

    merged(tmp_path, episode(tvdb="121361"))

    after = items_of(tmp_path)["tmdb:1399#s01e02"]
    assert after["ids"] == after["show_ids"] == {"tvdb": "121361", "tmdb": "1399", "plex": "100"}


# Contradictions.


@pytest.mark.parametrize("every", [False, True], ids=["newest", "every viewing"])
def test_what_shares_one_id_and_contradicts_in_another_stays_apart(
    tmp_path: Path, *, every: bool
) -> None:
    entry = theirs(THEN - 9, imdb="tt1", tmdb="949")
    put(tmp_path, {"tmdb:949": entry})

    receipt = merged(tmp_path, film(every=every, imdb="tt1", tmdb="950"))

    assert receipt.new == 1
    key = f"tmdb:950@{THEN}" if every else "tmdb:950"
    assert items_of(tmp_path).keys() == {"tmdb:949", key}
    assert items_of(tmp_path)["tmdb:949"] == entry


def test_two_entries_that_contradict_each_other_are_joined_with_nothing(tmp_path: Path) -> None:
    there = {
        "tmdb:1": theirs(THEN - 9, tmdb="1", imdb="tt1"),
        "tmdb:2": theirs(THEN - 8, tmdb="2", imdb="tt1"),
    }
    put(tmp_path, there)

    merged(tmp_path, film(imdb="tt1"))

    items = items_of(tmp_path)
    assert items.keys() == {*there, "imdb:tt1"}
    assert {key: items[key] for key in there} == there


def test_two_works_of_ours_that_contradict_are_not_joined_by_an_entry(tmp_path: Path) -> None:
    there = {"trakt:7": theirs(THEN - 9, trakt="7", imdb="tt1", tvdb="5")}
    put(tmp_path, there)

    merged(
        tmp_path, film(imdb="tt1", tmdb="1"), film(THEN + 5, "Other", tvdb="5", tmdb="2", plex="11")
    )

    assert items_of(tmp_path).keys() == {"trakt:7", "tmdb:1", "tmdb:2"}


def test_under_one_key_contradicting_ids_of_somebody_else_stay(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, tmdb="949", imdb="tt8", trakt="7")})

    receipt = merged(tmp_path, film(tmdb="949", imdb="tt1"))

    assert counts(receipt) == (0, 1, 0, 1)
    entry = items_of(tmp_path)["tmdb:949"]
    assert entry["ids"] == {"tmdb": "949", "imdb": "tt8", "trakt": "7"}
    assert entry["watched_at"] == utc(THEN)


def test_under_one_key_an_older_answer_about_our_plex_item_is_corrected(tmp_path: Path) -> None:
    merged(tmp_path, film(tmdb="949", imdb="tt8"))

    merged(tmp_path, film(tmdb="949", imdb="tt1"))

    assert items_of(tmp_path)["tmdb:949"]["ids"] == {"tmdb": "949", "imdb": "tt1", "plex": "10"}


# Keys that changed.


def test_ids_under_a_superseded_key_are_outdated(tmp_path: Path) -> None:
    """Imdb was wrong, tvdb was right: the wrong one must not live on."""
    merged(tmp_path, film(imdb="tt9", tvdb="5"))

    receipt = merged(tmp_path, film(tmdb="603", tvdb="5"), superseded={"imdb:tt9": THEN})

    assert items_of(tmp_path)["tmdb:603"]["ids"] == {"tmdb": "603", "tvdb": "5", "plex": "10"}
    assert counts(receipt) == (0, 1, 0, 1)


def test_a_superseded_entry_that_is_unchanged_goes_and_another_is_counted(tmp_path: Path) -> None:
    merged(tmp_path, film(tmdb="1"), film(THEN + 1, "Ran", tmdb="2", plex="11"))
    items = items_of(tmp_path)
    put(tmp_path, items | {"tmdb:2": items["tmdb:2"] | {"watched_at": utc(THEN + HOUR)}})

    receipt = merged(tmp_path, superseded={"tmdb:1": THEN, "tmdb:2": THEN + 1, "tmdb:3": THEN})

    assert (receipt.removed, receipt.kept, receipt.total) == (1, 1, 1)
    assert items_of(tmp_path).keys() == {"tmdb:2"}


def test_a_superseded_entry_takes_no_viewing_with_it(tmp_path: Path) -> None:
    """The viewing went on: its old entry is near the new one, and is removed."""
    merged(tmp_path, film(every=True, tmdb="1"))

    merged(tmp_path, film(THEN + 30, every=True, tmdb="1"), superseded={f"tmdb:1@{THEN}": THEN})

    assert items_of(tmp_path).keys() == {f"tmdb:1@{THEN + 30}"}


def test_an_entry_of_ours_that_was_joined_with_a_foreign_one_is_kept_and_counted(
    tmp_path: Path,
) -> None:
    """It has a better key than ours. Nobody can tell what of it is foreign."""
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, imdb="tt1", tmdb="949") | {"rating": 8}})
    merged(tmp_path, film(imdb="tt1"), film(THEN + 1, "Ran", imdb="tt2", plex="11"))
    joined = items_of(tmp_path)["tmdb:949"]

    receipt = merged(tmp_path, superseded={"imdb:tt1": THEN, "imdb:tt2": THEN + 1})

    assert (receipt.removed, receipt.kept, receipt.total) == (1, 1, 1)
    assert items_of(tmp_path) == {"tmdb:949": joined}


def test_an_entry_of_a_title_that_is_still_ours_is_not_counted(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 9, imdb="tt1", tmdb="949")})
    merged(tmp_path, film(imdb="tt1"))

    receipt = merged(tmp_path, film(imdb="tt1", tvdb="5"), superseded={"imdb:tt1": THEN})

    assert (receipt.removed, receipt.kept, receipt.total) == (0, 0, 1)


# Viewings.


@pytest.mark.parametrize(
    ("distance", "is_same"), [(-60, True), (60, True), (1, True), (-61, False), (61, False)]
)
@pytest.mark.parametrize("suffix", [True, False], ids=["event key", "plain key"])
def test_a_foreign_time_near_a_viewing_is_that_viewing(
    tmp_path: Path, distance: int, *, is_same: bool, suffix: bool
) -> None:
    when = THEN + distance
    key = event_key("tmdb:949", when) if suffix else "tmdb:949"
    entry = theirs(when, imdb="tt1", tmdb="949")
    put(tmp_path, {key: entry})

    receipt = merged(tmp_path, film(every=True, imdb="tt1"))

    assert items_of(tmp_path)[key] == entry
    assert counts(receipt) == ((0, 0, 1, 1) if is_same else (1, 0, 0, 2))


def test_same_play_says_how_near(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN - 600, tmdb="949")})
    assert merged(tmp_path, film(every=True, tmdb="949"), same_play=600).unchanged == 1
    assert merged(tmp_path, film(every=True, tmdb="949"), same_play=0).new == 1


def test_a_foreign_time_inside_a_play_is_that_play(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "tmdb:949": theirs(THEN - 900, tmdb="949"),
            f"tmdb:949@{THEN - 9000}": theirs(THEN - 9000, tmdb="949"),
        },
    )

    receipt = merged(tmp_path, film(every=True, lasts=7200, tmdb="949"))

    assert counts(receipt) == (0, 0, 1, 2)


def test_one_foreign_viewing_is_one_of_ours(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": theirs(THEN + 20, tmdb="949")})

    receipt = merged(
        tmp_path, film(every=True, tmdb="949"), film(THEN + 30, every=True, play=2, tmdb="949")
    )

    assert counts(receipt) == (1, 0, 1, 2)
    assert items_of(tmp_path).keys() == {"tmdb:949", f"tmdb:949@{THEN}"}


def test_two_viewings_of_ours_stay_two_however_near(tmp_path: Path) -> None:
    receipt = merged(
        tmp_path, film(every=True, tmdb="949"), film(THEN + 5, every=True, play=2, tmdb="949")
    )
    assert counts(receipt) == (2, 0, 0, 2)


def test_a_foreign_viewing_that_came_later_than_ours_stays_beside_it(tmp_path: Path) -> None:
    merged(tmp_path, film(every=True, tmdb="949"))
    put(tmp_path, items_of(tmp_path) | {f"tmdb:949@{THEN + 9}": theirs(THEN + 9, tmdb="949")})

    receipt = merged(tmp_path, film(every=True, tmdb="949"))

    assert counts(receipt) == (0, 0, 1, 2)


def test_a_viewing_of_the_same_second_is_one_entry_under_the_better_key(tmp_path: Path) -> None:
    put(tmp_path, {f"imdb:tt1@{THEN}": theirs(THEN, imdb="tt1", trakt="7") | {"rating": 8}})

    receipt = merged(tmp_path, film(every=True, imdb="tt1", tmdb="949"))

    assert counts(receipt) == (0, 1, 0, 1)
    entry = items_of(tmp_path)[f"tmdb:949@{THEN}"]
    assert entry["ids"] == {"imdb": "tt1", "trakt": "7", "tmdb": "949", "plex": "10"}
    assert entry["rating"] == 8


def test_the_newest_viewing_is_there_if_somebody_keeps_every_viewing(tmp_path: Path) -> None:
    there = {
        f"tmdb:949@{when}": theirs(when, tmdb="949", imdb="tt1") for when in (THEN - HOUR, THEN + 9)
    }
    put(tmp_path, there)

    receipt = merged(tmp_path, film(imdb="tt1"))

    assert counts(receipt) == (0, 0, 1, 2)
    assert items_of(tmp_path) == there


def test_one_foreign_viewing_that_two_titles_of_ours_name_is_one_of_them(tmp_path: Path) -> None:
    put(tmp_path, {f"trakt:7@{THEN}": theirs(THEN, trakt="7", tmdb="1", imdb="tt1")})

    receipt = merged(tmp_path, film(tmdb="1"), film(imdb="tt1", plex="11"))

    assert counts(receipt) == (1, 1, 0, 2)


def test_an_entry_under_our_key_that_contradicts_is_there_once(tmp_path: Path) -> None:
    """Two keys of one name in a file would lose one of them when CrossWatch reads it."""
    there = theirs(THEN - 1, imdb="tt1", tvdb="6", trakt="7")
    put(tmp_path, {f"imdb:tt1@{THEN}": there, f"tmdb:1@{THEN + 9}": theirs(THEN + 9, tmdb="1")})

    merged(tmp_path, film(every=True, imdb="tt1", tvdb="5"))

    content = (tmp_path / "history.json").read_text("utf-8")
    assert content.count(f'"imdb:tt1@{THEN}":') == 1
    assert items_of(tmp_path)[f"imdb:tt1@{THEN}"]["ids"] == there["ids"]


def test_of_two_viewings_of_one_second_each_keeps_the_entry_under_its_key(tmp_path: Path) -> None:
    put(tmp_path, {f"tmdb:1@{THEN}": theirs(THEN, tmdb="1", trakt="7") | {"rating": 8}})

    merged(tmp_path, film(every=True, trakt="7"), film(every=True, tmdb="1", tvdb="6", plex="11"))

    content = (tmp_path / "history.json").read_text("utf-8")
    assert content.count(f'"tmdb:1@{THEN}":') == 1
    assert items_of(tmp_path)[f"tmdb:1@{THEN}"]["rating"] == 8


def test_how_a_file_is_written_does_not_decide_what_is_joined(tmp_path: Path) -> None:
    """CrossWatch writes the same entries in another form."""
    put(tmp_path, {f"tmdb:2@{THEN + HOUR}": theirs(THEN + HOUR, tmdb="2", trakt="7")})
    ours = film(trakt="7"), film(THEN + 1, "Ran", tvdb="6", trakt="7", plex="11")
    merged(tmp_path, *ours)
    items = items_of(tmp_path)
    put(tmp_path, items)

    assert counts(merged(tmp_path, *ours)) == (0, 0, 2, 3)
    assert items_of(tmp_path) == items


# --merge-with, the Editor, and the front door.


def test_an_export_that_is_merged_with_again_changes_nothing(tmp_path: Path) -> None:
    export = put(
        tmp_path / "export",
        {
            "imdb:tt1": theirs(THEN - 9, imdb="tt1", trakt="7"),
            "imdb:tt2": theirs(THEN + 9, "Ran", imdb="tt2"),
        },
    )
    root = tmp_path / "root"

    merged(
        root,
        film(imdb="tt1", tmdb="949"),
        film(THEN + 1, "Ran", imdb="tt2", tmdb="950", plex="11"),
        merge_with=export,
    )

    items = items_of(root)
    assert items.keys() == {"tmdb:949", "tmdb:950"}
    assert items["tmdb:950"]["watched_at"] == utc(THEN + 9)
    assert items["tmdb:949"]["ids"]["trakt"] == "7"


def test_the_editor_keeps_a_foreign_viewing_and_joins_ids(tmp_path: Path) -> None:
    export = put(
        tmp_path / "export",
        {
            "tmdb:949": theirs(THEN - 30, imdb="tt1", tmdb="949"),
            "imdb:tt2": theirs(THEN + HOUR, "Ran", imdb="tt2", trakt="7"),
        },
    )
    out = tmp_path / "x-history.json"

    def run(now: int) -> Receipt:
        sink = EditorSink(SinkOptions(out, BytesIO(), now, True, merge_with=export))
        records = (
            film(every=True, imdb="tt1"),
            film(THEN + HOUR, "Ran", every=True, play=2, imdb="tt2", tmdb="950", plex="11"),
        )
        sink.write(records)
        return sink.commit()

    first = run(NOW)
    content = out.read_bytes()
    again = run(NOW + HOUR)

    assert out.read_bytes() == content
    assert counts(first) == (0, 1, 1, 2)
    assert counts(again) == (0, 0, 2, 2)
    heat, ran = json.loads(content)["items"]
    assert heat["key"] == f"tmdb:949@{THEN - 30}"
    assert "provider_event_id" not in heat
    assert ran["key"] == f"tmdb:950@{THEN + HOUR}"
    assert ran["ids"] == {"imdb": "tt2", "trakt": "7", "tmdb": "950", "plex": "11"}
    assert ran["provider_event_id"] == "tautulli-2"


def rewritten(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return a history as CrossWatch writes it with "Rewatches" on: other keys, other order."""
    found = {}
    for key, item in sorted(items.items()):
        epoch = int(datetime.fromisoformat(item["watched_at"]).timestamp())
        event = key if "@" in key else f"{key}@{epoch}"
        found[event] = dict(sorted({**item, "_cw_event_key": event, "watched": True}.items()))
    return found


@pytest.mark.parametrize("every", [False, True], ids=["newest", "every viewing"])
def test_a_file_that_crosswatch_rewrote_is_up_to_date_and_takes_new_plays(
    tmp_path: Path, *, every: bool
) -> None:
    ours = [film(every=every, tmdb="949"), episode(THEN + HOUR, every=every, tvdb="5")]
    merged(tmp_path, *ours)
    there = rewritten(items_of(tmp_path))
    put(tmp_path, there)

    assert counts(merged(tmp_path, *ours)) == (0, 0, 2, 2)
    assert items_of(tmp_path) == there
    new = episode(THEN + 2 * HOUR, 3, every=every, tvdb="5")
    assert counts(merged(tmp_path, *ours, new)) == (1, 0, 2, 3)
    assert items_of(tmp_path) == there | {new.key: items_of(tmp_path)[new.key]}


@pytest.mark.parametrize(
    ("options", "new"), [((), 0), (("--same-play", "5"), 1), (("--same-play", "600"), 0)]
)
def test_the_option_reaches_the_merge(
    inside: Inside, tmp_path: Path, options: Sequence[str], new: int
) -> None:
    conn = create(tmp_path / "t.db")
    add_play(conn, title="Heat", year=1995, guid="tmdb://949", started=THEN, stopped=THEN + 7300)
    conn.close()
    put(tmp_path / "root", {f"tmdb:949@{THEN + 7330}": theirs(THEN + 7330, tmdb="949")})

    result = inside("db", "t.db", "--to", "tracker", "--out", "root", "--rewatches", *options)

    assert result.code == 0, result.err
    assert len(items_of(tmp_path / "root")) == 1 + new


@pytest.mark.parametrize("value", ["-1", "86401", "soon"])
def test_same_play_must_be_seconds_of_a_day(inside: Inside, history: Path, value: str) -> None:
    result = inside("db", history, "--to", "tracker", "--same-play", value)
    assert result.code == 2
    assert "--same-play" in result.err


def test_text_that_cannot_be_decoded_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = put(tmp_path, {})
    path.write_bytes(b'{"ts":1,"items":{"tmdb:949":{"rating":1e999}}}')
    before = state(tmp_path)

    with pytest.raises(SinkError, match=r"history\.json"):
        merged(tmp_path, film(tmdb="1"))

    assert state(tmp_path) == before


# Whatever is there.

_values = {"tmdb": ["1", "2"], "imdb": ["tt1", "tt2"], "tvdb": ["5", "6"], "trakt": ["7"]}
_ids = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in _values.items()}
)
_moments = st.integers(THEN, THEN + 3)
_titles = st.sampled_from(["Heat", "Ran"])
_plex = st.sampled_from(["10", "11", "12"])


@st.composite
def _entries(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Return an entry of somebody else, with or without ids, also of our Plex server."""
    when, ids, is_show = draw(_moments), draw(_ids), draw(st.booleans())
    if is_show or draw(st.booleans()):
        ids = ids or {"plex": draw(_plex)}
    title = draw(_titles)
    entry = their_episode(when, **ids) if is_show else theirs(when, title, **ids)
    if is_show and draw(st.booleans()):
        del entry["show_ids"]
    key = movie_key(Ids(**ids), title, 1995) + ("#s01e02" if is_show else "")
    return (event_key(key, when) if draw(st.booleans()) else key), entry


@st.composite
def _foreign(draw: st.DrawFn, most: int = 6) -> dict[str, dict[str, Any]]:
    """Return entries of somebody else, each with a field that nobody else has."""
    items = dict(draw(st.lists(_entries(), max_size=most)))
    for number, entry in enumerate(items.values()):
        entry[f"mark{number}"] = number
    return items


@st.composite
def _records(draw: st.DrawFn) -> list[Record]:
    """Return any records: they may share ids, and contradict each other."""
    every = draw(st.booleans())
    made: dict[str, Record] = {}
    for number, ids in enumerate(draw(st.lists(_ids, max_size=5))):
        when, plex, is_show = draw(_moments), str(10 + number), draw(st.booleans())
        make: Callable[..., Record] = episode if is_show else film
        one = make(when, every=every, plex=plex, **ids)
        if not is_show and draw(st.booleans()):
            one = msgspec.structs.replace(
                one, item=msgspec.structs.replace(one.item, title=draw(_titles))
            )
        made[one.key] = one
    return list(made.values())


_at_other_times = _records().filter(
    lambda records: len({record.epoch for record in records}) == len(records)
)
"""Of two viewings of one second, an export can give its only entry now to one, now to the other."""


@settings(max_examples=100, deadline=None)
@given(there=_foreign(), records=_records(), same_play=st.integers(0, 2), data=st.data())
def test_whatever_is_merged_nothing_foreign_is_lost_and_twice_is_once(
    there: dict[str, dict[str, Any]], records: list[Record], same_play: int, data: st.DataObject
) -> None:
    earlier = data.draw(st.lists(st.sampled_from(records), unique_by=id)) if records else []
    keys = sorted({record.key for record in records} | there.keys())
    superseded = data.draw(st.dictionaries(st.sampled_from(keys), _moments)) if keys else {}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        put(root, there)
        merged(root, *earlier, same_play=same_play)  # a run that knew less, or that was killed
        before = items_of(root)
        superseded = {
            key: epoch
            for key, epoch in superseded.items()
            if not any("mark" in str(before.get(form)) for form in (key, event_key(key, epoch)))
        }
        merged(root, *records, superseded=superseded, same_play=same_play)
        after = items_of(root)
    kept = [_facts(entry) | {entry["watched_at"]} for entry in after.values()]
    for key, entry in there.items():
        assert any(_facts(entry) <= facts for facts in kept), entry
        if "@" in key:
            assert any({*_facts(entry), entry["watched_at"]} <= facts for facts in kept), entry
    for record in records:
        item = dict(msgspec.to_builtins(record.item))
        assert any(_facts(item) & facts for facts in kept) or _is_there(item, after), record
    moments = [entry["watched_at"] for entry in after.values()]
    assert moments == sorted(moments) or after in (before, there)


@settings(max_examples=50, deadline=None)
@given(there=_foreign(4), export=_foreign(4), records=_at_other_times)
def test_whatever_is_merged_with_twice_is_once(
    there: dict[str, dict[str, Any]], export: dict[str, dict[str, Any]], records: list[Record]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "root")
        put(root, there)
        merged(root, *records, merge_with=put(Path(directory, "export"), export))


def _facts(entry: Mapping[str, Any]) -> set[str]:
    """Return what must not be lost: the ids and the field of somebody else."""
    facts = {name for name in entry if name.startswith("mark")}
    for ids in (entry["ids"], entry.get("show_ids", {})):
        facts |= {f"{entry['type']} {name}:{ids[name]}" for name in _values if name in ids}
    return facts


def _is_there(item: Mapping[str, Any], after: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return true if an entry has the Plex item of one that has no other id, or its title."""
    return any(
        entry["type"] == item["type"]
        and (entry["title"] == item["title"] or entry["ids"].get("plex") == item["ids"]["plex"])
        for entry in after.values()
    )
