"""Build the records of watched plays, one for each canonical key."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import groupby
from typing import Final, overload

from ..ids.works import Work
from ..model.clock import watched_at
from ..model.groups import PlayGroups
from ..model.items import Episode, Item, Kind, Movie, Origin, Record
from ..model.judged import NOBODY, Order
from ..model.keys import episode_key, event_key
from ..model.played import Played, PlayedEpisode
from .keyed import KeptPlays
from .pipeline import ReadResult

__all__ = ["Records", "newest_under", "records_of"]

_PLACE_BITS: Final = 32


def records_of(
    result: ReadResult,
    *,
    every_viewing: bool,
    user_id: int | None = None,
    user: str | None = None,
) -> Records:
    """Return the records, in ascending ``watched_at`` order, each key once.

    With ``--each-user``, ``user_id`` and ``user`` are the id and the name of one user.
    """
    return Records(result, every_viewing=every_viewing, user_id=user_id, user=user)


class Records(Sequence[Record]):
    """The records of one output. Each is built when it is asked for, to save memory.

    They are in ascending ``watched_at`` order (ties by row id, then key). CrossWatch needs this
    order: a sync without rewatches keeps the last entry of a title.
    """

    def __init__(
        self, result: ReadResult, *, every_viewing: bool, user_id: int | None, user: str | None
    ) -> None:
        self._groups = result.groups
        self._kept = result.kept
        self.every_viewing = every_viewing
        self._user = user
        self._order = _ordered(result, every_viewing=every_viewing, user_id=user_id)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return list(self.at(range(*index.indices(len(self)))))
        place = self._order[index]
        return self._record(place, self._groups[self._kept.group[place]])

    def __iter__(self) -> Iterator[Record]:
        groups = array("i", map(self._kept.group.__getitem__, self._order))
        played = self._groups.of(groups)
        return map(self._record, self._order, played)

    def at(self, places: Iterable[int]) -> Records:
        """Return only the records at these places."""
        found = copy(self)
        found._order = array("l", map(self._order.__getitem__, places))  # noqa: SLF001 - its own
        return found

    def published(self) -> Iterator[tuple[str, int, int]]:
        """Yield the key of each record, with the row id and the time (epoch seconds, UTC)."""
        kept = self._kept
        for place in self._order:
            order = kept.order[place]
            yield self._key(place), kept.orders.row_id(order), kept.orders.time(order)

    def origins_of_keys(self) -> Counter[tuple[Kind, Origin | None]]:
        """Count the records by kind and by the origin of the external id in their keys."""
        namings, naming = self._kept.namings, self._kept.naming
        found: Counter[tuple[Kind, Origin | None]] = Counter()
        for number, count in Counter(map(naming.__getitem__, self._order)).items():
            found[namings[number].kind, namings[number].origin_of_key] += count
        return found

    def works(self) -> Iterator[tuple[Work, int, int]]:
        """Yield films and shows with the number of their records and the time of the newest one.

        Times are epoch seconds (UTC). A film or show can come several times.
        """
        kept = self._kept
        numbers = list(map(kept.naming.__getitem__, self._order))
        newest = dict(zip(numbers, map(kept.when, self._order), strict=True))
        for number, count in Counter(numbers).items():
            yield kept.namings[number].work, count, newest[number]

    def origins(self) -> Iterator[tuple[str, Mapping[str, Origin]]]:
        """Yield the key of each record, with the origins of its external ids."""
        kept = self._kept
        for place in self._order:
            yield self._key(place), kept.namings[kept.naming[place]].origins

    def _key(self, place: int) -> str:
        return _key_of(self._groups, self._kept, place, every_viewing=self.every_viewing)

    def _record(self, place: int, played: Played) -> Record:
        """Build a record.

        Its ids are the film's, or those of the episode's *show*; see ``Naming``. Its title is the
        newest one of the film or show.
        """
        kept = self._kept
        naming = kept.namings[kept.naming[place]]
        order = kept.order[place]
        epoch, play_id = kept.orders.time(order), kept.orders.row_id(order)
        title, ids, when = played.title or "", naming.ids, watched_at(epoch)
        item: Item
        key = naming.base
        if isinstance(played, PlayedEpisode):
            group = kept.group[place]
            season, episode = self._groups.season[group], self._groups.episode[group]
            key = episode_key(key, season, episode)
            series = naming.work.title or played.grandparent_title or ""
            item = Episode(ids, title, played.year, season, episode, when, series, naming.show_ids)
        else:
            item = Movie(ids, naming.work.title or title, played.year, when)
        if not self.every_viewing:
            return Record(key, item, epoch, play_id, self._user)
        begun, ended = kept.begun[place], kept.ended[place]
        viewing = kept.viewing[place]
        key = event_key(key, epoch)
        return Record(key, item, epoch, play_id, self._user, begun, ended, viewing)


def newest_under(result: ReadResult, bases: Collection[str]) -> Mapping[str, Order]:
    """Return the newest play of each item, by canonical key.

    ``bases`` are the keys of films, and those of episodes without their numbers. Others are left
    out.
    """
    kept = result.kept
    wanted = {number for number, one in enumerate(kept.namings) if one.base in bases}
    return {
        _key_of(result.groups, kept, place, every_viewing=False): kept.order[place]
        for place, number in enumerate(kept.naming)
        if number in wanted
    }


def _ordered(result: ReadResult, *, every_viewing: bool, user_id: int | None) -> array[int]:
    """Return the places of one user's plays in ascending order, of each key only the newest."""
    kept, owner = result.kept, NOBODY if user_id is None else user_id
    # One number for the order and the place takes less memory than sorting with a key.
    in_order = sorted(
        kept.order[place] << _PLACE_BITS | place
        for place, user in enumerate(kept.user)
        if user == owner
    )
    places = array("l", (one & (1 << _PLACE_BITS) - 1 for one in in_order))
    if not result.every_viewing:
        return places
    if not every_viewing:
        return array("l", _newest_of_keys(result.groups, kept, places))
    found = array("l")
    for _, same_time in groupby(places, key=kept.when):
        run = list(same_time)  # the time is part of the key
        found.extend(run if len(run) == 1 else _newest_of_keys(result.groups, kept, run))
    return found


def _newest_of_keys(groups: PlayGroups, kept: KeptPlays, places: Sequence[int]) -> list[int]:
    """Return the last place of each canonical key, in order."""
    newest = {_key_of(groups, kept, place, every_viewing=False): place for place in places}
    last = set(newest.values())
    return [place for place in places if place in last]


def _key_of(groups: PlayGroups, kept: KeptPlays, place: int, *, every_viewing: bool) -> str:
    naming = kept.namings[kept.naming[place]]
    key = naming.base
    if naming.kind == "show":
        group = kept.group[place]
        key = episode_key(key, groups.season[group], groups.episode[group])
    return event_key(key, kept.when(place)) if every_viewing else key
