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
    "clean_id",
    "guid_kind",
    "listed_ids",
    "movie_ids",
    "plex_guid",
    "series_ids",
    "show_ids",
]

_PARTS: Final = re.compile(r"\s*([a-z0-9.+_-]+)://([^?#]*)", re.IGNORECASE)
_AGENT: Final = "com.plexapp.agents."
_IMDB: Final = re.compile(r"tt[0-9]+", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]+")
# hama://tvdb-79349, tvdb2- … tvdb6-: the digit names an episode order. It is not part of the id.
_HAMA: Final = re.compile(r"(tvdb|anidb|tmdb|imdb)[1-9]?-((?:tt)?[0-9]+)", re.IGNORECASE)
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
    found = _PLEX.match(guid.strip()) if guid and "plex://" in guid.lower() else None
    return found.group() if found and of in ("", found.group(1).lower()) else None


def movie_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the film whose play has this GUID."""
    agent, path = _split(guid)
    if "/" in path:  # id/season/episode: an episode's GUID, whatever the row's media type is
        return {}
    match agent:
        case "agents.imdb" | "imdb":
            return _id("imdb", path)
        case "agents.themoviedb" | "tmdb":
            return _id("tmdb", path)
        case "tvdb":
            return _id("tvdb", path)
        case "agents.xbmcnfo":
            return _id("imdb" if _IMDB.match(path) else "tmdb", path)
        case "agents.hama":
            # A tvdb id here is a series' id, not the film's.
            ids = _hama(path)
            ids.pop("tvdb", None)
            return ids
        case _:
            return {}


def show_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the *show* whose episode's play has this GUID."""
    agent, path = _split(guid)
    series, _, rest = path.partition("/")
    match agent:
        case "agents.thetvdb" | "agents.thetvdbdvdorder":
            return _id("tvdb", series)
        case "agents.xbmcnfotv":
            return _id("imdb" if _IMDB.match(series) else "tvdb", series)
        case "agents.hama":
            return _hama(series)
        case "agents.themoviedb" if rest:  # without season/episode the level is unknown
            return _id("tmdb", series)
        case "agents.imdb" if rest:
            return _id("imdb", series)
        case _:
            return {}


def series_ids(guid: str | None) -> dict[str, str]:
    """Return the external ids of the show that has this GUID *itself*, from ``get_metadata``."""
    agent, path = _split(guid)
    if "/" in path:  # id/season/episode: the GUID of a season or an episode
        return {}
    match agent:
        case "agents.thetvdb" | "agents.thetvdbdvdorder" | "tvdb":
            return _id("tvdb", path)
        case "agents.themoviedb" | "tmdb":
            return _id("tmdb", path)
        case "agents.imdb" | "imdb":
            return _id("imdb", path)
        case "agents.xbmcnfotv":
            return _id("imdb" if _IMDB.match(path) else "tvdb", path)
        case "agents.hama":
            return _hama(path)
        case _:
            return {}


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
    return scheme, found.group(2).strip().rstrip("/")


def _id(namespace: str, text: str) -> dict[str, str]:
    pattern = _IMDB if namespace == "imdb" else _DIGITS
    if not pattern.fullmatch(text):
        return {}
    cleaned = clean_id(namespace, text)
    return {namespace: cleaned} if cleaned else {}


def _hama(path: str) -> dict[str, str]:
    found = _HAMA.fullmatch(path.partition("/")[0])
    return _id(found.group(1).lower(), found.group(2)) if found else {}
