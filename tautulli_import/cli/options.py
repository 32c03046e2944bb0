"""Make Typer commands from the table in ``tautulli_import.options``.

An option that is not given is None or an empty list. Then the environment, ``.env``,
``config.toml`` or the default applies (see ``settings``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from ..errors import ConfigurationError
from ..options import Option, options_of
from . import known_names
from .exit_codes import guarded
from .help_pages import Command, show_all

__all__ = ["Flags", "add_command"]

_NOT_FOR_WORK: Final = ("debug", "help_all")

Flags: TypeAlias = Mapping[str, object]
"""The settings that were given on the command line, by name."""

_ANNOTATIONS: Mapping[tuple[type, bool], object] = {
    (str, False): str | None,
    (str, True): list[str] | None,
    (Path, False): Path | None,
    (Path, True): list[Path] | None,
    (int, False): int | None,
    (float, False): float | None,
    (bool, False): bool | None,
}


_NAMES: Final[Mapping[str, Callable[..., object]]] = {
    "user": known_names.users,
    "library": known_names.libraries,
    "name": known_names.checkpoints,
    "names": known_names.checkpoints,
}


def add_command(
    app: typer.Typer, name: str, work: Callable[..., None], *, group: str = "", panel: str = ""
) -> None:
    """Add a command that calls ``work`` with its options from the table.

    ``work`` gets the given ``Flags``, and by name each option that is not a setting, except
    ``debug``. Its docstring is the help text. ``panel`` is its heading in the list of commands.
    """
    table = options_of(f"{group} {name}".strip())
    own = [option.name for option in table if option.own and option.name not in _NOT_FOR_WORK]

    def command(**given: object) -> None:
        flags = {
            option.name: value
            for option in table
            if not option.own and (value := given[option.name]) not in (None, [])
        }
        color = given.get("color")
        with guarded(
            debug=given["debug"] is True,
            color=None if color is None else bool(color),
            as_json=given.get("json") is True,
        ):
            _check_working_directory()
            work(flags, **{option: given[option] for option in own})

    command.__doc__ = work.__doc__
    parameters = [_parameter(option) for option in table]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    app.command(name, cls=Command, rich_help_panel=panel or None)(command)


def _check_working_directory() -> None:
    """Check that paths can be relative to a working directory.

    Raises:
        ConfigurationError: it was removed.
    """
    try:
        os.getcwd()  # noqa: PTH109 - nothing is done with it
    except FileNotFoundError:
        raise ConfigurationError(
            "The working directory was removed.", hint="Change to another one: cd DIRECTORY"
        ) from None


def _parameter(option: Option) -> Parameter:
    """Return the parameter from which Typer makes an option."""
    is_switch = option.own and option.type is bool
    has_default = is_switch or option.default is not None or option.is_required
    annotation = option.type if has_default else _ANNOTATIONS[option.type, option.repeatable]
    default = Parameter.empty if option.is_required else False if is_switch else option.default
    return Parameter(
        option.name,
        Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            annotation,
            _argument(option) if option.is_argument else _option(option, is_switch=is_switch),
        ],
    )


def _argument(option: Option) -> object:
    return typer.Argument(
        metavar=option.metavar,
        help=option.help,
        readable=False,
        show_default=False,
        autocompletion=_completion(option),
    )


def _option(option: Option, *, is_switch: bool) -> object:
    flag = option.flag
    if option.type is bool and not is_switch:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    least, most = option.range or (None, None)
    return typer.Option(
        *filter(None, (flag, option.short)),
        metavar=option.metavar or None,
        help=option.help,
        rich_help_panel=option.panel or None,
        autocompletion=_completion(option),
        readable=False,
        min=least,
        max=most,
        show_default=False,
        callback=show_all if option.name == "help_all" else None,
        is_eager=option.name == "help_all",
    )


def _completion(option: Option) -> Callable[..., object] | None:
    """Return a function for the words that a shell can complete, if there are any."""
    if option.name in _NAMES:
        return _NAMES[option.name]
    if not option.choices:
        return None

    def complete(incomplete: str) -> list[str]:
        words = option.choices() if callable(option.choices) else option.choices
        return [word for word in words if word.startswith(incomplete)]

    return complete
