"""Twelve years of a household's watching, invented; and the truth about every row of it.

Nothing here decides whether a play was watched. Its outcome is drawn first, and then an offset
that leaves no doubt about it, so that an importer's rule is tested against an intention rather
than against a copy of the rule.

Rows are written when a play ends, as Tautulli does it: ids ascend with `stopped`, while plays
that were begun earlier may come later.
"""

import random
from bisect import bisect
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import accumulate, count
from pathlib import Path

from tests.support.history.catalogue import Catalogue, build
from tests.support.history.collect import WATCHED, Collector, Entry
from tests.support.history.ddl import INDEXES
from tests.support.history.media import END, START, Home, Item, epoch
from tests.support.history.oddities import Oddities, Row
from tests.support.history.people import DEVICES, USERS
from tests.support.history.rows import (
    STREAM_CELLS,
    Cells,
    Writer,
    metadata_cells,
    write_lookups,
    write_people,
    write_session,
)
from tests.support.history.schema import create_tables
from tests.support.history.truth import Outcome, Truth

#: Since when Tautulli has known where the credits begin.
MARKERS_SINCE = epoch(2022, 12)

#: Shares of the outcomes.
_WATCHED, _PARTIAL, _RESUMED = 0.68, 0.82, 0.985
_FINISHED_AFTER_ALL = 0.75
_BY_MARKER = 0.5
_PAUSED = 0.2

#: Offsets, as shares of the duration, which keep clear of the 85 % and of the markers.
_DONE = (0.87, 0.999)
_BEGUN, _STOPPED_SHORT = 0.02, 0.83
_CLEAR = 0.01
_THRESHOLD = 0.85

_ROWS_PER_VIEWING = 1.2
#: From how many plays on a history has room for what is scripted.
_ENOUGH = 100
_DAY = 86_400


def generate(
    path: str | Path,
    *,
    plays: int = 3000,
    seed: int = 1,
    wal: bool = False,
    truth: bool = True,
    variety: int = 1,
) -> Truth:
    """Write a new database with exactly `plays` plays, and return the truth about it.

    The same numbers give the same database. Without `truth` the plays are not remembered, so
    that memory is bounded by the catalogue and `works` is empty; totals are counted anyway. With
    a `variety` there is as many times as much to play, as on a large server.
    """
    rng = random.Random(seed)  # noqa: S311 - has to be repeatable, and protects nothing
    catalogue = build(plays, rng, variety)
    collector = Collector(remember=truth)
    conn = create_tables(path)
    try:
        # The file is worthless until it is complete, so nothing guards it against a crash.
        conn.execute("PRAGMA journal_mode = OFF")
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -65536")
        write_people(conn)
        write_lookups(conn, catalogue.lookups)
        write_session(conn, catalogue.films[0].homes[-1], END)
        _Household(rng, catalogue, Writer(conn), collector).live(plays)
        conn.executescript(INDEXES)
        conn.commit()
        conn.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    finally:
        conn.close()
    return collector.truth(seed)


class _Household:
    """Watches what is there to be watched, and has every row written as its play ends."""

    def __init__(
        self, rng: random.Random, catalogue: Catalogue, writer: Writer, collector: Collector
    ) -> None:
        self._rng = rng
        self._writer = writer
        self._collector = collector
        kinds = (
            (catalogue.episodes, 55),
            (catalogue.films, 30),
            (catalogue.tracks, 10),
            (catalogue.live, 2.5),
            (catalogue.photos, 1.5),
            (catalogue.clips, 1),
        )
        self._shelves = [shelf for shelf, _ in kinds]
        self._kind_weights = [*accumulate(weight / 100 for _, weight in kinds)]
        self._user_weights = [*accumulate(user.share / 100 for user in USERS)]
        self._devices = [self._device(*device) for device in DEVICES]
        self._oddities = Oddities(rng)
        self._turns = count()
        self._written = 0
        #: Per user and rating key the last play, if it was not finished: what Tautulli looks at
        #: to group a resumed play. It knows nothing but these two.
        self._unfinished: dict[tuple[int, int], tuple[int, int]] = {}

    def live(self, plays: int) -> None:
        """Go through the years at a pace that makes exactly `plays` rows."""
        rng = self._rng
        pending: list[Row] = []
        now = START
        while (left := plays - self._written - len(pending)) > 0:
            pace = (END - now) * _ROWS_PER_VIEWING / left
            now = min(now + int(rng.expovariate(1) * pace), END - 1)
            while pending and pending[0].ended <= now:
                self._write(heappop(pending))
            for row, _ in zip(self._viewing(now), range(left), strict=False):
                heappush(pending, row)
        while pending:
            self._write(heappop(pending))
        self._writer.flush()

    def _viewing(self, now: int) -> Iterator[Row]:
        """Begin to watch something, and yield its rows: several, if it is resumed later."""
        rng = self._rng
        home = self._choose(now)
        user = USERS[bisect(self._user_weights, rng.random(), hi=len(USERS) - 1)]
        item = home.item
        before = 0
        for share, outcome in self._course(item, now):
            offset = int(share * item.duration)
            paused = rng.randint(5, 900) if rng.random() < _PAUSED else 0
            ended = now + max(1, (offset - before) // 1000 + paused)
            yield Row(ended, next(self._turns), now, paused, home, user, offset, outcome)
            now = ended + int(rng.expovariate(1 / _DAY)) + 600
            before = offset
            if now >= home.until:
                return

    def _choose(self, now: int) -> Home:
        """Return something that is there at the time; popular things more often."""
        rng = self._rng
        while True:
            shelf = self._shelves[bisect(self._kind_weights, rng.random(), hi=5)]
            item = shelf[int(len(shelf) * rng.random() ** 2)]
            homes = [home for home in item.homes if home.since <= now < home.until]
            if homes:
                return homes[0] if len(homes) == 1 else rng.choice(homes)

    def _course(self, item: Item, now: int) -> list[tuple[float, Outcome]]:
        """Return how far it is watched, time after time, and what each time comes to."""
        rng = self._rng
        chance = rng.random()
        if item.kind not in {"movie", "episode"} or chance < _WATCHED:
            return [self._finish(item, now)]
        # Kept short of a marker even where the row will not hold it, for one that is resumed
        # may end in a year that knows it.
        marker = item.marker or 1
        short = min(_STOPPED_SHORT, marker - _CLEAR)
        if chance < _PARTIAL:
            # But where a row knows no marker, going past it is no more than going on.
            top = short if now >= MARKERS_SINCE else _STOPPED_SHORT
            return [(rng.uniform(_BEGUN, top), "partial")]
        if chance < _RESUMED:
            shares = sorted(rng.uniform(_BEGUN, short) for _ in range(rng.randint(1, 3)))
            course: list[tuple[float, Outcome]] = [(share, "partial") for share in shares]
            if rng.random() < _FINISHED_AFTER_ALL:
                return [*course, (rng.uniform(*_DONE), "watched")]
            return course
        return [(rng.random(), "no_duration")]

    def _finish(self, item: Item, now: int) -> tuple[float, Outcome]:
        rng = self._rng
        early = item.marker is not None and item.marker < _THRESHOLD and now >= MARKERS_SINCE
        if item.marker is not None and early and rng.random() < _BY_MARKER:
            return rng.uniform(item.marker + _CLEAR, _THRESHOLD - _CLEAR), "marker"
        return rng.uniform(*_DONE), "watched"

    def _write(self, row: Row) -> None:
        """Write a play that has ended."""
        rng = self._rng
        home, user, item = row.home, row.user, row.home.item
        self._written += 1
        row_id = self._written
        reference = self._reference(row_id, row)
        cells = self._oddities.cells(row)
        marker = final = None
        if item.marker and row.started >= MARKERS_SINCE:
            marker = int(item.marker * item.duration)
            final = marker + item.duration // 100
        if home.metadata is None:
            home.metadata = metadata_cells(home)
        self._writer.add(
            (
                *(row_id, reference, row.started, cells.stopped, home.rating_key, user.user_id),
                *(cells.user, cells.paused, home.season_key or "", home.show_key or ""),
                *(item.media_type, cells.section, cells.offset, cells.bandwidth),
                *self._devices[int(len(self._devices) * rng.random())],
            ),
            (row_id, cells.guid, cells.duration, "", marker, final, *home.metadata),
            (row_id, home.rating_key, cells.duration, *rng.choice(STREAM_CELLS)),
        )
        stopped = cells.stopped or None
        entry = Entry(
            *(row_id, user.user_id, reference, row.started, stopped, home, cells.guid, row.outcome)
        )
        self._collector.add(entry)

    def _reference(self, row_id: int, row: Row) -> int:
        """Group a play with the one it resumes, by Tautulli's lights."""
        key = (row.user.user_id, row.home.rating_key)
        reference, offset = self._unfinished.get(key, (row_id, 0))
        if row.offset < offset:
            reference = row_id
        if row.outcome in WATCHED:
            self._unfinished.pop(key, None)
        else:
            self._unfinished[key] = (reference, row.offset)
        return reference

    def _device(self, player: str, product: str, platform: str, profile: str) -> Cells:
        rng = self._rng
        outside = rng.random() < _PAUSED
        return (
            f"203.0.113.{rng.randint(1, 254)}" if outside else f"192.0.2.{rng.randint(1, 254)}",
            "wan" if outside else "lan",
            player,
            product,
            f"4.{rng.randint(1, 140)}.{rng.randint(0, 9)}",
            platform,
            str(rng.randint(7, 17)),
            profile,
            f"{rng.getrandbits(96):024x}",
        )
