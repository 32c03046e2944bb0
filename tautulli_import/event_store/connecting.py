"""Connect to a DuckDB file of playback events, wait for it, and make a new one."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import BusyError, ConfigurationError, SinkError
from ..files import write_whole
from ..formatting import shown
from ..interrupts import is_asked
from .schema import DEFINITIONS, is_there, run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["connected", "define", "imported", "make_file", "quoted", "retry_while_busy"]

# The format that DuckDB 1.2 and all newer versions can read.
_STORAGE: Final = "v1.2.0"
# DuckDB rewrites the indexes each time its log reaches this size. Its default of 16 MB makes
# imports a third slower.
_LOG: Final = "128MB"
_Opened = TypeVar("_Opened")
_RETRY_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 1.0
"""Seconds to wait before ``waiting`` is called."""


def imported() -> ModuleType:
    """Return the package duckdb.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigurationError(
            "The package duckdb is missing. --to duckdb and consume need it.",
            hint="Install it: pipx inject tautulli-import duckdb (in a clone: "
            "pip install '.[duckdb]')",
        ) from error
    return duckdb


def connected(
    duckdb: ModuleType, database: str, folder: Path, *, read_only: bool = False
) -> DuckDBPyConnection:
    """Open a database. Its temporary files go into ``folder``."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "checkpoint_threshold": _LOG,
        "temp_directory": str(folder / "spill"),
    }
    db: DuckDBPyConnection = duckdb.connect(database, read_only=read_only, config=config)
    run(db, "SET enable_progress_bar = false")
    return db


def make_file(duckdb: ModuleType, path: Path, folder: Path) -> None:
    """Create the file, whole or not at all: build it in ``folder``, and put it in place.

    Raises:
        SinkError: there is a log of another file, or the file cannot be written.
    """
    log = Path(f"{os.path.realpath(path)}.wal")
    if log.exists() and log.stat().st_size:
        raise SinkError(
            f"{shown(log)} exists without {shown(path)}, the file that it belongs to.",
            hint=f"Put {shown(path)} back beside it. If that file is lost, remove the "
            f"log: rm {shlex.quote(shown(log))}",
        )
    made = folder / "new.duckdb"
    db = connected(duckdb, ":memory:", folder)
    try:
        run(db, f"ATTACH {quoted(made)} AS made (STORAGE_VERSION '{_STORAGE}')")
        run(db, "USE made")
        define(db)
        run(db, "USE memory")
        run(db, "DETACH made")
    finally:
        db.close()
    write_whole(path, [made.read_bytes()], unless=lambda: is_there(path))
    made.unlink()


def define(db: DuckDBPyConnection) -> None:
    """Create all tables and views."""
    for statement in DEFINITIONS:
        run(db, statement)


def quoted(value: object) -> str:
    """Return a text as SQL."""
    return "'" + str(value).replace("'", "''") + "'"


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
