"""Values that travel from a source: batches of plays, users, libraries, lookups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NewType

from msgspec import Struct

from ..model.items import Kind
from ..model.plays import Details, Play
from ..model.rejections import Rejected
from ..model.watched import WatchedRule

__all__ = [
    "Batch",
    "Cursor",
    "Library",
    "Lookup",
    "User",
    "spread",
]

Cursor = NewType("Cursor", str)
"""How far a source has been read. Opaque to everybody but the source that made it."""


_LANDMARKS: Final = 16


def spread(first: int, last: int) -> Sequence[int]:
    """Return row ids from the first to the last at which to look for sample rows."""
    return (*range(first, last, max(1, (last - first) // (_LANDMARKS - 1))), last)


class Batch(Struct, frozen=True):
    """Some plays, in the source's order, and where to go on after them."""

    plays: Sequence[Play]
    cursor: Cursor
    rule: WatchedRule
    rejected: Sequence[Rejected] = ()
    """Rows that were read and could not even become a ``Play``."""
    duplicates: int = 0
    """Rows that are the same play as one already read from another database."""
    recovered: Sequence[Rejected] = ()
    """Rows of earlier batches, rejected there, that this one has whole."""
    source: str = ""
    """Which file or server the rows are from, for the report."""
    checksum: int = 0
    """The checksum of its rows, where details were asked for; see ``Source.marked``."""
    details: Mapping[int, Details] = {}
    """What events need besides the plays, by row id, where that was asked for."""
    numbered: bool = False
    """Whether ``marked`` counts all of its rows, and all rows before them."""


class User(Struct, frozen=True):
    """Somebody whose plays are in the history, known by any of three names."""

    user_id: int
    username: str
    friendly_name: str
    plays: int
    deleted: bool = False

    @property
    def name(self) -> str:
        """What Tautulli shows: the friendly name, else the username, else the number."""
        return self.friendly_name or self.username or str(self.user_id)


class Library(Struct, frozen=True):
    """A section of the Plex server, as far as Tautulli still knows it."""

    section_id: int
    name: str
    section_type: str
    plays: int
    deleted: bool = False


class Lookup(Struct, frozen=True):
    """One answer that Tautulli itself once got from TheMovieDB or TVmaze and kept."""

    kind: Kind
    rating_key: int
    titles: tuple[str, ...]
    """As the other site has it, and in its own language; empty when it was not kept."""
    ids: tuple[tuple[str, str], ...]
