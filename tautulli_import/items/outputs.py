"""Give each sink its items, in an order that survives ``kill -9`` at any moment.

First the keys are staged in the state file. Then the sink makes the items durable. Only then
the keys are saved as published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ..model.keys import event_key
from ..model.selection import Selection
from ..progress import UNSEEN, Progress
from ..sinks.base import Receipt, Sink, finishing
from ..sources.base import User
from ..sources.database.source import Source
from ..state.copies import Copy, settle_copy
from ..state.outputs import OutputNotes, OutputStore, Place, Published, encoded
from .build import Records, records_of
from .leftovers import Leftovers, find_leftovers, find_unrecorded, is_given
from .pipeline import ReadResult

__all__ = ["Planned", "Wish", "deliver", "place_of", "plan", "take_over"]


_SELECTIONS: Final = 50
"""The most selections to remember of an output. A script may choose another date every day."""


class Wish(Struct, frozen=True):
    """The selection of a run as its outputs remember it, and what to do with other entries."""

    selection: str = ""
    """Equal for runs that select the same, whatever their options are called."""
    replace: bool = False
    """``--replace``: remove the entries of ours that this run would not write."""


class Planned(Struct, frozen=True):
    """One sink for one user (or for all), and its records."""

    name: str
    sink: Sink
    user: User | None
    records: Records
    wish: Wish = Wish()
    notes: OutputNotes = OutputNotes()
    """All else that is remembered of it."""
    retired: Mapping[str, int] = {}
    """The keys in ``before`` whose plays have other keys now, with their times (epoch seconds)."""
    leftovers: Leftovers = Leftovers()
    """Entries of ours that this run would not write. Without ``replace`` they stay."""
    staged: bytes = b""
    """The entries of ours that the output may have after the run, encoded to save memory."""

    @property
    def place(self) -> Place:
        """Return the key for what is remembered of the output."""
        return place_of(self.name, self.sink, self.user)

    @property
    def is_new_selection(self) -> bool:
        """Return true if no earlier run wrote into this output with this selection."""
        return self.wish.selection not in self.notes.selections

    @property
    def is_announced(self) -> bool:
        """Return true if this run tells of the leftovers before it writes."""
        return self.wish.replace or self.is_new_selection


def place_of(name: str, sink: Sink, user: User | None = None) -> Place:
    """Return the key for what is remembered of an output: the sink, its files, the user's id."""
    return name, sink.identity, str(user.user_id) if user else ""


def take_over(outputs: OutputStore | None, name: str, sink: Sink, user: User | None = None) -> None:
    """Let a checked output have what is remembered of it under its name in the settings."""
    if outputs is not None:
        place = place_of(name, sink, user)
        outputs.rename((name, sink.asked_identity, place[2]), place)


def plan(  # noqa: PLR0917 - all that one output depends on
    source: Source,
    result: ReadResult,
    selection: Selection,
    outputs: OutputStore | None,
    name: str,
    sink: Sink,
    user: User | None,
    wish: Wish,
    *,
    is_emptied: bool = False,
) -> Planned:
    """Choose the records of one output, and find the entries of ours that it should not have.

    With ``is_emptied`` it gets none.
    """
    records = records_of(
        result,
        every_viewing=sink.keeps_viewings,
        user_id=user.user_id if user else None,
        user=user.name if user else None,
    )
    if is_emptied:
        records = records.at(())
    planned = Planned(name, sink, user, records, wish)
    if not _is_kept_up(sink) or not (outputs or wish.replace):
        return planned
    notes = (outputs and outputs.notes(planned.place)) or OutputNotes()
    staged = _staged(records, {}) if sink.supersedes else b""
    is_recorded = outputs is not None and outputs.has(planned.place, staged)
    is_there = sink.exists()
    others = outputs.entries(planned.place) if outputs and is_there and not is_recorded else {}
    if not notes.selections:  # it is new, or an earlier version wrote the record
        is_complete = is_recorded or bool(others) or not is_there
        notes = msgspec.structs.replace(notes, is_complete=is_complete)
    if sink.only_adds:  # the newest viewing of a title leaves the one before there
        notes = msgspec.structs.replace(notes, is_complete=False)
    for key, _, when in records.published() if others else ():
        if key in others and others[key][1] <= when:
            del others[key]
    given = _given(records, others)
    retired: dict[str, int] = {}
    if not is_emptied:
        every_viewing = sink.keeps_viewings
        retired = _retired(result, source, others, given, selection, every_viewing=every_viewing)
    if wish.replace:  # also what has the other form of its key: of a viewing, or of a title
        retired |= {
            key: epoch
            for key, (_, epoch) in others.items()
            if key not in given and is_given(key, epoch, given)
        }
    leftovers = Leftovers()
    if wish.replace or {*notes.selections} != {wish.selection}:
        rest = {key: entry for key, entry in others.items() if key not in retired}
        leftovers = find_leftovers(source, rest, given, selection.latest)
    if wish.replace and not notes.is_complete:
        before = outputs.entries(planned.place) if outputs else {}
        everything = {key: (play_id, when) for key, play_id, when in records.published()}
        leftovers = leftovers.plus(
            find_unrecorded(source, result, sink, before, everything, selection.latest)
        )
    if leftovers.times:
        given_keys = {key for key, _, _ in records.published()}
        updated = len(leftovers.times.keys() & given_keys)
        leftovers = msgspec.structs.replace(leftovers, updated=updated)
    retiring = {} if sink.only_adds and not wish.replace else retired
    for key in (*retiring, *(leftovers.times if wish.replace else ())):
        others.pop(key, None)
    if others and sink.supersedes:
        staged = _staged(records, others)
    return Planned(name, sink, user, records, wish, notes, retired, leftovers, staged)


def _given(records: Records, others: Published) -> Published:
    """Return the keys and times of the records that a key in ``others`` is a form of."""
    forms: set[str] = set()
    for key, (_, epoch) in others.items():
        forms |= {key, key.removesuffix(f"@{epoch}"), event_key(key, epoch)}
    return {
        key: (play_id, when)
        for key, play_id, when in (records.published() if forms else ())
        if key in forms
    }


def _staged(records: Records, others: Published) -> bytes:
    """Encode the entries of ours that the output may have after the run.

    ``others`` are those that the records do not give, or that are newer there. The key of a
    deleted play stays known, because its item is still in the sink. A dictionary of all would
    take a lot of memory.
    """
    given: set[str] = set()

    def entries() -> Iterator[tuple[str, tuple[int, int]]]:
        for key, play_id, when in records.published():
            if key in others:
                given.add(key)
            yield key, others.get(key) or (play_id, when)
        for key, entry in others.items():
            if key not in given:
                yield key, entry

    return encoded(entries())


def deliver(
    planned: Planned,
    outputs: OutputStore | None,
    *,
    dry_run: bool,
    progress: Progress = UNSEEN,
) -> tuple[Receipt, Sequence[Path]]:
    """Give a sink its records. In a dry run only ask what it would do.

    Also return the copies of what was there before, if the run has made them and then changed it.

    Raises:
        SinkError: the sink failed, or no copy could be made.
    """
    sink, wish, place = planned.sink, planned.wish, planned.place
    sink.progress = progress
    sink.superseded = planned.retired
    if wish.replace:
        sink.superseded = {**planned.retired, **planned.leftovers.times}
    if outputs is not None:
        sink.verified = outputs.verified(place)
    if dry_run or outputs is None or not _is_kept_up(sink):
        return _committed(planned, dry_run=dry_run), ()
    notes = planned.notes
    notes = msgspec.structs.replace(
        notes,
        selections=_with(notes.selections, wish.selection)[-_SELECTIONS:],
        jobs=_with(notes.jobs, outputs.job) if outputs.job else notes.jobs,
    )
    folder = outputs.folder
    copies: Sequence[Copy] = ()
    if folder is not None and (wish.replace or not notes.is_changed):
        copies = sink.keep_copies(folder)
    if sink.supersedes:
        outputs.stage(place, planned.staged, notes)
    receipt = _committed(planned, dry_run=False)
    is_changed = bool(receipt.written or receipt.new or receipt.updated or receipt.removed)
    if wish.replace:  # all that is there of ours is known now
        notes = msgspec.structs.replace(notes, selections=(wish.selection,), is_complete=True)
    notes = msgspec.structs.replace(notes, is_changed=notes.is_changed or is_changed)
    outputs.publish(place, notes)
    for copy in copies:
        settle_copy(copy, is_changed=is_changed)
    return receipt, [copy.path for copy in copies] if is_changed else []


def _is_kept_up(sink: Sink) -> bool:
    """Return true if the place of a sink also holds entries of other runs or programs."""
    return (sink.supersedes or sink.merges) and bool(sink.identity) and not sink.is_piped


def _with(known: Sequence[str], one: str) -> tuple[str, ...]:
    return (*known, one) if one not in known else (*known,)


def _committed(planned: Planned, *, dry_run: bool) -> Receipt:
    """Write and commit. A closed pipe is no error: its reader has all that it wanted.

    Raises:
        SinkError: the sink failed.
    """
    sink = planned.sink
    # A write is finished before anything stops, except to a pipe, whose reader may take forever.
    is_stoppable = sink.is_piped or sink.is_stoppable or dry_run
    kept = "Other sinks have their output."
    try:
        with finishing(planned.name, "", is_stoppable=is_stoppable, delivered=kept):
            sink.write(planned.records)
            return sink.preview() if dry_run else sink.commit()
    except BrokenPipeError:
        return sink.preview()


def _retired(
    result: ReadResult,
    source: Source,
    before: Published,
    given: Published,
    selection: Selection,
    *,
    every_viewing: bool,
) -> dict[str, int]:
    """Find the keys of earlier runs whose plays have other keys now.

    Return the time of each (epoch seconds, UTC). The key of a deleted play stays, because an
    import removes nothing. With and without ``--rewatches`` a play has different keys by the
    person's wish, so those stay, too.
    """
    orphans: defaultdict[int, list[str]] = defaultdict(list)
    for key, (play_id, epoch) in before.items():
        if key in given or key.endswith(f"@{epoch}") is not every_viewing:
            continue
        if not is_given(key, epoch, given):
            orphans[play_id].append(key)
    return {
        key: when
        for play_id, when in result.imported(source, selection, orphans).items()
        for key in orphans[play_id]
        if before[key][1] == when
    }
