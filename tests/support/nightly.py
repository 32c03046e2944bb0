"""A Tautulli database that a test writes, and the nightly runs of `db` over it.

Every run is the command line, in this process, at a time that the test chooses. `fresh` is what
an import makes of the same history that knows nothing and begins with nothing.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from tautulli_import.errors import SourceUnreachableError
from tautulli_import.sources.database.file import DatabaseFile, Page, Read
from tests.conftest import Result
from tests.support.history.schema import Value
from tests.support.household import DAY, NOW, Household, household
from tests.support.inside import Inside

__all__ = ["DAY", "NOW", "Night", "Nights", "at_home"]

_NAMES = {"tracker": "tracker", "editor": "editor-history.json", "jsonl": "items.jsonl"}


class Night(Struct, frozen=True):
    """How one run ended, and its report (nothing where it came to none)."""

    code: int
    out: str
    err: str
    told: Mapping[str, Any]

    @classmethod
    def of(cls, done: Result, report: Path) -> Night:
        """Return a run that has ended, and its report if there is one."""
        told = json.loads(report.read_bytes()) if report.exists() else {}
        return cls(done.code, done.out, done.err, told)

    @property
    def read(self) -> int:
        """All rows."""
        return int(self.told["plays"]["read"])

    @property
    def changes(self) -> tuple[int, int, int]:
        """New, updated and removed entries of all outputs."""
        outputs = self.told["outputs"]
        new, updated, removed = (
            sum(int(one[name]) for one in outputs) for name in ("new", "updated", "removed")
        )
        return new, updated, removed


class Nights(Household):
    """A database, what is imported out of it, and what is remembered."""

    def __init__(self, folder: Path, inside: Inside) -> None:
        super().__init__(folder, inside)
        self.now = NOW
        self.out = folder / "out"
        self.state = folder / "state"

    def years(self) -> None:
        """Write a small history with something of everything."""
        for number in range(5):
            self.film(400 - 50 * number, f"Film {number}", year=1990 + number)
        self.episode(140, 1)
        self.episode(139, 2, user_id=2)
        self.film(120, "Film 1", year=1991)  # watched again
        self.film(100, "Half", view_offset=100_000)
        self.film(90, "Film 2", year=1992, user_id=2)
        self.episode(80, 3, media_index="")  # without a number
        self.film(60, "Film 5", year=1995, user_id=2)
        self.film(3, "Film 6", year=1996)
        self.film(2, "Film 0", year=1990)

    def run(
        self, *options: str | Path, to: str | None = "tracker", batch: int = 1, days: float = 0
    ) -> Night:
        """Run `db` so many days later, and return how it ended."""
        self.now += int(days * DAY)
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        sinks: list[str | Path] = ["--to", to, "--out", self.out / _NAMES[to]] if to else []
        common: tuple[str | Path, ...] = (
            "--no-enrich",
            "--batch-size",
            str(batch),
            "--report",
            report,
        )
        where: tuple[str | Path, ...] = (
            () if "--state-dir" in options else ("--state-dir", self.state)
        )
        done = self.inside("db", self.path, *sinks, *common, *where, *options)
        return Night.of(done, report)

    def night(self, *options: str | Path, days: float = 1, **how: Any) -> Night:
        """Run `db` a day later, to a good end."""
        done = self.run(*options, days=days, **how)
        assert done.code == 0, done.err
        return done

    def cut_short(self, *options: str | Path, after: int, **how: Any) -> Night:
        """Run `db`, and have the database vanish after so many batches."""
        pages = DatabaseFile.pages

        def vanishing(file: DatabaseFile, begin: int, size: int, read: Read) -> Iterator[Page]:
            for number, page in enumerate(pages(file, begin, size, read)):
                if number == after:
                    raise SourceUnreachableError("It vanished.")
                yield page

        with patch.object(DatabaseFile, "pages", vanishing):
            done = self.run(*options, **how)
        assert done.code == 3
        return done

    def fresh(self, *options: str | Path, to: str = "tracker") -> dict[str, bytes]:
        """Import it into a place and with a state that were not there before: the files."""
        mine = self.out, self.state
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.out, self.state = Path(folder) / "out", Path(folder) / "state"
            done = self.run(*options, to=to)
            files = self.files()
            self.out, self.state = mine
        assert done.code == 0, done.err
        return files

    def ask(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """Ask the one state file."""
        (path,) = self.state.glob("*.db")
        with closing(sqlite3.connect(path)) as conn:
            return conn.execute(sql, values).fetchall()

    def files(self, folder: Path | None = None) -> dict[str, bytes]:
        """Every file that was written, by its name."""
        root = folder or self.out
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def items(self, user: str = "") -> dict[str, dict[str, Any]]:
        """Return what the tracker holds, by key."""
        path = self.out / "tracker" / user / "history.json"
        items: dict[str, dict[str, Any]] = json.loads(path.read_bytes())["items"]
        return items

    def titles(self, user: str = "") -> list[str]:
        """Return the titles in the tracker, oldest first."""
        return [item["title"] for item in self.items(user).values()]

    def write_items(self, items: Mapping[str, Any]) -> None:
        """Write the tracker's history, as CrossWatch does."""
        path = self.out / "tracker" / "history.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"ts": 1, "items": items}), "utf-8")


@contextmanager
def at_home(folder: Path, environment: Mapping[str, str]) -> Iterator[Nights]:
    """Yield a database of its own, at a clock of its own."""
    with household(Nights, folder, environment) as nights:
        clock = SimpleNamespace(time=lambda: nights.now, perf_counter=time.perf_counter)
        with patch("tautulli_import.cli.importing.time", clock):
            yield nights


def said(done: Result | Night) -> str:
    """Return what was said, in one line."""
    return " ".join(done.err.split())
