"""Describe what one run is asked to do, and check whether that makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import msgspec
from msgspec import Struct

from ..enrichment.corrections import Correction
from ..errors import ConfigurationError
from ..items.per_user import file_names, with_plays
from ..items.pipeline import Enricher
from ..mapper import Naming
from ..models import PlaybackEvent
from ..selection import Selection
from ..sinks.base import BaseSink, Sink, StreamSink, make_sink
from ..sinks.files import identity, shown
from ..sources.base import User
from ..sources.database import DatabaseSource as Source

__all__ = ["Job", "SinkFor", "Target", "check", "sink_for_each"]

SinkFor = Callable[["Target", str | None], BaseSink]
"""Gives the sink of a target for the user whose files bear a name (``None``: for all)."""


class Target(Struct, frozen=True):
    """A sink under its name."""

    name: str
    sink: BaseSink


class Job(Struct, frozen=True):
    """What one run is asked to do."""

    command: str
    targets: Sequence[Target]
    selection: Selection
    corrections: Sequence[Correction] = ()
    dry_run: bool = False
    rewatches: bool = False
    each_user: bool = False
    taken: Mapping[object, str] = {}
    """Files that no sink may write, by identity, and what they are."""
    detailed: bool = False
    """Whether every rejected row is wanted one by one."""
    enrich: Enricher | None = None
    """Whom to ask for the ids that cannot be known offline."""
    asked: Mapping[str, int] = {}
    """How often Tautulli was asked so far, by command; looked at when the run is through."""
    naming: Naming = Naming()
    tee: Callable[[Sequence[PlaybackEvent]], None] | None = None
    """Sees the events that go to the first sink."""


def sink_for_each() -> SinkFor:
    """Return a function that makes each user's sink of a target once."""
    made = cache(_sink_of_user)
    return lambda target, user: target.sink if user is None else made(target, user)


def _sink_of_user(target: Target, user: str) -> BaseSink:
    options = msgspec.structs.replace(target.sink.options, user=user)
    return make_sink(type(target.sink), target.name, options)


def check(job: Job, source: Source, sink_for: SinkFor) -> None:
    """Refuse, before the work, what would make it useless.

    Raises:
        TautulliImportError: the options contradict each other, or a sink cannot be written.
    """
    merges = [t.sink for t in job.targets if isinstance(t.sink, Sink) and t.sink.merges]
    if any(target.sink.options.merge_with for target in job.targets):
        if not merges:
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
        is_stream = isinstance(target.sink, StreamSink)  # every event says whose it is
        if (
            job.each_user
            and not is_stream
            and target.sink.goes_to_stdout(target.sink.options.out)
            and not job.dry_run
            and not target.sink.lines
        ):
            raise ConfigurationError(
                "--each-user writes one output per user; standard output is only one.",
                hint="Name a file with --out.",
            )
        for user in [None] if is_stream else users:
            sink = sink_for(target, names[user.user_id] if user else None)
            for path in sink.writes():
                if found := job.taken.get(identity(path)):
                    raise ConfigurationError(
                        f"{target.name} would write to {shown(path)}, which is {found}.",
                        hint="Name another place with --out.",
                    )
            sink.check()
