"""Trials on file systems in memory that are really full.

    python -m tests.crash.full_disk FOLDER [--all]

Has to be started where it may mount: in a namespace of its own, so that nobody else sees it, and
so that it is gone with the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

from tests.crash.harness import Room, Stage
from tests.crash.places import PLENTY
from tests.crash.scenarios import Scenario

_PAGE: Final = 4096
_FEW_PAGES: Final = (1, 8, 24)
_PAGES: Final = (0, 1, 2, 3, 5, 8, 14, 18, 24)
_FEW: Final = 2
_SCENARIOS: Final[tuple[tuple[Scenario, Literal["out", "state"]], ...]] = (
    (Scenario("db", "tracker", foreign=True), "out"),
    (Scenario("db", "tracker", "more"), "state"),
    (Scenario("db", "tracker+editor", "more"), "out"),
    (Scenario("api", "tracker", plays=120), "state"),
)


def _main() -> int:
    wrong = 0
    everything = "--all" in sys.argv
    scenarios = _SCENARIOS if everything else _SCENARIOS[:_FEW]
    for number, (scenario, which) in enumerate(scenarios):
        place = Path(sys.argv[1]) / str(number)
        folder = place / which
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={PLENTY}", "none", str(folder)]
        subprocess.run(mount, check=True)
        codes = set()
        with Stage(place, scenario) as stage:
            for pages in _PAGES if everything else _FEW_PAGES:
                trial = stage.trial(Room(which, pages * _PAGE))
                codes.add(trial.ends[0].code)
                wrong += trial.failed
                for sentence in trial.wrong:
                    print(f"{scenario}, {which}, {pages} pages: {sentence}")
        print(f"{scenario}, {which}: ended with {sorted(codes)}")
        if which == "out" and codes != {0, 8}:
            print("  that was never full, or always")
            wrong += 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(_main())
