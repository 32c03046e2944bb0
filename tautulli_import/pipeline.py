"""The flow, and nothing else: source, history, chain, items, sinks.

Nothing here prints or decides what an option means; an observer is told how far it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Protocol

from msgspec import Struct

from .checkpoint.journal import Published
from .dedup import History, Newest, Partition, Sighting, newest_per_key
from .enrichment.chain import Identified, identify, origin_in
from .enrichment.corrections import Correction
from .enrichment.metadata import Told
from .enrichment.works import Work
from .errors import SinkError, TautulliImportError
from .keys import episode_key, event_key, movie_key
from .mapper import item
from .models import Play, Reason, Record, Rejected
from .resume import Ledger
from .selection import Selection, moment
from .sinks.base import Receipt, Sink
from .sources.base import Cursor, Source, Watcher
from .stopping import held
from .tally import Tally
from .watched import WatchedRule

__all__ = [
    "Delivery",
    "Enricher",
    "Observer",
    "Reading",
    "deliver",
    "read",
    "records_of",
    "superseded",
]


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
    """All rows, those that earlier runs had read and that are unchanged counted."""
    carried: int
    """How many of them were not read again."""
    verdicts: Mapping[Reason, int]
    accepted: Mapping[int | None, int]
    """Plays that go on, by user where users are kept apart, else under ``None``."""
    survivors: Sequence[Survivor]
    rejected: Sequence[Rejected]
    """One by one. ``verdicts`` has their numbers."""
    identified: Identified
    is_merged: Callable[[Play, WatchedRule], bool]
    """Whether a play goes on, and so is one of ``survivors`` or merged into one."""


def read(
    source: Source,
    selection: Selection,
    *,
    corrections: Sequence[Correction] = (),
    every_viewing: bool = False,
    each_user: bool = False,
    observer: Observer | None = None,
    sighted: Callable[[Sequence[Play]], None] | None = None,
    enrich: Enricher | None = None,
    ledger: Ledger | None = None,
) -> Reading:
    """Read a source once, whole: judge every play, find out what was played.

    ``enrich`` is asked for the ids that cannot be known offline. With a ``ledger`` what earlier
    runs have read is not read again, and what this one has read is remembered, also when it is
    cut short. ``sighted`` sees every play that is read.

    Raises:
        CheckpointError: what is remembered is of another history.
        TautulliImportError: see the errors of sources.
    """
    history = History(
        every_viewing=every_viewing, each_user=each_user, watched_at=selection.watched_at
    )
    tally = Tally(history, selection, each_user=each_user)
    cursor = _go_on(ledger, tally, source) if ledger else None
    carried = tally.rows
    if observer:
        observer.reading(source.total(), carried)
    try:
        is_settled = True
        for batch in source.batches(cursor):
            if ledger and is_settled:
                is_settled = batch.settled
                _note(ledger, tally, is_last=not is_settled)
            rows = tally.take(batch)
            if sighted:
                sighted(batch.plays)
            if observer:
                observer.advanced(rows)
        if ledger and is_settled:
            _note(ledger, tally, is_last=True)
    except BaseException:
        # Stopped, or the source is gone: what was read until here need not be read again.
        if ledger and tally.rows > carried and (so_far := tally.reached()):
            with suppress(TautulliImportError), held():
                ledger.save(so_far, history.remembered())
        raise
    ask = partial(enrich.ask, asking=observer.asking if observer else _unseen) if enrich else None
    identified = identify(history.sightings, source.lookups(), corrections, ask)
    survivors, homeless = _survivors(identified, history.sightings)
    if homeless:
        tally.turn_away(homeless, source)
    without_key = {id(sighting) for sighting, _ in homeless}

    def is_merged(play: Play, rule: WatchedRule) -> bool:
        sighting = history.sighting_of(play)
        goes_on = tally.judge(rule)(play) is None
        return goes_on and sighting is not None and id(sighting) not in without_key

    return Reading(
        read=tally.rows,
        carried=carried,
        verdicts=+(tally.verdicts + history.verdicts),
        accepted=Counter(history.accepted),
        survivors=survivors,
        rejected=list(tally.rejected.values()),
        identified=identified,
        is_merged=is_merged,
    )


def superseded(
    reading: Reading,
    source: Source,
    before: Published,
    records: Sequence[Record],
    selection: Selection,
) -> Mapping[str, int]:
    """Keys that a sink was given by earlier runs, and whose plays have other keys now.

    With the moment under which each was given (epoch seconds, UTC). Of a play that is no longer
    there nothing is said: an import takes nothing away.
    """
    keys = {record.key for record in records}
    orphans: defaultdict[int, list[str]] = defaultdict(list)
    for key, (play_id, _) in before.items():
        if key not in keys:
            orphans[play_id].append(key)
    found: dict[str, int] = {}
    for batch in source.chosen(orphans) if orphans else ():
        for play in batch.plays:
            when = moment(play, selection.watched_at)
            if reading.is_merged(play, batch.rule):
                found |= {key: when for key in orphans[play.id] if before[key][1] == when}
    return found


def _go_on(ledger: Ledger, tally: Tally, source: Source) -> Cursor | None:
    """Take in what earlier runs have reached; where to begin, ``None``: at the beginning."""
    found = ledger.resume()
    return tally.recall(*found, source.name) if found else None


def _note(ledger: Ledger, tally: Tally, *, is_last: bool) -> None:
    """Remember how far it is, when that is due, or at the end of what will not change."""
    rows = tally.rows
    if (ledger.is_due(rows) or (is_last and ledger.is_worth_it(rows))) and (
        reached := tally.reached()
    ):
        ledger.save(reached, tally.history.remembered())


class Delivery(Struct, frozen=True):
    """What one sink was given, and what it made of it."""

    sink: str
    user: str | None
    records: Sequence[Record]
    accepted: int
    receipt: Receipt
    every_viewing: bool = False
    events: int | None = None
    """How many events, where it was given those in place of records."""

    @property
    def emitted(self) -> int:
        """How many records or events it was given, by this run and those it goes on from."""
        return len(self.records) if self.events is None else self.events


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
    # What is being made durable is finished before anything stops; a reader may take forever.
    with nullcontext() if sink.is_piped or dry_run else held():
        receipt = _committed(sink, name, records, dry_run=dry_run)
    return Delivery(name, user, records, accepted, receipt, sink.options.every_viewing)


def _committed(sink: Sink, name: str, records: Sequence[Record], *, dry_run: bool) -> Receipt:
    """What the sink made of the records.

    Raises:
        SinkError: it could not be written.
    """
    try:
        sink.write(records)
        return sink.preview() if dry_run else sink.commit()
    except BrokenPipeError:
        return sink.preview()
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


def _unseen(_done: int, _total: int) -> None:
    """Nobody watches."""
