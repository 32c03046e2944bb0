"""Run a query on a file that another program may be writing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final, TypeVar

from ...errors import BusyError
from ...interrupts import check
from .frozen_copy import FrozenCopy
from .sqlite import SqliteFile

__all__ = ["ask"]

_MOST_TRIES: Final = 8
_Answer = TypeVar("_Answer")


def ask(file: SqliteFile | FrozenCopy, query: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
    """Return the answer of ``query``. Run it again if the file was written meanwhile.

    Raises:
        BusyError: the file was written each time.
        TautulliImportError: the file cannot be read, or is known to be damaged.
    """
    file.refuse_known_damage()
    for attempt in range(_MOST_TRIES):
        try:
            answer = query(file.connection)
        except sqlite3.Error as error:
            check()  # a signal interrupts a query, and SQLite drops the exception
            if not file.changed(error):
                raise file.explain(error) from error
        else:
            if not file.changed():
                return answer
        time.sleep(0.05 * 2**attempt)  # its program is writing; let it finish
        file.reopen()
    raise BusyError(
        f"{file.shown} kept changing while it was read.",
        hint="Try again when Tautulli is less busy, or read one of its backups.",
    )
