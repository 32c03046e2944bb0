"""Gather the figures of ``--page``: what became of every play, when, and of which title."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from operator import itemgetter
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..counting import Plays
from ..formatting import day, harmless, many
from ..ids.unresolved import list_unresolved
from ..ids.works import Work
from ..items.build import Records
from ..items.pipeline import ReadResult
from ..model.items import Kind
from ..model.judged import REASONS, JudgedRow, Orders
from ..model.rejections import Reason

__all__ = ["LONGEST_LIST", "Branch", "Entry", "Figures", "Listing", "SeenRows", "figures_of"]

LONGEST_LIST: Final = 40
"""The number of entries that a list keeps."""
_LONGEST_TEXT: Final = 120
_MEDIA_TYPE: Final = REASONS.index(Reason.MEDIA_TYPE)
# The verdicts that a row of a user who was not chosen can have: that of its user, and those that
# come before it.
_OTHERS: Final = frozenset(range(1, REASONS.index(Reason.USER) + 1))

Outcome: TypeAlias = Literal["film", "episode", "merged", "filtered", "rejected"]
_Titles: TypeAlias = Mapping[Work, int]


class Entry(Struct, frozen=True):
    """One line of a list."""

    title: str
    count: int = 1
    note: str = ""


class Listing(Struct, frozen=True):
    """The first ``LONGEST_LIST`` entries of a list, and the number of all."""

    entries: Sequence[Entry] = ()
    total: int = 0


class Branch(Struct, frozen=True):
    """One outcome of the plays that were read."""

    outcome: Outcome
    count: int
    titles: Listing = Listing()
    reason: Reason | None = None
    not_held: str = ""
    """The words of a sink that cannot hold the items."""
    years: Mapping[int, int] = {}
    """The number of plays of other media types, by year."""


class Figures(Struct, frozen=True):
    """The figures of a run. All times are UTC."""

    read: int
    branches: Sequence[Branch]
    """The outcomes that some play had. Their counts add up to ``read``."""
    months: Mapping[tuple[int, int], int]
    """The plays that ended in a month, by year and month."""
    hours: Sequence[int]
    """The plays that ended in an hour of the week. The first is Monday, 00:00."""
    shows: Listing
    films_again: Listing
    without_ids: Listing
    works: int
    """The number of films and shows of which something is imported."""
    is_by_viewing: bool
    """True if films and episodes are counted by viewings."""


class SeenRows:
    """Counts the rows of a run while they are read.

    With ``chosen`` users, rows of others are not counted, because the page may be shown to
    somebody else than them.
    """

    def __init__(self, chosen: Collection[int] | None) -> None:
        self._ignored = frozenset() if chosen is None else _OTHERS
        self.hours: Counter[int] = Counter()
        """By the hour in which a row ended. Hour 0 has the rows without a time."""
        self.untitled: Counter[int] = Counter()
        """The rows of other media types, in the same way."""
        self.titles: Counter[tuple[int, bytes]] = Counter()
        """The rows that were left out, by verdict and by what was played."""

    def __call__(self, rows: Sequence[JudgedRow], orders: Orders) -> None:
        """Count the rows of a batch."""
        ignored = self._ignored
        seen = [row for row in rows if row[1] not in ignored] if ignored else rows
        time = orders.time
        self.hours.update([time(row[0]) // 3600 for row in seen])
        self.untitled.update([time(row[0]) // 3600 for row in seen if row[1] == _MEDIA_TYPE])
        self.titles.update([(row[1], row[2]) for row in seen if row[1] and row[2] is not None])


def figures_of(
    result: ReadResult,
    seen: SeenRows,
    plays: Plays,
    records: Sequence[Records],
    left_out: Sequence[Mapping[str, Sequence[int]]] = (),
) -> Figures:
    """Return the figures of a run.

    ``plays`` and ``records`` are those of one sink. ``records`` has one for each user with
    ``--each-user``, and ``left_out`` has the places of those that the sink cannot hold, by reason.
    """
    places = _places(result)
    without: defaultdict[str, Counter[Work]] = defaultdict(Counter)
    held: list[Records] = []
    for number, one in enumerate(records):
        missing = left_out[number] if left_out else {}
        for reason, chosen in missing.items():
            for work, count, _ in one.at(chosen).works():
                without[reason][work] += count
        gone = {place for chosen in missing.values() for place in chosen}
        held.append(one.at(n for n in range(len(one)) if n not in gone) if gone else one)
    given: Counter[Work] = Counter()
    last: dict[Work, int] = {}
    for one in held:
        for work, count, when in one.works():
            given[work] += count
            last[work] = max(when, last.get(work, 0))
    accepted = _accepted(result, places)
    emitted = sum(without.values(), given.copy())
    merged = ((work, count - emitted[work]) for work, count in accepted.items())
    branches = [
        *_emitted(given, last),
        Branch("merged", plays.merged, _listed(pair for pair in merged if pair[1] > 0)),
        *(
            Branch("filtered", titles.total(), _listed(titles.items()), not_held=reason)
            for reason, titles in without.items()
        ),
        *_filtered(result, seen, plays, places),
        *_rejected(result, plays),
    ]
    return Figures(
        read=plays.read,
        branches=[branch for branch in branches if branch.count],
        months=_months(seen.hours),
        hours=_week(seen.hours),
        shows=_listed(_of_kind(accepted, "show").items(), notes=_episodes(given)),
        films_again=_listed(
            (film, count) for film, count in _of_kind(accepted, "movie").items() if count > 1
        ),
        without_ids=_without_ids(result, given, accepted),
        works=len(given),
        is_by_viewing=any(one.every_viewing for one in records),
    )


def _places(result: ReadResult) -> Sequence[int]:
    """Return the place of the film or show of each group of plays, or -1 for none."""
    places = array("i", [-1]) * len(result.groups)
    for place, work in enumerate(result.identified.works):
        for one in work.appearances:
            for group in one.groups:
                places[group] = place
    return places


def _accepted(result: ReadResult, places: Sequence[int]) -> _Titles:
    """Count the accepted plays that have a key."""
    works, groups = result.identified.works, result.groups
    found = {work: count for work in works if (count := work.accepted)}
    for group in result.unkeyable:
        if places[group] >= 0:
            found[works[places[group]]] -= groups.accepted[group]
    return {work: count for work, count in found.items() if count}


def _emitted(given: _Titles, last: Mapping[Work, int]) -> Iterator[Branch]:
    newest_first = sorted(given, key=last.__getitem__, reverse=True)
    kinds: Mapping[Outcome, Kind] = {"film": "movie", "episode": "show"}
    for outcome, kind in kinds.items():
        titles = {work: given[work] for work in newest_first if work.kind == kind}
        notes = {work: day(last[work]) for work in list(titles)[:LONGEST_LIST]}
        listed = _listed(titles.items(), notes=notes, is_sorted=True)
        yield Branch(outcome, sum(titles.values()), listed)


def _filtered(
    result: ReadResult, seen: SeenRows, plays: Plays, places: Sequence[int]
) -> Iterator[Branch]:
    """Yield the plays that were left out, with their titles if the rows tell them."""
    works, find = result.identified.works, result.groups.find
    titles: list[dict[Work | None, int]] = [{} for _ in REASONS]
    for (verdict, what), count in seen.titles.items():
        group = find(what)
        place = -1 if group is None else places[group]
        of_reason, work = titles[verdict], works[place] if place >= 0 else None
        of_reason[work] = of_reason.get(work, 0) + count
    for name, count in plays.filtered.items():
        reason = Reason(name)
        years = _years(seen) if reason is Reason.MEDIA_TYPE else {}
        listed = titles[REASONS.index(reason)] if reason in REASONS else {}
        yield Branch("filtered", count, _listed(listed.items()), reason, years=years)


def _rejected(result: ReadResult, plays: Plays) -> Iterator[Branch]:
    rows: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in result.rejected:
        entries = rows[row.reason.value]
        if len(entries) < LONGEST_LIST:
            number = "" if row.id is None else f"row {row.id}"
            entries.append(Entry(_short(row.detail), 1, number))
    for name, count in plays.rejected.items():
        yield Branch("rejected", count, Listing(rows[name], count), Reason(name))


def _months(hours: Mapping[int, int]) -> Mapping[tuple[int, int], int]:
    """Return plays by year and month, given those by hour since the epoch."""
    days: Counter[int] = Counter()
    for hour, count in hours.items():
        days[hour // 24] += count
    months: Counter[tuple[int, int]] = Counter()
    for number, count in days.items():
        if number:
            date = datetime.fromtimestamp(number * 86_400, UTC)
            months[date.year, date.month] += count
    return dict(sorted(months.items()))


def _years(seen: SeenRows) -> Mapping[int, int]:
    years: Counter[int] = Counter()
    for (year, _), count in _months(seen.untitled).items():
        years[year] += count
    return years


def _week(hours: Mapping[int, int]) -> Sequence[int]:
    """Return plays by hour of the week, given those by hour since the epoch."""
    week = [0] * (7 * 24)
    for hour, count in hours.items():
        if hour:
            week[(hour + 3 * 24) % len(week)] += count  # the epoch began on a Thursday
    return week


def _episodes(given: _Titles) -> Mapping[Work, str]:
    return {work: many(count, "episode") for work, count in given.items() if work.kind == "show"}


def _without_ids(result: ReadResult, given: _Titles, accepted: _Titles) -> Listing:
    without = [work for work in given if not work.ids]
    most = nlargest(LONGEST_LIST, without, key=accepted.__getitem__)
    entries = [
        Entry(_named(one.title, one.year), one.plays, _short(one.why))
        for one in list_unresolved(most, result.identified)
    ]
    entries.sort(key=lambda entry: -entry.count)
    return Listing(entries, len(without))


def _of_kind(titles: _Titles, kind: Kind) -> _Titles:
    return {work: count for work, count in titles.items() if work.kind == kind}


def _listed(
    titles: Iterable[tuple[Work | None, int]],
    *,
    notes: Mapping[Work, str] | None = None,
    is_sorted: bool = False,
) -> Listing:
    """Return the first titles, the most frequent ones first unless they are sorted."""
    counts = list(titles)
    first = counts if is_sorted else nlargest(LONGEST_LIST, counts, key=itemgetter(1))
    entries = [
        Entry(_named(work.title, work.year), count, (notes or {}).get(work, ""))
        if work
        else Entry(_named("", None), count)
        for work, count in first[:LONGEST_LIST]
    ]
    return Listing(entries, len(counts))


def _named(title: str, year: int | None) -> str:
    return f"{_short(title)}{f' ({year})' if year else ''}"


def _short(text: str) -> str:
    """Return a text that is neither too long nor has control characters."""
    start = harmless(text[:_LONGEST_TEXT]).strip() or "Without a title"
    return start if len(text) <= _LONGEST_TEXT else f"{start}…"
