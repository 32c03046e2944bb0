"""Find the entries that could be the title or viewing of a record, but have another key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from ..model.items import Record
from .entries import Entry, is_event, kind_of, number_of, shown_ids

__all__ = ["OtherKeys"]

_WEAK: Final = ("plex:", "guid:")


class OtherKeys:
    """Entries by key, by time, and by external id."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_key = {entry.key: entry for entry in entries}
        self._by_time: defaultdict[str, list[Entry]] = defaultdict(list)
        self._ids: dict[tuple[str, str], set[str]] = {}
        self._has_weak = False

    def index(self, stale: Collection[str]) -> None:
        """Index the entries. The ids of those under ``stale`` keys are outdated."""
        for key, entry in self.by_key.items():
            self._by_time[entry.watched_at].append(entry)
            self._has_weak = self._has_weak or key.startswith(_WEAK)
            if entry.kind and key not in stale:
                for name, value in entry.external:
                    self._ids.setdefault((entry.kind, name), set()).add(value)

    def has_time_or_key(self, record: Record) -> bool:
        """Return true if an entry has the time of a record, or its key."""
        return record.item.watched_at in self._by_time or record.key in self.by_key

    def may_join(self, record: Record) -> bool:
        """Return true if some of the entries must be compared with a record."""
        if self.has_time_or_key(record):
            return True
        kind, ids = kind_of(record), shown_ids(record)
        for (of, name), values in self._ids.items():
            if of == kind and (value := getattr(ids, name)) and value.lower() in values:
                return True
        return self._has_weak and any(key in self.by_key for key in _weak_keys(record))

    def near(self, record: Record) -> Iterator[Entry]:
        """Yield the entries of the same time, and older ones under ids of the Plex server."""
        when = record.item.watched_at
        is_viewing = is_event(record.key)
        for entry in self._by_time.get(when, ()):
            if entry.key != record.key and (is_viewing or not is_event(entry.key)):
                yield entry
        if is_viewing or record.key.startswith(_WEAK):
            return
        for key in _weak_keys(record):
            older = self.by_key.get(key)
            if older and older.watched_at < when:
                yield older


def _weak_keys(record: Record) -> Iterator[str]:
    ids, number = shown_ids(record), number_of(record)
    for name, value in (("plex", ids.plex), ("guid", ids.guid)):
        if value:
            yield f"{name}:{value}{number}".lower()
