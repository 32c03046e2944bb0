"""Define a row as a source judges it for items: a few values, most of them numbers."""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from .rejections import Reason

__all__ = [
    "NOBODY",
    "ODD",
    "REASONS",
    "UNKNOWN_SHARE",
    "UNSURE",
    "USUAL",
    "DetailedRow",
    "JudgedRow",
    "Order",
    "Orders",
    "orders_of",
    "percent_of",
]

Order: TypeAlias = int
"""The time of a play and its row id in one number. That of the newer play is greater."""


class Orders(Struct, frozen=True):
    """Makes one number of a time (epoch seconds, UTC) and a row id, and takes it apart."""

    bits: int = 31
    """The bits of the row id. With the 32 of a time up to 2106 the number fits into 64 bits."""
    lowest: int = 0
    """The lowest row id."""

    @property
    def is_usual(self) -> bool:
        """Return true if every number fits into 64 bits."""
        return self.bits < 64

    @property
    def lowest_dated(self) -> Order:
        """Return the lowest number of a play with a time."""
        return 1 << self.bits

    def column(self) -> MutableSequence[Order]:
        """Return an empty column for such numbers, as small as possible."""
        return array("q") if self.is_usual else []

    def order(self, when: int, row_id: int) -> Order:
        """Return the number of a play. A play without a time comes before all others."""
        return when << self.bits | row_id - self.lowest

    def time(self, order: Order) -> int:
        """Return the time (epoch seconds, UTC)."""
        return order >> self.bits

    def row_id(self, order: Order) -> int:
        """Return the row id."""
        return (order & (1 << self.bits) - 1) + self.lowest


NOBODY: Final = -1
"""The user of plays that name none."""
UNKNOWN_SHARE: Final = 999.5
"""From here on it is no percentage. Without a length Tautulli's API tells thousands."""

USUAL: Final = Orders()
_WIDE: Final = Orders(64, -(1 << 63))


def orders_of(first: int, last: int) -> Orders:
    """Return how to make orders of these first and last row ids, and those between them."""
    return USUAL if first >= 0 and last < 1 << USUAL.bits else _WIDE


JudgedRow: TypeAlias = tuple[Any, ...]
"""The order of the play, the verdict, and what was played.

The time in the order is when the play stopped, else when it started, or 0 without a possible time.
The verdict is a place in ``REASONS``; an accepted row has ``None`` or ``UNSURE``. What was played
is a JSON text (bytes), or ``None`` if it is no film or episode. A detailed row is a
``DetailedRow``.
"""


class DetailedRow(NamedTuple):
    """The values of a detailed row. A row itself is a plain tuple, because there are so many."""

    order: Order
    verdict: int | None
    what: bytes | None
    user: int = NOBODY
    """The user's id, or ``NOBODY``."""
    begun: int = 0
    """The time it began (epoch seconds, UTC)."""
    played: int = -1
    """The seconds that were played, or -1 if unknown."""
    share: float = UNKNOWN_SHARE
    """The position at the end in percent, not rounded; ``UNKNOWN_SHARE`` or more if unknown."""
    watched: int = 0
    """1 if it is watched."""

    @property
    def percent(self) -> int | None:
        """Return the position at the end in whole percent from 0 to 100, ``None`` if unknown."""
        return percent_of(self.share)


def percent_of(share: float) -> int | None:
    """Return a share in whole percent from 0 to 100, or ``None`` if it is unknown.

    Python rounds it as Tautulli does.
    """
    return None if share >= UNKNOWN_SHARE else min(max(round(share), 0), 100)


UNSURE: Final = 0
"""The verdict of an accepted row that lacks a title and a key, a show, or one of the numbers."""
ODD: Final = -1
"""No verdict yet: the row has values of odd types. A source never gives such a row away."""
REASONS: Final[Sequence[Reason | None]] = (
    None,
    Reason.NO_METADATA,
    Reason.NO_METADATA,
    Reason.MEDIA_TYPE,
    Reason.LIVE,
    Reason.USER,
    Reason.LIBRARY,
    Reason.DATE,
    Reason.PARTIAL,
    Reason.IMPOSSIBLE_TIME,
    Reason.NO_TIME,
)
"""The reason of each verdict. Of the two for missing metadata the second is for media info."""
