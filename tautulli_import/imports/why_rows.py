"""Find the films, shows and rows that ``why`` was asked about, and what became of each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from ..ids.titles import folded
from ..ids.works import Work
from ..items.build import newest_under
from ..items.keyed import base_keys
from ..items.pipeline import ReadResult
from ..model.items import EXTERNAL
from ..model.judged import REASONS, DetailedRow
from ..model.rejections import Reason
from ..model.selection import Selection
from ..sources.database.source import Source

__all__ = ["Outcome", "Row", "Rows", "Search", "Subject"]

Outcome: TypeAlias = Literal["imported", "merged", "left out", "rejected"]


class Subject(Struct, frozen=True):
    """Works that are one title in the output, because they have the same key."""

    works: Sequence[Work]
    """The newest first."""
    groups: Collection[int]
    """The groups of its plays."""
    shown: Collection[int] | None = None
    """The groups that were asked for; ``None`` for all."""
    row: int | None = None
    """The row that was asked for."""


class Row(Struct, frozen=True):
    """A judged row, and what became of it."""

    id: int
    ended: int
    """The time when it counts as watched (epoch seconds, UTC), or 0."""
    judged: DetailedRow
    source: str
    group: int | None
    outcome: Outcome
    reason: Reason | None = None
    key: str | None = None
    item: tuple[int, int] | None = None
    """The time and the row id of the newest play of its item."""


class Search:
    """Finds films and shows in what was read."""

    def __init__(self, result: ReadResult) -> None:
        self._result = result
        self._works = result.identified.works
        self._same_key: defaultdict[object, list[Work]] = defaultdict(list)
        for work in self._works:
            self._same_key[_key_of(work)].append(work)

    def called(self, asked: str) -> list[Subject]:
        """Return the films and shows that have, or once had, this title."""
        title = folded(asked)
        return self._subjects([work for work in self._works if title in work.titles])

    def containing(self, asked: str) -> list[Subject]:
        """Return those with a title that contains this text, else those with such an episode."""
        part = folded(asked)
        found = [work for work in self._works if any(part in title for title in work.titles)]
        if found:
            return self._subjects(found)
        groups = {
            group
            for work in self._works
            for one in work.appearances
            for group, played in one.episodes
            if part in folded(played.title)
        }
        return self._subjects(self._with(groups), groups)

    def of_row(self, row: int, groups: Collection[int]) -> list[Subject]:
        """Return the film or show that a row is of."""
        return self._subjects(self._with(groups), groups, row)

    def _with(self, groups: Collection[int]) -> list[Work]:
        if not groups:
            return []
        return [
            work
            for work in self._works
            if any(group in groups for one in work.appearances for group in one.groups)
        ]

    def _subjects(
        self, works: Iterable[Work], shown: Collection[int] | None = None, row: int | None = None
    ) -> list[Subject]:
        found = []
        for key in dict.fromkeys(map(_key_of, works)):
            same = sorted(self._same_key[key], key=lambda work: work.newest.order, reverse=True)
            groups = {group for w in same for one in w.appearances for group in one.groups}
            found.append(Subject(same, groups, shown, row))
        return sorted(found, key=lambda one: one.works[0].newest.order, reverse=True)


def _key_of(work: Work) -> object:
    """Return what works have in common that are one title in the output."""
    for site in EXTERNAL:
        if site in work.ids:
            return work.kind, site, work.ids[site].value
    return work


class Rows:
    """The judged rows of some films and shows, and what became of each."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        result: ReadResult,
        subjects: Sequence[Subject],
        number: int | None,
    ) -> None:
        self.source = source
        self._result = result
        self._groups = {group for one in subjects for group in one.groups}
        works = dict.fromkeys(work for one in subjects for work in one.works)
        self._keys = dict(base_keys(list(works), result.groups))
        bases = {key.rpartition("#")[0] for key in self._keys.values()} | {*self._keys.values()}
        self._items = newest_under(result, bases)
        self._rejected = {(row.source, row.id): row for row in result.rejected}
        self._all: list[Row] = []
        self._number = number
        self._starts_count = selection.watched_at == "started"
        find, orders = result.groups.find, result.groups.orders
        for batch in source.judged(selection, detailed=True):
            for judged in map(DetailedRow._make, batch.rows):
                group = None if judged.what is None else find(judged.what)
                if orders.row_id(judged.order) == number or group in self._groups:
                    self._all.append(self._row(judged, batch.source, group))
        self._of_group: defaultdict[int | None, list[Row]] = defaultdict(list)
        for row in self._all:
            self._of_group[row.group].append(row)

    def of(self, groups: Collection[int]) -> Sequence[Row]:
        """Return the rows of some groups, the newest first."""
        found = [row for group in groups for row in self._of_group.get(group, ())]
        return sorted(found, key=lambda row: row.judged.order, reverse=True)

    def without_title(self) -> Sequence[Row]:
        """Return the rows with the number that was asked for that are of no film or show."""
        known = {(row.source, row.id) for row in self._all}
        unusable = [
            Row(row.id, 0, DetailedRow(0, 0, None), row.source, None, "rejected", row.reason)
            for place, row in self._rejected.items()
            if row.id is not None and row.id == self._number and place not in known
        ]
        return [row for row in self._all if row.group not in self._groups] + unusable

    def _row(self, judged: DetailedRow, source: str, group: int | None) -> Row:
        orders = self._result.groups.orders
        row_id, ended = orders.row_id(judged.order), orders.time(judged.order)
        reason = REASONS[judged.verdict] if judged.verdict else None
        rejected = self._rejected.get((source, row_id))
        if reason is None and rejected is not None:
            reason = rejected.reason
        if reason is not None:
            outcome: Outcome = "rejected" if reason.rejects else "left out"
            return Row(row_id, ended, judged, source, group, outcome, reason)
        key = self._keys.get(-1 if group is None else group)
        newest = self._items.get(key or "")
        item = None if newest is None else (orders.time(newest), orders.row_id(newest))
        is_newest = item == (judged.begun if self._starts_count else ended, row_id)
        outcome = "imported" if is_newest else "merged"
        return Row(row_id, ended, judged, source, group, outcome, None, key, item)
