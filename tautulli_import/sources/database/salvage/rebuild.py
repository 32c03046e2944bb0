"""Write rows of Tautulli's tables into a private SQLite file that the ordinary reader can read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ....errors import SourceUnreachableError
from ..private_copy import NO_SPACE_HINT
from ..schema import quoted
from .layouts import Layout
from .records import Value

__all__ = ["Rebuilt"]

_BATCH: Final = 2_000


class Rebuilt:
    """A private database with some of Tautulli's tables. ``id`` is the key of each that has one."""

    def __init__(self, path: Path, layouts: Iterable[Layout], shown: str) -> None:
        """Create the tables. ``path`` must not exist. ``shown`` is the database in messages.

        Raises:
            SourceUnreachableError: there is no space, here and in all methods.
        """
        self._path = path
        self._shown = shown
        self._waiting: dict[tuple[str, bool, int], list[Sequence[Value]]] = {}
        self._layouts = {layout.table: layout for layout in layouts}
        self.db = sqlite3.connect(path, isolation_level=None)
        with self._explained():
            # A run that is killed throws the file away.
            self.db.execute("PRAGMA journal_mode = OFF")
            self.db.execute("PRAGMA synchronous = OFF")
            self.db.execute("BEGIN")
            for layout in self._layouts.values():
                columns = ", ".join(
                    f"{quoted(name)} {'INTEGER PRIMARY KEY' if name == 'id' else kind}"
                    for name, kind in zip(layout.columns, layout.kinds, strict=True)
                )
                self.db.execute(f"CREATE TABLE {layout.table} ({columns})")

    def add(self, layout: Layout, values: Sequence[Value], *, replace: bool) -> None:
        """Insert a row, which may lack the last columns. ``replace`` one with the same id, or not.

        Rows that wait until ``flush`` come before those that are added later.
        """
        key = (layout.table, replace, len(values))
        rows = self._waiting.setdefault(key, [])
        rows.append(values)
        if len(rows) >= _BATCH:
            self._insert(*key)

    def flush(self) -> None:
        """Insert the rows that wait."""
        for key in list(self._waiting):
            self._insert(*key)

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        self.flush()
        ((count,),) = self.db.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        return int(count)

    def keep(self) -> None:
        """Save the rows."""
        self.flush()
        with self._explained():
            self.db.execute("COMMIT")

    def close(self) -> None:
        """Close the file. Without ``keep`` it is useless."""
        self.db.close()

    def _insert(self, table: str, replace: bool, count: int) -> None:
        rows = self._waiting.pop((table, replace, count))
        columns = ", ".join(map(quoted, self._layouts[table].columns[:count]))
        with self._explained():
            self.db.executemany(
                f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO {table} ({columns})"  # noqa: S608 - quoted
                f" VALUES ({', '.join('?' * count)})",
                rows,
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SourceUnreachableError(
                f"The rows of {self._shown} could not be saved in {self._path.parent}: {error}.",
                hint=NO_SPACE_HINT,
            ) from error
