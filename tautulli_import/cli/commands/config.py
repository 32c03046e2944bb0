"""``config show`` and ``config path``."""

from __future__ import annotations

import typer

from ..options import Flags

__all__ = ["path", "show"]


def show(flags: Flags, *, json: bool) -> None:
    """Show every setting, its value and its origin."""
    from ...options import SETTINGS
    from ...settings.loaded import load
    from ..console import Screen
    from ..formatting import print_json
    from ..redact import without_login

    loaded = load(flags)
    values = loaded.settings.model_dump(mode="json")
    for name, option in SETTINGS.items():
        if option.hides == "address" and values[name]:
            values[name] = without_login(option.flag, values[name]) or "not a URL"
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


def _cell(value: object) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
