"""Single plays as rows of a real table, judged by the query of an import."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from tautulli_import.model.groups import PlayGroups
from tautulli_import.model.judged import REASONS, USUAL, JudgedRow, Orders
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Reason
from tautulli_import.model.selection import Selection
from tautulli_import.model.watched import WatchedRule
from tautulli_import.sources.database.judged import Judge
from tautulli_import.sources.database.judged_rows import add_functions, judged_rows
from tautulli_import.sources.database.rows import settled_played
from tautulli_import.sources.database.schema import TABLES, read_schema

__all__ = ["groups_of", "judged", "verdict", "watched"]

# Columns without types, so that every value stays what it is. The last two are of the API.
_TABLES = """
CREATE TABLE session_history (
    id INTEGER PRIMARY KEY, reference_id, started, stopped, user_id, user, section_id, media_type,
    view_offset, paused_counter, percent, watched
);
CREATE TABLE session_history_metadata (
    id INTEGER PRIMARY KEY, live, rating_key, parent_rating_key, grandparent_rating_key, title,
    grandparent_title, parent_media_index, media_index, year, guid, duration, marker_credits_first,
    marker_credits_final, originally_available_at
);
CREATE TABLE session_history_media_info (id INTEGER PRIMARY KEY);
"""


def _open() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_TABLES)
    add_functions(connection)
    return connection


_DB = _open()
_SCHEMA = read_schema(_DB, "memory", frozenset(TABLES))


def judged(
    plays: Iterable[Play],
    selection: Selection | None = None,
    rule: WatchedRule | None = None,
    *,
    detailed: bool = False,
    orders: Orders = USUAL,
) -> list[JudgedRow]:
    """Return the rows of these plays, each read for itself, in this order."""
    chosen, thresholds = selection or Selection(), rule or WatchedRule()
    judge = Judge.of(_SCHEMA, chosen, thresholds, detailed=detailed, orders=orders)
    found = []
    for play in plays:
        for table in ("", "_metadata", "_media_info"):
            _DB.execute(f"DELETE FROM session_history{table}")  # noqa: S608 - our own names
        _DB.execute(
            f"INSERT INTO session_history VALUES ({', '.join('?' * 12)})",  # noqa: S608 - question marks
            (
                *(play.id, play.reference_id, play.started, play.stopped, play.user_id, play.user),
                *(play.section_id, play.media_type, play.view_offset, play.paused_counter),
                *(play.percent, play.watched),
            ),
        )
        _DB.execute(
            f"INSERT INTO session_history_metadata VALUES ({', '.join('?' * 15)})",  # noqa: S608 - question marks
            (
                *(play.id, play.live, play.rating_key, play.parent_rating_key),
                *(play.grandparent_rating_key, play.title, play.grandparent_title, play.season),
                *(play.episode, play.year, play.guid, play.duration, play.credits_first),
                *(play.credits_final, play.aired),
            ),
        )
        _DB.execute("INSERT INTO session_history_media_info VALUES (?)", (play.id,))
        found += judged_rows(_DB, judge, (play.id - 1, play.id, 1))
    return found


def verdict(
    play: Play, selection: Selection | None = None, rule: WatchedRule | None = None
) -> Reason | None:
    """Return why a play is left out, or ``None`` if it is accepted."""
    ((_, place, *_),) = judged([play], selection, rule)
    return REASONS[place or 0]


def watched(play: Play, rule: WatchedRule | None = None) -> bool:
    """Return true if a play is watched under Tautulli's thresholds."""
    (row,) = judged([play], Selection(), rule, detailed=True)
    return bool(row[-1])


def groups_of(plays: Iterable[Play]) -> PlayGroups:
    """Return the groups of these plays, however far they got."""
    groups = PlayGroups(settled_played)
    groups.take(judged(plays, Selection(include_partial=True)))
    return groups
