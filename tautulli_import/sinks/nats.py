"""Publish playback events to a stream of NATS JetStream, for ``--to nats``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, SinkError, SourceUnreachableError, UnauthorisedError
from ..formatting import many
from ..jetstream.access import SERVER, STREAM
from ..jetstream.connection import Connection
from ..jetstream.publisher import Publisher, is_too_large
from ..jetstream.stream import StreamState, ensure_stream, look_at_stream
from ..model.events import PlaybackEvent
from ..model.rejections import Reason
from ..state.checkpoint import Position
from .base import Receipt, SinkOptions, StreamSink

__all__ = ["NatsSink"]

_CHUNK: Final = 2_000


class _Note(Struct, frozen=True):
    """The stream that has the events, saved for the next run."""

    created: str
    """The time of its creation. A later stream of the same name has another time."""
    last: int = 0
    """The sequence number of the last event."""
    told: bool = False
    """An earlier run has told that some events are no longer in it."""


class NatsSink(StreamSink):
    """Publishes events, and counts each as durable when the server has acknowledged it."""

    summary = "playback events for a NATS JetStream stream"
    wants_nats = True

    def __init__(self, options: SinkOptions) -> None:
        super().__init__(options)
        self._connection = Connection(options.nats)
        self._stream: StreamState | None = None
        self._publisher: Publisher | None = None
        self._largest = 0
        self._buffer: list[PlaybackEvent] = []
        self._sources: set[str] = set()
        self._given = 0
        self._is_from_first = True
        self._note = _Note("")
        self._gone = ""

    @property
    def target(self) -> str:
        """Return server and stream, for example ``nats://127.0.0.1:4222 MEDIA_EVENTS``."""
        access = self.options.nats
        return f"{access.shown} {access.stream}"

    def check(self) -> None:
        """Check that ``--out`` is not given.

        Raises:
            ConfigurationError: ``--out`` is given.
        """
        if self.options.out is not None:
            raise ConfigurationError(
                "--to nats publishes to a NATS server, not into a file or to standard output.",
                hint="Use --nats-url instead of --out. For a file of events use --to jsonl "
                "--events.",
            )

    def writes(self) -> Sequence[Path]:
        """Return no files."""
        return []

    def place(self) -> Path | None:
        """Return ``None``: others may publish to the stream at the same time."""
        return None

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Connect, create the stream if it is absent, and return ``saved`` if it is the same one.

        Raises:
            ConfigurationError: nats-py is missing, or an option is not valid.
            NotFoundError: a credentials file or a certificate does not exist.
            SinkError: the server cannot be reached, refuses the login, or has no such stream.
        """
        del job
        self.check()
        connection = self._connection
        with _as_sink_errors():
            connection.open()
            stream = ensure_stream(connection, create=not self.options.dry_run)
        self._stream = stream
        self._largest = connection.max_payload
        if stream is None:
            return None
        if stream.max_msg_size >= 0:
            self._largest = min(self._largest, stream.max_msg_size)
        if not self.options.dry_run:
            self._publisher = Publisher(connection, stream)
        note = _noted(saved.note) if saved is not None else None
        self._note = _Note(stream.created)
        if note is None or note.created != stream.created:
            return None
        self._note = note
        return saved

    def begin(self, after: Position | None) -> None:
        """Remember whether the run starts at the first row, and look for events that are gone."""
        self._is_from_first = after is None
        if after is not None and self._stream is not None:
            self._look_for_gone(self._stream, sum(after.kinds.values()))

    def refuses(self, event: PlaybackEvent) -> Reason | None:
        """Return the reason why consumers or the server would refuse an event, or ``None``."""
        if not event.user_id:
            return Reason.LOCAL_USER
        if not event.title:
            return Reason.NO_TITLE
        if is_too_large(event, self.options.nats.stream, self._largest):
            return Reason.TOO_LARGE
        return None

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Publish events, 2,000 at a time.

        Raises:
            SinkError: the server is gone for too long, or refuses an event.
        """
        del position
        self._given += len(events)
        self._sources.update(event.source for event in events)
        if self._publisher is None:
            return
        self._buffer += events
        while len(self._buffer) >= _CHUNK:
            chunk, self._buffer = self._buffer[:_CHUNK], self._buffer[_CHUNK:]
            self._publish(chunk)

    def commit(self) -> None:
        """Publish the remaining events, and wait for the last acknowledgement.

        Raises:
            SinkError: the server is gone for too long, or refuses an event.
        """
        chunk, self._buffer = self._buffer, []
        self._publish(chunk)

    @property
    def durable(self) -> int:
        """Return the number of events before the first that is not acknowledged."""
        return self._publisher.acknowledged if self._publisher else self._given

    @property
    def note(self) -> str:
        """Return the stream and the last event in it as JSON."""
        last = max(self._note.last, self._publisher.last if self._publisher else 0)
        return msgspec.json.encode(msgspec.structs.replace(self._note, last=last)).decode()

    def finish(self) -> Receipt:
        """Return the receipt. ``total`` is the number of messages in the stream now.

        Raises:
            SinkError: the server does not answer.
        """
        publisher = self._publisher
        if publisher is None:
            there = self._stream.messages if self._stream else 0
            return Receipt(
                self.target,
                new=self._given,
                total=there + self._given,
                warnings=self._warnings(),
                notices=[self._gone] if self._gone else [],
            )
        with _as_sink_errors():
            now = look_at_stream(self._connection)
        return Receipt(
            self.target,
            new=publisher.stored,
            unchanged=publisher.duplicates,
            total=now.messages if now else 0,
            written=[self.target] if publisher.stored else [],
            warnings=self._warnings() if publisher.stored else [],
            notices=[self._gone] if self._gone else [],
            next_steps=[self._next_step()] if publisher.stored else [],
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _publish(self, events: Sequence[PlaybackEvent]) -> None:
        if self._publisher is not None:
            with _as_sink_errors():
                self._publisher.publish(events)

    def _warnings(self) -> Sequence[str]:
        """Return a warning if the stream had events of this source before, so that some repeat."""
        stream = self._stream
        if stream is None or not self._is_from_first:
            return []
        there = sum(stream.by_source.get(source, 0) for source in self._sources)
        if not there:
            return []
        again = "are in it twice now" if self._publisher else "would be in it twice"
        said = (
            f"The stream {stream.name} had {there:,} playback events of this source already. It "
            f"recognises an event for {_span(stream.duplicate_window)} after it was published. "
            f"Events published before that {again}. tautulli-import consume stores each once."
        )
        return [said]

    def _look_for_gone(self, stream: StreamState, published: int) -> None:
        """Note that events of earlier runs are no longer in the stream.

        A stream with a limit loses its oldest events every night, so that is told once. That all
        are gone is told each time, because it was probably purged.
        """
        there = sum(stream.by_source.values())
        is_empty = not there or (self._note.last and self._note.last < stream.first)
        if stream.removes_read or not published or (there >= published and not is_empty):
            return
        if self._note.told and not is_empty:
            return
        self._note = msgspec.structs.replace(self._note, told=True)
        which = "none" if is_empty else f"at most {there:,}"
        self._gone = (
            f"The stream {stream.name} has {which} of the {many(published, 'event')} that earlier "
            "runs published. It was purged, or its limits (age, number, size) removed them. "
            "Consumers that have not read them will not get them. To publish all again, add "
            f"--restart, at least {_span(stream.duplicate_window)} after the last run."
        )

    def _next_step(self) -> str:
        access = self.options.nats
        command = "tautulli-import consume --once"
        if access.url != SERVER:
            command += f" --nats-url {access.shown}"
        if access.stream != STREAM:
            command += f" --nats-stream {access.stream}"
        return f"Store them in a DuckDB file (elsewhere with this server's address): {command}"


def _noted(note: str) -> _Note:
    """Decode a note. One of an earlier version has only the time when the stream was created."""
    try:
        return msgspec.json.decode(note, type=_Note)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Note(note)


@contextmanager
def _as_sink_errors() -> Iterator[None]:
    """Turn errors of the connection into sink errors with the same text.

    Raises:
        SinkError: the server cannot be reached, or refuses the login.
    """
    try:
        yield
    except (SourceUnreachableError, UnauthorisedError) as error:
        raise SinkError(str(error), hint=error.hint) from error


def _span(seconds: float) -> str:
    if seconds >= 60:
        minutes = seconds / 60
        return f"{minutes:g} minutes" if minutes != 1 else "a minute"
    return f"{seconds:g} seconds"
