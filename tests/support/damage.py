"""Fourteen ways in which a database file gets damaged, and which rows stand whole in it after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

__all__ = ["DAMAGES", "PAGE", "Damage", "Pristine", "flipped_bytes", "varint"]

PAGE = 4096


class _Cell(NamedTuple):
    """Where a row is: on a leaf from one offset to another, and on overflow pages."""

    page: int
    begin: int
    end: int
    chain: tuple[int, ...]


class Pristine:
    """An undamaged database, and where each of its rows is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        self.count = len(self.content) // PAGE
        self.cells: dict[str, dict[int, _Cell]] = {}
        with closing(sqlite3.connect(path)) as conn:
            found = conn.execute("SELECT name, pageno, pagetype FROM dbstat").fetchall()
            self.roots: Mapping[str, int] = dict(
                conn.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'")
            )
        self.leaves: dict[str, list[int]] = {}
        self.inner: list[int] = []
        for name, number, kind in found:
            if kind == "leaf":
                self.leaves.setdefault(name, []).append(number)
            elif kind == "internal" and name in PLAYS:
                self.inner.append(number)
        for name in PLAYS:
            self.cells[name] = {
                rowid: cell for page in self.leaves[name] for rowid, cell in self._cells(page)
            }
        self.used = [number for name in PLAYS for number in self.leaves[name]]

    def page(self, number: int) -> bytes:
        """Return the bytes of a page."""
        return self.content[(number - 1) * PAGE : number * PAGE]

    def _cells(self, number: int) -> Iterator[tuple[int, _Cell]]:
        page = self.page(number)
        for index in range(int.from_bytes(page[3:5], "big")):
            begin = int.from_bytes(page[8 + 2 * index : 10 + 2 * index], "big")
            length, at = varint(page, begin)
            rowid, at = varint(page, at)
            chain = []
            if length <= PAGE - 35:
                end = at + length
            else:
                least = (PAGE - 12) * 32 // 255 - 23
                local = least + (length - least) % (PAGE - 4)
                end = at + (local if local <= PAGE - 35 else least) + 4
                following = int.from_bytes(page[end - 4 : end], "big")
                while following:
                    chain.append(following)
                    following = int.from_bytes(self.page(following)[:4], "big")
            yield rowid, _Cell(number, begin, end, tuple(chain))

    def whole_plays(self, damaged: bytes) -> set[int]:
        """Return the ids of plays whose history and metadata stand in these bytes unchanged."""
        places: dict[bytes, list[int]] = {}
        for number in range(1, len(damaged) // PAGE + 1):
            places.setdefault(damaged[(number - 1) * PAGE : number * PAGE], []).append(number)

        def is_whole(cell: _Cell) -> bool:
            for number in cell.chain:
                if damaged[(number - 1) * PAGE : number * PAGE] != self.page(number):
                    return False
            for number in (cell.page, *places.get(self.page(cell.page), ())):
                start = (number - 1) * PAGE
                here = damaged[start + cell.begin : start + cell.end]
                if here == self.page(cell.page)[cell.begin : cell.end]:
                    return True
            return False

        whole = [
            {rowid for rowid, cell in self.cells[name].items() if is_whole(cell)}
            for name in ("session_history", "session_history_metadata")
        ]
        return whole[0] & whole[1]


PLAYS = ("session_history", "session_history_metadata", "session_history_media_info")


def varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Read one of SQLite's numbers of up to four bytes."""
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


Damage = Callable[[Pristine, Random], bytes]


def _overwrite(content: bytes, at: int, piece: bytes) -> bytes:
    return content[:at] + piece + content[at + len(piece) :]


def _over_pages(pristine: Pristine, pages: Sequence[int], piece: Callable[[], bytes]) -> bytes:
    content = pristine.content
    for number in pages:
        content = _overwrite(content, (number - 1) * PAGE, piece())
    return content


def _zeros_or_garbage(chance: Random, length: int) -> bytes:
    return chance.choice([bytes(length), chance.randbytes(length)])


def zeroed_pages(pristine: Pristine, chance: Random) -> bytes:
    return _over_pages(
        pristine, chance.sample(range(2, pristine.count + 1), 3), lambda: bytes(PAGE)
    )


def garbage_pages(pristine: Pristine, chance: Random) -> bytes:
    pages = chance.sample(range(2, pristine.count + 1), 3)
    return _over_pages(pristine, pages, lambda: chance.randbytes(PAGE))


def garbage_inside(pristine: Pristine, chance: Random) -> bytes:
    """Return it with short runs of nonsense in five leaves."""
    content = pristine.content
    for number in chance.sample(pristine.used, 5):
        at = (number - 1) * PAGE + chance.randrange(PAGE - 200)
        content = _overwrite(content, at, chance.randbytes(chance.randrange(1, 200)))
    return content


def flipped_bytes(pristine: Pristine, chance: Random) -> bytes:
    """Return it with eight wrong bytes among the numbers at the beginning of leaves."""
    content = pristine.content
    for number in chance.sample(pristine.used, 8):
        at = (number - 1) * PAGE + chance.randrange(12)
        content = _overwrite(content, at, bytes([content[at] ^ 1 << chance.randrange(8)]))
    return content


def cut_at_a_page(pristine: Pristine, chance: Random) -> bytes:
    return pristine.content[: PAGE * chance.randrange(pristine.count // 4, pristine.count)]


def cut_inside_a_page(pristine: Pristine, chance: Random) -> bytes:
    length = len(pristine.content)
    return pristine.content[: chance.randrange(length // 4, length)]


def damaged_header(pristine: Pristine, chance: Random) -> bytes:
    piece = chance.choice([bytes(100), chance.randbytes(100), b"\xff" * 24])
    return _overwrite(pristine.content, 0, piece)


def lost_root(pristine: Pristine, chance: Random) -> bytes:
    root = pristine.roots[chance.choice(PLAYS)]
    return _over_pages(pristine, [root], lambda: _zeros_or_garbage(chance, PAGE))


def lost_schema(pristine: Pristine, chance: Random) -> bytes:
    """Return it without its first page, with or without the header on it."""
    begin = chance.choice([0, 100])
    piece = chance.choice([bytes(PAGE - begin), chance.randbytes(PAGE - begin)])
    content = pristine.content
    for number in pristine.leaves["sqlite_schema"]:
        content = _overwrite(content, (number - 1) * PAGE, bytes(PAGE))
    return _overwrite(content[:begin] + content[begin:], begin, piece)


def swapped_pages(pristine: Pristine, chance: Random) -> bytes:
    one, other = chance.sample(pristine.used, 2)
    content = _overwrite(pristine.content, (one - 1) * PAGE, pristine.page(other))
    return _overwrite(content, (other - 1) * PAGE, pristine.page(one))


def duplicated_page(pristine: Pristine, chance: Random) -> bytes:
    one, other = chance.sample(pristine.used, 2)
    return _overwrite(pristine.content, (one - 1) * PAGE, pristine.page(other))


def lost_inner_page(pristine: Pristine, chance: Random) -> bytes:
    number = chance.choice(pristine.inner)
    other = chance.choice([*pristine.inner, *pristine.used])
    piece = chance.choice([bytes(PAGE), pristine.page(other), chance.randbytes(PAGE)])
    return _overwrite(pristine.content, (number - 1) * PAGE, piece)


def lost_page_heads(pristine: Pristine, chance: Random) -> bytes:
    """Return it with nonsense at the beginning of four leaves, as far as their pointers go."""
    content = pristine.content
    for number in chance.sample(pristine.used, 4):
        content = _overwrite(content, (number - 1) * PAGE, _zeros_or_garbage(chance, 100))
    return content


def hole(pristine: Pristine, chance: Random) -> bytes:
    """Return it with 64 kB of zeros, at any place on the disk."""
    at = chance.randrange(0, max(1, len(pristine.content) - 65536), 512)
    return _overwrite(pristine.content, at, bytes(65536))[: len(pristine.content)]


DAMAGES: Sequence[Damage] = (
    zeroed_pages,
    garbage_pages,
    garbage_inside,
    flipped_bytes,
    cut_at_a_page,
    cut_inside_a_page,
    damaged_header,
    lost_root,
    lost_schema,
    swapped_pages,
    duplicated_page,
    lost_inner_page,
    lost_page_heads,
    hole,
)
