"""The harness finds what is wrong: one that finds nothing proves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from msgspec import structs

from tests.crash.chance import plan
from tests.crash.harness import Killed, Stage
from tests.crash.outputs import Left, damaged_state, differences, not_whole
from tests.crash.places import quick_folder
from tests.crash.runs import End, run
from tests.crash.scenarios import Scenario, write_history
from tests.crash.spec import Fault, Spec, Strike
from tests.support.forked import ROOT


def test_a_rename_that_is_none_is_found() -> None:
    """On a system that copies where it should rename, a kill leaves half a file."""
    scenario = Scenario("db", "tracker", foreign=True, plays=120)
    with quick_folder() as folder, Stage(folder, scenario, torn_rename=True) as stage:
        numbers = stage.numbers("kill", within="out/tracker", sample=10)
        trials = [stage.trial(Strike("kill", number)) for number in numbers]
    wrong = [sentence for trial in trials for sentence in trial.wrong]
    assert any("history.json is neither the old nor the new one" in one for one in wrong)
    assert any(trial.lost for trial in trials)


def test_a_kill_at_a_moment_is_one(tmp_path: Path) -> None:
    with Stage(tmp_path, Scenario("db", "tracker")) as stage:
        # On a busy machine a kill can come too late.
        trials = (stage.trial(Killed(stage.seconds / 3)) for _ in range(20))
        trial = next(trial for trial in trials if trial.ends[0].code)
    assert [end.code for end in trial.ends] == [-signal.SIGKILL]
    assert not trial.wrong


def test_what_is_lost_doubled_or_torn_is_told() -> None:
    def left(*keys: str) -> Left:
        lines = "".join(json.dumps({"key": key}) + "\n" for key in keys)
        return Left({"items.jsonl": f"mode 644\n{lines}"}, [], [])

    empty, new = Left({}, [], []), left("a", "b", "c")
    assert differences(new, empty, new) == ([], 0, 0)
    assert differences(left("a", "c"), empty, new)[1:] == (1, 0)
    assert differences(left("a", "b", "b", "c"), empty, new)[1:] == (0, 1)
    assert differences(left("a", "c", "b"), empty, new)[0]
    assert differences(empty, empty, new)[1:] == (3, 0)
    assert not not_whole(empty, empty, new)
    assert not not_whole(new, empty, new)
    assert not_whole(left("a", "b"), empty, new)
    assert not_whole(empty, new, new)


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    state, scratch = tmp_path / "state", tmp_path / "scratch"
    state.mkdir()
    scratch.mkdir()
    write_history(state / "one.db", 50)
    assert not damaged_state(state, scratch)
    content = bytearray((state / "one.db").read_bytes())
    content[4096:8192] = b"x" * 4096
    (state / "one.db").write_bytes(content)
    assert damaged_state(state, scratch)


def test_a_name_that_the_program_does_not_have_is_an_error(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ours = partial(run, environment=environment, folder=tmp_path)
    done = ours(Spec(set={"tautulli_import.model.watched.NOTHING": 1}), ["--version"])
    assert done.code != 0
    assert "there is no tautulli_import.model.watched.NOTHING" in done.err
    done = ours(Spec(set={"tautulli_import.__version__": "9"}), ["check", "-h"])
    assert done.code == 0, done.err


def test_every_boundary_is_written_down_and_the_driver_strikes_at_one(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_history(tmp_path / "tautulli.db", 60)
    spec = Spec(watched={"out": str(tmp_path / "out")}, log=str(tmp_path / "log"))
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "items.jsonl"
    command = ("db", str(tmp_path / "tautulli.db"), "--to", "jsonl", "--no-enrich", "--out")

    def struck(strike: Strike | None = None) -> End:
        told = structs.replace(spec, strike=strike)
        return run(told, [*command, str(out)], environment=environment, folder=tmp_path)

    done = struck()
    assert done.code == 0, done.err
    boundaries = done.boundaries
    assert [one.number for one in boundaries] == [*range(1, len(boundaries) + 1)]
    kinds = [one.kind for one in boundaries if one.when == "before"]
    assert kinds[0] == "open"
    assert {"write", "fsync", "rename"} <= {*kinds}
    assert all(one.path.startswith("out") for one in boundaries)

    rename = next(b.number for b in boundaries if (b.when, b.kind) == ("before", "rename"))
    whole = out.read_bytes()
    failures: dict[Fault, int] = {"sigterm": 143, "kill": -9, "ENOSPC": 8}
    for fault, code in failures.items():
        for left in out.parent.iterdir():  # else the next run removes it, which counts as well
            left.unlink()
        assert struck(Strike(fault, rename)).code == code
    assert not out.exists()
    assert struck(Strike("kill", rename + 1)).code == -9
    assert out.read_bytes() == whole


def test_a_short_write_is_half_a_write_and_then_a_full_disk(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from tests.crash.driver import prepare
from tests.crash.spec import Spec, Strike
prepare(Spec({"out": "."}, Strike("short", at=3)))
try:
    Path("one").write_bytes(b"0123456789")
except OSError as error:
    print(os.path.getsize("one"), error.errno)
"""
    path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        check=True,
    )
    assert done.stdout.split() == ["5", "28"]


def test_a_seed_and_a_number_are_one_plan() -> None:
    assert plan(1, 7) == plan(1, 7)
    assert len({str(plan(1, number)) for number in range(50)}) == 50
