"""The flow, and nothing else: source, history, chain, items, sinks.

Nothing here prints or decides what an option means; an observer is told how far it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from .dedup import History, Newest, Partition, Sighting, newest_per_key, owner
from .enrichment.chain import Identified, identify, origin_in
from .enrichment.corrections import Correction
from .enrichment.metadata import Told
from .enrichment.works import Work
from .errors import SinkError, TautulliImportError
from .keys import episode_key, event_key, movie_key
from .mapper import item
from .models import Play, Reason, Record, Rejected
from .selection import Judge, Selection
from .sinks.base import Receipt, Sink
from .sources.base import Source, Watcher

__all__ = ["Delivery", "Enricher", "Observer", "Reading", "deliver", "read", "records_of"]


class Observer(Watcher, Protocol):
    """Somebody who watches a run from the first row to the last item: a progress bar, a test."""

    def asking(self, done: int, total: int) -> None:
        """Plex is asked for ids; so many of all questions are through."""

    def writing(self, items: int) -> None:
        """Everything is read and identified; that many items are about to be written."""


class Enricher(Protocol):
    """Somebody who can ask Plex what it knows of films and shows."""

    def ask(self, works: Sequence[Work], asking: Callable[[int, int], None]) -> Told:
        """Ask for these works by their newest own rating keys; it never fails, it tells less.

        ``asking`` is told how many questions are through, and of how many.
        """


class Survivor(Struct, frozen=True, gc=False):
    """A play that will be imported, and the film or show it belongs to."""

    play: Play
    """One that speaks for it: of the same thing, not of the same time."""
    work: Work
    partition: Partition
    base: str
    """Its canonical key."""
    newest: Newest
    """When it counts as watched (seconds, UTC), and its row id."""


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
    sighted: Callable[[Sequence[Play]], None] | None = None,
    enrich: Enricher | None = None,
) -> Reading:
    """Read a source once, whole: judge every play, find out what was played.

    ``enrich`` is asked for the ids that cannot be known offline.
    """
    history = History(
        every_viewing=every_viewing, each_user=each_user, watched_at=selection.watched_at
    )
    rejected: dict[tuple[str, int | str], Rejected] = {}
    verdicts: Counter[Reason] = Counter()
    count = 0
    if observer:
        observer.reading(source.total())
    judges: dict[object, Judge] = {}
    for batch in source.batches(None):
        judge = judges.get(batch.rule)
        if judge is None:
            judge = judges[batch.rule] = selection.judge(batch.rule)
        turned_away = history.take(batch.plays, judge)
        if sighted:
            sighted(batch.plays)
        verdicts.update(row.reason for row in batch.rejected)
        for row in batch.recovered:
            verdicts[row.reason] -= 1
            rejected.pop(_place(row), None)
        verdicts[Reason.DUPLICATE] += batch.duplicates + len(batch.recovered)
        rows = len(batch.plays) + len(batch.rejected) + batch.duplicates
        count += rows
        if keep_rejected:
            rows_of_batch = (_rejected(play, why, batch.source) for play, why in turned_away)
            rejected |= {_place(row): row for row in (*batch.rejected, *rows_of_batch)}
        if observer:
            observer.advanced(rows)
    verdicts.update(history.verdicts)
    ask = partial(enrich.ask, asking=observer.asking if observer else _unseen) if enrich else None
    identified = identify(history.sightings, source.lookups(), corrections, ask)
    survivors, homeless = _survivors(identified, history.sightings)
    accepted = Counter(history.accepted)
    if homeless:
        # Few histories have any, and only here each play of them has to be known one by one.
        reasons = {id(sighting): reason for sighting, reason in homeless}
        for batch in source.batches(None):
            judge = judges[batch.rule]
            for play, sighting in history.plays_of([one for one, _ in homeless], batch.plays):
                if judge(play) is not None:
                    continue
                reason = reasons[id(sighting)]
                verdicts[reason] += 1
                accepted[owner(play) if each_user else None] -= 1
                if keep_rejected:
                    rejected[batch.source, play.id] = _rejected(play, reason, batch.source)
    return Reading(
        read=count,
        verdicts=+verdicts,
        accepted=accepted,
        survivors=survivors,
        rejected=list(rejected.values()),
        identified=identified,
    )


class Delivery(Struct, frozen=True):
    """What one sink was given, and what it made of it."""

    sink: str
    user: str | None
    records: Sequence[Record]
    accepted: int
    receipt: Receipt
    every_viewing: bool = False


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
        if other is None or survivor.newest > other.newest:
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
    except OSError as error:
        raise SinkError(
            f"{name} could not be written: {error.strerror or error}.",
            hint="Make room, or name another place with --out. Other sinks have what is theirs.",
        ) from error
    except Exception as error:
        raise SinkError(
            f"The sink {name} failed: {type(error).__name__}: {error}.",
            hint="Other sinks have what is theirs. --debug shows where it failed.",
        ) from error
    return Delivery(name, user, records, accepted, receipt, sink.options.every_viewing)


def _survivors(
    identified: Identified, sightings: Iterable[Sighting]
) -> tuple[list[Survivor], list[tuple[Sighting, Reason]]]:
    """The plays to import with their canonical keys, and the sightings that can have none."""
    survivors: list[Survivor] = []
    homeless: list[tuple[Sighting, Reason]] = []
    known: set[int] = set()
    for work in identified.works:
        for sighting in work.sightings:
            known.add(id(sighting))
            if not sighting.accepted:
                continue
            base = _base_key(work, sighting.play)
            if base is None:
                reason = Reason.REUSED_NUMBER if work.rating_keys else Reason.NO_SHOW
                homeless.append((sighting, reason))
                continue
            for partition, newest in sighting.going_on():
                survivors.append(Survivor(sighting.play, work, partition, base, newest))
    homeless += [
        (sighting, Reason.NO_SHOW)
        for sighting in sightings
        if sighting.accepted and id(sighting) not in known
    ]
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
    epoch, play_id = survivor.newest
    return Record(
        key=event_key(survivor.base, epoch) if every_viewing else survivor.base,
        item=item(play, work.ids_with_plex(), work.title, epoch),
        epoch=epoch,
        play_id=play_id,
        origins=tuple((namespace, origin_in(work, namespace, play)) for namespace in work.ids),
        user=user,
    )


def _place(row: Rejected) -> tuple[str, int | str]:
    """Which row it is; where Tautulli does not tell its number, the detail does."""
    return row.source, row.detail if row.id is None else row.id


def _unseen(_done: int, _total: int) -> None:
    """Nobody watches."""


def _rejected(play: Play, reason: Reason, source: str = "") -> Rejected:
    name = " - ".join(filter(None, (play.grandparent_title, play.title)))
    return Rejected(reason, play.id, name, source)
