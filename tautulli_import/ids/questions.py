"""Ask Plex about films and shows without ids, and about episodes without numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from ..model.groups import PlayGroup
from ..model.guids import plex_guid
from ..model.items import Origin
from .metadata import Answers, Ask, Metadata, Question, bears_title, ids_in, ids_of, is_about
from .works import Known, Work

__all__ = ["ask_plex"]


def ask_plex(works: Sequence[Work], groups: Iterable[PlayGroup], ask: Ask) -> Answers:
    """Fill in the ids and numbers that Plex knows. Return what a person must be told.

    There is one question for each film and show that will be imported and has no ids, and one for
    each episode that will be imported and has no numbers. If the answer about a show has another
    title, one question about an episode of it decides if it is believed.
    """
    wanted = [work for work in works if _is_wanted(work)]
    unnumbered = [group for group in groups if _lacks_numbers(group)]
    first = ask([*map(_about_work, wanted), *map(_about_episode, unnumbered)])
    for group in unnumbered:
        _number(group, first.answers.get(group.play.rating_key or 0))
    doubtful: list[tuple[Work, Metadata, PlayGroup]] = []
    for work in wanted:
        answer = first.answers.get(work.own_keys[0])
        if answer is None:
            continue
        if is_about(work, answer):
            _believe(work, ids_of(work, answer))
        elif work.kind == "show" and answer.media_type == "show" and (shown := _episode(work)):
            doubtful.append((work, answer, shown))
    if not doubtful:
        return first
    second = ask([_about_episode(group) for _, _, group in doubtful])
    for work, answer, group in doubtful:
        told = second.answers.get(group.play.rating_key or 0)
        if told and _is_of(told, group) and told.show_key == work.own_keys[0]:
            _believe(work, ids_in("show", answer))
    return Answers(
        {**first.answers, **second.answers},
        list(dict.fromkeys([*first.warnings, *second.warnings])),
        first.unanswered + second.unanswered,
    )


def _is_wanted(work: Work) -> bool:
    """Return true if Plex may have the missing ids of a work that will be imported."""
    missing = not work.ids and bool(work.own_keys) and not work.has_own_order
    return missing and any(group.accepted for group in work.groups)


def _lacks_numbers(group: PlayGroup) -> bool:
    play = group.play
    missing = play.season is None or play.episode is None
    return bool(
        play.media_type == "episode"
        and missing
        and group.accepted
        and play.rating_key
        and plex_guid(play.guid, "episode")
    )


def _episode(work: Work) -> PlayGroup | None:
    """Return the newest episode of a show that Plex can be asked about by key and GUID."""
    return next(
        (
            group
            for group in work.groups
            if group.play.rating_key and plex_guid(group.play.guid, "episode")
        ),
        None,
    )


def _about_work(work: Work) -> Question:
    return Question(
        work.own_keys[0],
        work.newest.when,
        fits=lambda answer: is_about(work, answer) and bears_title(work.title, answer),
        helps=lambda answer: bool(ids_of(work, answer)),
    )


def _about_episode(group: PlayGroup) -> Question:
    fits: Callable[[Metadata], bool] = lambda answer: _is_of(answer, group)  # noqa: E731
    return Question(group.play.rating_key or 0, group.when, fits=fits, helps=fits)


def _is_of(answer: Metadata, group: PlayGroup) -> bool:
    """Return true if an answer is about the episode that was played: it has the same GUID."""
    theirs = plex_guid(answer.guid, "episode")
    mine = plex_guid(group.play.guid, "episode")
    return bool(theirs and mine) and (theirs or "").lower() == (mine or "").lower()


def _number(group: PlayGroup, answer: Metadata | None) -> None:
    if answer is not None and _is_of(answer, group):
        play = group.play
        group.play = structs.replace(
            play,
            season=answer.season if play.season is None else play.season,
            episode=answer.episode if play.episode is None else play.episode,
        )


def _believe(work: Work, ids: dict[str, str]) -> None:
    newest = work.newest
    for namespace, value in ids.items():
        work.answered[namespace] = Known(value, Origin.GET_METADATA, newest.when, newest.newest_id)
