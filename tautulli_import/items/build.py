"""Build the item of a watched play."""

from __future__ import annotations

from ..model.clock import watched_at
from ..model.items import Episode, Ids, Item, Movie
from ..model.plays import Play

__all__ = ["item"]


def item(play: Play, ids: Ids, series_title: str, epoch: int) -> Item:
    """Build the item for a watched play.

    ``ids`` are the film's, or those of the episode's *show* (never the episode's own).
    ``series_title`` is used if the play does not name its show. An episode has a season and an
    episode number, because ``Selection.judge`` rejects the others.
    """
    title = play.title or ""
    if play.media_type == "movie":
        return Movie(ids, title, play.year, watched_at(epoch))
    if play.season is None or play.episode is None:
        raise ValueError("an episode without numbers")
    return Episode(
        ids,
        title,
        play.year,
        play.season,
        play.episode,
        watched_at(epoch),
        play.grandparent_title or series_title,
        ids,
    )
