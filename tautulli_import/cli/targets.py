"""Choose the sinks that were named, and make each once."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import ConfigurationError
from ..imports.job import Target
from ..jetstream.access import Access
from ..options import SETTINGS
from ..settings import Loaded
from ..sinks.base import InstalledSinks, Sink, SinkOptions, StreamSink, make_sink
from .console import Screen
from .nats_access import nats_access

__all__ = ["targets"]


def targets(loaded: Loaded, screen: Screen, *, now: int) -> Sequence[Target]:
    """Make the sinks, each with the place where it writes.

    ``now`` is the time of the run (epoch seconds, UTC).

    Raises:
        ConfigurationError: none was named, or ``--out`` fits none of them.
    """
    settings = loaded.settings
    installed = InstalledSinks()
    default = "jsonl" if settings.events else "tracker"
    names = settings.to or ([default] if settings.dry_run else [])
    if not names:
        known = ["tracker", "editor", "jsonl"]
        if settings.events:
            known = [name for name in installed.names if _can_take_events(installed.load(name))]
        ways = [f"--to {name}" for name in known]
        raise ConfigurationError(
            "Where should the history go?",
            hint=f"Add {', '.join(ways[:-1])} or {ways[-1]}, or look first with --dry-run.",
        )
    found = {name: installed.load(name) for name in names}
    if settings.events:
        found = {
            name: (cls if issubclass(cls, StreamSink) else cls.for_events) or cls
            for name, cls in found.items()
        }
    of_items = [name for name, cls in found.items() if issubclass(cls, Sink)]
    if of_items and settings.events:
        installed.load(of_items[0], events=True)
    _check_kinds(names, of_items, loaded)
    places = _places(settings.out, names, installed)
    to_stdout = [name for name, cls in found.items() if cls.goes_to_stdout(places.get(name))]
    if len(to_stdout) > 1 and not settings.dry_run:
        raise ConfigurationError(
            f"{' and '.join(to_stdout)} cannot share standard output.",
            hint="Give one of them a file with --out.",
        )
    access = nats_access(loaded, screen)
    return [
        Target(name, make_sink(cls, name, _options(cls, places.get(name), loaded, access, now)))
        for name, cls in found.items()
    ]


def _options(
    cls: type[Sink | StreamSink], out: Path | None, loaded: Loaded, access: Access, now: int
) -> SinkOptions:
    settings = loaded.settings
    return SinkOptions(
        out=out,
        stdout=sys.stdout.buffer,
        now=now,
        every_viewing=settings.rewatches or (issubclass(cls, Sink) and cls.every_viewing),
        merge_with=settings.merge_with,
        dry_run=settings.dry_run,
        wait=settings.wait,
        nats=access if cls.wants_nats else Access(),
    )


def _can_take_events(cls: type[Sink | StreamSink]) -> bool:
    return issubclass(cls, StreamSink) or cls.for_events is not None


def _check_kinds(names: Sequence[str], of_items: Sequence[str], loaded: Loaded) -> None:
    """Refuse what means nothing to any of the sinks, or would give one of them nothing.

    Raises:
        ConfigurationError: there is such a thing.
    """
    settings = loaded.settings
    if of_items and settings.media_type == ["track"]:
        raise ConfigurationError(
            f"Music is nothing for {of_items[0]}.",
            hint="It becomes events only: --events, --to nats or --to duckdb.",
        )
    if of_items:
        return
    for name in ("rewatches", "each_user", "ids", "include_partial"):
        if loaded.origins[name] == "option":  # what the configuration says is for other runs
            raise ConfigurationError(
                f"{SETTINGS[name].flag} means nothing to {' and '.join(names)}.",
                hint="Leave it out: events are of every row, watched or not, say whose they are "
                "(--user chooses), and carry no external ids.",
            )


def _places(
    given: Sequence[str], names: Sequence[str], installed: InstalledSinks
) -> Mapping[str, Path]:
    """Return the place that each ``--out`` names, by sink.

    Raises:
        ConfigurationError: one names no sink, or two name the same sink or place.
    """
    places: dict[str, Path] = {}
    for place in given:
        name, path = _named_place(place, names, installed)
        if name in places:
            raise ConfigurationError(
                f"{name} cannot write to both {places[name]} and {path}.",
                hint="Keep one --out for each sink.",
            )
        places[name] = path
    files = [path.resolve() for path in places.values() if path != Path("-")]
    if len(set(files)) < len(files):
        raise ConfigurationError(
            "Two sinks cannot write to the same place.", hint="Give each its own --out SINK=PATH."
        )
    return places


def _named_place(place: str, names: Sequence[str], installed: InstalledSinks) -> tuple[str, Path]:
    """Return the sink that an ``--out`` is for, and the path. A sole sink needs no name."""
    name, equals, path = place.partition("=")
    if equals and name in names:
        return name, Path(path).expanduser()
    if equals and get_close_matches(name, installed.names, n=1):
        raise ConfigurationError(
            f"--out {place}: no sink called {name} is in use.",
            hint=f"In use: {', '.join(names)}. If it is a path, write ./{place}",
        )
    if len(names) > 1:
        raise ConfigurationError(
            f"Which of the sinks is to write to {place}?",
            hint=f"With several sinks: --out {names[0]}={place}",
        )
    return names[0], Path(place).expanduser()
