"""Print what the program does, step by step, for ``--debug``."""

from __future__ import annotations

import logging
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import __version__

__all__ = ["printed"]

_NAME = "tautulli_import"


class _Printer(logging.Handler):
    """Prints each record on standard error. A progress bar can replace that at any time."""

    def __init__(self, printable: Callable[[str], str]) -> None:
        super().__init__(logging.DEBUG)
        self._printable = printable
        self.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record without secrets and harmless to a terminal."""
        sys.stderr.write(self._printable(self.format(record)) + "\n")


@contextmanager
def printed(printable: Callable[[str], str]) -> Iterator[None]:
    """Print each step inside. ``printable`` removes secrets and control characters from a line."""
    logger, printer = logging.getLogger(_NAME), _Printer(printable)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(printer)
    logger.debug(
        "tautulli-import %s, Python %s, SQLite %s, %s",
        __version__,
        platform.python_version(),
        sqlite3.sqlite_version,
        platform.platform(),
    )
    try:
        yield
    finally:
        logger.removeHandler(printer)
        logger.setLevel(logging.NOTSET)
