"""Take external ids from Plex's answer about a rating key, if it is about the same title.

A rebuilt server gives the same rating keys out again, and Plex answers about the item that has
the key *now*. So an answer counts only if it matches the film or show that was played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from ..model.guids import listed_ids, movie_ids, plex_guid, series_ids
from ..model.items import Kind, Origin
from .titles import folded
from .works import Known, Work

__all__ = [
    "Answers",
    "Ask",
    "Metadata",
    "Question",
    "bears_title",
    "believe",
    "ids_in",
    "ids_of",
    "is_about",
    "lacks_ids",
    "together",
]

_Key = TypeVar("_Key", int, str)


class Metadata(Struct, frozen=True, gc=False, omit_defaults=True):
    """One answer of ``get_metadata``. All fields are empty if no item has the key any more."""

    media_type: str = ""
    title: str = ""
    original_title: str = ""
    year: int | None = None
    guid: str = ""
    guids: tuple[str, ...] = ()
    """The external ids of the film, show or episode itself."""
    season: int | None = None
    episode: int | None = None
    show_key: int | None = None
    """The rating key of an episode's show."""
    show_guid: str = ""
    """The GUID of an episode's show. Only Plex's metadata service gives it, and the title."""
    show_title: str = ""


class Answers(Struct, Generic[_Key], frozen=True):
    """The answers to some questions."""

    answers: Mapping[_Key, Metadata]
    """By rating key or GUID. What has no answer is absent."""
    warnings: Sequence[str] = ()
    unanswered: int = 0
    """The number of questions without an answer."""


def together(parts: Sequence[Answers[_Key]]) -> Answers[_Key]:
    """Return several answers as one, with each warning once."""
    answers: dict[_Key, Metadata] = {}
    for part in parts:
        answers |= part.answers
    warnings = dict.fromkeys(warning for part in parts for warning in part.warnings)
    return Answers(answers, list(warnings), sum(part.unanswered for part in parts))


class Question(Struct, frozen=True):
    """A question about the item that has a rating key now."""

    key: int
    newest: int
    """The time of the newest play that asks (epoch seconds, UTC)."""
    fits: Callable[[Metadata], bool]
    """Returns true if an answer is about what the newest play says."""
    helps: Callable[[Metadata], bool]
    """Returns true if an answer has what was missing."""


Ask: TypeAlias = Callable[[Sequence[Question]], Answers[int]]
"""Ask questions. Raises nothing: a failure is a warning."""


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
    return any(bears_title(title, answer) for title in work.titles)


def bears_title(title: str, answer: Metadata) -> bool:
    """Return true if an answer has a title, in any spelling."""
    return folded(title) in map(folded, filter(None, (answer.title, answer.original_title)))


def ids_of(work: Work, answer: Metadata) -> dict[str, str]:
    """Return the external ids in the answer. None if the answer is about another work."""
    return ids_in(work.kind, answer) if is_about(work, answer) else {}


def ids_in(kind: Kind, answer: Metadata) -> dict[str, str]:
    """Return the external ids in an answer about a film or show."""
    of_agent = movie_ids if kind == "movie" else series_ids
    return {**of_agent(answer.guid), **listed_ids(answer.guids)}


def lacks_ids(work: Work) -> bool:
    """Return true if a work that will be imported has no ids, and ids of sites fit it."""
    return not work.ids and work.accepted > 0 and not work.has_own_order


def believe(work: Work, ids: Mapping[str, str], origin: Origin) -> None:
    """Save ids as the answer for a work. Every one has the time of its newest play."""
    newest = work.newest
    work.answered = {
        namespace: Known(value, origin, newest.newest, newest.newest_id)
        for namespace, value in ids.items()
    }
