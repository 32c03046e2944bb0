"""A wrong place or sink is known before anything is read or fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.inside import Inside

Bound = Callable[..., tuple[int, str, str]]
ITEMS = ("tracker", "editor", "jsonl", "letterboxd")
EVENTS = ("jsonl", "duckdb")
NAMES = {
    "tracker": "root",
    "editor": "x-history.json",
    "jsonl": "x.jsonl",
    "letterboxd": "x.csv",
    "duckdb": "x.duckdb",
}
SINKS = [
    *((name, ()) for name in ITEMS),
    *((name, ("--each-user",)) for name in ITEMS),
    *((name, ("--events",)) for name in EVENTS),
]
#: Nobody answers at this address, so whoever asks before checking ends with exit code 3.
NOBODY = ("--url", "http://127.0.0.1:1")


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    """Return a database that ends every reading with exit code 7."""
    path = tmp_path / "tautulli.db"
    path.write_bytes(b"no database")
    path.with_name("tautulli.db-wal").write_bytes(b"")
    return path


def place(name: str, folder: Path) -> Path:
    """Return where a sink would write, in a folder."""
    return folder / NAMES[name]


def prepared(kind: str, name: str, tmp_path: Path) -> tuple[Path, str]:
    """Make what is in the way, and return the place and what is said of it."""
    folder = tmp_path / "folder"
    if kind == "a file as a directory":
        folder.write_bytes(b"")
        return place(name, folder / "below"), f"{folder} is not a directory"
    path = place(name, folder)
    blocked = path / "history.json" if name == "tracker" else path
    blocked.mkdir(parents=True)
    return path, f"{blocked} is a directory"


@pytest.mark.parametrize("source", ["api", "db"])
@pytest.mark.parametrize("kind", ["a file as a directory", "a directory as a file"])
@pytest.mark.parametrize(("name", "options"), SINKS)
def test_a_place_of_another_kind(
    inside: Inside,
    unreadable: Path,
    tmp_path: Path,
    *,
    name: str,
    options: tuple[str, ...],
    kind: str,
    source: str,
) -> None:
    out, said = prepared(kind, name, tmp_path)
    read = ("db", unreadable) if source == "db" else ("api", *NOBODY)
    done = inside(
        *(*read, "--to", name, "--out", out, *options), env={"TAUTULLI_API_KEY": "0" * 32}
    )
    assert done.code == 8, done.err
    assert said in done.err
    assert "--out" in done.err


@pytest.mark.parametrize(("name", "options"), SINKS)
def test_a_place_without_permission(
    bound: Bound, unreadable: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o555)
    command = ("db", unreadable, "--to", name, "--out", place(name, folder / "new"), *options)
    code, _, err = bound(*command)
    assert code == 8, err
    assert "You have no permission to write" in err
    folder.chmod(0o755)
    assert bound(*command)[0] == 7, "with permission the database is read"


def test_crosswatchs_configuration_in_place_of_its_tracker(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    config = tmp_path / "crosswatch"
    (config / ".cw_state").mkdir(parents=True)
    (config / "config.json").write_text("{}")
    done = inside("db", history, "--to", "tracker", "--out", config)
    assert done.code == 2, done.err
    assert f"{config} is CrossWatch's configuration directory." in done.err
    assert f"--out {config / '.cw_provider'}\n" in done.err
    assert inside("db", history, "--to", "tracker", "--out", config / ".cw_provider").code == 0


def test_a_certificate_that_is_missing(inside: Inside) -> None:
    url = ("--url", "https://127.0.0.1:1", "--ca-file", "nope.pem")
    done = inside("users", "api", *url, env={"TAUTULLI_API_KEY": "0" * 32})
    assert done.code == 2
    assert done.err == "Error: There is no file nope.pem.\n  Give --ca-file a PEM file.\n"


def test_the_beginning_of_a_sinks_name_is_understood(inside: Inside, history: Path) -> None:
    done = inside("db", history, "--to", "trakt")
    assert done.code == 2
    assert "Did you mean trakt-export? " in done.err


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize(("name", "options"), [one for one in SINKS if one[0] != "tracker"])
def test_the_database_that_is_read(
    inside: Inside, tmp_path: Path, name: str, options: tuple[str, ...], suffix: str
) -> None:
    path = tmp_path / "tautulli-history.json"
    path.write_bytes(b"no database")
    wal = path.with_name(path.name + suffix)
    wal.touch()
    out = wal
    if name == "editor" and suffix:
        out = tmp_path / "a-history.json"
        out.symlink_to(wal)
    done = inside("db", path, "--to", name, "--out", out, *options)
    assert done.code == 2, done.err
    assert f"{name} would write to {out}, which is Tautulli's database." in done.err
    assert path.read_bytes() == b"no database"


@pytest.mark.parametrize(("name", "options"), SINKS)
def test_a_missing_directory_is_made(
    inside: Inside, history: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    done = inside("db", history, "--to", name, "--out", place(name, tmp_path / "a" / "b"), *options)
    assert done.code == 0, done.err
    assert [*(tmp_path / "a" / "b").iterdir()]


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("tracker", "root/history.json", "{"),
        ("editor", "x-history.json", '{"kind":"ratings"}'),
        ("jsonl", "x.jsonl", "a letter"),
    ],
)
def test_a_file_with_foreign_content(
    inside: Inside,
    unreadable: Path,
    tmp_path: Path,
    *,
    name: str,
    file: str,
    content: str,
    dry_run: tuple[str, ...],
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    done = inside("db", unreadable, "--to", name, "--out", place(name, tmp_path), *dry_run)
    assert done.code == 8, done.err
    assert str(path) in done.err
    assert path.read_text("utf-8") == content


@pytest.mark.parametrize(
    ("name", "export"), [("tracker", b"PK\x03\x04 and no more"), ("editor", b"[]")]
)
def test_a_broken_export_to_merge_with(
    inside: Inside, unreadable: Path, tmp_path: Path, name: str, export: bytes
) -> None:
    path = tmp_path / "export"
    path.write_bytes(export)
    out = place(name, tmp_path)
    done = inside("db", unreadable, "--to", name, "--out", out, "--merge-with", path)
    assert done.code == 8, done.err
    assert str(path) in done.err


@pytest.mark.parametrize(("name", "options"), [("tracker", ("--each-user",)), ("jsonl", ())])
def test_an_export_that_no_output_can_use(
    inside: Inside, unreadable: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"ts": 1, "items": {}}), encoding="utf-8")
    out = place(name, tmp_path)
    done = inside("db", unreadable, "--to", name, "--out", out, "--merge-with", path, *options)
    assert done.code == 2, done.err
    assert "--merge-with" in done.err
