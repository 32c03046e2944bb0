"""Find the entries and records that are one title or one viewing."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Final, TypeAlias

from ..model.items import Kind, Record
from ..model.sets import DisjointSets
from .entries import (
    Entry,
    External,
    contradict,
    epoch_of,
    is_event,
    kind_of,
    number_of,
    shown_ids,
)

__all__ = ["Numbered", "OtherKeys", "SameTitle", "is_weak", "nearest"]

Numbered: TypeAlias = tuple[int, Record]
"""A record and its position among all records."""
_Token: TypeAlias = tuple[Kind, str, str]
_WEAK: Final = ("plex:", "guid:")


class SameTitle:
    """Joins the external ids that entries and records name together.

    The rule: entries and records are one title if their ids are connected, directly or by other
    entries that name several of them. For episodes the ids are the show's, and the numbers must
    be equal, too. If a namespace has two values among the connected ids, somebody is wrong and
    nobody knows who. Then nothing of these titles is joined: every entry stays as it is, and a
    record goes under its own key. Two entries of one title are untidy, but a wrongly joined one
    is lost. Under an equal key there can be only one entry; for that case see ``overlaid``.
    """

    def __init__(self) -> None:
        self._titles: DisjointSets[_Token] = DisjointSets()
        self._doubtful: set[_Token] | None = None

    def add(self, kind: Kind, external: Iterable[tuple[str, str]]) -> None:
        """Join ids that an entry or a record names together."""
        self._doubtful = None
        tokens = [(kind, name, value) for name, value in external]
        for token in tokens:
            self._titles.join(token, tokens[0])

    def title_of(self, kind: Kind, external: External) -> object | None:
        """Return a value that is equal for ids of one title; ``None`` if it is in doubt."""
        if not external:
            return None
        if self._doubtful is None:
            self._doubtful = {
                self._titles.root(tokens[0])
                for tokens in self._titles.all()
                if contradict((name, value) for _, name, value in tokens)
            }
        root = self._titles.root((kind, *external[0]))
        return None if root in self._doubtful else root


class OtherKeys:
    """Entries by key, by time, and by external id."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        # The order of a file changes with the times in it.
        self.by_key = {entry.key: entry for entry in sorted(entries, key=attrgetter("key"))}
        self._by_time: defaultdict[str, list[Entry]] = defaultdict(list)
        self._ids: dict[tuple[str, str], set[str]] = {}
        self._has_weak = False

    def index(self, stale: Collection[str]) -> None:
        """Index the entries. The ids of those under ``stale`` keys are outdated."""
        for key, entry in self.by_key.items():
            self._by_time[entry.watched_at].append(entry)
            self._has_weak = self._has_weak or key.startswith(_WEAK)
            if entry.kind and key not in stale:
                self.add_ids(entry.kind, entry.external)

    def add_ids(self, kind: Kind, external: External) -> bool:
        """Index further ids. Return true if one of them is new."""
        is_new = False
        for name, value in external:
            values = self._ids.setdefault((kind, name), set())
            is_new = is_new or value not in values
            values.add(value)
        return is_new

    def at(self, watched_at: str) -> Sequence[Entry]:
        """Return the entries of a time."""
        return self._by_time.get(watched_at, ())

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
        for entry in self.at(when):
            if entry.key != record.key and (is_viewing or not is_event(entry.key)):
                yield entry
        if is_viewing or record.key.startswith(_WEAK):
            return
        for key in _weak_keys(record):
            older = self.by_key.get(key)
            if older and older.watched_at < when:
                yield older


def is_weak(key: str) -> bool:
    """Return true for a key by an id that is valid on one Plex server only."""
    return key.startswith(_WEAK)


def _weak_keys(record: Record) -> Iterator[str]:
    ids, number = shown_ids(record), number_of(record)
    for name, value in (("plex", ids.plex), ("guid", ids.guid)):
        if value:
            yield f"{name}:{value}{number}".lower()


def nearest(
    records: Sequence[Numbered], entries: Sequence[Entry], margin: int
) -> Iterator[tuple[Numbered, Entry]]:
    """Yield the pairs of records and entries that are one viewing, each at most once.

    They are if the time of the entry is at most ``margin`` seconds from that of the record, or
    from its play, if that is known. Nearer pairs go first, so that two viewings of ours never
    become one.
    """
    timed = sorted(
        (when, entry.key, entry)
        for entry in entries
        if (when := epoch_of(entry.watched_at)) is not None
    )
    pairs = []
    for one in records:
        number, record = one
        first, last = _span(record, margin)
        for index in range(bisect_left(timed, (first, "")), len(timed)):
            when, key, entry = timed[index]
            if when > last:
                break
            pairs.append((abs(when - record.epoch), record.epoch, number, key, one, entry))
    pairs.sort(key=itemgetter(0, 1, 2, 3))
    used: set[int | str] = set()
    for _, _, number, key, one, entry in pairs:
        if number not in used and key not in used:
            used |= {number, key}
            yield one, entry


def _span(record: Record, margin: int) -> tuple[int, int]:
    """Return the first and the last time that can be of this viewing (epoch seconds, UTC)."""
    first = last = record.epoch
    if 0 < record.begun <= record.ended:
        first, last = min(first, record.begun), max(last, record.ended)
    return first - margin, last + margin
