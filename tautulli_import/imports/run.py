"""Carry out one import from start to end, and add up what came of it."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

from ..checkpoint.journal import CheckpointStore
from ..counting import Plays, add_up
from ..errors import TautulliImportError
from ..events.pipeline import StreamResult, stream
from ..events.resume import EventCheckpoint
from ..items.outputs import Planned, deliver, plan
from ..items.per_user import file_names, owners, with_plays
from ..items.pipeline import ReadResult, read
from ..models import Landmark, Rejected
from ..progress import UNSEEN, Progress
from ..sinks.base import Sink, StreamSink
from ..sources.base import User
from ..sources.database import DatabaseSource as Source
from ..sources.same_history import refuse_other_history
from .job import Job, SinkFor, check, sink_for_each
from .report import Delivery, Report, alarms_of, make_report

__all__ = ["ImportResult", "Memory", "run"]


class Memory(Struct, frozen=True):
    """What is remembered between the runs of a job."""

    items: CheckpointStore | None = None
    """``None`` where nothing is remembered of items, or there are none."""
    events: Mapping[str, EventCheckpoint] = {}
    """By the names of the sinks that take events."""
    restart: bool = False
    """Forget what earlier runs did."""


class ImportResult(Struct, frozen=True):
    """What came of an import."""

    report: Report
    deliveries: Sequence[Delivery]
    """What each sink was given and made of it. None of a sink that failed."""
    plays: Mapping[str, Plays]
    """What became of the rows, as each sink sees them, by its name."""
    alarms: Sequence[str]
    """What a person should look at, one sentence each."""
    notices: Sequence[str] = ()
    """What a person may want to know, one sentence each."""
    failure: TautulliImportError | None = None
    """What the first sink that failed said. The others have what they were to get."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Count the rows that any of the sinks could not use, by reason."""
        counts: Counter[str] = Counter()
        for plays in self.plays.values():
            counts |= Counter(plays.rejected)  # the larger: most are the same rows
        return counts


@contextmanager
def _no_cycle_collector() -> Iterator[None]:
    """Switch off the search for reference cycles meanwhile: a run makes none.

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


@_no_cycle_collector()
def run(
    source: Source,
    job: Job,
    memory: Memory | None = None,
    *,
    progress: Progress = UNSEEN,
    began: float | None = None,
) -> ImportResult:
    """Carry out a job.

    ``began`` is when its work began by ``time.perf_counter``, if some of it was done before.

    Raises:
        TautulliImportError: see the errors of sources. Nothing is written before everything
            is read and the numbers add up, but for events, which are written as they are read.
            What a sink said is in ``ImportResult.failure``, unless no other sink was given
            anything.
    """
    began = time.perf_counter() if began is None else began
    memory = memory or Memory()
    sink_for = sink_for_each()
    check(job, source, sink_for)
    deliveries: list[Delivery] = []
    plays: dict[str, Plays] = {}
    rejected: list[Rejected] = []
    failures: list[TautulliImportError] = []
    alarms: list[str] = []
    notices: list[str] = []
    result: ReadResult | None = None
    if any(isinstance(target.sink, Sink) for target in job.targets):
        samples = _begin(source, memory)
        result = _read(source, job, progress)
        planned = _plan(source, job, result, memory, sink_for)
        # Every sink's view of the plays has to add up before anything is written.
        plays |= _plays_by_sink(job, result, planned)
        progress.begin("writing", sum(len(one.records) for one in planned))
        for one in planned:
            try:
                deliveries.append(_deliver(one, result, memory, dry_run=job.dry_run))
            except TautulliImportError as error:  # the other sinks still get theirs
                failures.append(error)
        if memory.items and not failures:
            memory.items.finish(samples, result.read)
        rejected += result.rejected
        alarms += alarms_of(result)
    for target in job.targets:
        if isinstance(target.sink, StreamSink):
            checkpoint = memory.events.get(target.name)
            try:
                found = stream(
                    source,
                    target.sink,
                    target.name,
                    job.selection,
                    job.naming,
                    progress=progress,
                    checkpoint=checkpoint,
                    tee=job.tee if target == job.targets[0] else None,
                )
            except TautulliImportError as error:  # the other sinks still get theirs
                failures.append(error)
                continue
            events = sum(found.accepted.values())
            plays[target.name] = add_up(found.read, found.verdicts, events, events)
            deliveries.append(_of_stream(target.name, found))
            rejected += found.rejected
            notices += found.receipt.notices
            if found.is_cut:
                notices.append(
                    f"The reader of standard output left after {found.read:,} rows: the rest was "
                    "not read."
                )
    if failures and not plays:
        raise failures[0]
    for checkpoint in memory.events.values():
        notices += checkpoint.notices
    alarms += dict.fromkeys(said for one in deliveries for said in one.receipt.warnings)
    report = make_report(
        source,
        job,
        deliveries,
        plays,
        is_failed=bool(failures),
        elapsed=time.perf_counter() - began,
        warnings=[*source.notices, *notices, *alarms],
        rejected=list(dict.fromkeys(rejected)),
        conflicts=result.identified.conflicts if result else (),
    )
    failure = failures[0] if failures else None
    return ImportResult(report, deliveries, plays, alarms, notices, failure)


def _begin(source: Source, memory: Memory) -> Sequence[Landmark]:
    """Refuse another history than last time, note that the job is under way.

    Returns the sample rows by which this history is recognised the next time.
    """
    store = memory.items
    if store is None:
        return ()
    if memory.restart:
        store.forget()
    else:
        refuse_other_history(source, store.saved())
    samples = source.landmarks()
    store.begin(samples)
    return samples


def _read(source: Source, job: Job, progress: Progress) -> ReadResult:
    every_viewing = job.rewatches or any(
        isinstance(target.sink, Sink) and target.sink.every_viewing for target in job.targets
    )
    return read(
        source,
        job.selection,
        corrections=job.corrections,
        every_viewing=every_viewing,
        each_user=job.each_user,
        progress=progress,
        enrich=job.enrich,
    )


def _plan(
    source: Source, job: Job, result: ReadResult, memory: Memory, sink_for: SinkFor
) -> Sequence[Planned]:
    users: Sequence[User | None] = owners(source, result) if job.each_user else [None]
    names = file_names([*with_plays(source), *(user for user in users if user)])
    planned = []
    for target in job.targets:
        for user in users:
            sink = sink_for(target, names[user.user_id] if user else None)
            if isinstance(sink, Sink):
                one = plan(source, result, job.selection, memory.items, target.name, sink, user)
                planned.append(one)
    return planned


def _plays_by_sink(job: Job, result: ReadResult, planned: Sequence[Planned]) -> Mapping[str, Plays]:
    accepted = sum(result.accepted.values())
    emitted = Counter({t.name: 0 for t in job.targets if isinstance(t.sink, Sink)})
    for one in planned:
        emitted[one.name] += len(one.records)
    return {
        name: add_up(result.read, result.verdicts, accepted, count)
        for name, count in emitted.items()
    }


def _deliver(planned: Planned, result: ReadResult, memory: Memory, *, dry_run: bool) -> Delivery:
    user = planned.user
    receipt = deliver(planned, memory.items, dry_run=dry_run)
    return Delivery(
        sink=planned.name,
        user=user.name if user else None,
        receipt=receipt,
        accepted=result.accepted.get(user.user_id if user else None, 0),
        records=planned.records,
        every_viewing=planned.sink.options.every_viewing,
    )


def _of_stream(name: str, found: StreamResult) -> Delivery:
    return Delivery(
        sink=name,
        user=None,
        receipt=found.receipt,
        accepted=sum(found.accepted.values()),
        events=found.accepted,
        carried=found.carried,
    )
