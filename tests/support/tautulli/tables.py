"""Users and libraries, as the tables in the database tell of them."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.tautulli.asked import Asked
from tests.support.tautulli.history import is_true
from tests.support.tautulli.state import BrokenError, State

__all__ = [
    "get_libraries",
    "get_libraries_table",
    "get_library_names",
    "get_user_names",
    "get_users",
    "get_users_table",
]

_Row = dict[str, Any]

_FRIENDLY = (
    "CASE WHEN friendly_name IS NULL OR TRIM(friendly_name) = '' "
    "THEN username ELSE friendly_name END AS friendly_name"
)
#: What is told about the last thing that a user has watched, or that a library was used for.
_LAST = (
    "COUNT(DISTINCT h.{key}) AS plays, "
    "SUM(CASE WHEN h.stopped > 0 THEN h.stopped - h.started ELSE 0 END) "
    "- SUM(CASE WHEN h.paused_counter IS NULL THEN 0 ELSE h.paused_counter END) AS duration, "
    "MAX(h.started) AS {when}, MAX(h.id) AS history_row_id, m.full_title AS last_played, "
    "h.rating_key, m.media_type, m.thumb, m.parent_thumb, m.grandparent_thumb, m.parent_title, "
    "m.year, m.media_index, m.parent_media_index, m.live, m.originally_available_at, m.guid"
)
_JOINS = (
    "LEFT JOIN session_history AS h ON h.{on} = t.{on} "
    "LEFT JOIN session_history_metadata AS m ON m.id = h.id "
    "LEFT JOIN session_history_media_info AS i ON i.id = h.id"
)


def get_users(state: State, _: Asked) -> list[_Row]:
    """Return all users but the deleted ones."""
    shown = (
        *("user_id", "username", "friendly_name", "thumb", "email", "is_active", "is_admin"),
        *("is_home_user", "is_allow_sync", "is_restricted", "do_notify", "keep_history"),
        *("allow_guest", "shared_libraries", "filter_all", "filter_movies", "filter_tv"),
        *("filter_music", "filter_photos"),
    )
    users = []
    for row in _select(state, "SELECT * FROM users WHERE deleted_user = 0"):
        row["friendly_name"] = row["friendly_name"] or row["username"]
        row["thumb"] = row["custom_avatar_url"] or row["thumb"]
        libraries = row["shared_libraries"]
        row["shared_libraries"] = libraries.split(";") if libraries else []
        users.append({"row_id": row["id"]} | {name: row[name] for name in shown})
    return users


def get_user_names(state: State, _: Asked) -> list[_Row]:
    """Return the names of all users but the deleted ones."""
    return _select(state, f"SELECT user_id, {_FRIENDLY} FROM users WHERE deleted_user = 0")  # noqa: S608


def get_libraries(state: State, _: Asked) -> list[_Row]:
    """Return what Plex says its libraries are: all numbers as text, nothing if it is down."""
    if not state.plex_up:
        return []
    libraries = []
    for row in _select(state, "SELECT * FROM library_sections WHERE deleted_section = 0"):
        library = {
            "section_id": str(row["section_id"]),
            **{name: row[name] for name in ("section_name", "section_type")},
            **{name: row[name] or "" for name in ("agent", "thumb", "art")},
            "count": str(row["count"] or 0),
            "is_active": 1,
        }
        if row["section_type"] != "movie":
            library |= {name: str(row[name] or 0) for name in ("parent_count", "child_count")}
        libraries.append(library)
    return libraries


def get_library_names(state: State, _: Asked) -> list[_Row]:
    """Return the names of all libraries but the deleted ones, whether Plex is up or not."""
    columns = "section_id, section_name, section_type, agent"
    return _select(state, f"SELECT {columns} FROM library_sections WHERE deleted_section = 0")  # noqa: S608


def get_users_table(state: State, asked: Asked) -> dict[str, Any]:
    """Return users with what they have played, as the page of that name shows it."""
    own = (
        f"t.id AS row_id, t.user_id, t.username, {_FRIENDLY}, t.title, t.email, "
        "t.thumb AS user_thumb, t.custom_avatar_url, "
    )
    rest = (
        ", h.ip_address, h.platform, h.player, i.transcode_decision, "
        "t.do_notify, t.keep_history, t.allow_guest, t.is_active"
    )
    sql = (
        f"SELECT {own}{_last(state, asked, 'last_seen')}{rest} FROM users AS t "  # noqa: S608
        f"{_JOINS.format(on='user_id')} WHERE t.deleted_user = 0 GROUP BY t.user_id"
    )
    searched = ("friendly_name", "username", "title", "email", "ip_address", "platform", "player")
    ordered = (*searched, "last_seen", "last_played", "plays", "duration")
    table = _table(state, asked.params, sql, "users", ordered, searched)
    for row in table["data"]:
        row["thumb"] = _thumb(row)
        row["user_thumb"] = row.pop("custom_avatar_url") or row["user_thumb"] or _NO_USER
    return table


def get_libraries_table(state: State, asked: Asked) -> dict[str, Any]:
    """Return libraries with what was played from them, as the page of that name shows it."""
    own = (
        "t.id AS row_id, t.server_id, t.section_id, t.section_name, t.section_type, t.count, "
        "t.parent_count, t.child_count, t.thumb AS library_thumb, t.custom_thumb_url, "
        "t.art AS library_art, t.custom_art_url, "
    )
    rest = (
        ", m.content_rating, m.labels, t.do_notify, t.do_notify_created, t.keep_history, "
        "t.is_active"
    )
    sql = (
        f"SELECT {own}{_last(state, asked, 'last_accessed')}{rest} FROM library_sections AS t "  # noqa: S608
        f"{_JOINS.format(on='section_id')} WHERE t.deleted_section = 0 "
        "GROUP BY t.server_id, t.section_id"
    )
    own_columns = ("section_name", "section_type", "count", "parent_count", "child_count")
    searched = (*own_columns, "last_played")
    ordered = (*searched, "last_accessed", "plays", "duration")
    table = _table(state, asked.params, sql, "library_sections", ordered, searched)
    for row in table["data"]:
        row["thumb"] = _thumb(row)
        row["labels"] = row["labels"].split(";") if row["labels"] else []
        row["library_thumb"] = row.pop("custom_thumb_url") or row["library_thumb"] or _NO_LIBRARY
        row["library_art"] = row.pop("custom_art_url") or row["library_art"]
    return table


_NO_USER = "interfaces/default/images/gravatar-default-80x80.png"
_NO_LIBRARY = "interfaces/default/images/cover.png"


def _last(state: State, asked: Asked, when: str) -> str:
    grouping = is_true(asked.params.get("grouping"), state.settings["grouping"])
    return _LAST.format(key="reference_id" if grouping else "id", when=when)


def _thumb(row: _Row) -> object:
    season, show = row.pop("parent_thumb"), row.pop("grandparent_thumb")
    return (season or show) if row["media_type"] == "episode" else row["thumb"]


def _table(  # noqa: PLR0917
    state: State,
    params: Mapping[str, str],
    sql: str,
    table: str,
    ordered: Iterable[str],
    searched: tuple[str, ...],
) -> dict[str, Any]:
    """Return a page of what the SELECT finds; by default 25 rows, in the order of their names."""
    try:
        start, length = int(params.get("start", "0")), int(params.get("length", "25"))
    except ValueError as error:
        raise BrokenError(str(error)) from error
    column = params.get("order_column", searched[0])
    args: list[str] = []
    sql = f"SELECT * FROM ({sql})"  # noqa: S608
    if params.get("search"):
        sql += " WHERE " + " OR ".join(f"{name} LIKE ?" for name in searched)
        args = [f"%{params['search']}%"] * len(searched)
    if column in set(ordered):
        direction = "" if params.get("order_dir", "desc").lower() == "asc" else " DESC"
        sql += f" ORDER BY {column} COLLATE NOCASE{direction}"
    rows = _select(state, sql, args)
    total = _select(state, f"SELECT COUNT(id) AS total FROM {table}")  # noqa: S608
    return {
        "recordsFiltered": len(rows),
        "recordsTotal": total[0]["total"] if total else 0,
        "data": rows[start : start + length],
        "draw": 1,
    }


def _select(state: State, sql: str, args: Iterable[str] = ()) -> list[_Row]:
    """Return rows as dicts, and none at all when the database has a problem."""
    try:
        with state.reading() as conn:
            cursor = conn.execute(sql, [*args])
            names = [str(column[0]) for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
    except sqlite3.Error:
        return []
