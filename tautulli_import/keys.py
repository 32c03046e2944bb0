"""CrossWatch's keys, exactly: in the Editor and in rewatch pairs it trusts them as written.

The rules are those of ``cw_platform/id_map.py`` and ``history_events.py`` of v0.11.3.
"""

from __future__ import annotations

from typing import Final

from .models import EXTERNAL, Ids

__all__ = ["best_id", "episode_key", "event_key", "external_id", "movie_key"]

_PRIORITY: Final = (*EXTERNAL, "plex", "guid")


def best_id(ids: Ids) -> str | None:
    """``<namespace>:<id>``, lower case, of the first namespace present; ``None`` without any."""
    for namespace in _PRIORITY:
        value = getattr(ids, namespace)
        if value:
            return f"{namespace}:{value}".lower()
    return None


def external_id(ids: Ids) -> str | None:
    """The namespace of the best id that means something outside this Plex server."""
    return next((namespace for namespace in EXTERNAL if getattr(ids, namespace)), None)


def movie_key(ids: Ids, title: str, year: int | None) -> str:
    """The canonical key of a film; by title and year only when it has no id at all."""
    return best_id(ids) or f"movie|title:{title.strip().lower()}|year:{year or ''}"


def episode_key(show_ids: Ids, season: int, episode: int) -> str | None:
    """The canonical key of an episode, by its *show's* best id.

    ``None`` without one: a title key would collide across shows.
    """
    show = best_id(show_ids)
    return f"{show}#s{season:02d}e{episode:02d}" if show else None


def event_key(key: str, epoch: int) -> str:
    """The key of one viewing: ``tmdb:603@1709324130``. ``epoch`` is ``watched_at`` in seconds."""
    return f"{key}@{epoch}"
