"""Decide which records and entries of one title are one viewing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TypeAlias

from ..model.items import Record
from .entries import Entry, epoch_of

__all__ = ["Numbered", "nearest"]

Numbered: TypeAlias = tuple[int, Record]
"""A record and its position among all records."""


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
