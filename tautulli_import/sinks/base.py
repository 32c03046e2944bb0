"""What a sink is, and how it is found.

A sink takes records, and ``commit`` returns only when what it took is durable. A snapshot
sink is given the whole de-duplicated set, in ascending ``watched_at`` order, before its one
``commit``. A dry run calls ``preview`` in place of ``commit``: the same numbers, no writing.
A stream sink takes playback events instead, in the order of the rows and as they are read.

A sink of your own is a subclass of one of them and one line in your ``pyproject.toml``::

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

from ..checkpoint.journal import Position
from ..errors import ConfigurationError
from ..jetstream.access import Access
from ..models import PlaybackEvent, Reason, Record
from .files import is_stream

__all__ = [
    "GROUP",
    "BaseSink",
    "InstalledSinks",
    "Receipt",
    "Sink",
    "SinkOptions",
    "SnapshotSink",
    "StreamSink",
    "make_sink",
]

GROUP = "tautulli_import.sinks"
_Made = TypeVar("_Made", bound="BaseSink")


class SinkOptions(Struct, frozen=True):
    """Everything a sink is told."""

    out: Path | None
    """Where to write; ``None`` for the sink's own default, ``-`` for standard output."""
    stdout: BinaryIO
    now: int
    """The time of the run, epoch seconds, UTC."""
    every_viewing: bool = False
    """``--rewatches``: one record per viewing, under event keys."""
    merge_with: Path | None = None
    """``--merge-with``: an exported history to build on."""
    user: str | None = None
    """Whose output this is, where ``--each-user`` writes one for each."""
    dry_run: bool = False
    """Whether a stream sink may only look and count. (Others are asked for a ``preview``.)"""
    wait: float = 0.0
    """``--wait``: how many seconds somebody else may still have the place."""
    nats: Access = Access()
    """Which NATS server, and who we are there: for whom ``wants_nats``."""


class Receipt(Struct, frozen=True):
    """What a commit did, or in a dry run would do."""

    target: str
    new: int
    updated: int = 0
    unchanged: int = 0
    total: int = 0
    removed: int = 0
    """Entries that were there and will not be; never of another source."""
    written: Sequence[str] = ()
    warnings: Sequence[str] = ()
    """What a person should look at, one sentence each."""
    notices: Sequence[str] = ()
    """What a person may want to know, one sentence each."""
    next_steps: Sequence[str] = ()
    """What a person does now, one sentence each."""


class BaseSink(ABC):  # noqa: B024 - its two kinds have the abstract methods
    """What all sinks are: a place, which can be looked at before anything is read."""

    to_stdout: ClassVar[bool] = False
    """Whether it writes to standard output when no ``--out`` is given."""
    lines: ClassVar[bool] = False
    """Whether several users' outputs may follow each other on standard output."""
    wants_nats: ClassVar[bool] = False
    """Whether it is told which NATS server is meant, passwords and all."""

    def __init__(self, options: SinkOptions) -> None:
        self.options = options

    @classmethod
    def goes_to_stdout(cls, out: Path | None) -> bool:
        """Whether it will write to standard output, given its ``--out``."""
        return out == Path("-") or (out is None and cls.to_stdout)

    def check(self) -> None:  # noqa: B027 - most sinks have nothing to look at
        """Find out before anything is read what would make ``commit`` fail.

        Raises:
            TautulliImportError: the target cannot be what it has to be.
        """

    def writes(self) -> Sequence[Path]:
        """The files that it is going to write, as far as that is known beforehand."""
        out = self.options.out
        return [] if out is None or out == Path("-") else [out]

    def place(self) -> Path | None:
        """What nobody else may write meanwhile: a file or a directory; ``None`` for neither."""
        return next(iter(self.writes()), None)

    @property
    def is_piped(self) -> bool:
        """Whether it writes to somebody who may take forever to read it."""
        return self.goes_to_stdout(self.options.out) or any(map(is_stream, self.writes()))


class Sink(BaseSink):
    """A place for items. Subclass it, and see the module's text for how it is found."""

    merges: ClassVar[bool] = False
    """Whether ``--merge-with`` means anything to it."""
    supersedes: ClassVar[bool] = False
    """Whether what it was given stays until it is told, so that it needs ``superseded``."""
    every_viewing: ClassVar[bool] = False
    """Whether it wants a record for every viewing, ``--rewatches`` or not."""
    for_events: ClassVar[type[StreamSink] | None] = None
    """The sink that takes its place with ``--events``; ``None`` where it takes items only."""
    superseded: Mapping[str, int] = {}
    """Keys that earlier runs gave to this sink and whose plays have other keys now, with the
    moment of each (epoch seconds, UTC). It is set before ``write``: what stands there as it was
    given may go."""

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Take records. Nothing has to be durable yet."""

    @abstractmethod
    def commit(self) -> Receipt:
        """Make everything taken durable, and only then return.

        Raises:
            SinkError: it could not be written; what was there before is still there.
        """

    @abstractmethod
    def preview(self) -> Receipt:
        """The receipt that ``commit`` would return; writes nothing."""


class SnapshotSink(Sink):
    """A sink that is given everything before its one ``commit``; ``records`` has it then."""

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self.records: list[Record] = []

    def write(self, records: Sequence[Record]) -> None:
        """Take records."""
        self.records += records


class StreamSink(BaseSink):
    """A place for playback events, which takes them in the order of the rows, as they are read.

    It is asked what it ``recall``s, begun once, written to again and again, and closed in any
    case. With ``options.dry_run`` all of it only looks and counts. It tells how many events are
    ``durable``. Which position in the source that stands for is the pipeline's to know.
    """

    @property
    @abstractmethod
    def target(self) -> str:
        """Name the place, without secrets; the same for the same place."""

    @abstractmethod
    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Open the place, and return the position up to which it has this job's events.

        ``saved`` is the position in the state file. ``None``: nothing, or not certainly.

        Raises:
            TautulliImportError: the place cannot be used.
        """

    @abstractmethod
    def begin(self, after: Position | None) -> None:
        """Go on after a position that it has recalled; ``None``: from the first row on."""

    def refuses(self, event: PlaybackEvent) -> Reason | None:
        """Return why it cannot take an event, whatever the event's row is worth elsewhere."""
        del event
        return None

    @abstractmethod
    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Take events. ``position`` is where the source stands after them.

        ``None``: it cannot be saved, and the last one before stays the last.

        Raises:
            SinkError: it could not deliver them. ``durable`` tells how far it came.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make everything written durable, and only then return.

        Raises:
            SinkError: it could not deliver it. ``durable`` tells how far it came.
        """

    @property
    @abstractmethod
    def durable(self) -> int:
        """Count the durable events since ``begin``, up to the first that is not."""

    @property
    def note(self) -> str:
        """Describe the place as of the last durable position, for ``recall`` to recognise it."""
        return ""

    @abstractmethod
    def finish(self) -> Receipt:
        """Report what came of it, now that all is written and committed.

        ``new`` counts the events of this run that the place did not have; ``total`` what is
        there now.

        Raises:
            SinkError: the last step failed.
        """

    def close(self) -> None:
        """Let go of everything."""


class InstalledSinks:
    """The sinks that are installed, looked up once."""

    def __init__(self) -> None:
        self._found: dict[str, EntryPoint] = {
            entry.name: entry for entry in entry_points(group=GROUP)
        }

    @property
    def names(self) -> Sequence[str]:
        """Return their names in alphabetical order."""
        return sorted(self._found)

    def load(self, name: str, *, events: bool = False) -> type[Sink | StreamSink]:
        """Return the class of the sink called ``name``; with ``events`` the one that takes those.

        Raises:
            ConfigurationError: no such sink is installed, it cannot be imported, or it takes no
                events.
        """
        if name not in self._found:
            raise ConfigurationError(
                f"There is no sink called {name!r}.",
                hint=f"Installed are: {', '.join(self.names)}.",
            )
        entry = self._found[name]
        try:
            loaded = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"The sink {name!r} ({entry.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}.",
                hint="Install what it needs, or uninstall the package that brings it.",
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, (Sink, StreamSink))):
            raise ConfigurationError(
                f"The sink {name!r} ({entry.value}) is not a tautulli_import Sink.",
                hint="It has to be a subclass of tautulli_import.sinks.base.Sink or StreamSink.",
            )
        if not events or issubclass(loaded, StreamSink):
            return loaded
        if loaded.for_events is None:
            raise ConfigurationError(
                f"{name} takes films and episodes, no events.",
                hint="Leave --events out, or --to it.",
            )
        return loaded.for_events


def make_sink(cls: type[_Made], name: str, options: SinkOptions) -> _Made:
    """Make the sink that is called ``name``.

    Raises:
        ConfigurationError: the class is not complete.
    """
    try:
        return cls(options)
    except TypeError as error:
        raise ConfigurationError(
            f"The sink {name!r} is not complete: {error}.",
            hint="It has to have all methods that are abstract in its base class.",
        ) from error
