"""Collect what may be the ids of a film or show, for a person to judge. Nothing else uses them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from .dates import may_be_one
from .works import called_alike

if TYPE_CHECKING:
    from ..sources.base import Lookup
    from .works import Work

__all__ = ["Suggestion", "suggest"]

Reason: TypeAlias = Literal["same title and year", "same title", "lookup of another release day"]


class Suggestion(Struct, frozen=True):
    """Ids that a film or show without ids may have, and why they are not used."""

    work: Work
    ids: Mapping[str, str]
    reason: Reason
    other: str = ""
    """The title of the film or show that the ids are from; empty for a lookup."""


def suggest(works: Sequence[Work], doubtful: Iterable[tuple[Work, Lookup]]) -> Sequence[Suggestion]:
    """Return the suggestions for works that have no ids at the end.

    ``doubtful`` are Tautulli's lookups of the right title whose release day does not fit.
    """
    named: defaultdict[tuple[int, int | None], list[Work]] = defaultdict(list)
    for number, places in enumerate(called_alike(works)):
        for place in places:
            named[number, works[place].year].append(works[place])
    found: list[Suggestion] = []
    for same_title in named.values():
        known = [work for work in same_title if work.ids]
        for work in same_title if known else ():
            if work.ids or (work.kind == "movie" and not work.year):
                continue
            reason: Reason = "same title and year" if work.kind == "movie" else "same title"
            found += [
                Suggestion(
                    work, {site: one.value for site, one in other.ids.items()}, reason, other.title
                )
                for other in known
                if may_be_one(work, other)
            ]
    known_works = set(works)  # others were joined to one of these
    found += [
        Suggestion(work, dict(lookup.ids), "lookup of another release day")
        for work, lookup in doubtful
        if not work.ids and work in known_works
    ]
    return found
