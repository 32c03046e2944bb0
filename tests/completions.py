"""The completion scripts, as the program itself writes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = {
    "bash": "tautulli-import.bash",
    "zsh": "_tautulli-import",
    "fish": "tautulli-import.fish",
}


def script(shell: str) -> str:
    """Return what ``tautulli-import`` answers when a shell asks for its completion script."""
    answer = subprocess.run(
        [sys.executable, "-m", "tautulli_import", "--show-completion", shell],
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout


def main() -> None:
    """Write the scripts into the directory that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for shell, name in NAMES.items():
        (folder / name).write_text(script(shell), encoding="utf-8")


if __name__ == "__main__":
    main()
