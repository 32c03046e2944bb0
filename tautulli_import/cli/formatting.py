"""Print results as JSON, and format what commands print as text."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ..formatting import many
from ..model.items import Episode, Movie, Record
from ..model.rejections import Reason

if TYPE_CHECKING:
    from ..ids.unresolved import Unresolved
    from ..imports.inspect import Inspection
    from ..imports.report import Output
    from ..model.events import PlaybackEvent
    from ..model.watched import WatchedRule
    from ..sources.http.health import Health

__all__ = [
    "SHOWN",
    "EventsSeen",
    "changes_of",
    "described",
    "inspection_tables",
    "names_of",
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


def inspection_tables(
    inspection: Inspection, rules: Sequence[WatchedRule]
) -> Iterator[Sequence[tuple[str, str]]]:
    """Return the tables that ``check`` prints. Each has its own column widths."""
    plays, items = inspection.plays, inspection.items
    yield (
        [
            *_of_server(inspection.server),
            ("Plays", f"{plays.read:,}"),
            ("From", inspection.first or "-"),
            ("To", inspection.last or "-"),
            ("Thresholds", ", ".join(map(_rule, rules))),
            ("Users", _counts(inspection.users)),
            ("Libraries", _counts(inspection.libraries)),
            ("Media types", _counts(inspection.media_types)),
            ("GUIDs", _counts(inspection.guid_kinds)),
        ]
    )
    for name, ids in (("Films", inspection.films), ("Shows", inspection.shows)):
        rest = [f"{ids.known:,} with external ids"]
        if ids.could_get:
            rest.append(f"{ids.could_get:,} without, but Plex may know them")
        if ids.never:
            rest.append(f"{ids.never:,} without, and no source left to ask")
        yield ([(name, f"{ids.total:,}: {', '.join(rest)}")])
    sources = {name: count for name, count in items.ids_from.items() if count}
    yield (
        [
            ("Items", f"{items.movies + items.episodes:,} would be imported"),
            ("Ids from", _counts(sources | {"none": items.without_external_id})),
            ("Merged", f"{plays.merged:,} plays of the same items"),
            ("Left out", _counts(plays.filtered)),
            ("Rejected", _counts(plays.rejected)),
        ]
    )
    for conflict in inspection.conflicts[:10]:
        used = f"{conflict.namespace} {conflict.kept}, not {conflict.dropped}"
        yield ([("Conflict", f"{conflict.title}: {used}")])


def _rule(rule: WatchedRule) -> str:
    return f"{rule.movie_percent} % of a film, {rule.tv_percent} % of an episode ({rule.origin})"


def _of_server(server: Health | None) -> list[tuple[str, str]]:
    if server is None:
        return []
    reachable = {True: "reachable", False: "not reachable", None: "unknown if reachable"}
    unlisted = server.rows - server.listed
    rows = f"{server.rows:,}, counted in {server.seconds:g} s"
    return [
        ("Tautulli", server.version or "unknown version"),
        ("Plex", f"{server.plex or 'unknown name'}, {reachable[server.plex_reachable]}"),
        ("Rows", f"{rows}; {unlisted:,} of them never listed" if unlisted else rows),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


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


def changes_of(output: Output) -> str:
    """Return the numbers of changed entries in words."""
    if output.duplicates is not None:
        known = f", {output.duplicates:,} known already" if output.duplicates else ""
        return f"{many(output.new, 'new event')}{known}; {output.total:,} in all."
    parts = [
        f"{output.new:,} new, {output.updated:,} updated, {output.unchanged:,} unchanged",
        *([f"{output.removed:,} removed"] if output.removed else []),
        *([f"{output.kept:,} kept because they were changed since"] if output.kept else []),
    ]
    return f"{', '.join(parts)}; {output.total:,} in all."


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
