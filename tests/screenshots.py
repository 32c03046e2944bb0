"""Make the picture and the outputs in the README anew, from runs over the demo's history."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.terminal import in_a_terminal

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / ".github" / "dry-run.svg"
PICTURED = "tautulli-import db tautulli.db --dry-run --user alice"
WIDTH = 96
_BLOCK = re.compile(r"(?<=^```console\n)\$ (tautulli-import .*)\n([^`]*)(?=^```$)", re.MULTILINE)
_CURSOR = re.compile(r"\x1b\[\?25[hl]")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_SNAPSHOT = re.compile(r"\d{8}T\d{6}Z")


def demo(folder: Path) -> Path:
    """Make the history of the demo in ``folder``."""
    script = str(ROOT / ".demo" / "make_history.py")
    subprocess.run([sys.executable, script, folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def run(command: str, folder: Path, **more: str) -> str:
    """Run a command in a terminal, with ``more`` environment, and return what it printed."""
    code, printed = in_a_terminal(
        *shlex.split(command)[1:],
        cwd=folder,
        environment={"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        COLUMNS=str(WIDTH),
        TTY_INTERACTIVE="0",  # no progress bar
        **more,
    )
    if code:
        raise RuntimeError(f"{command}: {printed}")
    lines = _CURSOR.sub("", printed).split("\r\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def picture(folder: Path) -> str:
    """Return the picture of a dry run, as SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.assemble(("$ ", "green"), (PICTURED, "bold")))
    console.print(Text.from_ansi(run(PICTURED, folder)))
    svg = console.export_svg(title="tautulli-import", unique_id="tautulli-import")
    # Nothing is loaded from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def renewed(text: str, folder: Path) -> str:
    """Return ``text`` with the present outputs of the commands in it."""

    def block(found: re.Match[str]) -> str:
        old, new = found[2], _STYLE.sub("", run(found[1], folder))
        if _SNAPSHOT.sub("", old) == _SNAPSHOT.sub("", new):
            new = old  # they differ in the time of the run only
        return f"$ {found[1]}\n{new}"

    return _BLOCK.sub(block, text)


def main() -> None:
    """Write the picture and the README."""
    readme = ROOT / "README.md"
    with tempfile.TemporaryDirectory() as name:
        folder = demo(Path(name))
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture(folder), encoding="utf-8")
        text = renewed(readme.read_text(encoding="utf-8"), folder)
        readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
