"""Parse external ids from the GUIDs that Plex and its agents wrote into Tautulli.

These functions accept any text and ``None``, and raise nothing. The forms were collected from
real histories (Tautulli 2.17.2, Plex agents of 2014-2026).

The most important rule: an id counts only at the level it was given for. The number in a
legacy episode GUID is the *series'* id. An ``imdb://`` entry on an episode is the episode's
*own* id, not the show's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .items import EXTERNAL

__all__ = [
    "PER_SEASON",
    "clean_id",
    "fits_episode",
    "guid_kind",
    "is_aired_order",
    "listed_ids",
    "movie_ids",
    "numbers_in",
    "plex_guid",
    "series_ids",
    "show_ids",
]

PER_SEASON: Final = frozenset({"mal", "anilist", "kitsu", "anidb"})
"""Sites that have an entry for each season. An id of theirs is right for one season only, which
Plex numbers 1. With a later season it means nothing."""

_PARTS: Final = re.compile(r"\s*([a-z0-9.+_-]+)://([^?#]*)", re.IGNORECASE)
_AGENT: Final = "com.plexapp.agents."
_MYANIMELIST: Final = frozenset(
    f"net.{author}.coding.plex.myanimelist" for author in ("fribbtastic", "devvsbugs")
)
_IMDB: Final = re.compile(r"tt[0-9]+", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]+")
# hama://tvdb-79349, tvdb2- … tvdb6-: the digit names a mode of ordering. It is not part of the id.
_HAMA: Final = re.compile(r"(tvdb|anidb|tmdb|tsdb|imdb)([1-9]?)-((?:tt)?[0-9]+)", re.IGNORECASE)
# HAMA writes tsdb for a series on TheMovieDB.
_HAMA_SITES: Final = {"tsdb": "tmdb"}
_HAMA_SERIES: Final = frozenset({"tvdb", "tsdb"})
# From this mode on the numbers are not the site's (README of the Absolute Series Scanner): tvdb3
# counts through inside seasons, tvdb4 has a person's story arcs, tvdb5 one absolute season. With
# anidb2 and later ones the numbers are TheTVDB's.
_HAMA_OWN_ORDERS: Final = {"tvdb": 3, "anidb": 2}
_NO_MODE: Final = 10
_OTHER_ORDERS: Final = frozenset({"agents.thetvdbdvdorder", "agents.abstvdb"})
# Agents whose GUIDs name a film or a show.
_FILMS_TOO: Final = frozenset(
    f"agents.{name}"
    for name in ("imdb", "themoviedb", "tmdb", "standalone", "anidb", "myanimelist")
)
# Entries of the lists in ``get_metadata``. On an episode they are the episode's own ids.
_LISTED: Final = frozenset({"imdb", "tmdb", "tvdb"})
_NUMBERS: Final = re.compile(r"[^/]+/([0-9]{1,4})/([0-9]{1,6})")
_PLEX: Final = re.compile(r"plex://([a-z]+)/[0-9a-z]+", re.IGNORECASE)
_NOTHING: Final = frozenset({"", "0", "none", "null", "nan", "undefined", "unknown"})


def clean_id(namespace: str, value: str) -> str | None:
    """Return the id as CrossWatch keeps it (``id_map`` of v0.11.3), or ``None`` if invalid."""
    text = value.strip()
    if text.lower() in _NOTHING:
        return None
    if namespace == "guid":
        return text if _PLEX.match(text) else None
    if namespace == "imdb":
        found = _IMDB.search(text)
        return found.group().lower() if found else None
    digits = "".join(_DIGITS.findall(text))
    return digits if digits.strip("0") else None


def plex_guid(guid: str | None, of: str = "") -> str | None:
    """Return a ``plex://…`` GUID as written, without its query, or ``None`` for any other.

    With ``of`` (``movie``, ``episode``) only ``plex://<of>/…`` is returned, because a GUID
    counts only at the level it was given for.
    """
    if not guid:
        return None
    text = guid if guid.startswith("plex://") else guid.strip()
    found = _PLEX.match(text) if text[:7].lower() == "plex://" else None
    return found.group() if found and of in ("", found.group(1).lower()) else None


def movie_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the film whose play has this GUID."""
    agent, path = _split(guid)
    if "/" in path:  # id/season/episode: an episode's GUID, whatever the row's media type is
        return {}
    match agent:
        case "agents.imdb" | "imdb":
            return _id("imdb", path)
        case "agents.themoviedb" | "agents.tmdb" | "agents.standalone" | "tmdb":
            return _id("tmdb", path)
        case "tvdb":
            return _id("tvdb", path)
        case "agents.xbmcnfo":
            return _id("imdb" if _IMDB.match(path) else "tmdb", path)
        case "agents.anidb":
            return _id("anidb", path)
        case "agents.myanimelist":
            return _id("mal", path)
        case "agents.hama":
            site, _, number = _hama(path)
            return {} if site in _HAMA_SERIES else _id(_HAMA_SITES.get(site, site), number)
        case _:
            return {}


def show_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the *show* whose episode's play has this GUID.

    Return none if the episode's numbers are not those of the site. CrossWatch would find another
    episode under the site's id and these numbers.
    """
    agent, path = _split(guid)
    series, _, numbers = path.partition("/")
    if agent in _LISTED or (agent in _FILMS_TOO and not numbers):
        return {}
    ids = _series(agent, series)
    if PER_SEASON.isdisjoint(ids):
        return ids
    season = numbers.partition("/")[0]
    return {} if _DIGITS.fullmatch(season) and season.lstrip("0") not in ("", "1") else ids


def series_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the show that has this GUID *itself*, from ``get_metadata``.

    Ids of ``PER_SEASON`` are right for its first season only.
    """
    agent, path = _split(guid)
    # id/season/episode is the GUID of a season or an episode.
    return {} if "/" in path else _series(agent, path)


def is_aired_order(guid: str | None) -> bool:
    """Return false if the numbers of an episode with this GUID are in another order than aired.

    No external id of the show fits such numbers, wherever the id is from.
    """
    agent, path = _split(guid)
    if agent == "agents.hama":
        site, mode, _ = _hama(path)
        return mode < _HAMA_OWN_ORDERS.get(site, _NO_MODE)
    return agent not in _OTHER_ORDERS


def fits_episode(namespace: str, guid: str | None, season: int | None) -> bool:
    """Return true if an id of a show, with the numbers of an episode, names that episode.

    ``guid`` and ``season`` are the episode's. The id can be from anywhere, such as another episode.
    """
    return is_aired_order(guid) and (namespace not in PER_SEASON or (season or 0) <= 1)


def numbers_in(guid: str | None) -> tuple[int, int] | None:
    """Return the season and the episode in a legacy GUID ``agent://id/season/episode``.

    Return ``None`` if it has none. They are Plex's numbers, in whatever order the agent counts.
    """
    agent, path = _split(guid)
    found = _NUMBERS.fullmatch(path)
    if found is None or "." not in agent:
        return None
    return int(found.group(1)), int(found.group(2))


def listed_ids(guids: Iterable[str]) -> dict[str, str]:
    """Return the ids in a list of ``imdb://tt…``, ``tmdb://…`` and so on.

    They belong to the item that the list was given for. A namespace with two different ids in
    the list is left out.
    """
    found: dict[str, str] = {}
    ambiguous: set[str] = set()
    for guid in guids:
        scheme, path = _split(guid)
        for namespace, value in (_id(scheme, path) if scheme in EXTERNAL else {}).items():
            if found.setdefault(namespace, value) != value:
                ambiguous.add(namespace)
    return {namespace: value for namespace, value in found.items() if namespace not in ambiguous}


def guid_kind(guid: str | None) -> str:
    """Return a short name for the kind of GUID, such as ``plex``, ``thetvdb`` or ``empty``."""
    if not guid or not guid.strip():
        return "empty"
    agent, _ = _split(guid)
    return agent.removeprefix("agents.").removeprefix("tv.plex.") or "other"


def _split(guid: str | None) -> tuple[str, str]:
    """Return the scheme (lower case, without ``com.plexapp.``) and the path without its query."""
    # Half of a history is plex://, whose path holds no external id, so the pattern is skipped.
    found = _PARTS.match(guid) if guid and not guid.startswith("plex://") else None
    if found is None:
        return ("plex", "") if guid and guid.startswith("plex://") else ("", "")
    scheme = found.group(1).lower()
    if scheme.startswith(_AGENT):
        scheme = "agents." + scheme[len(_AGENT) :]
    elif scheme in _MYANIMELIST:
        scheme = "agents.myanimelist"
    return scheme, found.group(2).strip().rstrip("/")


def _id(namespace: str, text: str) -> dict[str, str]:
    pattern = _IMDB if namespace == "imdb" else _DIGITS
    if not pattern.fullmatch(text):
        return {}
    cleaned = clean_id(namespace, text)
    return {namespace: cleaned} if cleaned else {}


def _series(agent: str, series: str) -> dict[str, str]:
    """Return the id of a show, from the agent and the first part of the path of a GUID."""
    match agent:
        case "agents.thetvdb" | "tvdb":
            return _id("tvdb", series)
        case "agents.mcm":
            return _id("tvdb", series.removeprefix("MCM_TV_A_"))
        case "agents.xbmcnfotv":
            return _id("imdb" if _IMDB.match(series) else "tvdb", series)
        case "agents.themoviedb" | "agents.tmdb" | "agents.standalone" | "tmdb":
            return _id("tmdb", series)
        case "agents.imdb" | "imdb":
            return _id("imdb", series)
        case "agents.anidb":
            return _id("anidb", series)
        case "agents.myanimelist":
            return _id("mal", series)
        case "agents.hama":
            site, mode, number = _hama(series)
            if mode >= _HAMA_OWN_ORDERS.get(site, _NO_MODE):
                return {}
            return _id(_HAMA_SITES.get(site, site), number)
        case _:
            return {}


def _hama(path: str) -> tuple[str, int, str]:
    """Return the site, the mode of ordering and the id in a GUID of HAMA; no site if unknown.

    A bare number is AniDB's. Until September 2015 HAMA knew no other site.
    """
    series = path.partition("/")[0]
    found = _HAMA.fullmatch(series)
    if found:
        return found.group(1).lower(), int(found.group(2) or 1), found.group(3)
    return ("anidb", 1, series) if _DIGITS.fullmatch(series) else ("", 1, "")
