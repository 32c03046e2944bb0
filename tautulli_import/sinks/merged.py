"""Define a history after merging, and the rules by which it was merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ..model.items import Record
from ..model.viewings import SAME_PLAY
from .base import Receipt
from .entries import time_of

__all__ = ["NEW", "UNCHANGED", "UPDATED", "Merged", "Rules", "encoded_item"]

NEW: Final = 0
UPDATED: Final = 1
UNCHANGED: Final = 2
_encode: Final = msgspec.json.Encoder().encode


def encoded_item(record: Record) -> bytes:
    """Encode the entry of a record in a tracker file."""
    return _encode(record.item)


class Rules(Struct, frozen=True):
    """The rules by which records become entries, and ours may be removed."""

    encoded: Callable[[Record], bytes] = encoded_item
    """Encodes the entry of a record."""
    has_key: bool = False
    """True if an entry has its own key in a field ``key``."""
    superseded: Mapping[str, int] = {}
    """See ``Sink.superseded``."""
    same_play: int = SAME_PLAY


class Merged:
    """A history after merging."""

    def __init__(
        self, rest: dict[str, Raw | bytes], records: Sequence[Record], rules: Rules
    ) -> None:
        self.rest = rest
        """The entries that are not written from ``records``, in any order."""
        self.records = records
        self.is_written = bytearray(b"\x01") * len(records)
        """Per record: 1 if its entry is written from the record itself."""
        self.outcomes = bytearray(len(records))
        self.removed = 0
        """Our entries whose plays have other keys now."""
        self.kept = 0
        """Entries under a superseded key that somebody changed since."""
        self._rules = rules

    @property
    def new(self) -> int:
        """Return the number of records that the history did not have."""
        return self.outcomes.count(NEW)

    @property
    def updated(self) -> int:
        """Return the number of records whose entry changed."""
        return self.outcomes.count(UPDATED)

    @property
    def unchanged(self) -> int:
        """Return the number of records that the history already had."""
        return self.outcomes.count(UNCHANGED)

    @property
    def total(self) -> int:
        """Return the number of entries."""
        return len(self.rest) + sum(self.is_written)

    def counts(self) -> Receipt:
        """Return a receipt with the numbers alone."""
        return Receipt(
            "",
            new=self.new,
            updated=self.updated,
            unchanged=self.unchanged,
            removed=self.removed,
            kept=self.kept,
            total=self.total,
        )

    @property
    def is_changed(self) -> bool:
        """Return true if records changed anything."""
        return bool(self.new or self.updated or self.removed)

    def differs_from(self, file: Mapping[str, Raw]) -> bool:
        """Return true if the entries are not those of a file."""
        return (
            self.is_changed
            or self.total != len(file)
            or any(
                key not in file or bytes(raw) != bytes(file[key]) for key, raw in self.rest.items()
            )
        )

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """Yield keys and entries, in ascending ``watched_at`` order. Read the records again."""
        encoded = self._rules.encoded
        others = sorted(((time_of(raw), key) for key, raw in self.rest.items()), key=itemgetter(0))
        others.reverse()
        for record, is_written in zip(self.records, self.is_written, strict=True):
            if not is_written:
                continue
            while others and others[-1][0] <= record.item.watched_at:
                _, key = others.pop()
                yield key, bytes(self.rest[key])
            yield record.key, encoded(record)
        for _, key in reversed(others):
            yield key, bytes(self.rest[key])
