"""Write a CrossWatch tracker root, for ``--to tracker``: ``history.json`` and a snapshot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ..errors import ConfigurationError, SinkError
from ..files import names_in, read_bytes, stamp, write_whole
from ..formatting import shown
from ..interrupts import is_asked
from .base import Receipt, SnapshotSink
from .crosswatch_json import UPLOAD, Entry, Merged, entries_of, exported, merge, newer_of

__all__ = ["TrackerSink"]

_DEFAULT: Final = Path("crosswatch-tracker")
# CrossWatch (v0.11.3) overwrites the newest snapshot if it is younger than 60 s.
_SNAPSHOT_AGE: Final = 90
# CrossWatch (v0.11.3) takes no lock. It can write what it read before our write.
_ROUNDS: Final = 5
_WRITES: Final = 3
_A_MOMENT: Final = 1.0
_OURS: Final = frozenset({"history.json", "snapshots"})


class TrackerSink(SnapshotSink):
    """Merges items into ``history.json`` of a tracker root. Writes only if something changed."""

    merges = True
    supersedes = True

    @property
    def root(self) -> Path:
        """Return the tracker root.

        Raises:
            ConfigurationError: ``--out`` is standard output.
        """
        options = self.options
        if options.out == Path("-"):
            raise ConfigurationError(
                "--to tracker writes a directory and cannot write to standard output.",
                hint="Use --out DIRECTORY, or --to jsonl.",
            )
        root = options.out or _DEFAULT
        return root / options.user if options.user else root

    def writes(self) -> Sequence[Path]:
        """Return the history. The snapshot has a new name each time."""
        return [self.root / "history.json"]

    def place(self) -> Path:
        """Return the root."""
        return self.root

    def check(self) -> None:
        """Check that the existing history can be merged.

        Raises:
            SinkError: ``history.json`` is not a history.
            NotFoundError: the file of ``--merge-with`` does not exist.
        """
        self._merged(entries_of(self.root / "history.json"))

    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return."""
        return self._receipt(self._merged(entries_of(self.root / "history.json")))

    def commit(self) -> Receipt:
        """Write the snapshot, then ``history.json``, if anything changed.

        If another program writes ``history.json`` meanwhile, merge with its content. If CrossWatch
        seems to use the directory, read the file again after a second, because CrossWatch may have
        overwritten it with what it read before.

        Raises:
            SinkError: something cannot be read or written, and the old state is unchanged. Or
                another program overwrites the file again and again.
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
                # No empty history is written, because its upload would empty the tracker.
                return self._receipt(merged)
            content = b"".join(_encoded(self.options.now, merged.entries))
            snapshot = self._snapshot_with(content)
            if snapshot is None:
                snapshot = own = own or self._snapshot_path()
                age = self.options.now - _SNAPSHOT_AGE
                write_whole(snapshot, [content], mtime=age, is_read_in_place=True)
            if not write_whole(
                history, [content], unless=_changed(history, before), is_read_in_place=True
            ):
                continue
            writes += 1
            if is_live and self._was_lost(history):
                if writes == _WRITES:
                    break
                continue
            said = (
                f"Another program overwrote {shown(history)} just after it was written, so it "
                "was merged and written again. CrossWatch may be in the middle of a sync. "
                "Run the same command again afterwards to check."
            )
            return msgspec.structs.replace(
                self._receipt(merged),
                written=[shown(history), shown(snapshot)],
                warnings=[said] if writes > 1 else [],
            )
        raise SinkError(
            f"Another program keeps writing {shown(history)}, so the import into it was lost.",
            hint="Stop CrossWatch, or wait until its sync is over. Then run the same command "
            "again.",
        )

    def _is_live(self) -> bool:
        """Return whether CrossWatch itself seems to use this directory."""
        root = self.root.absolute()
        others = [name for name in names_in(root) if name not in _OURS]
        is_its = any(not name.startswith(".") for name in others)
        return is_its or root.name.endswith("cw_provider") or "profiles" in root.parts[-2:-1]

    def _was_lost(self, history: Path) -> bool:
        """Wait a second, and return whether some of our entries are gone."""
        written = stamp(history)
        if not is_asked():
            time.sleep(_A_MOMENT)
        if stamp(history) == written:
            return False
        there = entries_of(history)
        return not _is_same(self._merged(there).entries, there)

    def _snapshot_with(self, content: bytes) -> Path | None:
        """Return the newest snapshot if it has this content, from a run that was killed later."""
        folder = self.root / "snapshots"
        names = [name for name in names_in(folder) if name.endswith("-history.json")]
        if not names:
            return None
        try:
            there = read_bytes(folder / names[-1]) or b""
        except SinkError:
            return None
        same = there.partition(b",")[2] == content.partition(b",")[2]
        return folder / names[-1] if same else None

    def _merged(self, there: Mapping[str, Entry]) -> Merged:
        base = self.options.merge_with
        existing = newer_of(exported(base), there) if base else there
        return merge(existing, self.records, self.superseded)

    def _snapshot_path(self) -> Path:
        """Return an unused name with the time of the run.

        CrossWatch (v0.11.3) deletes snapshots by the age in their names.
        """
        directory = self.root / "snapshots"
        second = self.options.now
        while True:
            stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
            path = directory / f"{stamp}-history.json"
            if not os.path.lexists(path):
                return path
            second += 1

    def _receipt(self, merged: Merged) -> Receipt:
        root = self.root
        upload = f"In CrossWatch: {UPLOAD}, and choose {shown(root / 'history.json')}."
        export = (
            "The upload replaces the tracker's history. If it has any, export it there first, and "
            "run the same command again with --merge-with and the exported archive."
        )
        place = (
            "Or write into the tracker directory of CrossWatch (/config/.cw_provider in the "
            "container) with --out, while CrossWatch is stopped. That merges with its history."
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
    """Return a function that tells whether a file changed since it had the stamp ``before``."""
    return lambda: stamp(path) != before


def _is_same(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> bool:
    return one.keys() == other.keys() and all(one[key] is entry for key, entry in other.items())


def _encoded(now: int, entries: Mapping[str, Entry]) -> Iterator[bytes]:
    """Yield the file with one entry a line, so that ``diff`` can compare two histories."""
    yield b'{"ts":%d,"items":{' % now
    separator = b"\n"
    for key, entry in entries.items():
        yield separator + msgspec.json.encode(key) + b":" + entry.raw
        separator = b",\n"
    yield b"\n}}\n"
