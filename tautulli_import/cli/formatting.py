"""Print results as JSON, and format what commands print as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ..imports.inspect import Inspection
    from ..model.watched import WatchedRule
    from ..sources.http.health import Health

__all__ = ["inspection_tables", "print_json"]


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
