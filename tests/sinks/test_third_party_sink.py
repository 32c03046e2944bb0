"""A sink of somebody else: a class and one line of packaging, found by its name."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli

COMPLETE = '''\
"""Watched films as a plain list, one a line."""

from pathlib import Path

from tautulli_import.sinks.base import Receipt, Sink
from tautulli_import.files import write_whole


class TitlesSink(Sink):
    titles = ()

    def write(self, records):
        self.titles = [*self.titles, *(record.item.title for record in records)]

    def preview(self):
        path = self.options.out or Path("titles.txt")
        return Receipt(str(path), new=len(self.titles), total=len(self.titles))

    def commit(self):
        receipt = self.preview()
        write_whole(Path(receipt.target), (f"{title}\\n".encode() for title in self.titles))
        return Receipt(receipt.target, new=receipt.new, written=[receipt.target])
'''


def install(
    site: Path,
    source: str,
    target: str = "titles_sink:TitlesSink",
    *,
    package: str = "titles-sink",
    sink: str = "titles",
) -> dict[str, str]:
    """Lay a package out as pip does; gives back the environment that finds it."""
    about = site / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (site / f"{package.replace('-', '_')}.py").write_text(source, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[tautulli_import.sinks]\n{sink} = {target}\n")
    return {"PYTHONPATH": str(site)}


def test_a_sink_of_twenty_lines_is_found_by_its_name_and_used(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    env = install(tmp_path / "site", COMPLETE)

    result = cli("db", history, "--to", "titles", env=env)

    assert (result.code, result.out) == (0, "")
    assert (tmp_path / "titles.txt").read_text(encoding="utf-8").splitlines() == [
        "First Film",
        "Second Film",
        "An Episode",
        "Third Film",
    ]
    assert "titles.txt" in result.err


def test_it_writes_where_out_says_and_goes_along_with_other_sinks(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    env = install(tmp_path / "site", COMPLETE)
    outs = ("--out", "titles=mine.txt", "--out", "tracker=root")

    result = cli("db", history, "--to", "titles", "--to", "tracker", *outs, "--json", env=env)

    assert result.code == 0
    told = json.loads(result.out)
    assert told["sinks"] == ["titles", "tracker"]
    assert told["items"]["new"] == 4
    assert len((tmp_path / "mine.txt").read_bytes().splitlines()) == 4
    assert (tmp_path / "root" / "history.json").exists()


def test_a_dry_run_only_asks_it_what_it_would_do(cli: Cli, history: Path, tmp_path: Path) -> None:
    env = install(tmp_path / "site", COMPLETE)

    result = cli("db", history, "--to", "titles", "--dry-run", env=env)

    assert result.code == 0
    assert len(result.out.splitlines()) == 4
    assert "titles" in result.err
    assert not (tmp_path / "titles.txt").exists()


def test_a_name_that_no_package_brings_is_told_with_the_names_there_are(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    env = install(tmp_path / "site", COMPLETE)

    result = cli("db", history, "--to", "tracke", env=env)

    assert result.code == 2
    for name in ("'tracke'", "editor", "jsonl", "titles", "tracker"):
        assert name in result.err


_BROKEN = {
    "its module is not there": (COMPLETE, "gone_sink:TitlesSink"),
    "its module needs what is not installed": (f"import not_installed\n{COMPLETE}", None),
    "its class is not there": (COMPLETE, "titles_sink:TitleSink"),
    "its module has a syntax error": ("def (:\n", None),
    "its module fails when imported": (f"{COMPLETE}\n1 / 0\n", None),
    "it is a function": ("def TitlesSink(options):\n    return options\n", None),
    "it is not a Sink": ("class TitlesSink:\n    def write(self, records): ...\n", None),
    "it is a module": (COMPLETE, "titles_sink"),
    "it lacks a method": (COMPLETE.replace("def preview", "def look"), None),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("source", "target"), _BROKEN.values(), ids=_BROKEN.keys())
def test_a_broken_sink_is_named_before_anything_is_written(
    cli: Cli, history: Path, tmp_path: Path, source: str, target: str | None
) -> None:
    env = install(tmp_path / "site", source, target or "titles_sink:TitlesSink")

    result = cli("db", history, "--to", "tracker", "--to", "titles", env=env)

    assert (result.code, result.out) == (2, "")
    assert "'titles'" in result.err
    assert "bug in tautulli-import" not in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "crosswatch-tracker").exists()


def test_a_broken_sink_does_not_stop_the_others(cli: Cli, history: Path, tmp_path: Path) -> None:
    env = install(tmp_path / "site", "def (:\n")
    assert cli("db", history, "--to", "tracker", env=env).code == 0


def test_a_sink_that_fails_while_writing_is_a_failed_sink(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    failing = COMPLETE.replace(
        "        write_whole(", "        raise RuntimeError('no route')\n        ("
    )
    env = install(tmp_path / "site", failing)

    result = cli("db", history, "--to", "titles", env=env)

    assert result.code == 8
    assert "titles" in result.err
    assert "no route" in result.err
    assert "bug in tautulli-import" not in result.err


def test_with_each_user_every_user_has_a_file(cli: Cli, history: Path, tmp_path: Path) -> None:
    silent = COMPLETE.replace("    titles = ()", "    titles = ()\n    default_out = 'my.txt'")
    cases: list[tuple[str, list[str]]] = [(COMPLETE, ["--out", "my.txt"]), (silent, [])]
    for number, (source, options) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        env = install(folder / "site", source)

        args = ("db", str(history), "--to", "titles", *options, "--each-user")
        done = cli(*args, cwd=folder, env=env)

        assert done.code == 0, done.err
        files = {path.name: path.read_text().splitlines() for path in folder.glob("*.txt")}
        assert all(file.startswith("my-") for file in files)
        assert sorted(map(len, files.values())) == [1, 3]
        for file in files:
            assert f" are now in {file} (titles): " in done.err


def test_a_sink_that_does_not_say_what_it_wrote_is_reported_by_its_numbers(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    silent = COMPLETE.replace(", total=len(self.titles)", "").replace(
        "return Receipt(receipt.target, new=receipt.new, written=[receipt.target])",
        "return receipt",
    )
    env = install(tmp_path / "site", silent)

    result = cli("db", history, "--to", "titles", "--all-users", "--json", env=env)

    (told,) = json.loads(result.out)["outputs"]
    assert (told["sink"], told["new"], told["total"]) == ("titles", 4, 4)
    assert "3 films and 1 episode are now in titles.txt (titles): 4 new." in result.err


def test_it_is_not_told_the_password_of_a_nats_server(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    tells = COMPLETE + (
        "\n    def check(self):\n"
        '        Path("told").write_text(repr(self.options.nats.password))\n'
    )
    env = install(tmp_path / "site", tells) | {"TAUTULLI_IMPORT_NATS_PASSWORD": "hush"}
    assert cli("db", history, "--to", "titles", env=env).code == 0
    assert (tmp_path / "told").read_text(encoding="utf-8") == "''"


def test_a_package_cannot_take_the_name_of_a_built_in_sink(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    env = install(tmp_path / "site", COMPLETE, package="greedy-sink", sink="tracker")

    result = cli("db", history, "--to", "tracker", "--out", "tracker", "--quiet", env=env)

    assert result.code == 0
    assert (tmp_path / "tracker" / "history.json").exists()
    assert not (tmp_path / "titles.txt").exists()
    assert "Warning: The package greedy-sink has a sink called tracker, too." in result.err
    assert "pip uninstall greedy-sink" in result.err


def test_two_packages_with_one_name_of_a_sink_are_an_error_when_it_is_used(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    install(site, COMPLETE)
    env = install(site, COMPLETE, "other_sink:TitlesSink", package="other-sink")

    used = cli("db", history, "--to", "titles", env=env)
    unused = cli("db", history, "--to", "tracker", "--out", "tracker", "--all-users", env=env)

    assert used.code == 2
    assert "Several packages have a sink called 'titles': " in used.err
    assert "other-sink" in used.err
    assert "titles-sink" in used.err
    assert unused.code == 0
    assert "Warning" not in unused.err
