"""The README's commands, options, tables and code are true."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tautulli_import.cli.app import app
from tautulli_import.errors import TautulliImportError
from tautulli_import.options import OPTIONS, Option
from tests.conftest import Cli
from tests.support.history import generate
from tests.support.nats import NatsServer
from tests.support.tautulli import FakeTautulli

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for line in re.findall(r"^    (tautulli-import .*)$", README, re.MULTILINE)
]
PROGRAM = [sys.executable, "-m", "tautulli_import"]


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[FakeTautulli]:
    """Yield a Tautulli over the database that the README's commands name."""
    with FakeTautulli(place / "tautulli.db") as tautulli:
        yield tautulli


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Yield a NATS server with the stream that the README's first line about it makes."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with everything that the README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    generate(folder / "tautulli.db", plays=600, seed=7)
    (folder / "backups").mkdir()
    generate(folder / "backups" / "a.db", plays=300, seed=7)
    shutil.copy(folder / "backups" / "a.db", folder / "backups" / "b.db")
    (folder / "exported").mkdir()
    with zipfile.ZipFile(folder / "exported" / "crosswatch-tracker.zip", "w") as archive:
        archive.writestr("history.json", '{"ts":1,"items":{}}')
    return folder


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.fixture
def env(place: Path, server: FakeTautulli) -> dict[str, str]:
    """Return where the Tautulli is, its key, and where to keep state."""
    return {**server.environment, "TAUTULLI_IMPORT_STATE_DIR": str(place / "state")}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(
    command: str, place: Path, env: dict[str, str], cli: Cli, request: pytest.FixtureRequest
) -> None:
    url = ""
    if "nats" in command or "consume" in command:
        env["NATS_URL"] = url = request.getfixturevalue("nats").url
        if "consume" in command:  # a stream to consume from
            cli("db", "tautulli.db", "--to", "nats", cwd=place, env=env)
    users = cli("users", "tautulli.db", cwd=place).out.splitlines()
    somebody = re.split(r"\s{2,}", users[1])[1]
    missing = json.loads(cli("unresolved", "tautulli.db", "--json", cwd=place).out)["titles"]
    before_pipe = command.partition("|")[0]
    if "jq -r 'select" in command:
        before_pipe = command[: command.index(" | jq")]
    words = [
        {
            "alice": somebody,
            "Movies": "1",
            "TV Shows": "2",
            "The Meridian Paper": missing[0]["title"],
        }.get(word, word)
        for word in shlex.split(before_pipe)[1:]
    ]
    words = [
        word.replace("/path/to/crosswatch/config", "config")
        .replace("nats://server:4222", url)
        .replace("/srv/crosswatch", "srv")
        .replace("/config/tautulli.db", "tautulli.db")
        for word in words
    ]
    words = [
        found
        for word in words
        for found in (
            [str(path.relative_to(place)) for path in sorted(place.glob(word))]
            if "*" in word
            else [word]
        )
    ]
    answer = cli(*words, cwd=place, env=env)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.name}-{option.panel}")
def test_every_option_is_documented(option: Option) -> None:
    flag = "--no-color" if option.name == "color" else option.flag
    if option.is_argument or not option.commands:
        return
    assert re.search(rf"{flag}(?![\w-])", README)


#: Those that Typer gives the program itself.
OF_TYPER = {"--help", "--version", "--install-completion", "--show-completion"}


def test_every_documented_option_exists() -> None:
    offered = OF_TYPER | {option.flag for option in OPTIONS if option.commands}
    offered |= {
        f"--no-{option.flag[2:]}" for option in OPTIONS if option.type is bool and not option.own
    }
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", README)) - {"--no"}
    assert documented <= offered


def test_every_command_is_documented() -> None:
    for command in app.registered_commands:
        assert re.search(rf"`{command.name}[ `]", README)
    for group in app.registered_groups:
        assert group.typer_instance
        for command in group.typer_instance.registered_commands:
            name = command.name or getattr(command.callback, "__name__", "")
            assert f"`{group.name} {name}" in README


def test_every_exit_code_is_documented() -> None:
    def codes(cls: type[TautulliImportError]) -> set[int]:
        return {cls.exit_code}.union(*(codes(sub) for sub in cls.__subclasses__()))

    for code in codes(TautulliImportError):
        assert f"\n| {code} |" in README


def test_the_sink_of_the_readme_works(place: Path, tmp_path: Path) -> None:
    code = next(b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Sink" in b)
    toml = next(b for b in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "sinks" in b)
    assert len(code.split("class ")[1].strip().splitlines()) <= 20
    (tmp_path / "my_package.py").write_text(code)
    info = tmp_path / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    group = re.search(r'entry-points."([^"]+)"', toml)
    line = toml.strip().splitlines()[-1].replace('"', "")
    assert group
    (info / "entry_points.txt").write_text(f"[{group.group(1)}]\n{line}\n")
    answer = subprocess.run(
        [*PROGRAM, "db", str(place / "tautulli.db"), "--to", "titles", "--out", "titles.txt"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "HOME": str(tmp_path)},
    )
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "titles.txt").read_text(encoding="utf-8").count("\n") > 10


def test_the_corrections_of_the_readme_are_accepted() -> None:
    from tautulli_import.ids.corrections import parse

    block = next(iter(re.findall(r"```csv\n(.*?)```", README, re.DOTALL)))
    assert len(parse(block, "README.md")) == 2
