"""Name the jobs of a command, and find the saved state of each."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from ..errors import TautulliImportError
from ..events.resume import EventCheckpoint
from ..formatting import shown
from ..imports.job import Job, Target
from ..imports.locking import HeldLocks
from ..imports.run import Memory
from ..items.outputs import Wish, take_over
from ..model.clock import is_relative
from ..model.selection import Selection
from ..settings.fields import Settings
from ..sinks.base import Sink, StreamSink
from ..sources.database.source import Source
from ..sources.http.access import parse_address
from ..state.checkpoint import CheckpointStore, JobKey
from ..state.file import StateFile, database_source, state_file
from ..state.outputs import OutputStore
from ..state.runs import RunLog
from .session import Command

__all__ = ["RememberedJobs", "begin_log", "record_early_failure", "wish_of"]

_NAMES: Final = "names of outputs"
"""The names that a server gave to outputs, by the names in the settings."""


class RememberedJobs:
    """The jobs of a command: one for all items, and one for each stream of events."""

    def __init__(self, command: Command, settings: Settings, targets: Sequence[Target]) -> None:
        self._settings = settings
        # A downloaded database has more fields of each row than the history has.
        self._command = command if settings.via == "history" else f"{command} via file"
        is_piped = command == "db" and Path("-") in settings.database
        self.folder = None if is_piped else settings.state_folder
        self._targets = targets
        self.places = {target.name: target.sink.place() for target in targets}
        self._streams = {
            target.name: f"{target.name}={target.sink.target}"
            for target in targets
            if isinstance(target.sink, StreamSink) and not target.sink.is_piped
        }
        self.has_begun = False
        """True as soon as the run has a log."""
        self.source = ""
        if command == "api" and settings.url:
            self.source = parse_address(settings.url).base
        elif command == "db" and settings.database and self.folder:
            self.source = database_source(settings.database)
        self.path = state_file(self.folder, self.source) if self.folder and self.source else None
        if settings.dry_run and command == "db" and not (self.path and self.path.exists()):
            self.folder = None  # there is no state to read, and a dry run writes none

    @property
    def _items(self) -> tuple[str, ...]:
        return self._named(lambda sink: sink.identity)

    def _named(self, identity: Callable[[Sink], str]) -> tuple[str, ...]:
        """Return the names of the outputs of items: the path, or what is remembered of them."""
        return tuple(
            f"{name}={shown(Path(os.path.realpath(place))) if place else _unplaced(sink, identity)}"
            for name, sink, place in (
                (target.name, target.sink, self.places[target.name]) for target in self._targets
            )
            if isinstance(sink, Sink)
        )

    def sinks(self, state: StateFile) -> tuple[str, ...]:
        """Return the names of all outputs.

        An output whose server does not answer has the name that an earlier run found out.
        """
        asked = self._named(lambda sink: sink.asked_identity)
        known = state.get(_NAMES, dict[str, str]) or {}
        found = {**known, **{a: b for a, b in zip(asked, self._items, strict=True) if a != b}}
        if found != known and not self._settings.dry_run:
            with suppress(TautulliImportError, sqlite3.Error), state.step():  # for status alone
                state.put(_NAMES, found)
        items = (known.get(name, name) for name in self._items)
        return (*items, *self._streams.values())

    def outputs(self, state: StateFile | None) -> OutputStore | None:
        """Return what is remembered of all outputs, or ``None`` if no state is kept."""
        if state is None or state.path is None:
            return None
        store = OutputStore(state, writes=not self._settings.dry_run)
        for target in self._targets:
            if isinstance(target.sink, Sink):
                take_over(store, target.name, target.sink)
        return store

    def memory(self, state: StateFile | None, source: Source, job: Job, *, restart: bool) -> Memory:
        """Return the saved state of the items, and of each stream by the name of its sink."""
        outputs = self.outputs(state)
        if state is None or outputs is None:
            return Memory()
        settings = self._settings
        if not self._remembers():
            return Memory(outputs=outputs)
        selection = _plain(job.selection)
        options = {"rewatches": settings.rewatches, "each_user": job.each_user}
        of_events = {
            **selection,
            "events": True,
            "event_source": job.naming.source,
            "server_id": job.naming.server_id,
        }
        items = self._store(state, self._items, selection, options) if self._items else None
        if items:
            outputs.job = items.job.key
        return Memory(
            items=items,
            outputs=outputs,
            events={
                name: EventCheckpoint(
                    self._store(state, (sink,), of_events, {}), source, restart=restart
                )
                for name, sink in self._streams.items()
            },
            restart=restart,
        )

    def _remembers(self) -> bool:
        """Return false if the next run selects other plays anyway, as "30d" does tomorrow."""
        moments = (self._settings.since, self._settings.until)
        return not any(is_relative(when) for when in moments)

    def _store(
        self,
        state: StateFile,
        sinks: tuple[str, ...],
        selection: Mapping[str, object],
        options: Mapping[str, object],
    ) -> CheckpointStore:
        job = JobKey(self.source, self._command, sinks, selection, options)
        return CheckpointStore(state, job, writes=not self._settings.dry_run)


def begin_log(remembered: RememberedJobs, held: HeldLocks, line: str, state: StateFile) -> RunLog:
    """Begin the log of a run. The locks name it from now on."""
    remembered.has_begun = True
    log = RunLog(state, line, remembered.source, remembered.sinks(state))
    held.note(log.holder)
    return log


@contextmanager
def record_early_failure(remembered: RememberedJobs, held: HeldLocks, line: str) -> Iterator[None]:
    """Record a failure from before the log of the run, such as an output that is gone.

    ``status`` is all that tells of it if cron sends no mail. A source that was never read before
    has a person who reads the message, and gets no state file.
    """
    try:
        yield
    except TautulliImportError as error:
        folder, path = remembered.folder, remembered.path
        if not remembered.has_begun and folder and path and path.exists():
            with (
                suppress(TautulliImportError, sqlite3.Error, OSError),
                closing(StateFile(folder, remembered.source)) as state,
            ):
                begin_log(remembered, held, line, state).failed(error, error.exit_code)
        raise


def _unplaced(sink: Sink, identity: Callable[[Sink], str]) -> str:
    """Name a place that is not a file or directory."""
    return "-" if sink.is_on_stdout else identity(sink) or "-"


def _plain(selection: Selection) -> dict[str, object]:
    """Return what distinguishes the job.

    ``latest`` is another one in every run. ``names`` beside ``users`` depend on what is in the
    history today.
    """
    values: dict[str, object] = msgspec.to_builtins(selection)
    del values["latest"]
    if selection.users or not selection.names:
        del values["names"]
    return {
        name: sorted(value) if isinstance(value, list) else value for name, value in values.items()
    }


def wish_of(settings: Settings, selection: Selection, *, replace: bool) -> Wish:
    """Return the selection as outputs remember it. It is the same text every night."""
    values = _plain(selection)
    values["media_types"] = sorted({*selection.media_types} - {"track"})  # never an item
    values["rewatches"] = settings.rewatches
    for name in ("since", "until"):
        if is_relative(when := getattr(settings, name)):
            values[name] = when.strip().lower()
    if settings.each_user:
        for name in ("users", "names"):
            values.pop(name, None)
    return Wish(msgspec.json.encode(sorted(values.items())).decode(), replace)
