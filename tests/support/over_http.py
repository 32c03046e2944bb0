"""One history, the Tautulli that has it, and runs of the program over HTTP against it.

A run here is what `api` does before it writes anything: bring what is remembered up to date, and
read it. It happens in this process, because most tests are about what is asked and what comes of
it; those that kill a run, or look at what it says, start the program itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import stamina
from msgspec import Struct

from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Rejected
from tautulli_import.sources.database.source import Source
from tautulli_import.sources.http.access import Access, parse_address
from tautulli_import.sources.http.client import Tautulli
from tautulli_import.sources.http.crawl import Crawl
from tautulli_import.sources.http.sync import Wanted, sync
from tautulli_import.state.file import StateFile
from tests.support.history.schema import Value
from tests.support.household import DAY, NOW, History
from tests.support.tautulli import Asked, FakeTautulli

__all__ = ["DAY", "NOW", "Home", "Run", "no_waiting", "small_windows"]


class Run(Struct, frozen=True):
    """What one run read, and what it asked for."""

    plays: Mapping[int, Play]
    rejected: Sequence[Rejected]
    notices: Sequence[str]
    asked: Sequence[Asked]
    total: int

    @property
    def ids(self) -> list[int]:
        """The row ids, in the order in which they were read."""
        return list(self.plays)

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many rows were rejected for each reason."""
        return Counter(row.reason.value for row in self.rejected)

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows that the history was asked for, `after` and `before`."""
        return [(a.params.get("after", ""), a.params.get("before", "")) for a in self.history]

    @property
    def history(self) -> list[Asked]:
        """The requests for the history."""
        return [asked for asked in self.asked if asked.cmd == "get_history"]

    @property
    def read_again(self) -> bool:
        """Whether it says that everything was read again."""
        return any("read again" in notice for notice in self.notices)


class Home(History):
    """A history that a test writes, a Tautulli that has it, and what is remembered of it."""

    def __init__(self, folder: Path, *, zone: str = "UTC", wal: bool = False) -> None:
        super().__init__(folder, wal=wal)
        self.state = folder / "state"
        self.fake = FakeTautulli(self.path, zone=zone)

    def poison(self, days_ago: float = 100, title: str = "Poison", **fields: Value) -> int:
        """Write a film without a length: no page of Tautulli's that it is on can be had."""
        return self.film(days_ago, title, **{"duration": 0, **fields})

    @property
    def listed(self) -> list[int]:
        """The ids of all rows that Tautulli lists: those with metadata and media info."""
        sql = (
            "SELECT h.id FROM session_history h JOIN session_history_metadata USING (id) "
            "JOIN session_history_media_info USING (id) ORDER BY h.id"
        )
        return [number for (number,) in self.conn.execute(sql)]

    def client(self, *, timeout: float = 20) -> Tautulli:
        """Return a client of the fake."""
        return Tautulli(Access(parse_address(self.fake.url), self.fake.key, timeout=timeout))

    @contextmanager
    def source(
        self,
        *,
        now: int = NOW,
        timeout: float = 20,
        state: Path | None = None,
        sections: frozenset[int] = frozenset(),
        **options: Any,
    ) -> Iterator[Source]:
        """Fetch the history and open the local copy.

        Raises:
            TautulliImportError: as of `sync`.
        """
        tautulli = self.client(timeout=timeout)
        remembered = StateFile(state or self.state, tautulli.access.address.base)
        try:
            wanted = Wanted(sections=sections)
            with closing(sync(tautulli, remembered, wanted, now=now, **options)) as source:
                yield source
        finally:
            remembered.close()
            tautulli.close()

    def run(
        self,
        *,
        now: int = NOW,
        timeout: float = 20,
        state: Path | None = None,
        **options: Any,
    ) -> Run:
        """Read it all, as a run of `api` does.

        Raises:
            TautulliImportError: as of `sync`.
        """
        before = len(self.fake.requests)
        with self.source(now=now, timeout=timeout, state=state, **options) as source:
            plays: list[Play] = []
            rejected: list[Rejected] = []
            for batch in source.batches():
                plays += batch.plays
                rejected += batch.rejected
            asked = self.fake.requests[before:]
            found = {play.id: play for play in plays}
            assert len(found) == len(plays), "a row was read twice"
            assert len(plays) + len(rejected) == source.total()
            return Run(found, rejected, [*source.notices], asked, source.total())

    def close(self) -> None:
        """Stop the server and close the database."""
        self.fake.close()
        super().close()


@contextmanager
def no_waiting() -> Iterator[None]:
    """Another try comes at once, and there are as many as ever."""
    with stamina.set_testing(True, attempts=7, cap=True):
        yield


@contextmanager
def small_windows(most: int = 100) -> Iterator[None]:
    """Windows of so many rows in place of 25,000, and all that depends on it to scale."""
    scaled: Callable[..., Crawl] = partial(Crawl, most=most)
    crawl = "tautulli_import.sources.http.crawl"
    with (
        patch("tautulli_import.sources.http.refresh.Crawl", scaled),
        patch("tautulli_import.sources.http.sync.Crawl", scaled),
        patch("tautulli_import.sources.http.download.Crawl", scaled),
        patch(f"{crawl}._WANTED", most * 18 // 25),
        patch(f"{crawl}._FEWEST", max(1, most // 50)),
    ):
        yield
