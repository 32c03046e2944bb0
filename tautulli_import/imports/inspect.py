"""What a history holds, found out by reading every row with the real query: ``check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ..counting import Plays, add_up
from ..ids.corrections import Correction
from ..ids.works import Work
from ..items.outputs import records_of
from ..items.pipeline import Enricher, ReadResult, read
from ..model.clock import moment, watched_at
from ..model.guids import guid_kind
from ..model.items import Conflict
from ..model.plays import Play
from ..model.rejections import Rejected
from ..model.selection import Selection
from ..progress import UNSEEN, Progress
from ..sources.database.source import Source
from ..sources.http.health import Health
from .report import Items, alarms_of, count_items

__all__ = ["Inspected", "Inspection", "WorkIds", "take"]


class WorkIds(Struct, frozen=True):
    """Films or shows, by whether and how their external ids are known."""

    total: int
    known: int
    could_get: int
    """Without ids, but with a rating key: Plex may still know them."""
    never: int
    """Without ids, and with nobody left to ask: no rating key, or Plex has been asked."""


class Inspection(Struct, frozen=True):
    """The one object of ``check --json``. Plays and items are those of an import for all users."""

    schema: int
    source: str
    first: str | None
    """When the oldest play stopped, UTC."""
    last: str | None
    media_types: Mapping[str, int]
    guid_kinds: Mapping[str, int]
    users: Mapping[str, int]
    libraries: Mapping[str, int]
    plays: Plays
    items: Items
    films: WorkIds
    shows: WorkIds
    conflicts: Sequence[Conflict]
    warnings: Sequence[str]
    server: Health | None = None
    """The Tautulli that was asked; ``None`` of a database."""


class Inspected(Struct, frozen=True):
    """A inspection, and what it was made from."""

    inspection: Inspection
    rejected: Sequence[Rejected]
    works: Sequence[Work]
    alarms: Sequence[str]


class _Stats:
    """Counts what can be seen of a play without judging it."""

    def __init__(self) -> None:
        self.media_types: Counter[str] = Counter()
        self.guid_kinds: Counter[str] = Counter()
        self.first = 0
        self.last = 0

    def __call__(self, plays: Sequence[Play]) -> None:
        for play in plays:
            self.media_types["live" if play.live else play.media_type or "unknown"] += 1
            if play.media_type in ("movie", "episode"):
                self.guid_kinds[guid_kind(play.guid)] += 1
            when = moment(play)
            if when:
                self.first = min(self.first or when, when)
                self.last = max(self.last, when)


def take(
    source: Source,
    selection: Selection,
    corrections: Sequence[Correction] = (),
    progress: Progress = UNSEEN,
    *,
    enrich: Enricher | None = None,
    server: Health | None = None,
) -> Inspected:
    """Read everything, write nothing, tell what is there.

    Raises:
        TautulliImportError: the source cannot be read.
    """
    tally = _Stats()
    reading = read(
        source,
        selection,
        corrections=corrections,
        progress=progress,
        watch=tally,
        enrich=enrich,
    )
    records = records_of(reading, every_viewing=False)
    asked = enrich is not None and not reading.identified.warnings
    alarms = [*(server.warnings if server else ()), *alarms_of(reading)]
    inspection = Inspection(
        schema=1,
        source=source.name,
        first=watched_at(tally.first) if tally.first else None,
        last=watched_at(tally.last) if tally.last else None,
        media_types=dict(tally.media_types.most_common()),
        guid_kinds=dict(tally.guid_kinds.most_common()),
        users=_by_name([(u.name, u.user_id, u.plays) for u in source.users()]),
        libraries=_by_name([(b.name, b.section_id, b.plays) for b in source.libraries()]),
        plays=add_up(reading.read, reading.verdicts, sum(reading.accepted.values()), len(records)),
        items=count_items(records, new=len(records)),
        films=_ids_of(reading, "movie", asked=asked),
        shows=_ids_of(reading, "show", asked=asked),
        conflicts=reading.identified.conflicts,
        warnings=[*source.notices, *alarms],
        server=server,
    )
    return Inspected(inspection, reading.rejected, _imported(reading), alarms)


def _by_name(counted: Sequence[tuple[str, int, int]]) -> Mapping[str, int]:
    """Plays by name; with the id where a name stands for several."""
    names = Counter(name for name, _, plays in counted if plays)
    return {
        name if names[name] == 1 else f"{name} ({number})": plays
        for name, number, plays in counted
        if plays
    }


def _imported(reading: ReadResult) -> Sequence[Work]:
    """The works of which something would be imported."""
    return list(dict.fromkeys(kept.work for kept in reading.kept))


def _ids_of(reading: ReadResult, kind: str, *, asked: bool) -> WorkIds:
    works = [work for work in _imported(reading) if work.kind == kind]
    without = [work for work in works if not work.ids]
    could = 0 if asked else sum(1 for work in without if work.rating_keys)
    return WorkIds(len(works), len(works) - len(without), could, len(without) - could)
