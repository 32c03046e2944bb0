"""Find season and episode numbers that a row lacks."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ..model.groups import PlayGroups
from ..model.guids import numbers_in
from ..model.played import PlayedEpisode
from .appearances import Appearance

__all__ = ["fill_numbers", "lack_numbers"]


def lack_numbers(groups: PlayGroups) -> dict[int, PlayedEpisode]:
    """Return the groups of accepted episodes that lack a number, with what was played."""
    odd = [group for group in sorted(groups.odd) if groups.accepted[group]]
    found = {group: groups[group] for group in dict.fromkeys([*groups.unsure[1], *odd])}
    return {
        group: played
        for group, played in found.items()
        if isinstance(played, PlayedEpisode) and None in (played.season, played.episode)
    }


def fill_numbers(appearances: Sequence[Appearance], groups: PlayGroups) -> None:
    """Fill in numbers from the GUID, else from the newest row of the same rating key and GUID."""
    without = lack_numbers(groups)
    wanted: set[tuple[int | None, str | None]] = set()
    for group, played in without.items():
        if (numbers := numbers_in(played.guid)) is not None:
            _fill(groups, group, played, *numbers)
        elif played.rating_key and played.guid:
            wanted.add((played.rating_key, played.guid))
    if not wanted:
        return
    shows = {played.grandparent_rating_key for played in without.values()}
    known: dict[tuple[int | None, str | None], tuple[int, PlayedEpisode]] = {}
    for one in appearances:
        if one.kind == "movie" or one.played.work_key not in shows:
            continue
        for group, played in one.episodes:
            place = played.rating_key, played.guid
            if place not in wanted or None in (played.season, played.episode):
                continue
            order = groups.newest[group]
            if place not in known or known[place][0] < order:
                known[place] = order, played
    for group, played in without.items():
        if numbers_in(played.guid) is None and (played.rating_key, played.guid) in known:
            _, other = known[played.rating_key, played.guid]
            _fill(groups, group, played, other.season, other.episode)


def _fill(
    groups: PlayGroups, group: int, played: PlayedEpisode, season: int | None, episode: int | None
) -> None:
    filled = structs.replace(
        played,
        season=season if played.season is None else played.season,
        episode=episode if played.episode is None else played.episode,
    )
    groups.replace(group, filled)
