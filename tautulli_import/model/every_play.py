"""Keep every play of a history, and tell the viewings of each film and episode.

Only ``--rewatches`` needs that. A million plays take 40 MB in columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, MutableSequence, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from .judged import REASONS, JudgedRow, Order, Orders, percent_of
from .rejections import Reason
from .viewings import UNKNOWN, Evidence, viewings

__all__ = ["EveryPlay", "Viewing"]

_WATCHED: Final = 1
_ACCEPTED: Final = 2
# These plays are of another user or no evidence of a film or episode in the library.
_NO_EVIDENCE: Final = frozenset({Reason.USER, Reason.LIVE, Reason.NO_TIME, Reason.IMPOSSIBLE_TIME})
_IS_EVIDENCE: Final = [reason not in _NO_EVIDENCE for reason in REASONS]
_NO_ITEM: Final = -1
_TIME: Final = itemgetter(0)


class Viewing(NamedTuple):
    """A viewing that will be imported. Times are epoch seconds, UTC."""

    group: int
    """The group of its newest accepted play."""
    owner: int | None
    """The user's id with ``--each-user``."""
    order: Order
    """The order of that play."""
    begun: int
    """The time when that play began."""
    ended: int
    """The time when that play ended."""
    number: int = 1
    """1 for the first viewing of the film or episode in the whole history."""


_Found: TypeAlias = list[tuple[Order, Viewing | None]]
"""The viewings of one film or episode; ``None`` for one that is watched, but not accepted."""


class _Play(Evidence, frozen=True, gc=False):
    group: int
    user: int
    accepted: bool


class EveryPlay:
    """All plays that are evidence for viewings."""

    def __init__(self, orders: Orders, *, each_user: bool, starts_count: bool) -> None:
        self._orders = orders
        self._each_user = each_user
        self._starts_count = starts_count
        self._order: MutableSequence[Order] = array("q") if orders.is_usual else []
        self._group, self._user, self._begun = array("i"), array("q"), array("q")
        self._played, self._share, self._marks = array("q"), array("d"), array("b")

    def add(self, rows: Sequence[JudgedRow], groups: Sequence[int | None]) -> None:
        """Add detailed rows, with the group of each."""
        dated, evident = self._orders.order(1, self._orders.lowest), _IS_EVIDENCE
        chosen = [
            (*row, group)
            for row, group in zip(rows, groups, strict=True)
            if group is not None and row[0] >= dated and evident[row[1] or 0]
        ]
        if not chosen:
            return
        order, verdict, _, user, begun, played, share, watched, group = zip(*chosen, strict=True)
        self._order.extend(order)
        self._group.extend(group)
        self._user.extend(user)
        self._begun.extend(begun)
        self._played.extend(played)
        self._share.extend(share)
        self._marks.extend(
            [one if why else one | _ACCEPTED for one, why in zip(watched, verdict, strict=True)]
        )

    def viewings(self, items: Sequence[int]) -> Iterator[Viewing]:
        """Yield the viewings that have an accepted play, film by film and episode by episode.

        ``items`` has the number of each group's film or episode, or -1 for none. Viewings that
        were not accepted, such as those before ``--since``, count for the numbers. Without
        ``--each-user``, all users have one count.
        """
        users: dict[int, int] = {}
        count = len(self._order)
        numbers = [users.setdefault(user, len(users)) for user in self._user]
        # One number for the item, the user and the place sorts faster than a tuple.
        sorted_plays = sorted(
            (items[group] * len(users) + user) * count + place
            for place, (group, user) in enumerate(zip(self._group, numbers, strict=True))
            if items[group] != _NO_ITEM
        )
        owners = array("q", map(count.__rfloordiv__, sorted_plays))
        places = array("q", map(count.__rmod__, sorted_plays))
        del sorted_plays
        found: _Found = []
        item, start = _NO_ITEM, 0
        for end in range(1, len(owners) + 1):
            owner = owners[start]
            if end < len(owners) and owners[end] == owner:
                continue
            if self._each_user or owner // len(users) != item:
                yield from self._numbered(found)
                found, item = [], owner // len(users)
            if end - start == 1:  # as most
                self._find_one(places[start], found)
            else:
                self._find(places[start:end], found)
            start = end
        yield from self._numbered(found)

    def _numbered(self, found: _Found) -> Iterator[Viewing]:
        """Yield the accepted ones in ascending order, with their numbers."""
        if len(found) == 1:
            if (only := found[0][1]) is not None:
                yield only
            return
        found.sort(key=_TIME)
        number, before, time = 0, -1, self._orders.time
        for order, viewing in found:
            when = time(order)
            number += when != before  # viewings at one time are one record
            before = when
            if viewing is not None:
                yield viewing if number == 1 else viewing._replace(number=number)

    def _find_one(self, place: int, found: _Found) -> None:
        """Add the viewing of a user's only play of an item."""
        order, begun, marks = self._order[place], self._begun[place], self._marks[place]
        ended = self._orders.time(order)
        if self._starts_count:
            order = self._orders.order(begun, self._orders.row_id(order))
        if marks & _ACCEPTED:
            owner = self._user[place] if self._each_user else None
            found.append((order, Viewing(self._group[place], owner, order, begun, ended)))
        elif marks:
            found.append((order, None))

    def _find(self, places: Sequence[int], found: _Found) -> None:
        """Add the viewings of a user's plays of an item."""
        for viewing in viewings(self._plays(places)):
            if accepted := [play for play in viewing if play.accepted]:
                best = accepted[0] if len(accepted) == 1 else max(accepted, key=self._order_of)
                order, owner = self._order_of(best), best.user if self._each_user else None
                found.append((order, Viewing(best.group, owner, order, best.begun, best.ended)))
            elif watched := [play for play in viewing if play.watched]:
                found.append((max(map(self._order_of, watched)), None))

    def _order_of(self, play: _Play) -> Order:
        return self._orders.order(play.begun if self._starts_count else play.ended, play.id)

    def _plays(self, places: Sequence[int]) -> list[_Play]:
        orders = [self._order[place] for place in places]
        marks = [self._marks[place] for place in places]
        found = map(
            _Play,
            map(self._orders.row_id, orders),
            [self._begun[place] for place in places],
            map(self._orders.time, orders),
            [self._played[place] for place in places],
            [_reached(self._share[place]) for place in places],
            [bool(mark & _WATCHED) for mark in marks],
            [self._group[place] for place in places],
            [self._user[place] for place in places],
            [bool(mark & _ACCEPTED) for mark in marks],
        )
        return list(found)


def _reached(share: float) -> int:
    percent = percent_of(share)
    return UNKNOWN if percent is None else percent
