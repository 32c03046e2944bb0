"""``--to editor``: a CrossWatch Editor dataset, every viewing a row of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import ConfigurationError, SinkError
from .base import Receipt, SnapshotSink
from .crosswatch_json import UPLOAD, event_entries_of, merge
from .files import read_bytes, shown, write_whole

__all__ = ["EditorSink"]

_DEFAULT: Final = Path("tautulli-editor-history.json")
_OURS: Final = "tautulli-"  # how every provider_event_id of ours begins
_SUFFIX: Final = "-history.json"
# The import of v0.11.3 refuses more text, and silently leaves out further rows.
_WIZARD_BYTES: Final = 8_000_000
_WIZARD_ROWS: Final = 50_000
_HEAD: Final = {
    "kind": "history",
    "source": "state",
    "provider": "CROSSWATCH",
    "provider_instance": "default",
}


class EditorSink(SnapshotSink):
    """One file that the Editor, the tracker's upload and CrossWatch's import all take."""

    every_viewing = True
    merges = True

    @property
    def path(self) -> Path:
        """The dataset; its name ends in ``-history.json``, else CrossWatch refuses it."""
        out = self.options.out or _DEFAULT
        if out == Path("-"):
            return out
        if not out.name.endswith(_SUFFIX) and out.name != "history.json":
            raise ConfigurationError(
                f"CrossWatch would not take an Editor dataset called {out.name}.",
                hint=f"Give it a name that ends in {_SUFFIX}, like "
                f"{shown(out.with_name((out.stem or 'tautulli') + _SUFFIX))}",
            )
        if "list" in out.name.lower():
            raise ConfigurationError(
                f"CrossWatch would take every row of {out.name} for a watchlist's.",
                hint="Give it a name without 'list' in it.",
            )
        if not self.options.user:
            return out
        stem = out.name.removesuffix("history.json")
        return out.with_name(f"{stem or ''}{self.options.user}{_SUFFIX}")

    def writes(self) -> Sequence[Path]:
        """The dataset; nothing for standard output."""
        return [] if self.path == Path("-") else [self.path]

    def check(self) -> None:
        """Look at the name, and at what would be replaced.

        Raises:
            ConfigurationError: CrossWatch would not take a file of that name.
            SinkError: another file stands there.
            NotFoundError: there is no file to merge with.
        """
        if self.path != Path("-"):
            self._before()
        event_entries_of(self.options.merge_with)

    def preview(self) -> Receipt:
        """What would change in the dataset that is there."""
        path = self.path
        before = {} if path == Path("-") else self._before()
        after = self._rows()
        new = sum(1 for key in after if key not in before)
        unchanged = sum(1 for key, row in after.items() if before.get(key) == row)
        add = (
            f"In CrossWatch: Main › Import / Export › Import, source Generic CSV/JSON, and choose "
            f"{shown(path)}: every row is added to the tracker (from v0.11.0; at most "
            f"{_WIZARD_ROWS:,} rows and {_WIZARD_BYTES // 1_000_000} MB at a time)."
        )
        replace = (
            f"Or replace the tracker's history: name the file history.json, then {UPLOAD}. "
            "(Under any other name CrossWatch files it as a snapshot.)"
        )
        clean = (
            "Then clean up in the Editor: Source Current State, Kind History, Provider CrossWatch."
        )
        return Receipt(
            "standard output" if path == Path("-") else shown(path),
            new=new,
            updated=len(after) - new - unchanged,
            unchanged=unchanged,
            total=len(after),
            removed=sum(1 for key in before if key not in after),
            next_steps=(add, replace, clean) if unchanged < len(after) else (),
        )

    def commit(self) -> Receipt:
        """Write the dataset, if it is another than the one that is there.

        Raises:
            SinkError: another file stands there, or it cannot be written.
        """
        path = self.path
        receipt = self.preview()
        if path == Path("-"):
            self.options.stdout.writelines(self._encoded())
            self.options.stdout.flush()
            return receipt
        if receipt.unchanged == receipt.total and not receipt.removed:
            return receipt
        write_whole(path, self._encoded())
        return msgspec.structs.replace(receipt, written=[shown(path)])

    def _rows(self) -> Mapping[str, Mapping[str, Any]]:
        """Every row by key, in ascending ``watched_at`` order; ours win over ``--merge-with``."""
        base = self.options.merge_with
        merged = merge(event_entries_of(base), self.records)
        ours = {record.key: f"{_OURS}{record.play_id}" for record in self.records}
        rows: dict[str, Mapping[str, Any]] = {}
        for key, entry in merged.entries.items():
            rows[key] = {"key": key, **(entry.value or msgspec.json.decode(entry.raw))}
            if key in ours:
                rows[key] = {**rows[key], "provider_event_id": ours[key]}
        return rows

    def _before(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows that are there, which a commit replaces.

        Raises:
            SinkError: some of them are not ours, or are in no dataset at all.
        """
        path = self.path
        rows = _rows_of(path) if path.is_file() or path.is_dir() else {}
        kept = self._rows() if self.options.merge_with else {}
        foreign = [
            key
            for key, row in rows.items()
            if not str(row.get("provider_event_id", "")).startswith(_OURS) and key not in kept
        ]
        if foreign:
            raise SinkError(
                f"{shown(path)} has {len(foreign)} rows that are not from Tautulli, "
                f"and they would be lost ({foreign[0]}).",
                hint="Name another file with --out, or add this one with --merge-with.",
            )
        return rows

    def _encoded(self) -> Iterator[bytes]:
        head = msgspec.json.encode({**_HEAD, "ts": self.options.now, "blocks": []})
        yield head[:-1] + b',"items":['
        separator = b"\n"
        for row in self._rows().values():
            yield separator + msgspec.json.encode(row)
            separator = b",\n"
        yield b"\n]}\n"


def _rows_of(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The rows of the dataset at ``path`` by key; none where there is no file."""
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        dataset = msgspec.json.decode(content)
        if any(dataset[name] != _HEAD[name] for name in ("kind", "provider")):
            raise KeyError(path)  # noqa: TRY301 - what follows says it for all of these
        return {row["key"]: row for row in dataset["items"]}
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise SinkError(
            f"{shown(path)} is not an Editor dataset, and would be lost.",
            hint="Move it aside, or name another file with --out.",
        ) from None
