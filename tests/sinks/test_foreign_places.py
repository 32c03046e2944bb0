"""Output into a directory of another user, who wants to lead the import to files of ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tautulli_import import files
from tests.conftest import Cli, Result
from tests.support.inside import Inside
from tests.support.running import Programs

STRANGER: Final = 65534
#: What is written, and the name of the file under ``theirs``.
OUTPUTS: Final = {
    "tracker": (("--to", "tracker", "--out", "theirs"), "history.json"),
    "editor": (("--to", "editor", "--out", "theirs/x-history.json"), "x-history.json"),
    "jsonl": (("--to", "jsonl", "--out", "theirs/x.jsonl"), "x.jsonl"),
    "letterboxd": (("--to", "letterboxd", "--out", "theirs/x.csv"), "x.csv"),
    "events": (("--to", "jsonl", "--events", "--out", "theirs/x.jsonl"), "x.jsonl"),
    "report": (("--to", "jsonl", "--out", "x.jsonl", "--report", "theirs/r.json"), "r.json"),
}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which CI is")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return an existing directory of another user."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a file that only we may write."""
    path = tmp_path / "victim"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    return path


def untouched(victim: Path) -> bool:
    info = victim.lstat()
    return victim.read_bytes() == b"secret" and (info.st_uid, info.st_mode & 0o777) == (0, 0o600)


def planted(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.lchown(link, STRANGER, STRANGER)


def as_stranger(work: Callable[[], object]) -> None:
    """Do something in a process of the other user."""
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    try:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        work()
    except BaseException:  # noqa: BLE001 - the child must not become a second test run
        os._exit(1)
    os._exit(0)


# Links.


@root_only
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("dry", [True, False])
def test_a_planted_link_in_place_of_an_output_is_not_followed(
    inside: Inside, history: Path, theirs: Path, victim: Path, output: str, *, dry: bool
) -> None:
    options, name = OUTPUTS[output]
    planted(theirs / name, victim)
    done = inside("db", history, *options, *(["--dry-run"] if dry else []))
    assert done.code == 8, done.err
    assert "a symbolic link that another user could have made" in " ".join(done.err.split())
    assert untouched(victim)
    assert [one.name for one in theirs.iterdir()] == [name]


@root_only
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_planted_link_in_place_of_a_directory_is_not_followed(
    inside: Inside, history: Path, tmp_path: Path, theirs: Path, output: str
) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (theirs / "a").mkdir()
    planted(theirs / "b", ours)
    options = [one.replace("theirs", "theirs/b") for one in OUTPUTS[output][0]]
    done = inside("db", history, *options)
    assert done.code == 8, done.err
    assert list(ours.iterdir()) == []


@root_only
def test_planted_snapshots_are_not_followed(
    inside: Inside, history: Path, tmp_path: Path, theirs: Path
) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    planted(theirs / "snapshots", ours)
    assert inside("db", history, *OUTPUTS["tracker"][0]).code == 8
    assert list(ours.iterdir()) == []
    assert not (theirs / "history.json").exists()


@root_only
@pytest.mark.parametrize("output", OUTPUTS)
def test_links_under_the_names_of_temporary_files_and_locks_change_nothing(
    cli: Cli, history: Path, theirs: Path, victim: Path, output: str
) -> None:
    options, name = OUTPUTS[output]
    for link in (f".{name}.unfinished", f".{name}.lock", f".{name}.{os.getpid()}.partial"):
        planted(theirs / link, victim)
    planted(theirs.parent / ".theirs.lock", victim)
    os.link(victim, theirs / f".{name}.tautulli-import-0123456789abcdef")
    assert cli("db", history, *options).code == 0
    made = (theirs / name).lstat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (STRANGER, 0o600)
    assert untouched(victim)


@root_only
def test_a_link_of_ours_is_followed_where_only_we_can_make_one(
    inside: Inside, history: Path, tmp_path: Path, theirs: Path
) -> None:
    (tmp_path / "link").symlink_to("theirs")
    assert inside("db", history, "--to", "tracker", "--out", "link").code == 0
    assert (theirs / "history.json").stat().st_uid == STRANGER
    assert (tmp_path / "link").is_symlink()


_AUDITED: Final = """
import os, sys
from pathlib import Path
theirs, log = os.path.realpath(sys.argv[1]), open(sys.argv[2], "w")
def heard(event, args):
    if event != "open" or not isinstance(args[0], (str, bytes)):
        return
    path, flags = os.path.abspath(os.fsdecode(args[0])), args[2]
    if path.startswith(theirs + "/") and not flags & os.O_NOFOLLOW:
        log.write(f"{path} {flags:o}\\n")
        log.flush()
sys.addaudithook(heard)
sys.argv[1:] = sys.argv[3:]
from tautulli_import.__main__ import main
for _ in range(2):  # a new output, and one that is there
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""


@pytest.mark.parametrize("output", ["tracker", "events", "report"])
def test_nothing_in_the_place_is_opened_by_a_name_that_can_be_exchanged(
    running: Programs, history: Path, tmp_path: Path, output: str
) -> None:
    log = tmp_path / "log"
    options = [one.replace("theirs", str(tmp_path / "theirs")) for one in OUTPUTS[output][0]]
    (tmp_path / "theirs").mkdir()
    script = ("-c", _AUDITED, str(tmp_path / "theirs"), str(log))
    program = running.start("db", history, *options, python=script)
    assert program.ended().code == 0
    assert log.read_text() == ""


# Owners and modes.


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("output", [*OUTPUTS, "duckdb"])
def test_a_new_output_is_for_its_owner_only(
    inside: Inside, history: Path, tmp_path: Path, output: str
) -> None:
    options = OUTPUTS.get(output, (("--to", "duckdb", "--out", "theirs/x.duckdb"), ""))[0]
    (tmp_path / "theirs").mkdir()
    assert inside("db", history, *options).code == 0
    assert modes(tmp_path / "theirs") == {0o600}


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_mode_and_the_owner_that_an_administrator_gave_stay(
    inside: Inside, history: Path, tmp_path: Path, output: str
) -> None:
    options, name = OUTPUTS[output]
    out = tmp_path / "theirs" / name
    out.parent.mkdir()
    assert inside("db", history, *options, "--user", "alice").code == 0
    out.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(out, 4711, STRANGER)
    before = out.stat()
    content = out.read_bytes()
    assert inside("db", history, *options).code == 0
    after = out.stat()
    assert out.read_bytes() != content
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        *(before.st_mode, before.st_uid, before.st_gid),
    )


@root_only
@pytest.mark.parametrize(("mode", "expected"), [(0o777, 0o644), (0o2770, 0o640), (0o700, 0o600)])
def test_crosswatch_can_read_a_tracker_in_a_directory_that_it_shares_with_us(
    tmp_path: Path, mode: int, expected: int
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    os.chown(folder, STRANGER if expected == 0o600 else 0, STRANGER)
    folder.chmod(mode)
    path = folder / "history.json"
    if expected == 0o640:  # of a group that we are in, but not ours
        os.chown(folder, STRANGER, STRANGER)

    def write() -> None:
        files.write_whole(path, [b"{}"], is_read_in_place=True)

    parents = [one for one in tmp_path.parents if not one.stat().st_mode & 0o001]
    for parent in (*parents, tmp_path):
        parent.chmod(parent.stat().st_mode | 0o001)
    as_stranger(write)
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_directories_respect_the_umask(inside: Inside, history: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert inside("db", history, "--to", "jsonl", "--out", "a/b/x.jsonl").code == 0
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a/b"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o750, 0o750]


# What is there already.


@pytest.mark.parametrize("dry", [True, False])
def test_a_file_that_is_no_report_is_not_replaced_by_one(
    inside: Inside, history: Path, tmp_path: Path, *, dry: bool
) -> None:
    path = tmp_path / "letter.json"
    path.write_bytes(b'{"to": "a friend"}')
    dry_run = ["--dry-run"] if dry else []
    done = inside("db", history, "--to", "jsonl", "--out", "x", "--report", path, *dry_run)
    assert done.code == 8
    assert "is not a report of this program, so it is not replaced" in " ".join(done.err.split())
    assert path.read_bytes() == b'{"to": "a friend"}'
    assert not (tmp_path / "x").exists()


# The state directory, and DuckDB, whose libraries open files by name.


def with_state(inside: Inside, history: Path, folder: Path) -> Result:
    return inside("db", history, "--to", "jsonl", "--out", "x.jsonl", "--state-dir", folder)


def refused(done: Result, *words: str) -> None:
    said = " ".join(done.err.split())
    assert done.code == 2, done
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("mode", [0o775, 0o702, 0o777])
def test_a_state_directory_in_which_others_can_write_is_refused(
    inside: Inside, history: Path, tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "shared state"
    folder.mkdir()
    folder.chmod(mode)
    refused(with_state(inside, history, folder), f"run: chmod go-w '{folder}'")
    refused(inside("status", "--state-dir", folder), "chmod go-w")
    refused(inside("stop", "--state-dir", folder), "chmod go-w")
    assert list(folder.iterdir()) == []
    folder.chmod(0o755)
    assert with_state(inside, history, folder).code == 0


@root_only
def test_a_state_directory_of_another_user_or_below_one_is_refused(
    inside: Inside, history: Path, theirs: Path
) -> None:
    (theirs / "mine").mkdir()
    for folder in (theirs, theirs / "mine"):
        done = with_state(inside, history, folder)
        refused(done, f"belongs to another user (uid {STRANGER})", "--state-dir", "chown 0")
    assert list((theirs / "mine").iterdir()) == []


def test_a_state_file_that_is_a_link_or_that_others_can_write_is_refused(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    assert with_state(inside, history, folder).code == 0
    (path,) = folder.glob("*.db")
    path.chmod(0o666)
    refused(with_state(inside, history, folder), "chmod go-w", path.name)
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    refused(with_state(inside, history, folder), "is a symbolic link")


def test_the_parents_that_are_made_for_the_state_are_private(
    inside: Inside, history: Path, tmp_path: Path
) -> None:
    assert with_state(inside, history, tmp_path / "a/b/state").code == 0
    made = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/state"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3


@root_only
def test_duckdb_is_not_used_where_another_user_can_exchange_files(
    inside: Inside, history: Path, tmp_path: Path, theirs: Path, victim: Path
) -> None:
    planted(theirs / "x.duckdb.wal", victim)
    done = inside("db", history, "--to", "duckdb", "--out", theirs / "x.duckdb")
    assert (done.code, f"(uid {STRANGER})" in done.err) == (8, True)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    planted(shared / "x.duckdb.wal", victim)
    assert inside("db", history, "--to", "duckdb", "--out", shared / "x.duckdb").code == 8
    assert untouched(victim)
