"""From raw database rows to plays: everything odd is settled here, once.

INTEGER columns of a Tautulli database hold ``''``, text and numbers as text; TEXT columns
hold numbers and bytes that are no UTF-8. Past this module a value is what its type says.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec

from ...model.plays import Details, Play
from ...model.rejections import Reason, Rejected

__all__ = ["Row", "decode", "detail", "encodable", "integer", "settle", "text"]

Row: TypeAlias = tuple[Any, ...]
"""The values of ``Play``'s fields; where they are wanted those of ``Details``, as far as there
are any, and a checksum. A database's row ends with what is absent: 1 metadata, 2 media info."""

_MEASURED: Final = frozenset({"view_offset", "duration", "credits_first", "credits_final"})
_DIGITS: Final = 18
_BEYOND: Final = 2.0**63
_SMALLEST: Final = 2**63
_PLAY: Final = len(Play.__struct_fields__)
_WATCHED: Final = Play.__struct_fields__.index("watched")
_NUMBERS: Final = frozenset(
    {"paused_counter", "secure", "relayed", "audio_channels", "stream_bitrate", "bandwidth"}
)
_TEXTS: Final = frozenset({"user", "media_type", "title", "grandparent_title", "guid"})


def settle(rows: list[Row], shown: str) -> tuple[Sequence[Play], Sequence[Rejected]]:
    """Return the plays of raw rows, and the rows that cannot be one with the reason."""
    plays: list[Play] = []
    rejected: list[Rejected] = []
    convert = msgspec.convert
    for row in rows:
        if absence := row[-1]:
            lost = "no metadata" if absence & 1 else "no media info"
            rejected.append(Rejected(Reason.NO_METADATA, row[0], lost, shown))
            continue
        if row[_WATCHED] is not None:  # SQLite has no booleans
            row = (*row[:_WATCHED], row[_WATCHED] == 1)  # noqa: PLW2901 - the same row
        try:
            plays.append(convert(row, Play))
        except msgspec.ValidationError:
            plays.append(_play_of_odd_values(row))
    return plays, rejected


def detail(rows: Sequence[Row]) -> dict[int, Details]:
    """Return the details of rows that have them, by the rows' ids."""
    found: dict[int, Details] = {}
    convert = msgspec.convert
    for row in rows:
        values = row[_PLAY:-2]
        try:
            found[row[0]] = convert(values, Details)
        except msgspec.ValidationError:
            found[row[0]] = _details_of_odd_values(values)
    return found


def _details_of_odd_values(values: Row) -> Details:
    settled: dict[str, Any] = {
        field: integer(value) if field in _NUMBERS else text(value)
        for field, value in zip(Details.__struct_fields__, values, strict=False)
    }
    return Details(**settled)


def _play_of_odd_values(row: Row) -> Play:
    """A play from a row whose INTEGER columns hold text and whose TEXT columns hold numbers."""
    values: dict[str, Any] = {}
    for field, value in zip(Play.__struct_fields__, row, strict=False):
        settle_one = text if field in _TEXTS else _measured if field in _MEASURED else integer
        values[field] = settle_one(value)
    values["media_type"] = values["media_type"] or ""
    values["watched"] = row[_WATCHED]
    return Play(**values)


def integer(value: object) -> int | None:
    """A whole number out of a number or its text; ``None`` out of anything else.

    What SQLite cannot hold as an integer (64 bits) is none: it was written by no Tautulli.
    """
    if isinstance(value, int):
        return value if -_SMALLEST <= value < _SMALLEST else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _BEYOND else None
    written = (text(value) or "").strip()
    digits = written[1:] if written[:1] == "-" else written
    plain = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS
    return int(written) if plain else None


def text(value: object) -> str | None:
    """Text out of whatever stands in a TEXT column."""
    if value is None or isinstance(value, str):
        return value
    return decode(value) if isinstance(value, bytes) else str(value)


def encodable(row: Row) -> Row:
    """Return a row in which half a character, which only a broken server sends, is replaced."""
    return tuple(
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in row
    )


def decode(value: bytes) -> str:
    """Text out of bytes that should be UTF-8; what is not becomes U+FFFD."""
    return value.decode("utf-8", "replace")


def _measured(value: object) -> int | None:
    """Milliseconds: Tautulli cuts a fraction off (``cast_to_int``)."""
    if isinstance(value, float):
        return int(value) if isfinite(value) and abs(value) < _BEYOND else None
    return integer(value)
