"""The program's commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .api import api
from .checkpoint import checkpoint_app
from .config import config_app
from .consume import consume
from .db import db
from .look import check, libraries, users
from .status import status, stop

__all__ = ["app"]

app = typer.Typer(
    name="tautulli-import",
    help="Take Tautulli's watch history to CrossWatch, or anywhere else. Read-only towards "
    "Tautulli: nothing of it is ever written.",
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


app.command(name="api")(api)
app.command(name="db")(db)
app.command(name="consume")(consume)
app.command(name="check")(check)
app.command(name="users")(users)
app.command(name="libraries")(libraries)
app.command(name="status")(status)
app.command(name="stop")(stop)
app.add_typer(checkpoint_app, name="checkpoint")
app.add_typer(config_app, name="config")
