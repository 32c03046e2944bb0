"""``--to tracker``: a CrossWatch tracker root, ``history.json`` and a snapshot of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ..errors import ConfigurationError, SinkError
from ..stopping import is_asked
from .base import Receipt, SnapshotSink
from .crosswatch_json import UPLOAD, Entry, Merged, entries_of, exported, merge, newer_of
from .files import shown, stamp, write_whole

__all__ = ["TrackerSink"]

_DEFAULT: Final = Path("crosswatch-tracker")
# CrossWatch reuses and overwrites a newest snapshot younger than 60 s (v0.11.3).
_SNAPSHOT_AGE: Final = 90
# CrossWatch takes no lock: what it read before us it writes after us.
_ROUNDS: Final = 5
_WRITES: Final = 3
_A_MOMENT: Final = 1.0
_OURS: Final = frozenset({"history.json", "snapshots"})


class TrackerSink(SnapshotSink):
    """Merges into the ``history.json`` of a tracker root; writes nothing when nothing changed."""

    merges = True
    supersedes = True

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

    def place(self) -> Path:
        """The root: CrossWatch takes all of it for its own."""
        return self.root

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

        When another program writes ``history.json`` meanwhile, what it wrote is merged with.
        Where CrossWatch may be at work the file is read back after a moment, because it could
        have overwritten ours with what it had read before.

        Raises:
            SinkError: something there cannot be read or written; the old state stays. Or
                another program overwrites it again and again.
        """
        history = self.root / "history.json"
        is_live = self._is_live()
        own: Path | None = None
        writes = 0
        for _ in range(_ROUNDS):
            before = stamp(history)
            there = entries_of(history)
            merged = self._merged(there)
            if _is_same(merged.entries, there):
                # An empty history is not written either: its upload would empty the tracker.
                return self._receipt(merged)
            content = b"".join(_encoded(self.options.now, merged.entries))
            snapshot = self._snapshot_with(content)
            if snapshot is None:
                snapshot = own = own or self._snapshot_path()
                write_whole(snapshot, [content], mtime=self.options.now - _SNAPSHOT_AGE)
            if not write_whole(history, [content], unless=_changed(history, before)):
                continue
            writes += 1
            if is_live and self._was_lost(history):
                if writes == _WRITES:
                    break
                continue
            said = (
                f"Another program overwrote {shown(history)} just after it was written, so it "
                "was merged and written again. Is CrossWatch in the middle of a sync?"
            )
            return msgspec.structs.replace(
                self._receipt(merged),
                written=[shown(history), shown(snapshot)],
                warnings=[said] if writes > 1 else [],
            )
        raise SinkError(
            f"Another program keeps writing {shown(history)}, and what was imported into it is "
            "lost.",
            hint="Stop CrossWatch, or wait until its sync is over, and run it again.",
        )

    def _is_live(self) -> bool:
        """Whether CrossWatch itself seems to work with this directory."""
        root = self.root.absolute()
        try:
            others = [path for path in root.iterdir() if path.name not in _OURS]
        except OSError:
            return False
        is_its = any(not path.name.startswith(".") for path in others)
        return is_its or root.name.endswith("cw_provider") or "profiles" in root.parts[-2:-1]

    def _was_lost(self, history: Path) -> bool:
        """Whether, a moment later, something of ours is no longer there."""
        written = stamp(history)
        if not is_asked():
            time.sleep(_A_MOMENT)
        if stamp(history) == written:
            return False
        there = entries_of(history)
        return not _is_same(self._merged(there).entries, there)

    def _snapshot_with(self, content: bytes) -> Path | None:
        """The newest snapshot, if it says just that: of a run that was killed after it."""
        try:
            newest = max(
                (self.root / "snapshots").glob("*-history.json"), key=lambda path: path.name
            )
            same = newest.read_bytes().partition(b",")[2] == content.partition(b",")[2]
        except (ValueError, OSError):
            return None
        return newest if same else None

    def _merged(self, there: Mapping[str, Entry]) -> Merged:
        base = self.options.merge_with
        existing = newer_of(exported(base), there) if base else there
        return merge(existing, self.records, self.superseded)

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
            removed=merged.removed,
            total=len(merged.entries),
            next_steps=steps if merged.new or merged.updated else (),
        )


def _changed(path: Path, before: object) -> Callable[[], bool]:
    """Whether somebody has replaced or written a file since it had that stamp."""
    return lambda: stamp(path) != before


def _is_same(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> bool:
    return one.keys() == other.keys() and all(one[key] is entry for key, entry in other.items())


def _encoded(now: int, entries: Mapping[str, Entry]) -> Iterator[bytes]:
    """One entry a line, so that two histories can be compared with ``diff``."""
    yield b'{"ts":%d,"items":{' % now
    separator = b"\n"
    for key, entry in entries.items():
        yield separator + msgspec.json.encode(key) + b":" + entry.raw
        separator = b",\n"
    yield b"\n}}\n"
