"""Show the items or events of a dry run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..imports.run import ImportResult
from ..model.events import PlaybackEvent
from ..settings.fields import Settings
from ..sinks.items_jsonl import lines
from .console import Screen
from .formatting import EventsSeen

__all__ = ["Shower", "prints_items", "show_items"]


class Shower:
    """Shows the events of a dry run: all at once in a pipe, the newest at the end on a terminal."""

    def __init__(self, settings: Settings, screen: Screen) -> None:
        self.as_table = _as_table(settings)
        self._screen = screen
        self._seen = EventsSeen()
        self._encode = msgspec.json.Encoder().encode_lines

    def __call__(self, events: Sequence[PlaybackEvent]) -> None:
        """Print or count events that would be delivered.

        Raises:
            BrokenPipeError: the reader of the pipe has left.
        """
        if self.as_table:
            self._seen.add(events)
        elif events:
            sys.stdout.buffer.write(self._encode(events))
            sys.stdout.buffer.flush()

    def show(self) -> None:
        """Print the table, if there is one."""
        if self.as_table:
            self._screen.events(self._seen)


def prints_items(settings: Settings, *, as_json: bool) -> bool:
    """Return true if a dry run prints its items or events on standard output."""
    return settings.dry_run and not as_json and settings.report != Path("-")


def show_items(outcome: ImportResult, settings: Settings, screen: Screen) -> None:
    """Print the items of a dry run. Other sinks than the first would repeat the same plays."""
    for delivery in outcome.deliveries:
        if delivery.records is None or delivery.sink != outcome.deliveries[0].sink:
            continue
        if _as_table(settings):
            screen.dry_run(delivery.records, delivery.user)
        else:
            sys.stdout.buffer.writelines(lines(delivery.records))
    sys.stdout.flush()


def _as_table(settings: Settings) -> bool:
    return settings.format == "table" or (settings.format is None and sys.stdout.isatty())
