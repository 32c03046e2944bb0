"""The other end of the pipeline: messages out of a stream, each event into a table once.

Three layers see to that: the stream's own (it stores a message id once within its window), what
this process remembers of the last minutes, and the keys of the table. A message is acknowledged
only when its event is committed; whoever dies before that leaves it to the next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import isinf
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from ..errors import AccountingError, BusyError, TautulliImportError
from ..event_store.store import Added, EventStore, Poison
from ..event_store.waiting import retry_while_busy
from ..formatting import many
from ..interrupts import Stopped, defer_signals, forget
from ..jetstream.consumer import Message
from ..model.events import PlaybackEvent
from ..progress import UNSEEN, Progress
from .decode import UnusableError, event_of
from .recent import Recent, SeenBy

__all__ = ["Consumed", "Consuming", "Queue"]

KnownBy: TypeAlias = SeenBy | Literal["table", "another_event"]
_BATCH: Final = 5_000
_WAIT_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 0.1
"""How long to wait for a message that comes while a stream is being drained."""
_SHIFT_SECONDS: Final = 2.0
"""How long to hold the file while there is work: closing it costs a fifth of a second."""


class Queue(Protocol):
    """Where messages come from, and whom to tell what became of them."""

    def fetch(self, most: int, wait: float) -> Sequence[Message]:
        """Some messages, ``wait`` seconds for the first of them at most; none when none came."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """They need not come again."""

    def terminate(self, messages: Sequence[Message]) -> None:
        """They must not come again, although nothing could be made of them."""

    def give_back(self, messages: Sequence[Message]) -> None:
        """Somebody else may have them at once."""

    def left(self) -> tuple[int, int]:
        """How many were not yet given to anybody, and how many were and are not acknowledged."""


class Consumed(Struct, frozen=True):
    """What became of every message: ``received = stored + known + poison``."""

    received: int
    stored: int
    known: Mapping[str, int]
    """Those of events that were there already, by the key that told so; ``another_event``: the
    table has not that one, but one that is the same play by another key."""
    poison: int
    """Those of which nothing could be made; they are kept in ``poison_messages``."""
    redelivered: int
    """Those that had been given to somebody before, who did not acknowledge them."""
    total: int
    """How many events the table has now."""
    stopped: bool
    """Whether somebody ended it before the stream was drained."""
    elapsed_seconds: float


class Consuming:
    """A consumer at work; ``outcome`` tells at any time what came of it so far."""

    def __init__(
        self, queue: Queue, path: Path, *, wait: float, note: Callable[[str], None]
    ) -> None:
        """Open nothing yet.

        Somebody else may have the file for ``wait`` seconds. ``note`` is given a sentence for
        the user.
        """
        self._queue = queue
        self._path = path
        self._wait = wait
        self._note = note
        self._progress: Progress = UNSEEN
        self._recent = Recent()
        self._known: Counter[KnownBy] = Counter()
        self._received = self._stored = self._poison = self._redelivered = 0
        self._total = 0
        self._file: EventStore | None = None
        self._opened_at = 0.0
        self._began = time.monotonic()

    def outcome(self, *, stopped: bool = False) -> Consumed:
        """What came of it so far.

        Raises:
            AccountingError: a message was lost or counted twice.
        """
        known: dict[str, int] = {key: self._known[key] for key in sorted(+self._known)}
        if self._received != self._stored + sum(known.values()) + self._poison:
            raise AccountingError(
                f"The numbers do not add up: {self._received} messages were received, "
                f"{self._stored} stored, {sum(known.values())} known, {self._poison} unusable.",
                hint="This is a bug in tautulli-import. Please report it.",
            )
        return Consumed(
            received=self._received,
            stored=self._stored,
            known=known,
            poison=self._poison,
            redelivered=self._redelivered,
            total=self._total,
            stopped=stopped,
            elapsed_seconds=round(time.monotonic() - self._began, 3),
        )

    def open(self) -> None:
        """Make the file, or look whether it can be used, before any message is taken.

        Raises:
            BusyError: somebody else has it open, for longer than ``wait``.
            SinkError: it cannot be used.
        """
        self._total = self._opened().count()
        self.release()

    def release(self) -> None:
        """Let others have the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def round(self, *, patient: bool = True) -> int:
        """Take some messages, store their events, and only then acknowledge them; how many.

        When none came, or others have waited for long enough, the file is let go of. With
        ``patient`` it waits a moment for messages where there are none.

        Raises:
            TautulliImportError: the stream or the file cannot be used any more. What was taken
                and not committed comes again, to whoever asks.
        """
        messages = self._queue.fetch(_BATCH, _LAST_SECONDS if self._file else 0)
        if not messages:
            self.release()
            if patient:
                messages = self._queue.fetch(_BATCH, _WAIT_SECONDS)
        if not messages:
            return 0
        at = time.monotonic()
        events: list[PlaybackEvent] = []
        poison: list[tuple[Message, Poison]] = []
        known: Counter[KnownBy] = Counter()
        for message in messages:
            try:
                event = event_of(message.data)
            except UnusableError as why:
                poison.append((message, self._kept_aside(message, str(why))))
                continue
            key = self._recent.seen(event, at)
            if key is None:
                events.append(event)
            else:
                known[key] += 1
        try:
            added = self._store(events, [one for _, one in poison])
        except BaseException:
            with suppress(TautulliImportError):  # else they come again when their time is over
                self._queue.give_back(messages)
            raise
        spoilt = {message.sequence for message, _ in poison}
        self._queue.acknowledge([one for one in messages if one.sequence not in spoilt])
        self._queue.terminate([message for message, _ in poison])
        self._received += len(messages)
        self._redelivered += sum(1 for message in messages if message.deliveries > 1)
        self._stored += added.stored
        self._poison += len(poison)
        self._known.update(known)
        self._known["table"] += added.known - added.under_another_id
        self._known["another_event"] += added.under_another_id
        self._progress.reached(self._received)
        return len(messages)

    def run(self, *, once: bool, progress: Progress = UNSEEN) -> Consumed:
        """Consume until told to stop, or with ``once`` until the stream is drained.

        The queue and the file have to be open. Drained means that nobody else is still busy
        with messages either: they would come again if that one died.

        Raises:
            TautulliImportError: as of ``round``.
        """
        self._progress = progress
        was_said = False
        try:
            with defer_signals():
                waiting, _ = self._queue.left()
            self._progress.begin("consuming", waiting if once else 0)
            patient = not once
            while True:
                with (
                    defer_signals()
                ):  # a signal is heard between two rounds, never within a transaction
                    count = self.round(patient=patient)
                if count:
                    continue
                self._progress.idle()
                if not once:
                    if not was_said:
                        self._note("Everything is consumed. Waiting for more; Ctrl-C ends it.")
                        was_said = True
                    continue
                patient = True
                with defer_signals():
                    waiting, taken = self._queue.left()
                if not waiting and not taken:
                    return self.outcome()
                if taken and not was_said:
                    self._note(f"Waiting for {many(taken, 'message')} that another consumer has.")
                    was_said = True
        except Stopped as stopped:
            if once:
                stopped.said = _so_far(self.outcome(stopped=True))
                raise
            forget()  # this is how it is meant to end: what comes now is no longer to be stopped
            return self.outcome(stopped=True)
        finally:
            self.release()

    def _store(self, events: Sequence[PlaybackEvent], poison: Sequence[Poison]) -> Added:
        if not events and not poison:
            return Added(stored=0, known=0)
        store = self._opened()
        added = store.add(events, poison=poison)
        self._total = store.count()
        if time.monotonic() - self._opened_at > _SHIFT_SECONDS:
            self.release()
        return added

    def _opened(self) -> EventStore:
        """The file, open: as soon as nobody else has it.

        It is held no longer than a moment, so that several consumers can share it, and a person
        can look into it meanwhile.
        """
        if self._file is None:
            self._file = retry_while_busy(
                lambda: EventStore(self._path), wait=self._wait, waiting=self._say_so
            )
            self._opened_at = time.monotonic()
        return self._file

    def _say_so(self, error: BusyError) -> None:
        most = "" if isinf(self._wait) else f", {self._wait:g} s at most"
        self._note(f"Waiting{most}: {error}")

    def _kept_aside(self, message: Message, reason: str) -> Poison:
        return Poison(
            stream=message.stream,
            sequence=message.sequence,
            subject=message.subject,
            reason=reason,
            payload=message.data,
            received_at=int(time.time()),
        )


def _so_far(consumed: Consumed) -> str:
    return f"Stopped after {many(consumed.received, 'message')}, {consumed.stored:,} of them new."
