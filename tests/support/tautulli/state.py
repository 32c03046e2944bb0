"""What the fake Tautulli knows and can do, apart from the history in its database."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.days import day_of

__all__ = ["FEATURES", "BrokenError", "State"]

#: Everything that a server of today can do; take one out, and the server is an older one.
FEATURES = frozenset({"before_after", "grouping", "include_activity", "lists", "post", "row_id"})


class BrokenError(Exception):
    """A command has failed inside: the answer is HTTP 500 and tells to look into the logs."""


def _settings() -> dict[str, Any]:
    return {
        "movie_watched_percent": 85,
        "tv_watched_percent": 85,
        "music_watched_percent": 85,
        "watched_marker": 3,
        "grouping": 1,
        "include_activity": 1,
        "api_enabled": True,
        "version": "v2.17.2",
        "identifier": "f" * 40,
    }


@dataclass(kw_only=True, eq=False, repr=False)
class State:
    """All that a test can turn, before and between requests."""

    database: Path
    key: str
    zone: ZoneInfo
    settings: dict[str, Any] = field(default_factory=_settings)
    #: Answers of `get_metadata`, by rating key.
    plex: dict[int, dict[str, Any]] = field(default_factory=dict)
    plex_up: bool = True
    features: set[str] = field(default_factory=lambda: set(FEATURES))
    #: Plays in progress, on top of the table `sessions`, by the names of its columns.
    activity: list[dict[str, Any]] = field(default_factory=list)
    before_history: Callable[[Asked], object] | None = None
    #: Whether every filtered row is built before one page is cut out of them.
    cost: bool = False
    #: Seconds to wait for a locked database; the real one waits for 20.
    patience: float = 2.0
    #: The copy of the last `download_database`, for when the database is locked.
    downloaded: Path | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the database read-only, for one consistent look at it."""
        uri = f"{self.database.absolute().as_uri()}?mode=ro"
        options: dict[str, Any] = {"timeout": self.patience, "isolation_level": None}
        with closing(sqlite3.connect(uri, uri=True, **options)) as conn:
            conn.create_function("local_day", 1, day_of(self.zone), deterministic=True)
            conn.execute("BEGIN")
            yield conn
