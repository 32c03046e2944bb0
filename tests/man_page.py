"""The man page, made from the table of options and the descriptions of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from typer.main import get_command

from tautulli_import import __version__
from tautulli_import.cli.app import app
from tautulli_import.options import Option, options_of


def escaped(text: str) -> str:
    """Return text in which roff finds no commands."""
    return (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("\n.", "\n\\&.")
    )


def lines() -> Iterator[str]:
    """Yield the lines of the page."""
    yield f'.TH TAUTULLI\\-IMPORT 1 "" "tautulli\\-import {__version__}"'
    root = get_command(app)
    about, _, examples = cleandoc(root.help or "").partition("\n\nFor example:\n")
    summary = about.partition(".")[0]
    yield f".SH NAME\ntautulli\\-import \\- {escaped(summary[0].lower() + summary[1:])}"
    yield ".SH SYNOPSIS\n.B tautulli\\-import\n.I COMMAND\n.RI [ OPTIONS ]"
    yield f".SH DESCRIPTION\n{escaped(about)}"
    yield ".SH COMMANDS"
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inside = getattr(command, "commands", None) or {"": command}
        for word, one in inside.items():
            path = f"{name} {word}".strip()
            text = cleandoc(one.help or "").partition("\n\nFor example")[0]
            yield f".SS tautulli\\-import {escaped(path)}\n{escaped(text)}"
            for option in options_of(path):
                yield from paragraph(option)
    yield ".SH EXAMPLES\n.nf\n" + escaped(examples) + "\n.fi"
    yield ".SH SEE ALSO\n.B tautulli\\-import help\nlists the topics of the manual."


def paragraph(option: Option) -> Iterator[str]:
    """Yield the lines about an option."""
    flags = option.metavar if option.is_argument else option.flag
    flags = f"{option.short}, {flags}" if option.short else flags
    value = "" if option.is_argument or option.type is bool else f" {option.metavar}"
    yield f".TP\n.B {escaped(f'{flags}{value}')}\n{escaped(option.help)}"


def main() -> None:
    """Write the page into the file that is named."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
