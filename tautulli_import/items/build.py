"""Build the records of watched plays, one for each canonical key."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from ..model.clock import watched_at
from ..model.groups import NOBODY
from ..model.items import Episode, Item, Kind, Movie, Origin, Record
from ..model.keys import event_key, numbered_key
from ..model.played import PlayedEpisode
from .keyed import KeptPlays
from .pipeline import ReadResult

__all__ = ["Records", "records_of"]


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
        self._every_viewing = every_viewing
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
            return [self._record(place) for place in self._order[index]]
        return self._record(self._order[index])

    def __iter__(self) -> Iterator[Record]:
        return map(self._record, self._order)

    def published(self) -> Iterator[tuple[str, int, int]]:
        """Yield the key of each record, with the row id and the time (epoch seconds, UTC)."""
        kept = self._kept
        for place in self._order:
            yield self._key(place), kept.play_id[place], kept.when[place]

    def origins_of_keys(self) -> Counter[tuple[Kind, Origin | None]]:
        """Count the records by kind and by the origin of the external id in their keys."""
        namings, naming = self._kept.namings, self._kept.naming
        found: Counter[tuple[Kind, Origin | None]] = Counter()
        for number, count in Counter(naming[place] for place in self._order).items():
            found[namings[number].kind, namings[number].origin_of_key] += count
        return found

    def origins(self) -> Iterator[tuple[str, Mapping[str, Origin]]]:
        """Yield the key of each record, with the origins of its external ids."""
        kept = self._kept
        for place in self._order:
            yield self._key(place), kept.namings[kept.naming[place]].origins

    def _key(self, place: int) -> str:
        return _key_of(self._kept, place, every_viewing=self._every_viewing)

    def _record(self, place: int) -> Record:
        """Build a record.

        Its ids are the film's, or those of the episode's *show* (never the episode's own). Its
        title is the newest one of the film or show.
        """
        kept = self._kept
        naming = kept.namings[kept.naming[place]]
        played = self._groups[kept.group[place]]
        epoch, play_id = kept.when[place], kept.play_id[place]
        title, ids, when = played.title or "", naming.ids, watched_at(epoch)
        item: Item
        key = naming.base
        if isinstance(played, PlayedEpisode):
            season, episode = kept.season[place], kept.episode[place]
            key = numbered_key(key, season, episode)
            series = naming.work.title or played.grandparent_title or ""
            item = Episode(ids, title, played.year, season, episode, when, series, ids)
        else:
            item = Movie(ids, naming.work.title or title, played.year, when)
        if not self._every_viewing:
            return Record(key, item, epoch, play_id, self._user)
        begun, ended = kept.begun[place], kept.ended[place]
        return Record(event_key(key, epoch), item, epoch, play_id, self._user, begun, ended)


def _ordered(result: ReadResult, *, every_viewing: bool, user_id: int | None) -> array[int]:
    """Return the places of one user's plays in ascending order, of each key only the newest."""
    kept, owner = result.kept, NOBODY if user_id is None else user_id
    places = [place for place, user in enumerate(kept.user) if user == owner]
    places.sort(key=lambda place: (kept.when[place], kept.play_id[place]))
    if not result.every_viewing:
        return array("l", places)
    found = array("l")
    newest: dict[object, int] = {}
    for place in reversed(places):
        if every_viewing and newest and kept.when[place] != kept.when[found[-1]]:
            newest.clear()  # the time is part of the key
        what = kept.namings[kept.naming[place]].base, kept.season[place], kept.episode[place]
        if newest.setdefault(what, place) == place:
            found.append(place)
    found.reverse()
    return found


def _key_of(kept: KeptPlays, place: int, *, every_viewing: bool) -> str:
    naming = kept.namings[kept.naming[place]]
    key = naming.base
    if naming.kind == "show":
        key = numbered_key(key, kept.season[place], kept.episode[place])
    return event_key(key, kept.when[place]) if every_viewing else key
