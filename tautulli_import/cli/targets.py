"""Make each sink that ``--to`` names, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import ConfigurationError
from ..imports.job import Target
from ..jetstream.access import Access
from ..options import SETTINGS
from ..settings.loaded import Loaded
from ..sinks.base import InstalledSinks, Sink, SinkOptions, StreamSink, describe_sink, make_sink
from .console import Screen
from .nats_access import nats_access

__all__ = ["targets"]


def targets(loaded: Loaded, screen: Screen, *, now: int) -> Sequence[Target]:
    """Make the sinks, each with the place where it writes.

    ``now`` is the time of the run (epoch seconds, UTC).

    Raises:
        ConfigurationError: ``--to`` is missing, or an ``--out`` fits none of the sinks.
    """
    settings = loaded.settings
    installed = InstalledSinks()
    for warning in installed.warnings:
        screen.warn(warning)
    default = "jsonl" if settings.events else "tracker"
    names = settings.to or ([default] if settings.dry_run else [])
    if not names:
        raise ConfigurationError(
            "No output given.",
            hint="Look first with --dry-run, start with tautulli-import init, or use one of these:",
            choices=list(_choices(installed, events=settings.events)),
        )
    classes = {name: installed.load(name) for name in names}
    if settings.events:
        classes = {
            name: (cls if issubclass(cls, StreamSink) else cls.for_events) or cls
            for name, cls in classes.items()
        }
    of_items = [name for name, cls in classes.items() if issubclass(cls, Sink)]
    if of_items and settings.events:
        installed.load(of_items[0], events=True)
    _check_kinds(names, of_items, loaded)
    places = _places(settings.out, names, installed)
    to_stdout = [name for name, cls in classes.items() if cls.goes_to_stdout(places.get(name))]
    if len(to_stdout) > 1 and not settings.dry_run:
        raise ConfigurationError(
            f"Only one of {' and '.join(to_stdout)} can write to standard output.",
            hint=f"Give the other a file: --out {to_stdout[-1]}=FILE",
        )
    wants_nats = any(cls.wants_nats for cls in classes.values())
    access = nats_access(loaded, screen) if wants_nats else Access()
    return [
        Target(name, make_sink(cls, name, _options(cls, places.get(name), loaded, access, now)))
        for name, cls in classes.items()
    ]


def _options(
    cls: type[Sink | StreamSink], out: Path | None, loaded: Loaded, access: Access, now: int
) -> SinkOptions:
    settings = loaded.settings
    default = None if cls.default_out is None else Path(cls.default_out)
    return SinkOptions(
        out=out or default,
        stdout=sys.stdout.buffer,
        now=now,
        every_viewing=settings.rewatches or (issubclass(cls, Sink) and cls.every_viewing),
        merge_with=settings.merge_with,
        same_play=settings.same_play,
        dry_run=settings.dry_run,
        wait=settings.wait,
        nats=access if cls.wants_nats else Access(),
    )


def _choices(installed: InstalledSinks, *, events: bool) -> Iterator[str]:
    """Yield the sinks that can be used, one line each."""
    width = max(map(len, installed.names), default=0)
    for name in installed.names:
        try:
            line = describe_sink(installed.load(name, events=events))
        except ConfigurationError:  # broken, or it takes no events
            continue
        yield f"--to {name:{width}}  {line}".rstrip()


def _check_kinds(names: Sequence[str], of_items: Sequence[str], loaded: Loaded) -> None:
    """Refuse an option that no sink can use, and music for sinks of items.

    Raises:
        ConfigurationError: there is one.
    """
    settings = loaded.settings
    if of_items and settings.media_type == ["track"]:
        sink = "A tracker" if of_items[0] == "tracker" else f"The sink {of_items[0]}"
        raise ConfigurationError(
            f"{sink} cannot hold music.",
            hint="Use --to duckdb, --to nats or --events for music.",
        )
    if of_items:
        return
    for name in ("rewatches", "each_user", "ids", "include_partial"):
        if loaded.origins[name] == "option":  # the configuration is for other runs too
            raise ConfigurationError(
                f"{SETTINGS[name].flag} cannot be used with {' and '.join(names)}.",
                hint="Remove it. There is an event for every row, watched or not. It names its "
                "user (select with --user) and has no external ids.",
            )


def _places(
    given: Sequence[str], names: Sequence[str], installed: InstalledSinks
) -> Mapping[str, Path]:
    """Return the path of each ``--out``, by sink.

    Raises:
        ConfigurationError: an ``--out`` fits no sink, or two are for the same sink or path.
    """
    places: dict[str, Path] = {}
    for place in given:
        name, path = _named_place(place, names, installed)
        if name in places:
            raise ConfigurationError(
                f"{name} cannot write to both {places[name]} and {path}.",
                hint="Use one --out for each sink.",
            )
        places[name] = path
    files = [path.resolve() for path in places.values() if path != Path("-")]
    if len(set(files)) < len(files):
        raise ConfigurationError(
            "Two sinks cannot write to the same place.",
            hint="Use a different --out SINK=PATH for each.",
        )
    return places


def _named_place(place: str, names: Sequence[str], installed: InstalledSinks) -> tuple[str, Path]:
    """Return the sink and the path of an ``--out``. A single sink needs no name."""
    name, equals, path = place.partition("=")
    if equals and name in names:
        return name, Path(path).expanduser()
    if equals and get_close_matches(name, installed.names, n=1):
        raise ConfigurationError(
            f"--out {place} is for the sink {name}, which is not in use.",
            hint=f"In use: {', '.join(names)}. If it is a path, use --out ./{place}",
        )
    if len(names) > 1:
        raise ConfigurationError(
            f"--out {place} does not name its sink.",
            hint=f"With several sinks, use for example --out {names[0]}={place}",
        )
    return names[0], Path(place).expanduser()
