"""What one run is asked to do, and whether that makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from .enrichment.corrections import Correction
from .errors import ConfigurationError
from .jetstream.access import Access
from .mapper import Naming
from .models import PlaybackEvent
from .owners import file_names, with_plays
from .pipeline import Enricher
from .selection import Selection
from .sinks.base import BaseSink, Sink, SinkOptions, StreamSink, make_sink, sink_class
from .sinks.files import identity, shown
from .sources.base import Source, User

__all__ = ["Job", "Target", "check", "options_of"]


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
    events: bool = False
    """Whether events are wanted of sinks that take either."""
    naming: Naming = Naming()
    wait: float = 0.0
    nats: Access = Access()
    tee: Callable[[Sequence[PlaybackEvent]], None] | None = None
    """Somebody who sees the events that go to the first sink."""


def check(
    job: Job,
    classes: Mapping[str, type[Sink | StreamSink]],
    source: Source,
    stdout: BinaryIO,
    now: int,
) -> None:
    """Find out before the work what would make it vain.

    Raises:
        TautulliImportError: there is such a thing.
    """
    of_items = [cls for cls in classes.values() if issubclass(cls, Sink)]
    if job.merge_with is not None:
        if not any(cls.merges for cls in of_items):
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
        is_stream = issubclass(cls, StreamSink)  # every event says whose it is
        if (
            job.each_user
            and not is_stream
            and cls.goes_to_stdout(target.out)
            and not job.dry_run
            and not cls.lines
        ):
            raise ConfigurationError(
                "--each-user writes one output per user; standard output is only one.",
                hint="Name a file with --out.",
            )
        for user in [None] if is_stream else users:
            options = options_of(
                job, target, stdout, now, names.get(user.user_id) if user else None
            )
            sink: BaseSink = make_sink(cls, target.name, options)
            for path in sink.writes():
                if found := job.taken.get(identity(path)):
                    raise ConfigurationError(
                        f"{target.name} would write to {shown(path)}, which is {found}.",
                        hint="Name another place with --out.",
                    )
            sink.check()


def options_of(
    job: Job, target: Target, stdout: BinaryIO, now: int, user: str | None = None
) -> SinkOptions:
    """What a target's sink is told; ``user`` is whose output it is."""
    cls = sink_class(target.name, events=job.events)
    return SinkOptions(
        out=target.out,
        stdout=stdout,
        now=now,
        every_viewing=job.rewatches or (issubclass(cls, Sink) and cls.every_viewing),
        merge_with=job.merge_with,
        user=user,
        dry_run=job.dry_run,
        wait=job.wait,
        nats=job.nats if cls.wants_nats else Access(),
    )
