"""Merge records into the entries of a history, by CrossWatch's own rule, and lose none of them.

The records are built anew each time they are read, and a history can have hundreds of thousands
of entries. So the records are read in passes, and only what differs is decoded and kept.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import chain, islice
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ..model.clock import watched_at
from ..model.items import Record
from ..model.keys import event_key
from .entries import (
    Entry,
    Values,
    added,
    better_key,
    contradict,
    entry_of,
    external_of,
    is_event,
    is_same_item,
    kind_of,
    number_of,
    overlaid,
    suffix_of,
    time_in,
    time_of,
    values_of,
    without_ids,
)
from .merged import NEW, UNCHANGED, UPDATED, Merged, Rules
from .other_keys import OtherKeys
from .same_play import Numbered, nearest
from .same_title import SameTitle

__all__ = ["merge"]

_encode: Final = msgspec.json.Encoder().encode


def merge(
    existing: Mapping[str, Raw],
    records: Sequence[Record],
    rules: Rules,
    *,
    file: Mapping[str, Raw] | None = None,
    same: int = 0,
) -> Merged:
    """Merge records into existing entries. Keep every foreign entry, field and id.

    Of one title there is one entry, with the newer time, the ids of both and the better key. Of
    one viewing, too: a foreign entry whose time is that of a play stays as it is. See
    ``SameTitle`` for when entries are one title, and for doubt. An entry under a superseded key
    is removed if its ``watched_at`` is still the time that we wrote, because the records have its
    plays under other keys. ``file`` has the entries of the file to replace, if ``existing`` has
    others, too. ``same`` is the number of entries at the beginning of which the caller knows that
    they are those of the first records.
    """
    merger = _Merger(existing, records, rules, file, same)
    merger.compare_by_key(same)
    merger.join_others()
    merger.remove_superseded()
    return merger.merged


class _Title(Struct, frozen=True):
    """What is one title, and of episodes one number."""

    records: list[Numbered]
    entries: list[Entry]
    is_certain: bool


class _Merger:
    def __init__(
        self,
        existing: Mapping[str, Raw],
        records: Sequence[Record],
        rules: Rules,
        file: Mapping[str, Raw] | None,
        same: int,
    ) -> None:
        self.merged = Merged(dict(islice(existing.items(), same, None)), records, rules)
        self._rest = self.merged.rest
        self._existing = existing
        self._file = existing if file is None else file
        self._rules = rules
        self._claimed: set[str] = set()
        """Keys in ``rest`` whose entry is that of a record, and that name no other ids."""
        self._keys: set[str] = set()
        """Keys of the records that are compared with other entries."""
        self._stale: dict[str, str] = {}
        for key, epoch in rules.superseded.items():
            when = watched_at(epoch)
            self._stale[key] = when
            self._stale[event_key(key, epoch)] = when  # a pair with "Rewatches" rewrote it

    def compare_by_key(self, same: int) -> None:
        """Compare each record with the entry under its key, byte for byte where possible."""
        merged, rest, encoded = self.merged, self._rest, self._rules.encoded
        merged.outcomes[:same] = bytes([UNCHANGED]) * same
        if not rest:
            return
        for number, record in enumerate(islice(merged.records, same, None), same):
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
                merged.outcomes[number] = UNCHANGED
            else:
                self._overlay(number, record, key, ours)

    def _overlay(self, number: int, record: Record, key: str, ours: bytes) -> None:
        """Put a record over the entry under its key, unless that names ids that are not ours."""
        there, values = values_of(self._rest[key]), values_of(ours)
        entry = entry_of(key, there)
        if self._is_ours_to_replace(entry):
            self._put([(number, record)], [entry], record.key, values)
            return
        if there.items() >= values.items():
            self._claimed.add(key)
            self.merged.outcomes[number], self.merged.is_written[number] = UNCHANGED, 0
            return
        if not set(external_of(record)).issuperset(entry.external):
            return  # it may be an entry of a better key, or of another title
        self._put([(number, record)], [entry], key, self._newest(there, record, values))

    def _is_ours_to_replace(self, entry: Entry) -> bool:
        """Return true if we wrote the entry and it should no longer be there as it is."""
        epoch = self._rules.superseded.get(entry.key)
        return epoch is not None and entry.watched_at == watched_at(epoch)

    def _newest(self, there: Values, record: Record, ours: Values) -> Values:
        if time_in(there) > record.item.watched_at:
            return added(there, ours)
        return overlaid(there, ours)

    def _put(
        self, records: Sequence[Numbered], old: Sequence[Entry], key: str, values: Values
    ) -> None:
        """Replace the entries of some records by one."""
        merged, rest, file = self.merged, self._rest, self._file
        own = {record.key for _, record in records} | {entry.key for entry in old}
        if key not in own and (key in rest or key in self._existing or key in self._keys):
            key = old[-1].key  # another entry has that key, or will have it
        if self._rules.has_key:
            values = {**values, "key": key}
        before = rest[key] if [entry.key for entry in old] == [key] else file.get(key)
        is_same = before is not None and values_of(before) == values
        is_same = is_same and (own - {key}).isdisjoint(file)
        for entry in old:
            del rest[entry.key]
        rest[key] = before if is_same and before is not None else _encode(values)
        self._claimed.add(key)
        for number, record in records:
            if not is_same or merged.outcomes[number] != UPDATED:
                merged.outcomes[number] = UNCHANGED if is_same else UPDATED
            merged.is_written[number] = 0
            if record.key == key and bytes(rest[key]) == self._rules.encoded(record):
                del rest[key]
                merged.is_written[number] = 1
                break

    def join_others(self) -> None:
        """Join the records with the entries under other keys that are the same title."""
        others = OtherKeys(
            entry_of(key, values_of(raw))
            for key, raw in self._rest.items()
            if key not in self._claimed
        )
        if not others.by_key:
            return
        stale = {key for key, entry in others.by_key.items() if self._is_stale(entry)}
        others.index(stale)
        same_title = SameTitle()
        for key, entry in others.by_key.items():
            if entry.kind and key not in stale:
                same_title.add(entry.kind, entry.external)
        linked: list[Numbered] = []
        for number, record in enumerate(self.merged.records):
            is_there = is_event(record.key) and self.merged.outcomes[number] != NEW
            if others.may_join(record):
                same_title.add(kind_of(record), external_of(record))
                if not is_there or others.has_time_or_key(record):
                    linked.append((number, record))
                    self._keys.add(record.key)
        twins = {number: self._twins(record, others, stale) for number, record in linked}
        for number, record in linked:
            external = [*external_of(record)]
            for entry in twins[number]:
                external += entry.external if entry.key not in stale else ()
            same_title.add(kind_of(record), external)
        for title in self._titles(linked, twins, others, same_title, stale):
            if any(is_event(record.key) for _, record in title.records):
                self._join_viewings(title, title.records, title.entries)
            else:
                self._join_title(title)

    def _is_stale(self, entry: Entry) -> bool:
        return self._stale.get(entry.key) == entry.watched_at

    def _twins(self, record: Record, others: OtherKeys, stale: Collection[str]) -> list[Entry]:
        """Return the entries that have other ids than a record, or none, but are its own.

        They were written before an external id was known or corrected, or without
        ``--rewatches``. An entry of the same time is the same viewing. An older entry whose key
        is an id of this Plex server is the same title.
        """
        ours = external_of(record)
        return [
            entry
            for entry in others.near(record)
            if (entry.key in stale or not contradict([*entry.external, *ours]))
            and is_same_item(entry.key, values_of(self._rest[entry.key]), record)
        ]

    def _titles(
        self,
        linked: Sequence[Numbered],
        twins: Mapping[int, Sequence[Entry]],
        others: OtherKeys,
        same_title: SameTitle,
        stale: Collection[str],
    ) -> Sequence[_Title]:
        """Return the titles with records and entries, and each record in doubt by itself."""
        titles: dict[Hashable, _Title] = {}
        of: dict[int, _Title] = {}
        taken: set[str] = set()
        for number, record in linked:
            root = same_title.title_of(kind_of(record), external_of(record))
            place = number if root is None else (root, number_of(record))
            title = of[number] = titles.setdefault(place, _Title([], [], root is not None))
            title.records.append((number, record))
            for key in (record.key, event_key(record.key, record.epoch)):
                if key in self._rest and key not in taken:
                    taken.add(key)
                    there = others.by_key.get(key)
                    title.entries.append(there or entry_of(key, values_of(self._rest[key])))
                    break
        for number, record in linked:
            title = of[number]
            for entry in twins[number]:
                ours = external_of(record)
                known = [one.external for one in title.entries]
                known = [each for each in known if not contradict([*each, *ours])]
                is_one = not contradict(chain(ours, entry.external, *known))
                if entry.key not in taken and (is_one or entry.key in stale):
                    taken.add(entry.key)
                    title.entries.append(entry)
        for key, entry in others.by_key.items():
            if entry.kind and key not in taken and key not in stale:
                root = same_title.title_of(entry.kind, entry.external)
                found = titles.get((root, entry.number)) if root is not None else None
                if found:
                    found.entries.append(entry)
        return [title for title in titles.values() if title.entries]

    def _join_title(self, title: _Title) -> None:
        """Join records and entries of one title into one entry.

        Somebody else may keep every viewing of a title under a key of its own. These entries stay.
        A record only joins one if the title has no other entry, or if the key is its own.
        """
        viewings = {entry.key: entry for entry in title.entries if is_event(entry.key)}
        plain = [entry for entry in title.entries if not is_event(entry.key)]
        plain.sort(key=lambda entry: entry.watched_at)
        left: list[Numbered] = []
        free: list[Numbered] = []
        for one in title.records:
            record = one[1]
            is_own = record.key in self._existing
            own = None if is_own else viewings.pop(event_key(record.key, record.epoch), None)
            if own is not None:
                self._join_viewings(title, [one], [own])
            elif plain or is_own:
                left.append(one)
            else:
                free.append(one)
        self._join_viewings(title, free, list(viewings.values()))
        if not left or not plain:
            return
        values = self._joined(plain)
        for _, record in left:
            values = self._newest(values, record, values_of(self._rules.encoded(record)))
        self._put(left, plain, self._best_key(title, left, plain, ""), values)

    def _joined(self, entries: Sequence[Entry]) -> Values:
        """Return existing entries as one. Later ones go over earlier ones."""
        values: Values | None = None
        for entry in entries:
            there = values_of(self._rest[entry.key])
            there = without_ids(there) if self._is_stale(entry) else there
            values = there if values is None else overlaid(values, there)
        return values or {}

    def _best_key(
        self, title: _Title, records: Sequence[Numbered], entries: Sequence[Entry], suffix: str
    ) -> str:
        """Return the key by the best id that is known; in doubt that of the record."""
        record = records[-1][1]
        base = record.key.removesuffix(suffix_of(record.key))
        if not title.is_certain:
            return base + suffix
        item = kind_of(record), number_of(record)
        external = [pair for _, one in records for pair in external_of(one)]
        for entry in entries:
            if (entry.kind, entry.number) == item and not self._is_stale(entry):
                external += entry.external
        return better_key(external, number_of(record), suffix, base + suffix)

    def _join_viewings(
        self, title: _Title, records: Sequence[Numbered], entries: Sequence[Entry]
    ) -> list[Numbered]:
        """Join records with entries of the same viewings. Return the records that have none."""
        free = {entry.key: entry for entry in entries}
        left = []
        for one in records:
            record = one[1]
            same = [each for each in free.values() if each.watched_at == record.item.watched_at]
            same.sort(key=lambda entry: entry.key == record.key)
            for entry in same:
                del free[entry.key]
            if same:
                suffix = suffix_of(record.key) or suffix_of(same[-1].key)
                values = overlaid(self._joined(same), values_of(self._rules.encoded(record)))
                self._put([one], same, self._best_key(title, [one], same, suffix), values)
            else:
                left.append(one)
        # An entry of a viewing that is there came later: then both stay.
        new = [one for one in left if self.merged.outcomes[one[0]] == NEW]
        usable = [entry for entry in free.values() if not self._is_stale(entry)]
        found = {one[0]: entry for one, entry in nearest(new, usable, self._rules.same_play)}
        for one in new:
            if one[0] in found:
                self._stay(title, one, found[one[0]])
        return [one for one in left if one[0] not in found]

    def _stay(self, title: _Title, one: Numbered, entry: Entry) -> None:
        """Count a record as there already. Only add ids to the entry that is its viewing."""
        there = values_of(self._rest[entry.key])
        values = added(there, values_of(self._rules.encoded(one[1])))
        key = entry.key
        if values is not there:
            key = self._best_key(title, [one], [entry], suffix_of(key))
        self._put([one], [entry], key, values)

    def remove_superseded(self) -> None:
        """Remove entries of ours under superseded keys, and count those that somebody changed."""
        for key, when in self._stale.items():
            raw = self._rest.get(key)
            if raw is None or key in self._claimed:
                continue
            if time_of(raw) == when:
                del self._rest[key]
                self.merged.removed += key in self._file
            elif key in self._rules.superseded:
                self.merged.kept += 1
