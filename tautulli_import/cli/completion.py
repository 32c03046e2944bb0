"""Set up completion for a shell, and print its script."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer
from typer.completion import (  # type: ignore[attr-defined]  # Typer lists no names
    completion_init,
    get_completion_script,
)

from ..errors import ConfigurationError
from ..files import expand_home, read_bytes, write_whole
from ..formatting import shown
from .exit_codes import guarded

__all__ = ["SHELL", "installing", "prepare", "showing"]

SHELL: Final = "tautulli_import.shell"
"""The key of the shell that was named after ``--install-completion`` or ``--show-completion``."""
_VARIABLE: Final = "_TAUTULLI_IMPORT_COMPLETE"
_NAME: Final = "tautulli-import"
_SHELLS: Final = ("bash", "zsh", "fish")
# zsh runs the file as the function at the first TAB, which must complete, too. A shell that reads
# the file with "source" only defines it.
_ZSH_END: Final = """\
if [ "$funcstack[1]" = "_tautulli-import" ]; then
  _tautulli_import_completion "$@"
else
  compdef _tautulli_import_completion tautulli-import
fi"""


def prepare() -> None:
    """Let Typer answer a shell that asks what can follow."""
    if _VARIABLE in os.environ:
        completion_init()


def script_of(shell: str) -> str:
    """Return the completion script of a shell."""
    script = get_completion_script(prog_name=_NAME, complete_var=_VARIABLE, shell=shell)
    if shell == "zsh":
        script = f"{script[: script.rindex('compdef ')]}{_ZSH_END}"
    return f"{script}\n"


def showing(ctx: typer.Context, value: bool) -> None:
    """Print the script of a shell, for ``--show-completion``."""
    if value and not ctx.resilient_parsing:  # a shell only asks what can follow
        with guarded():
            typer.echo(script_of(_shell(ctx)), nl=False)
        raise typer.Exit


def installing(ctx: typer.Context, value: bool) -> None:
    """Write the script of a shell to where it is found, for ``--install-completion``."""
    if value and not ctx.resilient_parsing:
        with guarded():
            shell = _shell(ctx)
            script, rc, lines = _place_of(shell, expand_home(Path("~")))
            write_whole(script, [script_of(shell).encode()])
            typer.echo(f"The completion script for {shell} is in {shown(script)}.")
            if rc is not None:
                typer.echo(_add_lines(rc, lines))
            typer.echo(f"It works in new shells. Start one now: exec {shell}")
        raise typer.Exit


def _shell(ctx: typer.Context) -> str:
    """Return the shell that was named, or the one in which a person works.

    Raises:
        ConfigurationError: there is no completion for it.
    """
    named = ctx.meta.get(SHELL) or Path(os.environ.get("SHELL", "")).name
    if named not in _SHELLS:
        raise ConfigurationError(
            f"There is no completion for {named}." if named else "Your shell is not known.",
            hint="Name one of bash, zsh, fish: tautulli-import --install-completion bash",
        )
    return named


def _place_of(shell: str, home: Path) -> tuple[Path, Path | None, Sequence[str]]:
    """Return the file of the script, the file that the shell reads first, and the lines for it."""
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish" / "completions" / f"{_NAME}.fish", None, ()
    if shell == "bash":
        script = _data(home) / "completion.bash"
        return script, home / ".bashrc", [f"source {shlex.quote(str(script))}"]
    folder = _data(home) / "zsh"
    rc = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    lines = [f"fpath=({shlex.quote(str(folder))} $fpath)", "autoload -Uz compinit && compinit"]
    return folder / f"_{_NAME}", rc, lines


def _data(home: Path) -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / _NAME


def _add_lines(rc: Path, lines: Sequence[str]) -> str:
    """Add what is missing to a shell's start file, and return a sentence about it."""
    there = read_bytes(rc) or b""
    known = there.decode("utf-8", "surrogateescape").splitlines()
    if all(line in known for line in lines):
        return f"{shown(rc)} already loads it."
    added = "\n".join(["", f"# Completion for {_NAME}", *lines, ""]).encode()
    write_whole(rc, [there, added])
    return f"{len(lines) + 1} lines were added to {shown(rc)}."
