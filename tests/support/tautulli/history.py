"""`get_history`: the rows, what they say, and when one of them spoils the whole answer."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.query import NAMES, Page, Query, filters_of
from tests.support.tautulli.state import BrokenError, State

__all__ = ["get_history", "is_true"]

_PLATFORMS = {
    "Konvergo": "Plex Media Player",
    "Mystery 3": "Playstation 3",
    "Mystery 4": "Playstation 4",
    "Mystery 5": "Xbox 360",
    "WebMAF": "Playstation 4",
    "windows": "Windows",
    "osx": "macOS",
    "macos": "macOS",
}
_NO_THUMB = "interfaces/default/images/gravatar-default-80x80.png"

_Row = dict[str, Any]


def get_history(state: State, asked: Asked) -> dict[str, Any]:
    """Return the data of an answer; what goes wrong in the database looks like no history."""
    params = asked.params
    try:
        page = Page.of(params)
    except ValueError as error:
        raise BrokenError(str(error)) from error
    if state.before_history:
        state.before_history(asked)
    try:
        with state.reading() as conn:
            query = _query(conn, state, params)
            found = _rows(conn, query, page, cost=state.cost)
            total = _number(conn, "SELECT COUNT(id) FROM session_history")
            played = _number(conn, *query.total_duration())
            thumbs = _thumbs(conn) if any(item["state"] for item in found[1]) else {}
    except sqlite3.Error:
        return _data(0, 0, [], 0, "0", "0")
    count, items = found
    try:
        rows = [_answer_row(item, state, thumbs) for item in items]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise BrokenError(f"a row that no answer can be made of: {error!r}") from error
    length = sum(_int(item["play_duration"]) for item in items)
    return _data(count, total, rows, 1, _duration(length), _duration(played))


def is_true(text: str | None, default: object) -> bool:
    """Return what a flag says, or the default if it was not sent."""
    if text is None:
        return bool(default)
    return text.lower() in {"1", "true", "t", "yes", "y", "on"}


def _data(  # noqa: PLR0917
    filtered: int, total: object, rows: list[_Row], draw: int, shown: str, played: str
) -> dict[str, Any]:
    return {
        "recordsFiltered": filtered,
        "recordsTotal": total,
        "data": rows,
        "draw": draw,
        "filter_duration": shown,
        "total_duration": played,
    }


def _query(conn: sqlite3.Connection, state: State, params: Mapping[str, str]) -> Query:
    grouping, activity = (
        is_true(params.get(name) if name in state.features else None, state.settings[name])
        for name in ("grouping", "include_activity")
    )
    table = "sessions"
    if activity and state.activity:
        table = "temp.activity"
        _stage(conn, state.activity)
    filters = filters_of(params, state.features)
    return Query(filters, grouping, table if activity else "", params.get("search", ""))


def _stage(conn: sqlite3.Connection, activity: list[_Row]) -> None:
    """Make a table of the sessions in the database and those that a test has added."""
    conn.execute("CREATE TEMP TABLE activity AS SELECT * FROM sessions")
    columns = [str(row[1]) for row in conn.execute("PRAGMA table_info(activity)")]
    for number, play in enumerate(activity, start=1):
        if unknown := play.keys() - set(columns):
            raise TypeError(f"the table sessions has no {', '.join(sorted(unknown))}")
        row = dict.fromkeys(columns) | _in_progress(number) | play
        marks = ", ".join("?" * len(columns))
        conn.execute(f"INSERT INTO activity VALUES ({marks})", [row[name] for name in columns])  # noqa: S608


def _in_progress(number: int) -> _Row:
    text = (
        *("parent_title", "grandparent_title", "original_title", "media_index"),
        *("parent_media_index", "parent_rating_key", "grandparent_rating_key"),
    )
    return dict.fromkeys(text, "") | {
        "session_key": 100_000 + number,
        "rating_key": 900_000 + number,
        "media_type": "movie",
        "section_id": 1,
        "started": 4_000_000_000 + number,
        "stopped": 0,
        "paused_counter": 0,
        "state": "playing",
        "user_id": 1,
        "user": "user1",
        "title": "In progress",
        "full_title": "In progress",
        "year": 2020,
        "view_offset": 60_000,
        "duration": 7_200_000,
        "live": 0,
        "guid": "plex://movie/in-progress",
        "transcode_decision": "direct play",
    }


def _rows(
    conn: sqlite3.Connection, query: Query, page: Page, *, cost: bool
) -> tuple[int, list[_Row]]:
    """Return how many rows there are, and those of the page."""
    sql, args = query.rows(page.order)
    if cost:
        every = [dict(zip(NAMES, row, strict=True)) for row in conn.execute(sql, args).fetchall()]
        first, length = page.bounds(len(every))
        return len(every), every[first : first + length]
    count = _number(conn, *query.count())
    first, length = page.bounds(count)
    if not length:
        return count, []
    rows = conn.execute(f"{sql} LIMIT ? OFFSET ?", [*args, length, first])
    return count, [dict(zip(NAMES, row, strict=True)) for row in rows]


def _number(conn: sqlite3.Connection, sql: str, args: list[str] | None = None) -> Any:
    return conn.execute(sql, args or []).fetchone()[0]


def _thumbs(conn: sqlite3.Connection) -> dict[object, object]:
    sql = "SELECT user_id, custom_avatar_url, thumb FROM users WHERE deleted_user = 0"
    return {user: own or thumb for user, own, thumb in conn.execute(sql)}


def _answer_row(item: _Row, state: State, thumbs: Mapping[object, object]) -> _Row:
    if item["live"]:
        item["percent_complete"] = 100
    if item["state"]:
        item["user_thumb"] = thumbs.get(item["user_id"])
    own = item["custom_thumb"]
    thumb = item["thumb"]
    if item["media_type"] == "episode":
        thumb = item["parent_thumb"] or item["grandparent_thumb"]
    row_id = {"row_id": item["row_id"]} if "row_id" in state.features else {}
    return {
        "reference_id": item["reference_id"],
        **row_id,
        "id": item["row_id"],
        **{name: item[name] for name in ("date", "started", "stopped")},
        "duration": item["play_duration"],
        **{name: item[name] for name in _AFTER_DURATION},
        "user_thumb": own or item["user_thumb"] or _NO_THUMB,
        "platform": _PLATFORMS.get(item["platform"], item["platform"]),
        **{name: item[name] for name in _AFTER_PLATFORM},
        "thumb": thumb,
        **{name: item[name] for name in ("originally_available_at", "guid")},
        "transcode_decision": item["transcode_decision"],
        "percent_complete": round(item["percent_complete"]),
        "watched_status": _watched_status(item, state.settings),
        **{name: item[name] for name in ("group_count", "group_ids", "state", "session_key")},
    }


_AFTER_DURATION = ("play_duration", "paused_counter", "user_id", "user", "friendly_name")
_AFTER_PLATFORM = (
    *("product", "player", "ip_address", "live", "machine_id", "location", "secure", "relayed"),
    *("media_type", "rating_key", "parent_rating_key", "grandparent_rating_key", "full_title"),
    *("title", "parent_title", "grandparent_title", "original_title", "year", "media_index"),
    "parent_media_index",
)


def _watched_status(item: _Row, settings: Mapping[str, Any]) -> float:
    """Return a quarter for each quarter of the threshold, and 1 for what counts as watched."""
    kind = item["media_type"]
    percents = {
        "movie": settings["movie_watched_percent"],
        "episode": settings["tv_watched_percent"],
        "track": settings["music_watched_percent"],
        "clip": settings["tv_watched_percent"],
        "photo": 0,
    }
    percent = percents[kind]
    if item["live"] or _is_watched(item, percent, settings["watched_marker"]):
        return 1
    done, quarter = item["percent_complete"], percent / 4
    if done >= quarter * 3:
        return 0.75
    if done >= quarter * 2:
        return 0.5
    return 0.25 if done >= quarter else 0


def _is_watched(item: _Row, percent: float, marker: int) -> bool:
    offset, threshold = _int(item["view_offset"]), percent / 100 * _int(item["duration"])
    first, final = item["marker_credits_first"], item["marker_credits_final"]
    if not threshold:
        return False
    if marker == 1 and final:
        return bool(offset >= final)
    if marker == 2 and first:
        return bool(offset >= first)
    if marker == 3 and first:
        return bool(offset >= min(threshold, first))
    return offset >= threshold


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _duration(seconds: object) -> str:
    """Say a number of seconds in words; those under 300,000 down to the second."""
    if not isinstance(seconds, int) or seconds <= 0:
        return "0"
    exact = seconds < 300_000
    rest = seconds if exact else round(seconds / 60) * 60
    parts = []
    for unit, size in (("day", 86_400), ("hr", 3600), ("min", 60), ("sec", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {unit}{'s' if number > 1 else ''}")
    return " ".join(parts)
