"""List the films and shows without external ids, with the reason and what their ids may be."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TextIO

from msgspec import Struct

from ..model.clock import watched_at
from ..model.guids import guid_kind, plex_guid
from ..model.items import EXTERNAL, Kind, Origin
from .chain import Identified
from .corrections import COLUMNS, harmless_cell
from .metadata import Metadata, is_about
from .suggestions import Suggestion
from .titles import folded
from .works import Work

__all__ = [
    "SuggestedIds",
    "Unresolved",
    "list_unresolved",
    "suggested_ids",
    "why_no_ids",
    "write_csv",
]

_UNMATCHED: Final = frozenset({"local", "none"})


class SuggestedIds(Struct, frozen=True):
    """Ids that a film or show may have, and why."""

    ids: Mapping[str, str]
    reason: str


class Unresolved(Struct, frozen=True):
    """A film or show without external ids."""

    type: Kind
    rating_key: int | None
    """The key by which ``--ids`` can name it; ``None`` if another one has it now."""
    guid: str
    """The newest GUID, of a show that of an episode."""
    title: str
    year: int | None
    plays: int
    """The number of plays that would be imported."""
    first_play: str | None
    """The time of the oldest of these plays, UTC."""
    last_play: str | None
    """The time of the newest of these plays, UTC."""
    why: str
    """Sentences about why nothing was found."""
    suggestions: Sequence[SuggestedIds]
    has_plex_guid: bool = False
    """True if it has a ``plex://`` GUID of a film, or of an episode of the show."""


def list_unresolved(works: Iterable[Work], identified: Identified) -> Sequence[Unresolved]:
    """Return those of some films and shows that have no external ids, sorted by title.

    A show of which only some episodes have none is listed, too.
    """
    suggestions: defaultdict[Work, list[Suggestion]] = defaultdict(list)
    for one in identified.suggestions:
        suggestions[one.work].append(one)
    without = {work: groups for work in works if (groups := work.groups_without_ids)}
    return [
        _unresolved(work, without[work], identified, suggestions.get(work, ()))
        for work in sorted(without, key=lambda one: (one.kind, folded(one.title), one.year or 0))
    ]


def _unresolved(
    work: Work, groups: Sequence[int], identified: Identified, suggestions: Sequence[Suggestion]
) -> Unresolved:
    plays = work.newest.all_groups
    first = plays.orders.time(min(map(plays.oldest.__getitem__, groups)))
    last = plays.orders.time(max(map(plays.best.__getitem__, groups)))
    return Unresolved(
        work.kind,
        work.own_keys[0] if work.own_keys else None,
        next(filter(None, work.guids), ""),
        work.title,
        work.year,
        sum(map(plays.accepted.__getitem__, groups)),
        watched_at(first) if first else None,
        watched_at(last) if last else None,
        why_no_ids(work, identified, suggestions),
        [suggested_ids(one) for one in suggestions],
        not work.has_own_order and any(map(plex_guid, work.guids)),
    )


def suggested_ids(suggestion: Suggestion) -> SuggestedIds:
    """Return the ids of a suggestion with its reason in words."""
    reason: str = suggestion.reason
    return SuggestedIds(
        suggestion.ids, f"{reason} as {suggestion.other}" if suggestion.other else reason
    )


def why_no_ids(work: Work, identified: Identified, suggestions: Iterable[Suggestion]) -> str:
    """Return the reason why no external id was found, in sentences.

    ``suggestions`` are those for this film or show. That Plex was not asked, or gave no answer at
    all, is for the caller to say: it would be the same for each title.
    """
    if work.has_own_order:
        return (
            "Its episodes are counted in another order than the sites' (such as DVD order), so no "
            "id of a site fits them."
        )
    if work.ids:
        known = ", ".join(f"{site} {one.value}" for site, one in work.ids.items())
        return f"Its ids ({known}) do not fit all of its episodes, such as those of later seasons."
    of_guid = _of_guid(next(filter(None, work.guids), ""))
    said = ", and ".join(filter(None, (of_guid, _of_plex(work, identified)))) + "."
    if Origin.PLEX_DB in identified.found:
        said += " The Plex database gave no ids."
    if Origin.PLEX_CLOUD in identified.found and any(map(plex_guid, work.guids)):
        said += " Plex's metadata service gave no ids."
    if any(not one.other for one in suggestions):
        said += " Tautulli's lookup table has its title, but with another release day."
    return said


def _of_guid(guid: str) -> str:
    kind = guid_kind(guid)
    if kind == "empty":
        return "Its plays have no GUID"
    if kind in _UNMATCHED:
        return "Plex had not matched it when it was played"
    if kind == "plex":
        return "Its GUID is Plex's own"
    return f"Its GUID, {guid}, contains no id of a site that trackers know"


def _of_plex(work: Work, identified: Identified) -> str:
    answers = identified.answers
    if not work.rating_keys:
        return "without a rating key Plex cannot be asked"
    if not work.own_keys:
        return "another title has its rating key now"
    if not answers:
        return ""
    if not work.accepted:
        return "Plex was not asked"
    key, answer = next(
        ((key, answers[key]) for key in work.own_keys if key in answers), (work.own_keys[0], None)
    )
    if answer is None:
        return "Plex gave no answer"
    if answer == Metadata():
        return f"Plex no longer has an item with its rating key, {key}"
    if not is_about(work, answer):
        title = answer.title or "something without a title"
        return f"Plex now has {title} under its rating key, {key}"
    return "Plex has no id of another site for it either"


def write_csv(titles: Sequence[Unresolved], file: TextIO) -> None:
    """Write a list for ``--ids`` to fill in. Suggestions are in columns that ``--ids`` ignores."""
    suggested = {site for one in titles for each in one.suggestions for site in each.ids}
    sites = [site for site in EXTERNAL if site in suggested or site in COLUMNS]
    sites.sort(key=lambda site: COLUMNS.index(site) if site in COLUMNS else len(COLUMNS))
    columns = [
        *dict.fromkeys((*COLUMNS, *sites)),
        *(f"suggested_{site}" for site in sites),
        *("suggested_because", "plays", "first_play", "last_play", "why_no_ids"),
    ]
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for one in titles:
        several = one.suggestions
        cells: dict[str, object] = {
            "type": one.type,
            "rating_key": one.rating_key or "",
            "guid": "" if one.rating_key else harmless_cell(one.guid),
            "title": harmless_cell(one.title),
            "year": one.year or "",
            "suggested_because": harmless_cell(" or ".join(each.reason for each in several)),
            "plays": one.plays,
            "first_play": one.first_play or "",
            "last_play": one.last_play or "",
            "why_no_ids": harmless_cell(one.why),
        }
        for site in sites:
            found = dict.fromkeys(each.ids[site] for each in several if site in each.ids)
            cells[f"suggested_{site}"] = " or ".join(found)
        writer.writerow(cells)
