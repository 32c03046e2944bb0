"""Take table rows out of the raw pages of a damaged SQLite file, without its trees.

https://www.sqlite.org/fileformat2.html describes the format. Every number in a damaged file may be
wrong, so each one is checked against the size of the file before it is used, and no loop is longer
than the file.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..private_copy import beside, size_of
from .records import Cell, as_varint, serials_in, varint, width_of

__all__ = ["PageFile", "likely_page_size", "repair_header"]


_MAGIC: Final = b"SQLite format 3\x00"
_SIZES: Final = tuple(1 << power for power in range(9, 17))
_TABLE_LEAF: Final = 0x0D
_TABLE_INNER: Final = 0x05
_INDEX_PAGES: Final = (0x02, 0x0A)
_HEADER: Final = 100
# The longest record of a real Tautulli is an answer in a lookup table, some tens of kB.
_MOST_BYTES: Final = 4 << 20
_PROBED: Final = 16 << 20
# A page continues one row, which is read a few times. More is a file that somebody crafted.
_MOST_USES: Final = 16
_ROWID_BYTES: Final = 9
_U32: Final = struct.Struct(">I")
_U16: Final = struct.Struct(">H")


class PageFile:
    """The pages of a file that nobody else writes. The first page has the number 1."""

    def __init__(self, path: Path, size: int) -> None:
        """Map the file into memory. Its length must be a multiple of the page ``size``."""
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = size
        self.count = len(self._map) // size
        reserved = self._map[20]
        self._usable = size - (reserved if reserved <= size - 480 else 0)
        self.overflow: Counter[int] = Counter()
        """Pages that continue a row which was read, and how often."""

    def close(self) -> None:
        """Release the memory."""
        self._map.close()

    def page(self, number: int) -> bytes:
        """Return the bytes of a page."""
        return self._map[(number - 1) * self.size : number * self.size]

    def kind(self, number: int) -> int:
        """Return the byte that tells the kind of a page of a tree."""
        return self._map[(number - 1) * self.size + (_HEADER if number == 1 else 0)]

    def leaves_of(self, root: int, seen: set[int]) -> Iterator[int]:
        """Return the leaves of a table's tree as far as it can be followed.

        Pages in ``seen`` are not visited again. All visited pages are added to it.
        """
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if not 0 < number <= self.count or number in seen:
                continue
            kind = self.kind(number)
            if kind in (_TABLE_INNER, _TABLE_LEAF):
                seen.add(number)
            if kind == _TABLE_LEAF:
                yield number
            elif kind == _TABLE_INNER:
                waiting += self._children(number)

    def _children(self, number: int) -> list[int]:
        page, start = self.page(number), _HEADER if number == 1 else 0
        count = _U16.unpack_from(page, start + 3)[0]
        children = [_U32.unpack_from(page, start + 8)[0]]
        for at in range(start + 12, min(start + 12 + 2 * count, self.size - 1), 2):
            pointer = _U16.unpack_from(page, at)[0]
            if pointer <= self.size - 4:
                children.append(_U32.unpack_from(page, pointer)[0])
        return children

    def free(self) -> set[int]:
        """Return the pages of deleted content; none if the list of them is damaged."""
        found: set[int] = set()
        trunk, total = struct.unpack(">II", self._map[32:40])
        while trunk:
            if not 1 < trunk <= self.count or trunk in found:
                return set()
            following, count = struct.unpack_from(">II", self._map, (trunk - 1) * self.size)
            if count > self.size // 4 - 2:
                return set()
            leaves = struct.unpack_from(f">{count}I", self._map, (trunk - 1) * self.size + 8)
            if any(not 1 < leaf <= self.count or leaf in found for leaf in leaves):
                return set()
            found.update((trunk, *leaves))
            trunk = following
        return found if len(found) == total else set()

    def cells(self, number: int) -> tuple[list[Cell], bool]:
        """Return the rows of a table leaf, and whether they are all that the page has room for."""
        page, start = self.page(number), _HEADER if number == 1 else 0
        if page[start] != _TABLE_LEAF:
            return [], False
        count = _U16.unpack_from(page, start + 3)[0]
        first = start + 8 + 2 * count
        if first > self.size:
            return [], False
        pointers = struct.unpack_from(f">{count}H", page, start + 8)
        readable: list[Cell] = []
        taken = 0
        for pointer in pointers:
            cell = self._cell(page, pointer) if pointer >= first else None
            if cell:
                readable.append(cell)
                taken += cell.end - pointer
            if taken > self.size:  # they overlap
                break
        content = _U16.unpack_from(page, start + 5)[0] or 65536
        is_full = taken + self._unused(page, start) == self._usable - content
        return readable, len(readable) == count and is_full

    def _unused(self, page: bytes, start: int) -> int:
        """Return how many bytes between the rows of a leaf are free."""
        unused = page[start + 7]
        block = _U16.unpack_from(page, start + 1)[0]
        while start < block <= self.size - 4:
            following, length = struct.unpack_from(">HH", page, block)
            unused += length
            if following <= block:  # they are in ascending order, so this was the last one
                break
            block = following
        return unused

    def is_index(self, number: int) -> bool:
        """Return whether a page is one of an index, and its first cell can be read."""
        page, start = self.page(number), _HEADER if number == 1 else 0
        if page[start] not in _INDEX_PAGES:
            return False
        is_leaf = page[start] == _INDEX_PAGES[1]
        array = start + (8 if is_leaf else 12)
        if not _U16.unpack_from(page, start + 3)[0]:
            return True
        at = _U16.unpack_from(page, array)[0] + (0 if is_leaf else 4)
        length, at = varint(page, at)
        header, body = varint(page, at)
        serials = serials_in(page, body, at + header)
        return serials is not None and header + width_of(serials) == length

    def carve(self, number: int) -> Iterator[Cell]:
        """Return the rows whose bytes are on a page, wherever they begin.

        A row's id has no value of its own, so its record begins with the length of the header and
        a zero. The two lengths before it must then fit exactly.
        """
        page = self.page(number)
        zero = page.find(0)
        while zero >= 0:
            if zero and (begin := self._begin(page, zero - 1)) is not None:
                cell = self._cell(page, begin)
                if cell:
                    yield cell
            zero = page.find(0, zero + 1)

    def _begin(self, page: bytes, record: int) -> int | None:
        """Return the begin of the cell whose record begins there, or ``None``."""
        header = page[record]
        if not 4 < header < 128 or record + header > self.size:
            return None
        serials = serials_in(page, record + 1, record + header)
        if serials is None:
            return None
        length = as_varint(header + width_of(serials))
        for width in range(1, _ROWID_BYTES + 1):
            begin = record - width - len(length)
            if begin < 0:
                return None
            rowid, end = varint(page, record - width)
            if page[begin : record - width] == length and end == record and rowid > 0:
                return begin
        return None

    def _cell(self, page: bytes, at: int) -> Cell | None:
        """Read the cell at an offset of a leaf; ``None`` if that is not possible."""
        length, at = varint(page, at)
        rowid, at = varint(page, at)
        if not 1 < length <= min(_MOST_BYTES, self.count * self.size):
            return None
        local = self._local(length)
        if at + local > self.size:
            return None
        payload = page[at : at + local]
        end = at + local
        chain: list[int] = []
        if local < length:
            if at + local + 4 > self.size:
                return None
            rest = self._overflow(_U32.unpack_from(page, at + local)[0], length - local, chain)
            if rest is None:
                return None
            payload += rest
            end += 4
        header, body = varint(payload, 0)
        serials = serials_in(payload, body, header)
        if not serials or header + width_of(serials) != length:
            return None
        self.overflow.update(chain)
        return Cell(rowid, serials, payload, header, end)

    def _local(self, length: int) -> int:
        """Return how many bytes of a record are on the leaf itself."""
        usable = self._usable
        if length <= usable - 35:
            return length
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        return local if local <= usable - 35 else least

    def _overflow(self, number: int, length: int, chain: list[int]) -> bytes | None:
        """Return the rest of a record; ``None`` if its chain of pages is broken."""
        pieces = []
        room = self._usable - 4
        while length > 0:
            if not 1 < number <= self.count or number in chain:
                return None
            if self.overflow[number] >= _MOST_USES:
                return None
            chain.append(number)
            page = self.page(number)
            pieces.append(page[4 : 4 + min(room, length)])
            length -= room
            number = _U32.unpack_from(page)[0]
        return None if number else b"".join(pieces)


def likely_page_size(path: Path) -> int | None:
    """Return the size of the pages at which most table leaves can be read; ``None`` without one.

    The header says it as well, but may be damaged. It decides between equals.
    """
    with path.open("rb") as file:
        start = file.read(_PROBED)
    written = _U16.unpack_from(start, 16)[0] if len(start) >= 18 else 0
    said = 65536 if written == 1 else written
    scores = {size: (_leaves(start, size), size == said) for size in _SIZES}
    best = max(_SIZES, key=scores.__getitem__)
    if scores[best][0]:
        return best
    return said if said in _SIZES and start.startswith(_MAGIC) else None


def _leaves(data: bytes, size: int) -> int:
    """Count the pages of this size that look like table leaves with rows."""
    count = 0
    for start in range(0, len(data) - size + 1, size):
        if data[start] != _TABLE_LEAF:
            continue
        cells, content = struct.unpack_from(">HH", data, start + 3)
        first = 8 + 2 * cells
        if not cells or first > size or not first <= content < size:
            continue
        pointers = struct.unpack_from(f">{cells}H", data, start + 8)
        count += content <= min(pointers) and max(pointers) < size
    return count


def repair_header(path: Path, size: int) -> None:
    """Fill the last page up, and write a header that fits the file, so that SQLite opens it.

    Only what decides how the file is read is replaced. The file must be a private copy.
    """
    with path.open("r+b") as file:
        length = file.seek(0, 2)
        pages = -(-length // size)
        file.truncate(pages * size)
        file.seek(0)
        header = bytearray(file.read(_HEADER))
        was_good = header.startswith(_MAGIC)
        header[:16] = _MAGIC
        header[16:18] = _U16.pack(1 if size == 65536 else size)
        if not (was_good and header[18] in (1, 2) and header[19] in (1, 2)):
            header[18:20] = b"\x02\x02" if size_of(beside(path, "-wal")) else b"\x01\x01"
        if not was_good or header[21:24] != b"\x40\x20\x20":
            header[20] = 0
        header[21:24] = b"\x40\x20\x20"
        header[28:32] = _U32.pack(pages)
        header[92:96] = header[24:28]  # the size just written is valid for this change counter
        if _U32.unpack_from(header, 44)[0] not in (1, 2, 3, 4):
            header[44:48] = _U32.pack(4)
        if _U32.unpack_from(header, 56)[0] != 1:
            header[56:60] = _U32.pack(1)  # UTF-8; Tautulli uses nothing else
        file.seek(0)
        file.write(header)
