"""Decode published messages, of any publisher, into playback events."""

from __future__ import annotations

from datetime import datetime
from typing import Final, get_type_hints

import msgspec

from ..event_store.schema import is_plain, normalised
from ..model.events import PlaybackEvent

__all__ = ["UnusableError", "event_of"]

_LARGEST: Final = 2**63 - 1
_NUMBERS: Final = tuple(
    name for name, kind in get_type_hints(PlaybackEvent).items() if kind in (int, int | None)
)
_decode: Final = msgspec.json.Decoder(PlaybackEvent).decode


class UnusableError(ValueError):
    """A message is not a playback event. Its text is the reason."""


def event_of(message: bytes) -> PlaybackEvent:
    """Decode a message into a normalised event. Ignore unknown fields.

    Raises:
        UnusableError: the message is not an event, or has no correlation key.
    """
    try:
        event = _decode(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnusableError(f"it is not a playback event: {error}") from error
    except UnicodeDecodeError as error:
        raise UnusableError("it is not UTF-8") from error
    if not event.correlation_key:
        raise UnusableError("it has no correlation_key")
    for name in _NUMBERS:
        value = getattr(event, name)
        if value is not None and not -_LARGEST <= value <= _LARGEST:
            raise UnusableError(f"its {name} does not fit into 64 bits")
    try:
        if not is_plain(event):
            return normalised(event)
        for moment in (event.timestamp, event.started_at, event.stopped_at or event.started_at):
            datetime.fromisoformat(moment)
    except ValueError as error:
        raise UnusableError(str(error)) from error
    return event
