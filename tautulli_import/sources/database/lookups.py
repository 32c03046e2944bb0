"""Tautulli's ``themoviedb_lookup`` and ``tvmaze_lookup``: ids it once asked other sites for.

A film stands under its own rating key, a show under the show's (notification_handler of
Tautulli 2.17.2), so no id in them belongs to a single episode.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence

from ...model.guids import clean_id
from ...model.items import Kind
from ..base import Lookup
from .rows import Row, text
from .schema import columns_of

__all__ = ["read_lookups"]


def read_lookups(
    connection: sqlite3.Connection,
    tables: frozenset[str],
    rows: Callable[[sqlite3.Connection, str], Iterable[Row]],
) -> Sequence[Lookup]:
    """Every usable row of the two tables; none where the database has none.

    ``rows`` answers a query with its text decoded.

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
        # Before 2.2 the tables were keyed by imdb id; they tell nothing then.
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
                found.append(Lookup(kind, rating_key, _titles(raw), ids))
    return found


def _kind(url: str) -> Kind | None:
    """TheMovieDB counts films and series separately: without the kind its id means nothing."""
    if "/movie/" in url:
        return "movie"
    return "show" if "/tv/" in url else None


def _titles(raw: object) -> tuple[str, ...]:
    """What the other site calls it, where Tautulli kept its answer."""
    try:
        answer = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return ()
    titles = (answer.get(n) for n in ("title", "name", "original_title", "original_name"))
    return tuple(title for title in titles if isinstance(title, str) and title)
