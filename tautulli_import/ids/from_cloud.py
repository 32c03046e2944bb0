"""Take ids from Plex's metadata service for films and shows that have none.

A film's GUID leads to its ids. The history has no GUID of a show, so the GUID of an episode leads
to its show first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

from ..model.guids import plex_guid
from ..model.items import Kind, Origin
from .metadata import Answers, Metadata, believe, ids_in, lacks_ids, together
from .titles import folded
from .works import Work

__all__ = ["AskCloud", "ask_cloud"]

AskCloud: TypeAlias = Callable[[Sequence[str]], Answers[str]]
"""Ask about GUIDs. Raises nothing: a failure is a warning."""

_MOST_EPISODES: Final = 3
"""The number of episodes to ask about at most, if the first ones do not decide about a show."""


def ask_cloud(works: Iterable[Work], ask: AskCloud) -> Answers[str]:
    """Save the ids that Plex's metadata service has as the answers for works without ids.

    There is one question for each film. For each show there is one about an episode, and one about
    the show that it leads to.
    """
    wanted = [work for work in works if lacks_ids(work)]
    results: list[Answers[str]] = []

    def answers_to(guids: Iterable[str]) -> Mapping[str, Metadata]:
        results.append(ask(list(dict.fromkeys(guids))))
        return results[-1].answers

    films = {work: guid for work in wanted if (guid := work.plex_guid())}
    _believe_all("movie", films, answers_to(films.values()))
    shows = _find_shows([work for work in wanted if work.kind == "show"], answers_to)
    _believe_all("show", shows, answers_to(shows.values()))
    return together(results)


def _believe_all(kind: Kind, guids: Mapping[Work, str], answers: Mapping[str, Metadata]) -> None:
    for work, guid in guids.items():
        answer = answers.get(guid.lower())
        if answer and _is_item(answer, kind, guid):
            believe(work, ids_in(kind, answer), Origin.PLEX_CLOUD)


def _find_shows(
    works: Iterable[Work], answers_to: Callable[[Iterable[str]], Mapping[str, Metadata]]
) -> Mapping[Work, str]:
    """Return the GUIDs of shows, found through their episodes.

    If a GUID leads to a show of another title, a second episode must lead there too. It is not
    needed if the service knows no other episode. It is waited for if that is not known.
    """
    found: dict[Work, str] = {}
    unconfirmed: dict[Work, str] = {}
    unanswered: set[Work] = set()
    open_works = {work: guids for work in works if (guids := _episodes(work))}
    for number in range(_MOST_EPISODES):
        asked = {work: guids[number] for work, guids in open_works.items() if number < len(guids)}
        answers = answers_to(asked.values()) if asked else {}
        for work, guid in asked.items():
            answer = answers.get(guid.lower())
            if answer is None:
                unanswered.add(work)
                continue
            if not _is_item(answer, "episode", guid):
                continue
            show = (plex_guid(answer.show_guid, "show") or "").lower()
            before = unconfirmed.pop(work, None)
            if folded(answer.show_title) in work.titles or before == show:
                found[work] = show
                del open_works[work]
            elif before is None:
                unconfirmed[work] = show
            else:
                del open_works[work]  # two episodes of two other shows
    found |= {work: show for work, show in unconfirmed.items() if work not in unanswered}
    return {work: show for work, show in found.items() if show}


def _episodes(work: Work) -> Sequence[str]:
    """Return the ``plex://`` GUIDs of the newest episodes of a show."""
    guids = (plex_guid(played.guid, "episode") for _, played in work.episodes)
    return list(islice(dict.fromkeys(filter(None, guids)), _MOST_EPISODES))


def _is_item(answer: Metadata, kind: str, guid: str) -> bool:
    """Return true if an answer is about the film, show or episode with this GUID."""
    return answer.media_type == kind and answer.guid.lower() == guid.lower()
