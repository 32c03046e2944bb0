"""Read ``themoviedb_lookup`` and ``tvmaze_lookup``, where Tautulli stores ids of other sites.

The rating key in them is that of a film or of a show (notification_handler of Tautulli 2.17.2),
so no id in them belongs to a single episode.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ...model.guids import clean_id
from ...model.items import Kind
from ..base import Lookup
from .rows import Row, text
from .schema import columns_of

__all__ = ["read_lookups"]

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_lookups(
    connection: sqlite3.Connection,
    tables: frozenset[str],
    rows: Callable[[sqlite3.Connection, str], Iterable[Row]],
) -> Sequence[Lookup]:
    """Return every usable row of the two tables; nothing if the database has no such table.

    ``rows`` runs a query and decodes its text.

    Raises:
        sqlite3.Error: the tables cannot be read.
    """
    found: list[Lookup] = []
    for table, namespaces, url, answer in (
        (
            "themoviedb_lookup",
            {"themoviedb_id": "tmdb", "imdb_id": "imdb", "thetvdb_id": "tvdb"},
            "themoviedb_url",
            "themoviedb_json",
        ),
        ("tvmaze_lookup", {"imdb_id": "imdb", "thetvdb_id": "tvdb"}, "", "tvmaze_json"),
    ):
        # Before Tautulli 2.2 the key was the IMDb id. Such a table says nothing about a play.
        columns = columns_of(connection, table) if table in tables else frozenset()
        if "rating_key" not in columns or not columns.issuperset(namespaces):
            continue
        extra = [name if name in columns else "''" for name in (url or "''", answer)]
        query = (
            f"SELECT rating_key, {', '.join([*namespaces, *extra])} FROM {table}"  # noqa: S608 - names from the list above
            " WHERE typeof(rating_key) = 'integer'"
        )
        for rating_key, *values, where, raw in rows(connection, query):
            ids = tuple(
                (namespace, cleaned)
                for namespace, value in zip(namespaces.values(), values, strict=True)
                if value is not None and (cleaned := clean_id(namespace, text(value) or ""))
            )
            kind = _kind(text(where) or "") if url else "show"
            if kind is None:
                continue
            if kind == "movie":
                ids = tuple(pair for pair in ids if pair[0] != "tvdb")
            if ids:
                titles, date = _answer(raw)
                found.append(Lookup(kind, rating_key, titles, ids, date))
    return found


def _kind(url: str) -> Kind | None:
    """Return the kind in a URL of TheMovieDB.

    TheMovieDB numbers films and series separately, so an id means nothing without its kind.
    """
    if "/movie/" in url:
        return "movie"
    return "show" if "/tv/" in url else None


def _answer(raw: object) -> tuple[tuple[str, ...], str]:
    """Return titles and release day in the other site's answer, if Tautulli has stored it."""
    try:
        answer = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return (), ""
    days = (answer.get(n) for n in ("release_date", "first_air_date", "premiered"))
    date = next((day for day in days if isinstance(day, str) and _DAY.fullmatch(day)), "")
    titles = (answer.get(n) for n in ("title", "name", "original_title", "original_name"))
    return tuple(title for title in titles if isinstance(title, str) and title), date
