"""``config show`` and ``config path``."""

from __future__ import annotations

import sys

import typer

from . import options
from .guard import guarded

__all__ = ["config_app"]

config_app = typer.Typer(no_args_is_help=True, help="What is set, and where.")


@config_app.command()
def show(*, json: options.Json = False, debug: options.Debug = False) -> None:
    """Every setting, its value, and who said so."""
    with guarded(debug=debug):
        from ..jetstream.access import Access
        from ..settings import load

        loaded = load({})
        values = {
            **loaded.settings.model_dump(mode="json"),
            "url": _address(loaded.settings.url),
            "nats_url": Access(url=loaded.settings.nats_url).shown,
        }
        if json:
            import msgspec

            told = {
                name: {"value": value, "origin": loaded.origins[name]}
                for name, value in values.items()
            }
            sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
            return
        from ..console import Screen

        rows = ((name, _told(value), loaded.origins[name]) for name, value in values.items())
        Screen(color=loaded.settings.color).pairs(rows, "Setting", "Value", "From")


@config_app.command()
def path(*, debug: options.Debug = False) -> None:
    """Where config.toml is looked for."""
    with guarded(debug=debug):
        from ..settings import config_path

        typer.echo(str(config_path()))


def _address(url: str | None) -> str | None:
    """The URL without a password, or a key that was pasted with it."""
    from ..client.address import parse_address
    from ..errors import ConfigurationError

    try:
        return url and parse_address(url).base
    except ConfigurationError:
        return "not a URL"


def _told(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
