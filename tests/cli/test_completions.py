"""``completions/`` holds what the program itself would write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.completions import NAMES, script

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("shell", sorted(NAMES))
def test_the_completion_script_is_current(shell: str) -> None:
    kept = (ROOT / "completions" / NAMES[shell]).read_text(encoding="utf-8")
    assert kept == script(shell), "run 'make completions'"


def complete(words: str, count: int) -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-m", "tautulli_import"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "_TAUTULLI_IMPORT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(count),
        },
    )
    return answer.stdout.split()


def test_commands_and_sinks_are_completed() -> None:
    assert complete("tautulli-import li", 1) == ["libraries"]
    assert complete("tautulli-import db --to tr", 3) == ["tracker"]
    assert complete("tautulli-import db --media-type ", 3) == ["movie", "episode", "track", "live"]


def test_bash_offers_what_the_script_asks_the_program_for(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    program = tmp_path / "tautulli-import"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tautulli_import "$@"\n')
    program.chmod(0o755)
    commands = (
        f'source "{ROOT / "completions" / NAMES["bash"]}"; '
        'COMP_WORDS=(tautulli-import ch); COMP_CWORD=1; COMP_LINE="tautulli-import ch"; '
        '_tautulli_import_completion tautulli-import; echo "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(
        [bash, "-c", commands],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert answer.stdout.split() == ["check", "checkpoint"]
