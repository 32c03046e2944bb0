"""Read a history: a Tautulli database, overlapping backups, or the local copy of an API history.

Rows are read in short keyset pages on ``id``, so that no lock is held between them and memory stays
flat. Several files are read newest first. A row of an older file with the same id, start and user
as one in a newer file is the same play. It is counted and left out, unless the newer file has it
incomplete and the older one has it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from ...errors import ConfigurationError
from ...files import identity
from ...model.judged import DetailedRow, JudgedRow, Orders, orders_of
from ...model.plays import Play, SampleRow
from ...model.rejections import Reason, Rejected
from ...model.selection import Selection
from ...model.watched import WatchedRule
from ...progress import UNSEEN, Progress
from ..base import Batch, Cursor, JudgedBatch, Library, Lookup, ServerInfo, User
from .config_ini import beside, rule_from
from .file import DatabaseFile, Page, Read
from .frozen_copy import FrozenCopy
from .judged import NO_MEDIA_INFO, NO_METADATA, Judge
from .named import libraries_of, users_of
from .opening import GuardedFile, open_database
from .repeats import counted
from .rows import detail, settle
from .salvage.report import DamageReport

__all__ = ["PAGE", "Source"]

# Rows a page. The values of a small page are still in the processor's cache when they are judged.
# Pages of ten thousand rows took a fifth longer for a million plays (2026-11-20).
PAGE: Final = 200
_VERDICT: Final = itemgetter(1)
_LOST: Final = {NO_METADATA: "no metadata", NO_MEDIA_INFO: "no media info"}


class Source:
    """One or more Tautulli databases, read as one history."""

    def __init__(
        self,
        paths: Sequence[Path | FrozenCopy],
        *,
        config_ini: Path | None = None,
        page: int = PAGE,
        stdin: BinaryIO | None = None,
        server: ServerInfo | None = None,
        also_close: Callable[[], None] | None = None,
        salvages: bool = False,
        progress: Progress = UNSEEN,
    ) -> None:
        """Open every file and read its schema. The path ``-`` is ``stdin``.

        The first of these that exists has the thresholds: ``config_ini``, the ``config.ini``
        beside the file, that of the newest other file, Tautulli's defaults. A file that was made
        over HTTP comes with its ``server``, which has the thresholds and the name to use.
        ``also_close`` is called after every file is closed. With ``salvages``, a damaged file is
        replaced by what is left of it, and
        ``progress`` shows how far that is.

        Raises:
            TautulliImportError: one of the files cannot be used; see ``database.opening``.
        """
        self._page = page
        self._server = server
        self._also_close = also_close
        self._notices: list[str] = list(server.notices) if server else []
        self.files: Sequence[DatabaseFile] = []
        """The files, newest first."""
        chosen_rule = server.rule if server else rule_from(config_ini) if config_ini else None
        files: list[tuple[DatabaseFile, WatchedRule | None]] = []
        try:
            for path in _distinct(paths):
                if isinstance(path, FrozenCopy):
                    files.append((DatabaseFile(path), chosen_rule))
                    continue
                piped = stdin if str(path) == "-" else None
                name = server.name if server else None
                file = open_database(
                    path, stdin=piped, name=name, salvages=salvages, progress=progress
                )
                files.append((file, None))
                files[-1] = (file, chosen_rule or (None if piped else self._rule_beside(path)))
        except BaseException:
            for file, _ in files:
                file.sqlite.close()
            raise
        self.name = ", ".join(file.shown for file, _ in files)
        files.sort(key=lambda pair: pair[0].age, reverse=True)
        common = next((rule for _, rule in files if rule), WatchedRule())
        for file, rule in files:
            file.rule = rule or common
            file.has_older = file is not files[-1][0]
        self.files = [file for file, _ in files]

    @property
    def notices(self) -> Sequence[str]:
        """Sentences about how the files are read, and about columns that old ones lack."""
        return [*self._notices, *(notice for file in self.files for notice in file.notices)]

    @property
    def rereads(self) -> bool:
        """Return whether everything had to be fetched again. ``notices`` say why."""
        return self._server is not None and self._server.rereads

    def rules(self) -> Sequence[WatchedRule]:
        """Return the thresholds in use, each once."""
        return list(dict.fromkeys(file.rule for file in self.files))

    @property
    def orders(self) -> Orders:
        """Return how the orders of judged rows are made."""
        return orders_of(
            min(file.first for file in self.files), max(file.last for file in self.files)
        )

    def total(self) -> int:
        """Count the rows of all files, and those that cannot be fetched."""
        return sum(file.count for file in self.files) + len(self._missing)

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Read every row after the cursor once, and at the end those that cannot be fetched.

        ``detailed`` batches also have checksums, and the details that playback events need.

        Raises:
            SourceUnreachableError: a file cannot be read any more.
            SourceDamagedError: a file is damaged or is not what it claims to be.
            BusyError: another program holds a file too long.
        """
        position, last = _read_cursor(after)
        cursor = after or Cursor("")
        # The lost rows of a salvaged file may come back.
        numbered = len(self.files) == 1 and not self.damaged()
        for index, file in enumerate(self.files):
            if index < position:
                continue
            begin = last if index == position and last is not None else file.first - 1
            newer = self.files[:index]
            for page in file.pages(begin, self._page, file.plays(detailed=detailed)):
                cursor = _cursor(file, index, page)
                numbered = numbered and not page.unreadable
                plays, rejected = settle(page.rows, file.shown)
                parts = counted(file, page, [play.id for play in plays], rejected, newer)
                yield Batch(
                    plays if parts.kept is None else [p for p in plays if p.id in parts.kept],
                    cursor,
                    file.rule,
                    parts.rejected,
                    parts.duplicates,
                    parts.recovered,
                    source=file.shown,
                    checksum=sum([r[-2] + r[-1] for r in page.rows]) if detailed else 0,
                    details=detail(page.rows) if detailed else {},
                    numbered=numbered,
                )
        if self._missing:
            yield Batch((), cursor, self.files[0].rule, self._missing, source=self.name)

    def judged(self, selection: Selection, *, detailed: bool = False) -> Iterator[JudgedBatch]:
        """Read every row once as it is judged for items, at the end those that cannot be fetched.

        Raises:
            TautulliImportError: as of ``batches``.
        """
        orders = self.orders
        for index, file in enumerate(self.files):
            newer = self.files[:index]
            read = self._judged_in(file, selection, detailed=detailed)
            for page in file.pages(file.first - 1, self._page, read):
                rows, rejected = _complete(page.rows, orders, file.shown)
                ids = [orders.row_id(row[0]) for row in rows] if newer else ()
                parts = counted(file, page, ids, rejected, newer)
                kept = parts.kept
                yield JudgedBatch(
                    rows if kept is None else [r for r in rows if orders.row_id(r[0]) in kept],
                    parts.rejected,
                    parts.duplicates,
                    parts.recovered,
                    file.shown,
                )
        if self._missing:
            yield JudgedBatch((), self._missing, source=self.name)

    def _judged_in(self, file: DatabaseFile, selection: Selection, *, detailed: bool) -> Read:
        """Return how to read the rows of a file as they are judged for items."""
        orders = self.orders
        return file.judged(
            Judge.of(file.schema, selection, file.rule, detailed=detailed, orders=orders)
        )

    def begin_check(self) -> None:
        """Begin to look for damage, also inside of rows of media info, which items do not need.

        Without this the check begins with the reading.
        """
        for file in self._guarded():
            file.check_rows()

    def refuse_damage(self) -> None:
        """Wait for the check that no file is damaged, except those that were salvaged.

        Call this before anything is written.

        Raises:
            SourceDamagedError: a file is damaged. The message says what it has lost.
            BusyError: a file was written all the time.
        """
        for file in self._guarded():
            file.refuse_damage()

    def damaged(self, rejected: Sequence[Rejected] | None = None) -> Sequence[DamageReport]:
        """Describe the files that were salvaged, given the rejected rows of the run if known."""
        reports = [file.report(rejected) for file in self._guarded()]
        return [report for report in reports if report]

    def _guarded(self) -> Sequence[GuardedFile]:
        handles = [file.sqlite for file in self.files]
        return [handle for handle in handles if isinstance(handle, GuardedFile)]

    def checksum(self, upto: Cursor) -> tuple[int, int] | None:
        """Count the rows up to a cursor, and sum up the checksums of ``detailed`` batches.

        The result changes if a row there was replaced, deleted or inserted. It is ``None`` for
        several files and for a damaged file, because then nothing is known.
        """
        _, last = _read_cursor(upto)
        if len(self.files) != 1 or last is None:
            return None
        return self.files[0].checksum(last)

    def sample_rows(self) -> Sequence[SampleRow]:
        """Return some plays of the newest file that identify the history."""
        return self.files[0].sample_rows()

    def count_matches(self, samples: Sequence[SampleRow]) -> int:
        """Count the sample rows in the file that has most of them."""
        return max(file.count_matches(samples) for file in self.files)

    def chosen(self, ids: Collection[int], selection: Selection) -> Iterator[DetailedRow]:
        """Read the rows with these ids from each file that has them, as they are judged."""
        for file in self.files:
            read = self._judged_in(file, selection, detailed=True)
            rows = list(file.chosen(sorted(ids), read))
            yield from map(DetailedRow._make, _complete(rows, self.orders, file.shown)[0])

    def plays(self, ids: Collection[int]) -> Iterator[tuple[Play, WatchedRule, str]]:
        """Read the plays with these ids from each file that has them.

        With each come the thresholds for it and the name of the file.
        """
        for file in self.files:
            rows = list(file.chosen(sorted(ids), file.plays()))
            for play in settle(rows, file.shown)[0]:
                yield play, file.rule, file.shown

    def users(self) -> Sequence[User]:
        """Return all users in the users tables or with plays, most plays first."""
        return self._users

    @cached_property
    def _users(self) -> Sequence[User]:
        return users_of(self.files)

    def libraries(self) -> Sequence[Library]:
        """Return every known library and every library with plays, most plays first."""
        if self._server and self._server.libraries is not None:
            return self._server.libraries
        return libraries_of(self.files)

    def lookups(self) -> Sequence[Lookup]:
        """Return the answers in Tautulli's lookup tables, those of the newest file first."""
        return [lookup for file in self.files for lookup in file.lookups()]

    def close(self) -> None:
        """Close every file and remove private copies."""
        for file in self.files:
            file.sqlite.close()
        if self._also_close:
            self._also_close()

    @property
    def _missing(self) -> Sequence[Rejected]:
        return self._server.missing if self._server else ()

    def _rule_beside(self, path: Path) -> WatchedRule | None:
        """Return the thresholds beside a database, or ``None``.

        A bad value is ignored, as in Tautulli, but with a notice.
        """
        try:
            found = beside(path)
            return rule_from(found) if found else None
        except (ConfigurationError, OSError) as error:
            self._notices.append(
                f"{error} Tautulli's defaults are used. Choose another file with --config-ini."
            )
            return None


def _cursor(file: DatabaseFile, index: int, page: Page) -> Cursor:
    """Return the position at the end of a page. In a local copy it is the id alone."""
    is_copy = isinstance(file.sqlite, FrozenCopy)
    return Cursor(str(page.upto) if is_copy else f"{index}:{page.upto}")


def _complete(
    rows: Sequence[JudgedRow], orders: Orders, shown: str
) -> tuple[Sequence[JudgedRow], Sequence[Rejected]]:
    """Return the rows of plays, and the rejected rows that lack metadata or media info."""
    if _LOST.keys().isdisjoint(map(_VERDICT, rows)):
        return rows, ()
    return [row for row in rows if row[1] not in _LOST], [
        Rejected(Reason.NO_METADATA, orders.row_id(row[0]), _LOST[row[1]], shown)
        for row in rows
        if row[1] in _LOST
    ]


def _distinct(paths: Sequence[Path | FrozenCopy]) -> list[Path | FrozenCopy]:
    """Return every file once, even if it was given under several names.

    A file must not be open twice: closing it releases all locks of this process on it (POSIX).
    """
    found: dict[object, Path | FrozenCopy] = {}
    for path in paths:
        found.setdefault(path if isinstance(path, FrozenCopy) else identity(path), path)
    return list(found.values())


def _read_cursor(cursor: Cursor | None) -> tuple[int, int | None]:
    """Return the index of the file and the id in a cursor."""
    if not cursor:
        return 0, None
    index, _, last = cursor.rpartition(":")
    return int(index or 0), int(last) if last else None
