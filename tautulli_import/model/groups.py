"""Group plays of the same film or episode, and keep the newest, or all of them for viewings.

A million plays are mostly the same few tens of thousands of films and episodes. So a play costs
one dictionary lookup here, and its ``PlayGroup`` keeps only what differs between its plays.
External ids are found once for each group's work. Items are built only for the plays that are
kept.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from .clock import FIRST_MOMENT, LAST_MOMENT, WatchedAt, moment
from .plays import Play
from .rejections import Reason
from .selection import Judge
from .viewings import UNKNOWN, Evidence, played_seconds, viewings
from .watched import percent_complete

__all__ = ["NOBODY", "KeptOfGroup", "Newest", "PlayGroup", "PlayGroups", "owner"]

NOBODY = -1
"""The owner of plays that name no user."""

Newest: TypeAlias = tuple[int, int]
"""The time of a play (epoch seconds, UTC) and its row id. The newer play compares greater."""

KeptOfGroup: TypeAlias = tuple["PlayGroup", int | None, Newest]
"""A play that will be imported: its group, its user with ``--each-user``, its time and row id."""

_NONE: Newest = (-1, -1)

# A play among all plays: the place of the one before it in its group, then the fields below.
_WIDTH: Final = 8
_WATCHED: Final = 1
_ACCEPTED: Final = 2
# These plays are of another user or no evidence of a film or episode in the library.
_NO_EVIDENCE: Final = frozenset({Reason.USER, Reason.LIVE, Reason.NO_TIME, Reason.IMPOSSIBLE_TIME})


class PlayGroup:
    """All plays of one film or episode under exactly the same GUID, keys, titles and year.

    ``play`` is a representative play: the fields that an item needs are equal in all of them.
    ``when`` and ``newest_id`` are those of the newest play, of any user and watched or not,
    because each play is evidence of the title. ``accepted`` counts the accepted plays. ``best``
    is the newest of them if all are merged. ``best_of`` has the newest of each user if they are
    kept apart. ``last`` is the place of the last play, if every viewing is kept.

    ``play`` is not replaced by newer plays, so that memory does not fragment. It is replaced if
    season and episode numbers are found for it.
    """

    __slots__ = (
        "accepted",
        "aired",
        "best",
        "best_of",
        "first",
        "last",
        "newest_id",
        "play",
        "season_key",
        "when",
    )

    def __init__(self, play: Play, when: int) -> None:
        self.play = play
        self.aired = play.aired
        """The newest release or air day that a play has."""
        self.season_key = play.parent_rating_key
        """The newest rating key of the season."""
        self.first = when
        """The time of the oldest play with a valid time."""
        self.when = when
        self.newest_id = play.id
        self.best = _NONE
        self.best_of: dict[int, Newest] | None = None
        self.last = -1
        self.accepted = 0

    @property
    def order(self) -> Newest:
        """Sort by time, then by row id: the newest group is the greatest."""
        return self.when, self.newest_id

    def newest(self) -> Iterable[KeptOfGroup]:
        """Yield the newest accepted play, or that of each user."""
        if self.best != _NONE:
            yield self, None, self.best
        for user, best in (self.best_of or {}).items():
            yield self, user, best


class _Row(Evidence, frozen=True, gc=False):
    """One play of a group."""

    group: PlayGroup
    user: int
    accepted: bool


class PlayGroups:
    """Groups and counts plays, in any order."""

    def __init__(
        self,
        *,
        every_viewing: bool = False,
        each_user: bool = False,
        watched_at: WatchedAt = "stopped",
        latest: int = LAST_MOMENT,
    ) -> None:
        self._every_viewing = every_viewing
        self._each_user = each_user
        self._watched_at: WatchedAt = watched_at
        self._latest = latest
        self._groups: dict[tuple[object, ...], PlayGroup] = {}
        # With every viewing all plays are kept until ``free``. A million of them take 64 MB.
        self._rows = array("q")
        self.unnumbered: list[Play] = []
        """Accepted episodes without a season or episode number. The reader takes them out."""
        self.verdicts: Counter[Reason] = Counter()
        self.accepted: Counter[int | None] = Counter()
        """Accepted plays, by user with ``--each-user``, otherwise under ``None``."""

    def __iter__(self) -> Iterator[PlayGroup]:
        """Yield the groups of all films and episodes, accepted or not."""
        return iter(self._groups.values())

    def find(self, play: Play) -> PlayGroup | None:
        """Return the group that a play belongs to."""
        return self._groups.get(_identity(play))

    def take(  # noqa: PLR0915 - one loop, for speed
        self, plays: Sequence[Play], judge: Judge, is_watched: Callable[[Play], bool]
    ) -> list[tuple[Play, Reason]]:
        """Add plays, and return those that ``judge`` rejected, for the report.

        ``is_watched`` is asked about all plays if every viewing is kept, because a play that is
        not accepted is still evidence of where a viewing begins.

        This loop runs a million times. For a play of a known group it builds only the key.
        """
        groups = self._groups
        find = groups.get
        started_counts = self._watched_at == "started"
        each_user, every_viewing, latest = self._each_user, self._every_viewing, self._latest
        verdicts: list[Reason] = []
        rejected: list[tuple[Play, Reason]] = []
        accepted = 0
        for play in plays:
            reason = judge(play)
            if reason is Reason.MEDIA_TYPE:  # it is no evidence for films and shows
                verdicts.append(reason)
                continue
            key = _identity(play)
            when = play.stopped
            if not when or not FIRST_MOMENT <= (play.started or 0) <= when <= latest:
                when = moment(play, latest=latest)
            group = find(key)
            if group is None:
                groups[key] = group = PlayGroup(play, when)
            else:
                if when > group.when or (when == group.when and play.id > group.newest_id):
                    group.when = when
                    group.newest_id = play.id
                    group.aired = play.aired or group.aired
                    group.season_key = play.parent_rating_key or group.season_key
                if when and (when < group.first or not group.first):
                    group.first = when
            if every_viewing and reason not in _NO_EVIDENCE and when:
                marks = _WATCHED * is_watched(play) + _ACCEPTED * (reason is None)
                self._add_row(group, play, when, marks)
            if reason is not None:
                verdicts.append(reason)
                if reason.rejects:
                    rejected.append((play, reason))
                continue
            accepted += 1
            group.accepted += 1
            if None in (play.season, play.episode) and play.media_type == "episode":
                self.unnumbered.append(play)
            if each_user:
                self.accepted[owner(play)] += 1
            if every_viewing:
                continue
            if started_counts:
                when = moment(play, "started", latest=latest)
            newest = (when, play.id)
            if each_user:
                _keep(group, play, newest)
            elif newest > group.best:
                group.best = newest
        self.verdicts.update(verdicts)
        if not each_user:
            self.accepted[None] += accepted
        return rejected

    def _add_row(self, group: PlayGroup, play: Play, ended: int, marks: int) -> None:
        begun = moment(play, "started", latest=self._latest)
        dated = begun == play.started and ended == play.stopped
        played = played_seconds(begun, ended, play.paused_counter) if dated else UNKNOWN
        percent = percent_complete(play)
        reached = UNKNOWN if percent is None else min(max(percent, 0), 100)
        place = len(self._rows)
        self._rows.extend((group.last, play.id, owner(play), begun, ended, played, reached, marks))
        group.last = place

    def _rows_of(self, group: PlayGroup) -> Iterator[_Row]:
        place = group.last
        while place >= 0:
            before, number, user, begun, ended, played, reached, marks = self._rows[
                place : place + _WIDTH
            ]
            watched, accepted = bool(marks & _WATCHED), bool(marks & _ACCEPTED)
            yield _Row(number, begun, ended, played, reached, watched, group, user, accepted)
            place = before

    def free(self) -> None:
        """Release the memory of the plays that ``viewings`` needs."""
        self._rows = array("q")

    def viewings(self, groups: Iterable[PlayGroup]) -> Iterator[KeptOfGroup]:
        """Yield the newest accepted play of each viewing of a film or episode.

        ``groups`` are all groups with the same canonical key.
        """
        started_counts = self._watched_at == "started"

        def newest(row: _Row) -> Newest:
            return (row.begun if started_counts else row.ended), row.id

        by_user: defaultdict[int, list[_Row]] = defaultdict(list)
        for group in groups:
            for row in self._rows_of(group):
                by_user[row.user].append(row)
        for user, rows in by_user.items():
            for viewing in viewings(rows):
                accepted = [row for row in viewing if row.accepted]
                if accepted:
                    best = max(accepted, key=newest)
                    yield best.group, user if self._each_user else None, newest(best)


def _keep(group: PlayGroup, play: Play, newest: Newest) -> None:
    """Keep the play if it is the newest of its user."""
    user = owner(play)
    if group.best_of is None:
        group.best_of = {}
    if newest > group.best_of.get(user, _NONE):
        group.best_of[user] = newest


def _identity(play: Play) -> tuple[object, ...]:
    """Return the fields that identify a film or an episode, and that an item needs."""
    if play.media_type == "movie":
        return play.guid, play.rating_key, play.title, play.year, not play.live
    return (
        play.guid,
        play.rating_key,
        play.title,
        play.season,
        play.episode,
        play.grandparent_rating_key,
        play.grandparent_title,
        play.year,
        not play.live,
    )


def owner(play: Play) -> int:
    """Return the user whose play it is, for ``--each-user``."""
    return NOBODY if play.user_id is None else play.user_id
