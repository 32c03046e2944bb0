"""Ways in which single pages of a database file get wrong, and still may look like pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from tests.support.history.generator import generate

__all__ = ["PAGE_DAMAGES", "Pages"]

_TABLES = ("session_history", "session_history_metadata", "session_history_media_info")


class Pages:
    """A history of some hundred plays on pages of one size, and the file as it was earlier.

    Since then plays were added, deleted and changed.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        generate(path, plays=260, seed=5, truth=False)
        with closing(sqlite3.connect(path)) as conn:
            conn.execute(f"PRAGMA page_size = {size}")
            for table in _TABLES[1:]:
                joined = f"SELECT id FROM {table}"  # noqa: S608 - our own names
                conn.execute(f"DELETE FROM session_history WHERE id NOT IN ({joined})")  # noqa: S608
            conn.commit()
            conn.execute("VACUUM")
        self.older = path.read_bytes()
        with closing(sqlite3.connect(path)) as conn, conn:
            for table in _TABLES:
                names = [name for _, name, *_ in conn.execute(f"PRAGMA table_info({table})")]
                columns = ", ".join(names[1:])
                conn.execute(
                    f"INSERT INTO {table} (id, {columns})"  # noqa: S608 - our own names
                    f" SELECT id + 1000, {columns} FROM {table} WHERE id <= 120"
                )
                conn.execute(f"DELETE FROM {table} WHERE id % 31 = 0")  # noqa: S608
            conn.execute("UPDATE session_history SET stopped = stopped + 60 WHERE id % 17 = 0")
            conn.execute(
                "UPDATE session_history_metadata SET title = title || ' (new)' WHERE id % 23 = 0"
            )
        self.now = path.read_bytes()
        with closing(sqlite3.connect(path)) as conn:
            found = conn.execute(
                "SELECT tbl_name, name, pagetype, pageno"
                " FROM dbstat JOIN sqlite_master USING (name)"
            ).fetchall()
        groups: dict[tuple[str, str], list[int]] = {}
        for table, name, kind, number in found:
            if table in _TABLES:
                groups.setdefault((table, kind if name == table else "index"), []).append(number)
        self._groups = [*groups.values()]
        self.every = [number for numbers in self._groups for number in numbers]

    def page(self, number: int, content: bytes | None = None) -> bytes:
        """Return a page, as it is now or in ``content``; zeros if it is not there."""
        content = self.now if content is None else content
        found = content[(number - 1) * self.size : number * self.size]
        return found or bytes(self.size)

    def choose(self, chance: Random) -> tuple[int, Sequence[int]]:
        """Return a page, and all of its kind. Each table and each kind gets its share."""
        numbers = chance.choice(self._groups)
        return chance.choice(numbers), numbers

    def replaced(self, pages: Mapping[int, bytes]) -> bytes:
        """Return the file with other pages."""
        content = bytearray(self.now)
        for number, page in pages.items():
            begin = (number - 1) * self.size
            content[begin : begin + self.size] = page[: self.size]
        return bytes(content)


Damage = Callable[[Pages, Random], bytes]


def swapped(pages: Pages, chance: Random) -> bytes:
    one, alike = pages.choose(chance)
    other = chance.choice([chance.choice(alike), chance.choice(pages.every)])
    return pages.replaced({one: pages.page(other), other: pages.page(one)})


def twice(pages: Pages, chance: Random) -> bytes:
    one, alike = pages.choose(chance)
    other = chance.choice([chance.choice(alike), chance.choice(pages.every), max(2, one - 1)])
    return pages.replaced({one: pages.page(other)})


def as_it_was(pages: Pages, chance: Random) -> bytes:
    """Return it with one page of the earlier file, or with several, as of a copy while written."""
    one, _ = pages.choose(chance)
    numbers = chance.choice([[one], chance.sample(pages.every, 8)])
    return pages.replaced({number: pages.page(number, pages.older) for number in numbers})


def torn(pages: Pages, chance: Random) -> bytes:
    """Return it with a page of which a part is of the earlier file, or of another page."""
    one, alike = pages.choose(chance)
    other = chance.choice([pages.page(one, pages.older), pages.page(chance.choice(alike))])
    cut = chance.randrange(0, pages.size, 256)
    return pages.replaced({one: pages.page(one)[:cut] + other[cut:]})


def lost_sector(pages: Pages, chance: Random) -> bytes:
    """Return it with a sector of zeros or garbage, or with half a page of zeros."""
    one, _ = pages.choose(chance)
    begin = chance.randrange(0, pages.size, 512)
    piece = chance.choice([bytes(512), chance.randbytes(512), bytes(pages.size // 2)])
    page = pages.page(one)
    return pages.replaced({one: page[:begin] + piece + page[begin + len(piece) :]})


def flipped_bit(pages: Pages, chance: Random) -> bytes:
    """Return it with a wrong bit: in a page's numbers, in those of a row, or anywhere."""
    one, _ = pages.choose(chance)
    page = bytearray(pages.page(one))
    pointer = 8 + 2 * chance.randrange(1 + int.from_bytes(page[3:5], "big") % (pages.size // 8))
    row = int.from_bytes(page[pointer : pointer + 2], "big") + chance.randrange(50)
    at = chance.choice([chance.randrange(12), pointer, row, row, chance.randrange(pages.size)])
    page[min(at, pages.size - 1)] ^= 1 << chance.randrange(8)
    return pages.replaced({one: bytes(page)})


PAGE_DAMAGES: Sequence[Damage] = (swapped, twice, as_it_was, torn, lost_sector, flipped_bit)
