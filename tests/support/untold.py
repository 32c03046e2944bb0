"""A history that tells no ids, and what an import makes of it with more sources of ids."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.conftest import Result
from tests.support.history import add_people, add_play, create
from tests.support.history.schema import Value
from tests.support.inside import Inside

__all__ = ["Untold", "guid"]


def guid(kind: str, number: int) -> str:
    """Return a GUID of Plex, which tells no id."""
    return f"plex://{kind}/{number:024x}"


class Untold(Struct):
    """A history that a test writes, and the program that reads it with some options."""

    folder: Path
    inside: Inside
    options: tuple[str | Path, ...] = ()
    environment: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        """Make the database."""
        with closing(create(self.path)) as conn:
            add_people(conn)

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / "tautulli.db"

    def film(self, title: str, number: int | None = None, **fields: Value) -> None:
        """Write a play of a film, with a GUID of Plex if it has a number."""
        of_plex = "" if number is None else guid("movie", number)
        self._add(**{"title": title, "guid": of_plex, "year": 2001, **fields})

    def episode(self, show: str, episode: int, number: int, **fields: Value) -> None:
        """Write a play of an episode."""
        self._add(
            **{
                "media_type": "episode",
                "grandparent_title": show,
                "media_index": episode,
                "title": f"Part {episode}",
                "guid": guid("episode", number),
                **fields,
            }
        )

    def _add(self, **fields: Value) -> None:
        with closing(sqlite3.connect(self.path)) as conn:
            add_play(conn, **fields)

    def run(self, *args: str | Path) -> Result:
        """Run any command with the environment."""
        return self.inside(*args, env=self.environment)

    def imported(self, *more: str | Path) -> dict[str, dict[str, str]]:
        """Return the external ids of every item that an import would write, by title.

        Of an episode that is the title of its show.
        """
        done = self.run("db", self.path, "--dry-run", "--all-users", *self.options, *more)
        assert done.code == 0, done.err
        found: dict[str, dict[str, str]] = {}
        for line in done.out.splitlines():
            item = json.loads(line)
            ids = item.get("show_ids", item["ids"])
            external = {site: one for site, one in ids.items() if site not in ("plex", "guid")}
            assert found.setdefault(item.get("series_title", item["title"]), external) == external
        return found

    def report(self) -> dict[str, Any]:
        """Return the report of an import into a file."""
        path = self.folder / "report.json"
        out = ("--to", "jsonl", "--out", self.folder / "items.jsonl", "--report", path)
        done = self.run("db", self.path, "--all-users", *out, *self.options)
        assert done.code == 0, done.err
        report: dict[str, Any] = json.loads(path.read_bytes())
        return report | {"said": done.err}
