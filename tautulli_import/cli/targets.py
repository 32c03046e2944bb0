"""Make each sink that ``--to`` names, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError
from ..files import expand_home
from ..imports.job import Target
from ..jetstream.access import Access
from ..options import SETTINGS
from ..settings.loaded import Loaded
from ..sinks.base import Sink, SinkOptions, StreamSink, describe_sink
from ..sinks.installed import InstalledSinks, make_sink
from .console import Screen
from .crosswatch_access import crosswatch_access
from .nats_access import nats_access

__all__ = ["RunOptions", "targets"]


class RunOptions(Struct, frozen=True):
    """The options that are for one run only, as far as sinks need them."""

    restart: bool
    replace: bool
    drop_synced: bool


def targets(loaded: Loaded, screen: Screen, wanted: RunOptions, *, now: int) -> Sequence[Target]:
    """Make the sinks, each with the place where it writes.

    ``now`` is the time of the run (epoch seconds, UTC).

    Raises:
        ConfigurationError: ``--to`` is missing, or an ``--out`` fits none of the sinks.
    """
    settings = loaded.settings
    if wanted.drop_synced and not wanted.replace:
        raise ConfigurationError(
            "--drop-synced is only for --replace.", hint="Leave it out, or add --replace."
        )
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
    _check_used(classes, loaded, wanted)
    places = _places(settings.out, names, installed)
    to_stdout = [name for name, cls in classes.items() if cls.goes_to_stdout(places.get(name))]
    if len(to_stdout) > 1 and not settings.dry_run:
        raise ConfigurationError(
            f"Only one of {' and '.join(to_stdout)} can write to standard output.",
            hint=f"Give the other a file: --out {to_stdout[-1]}=FILE",
        )
    wants_nats = any(cls.wants_nats for cls in classes.values())
    wants_crosswatch = any(cls.wants_crosswatch for cls in classes.values())
    common = SinkOptions(
        out=None,
        stdout=sys.stdout.buffer,
        now=now,
        every_viewing=settings.rewatches,
        merge_with=settings.merge_with,
        same_play=settings.same_play,
        dry_run=settings.dry_run,
        wait=settings.wait,
        nats=nats_access(loaded, screen) if wants_nats else Access(),
        crosswatch=crosswatch_access(loaded, screen) if wants_crosswatch else None,
        restart=wanted.restart,
        replace=wanted.replace,
        drop_synced=wanted.drop_synced,
        timezone=_timezone(loaded),
    )
    return [
        Target(name, make_sink(cls, name, _options(cls, places.get(name), common)))
        for name, cls in classes.items()
    ]


def _options(cls: type[Sink | StreamSink], out: Path | None, common: SinkOptions) -> SinkOptions:
    """Return the options of one sink. It gets only the secrets that it needs."""
    default = None if cls.default_out is None else Path(cls.default_out)
    keeps_viewings = issubclass(cls, Sink) and cls.every_viewing
    return msgspec.structs.replace(
        common,
        out=out or default,
        every_viewing=common.every_viewing or keeps_viewings,
        nats=common.nats if cls.wants_nats else Access(),
        crosswatch=common.crosswatch if cls.wants_crosswatch else None,
    )


def _timezone(loaded: Loaded) -> tzinfo | None:
    """Return the time zone of ``--timezone``; ``None`` is the system's.

    Raises:
        ConfigurationError: there is no such time zone.
    """
    name = loaded.settings.timezone
    if name is None:
        return None
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory, such as Europe
        pass
    wanted = name.casefold().replace(" ", "_")
    known = {
        spelling: zone
        for zone in sorted(available_timezones())
        for spelling in (zone.casefold(), zone.casefold().rpartition("/")[2])
    }
    close = get_close_matches(wanted, known, n=3, cutoff=0.7)
    similar = [known[one] for one in ([wanted] if wanted in known else close)]
    raise ConfigurationError(
        f"There is no time zone called {name!r} ({loaded.where('timezone')}).",
        hint=f"Did you mean {' or '.join(dict.fromkeys(similar))}?"
        if similar
        else "Use a name from the IANA list, such as --timezone Europe/Berlin.",
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


def _check_used(
    classes: Mapping[str, type[Sink | StreamSink]], loaded: Loaded, wanted: RunOptions
) -> None:
    """Refuse an option on the command line that none of the sinks uses.

    Raises:
        ConfigurationError: there is one.
    """
    of_server = ("crosswatch_url", "profile")
    has_server = any(cls.wants_crosswatch for cls in classes.values())
    unused = [SETTINGS[n].flag for n in of_server if loaded.origins[n] == "option"]
    unused += ["--drop-synced"] if wanted.drop_synced else []
    if unused and not has_server:
        raise ConfigurationError(
            f"{unused[0]} cannot be used with {' and '.join(classes)}.",
            hint="Remove it, or use --to crosswatch.",
        )
    if loaded.origins["timezone"] == "option" and not any(c.is_local for c in classes.values()):
        raise ConfigurationError(
            f"--timezone cannot be used with {' and '.join(classes)}.",
            hint="Remove it. Their times are in UTC.",
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
        return name, expand_home(Path(path))
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
    return names[0], expand_home(Path(place))
