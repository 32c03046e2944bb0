"""Format text for people: harmless text, lengths of time, counts, paths."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["day", "did_you_mean", "duration", "harmless", "many", "minute", "shown"]

# Bidirectional overrides and isolates reorder the rest of the line.
_REORDERS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def harmless(text: str) -> str:
    """Replace control characters, which a terminal would obey, by U+FFFD."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _REORDERS else c for c in text
    )


def duration(seconds: float) -> str:
    """Format a length of time: ``4 s``, ``3 min``, ``2.0 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def many(count: int, what: str, plural: str = "") -> str:
    """Format a number of things: ``1 film``, ``2 films``, ``1,200 plays``, ``2 entries``."""
    return f"{count:,} {what if count == 1 else plural or f'{what}s'}"


def day(epoch: int) -> str:
    """Format epoch seconds as a day in UTC. 0 is an unknown one."""
    return minute(epoch)[:10] if epoch else "an unknown day"


def minute(epoch: int) -> str:
    """Format epoch seconds as a day and a time in UTC."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(" ", "minutes")[:16]


def shown(path: Path) -> str:
    """Format a path for messages and reports. Bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question for the known word that is most like a misspelt one, with a blank.

    One of several parts of which the first is that word comes before all others. The question is
    empty if no word is like it.
    """
    from difflib import get_close_matches

    words = list(known)
    longer = [one for one in words if one.startswith(f"{word}-")]
    close = longer or get_close_matches(word, words, n=1)
    return f"Did you mean {close[0]}? " if close else ""
