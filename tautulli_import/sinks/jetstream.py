"""``--to nats``: playback events into a stream of NATS JetStream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..checkpoint.journal import Position
from ..errors import ConfigurationError, SinkError, SourceUnreachableError, UnauthorisedError
from ..jetstream.access import SERVER, STREAM
from ..jetstream.connection import Connection
from ..jetstream.publisher import Publisher, is_too_large
from ..jetstream.stream import StreamState, ensure_stream, look_at_stream
from ..models import PlaybackEvent, Reason
from .base import Receipt, SinkOptions, StreamSink

__all__ = ["NatsSink"]

_CHUNK: Final = 2_000


class NatsSink(StreamSink):
    """Publishes each event, and counts it when the server has acknowledged it."""

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
        self._had_some = False

    @property
    def target(self) -> str:
        """The server and the stream, for example ``nats://127.0.0.1:4222 MEDIA_EVENTS``."""
        access = self.options.nats
        return f"{access.shown} {access.stream}"

    def check(self) -> None:
        """Refuse ``--out``.

        Raises:
            ConfigurationError: it was given.
        """
        if self.options.out is not None:
            raise ConfigurationError(
                "Events go to a NATS server, not into a file or to standard output.",
                hint="Name the server with --nats-url in place of --out. (A file of events is "
                "--to jsonl --events.)",
            )

    def writes(self) -> Sequence[Path]:
        """No files."""
        return []

    def place(self) -> Path | None:
        """None: others may publish to the stream meanwhile."""
        return None

    def recall(self, job: str, saved: Position | None) -> Position | None:
        """Connect, make the stream if there is none, and see whether it is the one of before.

        Raises:
            ConfigurationError: nats-py is missing, or an option is wrong.
            NotFoundError: a credentials file or a certificate does not exist.
            SinkError: the server cannot be reached, does not let us in, or has no such stream.
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
        return saved if saved is not None and saved.note == stream.created else None

    def begin(self, after: Position | None) -> None:
        """Go on after that point."""
        self._is_from_first = after is None
        self._had_some = after is not None and any(after.kinds.values())

    def refuses(self, event: PlaybackEvent) -> Reason | None:
        """What consumers of these events would refuse, or the server."""
        if not event.user_id:
            return Reason.LOCAL_USER
        if not event.title:
            return Reason.NO_TITLE
        if is_too_large(event, self.options.nats.stream, self._largest):
            return Reason.TOO_LARGE
        return None

    def write(self, events: Sequence[PlaybackEvent], position: Position | None) -> None:
        """Publish, a few thousand at a time.

        Raises:
            SinkError: the server is gone for too long, or does not take them.
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
        """Publish what is left, and wait for the last acknowledgement.

        Raises:
            SinkError: the server is gone for too long, or does not take them.
        """
        chunk, self._buffer = self._buffer, []
        self._publish(chunk)

    @property
    def durable(self) -> int:
        """Count the events before the first that is not acknowledged."""
        return self._publisher.acknowledged if self._publisher else self._given

    @property
    def note(self) -> str:
        """Return when the stream was made: another stream of that name was made later."""
        return self._stream.created if self._stream else ""

    def finish(self) -> Receipt:
        """What the server has acknowledged, and how many messages the stream has now.

        Raises:
            SinkError: the server does not tell.
        """
        publisher = self._publisher
        if publisher is None:
            there = self._stream.messages if self._stream else 0
            return Receipt(
                self.target, new=self._given, total=there + self._given, warnings=self._warnings()
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
            notices=[] if (now and now.messages) or not self._had_some else [self._gone()],
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
        """That events stand in the stream twice, where it had some before this run."""
        stream = self._stream
        if stream is None or not self._is_from_first:
            return []
        there = sum(stream.by_source.get(source, 0) for source in self._sources)
        if not there:
            return []
        again = "are then in it a second time" if self._publisher else "would be in it twice"
        said = (
            f"The stream {stream.name} had {there:,} playback events of this source already. It "
            f"knows an event again for {_span(stream.duplicate_window)} after it was published; "
            f"those published before {again}. A consumer (tautulli-import consume) leaves one "
            "row of each."
        )
        return [said]

    def _gone(self) -> str:
        return (
            f"The stream {self.options.nats.stream} is empty by now, though events were published "
            "to it: it was purged, or has kept them for as long as it does. --restart publishes "
            "all again."
        )

    def _next_step(self) -> str:
        access = self.options.nats
        command = "tautulli-import consume --once"
        if access.url != SERVER:
            command += f" --nats-url {access.shown}"
        if access.stream != STREAM:
            command += f" --nats-stream {access.stream}"
        return f"Bring them into a DuckDB file (elsewhere with this server's address): {command}"


@contextmanager
def _as_sink_errors() -> Iterator[None]:
    """A server that cannot be used is a sink that cannot be written.

    Raises:
        SinkError: in its words.
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
