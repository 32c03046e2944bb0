"""Define the values that a source gives: batches of plays, users, libraries, lookups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NewType

from msgspec import Struct

from ..model.items import Kind
from ..model.judged import JudgedRow
from ..model.plays import Details, Play
from ..model.rejections import Rejected
from ..model.watched import WatchedRule

__all__ = [
    "Batch",
    "Cursor",
    "JudgedBatch",
    "Library",
    "Lookup",
    "ServerInfo",
    "User",
    "spread",
]

Cursor = NewType("Cursor", str)
"""A position in a source. Only the source that made it can read it."""

_SAMPLES: Final = 16


def spread(first: int, last: int) -> Sequence[int]:
    """Return evenly spread row ids from the first to the last, to take sample rows there."""
    return (*range(first, last, max(1, (last - first) // (_SAMPLES - 1))), last)


class Batch(Struct, frozen=True):
    """Some plays in the source's order, and the cursor after them."""

    plays: Sequence[Play]
    cursor: Cursor
    rule: WatchedRule
    rejected: Sequence[Rejected] = ()
    """Rows that could not become a ``Play``."""
    duplicates: int = 0
    """The number of rows that repeat a play which was already read from another database."""
    recovered: Sequence[Rejected] = ()
    """Rows that earlier batches rejected, and that this batch has whole."""
    source: str = ""
    """The file or server that the rows are from, for the report."""
    checksum: int = 0
    """The sum of its rows' checksums in a detailed batch, else 0; see ``Source.checksum``."""
    details: Mapping[int, Details] = {}
    """The details for playback events, by row id. Only a detailed batch has them."""
    numbered: bool = False
    """True if ``Source.checksum`` counts all of its rows and all rows before them."""

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.plays) + len(self.rejected) + self.duplicates


class JudgedBatch(Struct, frozen=True):
    """Some rows, judged for items, in the source's order. See ``Batch`` for the other fields."""

    rows: Sequence[JudgedRow]
    rejected: Sequence[Rejected] = ()
    duplicates: int = 0
    recovered: Sequence[Rejected] = ()
    source: str = ""

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.rows) + len(self.rejected) + self.duplicates


class User(Struct, frozen=True):
    """A user of Tautulli. Any of the three names identifies them."""

    user_id: int | None
    """``None`` for plays whose rows have lost the id. ``username`` is what those rows say."""
    username: str
    friendly_name: str
    plays: int
    deleted: bool = False

    @property
    def name(self) -> str:
        """The name that Tautulli shows: the friendly name, else the username, else the id."""
        unnamed = "unknown" if self.user_id is None else str(self.user_id)
        return self.friendly_name or self.username or unnamed


class Library(Struct, frozen=True):
    """A library of the Plex server, as Tautulli knows it."""

    section_id: int
    name: str
    section_type: str
    plays: int
    deleted: bool = False


class Lookup(Struct, frozen=True):
    """An answer of TheMovieDB or TVmaze that Tautulli has stored."""

    kind: Kind
    rating_key: int
    titles: tuple[str, ...]
    """The title on the other site, and the original one. Empty if Tautulli has not stored them."""
    ids: tuple[tuple[str, str], ...]
    date: str = ""
    """The release or first air day on the other site (``YYYY-MM-DD``). Empty if unknown."""


class ServerInfo(Struct, frozen=True):
    """Facts about a history from Tautulli's API, besides its rows."""

    rule: WatchedRule
    name: str
    """The name of the source in messages. The path of the file would tell a person nothing."""
    notices: Sequence[str] = ()
    missing: Sequence[Rejected] = ()
    """Rows of the history that cannot be fetched."""
    libraries: Sequence[Library] | None = None
    """``None`` if every row has its library."""
    rereads: bool = False
    """True if everything had to be fetched again. ``notices`` say why."""
