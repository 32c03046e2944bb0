"""One import from start to end: what was asked for, carried out and added up.

Between the command line, which knows words, and the pipeline, which knows plays.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from .enrichment.corrections import Correction
from .errors import ConfigurationError, TautulliImportError
from .models import Record
from .owners import file_names, owners, with_plays
from .pipeline import (
    Delivery,
    Enricher,
    Observer,
    Reading,
    deliver,
    read,
    records_of,
    superseded,
)
from .report import (
    IdsOf,
    Output,
    Plays,
    Report,
    Requests,
    Status,
    account,
    alarms_of,
    count_items,
    without_external_id,
)
from .resume import Ledger
from .selection import Selection
from .sinks.base import Sink, SinkOptions, make_sink, sink_class
from .sinks.files import identity, shown
from .sources.base import Source, User

__all__ = ["Job", "Outcome", "Target", "run"]


class Target(Struct, frozen=True):
    """A sink by name, and where it is to write (``None``: its own default)."""

    name: str
    out: Path | None = None


class Job(Struct, frozen=True):
    """What one run is asked to do."""

    command: str
    targets: Sequence[Target]
    selection: Selection
    corrections: Sequence[Correction] = ()
    dry_run: bool = False
    rewatches: bool = False
    each_user: bool = False
    merge_with: Path | None = None
    taken: Mapping[object, str] = {}
    """Files that no sink may write, by identity, and what they are."""
    detailed: bool = False
    """Whether every rejected row is wanted one by one."""
    enrich: Enricher | None = None
    """Whom to ask for the ids that cannot be known offline."""
    asked: Mapping[str, int] = {}
    """How often Tautulli was asked so far, by command; looked at when the run is through."""


class Outcome(Struct, frozen=True):
    """What came of it."""

    report: Report
    deliveries: Sequence[Delivery]
    alarms: Sequence[str]
    """What a person should look at, one sentence each."""
    failure: TautulliImportError | None = None
    """What the first sink that failed said; the others have what they were to get."""


class _Planned(Struct, frozen=True):
    """One sink for one user (or for all), and what it is going to get."""

    name: str
    sink: Sink
    user: User | None
    records: Sequence[Record]
    place: tuple[str, str, str]
    """Under what it is remembered: the sink, where it writes, the user's number."""


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
) -> Outcome:
    """Carry out a job.

    ``now`` is the time of the run: epoch seconds, UTC. ``began`` is when its work began by
    ``time.perf_counter``, where some of it was done before. With a ``ledger`` it goes on from
    what earlier runs have reached, and remembers what it reaches.

    Raises:
        TautulliImportError: see the errors of sources. Nothing is written before everything
            is read and the numbers add up. What a sink said is in ``Outcome.failure``.
    """
    began = time.perf_counter() if began is None else began
    classes = {target.name: sink_class(target.name) for target in job.targets}
    _check(job, classes, source, stdout, now)
    reading = read(
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
    plan = [
        _plan(
            source,
            reading,
            job.selection,
            ledger,
            target.name,
            classes[target.name],
            _options(
                job,
                target,
                classes[target.name],
                stdout,
                now,
                names[user.user_id] if user else None,
            ),
            user,
        )
        for target in job.targets
        for user in users
    ]
    # Every sink's view of the plays has to add up before anything is written.
    accounts = [
        account(reading, [planned.records for planned in plan if planned.name == target.name])
        for target in job.targets
    ]
    if observer:
        observer.writing(sum(len(planned.records) for planned in plan))
    deliveries: list[Delivery] = []
    failure: TautulliImportError | None = None
    for planned in plan:
        try:
            deliveries.append(_deliver(planned, reading, ledger, dry_run=job.dry_run))
        except TautulliImportError as error:  # the other sinks still get theirs
            failure = failure or error
    if ledger and not failure:
        ledger.finish()
    elapsed = time.perf_counter() - began
    alarms = [
        *alarms_of(reading),
        *dict.fromkeys(said for one in deliveries for said in one.receipt.warnings),
    ]
    report = _report(
        source,
        job,
        reading,
        deliveries,
        status="failed" if failure else "completed",
        plays=accounts[0],
        elapsed=elapsed,
        notices=ledger.notices if ledger else (),
        alarms=alarms,
    )
    return Outcome(report, deliveries, alarms, failure)


def _check(
    job: Job, classes: Mapping[str, type[Sink]], source: Source, stdout: BinaryIO, now: int
) -> None:
    """Find out before the work what would make it vain."""
    if job.merge_with is not None:
        if not any(cls.merges for cls in classes.values()):
            raise ConfigurationError(
                "--merge-with means nothing to these sinks.", hint="Leave it out."
            )
        if job.each_user:
            raise ConfigurationError(
                "--merge-with holds one history; with --each-user everybody would get it.",
                hint="Run once for each --user, with that user's own export.",
            )
    known = with_plays(source) if job.each_user else []
    names = file_names(known)
    users: Sequence[User | None] = known or [None]
    for target in job.targets:
        cls = classes[target.name]
        if job.each_user and cls.goes_to_stdout(target.out) and not job.dry_run and not cls.lines:
            raise ConfigurationError(
                "--each-user writes one output per user; standard output is only one.",
                hint="Name a file with --out.",
            )
        for user in users:
            options = _options(
                job, target, cls, stdout, now, names.get(user.user_id) if user else None
            )
            sink = make_sink(cls, target.name, options)
            for path in sink.writes():
                if found := job.taken.get(identity(path)):
                    raise ConfigurationError(
                        f"{target.name} would write to {shown(path)}, which is {found}.",
                        hint="Name another place with --out.",
                    )
            sink.check()


def _options(  # noqa: PLR0917 - all that a sink is told
    job: Job,
    target: Target,
    cls: type[Sink],
    stdout: BinaryIO,
    now: int,
    user: str | None,
) -> SinkOptions:
    return SinkOptions(
        out=target.out,
        stdout=stdout,
        now=now,
        every_viewing=job.rewatches or cls.every_viewing,
        merge_with=job.merge_with,
        user=user,
    )


def _deliver(
    planned: _Planned, reading: Reading, ledger: Ledger | None, *, dry_run: bool
) -> Delivery:
    """Staged, made durable by the sink, and only then noted as published."""
    user = planned.user
    remembers = planned.sink.supersedes and ledger is not None
    if remembers and ledger is not None:
        # A key whose play is gone stays known: what it stands for is still in the sink.
        before = ledger.journal.published(*planned.place)
        gone = planned.sink.options.superseded
        kept = {key: play for key, play in before.items() if key not in gone}
        now = {record.key: (record.play_id, record.epoch) for record in planned.records}
        ledger.journal.stage(*planned.place, kept | now)
    delivery = deliver(
        planned.sink,
        planned.name,
        planned.records,
        reading.accepted.get(user.user_id if user else None, 0),
        dry_run=dry_run,
        user=user.name if user else None,
    )
    if remembers and ledger is not None:
        ledger.journal.publish(*planned.place)
    return delivery


def _plan(  # noqa: PLR0917 - all that one output depends on
    source: Source,
    reading: Reading,
    selection: Selection,
    ledger: Ledger | None,
    name: str,
    cls: type[Sink],
    options: SinkOptions,
    user: User | None,
) -> _Planned:
    records = records_of(
        reading,
        every_viewing=options.every_viewing,
        user_id=user.user_id if user else None,
        user=user.name if user else None,
    )
    sink = make_sink(cls, name, options)
    place = (name, _place_of(sink), str(user.user_id) if user else "")
    if ledger and cls.supersedes:
        before = ledger.journal.published(*place)
        gone = superseded(reading, source, before, records, selection)
        sink = make_sink(cls, name, msgspec.structs.replace(options, superseded=gone))
    return _Planned(name, sink, user, records, place)


def _place_of(sink: Sink) -> str:
    """Where a sink writes, the same from whatever directory it is started."""
    return "\n".join(shown(Path(os.path.realpath(path))) for path in sink.writes())


def _report(
    source: Source,
    job: Job,
    reading: Reading,
    deliveries: Sequence[Delivery],
    *,
    status: Status,
    plays: Plays,
    elapsed: float,
    notices: Sequence[str],
    alarms: Sequence[str],
) -> Report:
    first = [d for d in deliveries if d.sink == job.targets[0].name]
    records = [record for delivery in first for record in delivery.records]
    return Report(
        schema=1,
        command=job.command,
        status=status,
        dry_run=job.dry_run,
        sinks=[target.name for target in job.targets],
        plays=plays,
        items=count_items(
            records,
            new=sum(d.receipt.new for d in first),
            updated=sum(d.receipt.updated for d in first),
            unchanged=sum(d.receipt.unchanged for d in first),
        ),
        requests=Requests.of(job.asked),
        elapsed_seconds=round(elapsed, 3),
        plays_per_second=round((reading.read - reading.carried) / elapsed) if elapsed else 0,
        outputs=[
            Output(
                sink=d.sink,
                target=d.receipt.target,
                user=d.user,
                merged=d.accepted - len(d.records),
                emitted=len(d.records),
                new=d.receipt.new,
                updated=d.receipt.updated,
                unchanged=d.receipt.unchanged,
                removed=d.receipt.removed,
                total=d.receipt.total,
                written=d.receipt.written,
            )
            for d in deliveries
        ],
        source=source.name,
        warnings=[*source.notices, *notices, *alarms],
        carried=reading.carried,
        view="viewings" if first and first[0].every_viewing else "titles",
        rejected_rows=reading.rejected if job.detailed else [],
        without_external_id=without_external_id(records),
        ids=[IdsOf(record.key, dict(record.origins)) for record in records if record.origins]
        if job.detailed
        else [],
        conflicts=reading.identified.conflicts,
    )
