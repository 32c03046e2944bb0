"""What is written, and what is never written over: sinks, merging, files, standard streams."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tautulli_import.sources.database.source import Source
from tests.conftest import Cli, Result
from tests.support.history import add_play, add_user, create
from tests.support.inside import Inside
from tests.support.products import crossed

NOW = 1_790_000_000
THEN = 1_700_000_000
TMDB = "com.plexapp.agents.themoviedb://{}?lang=en"
IMDB = "com.plexapp.agents.imdb://tt{}?lang=en"


def utc(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "home" not in path.relative_to(root).parts
    }


def items_of(root: Path) -> dict[str, Any]:
    items = json.loads((root / "history.json").read_bytes())["items"]
    assert isinstance(items, dict)
    return items


def put(root: Path, items: Mapping[str, object]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "history.json"
    path.write_text(json.dumps({"ts": 1, "items": items}), encoding="utf-8")
    return path


def told(result: Result) -> dict[str, Any]:
    """Return the numbers of a run with ``--json``."""
    assert result.code == 0, result.err
    value = json.loads(result.out)
    assert isinstance(value, dict)
    return value


# What is read is never written over.


_OVER = {
    "the database with items": ("db", "h.db", "--to", "jsonl", "--out", "{}h.db"),
    "the database with a dataset": (
        *("db", "h-history.json", "--to", "editor", "--out", "{}h-history.json"),
    ),
    "the database with the report": ("db", "h.db", "--to", "tracker", "--report", "{}h.db"),
    "the database in a dry run": ("db", "h.db", "-n", "--report", "{}h.db"),
    "the database with what lacks ids": ("check", "h.db", "--missing-ids", "{}h.db"),
    "the database with a list to fill in": ("unresolved", "h.db", "--csv", "{}h.db"),
    "the corrections with a list to fill in": (
        *("unresolved", "h.db", "--ids", "ids.csv", "--csv", "{}ids.csv"),
    ),
    "one of two databases": ("db", "h.db", "two.db", "--to", "jsonl", "--out", "{}two.db"),
    "the write-ahead log": ("db", "h.db", "--to", "jsonl", "--out", "{}h.db-wal"),
    "the corrections with items": (
        *("db", "h.db", "--to", "jsonl", "--ids", "ids.csv", "--out", "{}ids.csv"),
    ),
    "the corrections with what lacks ids": (
        *("check", "h.db", "--ids", "ids.csv", "--missing-ids", "{}ids.csv"),
    ),
    "the config.ini with the report": (
        *("db", "h.db", "--to", "tracker", "--config-ini", "c.ini", "--report", "{}c.ini"),
    ),
    "the export with the report": (
        *("db", "h.db", "--to", "tracker", "--merge-with", "export.json"),
        *("--report", "{}export.json"),
    ),
    "the items with the report": (
        *("db", "h.db", "--to", "jsonl", "--out", "s.jsonl", "--report", "{}s.jsonl"),
    ),
    "the items with a dataset": (
        *("db", "h.db", "--to", "jsonl", "--to", "editor"),
        *("--out", "jsonl=s-history.json", "--out", "editor={}s-history.json"),
    ),
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, history: Path) -> Path:
    """Files of every sort, and a directory of symbolic links to them."""
    content = history.read_bytes()
    for name in ("h.db", "two.db", "h-history.json"):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "ids.csv").write_text("type,title,year,tmdb\nmovie,First Film,2001,11\n")
    (tmp_path / "c.ini").write_text("[Monitoring]\nmovie_watched_percent = 85\n")
    (tmp_path / "export.json").write_text('{"ts":1,"items":{}}')
    (tmp_path / "links").mkdir()
    there = [path.name for path in tmp_path.iterdir() if path.is_file()]
    for name in ("s.jsonl", "s-history.json", "h.db-wal", *there):
        (tmp_path / "links" / name).symlink_to(tmp_path / name)
    return tmp_path


@pytest.mark.sampled(4)
@pytest.mark.parametrize("through", ["", "links/", "links/../"])
@pytest.mark.parametrize("args", _OVER.values(), ids=_OVER.keys())
def test_what_is_read_or_written_already_is_never_written_over(
    inside: Inside, desk: Path, args: Sequence[str], through: str
) -> None:
    before = contents(desk)

    result = inside(*(arg.format(through) for arg in args))

    assert (result.code, result.out) == (2, ""), result.err
    assert "Error: " in result.err
    assert "bug" not in result.err
    assert contents(desk) == before


_WITHIN = {
    "a tracker's history": ("--to", "tracker", "--out", "root", "--report", "root/history.json"),
    "a tracker of its own name": (
        *("--to", "tracker", "--report", "crosswatch-tracker/history.json"),
    ),
    "a dataset of its own name": (*("--to", "editor", "--report", "tautulli-editor-history.json"),),
}


@pytest.mark.parametrize("args", _WITHIN.values(), ids=_WITHIN.keys())
def test_the_report_does_not_replace_what_a_sink_writes_in_its_own_place(
    inside: Inside, history: Path, tmp_path: Path, args: Sequence[str]
) -> None:
    assert inside("db", history, *args[: args.index("--report")]).code == 0
    before = contents(tmp_path)

    result = inside("db", history, *args)

    assert result.code == 2, result.err
    assert contents(tmp_path) == before


def test_a_list_that_may_be_filled_in_is_not_replaced(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "missing.csv"
    mine.write_text("type,rating_key,tmdb\nmovie,12,603\n", encoding="utf-8")

    result = inside("check", history, "--missing-ids", mine)

    assert (result.code, result.out) == (8, "")
    assert "missing.csv" in result.err
    assert mine.read_text(encoding="utf-8") == "type,rating_key,tmdb\nmovie,12,603\n"


def test_an_empty_file_can_become_the_list(inside: Inside, history: Path, tmp_path: Path) -> None:
    (tmp_path / "missing.csv").touch()
    assert inside("check", history, "--missing-ids", "missing.csv").code == 0
    assert len((tmp_path / "missing.csv").read_text(encoding="utf-8").splitlines()) == 5


# What CrossWatch exported.


def foreign(title: str = "Heat", when: int = THEN, **more: object) -> dict[str, object]:
    ids = {"tmdb": "949", "trakt": "1"}
    return {
        "type": "movie", "ids": ids, "title": title, "year": 1995, "watched_at": utc(when)
    } | more  # fmt: skip


def test_an_export_is_one_history_and_not_everybodys(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    export = put(tmp_path / "export", {"tmdb:949": foreign()})
    before = contents(tmp_path)
    args = ("db", history, "--to", "tracker", "--merge-with", export)

    result = inside(*args, "--each-user")

    assert result.code == 2
    assert "--each-user" in result.err
    assert contents(tmp_path) == before


def test_an_export_means_nothing_to_lines_of_items(cli: Cli, history: Path, tmp_path: Path) -> None:
    export = put(tmp_path / "export", {"tmdb:949": foreign()})
    alone = cli("db", history, "--to", "jsonl", "--merge-with", export)
    along = cli("db", history, "--to", "jsonl", "--to", "tracker", "--merge-with", export)

    assert (alone.code, alone.out) == (2, "")
    assert "--merge-with" in alone.err
    assert along.code == 0, along.err
    assert len(along.out.splitlines()) == 4
    assert len(items_of(tmp_path / "crosswatch-tracker")) == 5


@pytest.mark.parametrize("member", ["history.json", ".cw_provider/history.json"])
def test_the_archive_that_crosswatch_exports_is_taken_as_it_is(
    inside: Inside, history: Path, tmp_path: Path, member: str
) -> None:
    state = json.dumps({"ts": 1, "items": {"tmdb:949": foreign()}})
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("snapshots/20200101T000000Z-history.json", '{"ts":0,"items":{}}')
        archive.writestr(".cw_provider/ratings.json", '{"ts":0,"items":{}}')
        archive.writestr(member, state)

    result = inside("db", history, "--to", "tracker", "--merge-with", "export.zip", "--out", "root")

    assert result.code == 0, result.err
    items = items_of(tmp_path / "root")
    assert len(items) == 5
    assert items["tmdb:949"] == foreign()


def test_a_dataset_of_the_editor_is_an_export_too(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    row = {"key": f"tmdb:949@{THEN}", **foreign(provider_event_id="trakt-1")}
    dataset = {"kind": "history", "source": "state", "provider": "CROSSWATCH", "items": [row]}
    (tmp_path / "editor.json").write_text(json.dumps(dataset), encoding="utf-8")
    args = ("db", history, "--merge-with", "editor.json")

    tracker = inside(*args, "--to", "tracker", "--out", "root")
    editor = inside(*args, "--to", "editor", "--out", "x-history.json")

    assert (tracker.code, editor.code) == (0, 0), tracker.err + editor.err
    assert items_of(tmp_path / "root")[f"tmdb:949@{THEN}"] == foreign(provider_event_id="trakt-1")
    rows = json.loads((tmp_path / "x-history.json").read_bytes())["items"]
    assert len(rows) == 5
    assert row in rows


# One tracker, several runs.


@pytest.fixture
def viewings(tmp_path: Path) -> Path:
    """Return a film and an episode, each watched three times, and a film that has no ids."""
    path = tmp_path / "viewings.db"
    with closing(create(path)) as conn:
        for number in range(3):
            when = THEN + number * 86_400
            add_play(
                conn, title="Heat", year=1995, rating_key=12, guid=TMDB.format(949), started=when
            )
            add_play(conn, media_type="episode", started=when + 20_000)
        add_play(conn, title="At home", year=2001, started=THEN + 50_000)
    return path


def stands_once(root: Path) -> None:
    seen = [(i["type"], i["title"], i["watched_at"]) for i in items_of(root).values()]
    assert len(seen) == len(set(seen)), sorted(seen)


@pytest.mark.parametrize("first", [(), ("--rewatches",)], ids=["newest first", "all first"])
def test_no_viewing_stands_twice_after_runs_with_and_without_rewatches(
    inside: Inside, viewings: Path, tmp_path: Path, first: Sequence[str]
) -> None:
    second = () if first else ("--rewatches",)
    root = tmp_path / "root"
    for args in (first, second, first, second):
        assert inside("db", viewings, "--to", "tracker", "--out", root, *args).code == 0
        stands_once(root)

    assert len(items_of(root)) == 7


@pytest.mark.parametrize("rewatches", [(), ("--rewatches",)])
def test_the_first_run_with_every_viewing_tells_the_ones_it_knew_as_updated(
    inside: Inside, viewings: Path, tmp_path: Path, rewatches: Sequence[str]
) -> None:
    args = ("db", viewings, "--to", "tracker", "--out", "root", "--json")
    assert told(inside(*args, *rewatches))["items"]["new"] == (7 if rewatches else 3)

    again = told(inside(*args, "--rewatches"))["items"]

    expected = (0, 0, 7) if rewatches else (4, 3, 0)
    assert (again["new"], again["updated"], again["unchanged"]) == expected
    assert len(items_of(tmp_path / "root")) == 7


_RIGHT = "type,rating_key,tmdb\nmovie,12,603\n"


@pytest.mark.parametrize("every", [(), ("--rewatches",)], ids=["newest", "every viewing"])
def test_a_wrong_id_that_was_corrected_leaves_no_entry_behind(
    inside: Inside, viewings: Path, tmp_path: Path, every: Sequence[str]
) -> None:
    (tmp_path / "ids.csv").write_text(_RIGHT, encoding="utf-8")
    args: Sequence[str | Path] = ("db", viewings, "--to", "tracker", "--out", "root", *every)
    assert inside(*args).code == 0
    assert any(key.startswith("tmdb:949") for key in items_of(tmp_path / "root"))

    assert inside(*args, "--ids", "ids.csv").code == 0

    items = items_of(tmp_path / "root")
    bases = [key.partition("@")[0] for key, item in items.items() if item["title"] == "Heat"]
    assert set(bases) == {"tmdb:603"}
    stands_once(tmp_path / "root")


def test_a_wrong_id_of_another_namespace_does_not_live_on_in_the_corrected_entry(
    inside: Inside, tmp_path: Path
) -> None:
    (tmp_path / "ids.csv").write_text(_RIGHT, encoding="utf-8")
    with closing(create(tmp_path / "t.db")) as conn:
        add_play(conn, title="Heat", rating_key=12, guid=IMDB.format("0000009"), started=THEN)
    args = ("db", "t.db", "--to", "tracker", "--out", "root")
    assert inside(*args).code == 0

    assert inside(*args, "--ids", "ids.csv").code == 0

    assert items_of(tmp_path / "root")["tmdb:603"]["ids"] == {"tmdb": "603", "plex": "12"}


def test_ids_that_somebody_else_added_to_an_entry_of_ours_stay_in_it(
    inside: Inside, viewings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    args = ("db", viewings, "--to", "tracker", "--out", root, "--json")
    first = told(inside(*args))
    items = items_of(root)
    items["tmdb:949"]["ids"] |= {"trakt": "77", "simkl": "5"}
    put(root, items)

    again = told(inside(*args))

    assert (first["items"]["new"], again["items"]["unchanged"]) == (3, 3)
    assert items_of(root)["tmdb:949"]["ids"]["trakt"] == "77"
    put(root, {"tmdb:949": {**items["tmdb:949"], "ids": {"tmdb": "949", "trakt": "77"}}})
    assert told(inside(*args))["items"]["updated"] == 1
    assert items_of(root)["tmdb:949"]["ids"] == {"trakt": "77", "tmdb": "949", "plex": "12"}


def rewritten(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return a history after CrossWatch synced it with "Rewatches" on."""
    changed = {}
    for key, item in items.items():
        epoch = int(datetime.fromisoformat(item["watched_at"]).timestamp())
        event = f"{key}@{epoch}"
        changed[event] = {
            **item,
            "_cw_event_key": event,
            "_cw_event_base": key,
            "provider_event_id": f"cw-{epoch}",
        }
    return changed


def test_keys_that_crosswatch_has_rewritten_are_known_again(
    inside: Inside, viewings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    args = ("db", viewings, "--to", "tracker", "--out", root)
    assert inside(*args).code == 0
    put(root, rewritten(items_of(root)))
    before = contents(root)

    result = inside(*args)

    assert result.code == 0
    assert "Nothing new" in result.err
    assert contents(root) == before


def test_fields_that_crosswatch_adds_stay_in_entries_of_every_viewing(
    inside: Inside, viewings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    args = ("db", viewings, "--to", "tracker", "--out", root)
    assert inside(*args, "--rewatches").code == 0
    put(
        root,
        {
            key: {**item, "_cw_event_key": key, "provider_event_id": "9"}
            for key, item in items_of(root).items()
        },
    )
    before = contents(root)

    again = inside(*args, "--rewatches", "--json")

    assert told(again)["items"]["unchanged"] == 7
    assert contents(root) == before


def test_fields_that_crosswatch_adds_stay_where_only_a_title_changed(
    inside: Inside, viewings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    args = ("db", viewings, "--to", "tracker", "--out", root, "--json")
    told(inside(*args))
    items = items_of(root)
    items["tmdb:949"] |= {"title": "HEAT", "_cw_event_key": "x", "rating": 8}
    put(root, items)

    assert told(inside(*args))["items"]["updated"] == 1
    assert told(inside(*args))["items"]["unchanged"] == 3
    entry = items_of(root)["tmdb:949"]
    assert (entry["title"], entry["_cw_event_key"], entry["rating"]) == ("Heat", "x", 8)


@pytest.mark.parametrize("every", [(), ("--rewatches",)], ids=["newest", "every viewing"])
def test_an_episode_of_another_series_is_never_taken_for_ours(
    inside: Inside, viewings: Path, tmp_path: Path, every: Sequence[str]
) -> None:
    root = tmp_path / "root"
    args: Sequence[str | Path] = ("db", viewings, "--to", "tracker", "--out", root, *every)
    assert inside(*args).code == 0
    ours = [item for item in items_of(root).values() if item["type"] == "episode"]
    theirs = {**ours[-1], "series_title": "Another Show"}
    foreign_entries = {
        "tvdb:5#s01e01": theirs,
        f"tvdb:5#s01e01@{THEN}": theirs,
        "plex:4#s01e01": theirs,
    }
    put(root, foreign_entries)

    assert inside(*args).code == 0

    items = items_of(root)
    assert {key: items.get(key) for key in foreign_entries} == foreign_entries
    assert len(items) == len(foreign_entries) + (7 if every else 3)


# A dataset for the Editor.


def test_a_dataset_with_rows_of_somebody_else_is_not_replaced(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x-history.json"
    args = ("db", history, "--to", "editor", "--out", out)
    assert inside(*args).code == 0
    dataset = json.loads(out.read_bytes())
    dataset["items"].append({"key": f"tmdb:949@{THEN}", **foreign()})
    out.write_text(json.dumps(dataset), encoding="utf-8")
    before = out.read_bytes()

    refused = inside(*args)

    assert (refused.code, out.read_bytes()) == (8, before)
    assert f"tmdb:949@{THEN}" in refused.err
    (tmp_path / "copy.json").write_bytes(before)
    kept = inside(*args, "--merge-with", "copy.json")
    assert kept.code == 0, kept.err
    assert len(json.loads(out.read_bytes())["items"]) == 5


def test_rows_of_earlier_runs_stay_in_a_dataset(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    args = ("db", history, "--to", "editor", "--out", "x-history.json", "--json")
    assert told(inside(*args))["items"]["new"] == 4
    before = (tmp_path / "x-history.json").read_bytes()

    result = inside(*args, "--user", "bob")

    (output,) = told(result)["outputs"]
    assert (output["removed"], output["unchanged"], output["total"]) == (0, 1, 4)
    assert (tmp_path / "x-history.json").read_bytes() == before


@pytest.mark.parametrize("every", [(), ("--rewatches",)], ids=["newest", "every viewing"])
def test_a_dataset_has_no_row_under_an_id_that_was_corrected(
    inside: Inside, viewings: Path, tmp_path: Path, every: Sequence[str]
) -> None:
    (tmp_path / "ids.csv").write_text(_RIGHT, encoding="utf-8")
    args: Sequence[str | Path] = ("db", viewings, "--to", "editor", "--out", "x-history.json")
    assert inside(*args, *every).code == 0

    assert inside(*args, *every, "--ids", "ids.csv").code == 0

    rows = json.loads((tmp_path / "x-history.json").read_bytes())["items"]
    assert {row["key"].partition("@")[0] for row in rows if row["title"] == "Heat"} == {"tmdb:603"}
    assert len(rows) == 7


@pytest.mark.parametrize("name", ["watchlist-history.json", "My-LIST-history.json"])
def test_a_dataset_is_not_called_a_list(
    inside: Inside, history: Path, tmp_path: Path, name: str
) -> None:
    result = inside("db", history, "--to", "editor", "--out", name)
    assert result.code == 2
    assert "list" in result.err
    assert not (tmp_path / name).exists()


def test_a_dataset_may_stand_in_a_directory_called_lists(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    assert inside("db", history, "--to", "editor", "--out", "lists/x-history.json").code == 0
    assert (tmp_path / "lists" / "x-history.json").is_file()


# Lines of items.


@pytest.mark.parametrize("content", ["a letter\n", '{"ts":1}', " ", '[{"key":1}]', "\0"])
def test_a_file_that_holds_no_items_is_not_replaced_by_items(
    inside: Inside, history: Path, tmp_path: Path, content: str
) -> None:
    out = tmp_path / "x.jsonl"
    out.write_text(content, encoding="utf-8")

    result = inside("db", history, "--to", "jsonl", "--out", out)

    assert result.code == 8
    assert "x.jsonl" in result.err
    assert out.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("before", [None, b"", b'{"key":"tmdb:1"}\n'])
def test_items_replace_items_or_nothing(
    inside: Inside, history: Path, tmp_path: Path, before: bytes | None
) -> None:
    out = tmp_path / "x.jsonl"
    if before is not None:
        out.write_bytes(before)

    assert inside("db", history, "--to", "jsonl", "--out", out).code == 0

    assert len(out.read_bytes().splitlines()) == 4


@pytest.mark.parametrize("sink", ["jsonl", "editor"])
def test_a_pipe_is_written_to_and_stays_a_pipe(
    cli: Cli, history: Path, tmp_path: Path, sink: str
) -> None:
    pipe = tmp_path / "pipe-history.json"
    os.mkfifo(pipe)
    program = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(pipe)], stdout=subprocess.PIPE
    ) as reader:
        try:
            result = cli("db", history, "--to", sink, "--out", pipe)
            out, _ = reader.communicate(timeout=60)
        finally:
            reader.kill()

    assert result.code == 0, result.err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert out.count(b'"watched_at"') == 4


@pytest.mark.parametrize("option", ["--out", "--report", "--page", "--missing-ids", "--csv"])
def test_a_full_device_is_a_failed_write(cli: Cli, history: Path, option: str) -> None:
    before = Path("/dev/full").stat()
    command = {
        "--out": ("db", history, "--to", "jsonl"),
        "--report": ("db", history, "--to", "tracker"),
        "--page": ("db", history, "--to", "tracker"),
        "--missing-ids": ("check", history),
        "--csv": ("unresolved", history),
    }

    result = cli(*command[option], option, "/dev/full")

    assert result.code == 8
    assert "/dev/full" in result.err
    assert "bug" not in result.err
    assert Path("/dev/full").stat().st_ino == before.st_ino


# When one of several sinks fails.


def test_one_sink_that_fails_does_not_take_the_others_along(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "snapshots").write_text("in the way", encoding="utf-8")
    sinks = ("--to", "editor", "--to", "tracker", "--to", "jsonl")
    outs = ("editor=x-history.json", "tracker=root", "jsonl=x.jsonl")
    places = [part for out in outs for part in ("--out", out)]

    result = cli("db", history, *sinks, *places, "--report", "report.json", "--json")

    assert result.code == 8
    assert "snapshots" in result.err
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["status"] == json.loads(result.out)["status"] == "failed"
    assert [output["sink"] for output in report["outputs"]] == ["editor", "jsonl"]
    assert report["plays"]["emitted"] == 4
    assert len(json.loads((tmp_path / "x-history.json").read_bytes())["items"]) == 4
    assert len((tmp_path / "x.jsonl").read_bytes().splitlines()) == 4
    assert contents(tmp_path / "root") == {"snapshots": b"in the way"}


# Files and directories.


_PLACES = {
    "tracker": Path("a/b/root"),
    "editor": Path("a/b/x-history.json"),
    "jsonl": Path("a/b/x.jsonl"),
}


@pytest.mark.parametrize(("sink", "out"), _PLACES.items(), ids=_PLACES.keys())
def test_what_is_made_belongs_to_whom_the_place_belongs_and_nobody_else_can_read_it(
    cli: Cli, history: Path, tmp_path: Path, sink: str, out: Path
) -> None:
    place = tmp_path / "config"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, 65534, 65534)
    owner = place.stat()

    before = os.umask(0o077)  # somebody who lets nobody else in
    try:
        assert cli("db", history, "--to", sink, "--out", out, cwd=place).code == 0
    finally:
        os.umask(before)

    made = list(place.rglob("*"))
    assert len(made) >= 3
    for path in made:
        facts = path.stat()
        assert (facts.st_uid, facts.st_gid) == (owner.st_uid, owner.st_gid), path
        assert stat.S_IMODE(facts.st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_killed_runs_left_behind_is_removed_and_only_that(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "snapshots").mkdir(parents=True)
    mark = "tautulli-import-0123456789abcdef"
    left = [root / f".history.json.{mark}", root / f"snapshots/.x-history.json.{mark}"]
    kept = [
        root / f".in-use.json.{mark}",
        root / f"history.json.{mark}",
        root / ".download.4711.partial",
        root / f"snapshots/.history.json.{mark}0",
    ]
    for path in (*left, *kept):
        path.write_text("{", encoding="utf-8")
    with kept[0].open("rb") as working:
        fcntl.flock(working, fcntl.LOCK_EX)
        assert cli("db", history, "--to", "tracker", "--out", root).code == 0

    assert [path.exists() for path in left] == [False, False]
    assert [path.read_text(encoding="utf-8") for path in kept] == ["{"] * 4


@pytest.mark.parametrize("sink", _PLACES)
@pytest.mark.parametrize("option", ["--rewatches", "--each-user", "--until=1990-01-01"])
def test_without_a_single_item_no_file_is_made(
    inside: Inside, history: Path, tmp_path: Path, sink: str, option: str
) -> None:
    database = history
    if "until" not in option:
        database = tmp_path / "empty.db"
        create(database).close()
    before = contents(tmp_path)

    result = inside("db", database, "--to", sink, "--out", _PLACES[sink], option)

    assert (result.code, result.out) == (0, ""), result.err
    assert contents(tmp_path) == before


# Words.


def test_one_of_a_kind_is_told_in_the_singular(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "t.db")) as conn:
        add_play(conn, title="Heat")
        add_play(conn, media_type="episode")
    both = inside("db", "t.db", "-n")
    film = inside("db", "t.db", "-n", "--media-type", "movie", "--format", "table")

    assert "2 plays read" in both.err
    assert "1 film and 1 episode would be in " in both.err
    assert "1 film and 0 episodes would be in " in film.err
    assert "1 item\n" in film.out


def test_one_play_is_one_play(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "t.db")) as conn:
        add_play(conn, title="Heat")
    args = ("db", "t.db", "--to", "tracker")

    assert "1 play read: 1 imported" in inside(*args).err
    assert "1 play read" in inside(*args).err


# Standard streams that are closed, full or know no Unicode.


def shell(line: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell, in which ``$P`` is the program."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        env={**env, "P": f"{sys.executable} -m tautulli_import"},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("closed", "quiet"), crossed(["2>&-", ">&-", "<&-", "<&- >&- 2>&-"], ["-q", ""])
)
def test_with_closed_streams_an_import_works_all_the_same(
    history: Path, tmp_path: Path, environment: dict[str, str], closed: str, quiet: str
) -> None:
    line = f"exec $P db {history} --to tracker --out root {quiet} {closed}"

    done = shell(line, tmp_path, environment)

    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert len(items_of(tmp_path / "root")) == 4
    with closing(Source([history])) as source:
        assert source.total() == 4


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_with_closed_streams_an_error_keeps_its_exit_code(
    tmp_path: Path, environment: dict[str, str], closed: str
) -> None:
    done = shell(f"exec $P db missing.db --to tracker {closed}", tmp_path, environment)
    assert done.returncode == 5
    assert b"Traceback" not in done.stderr


_FULL = (
    *("users {}", "libraries {} --json", "check {}", "check {} --json"),
    *("check {} --missing-ids -", "db {} -n", "db {} --to jsonl", "db {} --to editor --out -"),
    *("db {} --to tracker --json", "db {} --to tracker --report -"),
    *("unresolved {}", "unresolved {} --csv -", "why Film {}", "why 1 {} --json"),
)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("command", _FULL)
def test_a_standard_output_that_is_full_is_a_failed_write_and_no_bug(
    cli: Cli, history: Path, command: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = cli(*command.format(history).split(), stdout=full.fileno())

    assert done.code == 8, done.err
    assert "No space left" in done.err
    assert "bug" not in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Return a history whose names and titles are in many scripts."""
    path = tmp_path / "letters.db"
    with closing(create(path)) as conn:
        add_user(conn, 1, "zoë", "Зоя 🌸")
        for number, guid in enumerate((TMDB.format(1), TMDB.format(2))):
            add_play(
                conn,
                title="千と千尋の神隠し",
                rating_key=12,
                guid=guid,
                user="zoë",
                started=THEN + number,
            )
        add_play(conn, media_type="episode", grandparent_title="Ünïcode — שלום", title="Пилот")
    return path


_LOCALES: Mapping[str, Mapping[str, str]] = {
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("env", _LOCALES.values(), ids=_LOCALES.keys())
@pytest.mark.parametrize(
    "command",
    ["users", "check --verbose", "db -n", "db -n --format table -v"],
)
def test_a_terminal_that_knows_no_unicode_is_no_reason_to_fail(
    cli: Cli, letters: Path, command: str, env: Mapping[str, str]
) -> None:
    name, *options = command.split()

    result = cli(name, letters, *options, env=env)

    assert result.code == 0, result.err
    assert result.out
    assert "Traceback" not in result.err


@pytest.mark.parametrize(("command", "env"), crossed(["check --json", "db -n"], _LOCALES.values()))
def test_json_is_utf_8_wherever_it_goes(
    cli: Cli, letters: Path, command: str, env: Mapping[str, str]
) -> None:
    name, *options = command.split()

    result = cli(name, letters, *options, env=env)

    assert result.code == 0, result.err
    assert ("千と千尋の神隠し" if name == "db" else "Зоя 🌸") in result.out
    for line in result.out.splitlines():
        json.loads(line)


def test_a_list_of_what_lacks_ids_is_utf_8_wherever_it_goes(cli: Cli, letters: Path) -> None:
    plain = cli("check", letters, "--missing-ids", "-")
    latin = cli("check", letters, "--missing-ids", "-", env=_LOCALES["latin-1"])

    assert (plain.code, latin.code) == (0, 0)
    assert "Ünïcode — שלום" in plain.out
    assert latin.out == plain.out
