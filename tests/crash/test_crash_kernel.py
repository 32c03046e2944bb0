"""Faults that are no pretence: the kernel refuses to write, and cuts writes short."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.harness import Limit, Stage
from tests.crash.places import quick_folder
from tests.crash.scenarios import Scenario, write_history
from tests.support.forked import ROOT

LIMITS = (0, 1, 4095, 4096, 8192, 9000, 16_384, 33_000, 50_000)
FEW_LIMITS = (0, 4096, 9000, 33_000)


@pytest.mark.parametrize(
    ("scenario", "limits"),
    [
        (Scenario("db", "tracker", foreign=True), FEW_LIMITS),
        *(
            pytest.param(scenario, LIMITS, marks=pytest.mark.fuzz)
            for scenario in (
                Scenario("db", "tracker", foreign=True),
                Scenario("db", "tracker+editor", "more", foreign=True),
                Scenario("db", "jsonl"),
                Scenario("api", "tracker", plays=120),
            )
        ),
    ],
    ids=str,
)
def test_where_no_file_may_become_larger_nothing_is_half_written(
    scenario: Scenario, limits: Sequence[int]
) -> None:
    """A write past the limit is cut to what fits, and the next one fails (`EFBIG`)."""
    with quick_folder() as folder, Stage(folder, scenario) as stage:
        trials = [stage.trial(Limit(limit)) for limit in limits]
    wrong = [sentence for trial in trials for sentence in trial.wrong]
    assert not wrong, "\n".join(wrong)
    assert {trial.ends[0].code for trial in trials} >= {8}


@pytest.mark.parametrize("sink", ["tracker", "jsonl"])
def test_a_folder_that_may_not_be_written_keeps_what_is_in_it(
    bound: Callable[..., tuple[int, str, str]], tmp_path: Path, *, sink: str
) -> None:
    database = tmp_path / "tautulli.db"
    write_history(database, 120)
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / {"tracker": "tracker", "jsonl": "x.jsonl"}[sink]
    command = ("db", database, "--to", sink, "--out", out, "--no-enrich")
    folders = [folder, *([out, out / "snapshots"] if sink == "tracker" else [])]

    assert bound(*command, "--since", "2030-01-01")[0] == 0  # nothing yet
    folder.chmod(0o555)
    code, _, err = bound(*command)
    assert (code, str(folder) in err, "Traceback" in err) == (8, True, False)
    folder.chmod(0o755)
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    code, _, err = bound(*command)
    assert code == 0, err

    written = _files(folder)
    assert written
    for one in folders:
        one.chmod(0o555)
    assert bound(*command)[0] == 0  # nothing new is nothing to write
    code, _, err = bound(*command, "--include-partial")
    assert (code, str(folder) in err, "Traceback" in err) == (8, True, False)
    assert _files(folder) == written
    for one in folders:
        one.chmod(0o755)
    assert bound(*command, "--include-partial")[0] == 0
    assert _files(folder).keys() >= written.keys()


@pytest.mark.parametrize("how", [(), pytest.param(("--all",), marks=pytest.mark.fuzz)], ids=str)
def test_a_disk_that_is_really_full_leaves_everything_whole(
    tmp_path: Path, how: Sequence[str]
) -> None:
    """Needs a namespace to mount a file system in, as root or where users may have their own."""
    unshare = _unshare(tmp_path)
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.crash.full_disk", str(tmp_path / "disks"), *how],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*_python_path(), str(ROOT)])},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path): re.sub(r'"ts": ?[0-9]+', "", path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _python_path() -> list[str]:
    return [*filter(None, [os.environ.get("PYTHONPATH")])]


def _unshare(folder: Path) -> list[str]:
    program = shutil.which("unshare")
    for options in (["-m"], ["-r", "-m"]):
        command = [program or "", *options]
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
        if (
            program
            and not subprocess.run([*command, *mount], capture_output=True, check=False).returncode
        ):
            return command
    pytest.skip("nothing may be mounted here")
