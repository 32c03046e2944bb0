"""Read the records of a SQLite file: numbers of variable length, types and values."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeAlias

__all__ = ["Cell", "Value", "as_varint", "serials_in", "values_of", "varint", "width_of"]

Value: TypeAlias = int | float | str | bytes | None
# Bytes of an integer or a float, by its serial type; types 10 and 11 are reserved.
_WIDTHS: Final = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class Cell(NamedTuple):
    """A row as a page has it. ``serials`` are the types of its values; see ``values_of``."""

    rowid: int
    serials: tuple[int, ...]
    payload: bytes
    body: int
    """The offset of the first value in the payload."""
    end: int
    """The offset on the page behind the row."""


def values_of(cell: Cell) -> list[Value] | None:
    """Return the values of a row; ``None`` if a text is not UTF-8 or has zeros in it.

    Tautulli stores no such text on purpose, but a hole in the file or a wrong overflow page makes
    it. A row that is not certain is lost rather than imported with another title.
    """
    payload, at = cell.payload, cell.body
    values: list[Value] = []
    for serial in cell.serials:
        if serial >= 12:
            end = at + (serial - 12 >> 1)
            piece = payload[at:end]
            if serial & 1:
                try:
                    values.append(piece.decode())
                except UnicodeDecodeError:
                    return None
                if b"\0" in piece:
                    return None
            else:
                values.append(piece)
        elif serial == 7:
            end = at + 8
            values.append(struct.unpack(">d", payload[at:end])[0])
        elif serial == 0:
            end = at
            values.append(None)
        elif serial >= 8:
            end = at
            values.append(serial - 8)
        else:
            end = at + _WIDTHS[serial]
            values.append(int.from_bytes(payload[at:end], "big", signed=True))
        at = end
    return values


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number, and return it with the offset behind it; (-1, ...) beyond the end."""
    value = 0
    for index in range(8):
        if at + index >= len(data):
            return -1, at
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    if at + 8 >= len(data):
        return -1, at
    value = value << 8 | data[at + 8]
    return value - (1 << 64 if value >> 63 else 0), at + 9


def as_varint(value: int) -> bytes:
    """Write a number as ``varint`` reads it."""
    written = [value & 0x7F]
    while value := value >> 7:
        written.append(value & 0x7F | 0x80)
    return bytes(reversed(written))


def serials_in(data: bytes, at: int, end: int) -> tuple[int, ...] | None:
    """Read the types of a record's values; ``None`` if they are none."""
    if not at <= end <= len(data):
        return None
    piece = data[at:end]
    if piece.isascii():  # each type is one byte
        serials = tuple(piece)
    else:
        found = []
        while at < end:
            serial, at = varint(data, at)
            if serial < 0:
                return None
            found.append(serial)
        if at != end:
            return None
        serials = tuple(found)
    return None if 10 in serials or 11 in serials else serials


def width_of(serials: tuple[int, ...]) -> int:
    """Return how many bytes values of these types take."""
    return sum([serial - 12 >> 1 if serial >= 12 else _WIDTHS[serial] for serial in serials])
