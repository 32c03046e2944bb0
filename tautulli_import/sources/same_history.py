"""Refuse a source that holds another history than the one that was read from there before."""

from __future__ import annotations

from ..errors import CheckpointError
from ..state.checkpoint import SavedJob
from .database.source import Source

__all__ = ["refuse_other_history"]


def refuse_other_history(source: Source, saved: SavedJob | None) -> int:
    """Return how many of the remembered sample rows are in the source.

    Raises:
        CheckpointError: there are such rows, and none of them is in it.
    """
    known = saved.samples if saved else ()
    matching = source.count_matches(known) if known else 0
    if known and not matching:
        raise CheckpointError(
            f"{source.name} holds another history than the one that was read from there "
            f"before: none of {len(known)} plays that are remembered of it is in it.",
            hint="If it is meant, forget the other one with --restart, or keep both with "
            "another --state-dir.",
        )
    return matching
