"""Keep every play of a history, and tell the viewings of each film and episode.

Only ``--rewatches`` needs that. A million plays take 56 MB in two arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from .judged import NOBODY, REASONS, JudgedRow, Order, Orders, percent_of
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
    owner: int
    """The user's id with ``--each-user``, else ``NOBODY``."""
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


# A play in an array: its order, user, begin, seconds played, marks and group. What belongs together
# lies together, because plays of one item are far apart and memory is slow.
_WIDTH: Final = 6
_USER: Final = 1
_GROUP: Final = 5


class EveryPlay:
    """All plays that are evidence for viewings."""

    def __init__(self, orders: Orders, *, each_user: bool, starts_count: bool) -> None:
        self._orders = orders
        self._each_user = each_user
        self._starts_count = starts_count
        self._plays = orders.column()
        self._shares = array("d")

    def add(self, rows: Sequence[JudgedRow], groups: Sequence[int | None]) -> None:
        """Add detailed rows, with the group of each."""
        dated, evident = self._orders.lowest_dated, _IS_EVIDENCE
        for row, group in zip(rows, groups, strict=True):
            order, verdict, _, user, begun, played, share, watched = row
            if group is not None and order >= dated and evident[verdict or 0]:
                marks = watched if verdict else watched | _ACCEPTED
                self._plays.extend((order, user, begun, played, marks, group))
                self._shares.append(share)

    def viewings(self, items: Sequence[int]) -> Iterator[Viewing]:
        """Yield the viewings that have an accepted play, film by film and episode by episode.

        ``items`` has the number of each group's film or episode, or -1 for none. Viewings that
        were not accepted, such as those before ``--since``, count for the numbers. Without
        ``--each-user``, all users have one count.
        """
        users: dict[int, int] = {}
        count = len(self._shares)
        numbers = [users.setdefault(user, len(users)) for user in self._plays[_USER::_WIDTH]]
        # One number for the item, the user and the place sorts faster than a tuple.
        sorted_plays = sorted(
            (item * len(users) + user) * count + place
            for place, (group, user) in enumerate(
                zip(self._plays[_GROUP::_WIDTH], numbers, strict=True)
            )
            if (item := items[group]) != _NO_ITEM
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
        order, user, begun, _, marks, group = self._at(place)
        ended = self._orders.time(order)
        if self._starts_count:
            order = self._orders.order(begun, self._orders.row_id(order))
        if marks & _ACCEPTED:
            owner = user if self._each_user else NOBODY
            found.append((order, Viewing(group, owner, order, begun, ended)))
        elif marks:
            found.append((order, None))

    def _find(self, places: Sequence[int], found: _Found) -> None:
        """Add the viewings of a user's plays of an item."""
        for viewing in viewings(list(map(self._play, places))):
            if accepted := [play for play in viewing if play.accepted]:
                best = accepted[0] if len(accepted) == 1 else max(accepted, key=self._order_of)
                order, owner = self._order_of(best), best.user if self._each_user else NOBODY
                found.append((order, Viewing(best.group, owner, order, best.begun, best.ended)))
            elif watched := [play for play in viewing if play.watched]:
                found.append((max(map(self._order_of, watched)), None))

    def _order_of(self, play: _Play) -> Order:
        return self._orders.order(play.begun if self._starts_count else play.ended, play.id)

    def _at(self, place: int) -> Sequence[int]:
        start = place * _WIDTH
        return self._plays[start : start + _WIDTH]

    def _play(self, place: int) -> _Play:
        order, user, begun, played, marks, group = self._at(place)
        return _Play(
            self._orders.row_id(order),
            begun,
            self._orders.time(order),
            played,
            _reached(self._shares[place]),
            bool(marks & _WATCHED),
            group,
            user,
            bool(marks & _ACCEPTED),
        )


def _reached(share: float) -> int:
    percent = percent_of(share)
    return UNKNOWN if percent is None else percent
