"""``config show`` and ``config path``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from ..options import Flags

if TYPE_CHECKING:
    from ...web.address import Address

__all__ = ["path", "show"]


def show(flags: Flags, *, json: bool) -> None:
    """Show every setting, its value and its origin."""
    from ...crosswatch.access import parse_crosswatch_url
    from ...jetstream.access import Access
    from ...settings.loaded import load
    from ...sources.http.address import parse_address
    from ..console import Screen
    from ..formatting import print_json

    loaded = load(flags)
    values = {
        **loaded.settings.model_dump(mode="json"),
        "url": _address(loaded.settings.url, parse_address),
        "crosswatch_url": _address(loaded.settings.crosswatch_url, parse_crosswatch_url),
        "nats_url": Access(url=loaded.settings.nats_url).shown,
    }
    if json:
        print_json(
            {
                name: {"value": value, "origin": loaded.origins[name]}
                for name, value in values.items()
            }
        )
        return
    rows = ((name, _cell(value), loaded.origins[name]) for name, value in values.items())
    Screen(color=loaded.settings.color).pairs(rows, "Setting", "Value", "From")


def path(flags: Flags) -> None:
    """Print the path of the file of settings, existing or not."""
    from ...settings.layers import config_path

    typer.echo(str(config_path(flags)))


def _address(url: str | None, parse: Callable[[str], Address]) -> str | None:
    """Return the URL without a password, and without an API key that was pasted with it."""
    from ...errors import ConfigurationError

    try:
        return url and parse(url).base
    except ConfigurationError:
        return "not a URL"


def _cell(value: object) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
