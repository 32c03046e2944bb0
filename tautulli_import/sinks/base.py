"""Define the interface of sinks.

A sink takes records, and its ``commit`` returns only when they are durable. A snapshot sink is
given the whole de-duplicated set, in ascending ``watched_at`` order, before its one ``commit``. A
dry run calls ``preview`` instead of ``commit``. It returns the same numbers and writes nothing.
A stream sink takes playback events instead, in the order of the rows, while they are read.

To add a sink, subclass one of these and add one line to your ``pyproject.toml``::

    [project.entry-points."tautulli_import.sinks"]
    mysink = "my_package:MySink"

``exports.ExportSink`` is the base for files that another tracker imports.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, tzinfo
from pathlib import Path
from typing import BinaryIO, ClassVar

from msgspec import Raw, Struct

from ..crosswatch.access import Access as CrossWatchAccess
from ..errors import SinkError, TautulliImportError
from ..files import is_stream
from ..formatting import shown
from ..interrupts import defer_signals
from ..jetstream.access import Access
from ..model.events import PlaybackEvent
from ..model.items import Record
from ..model.rejections import Reason
from ..model.viewings import SAME_PLAY
from ..progress import UNSEEN, Progress
from ..state.checkpoint import Position
from ..state.copies import Copy, keep_copy
from ..state.outputs import VerifiedStore
from .crosswatch_json import content_of, decoded

__all__ = [
    "BaseSink",
    "Receipt",
    "Sink",
    "SinkOptions",
    "SnapshotSink",
    "StreamSink",
    "describe_sink",
    "file_of_user",
    "finishing",
]


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
    same_play: int = SAME_PLAY
    """``--same-play``: seconds between two times of one viewing."""
    known_as: tuple[str, ...] = ()
    """``--each-user``: the id and the names of that user, by which a setting may name them."""
    restart: bool = False
    """``--restart``: trust nothing that earlier runs remembered."""
    replace: bool = False
    """``--replace``: remove the entries of ours that this run does not give."""
    drop_synced: bool = False
    """``--drop-synced``: remove them also if CrossWatch then removes them elsewhere."""
    crosswatch: CrossWatchAccess | None = None
    """The CrossWatch server, with its token. Only sinks with ``wants_crosswatch`` are given it."""
    timezone: tzinfo | None = None
    """``--timezone``: where the viewer lives. ``None`` is the system's time zone."""

    def local(self, epoch: int) -> datetime:
        """Return the time where the viewer lives, with its offset from UTC."""
        return datetime.fromtimestamp(epoch, self.timezone).astimezone(self.timezone)


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
    left_out: Mapping[str, Sequence[int]] = {}
    """The places of the records that the format cannot hold, by reason. A reason is a few words
    for a person, such as "without a TMDB id". The summary counts them, ``--report`` lists them."""


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
    is_local: ClassVar[bool] = False
    """True if the sink writes times of the viewer's time zone (``SinkOptions.timezone``)."""
    wants_crosswatch: ClassVar[bool] = False
    """True if the sink needs ``SinkOptions.crosswatch``, secrets included."""

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
    def identity(self) -> str:
        """Return a name for what is remembered of the place; empty if nothing is.

        One place always has the same name. It has no secrets.
        """
        return "\n".join(shown(Path(os.path.realpath(path))) for path in self.writes())

    @property
    def asked_identity(self) -> str:
        """Return ``identity`` as it is before ``check``, which may ask a server for the real name.

        What was remembered under it is taken over to ``identity``.
        """
        return self.identity

    @property
    def where(self) -> str:
        """Return the name of the place for messages."""
        return ", ".join(shown(path) for path in self.writes())

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
    only_adds: ClassVar[bool] = False
    """True if superseded entries stay in its place without ``--replace``."""
    is_stoppable: ClassVar[bool] = False
    """True if a signal may interrupt ``commit`` at any instant. It must then be repeatable."""
    for_events: ClassVar[type[StreamSink] | None] = None
    """The sink to use instead with ``--events``; ``None`` if there is none."""
    superseded: Mapping[str, int] = {}
    """Keys that earlier runs gave to this sink and that its place should no longer have, with the
    time of each (epoch seconds, UTC). It is set before ``write``. The sink may remove an entry
    under such a key if the entry is unchanged since it was written. If a record has the same key,
    it replaces such an entry, even a newer one. An entry that is a record's stays."""

    progress: Progress = UNSEEN
    """Shows how far the sink is, if it takes long. Set before ``write``."""
    verified: VerifiedStore | None = None
    """Remembers what a server was seen to have; ``None`` without saved state. Set before
    ``write``."""

    @property
    def keeps_viewings(self) -> bool:
        """Return true if it gets a record for every viewing."""
        return self.every_viewing or self.options.every_viewing

    def exists(self) -> bool:
        """Return true if the place may have entries of earlier runs."""
        return any(map(os.path.exists, self.writes()))

    def entries(self) -> Mapping[str, Raw]:
        """Return the entries in its place by key, for ``--replace``.

        Raises:
            TautulliImportError: they cannot be read.
        """
        found: dict[str, Raw] = {}
        for path in self.writes():
            content = content_of(path)
            found |= decoded(content, path) if content is not None else {}
        return found

    def keep_copies(self, folder: Path) -> Sequence[Copy]:
        """Copy what its place has into a directory, before it is changed.

        Raises:
            SinkError: that is not possible.
        """
        found = (keep_copy(folder, path, self.options.now) for path in self.writes())
        return [copy for copy in found if copy is not None]

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


@contextmanager
def finishing(name: str, place: str, *, is_stoppable: bool, delivered: str) -> Iterator[None]:
    """Finish a step of the sink ``name`` before anything stops, unless it ``is_stoppable``.

    ``place`` follows the name in a message, and ``delivered`` says there what is not lost.

    Raises:
        SinkError: the sink raised an error of another program or of the system.
    """
    with nullcontext() if is_stoppable else defer_signals():
        try:
            yield
        except (TautulliImportError, MemoryError, BrokenPipeError):
            raise
        except OSError as error:
            raise SinkError(
                f"{name}{place} could not be written: {error.strerror or error}.",
                hint=f"Make room, or choose another place with --out. {delivered}",
            ) from error
        except Exception as error:
            raise SinkError(
                f"The sink {name} failed: {type(error).__name__}: {error}.",
                hint="Add --debug to see where it failed. Other sinks have their output.",
            ) from error


def file_of_user(path: Path, user: str) -> Path:
    """Return the file for a user: ``history-alice.jsonl`` for ``history.jsonl``."""
    return path.with_name(f"{path.stem}-{user}{path.suffix}")


def describe_sink(cls: type[BaseSink]) -> str:
    """Return one line about a sink, or "" if its class has none."""
    return cls.summary or (vars(cls).get("__doc__") or "").strip().partition("\n")[0]
