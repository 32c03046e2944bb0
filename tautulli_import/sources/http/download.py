"""Download Tautulli's whole database, and insert the newest plays that it lacks.

Tautulli sends only the main file. The plays in its ``-wal`` are missing. If its database is locked
for twenty seconds, it sends an older copy without a warning (measured on 2.17.2). So the file is
compared with the newest rows of the history, and missing rows are inserted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from msgspec import structs

from ...errors import SourceDamagedError, SourceUnreachableError
from ...progress import UNSEEN, Progress
from ...temp_folder import PrivateFolder
from ..base import ServerInfo
from ..choose import choose_libraries
from ..database.file import DatabaseFile
from ..database.foreign import open_foreign
from ..database.rows import Row, encodable, identity_of
from ..database.schema import HISTORY_TABLES, Schema, columns_of
from ..database.source import PAGE, Source
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import COLUMNS, HistoryApi, day_of
from .refresh import thresholds

__all__ = ["download"]

_MAGIC: Final = b"SQLite format 3\x00"
_MARGINS: Final = (timedelta(days=3), timedelta(days=60))
_HINT: Final = "Use --via history, which requests the plays instead."
_ID, _STARTED, _SECTION = (COLUMNS.index(name) for name in ("id", "started", "section_id"))
_USER: Final = [COLUMNS.index(name) for name in ("user_id", "user", "friendly_name")]


def download(
    tautulli: Tautulli,
    *,
    now: int,
    progress: Progress = UNSEEN,
    libraries: Sequence[str] = (),
    page: int = PAGE,
) -> Source:
    """Download the database, insert the plays that it lacks, and open it.

    ``now`` is the time of the run (epoch seconds, UTC). Inserted plays get their library
    only if it is one of ``libraries``. Closing the source removes the file.

    Raises:
        SourceDamagedError: the download is not a database, or not that of this history.
        SourceUnreachableError: there is no space for it.
        NotFoundError: there is no such library.
        ConfigurationError: a library's name fits several.
        TautulliImportError: see ``Tautulli.ask``.
    """
    server = ServerInfo(thresholds(tautulli), tautulli.shown)
    try:
        folder = PrivateFolder()
    except OSError as error:
        raise _no_space(error.strerror or str(error)) from error
    try:
        path = folder.path / "tautulli.db"
        _fetch(tautulli, path, progress)
        with closing(Source([path], server=server)) as source:
            file = source.files[0]
            missing = _missing_rows(file, tautulli, now)
            for section in choose_libraries(source.libraries(), libraries) if missing else ():
                missing = _with_section(section, missing, tautulli, now)
        if missing:
            _insert(missing, file.schema, path, tautulli.shown)
            count = f"{len(missing):,} plays that the downloaded database did not have yet"
            server = structs.replace(server, notices=[f"{count} were requested."])
        return Source([path], page=page, server=server, also_close=folder.remove)
    except BaseException:
        folder.remove()
        raise


def _fetch(tautulli: Tautulli, path: Path, progress: Progress) -> None:
    """Download the database into a file.

    Raises:
        SourceDamagedError: the download is not a database.
        SourceUnreachableError: there is no space for it.
        TautulliImportError: see ``Tautulli.ask``.
    """
    total_mb = -1

    def advanced(done: int, total: int | None) -> None:
        nonlocal total_mb
        if total_mb != (total or 0) >> 20:
            total_mb = (total or 0) >> 20
            progress.begin("downloading", total_mb)
        progress.reached(done >> 20)

    try:
        with path.open("wb") as file:
            tautulli.download("download_database", lambda: _RestartedFile(file), advanced)
    except OSError as error:
        raise _no_space(error.strerror or str(error)) from error
    with path.open("rb") as downloaded:
        if downloaded.read(len(_MAGIC)) != _MAGIC:
            raise SourceDamagedError(
                f"The file that {tautulli.shown} sent is not a SQLite database.", hint=_HINT
            )


def _missing_rows(file: DatabaseFile, tautulli: Tautulli, now: int) -> Sequence[Row]:
    """Return the plays of Tautulli's history that are not in the file.

    Raises:
        SourceDamagedError: the file is from another history, or plays of more than the last 60
            days are missing.
    """
    newest = day_of(min(file.newest, now)) if file.newest > 0 else day_of(0)
    api = HistoryApi(tautulli)
    rows: dict[int, Row] = {}

    def keep(fetched: FetchedDays) -> None:
        rows.update((row[_ID], row) for row in fetched.rows)

    crawl = Crawl(api, keep, today=day_of(now))
    for margin in _MARGINS:
        crawl.newest(newest - margin)
        low = min(rows, default=file.last) - 1
        known = {play[0]: play for play, *_ in file.identities(low, file.last)}
        missing = [row for number, row in sorted(rows.items()) if number not in known]
        differing = [
            number
            for number, row in rows.items()
            if number in known and known[number] != identity_of(row)
        ]
        if differing or (file.count and not rows):
            raise SourceDamagedError(
                f"The database that {tautulli.shown} sent is not from its history.",
                hint=_HINT,
            )
        if file.count + len(missing) == api.total:
            return missing
    raise SourceDamagedError(
        f"The database that {tautulli.shown} sent has {file.count:,} rows, but its history has "
        f"{api.total or 0:,}.",
        hint=_HINT,
    )


def _with_section(section: int, rows: Sequence[Row], tautulli: Tautulli, now: int) -> Sequence[Row]:
    """Return the rows with the section id in those that are from this library."""
    started = [row[_STARTED] for row in rows if row[_STARTED]]
    if not started:
        return rows
    found: set[int] = set()

    def keep(fetched: FetchedDays) -> None:
        found.update(row[_ID] for row in fetched.rows)

    crawl = Crawl(HistoryApi(tautulli, section_id=section), keep, today=day_of(now))
    crawl.newest(day_of(min(started)) - timedelta(days=1))
    return [
        (*row[:_SECTION], section, *row[_SECTION + 1 :]) if row[_ID] in found else row
        for row in rows
    ]


def _insert(rows: Sequence[Row], schema: Schema, path: Path, shown: str) -> None:
    """Insert plays into the tables of the downloaded file.

    Raises:
        SourceDamagedError: SQLite cannot insert them.
        SourceUnreachableError: there is no space for them.
    """
    rows = [encodable(row) for row in rows]
    try:
        uri = f"file:{quote(str(path))}?mode=rw"
        with closing(open_foreign(uri, wait=0.0)) as db, db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("BEGIN")
            # Rows from the API have no offset and no length. Tautulli has judged them itself.
            db.execute("ALTER TABLE session_history ADD COLUMN percent")
            db.execute("ALTER TABLE session_history ADD COLUMN watched")
            places = {**schema.columns, "percent": "h.percent", "watched": "h.watched"}
            for alias, table in HISTORY_TABLES.items():
                columns = {
                    place.partition(".")[2]: COLUMNS.index(field)
                    for field, place in places.items()
                    if field in COLUMNS and place.startswith(f"{alias}.")
                }
                columns["id"] = _ID
                if table in schema.tables:
                    db.executemany(
                        f"INSERT OR REPLACE INTO {table} ({', '.join(columns)})"  # noqa: S608 - our own names
                        f" VALUES ({', '.join('?' * len(columns))})",
                        [[row[at] for at in columns.values()] for row in rows],
                    )
            if {"user_id", "username", "friendly_name"} <= columns_of(db, "users"):
                people = {row[_USER[0]]: [row[at] for at in _USER] for row in rows}
                db.executemany(
                    "INSERT INTO users (user_id, username, friendly_name) SELECT ?1, ?2, ?3"
                    " WHERE ?3 <> '' AND NOT EXISTS (SELECT 1 FROM users WHERE user_id = ?1)",
                    people.values(),
                )
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise _no_space(str(error)) from error
        raise SourceDamagedError(
            f"Missing plays could not be inserted into the database that {shown} sent: {error}.",
            hint=_HINT,
        ) from error


class _RestartedFile:
    """Writes into a file from its beginning. A full disk is not an error of the network."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        file.truncate()

    def __call__(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _no_space(error.strerror or str(error)) from error


def _no_space(reason: str) -> SourceUnreachableError:
    return SourceUnreachableError(
        f"The downloaded database could not be saved: {reason}.",
        hint="Set TMPDIR to a directory with enough space, or leave out --via database.",
    )
