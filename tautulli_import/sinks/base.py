"""Define the interface of sinks, and find installed sinks.

A sink takes records, and its ``commit`` returns only when they are durable. A snapshot sink is
given the whole de-duplicated set, in ascending ``watched_at`` order, before its one ``commit``. A
dry run calls ``preview`` instead of ``commit``. It returns the same numbers and writes nothing.
A stream sink takes playback events instead, in the order of the rows, while they are read.

To add a sink, subclass one of these and add one line to your ``pyproject.toml``::

    [project.entry-points."tautulli_import.sinks"]
    mysink = "my_package:MySink"
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import BinaryIO, ClassVar, TypeVar

from msgspec import Struct

from ..errors import ConfigurationError
from ..files import is_stream
from ..formatting import did_you_mean
from ..jetstream.access import Access
from ..model.events import PlaybackEvent
from ..model.items import Record
from ..model.rejections import Reason
from ..state.checkpoint import Position

__all__ = [
    "GROUP",
    "BaseSink",
    "InstalledSinks",
    "Receipt",
    "Sink",
    "SinkOptions",
    "SnapshotSink",
    "StreamSink",
    "describe_sink",
    "file_of_user",
    "make_sink",
]

GROUP = "tautulli_import.sinks"
_Made = TypeVar("_Made", bound="BaseSink")


class SinkOptions(Struct, frozen=True):
    """The options of a sink for one run."""

    out: Path | None
    """``--out`` or ``default_out``: the file or directory. ``-`` is standard output."""
    stdout: BinaryIO
    now: int
    """The time of the run, epoch seconds, UTC."""
    every_viewing: bool = False
    """``--rewatches``: one record per viewing, under event keys."""
    merge_with: Path | None = None
    """``--merge-with``: an exported history to build on."""
    user: str | None = None
    """``--each-user``: the user whose output this is."""
    dry_run: bool = False
    """True if a stream sink only counts and writes nothing. Other sinks get ``preview`` calls."""
    wait: float = 0.0
    """``--wait``: seconds to wait while another process uses the place."""
    nats: Access = Access()
    """The NATS server, with secrets. Only sinks with ``wants_nats`` are given it."""
    same_play: int = 60
    """``--same-play``: seconds between two times of one viewing."""


class Receipt(Struct, frozen=True):
    """The result of a commit, or of its preview."""

    target: str
    new: int
    updated: int = 0
    unchanged: int = 0
    total: int = 0
    removed: int = 0
    """Entries that the commit removed. Entries of other sources are never removed."""
    written: Sequence[str] = ()
    warnings: Sequence[str] = ()
    """Sentences about things that a person should check."""
    notices: Sequence[str] = ()
    """Sentences about things that a person may want to know."""
    next_steps: Sequence[str] = ()
    """Sentences about what to do next."""
    kept: int = 0
    """Entries under a superseded key that somebody changed since, so they stay."""


class BaseSink(ABC):  # noqa: B024 - the abstract methods are in its two subclasses
    """The base of all sinks: a place that is checked before anything is read."""

    summary: ClassVar[str] = ""
    """A line for the list of sinks. Without one, the first line of the class's docstring."""
    default_out: ClassVar[str | None] = None
    """The file or directory to use as ``options.out`` without ``--out``."""
    to_stdout: ClassVar[bool] = False
    """True if the sink writes to standard output without ``--out``."""
    lines: ClassVar[bool] = False
    """True if the outputs of several users may follow each other on standard output."""
    wants_nats: ClassVar[bool] = False
    """True if the sink needs ``SinkOptions.nats``, secrets included."""

    def __init__(self, options: SinkOptions) -> None:
        self.options = options

    @classmethod
    def goes_to_stdout(cls, out: Path | None) -> bool:
        """Return true if the sink writes to standard output with this ``--out``."""
        return out == Path("-") or (out is None and cls.to_stdout)

    def check(self) -> None:  # noqa: B027 - most sinks have nothing to check
        """Check, before anything is read, that ``commit`` can succeed.

        Raises:
            TautulliImportError: the place cannot be used.
        """

    def writes(self) -> Sequence[Path]:
        """Return the files that the sink will write, as far as they are known beforehand.

        With ``--each-user``, a sink that does not replace this method gets an ``options.out`` with
        the name of the user in it. Others have to use ``options.user``.
        """
        out = self.options.out
        return [] if out is None or out == Path("-") else [out]

    def place(self) -> Path | None:
        """Return the file or directory to lock during the run, or ``None``."""
        return next(iter(self.writes()), None)

    @property
    def is_on_stdout(self) -> bool:
        """Return true if it writes to standard output."""
        return self.goes_to_stdout(self.options.out)

    @property
    def is_piped(self) -> bool:
        """Return true if writing may block forever, because another program reads it."""
        return self.is_on_stdout or any(map(is_stream, self.writes()))


class Sink(BaseSink):
    """A sink for items."""

    merges: ClassVar[bool] = False
    """True if the sink uses ``--merge-with``."""
    supersedes: ClassVar[bool] = False
    """True if records stay in its place between runs, so that it needs ``superseded``."""
    every_viewing: ClassVar[bool] = False
    """True if the sink needs a record for every viewing, also without ``--rewatches``."""
    for_events: ClassVar[type[StreamSink] | None] = None
    """The sink to use instead with ``--events``; ``None`` if there is none."""
    superseded: Mapping[str, int] = {}
    """Keys that earlier runs gave to this sink and that its place should no longer have, with the
    time of each (epoch seconds, UTC). It is set before ``write``. The sink may remove an entry
    under such a key if the entry is unchanged since it was written. If a record has the same key,
    it replaces such an entry, even a newer one. An entry that is a record's stays."""

    @property
    def keeps_viewings(self) -> bool:
        """Return true if it gets a record for every viewing."""
        return self.every_viewing or self.options.every_viewing

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Take records. Nothing has to be durable yet."""

    @abstractmethod
    def commit(self) -> Receipt:
        """Make all records durable, and only then return.

        Raises:
            SinkError: they could not be written. The old content is unchanged.
        """

    @abstractmethod
    def preview(self) -> Receipt:
        """Return the receipt that ``commit`` would return. Write nothing."""


class SnapshotSink(Sink):
    """A sink that collects everything in ``records`` before its one ``commit``."""

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self.records: Sequence[Record] = ()

    def write(self, records: Sequence[Record]) -> None:
        """Take records. A single sequence is kept as it is, because it may be built lazily."""
        self.records = [*self.records, *records] if self.records else records


class StreamSink(BaseSink):
    """A sink for playback events. It takes them in the order of the rows, while they are read.

    The pipeline calls ``recall`` and ``begin`` once, ``write`` and ``commit`` many times,
    ``finish`` at the end, and ``close`` in any case. With ``options.dry_run`` none of them writes
    anything. ``durable`` counts events. The pipeline knows which position that number means.
    """

    @property
    @abstractmethod
    def target(self) -> str:
        """Return the name of the place, without secrets. One place always has the same name."""

    @abstractmethod
    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Open the place, and return the position up to which it has this job's events.

        ``saved`` is the position in the state file. Return ``None`` if the place has no events of
        the job, or if that is not certain.

        Raises:
            TautulliImportError: the place cannot be used.
        """

    @abstractmethod
    def begin(self, after: Position | None) -> None:
        """Start after a position that ``recall`` returned, or with ``None`` at the first row."""

    def refuses(self, event: PlaybackEvent) -> Reason | None:
        """Return the reason why this sink cannot take an event, or ``None`` if it can."""
        del event
        return None

    @abstractmethod
    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Write events.

        ``position`` is where the source stands after them, or None if it cannot be saved.

        Raises:
            SinkError: the events could not be written. ``durable`` is still correct.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make everything written durable, and only then return.

        Raises:
            SinkError: the events could not be written. ``durable`` is still correct.
        """

    @property
    @abstractmethod
    def durable(self) -> int:
        """Return the number of events since ``begin`` before the first that is not durable."""

    @property
    def note(self) -> str:
        """Return a text by which ``recall`` recognises the place at the last durable position."""
        return ""

    @abstractmethod
    def finish(self) -> Receipt:
        """Complete the output after the last commit, and return the receipt.

        ``new`` counts the events of this run that the place did not have. ``total`` counts all
        events there.

        Raises:
            SinkError: the last step failed.
        """

    def close(self) -> None:
        """Close files and connections."""


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


def file_of_user(path: Path, user: str) -> Path:
    """Return the file for a user: ``history-alice.jsonl`` for ``history.jsonl``."""
    return path.with_name(f"{path.stem}-{user}{path.suffix}")


def describe_sink(cls: type[BaseSink]) -> str:
    """Return one line about a sink, or "" if its class has none."""
    return cls.summary or (vars(cls).get("__doc__") or "").strip().partition("\n")[0]


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
