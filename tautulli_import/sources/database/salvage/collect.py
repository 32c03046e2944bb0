"""Rebuild a damaged database in a private file, from everything that its pages still hold.

Every page is looked at as a leaf of a table. A row is recognised by its columns, so that it does
not matter where a page is or which tree leads to it. If several pages have a row with the same id:

1. one in the tree of its table wins over one that no tree leads to;
2. one on a whole page wins over one that was found among the bytes of a broken page;
3. else the later page wins.

Pages that SQLite has listed as free hold deleted rows, and are left out. The three parts of a play
find each other by the row id, as in a whole database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from ....errors import SourceUnreachableError
from ....interrupts import check
from ....progress import UNSEEN, Progress
from ..foreign import open_foreign
from ..private_copy import NO_SPACE_HINT, beside, copy_with_sides
from ..schema import TABLES, quoted
from .layouts import Layout
from .pages import PageFile, likely_page_size, repair_header
from .rebuild import Rebuilt
from .recognise import Recogniser, layout_of, layouts_by_vote
from .records import Cell, Value, values_of

__all__ = ["Salvaged", "salvage"]

_HISTORY: Final = "session_history"
_METADATA: Final = "session_history_metadata"
_INFO: Final = "session_history_media_info"
_ESSENTIAL: Final[Mapping[str, frozenset[str]]] = {
    _HISTORY: frozenset({"id", "started", "media_type"}),
    _METADATA: frozenset({"id", "title"}),
}
_LEAF: Final = 0x0D
_PAGES_A_CHECK: Final = 1_000
_SAMPLES: Final = 600
_MOST_GAPS: Final = 1_000_000
"""Ids without any trace that are counted as lost at most. One wrong id must not make billions."""


class Salvaged(Struct, frozen=True):
    """A rebuilt history, and what is known about the rows that it lacks."""

    path: Path
    """The private file."""
    plays: int
    """Plays with their history and their metadata."""
    from_pages: int
    """Those of them that no tree leads to any more."""
    without_details: int
    """Those of them that lost their media info. They are whole without it, except in events."""
    lost: tuple[int, ...]
    """The ids of plays of which the history, the metadata or both are lost, ascending."""
    gone: tuple[int, ...]
    """Those of ``lost`` that have no row in the history of the private file."""
    lost_from: int | None
    """The start of the last known play before the lost ones (epoch seconds)."""
    lost_to: int | None
    """The start of the first known play after the lost ones."""


def salvage(path: Path, folder: Path, shown: str, progress: Progress = UNSEEN) -> Salvaged | None:
    """Rebuild a damaged database in ``folder``. ``path`` itself is not changed.

    Return ``None`` if no play of a Tautulli is in it. ``shown`` is its name in messages.

    Raises:
        SourceUnreachableError: it cannot be read, or there is no space.
        BusyError: it is written all the time.
    """
    copy, target = folder / "damaged.db", folder / "salvaged.db"
    try:
        size = likely_page_size(path)
        if size is None:
            return None
        copy_with_sides(path, copy, shown)
        repair_header(copy, size)
        _finish_transactions(copy)
        repair_header(copy, size)
        with closing(PageFile(copy, size)) as pages:
            found = _Salvage(pages, copy, target, shown, progress).run()
        for side in ("", "-wal", "-shm", "-journal"):
            beside(copy, side).unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise SourceUnreachableError(
            f"The rows of {shown} could not be saved in {folder}: {error}.",
            hint=NO_SPACE_HINT,
        ) from error
    return found


def _finish_transactions(copy: Path) -> None:
    """Let SQLite move the rows of a sound ``-wal`` into the copy, or roll its journal back."""
    with suppress(sqlite3.Error), closing(_open(copy)) as db:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    check()  # a signal interrupts a statement, and SQLite drops the exception


def _open(copy: Path) -> sqlite3.Connection:
    return open_foreign(f"{copy.as_uri()}?mode=rw", wait=0)


class _Salvage:
    """One salvage. The pages are those of ``copy``, and the rows go to ``target``."""

    def __init__(
        self, pages: PageFile, copy: Path, target: Path, shown: str, progress: Progress
    ) -> None:
        self._pages = pages
        self._copy = copy
        self._target = target
        self._shown = shown
        self._progress = progress
        self._loose: dict[str, set[int]] = {}
        """Ids of rows that are on no page of a tree, by table."""

    def run(self) -> Salvaged | None:
        """Rebuild the history, or return ``None`` if there is no play."""
        pages = self._pages
        schema = self._schema()
        seen: set[int] = set()
        owners: dict[int, Layout] = {}
        for root, layout in schema:
            owners.update(dict.fromkeys(pages.leaves_of(root, seen), layout))
        free = pages.free() - seen
        layouts = {layout.table: layout for _, layout in schema}
        is_known = _is_complete(layouts)
        if not is_known:
            voted = layouts_by_vote(self._samples(free))
            layouts |= {layout.table: layout for layout in voted}
        wanted = [layout for table, layout in layouts.items() if table in TABLES]
        if not _is_complete(layouts):
            return None
        recogniser = Recogniser(list(layouts.values()), strict=not is_known)
        with closing(Rebuilt(self._target, wanted, self._shown)) as self._rebuilt:
            self._add_pages(recogniser, free, owners)
            found = self._account()
            self._rebuilt.keep()
        return found

    def _schema(self) -> list[tuple[int, Layout]]:
        """Return root page and layout of every table whose entry can be read."""
        rows: list[tuple[Value, Value, Value]] = []
        with suppress(sqlite3.Error), closing(_open(self._copy)) as db:
            sql = "SELECT name, rootpage, sql FROM sqlite_master WHERE type = 'table'"
            for row in db.execute(sql):
                rows.append(row)  # noqa: PERF402 - keeps those before an error
        check()
        if not any(name == _HISTORY for name, *_ in rows):
            rows += self._scattered_schema()
        found: dict[str, tuple[int, Layout]] = {}
        for _, root, written in rows:
            layout = layout_of(written) if isinstance(written, str) else None
            if layout and isinstance(root, int) and _has_essentials(layout):
                found.setdefault(layout.table, (root, layout))
        return list(found.values())

    def _scattered_schema(self) -> Iterator[tuple[Value, Value, Value]]:
        """Return the entries of tables on any page. One page is too small for all of them."""
        for number in self._leaves():
            for cell in self._pages.cells(number)[0]:
                if len(cell.serials) == 5 and cell.payload[cell.body : cell.body + 5] == b"table":
                    _, name, _, root, sql = values_of(cell) or [None] * 5
                    yield name, root, sql

    def _samples(self, free: set[int]) -> list[Cell]:
        """Return some rows, from the whole file."""
        leaves = [number for number in self._leaves() if number not in free]
        step = max(1, len(leaves) // _SAMPLES)
        cells = []
        for number in leaves[::step]:
            cells += self._pages.cells(number)[0][:3]
        return cells

    def _leaves(self) -> Iterator[int]:
        for number in range(1, self._pages.count + 1):
            if number % _PAGES_A_CHECK == 0:
                check()
            if self._pages.kind(number) == _LEAF:
                yield number

    def _add_pages(
        self, recogniser: Recogniser, free: set[int], owners: Mapping[int, Layout]
    ) -> None:
        """Add the rows of all pages: first those outside of trees, so that others replace them."""
        broken = []
        leaves = [number for number in self._leaves() if number not in free]
        others = set(range(1, self._pages.count + 1)).difference(leaves, free)
        done = 0
        self._progress.begin("salvaging", len(leaves) + len(others))
        for in_tree in (False, True):
            for number in leaves:
                if (number in owners) is not in_tree:
                    continue
                done += 1
                self._progress.reached(done)
                cells, is_whole = self._pages.cells(number)
                if not is_whole:
                    broken.append(number)
                for cell in cells:
                    self._add(recogniser, cell, owners.get(number), loose=not in_tree, replace=True)
            self._rebuilt.flush()
        others -= self._pages.overflow.keys()
        for number in (*broken, *sorted(others)):
            check()
            done += 1
            self._progress.reached(done)
            if number in others and (self._is_other_page(number)):
                continue
            for cell in self._pages.carve(number):
                self._add(recogniser, cell, owners.get(number), loose=True, replace=False)
        self._rebuilt.flush()

    def _is_other_page(self, number: int) -> bool:
        """Return whether a page certainly has no rows: an inner page, one of an index, zeros."""
        return self._pages.is_index(number) or not any(self._pages.page(number))

    def _add(
        self,
        recogniser: Recogniser,
        cell: Cell,
        owner: Layout | None,
        *,
        loose: bool,
        replace: bool,
    ) -> None:
        layout = recogniser.layout_of(cell, owner)
        if layout is None or layout.table not in TABLES:
            return
        values = values_of(cell)
        if values is None:
            return
        if "id" in layout.columns:
            at = layout.columns.index("id")
            if at < len(values) and values[at] is None:
                values[at] = cell.rowid
            number = values[at] if at < len(values) else None
            if not isinstance(number, int) or number <= 0:
                return
            ids = self._loose.setdefault(layout.table, set())
            if not loose:
                ids.discard(number)
            elif replace or number not in ids:
                ids.add(number)
        self._rebuilt.add(layout, values, replace=replace)

    def _account(self) -> Salvaged | None:
        """Count what there is and what is lost."""
        db = self._rebuilt.db
        whole = {
            number
            for (number,) in db.execute(
                f"SELECT id FROM {_HISTORY} JOIN {_METADATA} USING (id)"  # noqa: S608 - our own names
            )
        }
        if not whole:
            return None
        history = _ids(db, _HISTORY)
        traces = history | _ids(db, _METADATA)
        without_details = 0
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_INFO,)).fetchone():
            traces |= _ids(db, _INFO)
            # The reader takes a play without media info for one that Tautulli does not show.
            without_details = db.execute(
                f"INSERT INTO {_INFO} (id) SELECT id FROM {_HISTORY}"  # noqa: S608 - our own names
                f" WHERE id IN (SELECT id FROM {_METADATA})"
                f" AND id NOT IN (SELECT id FROM {_INFO})"
            ).rowcount
        last, indexed, is_indexed = self._ids_elsewhere(max(traces))
        traces |= indexed
        if not is_indexed:
            begin, end = min(traces), max(last, *traces)
            if end - begin <= _MOST_GAPS + len(traces):
                traces.update(range(begin, end + 1))
        lost = tuple(sorted(traces - whole))
        loose = (self._loose.get(_HISTORY, set()) | self._loose.get(_METADATA, set())) & whole
        return Salvaged(
            path=self._target,
            plays=len(whole),
            from_pages=len(loose),
            without_details=without_details,
            lost=lost,
            gone=tuple(number for number in lost if number not in history),
            lost_from=_start(db, "<=", lost[0], "DESC") if lost else None,
            lost_to=_start(db, ">=", lost[-1], "ASC") if lost else None,
        )

    def _ids_elsewhere(self, highest: int) -> tuple[int, set[int], bool]:
        """Return the last id that SQLite gave, the ids in indexes, and whether one was complete."""
        last = 0
        found: set[int] = set()
        is_complete = False
        with suppress(sqlite3.Error), closing(_open(self._copy)) as db:
            sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            with suppress(sqlite3.Error):
                last = next((seq for (seq,) in db.execute(sql, (_HISTORY,))), 0)
            last = last if isinstance(last, int) else 0
            most = max(last, highest)
            sql = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"
            for name, table in db.execute(sql).fetchall():
                if table not in (_HISTORY, _METADATA):
                    continue
                with suppress(sqlite3.Error):
                    scan = f"SELECT id FROM {table} INDEXED BY {quoted(name)}"  # noqa: S608 - quoted
                    for (number,) in db.execute(scan):
                        if isinstance(number, int) and 0 < number <= most:
                            found.add(number)
                    is_complete = is_complete or table == _HISTORY
        check()
        return last, found, is_complete


def _is_complete(layouts: Mapping[str, Layout]) -> bool:
    return all(table in layouts for table in _ESSENTIAL)


def _has_essentials(layout: Layout) -> bool:
    return _ESSENTIAL.get(layout.table, frozenset()) <= set(layout.columns)


def _ids(db: sqlite3.Connection, table: str) -> set[int]:
    return {number for (number,) in db.execute(f"SELECT id FROM {table}")}  # noqa: S608 - our own names


def _start(db: sqlite3.Connection, side: str, number: int, order: str) -> int | None:
    """Return the start of the nearest play on one side of an id."""
    row: Sequence[int] | None = db.execute(
        f"SELECT started FROM {_HISTORY} WHERE id {side} ? AND typeof(started) = 'integer'"  # noqa: S608 - our own words
        f" ORDER BY id {order} LIMIT 1",
        (number,),
    ).fetchone()
    return row[0] if row else None
