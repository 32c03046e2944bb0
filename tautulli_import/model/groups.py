"""Group the plays of the same film or episode, and keep the newest, or all of them for viewings.

A million plays are of a few hundred thousand films and episodes at most, and most rows repeat
what another one says. So a play costs one dictionary lookup here. A group is a number: the place
of its values in arrays, which take a tenth of the memory of objects.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from operator import itemgetter
from typing import Final

from .clock import WatchedAt
from .every_play import EveryPlay
from .judged import NOBODY, REASONS, USUAL, JudgedRow, Order, Orders
from .played import Played, PlayedEpisode, decode_all_played, decode_played
from .rejections import Reason

__all__ = ["NO_NUMBER", "PlayGroups"]

NO_NUMBER = -1
"""In place of a season or episode number that is missing or invalid."""

_REJECTS: Final = {n: reason for n, reason in enumerate(REASONS) if reason and reason.rejects}
_DECODED_AT_ONCE: Final = 100

_PLAIN: Final = itemgetter(0, 1, 2)
_WHAT: Final = itemgetter(2)


class PlayGroups:
    """Groups and counts judged rows, in any order.

    ``settle`` decodes what was played where values are of odd types. ``orders`` are those of the
    rows.

    ``first`` and ``newest`` are the orders of any plays of a group, of any user and watched or
    not, because each play is evidence of the title. ``first`` is that of the oldest play with a
    time. ``oldest`` and ``best`` are those of the oldest and the newest accepted play, and 0
    without one.
    """

    def __init__(
        self,
        settle: Callable[[bytes], Played],
        *,
        every_viewing: bool = False,
        each_user: bool = False,
        watched_at: WatchedAt = "stopped",
        orders: Orders = USUAL,
    ) -> None:
        self.orders = orders
        self.is_detailed = every_viewing or each_user or watched_at == "started"
        """True if detailed rows are needed."""
        self._settle = settle
        self._each_user = each_user
        self._starts_count = watched_at == "started"
        self._numbers: dict[bytes, int] = {}
        self._texts: list[bytes] = []
        self._replaced: dict[int, Played] = {}
        self.odd: set[int] = set()
        """The groups with values of odd types, as far as they were decoded."""
        self.first, self.newest = orders.column(), orders.column()
        self.oldest, self.best = orders.column(), orders.column()
        self.accepted = array("i")
        """The number of accepted plays."""
        self.season, self.episode = array("q"), array("q")
        """The numbers of episodes, or -1 for none. ``numbered`` sets them, when all is read."""
        self._undated: set[int] = set()
        self._best_of: dict[tuple[int, int], Order] = {}
        self._oldest_of: dict[int, Order] = {}
        self._accepted_of: Counter[tuple[int, int]] = Counter()
        self.every_play: EveryPlay | None = None
        """All plays, with every viewing only."""
        if every_viewing:
            self.every_play = EveryPlay(
                orders, each_user=each_user, starts_count=self._starts_count
            )
        self.unsure: tuple[array[int], array[int]] = array("q"), array("q")
        """The row ids and the groups of accepted plays that may lack something for a key."""
        self._verdicts = [0] * len(REASONS)

    def __len__(self) -> int:
        return len(self.newest)

    def __getitem__(self, group: int) -> Played:
        """Return what was played."""
        if group in self._replaced:
            return self._replaced[group]
        try:
            return decode_played(self._texts[group])
        except ValueError:
            self.odd.add(group)
            return self._settle(self._texts[group])

    def __iter__(self) -> Iterator[Played]:
        """Yield what was played, group by group."""
        return self.of(range(len(self)))

    def of(self, groups: Sequence[int]) -> Iterator[Played]:
        """Yield what was played of some groups. This is faster than one by one."""
        texts = self._texts
        for start in range(0, len(groups), _DECODED_AT_ONCE):
            some = groups[start : start + _DECODED_AT_ONCE]
            try:
                found = decode_all_played(b"[%b]" % b",".join([texts[group] for group in some]))
            except ValueError:
                found = [self[group] for group in some]
            else:
                if not self._replaced.keys().isdisjoint(some):
                    found = [self._replaced.get(g, one) for g, one in zip(some, found, strict=True)]
            yield from found

    def numbered(self) -> Iterator[Played]:
        """Yield what was played, group by group. Set ``season`` and ``episode`` meanwhile."""
        self.season, self.episode = array("q"), array("q")
        add_season, add_episode = self.season.append, self.episode.append
        for played in self:
            season = episode = None
            if isinstance(played, PlayedEpisode):
                season, episode = played.season, played.episode
            add_season(NO_NUMBER if season is None or season < 0 else season)
            add_episode(NO_NUMBER if episode is None or episode < 0 else episode)
            yield played

    def replace(self, group: int, played: PlayedEpisode) -> None:
        """Replace what was played, because a missing number was found."""
        self._replaced[group] = played
        season, episode = played.season, played.episode
        self.season[group] = NO_NUMBER if season is None or season < 0 else season
        self.episode[group] = NO_NUMBER if episode is None or episode < 0 else episode

    def span(self, group: int) -> tuple[int, int]:
        """Return the times of the oldest and the newest play (epoch seconds, UTC)."""
        time = self.orders.time
        return time(self.first[group]), time(self.newest[group])

    def find(self, encoded: bytes) -> int | None:
        """Return the group of plays of what a row says was played."""
        if not self._numbers:
            self._numbers = {known: group for group, known in enumerate(self._texts)}
        return self._numbers.get(encoded)

    def end(self) -> None:
        """Release the memory that only ``take`` needs, because everything is read."""
        self._numbers = {}
        if not self._each_user:
            for (group, _), order in self._best_of.items():
                self.best[group] = order
            for group, order in self._oldest_of.items():
                self.oldest[group] = order

    @property
    def verdicts(self) -> Counter[Reason]:
        """Return the number of rows that were left out, by reason."""
        counts: Counter[Reason] = Counter()
        for reason, count in zip(REASONS, self._verdicts, strict=True):
            if reason is not None and count:
                counts[reason] += count
        return counts

    def accepted_by_user(self, without: Collection[int] = ()) -> Counter[int | None]:
        """Count accepted plays, by user with ``--each-user``, otherwise under ``None``.

        Those of the groups ``without`` are left out.
        """
        if not self._each_user:
            lost = sum(self.accepted[group] for group in without)
            return Counter({None: sum(self.accepted) - lost})
        found: Counter[int | None] = Counter()
        for (group, user), count in self._accepted_of.items():
            if group not in without:
                found[user] += count
        return found

    def take(self, rows: Sequence[JudgedRow]) -> list[tuple[int, Reason, int]]:
        """Add rows. Return the id, reason and group of those that were rejected."""
        if not self.is_detailed:
            return self._take(rows)
        rejected = self._take(map(_PLAIN, rows))
        groups = list(map(self._numbers.get, map(_WHAT, rows)))
        if self._each_user:
            self._count_users(rows, groups)
        if self.every_play is not None:
            self.every_play.add(rows, groups)
        else:
            self._take_newest(rows, groups)
        return rejected

    def _take(self, rows: Iterable[JudgedRow]) -> list[tuple[int, Reason, int]]:
        """Add plain rows. This loop runs a million times."""
        numbers, texts, verdicts = self._numbers, self._texts, self._verdicts
        first, newest, oldest, best = self.first, self.newest, self.oldest, self.best
        accepted = self.accepted
        undated, dated = self._undated, self.orders.lowest_dated
        find = numbers.get
        rejected = []
        for order, verdict, what in rows:
            group = find(what)
            if group is None:
                if what is None:
                    verdicts[verdict] += 1
                    continue
                numbers[what] = group = len(texts)
                texts.append(what)
                first.append(order)
                newest.append(order)
                oldest.append(0)
                best.append(0)
                accepted.append(0)
                if order < dated:
                    undated.add(group)
            elif order > newest[group]:
                newest[group] = order
                if undated and order >= dated and group in undated:
                    undated.discard(group)
                    first[group] = order
            elif dated <= order < first[group]:
                first[group] = order
            if verdict:
                verdicts[verdict] += 1
                if reason := _REJECTS.get(verdict):
                    rejected.append((self.orders.row_id(order), reason, group))
                continue
            count = accepted[group]
            accepted[group] = count + 1
            if order > best[group]:
                best[group] = order
                if not count:
                    oldest[group] = order
            elif order < oldest[group]:
                oldest[group] = order
            if verdict is not None:
                self.unsure[0].append(self.orders.row_id(order))
                self.unsure[1].append(group)
        return rejected

    def _count_users(self, rows: Sequence[JudgedRow], groups: Sequence[int | None]) -> None:
        self._accepted_of.update(
            (group, row[3])
            for row, group in zip(rows, groups, strict=True)
            if group is not None and not row[1]
        )

    def _take_newest(self, rows: Sequence[JudgedRow], groups: Sequence[int | None]) -> None:
        """Find the newest accepted plays by user, or by the time when they started."""
        orders, best_of, oldest_of = self.orders, self._best_of, self._oldest_of
        for row, group in zip(rows, groups, strict=True):
            order, verdict, _, user, begun, *_ = row
            if group is None or verdict:
                continue
            if self._starts_count:
                order = orders.order(begun, orders.row_id(order))
                oldest_of[group] = min(order, oldest_of.get(group, order))
            place = group, user if self._each_user else NOBODY
            best_of[place] = max(order, best_of.get(place, order))

    def newest_of_users(self) -> Mapping[int, Sequence[tuple[int, Order]]]:
        """Return the newest accepted play of each user, by group. Only with ``--each-user``."""
        found: defaultdict[int, list[tuple[int, Order]]] = defaultdict(list)
        for (group, user), newest in self._best_of.items():
            found[group].append((user, newest))
        return found
