"""``--to tracker``: a CrossWatch tracker root, ``history.json`` and a snapshot of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ..errors import ConfigurationError
from .base import Receipt, SnapshotSink
from .crosswatch_json import UPLOAD, Entry, Merged, entries_of, exported, merge, newer_of
from .files import shown, write_whole

__all__ = ["TrackerSink"]

_DEFAULT: Final = Path("crosswatch-tracker")
# CrossWatch reuses and overwrites a newest snapshot younger than 60 s (v0.11.3).
_SNAPSHOT_AGE: Final = 90


class TrackerSink(SnapshotSink):
    """Merges into the ``history.json`` of a tracker root; writes nothing when nothing changed."""

    merges = True

    @property
    def root(self) -> Path:
        """The tracker root."""
        options = self.options
        if options.out == Path("-"):
            raise ConfigurationError(
                "A tracker is a directory and cannot go to standard output.",
                hint="Name a directory with --out, or use --to jsonl.",
            )
        root = options.out or _DEFAULT
        return root / options.user if options.user else root

    def writes(self) -> Sequence[Path]:
        """The history; the snapshot's name is new every time."""
        return [self.root / "history.json"]

    def check(self) -> None:
        """Read what is there, so that what cannot be merged is known before the work.

        Raises:
            SinkError: it is not a history.
            NotFoundError: there is no file to merge with.
        """
        self._merged(entries_of(self.root / "history.json"))

    def preview(self) -> Receipt:
        """What would change."""
        return self._receipt(self._merged(entries_of(self.root / "history.json")))

    def commit(self) -> Receipt:
        """Write the snapshot, then ``history.json``, if anything changed.

        Raises:
            SinkError: something there cannot be read or written; the old state stays.
        """
        history = self.root / "history.json"
        there = entries_of(history)
        merged = self._merged(there)
        if merged.entries.keys() == there.keys() and all(
            merged.entries[key] is entry for key, entry in there.items()
        ):
            # An empty history is not written either: its upload would empty the tracker.
            return self._receipt(merged)
        snapshot = self._snapshot_path()
        age = self.options.now - _SNAPSHOT_AGE
        write_whole(snapshot, _encoded(self.options.now, merged.entries), mtime=age)
        write_whole(history, _encoded(self.options.now, merged.entries))
        return msgspec.structs.replace(
            self._receipt(merged), written=[shown(history), shown(snapshot)]
        )

    def _merged(self, there: Mapping[str, Entry]) -> Merged:
        base = self.options.merge_with
        return merge(newer_of(exported(base), there) if base else there, self.records)

    def _snapshot_path(self) -> Path:
        """A name of the time now (never of a watch date: CrossWatch deletes by the name's age)."""
        directory = self.root / "snapshots"
        second = self.options.now
        while True:
            stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
            path = directory / f"{stamp}-history.json"
            if not path.exists():
                return path
            second += 1

    def _receipt(self, merged: Merged) -> Receipt:
        root = self.root
        upload = f"In CrossWatch: {UPLOAD}, and choose {shown(root / 'history.json')}."
        export = (
            "The upload replaces the tracker's history. If there is any in it, export it there "
            "first, and run this again with --merge-with and the exported archive."
        )
        place = (
            "Or put it in place: stop CrossWatch, and write into its tracker directory, "
            "/config/.cw_provider in the container, with --out (merged with what is there)."
        )
        rewatches = (
            'Switch on "Rewatches" in the History settings of the sync pair, or CrossWatch '
            "keeps only the newest viewing of each title."
        )
        steps = (upload, export, place, *((rewatches,) if self.options.every_viewing else ()))
        return Receipt(
            shown(root),
            new=merged.new,
            updated=merged.updated,
            unchanged=merged.unchanged,
            total=len(merged.entries),
            next_steps=steps if merged.new or merged.updated else (),
        )


def _encoded(now: int, entries: Mapping[str, Entry]) -> Iterator[bytes]:
    """One entry a line, so that two histories can be compared with ``diff``."""
    yield b'{"ts":%d,"items":{' % now
    separator = b"\n"
    for key, entry in entries.items():
        yield separator + msgspec.json.encode(key) + b":" + entry.raw
        separator = b",\n"
    yield b"\n}}\n"
