"""One import from start to end: what was asked for, carried out and added up.

Between the command line, which knows words, and the pipeline, which knows plays.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from msgspec import Struct

from .errors import TautulliImportError
from .job import Job, Target, check, options_of
from .models import Rejected
from .owners import file_names, owners, with_plays
from .pipeline import Delivery, Observer, Reading, read
from .report import (
    IdsOf,
    Output,
    Plays,
    Report,
    Requests,
    View,
    account,
    account_events,
    alarms_of,
    count_items,
    without_external_id,
)
from .resume import Bookmark, Ledger
from .sinks.base import Sink, StreamSink, make_sink, sink_class
from .snapshot import carry_out, plan
from .sources.base import Source
from .streaming import stream

__all__ = ["Outcome", "run"]


class Outcome(Struct, frozen=True):
    """What came of it."""

    report: Report
    deliveries: Sequence[Delivery]
    alarms: Sequence[str]
    """What a person should look at, one sentence each."""
    rejected: Mapping[str, int]
    """Rows that any of the sinks could not use, by reason."""
    notices: Sequence[str] = ()
    """What a person may want to know, one sentence each."""
    failure: TautulliImportError | None = None
    """What the first sink that failed said; the others have what they were to get."""


@contextmanager
def _no_cycle_collector() -> Iterator[None]:
    """No search for reference cycles meanwhile: a run makes none.

    The collector would walk over everything that was kept so far again and again, whenever
    enough new tuples have come in.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Made(Struct):
    """What has come of a job so far."""

    deliveries: list[Delivery]
    plays: dict[str, Plays]
    """What became of the rows, as each sink saw them, by its name."""
    notices: list[str]
    reading: Reading | None = None
    rejected: Sequence[Rejected] = ()
    carried: dict[str, int] = {}
    kinds: dict[str, Mapping[str, int]] = {}
    """The events by media type, of each sink that takes those."""
    failure: TautulliImportError | None = None


@_no_cycle_collector()
def run(
    source: Source,
    job: Job,
    *,
    stdout: BinaryIO,
    now: int,
    observer: Observer | None = None,
    began: float | None = None,
    ledger: Ledger | None = None,
    bookmarks: Mapping[str, Bookmark] | None = None,
) -> Outcome:
    """Carry out a job.

    ``now`` is the time of the run: epoch seconds, UTC. ``began`` is when its work began by
    ``time.perf_counter``, where some of it was done before. With a ``ledger`` it goes on from
    what earlier runs have reached, and remembers what it reaches; ``bookmarks`` are the same for
    sinks that take events, by their names.

    Raises:
        TautulliImportError: see the errors of sources. Nothing is written before everything
            is read and the numbers add up, but for events, which are written as they are read.
            What a sink said is in ``Outcome.failure``, unless no other sink was given anything.
    """
    began = time.perf_counter() if began is None else began
    bookmarks = bookmarks or {}
    classes = {target.name: sink_class(target.name, events=job.events) for target in job.targets}
    check(job, classes, source, stdout, now)
    made = _Made([], {}, [])
    takes_items = {name: cls for name, cls in classes.items() if issubclass(cls, Sink)}
    if takes_items:
        _items(made, source, job, takes_items, stdout, now, observer, ledger)
    for target in job.targets:
        cls = classes[target.name]
        if issubclass(cls, StreamSink):
            sink = make_sink(cls, target.name, options_of(job, target, stdout, now))
            try:
                _stream(made, source, job, target, sink, observer, bookmarks.get(target.name))
            except TautulliImportError as error:  # the other sinks still get theirs
                made.failure = made.failure or error
    if made.failure and not made.plays:
        raise made.failure
    notices = [
        *made.notices,
        *(ledger.notices if ledger else ()),
        *(said for one in bookmarks.values() for said in one.notices),
    ]
    alarms = [
        *(alarms_of(made.reading) if made.reading else ()),
        *dict.fromkeys(said for one in made.deliveries for said in one.receipt.warnings),
    ]
    elapsed = time.perf_counter() - began
    report = _report(source, job, made, elapsed=elapsed, notices=notices, alarms=alarms)
    return Outcome(report, made.deliveries, alarms, _rejected(made), notices, made.failure)


def _stream(  # noqa: PLR0917 - all that one pass depends on
    made: _Made,
    source: Source,
    job: Job,
    target: Target,
    sink: StreamSink,
    observer: Observer | None,
    bookmark: Bookmark | None,
) -> None:
    """Give a sink its events, and add what became of the rows to what was made."""
    is_first = target == job.targets[0]
    found = stream(
        source,
        sink,
        target.name,
        job.selection,
        job.naming,
        observer=observer,
        bookmark=bookmark,
        tee=job.tee if is_first else None,
    )
    events = sum(found.accepted.values())
    made.plays[target.name] = account_events(found)
    made.rejected = list(dict.fromkeys([*made.rejected, *found.rejected]))
    made.deliveries.append(Delivery(target.name, None, (), events, found.receipt, events=events))
    made.notices += found.receipt.notices
    if found.is_cut:
        made.notices.append(
            f"The reader of standard output left after {found.read:,} rows: the rest was not read."
        )
    made.kinds[target.name], made.carried[target.name] = found.accepted, found.carried


def _items(  # noqa: PLR0917 - all that a job depends on
    made: _Made,
    source: Source,
    job: Job,
    classes: Mapping[str, type[Sink]],
    stdout: BinaryIO,
    now: int,
    observer: Observer | None,
    ledger: Ledger | None,
) -> None:
    """Read, and give each sink its items."""
    targets = [target for target in job.targets if target.name in classes]
    reading = made.reading = read(
        source,
        job.selection,
        corrections=job.corrections,
        every_viewing=job.rewatches or any(cls.every_viewing for cls in classes.values()),
        each_user=job.each_user,
        observer=observer,
        enrich=job.enrich,
        ledger=ledger,
    )
    users = owners(source, reading) if job.each_user else [None]
    names = file_names([*with_plays(source), *(user for user in users if user)])
    planned = [
        plan(
            source,
            reading,
            job.selection,
            ledger,
            target.name,
            classes[target.name],
            options_of(job, target, stdout, now, names[user.user_id] if user else None),
            user,
        )
        for target in targets
        for user in users
    ]
    # Every sink's view of the plays has to add up before anything is written.
    made.plays |= {
        target.name: account(reading, [one.records for one in planned if one.name == target.name])
        for target in targets
    }
    made.rejected = reading.rejected
    made.carried |= dict.fromkeys((target.name for target in targets), reading.carried)
    if observer:
        observer.writing(sum(len(one.records) for one in planned))
    for one in planned:
        try:
            made.deliveries.append(carry_out(one, reading, ledger, dry_run=job.dry_run))
        except TautulliImportError as error:  # the other sinks still get theirs
            made.failure = made.failure or error
    if ledger and not made.failure:
        ledger.finish()


def _report(  # noqa: PLR0917 - all that is told
    source: Source,
    job: Job,
    made: _Made,
    elapsed: float,
    notices: Sequence[str],
    alarms: Sequence[str],
) -> Report:
    name = next((t.name for t in job.targets if any(d.sink == t.name for d in made.deliveries)), "")
    first = [d for d in made.deliveries if d.sink == name]
    records = [record for delivery in first for record in delivery.records]
    plays = made.plays.get(name) or next(iter(made.plays.values()))
    return Report(
        schema=1,
        command=job.command,
        status="failed" if made.failure else "completed",
        dry_run=job.dry_run,
        sinks=[target.name for target in job.targets],
        plays=plays,
        items=count_items(
            records,
            made.kinds.get(name),
            new=sum(d.receipt.new for d in first),
            updated=sum(d.receipt.updated for d in first),
            unchanged=sum(_unchanged(d) for d in first),
        ),
        requests=Requests.of(job.asked),
        elapsed_seconds=round(elapsed, 3),
        plays_per_second=round((plays.read - made.carried.get(name, 0)) / elapsed)
        if elapsed
        else 0,
        outputs=[
            Output(
                sink=d.sink,
                target=d.receipt.target,
                user=d.user,
                merged=d.accepted - d.emitted,
                emitted=d.emitted,
                new=d.receipt.new,
                updated=d.receipt.updated,
                unchanged=_unchanged(d),
                removed=d.receipt.removed,
                total=d.receipt.total,
                written=d.receipt.written,
                duplicates=None if d.events is None else d.receipt.unchanged,
            )
            for d in made.deliveries
        ],
        source=source.name,
        warnings=[*source.notices, *notices, *alarms],
        carried=made.carried.get(name, 0),
        view=_view(first),
        rejected_rows=made.rejected if job.detailed else [],
        without_external_id=without_external_id(records),
        ids=[IdsOf(record.key, dict(record.origins)) for record in records if record.origins]
        if job.detailed
        else [],
        conflicts=made.reading.identified.conflicts if made.reading else (),
    )


def _rejected(made: _Made) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for plays in made.plays.values():
        counts |= Counter(plays.rejected)  # of each the larger number: most are the same rows
    return counts


def _unchanged(delivery: Delivery) -> int:
    """Of events also those that earlier runs delivered, which no sink is given again."""
    if delivery.events is None:
        return delivery.receipt.unchanged
    return delivery.events - delivery.receipt.new


def _view(first: Sequence[Delivery]) -> View:
    if first and first[0].events is not None:
        return "events"
    return "viewings" if first and first[0].every_viewing else "titles"
