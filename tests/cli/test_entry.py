"""What can fail before a command begins: standard output, the locale, the operating system."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.history import add_play, add_user, create
from tests.support.running import ROOT

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(
    "command",
    ["--help", "db --help", "--version", "help", "checkpoint -h", "config show", "status"],
)
def test_standard_output_that_is_full_is_one_sentence(cli: Cli, command: str) -> None:
    with FULL.open("wb") as full:
        done = cli(*command.split(), stdout=full.fileno())
    assert done.err == "Error: Cannot write to standard output: No space left on device.\n"
    assert done.code == 8


@pytest.mark.parametrize("command", ["db tautulli.db --to tracker", "status", "config show"])
def test_a_working_directory_that_was_removed_is_one_sentence(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    (folder := tmp_path / "gone").mkdir()
    remove = ("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh")
    done = subprocess.run(
        [*remove, sys.executable, "-m", "tautulli_import", *command.split()],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"Error: The working directory was removed.\n")


@pytest.mark.parametrize("command", [[], ["--version"], ["db", "tautulli.db", "--dry-run"]])
def test_windows_is_one_sentence(
    environment: dict[str, str], tmp_path: Path, command: list[str]
) -> None:
    windows = (
        "import sys; sys.platform = 'win32'; sys.modules |= {'pwd': None, 'fcntl': None}; "
        "from tautulli_import.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", windows, *command],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "Error: tautulli-import runs on Linux and macOS, not on Windows.",
        "  Use it in WSL, which is a Linux inside Windows: wsl --install",
    ]


def test_names_of_users_are_the_same_files_in_every_locale(cli: Cli, tmp_path: Path) -> None:
    people = {1: "Jürgen Groß", 2: "🎬 Kino", 3: "名前"}
    with closing(create(tmp_path / "tautulli.db")) as conn:
        for number, name in people.items():
            add_user(conn, number, name)
            add_play(conn, title=f"Film {number}", user_id=number, user=name)
        conn.commit()
    outs = {"tracker": "out", "jsonl": "out.jsonl", "editor": "out-history.json"}
    sinks = [
        word for sink, out in outs.items() for word in ("--to", sink, "--out", f"{sink}={out}")
    ]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for locale, said in ((ascii_only, " are now in out/"), ({}, "Nothing new")):
        done = cli("db", "tautulli.db", *sinks, "--each-user", env=locale)
        assert (done.code, said in done.err) == (0, True), done.err
    names = ("Jürgen_Groß", "Kino", "名前")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names}
    for wanted in ("out/{}/history.json", "out-{}.jsonl", "out-{}-history.json"):
        assert [name for name in names if not (tmp_path / wanted.format(name)).exists()] == []
    first = json.loads((tmp_path / "out" / names[0] / "history.json").read_bytes())
    assert [item["title"] for item in first["items"].values()] == ["Film 1"]
