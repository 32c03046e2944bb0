"""Show what ``check`` found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..formatting import many
from ..imports.inspect import Inspection, WorkIds
from ..model.rejections import Reason
from ..model.watched import WatchedRule
from ..sources.http.health import Health
from .console import Screen
from .formatting import option_for

__all__ = ["show_inspection"]

_CONFLICTS: Final = 10
_MEDIA_TYPES: Final = {
    "movie": "film",
    "episode": "episode",
    "track": "track",
    "photo": "photo",
    "clip": "clip",
}
_GUIDS: Final = {"none": "no agent", "empty": "no GUID", "local": "local", "plex": "Plex"}
_ORIGINS: Final = {
    "guid": "the GUID",
    "other_plays": "other plays of the title",
    "lookup_tables": "Tautulli's lookup tables",
    "corrections": "your --ids file",
    "get_metadata": "Plex",
    "title": "the title",
    "plex_db": "the Plex library database",
    "plex_cloud": "Plex's metadata service",
}


def show_inspection(
    found: Inspection, rules: Sequence[WatchedRule], screen: Screen, *, asking: str
) -> None:
    """Print an inspection on standard output. ``asking`` is the way to ask Plex for ids."""
    plays, items = found.plays, found.items
    span = f", from {found.first[:10]} to {found.last[:10]}" if found.first and found.last else ""
    screen.paragraph(f"{found.source}: {many(plays.read, 'play')}{span}.", bold=True)
    if found.years:
        most = max(found.years, key=found.years.__getitem__)
        first, *_, last = [*found.years, *found.years]
        line = screen.sparkline(list(found.years.values()))
        screen.paragraph(f"{first} {line} {last}, most in {most}: {found.years[most]:,}")
    screen.facts(
        [
            *_of_server(found.server),
            ("Users", _counts(found.users)),
            ("Libraries", _counts(found.libraries)),
            ("Kinds", ", ".join(_kinds(found.media_types)) or "none"),
            *([("GUIDs", _guids(found.guid_kinds))] if screen.verbose else []),
            *(("Watched", _rule(rule)) for rule in rules),
        ]
    )
    would = f"{many(items.movies, 'film')} and {many(items.episodes, 'episode')} would be imported."
    screen.paragraph(would, bold=True)
    for line in (*_ids("film", found.films, asking), *_ids("show", found.shows, asking)):
        screen.paragraph(line, indent=2)
    if screen.verbose:
        origins = {_ORIGINS.get(k, k): n for k, n in items.ids_from.items()}
        screen.paragraph(f"Ids come from: {_counts(origins)}.", indent=2)
    if items.without_external_id:
        without = many(items.without_external_id, "film or episode", "films and episodes")
        screen.paragraph(f"{without} would keep a number of Plex as the key.", indent=2)
    if plays.merged:
        again = "plays are older ones of the same film or episode."
        screen.paragraph(f"{plays.merged:,} {again}", indent=2)
    for counts, what in ((plays.filtered, "left out"), (plays.rejected, "rejected")):
        if counts:
            total = many(sum(counts.values()), "play")
            screen.paragraph(f"{total} would be {what}:", bold=True)
        for name, count in counts.items():
            screen.counted(count, f"{Reason(name).sentence}{option_for(name)}")
    for conflict in found.conflicts[:_CONFLICTS]:
        screen.paragraph(
            f"Conflicting ids: {conflict.title} has {conflict.namespace} {conflict.kept} (used) "
            f"and {conflict.dropped}."
        )
    if (more := len(found.conflicts) - _CONFLICTS) > 0:
        screen.paragraph(f"{more:,} more titles have conflicting ids; --json lists them.")


def _guids(counts: Mapping[str, int]) -> str:
    return _counts({_GUIDS.get(kind, kind): count for kind, count in counts.items()})


def _kinds(counts: Mapping[str, int]) -> Iterator[str]:
    for name, count in counts.items():
        if name == "live":
            yield f"{count:,} live TV"
        elif name in _MEDIA_TYPES:
            yield many(count, _MEDIA_TYPES[name])
        else:
            yield f"{count:,} of an unknown kind" if name == "unknown" else f"{count:,} {name}"


def _ids(what: str, ids: WorkIds, asking: str) -> Iterator[str]:
    if not ids.total:
        return
    if ids.known == ids.total:
        yield f"{'All' if ids.total > 1 else 'The'} {many(ids.total, what)} have external ids."
    else:
        yield f"{ids.known:,} of {many(ids.total, what)} have external ids."
    if ids.partly:
        has, its = ("has", "its") if ids.partly == 1 else ("have", "their")
        yield f"{ids.partly:,} of these {has} ids that do not fit all of {its} episodes."
    if ids.could_get:
        yield f"{ids.could_get:,} have none yet, but Plex may know them ({asking})."
    if ids.never:
        yield f"{ids.never:,} have none, and nobody else can be asked (add them with --ids)."


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
