"""Refuse a source that now holds another history than in the run before."""

from __future__ import annotations

from typing import Final

from ..errors import CheckpointError
from ..state.checkpoint import SavedJob
from .database.source import Source

__all__ = ["OTHER_HISTORY_HINT", "refuse_other_history"]

OTHER_HISTORY_HINT: Final = (
    "If that is intended, add --restart. To keep both histories, use another --state-dir."
)


def refuse_other_history(source: Source, saved: SavedJob | None) -> int:
    """Return how many of the saved sample rows are in the source.

    Raises:
        CheckpointError: sample rows are saved, and the source has none of them.
    """
    known = saved.samples if saved else ()
    matching = source.count_matches(known) if known else 0
    if known and not matching:
        raise CheckpointError(
            f"{source.name} is not the database this command read last time "
            f"(0 of {len(known)} known plays found).",
            hint=OTHER_HISTORY_HINT,
        )
    return matching
