"""What is wrong with some rows.

Rare, as in real databases, and yet every kind of it comes up in a few thousand plays.
"""

import random
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

from tests.support.history.media import Home
from tests.support.history.people import NAMELESS_USER, User
from tests.support.history.schema import Value
from tests.support.history.truth import Outcome

_ODD = 0.04
_NAMELESS = 0.05
_BANDWIDTHS = (2000, 25_000)


class Row(NamedTuple):
    """A play that is going to be written when it ends; `turn` makes the order total."""

    ended: int
    turn: int
    started: int
    paused: int
    home: Home
    user: User
    offset: int
    outcome: Outcome


@dataclass(slots=True)
class Cells:
    """The cells of a row that are not always what they should be."""

    stopped: int | None
    user: str | None
    paused: Value
    section: Value
    offset: Value
    bandwidth: Value
    guid: str | None
    duration: Value


class Oddities:
    """Decides which rows are odd, and how."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from `rng`."""
        self._rng = rng
        # The two ways of saying nothing take turns, so that a short history has both.
        self._nothing = cycle(("", None))

    def cells(self, row: Row) -> Cells:
        """Return the cells of a row that may be odd, and rarely are."""
        rng = self._rng
        cells = Cells(
            stopped=row.ended,
            user=row.user.username,
            paused=row.paused,
            section=int(row.home.section_id),
            offset=row.offset,
            bandwidth=rng.randint(*_BANDWIDTHS),
            guid=row.home.guid,
            duration=row.home.item.duration or "",
        )
        if row.outcome == "no_duration":
            cells.duration = rng.choice(("", "", 0, None))
        if row.user.user_id == NAMELESS_USER and rng.random() < _NAMELESS:
            cells.user = None
        if rng.random() < _ODD:
            self._distort(cells, row)
        return cells

    def _distort(self, cells: Cells, row: Row) -> None:
        """Do to a row one of the things that were seen in real databases.

        None of it changes what the play was: an offset is lost only where it meant nothing.
        """
        is_work = row.home.item.kind in {"movie", "episode"}
        match self._rng.randint(1, 6):
            case 1:
                cells.stopped = 0
            case 2:
                cells.stopped = None
            case 3:
                cells.paused = None
            case 4:
                cells.paused = cells.section = cells.bandwidth = ""
            case 5 if is_work:
                cells.guid = next(self._nothing)
            case 6 if is_work and row.outcome == "partial":
                cells.offset = next(self._nothing)
            case _ if row.home.item.kind == "live":
                cells.duration = ""
