"""Decide if two works of the same title are the same work.

A library can have two shows called "The Office". A library that was set up anew has all its
titles under new rating keys and new GUIDs. Only the plays themselves can tell the two cases
apart.
"""

from __future__ import annotations

from typing import TypeVar

from ..model.guids import plex_guid
from .works import Work, folded, tells

__all__ = ["is_one", "may_be_one"]

_Value = TypeVar("_Value", str, int)


def is_one(one: Work, other: Work) -> bool:
    """Return true if two works of one title are the same: some evidence for it, none against."""
    if not may_be_one(one, other):
        return False
    return one.kind == "movie" or _share_an_episode(one, other) or _follow_each_other(one, other)


def may_be_one(one: Work, other: Work) -> bool:
    """Return false if evidence shows that two works of one title are different.

    Films must have the same year. These are evidence: different ``plex://`` GUIDs (of the films,
    or of an episode with the same numbers), different years of an episode with the same numbers,
    different titles of most such episodes, and years that are too far apart for one season.
    """
    if one.kind == "movie":
        mine, theirs = _plex_guids(one), _plex_guids(other)
        return not mine or not theirs or bool(mine & theirs)
    alike = 0
    for mine_in, theirs_in in _in_both(one, other):
        if _differ(mine_in.guids, theirs_in.guids) or _differ(mine_in.years, theirs_in.years):
            return False
        alike += 1 if mine_in.titles & theirs_in.titles else -1
    if alike < 0:
        return False
    spans = _years(other)
    return all(
        season not in spans or (first <= spans[season][1] + 1 and spans[season][0] <= last + 1)
        for season, (first, last) in _years(one).items()
    )


def _share_an_episode(one: Work, other: Work) -> bool:
    """Return true if both have an episode of the same numbers, year and distinctive title."""
    return any(
        mine.years & theirs.years and any(tells(title) for title in mine.titles & theirs.titles)
        for mine, theirs in _in_both(one, other)
    )


def _follow_each_other(one: Work, other: Work) -> bool:
    """Return true if one show's plays begin after the other's end, as in a rebuilt library.

    Two shows of one name in one library are played in turns. The years must fit as well. The
    history has no year of a show, only of its episodes. So both must have a season in common,
    or one must have the season after one of the other's, at most two years later.
    """
    before, after = sorted((one, other), key=lambda work: work.newest.when)
    if before.newest.when >= after.groups[-1].when:
        return False
    mine, theirs = _years(before), _years(after)
    if mine.keys() & theirs.keys():
        return True  # may_be_one has compared their years
    return any(
        season + 1 in later and 0 <= later[season + 1][0] - last <= 2
        for earlier, later in ((mine, theirs), (theirs, mine))
        for season, (_, last) in earlier.items()
    )


def _years(work: Work) -> dict[int, tuple[int, int]]:
    """Return the first and last year of each played season, without specials."""
    years: dict[int, tuple[int, int]] = {}
    for play in work.plays:
        if play.season and play.year:
            first, last = years.get(play.season, (play.year, play.year))
            years[play.season] = (min(first, play.year), max(last, play.year))
    return years


def _plex_guids(work: Work) -> set[str]:
    return {guid.lower() for play in work.plays if (guid := plex_guid(play.guid, "movie"))}


def _in_both(one: Work, other: Work) -> list[tuple[_Numbered, _Numbered]]:
    """Return the episodes whose numbers both shows have."""
    episodes = _episodes(other)
    return [
        (mine, episodes[numbers]) for numbers, mine in _episodes(one).items() if numbers in episodes
    ]


def _differ(mine: set[_Value], theirs: set[_Value]) -> bool:
    return bool(mine) and bool(theirs) and not mine & theirs


class _Numbered:
    """The GUIDs, titles and years that the plays of one episode have."""

    __slots__ = ("guids", "titles", "years")

    def __init__(self) -> None:
        self.guids: set[str] = set()
        self.titles: set[str] = set()
        self.years: set[int] = set()


def _episodes(work: Work) -> dict[tuple[int, int], _Numbered]:
    episodes: dict[tuple[int, int], _Numbered] = {}
    for play in work.plays:
        if play.season is None or play.episode is None:
            continue
        episode = episodes.setdefault((play.season, play.episode), _Numbered())
        if guid := plex_guid(play.guid, "episode"):
            episode.guids.add(guid.lower())
        if title := folded(play.title):
            episode.titles.add(title)
        if play.year:
            episode.years.add(play.year)
    return episodes
