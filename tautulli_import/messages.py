"""What was published, by whomever, made into a playback event; or why it cannot be one."""

from __future__ import annotations

from datetime import datetime
from typing import Final, get_type_hints

import msgspec

from .event_store_schema import is_plain, settled
from .models import PlaybackEvent

__all__ = ["UnusableError", "event_of"]

_LARGEST: Final = 2**63 - 1
_NUMBERS: Final = tuple(
    name for name, kind in get_type_hints(PlaybackEvent).items() if kind in (int, int | None)
)
_decode: Final = msgspec.json.Decoder(PlaybackEvent).decode


class UnusableError(ValueError):
    """The message is no playback event, and why."""


def event_of(message: bytes) -> PlaybackEvent:
    """The event that a message is, as the table takes it; unknown fields are passed over.

    Raises:
        UnusableError: it is none, or lacks what tells it from others.
    """
    try:
        event = _decode(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnusableError(f"it is no playback event: {error}") from error
    except UnicodeDecodeError as error:
        raise UnusableError("it is not UTF-8") from error
    if not event.correlation_key:
        raise UnusableError("it has no correlation_key")
    for name in _NUMBERS:
        value = getattr(event, name)
        if value is not None and not -_LARGEST <= value <= _LARGEST:
            raise UnusableError(f"its {name} is too large a number")
    try:
        if not is_plain(event):
            return settled(event)
        for moment in (event.timestamp, event.started_at, event.stopped_at or event.started_at):
            datetime.fromisoformat(moment)
    except ValueError as error:
        raise UnusableError(str(error)) from error
    return event
