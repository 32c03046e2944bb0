"""Make plays of raw database rows, and normalise odd values once.

INTEGER columns of a Tautulli database hold ``''``, text and numbers as text. TEXT columns hold
numbers, and bytes that are not UTF-8. After this module every value has the type it declares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec

from ...model.played import Played, PlayedEpisode, PlayedMovie
from ...model.plays import Details, Play
from ...model.rejections import Reason, Rejected

__all__ = [
    "Identity",
    "Row",
    "decode",
    "detail",
    "encodable",
    "identity_of",
    "integer",
    "is_integer",
    "milliseconds",
    "name_of",
    "settle",
    "settled_played",
    "text",
]

Row: TypeAlias = tuple[Any, ...]
"""The values of ``Play``'s fields, in their order.

A detailed row continues with the fields of ``Details`` and a checksum. Empty fields at the end of
``Details`` can be left out. A database's row ends with the sum of what is absent: 1 for metadata,
2 for media info.
"""

Identity = tuple[int, int | None, int | None]
"""The values that identify a play: row id, start, user id."""

_MILLISECONDS: Final = frozenset({"view_offset", "duration", "credits_first", "credits_final"})
# SQLite stores integers of 64 bits. Text of 18 digits always fits.
_MOST_DIGITS: Final = 18
_INTEGER_LIMIT: Final = 2**63
_PLAY_WIDTH: Final = len(Play.__struct_fields__)
_WATCHED: Final = Play.__struct_fields__.index("watched")
_NUMBERS: Final = frozenset({"secure", "relayed", "audio_channels", "stream_bitrate", "bandwidth"})
_TEXTS: Final = frozenset(
    {
        *("user", "media_type", "title", "grandparent_title", "guid", "aired"),
        "originally_available_at",
    }
)
# SQLite writes an infinite number as Inf, from 3.42 on as 9e999. JSON has neither.
_STRING_OR_INFINITY: Final = re.compile(r'("(?:[^"\\]|\\.)*")|-?(?:Inf|9(?:\.0)?e\+?999)')


def settle(rows: Sequence[Row], shown: str) -> tuple[Sequence[Play], Sequence[Rejected]]:
    """Return the plays of raw rows, and the rows that cannot become plays, with the reason.

    ``shown`` is the name of the source in the report.
    """
    plays: list[Play] = []
    rejected: list[Rejected] = []
    convert = msgspec.convert
    for row in rows:
        if absence := row[-1]:
            lost = "no metadata" if absence & 1 else "no media info"
            rejected.append(Rejected(Reason.NO_METADATA, row[0], lost, shown))
            continue
        if row[_WATCHED] is not None:  # SQLite has no booleans
            watched = row[_WATCHED] == 1
            row = (*row[:_WATCHED], watched, *row[_WATCHED + 1 :])  # noqa: PLW2901 - the same row
        try:
            plays.append(convert(row, Play))
        except msgspec.ValidationError:
            plays.append(_play_of_odd_values(row))
    return plays, rejected


def detail(rows: Sequence[Row]) -> dict[int, Details]:
    """Return the details of detailed rows, by row id."""
    found: dict[int, Details] = {}
    convert = msgspec.convert
    for row in rows:
        values = row[_PLAY_WIDTH:-2]
        try:
            found[row[0]] = convert(values, Details)
        except msgspec.ValidationError:
            found[row[0]] = _details_of_odd_values(values)
    return found


def _details_of_odd_values(values: Row) -> Details:
    normalised: dict[str, Any] = {
        field: integer(value) if field in _NUMBERS else text(value)
        for field, value in zip(Details.__struct_fields__, values, strict=False)
    }
    return Details(**normalised)


def _play_of_odd_values(row: Row) -> Play:
    """Return the play of a row with text in INTEGER columns or numbers in TEXT columns."""
    values: dict[str, Any] = {}
    for field, value in zip(Play.__struct_fields__, row, strict=False):
        normalise = text if field in _TEXTS else milliseconds if field in _MILLISECONDS else integer
        values[field] = normalise(value)
    values["media_type"] = values["media_type"] or ""
    values["watched"] = row[_WATCHED]
    return Play(**values)


def integer(value: object) -> int | None:
    """Return the whole number in a number or its text; ``None`` for anything else.

    A number of more than 64 bits gives ``None``: SQLite has no such integer, so no Tautulli wrote
    it.
    """
    if isinstance(value, int):
        return value if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _INTEGER_LIMIT else None
    written = (text(value) or "").strip()
    digits = written[1:] if written[:1] == "-" else written
    plain = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
    return int(written) if plain else None


def settled_played(encoded: bytes) -> Played:
    """Decode what was played from a judge's JSON. Normalise values of odd types."""
    found = _STRING_OR_INFINITY.sub(lambda one: one.group(1) or "null", decode(encoded))
    tag, *values = msgspec.json.decode(found, type=list[Any])
    kind = PlayedMovie if tag == 0 else PlayedEpisode
    settled = [
        text(value) if field in _TEXTS else integer(value)
        for field, value in zip(kind.__struct_fields__, values, strict=True)
    ]
    return msgspec.convert([tag, *settled], Played)  # type: ignore[no-any-return,unused-ignore]


def is_integer(field: str) -> bool:
    """Return true if a field of ``Play`` or ``Details`` is a whole number, not a text."""
    return field in _NUMBERS or (field in Play.__struct_fields__ and field not in _TEXTS)


def text(value: object) -> str | None:
    """Return the value of a TEXT column as text."""
    if value is None or isinstance(value, str):
        return value
    return decode(value) if isinstance(value, bytes) else str(value)


def name_of(value: object) -> str:
    """Return the name of a user in a row, without blanks around it; empty if there is none."""
    return (text(value) or "").strip()


def encodable(row: Row) -> Row:
    """Return a row in which lone surrogates are replaced.

    Only a broken server sends them. SQLite does not store them.
    """
    return tuple(
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in row
    )


def decode(value: bytes) -> str:
    """Decode UTF-8. Every invalid byte becomes U+FFFD."""
    return value.decode("utf-8", "replace")


def identity_of(row: Row) -> Identity:
    """Return the values of a row that identify its play."""
    return row[0], row[2], row[4]


def milliseconds(value: object) -> int | None:
    """Return whole milliseconds, without their fraction, as Tautulli does (``cast_to_int``)."""
    if isinstance(value, float):
        return int(value) if isfinite(value) and abs(value) < _INTEGER_LIMIT else None
    return integer(value)
