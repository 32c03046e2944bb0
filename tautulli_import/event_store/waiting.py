"""Open a file that only one process at a time can have open."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import BusyError
from ..interrupts import is_asked

__all__ = ["retry_while_busy"]

_Opened = TypeVar("_Opened")
_RETRY_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 1.0
"""Seconds to wait before ``waiting`` is called."""


def retry_while_busy(
    opening: Callable[[], _Opened],
    *,
    wait: float,
    waiting: Callable[[BusyError], None] | None = None,
) -> _Opened:
    """Call ``opening`` until it raises no ``BusyError``, for up to ``wait`` seconds.

    Return its result. Call ``waiting`` once, after a second. A requested stop ends the waiting.

    Raises:
        BusyError: another process still has it open.
        TautulliImportError: ``opening`` raised another error.
    """
    began = time.monotonic()
    while True:
        try:
            return opening()
        except BusyError as error:
            waited = time.monotonic() - began
            if waited >= wait or is_asked():
                raise
            if waiting and waited > _QUIET_SECONDS:
                waiting(error)
                waiting = None
        time.sleep(_RETRY_SECONDS)
