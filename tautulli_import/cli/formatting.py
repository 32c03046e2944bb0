"""Print results as JSON, and format what commands print as text."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ..model.items import Episode, Movie, Record
from ..model.rejections import Reason

if TYPE_CHECKING:
    from ..ids.unresolved import Unresolved
    from ..imports.report import Report
    from ..model.events import PlaybackEvent

__all__ = [
    "SHOWN",
    "EventsSeen",
    "described",
    "names_of",
    "not_held",
    "option_for",
    "print_json",
    "years_of",
]

SHOWN: Final = 20
"""The number of items or events that a dry run shows."""


def print_json(value: object) -> None:
    """Print a value as one line of JSON on standard output."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def years_of(records: Sequence[Record]) -> Counter[tuple[str, str]]:
    """Count records by year and kind."""
    return Counter(
        (
            record.item.watched_at[:4],
            "movie" if isinstance(record.item, Movie) else "episode",
        )
        for record in records
    )


def names_of(record: Record) -> tuple[str, str]:
    """Return the title of a record, and the numbers of an episode."""
    item = record.item
    if isinstance(item, Episode):
        return f"{item.series_title}: {item.title}", f"S{item.season:02d}E{item.episode:02d}"
    return item.title, ""


def not_held(report: Report) -> int:
    """Return the number of items that the format of the first sink cannot hold."""
    first = [output for output in report.outputs if output.sink == report.sinks[0]]
    return sum(sum(output.left_out.values()) for output in first)


def option_for(reason: str) -> str:
    """Return the options that import what was left out for this reason, in brackets."""
    ways: Mapping[str, str] = {
        Reason.PARTIAL.value: " (--include-partial, or --min-percent N)",
        Reason.LIVE.value: " (--media-type live)",
    }
    return ways.get(reason, "")


def described(title: Unresolved) -> tuple[Sequence[str], Sequence[str]]:
    """Return the cells of a title without ids, and what to print below them."""
    first, last = ((when or "-")[:10] for when in (title.first_play, title.last_play))
    year = str(title.year or "")
    key = "" if title.rating_key is None else f"rating key {title.rating_key}"
    place = ", ".join(filter(None, ("Film" if title.type == "movie" else "Show", key, title.guid)))
    suggestions = [
        f"Suggestion: {', '.join(f'{site} {value}' for site, value in one.ids.items())} "
        f"({one.reason})."
        for one in title.suggestions
    ]
    cells = (title.title or "Without a title", year, f"{title.plays:,}", first, last)
    return cells, (f"{place}. {title.why}", *suggestions)


class EventsSeen:
    """Events to be shown: their number by year and kind, and the newest events."""

    def __init__(self) -> None:
        self.count = 0
        self.years: Counter[tuple[str, str]] = Counter()
        self.newest: deque[PlaybackEvent] = deque(maxlen=SHOWN)

    def add(self, events: Sequence[PlaybackEvent]) -> None:
        """Count events, and keep the newest. They come in ascending order of time."""
        self.count += len(events)
        self.years.update((event.started_at[:4], event.media_type) for event in events)
        self.newest += events
