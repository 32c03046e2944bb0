"""Take external ids from Plex's answer about a rating key, if it is about the same title.

A rebuilt server gives the same rating keys out again, and Plex answers about the item that has
the key *now*. So an answer counts only if it matches the film or show that was played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..model.guids import listed_ids, movie_ids, plex_guid, series_ids
from .works import Work, folded

__all__ = ["Answers", "Ask", "Metadata", "ids_of", "is_about"]


class Metadata(Struct, frozen=True, gc=False, omit_defaults=True):
    """One answer of ``get_metadata``. All fields are empty if no item has the key any more."""

    media_type: str = ""
    title: str = ""
    original_title: str = ""
    year: int | None = None
    guid: str = ""
    guids: tuple[str, ...] = ()
    """The external ids of the film or show itself."""


class Answers(Struct, frozen=True):
    """The answers about some works."""

    answers: Mapping[int, Metadata]
    """By rating key. Keys without an answer are absent."""
    warnings: Sequence[str] = ()
    unanswered: int = 0
    """The number of works without an answer."""


Ask: TypeAlias = Callable[[Sequence[Work]], Answers]
"""Ask about works by their newest own rating keys. Raises nothing: a failure is a warning."""


def is_about(work: Work, answer: Metadata) -> bool:
    """Return true if the answer is about this work, not about another that has its key now."""
    if answer.media_type != work.kind:
        return False
    if work.kind == "movie":
        mine, theirs = work.plex_guid(), plex_guid(answer.guid, "movie")
        if mine and theirs:
            return mine.lower() == theirs.lower()
        if work.year and answer.year and abs(work.year - answer.year) > 1:
            return False
    return not work.titles.isdisjoint(map(folded, (answer.title, answer.original_title)))


def ids_of(work: Work, answer: Metadata) -> dict[str, str]:
    """Return the external ids in the answer. None if the answer is about another work."""
    if not is_about(work, answer):
        return {}
    of_agent = movie_ids if work.kind == "movie" else series_ids
    return {**of_agent(answer.guid), **listed_ids(answer.guids)}
