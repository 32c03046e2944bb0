"""One history, and the three doors to it: `db`, `api`, and `api --via database`.

Every door is the command line, run in this process. What comes out of one is compared with what
comes out of another: everything but the clock, and what says through which door it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from tests.conftest import Result
from tests.support.history.schema import create
from tests.support.inside import Inside, inside
from tests.support.over_http import no_waiting
from tests.support.tautulli import FakeTautulli

__all__ = ["DOORS", "Door", "Doors", "Files", "Listed", "opened"]

Door: TypeAlias = Literal["db", "api", "via"]
DOORS: Final[tuple[Door, ...]] = ("db", "api", "via")
#: What of a report is allowed to differ; warnings tell, among other things, how it was read.
_OF_THE_DOOR: Final = frozenset(
    {"source", "command", "requests", "elapsed_seconds", "plays_per_second", "warnings"}
)


class Listed(Struct, frozen=True):
    """A dry run: the items, and the report."""

    lines: str
    report: Mapping[str, Any]

    @property
    def rejected(self) -> list[tuple[str, int | None]]:
        """The reason and the id of every rejected row, sorted."""
        rows = [(row["reason"], row["id"]) for row in self.report["rejected_rows"]]
        return sorted(rows, key=lambda row: (row[0], row[1] or 0))

    @property
    def keys(self) -> list[str]:
        """The keys of the items, in their order."""
        return [json.loads(line)["key"] for line in self.lines.splitlines()]


class Files(Struct, frozen=True):
    """What was written: every file by its name, but for the times in them and in their names."""

    files: Mapping[str, str]
    report: Mapping[str, Any]


class Doors:
    """Runs the program through each of the doors."""

    def __init__(self, folder: Path, inside: Inside, database: Path, fake: FakeTautulli) -> None:
        self._inside = inside
        self.database = database
        self.fake = fake
        self.folder = folder
        self._runs = count()

    def run(self, door: Door, *options: str | Path) -> Result:
        """Run it with these options and return how it ended."""
        args: list[str | Path] = ["db", self.database]
        if door != "db":
            args = ["api", "--url", self.fake.url, "--state-dir", self.folder / f"state-{door}"]
        if door == "via":
            args += ["--via", "database"]
        return self.look(*args, "--no-enrich", *options)

    def look(self, *args: str | Path) -> Result:
        """Run any command with the key of the server."""
        return self._inside(*args, env={"TAUTULLI_API_KEY": self.fake.key})

    def listed(self, door: Door, *options: str | Path) -> Listed:
        """Return what it would import."""
        report = self.folder / "report.json"
        done = self.run(door, "--dry-run", "--report", report, *options)
        assert done.code == 0, done.err
        return Listed(done.out, _of_any_door(report))

    def written(self, door: Door, *options: str | Path) -> Files:
        """Return what it writes into a tracker and an Editor dataset."""
        folder = self.folder / f"out-{next(self._runs)}"
        folder.mkdir()
        report = self.folder / "report.json"
        places = (f"tracker={folder}/tracker", f"editor={folder}/tautulli-history.json")
        sinks = ("--to", "tracker", "--to", "editor", "--out", places[0], "--out", places[1])
        done = self.run(door, *sinks, "--report", report, *options)
        assert done.code == 0, done.err
        files = {
            _without_time(str(path.relative_to(folder))): _without_time(path.read_text("utf-8"))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        told = json.loads(json.dumps(_of_any_door(report)).replace(str(folder), "out"))
        for output in told["outputs"]:
            output["written"] = [_without_time(path) for path in output["written"]]
        return Files(files, told)


@contextmanager
def opened(
    folder: Path,
    environment: Mapping[str, str],
    *,
    database: Path | None = None,
    zone: str = "UTC",
    fake: FakeTautulli | None = None,
) -> Iterator[Doors]:
    """Open the doors to a database (an empty one unless told), in an environment of its own.

    With ``fake``, a server of this database that others have asked before, what was remembered
    in the folder then is used.
    """
    if database is None:
        database = folder / "tautulli.db"
        with closing(create(database)) as conn:
            conn.execute("PRAGMA synchronous = OFF")
    with (
        inside(folder, environment) as program,
        nullcontext(fake) if fake else FakeTautulli(database, zone=zone) as server,
        no_waiting(),
    ):
        yield Doors(folder, program, database, server)


def _of_any_door(path: Path) -> Mapping[str, Any]:
    """Return a report without what says through which door it came."""
    report = json.loads(path.read_bytes())
    told = {name: value for name, value in report.items() if name not in _OF_THE_DOOR}
    told["rejected_rows"] = sorted(
        ({**row, "source": ""} for row in told["rejected_rows"]),
        key=lambda row: (row["reason"], row["id"] or 0, row["detail"]),
    )
    return told


def _without_time(text: str) -> str:
    """Return a file without the moment at which it was written, or the name of one without it."""
    return re.sub(r'"ts": ?[0-9]+', '"ts":0', re.sub(r"20[0-9]{6}T[0-9]{6}Z", "TIME", text))
