"""Carry out one import from start to end, and add up its numbers."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

from ..counting import Plays, add_up
from ..errors import TautulliImportError
from ..events.pipeline import StreamResult, stream
from ..events.resume import EventCheckpoint
from ..formatting import shown
from ..items.leftovers import Leftovers
from ..items.outputs import Planned, deliver, place_of, plan, take_over
from ..items.per_user import file_names, owners, with_plays
from ..items.pipeline import ReadResult, read
from ..model.plays import SampleRow
from ..model.rejections import Rejected
from ..progress import UNSEEN, Progress
from ..sinks.base import Sink, StreamSink
from ..sources.base import User
from ..sources.database.source import Source
from ..sources.same_history import refuse_other_history
from ..state.checkpoint import CheckpointStore
from ..state.outputs import OutputStore
from .figures import Figures, figures_of
from .job import Job, SinkFor, Target, check_sinks, check_users, sink_for_each
from .report import Delivery, Report, alarms_of, found_by, losses_of, make_report

__all__ = ["ImportResult", "Memory", "run"]


class Memory(Struct, frozen=True):
    """The state that the runs of a job share."""

    items: CheckpointStore | None = None
    """``None`` if no sink takes items, or without saved state."""
    events: Mapping[str, EventCheckpoint] = {}
    """By the names of the sinks that take events."""
    outputs: OutputStore | None = None
    """The entries that outputs were given, over all jobs; ``None`` without saved state."""
    restart: bool = False
    """Forget the state of earlier runs."""


class ImportResult(Struct, frozen=True):
    """The result of an import."""

    report: Report
    deliveries: Sequence[Delivery]
    """The deliveries to the sinks that did not fail."""
    plays: Mapping[str, Plays]
    """The numbers of rows, by the name of the sink."""
    alarms: Sequence[str]
    """Warnings for a person, but for conflicts that an earlier run has told."""
    notices: Sequence[str] = ()
    """Information for a person."""
    figures: Figures | None = None
    """The figures of a page, for the first sink of items."""
    found: Sequence[str] = ()
    """Sentences about the optional sources of ids, if they were asked."""
    failure: TautulliImportError | None = None
    """The error of the first sink that failed. The other sinks have their output."""
    losses: Sequence[str] = ()
    """Those of the warnings that matter although nothing is new."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Return the number of rows that any sink could not use, by reason."""
        counts: Counter[str] = Counter()
        for plays in self.plays.values():
            counts |= Counter(plays.rejected)  # the larger: most are the same rows
        return counts


@contextmanager
def _no_cycle_collector() -> Iterator[None]:
    """Switch off the search for reference cycles, because a run makes none.

    The collector would scan all kept values again and again while new tuples come in.
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

    ``began`` is the time by ``time.perf_counter`` when the work began, if that was earlier.
    Items are written after everything is read and the numbers add up. Events are written as
    they are read.

    Raises:
        TautulliImportError: see the errors of sources. The error of a sink is in
            ``ImportResult.failure``. It is raised if all sinks take events and all failed.
    """
    began = time.perf_counter() if began is None else began
    memory, before = memory or Memory(), 0
    sink_for = sink_for_each()
    check_users(job, source, sink_for)
    deliveries: list[Delivery] = []
    streams: list[StreamResult] = []
    plays: dict[str, Plays] = {}
    rejected: list[Rejected] = []
    failures: list[TautulliImportError] = []
    alarms: list[str] = []
    result: ReadResult | None = None
    figures: Figures | None = None
    if any(isinstance(target.sink, Sink) for target in job.targets):
        before, samples = _begin(source, memory)
        result = _read(source, job, progress)
        planned = _plan(source, job, result, memory, sink_for)
        # Every sink's view of the plays has to add up before anything is written.
        plays |= _plays_by_sink(job, result, planned)
        progress.begin("writing", sum(len(one.records) for one in planned))
        if job.announce:
            job.announce(planned)
        for one in planned:
            try:
                deliveries.append(_deliver(one, result, memory, progress, dry_run=job.dry_run))
            except TautulliImportError as error:  # the other sinks still get theirs
                failures.append(error)
        figures = _figures(job, result, plays, planned, deliveries)
        if memory.items and not failures:
            memory.items.finish(samples, result.read)
        rejected += result.rejected
        alarms += alarms_of(result, memory.outputs, before=before)
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
            deliveries.append(_of_stream(target, found))
            rejected += found.rejected
            streams.append(found)
    if failures and not plays:
        raise failures[0]
    notices = [
        f"The reader of standard output closed it after {one.read:,} rows. The rest was not read."
        for one in streams
        if one.is_cut
    ]
    notices += dict.fromkeys(said for one in deliveries for said in one.receipt.notices)
    for checkpoint in memory.events.values():
        notices += checkpoint.notices
    of_outputs = list(dict.fromkeys(said for one in deliveries for said in one.receipt.warnings))
    all_alarms = [*(alarms_of(result, before=before) if result else ()), *of_outputs]
    report = make_report(
        source,
        job,
        deliveries,
        plays,
        is_failed=bool(failures),
        elapsed=time.perf_counter() - began,
        warnings=[*source.notices, *notices, *all_alarms],
        rejected=list(dict.fromkeys(rejected)),
        conflicts=result.identified.conflicts if result else (),
        damaged=source.damaged(None if any(one.is_cut for one in streams) else rejected),
    )
    return ImportResult(
        *(report, deliveries, plays, [*alarms, *of_outputs], notices, figures),
        found=found_by(result) if result else (),
        losses=losses_of(result, before) if result else (),
        failure=failures[0] if failures else None,
    )


def _begin(source: Source, memory: Memory) -> tuple[int, Sequence[SampleRow]]:
    """Refuse a history other than that of the last run, and save that the job has begun.

    Return the number of plays that the last run read, 0 if unknown, and the sample rows that
    identify this history in the next run.
    """
    store = memory.items
    if store is None:
        return 0, ()
    saved = store.saved()
    if memory.restart:
        store.forget()
        saved = None
    else:
        refuse_other_history(source, saved)
    samples = source.sample_rows()
    store.begin(samples)
    return saved.rows if saved else 0, samples


def _read(source: Source, job: Job, progress: Progress) -> ReadResult:
    every_viewing = any(
        isinstance(target.sink, Sink) and target.sink.keeps_viewings for target in job.targets
    )
    return read(
        source,
        job.selection,
        corrections=job.corrections,
        every_viewing=every_viewing,
        each_user=job.each_user,
        progress=progress,
        plex=job.plex,
        tee=job.seen,
    )


def _plan(
    source: Source, job: Job, result: ReadResult, memory: Memory, sink_for: SinkFor
) -> Sequence[Planned]:
    users: Sequence[User | None] = owners(source, result) if job.each_user else [None]
    names = file_names([*with_plays(source), *(user for user in users if user)])
    _check_owners(job, users, names, sink_for)

    def planned_for(target: Target, user: User | None) -> Iterator[Planned]:
        sink = sink_for(target, user, names[user.user_id] if user else None)
        if isinstance(sink, Sink):
            take_over(memory.outputs, target.name, sink, user)
        if isinstance(sink, Sink) and (user in users or _has_entries(target, sink, user, memory)):
            yield plan(
                *(source, result, job.selection, memory.outputs, target.name, sink, user, job.wish),
                is_emptied=job.each_user and user is None,
            )

    everybody = [*users, *(_without_items(source, job, users) if job.wish.replace else ())]
    return [
        one
        for target in job.targets
        if isinstance(target.sink, Sink)
        for user in everybody
        for one in planned_for(target, user)
    ]


def _check_owners(
    job: Job, users: Sequence[User | None], names: Mapping[int | None, str], sink_for: SinkFor
) -> None:
    """Check the sinks again with users that only the rows name, before any of them is written.

    Raises:
        TautulliImportError: see ``check_sinks``.
    """
    for target in job.targets if job.each_user else ():
        if isinstance(target.sink, Sink):
            known = [user for user in users if user]
            sinks = ((user, sink_for(target, user, names[user.user_id])) for user in known)
            check_sinks(target.name, sinks, job.taken)


def _without_items(source: Source, job: Job, users: Sequence[User | None]) -> Sequence[User | None]:
    """Return the users of the selection that have plays, but nothing to import.

    ``None`` stands for the one output of a run without ``--each-user``. That may have plays of
    users who are not in the selection.
    """
    if not job.each_user:
        return []
    chosen = job.selection.users
    known = {user.user_id for user in users if user}
    without = [
        user
        for user in with_plays(source)
        if user.user_id not in known and (chosen is None or user.user_id in chosen)
    ]
    return [*without, None] if chosen is None else without


def _has_entries(target: Target, sink: Sink, user: User | None, memory: Memory) -> bool:
    """Return true if earlier runs gave this output something that ``--replace`` may remove.

    Without a user, a profile of a server may be that of one of the users.
    """
    outputs = memory.outputs
    if outputs is None or (user is None and sink.only_adds):
        return False
    return sink.exists() and bool(outputs.entries(place_of(target.name, sink, user)))


def _plays_by_sink(job: Job, result: ReadResult, planned: Sequence[Planned]) -> Mapping[str, Plays]:
    accepted = sum(result.accepted.values())
    emitted = Counter({t.name: 0 for t in job.targets if isinstance(t.sink, Sink)})
    for one in planned:
        emitted[one.name] += len(one.records)
    return {
        name: add_up(result.read, result.verdicts, accepted, count)
        for name, count in emitted.items()
    }


def _figures(
    job: Job,
    result: ReadResult,
    plays: Mapping[str, Plays],
    planned: Sequence[Planned],
    deliveries: Sequence[Delivery],
) -> Figures | None:
    """Return the figures of the first sink of items, if a page is wanted."""
    if job.seen is None:
        return None
    name = next(iter(plays))
    records = [one.records for one in planned if one.name == name]
    known = {id(one.records): one.receipt.left_out for one in deliveries}
    left_out = [known.get(id(one), {}) for one in records]
    return figures_of(result, job.seen, plays[name], records, left_out)


def _deliver(
    planned: Planned, result: ReadResult, memory: Memory, progress: Progress, *, dry_run: bool
) -> Delivery:
    user = planned.user
    receipt, copies = deliver(planned, memory.outputs, dry_run=dry_run, progress=progress)
    return Delivery(
        sink=planned.name,
        user=user.name if user else None,
        receipt=receipt,
        accepted=result.accepted.get(user.user_id if user else None, 0),
        records=planned.records,
        every_viewing=planned.sink.keeps_viewings,
        is_on_stdout=planned.sink.is_on_stdout,
        copies=[shown(path) for path in copies],
        leftovers=Leftovers() if planned.is_announced else planned.leftovers,
    )


def _of_stream(target: Target, found: StreamResult) -> Delivery:
    return Delivery(
        sink=target.name,
        user=None,
        receipt=found.receipt,
        accepted=sum(found.accepted.values()),
        events=found.accepted,
        carried=found.carried,
        is_on_stdout=target.sink.is_on_stdout,
    )
