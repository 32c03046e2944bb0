"""A play and what is known about its film or show, made into the item that is written."""

from __future__ import annotations

from datetime import UTC, datetime

from .models import Episode, Ids, Item, Movie, Play

__all__ = ["item", "watched_at"]


def watched_at(epoch: int) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``, always that form: CrossWatch compares them as strings."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item(play: Play, ids: Ids, series_title: str, epoch: int) -> Item:
    """The item for a watched play.

    ``ids`` are the film's, or those of the episode's *show* (never the episode's own);
    ``series_title`` serves where the play itself does not name its show. An episode has
    both numbers: ``Selection.judge`` rejects it otherwise.
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
