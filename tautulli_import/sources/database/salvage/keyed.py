"""Copy tables that have lost their primary keys, as in a database that was repaired by hand.

Without a key, every page of plays would be joined with all rows of the metadata.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from ....errors import BusyError
from ....interrupts import check
from ..foreign import is_keyed, unkeyed_error
from ..rows import decode
from ..schema import TABLES, quoted
from ..sqlite import SqliteFile
from .layouts import Kind, Layout
from .rebuild import Rebuilt

__all__ = ["copy_keyed", "lacks_keys"]

_ROWS: Final = 10_000


def lacks_keys(file: SqliteFile) -> bool:
    """Return whether a table has an ``id`` that is not its key. The file must be readable."""
    try:
        db = file.connection
        return not all(is_keyed(db, table) for table in file.tables(db, ()) & TABLES)
    except sqlite3.Error as error:
        raise file.explain(error) from error


def copy_keyed(file: SqliteFile, target: Path) -> None:
    """Copy all tables that are read to a private file in which ``id`` is their key.

    Raises:
        SourceDamagedError: an id is not a whole number, or several rows have the same id.
        SourceUnreachableError: there is no space.
        BusyError: the file was written meanwhile.
    """
    db = file.connection
    db.text_factory = decode
    try:
        db.execute("BEGIN")  # all tables as of one moment
        layouts = list(_layouts(db, file.tables(db, ()) & TABLES))
        with closing(Rebuilt(target, layouts, file.shown)) as copy:
            for layout in layouts:
                if not _copy(layout, db, copy):
                    raise unkeyed_error(file.shown, layout.table)
            copy.keep()
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise file.explain(error) from error
    finally:
        db.text_factory = str
    if file.changed():
        raise BusyError(
            f"{file.shown} was written while it was copied.",
            hint="Try again when Tautulli is less busy, or read one of its backups.",
        )


def _copy(layout: Layout, db: sqlite3.Connection, copy: Rebuilt) -> bool:
    """Copy one table. Return false if its ids cannot be a key."""
    columns = ", ".join(map(quoted, layout.columns))
    found = db.execute(f"SELECT {columns} FROM {layout.table}")  # noqa: S608 - quoted
    at = layout.columns.index("id") if "id" in layout.columns else None
    count = 0
    while rows := found.fetchmany(_ROWS):
        check()
        if at is not None and not all(isinstance(row[at], int) for row in rows):
            return False
        count += len(rows)
        for row in rows:
            copy.add(layout, row, replace=False)
    return copy.count(layout.table) == count


def _layouts(db: sqlite3.Connection, tables: frozenset[str]) -> Iterator[Layout]:
    for table in sorted(tables):
        rows = db.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
        columns = tuple(str(name) for name, _ in rows)
        kinds: list[Kind] = ["TEXT" if str(kind).upper() == "TEXT" else "" for _, kind in rows]
        yield Layout(table, columns, tuple(kinds), len(columns))
