"""Build CrossWatch's keys for items, and the ids of playback events.

CrossWatch takes keys as written in the Editor and in rewatch pairs. So these follow the rules of
its ``cw_platform/id_map.py`` and ``history_events.py`` (v0.11.3) exactly. EventID and
CorrelationKey (v2.3) follow the second seed, so that its own importer makes the same events.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from .items import EXTERNAL, Ids

__all__ = [
    "best_id",
    "correlation_key",
    "episode_key",
    "event_id",
    "event_key",
    "movie_key",
    "session_key",
    "viewing_key",
]

_PRIORITY: Final = (*EXTERNAL, "plex", "guid")
# A hexadecimal digit with the variant of RFC 4122 in its upper two bits.
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def best_id(ids: Ids) -> str | None:
    """Return ``<namespace>:<id>``, lower case, of the first namespace present, or ``None``."""
    for namespace in _PRIORITY:
        value = getattr(ids, namespace)
        if value:
            return f"{namespace}:{value}".lower()
    return None


def movie_key(ids: Ids, title: str, year: int | None) -> str:
    """Return the canonical key of a film: by title and year only if it has no id."""
    return best_id(ids) or f"movie|title:{title.strip().lower()}|year:{year or ''}"


def episode_key(show: str, season: int, episode: int) -> str:
    """Return the canonical key of an episode. ``show`` is the ``best_id`` of its *show*.

    Without such an id an episode has no key, because shows of the same title would get the same.
    """
    return f"{show}#s{season:02d}e{episode:02d}"


def event_key(key: str, epoch: int) -> str:
    """Return the key of one viewing: ``tmdb:603@1709324130``.

    ``epoch`` is ``watched_at`` in seconds.
    """
    return f"{key}@{epoch}"


def viewing_key(key: str, epoch: int) -> str:
    """Return the key that CrossWatch's import gives an entry: always one for the viewing."""
    return key if key.endswith(f"@{epoch}") else event_key(key, epoch)


def session_key(play_id: int) -> str:
    """Return the session key of a history row. Tautulli does not keep Plex's own.

    It is not made from ``reference_id``, because resumed segments share that.
    """
    return f"tautulli-{play_id}"


def event_id(session: str, started: int, user_id: int) -> str:
    """Return the EventID, a UUID. It is the same for the same row, from the API or a database.

    ``started`` is in epoch seconds. The prefix is the second seed's, and does not depend on
    ``--event-source``.
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
    """Return the CorrelationKey (v2.3). ``started_at`` is UTC, to the second.

    Without a rating key the hash of the title takes its place.
    """
    what = rating_key or sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return (
        f"{source}:{server_id or 'default'}:{user_id}:{what}:{machine_id or 'unknown'}:"
        f"{started_at.removesuffix('Z')}:{session or 'unknown'}"
    )
