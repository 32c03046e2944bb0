"""One import from start to end: what was asked for, carried out and added up.

Between the command line, which knows words, and the pipeline, which knows plays.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from .dedup import NOBODY
from .enrichment.corrections import Correction
from .errors import ConfigurationError
from .models import Record
from .pipeline import Delivery, Observer, Reading, deliver, read, records_of
from .report import (
    IdsOf,
    Output,
    Plays,
    Report,
    Requests,
    account,
    count_items,
    without_external_id,
)
from .selection import Selection
from .sinks.base import Sink, SinkOptions, make_sink, open_sink
from .sources.base import Source, User

_LONGEST_NAME = 48  # characters; in bytes up to four times that, and a file name has 255

__all__ = ["Job", "Outcome", "Target", "alarms_of", "run"]


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
    detailed: bool = False
    """Whether every rejected row is wanted one by one."""


class Outcome(Struct, frozen=True):
    """What came of it."""

    report: Report
    deliveries: Sequence[Delivery]
    alarms: Sequence[str]
    """What a person should look at, one sentence each."""


class _Planned(Struct, frozen=True):
    """One sink for one user (or for all), and what it is going to get."""

    name: str
    sink: Sink
    user: User | None
    records: Sequence[Record]


def run(
    source: Source, job: Job, *, stdout: BinaryIO, now: int, observer: Observer | None = None
) -> Outcome:
    """Carry out a job.

    ``now`` is the time of the run: epoch seconds, UTC.

    Raises:
        TautulliImportError: see the errors of sources and sinks. Nothing is written before
            everything is read and the numbers add up.
    """
    began = time.perf_counter()
    classes = [open_sink(target.name) for target in job.targets]
    every_viewing = job.rewatches or any(cls.every_viewing for cls in classes)
    reading = read(
        source,
        job.selection,
        corrections=job.corrections,
        every_viewing=every_viewing,
        each_user=job.each_user,
        keep_rejected=job.detailed,
        observer=observer,
    )
    users = _users(source, reading) if job.each_user else [None]
    # Over everybody, so that a name does not depend on who has new plays today.
    names = _file_names([*source.users(), *(user for user in users if user)])
    plan = [
        _plan(reading, job, name=target.name, cls=cls, options=options, user=user)
        for target, cls in zip(job.targets, classes, strict=True)
        for user in users
        for options in [
            SinkOptions(
                out=target.out,
                stdout=stdout,
                now=now,
                every_viewing=job.rewatches or cls.every_viewing,
                merge_with=job.merge_with,
                user=names[user.user_id] if user else None,
            )
        ]
    ]
    # Every sink's view of the plays has to add up before anything is written.
    accounts = [
        account(reading, [planned.records for planned in plan if planned.name == target.name])
        for target in job.targets
    ]
    if observer:
        observer.writing(sum(len(planned.records) for planned in plan))
    deliveries = [
        deliver(
            planned.sink,
            planned.name,
            planned.records,
            reading.accepted.get(planned.user.user_id if planned.user else None, 0),
            dry_run=job.dry_run,
            user=planned.user.name if planned.user else None,
        )
        for planned in plan
    ]
    elapsed = time.perf_counter() - began
    alarms = alarms_of(reading)
    report = _report(
        source, job, reading, deliveries, plays=accounts[0], elapsed=elapsed, alarms=alarms
    )
    return Outcome(report, deliveries, alarms)


def _users(source: Source, reading: Reading) -> Sequence[User | None]:
    """Those who have something to import, in the source's order."""
    with_plays = {survivor.partition[0] for survivor in reading.survivors}
    known = [user for user in source.users() if user.user_id in with_plays]
    strangers = with_plays - {user.user_id for user in known} - {None}
    return [
        *known,
        *(
            User(one or 0, "unknown" if one == NOBODY else "", "", 0)
            for one in sorted(strangers, key=str)
        ),
    ]


def _plan(
    reading: Reading,
    job: Job,
    *,
    name: str,
    cls: type[Sink],
    options: SinkOptions,
    user: User | None,
) -> _Planned:
    to_stdout = options.out == Path("-") or (options.out is None and cls.to_stdout)
    if user and to_stdout and not job.dry_run and not cls.lines:
        raise ConfigurationError(
            "--each-user writes one output per user; standard output is only one.",
            hint="Name a file with --out.",
        )
    records = records_of(
        reading,
        every_viewing=options.every_viewing,
        user_id=user.user_id if user else None,
        user=user.name if user else None,
    )
    return _Planned(name, make_sink(cls, name, options), user, records)


def _file_names(users: Sequence[User]) -> dict[int, str]:
    """A name for each user's files, by user id: the user's own, with the id where needed."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    plain = {user.user_id: _plain(user.name) for user in users}
    counts = Counter(name.casefold() for name in plain.values())
    for number, name in plain.items():
        unique = name if name and counts[name.casefold()] == 1 else f"{name or 'user'}-{number}"
        while unique.casefold() in taken:
            unique += "_"
        taken.add(unique.casefold())
        names[number] = unique
    return names


def _plain(name: str) -> str:
    """A name as part of a file name: nothing that leads elsewhere, and not too long."""
    return re.sub(r"[^\w.@+-]+", "_", name).strip("._")[:_LONGEST_NAME]


def _report(
    source: Source,
    job: Job,
    reading: Reading,
    deliveries: Sequence[Delivery],
    *,
    plays: Plays,
    elapsed: float,
    alarms: Sequence[str],
) -> Report:
    first = [d for d in deliveries if d.sink == job.targets[0].name]
    records = [record for delivery in first for record in delivery.records]
    return Report(
        schema=1,
        command=job.command,
        status="completed",
        dry_run=job.dry_run,
        sinks=[target.name for target in job.targets],
        plays=plays,
        items=count_items(
            records,
            new=sum(d.receipt.new for d in first),
            updated=sum(d.receipt.updated for d in first),
            unchanged=sum(d.receipt.unchanged for d in first),
        ),
        requests=Requests(),
        elapsed_seconds=round(elapsed, 3),
        plays_per_second=round(reading.read / elapsed) if elapsed else 0,
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
                total=d.receipt.total,
                written=d.receipt.written,
            )
            for d in deliveries
        ],
        source=source.name,
        warnings=[*source.notices, *alarms],
        rejected_rows=reading.rejected,
        without_external_id=without_external_id(records),
        ids=[IdsOf(record.key, dict(record.origins)) for record in records if record.origins]
        if job.detailed
        else [],
        conflicts=reading.identified.conflicts,
    )


def alarms_of(reading: Reading) -> Sequence[str]:
    """What a person should look at after a reading, one sentence each."""
    warnings = []
    if conflicts := reading.identified.conflicts:
        names = ", ".join(dict.fromkeys(conflict.title for conflict in conflicts[:3]))
        warnings.append(
            f"{len(conflicts)} contradictions between ids ({names} …): the newest play's "
            "was believed; --report lists them."
        )
    if unused := reading.identified.unused:
        lines = ", ".join(str(correction.line) for correction in unused[:10])
        warnings.append(f"Corrections that fit nothing in the history: line {lines}.")
    return warnings
