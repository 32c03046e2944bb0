"""Find season and episode numbers that a row lacks."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ..model.groups import PlayGroup
from ..model.guids import numbers_in

__all__ = ["fill_numbers"]


def fill_numbers(groups: Sequence[PlayGroup]) -> None:
    """Fill in numbers from the GUID, else from the newest row of the same rating key and GUID."""
    episodes = [group for group in groups if group.play.media_type == "episode"]
    without = [group for group in episodes if None in (group.play.season, group.play.episode)]
    if not without:
        return
    known: dict[tuple[int | None, str | None], PlayGroup] = {}
    for group in sorted(episodes, key=lambda group: group.order):
        play = group.play
        if None not in (play.season, play.episode) and play.rating_key and play.guid:
            known[play.rating_key, play.guid] = group
    for group in without:
        play = group.play
        found: tuple[int | None, int | None] | None = numbers_in(play.guid)
        if found is None and (other := known.get((play.rating_key, play.guid))) is not None:
            found = other.play.season, other.play.episode
        if found is not None:
            season, episode = found
            group.play = structs.replace(
                play,
                season=season if play.season is None else play.season,
                episode=episode if play.episode is None else play.episode,
            )
