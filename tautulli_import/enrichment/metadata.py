"""What Plex tells of a film or a show by its rating key, and whether that is to be believed.

A rebuilt server hands the same numbers out again: the answer to a number is about what has it
*now*. It counts only when it is about the very film or show that was played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..guids import listed_ids, movie_ids, plex_guid, series_ids
from .works import Work, folded

__all__ = ["Ask", "Metadata", "Told", "ids_of", "is_about"]


class Metadata(Struct, frozen=True, gc=False, omit_defaults=True):
    """One answer of ``get_metadata``; all of it empty where nothing has the number any more."""

    media_type: str = ""
    title: str = ""
    original_title: str = ""
    year: int | None = None
    guid: str = ""
    guids: tuple[str, ...] = ()
    """The film's or show's own external ids; those of an episode would be the episode's."""


class Told(Struct, frozen=True):
    """What came of asking for some works."""

    answers: Mapping[int, Metadata]
    """By rating key; what is not in there was not answered."""
    warnings: Sequence[str] = ()


Ask: TypeAlias = Callable[[Sequence[Work]], Told]
"""Asks for works by their newest own rating keys. It never fails: it tells less."""


def is_about(work: Work, answer: Metadata) -> bool:
    """Whether the answer is about this work, and not about what has its number now."""
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
    """The work's external ids as the answer has them; none when it is about something else."""
    if not is_about(work, answer):
        return {}
    of_agent = movie_ids if work.kind == "movie" else series_ids
    return {**of_agent(answer.guid), **listed_ids(answer.guids)}
