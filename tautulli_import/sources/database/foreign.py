"""Open a SQLite file that somebody else may have crafted.

A view, a trigger or a virtual table runs what its author wrote as soon as a statement names it.
A value can be built that needs gigabytes, and a statement can be made to run for ever. So only
real tables are read, values have a largest size, and a signal ends every statement. The limits
are far above any real history: 200,000 plays are 284 MB in all tables together, so 1.4 kB a play
(Tautulli 2.17.2), and its widest table has 125 columns.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from typing import Final

from ...errors import SourceDamagedError
from ...interrupts import is_asked

__all__ = ["is_keyed", "open_foreign", "real_tables", "unkeyed_error"]

_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 256 * 1024,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 1_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# Some milliseconds. A callback takes the GIL and a microsecond.
_OPCODES: Final = 100_000
# SQLite stores what was written after TABLE as it was, and writes the two words itself.
_TABLE: Final = re.compile(r"""CREATE TABLE ["'`\[]?(\w+)""")


def open_foreign(uri: str, *, wait: float) -> sqlite3.Connection:
    """Open a file of somebody else. ``wait`` is the time to wait for a lock, in seconds.

    A statement fails with SQLITE_INTERRUPT after a signal, with SQLITE_AUTH if it would run what
    the file's author wrote, and with SQLITE_TOOBIG if a value is larger than 256 kB.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
    try:
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        _configure(connection)
        connection.set_authorizer(_is_allowed)
        connection.set_progress_handler(is_asked, _OPCODES)
    except BaseException:
        connection.close()
        raise
    return connection


def real_tables(
    connection: sqlite3.Connection, shown: str, needed: Collection[str]
) -> frozenset[str]:
    """Return the names of all tables. ``shown`` is the name of the file in messages.

    The SQL counts, because SQLite ignores the other columns of ``sqlite_master``.

    Raises:
        SourceDamagedError: one of the ``needed`` ones is a view or something else, or it has an
            ``id`` that is not its key.
        sqlite3.Error: the file cannot be read.
    """
    tables: set[str] = set()
    others: dict[str, str] = {}
    for kind, name, page, sql in connection.execute(
        "SELECT type, name, rootpage, sql FROM sqlite_master WHERE type IN ('table', 'view')"
    ):
        written = _TABLE.match(sql) if isinstance(sql, str) else None
        if written and page:
            tables.add(written.group(1))
        else:
            others[str(name)] = "view" if kind == "view" else "virtual table"
    for name in sorted(needed):
        if name in others and name not in tables:
            raise SourceDamagedError(
                f"{shown} has a {others[name]} in place of the table {name}. It is not read, "
                "because it could run anything.",
                hint="Use Tautulli's own tautulli.db, or one of the backups in its backups/.",
            )
        if name in tables and not is_keyed(connection, name):
            raise unkeyed_error(shown, name)
    return frozenset(tables)


def unkeyed_error(shown: str, table: str) -> SourceDamagedError:
    """Return the error for a table whose ids cannot be a key."""
    return SourceDamagedError(
        f"{shown} has a table {table} whose id is not its key. Tautulli did not make it so.",
        hint="Use Tautulli's own tautulli.db, or one of the backups in its backups/.",
    )


def is_keyed(connection: sqlite3.Connection, table: str) -> bool:
    """Return true if the ``id`` of a table, if it has one, is SQLite's own row number.

    Such ids are integers, none is there twice, and a row is found by its id at once. With others
    every play could be joined with every row of the metadata.
    """
    columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,))
    keys = {name: (str(kind).upper(), key) for name, kind, key in columns}
    return keys.get("id", ("INTEGER", 1)) == ("INTEGER", 1)


def _configure(connection: sqlite3.Connection) -> None:
    """Switch views, triggers and writes to internal tables off, with Python 3.12 or newer."""
    if hasattr(connection, "setconfig"):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # type: ignore[attr-defined,unused-ignore]
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)  # type: ignore[attr-defined,unused-ignore]
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)  # type: ignore[attr-defined,unused-ignore]


def _is_allowed(
    action: int, _first: str | None, _second: str | None, _database: str | None, inside: str | None
) -> int:
    """Tell SQLite if a part of a statement may run. It asks when it compiles the statement.

    ``inside`` is the view or trigger that the part is from.
    """
    is_foreign = inside is not None or action in (sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_ATTACH)
    return sqlite3.SQLITE_DENY if is_foreign else sqlite3.SQLITE_OK
