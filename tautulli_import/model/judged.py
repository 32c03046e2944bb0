"""Define a row as a source judges it for items: a few values, most of them numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from .rejections import Reason

__all__ = ["ODD", "REASONS", "UNSURE", "JudgedRow"]

JudgedRow: TypeAlias = tuple[Any, ...]
"""Its id, the verdict, the time of the play, and what was played.

The verdict is a place in ``REASONS``; an accepted row has ``None`` or ``UNSURE``. The time is when
the play stopped, else when it started (epoch seconds, UTC), or 0 without a possible time. What was
played is a JSON text (bytes), or ``None`` if it is no film or episode.

A detailed row goes on with the user's id (-1 without one), the time it began, the seconds that
were played and the position at the end in percent (both -1 if unknown), and 1 if it is watched.
"""

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
