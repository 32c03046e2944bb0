"""Push rows through CrossWatch's import: preview, commit, and a second preview that verifies.

CrossWatch (v0.11.3) answers ``ok`` and a number of applied rows also when nothing was written, and
a sync that is running loses what was pushed. So only a preview proves that a row is there: it
compares the keys and times with the tracker itself. A preview costs more than a commit.

The tracker has no lock: a commit undoes what a sync writes at the same moment (seen: 20 and 40 of
300 entries), and a pair with Remove then deletes that at the other service. So nothing is committed
in a sync, and one that began at that moment is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from ..errors import BusyError, SinkError, UnansweredError
from ..model.items import Movie, Record
from ..model.keys import viewing_key
from ..progress import UNSEEN, Phase, Progress
from .answers import Preview, PreviewRow, Sync
from .archive import packed
from .checking import wait_until_idle
from .client import MOST_ROWS, CrossWatch
from .failures import other_profile

__all__ = ["MIXED", "Chunk", "Push", "Pushed"]

Chunk: TypeAlias = Sequence[int]
"""The places of some records, in their order."""

ROWS: Final = 20_000
"""Rows a request. The time of a preview grows faster than they do: 5.5 s, and 19 s for 50,000."""
_FEWEST: Final = 200
"""A smaller request is not tried after a failure."""
_COMMITS: Final = 4
"""The first commit, and three more for rows that are not there afterwards."""
_ROUNDS: Final = 12
"""More rounds than these are only needed if syncs keep running."""
_NAMED: Final = 3
MIXED: Final = (
    "A sync began at the moment of a push, so CrossWatch may lack something that it brought. The "
    "next sync brings it again, unless the sync pair has Remove on: then switch that off first."
)


class Pushed(Struct, frozen=True):
    """The numbers of a push, as CrossWatch counted."""

    new: int = 0
    refused: Mapping[int, PreviewRow] = {}
    """Rows that CrossWatch does not take, with its reasons, by the place of the record."""
    unplaced: Sequence[PreviewRow] = ()
    """Further such rows, of which nothing tells the record."""
    is_mixed: bool = False
    """True if a sync that may write, too, began about when rows were written."""

    @property
    def left_out(self) -> int:
        """Return the number of records that CrossWatch does not take."""
        return len(self.refused) + len(self.unplaced)


class Push:
    """A push of records to one profile."""

    def __init__(
        self,
        client: CrossWatch,
        profile: str,
        records: Sequence[Record],
        *,
        wait: float,
        is_synced: bool,
        progress: Progress = UNSEEN,
    ) -> None:
        """``wait`` is the longest time to wait for a running sync, in seconds.

        ``is_synced`` is true if a sync may write into the tracker.
        """
        self._client = client
        self._profile = profile
        self._records = records
        self._wait = wait
        self._is_synced = is_synced
        self._progress = progress
        self._done = 0
        self._size = ROWS
        self._new = 0
        self._refused: dict[int, PreviewRow] = {}
        self._unplaced: list[PreviewRow] = []
        self._is_first = True
        self._sync = Sync()
        self._is_quiet = False
        self._has_written = False
        self._is_mixed = False

    def preview(self, places: Chunk) -> Pushed:
        """Compare records with the tracker. This writes nothing."""
        self._begin("comparing", len(places))
        for chunk in self._cut(places):
            self._place(chunk, [], [], commit=False)
        return self._pushed()

    def is_missing(self, places: Chunk) -> bool:
        """Return true if CrossWatch lacks one of some records that it had."""
        return any(self._previewed(chunk).summary.ready for chunk in self._cut(places))

    def run(self, places: Chunk, verified: Callable[[Chunk], None]) -> Pushed:
        """Push records, and verify that they are there.

        ``verified`` is called with the places of records that are there for certain.

        Raises:
            SinkError: some records are not there after four commits.
            BusyError: a sync is running, and ``wait`` is over.
            UnansweredError: a small request got no usable answer.
        """
        pending = self._cut(places)
        commits = 0
        for _ in range(_ROUNDS):
            warning = MIXED if self._is_mixed else ""
            self._sync = wait_until_idle(self._client, self._wait, warning=warning)
            self._is_quiet = True
            there: list[tuple[Chunk, Preview]] = []
            missing: list[tuple[Chunk, Preview]] = []
            self._begin("pushing" if self._is_first else "comparing", sum(map(len, pending)))
            for chunk in pending:
                for part in self._cut(chunk):  # the size may have become smaller
                    self._place(part, there, missing, commit=commits < _COMMITS)
            self._is_first = False
            is_quiet = self._still_quiet()
            if is_quiet:
                commits += bool(missing)  # a sync may have lost the others
                for chunk, preview in there:
                    verified(self._taken(chunk, preview))
            if missing and commits > _COMMITS:
                raise self._lost([preview for _, preview in missing])
            again = missing if is_quiet else missing + there
            pending = [chunk for chunk, _ in again]
            if not pending:
                return self._pushed()
        raise BusyError(
            f"CrossWatch at {self._client.base} keeps running syncs, so "
            f"{sum(map(len, pending)):,} pushed entries could not be verified.",
            hint="Run the same command again when it is quiet.",
        )

    def _place(
        self,
        chunk: Chunk,
        there: list[tuple[Chunk, Preview]],
        missing: list[tuple[Chunk, Preview]],
        *,
        commit: bool,
    ) -> None:
        """Preview a chunk, and commit what is not there.

        If a request is too much for the server, the halves are previewed first, because the
        commit may have been carried out all the same.
        """
        is_counted = False
        try:
            preview = self._previewed(chunk)
            self._count(preview, chunk)
            is_counted = True
            if not preview.summary.ready:
                there.append((chunk, preview))
            else:
                if commit and self._still_quiet():
                    self._commit(preview)
                missing.append((chunk, preview))
            self._reached(chunk)
        except UnansweredError:
            if len(chunk) < 2 * _FEWEST:
                raise
            middle = len(chunk) // 2
            self._size = min(self._size, len(chunk) - middle)
            is_first, self._is_first = self._is_first, self._is_first and not is_counted
            for half in (chunk[:middle], chunk[middle:]):
                self._place(half, there, missing, commit=commit)
            self._is_first = is_first

    def _still_quiet(self) -> bool:
        """Return true if no sync has begun in this round."""
        if self._is_quiet and self._client.sync() != self._sync:
            self._is_quiet = False
            self._is_mixed |= self._has_written and self._is_synced
        self._has_written = False
        return self._is_quiet

    def _begin(self, phase: Phase, total: int) -> None:
        self._done = 0
        self._progress.begin(phase, total)

    def _reached(self, chunk: Chunk) -> None:
        self._done += len(chunk)
        self._progress.reached(self._done)

    def _cut(self, places: Chunk) -> list[Chunk]:
        return [places[at : at + self._size] for at in range(0, len(places), self._size)]

    def _previewed(self, chunk: Chunk) -> Preview:
        """Preview a chunk, and check that the answer is about its rows and about the profile.

        Raises:
            SinkError: it is not.
        """
        encode = msgspec.json.Encoder().encode
        archive = packed(encode(self._records[place].item) for place in chunk)
        preview = self._client.preview(archive, self._profile)
        self._check_profile(preview.target_instance)
        found = preview.summary
        if found.total != len(chunk) or found.by_feature.get("history") != len(chunk):
            raise SinkError(
                f"CrossWatch at {self._client.base} read {found.by_feature.get('history', 0):,} "
                f"viewings from {len(chunk):,} rows, so nothing of them was pushed.",
                hint="Write a file with --to editor and import it by hand, and report this with "
                "the version of CrossWatch.",
            )
        return preview

    def _count(self, preview: Preview, chunk: Chunk) -> None:
        """Count the rows by what CrossWatch says of them, once.

        Raises:
            UnansweredError: CrossWatch would not name all rows that it refuses.
        """
        if not self._is_first:
            return
        counts = _refused_in(preview)
        if any(count > MOST_ROWS for count in counts.values()) and len(chunk) >= 2 * _FEWEST:
            raise UnansweredError(
                f"CrossWatch at {self._client.base} refuses more rows than it can name.",
                hint="Run the same command again.",
            )
        rows: list[PreviewRow] = []
        for status, count in counts.items():
            named = self._client.rows(preview, status)[:count]
            rows += named
            rows += [PreviewRow(status=status)] * (count - len(named))
        self._new += preview.summary.ready
        places = _Places(self._records, chunk)
        for row in rows:
            if (place := places.take(row)) is None:
                self._unplaced.append(row)
            else:
                self._refused[place] = row

    def _commit(self, preview: Preview) -> None:
        """Write the ready rows of a preview. Whether that happened is not known afterwards."""
        self._has_written = True
        done = self._client.commit(preview, self._profile)
        if done is not None:  # the preview has expired; the next round makes another
            self._check_profile(done.target_instance)

    def _check_profile(self, answered: str) -> None:
        if answered != self._profile:
            raise other_profile(self._client.base, answered, self._profile)

    def _taken(self, chunk: Chunk, preview: Preview) -> Chunk:
        """Return the places that a preview without ready rows proves to be there.

        These are none if nothing tells which records were refused.
        """
        taken = [place for place in chunk if place not in self._refused]
        is_clear = len(chunk) - len(taken) == sum(_refused_in(preview).values())
        return taken if is_clear else []

    def _lost(self, previews: Sequence[Preview]) -> SinkError:
        count = sum(preview.summary.ready for preview in previews)
        titles = [row.title for preview in previews for row in preview.rows][:_NAMED]
        return SinkError(
            f"CrossWatch at {self._client.base} accepted {count:,} entries {_COMMITS} times, and "
            f"does not have them: {', '.join(titles)}{', …' if count > len(titles) else ''}.",
            hint="See the log of CrossWatch; its disk may be full, or its directory read-only. "
            "Then run the same command again.",
        )

    def _pushed(self) -> Pushed:
        return Pushed(self._new, self._refused, self._unplaced, self._is_mixed)


class _Places:
    """The places of the records of a chunk, by what a row of a preview tells about them."""

    def __init__(self, records: Sequence[Record], chunk: Chunk) -> None:
        self._by: dict[tuple[str, str], list[int]] = {}
        for place in chunk:
            record = records[place]
            item, when = record.item, record.item.watched_at[:19]
            series = None if isinstance(item, Movie) else item.series_title
            names = {("", viewing_key(record.key, record.epoch)), ("", when)}
            for title in filter(None, (item.title, series)):
                names |= {(title, when), (title, "")}
            for name in names:
                self._by.setdefault(name, []).append(place)
        self._free = set(chunk)

    def take(self, row: PreviewRow) -> int | None:
        """Return the place of a row, once; ``None`` if it is not certain."""
        when = (row.watched_at or "")[:19]
        for name in (("", row.key), (row.title, when), ("", when)):
            free = [place for place in self._by.get(name, ()) if place in self._free]
            if len(free) == 1:
                self._free.discard(free[0])
                return free[0]
        return None


def _refused_in(preview: Preview) -> Mapping[str, int]:
    """Return the numbers of rows that CrossWatch does not take, by status.

    A second row of the same film or episode and second is there with the first.
    """
    there = ("ready", "exists", "duplicate")
    counts = preview.summary.by_status.items()
    return {status: count for status, count in counts if count and status not in there}
