"""Where it is to go: the sinks that were named, and what fits them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import ConfigurationError
from ..job import Target
from ..settings import Loaded, Settings
from ..sinks.base import StreamSink, sink_class, sink_names

__all__ = ["takes_events", "targets", "writes_to_stdout"]


def targets(loaded: Loaded) -> Sequence[Target]:
    """The sinks and where each writes.

    Raises:
        ConfigurationError: none was named, or ``--out`` fits none of them.
    """
    settings = loaded.settings
    default = "jsonl" if settings.events else "tracker"
    names = settings.to or ([default] if settings.dry_run else [])
    if not names:
        known = ["tracker", "editor", "jsonl"]
        if settings.events:
            known = [name for name in sink_names() if takes_events(name, settings)]
        ways = [f"--to {name}" for name in known]
        raise ConfigurationError(
            "Where should the history go?",
            hint=f"Add {', '.join(ways[:-1])} or {ways[-1]}, or look first with --dry-run.",
        )
    _check_kinds(names, loaded)
    places: dict[str, Path] = {}
    for place in settings.out:
        name, path = _named_place(place, names)
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
    to_stdout = [
        name for name in names if writes_to_stdout(name, places.get(name), settings.events)
    ]
    if len(to_stdout) > 1 and not settings.dry_run:
        raise ConfigurationError(
            f"{' and '.join(to_stdout)} cannot share standard output.",
            hint="Give one of them a file with --out.",
        )
    return [Target(name, places.get(name)) for name in names]


def takes_events(name: str, settings: Settings) -> bool:
    """Whether the sink called ``name`` takes events here, and not items."""
    cls = sink_class(name)
    return issubclass(cls, StreamSink) or (settings.events and cls.for_events is not None)


def _check_kinds(names: Sequence[str], loaded: Loaded) -> None:
    """Refuse what means nothing to any of the sinks, or would give one of them nothing.

    Raises:
        ConfigurationError: there is such a thing.
    """
    settings = loaded.settings
    of_items = [name for name in names if not takes_events(name, settings)]
    if of_items and settings.events:
        sink_class(of_items[0], events=True)
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
                f"--{name.replace('_', '-')} means nothing to {' and '.join(names)}.",
                hint="Leave it out: events are of every row, watched or not, say whose they are "
                "(--user chooses), and carry no external ids.",
            )


def _named_place(place: str, names: Sequence[str]) -> tuple[str, Path]:
    """The sink that an ``--out`` is for, and the path; the sink's name can be left out if sole."""
    name, equals, path = place.partition("=")
    if equals and name in names:
        return name, Path(path).expanduser()
    if equals and get_close_matches(name, sink_names(), n=1):
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


def writes_to_stdout(name: str, out: Path | None, events: bool) -> bool:
    """Whether the sink called ``name`` will write to standard output."""
    return sink_class(name, events=events).goes_to_stdout(out)
