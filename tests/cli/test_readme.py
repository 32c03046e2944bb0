"""The commands, options, tables, outputs and code in the README and the manual are true."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tautulli_import.cli.app import app
from tautulli_import.errors import TautulliImportError
from tautulli_import.options import OPTIONS, Option
from tests.conftest import Cli
from tests.screenshots import PICTURE, demo, picture, renewed
from tests.support.crosswatch import TOKEN, crosswatch
from tests.support.nats import NatsServer
from tests.support.plex_library import Library
from tests.support.tautulli import FakeTautulli

ROOT = Path(__file__).parent.parent.parent
MANUAL = ROOT / "tautulli_import" / "manual"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(MANUAL.glob("*.md"))]
}
README = PAGES["README.md"]
OPTIONS_PAGE = PAGES["tautulli_import/manual/options.md"]
COMMANDS = sorted(
    {
        line.partition(" #")[0].strip()
        for text in PAGES.values()
        for line in re.findall(
            r"^ {4,7}(tautulli-import .*)$", text.replace("\\\n", ""), re.MULTILINE
        )
    }
)
PLACES = {
    "/path/to/crosswatch/config": "config",
    "/srv/crosswatch": "srv",
    "/config/tautulli.db": "tautulli.db",
}


def block(page: str, language: str) -> str:
    """Return the first block of code in a page of the manual."""
    text = PAGES[f"tautulli_import/manual/{page}.md"]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the history of the demo."""
    return demo(tmp_path_factory.mktemp("household"))


@pytest.fixture(scope="module")
def server(household: Path) -> Iterator[FakeTautulli]:
    """Yield a Tautulli over the history of the demo."""
    with FakeTautulli(household / "tautulli.db") as tautulli:
        yield tautulli


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Yield a NATS server."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def running_crosswatch() -> Iterator[dict[str, str]]:
    """Yield where a CrossWatch is, and its token."""
    with crosswatch() as fake:
        yield {"CW_URL": fake.url, "CW_TOKEN": TOKEN}


@pytest.fixture
def place(tmp_path: Path, household: Path) -> Path:
    """Return a directory with every file that the commands name."""
    folder = tmp_path / "place"
    shutil.copytree(household, folder)
    Library(folder / "com.plexapp.plugins.library.db").conn.close()
    (folder / "backups").mkdir()
    for name in ("a.db", "b.db"):
        shutil.copy(household / "tautulli.db", folder / "backups" / name)
    (folder / "exported").mkdir()
    with zipfile.ZipFile(folder / "exported" / "crosswatch-tracker.zip", "w") as archive:
        archive.writestr("history.json", '{"ts":1,"items":{}}')
    return folder


def test_commands_are_shown() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_works(
    command: str, place: Path, server: FakeTautulli, cli: Cli, request: pytest.FixtureRequest
) -> None:
    env = {**server.environment, "TAUTULLI_IMPORT_STATE_DIR": str(place / "state")}
    places = dict(PLACES)
    if "crosswatch" in command.split():
        env |= request.getfixturevalue("running_crosswatch")
    if "nats" in command or "consume" in command:
        env["NATS_URL"] = url = request.getfixturevalue("nats").url
        places["nats://server:4222"] = url
        if "consume" in command:  # from a stream that exists
            assert cli("db", "tautulli.db", "--to", "nats", cwd=place, env=env).code == 0
    if "--ids ids.csv" in command:
        (place / "ids.csv").write_text(block("ids", "csv"), encoding="utf-8")
    words: list[str] = []
    for word in shlex.split(command.partition(" |")[0])[1:]:
        given = word
        for shown, ours in places.items():
            given = given.replace(shown, ours)
        if "*" in given:
            words += sorted(str(path.relative_to(place)) for path in place.glob(given))
        else:
            words.append(given)
    answer = cli(*words, cwd=place, env=env)
    assert answer.code == 0, answer.err


def test_shown_outputs_are_what_the_commands_print(place: Path) -> None:
    assert README.count("```console\n$ tautulli-import ") == 3
    assert renewed(README, place) == README, "run: make screenshots"


def test_the_picture_shows_what_the_command_prints(place: Path) -> None:
    assert picture(place) == PICTURE.read_text(encoding="utf-8"), "run: make screenshots"


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= 1500


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"README.md"}))
def test_a_page_has_a_title_and_a_sentence_that_sums_it_up(name: str) -> None:
    title, summary, _ = PAGES[name].split("\n\n", 2)
    assert re.fullmatch(r"# \S.*", title)
    assert re.fullmatch(r"[A-Z][^.!?\n]{,62}\.", summary)  # one line in the list of topics


def test_a_page_fits_a_narrow_terminal() -> None:
    for name in sorted(set(PAGES) - {"README.md"}):
        text = re.sub(r"^```json.*?^```", "", PAGES[name], flags=re.MULTILINE | re.DOTALL)
        lines = [line for line in text.splitlines() if not line.startswith("|")]
        assert [line for line in lines if len(line) > 80] == [], name


def test_the_readme_names_every_page() -> None:
    named = set(re.findall(r"\((tautulli_import/manual/[\w-]+\.md)\)", README))
    assert named == set(PAGES) - {"README.md"}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", PAGES[name]):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in slugs, target


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.name}-{option.panel}")
def test_every_option_is_documented(option: Option) -> None:
    if option.is_argument or not option.commands:
        return
    assert re.search(rf"^- [^:]*`{option.flag}[ `]", OPTIONS_PAGE, re.MULTILINE)


#: Those that Typer gives the program itself.
OF_TYPER = {"--help", "--version", "--install-completion", "--show-completion"}
#: Those of docker, systemctl and others.
OF_OTHERS = {"--rm", "--user", "--now"}


def test_every_documented_option_exists() -> None:
    offered = OF_TYPER | {option.flag for option in OPTIONS if option.commands}
    offered |= {
        f"--no-{option.flag[2:]}" for option in OPTIONS if option.type is bool and not option.own
    }
    for name, text in PAGES.items():
        # Options of another program.
        ours = re.sub(r"(?m)^ +docker .*$", "", text.replace("\\\n", ""))
        documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", ours)) - {"--no"}
        assert documented <= offered | OF_OTHERS, name


def test_every_command_is_documented() -> None:
    for command in app.registered_commands:
        assert re.search(rf"^- [^:]*`{command.name}[ `]", OPTIONS_PAGE, re.MULTILINE)
    for group in app.registered_groups:
        assert group.typer_instance
        for command in group.typer_instance.registered_commands:
            name = command.name or getattr(command.callback, "__name__", "")
            assert re.search(rf"^- [^:]*`{group.name} {name}[ `]", OPTIONS_PAGE, re.MULTILINE)


def test_every_exit_code_is_documented() -> None:
    def codes(cls: type[TautulliImportError]) -> set[int]:
        return {cls.exit_code}.union(*(codes(sub) for sub in cls.__subclasses__()))

    for code in codes(TautulliImportError):
        assert f"\n- `{code}`: " in OPTIONS_PAGE


def test_the_sink_of_the_manual_works(cli: Cli, household: Path, tmp_path: Path) -> None:
    code, toml = block("sinks", "python"), block("sinks", "toml")
    assert len(code.split("class ")[1].strip().splitlines()) <= 20
    (tmp_path / "my_package.py").write_text(code)
    info = tmp_path / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    group = re.search(r'entry-points."([^"]+)"', toml)
    line = toml.strip().splitlines()[-1].replace('"', "")
    assert group
    (info / "entry_points.txt").write_text(f"[{group.group(1)}]\n{line}\n")
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    args = ("db", household / "tautulli.db", "--to", "titles", "--out", "titles.txt")
    one = cli(*args, "--all-users", "--json", env=env)
    assert one.code == 0, one.err
    (told,) = json.loads(one.out)["outputs"]
    emitted = told["emitted"]
    assert told["new"] == told["total"] == emitted > 10
    assert len((tmp_path / "titles.txt").read_text(encoding="utf-8").split("\n")) >= emitted
    assert told["written"] == ["titles.txt"]
    assert f" are now in titles.txt (titles): {emitted} new." in one.err

    each = cli(*args, "--each-user", "--json", env=env)
    assert each.code == 0, each.err
    outputs = json.loads(each.out)["outputs"]
    files = {one["target"]: one["new"] for one in outputs}
    assert len(files) == len({one["user"] for one in outputs}) == len(outputs) > 1
    for name, count in files.items():
        assert len((tmp_path / name).read_text(encoding="utf-8").split("\n")) >= count


def test_the_settings_of_the_manual_are_accepted(cli: Cli, environment: dict[str, str]) -> None:
    folder = Path(environment["XDG_CONFIG_HOME"]) / "tautulli-import"
    folder.mkdir()
    (folder / "config.toml").write_text(block("options", "toml"), encoding="utf-8")
    shown = cli("config", "show")
    assert shown.code == 0, shown.err
    assert "http://192.168.1.10:8181" in shown.out


def test_the_corrections_of_the_manual_are_accepted() -> None:
    from tautulli_import.ids.corrections import parse

    assert len(parse(block("ids", "csv"), "ids.csv")) == 2
