"""Build the records of watched plays, one for each canonical key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ..ids.chain import origin_in
from ..model.clock import watched_at
from ..model.items import Episode, Ids, Item, Movie, Origin, Record
from ..model.keys import event_key
from ..model.plays import Play
from .pipeline import KeptPlay, ReadResult

__all__ = ["item", "newest_per_key", "records_of"]

_Origins: TypeAlias = tuple[tuple[str, Origin], ...]


def records_of(
    result: ReadResult,
    *,
    every_viewing: bool,
    user_id: int | None = None,
    user: str | None = None,
) -> list[Record]:
    """Build the items, in ascending ``watched_at`` order, each key once.

    With ``--each-user``, ``user_id`` and ``user`` are the id and the name of one user.
    """
    plays: Iterable[KeptPlay] = (kept for kept in result.kept if kept.user == user_id)
    if not every_viewing:
        newest: dict[str, KeptPlay] = {}
        for kept in plays:
            other = newest.get(kept.base)
            if other is None or kept.newest > other.newest:
                newest[kept.base] = kept
        plays = newest.values()
    # A group can have many viewings. They share the origins of its ids, to save memory.
    origins: dict[int, _Origins] = {}

    def record(kept: KeptPlay) -> Record:
        shared = origins.get(id(kept.play))
        if shared is None:
            shared = origins[id(kept.play)] = _origins(kept)
        return _record(kept, shared, every_viewing, user)

    return newest_per_key(map(record, plays))


def _origins(kept: KeptPlay) -> _Origins:
    play, work = kept.play, kept.work
    ids = work.ids_for(play)
    return tuple((ns, origin_in(work, ns, play)) for ns in work.ids if getattr(ids, ns))


def _record(kept: KeptPlay, origins: _Origins, every_viewing: bool, user: str | None) -> Record:
    play, work = kept.play, kept.work
    epoch, play_id = kept.newest
    ids = work.ids_for(play)
    return Record(
        key=event_key(kept.base, epoch) if every_viewing else kept.base,
        item=item(play, ids, work.title, epoch),
        epoch=epoch,
        play_id=play_id,
        origins=origins,
        user=user,
    )


def newest_per_key(records: Iterable[Record]) -> list[Record]:
    """Return one record per key: the newest, by ``watched_at`` and then by row id.

    They are in ascending ``watched_at`` order (ties by row id, then key). CrossWatch needs this
    order: a sync without rewatches keeps the last entry of a title.
    """
    newest: dict[str, Record] = {}
    for record in records:
        other = newest.get(record.key)
        if other is None or (record.epoch, record.play_id) > (other.epoch, other.play_id):
            newest[record.key] = record
    return sorted(newest.values(), key=_in_order)


def _in_order(record: Record) -> tuple[int, int, str]:
    return record.epoch, record.play_id, record.key


def item(play: Play, ids: Ids, work_title: str, epoch: int) -> Item:
    """Build the item for a watched play.

    ``ids`` are the film's, or those of the episode's *show* (never the episode's own).
    ``work_title`` is the newest title of the film or show. An episode has a season and an
    episode number, because the others have no key and are rejected.
    """
    title = play.title or ""
    if play.media_type == "movie":
        return Movie(ids, work_title or title, play.year, watched_at(epoch))
    if play.season is None or play.episode is None:
        raise ValueError("an episode without numbers")
    return Episode(
        ids,
        title,
        play.year,
        play.season,
        play.episode,
        watched_at(epoch),
        work_title or play.grandparent_title or "",
        ids,
    )
