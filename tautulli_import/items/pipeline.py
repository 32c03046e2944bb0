"""Read a whole source: judge every play, identify its film or show, build canonical keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from ..counting import RowCounts, rejected_play
from ..ids.chain import Identified, identify
from ..ids.corrections import Correction
from ..ids.metadata import Answers, Question
from ..ids.plex_library import PlexLibrary
from ..model.groups import PlayGroups
from ..model.judged import JudgedRow, Orders
from ..model.rejections import Reason, Rejected
from ..model.selection import Selection
from ..progress import UNSEEN, Progress
from ..sources.base import JudgedBatch
from ..sources.database.rows import settled_played
from ..sources.database.source import Source
from .keyed import KeptPlays, keyed

__all__ = ["NO_PLEX", "Cloud", "Enricher", "PlexSources", "ReadResult", "read"]


class Enricher(Protocol):
    """Asks Plex what it knows of films and shows."""

    def ask(self, questions: Sequence[Question], progress: Progress) -> Answers[int]:
        """Ask about items by rating key. Raise nothing."""


class Cloud(Protocol):
    """Asks Plex's metadata service."""

    def ask(self, guids: Sequence[str], progress: Progress) -> Answers[str]:
        """Ask about films, shows and episodes by ``plex://`` GUID. Raise nothing."""


class PlexSources(Struct, frozen=True):
    """The places to look for ids that no offline evidence has, in this order."""

    library: PlexLibrary | None = None
    tautulli: Enricher | None = None
    cloud: Cloud | None = None


_Q = TypeVar("_Q")
_A = TypeVar("_A")
NO_PLEX: Final = PlexSources()
"""Nothing to ask."""


class ReadResult(Struct, frozen=True):
    """All plays of a source, read and identified."""

    read: int
    """All rows."""
    verdicts: Mapping[Reason, int]
    accepted: Mapping[int | None, int]
    """Accepted plays, by user with ``--each-user``, otherwise under ``None``."""
    groups: PlayGroups
    kept: KeptPlays
    every_viewing: bool
    """True if every viewing is kept."""
    rejected: Sequence[Rejected]
    """The rejected rows one by one. ``verdicts`` counts them."""
    identified: Identified
    unkeyable: Collection[int]
    """The groups of accepted plays that have no key."""

    def imported(
        self, source: Source, selection: Selection, ids: Collection[int]
    ) -> Mapping[int, int]:
        """Return the times of those of these plays that are kept, or merged into one that is.

        They are given and returned by row id. The times are epoch seconds (UTC).
        """
        found: dict[int, int] = {}
        orders = self.groups.orders
        for row in source.chosen(ids, selection) if ids else ():
            group = None if row.verdict or row.what is None else self.groups.find(row.what)
            if group is not None and group not in self.unkeyable:
                ended, starts_count = orders.time(row.order), selection.watched_at == "started"
                found[orders.row_id(row.order)] = row.begun if starts_count else ended
        return found


def read(
    source: Source,
    selection: Selection,
    *,
    corrections: Sequence[Correction] = (),
    every_viewing: bool = False,
    each_user: bool = False,
    progress: Progress = UNSEEN,
    plex: PlexSources = NO_PLEX,
    tee: Callable[[Sequence[JudgedRow], Orders], None] | None = None,
) -> ReadResult:
    """Read all plays of a source, and identify the film or show of each.

    ``plex`` is asked for the ids that no offline evidence has. ``tee`` is called with the rows
    that are judged.

    Raises:
        TautulliImportError: the source cannot be read; see the errors of sources.
    """
    groups = PlayGroups(
        settled_played,
        every_viewing=every_viewing,
        each_user=each_user,
        watched_at=selection.watched_at,
        orders=source.orders,
    )
    counts = RowCounts()
    names: list[tuple[int, str]] = []  # where the unsure rows of a source begin
    progress.begin("reading", source.total())
    for batch in source.judged(selection, detailed=groups.is_detailed):
        if not names or names[-1][1] != batch.source:
            names.append((len(groups.unsure[0]), batch.source))
        rejected = [
            rejected_play(groups[group], row_id, reason, batch.source)
            for row_id, reason, group in groups.take(batch.rows)
        ]
        counts.count(batch, rejected)
        if tee:
            tee(batch.rows, groups.orders)
        progress.reached(counts.rows)
    progress.begin("matching ids", 0)
    groups.end()
    source.refuse_damage()
    tautulli, cloud = plex.tautulli, plex.cloud
    identified = identify(
        groups,
        source.lookups(),
        corrections,
        ask=partial(_answered, tautulli.ask, progress=progress) if tautulli else None,
        library=plex.library,
        cloud=partial(_answered, cloud.ask, progress=progress) if cloud else None,
    )
    kept, unkeyable = keyed(identified, groups, every_viewing=every_viewing, each_user=each_user)
    for row in _without_key(groups, unkeyable, names, lambda: source.judged(selection)):
        counts.reject(row)
    return ReadResult(
        read=counts.rows,
        verdicts=+(counts.verdicts + groups.verdicts),
        accepted=groups.accepted_by_user(without=unkeyable),
        groups=groups,
        kept=kept,
        every_viewing=every_viewing,
        rejected=list(counts.rejected.values()),
        identified=identified,
        unkeyable=unkeyable.keys(),
    )


def _answered(
    ask: Callable[[Sequence[_Q], Progress], _A], questions: Sequence[_Q], progress: Progress
) -> _A:
    """Ask, and show afterwards that ids are matched again."""
    answers = ask(questions, progress)
    progress.begin("matching ids", 0)
    return answers


def _without_key(
    groups: PlayGroups,
    unkeyable: Mapping[int, Reason],
    names: Sequence[tuple[int, str]],
    again: Callable[[], Iterable[JudgedBatch]],
) -> Iterator[Rejected]:
    """Yield the accepted plays that have no key.

    Most are known to be unsure. For the others, which are rare, everything is read ``again``.
    """
    found = 0
    for number, (start, source) in enumerate(names):
        end = names[number + 1][0] if number + 1 < len(names) else None
        for row_id, group in zip(*(column[start:end] for column in groups.unsure), strict=True):
            if group in unkeyable:
                found += 1
                yield rejected_play(groups[group], row_id, unkeyable[group], source)
    if found == sum(groups.accepted[group] for group in unkeyable):
        return
    for batch in again():
        for order, verdict, what in batch.rows:
            group = None if verdict is not None or what is None else groups.find(what)
            if group is not None and group in unkeyable:
                row_id = groups.orders.row_id(order)
                yield rejected_play(groups[group], row_id, unkeyable[group], batch.source)
