"""The flow, and nothing else: source, history, chain, items, sinks.

Nothing here prints or decides what an option means; an observer is told how far it is.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct

from .dedup import History, Partition, Sighting, newest_per_key, owner
from .enrichment.chain import Identified, identify, origin_in
from .enrichment.corrections import Correction
from .enrichment.works import Work
from .errors import SinkError, TautulliImportError
from .keys import episode_key, event_key, movie_key
from .mapper import item
from .models import Play, Reason, Record, Rejected
from .selection import Selection, moment
from .sinks.base import Receipt, Sink
from .sources.base import Source

__all__ = ["Delivery", "Observer", "Reading", "Sighted", "deliver", "read", "records_of"]


class Observer(Protocol):
    """Somebody who watches a run: a progress bar, a test."""

    def reading(self, total: int) -> None:
        """Reading begins; about ``total`` rows are there."""

    def advanced(self, rows: int) -> None:
        """That many more rows were read."""

    def writing(self, items: int) -> None:
        """Everything is read and identified; that many items are about to be written."""


class Sighted(Protocol):
    """What a look at the plays themselves may want to see of each batch."""

    def __call__(self, plays: Sequence[Play]) -> None:
        """Some plays, as they were read."""


class Survivor(Struct, frozen=True, gc=False):
    """A play that will be imported, and the film or show it belongs to."""

    play: Play
    work: Work
    partition: Partition
    base: str
    """Its canonical key."""
    epoch: int
    """When it counts as watched: seconds, UTC."""

    @property
    def order(self) -> tuple[int, int]:
        """Newest wins: by time, then by row id."""
        return self.epoch, self.play.id


class Reading(Struct, frozen=True):
    """Everything a source had to say, read once and identified."""

    read: int
    verdicts: Mapping[Reason, int]
    accepted: Mapping[int | None, int]
    """Plays that go on, by user where users are kept apart, else under ``None``."""
    survivors: Sequence[Survivor]
    rejected: Sequence[Rejected]
    """One by one; empty when not asked for. ``verdicts`` has them all."""
    identified: Identified


def read(
    source: Source,
    selection: Selection,
    *,
    corrections: Sequence[Correction] = (),
    every_viewing: bool = False,
    each_user: bool = False,
    keep_rejected: bool = False,
    observer: Observer | None = None,
    sighted: Sighted | None = None,
) -> Reading:
    """Read a source once, whole: judge every play, find out what was played."""
    with _no_cycle_collector():
        return _read(
            source,
            selection,
            corrections=corrections,
            every_viewing=every_viewing,
            each_user=each_user,
            keep_rejected=keep_rejected,
            observer=observer,
            sighted=sighted,
        )


@contextmanager
def _no_cycle_collector() -> Iterator[None]:
    """No search for reference cycles meanwhile: reading makes none.

    Ten thousand new tuples a page would otherwise have the collector walk over everything
    that was kept so far, again and again: a fifth of the time of a million plays.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(
    source: Source,
    selection: Selection,
    *,
    corrections: Sequence[Correction],
    every_viewing: bool,
    each_user: bool,
    keep_rejected: bool,
    observer: Observer | None,
    sighted: Sighted | None,
) -> Reading:
    history = History(
        every_viewing=every_viewing, each_user=each_user, watched_at=selection.watched_at
    )
    kept: list[Rejected] = []
    verdicts: Counter[Reason] = Counter()
    count = 0
    if observer:
        observer.reading(source.total())
    judges: dict[object, Callable[[Play], Reason | None]] = {}
    for batch in source.batches(None):
        judge = judges.get(batch.rule)
        if judge is None:
            judge = judges[batch.rule] = selection.judge(batch.rule)
        turned_away = history.take(batch.plays, judge)
        if sighted:
            sighted(batch.plays)
        for row in batch.rejected:
            verdicts[row.reason] += 1
        for row in batch.recovered:
            verdicts[row.reason] -= 1
            verdicts[Reason.DUPLICATE] += 1
            if keep_rejected:
                kept.remove(row)
        verdicts[Reason.DUPLICATE] += batch.duplicates
        rows = len(batch.plays) + len(batch.rejected) + batch.duplicates
        count += rows
        if keep_rejected:
            kept.extend(batch.rejected)
            kept.extend(_rejected(play, reason, batch.source) for play, reason in turned_away)
        if observer:
            observer.advanced(rows)
    identified = identify(history.sightings, source.lookups(), corrections)
    survivors, homeless = _survivors(identified, selection, history.sightings)
    accepted = Counter(history.accepted)
    for play in homeless:
        verdicts[Reason.NO_SHOW] += 1
        accepted[owner(play) if each_user else None] -= 1
        if keep_rejected:
            kept.append(_rejected(play, Reason.NO_SHOW))
    return Reading(
        read=count,
        verdicts=verdicts + history.verdicts,
        accepted=accepted,
        survivors=survivors,
        rejected=kept,
        identified=identified,
    )


class Delivery(Struct, frozen=True):
    """What one sink was given, and what it made of it."""

    sink: str
    user: str | None
    records: Sequence[Record]
    accepted: int
    receipt: Receipt


def records_of(
    reading: Reading, *, every_viewing: bool, user_id: int | None = None, user: str | None = None
) -> list[Record]:
    """The items of a reading, in ascending ``watched_at`` order, each key once.

    ``user_id`` and ``user`` choose and name one person where users were kept apart.
    """
    newest: dict[tuple[str, Partition], Survivor] = {}
    for survivor in reading.survivors:
        if survivor.partition[0] != user_id:
            continue
        # Rows of one group are one viewing only when they are the same title: rating keys
        # get reused, and Tautulli groups by them (its issues 2767, 2768).
        key = (survivor.base, survivor.partition if every_viewing else (user_id, None))
        other = newest.get(key)
        if other is None or survivor.order > other.order:
            newest[key] = survivor
    return newest_per_key(_record(s, every_viewing, user) for s in newest.values())


def deliver(
    sink: Sink,
    name: str,
    records: Sequence[Record],
    accepted: int,
    *,
    dry_run: bool,
    user: str | None = None,
) -> Delivery:
    """Give a sink its records; in a dry run only ask what it would do with them.

    A reader that has left the pipe has all it wanted, and other sinks still want theirs.

    Raises:
        SinkError: it could not be written.
    """
    try:
        sink.write(records)
        receipt = sink.preview() if dry_run else sink.commit()
    except BrokenPipeError:
        receipt = sink.preview()
    except (TautulliImportError, MemoryError):
        raise
    except Exception as error:
        raise SinkError(
            f"The sink {name} failed: {type(error).__name__}: {error}.",
            hint="Other sinks are not touched by this. --debug shows where it failed.",
        ) from error
    return Delivery(name, user, records, accepted, receipt)


def _survivors(
    identified: Identified, selection: Selection, sightings: Iterable[Sighting]
) -> tuple[list[Survivor], list[Play]]:
    """The plays to import with their canonical keys, and those whose show nothing names."""
    survivors: list[Survivor] = []
    homeless: list[Play] = []
    for work in identified.works:
        for sighting in work.sightings:
            if sighting.best is None and sighting.survivors is None:
                continue
            base = _base_key(work, sighting.newest)
            if base is None:
                # Of a show whose number was given to another one only the survivors are
                # known one by one; what was merged into them stays merged.
                homeless.extend(sighting.unsure or (p for _, p in sighting.going_on()))
                continue
            for partition, play in sighting.going_on():
                epoch = moment(play, selection.watched_at)
                survivors.append(Survivor(play, work, partition, base, epoch))
    known = {id(sighting) for work in identified.works for sighting in work.sightings}
    for sighting in sightings:
        if sighting.unsure and id(sighting) not in known:
            homeless.extend(sighting.unsure)
    return survivors, homeless


def _base_key(work: Work, play: Play) -> str | None:
    ids = work.ids_with_plex()
    if work.kind == "movie":
        return movie_key(ids, play.title or "", play.year)
    if play.season is None or play.episode is None:
        return None
    return episode_key(ids, play.season, play.episode)


def _record(survivor: Survivor, every_viewing: bool, user: str | None) -> Record:
    play, work = survivor.play, survivor.work
    return Record(
        key=event_key(survivor.base, survivor.epoch) if every_viewing else survivor.base,
        item=item(play, work.ids_with_plex(), work.title, survivor.epoch),
        epoch=survivor.epoch,
        play_id=play.id,
        origins=tuple((namespace, origin_in(work, namespace, play)) for namespace in work.ids),
        user=user,
    )


def _rejected(play: Play, reason: Reason, source: str = "") -> Rejected:
    name = " - ".join(filter(None, (play.grandparent_title, play.title)))
    return Rejected(reason, play.id, name, source)
