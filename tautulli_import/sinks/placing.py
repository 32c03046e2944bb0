"""Put records over the entries of a history under their keys, and note what that changes."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
from msgspec import Raw

from ..model.clock import watched_at
from ..model.items import Record
from ..model.keys import event_key
from .crosswatch_json import newer_of
from .entries import (
    Entry,
    Values,
    added,
    entry_of,
    external_of,
    overlaid,
    time_in,
    values_of,
)
from .matching import Numbered
from .merged import NEW, UNCHANGED, UPDATED, Merged, Rules

__all__ = ["Placing"]

_encode: Final = msgspec.json.Encoder().encode


class Placing:
    """The entries of a history, round by round, and the records that have one of them."""

    def __init__(
        self,
        file: Mapping[str, Raw],
        records: Sequence[Record],
        rules: Rules,
        export: Mapping[str, Raw],
        same: int,
    ) -> None:
        existing = newer_of(export, file) if export else file
        self.merged = Merged(dict(islice(existing.items(), same, None)), records, rules)
        self._rest = self.merged.rest
        self._existing: Container[str] = existing
        self._before: Mapping[str, Raw | bytes] = file
        """The entries before this round, as far as they can change."""
        self._export = export
        self._rules = rules
        self._found = self.merged.outcomes
        """Per record: 0 if this round found no entry for it."""
        self._linked: Sequence[Numbered] = ()
        self._claimed: dict[str, int] = {}
        """The records of keys in ``rest`` whose entries name no other ids."""
        self._own: Mapping[int, str] = {}
        """The keys in ``_claimed`` by the positions of their records."""
        self._keys: set[str] = set()
        """Keys of the records that are compared with other entries."""
        self._places: dict[int, str] = {}
        """The keys that this round gave to entries, by the positions of their records."""
        self._same: dict[str, bool] = {}
        """True for these keys if the entry is what was there before."""
        self._gone: dict[str, set[str]] = {}
        """The keys of entries that became part of another, by its key."""
        self._stale: dict[str, str] = {}
        for key, epoch in rules.superseded.items():
            when = watched_at(epoch)
            self._stale[key] = when
            self._stale[event_key(key, epoch)] = when  # a pair with "Rewatches" rewrote it

    def compare_by_key(self, same: int) -> None:
        """Compare each record with the entry under its key, byte for byte where possible."""
        merged = self.merged
        merged.outcomes[:same] = bytes([UNCHANGED]) * same
        if self._rest:
            self._compare(enumerate(islice(merged.records, same, None), same))

    def _compare(self, records: Iterable[Numbered]) -> None:
        rest, encoded = self._rest, self._rules.encoded
        for number, record in records:
            key = record.key
            there = rest.get(key)
            if there is None:
                key = event_key(key, record.epoch)
                there = rest.get(key)
                if there is None:
                    continue
            ours = encoded(record)
            if key == record.key and bytes(there) == ours:
                del rest[key]
                self._find(number, is_written=True)
            else:
                self._overlay(number, record, key, ours)

    def _find(self, number: int, *, is_written: bool) -> None:
        """Note that a record has an entry."""
        self._found[number] = self._found[number] or UNCHANGED
        self.merged.is_written[number] = is_written

    def _settle(self) -> Collection[int]:
        """Note which records have another entry than before. Return their positions."""
        changed = {
            number
            for number, key in self._places.items()
            if not self._same[key] or any(one in self._before for one in self._gone.get(key, ()))
        }
        for number in changed:
            self.merged.outcomes[number] = UPDATED
        return changed

    def begin_again(self) -> None:
        """Prepare another round with the entries of the last one, as the next run finds them."""
        rest, merged, encoded = self._rest, self.merged, self._rules.encoded
        there = [one for one in self._linked if merged.is_written[one[0]]]
        gone = {key for keys in self._gone.values() for key in keys}
        before = {record.key: encoded(record) for _, record in there}
        self._before = before = {**rest, **before}
        rest.update({key: self._export[key] for key in gone & self._export.keys() - before.keys()})
        self._existing = {*before, *rest}
        left = [one for one in self._linked if not merged.is_written[one[0]]]
        numbers = {number for number, _ in left}
        self._claimed = {key: one for key, one in self._claimed.items() if one not in numbers}
        self._found = bytearray(b"\x01") * len(merged.records)
        for number in numbers:
            self._found[number] = NEW
            merged.is_written[number] = 1
        self._places, self._same, self._gone = {}, {}, {}
        self._compare(left)

    def _overlay(self, number: int, record: Record, key: str, ours: bytes) -> None:
        """Put a record over the entry under its key, unless that names ids that are not ours."""
        there, values = values_of(self._rest[key]), values_of(ours)
        entry = entry_of(key, there)
        if self._is_ours_to_replace(entry):
            self._put([(number, record)], [entry], record.key, values)
            return
        if there.items() >= values.items():
            self._claimed[key] = number
            self._find(number, is_written=False)
            return
        values = self._newest(there, record, values)
        known = {*entry.external, *entry_of(key, values).external}
        if known.issubset(external_of(record)):
            self._put([(number, record)], [entry], key, values)
        # Else it may be an entry of a better key, or of another title.

    def _is_ours_to_replace(self, entry: Entry) -> bool:
        """Return true if we wrote the entry and it should no longer be there as it is."""
        return entry.key in self._rules.superseded and self._is_stale(entry)

    def _newest(self, there: Values, record: Record, ours: Values) -> Values:
        if time_in(there) > record.item.watched_at:
            return added(there, ours)
        return overlaid(there, ours)

    def _put(
        self, records: Sequence[Numbered], old: Sequence[Entry], key: str, values: Values
    ) -> None:
        """Replace the entries of some records by one."""
        rest, there = self._rest, self._before
        own = {record.key for _, record in records} | {entry.key for entry in old}
        if key not in own and (key in rest or key in self._existing or key in self._keys):
            key = old[-1].key  # another entry has that key, or will have it
        if self._rules.has_key:
            values = {**values, "key": key}
        before = there.get(key) or self._export.get(key)
        is_same = before is not None and values_of(before) == values
        gone = own - {key}
        for entry in old:
            del rest[entry.key]
            gone |= self._gone.pop(entry.key, set())
        if gone:
            self._gone[key] = gone
        self._same[key] = is_same
        rest[key] = before if is_same and before is not None else _encode(values)
        self._claimed[key] = records[-1][0]
        for number, _ in records:
            self._places[number] = key
            self._find(number, is_written=False)
        for number, record in records:
            if record.key == key and bytes(rest[key]) == self._rules.encoded(record):
                del rest[key]
                self.merged.is_written[number] = 1
                break

    def _is_stale(self, entry: Entry) -> bool:
        return self._stale.get(entry.key) == entry.watched_at
