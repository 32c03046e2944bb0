"""Run the queries of a judge, and have values of odd types settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from ...model.judged import ODD, JudgedRow, Orders
from .judged import Judge
from .rows import integer, milliseconds, name_of

__all__ = ["add_functions", "judged_rows"]

# The settled query takes ten times as long for a row.
_MOST_ODD: Final = 20
_VERDICT: Final = itemgetter(1)


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that the queries of a ``Judge`` call."""
    for name, function in (
        ("settled_integer", integer),
        ("settled_milliseconds", milliseconds),
        ("settled_name", name_of),
    ):
        connection.create_function(name, 1, function, deterministic=True)


def judged_rows(
    connection: sqlite3.Connection, judge: Judge, parameters: Sequence[object]
) -> list[JudgedRow]:
    """Return the rows of a judge's query.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    connection.text_factory = bytes  # what is not UTF-8 is settled when it is decoded
    try:
        try:
            rows = _rows(connection, judge.plain, parameters, judge.orders)
        except sqlite3.OperationalError as error:
            if "JSON cannot hold BLOB" not in str(error):
                raise
            return _rows(connection, judge.settled, parameters, judge.orders)
        if ODD not in set(map(_VERDICT, rows)):
            return rows
        odd = [place for place, row in enumerate(rows) if row[1] == ODD]
        if len(odd) > _MOST_ODD:
            return _rows(connection, judge.settled, parameters, judge.orders)
        for place in odd:
            row_id = judge.orders.row_id(rows[place][0])
            found = _rows(connection, judge.settled, (row_id - 1, row_id, 1), judge.orders)
            if not found:  # the ids are out of order; the check for damage sees that
                return _rows(connection, judge.settled, parameters, judge.orders)
            rows[place] = found[0]
        return rows
    finally:
        connection.text_factory = str


def _rows(
    connection: sqlite3.Connection, query: str, parameters: Sequence[object], orders: Orders
) -> list[JudgedRow]:
    rows = connection.execute(query, parameters).fetchall()
    if orders.is_usual:
        return rows
    return [(orders.order(when, row_id), *rest) for row_id, when, *rest in rows]
