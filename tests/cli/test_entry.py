"""What can fail before a command begins: standard output, the locale, the operating system."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.history import add_play, add_user, create
from tests.support.running import ROOT

FULL = Path("/dev/full")


def program(*args: str, env: Mapping[str, str], cwd: Path, out: int) -> tuple[int, str]:
    """Run the program as a new interpreter, and return its exit code and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tautulli_import", *args],
        env={**env, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
    )
    return done.returncode, done.stderr.decode(errors="replace")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(
    "command",
    ["--help", "db --help", "--version", "help", "checkpoint -h", "config show", "status"],
)
def test_standard_output_that_is_full_is_one_sentence(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    with FULL.open("wb") as full:
        code, err = program(*command.split(), env=environment, cwd=tmp_path, out=full.fileno())
    assert err == "Error: Cannot write to standard output: No space left on device.\n"
    assert code == 8


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


@pytest.mark.parametrize(
    ("sink", "out", "wanted"),
    [
        ("tracker", "out", "out/{}/history.json"),
        ("jsonl", "out/x.jsonl", "out/x-{}.jsonl"),
        ("editor", "out/x-history.json", "out/x-{}-history.json"),
    ],
)
def test_names_of_users_are_the_same_files_in_every_locale(
    environment: dict[str, str], tmp_path: Path, sink: str, out: str, wanted: str
) -> None:
    people = {1: "Jürgen Groß", 2: "🎬 Kino", 3: "名前"}
    with closing(create(tmp_path / "tautulli.db")) as conn:
        for number, name in people.items():
            add_user(conn, number, name)
            add_play(conn, title=f"Film {number}", user_id=number, user=name)
        conn.commit()
    command = ("db", "tautulli.db", "--to", sink, "--out", out, "--each-user")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for locale, said in ((ascii_only, " are now in out/"), ({"LC_ALL": "C.UTF-8"}, "Nothing new")):
        env = environment | locale
        code, err = program(*command, env=env, cwd=tmp_path, out=subprocess.DEVNULL)
        assert (code, said in err) == (0, True), err
    names = ("Jürgen_Groß", "Kino", "名前")
    made = {str(one.relative_to(tmp_path)) for one in (tmp_path / "out").rglob("*")}
    assert made >= {wanted.format(name) for name in names}
    if sink == "tracker":
        assert {path.name for path in (tmp_path / "out").iterdir()} == {*names}
        first = json.loads((tmp_path / "out" / names[0] / "history.json").read_bytes())
        assert [item["title"] for item in first["items"].values()] == ["Film 1"]
