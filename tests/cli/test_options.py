"""The table of options, the commands and the settings that are made from it."""

from __future__ import annotations

import subprocess
import sys
from typing import Protocol

import pytest
from typer.main import get_command

from tautulli_import import __version__
from tautulli_import.cli.app import app
from tautulli_import.options import OPTIONS, SETTINGS, options_of
from tautulli_import.settings.fields import Settings
from tests import man_page
from tests.conftest import Cli

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
def test_help_tells_what_every_option_does(help_of: Help, command: str) -> None:
    options = options_of(command)
    has_all = any(option.name == "help_all" for option in options)
    page = " ".join(help_of(*command.split(), "--help-all" if has_all else "--help").split())
    for option in options:
        word = option.metavar if option.is_argument else option.flag
        value = "" if option.is_argument or option.type is bool else f" {option.metavar}"
        assert f"{word}{value} {option.help}" in page, word


class Help(Protocol):
    """Prints help as a terminal of so many columns shows it."""

    def __call__(self, *words: str, columns: int = 80) -> str:
        """Run the program with these words."""


@pytest.fixture
def help_of(cli: Cli) -> Help:
    def run(*words: str, columns: int = 80) -> str:
        done = cli(*words, env={"COLUMNS": str(columns), "TERM": "dumb"})
        assert done.code == 0, done.err
        return done.out

    return run


@pytest.mark.parametrize("command", ["api", "db", "check"])
def test_the_first_page_of_help_is_short_and_names_the_second(help_of: Help, command: str) -> None:
    page = help_of(command, "--help").splitlines()
    assert len(page) <= 60
    assert max(map(len, page)) <= 80
    assert not [line for line in page if "--nats" in line or "--batch-size" in line]
    assert any(line.endswith(f"tautulli-import {command} --help-all") for line in page)
    assert page[-1].startswith("  tautulli-import ") or "For example:" not in page


@pytest.mark.parametrize("columns", [60, 120])
def test_help_fits_the_terminal(help_of: Help, columns: int) -> None:
    for words in (["--help"], ["db", "--help-all"], ["consume", "--help"]):
        for line in help_of(*words, columns=columns).splitlines():
            assert len(line) <= columns or line.startswith("  tautulli-import "), line


def test_help_loads_nothing_slow() -> None:
    """``--help`` of Typer's own loads pydantic and Markdown, which takes two thirds of its time."""
    loaded = (
        "import sys; from tautulli_import.__main__ import main\n"
        "try: main()\n"
        "finally: print([one for one in sys.modules if one in "
        "('pydantic', 'rich', 'httpx', 'sqlite_utils', 'msgspec.json')], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded, "db", "--help"], check=True, capture_output=True, text=True
    )
    assert done.stderr == "[]\n"
    assert "--dry-run" in done.stdout


def test_help_explains_a_command_and_a_topic(help_of: Help) -> None:
    assert help_of("help", "db") == help_of("db", "--help")
    assert help_of("help", "checkpoint", "list") == help_of("checkpoint", "list", "--help")
    assert help_of("help", "formats").startswith("# ")
    assert "\n  formats " in help_of("help")


def test_the_man_page_has_every_command_and_option() -> None:
    page = "\n".join(man_page.lines())
    for command in COMMANDS:
        assert f"\n.SS tautulli\\-import {command}\n" in page
        for option in options_of(command):
            assert man_page.escaped(option.metavar if option.is_argument else option.flag) in page


def test_help_about_something_unknown_names_what_is_similar(cli: Cli) -> None:
    answer = cli("help", "fromats")
    assert answer.code == 5
    assert "There is no help about 'fromats'." in answer.err
    assert "Did you mean formats?" in answer.err


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("-V").out == cli("--version").out == f"tautulli-import {__version__}\n"


def test_an_option_has_one_meaning_in_a_command() -> None:
    for command in COMMANDS:
        names = [option.name for option in options_of(command)]
        assert len(names) == len(set(names))


def test_what_no_message_may_quote_is_marked() -> None:
    """Whoever adds a secret to the table has to say so."""
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    assert secret == {option.name for option in OPTIONS if option.hides == "value"}
