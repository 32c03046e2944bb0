"""Stop on a signal, but finish a step of writing that has begun.

A signal can come at any instruction. A step that must not be cut in half runs in
``defer_signals``, and a stop that is requested meanwhile happens at its end. Everywhere else the
exception is raised at once, so that the program does not wait for a server's answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopped", "ask", "defer_signals", "forget", "is_asked"]


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


def ask(number: int) -> bool:
    """Ask for a stop with a signal's number. Return false if a stop was asked for before.

    Raises:
        Stopped: at once, unless a step is in ``defer_signals``.
    """
    global _asked  # noqa: PLW0603 - a process has one set of signal handlers
    if _asked is not None:
        return False
    _asked = number
    if not _holders:
        raise Stopped(number)
    return True


def is_asked() -> bool:
    """Return true if a stop waits for a step in ``defer_signals``. Such a step must not wait."""
    return _asked is not None


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
        if _asked is not None and not _holders and not _is_under_way():
            raise Stopped(_asked)


def _is_under_way() -> bool:
    """Return true if a ``Stopped`` is being handled right now."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None
