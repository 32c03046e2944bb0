"""``--to editor``: one file for the Editor, the tracker's upload and the import wizard."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tautulli_import.errors import ConfigurationError, NotFoundError, SinkError
from tautulli_import.model.items import Episode, Ids, Movie, Record
from tautulli_import.sinks.base import SinkOptions
from tautulli_import.sinks.editor import EditorSink
from tests.conftest import Cli
from tests.support.history import add_play, create

NOW = 1_790_000_000
LATER = NOW + 3600
THEN = 1_700_000_000


def utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def film(when: int = THEN, title: str = "The Matrix", *, play: int = 7) -> Record:
    item = Movie(Ids(tmdb="603", plex="17"), title, 1999, utc(when))
    return Record(f"tmdb:603@{when}", item, when, play)


def episode(when: int = THEN + 60, *, play: int = 8) -> Record:
    ids = Ids(tvdb="81189", plex="40")
    item = Episode(ids, "Pilot", 2008, 0, 1, utc(when), "Breaking Bad", ids)
    return Record(f"tvdb:81189#s00e01@{when}", item, when, play)


def sink(out: Path | None, *records: Record, now: int = NOW, **more: Any) -> EditorSink:
    made = EditorSink(SinkOptions(out, more.pop("stdout", BytesIO()), now, True, **more))
    made.write(records)
    return made


def dataset(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    assert isinstance(value, dict)
    return value


def export(path: Path, items: Mapping[str, object]) -> Path:
    path.write_text(json.dumps({"ts": 1, "items": items}), encoding="utf-8")
    return path


def keys(path: Path) -> Sequence[str]:
    return [row["key"] for row in dataset(path)["items"]]


def test_the_envelope_is_exactly_what_the_editor_takes(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"

    sink(out, film()).commit()

    content = out.read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    told = json.loads(content.decode("utf-8"))
    assert [(name, value) for name, value in told.items() if name != "items"] == [
        ("kind", "history"),
        ("source", "state"),
        ("provider", "CROSSWATCH"),
        ("provider_instance", "default"),
        ("ts", NOW),
        ("blocks", []),
    ]
    assert list(told)[-1] == "items"
    assert isinstance(told["items"], list)


def test_a_row_is_the_item_with_its_key_first_and_its_provenance_last(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"

    sink(out, film(), episode()).commit()

    first, second = dataset(out)["items"]
    assert json.dumps(first) == json.dumps(
        {
            "key": f"tmdb:603@{THEN}",
            "type": "movie",
            "ids": {"tmdb": "603", "plex": "17"},
            "title": "The Matrix",
            "year": 1999,
            "watched_at": utc(THEN),
            "provider_event_id": "tautulli-7",
        }
    )
    assert json.dumps(second) == json.dumps(
        {
            "key": f"tvdb:81189#s00e01@{THEN + 60}",
            "type": "episode",
            "ids": {"tvdb": "81189", "plex": "40"},
            "title": "Pilot",
            "year": 2008,
            "season": 0,
            "episode": 1,
            "watched_at": utc(THEN + 60),
            "series_title": "Breaking Bad",
            "show_ids": {"tvdb": "81189", "plex": "40"},
            "provider_event_id": "tautulli-8",
        }
    )


def test_every_viewing_is_a_row_of_its_own_without_being_asked_for(
    cli: Cli, tmp_path: Path
) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        for started in (1_600_000_000, 1_650_000_000):
            add_play(conn, title="The Matrix", year=1999, started=started)
        add_play(conn, title="Heat", year=1995, started=1_620_000_000)

    result = cli("db", tmp_path / "a.db", "--to", "editor")

    assert result.code == 0
    rows = dataset(tmp_path / "tautulli-editor-history.json")["items"]
    assert [(row["title"], row["provider_event_id"]) for row in rows] == [
        ("The Matrix", "tautulli-1"),
        ("Heat", "tautulli-3"),
        ("The Matrix", "tautulli-2"),
    ]
    for row in rows:
        assert utc(int(row["key"].partition("@")[2])) == row["watched_at"]


def test_a_film_resumed_is_one_viewing(cli: Cli, tmp_path: Path) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        add_play(conn, title="Heat", started=1_600_000_000)
        rest = {"stopped": 1_600_090_360, "view_offset": 7_200_000}
        add_play(conn, title="Heat", started=1_600_090_000, **rest)

    assert cli("db", tmp_path / "a.db", "--to", "editor").code == 0

    rows = dataset(tmp_path / "tautulli-editor-history.json")["items"]
    assert [row["provider_event_id"] for row in rows] == ["tautulli-2"]


@pytest.mark.parametrize("name", ["dataset.json", "history.txt", "myhistory.json", "x"])
def test_a_name_that_crosswatch_would_refuse_is_refused_here(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sink(tmp_path / name, film()).commit()
    assert "-history.json" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["history.json", "a-history.json", "-history.json"])
def test_a_name_that_crosswatch_takes_is_taken(tmp_path: Path, name: str) -> None:
    sink(tmp_path / name, film()).commit()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_bad_name_is_a_usage_error(cli: Cli, history: Path) -> None:
    result = cli("db", history, "--to", "editor", "--out", "dataset.json")
    assert result.code == 2
    assert "dataset-history.json" in result.err


def test_each_user_has_a_name_that_crosswatch_takes_too(tmp_path: Path) -> None:
    sink(tmp_path / "x-history.json", film(), user="alice").commit()
    sink(tmp_path / "history.json", film(), user="bob").commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bob-history.json",
        "x-alice-history.json",
    ]


def test_a_second_run_changes_nothing_at_all(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    sink(out, film(), episode()).commit()
    before = out.read_bytes(), out.stat().st_mtime_ns, out.stat().st_ino

    receipt = sink(out, film(), episode(), now=LATER).commit()

    assert (out.read_bytes(), out.stat().st_mtime_ns, out.stat().st_ino) == before
    assert (receipt.new, receipt.updated, receipt.unchanged) == (0, 0, 2)
    assert receipt.written == ()
    assert [path.name for path in tmp_path.iterdir()] == ["x-history.json"]


def test_a_new_play_is_told_as_new_and_a_changed_one_as_updated(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    sink(out, film(), episode()).commit()

    changed = sink(out, film(), film(THEN + 5), episode(play=9))

    told = changed.preview()
    assert (told.new, told.updated, told.unchanged, told.total) == (1, 1, 1, 3)
    receipt = changed.commit()
    assert (receipt.new, receipt.updated, receipt.unchanged, receipt.total) == (1, 1, 1, 3)
    assert receipt.written == [str(out)]


def test_a_row_of_an_earlier_run_stays_unless_it_is_superseded(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    sink(out, film(), episode()).commit()
    before = out.read_bytes()

    receipt = sink(out, film(), now=LATER).commit()
    assert (receipt.removed, receipt.unchanged, receipt.total) == (0, 1, 2)
    assert out.read_bytes() == before

    replacing = sink(out, film(), now=LATER)
    replacing.superseded = {f"tvdb:81189#s00e01@{THEN + 60}": THEN + 60}
    receipt = replacing.commit()
    assert (receipt.removed, receipt.kept, receipt.total) == (1, 0, 1)
    assert keys(out) == [f"tmdb:603@{THEN}"]

    everything = sink(out, now=LATER)
    everything.superseded = {f"tmdb:603@{THEN}": THEN}
    assert everything.commit().removed == 1
    assert keys(out) == []


def test_a_superseded_row_that_somebody_changed_stays_and_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    sink(out, film(), episode()).commit()
    changed = dataset(out)
    changed["items"][1]["watched_at"] = utc(THEN + 3600)
    out.write_text(json.dumps(changed), encoding="utf-8")

    replacing = sink(out, film(), now=LATER)
    replacing.superseded = {f"tvdb:81189#s00e01@{THEN + 60}": THEN + 60}
    receipt = replacing.commit()

    assert (receipt.removed, receipt.kept, receipt.total) == (0, 1, 2)
    assert dataset(out) == changed


def test_a_preview_writes_nothing(tmp_path: Path) -> None:
    assert sink(tmp_path / "x-history.json", film()).preview().new == 1
    assert list(tmp_path.iterdir()) == []


_ROW = '{"key":"tmdb:949","type":"movie","title":"Heat"}'
_FOREIGN = {
    "a tracker's history": '{"ts":1,"items":{"tmdb:949":{"type":"movie"}}}',
    "a list": f"[{_ROW}]",
    "another JSON": '{"precious":1}',
    "no JSON": "precious",
    "truncated": '{"kind":"history","items":[{"key":',
    "empty": "",
    "rows without keys": '{"kind":"history","items":[{"type":"movie"}]}',
    "a dataset without a kind": f'{{"items":[{_ROW}]}}',
    "a watchlist": '{"kind":"watchlist","source":"state","provider":"CROSSWATCH",'
    f'"provider_instance":"default","ts":1,"blocks":[],"items":[{_ROW}]}}',
    "another provider's history": '{"kind":"history","source":"state","provider":"PLEX",'
    f'"provider_instance":"default","ts":1,"blocks":[],"items":[{_ROW}]}}',
}


@pytest.mark.parametrize("content", _FOREIGN.values(), ids=_FOREIGN.keys())
def test_a_foreign_file_is_never_overwritten(tmp_path: Path, content: str) -> None:
    out = tmp_path / "x-history.json"
    out.write_text(content, encoding="utf-8")

    with pytest.raises(SinkError) as caught:
        sink(out, film()).commit()

    assert str(out) in str(caught.value)
    assert caught.value.exit_code == 8
    assert out.read_text(encoding="utf-8") == content
    assert [path.name for path in tmp_path.iterdir()] == ["x-history.json"]


def test_a_directory_in_the_way_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    out.mkdir()
    with pytest.raises(SinkError, match="x-history"):
        sink(out, film()).commit()
    assert list(out.iterdir()) == []


def test_standard_output_gets_the_dataset_and_nothing_else(cli: Cli, history: Path) -> None:
    result = cli("db", history, "--to", "editor", "--out", "-")

    assert result.code == 0
    told = json.loads(result.out)
    assert told["kind"] == "history"
    assert len(told["items"]) == 4


def test_an_exported_history_is_kept_row_by_row_under_event_keys(tmp_path: Path) -> None:
    heat = {
        "type": "movie",
        "ids": {"tmdb": "949"},
        "title": "Heat",
        "year": 1995,
        "watched_at": utc(THEN + 30),
    }
    before = export(
        tmp_path / "history.json",
        {
            "tmdb:949": heat,
            f"tmdb:950@{THEN + 90}": heat | {"watched_at": utc(THEN + 90)},
            "tmdb:603": {"type": "movie", "title": "old", "watched_at": utc(THEN - 300)},
        },
    )
    out = tmp_path / "x-history.json"

    receipt = sink(out, film(), episode(), merge_with=before).commit()

    assert keys(out) == [
        f"tmdb:603@{THEN - 300}",
        f"tmdb:603@{THEN}",
        f"tmdb:949@{THEN + 30}",
        f"tvdb:81189#s00e01@{THEN + 60}",
        f"tmdb:950@{THEN + 90}",
    ]
    assert dataset(out)["items"][2] == {"key": f"tmdb:949@{THEN + 30}", **heat}
    assert receipt.total == 5


@pytest.mark.parametrize("order", [1, -1])
def test_two_exported_entries_of_one_viewing_are_one_row_with_the_ids_of_both(
    tmp_path: Path, order: int
) -> None:
    heat = {"type": "movie", "title": "Heat", "year": 1995, "watched_at": utc(THEN)}
    both = ("tmdb:949", f"tmdb:949@{THEN}")[::order]
    ids = ({"tmdb": "949", "imdb": "tt0113277"}, {"tmdb": "949", "plex": "5"})
    items = {key: {**heat, "ids": one} for key, one in zip(both, ids, strict=True)}
    out = tmp_path / "x-history.json"

    sink(out, merge_with=export(tmp_path / "history.json", items)).commit()

    (row,) = dataset(out)["items"]
    assert row["ids"] == {"tmdb": "949", "imdb": "tt0113277", "plex": "5"}


def test_on_the_same_viewing_ours_replaces_the_exported_row(tmp_path: Path) -> None:
    theirs = {"type": "movie", "title": "theirs", "watched_at": utc(THEN)}
    before = export(tmp_path / "history.json", {"tmdb:603": theirs})
    out = tmp_path / "x-history.json"

    sink(out, film(), merge_with=before).commit()

    (row,) = dataset(out)["items"]
    assert (row["title"], row["provider_event_id"]) == ("The Matrix", "tautulli-7")


def test_a_title_key_with_an_at_sign_is_kept_whole(tmp_path: Path) -> None:
    theirs = {"type": "movie", "ids": {}, "title": "Live @ Home", "watched_at": utc(THEN)}
    before = export(tmp_path / "history.json", {"movie|title:live @ home|year:2001": theirs})
    out = tmp_path / "x-history.json"

    sink(out, merge_with=before).commit()

    assert keys(out) == [f"movie|title:live @ home|year:2001@{THEN}"]


def test_two_titles_that_begin_alike_before_an_at_sign_are_both_kept(tmp_path: Path) -> None:
    theirs = {"type": "movie", "ids": {}, "title": "Live", "watched_at": utc(THEN)}
    before = export(
        tmp_path / "history.json",
        {"movie|title:live @ home|year:2001": theirs, "movie|title:live @ work|year:2001": theirs},
    )
    out = tmp_path / "x-history.json"

    sink(out, merge_with=before).commit()

    assert len(keys(out)) == 2


def test_a_viewing_whose_ids_were_found_since_the_export_is_one_row(tmp_path: Path) -> None:
    old = {
        "type": "movie",
        "ids": {"plex": "17"},
        "title": "The Matrix",
        "year": 1999,
        "watched_at": utc(THEN),
    }
    before = export(tmp_path / "history.json", {"plex:17": old})
    out = tmp_path / "x-history.json"

    sink(out, film(), merge_with=before).commit()

    assert keys(out) == [f"tmdb:603@{THEN}"]


def test_an_exported_entry_without_a_time_is_kept_first(tmp_path: Path) -> None:
    bare = {"type": "movie", "ids": {"tmdb": "949"}, "title": "Heat"}
    before = export(tmp_path / "history.json", {"tmdb:949": bare})
    out = tmp_path / "x-history.json"

    sink(out, film(), merge_with=before).commit()

    assert dataset(out)["items"][0] == {"key": "tmdb:949", **bare}


def test_a_second_run_on_the_same_export_changes_nothing(tmp_path: Path) -> None:
    theirs = {"type": "movie", "title": "theirs", "watched_at": utc(THEN + 9)}
    before = export(tmp_path / "history.json", {"tmdb:949": theirs})
    out = tmp_path / "x-history.json"
    sink(out, film(), merge_with=before).commit()
    content = out.read_bytes()

    receipt = sink(out, film(), now=LATER, merge_with=before).commit()

    assert out.read_bytes() == content
    assert receipt.written == ()


def test_an_export_that_is_missing_or_none_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "x-history.json"
    with pytest.raises(NotFoundError):
        sink(out, film(), merge_with=tmp_path / "gone.json").commit()
    (tmp_path / "bad.json").write_text("[]", encoding="utf-8")
    with pytest.raises(SinkError):
        sink(out, film(), merge_with=tmp_path / "bad.json").commit()
    assert not out.exists()


def rows_in(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        return [row for name in archive.namelist() for row in json.loads(archive.read(name))]


def test_a_zip_for_the_import_has_numbered_parts_of_bare_lists(tmp_path: Path) -> None:
    out = tmp_path / "x-history.zip"
    with patch("tautulli_import.crosswatch.archive.MEMBER_BYTES", 300):
        receipt = sink(out, film(), episode()).commit()
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["history-001.json", "history-002.json"]
    assert [row["key"] for row in rows_in(out)] == [film().key, episode().key]
    assert receipt.written == [str(out)]
    assert "Generic CSV/JSON" in receipt.next_steps[0]


def test_a_zip_keeps_the_rows_of_earlier_runs(tmp_path: Path) -> None:
    out = tmp_path / "x-history.zip"
    sink(out, film()).commit()
    before = out.read_bytes()
    assert sink(out, film()).commit().written == ()
    assert out.read_bytes() == before
    sink(out, episode(), now=LATER).commit()
    assert [row["key"] for row in rows_in(out)] == [film().key, episode().key]


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"[]", b'{"items":[]}'])
def test_a_zip_that_is_none_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "x-history.zip"
    out.write_bytes(content)
    with pytest.raises(SinkError, match="is not an Editor dataset"):
        sink(out, film()).check()
    assert out.read_bytes() == content


def test_a_zip_of_each_user_has_a_name_of_its_own(tmp_path: Path) -> None:
    made = sink(tmp_path / "x-history.zip", user="alice")
    assert made.path.name == "x-alice-history.zip"


@pytest.mark.parametrize(
    ("limit", "rows", "words"),
    [
        (10_000, 50_000, "It adds every row"),
        (100, 50_000, "too large for CrossWatch's import. Write a ZIP for it: --out"),
        (10_000, 1, "Use --to crosswatch"),
    ],
)
def test_the_next_step_fits_the_file(tmp_path: Path, limit: int, rows: int, words: str) -> None:
    with patch.multiple("tautulli_import.sinks.editor", _WIZARD_BYTES=limit, _WIZARD_ROWS=rows):
        steps = sink(tmp_path / "x-history.json", film(), episode()).commit().next_steps
    assert words in steps[0]
    replaces = "rename it to history.json" in " ".join(steps)
    assert replaces == ("It adds" not in words)
