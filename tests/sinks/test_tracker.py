"""``--to tracker``: a tracker root that CrossWatch v0.11.3 reads as its own."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tautulli_import.directory import Directory
from tautulli_import.errors import ConfigurationError, NotFoundError, SinkError
from tautulli_import.model.items import Episode, Ids, Movie, Record
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.tracker import TrackerSink
from tests.conftest import Cli
from tests.support.history import add_play, create

NOW = 1_790_000_000
LATER = NOW + 3600
THEN = 1_700_000_000


def utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def film(
    key: str = "tmdb:603", title: str = "The Matrix", when: int = THEN, *, play: int = 1
) -> Record:
    ids = Ids(imdb="tt0133093", tmdb="603", plex="17", guid="plex://movie/5d77")
    item = Movie(ids, title, 1999, utc(when))
    return Record(key, item, when, play)


def episode(key: str = "tvdb:81189#s01e02", when: int = THEN + 60, *, play: int = 2) -> Record:
    ids = Ids(tvdb="81189", plex="40")
    item = Episode(ids, "Cat's in the Bag…", 2008, 1, 2, utc(when), "Breaking Bad", ids)
    return Record(key, item, when, play)


def sink(
    root: Path, *records: Record, now: int = NOW, merge_with: Path | None = None
) -> TrackerSink:
    made = TrackerSink(SinkOptions(root, BytesIO(), now, merge_with=merge_with))
    made.write(records)
    return made


def foreign(title: str = "Heat", when: int = THEN, **more: object) -> dict[str, object]:
    ids = {"tmdb": "949", "trakt": "1"}
    known = {"type": "movie", "ids": ids, "title": title, "year": 1995, "watched_at": utc(when)}
    return known | more


def put(root: Path, items: Mapping[str, object]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "history.json"
    path.write_text(json.dumps({"ts": 1, "items": items}), encoding="utf-8")
    return path


def items_of(root: Path) -> dict[str, Any]:
    items = json.loads((root / "history.json").read_bytes())["items"]
    assert isinstance(items, dict)
    return items


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def state(root: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        name: ((root / name).read_bytes(), facts.st_mtime_ns, facts.st_ino)
        for name in files(root)
        for facts in [(root / name).stat()]
    }


def keys_at_any_depth(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from keys_at_any_depth(inner)


# The format.


def test_a_history_is_one_object_with_a_time_and_items_by_key(tmp_path: Path) -> None:
    sink(tmp_path, film(), episode()).commit()

    content = (tmp_path / "history.json").read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    history = json.loads(content.decode("utf-8"))
    assert list(history) == ["ts", "items"]
    assert history["ts"] == NOW
    assert list(history["items"]) == ["tmdb:603", "tvdb:81189#s01e02"]


def test_a_film_has_exactly_the_fields_of_the_seed_in_its_order(tmp_path: Path) -> None:
    sink(tmp_path, film()).commit()

    written = items_of(tmp_path)["tmdb:603"]
    assert json.dumps(written) == json.dumps(
        {
            "type": "movie",
            "ids": {
                "imdb": "tt0133093",
                "tmdb": "603",
                "plex": "17",
                "guid": "plex://movie/5d77",
            },
            "title": "The Matrix",
            "year": 1999,
            "watched_at": utc(THEN),
        }
    )


def test_an_episode_has_exactly_the_fields_of_the_seed_in_its_order(tmp_path: Path) -> None:
    sink(tmp_path, episode()).commit()

    written = items_of(tmp_path)["tvdb:81189#s01e02"]
    assert json.dumps(written) == json.dumps(
        {
            "type": "episode",
            "ids": {"tvdb": "81189", "plex": "40"},
            "title": "Cat's in the Bag…",
            "year": 2008,
            "season": 1,
            "episode": 2,
            "watched_at": utc(THEN + 60),
            "series_title": "Breaking Bad",
            "show_ids": {"tvdb": "81189", "plex": "40"},
        }
    )


def test_every_id_is_a_string(tmp_path: Path) -> None:
    sink(tmp_path, film(), episode()).commit()

    maps = [
        inner
        for key, inner in keys_at_any_depth(items_of(tmp_path))
        if key in ("ids", "show_ids") and isinstance(inner, dict)
    ]
    assert len(maps) == 3
    assert all(isinstance(value, str) and value for ids in maps for value in ids.values())


def test_entries_ascend_by_watched_at_whatever_was_there_before(tmp_path: Path) -> None:
    put(tmp_path, {"a": foreign(when=THEN + 30), "b": foreign(when=THEN - 30)})

    sink(tmp_path, film(), episode()).commit()

    assert list(items_of(tmp_path)) == ["b", "tmdb:603", "a", "tvdb:81189#s01e02"]


def test_the_snapshot_is_the_same_file_again_named_after_the_time_now(tmp_path: Path) -> None:
    receipt = sink(tmp_path, film()).commit()

    name = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ") + "-history.json"
    assert files(tmp_path) == ["history.json", f"snapshots/{name}"]
    assert (tmp_path / "snapshots" / name).read_bytes() == (tmp_path / "history.json").read_bytes()
    assert sorted(receipt.written) == sorted(
        [str(tmp_path / "history.json"), str(tmp_path / "snapshots" / name)]
    )


def test_a_snapshot_is_too_old_for_crosswatch_to_reuse_it(tmp_path: Path) -> None:
    sink(tmp_path, film()).commit()

    (snapshot,) = (tmp_path / "snapshots").iterdir()
    assert 80 <= NOW - snapshot.stat().st_mtime <= 100


def test_two_snapshots_of_one_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    sink(tmp_path, film()).commit()
    sink(tmp_path, film(), episode()).commit()

    counts = [
        len(json.loads(path.read_bytes())["items"])
        for path in sorted((tmp_path / "snapshots").iterdir())
    ]
    assert counts == [1, 2]


def test_a_program_anywhere_names_its_snapshot_in_utc(cli: Cli, history: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    result = cli("db", history, "--to", "tracker", "--out", "root", env={"TZ": "Asia/Tokyo"})

    assert result.code == 0
    root = history.parent.parent / "root"
    (snapshot,) = (root / "snapshots").iterdir()
    named = datetime.strptime(snapshot.name, "%Y%m%dT%H%M%SZ-history.json").replace(tzinfo=UTC)
    assert before <= named <= datetime.now(UTC)
    ages = datetime.now(UTC).timestamp() - snapshot.stat().st_mtime
    assert 85 <= ages <= 150
    assert [item["watched_at"] for item in items_of(root).values()] == sorted(
        item["watched_at"] for item in items_of(root).values()
    )


def test_without_out_the_tracker_has_a_directory_of_its_own_name(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    assert cli("db", history, "--to", "tracker").code == 0
    assert len(items_of(tmp_path / "crosswatch-tracker")) == 4


# Running it again.


def test_a_second_run_changes_nothing_at_all(tmp_path: Path) -> None:
    sink(tmp_path, film(), episode()).commit()
    before = state(tmp_path)

    receipt = sink(tmp_path, film(), episode(), now=LATER).commit()

    assert state(tmp_path) == before
    assert (receipt.new, receipt.updated, receipt.unchanged) == (0, 0, 2)
    assert receipt.written == ()


def test_a_second_run_that_builds_on_the_same_export_changes_nothing(tmp_path: Path) -> None:
    export = put(tmp_path / "export", {"tmdb:949": foreign()})
    root = tmp_path / "root"
    sink(root, film(), merge_with=export).commit()
    before = state(root)

    receipt = sink(root, film(), now=LATER, merge_with=export).commit()

    assert state(root) == before
    assert receipt.written == ()


def test_without_a_single_item_nothing_is_written(tmp_path: Path) -> None:
    """The upload of an empty history would empty the tracker."""
    sink(tmp_path).commit()
    assert list(tmp_path.iterdir()) == []


def test_a_preview_tells_what_a_commit_does_and_writes_nothing(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": foreign(), "tmdb:603": foreign(when=THEN - 1)})
    before = state(tmp_path)

    preview = sink(tmp_path, film(), episode()).preview()

    assert state(tmp_path) == before
    receipt = sink(tmp_path, film(), episode()).commit()
    told = (preview.target, preview.new, preview.updated, preview.unchanged, preview.total)
    assert told == (str(tmp_path), 1, 1, 0, 3)
    assert told == (
        receipt.target,
        receipt.new,
        receipt.updated,
        receipt.unchanged,
        receipt.total,
    )


# Merging with what is there.


def test_foreign_entries_survive_with_every_value_they_had(tmp_path: Path) -> None:
    odd = foreign(
        "Zoë \u2028 🌸 \u202e",
        provider_event_id="trakt-1",
        rating=7.5,
        nested={"list": [1, None, True, {"deep": ""}]},
        empty={},
        zero=0,
        big=2**53 + 1,
    )
    put(tmp_path, {"tmdb:949": odd, "movie|title:heat|year:1995": foreign()})

    sink(tmp_path, film()).commit()

    after = items_of(tmp_path)
    assert json.dumps(after["tmdb:949"]) == json.dumps(odd)
    assert after["movie|title:heat|year:1995"] == foreign()
    assert len(after) == 3


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, 1e300, 0.1, 1.0])
def test_a_foreign_number_of_any_size_survives(tmp_path: Path, number: float) -> None:
    put(tmp_path, {"tmdb:949": foreign(odd=number)})

    sink(tmp_path, film()).commit()

    assert json.dumps(items_of(tmp_path)["tmdb:949"]["odd"]) == json.dumps(number)


def test_ours_replaces_an_older_entry_of_the_same_key(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:603": foreign(when=THEN - 1)})

    receipt = sink(tmp_path, film()).commit()

    assert items_of(tmp_path)["tmdb:603"]["title"] == "The Matrix"
    assert (receipt.new, receipt.updated, receipt.unchanged) == (0, 1, 0)


def test_ours_replaces_an_entry_of_the_same_moment(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:603": foreign(when=THEN)})

    receipt = sink(tmp_path, film()).commit()

    assert items_of(tmp_path)["tmdb:603"]["title"] == "The Matrix"
    assert receipt.updated == 1


def test_ours_does_not_replace_a_newer_entry_of_the_same_key(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:603": foreign(when=THEN + 1)})
    before = state(tmp_path)

    receipt = sink(tmp_path, film()).commit()

    assert state(tmp_path) == before
    assert (receipt.new, receipt.updated, receipt.unchanged) == (0, 0, 1)


def test_a_foreign_entry_that_was_never_watched_is_kept_and_comes_first(tmp_path: Path) -> None:
    bare = {"type": "movie", "ids": {"tmdb": "949"}, "title": "Heat"}
    put(tmp_path, {"tmdb:949": bare, "tmdb:950": bare | {"watched_at": None}})

    sink(tmp_path, film()).commit()

    after = items_of(tmp_path)
    assert list(after) == ["tmdb:949", "tmdb:950", "tmdb:603"]
    assert after["tmdb:949"] == bare
    assert after["tmdb:950"] == bare | {"watched_at": None}


def test_ours_gives_a_time_to_an_entry_that_had_none(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:603": {"type": "movie", "ids": {"tmdb": "603"}, "title": "The Matrix"}})

    sink(tmp_path, film()).commit()

    assert items_of(tmp_path)["tmdb:603"]["watched_at"] == utc(THEN)


def test_an_entry_that_is_no_item_is_carried_along(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": "Heat", "tmdb:950": [1]})

    sink(tmp_path, film()).commit()

    after = items_of(tmp_path)
    assert (after["tmdb:949"], after["tmdb:950"]) == ("Heat", [1])
    assert set(after) == {"tmdb:949", "tmdb:950", "tmdb:603"}


def test_an_unknown_field_beside_the_items_does_not_stop_the_merge(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"v": 3, "items": {"tmdb:949": foreign()}}), encoding="utf-8")

    sink(tmp_path, film()).commit()

    assert set(items_of(tmp_path)) == {"tmdb:949", "tmdb:603"}


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # A lone surrogate is not text: no JSON file that is valid UTF-8 holds one unescaped.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=5,
)
_moments = st.integers(THEN, THEN + 3)
_keys = st.sampled_from(["tmdb:1", "tmdb:2", "imdb:tt3", "tvdb:4#s01e01", "movie|title:é|year:"])
_theirs = st.dictionaries(
    _keys | st.text(st.characters(exclude_categories=["Cs"])),
    st.builds(
        lambda more, when: {**more, "title": "theirs", "watched_at": utc(when)},
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _values, max_size=3),
        _moments,
    ),
    max_size=6,
)
_ours = st.dictionaries(_keys, _moments, max_size=5)


def without_ids(record: Record) -> Record:
    return msgspec.structs.replace(
        record, item=msgspec.structs.replace(record.item, ids=Ids(plex="17"))
    )


@settings(max_examples=60, deadline=None)
@given(theirs=_theirs, ours=_ours)
def test_whatever_is_merged_no_foreign_entry_is_lost_or_altered(
    theirs: dict[str, dict[str, Any]], ours: dict[str, int]
) -> None:
    ascending = sorted(ours.items(), key=itemgetter(1))
    records = [without_ids(film(key, "ours", when)) for key, when in ascending]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        put(root, theirs)
        receipt = sink(root, *records).commit()
        after = items_of(root)

    assert set(after) == set(theirs) | set(ours)
    for key, value in theirs.items():
        if key not in ours or value["watched_at"] > utc(ours[key]):
            assert after[key] == value
    for key, when in ours.items():
        if key not in theirs or theirs[key]["watched_at"] <= utc(when):
            assert after[key]["title"] == "ours"
    moments = [str(item["watched_at"]) for item in after.values()]
    assert moments == sorted(moments) or not receipt.written


# What is there cannot be merged with.

_NO_HISTORIES = {
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "truncated": b'{"ts":1,"items":{"tmdb:949":{"type":"movie","ids":{"tm',
    "items as a list": b'{"ts":1,"items":[{"key":"tmdb:949"}]}',
    "items as null": b'{"ts":1,"items":null}',
    "not UTF-8": b'{"ts":1,"items":{"tmdb:949":{"title":"Zo\xeb"}}}',
    "not JSON": b"<html>502</html>",
}


@pytest.mark.parametrize("content", _NO_HISTORIES.values(), ids=_NO_HISTORIES.keys())
def test_what_crosswatch_would_read_as_empty_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(content)
    before = state(tmp_path)

    with pytest.raises(SinkError) as caught:
        sink(tmp_path, film()).commit()

    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert state(tmp_path) == before


def test_what_has_a_byte_order_mark_is_kept_and_written_without_it(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(b'\xef\xbb\xbf{"ts":1,"items":{"tmdb:949":{"title":"Heat"}}}')

    sink(tmp_path, film()).commit()

    written = json.loads(path.read_bytes().decode("utf-8"))
    assert written["items"]["tmdb:949"] == {"title": "Heat"}
    assert len(written["items"]) == 2


def test_an_object_without_anything_in_it_is_an_empty_history(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_bytes(b"{}")

    assert sink(tmp_path, film()).commit().total == 1


def test_the_program_leaves_with_8_when_it_cannot_merge(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "history.json").write_bytes(b'{"ts":1,"items":{"tmdb')

    for option in ("--no-dry-run", "--dry-run"):
        result = cli("db", history, "--to", "tracker", "--out", root, option)
        assert result.code == 8
        assert str(root / "history.json") in result.err
        assert "Traceback" not in result.err
    assert files(root) == ["history.json"]
    assert (root / "history.json").read_bytes() == b'{"ts":1,"items":{"tmdb'


# Where it cannot be written.


def test_a_history_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.json").mkdir()

    with pytest.raises(SinkError, match=r"history\.json"):
        sink(tmp_path, film()).commit()

    assert files(tmp_path) == []


def test_a_root_that_is_a_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("precious", encoding="utf-8")

    with pytest.raises(SinkError, match="root"):
        sink(root, film()).commit()
    with pytest.raises(SinkError, match="root"):
        sink(root / "below", film()).commit()

    assert root.read_text(encoding="utf-8") == "precious"


def test_when_the_snapshot_cannot_be_written_the_history_stays_as_it_was(tmp_path: Path) -> None:
    put(tmp_path, {"tmdb:949": foreign()})
    (tmp_path / "snapshots").write_text("in the way", encoding="utf-8")
    before = state(tmp_path)

    with pytest.raises(SinkError, match="snapshots"):
        sink(tmp_path, film()).commit()

    assert state(tmp_path) == before


def test_a_full_disk_leaves_the_old_history_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"tmdb:949": foreign()})
    before = state(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match="No space left on device"):
        sink(tmp_path, film()).commit()

    assert state(tmp_path) == before


def test_until_the_very_end_the_old_history_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"tmdb:949": foreign()})
    seen: list[tuple[set[str], bool]] = []
    rename = Directory.rename

    def watched(self: Directory, temporary: str, name: str) -> None:
        strays = [name for name in files(tmp_path) if name.endswith(".json")]
        seen.append((set(items_of(tmp_path)), temporary not in strays))
        json.loads((self.path / temporary).read_bytes())
        rename(self, temporary, name)

    monkeypatch.setattr(Directory, "rename", watched)
    sink(tmp_path, film()).commit()

    assert seen == [({"tmdb:949"}, True), ({"tmdb:949"}, True)]
    assert set(items_of(tmp_path)) == {"tmdb:949", "tmdb:603"}


def test_a_history_behind_a_symbolic_link_is_merged_with_all_the_same(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", {"tmdb:949": foreign()})
    root = tmp_path / "root"
    root.mkdir()
    (root / "history.json").symlink_to(tmp_path / "elsewhere" / "history.json")

    sink(root, film()).commit()

    assert set(items_of(root)) == {"tmdb:949", "tmdb:603"}


def test_a_tracker_does_not_go_to_standard_output(tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(ConfigurationError, match="standard output"):
        sink(Path("-"), film()).commit()


# --merge-with.


def test_an_exported_history_is_built_on_and_stays_as_it_is(tmp_path: Path) -> None:
    export = put(tmp_path / "export", {"tmdb:949": foreign(), "tmdb:603": foreign(when=THEN - 9)})
    exported = export.read_bytes()

    receipt = sink(tmp_path / "root", film(), episode(), merge_with=export).commit()

    after = items_of(tmp_path / "root")
    assert set(after) == {"tmdb:949", "tmdb:603", "tvdb:81189#s01e02"}
    assert after["tmdb:949"] == foreign()
    assert after["tmdb:603"]["title"] == "The Matrix"
    assert export.read_bytes() == exported
    assert (receipt.new, receipt.updated, receipt.total) == (1, 1, 3)


def test_an_export_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        sink(tmp_path / "root", film(), merge_with=tmp_path / "gone.json").commit()
    assert not (tmp_path / "root").exists()


def test_an_export_that_is_no_history_is_refused(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(b"[]")
    with pytest.raises(SinkError, match=r"export\.json"):
        sink(tmp_path / "root", film(), merge_with=export).commit()
    assert not (tmp_path / "root").exists()


def test_the_option_reaches_the_sink(cli: Cli, history: Path, tmp_path: Path) -> None:
    export = put(tmp_path / "export", {"tmdb:949": foreign()})

    result = cli("db", history, "--to", "tracker", "--out", "root", "--merge-with", export)

    assert result.code == 0
    assert len(items_of(tmp_path / "root")) == 5
    assert items_of(tmp_path / "root")["tmdb:949"] == foreign()


# Ids that are found later.

_IDS = """\
type,title,year,tmdb
movie,First Film,2001,11
movie,Second Film,2002,12
movie,Third Film,2003,13
show,A Show,,14
"""


@pytest.mark.parametrize("viewings", [[], ["--rewatches"]], ids=["newest", "every viewing"])
def test_ids_found_later_leave_no_twin_under_the_plex_number(
    cli: Cli, history: Path, tmp_path: Path, viewings: list[str]
) -> None:
    root = tmp_path / "root"
    ids = tmp_path / "ids.csv"
    ids.write_text(_IDS, encoding="utf-8")
    assert cli("db", history, "--to", "tracker", "--out", root, *viewings).code == 0
    put(root, items_of(root) | {"plex:9": foreign()})

    assert cli("db", history, "--to", "tracker", "--out", root, *viewings, "--ids", ids).code == 0

    bases = [key.partition("@")[0] for key in items_of(root)]
    assert sorted(bases) == ["plex:9", "tmdb:11", "tmdb:12", "tmdb:13", "tmdb:14#s01e01"]


def test_ids_found_after_another_viewing_leave_no_twin_either(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    ids = tmp_path / "ids.csv"
    ids.write_text(_IDS, encoding="utf-8")
    assert cli("db", history, "--to", "tracker", "--out", root).code == 0
    with closing(create(tmp_path / "newer.db")) as newer:
        add_play(newer, id=90, title="First Film", year=2001, user="alice")

    again = cli(
        "db", history, tmp_path / "newer.db", "--to", "tracker", "--out", root, "--ids", ids
    )

    assert again.code == 0
    titles = [item["title"] for item in items_of(root).values()]
    assert titles.count("First Film") == 1


def test_no_twin_stays_when_somebody_else_already_wrote_the_better_key(tmp_path: Path) -> None:
    sink(tmp_path, film("plex:17")).commit()
    put(tmp_path, items_of(tmp_path) | {"tmdb:603": foreign("The Matrix", when=THEN - 9)})

    sink(tmp_path, film("tmdb:603"), now=LATER).commit()

    assert list(items_of(tmp_path)) == ["tmdb:603"]


def test_another_film_under_the_same_plex_number_is_no_twin(tmp_path: Path) -> None:
    put(tmp_path, {"plex:17": foreign("Heat", when=THEN)})

    sink(tmp_path, film("tmdb:603")).commit()

    assert set(items_of(tmp_path)) == {"plex:17", "tmdb:603"}


# Every viewing.


def test_with_rewatches_each_viewing_is_kept_under_the_second_it_was_watched(
    cli: Cli, tmp_path: Path
) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        for started in (1_600_000_000, 1_650_000_000, 1_700_000_000):
            add_play(conn, title="The Matrix", year=1999, guid="tmdb://603", started=started)

    plain = cli("db", tmp_path / "a.db", "--to", "tracker", "--out", "plain")
    every = cli("db", tmp_path / "a.db", "--to", "tracker", "--out", "every", "--rewatches")

    assert (plain.code, every.code) == (0, 0)
    (key,) = items_of(tmp_path / "plain")
    viewings = items_of(tmp_path / "every")
    assert len(viewings) == 3
    for event, item in viewings.items():
        base, _, epoch = event.partition("@")
        assert base == key
        assert utc(int(epoch)) == item["watched_at"]


@pytest.mark.parametrize("name", [".cw_provider", "profiles/CW-P01", "x"])
def test_nothing_is_said_of_an_upload_where_crosswatch_itself_reads(
    tmp_path: Path, name: str
) -> None:
    steps = sink(tmp_path / name, film()).commit().next_steps
    assert any("Import tracker archive" in step for step in steps) == (name == "x")
