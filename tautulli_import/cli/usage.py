"""Turn wrong arguments into errors like all others, with a next step and as JSON if wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperCommand

from ..errors import ConfigurationError
from ..formatting import shown
from .exit_codes import guarded

if TYPE_CHECKING:
    from typer._click import Context

__all__ = ["Command", "explained"]

# Typer exports only subclasses of it. From 0.29 on it has its own click.
_UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]
_EXTRA: Final = re.compile(r"extra argument(?:s|\(s\))? \((\S+)")


class Command(TyperCommand):
    """A command whose wrong arguments are errors of this program."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            typer.Exit: an argument is wrong. The error was printed.
        """
        with explained(ctx, args, "options"):
            return super().parse_args(ctx, args)


@contextmanager
def explained(ctx: Context, args: Sequence[str], what: str) -> Iterator[None]:
    """Turn wrong arguments into an error that is printed. The help lists all of ``what``.

    Raises:
        typer.Exit: an argument is wrong.
    """
    with guarded(as_json="--json" in args):
        try:
            yield
        except _UsageError as error:
            message = getattr(error, "format_message", error.__str__)()
            extra = _EXTRA.search(message)
            if ctx.info_name == "api" and extra:
                raise _not_an_argument(extra[1]) from None
            raise ConfigurationError(
                message if message.endswith((".", "?", ")")) else f"{message}.",
                hint=f"All {what}: {ctx.command_path} --help",
            ) from None


def _not_an_argument(word: str) -> ConfigurationError:
    """Return the error for ``api ADDRESS``, and for ``api FILE``."""
    from ..sources.http.address import parse_address

    word = word.rstrip(")")
    if "://" not in word and Path(word).exists():
        return ConfigurationError(
            f"api reads a running Tautulli, and {shown(Path(word))} is a file.",
            hint=f"Use: tautulli-import db {shown(Path(word))}",
        )
    try:
        base = parse_address(word).base
    except ConfigurationError:
        base = "URL"
    return ConfigurationError(
        "api takes the address of Tautulli as an option.", hint=f"Use: --url {base}"
    )
