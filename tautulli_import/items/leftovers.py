"""Find the entries of ours in an output that this run would not write, and whose they are.

Earlier runs with another selection wrote them. Without ``--replace`` they stay. An entry is
removed only if the history still has its play, because otherwise nobody can tell whose it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from ..model.judged import NOBODY
from ..model.keys import event_key
from ..model.selection import Selection
from ..sinks.base import Sink
from ..sinks.entries import epoch_of, time_of, values_of
from ..sources.database.source import Source
from ..state.outputs import Published
from .keyed import base_keys
from .pipeline import ReadResult

__all__ = ["Leftovers", "find_leftovers", "find_unrecorded", "is_given"]

_OURS: Final = "tautulli-"
"""The beginning of each ``provider_event_id`` of ours. The row id follows."""
_NO_ROW: Final = -1


class Leftovers(Struct, frozen=True):
    """The entries of ours in an output that this run would not write."""

    times: Mapping[str, int] = {}
    """The time of each (epoch seconds, UTC), by key. The history has their plays."""
    whose: Mapping[str, int] = {}
    """The number of them, by user."""
    updated: int = 0
    """The number of them whose title this run writes as well, at another time."""
    unknown: int = 0
    """Further ones whose plays are no longer in the history."""
    unrecorded: int = 0
    """Entries of which nobody can tell who wrote them, because no record of them was kept."""

    def plus(self, other: Leftovers) -> Leftovers:
        """Return both together."""
        return Leftovers(
            {**self.times, **other.times},
            Counter(self.whose) + Counter(other.whose),
            self.updated + other.updated,
            self.unknown + other.unknown,
            self.unrecorded + other.unrecorded,
        )


def is_given(key: str, epoch: int, given: Published) -> bool:
    """Return true if a run that gives these keys and times gives this entry, or a newer one.

    It may give it under the other form of the key: an output with an entry for each viewing can
    get a run without ``--rewatches``, and the other way round.
    """
    if key in given:
        return given[key][1] >= epoch
    title = key.removesuffix(f"@{epoch}")
    if title != key:
        return title in given and given[title][1] == epoch
    return event_key(key, epoch) in given


def find_leftovers(source: Source, before: Published, given: Published, latest: int) -> Leftovers:
    """Find the entries in ``before`` that a run with ``given`` keys and times would not write.

    ``latest`` is the last possible time of a play; see ``moment``.
    """
    rows: defaultdict[int, list[str]] = defaultdict(list)
    for key, (row, epoch) in before.items():
        if not is_given(key, epoch, given):
            rows[row].append(key)
    wanted = {key: before[key][1] for keys in rows.values() for key in keys}
    return _attributed(source, rows, wanted, latest)


def find_unrecorded(  # noqa: PLR0917 - the history, the output, and all that is known of it
    source: Source,
    result: ReadResult,
    sink: Sink,
    before: Published,
    given: Published,
    latest: int,
) -> Leftovers:
    """Find further entries of ours in the files of a sink, without a record of them.

    Ours are those with the ``provider_event_id`` of a row, and those with a key and a time that
    this history gives under any selection.
    """
    rows: defaultdict[int, list[str]] = defaultdict(list)
    wanted: dict[str, int] = {}
    for key, epoch, row in _entries_in(sink):
        if not (_is_recorded(key, epoch, before) or is_given(key, epoch, given)):
            wanted[key] = epoch
            rows[row].append(key)
    others = rows.pop(_NO_ROW, [])
    found = _attributed(source, rows, wanted, latest)
    if others:
        whose = _under_any_selection(source, result, {wanted[key] for key in others}, latest)
        names = _Names(source)
        counts: Counter[str] = Counter()
        times: dict[str, int] = {}
        for key in others:
            user = whose.get((key.removesuffix(f"@{wanted[key]}"), wanted[key]))
            if user is not None:
                counts[names.of(user)] += 1
                times[key] = wanted[key]
        found = found.plus(Leftovers(times, counts, unrecorded=len(others) - len(times)))
    return found


def _is_recorded(key: str, epoch: int, before: Published) -> bool:
    """Return true if the record has the entry, under either form of its key."""
    forms = key, key.removesuffix(f"@{epoch}"), event_key(key, epoch)
    return any(form in before and before[form][1] == epoch for form in forms)


def _attributed(
    source: Source, rows: Mapping[int, list[str]], wanted: Mapping[str, int], latest: int
) -> Leftovers:
    """Keep the keys whose play the history still has, at the time of the entry."""
    names = _Names(source)
    times: dict[str, int] = {}
    whose: Counter[str] = Counter()
    for row in source.chosen(rows, _anything(latest)) if rows else ():
        ended = source.orders.time(row.order)
        for key in rows[source.orders.row_id(row.order)]:
            if wanted[key] in (row.begun, ended) and key not in times:
                times[key] = wanted[key]
                whose[names.of(row.user)] += 1
    return Leftovers(times, whose, unknown=sum(map(len, rows.values())) - len(times))


def _under_any_selection(
    source: Source, result: ReadResult, times: set[int], latest: int
) -> Mapping[tuple[str, int], int]:
    """Return the users of the plays of these times, by each key and time that they can have.

    The keys are without the time of a viewing. Some selection gives them.
    """
    bases = dict(base_keys(result.identified.works, result.groups))
    found: dict[tuple[str, int], int] = {}
    for batch in source.judged(_anything(latest), detailed=True):
        for order, _, what, user, begun, *_ in batch.rows:
            group = None if what is None else result.groups.find(what)
            if group in bases:
                for when in times.intersection((begun, source.orders.time(order))):
                    found[bases[group], when] = user
    return found


def _anything(latest: int) -> Selection:
    """Return a selection of all films and episodes. Only what was played and when matters."""
    return Selection(frozenset({"movie", "episode", "live"}), include_partial=True, latest=latest)


class _Names:
    """Names the users of plays."""

    def __init__(self, source: Source) -> None:
        self._names = {
            user.user_id: user.name for user in source.users() if user.user_id is not None
        }

    def of(self, user: int) -> str:
        """Return the name of a user, as Tautulli shows it."""
        return "unknown" if user == NOBODY else self._names.get(user) or str(user)


def _entries_in(sink: Sink) -> Iterator[tuple[str, int, int]]:
    """Yield the key, the time and the row id (or ``_NO_ROW``) of each entry in a sink's place."""
    for key, raw in sink.entries().items():
        epoch = epoch_of(time_of(raw))
        if epoch is None:
            continue  # not ours: we write only times of this form
        name = str(values_of(raw).get("provider_event_id") or "")
        row = name.removeprefix(_OURS)
        is_ours = name.startswith(_OURS) and row.isascii() and row.isdigit()
        yield key, epoch, int(row) if is_ours and len(row) < 19 else _NO_ROW
