"""Describe one run, and check its options before the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, SinkError
from ..events.build import Naming
from ..files import identity, is_stream, read_start
from ..formatting import shown
from ..ids.corrections import Correction
from ..items.outputs import Planned, Wish
from ..items.per_user import file_names, with_plays
from ..items.pipeline import Enricher
from ..model.events import PlaybackEvent
from ..model.selection import Selection
from ..sinks.base import BaseSink, Sink, StreamSink, make_sink
from ..sources.base import User
from ..sources.database.source import Source

__all__ = ["Job", "SinkFor", "Target", "check", "sink_for_each"]

_REPORT: Final = b'{"schema":'
"""The beginning of each report."""

SinkFor = Callable[["Target", str | None], BaseSink]
"""Returns the sink of a target for the user of a file name (``None``: for all users)."""


class Target(Struct, frozen=True):
    """A sink and its name."""

    name: str
    sink: BaseSink


class Job(Struct, frozen=True):
    """All that one run needs, except the source and the saved state."""

    command: str
    targets: Sequence[Target]
    selection: Selection
    corrections: Sequence[Correction] = ()
    dry_run: bool = False
    each_user: bool = False
    taken: Mapping[object, str] = {}
    """Descriptions of the files that no sink may write, by file identity."""
    report: Path | None = None
    """The file of the report, which then lists every rejected row and every id's origin. ``-`` is
    standard output."""
    enrich: Enricher | None = None
    """Asks Plex for the ids that no offline evidence has."""
    asked: Mapping[str, int] = {}
    """The number of requests to Tautulli, by command. It is read after the run."""
    naming: Naming = Naming()
    tee: Callable[[Sequence[PlaybackEvent]], None] | None = None
    """Called with the events that go to the first sink."""
    wish: Wish = Wish()
    """The selection as the outputs remember it, and whether entries of ours are removed."""
    announce: Callable[[Sequence[Planned]], None] | None = None
    """Called with what is planned before any item is written."""


def sink_for_each() -> SinkFor:
    """Return a function that makes the sink of each target and user once."""
    made = cache(_sink_of_user)
    return lambda target, user: target.sink if user is None else made(target, user)


def _sink_of_user(target: Target, user: str) -> BaseSink:
    options = msgspec.structs.replace(target.sink.options, user=user)
    return make_sink(type(target.sink), target.name, options)


def check(job: Job, source: Source, sink_for: SinkFor) -> None:
    """Check the options and the sinks before the work.

    Raises:
        TautulliImportError: options contradict each other, or a sink cannot be written.
    """
    merges = [t.sink for t in job.targets if isinstance(t.sink, Sink) and t.sink.merges]
    if any(target.sink.options.merge_with for target in job.targets):
        if not merges:
            raise ConfigurationError("None of these sinks uses --merge-with.", hint="Leave it out.")
        if job.each_user:
            raise ConfigurationError(
                "--merge-with is one user's history, and --each-user would give it to all users.",
                hint="Run once for each --user, with that user's own export.",
            )
    if job.wish.replace and not any(
        isinstance(target.sink, Sink) and (target.sink.merges or target.sink.supersedes)
        for target in job.targets
    ):
        raise ConfigurationError(
            "None of these sinks can use --replace.",
            hint="Leave it out. It is for outputs that keep the entries of earlier runs, such as "
            "--to tracker.",
        )
    known = with_plays(source) if job.each_user else []
    names = file_names(known)
    users: Sequence[User | None] = known or [None]
    for target in job.targets:
        is_stream = isinstance(target.sink, StreamSink)  # every event names its user
        if (
            job.each_user
            and not is_stream
            and target.sink.is_on_stdout
            and not job.dry_run
            and not target.sink.lines
        ):
            raise ConfigurationError(
                "--each-user writes one output per user, but standard output is only one.",
                hint="Choose a file with --out.",
            )
        for user in [None] if is_stream else users:
            sink = sink_for(target, names[user.user_id] if user else None)
            for path in sink.writes():
                if found := job.taken.get(identity(path)):
                    raise ConfigurationError(
                        f"{target.name} would write to {shown(path)}, which is {found}.",
                        hint="Choose another place with --out.",
                    )
            sink.check()
    if job.report is not None and job.report != Path("-"):
        _check_report(job.report)


def _check_report(path: Path) -> None:
    """Check that the report replaces nothing but a report, also in a dry run.

    Raises:
        SinkError: there is another file, or a link that is not followed.
    """
    begin = None if is_stream(path) else read_start(path, len(_REPORT), "--report")
    if begin and begin != _REPORT:
        raise SinkError(
            f"{shown(path)} is not a report of this program, so it is not replaced.",
            hint="Move it away, or choose another file with --report.",
        )
