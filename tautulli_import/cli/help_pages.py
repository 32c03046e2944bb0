"""Write the help of commands from the table in ``tautulli_import.options``.

Typer's own pages load rich's Markdown and pydantic, which takes two thirds of the time (Typer 0.29,
November 2026). Here the usual options come first, and ``--help-all`` adds the rare ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

import typer
from typer.core import TyperGroup, TyperOption

from ..options import Option, options_of
from . import usage
from .completion import SHELL

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand, Context, HelpFormatter

__all__ = ["Command", "Group", "show_all"]

_ALL: Final = "tautulli_import.help_all"
_EXAMPLES: Final = "\n\nFor example"
_Row: TypeAlias = tuple[str, str]
_HELP: Final[_Row] = ("-h, --help", "Show this page.")
_LAST: Final = "Output"
_WIDEST: Final = 22
_ABOUT_SHELLS: Final = ("--install-completion", "--show-completion")


class Command(usage.Command):
    """A command with a page of help."""

    def get_help_option(self, ctx: Context) -> TyperOption | None:
        """Return ``--help``. Without a default, Typer would load pydantic for its value."""
        return _with_default(super().get_help_option(ctx))

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the page: usage, options by panel, examples."""
        name = ctx.command_path.partition(" ")[2]
        options = options_of(name)
        is_short = any(one.name == "help_all" for one in options) and _ALL not in ctx.meta
        shown = [one for one in options if not (is_short and one.is_rare)]
        sections: dict[str, list[_Row]] = {}
        for one in shown:
            heading = "Arguments" if one.is_argument else one.panel or "Options"
            sections.setdefault(heading, []).append(_row(one))
        sections.setdefault(_LAST if _LAST in sections else "Options", []).append(_HELP)
        formatter.write_usage(ctx.command_path, " ".join(_words(options)))
        about, examples = _parts(self)
        _write_text(formatter, about)
        _write_sections(formatter, sections)
        if len(shown) < len(options):
            more = f"{len(options) - len(shown)} rarely used options"
            _write_text(formatter, f"For {more}: {ctx.command_path} --help-all")
        _write_examples(formatter, examples)


class Group(TyperGroup):
    """A group of commands with a page of help."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Note the shell after an option about completion.

        It is no value of that option, because an option with a value would make every command
        load pydantic here.

        Raises:
            typer.Exit: an argument is wrong. The error was printed.
        """
        for flag, value in pairwise(args[:2]):
            if flag in _ABOUT_SHELLS:
                ctx.meta[SHELL] = value
        if not args:  # then the help is printed
            return super().parse_args(ctx, args)
        with usage.explained(ctx, args, "options"):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, AnyCommand | None, list[str]]:
        """Find the command that the first argument names.

        Raises:
            typer.Exit: there is none. The error was printed.
        """
        with usage.explained(ctx, args, "commands"):
            return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: Context) -> TyperOption | None:
        """Return ``--help``, as that of a ``Command``."""
        return _with_default(super().get_help_option(ctx))

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the page: usage, commands by panel, options, examples."""
        sections: dict[str, list[_Row]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            heading = str(getattr(command, "rich_help_panel", None) or "Commands")
            sections.setdefault(heading, []).append((name, _summary(command)))
        flags = [one for one in self.params if isinstance(one, TyperOption)]
        rows = [(", ".join(sorted(one.opts, key=len)), one.help or "") for one in flags]
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]")
        about, examples = _parts(self)
        _write_text(formatter, about)
        _write_sections(formatter, sections)
        _write_sections(formatter, {"Options": [*rows, _HELP]})
        _write_examples(formatter, examples)


def show_all(ctx: typer.Context, value: bool) -> None:
    """Show the page with all options, for ``--help-all``."""
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


def _with_default(option: TyperOption | None) -> TyperOption | None:
    if option is not None:
        option.default = False
    return option


def _words(options: Sequence[Option]) -> Iterator[str]:
    """Yield the words of a command's usage."""
    yield "[OPTIONS]"
    for one in options:
        if one.is_argument:
            word = one.metavar if one.is_required or one.metavar[0] == "[" else f"[{one.metavar}]"
            yield f"{word}..." if one.repeatable and not word.endswith("...") else word


def _row(option: Option) -> _Row:
    """Return the flags of an option and what it does."""
    if option.is_argument:
        return option.metavar, option.help
    flags = f"{option.short}, {option.flag}" if option.short else option.flag
    return f"{flags} {option.metavar}".rstrip(), option.help


def _parts(command: AnyCommand) -> tuple[str, str]:
    """Return the description of a command, and the examples at its end."""
    about, _, examples = cleandoc(command.help or "").partition(_EXAMPLES)
    return about, examples


def _summary(command: AnyCommand) -> str:
    """Return the first sentence of a command's description."""
    first = " ".join(_parts(command)[0].partition("\n\n")[0].split())
    return f"{first.partition('. ')[0].removesuffix('.')}."


def _write_text(formatter: HelpFormatter, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_text(text)


def _write_sections(formatter: HelpFormatter, sections: Mapping[str, Sequence[_Row]]) -> None:
    """Write all sections with the same width of the first column."""
    lengths = [len(first) for rows in sections.values() for first, _ in rows]
    width = max(length for length in lengths if length <= _WIDEST)
    for heading, rows in sections.items():
        with formatter.section(heading):
            formatter.write_dl([(first.ljust(width), text) for first, text in rows], width)


def _write_examples(formatter: HelpFormatter, examples: str) -> None:
    if examples:
        formatter.write(f"{_EXAMPLES[1:]}{examples}\n")
