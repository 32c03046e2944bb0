"""Making a case real: a Tautulli database, what Plex answers, and what a tracker holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.support.cases.case import Case, Row
from tests.support.history import create

__all__ = ["answers", "build", "put_tracker"]

_PEOPLE: Final = {"alice": 7, "bob": 8, "carol": 9}
_IN_PLEX: Final = {
    "rating_key": "key",
    "parent_rating_key": "parent_key",
    "grandparent_rating_key": "show_key",
    "title": "title",
    "grandparent_title": "show",
    "original_title": "original_title",
    "media_index": "episode",
    "parent_media_index": "season",
    "year": "year",
    "originally_available_at": "aired",
    "guid": "guid",
    "grandparent_guid": "show_guid",
}


def build(case: Case, path: Path) -> None:
    """Write the case as a Tautulli database."""
    path.write_bytes(_empty())
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA synchronous = OFF")
        numbers = _PEOPLE | {user["name"]: user["id"] for user in case.users}
        for play in case.plays:
            if play["user"] is not None:
                numbers.setdefault(play["user"], 20 + len(numbers))
            _insert_play(conn, play, numbers)
        names = dict.fromkeys(play["user"] for play in case.plays if play["user"] is not None)
        for user in case.users or [{"id": numbers[name], "name": name} for name in names]:
            friendly = user.get("friendly", str(user["name"]).capitalize())
            row = {"user_id": user["id"], "username": user["name"], "friendly_name": friendly}
            _insert(conn, "users", row)
        libraries = {1: ("Movies", "movie"), 2: ("TV Shows", "show")}
        libraries |= {row["id"]: (row["name"], row["type"]) for row in case.libraries}
        for play in case.plays:
            kind = "show" if play["type"] == "episode" else "movie"
            if isinstance(play["section"], int):
                libraries.setdefault(play["section"], (f"Library {play['section']}", kind))
        for number, (name, kind) in libraries.items():
            row = {"server_id": "s", "section_id": number, "section_name": name}
            _insert(conn, "library_sections", row | {"section_type": kind})
        for row in case.lookups:
            _insert_lookup(conn, row)


def answers(case: Case) -> dict[int, dict[str, Any]]:
    """Return the answers of `get_metadata` by rating key."""
    return {row["key"]: _answer(case, row) for row in case.plex or ()}


def put_tracker(case: Case, root: Path) -> None:
    """Write what the tracker holds before the run."""
    (root / "snapshots").mkdir(parents=True)
    items = {}
    for row in case.tracker:
        ids = dict(part.split("=") for part in str(row["ids"]).split())
        when = datetime.fromisoformat(row["watched_at"]).replace(tzinfo=UTC)
        item = {"type": "episode" if "show" in row else "movie", "ids": ids, "title": row["title"]}
        item["year"] = row.get("year")
        if "show" in row:
            item |= {"season": row["season"], "episode": row["episode"], "show_ids": ids}
            item["series_title"] = row["show"]
        at = f"@{int(when.timestamp())}" if "--rewatches" in case.options else ""
        items[f"{row['key']}{at}"] = item | {"watched_at": f"{when:%Y-%m-%dT%H:%M:%SZ}"}
    text = json.dumps({"ts": 1_700_000_000, "items": items})
    (root / "history.json").write_text(text, "utf-8")


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tautulli.db"
        create(path).close()
        return path.read_bytes()


def _answer(case: Case, row: Row) -> dict[str, Any]:
    text = {name: str(row.get(column, "")) for name, column in _IN_PLEX.items()}
    kinds = [play["type"] for play in case.plays if play.get("key") == row["key"]] or ["movie"]
    is_show = any(play.get("show_key") == row["key"] for play in case.plays)
    season = row.get("season")
    return {
        **text,
        "media_type": row.get("type", "show" if is_show else kinds[0]),
        "section_id": "1",
        "library_name": "Library",
        "sort_title": text["title"],
        "parent_title": "" if season is None else f"Season {season}",
        "parent_guid": "",
        "duration": str(row.get("minutes", 60) * 60_000),
        "live": 0,
        "full_title": f"{row['show']} - {row['title']}" if row.get("show") else text["title"],
        "guids": row.get("guids", []),
        "parent_guids": row.get("parent_guids", []),
        "grandparent_guids": row.get("show_guids", []),
        "children_count": 0,
        "media_info": [],
        "markers": [],
        "added_at": "1500000000",
    }


def _insert_play(conn: sqlite3.Connection, play: Row, numbers: Mapping[str, int]) -> None:
    length = play["minutes"] * 60_000
    title, show, season = play["title"], play.get("show", ""), play.get("season", "")
    both = {
        "id": play["id"],
        "media_type": play["type"],
        "rating_key": play.get("key", ""),
        "parent_rating_key": play.get("parent_key", ""),
        "grandparent_rating_key": play.get("show_key", ""),
    }
    history = both | {
        "reference_id": play["reference"],
        "started": play["started"],
        "stopped": play.get("stopped"),
        "user_id": play.get("user_id", numbers.get(play["user"])),
        "user": play["user"],
        "ip_address": "192.0.2.1",
        "paused_counter": play["paused"] * 60,
        "player": "TV",
        "product": "Plex for LG",
        "platform": "webOS",
        "machine_id": play["machine"],
        "location": "lan",
        "secure": 1,
        "relayed": 0,
        "section_id": play["section"],
        "view_offset": length * play["to"] // 100,
    }
    metadata = both | {
        "title": title,
        "grandparent_title": show,
        "parent_title": f"Season {season}" if isinstance(season, int) else "",
        "original_title": play.get("original_title", ""),
        "full_title": play.get("full_title", f"{show} - {title}" if show else title),
        "media_index": play.get("episode", ""),
        "parent_media_index": season,
        "thumb": f"/library/metadata/{play.get('key', 0)}/thumb/1",
        "year": play["year"],
        "originally_available_at": play["aired"],
        "duration": length,
        "guid": play.get("guid", ""),
        "live": play["live"],
    }
    info = {"id": play["id"], "rating_key": both["rating_key"], "duration": length}
    _insert(conn, "session_history", history)
    _insert(conn, "session_history_metadata", metadata)
    _insert(conn, "session_history_media_info", info | {"transcode_decision": "direct play"})


def _insert_lookup(conn: sqlite3.Connection, row: Row) -> None:
    site, is_film = row.get("table", "themoviedb"), row.get("kind", "show") == "movie"
    titled, dated = ("title", "release_date") if is_film else ("name", "first_air_date")
    if site == "tvmaze":
        titled, dated = "name", "premiered"
    answer = {titled: row["title"]} if "title" in row else {}
    if "date" in row:
        answer[dated] = row["date"]
    values = {
        "rating_key": row["key"],
        "imdb_id": row.get("imdb"),
        "thetvdb_id": row.get("tvdb"),
        f"{site}_json": json.dumps(answer),
    }
    if site == "themoviedb":
        path = "movie" if is_film else "tv"
        values["themoviedb_id"] = row.get("tmdb")
        values["themoviedb_url"] = f"https://www.themoviedb.org/{path}/{row.get('tmdb', 1)}"
    _insert(conn, f"{site}_lookup", values)


def _insert(conn: sqlite3.Connection, name: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    conn.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", [*row.values()])  # noqa: S608
