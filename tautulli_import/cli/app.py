"""The Typer app with all commands."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .commands.checkpoint import clear, list_, show
from .commands.config import path, show as show_settings
from .commands.consume import consume
from .commands.help import explain, pages
from .commands.imports import api, db
from .commands.init import init
from .commands.inspect import check, libraries, unresolved, users
from .commands.status import status, stop
from .commands.why import why
from .completion import installing, prepare, showing
from .exit_codes import guarded
from .help_pages import Command, Group
from .options import add_command

__all__ = ["app"]

prepare()

app = typer.Typer(
    name="tautulli-import",
    help="""Import Tautulli's watch history into CrossWatch and other places.

    Never writes to Tautulli.

    For example:
      tautulli-import init
      tautulli-import db tautulli.db --dry-run
      tautulli-import api --url http://192.168.1.10:8181 --to tracker
    """,
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        typer.echo(f"tautulli-import {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=installing,
            is_eager=True,
            help="Set up completion for a shell: bash, zsh or fish. Default: yours.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=showing,
            is_eager=True,
            help="Print the completion script of a shell.",
        ),
    ] = False,
) -> None:
    pass


_IMPORT, _LOOK, _RUNS = "Import", "Look at a history", "Runs and settings"
add_command(app, "init", init, panel=_IMPORT)
add_command(app, "api", api, panel=_IMPORT)
add_command(app, "db", db, panel=_IMPORT)
add_command(app, "consume", consume, panel=_IMPORT)
add_command(app, "check", check, panel=_LOOK)
add_command(app, "users", users, panel=_LOOK)
add_command(app, "libraries", libraries, panel=_LOOK)
add_command(app, "unresolved", unresolved, panel=_LOOK)
add_command(app, "why", why, panel=_LOOK)
add_command(app, "status", status, panel=_RUNS)
add_command(app, "stop", stop, panel=_RUNS)

_checkpoint = typer.Typer(
    cls=Group, no_args_is_help=True, help="List, show and clear checkpoints.", rich_help_panel=_RUNS
)
app.add_typer(_checkpoint, name="checkpoint", rich_help_panel=_RUNS)
add_command(_checkpoint, "list", list_, group="checkpoint")
add_command(_checkpoint, "show", show, group="checkpoint")
add_command(_checkpoint, "clear", clear, group="checkpoint")

_config = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Show the settings and where they come from.",
    rich_help_panel=_RUNS,
)
app.add_typer(_config, name="config", rich_help_panel=_RUNS)
add_command(_config, "show", show_settings, group="config")
add_command(_config, "path", path, group="config")


@app.command("help", cls=Command, rich_help_panel=_RUNS)
def _help(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(show_default=False, autocompletion=pages)
    ] = None,
) -> None:
    """Explain a topic or a command.

    For example:
      tautulli-import help crosswatch
      tautulli-import help db
    """
    with guarded():
        explain(ctx, words or ())
