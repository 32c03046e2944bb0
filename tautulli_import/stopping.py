"""Being asked to stop, at a moment that suits: what has begun to be written is finished first.

A signal can come at any instruction. Wherever half a step would be worse than none, the step is
``held``: what was asked meanwhile happens when it is done. Everywhere else the exception comes
at once, so that nobody waits for a server's answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopped", "ask", "forget", "held", "is_asked"]


class Stopped(BaseException):
    """Somebody asked the program to stop: nobody but the command line catches it for good."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        """The signal."""
        self.said = ""
        """How far it was, in a sentence, for a person."""
        self.line = ""
        """The command that goes on from there."""


_holders = 0
_asked: int | None = None


def ask(number: int) -> bool:
    """Ask for a stop with a signal's number; false when that had been asked before.

    Raises:
        Stopped: at once, unless a step is held.
    """
    global _asked  # noqa: PLW0603 - a process has one set of signal handlers
    if _asked is not None:
        return False
    _asked = number
    if not _holders:
        raise Stopped(number)
    return True


def is_asked() -> bool:
    """Whether somebody waits for a held step to end: then it is no time to be patient."""
    return _asked is not None


def forget() -> None:
    """As if nobody had asked: for a program that goes on in the same process."""
    global _asked  # noqa: PLW0603 - as above
    _asked = None


@contextmanager
def held() -> Iterator[None]:
    """A step that is finished before anything stops.

    Raises:
        Stopped: at its end, where a stop was asked for, now or before: a function written in C
            may have swallowed the first one.
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
    """Whether somebody is dealing with a ``Stopped`` right now."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None
