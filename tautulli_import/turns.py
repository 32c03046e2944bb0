"""Taking turns with what only one process can have open."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from .errors import BusyError
from .stopping import is_asked

__all__ = ["when_free"]

_Opened = TypeVar("_Opened")
_AGAIN_SECONDS: Final = 0.1
_PATIENT_SECONDS: Final = 1.0


def when_free(
    opening: Callable[[], _Opened],
    *,
    wait: float,
    waiting: Callable[[BusyError], None] | None = None,
) -> _Opened:
    """What ``opening`` gives, as soon as nobody else has it, ``wait`` seconds later at most.

    ``waiting`` is told once, when it takes longer than a moment. A stop that is asked for ends
    the waiting.

    Raises:
        BusyError: somebody else still has it.
        TautulliImportError: whatever else ``opening`` raises.
    """
    began = time.monotonic()
    while True:
        try:
            return opening()
        except BusyError as error:
            waited = time.monotonic() - began
            if waited >= wait or is_asked():
                raise
            if waiting and waited > _PATIENT_SECONDS:
                waiting(error)
                waiting = None
        time.sleep(_AGAIN_SECONDS)
