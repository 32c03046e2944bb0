"""Merge records into the entries of a history, by CrossWatch's own rule, and lose none of them.

The records are built anew each time they are read, and a history can have hundreds of thousands
of entries. So the records are read in passes, and only what differs is decoded and kept.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from msgspec import Raw, Struct

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
    had_key,
    is_event,
    is_same_item,
    kind_of,
    number_of,
    overlaid,
    suffix_of,
    time_of,
    values_of,
    without_ids,
)
from .matching import Numbered, OtherKeys, SameTitle, is_weak, nearest
from .merged import Merged, Rules
from .placing import Placing

__all__ = ["merge"]

# Random histories with many contradictions needed at most four. Only an export with one entry
# for two plays of ours of the same second can go on forever.
_ROUNDS: Final = 8


def merge(
    file: Mapping[str, Raw],
    records: Sequence[Record],
    rules: Rules,
    *,
    export: Mapping[str, Raw] | None = None,
    same: int = 0,
) -> Merged:
    """Merge records into the entries of a file. Keep every foreign entry, field and id.

    Of one title there is one entry, with the newer time, the ids of both and the better key. Of
    one viewing, too: a foreign entry whose time is that of a play stays as it is. See
    ``SameTitle`` for when entries are one title, and for doubt. An entry under a superseded key
    is removed if its ``watched_at`` is still the time that we wrote, because the records have its
    plays under other keys. The entries of ``export`` are merged, too. ``same`` is the number of
    entries at the beginning of which the caller knows that they are those of the first records.

    What was joined is merged with the same records again, until that changes nothing. So the next
    run changes nothing, either.
    """
    merger = _Merger(file, records, rules, export or {}, same)
    merger.compare_by_key(same)
    rounds = 1
    while merger.join_others() and rounds < _ROUNDS:
        merger.begin_again()
        rounds += 1
    return merger.merged


class _Title(Struct, frozen=True):
    """The records and entries of one title, and of episodes of one number."""

    records: list[Numbered]
    entries: list[Entry]
    is_certain: bool


class _Merger(Placing):
    def join_others(self) -> bool:
        """Join the records with the entries under other keys that are the same title.

        Return true if that changed anything, so that the next run could find other titles.
        """
        others = OtherKeys(
            entry_of(key, values_of(raw))
            for key, raw in self._rest.items()
            if key not in self._claimed
        )
        if not others.by_key:
            self._settle()
            return False
        self._own = {number: key for key, number in self._claimed.items() if key in self._rest}
        stale = {key for key, entry in others.by_key.items() if self._is_stale(entry)}
        others.index(stale)
        same_title = SameTitle()
        for key, entry in others.by_key.items():
            if entry.kind and key not in stale:
                same_title.add(entry.kind, entry.external)
        linked = self._linked = self._reached(others, same_title)
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
        self._remove_superseded(others)
        changed = self._settle()
        return bool(stale) or any(
            number in changed or not self._found[number] for number, _ in linked
        )

    def _reached(self, others: OtherKeys, same_title: SameTitle) -> Sequence[Numbered]:
        """Return the records to compare with other entries, and join the ids that they name.

        They share an id with an entry, or with another such record.
        """
        linked: dict[int, Record] = {}
        is_reached = bytearray(len(self.merged.records))
        is_more = True
        while is_more:
            is_more = False
            for number, record in enumerate(self.merged.records):
                if is_reached[number] or not others.may_join(record):
                    continue
                is_reached[number] = 1
                external = external_of(record)
                same_title.add(kind_of(record), external)
                is_more = others.add_ids(kind_of(record), external) or is_more
                self._keys.add(record.key)
                is_there = is_event(record.key) and self._found[number]
                if not is_there or others.has_time_or_key(record):
                    linked[number] = record
        return sorted(linked.items())

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
                if key in self._rest and key not in taken and key not in self._claimed:
                    taken.add(key)
                    there = others.by_key.get(key)
                    title.entries.append(there or entry_of(key, values_of(self._rest[key])))
                    break
        for number, record in linked:
            title = of[number]
            for entry in twins[number]:
                ours = external_of(record)
                known = [one.external for one in title.entries]
                is_one = not contradict(chain(ours, entry.external, *known))
                is_one = is_one or (is_weak(entry.key) and {*ours}.issuperset(entry.external))
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
        left: list[Numbered] = []
        free: list[Numbered] = []
        for one in title.records:
            record = one[1]
            if is_event(self._own.get(one[0], "")):
                continue
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
        plain = sorted([*plain, *self._own_of(left)], key=attrgetter("watched_at"))
        values = self._joined(plain)
        for _, record in left:
            values = self._newest(values, record, values_of(self._rules.encoded(record)))
        self._put(left, plain, self._best_key(title, left, plain, ""), values)

    def _own_of(self, records: Sequence[Numbered]) -> Sequence[Entry]:
        """Return the entries that records already have, if these are not exactly theirs."""
        keys = [self._own[number] for number, _ in records if number in self._own]
        return [entry_of(key, values_of(self._rest[key])) for key in keys]

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
        for one in sorted(records, key=lambda one: one[1].key not in free):
            record = one[1]
            when = record.item.watched_at
            same = [
                each for each in free.values() if each.watched_at == when or each.key == record.key
            ]
            same.sort(key=lambda entry: entry.key == record.key)
            for entry in same:
                del free[entry.key]
            if same:
                same += self._own_of([one])
                suffix = suffix_of(record.key) or suffix_of(same[-1].key)
                ours = values_of(self._rules.encoded(record))
                values = self._newest(self._joined(same), record, ours)
                self._put([one], same, self._best_key(title, [one], same, suffix), values)
            else:
                left.append(one)
        # An entry of a viewing that is there came later: then both stay.
        new = [one for one in left if not self._found[one[0]]]
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

    def _remove_superseded(self, others: OtherKeys) -> None:
        """Remove entries of ours under superseded keys, and count those that somebody changed."""
        for key, when in self._stale.items():
            raw = self._rest.get(key)
            if key in self._claimed:
                continue
            if raw is None:
                is_new = key in self._rules.superseded and key not in self._existing
                self.merged.kept += is_new and self._is_elsewhere(key, when, others)
            elif time_of(raw) == when and key not in self._export:
                del self._rest[key]
                self.merged.removed += key in self._before
            elif key in self._rules.superseded:
                self.merged.kept += 1
        self._stale = {}

    def _is_elsewhere(self, key: str, when: str, others: OtherKeys) -> bool:
        """Return true if an entry of ours was joined with a foreign one under a better key."""
        return any(
            entry.key in self._rest
            and entry.key not in self._claimed
            and had_key(values_of(self._rest[entry.key]), entry, key)
            for entry in others.at(when)
        )
