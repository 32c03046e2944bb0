"""Turn errors of SQLite about the file of another program into errors with a hint."""

from __future__ import annotations

import sqlite3
from typing import Final

from ...errors import (
    BusyError,
    DamagedDatabaseError,
    DamagedPageError,
    NotFoundError,
    SourceDamagedError,
    SourceUnreachableError,
    TautulliImportError,
)

__all__ = ["BUSY_SECONDS", "code_of", "explain", "is_no_database", "not_sqlite", "not_there"]

BUSY_SECONDS: Final = 10.0
"""The seconds to wait for a lock."""


def not_there(name: str) -> NotFoundError:
    """Return the error for a database that does not exist."""
    return NotFoundError(
        f"There is no file {name}.",
        hint="Tautulli's database is tautulli.db in its data directory "
        "(/config in the container); backups are in backups/ beside it.",
    )


def is_no_database(error: BaseException | None) -> bool:
    """Return whether an error is SQLite's about a header that makes no sense."""
    return isinstance(error, sqlite3.Error) and code_of(error) == "SQLITE_NOTADB"


def not_sqlite(name: str) -> SourceDamagedError:
    """Return the error for a file that is none of SQLite."""
    return SourceDamagedError(
        f"{name} is not a SQLite database, or it is encrypted.",
        hint="Tautulli's database is a plain SQLite file named tautulli.db.",
    )


def explain(error: sqlite3.Error, name: str) -> TautulliImportError:
    """Return the error for an exception of SQLite about the file called ``name``."""
    code = code_of(error)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            f"{name} is locked by another program (waited {BUSY_SECONDS:.0f} s).",
            hint="Tautulli may be making a backup or cleaning up. Try again in a minute.",
        )
    if code == "SQLITE_NOTADB":
        return not_sqlite(name)
    if code.startswith("SQLITE_CORRUPT"):
        return DamagedDatabaseError(
            f"{name} is damaged: {error}.",
            hint="Read one of Tautulli's backups.",
        )
    if code == "SQLITE_TOOBIG":
        return DamagedPageError(
            f"{name} has a value that is too large to be real.",
            hint="Read one of Tautulli's backups.",
        )
    if code == "SQLITE_AUTH":
        return SourceDamagedError(
            f"{name} would run a view or a trigger of its own, so it is not read.",
            hint="Use Tautulli's own tautulli.db, or one of the backups in its backups/.",
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM")):
        return SourceUnreachableError(
            f"{name} cannot be read: {error}.", hint="Check the disk and the permissions."
        )
    return SourceDamagedError(
        f"{name} cannot be read: {error}.",
        hint="Check that it is Tautulli's own database, or try one of its backups.",
    )


def code_of(error: sqlite3.Error) -> str:
    """Return the name of SQLite's result code, such as ``SQLITE_BUSY``."""
    return getattr(error, "sqlite_errorname", "") or ""
