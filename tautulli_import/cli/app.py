"""The Typer app with all commands."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .commands.api import api
from .commands.checkpoint import clear, list_, show
from .commands.config import path, show as show_settings
from .commands.consume import consume
from .commands.db import db
from .commands.inspect import check, libraries, unresolved, users
from .commands.status import status, stop
from .commands.why import why
from .options import add_command

__all__ = ["app"]

app = typer.Typer(
    name="tautulli-import",
    help="Import Tautulli's watch history into CrossWatch and other places. Never writes to "
    "Tautulli.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tautulli-import {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


add_command(app, "api", api)
add_command(app, "db", db)
add_command(app, "consume", consume)
add_command(app, "check", check)
add_command(app, "users", users)
add_command(app, "libraries", libraries)
add_command(app, "unresolved", unresolved)
add_command(app, "why", why)
add_command(app, "status", status)
add_command(app, "stop", stop)

_checkpoint = typer.Typer(no_args_is_help=True, help="List, show and clear checkpoints.")
app.add_typer(_checkpoint, name="checkpoint")
add_command(_checkpoint, "list", list_, group="checkpoint")
add_command(_checkpoint, "show", show, group="checkpoint")
add_command(_checkpoint, "clear", clear, group="checkpoint")

_config = typer.Typer(no_args_is_help=True, help="Show the settings and where they come from.")
app.add_typer(_config, name="config")
add_command(_config, "show", show_settings, group="config")
add_command(_config, "path", path, group="config")
