"""Keeping the books while a history is generated, and drawing up the truth at the end."""

from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

from tests.support.history.media import Home, Item
from tests.support.history.truth import Outcome, Play, Totals, Truth, Work

WATCHED = frozenset({"watched", "marker"})


class Entry(NamedTuple):
    """What is remembered of one row."""

    row_id: int
    user_id: int
    reference_id: int
    started: int
    stopped: int | None
    home: Home
    guid: str | None
    outcome: Outcome


class Collector:
    """Counts every row; remembers the rows of films and episodes, if it is to."""

    def __init__(self, *, remember: bool) -> None:
        """Begin with nothing counted."""
        self._remember = remember
        self._entries: list[Entry] = []
        self._kinds: Counter[str] = Counter()
        self._users: Counter[int] = Counter()
        self._outcomes: Counter[bool] = Counter()
        self._without_numbers = 0
        self._without_stopped = 0

    def add(self, entry: Entry) -> None:
        """Take note of one row."""
        item = entry.home.item
        self._kinds[item.kind] += 1
        self._users[entry.user_id] += 1
        self._without_stopped += entry.stopped is None
        if item.kind not in {"movie", "episode"}:
            return
        self._outcomes[entry.outcome in WATCHED] += 1
        unnumbered = item.season is None or item.episode is None
        self._without_numbers += item.kind == "episode" and unnumbered
        if self._remember:
            self._entries.append(entry)

    def truth(self, seed: int) -> Truth:
        """Draw up the truth about all rows noted."""
        totals = Totals(
            rows=sum(self._kinds.values()),
            by_media_type=dict(sorted(self._kinds.items())),
            by_user=dict(sorted(self._users.items())),
            watched=self._outcomes[True],
            partial=self._outcomes[False],
            without_numbers=self._without_numbers,
            without_stopped=self._without_stopped,
        )
        known = _Known(self._entries)
        plays: dict[Item, list[Play]] = {}
        for entry in self._entries:
            plays.setdefault(entry.home.item, []).append(_play(entry, known))
        works = tuple(
            _work(number, item, rows) for number, (item, rows) in enumerate(plays.items(), 1)
        )
        of_row = {play.row_id: index for index, work in enumerate(works) for play in work.plays}
        return Truth(seed, totals, works, of_row)


class _Known:
    """Which ids follow for which row: sets of rows that are provably the same, joined."""

    def __init__(self, entries: list[Entry]) -> None:
        self._parent: dict[Hashable, Hashable] = {}
        for entry in entries:
            identity, *more = _marks(entry)
            for mark in more:
                self._parent[self._root(mark)] = self._root(identity)
        self._ids: dict[Hashable, dict[str, str]] = {}
        for entry in entries:
            self.ids(entry).update(_written(entry))

    def ids(self, entry: Entry) -> dict[str, str]:
        return self._ids.setdefault(self._root(_marks(entry)[0]), {})

    def _root(self, mark: Hashable) -> Hashable:
        while (parent := self._parent.setdefault(mark, mark)) != mark:
            mark = parent
        return mark


def _marks(entry: Entry) -> list[Hashable]:
    """Return what proves that two rows are the same: a key with a title, a plex:// GUID."""
    home = entry.home
    item = home.item
    marks: list[Hashable] = [(item.kind, home.show_key or home.rating_key, item.subject.title)]
    if entry.guid and entry.guid.startswith("plex://"):
        marks.append(entry.guid)
    return marks


def _written(entry: Entry) -> dict[str, str]:
    """Return the ids that a row spells out; none, where its GUID got lost."""
    return entry.home.written_ids if entry.guid else {}


def _play(entry: Entry, known: _Known) -> Play:
    home = entry.home
    return Play(
        row_id=entry.row_id,
        user_id=entry.user_id,
        reference_id=entry.reference_id,
        started=entry.started,
        stopped=entry.stopped,
        rating_key=home.rating_key,
        show_key=home.show_key,
        guid=entry.guid,
        outcome=entry.outcome,
        written_ids=_written(entry),
        offline_ids=known.ids(entry),
        lookup_ids=home.lookup_ids,
    )


def _work(number: int, item: Item, plays: list[Play]) -> Work:
    is_episode = item.kind == "episode"
    guids = {play.guid for play in plays if play.guid and play.guid.startswith("plex://")}
    return Work(
        number=number,
        kind="episode" if is_episode else "movie",
        title=item.title,
        year=item.year,
        show=item.subject.title if is_episode else None,
        show_number=item.subject.number if is_episode else None,
        season=item.season,
        episode=item.episode,
        ids=item.subject.ids,
        rating_keys=frozenset(play.rating_key for play in plays),
        show_keys=frozenset(play.show_key for play in plays if play.show_key is not None),
        plex_guids=frozenset(guids),
        watched=tuple(play for play in plays if play.watched),
        partial=tuple(play for play in plays if not play.watched),
    )
