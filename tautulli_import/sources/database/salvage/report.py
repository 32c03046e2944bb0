"""Describe a damaged database: what it lost, and which backup has that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from msgspec import Struct

from ....errors import DamagedHistoryError, TautulliImportError
from ....files import identity
from ....formatting import many, shown
from ....interrupts import check
from ..private_copy import beside, size_of
from ..sqlite import SqliteFile
from .collect import Salvaged

__all__ = ["Backup", "DamageReport", "best_backup", "refusal", "report_of", "sentence_of"]

_MOST_BACKUPS: Final = 30
_COMPARED: Final = 50
_RANGES: Final = 3
_HISTORY: Final = "session_history"
_METADATA: Final = "session_history_metadata"


class Backup(Struct, frozen=True):
    """A backup of the same history, and the number of lost plays that it has."""

    path: str
    plays: int


class DamageReport(Struct, frozen=True):
    """The damage of one file, as ``--json`` and ``--report`` show it."""

    source: str
    plays: int
    """The plays that were salvaged."""
    from_pages: int
    """Those of them that are in no tree of the file any more."""
    without_details: int
    """Those of them without media info, which only events need."""
    lost: int
    """The plays that the file has lost."""
    recovered: int
    """Those of the lost ones that another file of this run had."""
    lost_rows: Sequence[tuple[int, int]]
    """Ranges of row ids, both ends included."""
    lost_from: str | None
    """The day of the last known play before the lost ones, UTC."""
    lost_to: str | None
    """The day of the first known play after the lost ones, UTC."""
    backup: Backup | None
    """The backup beside the file that has most of the lost plays."""

    @property
    def missing(self) -> int:
        """Return the number of lost plays that no other file had."""
        return self.lost - self.recovered


def report_of(
    salvaged: Salvaged, name: str, backup: Backup | None, *, recovered: int = 0
) -> DamageReport:
    """Return the report about a file called ``name``."""
    return DamageReport(
        source=name,
        plays=salvaged.plays,
        from_pages=salvaged.from_pages,
        without_details=salvaged.without_details,
        lost=len(salvaged.lost),
        recovered=recovered,
        lost_rows=list(_ranges(salvaged.lost)),
        lost_from=_day(salvaged.lost_from),
        lost_to=_day(salvaged.lost_to),
        backup=backup,
    )


def refusal(report: DamageReport, *, is_own: bool) -> DamagedHistoryError:
    """Return the error for a damaged file that is not to be salvaged.

    ``is_own`` is false for a file that was made over HTTP.
    """
    can = "can be salvaged"
    if not is_own:
        hint = "Leave out --via database to read the history over HTTP."
        return DamagedHistoryError(sentence_of(report, can), hint=hint)
    hint = f"Use --salvage to import {'the others' if report.lost else 'them'}."
    more = ["--salvage"]
    if report.backup:
        hint += (
            f" {report.backup.path} has {report.backup.plays:,} of the lost plays. "
            "Name it as well to read them from there."
        )
        more = [report.backup.path, *more]
    elif report.lost:
        hint += " Name a backup as well to read the lost ones from there."
    return DamagedHistoryError(sentence_of(report, can), hint=hint, more=more)


def sentence_of(report: DamageReport, done: str = "were salvaged") -> str:
    """Describe the damage. ``done`` is the verb for the plays that are left."""
    every = "" if report.lost else "All "
    text = f"{report.source} is damaged. {every}{many(report.plays, 'play')} {done}."
    if report.missing:
        verb = "is" if report.lost == 1 else "are"
        rows = f"{_rows(report.lost_rows)}{_dates(report)}"
        text += f" {many(report.lost, 'play')} {verb} lost: {rows}."
        if report.recovered:
            text += f" {report.recovered:,} of the lost ones were read from another file."
    elif report.lost:
        which = "The lost one was" if report.lost == 1 else f"All {report.lost:,} lost ones were"
        text += f" {which} read from another file."
    if report.without_details:
        plays = many(report.without_details, "play")
        text += f" {plays} lost the media info, which only events need."
    return text


def _rows(ranges: Sequence[tuple[int, int]]) -> str:
    parts = [
        str(first) if first == last else f"{first} to {last}" for first, last in ranges[:_RANGES]
    ]
    more = f" and {len(ranges) - _RANGES:,} more ranges" if len(ranges) > _RANGES else ""
    word = "row" if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else "rows"
    return f"{word} {', '.join(parts)}{more}"


def _dates(report: DamageReport) -> str:
    if report.lost_from and report.lost_to:
        return f", played between {report.lost_from} and {report.lost_to}"
    if report.lost_from:
        return f", played after {report.lost_from}"
    return f", played before {report.lost_to}" if report.lost_to else ""


def _day(moment: int | None) -> str | None:
    with suppress(OverflowError, OSError, ValueError):
        if moment is not None:
            return datetime.fromtimestamp(moment, UTC).date().isoformat()
    return None


def _ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the ranges of successive ids. The ids are ascending."""
    for _, run in groupby(enumerate(ids), key=lambda pair: pair[1] - pair[0]):
        first, *_, last = [number for _, number in run] * 2
        yield first, last


def best_backup(path: Path, salvaged: Salvaged) -> Backup | None:
    """Return the backup near ``path`` that has most of the lost plays, the newest of equal ones.

    A file that is in use or was left with a ``-wal`` is not looked at.
    """
    if not salvaged.lost:
        return None
    with closing(sqlite3.connect(f"{salvaged.path.as_uri()}?mode=ro", uri=True)) as db:
        known = dict(
            db.execute(
                f"SELECT id, started FROM {_HISTORY} ORDER BY random() LIMIT ?",  # noqa: S608 - our own name
                (_COMPARED,),
            )
        )
    found = ((_count_in(one, salvaged.lost, known), one) for one in _candidates(path))
    count, best = max(found, key=itemgetter(0), default=(0, path))
    return Backup(shown(best), count) if count else None


def _candidates(path: Path) -> Sequence[Path]:
    """Return databases beside a file, and in Tautulli's folder of backups, newest first."""
    folder = path.resolve().parent
    folders = [folder, folder / "backups", *([folder.parent] if folder.name == "backups" else [])]
    found: dict[object, tuple[int, Path]] = {}
    own = identity(path)
    for place in folders:
        with suppress(OSError):
            for file in place.glob("*.db"):
                if file.is_file() and identity(file) != own:
                    found.setdefault(identity(file), (file.stat().st_mtime_ns, file))
    newest = [file for _, file in sorted(found.values(), reverse=True)[:_MOST_BACKUPS]]
    return [
        file
        for file in newest
        if not size_of(beside(file, "-wal")) and not size_of(beside(file, "-journal"))
    ]


def _count_in(path: Path, lost: Sequence[int], known: dict[int, object]) -> int:
    """Return how many of the lost plays a file has; 0 if it is of another history."""
    try:
        with closing(SqliteFile(path)) as file:
            db = file.connection
            if not {_HISTORY, _METADATA} <= file.tables(db, ()):
                return 0
            marks = ", ".join("?" * len(known))
            rows = db.execute(
                f"SELECT id, started FROM {_HISTORY} WHERE id IN ({marks})",  # noqa: S608 - our own names
                list(known),
            ).fetchall()
            if sum(known[number] == started for number, started in rows) * 2 <= len(rows):
                return 0
            ids = db.execute(
                f"SELECT id FROM {_HISTORY} JOIN {_METADATA} USING (id) WHERE id BETWEEN ? AND ?",  # noqa: S608 - our own names
                (lost[0], lost[-1]),
            )
            return len(set(lost).intersection(number for (number,) in ids))
    except (TautulliImportError, sqlite3.Error):
        check()
        return 0
