"""What a source is: batches of plays, and the little that is known about them beforehand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NewType, Protocol

from msgspec import Struct

from ..models import Details, Kind, Landmark, Play, Rejected
from ..watched import WatchedRule

__all__ = [
    "Batch",
    "Cursor",
    "Library",
    "Lookup",
    "Source",
    "User",
    "Watcher",
    "spread",
    "unsettled",
]

Cursor = NewType("Cursor", str)
"""How far a source has been read. Opaque to everybody but the source that made it."""


_SETTLED_AFTER: Final = 7 * 86_400
_CLOCKS_DIFFER: Final = 86_400
_LANDMARKS: Final = 16


def unsettled(now: int) -> tuple[int, int]:
    """Between which moments (epoch seconds, UTC) a play may still change after it ended.

    Tautulli groups plays and looks up metadata in the first days, and people mend titles. What
    lies beyond tomorrow is of a broken clock, and old.
    """
    return now - _SETTLED_AFTER, now + _CLOCKS_DIFFER


def spread(first: int, last: int) -> Sequence[int]:
    """Numbers from the first to the last row, at which to look for landmarks."""
    return (*range(first, last, max(1, (last - first) // (_LANDMARKS - 1))), last)


class Watcher(Protocol):
    """Somebody who watches plays being read: a progress bar, a test."""

    def reading(self, total: int, done: int = 0) -> None:
        """Reading begins; about ``total`` rows are there, ``done`` of them read by earlier runs."""

    def advanced(self, rows: int) -> None:
        """That many more rows were read."""


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
    settled: bool = False
    """Whether all of it, and all before it, will be the same the next time: old rows."""
    mark: int = 0
    """The sum of what stands in its rows; see ``Source.marked``."""
    details: Mapping[int, Details] = {}
    """What events tell of the plays besides, by their ids, where that was asked for."""
    numbered: bool = False
    """Whether all of its rows, and of those before it, are of those that ``marked`` counts."""


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


class Source(Protocol):
    """One Tautulli, or several overlapping backups of it."""

    @property
    def name(self) -> str:
        """What to call it in a message: a path, a URL without secrets."""

    @property
    def notices(self) -> Sequence[str]:
        """What a person should know about how it is read, one sentence each, said once."""

    @property
    def rereads(self) -> bool:
        """Whether everything had to be read again over HTTP, and ``notices`` tell why."""

    def total(self) -> int:
        """How many rows the source says it has now, for a progress bar."""

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Every row after ``after`` (all when ``None``), each exactly once.

        With ``detailed`` all that playback events tell comes with them, and the marks are those
        of ``marked(detailed=True)``.

        Raises:
            SourceUnreachableError: it cannot be read any more.
            SourceDamagedError: it is damaged or is not what it claims to be.
            BusyError: another program holds it too long.
        """

    def marked(self, upto: Cursor, *, detailed: bool = False) -> tuple[int, int] | None:
        """How many rows there are up to a cursor, and the sum of their marks, as of ``Batch``.

        Other than before when any of them was changed, deleted or put in between; with
        ``detailed`` a change does not count as long as it is the same play. ``None`` where that
        cannot be told.
        """

    def landmarks(self) -> Sequence[Landmark]:
        """A few plays by which this history is recognised, from the first to the last."""

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many of them are in it."""

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """The plays with these numbers, as far as they are there."""

    def users(self) -> Sequence[User]:
        """Everybody with a play in the history, and everybody Tautulli knows, most plays first."""

    def libraries(self) -> Sequence[Library]:
        """Every library with a play in the history or known to Tautulli, most plays first."""

    def know_everybody(self) -> None:
        """Let ``users`` tell those without plays as well, and names that no play has."""

    def know_sections(self, sections: frozenset[int]) -> None:
        """Be able to tell which plays are from these libraries, before ``batches`` is asked."""

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds in force, without repetition."""

    def lookups(self) -> Sequence[Lookup]:
        """What Tautulli's own lookup tables know; empty where there are none."""

    def close(self) -> None:
        """Let go of files, locks and private copies."""
