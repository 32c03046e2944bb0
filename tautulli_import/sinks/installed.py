"""Find the installed sinks, and make them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from ..errors import ConfigurationError
from ..formatting import did_you_mean
from .base import BaseSink, Sink, SinkOptions, StreamSink

__all__ = ["GROUP", "InstalledSinks", "make_sink"]

GROUP = "tautulli_import.sinks"
_Made = TypeVar("_Made", bound=BaseSink)


class InstalledSinks:
    """The installed sinks. The entry points are looked up once.

    A built-in sink keeps its name, whatever else is installed.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[EntryPoint]] = {}
        for entry in sorted(entry_points(group=GROUP), key=_is_built_in, reverse=True):
            known = self._found.setdefault(entry.name, [])
            if all(entry.value != other.value for other in known):
                known.append(entry)

    @property
    def warnings(self) -> Sequence[str]:
        """Return a sentence for each sink of another package with the name of a built-in one."""
        return [
            f"The package {_package(other)} has a sink called {name}, too. The built-in one is "
            f"used. To remove the other: pip uninstall {_package(other)}"
            for name, (first, *others) in self._found.items()
            for other in others
            if _is_built_in(first)
        ]

    @property
    def names(self) -> Sequence[str]:
        """Return their names in alphabetical order."""
        return sorted(self._found)

    def load(self, name: str, *, events: bool = False) -> type[Sink | StreamSink]:
        """Return the class of a sink. With ``events``, return the class for events.

        Raises:
            ConfigurationError: no such sink is installed, or several, it cannot be imported, or it
                takes no events.
        """
        if name not in self._found:
            raise ConfigurationError(
                f"There is no sink called {name!r}.",
                hint=f"{did_you_mean(name, self.names)}"
                f"Use --to with one of: {', '.join(self.names)}.",
            )
        entry, *others = self._found[name]
        if others and not _is_built_in(entry):
            packages = [_package(each) for each in (entry, *others)]
            raise ConfigurationError(
                f"Several packages have a sink called {name!r}: {', '.join(packages)}.",
                hint=f"Remove all but one of them, for example: pip uninstall {packages[-1]}",
            )
        try:
            loaded = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"The sink {name!r} ({entry.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}.",
                hint="Install what is missing, or uninstall the package with this sink.",
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, (Sink, StreamSink))):
            raise ConfigurationError(
                f"The sink {name!r} ({entry.value}) is not a tautulli_import Sink.",
                hint="Make it a subclass of tautulli_import.sinks.base.Sink or StreamSink.",
            )
        if not events or issubclass(loaded, StreamSink):
            return loaded
        if loaded.for_events is None:
            raise ConfigurationError(
                f"{name} takes films and episodes, not events.",
                hint=f"Leave out --events, or leave out --to {name}.",
            )
        return loaded.for_events


def _is_built_in(entry: EntryPoint) -> bool:
    return entry.module.partition(".")[0] == __name__.partition(".")[0]


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def make_sink(cls: type[_Made], name: str, options: SinkOptions) -> _Made:
    """Return an instance of the sink ``name``.

    Raises:
        ConfigurationError: the class lacks abstract methods.
    """
    try:
        return cls(options)
    except TypeError as error:
        raise ConfigurationError(
            f"The sink {name!r} is not complete: {error}.",
            hint="Implement all abstract methods of its base class.",
        ) from error
