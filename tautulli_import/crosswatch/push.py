"""Push rows through CrossWatch's import: preview, commit, and a second preview that verifies.

CrossWatch (v0.11.3) answers ``ok`` and a number of applied rows also when nothing was written, and
a sync that is running loses what was pushed. So only a preview proves that a row is there: it
compares the keys and times with the tracker itself. A preview costs more than a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from ..errors import BusyError, SinkError, UnansweredError
from ..model.items import Record
from .answers import Preview, PreviewRow
from .archive import packed
from .checking import wait_until_idle
from .client import CrossWatch

__all__ = ["Chunk", "Push", "Pushed"]

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


class Pushed(Struct, frozen=True):
    """The numbers of a push, as CrossWatch counted."""

    new: int = 0
    exists: int = 0
    refused: Sequence[PreviewRow] = ()
    """Rows that CrossWatch does not take, with its reasons."""


class Push:
    """A push of records to one profile."""

    def __init__(
        self, client: CrossWatch, profile: str, records: Sequence[Record], *, wait: float
    ) -> None:
        """``wait`` is the longest time to wait for a running sync, in seconds."""
        self._client = client
        self._profile = profile
        self._records = records
        self._wait = wait
        self._size = ROWS
        self._new = 0
        self._exists = 0
        self._refused: dict[str, PreviewRow] = {}
        self._is_first = True

    def preview(self, places: Chunk) -> Pushed:
        """Compare records with the tracker. This writes nothing."""
        for chunk in self._cut(places):
            self._compare(chunk)
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
            sync = wait_until_idle(self._client, self._wait)
            there: list[Chunk] = []
            missing: list[tuple[Chunk, Preview]] = []
            for chunk in pending:
                for part in self._cut(chunk):  # the size may have become smaller
                    self._place(part, there, missing, commit=commits < _COMMITS)
            commits += bool(missing)
            self._is_first = False
            is_quiet = self._client.sync() == sync
            if is_quiet:
                for chunk in there:
                    verified(self._without_refused(chunk))
            if missing and commits > _COMMITS:
                raise self._lost([preview for _, preview in missing])
            pending = [chunk for chunk, _ in missing] + ([] if is_quiet else there)
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
        there: list[Chunk],
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
            self._count(preview)
            is_counted = True
            if not preview.summary.ready:
                there.append(chunk)
                return
            if commit:
                self._commit(preview)
            missing.append((chunk, preview))
        except UnansweredError:
            if len(chunk) < 2 * _FEWEST:
                raise
            middle = len(chunk) // 2
            self._size = min(self._size, len(chunk) - middle)
            is_first, self._is_first = self._is_first, self._is_first and not is_counted
            for half in (chunk[:middle], chunk[middle:]):
                self._place(half, there, missing, commit=commit)
            self._is_first = is_first

    def _compare(self, chunk: Chunk) -> None:
        try:
            self._count(self._previewed(chunk))
        except UnansweredError:
            if len(chunk) < 2 * _FEWEST:
                raise
            middle = len(chunk) // 2
            self._compare(chunk[:middle])
            self._compare(chunk[middle:])

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

    def _count(self, preview: Preview) -> None:
        """Count the rows by what CrossWatch says of them, once."""
        if not self._is_first:
            return
        found = preview.summary
        self._new += found.ready
        self._exists += found.exists
        for status, count in found.by_status.items():
            if count and status not in ("ready", "exists"):
                for row in self._client.rows(preview, status):
                    # A second row of the same film or episode and second is there with the first.
                    if status == "duplicate":
                        self._exists += 1
                    else:
                        self._refused[row.key or row.title] = row

    def _commit(self, preview: Preview) -> None:
        """Write the ready rows of a preview. Whether that happened is not known afterwards."""
        done = self._client.commit(preview, self._profile)
        if done is not None:  # the preview has expired; the next round makes another
            self._check_profile(done.target_instance)

    def _check_profile(self, answered: str) -> None:
        if answered != self._profile:
            raise SinkError(
                f"CrossWatch at {self._client.base} answered for the profile {answered}, not for "
                f"{self._profile}.",
                hint="Check the tracker of both profiles, and report this.",
            )

    def _without_refused(self, chunk: Chunk) -> Chunk:
        refused = {(row.watched_at or "")[:19] for row in self._refused.values()}
        if not refused:
            return chunk
        return [p for p in chunk if self._records[p].item.watched_at[:19] not in refused]

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
        return Pushed(self._new, self._exists, [*self._refused.values()])
