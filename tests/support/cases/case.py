"""Reading a case: tables of text, of which every column is known and every cell has a meaning."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

__all__ = ["Case", "Row", "epoch"]

#: A row of a table: text, whole numbers, lists of text, and None for SQL's NULL.
Row = dict[str, Any]

_KEYS: Final = frozenset(
    {
        *("name", "kind", "why", "source", "doors", "to", "options", "plays", "every", "users"),
        *("libraries", "lookups", "plex", "ids", "tracker", "want", "want_ids", "want_counts"),
        *("want_rejected", "want_same_as", "want_exit", "most_asked", "must_not"),
    }
)
_COLUMNS: Final[Mapping[str, Collection[str]]] = {
    "plays": (
        *("id", "started", "stopped", "minutes", "from", "to", "paused", "type", "title"),
        *("original_title", "full_title", "year", "aired", "guid", "key", "show", "show_key"),
        *("parent_key", "season", "episode", "user", "user_id", "section", "live", "reference"),
        "machine",
    ),
    "plex": (
        *("key", "type", "title", "original_title", "year", "aired", "guid", "guids", "season"),
        *("episode", "parent_key", "parent_guids", "show", "show_key", "show_guid"),
        *("show_guids", "minutes"),
    ),
    "lookups": ("table", "key", "kind", "title", "date", "tmdb", "imdb", "tvdb"),
    "tracker": ("key", "title", "year", "watched_at", "ids", "show", "season", "episode"),
    "users": ("id", "name", "friendly"),
    "libraries": ("id", "name", "type"),
}
_LISTS: Final = frozenset({"guids", "show_guids", "parent_guids"})
_SECONDS: Final = {"d": 86_400, "h": 3_600}


class Case:
    """One file."""

    def __init__(self, path: Path) -> None:
        data = tomllib.loads(path.read_text("utf-8"))
        if unknown := data.keys() - _KEYS:
            raise ValueError(f"{path}: nothing is called {', '.join(sorted(unknown))}")
        self.slug = path.stem
        self.to = str(data.get("to", "tracker" if "tracker" in data else "jsonl"))
        self.options = [str(option) for option in data.get("options", [])]
        every = {name: _cell(str(value)) for name, value in data.get("every", {}).items()}
        plays = _table(data["plays"], "plays")
        self.plays = [_filled(every | row, place) for place, row in enumerate(plays, 1)]
        self.users = _table(data.get("users", ""), "users")
        self.libraries = _table(data.get("libraries", ""), "libraries")
        self.lookups = _table(data.get("lookups", ""), "lookups")
        self.plex = _table(data["plex"], "plex") if "plex" in data else None
        self.ids = str(data.get("ids", ""))
        self.tracker = _table(data.get("tracker", ""), "tracker")
        # Lookup tables cannot be asked for over HTTP.
        self.doors: Sequence[str] = data.get("doors", ["db"] if self.lookups else ["db", "api"])
        self.want = _lines(data["want"]) if "want" in data else None
        self.must_not = _lines(data.get("must_not", ""))
        self.want_ids = [line.rpartition("|")[::2] for line in _lines(data.get("want_ids", ""))]
        self.want_counts: Mapping[str, int] = data.get("want_counts", {})
        self.want_rejected: Sequence[int] | None = data.get("want_rejected")
        self.want_same_as: str | None = data.get("want_same_as")
        self.want_exit = int(data.get("want_exit", 0))
        self.most_asked: int | None = data.get("most_asked")


def epoch(written: object) -> object:
    """Return the epoch seconds of `2022-03-01 20:00` (UTC) or `now+3d`; a number as it is."""
    if not isinstance(written, str):
        return written
    if found := re.fullmatch(r"now([+-]\d+)([dh])", written):
        return int(time.time()) + int(found[1]) * _SECONDS[found[2]]
    return int(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp())


def _lines(text: str) -> list[str]:
    """Return the lines that say something; one that begins with `# ` is a comment."""
    found = (line.strip() for line in text.splitlines())
    return [line for line in found if line and not line.startswith("# ")]


def _table(text: str, name: str) -> list[Row]:
    """Return the rows of a table: the first line names the columns."""
    head, *rows = _lines(text) or [""]
    names = [column.strip() for column in head.split("|")] if head else []
    if unknown := set(names) - set(_COLUMNS[name]):
        raise ValueError(f"{name}: there is no column {', '.join(sorted(unknown))}")
    found = []
    for row in rows:
        cells = [part.strip() for part in row.split("|")]
        if len(cells) > len(names):
            raise ValueError(f"{name}: more cells than columns in {row!r}")
        pairs = [(column, cell) for column, cell in zip(names, cells, strict=False) if cell]
        found.append(
            {column: cell.split() if column in _LISTS else _cell(cell) for column, cell in pairs}
        )
    return found


def _cell(text: str) -> str | int | None:
    """Return NULL, a whole number, or text: in quotes where it would be something else."""
    if text == "NULL":
        return None
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _filled(given: Row, place: int) -> Row:
    """Return a play with what its row leaves out."""
    kind = "episode" if {"show", "show_key", "season", "episode"} & given.keys() else "movie"
    aired = given.get("aired", "")
    kind = given.get("type", kind)
    play: Row = {
        "id": place,
        "type": kind,
        "started": f"2022-01-{place:02} 20:00",
        "minutes": 60,
        "from": 0,
        "to": 100,
        "paused": 0,
        "title": "",
        "user": "alice",
        "section": 2 if kind == "episode" else 1,
        "reference": given.get("id", place),
        "live": 0,
        "machine": "tv",
        "aired": "",
        "year": int(aired[:4]) if aired else "",
    } | given
    show_key, season = play.get("show_key"), play.get("season")
    if isinstance(show_key, int) and isinstance(season, int):
        # A season's own number; real ones are as arbitrary, and differ from every other key.
        play.setdefault("parent_key", show_key * 1000 + season)
    started = play["started"] = epoch(play["started"])
    played = play["minutes"] * 60 * (play["to"] - play["from"]) // 100 + play["paused"] * 60
    if "stopped" in play:
        play["stopped"] = epoch(play["stopped"])
    elif isinstance(started, int):
        play["stopped"] = started + played
    return play
