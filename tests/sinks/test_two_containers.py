"""Two containers share a directory, but not their process numbers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running import ROOT

#: Hold a half-written file and a folder for copies open until a line comes in.
WRITES = """
import os, sys
from pathlib import Path
from tautulli_import.files import write_whole
from tautulli_import.temp_folder import PrivateFolder
def chunks():
    yield b"half "
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    yield b"whole"
folder = PrivateFolder()
(folder.path / "copy.db").write_bytes(b"")
write_whole(Path(sys.argv[1]), chunks())
assert (folder.path / "copy.db").exists()
folder.remove()
"""


@pytest.fixture
def apart() -> list[str]:
    """Return a command that gives a program process numbers of its own."""
    program = shutil.which("unshare") or ""
    for options in (["--pid"], ["--pid", "--user", "--map-root-user"]):
        command = [program, *options, "--fork", "--kill-child"]
        trial = [*command, "true"]
        if program and not subprocess.run(trial, capture_output=True, check=False).returncode:
            return command
    pytest.skip("process numbers of one's own are not permitted here")


@contextmanager
def container(
    apart: list[str], path: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Yield a program that has written half of a file, and waits for a line."""
    (path.parent / "tmp").mkdir(exist_ok=True)
    environment = {
        **environment,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(path.parent / "tmp"),
    }
    with subprocess.Popen(
        [*apart, sys.executable, "-c", WRITES, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n", "it has the number of every container"
            yield process
        finally:
            process.kill()


def test_what_another_container_is_writing_is_left_alone(
    apart: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        container(apart, tmp_path / "one", environment) as one,
        container(apart, tmp_path / "two", environment) as two,
    ):
        assert len([*tmp_path.glob(".*.tautulli-import-*")]) == 2
        assert len([*(tmp_path / "tmp").iterdir()]) == 2
        for process in (two, one):
            process.communicate("\n")
            assert process.returncode == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == b"half whole"
    assert [*tmp_path.glob(".*.tautulli-import-*"), *(tmp_path / "tmp").iterdir()] == []


def test_what_a_killed_container_left_is_removed(
    apart: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with container(apart, tmp_path / "one", environment) as one:
        assert one.stdout is not None
        one.kill()
        assert one.stdout.read() == "", "the program in it has ended, too"
        assert len([*tmp_path.glob(".*.tautulli-import-*")]) == 1
    with container(apart, tmp_path / "two", environment) as two:
        assert len([*tmp_path.glob(".*.tautulli-import-*")]) == 1, "its own one"
        assert len([*(tmp_path / "tmp").iterdir()]) == 1
        two.communicate("\n")
    assert not (tmp_path / "one").exists()
    assert (tmp_path / "two").read_bytes() == b"half whole"
