"""Recognise playback events that were seen minutes ago.

The second of the seed's three layers: the first is the stream's own, the third the table's keys.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, TypeAlias

from ..models import PlaybackEvent

__all__ = ["Recent", "SeenBy"]

SeenBy: TypeAlias = Literal["event_id", "session_key", "correlation_key"]
"""By which of its keys an event was known, in the order in which they are looked at."""

_RECENT_SECONDS: Final = 300.0
_RECENT_EVENTS: Final = 10_000


class Recent:
    """The events of the last five minutes, 10,000 of them at most: the oldest go first.

    It is sized by events, each of which has up to three keys. A session key counts together with
    its source and server, which stand in front of the correlation key, and with the start: two
    Tautullis have rows of the same number, and so sessions of the same name (of two histories of
    50,000 and 2,000 plays, 1,783 were lost before the start was looked at).
    """

    def __init__(self, *, seconds: float = _RECENT_SECONDS, most: int = _RECENT_EVENTS) -> None:
        self._seconds = seconds
        self._most = most
        self._keys: set[tuple[str, str]] = set()
        self._order: deque[tuple[float, list[tuple[str, str]]]] = deque()

    def seen(self, event: PlaybackEvent, now: float) -> SeenBy | None:
        """By what it is known; ``None`` when it is new, and from now on it is known.

        ``now`` is in seconds, of a clock that never goes back.
        """
        order, known = self._order, self._keys
        while order and (len(order) > self._most or now - order[0][0] > self._seconds):
            known.difference_update(order.popleft()[1])
        keys: list[tuple[SeenBy, str]] = [("event_id", event.event_id)]
        if event.session_key:
            session = f"{_server_of(event)}:{event.started_at}:{event.session_key}"
            keys.append(("session_key", session))
        if event.correlation_key:
            keys.append(("correlation_key", event.correlation_key))
        for key in keys:
            if key in known:
                return key[0]
        known.update(keys)
        order.append((now, list(keys)))
        return None


def _server_of(event: PlaybackEvent) -> str:
    return ":".join(event.correlation_key.split(":", 2)[:2]) or event.source
