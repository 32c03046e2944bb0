"""Group plays of the same film or episode, and keep the newest of each partition.

A million plays are mostly the same few tens of thousands of films and episodes. So a play costs
one dictionary lookup here, and its ``PlayGroup`` keeps only what differs between its plays.
External ids are found once for each group's work. Items are built only for the plays that are
kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from .clock import FIRST_MOMENT, LAST_MOMENT, WatchedAt, moment
from .plays import Play
from .rejections import Reason
from .selection import Judge

__all__ = ["NOBODY", "Newest", "Partition", "PlayGroup", "PlayGroups", "owner"]

Partition: TypeAlias = tuple[int | None, tuple[int | None, int] | None]
"""The plays that may be merged: those of one user (with ``--each-user``), and of one viewing (a
user's group of rows, if every viewing is kept)."""

NOBODY = -1
"""The owner of plays that name no user."""

Newest: TypeAlias = tuple[int, int]
"""The time of a play (epoch seconds, UTC) and its row id. The newer play compares greater."""

_ALL: Partition = (None, None)
_NONE: Newest = (-1, -1)


class PlayGroup:
    """All plays of one film or episode under exactly the same GUID, keys, titles and year.

    ``play`` is a representative play: the fields that an item needs are equal in all of them.
    ``when`` and ``newest_id`` are those of the newest play, of any user and watched or not,
    because each play is evidence of the title. ``accepted`` counts the accepted plays. ``best``
    is the newest of them if all are merged. ``best_of`` has the newest of each partition if not.

    ``play`` is never replaced, so that memory does not fragment.
    """

    __slots__ = ("accepted", "best", "best_of", "newest_id", "play", "when")

    def __init__(self, play: Play, when: int) -> None:
        self.play = play
        self.when = when
        self.newest_id = play.id
        self.best = _NONE
        self.best_of: dict[Partition, Newest] | None = None
        self.accepted = 0

    @property
    def order(self) -> Newest:
        """Sort by time, then by row id: the newest group is the greatest."""
        return self.when, self.newest_id

    def kept(self) -> Iterable[tuple[Partition, Newest]]:
        """Yield the newest play of each partition, whose plays may be merged."""
        if self.best != _NONE:
            yield _ALL, self.best
        if self.best_of is not None:
            yield from self.best_of.items()


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
        self._partitioned = every_viewing or each_user
        self._every_viewing = every_viewing
        self._each_user = each_user
        self._watched_at: WatchedAt = watched_at
        self._latest = latest
        self._groups: dict[tuple[object, ...], PlayGroup] = {}
        self.verdicts: Counter[Reason] = Counter()
        self.accepted: Counter[int | None] = Counter()
        """Accepted plays, by user with ``--each-user``, otherwise under ``None``."""

    def __iter__(self) -> Iterator[PlayGroup]:
        """Yield the groups of all films and episodes, accepted or not."""
        return iter(self._groups.values())

    def find(self, play: Play) -> PlayGroup | None:
        """Return the group that a play belongs to."""
        return self._groups.get(_identity(play))

    def take(self, plays: Sequence[Play], judge: Judge) -> list[tuple[Play, Reason]]:
        """Add plays, and return those that ``judge`` rejected, for the report.

        This loop runs a million times. For a play of a known group it builds only the key.
        """
        groups = self._groups
        find = groups.get
        started_counts = self._watched_at == "started"
        partitioned, latest = self._partitioned, self._latest
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
            elif when > group.when or (when == group.when and play.id > group.newest_id):
                group.when = when
                group.newest_id = play.id
            if reason is not None:
                verdicts.append(reason)
                if reason.rejects:
                    rejected.append((play, reason))
                continue
            accepted += 1
            group.accepted += 1
            if started_counts:
                newest = (moment(play, "started", latest=latest), play.id)
            else:
                newest = (when, play.id)
            if partitioned:
                self._keep(group, play, newest)
            elif newest > group.best:
                group.best = newest
        self.verdicts.update(verdicts)
        if not self._each_user:
            self.accepted[None] += accepted
        return rejected

    def _keep(self, group: PlayGroup, play: Play, newest: Newest) -> None:
        """Keep the play if it is the newest of its partition."""
        partition = self._partition(play)
        if group.best_of is None:
            group.best_of = {}
        if newest > group.best_of.get(partition, _NONE):
            group.best_of[partition] = newest

    def _partition(self, play: Play) -> Partition:
        user = None
        if self._each_user:
            user = owner(play)
            self.accepted[user] += 1
        if not self._every_viewing:
            return user, None
        # A group of rows belongs to one user and one rating key. Which *title* it is (rating
        # keys get reused: Tautulli issues 2767, 2768) is decided later, by the canonical key.
        rows = play.id if play.reference_id is None else play.reference_id
        return user, (play.user_id, rows)


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
