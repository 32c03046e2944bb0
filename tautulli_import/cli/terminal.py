"""Make the consoles of rich, and wrap lines for a terminal."""

from __future__ import annotations

from typing import Final, TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["console_of", "hanging"]

_UNCUT: Final = 1_000_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error of a closed pipe. rich itself would exit with code 1."""
        raise BrokenPipeError


def hanging(line: str, style: str, console: Console) -> RenderableType:
    """Return a line whose wrapped parts start below its last column.

    Columns are separated by two blanks. A last column in the right half of the terminal is too
    narrow for that.
    """
    start = line.rfind("  ") + 2
    if not console.is_terminal or not 2 < start <= console.width // 2:
        return Text(line, style=style)
    table = Table.grid()
    table.add_column(width=start, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(line[:start]), Text(line[start:]), style=style)
    return table


def console_of(file: TextIO, *, color: bool) -> Console:
    """Return a console that prints text as it is. Only a terminal limits its width."""
    return _Console(
        file=file,
        no_color=None if color else True,
        width=None if file.isatty() else _UNCUT,
        soft_wrap=not file.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
    )
