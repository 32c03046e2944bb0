"""Gather the groups of plays in which a film or show appears in the same way.

A show has hundreds of episodes, and its episodes say the same of it again and again. So films and
shows are told apart by their few appearances, and episodes are looked into only where they decide.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from ..model.groups import PlayGroups
from ..model.guids import PER_SEASON, movie_ids, plex_guid, show_ids
from ..model.items import Kind
from ..model.played import Played, PlayedEpisode, PlayedMovie
from .titles import folded

__all__ = ["Appearance", "Appearances", "appearances_of"]


class Appearance:
    """A film or show under one rating key, as some rows name it: the title, and ids in GUIDs.

    Of a film it is one group of plays. Of a show it has the groups of all episodes whose GUIDs
    tell the same of the show. ``played`` is one of them.
    """

    __slots__ = (
        *("_groups", "_plays", "accepted", "guid", "ids", "key", "kind", "oldest", "order"),
        *("played", "title"),
    )

    def __init__(
        self, plays: PlayGroups, played: Played, group: int, others: Sequence[int] = ()
    ) -> None:
        """Gather the plays of ``group``, and of ``others`` after it, which were read before."""
        self._plays = plays
        self.played = played
        self._groups = array("i", (group, *others)) if others else group
        self.kind: Kind = played.kind
        self.key = played.work_key or None
        """The rating key, or ``None``."""
        self.title = folded(played.work_title)
        """The title, folded for comparison."""
        self.oldest = plays.first[group]
        """The order of the oldest play with a time."""
        self.order = plays.newest[group]
        """The order of the newest play: the newest appearance has the greatest."""
        self.accepted = plays.accepted[group]
        """The number of accepted plays."""
        if others:
            groups, dated = self.groups, plays.orders.lowest_dated
            oldest = [order for group in groups if (order := plays.first[group]) >= dated]
            self.oldest = min(oldest, default=self.oldest)
            self.order = max(map(plays.newest.__getitem__, groups))
            self.accepted = sum(map(plays.accepted.__getitem__, groups))
        self.guid = ""
        """The ``plex://`` GUID of a film in lower case. No row has that of a show."""
        self.ids: tuple[tuple[str, str], ...] = ()
        """The external ids in the GUIDs, by namespace."""
        guid = played.guid
        if self.kind == "show":
            self.ids = tuple(show_ids(guid).items())
        elif (found := plex_guid(guid, "movie")) is not None:
            self.guid = found if found.islower() else found.lower()  # the same text, if possible
        else:
            self.ids = tuple(movie_ids(guid).items())

    @property
    def groups(self) -> Sequence[int]:
        """Return the groups of plays, the one that was read last first."""
        groups = self._groups
        return (groups,) if isinstance(groups, int) else groups

    @property
    def first(self) -> int:
        """Return the time of the oldest play (epoch seconds, UTC)."""
        return self._plays.orders.time(self.oldest)

    @property
    def newest(self) -> int:
        """Return the time of the newest play (epoch seconds, UTC)."""
        return self._plays.orders.time(self.order)

    @property
    def newest_id(self) -> int:
        """Return the row id of the newest play."""
        return self._plays.orders.row_id(self.order)

    @property
    def episodes(self) -> Iterator[tuple[int, PlayedEpisode]]:
        """Yield the groups of a show's episodes with what was played."""
        for group in self.groups:
            played = self._plays[group]
            if isinstance(played, PlayedEpisode):
                yield group, played

    @property
    def all_groups(self) -> PlayGroups:
        """Return the groups of the whole history."""
        return self._plays


class Appearances(Struct, frozen=True):
    """The appearances of all films and shows of a history."""

    all: Sequence[Appearance]
    sharing: Collection[Appearance]
    """Those of shows that have the ``plex://`` GUID of an episode in common with another one."""


def appearances_of(plays: PlayGroups) -> Appearances:
    """Return the appearances of all films and shows. A group is in one of them."""
    found: list[Appearance] = []
    last: dict[object, int] = {}
    """The last group of each appearance of a show, by what its groups have in common."""
    before = array("i", [-1]) * len(plays)
    """For each group the one before it in its appearance."""
    holders: dict[int, object] = {}  # by the hash of a GUID: a wrong candidate does no harm
    sharing: dict[object, None] = {}
    for group, played in enumerate(plays.numbered()):
        if isinstance(played, PlayedMovie):
            found.append(Appearance(plays, played, group))
            continue
        guid = played.guid or ""
        is_plex = guid.startswith("plex://") or guid[:7].lower() == "plex://"
        place: object = played.grandparent_rating_key, played.grandparent_title, played.live
        if not (is_plex and played.grandparent_rating_key):
            place = _place(played)
        before[group] = last.get(place, -1)
        last[place] = group
        if is_plex and (other := holders.setdefault(hash(guid.lower()), place)) != place:
            sharing[other] = sharing[place] = None
    holders.clear()
    shows: dict[object, Appearance] = {}
    for place, group in last.items():
        others = []
        other = before[group]
        while other >= 0:
            others.append(other)
            other = before[other]
        shows[place] = Appearance(plays, plays[others[-1] if others else group], group, others)
    return Appearances([*found, *shows.values()], {shows[place] for place in sharing})


def _place(played: PlayedEpisode) -> object:
    """Return what all episodes of one appearance of a show have in common.

    It is less for those with a key and a ``plex://`` GUID, which says nothing of the show.
    """
    key, title = played.grandparent_rating_key, played.grandparent_title
    return key, title, played.live, _of_show(played.guid) if key or title else played.guid


def _of_show(guid: str | None) -> str:
    """Return the part of an episode's GUID that is of its show."""
    if not guid:
        return ""
    if guid.startswith(("plex://", "local://")):
        return guid[:5]
    end = guid.find("/", guid.find("://") + 3) + 1
    if not end:
        return guid.partition("?")[0]
    series = guid[:end]
    if not _is_per_season(series):
        return series
    return series + guid[end:].partition("?")[0].partition("/")[0]


@lru_cache(maxsize=8192)
def _is_per_season(series: str) -> bool:
    """Return true if the site of a show's id has an entry for each season."""
    return not PER_SEASON.isdisjoint(show_ids(f"{series}1/1"))
