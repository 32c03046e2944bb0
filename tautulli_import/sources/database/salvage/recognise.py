"""Recognise to which table a record belongs, by the number and the kinds of its columns."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final

from .layouts import Kind, Layout, known_layouts, least_columns
from .records import Cell, Value, values_of

__all__ = ["Recogniser", "layout_of", "layouts_by_vote"]

_TABLE: Final = re.compile(r"""CREATE TABLE ["'`\[]?(\w+)""")
_MOST_SQL: Final = 100_000
_MOST_ODD: Final = 3
"""Columns of a row that may hold text although they are INTEGER. Tautulli writes such rows."""
_LONG_AGO: Final = 1_200_000_000
_MEDIA: Final = frozenset({"movie", "episode", "track", "clip", "photo"})
_SECTIONS: Final = frozenset({"movie", "show", "artist", "photo", "live"})
_DECISIONS: Final = frozenset({None, "", "direct play", "copy", "transcode", "burn"})
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def _is_name(value: Value) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: Value) -> bool:
    return isinstance(value, int) and value > _LONG_AGO


def _is_guid(value: Value) -> bool:
    return isinstance(value, str) and "://" in value


def _is_day(value: Value) -> bool:
    return isinstance(value, str) and _DAY.match(value) is not None


def _is_small(value: Value) -> bool:
    return isinstance(value, int) and 0 <= value < 1000


def _is_long(value: Value) -> bool:
    return isinstance(value, int) and value >= 1000


# What values of a column look like. Without a schema, a row must fit those that are required.
_Test = tuple[str, Callable[[Value], bool], bool]
_TESTS: Final[Mapping[str, Sequence[_Test]]] = {
    "session_history": [
        ("started", _is_time, True),
        ("media_type", lambda value: value in _MEDIA, True),
        ("stopped", _is_time, False),
        ("section_id", _is_small, False),
        ("view_offset", _is_long, False),
    ],
    "session_history_metadata": [
        ("media_type", lambda value: value in _MEDIA, True),
        ("guid", _is_guid, False),
        ("originally_available_at", _is_day, False),
        ("duration", _is_long, False),
    ],
    "session_history_media_info": [
        (name, lambda value: value in _DECISIONS, True)
        for name in ("video_decision", "audio_decision", "transcode_decision")
    ],
    "users": [("username", _is_name, True)],
    "library_sections": [
        ("section_type", lambda value: value in _SECTIONS, True),
        ("section_name", _is_name, True),
    ],
    "themoviedb_lookup": [
        ("themoviedb_url", lambda value: isinstance(value, str) and "themoviedb" in value, True)
    ],
    "tvmaze_lookup": [
        ("tvmaze_url", lambda value: isinstance(value, str) and "tvmaze" in value, True)
    ],
}


class Recogniser:
    """Recognises the rows of some tables."""

    def __init__(self, layouts: Sequence[Layout], *, strict: bool) -> None:
        """Recognise rows with these layouts, one for each table.

        ``strict`` also looks at the values. The layouts of some tables may then be missing.
        """
        self._layouts = layouts
        self._strict = strict

    def layout_of(self, cell: Cell, hint: Layout | None = None) -> Layout | None:
        """Return the layout of a row. ``hint`` is that of the tree in which its page is."""
        count = len(cell.serials)
        if hint and count == len(hint.columns) and _fit(cell.serials, hint) is not None:
            return hint
        best: tuple[int, Layout] | None = None
        for layout in self._layouts:
            score = _fit(cell.serials, layout)
            if score is None:
                continue
            score += (layout is hint) * 5 + (count == len(layout.columns)) * 3
            if best is None or score > best[0]:
                best = score, layout
        if best is None:
            return None
        if self._strict:
            values = values_of(cell)
            if values is None or _judged(best[1], values) is None:
                return None
        return best[1]


def _fit(serials: Sequence[int], layout: Layout) -> int | None:
    """Return how well the types of a row's values fit a table; ``None`` if they do not.

    SQLite turns a number into text before it stores it in a TEXT column. So a number there proves
    that the row belongs to another table.
    """
    if not layout.least <= len(serials) <= len(layout.columns):
        return None
    good = odd = 0
    for serial, kind in zip(serials, layout.kinds, strict=False):
        if serial == 0:
            continue
        if kind == "TEXT":
            if serial < 12:
                return None
            good += serial & 1
        elif kind == "INTEGER":
            if serial < 12:
                good += 1
            elif serial > 13:
                odd += 1
    return None if odd > _MOST_ODD else good - 3 * odd


def _judged(layout: Layout, values: Sequence[Value]) -> int | None:
    """Return how likely these values are a row of the table; ``None`` if they cannot be."""
    row = dict(zip(layout.columns, values, strict=False))
    score = 0
    for name, test, is_required in _TESTS.get(layout.table, ()):
        if name not in row:
            continue
        is_met = test(row[name])
        if is_required and not is_met:
            return None
        score += 2 if is_met else -2 if row[name] is not None else 0
    return score


def layouts_by_vote(cells: Iterable[Cell]) -> list[Layout]:
    """Return the layout of each table that fits these rows best. The file has lost its schema."""
    votes: Counter[int] = Counter()
    known = known_layouts()
    for cell in cells:
        values = values_of(cell)
        for index, layout in enumerate(known if values is not None else ()):
            score = _fit(cell.serials, layout)
            if score is None or values is None:
                continue
            judged = _judged(layout, values)
            if judged is not None:
                votes[index] += max(0, score + judged)
    best: dict[str, tuple[int, Layout]] = {}
    for index, score in votes.items():
        layout = known[index]
        # Of equal ones, the newest version wins: it comes last.
        if layout.table not in best or score >= best[layout.table][0]:
            best[layout.table] = score, layout
    return [layout for _, layout in best.values()]


def layout_of(sql: str) -> Layout | None:
    """Return the layout that a ``CREATE TABLE`` statement describes; ``None`` if it is damaged.

    SQLite reads it, in a database of its own in which it cannot do anything else.
    """
    named = _TABLE.match(sql)
    if not named or len(sql) > _MOST_SQL:
        return None
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.set_authorizer(_only_create)
            db.execute(sql)
            db.set_authorizer(None)
            rows = db.execute("SELECT name, type FROM pragma_table_info(?)", (named[1],)).fetchall()
    except (sqlite3.Error, sqlite3.Warning):
        return None
    kinds: list[Kind] = [
        "INTEGER" if "INT" in str(kind).upper() else "TEXT" if str(kind).upper() == "TEXT" else ""
        for _, kind in rows
    ]
    columns = tuple(str(name) for name, _ in rows)
    if not columns:
        return None
    table = str(named[1])
    return Layout(table, columns, tuple(kinds), min(least_columns(table), len(columns)))


def _only_create(action: int, *_: object) -> int:
    """Refuse statements that read, such as ``CREATE TABLE … AS SELECT``, and virtual tables."""
    refused = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_CREATE_VTABLE)
    return sqlite3.SQLITE_DENY if action in refused else sqlite3.SQLITE_OK
