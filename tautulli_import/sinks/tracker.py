"""Write a CrossWatch tracker root, for ``--to tracker``: ``history.json`` and a snapshot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ..errors import ConfigurationError, SinkError
from ..files import chunks_of, names_in, stamp, write_whole
from ..formatting import shown
from ..interrupts import is_asked
from ..model.items import Record
from .base import Receipt, SnapshotSink
from .comparing import FileComparison
from .crosswatch_json import (
    HISTORY_END,
    HISTORY_START,
    UPLOAD,
    check_history,
    content_of,
    decoded,
    exported,
    history_chunks,
    history_lines,
    no_history,
)
from .merged import Merged, Rules, encoded_item
from .merging import merge

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

    summary = "CrossWatch's tracker (history.json), merged with what is there"
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
            ConfigurationError: the root is CrossWatch's configuration directory.
        """
        if {"config.json", ".cw_state"} <= {*names_in(self.root)}:  # as of v0.11.3 and v0.14.2
            raise ConfigurationError(
                f"{shown(self.root)} is CrossWatch's configuration directory. CrossWatch does not "
                "look for a tracker there.",
                hint=f"Use its tracker directory: --out {shown(self.root / '.cw_provider')}",
            )
        check_history(self.root / "history.json")
        if self.options.merge_with:
            exported(self.options.merge_with)

    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return."""
        receipt, _ = self._compared()
        return receipt

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
            receipt, merged = self._compared()
            if merged is None:
                return receipt
            own = own or self._snapshot_path()
            snapshot = self._snapshot(merged, own)
            try:
                is_written = write_whole(
                    history,
                    chunks_of(snapshot),
                    unless=_changed(history, before),
                    is_read_in_place=True,
                )
            except SinkError:
                if os.path.lexists(snapshot):
                    raise
                continue  # another program deleted the snapshot
            if not is_written:
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
                receipt,
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
        _, merged = self._compared()
        return merged is not None

    def _compared(self) -> tuple[Receipt, Merged | None]:
        """Merge with the history that is there. Return ``None`` in place of an unchanged one.

        Without records no history is written, because its upload would empty the tracker.
        """
        base, records, history = self.options.merge_with, self.records, self.root / "history.json"
        same = 0
        if not base:
            same, is_all = _same_start(history, records)
            if is_all:
                count = len(records)
                return self._receipt(Receipt("", new=0, unchanged=count, total=count)), None
        content = content_of(history)
        there = decoded(content, history) if content is not None else {}
        export = exported(base) if base else None
        rules = Rules(superseded=self.superseded, same_play=self.options.same_play)
        try:
            merged = merge(there, records, rules, export=export, same=same)
        except (msgspec.DecodeError, RecursionError):  # text that is escaped wrongly
            raise no_history(history) from None
        is_changed = merged.differs_from(there) if base else merged.is_changed
        return self._receipt(merged.counts()), merged if is_changed else None

    def _snapshot(self, merged: Merged, own: Path) -> Path:
        """Write the snapshot ``own``, and return its path.

        If a run that was killed later has left one with this content, return that one.
        """
        newest = self._newest_snapshot()
        compared = _Compared(newest, history_chunks(self.options.now, merged.entries()))
        age = self.options.now - _SNAPSHOT_AGE
        is_new = write_whole(
            own, compared, mtime=age, unless=compared.is_equal, is_read_in_place=True
        )
        return own if is_new or newest is None else newest

    def _newest_snapshot(self) -> Path | None:
        folder = self.root / "snapshots"
        names = [name for name in names_in(folder) if name.endswith("-history.json")]
        return folder / names[-1] if names else None

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

    def _receipt(self, counts: Receipt) -> Receipt:
        """Return the receipt with the target and what to do next."""
        root = self.root
        upload = (
            f"In CrossWatch, use {UPLOAD} with {shown(root / 'history.json')}. It replaces the "
            "tracker's history."
        )
        add = (
            "If the tracker has a history, use --to crosswatch, which adds to it. Or export it "
            "there, and run the same command again with --merge-with ARCHIVE."
        )
        rewatches = (
            "Switch on Rewatches in the History settings of the sync pair, or CrossWatch keeps "
            "only the newest viewing of each title."
        )
        steps = (
            *(() if self._is_live() else (upload, add)),
            *((rewatches,) if self.options.every_viewing else ()),
        )
        return msgspec.structs.replace(
            counts,
            target=shown(root),
            next_steps=steps if counts.new or counts.updated else (),
        )


def _changed(path: Path, before: object) -> Callable[[], bool]:
    """Return a function that tells whether a file changed since it had the stamp ``before``."""
    return lambda: stamp(path) != before


def _same_start(path: Path, records: Sequence[Record]) -> tuple[int, bool]:
    """Compare a file with what would be written if it had nothing but the records.

    Return the number of entries that are equal, and true if that is the whole file. The file is
    read piece by piece, because it can have a hundred megabytes.
    """
    there = FileComparison(path if path.is_file() else None)
    there.skip_to(b",")
    if not there.take(HISTORY_START[HISTORY_START.index(b",") :]):
        return 0, False
    count = 0
    for line in history_lines((record.key, encoded_item(record)) for record in records):
        if not there.take(line):
            return count, False
        count += 1
    return count, there.take(HISTORY_END) and there.is_equal() and bool(records)


class _Compared:
    """The chunks of a new file, compared with an existing one while they are written."""

    def __init__(self, path: Path | None, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._there = FileComparison(path)

    def is_equal(self) -> bool:
        """Return true if the files are equal, but for the time at the beginning."""
        return self._there.is_equal()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        start = next(self._chunks)
        self._there.skip_to(b",")
        self._there.take(start[start.index(b",") :])
        yield start
        for chunk in self._chunks:
            self._there.take(chunk)
            yield chunk
