"""How long a test waits: for what has to come, and for what must not take long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

__all__ = ["LONG", "LONGEST", "SOON", "until"]

#: Two seconds are promised, and a busy machine may need ten times that. What breaks the promise
#: waits for something that comes after a minute, or never.
SOON: Final = 30.0
#: The patience that a test gives the program: whoever waits for its end is not done soon.
LONG: Final = 100.0
#: The patience of a test, which only keeps it from waiting forever.
LONGEST: Final = 120.0


def until(happened: Callable[[], object]) -> None:
    """Ask until something has happened. Servers answer first, and count or write down later."""
    deadline = time.monotonic() + LONGEST
    while not happened():
        assert time.monotonic() < deadline, "it did not come to that"
        os.sched_yield()
