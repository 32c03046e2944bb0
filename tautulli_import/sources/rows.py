"""From raw database rows to plays: everything odd is settled here, once.

INTEGER columns of a Tautulli database hold ``''``, text and numbers as text; TEXT columns
hold numbers and bytes that are no UTF-8. Past this module a value is what its type says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from ..models import Play, Reason, Rejected

__all__ = ["Row", "decode", "settle"]

Row: TypeAlias = tuple[Any, ...]
"""The values of ``Play``'s fields, then what is absent: 1 metadata, 2 media info."""

_TEXTS: Final = frozenset({"user", "media_type", "title", "grandparent_title", "guid"})


def settle(rows: list[Row], shown: str) -> tuple[Sequence[Play], Sequence[Rejected]]:
    """Plays out of raw rows; the rows that cannot be one, with the reason."""
    plays: list[Play] = []
    rejected: list[Rejected] = []
    convert = msgspec.convert
    for row in rows:
        if absence := row[-1]:
            reason = Reason.NO_METADATA if absence & 1 else Reason.NO_MEDIA_INFO
            rejected.append(Rejected(reason, row[0], source=shown))
            continue
        try:
            plays.append(convert(row, Play))
        except msgspec.ValidationError:
            plays.append(_play_of_odd_values(row))
    return plays, rejected


def _play_of_odd_values(row: Row) -> Play:
    """A play from a row whose INTEGER columns hold text and whose TEXT columns hold numbers."""
    values: dict[str, Any] = {
        field: _text(value) if field in _TEXTS else _integer(value)
        for field, value in zip(Play.__struct_fields__, row, strict=False)
    }
    values["media_type"] = values["media_type"] or ""
    values["watched"] = None
    return Play(**values)


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    text = (_text(value) or "").strip()
    digits = text[1:] if text[:1] == "-" else text
    return int(text) if digits.isdecimal() and digits.isascii() else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return decode(value) if isinstance(value, bytes) else str(value)


def decode(value: bytes) -> str:
    """Text out of bytes that should be UTF-8; what is not becomes U+FFFD."""
    return value.decode("utf-8", "replace")
