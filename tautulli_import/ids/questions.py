"""Ask Plex about films and shows without ids, and about episodes without numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from ..model.groups import PlayGroups
from ..model.guids import plex_guid
from ..model.items import Origin
from ..model.played import PlayedEpisode
from .metadata import (
    Answers,
    Ask,
    Metadata,
    Question,
    bears_title,
    believe,
    ids_in,
    ids_of,
    is_about,
    lacks_ids,
    together,
)
from .numbers import lack_numbers
from .works import Work

__all__ = ["ask_plex"]


def ask_plex(works: Sequence[Work], groups: PlayGroups, ask: Ask) -> Answers[int]:
    """Fill in the ids and numbers that Plex knows. Return what a person must be told.

    There is one question for each film and show that will be imported and has no ids, and one for
    each episode that will be imported and has no numbers. If the answer about a show has another
    title, one question about an episode of it decides if it is believed.
    """
    wanted = [work for work in works if work.own_keys and lacks_ids(work)]
    unnumbered = {
        group: played for group, played in lack_numbers(groups).items() if _can_be_asked(played)
    }
    about = [_about_episode(played, groups.span(group)[1]) for group, played in unnumbered.items()]
    first = ask([*map(_about_work, wanted), *about])
    for group, played in unnumbered.items():
        _number(groups, group, played, first.answers.get(played.rating_key or 0))
    doubtful: list[tuple[Work, Metadata, int, PlayedEpisode]] = []
    for work in wanted:
        answer = first.answers.get(work.own_keys[0])
        if answer is None:
            continue
        if is_about(work, answer):
            believe(work, ids_of(work, answer), Origin.GET_METADATA)
        elif work.kind == "show" and answer.media_type == "show" and (shown := _episode(work)):
            doubtful.append((work, answer, *shown))
    if not doubtful:
        return first
    second = ask([_about_episode(played, groups.span(group)[1]) for *_, group, played in doubtful])
    for work, answer, _, played in doubtful:
        told = second.answers.get(played.rating_key or 0)
        if told and _is_of(told, played) and told.show_key == work.own_keys[0]:
            believe(work, ids_in("show", answer), Origin.GET_METADATA)
    return together([first, second])


def _can_be_asked(played: PlayedEpisode) -> bool:
    """Return true if an answer about an episode can be recognised by its GUID."""
    return bool(played.rating_key and plex_guid(played.guid, "episode"))


def _episode(work: Work) -> tuple[int, PlayedEpisode] | None:
    """Return the newest episode of a show that Plex can be asked about by key and GUID."""
    return next(((group, one) for group, one in work.episodes if _can_be_asked(one)), None)


def _about_work(work: Work) -> Question:
    return Question(
        work.own_keys[0],
        work.newest.newest,
        fits=lambda answer: is_about(work, answer) and bears_title(work.title, answer),
        helps=lambda answer: bool(ids_of(work, answer)),
    )


def _about_episode(played: PlayedEpisode, newest: int) -> Question:
    fits: Callable[[Metadata], bool] = lambda answer: _is_of(answer, played)  # noqa: E731
    return Question(played.rating_key or 0, newest, fits=fits, helps=fits)


def _is_of(answer: Metadata, played: PlayedEpisode) -> bool:
    """Return true if an answer is about the episode that was played: it has the same GUID."""
    theirs = plex_guid(answer.guid, "episode")
    mine = plex_guid(played.guid, "episode")
    return bool(theirs and mine) and (theirs or "").lower() == (mine or "").lower()


def _number(groups: PlayGroups, group: int, played: PlayedEpisode, answer: Metadata | None) -> None:
    if answer is not None and _is_of(answer, played):
        numbered = structs.replace(
            played,
            season=answer.season if played.season is None else played.season,
            episode=answer.episode if played.episode is None else played.episode,
        )
        groups.replace(group, numbered)
