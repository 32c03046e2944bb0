"""The table of options, the commands and the settings that are made from it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

from tautulli_import.cli.app import app
from tautulli_import.options import OPTIONS, SETTINGS, options_of
from tautulli_import.settings.fields import Settings

COMMANDS = sorted({name for option in OPTIONS for name in option.commands.split(", ") if name})


def test_the_table_names_every_setting_and_no_other() -> None:
    assert set(SETTINGS) == set(Settings.model_fields)


def test_every_command_of_the_program_stands_in_the_table() -> None:
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inside = getattr(command, "commands", None)
        found |= {f"{name} {one}" for one in inside} if inside else {name}
    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_offers_the_options_of_the_table_and_no_others(command: str) -> None:
    found = get_command(app)
    for name in command.split():
        found = found.commands[name]  # type: ignore[attr-defined]
    offered = [flag for param in found.params for flag in (*param.opts, *param.secondary_opts)]
    wanted = []
    for option in options_of(command):
        wanted += [option.name] if option.is_argument else [option.flag]
        wanted += [option.short] if option.short else []
        if option.type is bool and not option.own:
            wanted.append(f"--no-{option.flag[2:]}")
    assert sorted(offered) == sorted(wanted)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_every_option_does(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tautulli_import", *command.split(), "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={"COLUMNS": "400", "PATH": "", "NO_COLOR": "1", "TERM": "dumb"},
    )
    for option in options_of(command):
        word = option.metavar if option.is_argument else option.flag
        lines = [line for line in done.stdout.splitlines() if f" {word}" in line]
        assert any(f" {option.help} " in line for line in lines), word


def test_an_option_has_one_meaning_in_a_command() -> None:
    for command in COMMANDS:
        names = [option.name for option in options_of(command)]
        assert len(names) == len(set(names))


def test_what_no_message_may_quote_is_marked() -> None:
    """Whoever adds a secret to the table has to say so."""
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    assert secret == {option.name for option in OPTIONS if option.hides == "value"}
