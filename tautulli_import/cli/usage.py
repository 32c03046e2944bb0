"""Turn wrong arguments into errors like all others, with a next step and as JSON if wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
# With pydantic's words in Typer 0.29, and click's before.
_NO_NUMBER: Final = re.compile(r"Invalid value for '(--[\w-]+)'.*valid (integer|number|float)")
# Typer 0.20 and click 8.5 both add it.
_SAID_TWICE: Final = re.compile(r"( Did you mean [^?]+\?)\1")
# A login or an API key in an address.
_SECRET: Final = re.compile(r"(?<=//)[^/\s@]+(?=@)|(?<=apikey=)[^&\s)']+")
_EXTRA: Final = re.compile(r"extra argument(?:s|\(s\))? \((\S+)")


class Command(TyperCommand):
    """A command whose wrong arguments are errors of this program."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            typer.Exit: an argument is wrong. The error was printed.
        """
        with explained(ctx, [*args], "options"):  # parsing takes them out of the list
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
            message = _SAID_TWICE.sub(r"\1", message)
            if wrong := _NO_NUMBER.match(message):
                kind = "a whole number" if wrong[2] == "integer" else "a number"
                raise ConfigurationError(
                    f"{wrong[1]} must be {kind}, not {_value_of(wrong[1], args)!r}.",
                    hint=f"All {what}: {ctx.command_path} --help",
                ) from None
            if args and message.startswith("No such command") and _may_be_a_source(args[0]):
                raise _no_command(args[0]) from None
            extra = _EXTRA.search(message)
            if ctx.info_name == "api" and extra:
                raise _not_an_argument(extra[1]) from None
            message = _SECRET.sub("…", message)
            raise ConfigurationError(
                message if message.endswith((".", "?", ")")) else f"{message}.",
                hint=f"All {what}: {ctx.command_path} --help",
            ) from None


def _not_an_argument(word: str) -> ConfigurationError:
    """Return the error for ``api ADDRESS``, and for ``api FILE``."""
    word = word.rstrip(")")
    if "://" not in word and Path(word).exists():
        return ConfigurationError(
            f"api reads a running Tautulli, and {shown(Path(word))} is a file.",
            hint=f"Use: tautulli-import db {shown(Path(word))}",
        )
    return ConfigurationError(
        "api takes the address of Tautulli as an option.", hint=f"Use: --url {_base_of(word)}"
    )


def _value_of(flag: str, args: Sequence[str]) -> str:
    """Return the last value of an option on the command line."""
    values = [args[at + 1] for at, one in enumerate(args[:-1]) if one == flag]
    values += [one.partition("=")[2] for one in args if one.startswith(f"{flag}=")]
    return values[-1] if values else ""


def _may_be_a_source(word: str) -> bool:
    with suppress(OSError, ValueError):  # too long, or with a null byte
        return "://" in word or Path(word).is_file()
    return False


def _no_command(word: str) -> ConfigurationError:
    """Return the error for a file or an address in the place of the command."""
    if "://" not in word:
        return ConfigurationError(
            f"{shown(Path(word))} is a file, and no command is given.",
            hint=f"For example: tautulli-import db {shown(Path(word))} --dry-run",
        )
    return ConfigurationError(
        "This is an address, and no command is given.",
        hint=f"For example: tautulli-import api --url {_base_of(word)} --dry-run",
    )


def _base_of(address: str) -> str:
    """Return an address without secrets, or a word for it."""
    from ..sources.http.access import parse_address

    try:
        return parse_address(address).base
    except ConfigurationError:
        return "URL"
