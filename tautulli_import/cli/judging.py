"""Judge a finished run by the rows that it could not use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import RowsRejectedError, SourceDamagedError
from ..formatting import many
from ..model.rejections import Reason
from ..settings.fields import Settings
from ..sources.database.salvage.report import DamageReport, sentence_of
from ..sources.database.source import Source
from .console import Screen

__all__ = ["judge_rejected"]


def judge_rejected(
    rejected: Mapping[str, int],
    source: Source,
    settings: Settings,
    screen: Screen,
    damaged: Sequence[DamageReport] = (),
    *,
    are_events: bool = False,
) -> None:
    """Fail the finished run if its rejected rows, or ``damaged`` files, demand that.

    Warn of damage that cost nothing. Only events need the media info of plays.

    Raises:
        SourceDamagedError: a salvaged file lost plays, or rows could not be read.
        RowsRejectedError: rows were rejected, and ``strict`` is set.
    """
    if any(one.missing or (are_events and one.without_details) for one in damaged):
        backup = next((one.backup for one in damaged if one.backup), None)
        raise SourceDamagedError(
            " ".join(sentence_of(one) for one in damaged),
            hint=f"{backup.path} has {backup.plays:,} of the lost plays. "
            "Name it as well to read them from there."
            if backup and not any(one.recovered for one in damaged)
            else "All plays that are left were read.",
        )
    for one in damaged:
        screen.warn(sentence_of(one))
    if unreadable := rejected.get(Reason.UNREADABLE.value):
        raise SourceDamagedError(
            f"{source.name} has {many(unreadable, 'row')} that could not be read.",
            hint="All other rows were read. Name a backup as well to read them from there.",
        )
    if settings.strict and (count := sum(rejected.values())):
        raise RowsRejectedError(
            f"{many(count, 'row')} rejected (--strict).",
            hint="All other rows were read. To list the rejected ones, use --report FILE or "
            "tautulli-import check --verbose.",
        )
