"""Stop on a signal, but finish a step of writing that has begun.

A signal can come at any instruction. A step that must not be cut in half runs in
``defer_signals``, and a stop that is requested meanwhile happens at its end. Everywhere else the
exception is raised at once, so that the program does not wait for a server's answer.

CPython runs a handler only in the main thread and only between two instructions. So a signal is
not noticed in two cases: it arrives after the last check and before a blocking system call (seen
1 time in 20 under load with CPython 3.11), or another thread receives it. ``enforced`` watches
from a thread, wakes the main thread until it has noticed, and ends a process that cannot stop.
That loses nothing, because a run can be killed at any moment.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Stopped", "ask", "check", "defer_signals", "enforced", "forget", "is_asked"]

_WAKE: Final = signal.SIGURG
"""A signal that does nothing, except to end the system call that the main thread waits in."""
_WAKE_SECONDS: Final = 0.1
_NOTICE_SECONDS: Final = 2.0
"""The longest time from a signal until the main thread must have noticed it."""
_STOP_SECONDS: Final = 10.0
"""The longest time from a signal to the end. A step of writing may need seconds to finish."""


class Stopped(BaseException):
    """A signal asked the program to stop. Only the command line catches this for good."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        """The signal's number."""
        self.said = ""
        """The progress at that moment, one sentence for a person."""
        self.line = ""
        """The command that resumes from there."""


_holders = 0
_asked: int | None = None
_noticed = 0
"""The number of signals that the main thread has noticed."""


def ask(number: int) -> bool:
    """Ask for a stop with a signal's number. Return false if a stop was asked for before.

    Raises:
        Stopped: at once, unless a step is in ``defer_signals``.
    """
    global _asked, _noticed  # noqa: PLW0603 - a process has one set of signal handlers
    _noticed += 1
    if _asked is not None:
        return False
    _asked = number
    if not _holders:
        raise Stopped(number)
    return True


def is_asked() -> bool:
    """Return true if a stop waits for a step in ``defer_signals``. Such a step must not wait."""
    return _asked is not None


def check() -> None:
    """Stop if a stop was asked for. Call it where code in C may have swallowed the exception.

    Raises:
        Stopped: a stop was asked for, and no step is in ``defer_signals``.
    """
    if _asked is not None and not _holders and not _is_under_way():
        raise Stopped(_asked)


def forget() -> None:
    """Forget a request to stop, for a program that continues in the same process."""
    global _asked  # noqa: PLW0603 - as above
    _asked = None


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer a stop until a step has ended.

    Raises:
        Stopped: at its end, if a stop was asked for, during the step or before. A function
            written in C may have swallowed the first exception.
    """
    global _holders  # noqa: PLW0603 - as above
    _holders += 1
    try:
        yield
    finally:
        _holders -= 1
        check()


def _is_under_way() -> bool:
    """Return true if a ``Stopped`` is being handled right now."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None


@contextmanager
def enforced(numbers: Collection[int], end: Callable[[int], object]) -> Iterator[None]:
    """Enforce that these signals stop the process. Call this in the main thread.

    The handler of each must call ``ask``. ``end`` must end the process at once. It is called with
    the signal's number, from another thread, in these cases:

    * a second signal came;
    * the main thread has not noticed the first one for 2 seconds, or 10 in ``defer_signals``;
    * the process still runs 10 seconds after the first one.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watch = threading.Thread(
        target=_watch,
        args=(reader, frozenset(numbers), threading.get_ident(), end),
        name="signals",
        daemon=True,
    )
    wake_before = signal.signal(_WAKE, _do_nothing)
    descriptor_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        with defer_signals():  # a thread that was started by half cannot be joined
            watch.start()
        yield
    finally:
        signal.set_wakeup_fd(descriptor_before)
        os.close(writer)  # which ends the thread
        watch.join()
        os.close(reader)
        signal.signal(_WAKE, wake_before)


def _do_nothing(_number: int, _frame: object) -> None:
    """Handle ``_WAKE``. A signal without a handler does not end a system call."""


def _watch(reader: int, numbers: frozenset[int], main: int, end: Callable[[int], object]) -> None:
    """Wait for signals until the pipe is closed. CPython writes the number of each into it."""
    first: int | None = None
    began = 0.0
    known = _noticed
    while True:
        if first is not None and _noticed != known and not is_asked():
            first = None  # the program has stopped what it did, and continues
        if first is None:
            known = _noticed
        if select.select([reader], [], [], None if first is None else _WAKE_SECONDS)[0]:
            received = os.read(reader, 512)
            if not received:
                return
            for number in received:
                if number not in numbers:
                    continue
                if first is not None:
                    end(number)
                first, began = number, time.monotonic()
        if first is None:
            continue
        is_noticed = _noticed != known
        if not is_noticed:
            signal.pthread_kill(main, _WAKE)
        limit = _STOP_SECONDS if is_noticed or _holders else _NOTICE_SECONDS
        if time.monotonic() - began > limit:
            end(first)
