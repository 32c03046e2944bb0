"""Keys, exactly: CrossWatch's for items, and the second seed's ids for playback events.

CrossWatch trusts its keys as written in the Editor and in rewatch pairs; the rules are those of
``cw_platform/id_map.py`` and ``history_events.py`` of v0.11.3. EventID and CorrelationKey (v2.3)
are those of the second seed, so that events of its own importer and of this one are the same.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from .models import EXTERNAL, Ids

__all__ = [
    "best_id",
    "correlation_key",
    "episode_key",
    "event_id",
    "event_key",
    "external_id",
    "movie_key",
    "session_key",
]

_PRIORITY: Final = (*EXTERNAL, "plex", "guid")
# A hexadecimal digit with the variant of RFC 4122 in its upper two bits.
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


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


def session_key(play_id: int) -> str:
    """What stands for a history row's session, whose own key Tautulli does not keep.

    Never the ``reference_id``: resumed segments share it.
    """
    return f"tautulli-{play_id}"


def event_id(session: str, started: int, user_id: int) -> str:
    """The EventID, a UUID: the same for the same row, whoever reads it, through whichever door.

    ``started`` is in epoch seconds. The prefix is the seed's, whatever ``--event-source`` says.
    """
    digest = sha256(f"tautulli-import:{session}:{started}:{user_id}".encode()).hexdigest()
    variant = _VARIANTS[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def correlation_key(  # noqa: PLR0917 - the seven parts of the key, in their order
    source: str,
    server_id: str,
    user_id: int,
    rating_key: str,
    title: str,
    machine_id: str,
    started_at: str,
    session: str,
) -> str:
    """The CorrelationKey, v2.3; ``started_at`` is UTC and ends with the second.

    Without a rating key the title stands in its place, hashed.
    """
    what = rating_key or sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return (
        f"{source}:{server_id or 'default'}:{user_id}:{what}:{machine_id or 'unknown'}:"
        f"{started_at.removesuffix('Z')}:{session or 'unknown'}"
    )
