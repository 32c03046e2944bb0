"""What a person sees at the end of a run, and while it lasts, on terminals of three sizes."""

import json
import re
import shlex
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from io import BytesIO, StringIO, TextIOWrapper
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tautulli_import.cli.console import Screen
from tautulli_import.errors import SinkError, SourceUnreachableError
from tautulli_import.progress import Phase
from tautulli_import.sources.database.source import Source
from tautulli_import.state.file import StateFile
from tautulli_import.state.runs import RunLog, last_runs
from tests.cli.test_console import Terminal
from tests.support.history import add_library, add_play, add_user, create, generate
from tests.support.household import NOW
from tests.support.inside import Inside
from tests.support.tautulli import FakeTautulli
from tests.support.terminal import in_a_terminal

SIZES = [("80", "24"), ("60", "20"), ("120", "40")]


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a history of some years."""
    path = tmp_path_factory.mktemp("years") / "years.db"
    generate(path, plays=600, truth=False)
    return path


# The result of an import.


def test_the_result_comes_first_and_the_accounting_is_one_line(
    inside: Inside, history: Path
) -> None:
    lines = inside("db", history, "--to", "tracker", "--all-users").err.splitlines()
    assert lines == [  # the next steps are for a terminal
        "3 films and 1 episode are now in crosswatch-tracker (tracker): 4 new.",
        "4 plays read: 4 imported, 0 merged into newer ones, 0 left out, 0 rejected.",
        "4 have no external id and keep their number in Plex. To list them:",
        f"  tautulli-import unresolved {history}",
    ]


def test_the_command_that_lists_titles_without_ids_has_the_same_selection(
    inside: Inside, history: Path
) -> None:
    Path("my ids.csv").write_text("type,title,year,tmdb\n")
    other = shutil.copy(history, "other.db")
    selection = ("--user", "alice", "--since", "2001", "--ids", "my ids.csv", "--include-partial")
    said = inside("db", history, other, "-n", "--media-type", "movie", *selection).err
    command = said.partition("To list them:\n  tautulli-import ")[2].partition("\n")[0]
    words = shlex.split(command)
    assert words[:3] == ["unresolved", str(history), "other.db"]
    assert sorted(words[3:]) == sorted(["--media-type", "movie", *selection])
    listed = json.loads(inside(*words, "--json").out)
    count = int(said.partition(" have no external id")[0].rpartition("\n")[2])
    assert len(listed["titles"]) == count > 0


def test_with_verbose_the_accounting_has_every_reason(inside: Inside, years: Path) -> None:
    short = inside("db", years, "-n", "--all-users").err
    long = inside("db", years, "-n", "--all-users", "-v").err
    again = inside("db", years, "--to", "tracker", "--all-users", "-q")
    nothing_new = inside("db", years, "--to", "tracker", "--all-users", "-v").err
    assert again.code == 0
    assert "rejected. Details: --verbose" in short
    assert "  left out" not in short
    for detailed in (long, nothing_new):
        assert "Details: --verbose" not in detailed
        assert re.search(r"^  left out +\d+  not watched to the end", detailed, re.MULTILINE)
        assert re.search(r"^  rejected +\d+  an episode without", detailed, re.MULTILINE)
    assert nothing_new.splitlines()[1].startswith("Nothing new: ")


def test_each_user_and_each_viewing_is_counted_in_words(inside: Inside, history: Path) -> None:
    each = inside("db", history, "--to", "tracker", "--each-user").err
    assert "2 films and 1 episode of Alice are now in crosswatch-tracker/" in each
    views = inside("db", history, "--to", "editor", "--all-users").err
    assert "3 viewings of films and 1 of episodes are now in tautulli-editor" in views
    events = inside("db", history, "--to", "jsonl", "--events", "--out", "e.jsonl").err
    assert events.startswith("4 events are now in e.jsonl (jsonl): 4 new.")
    lines = inside("db", history, "--to", "jsonl", "--all-users").err
    assert lines.startswith("3 films and 1 episode were written to standard output.")


# check


def test_check_tells_the_plays_of_each_year(inside: Inside, tmp_path: Path) -> None:
    with closing(create(tmp_path / "a.db")) as conn:
        for year, count in ((2018, 1), (2019, 4), (2021, 8)):
            start = int(time.mktime((year, 6, 1, 12, 0, 0, 0, 0, 0)))
            for number in range(count):
                add_play(conn, title=f"{year} {number}", started=start + number * 86_400)
    lines = inside("check", "a.db").out.splitlines()
    assert lines[0] == "a.db: 13 plays, from 2018-06-01 to 2021-06-08."
    assert lines[1] == "2018 ▁▄ █ 2021, most in 2021: 8"
    told = json.loads(inside("check", "a.db", "--json").out)
    assert told["years"] == {"2018": 1, "2019": 4, "2020": 0, "2021": 8}


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_a_higher_number_is_never_lower_in_the_sparkline(counts: list[int]) -> None:
    plain = TextIOWrapper(BytesIO(), encoding="ascii")
    for out, levels in ((StringIO(), " ▁▂▃▄▅▆▇█"), (plain, " .:-=+*#@")):
        line = Screen(err=StringIO(), out=out).sparkline(counts)
        heights = [levels.index(character) for character in line]
        assert len(heights) == len(counts)
        pairs = sorted(zip(counts, heights, strict=True))
        assert all((height == 0) == (count == 0) for count, height in pairs)
        ranked = [height for _, height in pairs]
        assert ranked == sorted(ranked)
        assert not any(counts) or max(heights) == len(levels) - 1


def crowded(path: Path) -> Path:
    """Make a history with more names than a line holds."""
    with closing(create(path)) as conn:
        for number in range(1, 13):
            add_user(conn, number, f"somebody{number}", f"Somebody Number {number}")
            add_library(conn, number, f"A Library Called {number}", "movie")
            add_play(conn, title=f"Film {number}", user_id=number, section_id=number)
    return path


@pytest.mark.parametrize(("columns", "rows"), SIZES, ids=" ".join)
def test_check_cuts_nothing(
    tmp_path: Path, environment: Mapping[str, str], columns: str, rows: str
) -> None:
    crowded(tmp_path / "a.db")
    size = {"COLUMNS": columns, "LINES": rows, "NO_COLOR": "1"}
    code, shown = in_a_terminal("check", "a.db", cwd=tmp_path, environment=environment, **size)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", shown)
    words = " ".join(plain.split())
    for number in range(1, 13):
        assert f"Somebody Number {number} 1" in words
        assert f"A Library Called {number} 1" in words
    assert "…" not in plain
    assert max(map(len, plain.splitlines())) <= int(columns)


@pytest.mark.parametrize(("columns", "rows"), SIZES, ids=" ".join)
def test_the_id_of_a_checkpoint_is_never_shortened(
    tmp_path: Path, environment: Mapping[str, str], inside: Inside, columns: str, rows: str
) -> None:
    name = f"{'long-' * 12}name.db"
    crowded(tmp_path / name)
    assert inside("db", name, "--to", "tracker", "--all-users").code == 0
    (told,) = json.loads(inside("checkpoint", "list", "--json").out)["checkpoints"]
    size = {"COLUMNS": columns, "LINES": rows, "NO_COLOR": "1"}
    for command in ("list", "show"):
        args = ("checkpoint", command, *([told["id"]] if command == "show" else []))
        _, shown = in_a_terminal(*args, cwd=tmp_path, environment=environment, **size)
        assert told["id"] in shown
        assert name in re.sub(r"\s", "", shown)


# status


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time, in a list of one."""
    now = [float(NOW)]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def run(
    folder: Path, source: str, target: str = "tracker=/t", *, phase: Phase | None = None
) -> RunLog:
    """Record the beginning of a run."""
    log = RunLog(StateFile(folder, source), "tautulli-import", source, (target,))
    if phase:
        log.begin(phase, 10)
    return log


def test_status_forgets_what_never_worked(tmp_path: Path, clock: list[float]) -> None:
    away = SourceUnreachableError("away")
    run(tmp_path, "http://typo").failed(away, 3)
    assert [one.latest.source for one in last_runs(tmp_path)] == ["http://typo"]
    clock[0] += 60
    run(tmp_path, "http://other-typo", "editor=/e").failed(away, 3)
    run(tmp_path, "http://broken", phase="fetching").failed(away, 3)
    clock[0] += 60
    run(tmp_path, "http://right").ended("done")
    shown = [one.latest.source for one in last_runs(tmp_path)]
    # The same output was written since. The other failures may still be news.
    assert sorted(shown) == ["http://broken", "http://other-typo", "http://right"]
    clock[0] += 86_401
    run(tmp_path, "http://right").failed(SinkError("full"), 8)
    assert [one.latest.source for one in last_runs(tmp_path)] == ["http://right", "http://broken"]


def test_status_keeps_what_worked_once(tmp_path: Path, clock: list[float]) -> None:
    run(tmp_path, "http://once").ended("done")
    run(tmp_path, "http://once").failed(SourceUnreachableError("away"), 3)
    clock[0] += 90_000
    run(tmp_path, "http://right").ended("done")
    assert len(last_runs(tmp_path)) == 2


# The bars.


def test_a_bar_has_grouped_digits_and_the_time_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for columns, has_rate in (("60", False), ("80", True)):
        monkeypatch.setenv("COLUMNS", columns)
        err = Terminal()
        with Screen(err=err, out=StringIO(), color=False).progress() as bar:
            assert bar is not None
            bar.begin("reading", 1_234_567)
            bar.reached(10_000)
            bar.reached(123_456)
        last = [line for line in re.split(r"[\r\n]", err.getvalue()) if "Reading plays" in line][-1]
        assert "123,456/1,234,567" in last
        assert "0:00:00" in last
        assert ("plays/s" in last) <= has_rate
        assert "…" not in last


def phases(shown: str) -> list[str]:
    """Return the labels of the bars in the order in which they were drawn."""
    labels = re.findall(r"(?:^|[\r\nKl])([A-Z][a-z]+(?: [a-z,]+)*(?: MB)?) [━╸╺]", shown)
    return [label for label, _ in groupby(labels)]


def test_each_phase_of_an_import_over_http_has_one_bar(
    tmp_path: Path, environment: Mapping[str, str], years: Path
) -> None:
    with FakeTautulli(years) as server:
        env = {**environment, **server.environment}
        for command, expected in (
            (["api", "--to", "tracker", "--all-users"], ["Reading", "Matching ids", "Writing"]),
            (["check", "api"], ["Counting", "Reading", "Matching ids"]),
        ):
            args = (*command, "--no-enrich", "--restart", "--color")
            code, shown = in_a_terminal(*args, cwd=tmp_path, environment=env)
            assert code == 0, shown
            seen = phases(re.sub(r"\x1b\[[0-9?;]*m", "", shown))
            fetching = ["Fetching", "Searching bad rows", "Fetching"]
            assert [label.removesuffix(" plays") for label in seen] == [*fetching, *expected]


class Recorder:
    """Progress that is written down."""

    def __init__(self) -> None:
        self.begun: list[tuple[Phase, int]] = []
        self.done = 0

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Note a phase."""
        self.begun.append((phase, total))
        self.done = done

    def reached(self, done: int) -> None:
        """Note how far it is, which never goes back."""
        assert done >= self.done
        self.done = done

    def idle(self) -> None:
        """Note nothing."""


def test_salvaging_tells_how_many_pages_it_has_looked_at(tmp_path: Path, years: Path) -> None:
    content = bytearray(years.read_bytes())
    content[:100] = bytes(100)
    (tmp_path / "damaged.db").write_bytes(content)
    progress = Recorder()
    Source([tmp_path / "damaged.db"], salvages=True, progress=progress).close()
    ((phase, total),) = progress.begun
    assert phase == "salvaging"
    assert 0 < total <= len(content) / 512
    assert total / 2 < progress.done <= 2 * total
