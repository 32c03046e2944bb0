"""Consume messages from a stream, and store each event in a table once.

Three layers prevent duplicates: the stream (it stores a message id once within its window), the
events of the last minutes in this process, and the unique keys of the table. A message is
acknowledged only after its event is committed. If the consumer dies before that, another one gets
the message.
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
from ..event_store.connecting import retry_while_busy
from ..event_store.store import Added, EventStore, Poison
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
"""Seconds to wait for the next message while the file is open."""
_SHIFT_SECONDS: Final = 2.0
"""Seconds to hold the file while there is work. Closing it takes 0.2 seconds."""


class Queue(Protocol):
    """Delivers messages, and is told the outcome of each."""

    def fetch(self, most: int, wait: float) -> Sequence[Message]:
        """Return up to ``most`` messages. Wait up to ``wait`` seconds for the first.

        Return an empty sequence if none came.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages, so that they are not delivered again."""

    def terminate(self, messages: Sequence[Message]) -> None:
        """End the delivery of messages that are not usable."""

    def give_back(self, messages: Sequence[Message]) -> None:
        """Return messages, so that another consumer can have them at once."""

    def left(self) -> tuple[int, int]:
        """Return the number of messages not yet delivered, and of those not yet acknowledged."""


class Consumed(Struct, frozen=True):
    """The number of messages, by outcome: ``received = stored + known + poison``."""

    received: int
    stored: int
    known: Mapping[str, int]
    """Messages of known events, by the key that matched. ``another_event``: the table has the
    same play under another event id."""
    poison: int
    """Unusable messages. They are kept in the table ``poison_messages``."""
    redelivered: int
    """Messages that had been delivered before and were not acknowledged."""
    total: int
    """The number of events in the table now."""
    stopped: bool
    """True if a signal ended it before the stream was drained."""
    elapsed_seconds: float


class Consuming:
    """A running consumer. ``outcome`` returns its numbers at any time."""

    def __init__(
        self, queue: Queue, path: Path, *, wait: float, note: Callable[[str], None]
    ) -> None:
        """Open nothing yet.

        ``wait`` is how long to wait, in seconds, while another program has the file open.
        ``note`` is called with sentences for the user.
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
        """Return the numbers so far.

        Raises:
            AccountingError: a message was lost or counted twice.
        """
        known: dict[str, int] = {key: self._known[key] for key in sorted(+self._known)}
        if self._received != self._stored + sum(known.values()) + self._poison:
            raise AccountingError(
                f"The numbers do not add up: {self._received} messages were received, but "
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
        """Create the file, or check that it can be used, before any message is taken.

        Raises:
            BusyError: another program had it open for longer than ``wait``.
            SinkError: it cannot be used.
        """
        self._total = self._opened().count()
        self.release()

    def release(self) -> None:
        """Close the file, so that others can open it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def round(self, *, patient: bool = True) -> int:
        """Take some messages, store their events, and only then acknowledge them.

        Return the number of messages. The file is closed if none came, or if it was held for
        ``_SHIFT_SECONDS``. With ``patient`` wait for a second if there are no messages.

        Raises:
            TautulliImportError: the stream or the file failed. Messages that were taken but not
                committed are delivered again.
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
            except UnusableError as error:
                poison.append((message, self._poison_of(message, str(error))))
                continue
            key = self._recent.seen(event, at)
            if key is None:
                events.append(event)
            else:
                known[key] += 1
        try:
            added = self._store(events, [one for _, one in poison])
        except BaseException:
            with suppress(TautulliImportError):  # otherwise they come again after their ack_wait
                self._queue.give_back(messages)
            raise
        unusable = {message.sequence for message, _ in poison}
        self._queue.acknowledge([one for one in messages if one.sequence not in unusable])
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
        """Consume until a signal comes, or with ``once`` until the stream is drained.

        The queue and the file must be open. A stream is drained when every message is
        acknowledged, because those of another consumer come again if it dies.

        Raises:
            TautulliImportError: the stream or the file failed, see ``round``.
        """
        self._progress = progress
        was_said = False
        try:
            with defer_signals():
                waiting, _ = self._queue.left()
            self._progress.begin("consuming", waiting if once else 0)
            patient = not once
            while True:
                with defer_signals():  # a transaction is never cut in half
                    count = self.round(patient=patient)
                if count:
                    continue
                self._progress.idle()
                if not once:
                    if not was_said:
                        self._note(
                            "All messages are consumed. Waiting for more; press Ctrl-C to end."
                        )
                        was_said = True
                    continue
                with defer_signals():
                    waiting, taken = self._queue.left()
                if not waiting and not taken:
                    return self.outcome()
                # nats-server (2.9 and 2.15) counts an acknowledgement some time after it read it.
                # So what is taken may be our own, until a patient round brought nothing.
                if taken and (patient or not self._received) and not was_said:
                    self._note(f"Waiting for {many(taken, 'message')} that another consumer has.")
                    was_said = True
                patient = True
        except Stopped as stopped:
            return self.stopped(stopped, once=once)
        finally:
            self.release()

    def stopped(self, stopped: Stopped, *, once: bool) -> Consumed:
        """Return the outcome of a consumer that a signal ended, which is its normal end.

        Raises:
            Stopped: with ``once``, where it is not.
        """
        if once:
            stopped.said = _progress_of(self.outcome(stopped=True))
            raise stopped
        forget()  # the steps after it must not stop again
        return self.outcome(stopped=True)

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
        """Return the open file. Wait while another program has it.

        It is held for a moment only, so that several consumers can share it, and a person can
        query it meanwhile.
        """
        if self._file is None:
            self._file = retry_while_busy(
                lambda: EventStore(self._path), wait=self._wait, waiting=self._note_waiting
            )
            self._opened_at = time.monotonic()
        return self._file

    def _note_waiting(self, error: BusyError) -> None:
        most = "" if isinf(self._wait) else f" up to {self._wait:g} s"
        self._note(f"Waiting{most}: {error}")

    def _poison_of(self, message: Message, reason: str) -> Poison:
        return Poison(
            stream=message.stream,
            sequence=message.sequence,
            subject=message.subject,
            reason=reason,
            payload=message.data,
            received_at=int(time.time()),
        )


def _progress_of(consumed: Consumed) -> str:
    return f"Stopped after {many(consumed.received, 'message')}, {consumed.stored:,} of them new."
