"""Newest wins: first cheaply, per play; then exactly, per canonical key. Events: once is enough.

A million plays are mostly the same few tens of thousands of films and episodes, so a play
costs one look into a dictionary here. What tells two plays of one thing apart is kept as a
``Sighting``; external ids are looked for once per sighting's work, and items are built
only for the plays that survive.

Of playback events every one is kept, once. ``Recent`` is the second of the seed's three layers:
the first is the stream's own, the third the table's keys.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from .models import Play, PlaybackEvent, Reason, Record
from .selection import LAST_MOMENT, Judge, WatchedAt, moment

__all__ = [
    "NOBODY",
    "History",
    "Newest",
    "Partition",
    "Recent",
    "SeenBy",
    "Sight",
    "Sighting",
    "newest_per_key",
    "owner",
]

Partition: TypeAlias = tuple[int | None, tuple[int | None, int] | None]
"""Plays that may be merged: of one user (with ``--each-user``), of one viewing (a user's group
of rows, where every viewing is kept)."""

NOBODY = -1
"""Whose the plays are that name no user."""

Newest: TypeAlias = tuple[int, int]
"""When a play took place (epoch seconds, UTC) and its row id: compared, the newer is greater."""

_ALL: Partition = (None, None)
_NONE: Newest = (-1, -1)


class Sighting:
    """All plays of one film or episode under exactly the same GUID, keys, titles and year.

    Strictly a tally: ``play`` is one of them and speaks for all, since all that an item takes
    from a play is the same in each. ``when`` and ``newest_id`` are those of the newest play of
    anybody, watched or not, because any play tells what the thing is. Of the plays that go on
    (``accepted`` counts them), ``best`` is the newest when all are merged, and ``survivors``
    has the newest of each partition when they are not: time and row id.

    No play is exchanged for a newer one: what is kept stays where it is, and the memory of
    the next ten thousand plays is that of the last.
    """

    __slots__ = ("accepted", "best", "newest_id", "play", "survivors", "when")

    def __init__(self, play: Play, when: int) -> None:
        self.play = play
        self.when = when
        self.newest_id = play.id
        self.best = _NONE
        self.survivors: dict[Partition, Newest] | None = None
        self.accepted = 0

    @property
    def order(self) -> Newest:
        """Newest wins: by time, then by row id."""
        return self.when, self.newest_id

    def going_on(self) -> Iterable[tuple[Partition, Newest]]:
        """The plays that will be imported, and which of them may be merged with which."""
        if self.best != _NONE:
            yield _ALL, self.best
        if self.survivors is not None:
            yield from self.survivors.items()


class Sight(Struct, frozen=True, gc=False, array_like=True):
    """A ``Sighting`` as it is remembered."""

    play: Play
    when: int
    newest_id: int
    accepted: int
    best: Newest
    survivors: list[tuple[Partition, Newest]] | None


class History:
    """Takes plays in any order; keeps what is needed of them, and counts all of them."""

    def __init__(
        self,
        *,
        every_viewing: bool = False,
        each_user: bool = False,
        watched_at: WatchedAt = "stopped",
    ) -> None:
        self._partitioned = every_viewing or each_user
        self._every_viewing = every_viewing
        self._each_user = each_user
        self._watched_at: WatchedAt = watched_at
        self._sightings: dict[tuple[object, ...], Sighting] = {}
        self.verdicts: Counter[Reason] = Counter()
        self.accepted: Counter[int | None] = Counter()
        """Plays that go on, by user where users are kept apart, else under ``None``."""

    @property
    def sightings(self) -> Iterable[Sighting]:
        """Everything that was ever played and could be a film or an episode."""
        return self._sightings.values()

    def remembered(self) -> Iterator[Sight]:
        """Everything that was taken, to be given to ``recall`` of another ``History``."""
        for one in self._sightings.values():
            yield Sight(
                one.play,
                one.when,
                one.newest_id,
                one.accepted,
                one.best,
                None if one.survivors is None else list(one.survivors.items()),
            )

    def recall(self, sights: Iterable[Sight]) -> None:
        """Take what another one had taken, in place of the plays."""
        for sight in sights:
            one = Sighting(sight.play, sight.when)
            one.newest_id, one.accepted, one.best = sight.newest_id, sight.accepted, sight.best
            one.survivors = None if sight.survivors is None else dict(sight.survivors)
            self._sightings[_identity(one.play)] = one

    def sighting_of(self, play: Play) -> Sighting | None:
        """What the play was tallied under."""
        return self._sightings.get(_identity(play))

    def take(self, plays: Sequence[Play], judge: Judge) -> list[tuple[Play, Reason]]:
        """Tally these plays; gives back those that ``judge`` rejected, for the report.

        The one loop that runs a million times: of a play that was seen before it builds no
        more than the key to look it up by.
        """
        sightings = self._sightings
        find = sightings.get
        started_counts = self._watched_at == "started"
        partitioned = self._partitioned
        verdicts: list[Reason] = []
        rejected: list[tuple[Play, Reason]] = []
        accepted = 0
        for play in plays:
            reason = judge(play)
            if reason is Reason.MEDIA_TYPE:  # it is no evidence for what is imported either
                verdicts.append(reason)
                continue
            key = _identity(play)
            when = play.stopped
            if not when or not 0 < (play.started or 0) <= when <= LAST_MOMENT:
                when = moment(play)
            sighting = find(key)
            if sighting is None:
                sightings[key] = sighting = Sighting(play, when)
            elif when > sighting.when or (when == sighting.when and play.id > sighting.newest_id):
                sighting.when = when
                sighting.newest_id = play.id
            if reason is not None:
                verdicts.append(reason)
                if reason.rejects:
                    rejected.append((play, reason))
                continue
            accepted += 1
            sighting.accepted += 1
            newest = (moment(play, "started") if started_counts else when, play.id)
            if partitioned:
                self._keep(sighting, play, newest)
            elif newest > sighting.best:
                sighting.best = newest
        self.verdicts.update(verdicts)
        if not self._each_user:
            self.accepted[None] += accepted
        return rejected

    def plays_of(
        self, wanted: Collection[Sighting], plays: Sequence[Play]
    ) -> Iterator[tuple[Play, Sighting]]:
        """Those of the plays that belong to one of the sightings: for a second look."""
        chosen = {id(sighting) for sighting in wanted}
        for play in plays:
            sighting = self._sightings.get(_identity(play))
            if sighting is not None and id(sighting) in chosen:
                yield play, sighting

    def _keep(self, sighting: Sighting, play: Play, newest: Newest) -> None:
        """Remember the newest play of each partition."""
        partition = self._partition(play)
        if sighting.survivors is None:
            sighting.survivors = {}
        if newest > sighting.survivors.get(partition, _NONE):
            sighting.survivors[partition] = newest

    def _partition(self, play: Play) -> Partition:
        user = None
        if self._each_user:
            user = owner(play)
            self.accepted[user] += 1
        if not self._every_viewing:
            return user, None
        # A group belongs to one user and one rating key; which *title* it is (rating keys
        # get reused: Tautulli issues 2767, 2768) is settled later, by the canonical key.
        group = play.id if play.reference_id is None else play.reference_id
        return user, (play.user_id, group)


def _identity(play: Play) -> tuple[object, ...]:
    """Everything that tells one thing from another, and that an item takes from a play."""
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
    """Whose play it is, where users are kept apart."""
    return NOBODY if play.user_id is None else play.user_id


def newest_per_key(records: Iterable[Record]) -> list[Record]:
    """One record per key: the newest, by ``watched_at`` and then by row id.

    In ascending ``watched_at`` order (ties by row id, then key), which is the order that
    CrossWatch wants: a sync without rewatches keeps the last entry it meets of a title.
    """
    newest: dict[str, Record] = {}
    for record in records:
        other = newest.get(record.key)
        if other is None or (record.epoch, record.play_id) > (other.epoch, other.play_id):
            newest[record.key] = record
    return sorted(newest.values(), key=_in_order)


def _in_order(record: Record) -> tuple[int, int, str]:
    return record.epoch, record.play_id, record.key


SeenBy: TypeAlias = Literal["event_id", "session_key", "correlation_key"]
"""By which of its keys an event was known, in the order in which they are looked at."""

_RECENT_SECONDS: Final = 300.0
_RECENT_EVENTS: Final = 10_000


class Recent:
    """The events of the last five minutes, 10,000 of them at most: the oldest go first.

    It is sized by events, each of which has up to three keys. A session key counts together with
    its source and server, which stand in front of the correlation key, and with the start: two
    Tautullis have rows of the same number, and so sessions of the same name (of two histories of
    50,000 and 2,000 plays, 1,783 were lost before the start was looked at).
    """

    def __init__(self, *, seconds: float = _RECENT_SECONDS, most: int = _RECENT_EVENTS) -> None:
        self._seconds = seconds
        self._most = most
        self._keys: set[tuple[str, str]] = set()
        self._order: deque[tuple[float, list[tuple[str, str]]]] = deque()

    def seen(self, event: PlaybackEvent, now: float) -> SeenBy | None:
        """By what it is known; ``None`` when it is new, and from now on it is known.

        ``now`` is in seconds, of a clock that never goes back.
        """
        order, known = self._order, self._keys
        while order and (len(order) > self._most or now - order[0][0] > self._seconds):
            known.difference_update(order.popleft()[1])
        keys: list[tuple[SeenBy, str]] = [("event_id", event.event_id)]
        if event.session_key:
            session = f"{_server_of(event)}:{event.started_at}:{event.session_key}"
            keys.append(("session_key", session))
        if event.correlation_key:
            keys.append(("correlation_key", event.correlation_key))
        for key in keys:
            if key in known:
                return key[0]
        known.update(keys)
        order.append((now, list(keys)))
        return None


def _server_of(event: PlaybackEvent) -> str:
    return ":".join(event.correlation_key.split(":", 2)[:2]) or event.source
