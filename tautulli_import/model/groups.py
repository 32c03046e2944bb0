"""Group the plays of the same film or episode, and keep the newest, or all of them for viewings.

A million plays are of a few hundred thousand films and episodes at most, and most rows repeat
what another one says. So a play costs one dictionary lookup here. A group is a number: the place
of its values in arrays, which take a tenth of the memory of objects.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from .clock import WatchedAt
from .judged import REASONS, JudgedRow
from .played import Played, PlayedEpisode, decode_played
from .rejections import Reason
from .viewings import Evidence, viewings

__all__ = ["NOBODY", "NO_NUMBER", "Kept", "Newest", "PlayGroups", "Viewing"]

NOBODY = -1
"""The owner of plays that name no user."""
NO_NUMBER = -1
"""In place of a season or episode number that is missing or invalid."""

Newest: TypeAlias = tuple[int, int]
"""The time of a play (epoch seconds, UTC) and its row id. The newer play compares greater."""

Kept: TypeAlias = tuple[int, int | None, Newest]
"""A play that will be imported: its group, its user with ``--each-user``, its time and row id."""


class Viewing(NamedTuple):
    """A viewing that will be imported."""

    kept: Kept
    """Its newest accepted play."""
    begun: int
    """The time when that play began (epoch seconds, UTC)."""
    ended: int
    """The time when that play ended (epoch seconds, UTC)."""
    number: int
    """1 for the first viewing of the film or episode in the whole history."""


# A play among all plays: the place of the one before it in its group, then the fields below.
_WIDTH: Final = 8
_USER: Final = 2
_WATCHED: Final = 1
_ACCEPTED: Final = 2
# These plays are of another user or no evidence of a film or episode in the library.
_NO_EVIDENCE: Final = frozenset({Reason.USER, Reason.LIVE, Reason.NO_TIME, Reason.IMPOSSIBLE_TIME})
_IS_EVIDENCE: Final = [reason not in _NO_EVIDENCE for reason in REASONS]
_REJECTS: Final = {n: reason for n, reason in enumerate(REASONS) if reason and reason.rejects}


_PLAIN: Final = itemgetter(0, 1, 2, 3)


class _Row(Evidence, frozen=True, gc=False):
    """One play of a group."""

    group: int
    user: int
    accepted: bool


class PlayGroups:
    """Groups and counts judged rows, in any order.

    ``settle`` decodes what was played where values are of odd types.

    ``first``, ``newest`` and ``newest_id`` are of any play of a group, of any user and watched or
    not, because each play is evidence of the title. ``best`` and ``best_id`` are those of the
    newest accepted play, and 0 without one. They are epoch seconds (UTC) and row ids.
    """

    def __init__(
        self,
        settle: Callable[[bytes], Played],
        *,
        every_viewing: bool = False,
        each_user: bool = False,
        watched_at: WatchedAt = "stopped",
    ) -> None:
        self.is_detailed = every_viewing or each_user or watched_at == "started"
        """True if detailed rows are needed."""
        self._settle = settle
        self._every_viewing = every_viewing
        self._each_user = each_user
        self._starts_count = watched_at == "started"
        self._numbers: dict[bytes, int] = {}
        self._texts: list[bytes] = []
        self._replaced: dict[int, Played] = {}
        self.first, self.newest, self.newest_id = array("q"), array("q"), array("q")
        self.best, self.best_id = array("q"), array("q")
        self.accepted = array("q")
        """The number of accepted plays."""
        self.season, self.episode = array("q"), array("q")
        """The numbers of episodes, or -1 for none. ``number`` sets them, when all is read."""
        self._best_of: dict[tuple[int, int], Newest] = {}
        self._accepted_of: Counter[tuple[int, int]] = Counter()
        # With every viewing all plays are kept until ``free``. A million of them take 64 MB.
        self._rows = array("q")
        self._last_row = array("q")
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
            return self._settle(self._texts[group])

    def __iter__(self) -> Iterator[Played]:
        """Yield what was played, group by group."""
        replaced, decode = self._replaced, decode_played
        for group, text in enumerate(self._texts):
            if group in replaced:
                yield replaced[group]
                continue
            try:
                yield decode(text)
            except ValueError:
                yield self._settle(text)

    def number(self, season: int | None, episode: int | None) -> None:
        """Add the numbers of the next group. A film has none."""
        self.season.append(NO_NUMBER if season is None or season < 0 else season)
        self.episode.append(NO_NUMBER if episode is None or episode < 0 else episode)

    def replace(self, group: int, played: PlayedEpisode) -> None:
        """Replace what was played, because a missing number was found."""
        self._replaced[group] = played
        season, episode = played.season, played.episode
        self.season[group] = NO_NUMBER if season is None or season < 0 else season
        self.episode[group] = NO_NUMBER if episode is None or episode < 0 else episode

    def order(self, group: int) -> Newest:
        """Sort by time, then by row id: the newest group is the greatest."""
        return self.newest[group], self.newest_id[group]

    def find(self, encoded: bytes) -> int | None:
        """Return the group of plays of what a row says was played."""
        if not self._numbers:
            self._numbers = {known: group for group, known in enumerate(self._texts)}
        return self._numbers.get(encoded)

    def end(self) -> None:
        """Release the memory that only ``take`` needs, because everything is read."""
        self._numbers = {}

    def free(self) -> None:
        """Release the memory that only ``viewings`` needs."""
        self._rows = array("q")

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

    def take(  # noqa: PLR0915 - one loop, for speed
        self, rows: Sequence[JudgedRow]
    ) -> list[tuple[int, Reason, int]]:
        """Add rows. Return the id, reason and group of those that were rejected.

        This loop runs a million times.
        """
        numbers, texts, verdicts = self._numbers, self._texts, self._verdicts
        first, newest, newest_id = self.first, self.newest, self.newest_id
        best, best_id = self.best, self.best_id
        accepted = self.accepted
        find = numbers.get
        newest_counts = not self.is_detailed
        rejected = []
        found: list[int] = []  # the group of each row
        plain = rows if newest_counts else map(_PLAIN, rows)
        for row_id, verdict, when, what in plain:
            if what is None:
                verdicts[verdict] += 1
                if not newest_counts:
                    found.append(-1)
                continue
            group = find(what)
            if group is None:
                numbers[what] = group = len(newest)
                texts.append(what)
                first.append(when)
                newest.append(when)
                newest_id.append(row_id)
                best.append(0)
                best_id.append(0)
                accepted.append(0)
            elif when > newest[group] or (when == newest[group] and row_id > newest_id[group]):
                if not first[group]:
                    first[group] = when
                newest[group] = when
                newest_id[group] = row_id
            elif when and when < first[group]:
                first[group] = when
            if not newest_counts:
                found.append(group)
            if verdict:
                verdicts[verdict] += 1
                if reason := _REJECTS.get(verdict):
                    rejected.append((row_id, reason, group))
                continue
            accepted[group] += 1
            if verdict is not None:
                self.unsure[0].append(row_id)
                self.unsure[1].append(group)
            if newest_counts and (
                when > best[group] or (when == best[group] and row_id > best_id[group])
            ):
                best[group] = when
                best_id[group] = row_id
        if self._each_user:
            self._count_users(rows, found)
        if self._every_viewing:
            self._add_rows(rows, found)
        elif not newest_counts:
            self._take_newest(rows, found)
        return rejected

    def _count_users(self, rows: Sequence[JudgedRow], found: Sequence[int]) -> None:
        self._accepted_of.update(
            (group, row[4])
            for row, group in zip(rows, found, strict=True)
            if group >= 0 and not row[1]
        )

    def _add_rows(self, rows: Sequence[JudgedRow], found: Sequence[int]) -> None:
        """Keep the rows that are evidence for viewings, each with the one before in its group."""
        kept, last = self._rows, self._last_row
        last.extend([-1] * (len(self) - len(last)))
        add, place = kept.extend, len(kept)
        for row, group in zip(rows, found, strict=True):
            row_id, verdict, ended, _, user, begun, played, reached, watched = row
            if group >= 0 and ended and _IS_EVIDENCE[verdict or 0]:
                marks = watched if verdict else watched | _ACCEPTED
                add((last[group], row_id, user, begun, ended, played, reached, marks))
                last[group] = place
                place += _WIDTH

    def _take_newest(self, rows: Sequence[JudgedRow], found: Sequence[int]) -> None:
        best_of, best, best_id = self._best_of, self.best, self.best_id
        for row, group in zip(rows, found, strict=True):
            row_id, verdict, ended, _, user, begun, *_ = row
            if group < 0 or verdict:
                continue
            newest = (begun if self._starts_count else ended), row_id
            if self._each_user:
                best_of[group, user] = max(newest, best_of.get((group, user), newest))
            elif newest > (best[group], best_id[group]):
                best[group], best_id[group] = newest

    def newest_of_users(self) -> Mapping[int, Sequence[tuple[int, Newest]]]:
        """Return the newest accepted play of each user, by group. Only with ``--each-user``."""
        found: defaultdict[int, list[tuple[int, Newest]]] = defaultdict(list)
        for (group, user), newest in self._best_of.items():
            found[group].append((user, newest))
        return found

    def viewings(self, groups: Iterable[int]) -> Iterator[Viewing]:
        """Yield the viewings of a film or episode that have an accepted play.

        ``groups`` are all groups with the same canonical key. Viewings that were not accepted,
        such as those before ``--since``, count for the numbers. Without ``--each-user``, all users
        have one count.
        """
        by_user: dict[int, list[tuple[int, Sequence[int]]]] = {}
        for group in groups:
            for row in self._rows_of(group):
                by_user.setdefault(row[_USER], []).append((group, row))
        if self._each_user or len(by_user) == 1:
            for rows in by_user.values():
                yield from self._numbered(self._viewings_of(rows))
        else:
            found = (one for rows in by_user.values() for one in self._viewings_of(rows))
            yield from self._numbered(sorted(found, key=itemgetter(0)))

    def _numbered(self, found: Iterable[tuple[Newest, Viewing | None]]) -> Iterator[Viewing]:
        """Yield the accepted ones of viewings in ascending order, with their numbers."""
        number, before = 0, -1
        for (when, _), viewing in found:
            number += when != before  # viewings at one time are one record
            before = when
            if viewing is not None:
                yield viewing if number == 1 else viewing._replace(number=number)

    def _viewings_of(
        self, rows: Sequence[tuple[int, Sequence[int]]]
    ) -> Iterator[tuple[Newest, Viewing | None]]:
        """Yield one user's viewings, oldest first, each with its time; ``None`` if not accepted.

        Those that are neither watched nor accepted are left out.
        """
        if len(rows) == 1:  # as most are
            ((group, (_, row_id, user, begun, ended, _, _, marks)),) = rows
            newest = (begun if self._starts_count else ended), row_id
            owner = user if self._each_user else None
            if marks & _ACCEPTED:
                yield newest, Viewing((group, owner, newest), begun, ended, 1)
            elif marks & _WATCHED:
                yield newest, None
            return
        for viewing in viewings([_evidence(*row) for row in rows]):
            if accepted := [row for row in viewing if row.accepted]:
                best = max(accepted, key=self._newest)
                newest, owner = self._newest(best), best.user if self._each_user else None
                yield newest, Viewing((best.group, owner, newest), best.begun, best.ended, 1)
            elif watched := [row for row in viewing if row.watched]:
                yield max(map(self._newest, watched)), None

    def _newest(self, row: _Row) -> Newest:
        return (row.begun if self._starts_count else row.ended), row.id

    def _rows_of(self, group: int) -> Iterator[Sequence[int]]:
        place = self._last_row[group] if group < len(self._last_row) else -1
        while place >= 0:
            row = self._rows[place : place + _WIDTH]
            yield row
            place = row[0]


def _evidence(group: int, row: Sequence[int]) -> _Row:
    _, number, user, begun, ended, played, reached, marks = row
    watched, accepted = bool(marks & _WATCHED), bool(marks & _ACCEPTED)
    return _Row(number, begun, ended, played, reached, watched, group, user, accepted)
