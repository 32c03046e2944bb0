"""Write a CrossWatch Editor dataset, for ``--to editor``, with a row for every viewing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import ConfigurationError, SinkError
from ..files import read_bytes, write_whole
from ..formatting import many, shown
from .base import Receipt, SnapshotSink
from .crosswatch_json import UPLOAD, event_entries_of, merge

__all__ = ["EditorSink"]

_DEFAULT: Final = Path("tautulli-editor-history.json")
_OURS: Final = "tautulli-"
"""The beginning of each provider_event_id that this sink writes."""
_SUFFIX: Final = "-history.json"
# The import of CrossWatch v0.11.3 refuses larger files, and silently leaves out further rows.
_WIZARD_BYTES: Final = 8_000_000
_WIZARD_ROWS: Final = 50_000
_HEAD: Final = {
    "kind": "history",
    "source": "state",
    "provider": "CROSSWATCH",
    "provider_instance": "default",
}


class EditorSink(SnapshotSink):
    """Writes one file that CrossWatch's Editor, tracker upload and import all take."""

    every_viewing = True
    merges = True

    @property
    def path(self) -> Path:
        """Return the path of the dataset; ``-`` for standard output.

        Raises:
            ConfigurationError: CrossWatch (v0.11.3) does not take a file of that name.
        """
        out = self.options.out or _DEFAULT
        if out == Path("-"):
            return out
        if not out.name.endswith(_SUFFIX) and out.name != "history.json":
            raise ConfigurationError(
                f"CrossWatch does not take an Editor dataset called {out.name}.",
                hint=f"Use a name that ends in {_SUFFIX}: --out "
                + shlex.quote(shown(out.with_name((out.stem or "tautulli") + _SUFFIX))),
            )
        if "list" in out.name.lower():
            raise ConfigurationError(
                f"CrossWatch takes every row of a file called {out.name} for a watchlist entry.",
                hint="Use a name without 'list' with --out.",
            )
        if not self.options.user:
            return out
        stem = out.name.removesuffix("history.json")
        return out.with_name(f"{stem or ''}{self.options.user}{_SUFFIX}")

    def writes(self) -> Sequence[Path]:
        """Return the dataset; nothing for standard output."""
        return [] if self.path == Path("-") else [self.path]

    def check(self) -> None:
        """Check the name, and that the file to replace has no foreign rows.

        Raises:
            ConfigurationError: CrossWatch does not take a file of that name.
            SinkError: the file to replace has foreign content.
            NotFoundError: the file of ``--merge-with`` does not exist.
        """
        if self.path != Path("-"):
            self._before()
        event_entries_of(self.options.merge_with)

    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return."""
        path = self.path
        before = {} if path == Path("-") else self._before()
        after = self._rows()
        new = sum(1 for key in after if key not in before)
        unchanged = sum(1 for key, row in after.items() if before.get(key) == row)
        add = (
            f"In CrossWatch: Main › Import / Export › Import, source Generic CSV/JSON, and choose "
            f"{shown(path)}. This adds every row to the tracker (from v0.11.0, up to "
            f"{_WIZARD_ROWS:,} rows and {_WIZARD_BYTES // 1_000_000} MB at a time)."
        )
        replace = (
            "Or replace the tracker's history: rename the file to history.json (under another name "
            f"it becomes a snapshot), then {UPLOAD}."
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
        """Write the dataset, if it differs from the existing one.

        Raises:
            SinkError: the existing file has foreign content, or the file cannot be written.
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
        """Return all rows by key, in ascending ``watched_at`` order. Ours win over others."""
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
        """Return the existing rows, which a commit replaces.

        Raises:
            SinkError: some rows are not ours, or the file is not a dataset.
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
                f"{shown(path)} has {many(len(foreign), 'row')} that did not come from Tautulli "
                f"(first: {foreign[0]}), so it is not replaced.",
                hint="Choose another file with --out, or merge with it: --merge-with "
                + shlex.quote(shown(path)),
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
    """Return the rows of the dataset at ``path`` by key; none if the file is absent.

    Raises:
        SinkError: the file is not a dataset.
    """
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        dataset = msgspec.json.decode(content)
        if any(dataset[name] != _HEAD[name] for name in ("kind", "provider")):
            raise KeyError(path)  # noqa: TRY301 - one message below serves all these errors
        return {row["key"]: row for row in dataset["items"]}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise SinkError(
            f"{shown(path)} is not an Editor dataset, so it is not replaced.",
            hint="Move it away, or choose another file with --out.",
        ) from None
