"""Describe one run, and check its options before the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, SinkError
from ..events.build import Naming
from ..files import check_permission, check_place, identity, refuse_other_kind
from ..formatting import shown
from ..ids.corrections import Correction
from ..items.outputs import Planned, Wish
from ..items.per_user import file_names, with_plays
from ..items.pipeline import NO_PLEX, PlexSources
from ..model.events import PlaybackEvent
from ..model.selection import Selection
from ..sinks.base import BaseSink, Sink, file_of_user
from ..sinks.installed import make_sink
from ..sources.base import User
from ..sources.database.source import Source
from .figures import SeenRows

__all__ = [
    "REPORT_MARK",
    "Job",
    "SinkFor",
    "Target",
    "check_sinks",
    "check_targets",
    "check_users",
    "sink_for_each",
]

REPORT_MARK: Final = b'{"schema":'
"""The beginning of each report."""

SinkFor = Callable[["Target", User | None, str | None], BaseSink]
"""Returns the sink of a target for a user and the name of their file (``None``: for all users)."""


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
    seen: SeenRows | None = None
    """Counts the rows for a page."""
    plex: PlexSources = NO_PLEX
    """Asked for the ids that no offline evidence has."""
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
    return lambda target, user, name: made(target, user, name) if user else target.sink


def _sink_of_user(target: Target, user: User, name: str | None) -> BaseSink:
    known_as = (str(user.user_id), user.username, user.friendly_name)
    options = msgspec.structs.replace(target.sink.options, user=name, known_as=known_as)
    cls, is_file = type(target.sink), options.out is not None and not target.sink.is_on_stdout
    if cls.writes is BaseSink.writes and options.out and name and is_file:
        options = msgspec.structs.replace(options, out=file_of_user(options.out, name))
    return make_sink(cls, target.name, options)


def check_targets(
    targets: Sequence[Target],
    taken: Mapping[object, str],
    *,
    each_user: bool = False,
    dry_run: bool = False,
    replace: bool = False,
    report: Path | None = None,
) -> None:
    """Check the sinks and their places before anything is read or fetched.

    A missing permission is an error here only if no sink can create its file. Otherwise the other
    sinks get their output first. For ``taken`` see ``Job``.

    Raises:
        TautulliImportError: options contradict each other, or a sink cannot be written.
    """
    items = [target.sink for target in targets if isinstance(target.sink, Sink)]
    if any(target.sink.options.merge_with for target in targets):
        if not any(sink.merges for sink in items):
            raise ConfigurationError("None of these sinks uses --merge-with.", hint="Leave it out.")
        if each_user:
            raise _one_history()
    if replace and not any(sink.merges or sink.supersedes for sink in items):
        raise ConfigurationError(
            "None of these sinks can use --replace.",
            hint="Leave it out. It is for outputs that keep the entries of earlier runs, such as "
            "--to tracker.",
        )
    refused: dict[str, SinkError] = {}
    for name, sink in ((target.name, target.sink) for target in targets):
        is_per_user = each_user and isinstance(sink, Sink)
        for path in sink.writes():
            _check_taken(name, path, taken)
            check_place(path)
            if is_per_user and os.path.exists(path.parent):  # noqa: PTH110 - see check_permission
                continue  # the files of all users may be up to date
            try:
                check_permission(path)
            except SinkError as error:
                refused.setdefault(name, error)
        if not is_per_user:
            sink.check()
    if len(refused) == len(targets) and not dry_run:
        raise next(iter(refused.values()))
    if report is not None and report != Path("-"):
        refuse_other_kind(report, REPORT_MARK, "a report", "--report")


def check_users(job: Job, source: Source, sink_for: SinkFor) -> None:
    """Check the sinks of each user with ``each_user``, before anything is written.

    Raises:
        TautulliImportError: there can be only one output, or a sink cannot be written.
    """
    known = with_plays(source) if job.each_user else []
    names = file_names(known)
    chosen = job.selection.users
    users = [user for user in known if chosen is None or user.user_id in chosen]
    for target in job.targets if job.each_user else ():
        if not isinstance(target.sink, Sink):  # every event names its user
            continue
        if target.sink.options.merge_with:
            raise _one_history()
        if target.sink.is_on_stdout and not job.dry_run and not target.sink.lines:
            raise ConfigurationError(
                "--each-user writes one output per user, but standard output is only one.",
                hint="Choose a file with --out.",
            )
        sinks = ((user, sink_for(target, user, names[user.user_id])) for user in users)
        check_sinks(target.name, sinks, job.taken)


def check_sinks(
    name: str, sinks: Iterable[tuple[User, BaseSink]], taken: Mapping[object, str]
) -> None:
    """Check that each user's sink can be written, and has a place of its own.

    Raises:
        TautulliImportError: it cannot, or has not.
    """
    owners: dict[str, User] = {}
    for user, sink in sinks:
        for path in sink.writes():
            _check_taken(name, path, taken)
        sink.check()
        # Only the check tells that two names are those of one place.
        other = owners.setdefault(sink.where, user) if sink.where else user
        if other != user:
            raise ConfigurationError(
                f"{other.name} and {user.name} have the same place: {sink.where}.",
                hint="Give each user a place of their own, or choose users with --user.",
            )


def _one_history() -> ConfigurationError:
    return ConfigurationError(
        "--merge-with is one user's history, and --each-user would give it to all users.",
        hint="Run once for each --user, with that user's own export.",
    )


def _check_taken(name: str, path: Path, taken: Mapping[object, str]) -> None:
    if found := taken.get(identity(path)):
        raise ConfigurationError(
            f"{name} would write to {shown(path)}, which is {found}.",
            hint="Choose another place with --out.",
        )
