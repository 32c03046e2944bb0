"""`download_database`: the file as it lies on the disk, without the tokens in it."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.state import State

__all__ = ["download_database", "forget_download"]


def download_database(state: State, _: Asked) -> bytes | None:
    """Return the database, or an older copy if it is locked, or nothing if there is none.

    Only the main file is copied: plays that are still in the `-wal` are missing, as they are
    from the real one. The copy is in WAL mode, so that its header says so.
    """
    if state.downloaded is None:
        state.downloaded = Path(mkdtemp(prefix="fake-tautulli-")) / "tautulli.db"
    with suppress(sqlite3.Error, OSError):
        _copy(state, state.downloaded)
    if not state.downloaded.exists():
        return None
    with closing(sqlite3.connect(state.downloaded, isolation_level=None)) as conn:
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute("UPDATE users SET user_token = NULL, server_token = NULL")
        except sqlite3.Error:
            return None
    return state.downloaded.read_bytes()


def _copy(state: State, to: Path) -> None:
    """Copy the file while nobody can write to it.

    The connection that keeps writers away closes before the one that only reads, which leaves
    the `-wal` alone: the last one to close would write it back and remove it.
    """
    writing = f"{state.database.absolute().as_uri()}?mode=rw"
    with (
        state.reading() as reader,
        closing(sqlite3.connect(writing, state.patience, isolation_level=None, uri=True)) as conn,
    ):
        reader.execute("SELECT COUNT(*) FROM sqlite_master")
        conn.execute("BEGIN IMMEDIATE")
        shutil.copyfile(state.database, to)
        conn.execute("ROLLBACK")


def forget_download(state: State) -> None:
    """Remove the copy."""
    if state.downloaded is not None:
        shutil.rmtree(state.downloaded.parent, ignore_errors=True)
        state.downloaded = None
