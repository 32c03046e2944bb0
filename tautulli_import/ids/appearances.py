"""Gather the groups of plays in which a film or show appears in the same way.

A show has hundreds of episodes, and its episodes say the same of it again and again. So films and
shows are told apart by their few appearances, and episodes are looked into only where they decide.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from ..model.groups import Newest, PlayGroups
from ..model.guids import PER_SEASON, movie_ids, plex_guid, show_ids
from ..model.items import Kind
from ..model.played import Played, PlayedEpisode, PlayedMovie
from .titles import folded

__all__ = ["Appearance", "Appearances", "appearances_of"]


class Appearance:
    """A film or show under one rating key, as some rows name it: the title, and ids in GUIDs.

    Of a film it is one group of plays. Of a show it has the groups of all episodes whose GUIDs
    tell the same of the show. ``played`` is one of them. ``first`` and ``newest`` are the times of
    the oldest and the newest play (epoch seconds, UTC), ``newest_id`` is the row id of that one.
    """

    __slots__ = ("_all", "accepted", "first", "ids", "last", "newest", "newest_id", "played")

    def __init__(self, every: _Groups, played: Played, group: int) -> None:
        self._all = every
        self.last = group
        """The group that was read last."""
        self.played = played
        plays = every.plays
        self.first = plays.first[group]
        self.newest = plays.newest[group]
        self.newest_id = plays.newest_id[group]
        self.accepted = plays.accepted[group]
        """The number of accepted plays."""
        ids = movie_ids(played.guid) if played.kind == "movie" else show_ids(played.guid)
        self.ids = tuple(ids.items())
        """The external ids in the GUIDs, by namespace."""

    @property
    def kind(self) -> Kind:
        """Return the kind."""
        return self.played.kind

    @property
    def key(self) -> int | None:
        """Return the rating key, or ``None``."""
        return self.played.work_key or None

    @property
    def title(self) -> str:
        """Return the title, folded for comparison."""
        return folded(self.played.work_title)

    @property
    def order(self) -> Newest:
        """Sort by time, then by row id: the newest appearance is the greatest."""
        return self.newest, self.newest_id

    @property
    def guid(self) -> str:
        """Return the ``plex://`` GUID of a film in lower case. No row has that of a show."""
        found = plex_guid(self.played.guid, "movie") if self.kind == "movie" else None
        return (found or "").lower()

    @property
    def groups(self) -> Iterator[int]:
        """Yield the groups of plays, the one that was read last first."""
        group = self.last
        while group >= 0:
            yield group
            group = self._all.before[group]

    @property
    def episodes(self) -> Iterator[tuple[int, PlayedEpisode]]:
        """Yield the groups of a show's episodes with what was played."""
        for group in self.groups:
            played = self._all.plays[group]
            if isinstance(played, PlayedEpisode):
                yield group, played

    @property
    def all_groups(self) -> PlayGroups:
        """Return the groups of the whole history."""
        return self._all.plays


class _Groups:
    """The groups of a history, and for each the one before it in its appearance."""

    __slots__ = ("before", "plays")

    def __init__(self, plays: PlayGroups) -> None:
        self.plays = plays
        self.before = array("i", [-1]) * len(plays)


class Appearances(Struct, frozen=True):
    """The appearances of all films and shows of a history."""

    all: Sequence[Appearance]
    sharing: Collection[Appearance]
    """Those of shows that have the ``plex://`` GUID of an episode in common with another one."""


def appearances_of(plays: PlayGroups) -> Appearances:
    """Return the appearances of all films and shows. A group is in one of them."""
    every = _Groups(plays)
    before = every.before
    first, newest, newest_id, accepted = plays.first, plays.newest, plays.newest_id, plays.accepted
    found: list[Appearance] = []
    shows: dict[object, Appearance] = {}
    holders: dict[int, Appearance] = {}  # by the hash of a GUID: a wrong candidate does no harm
    sharing: dict[Appearance, None] = {}
    for group, played in enumerate(plays):
        if isinstance(played, PlayedMovie):
            one = Appearance(every, played, group)
            found.append(one)
            plays.number(None, None)
            continue
        plays.number(played.season, played.episode)
        guid = played.guid or ""
        is_plex = guid[:7].lower() == "plex://"
        place = _place(played, is_plex=is_plex)
        known = shows.get(place)
        if known is None:
            known = shows[place] = Appearance(every, played, group)
            found.append(known)
        else:
            before[group], known.last = known.last, group
            if (when := first[group]) and (when < known.first or not known.first):
                known.first = when
            when = newest[group]
            if when > known.newest or (when == known.newest and newest_id[group] > known.newest_id):
                known.newest, known.newest_id = when, newest_id[group]
            known.accepted += accepted[group]
        if is_plex and (other := holders.setdefault(hash(guid.lower()), known)) is not known:
            sharing[other] = sharing[known] = None
    return Appearances(found, sharing.keys())


def _place(played: PlayedEpisode, *, is_plex: bool) -> object:
    """Return what all episodes of one appearance of a show have in common."""
    key, title = played.grandparent_rating_key, played.grandparent_title
    if is_plex and key:
        return key, title, played.live
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
