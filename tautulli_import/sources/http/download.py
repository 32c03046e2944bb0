"""Tautulli's whole database, downloaded over HTTP, and the newest plays that it lacks.

Only the main file is sent: what is still in Tautulli's ``-wal`` is missing, and when its database
is locked for twenty seconds it sends an older copy without a word (measured on 2.17.2). So what
came is held against the history's newest rows, and the rows that are missing are inserted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import structs

from ...errors import SourceDamagedError, SourceUnreachableError
from ...progress import UNSEEN, Progress
from ...temp_folder import PrivateFolder
from ..choose import choose_libraries
from ..database.file import DatabaseFile
from ..database.rows import Row, encodable
from ..database.schema import HISTORY_TABLES, Schema, columns_of
from ..database.source import PAGE, Known, Source
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import COLUMNS, HistoryApi, day_of
from .refresh import thresholds

__all__ = ["download"]

_MAGIC: Final = b"SQLite format 3\x00"
_MARGINS: Final = (timedelta(days=3), timedelta(days=60))
_ASK_INSTEAD: Final = "--via history asks for the plays instead."
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

    ``now`` is the time of the run (epoch seconds, UTC). Of inserted plays it is known whether
    they are from these ``libraries``. The file is gone when the source is closed.

    Raises:
        SourceDamagedError: what came is no database, or not that of this history.
        SourceUnreachableError: there is no room for it.
        NotFoundError: there is no such library.
        ConfigurationError: a library's name fits several.
        TautulliImportError: as of ``Tautulli.ask``.
    """
    known = Known(thresholds(tautulli), tautulli.shown)
    try:
        folder = PrivateFolder()
    except OSError as error:
        raise _no_room(error.strerror or str(error)) from error
    try:
        path = folder.path / "tautulli.db"
        _fetch(tautulli, path, progress)
        with closing(Source([path], known=known)) as source:
            file = source.files[0]
            missing = _missing_rows(file, tautulli, now)
            for section in choose_libraries(source.libraries(), libraries) if missing else ():
                missing = _with_section(section, missing, tautulli, now)
        if missing:
            _insert(missing, file.schema, path, tautulli.shown)
            count = f"{len(missing):,} plays that the downloaded database did not have yet"
            known = structs.replace(known, notices=[f"{count} were asked for."])
        return Source([path], page=page, known=known, also_close=folder.remove)
    except BaseException:
        folder.remove()
        raise


def _fetch(tautulli: Tautulli, path: Path, progress: Progress) -> None:
    total_mb = -1

    def advanced(done: int, total: int | None) -> None:
        nonlocal total_mb
        if total_mb != (total or 0) >> 20:
            total_mb = (total or 0) >> 20
            progress.begin("downloading", total_mb)
        progress.reached(done >> 20)

    try:
        with path.open("wb") as file:
            tautulli.download("download_database", lambda: _Fresh(file), advanced)
    except OSError as error:
        raise _no_room(error.strerror or str(error)) from error
    with path.open("rb") as came:
        if came.read(len(_MAGIC)) != _MAGIC:
            raise SourceDamagedError(
                f"What {tautulli.shown} sent is no SQLite database.", hint=_ASK_INSTEAD
            )


def _missing_rows(file: DatabaseFile, tautulli: Tautulli, now: int) -> Sequence[Row]:
    """Return the plays that Tautulli has and the file has not.

    Raises:
        SourceDamagedError: the file is not that of the history, or more than lately is
            missing.
    """
    newest = day_of(min(file.newest, now)) if file.newest > 0 else day_of(0)
    listing = HistoryApi(tautulli)
    rows: dict[int, Row] = {}

    def keep(stretch: FetchedDays) -> None:
        rows.update((row[_ID], row) for row in stretch.rows)

    crawl = Crawl(listing, keep, today=day_of(now))
    for margin in _MARGINS:
        crawl.newest(newest - margin)
        low = min(rows, default=file.last) - 1
        known = {one[0]: one for one, _ in file.identities(low, file.last)}
        missing = [row for number, row in sorted(rows.items()) if number not in known]
        others = [
            row
            for row in rows.values()
            if row[0] in known and known[row[0]] != (row[0], row[2], row[4])
        ]
        if others or (file.count and not rows):
            raise SourceDamagedError(
                f"The database that {tautulli.shown} sent is not that of its history.",
                hint=_ASK_INSTEAD,
            )
        if file.count + len(missing) == listing.total:
            return missing
    raise SourceDamagedError(
        f"The database that {tautulli.shown} sent has {file.count:,} rows, its history "
        f"{listing.total or 0:,}.",
        hint=_ASK_INSTEAD,
    )


def _with_section(section: int, rows: Sequence[Row], tautulli: Tautulli, now: int) -> Sequence[Row]:
    """Ask which of these plays are from a library, and note it in them."""
    started = [row[_STARTED] for row in rows if row[_STARTED]]
    if not started:
        return rows
    found: set[int] = set()

    def keep(stretch: FetchedDays) -> None:
        found.update(row[_ID] for row in stretch.rows)

    crawl = Crawl(HistoryApi(tautulli, section_id=section), keep, today=day_of(now))
    crawl.newest(day_of(min(started)) - timedelta(days=1))
    return [
        (*row[:_SECTION], section, *row[_SECTION + 1 :]) if row[_ID] in found else row
        for row in rows
    ]


def _insert(rows: Sequence[Row], schema: Schema, path: Path, shown: str) -> None:
    """Insert plays into the downloaded file, where its own plays stand.

    Raises:
        SourceDamagedError: the file takes none.
        SourceUnreachableError: there is no room for them.
    """
    rows = [encodable(row) for row in rows]
    try:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA synchronous = OFF")
            # Tautulli's own verdicts: offset and length, to judge by, are not told over HTTP.
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
            raise _no_room(str(error)) from error
        raise SourceDamagedError(
            f"The database that {shown} sent cannot be completed: {error}.", hint=_ASK_INSTEAD
        ) from error


class _Fresh:
    """Writes into a file from its beginning; a full disk is no trouble of the network."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        file.truncate()

    def __call__(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _no_room(error.strerror or str(error)) from error


def _no_room(why: str) -> SourceUnreachableError:
    return SourceUnreachableError(
        f"The database could not be kept while it is read: {why}.",
        hint="Set TMPDIR to a directory that has room, or leave out --via database.",
    )
