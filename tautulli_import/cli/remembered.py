"""What a job is called where its checkpoint is kept, and where that is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..checkpoint.journal import About, Journal
from ..checkpoint.state import StateFile, database_source, state_file
from ..client.address import parse_address
from ..jetstream.access import Access
from ..job import Job, Target
from ..resume import Bookmark, Ledger
from ..selection import Selection
from ..settings import Settings
from ..sinks.base import BaseSink, SinkOptions, StreamSink, make_sink, sink_class
from ..sinks.files import shown
from ..sources.base import Source
from .opening import Command

__all__ = ["Remembered"]


class Remembered:
    """The names of one command's jobs: one of all its items, and one of each stream of events."""

    def __init__(
        self, command: Command, settings: Settings, targets: Sequence[Target], access: Access
    ) -> None:
        self._settings = settings
        # A file that was downloaded has more to tell of each row than the history has.
        self._command = command if settings.via == "history" else f"{command} via file"
        is_piped = command == "db" and Path("-") in settings.database
        self.folder = None if is_piped else settings.state_folder
        sinks = {target.name: _sink(target, settings, access) for target in targets}
        self.places = {name: sink.place() for name, sink in sinks.items()}
        self._streams = {
            name: f"{name}={sink.target}"
            for name, sink in sinks.items()
            if isinstance(sink, StreamSink) and not sink.is_piped
        }
        self._items = tuple(
            f"{name}={shown(Path(os.path.realpath(place))) if place else '-'}"
            for name, place in self.places.items()
            if not isinstance(sinks[name], StreamSink)
        )
        self.sinks = (*self._items, *self._streams.values())
        self.source = ""
        if command == "api" and settings.url:
            self.source = parse_address(settings.url).base
        elif command == "db" and settings.database and self.folder:
            self.source = database_source(settings.database)
        self.path = state_file(self.folder, self.source) if self.folder and self.source else None
        if settings.dry_run and command == "db" and not (self.path and self.path.exists()):
            self.folder = None  # nothing to be looked up, and nothing may be written

    def ledger(
        self, state: StateFile | None, source: Source, job: Job, *, now: int, restart: bool
    ) -> Ledger | None:
        """The checkpoint of the items; ``None`` where nothing is remembered."""
        if state is None or not self._items or not self._remembers(state):
            return None
        settings = self._settings
        options = {"rewatches": settings.rewatches, "each_user": settings.each_user}
        about = self._about(self._items, _plain(job.selection), options)
        return Ledger(self._journal(state, about), source, now=now, restart=restart)

    def bookmarks(
        self, state: StateFile | None, source: Source, job: Job, *, restart: bool
    ) -> Mapping[str, Bookmark]:
        """The checkpoint of each stream, by the name of its sink; none of what is gone at once."""
        if state is None or not self._remembers(state):
            return {}
        selection = {
            **_plain(job.selection),
            "events": True,
            "event_source": job.naming.source,
            "server_id": job.naming.server_id,
        }
        return {
            name: Bookmark(
                self._journal(state, self._about((sink,), selection, {})), source, restart=restart
            )
            for name, sink in self._streams.items()
        }

    def _remembers(self, state: StateFile) -> bool:
        """Whether anything holds the next time: "30d" means other plays tomorrow."""
        moments = (self._settings.since, self._settings.until)
        return state.path is not None and not any(_is_relative(when) for when in moments)

    def _about(
        self, sinks: tuple[str, ...], selection: Mapping[str, object], options: Mapping[str, object]
    ) -> About:
        return About(self.source, self._command, sinks, selection, options)

    def _journal(self, state: StateFile, about: About) -> Journal:
        return Journal(state, about, writes=not self._settings.dry_run)


def _sink(target: Target, settings: Settings, access: Access) -> BaseSink:
    cls = sink_class(target.name, events=settings.events)
    nats = access if cls.wants_nats else Access()
    options = SinkOptions(out=target.out, stdout=sys.stdout.buffer, now=0, nats=nats)
    return make_sink(cls, target.name, options)


def _plain(selection: Selection) -> dict[str, object]:
    values: dict[str, object] = msgspec.to_builtins(selection)
    return {
        name: sorted(value) if isinstance(value, list) else value for name, value in values.items()
    }


def _is_relative(when: str | None) -> bool:
    return when is not None and when.strip().lower().endswith("d")
