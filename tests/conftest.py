"""What most tests need: the program as people run it, and a small history for it to read."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

from tests.support.forked import started
from tests.support.history import add_people, add_play, create
from tests.support.inherited import keep_ignored_signals
from tests.support.waiting import LONGEST

if TYPE_CHECKING:
    from tests.support.event_pipeline import Pipeline
    from tests.support.event_rows import Rows
    from tests.support.inside import Inside
    from tests.support.nightly import Nights
    from tests.support.over_http import Home
    from tests.support.running import Programs


def pytest_configure() -> None:
    """Run all tests in UTC; those of another time zone choose one. Make the commands once.

    They come out the same, and take longer to make than most runs.
    """
    os.umask(0o022)  # with that of some systems, a .env would not be used
    os.environ["TZ"] = "UTC"
    time.tzset()
    vars(typer.testing)["_get_command"] = cache(typer.main.get_command)
    # A busy machine is no failure, and the first example also pays for imports.
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--every``."""
    parser.addoption(
        "--every", type=int, default=1, metavar="N", help="run one test in N, always the same ones"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave most cases of sampled tests to `make fuzz`, and choose what ``--every`` asks for."""
    cases: Counter[str] = Counter()
    for item in items:
        if (sampled := item.get_closest_marker("sampled")) is not None:
            kind = item.nodeid.partition("[")[0]
            if cases[kind] % sampled.args[0]:
                item.add_marker(pytest.mark.fuzz)
            cases[kind] += 1
    every: int = config.getoption("every")
    left_out = [item for item in items if crc32(item.nodeid.encode()) % every]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not crc32(item.nodeid.encode()) % every]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what would be skipped, where nothing may be missing."""
    report = yield
    if report.skipped and os.environ.get("NEED_EVERYTHING") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """Let programs have the signals that they would have in a terminal."""
    keep_ignored_signals()


@dataclass(frozen=True)
class Result:
    """How a run of the program ended, and what it said."""

    code: int
    out: str
    err: str


class Cli(Protocol):
    """Runs the program to its end, as a process of its own."""

    def __call__(
        self,
        *args: str | Path,
        stdin: bytes | None = None,
        stdout: int = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = LONGEST,
    ) -> Result:
        """Run it with these arguments and return when it has ended."""


_FOREIGN = ("TAUTULLI_", "IMPORT_", "CW_", "XDG_", "PYTHON", "COV_")
_FOREIGN_NAMES = frozenset({"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"})


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which nothing of the person running the tests can be seen."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and name not in _FOREIGN_NAMES
    }
    home = tmp_path / "home"
    for folder in (home, home / "config", home / "state", home / "cache"):
        folder.mkdir(exist_ok=True)
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "COLUMNS": "200",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    """Run ``tautulli-import`` with these arguments in an empty directory of its own."""

    def run(
        *args: str | Path,
        stdin: bytes | None = None,
        stdout: int = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = LONGEST,
    ) -> Result:
        process = started(
            "tautulli_import",
            [*map(str, args)],
            environment={**environment, **(env or {})},
            folder=cwd or tmp_path,
            stdin=subprocess.PIPE,
            stdout=stdout,
        )
        return _ended(process, stdin or b"", timeout)

    return run


def _ended(
    process: subprocess.Popen[bytes], stdin: bytes | None = None, timeout: float = LONGEST
) -> Result:
    """Wait for its end."""
    with process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    return Result(
        process.returncode,
        (out or b"").decode(errors="surrogateescape"),
        err.decode(errors="surrogateescape"),
    )


@pytest.fixture
def inside(tmp_path: Path, environment: dict[str, str]) -> Iterator["Inside"]:
    """Run the program in this process, in an empty directory of its own."""
    from tests.support.inside import inside

    with inside(tmp_path, environment) as made:
        yield made


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return a fresh small database: two films and an episode by Alice, a film by Bob."""
    folder = tmp_path / "tautulli"
    folder.mkdir()
    path = folder / "tautulli.db"
    with closing(create(path)) as conn:
        add_people(conn)
        add_play(conn, title="First Film", year=2001, user="alice")
        add_play(conn, title="Second Film", year=2002, user="alice")
        add_play(conn, media_type="episode", grandparent_title="A Show", user="alice")
        add_play(conn, title="Third Film", year=2003, user_id=2, user="bob")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Iterator["Home"]:
    """Yield an empty history and the Tautulli that has it; nobody waits between two tries."""
    from tests.support.over_http import Home, no_waiting

    with closing(Home(tmp_path)) as made, no_waiting():
        yield made


@pytest.fixture
def nights(tmp_path: Path, environment: dict[str, str]) -> Iterator["Nights"]:
    """Yield an empty history that is imported night by night."""
    from tests.support.nightly import at_home

    with at_home(tmp_path, environment) as made:
        yield made


@pytest.fixture
def rows(tmp_path: Path, environment: dict[str, str]) -> Iterator["Rows"]:
    """Yield an empty history whose events are imported."""
    from tests.support.event_rows import Rows
    from tests.support.household import household

    with household(Rows, tmp_path, environment) as made:
        yield made


@pytest.fixture
def line(tmp_path: Path, environment: dict[str, str]) -> Iterator["Pipeline"]:
    """Yield a pipeline with an empty history, and a NATS server that has nothing yet."""
    from tests.support.event_pipeline import pipeline

    with pipeline(tmp_path, environment) as made:
        yield made


@pytest.fixture
def running(
    request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str]
) -> Iterator["Programs"]:
    """Start programs in the test's directory; beside a ``line`` they know its server."""
    from tests.support.running import programs

    if "line" in request.fixturenames:
        environment = request.getfixturevalue("line").environment
    with programs(tmp_path, environment) as made:
        yield made


@pytest.fixture
def bound(tmp_path: Path, environment: dict[str, str]) -> Callable[..., tuple[int, str, str]]:
    """Run the program so that file permissions bind it, even where the tests are run by root."""
    if sys.platform != "linux" and os.geteuid() == 0:
        pytest.skip("root ignores permissions here")

    def run(*args: str | Path) -> tuple[int, str, str]:
        done = _ended(
            started(
                "tautulli_import",
                [*map(str, args)],
                environment={**environment, "COLUMNS": "2000"},
                folder=tmp_path,
                bound=sys.platform == "linux",
            )
        )
        return done.code, done.out, done.err

    return run
