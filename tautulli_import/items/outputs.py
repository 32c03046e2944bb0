"""Give each sink its items, in an order that survives ``kill -9`` at any moment.

First the keys are staged in the state file. Then the sink makes the items durable. Only then
the keys are saved as published.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct

from ..errors import SinkError, TautulliImportError
from ..formatting import shown
from ..interrupts import defer_signals
from ..model.selection import Selection
from ..sinks.base import Receipt, Sink
from ..sources.base import User
from ..sources.database.source import Source
from ..state.checkpoint import CheckpointStore, Published
from .build import Records, records_of
from .pipeline import ReadResult

__all__ = ["Planned", "deliver", "plan"]


class Planned(Struct, frozen=True):
    """One sink for one user (or for all), and its records."""

    name: str
    sink: Sink
    user: User | None
    records: Records
    before: Published
    """The keys that earlier runs gave to this sink."""
    retired: Mapping[str, int]
    """The keys in ``before`` whose plays have other keys now, with their times (epoch seconds)."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Return the key for the published keys: the sink, its files, the user's number."""
        where = "\n".join(shown(Path(os.path.realpath(path))) for path in self.sink.writes())
        return self.name, where, str(self.user.user_id) if self.user else ""


def plan(  # noqa: PLR0917 - all that one output depends on
    source: Source,
    result: ReadResult,
    selection: Selection,
    store: CheckpointStore | None,
    name: str,
    sink: Sink,
    user: User | None,
) -> Planned:
    """Choose the records of one output, and find the keys that have changed."""
    records = records_of(
        result,
        every_viewing=sink.keeps_viewings,
        user_id=user.user_id if user else None,
        user=user.name if user else None,
    )
    planned = Planned(name, sink, user, records, {}, {})
    if store is None or not sink.supersedes:
        return planned
    before = store.published(*planned.place)
    retired = _retired(result, source, before, records, selection)
    return Planned(name, sink, user, records, before, retired)


def deliver(planned: Planned, store: CheckpointStore | None, *, dry_run: bool) -> Receipt:
    """Give a sink its records. In a dry run only ask what it would do.

    Raises:
        SinkError: the sink failed.
    """
    sink = planned.sink
    remembers = store is not None and sink.supersedes
    if remembers and store is not None:
        # The key of a deleted play stays known, because its item is still in the sink.
        kept = {key: play for key, play in planned.before.items() if key not in planned.retired}
        now = {key: (play_id, when) for key, play_id, when in planned.records.published()}
        store.stage(*planned.place, kept | now)
    sink.superseded = planned.retired
    # A write is finished before anything stops, except to a pipe, whose reader may take forever.
    with nullcontext() if sink.is_piped or dry_run else defer_signals():
        receipt = _committed(planned, dry_run=dry_run)
    if remembers and store is not None:
        store.publish(*planned.place)
    return receipt


def _committed(planned: Planned, *, dry_run: bool) -> Receipt:
    """Write and commit. A closed pipe is no error: its reader has all that it wanted.

    Raises:
        SinkError: the sink failed.
    """
    sink, name = planned.sink, planned.name
    try:
        sink.write(planned.records)
        return sink.preview() if dry_run else sink.commit()
    except BrokenPipeError:
        return sink.preview()
    except (TautulliImportError, MemoryError):
        raise
    except OSError as error:
        raise SinkError(
            f"{name} could not be written: {error.strerror or error}.",
            hint="Make room, or choose another place with --out. Other sinks have their output.",
        ) from error
    except Exception as error:
        raise SinkError(
            f"The sink {name} failed: {type(error).__name__}: {error}.",
            hint="Add --debug to see where it failed. Other sinks have their output.",
        ) from error


def _retired(
    result: ReadResult,
    source: Source,
    before: Published,
    records: Records,
    selection: Selection,
) -> Mapping[str, int]:
    """Find the keys of earlier runs whose plays have other keys now.

    Return the time of each (epoch seconds, UTC). The key of a deleted play stays, because an
    import removes nothing.
    """
    keys = {key for key, _, _ in records.published()}
    orphans: defaultdict[int, list[str]] = defaultdict(list)
    for key, (play_id, _) in before.items():
        if key not in keys:
            orphans[play_id].append(key)
    return {
        key: when
        for play_id, when in result.imported(source, selection, orphans).items()
        for key in orphans[play_id]
        if before[key][1] == when
    }
