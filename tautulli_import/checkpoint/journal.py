"""What a job has reached: how far its source was read, and what it has published where.

A job is a source, the sinks, and every option that changes what comes out; each has a
checkpoint of its own. The order of things is always: read, staged here, made durable by the
sink, and only then noted as published and read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from .. import __version__
from ..dedup import Sight
from ..models import Landmark, Reason, Rejected
from ..watched import WatchedRule
from .state import StateFile

__all__ = [
    "About",
    "Checkpoint",
    "JobStatus",
    "Journal",
    "Published",
    "Reached",
    "checkpoints",
    "packed",
    "unpacked",
]

JobStatus: TypeAlias = Literal["unfinished", "completed"]
Published: TypeAlias = dict[str, tuple[int, int]]
"""Keys that a sink was given: the play behind each, and its moment (epoch seconds, UTC)."""

_KEY: Final = 12
_PART: Final = 5_000
_SEAL: Final = 16


class About(Struct, frozen=True):
    """What tells one job from another."""

    source: str
    command: str
    sinks: tuple[str, ...]
    """Each as ``name=place``."""
    selection: Mapping[str, object]
    options: Mapping[str, object]
    """What changes the results beyond the selection."""

    @property
    def key(self) -> str:
        """The job's name: short, and the same for the same job."""
        return _digest((self.series, sorted(self.options.items())))

    @property
    def series(self) -> str:
        """The same for jobs that differ in their options only."""
        return _digest((self.source, self.command, self.sinks, sorted(self.selection.items())))


class Reached(Struct, frozen=True):
    """A source read up to some point, and all that has to be known of what lies before it."""

    cursor: str
    rows: int
    mark: int
    """The sum over those rows by which it is seen that none of them has changed."""
    rules: Sequence[WatchedRule]
    verdicts: Mapping[Reason, int]
    accepted: Sequence[tuple[int | None, int]]
    rejected: Sequence[Rejected]
    sights: int
    """How many ``Sight`` are kept with it."""
    whole_at: int
    """When all of this was read from the beginning (epoch seconds, UTC)."""
    kinds: Mapping[str, int] = {}
    """Of a stream: the events so far, by media type."""
    note: str = ""
    """What the sink of a stream wants to know again: which stream it was, how long the file."""


class Checkpoint(Struct, frozen=True):
    """A job as the state file has it."""

    key: str
    series: str
    about: About
    status: JobStatus
    landmarks: Sequence[Landmark]
    rows: int
    updated: int
    """Epoch seconds, UTC."""
    bytes: int


class Journal:
    """The part of a state file that is about one job."""

    def __init__(self, state: StateFile, about: About, *, writes: bool = True) -> None:
        """Without ``writes`` everything is looked at and nothing is noted: for a dry run."""
        self.about = about
        self.writes = writes
        self._state = state
        self._key = about.key

    def checkpoint(self) -> Checkpoint | None:
        """How far the job got; ``None`` where it never began, or that cannot be read."""
        return next((one for one in checkpoints(self._state) if one.key == self._key), None)

    def begun_otherwise(self) -> Checkpoint | None:
        """The same job with other options, cut short in the middle of its source."""
        for one in checkpoints(self._state):
            if (
                one.series == self.about.series
                and one.key != self._key
                and one.status == "unfinished"
                and one.rows
            ):
                return one
        return None

    def reached(self) -> tuple[Reached, Sequence[Sight]] | None:
        """How far the source was read for it, and what was seen until there."""
        db = self._state.db.conn
        row = db.execute("SELECT reached FROM jobs WHERE key = ?", (self._key,)).fetchone()
        if row is None or row[0] is None:
            return None
        query = "SELECT packed FROM sights WHERE job = ? ORDER BY part"
        try:
            reached = _reached(row[0])
            decode = msgspec.msgpack.Decoder(list[Sight]).decode
            sights = [
                sight
                for (part,) in db.execute(query, (self._key,))
                for sight in decode(_checked(part))
            ]
        except (msgspec.DecodeError, TypeError):  # written by something else: read it again
            return None
        return (reached, sights) if len(sights) == reached.sights else None

    def begin(self, landmarks: Sequence[Landmark]) -> None:
        """Note that the job is under way."""
        self._note("unfinished", landmarks)

    def save(
        self, reached: Reached, sights: Iterable[Sight], landmarks: Sequence[Landmark]
    ) -> None:
        """Remember how far the source was read, and what was seen until there.

        Raises:
            SinkError: it cannot be written.
        """
        if not self.writes:
            return
        encode = msgspec.msgpack.Encoder().encode
        rest = iter(sights)
        with self._state.step() as db:
            self._insert(landmarks)
            db.execute("DELETE FROM sights WHERE job = ?", (self._key,))
            count = 0
            while part := list(islice(rest, _PART)):
                db.execute(
                    "INSERT INTO sights VALUES (?, ?, ?)", (self._key, count, _sealed(encode(part)))
                )
                count += len(part)
            db.execute(
                "UPDATE jobs SET rows = ?, reached = ?, updated = ? WHERE key = ?",
                (
                    reached.rows,
                    packed(msgspec.structs.replace(reached, sights=count)),
                    int(time.time()),
                    self._key,
                ),
            )

    def unread(self) -> None:
        """Forget how far the source was read: it does not hold any more."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute("DELETE FROM sights WHERE job = ?", (self._key,))
            db.execute("UPDATE jobs SET reached = NULL, rows = 0 WHERE key = ?", (self._key,))

    def finish(self, landmarks: Sequence[Landmark]) -> None:
        """Note that all sinks have all of it."""
        if not self.writes:
            return
        self._note("completed", landmarks)

    def forget(self) -> None:
        """Read from the beginning next time; what was published is still known."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute(
                "DELETE FROM sights WHERE job IN (SELECT key FROM jobs WHERE series = ?)",
                (self.about.series,),
            )
            db.execute("DELETE FROM jobs WHERE series = ?", (self.about.series,))

    def was_told(self, users: Sequence[int]) -> bool:
        """Whether a person was told before that the plays of these users become one history."""
        return self._state.get(f"{self._key}:merges", list[int]) == list(users)

    def told(self, users: Sequence[int]) -> None:
        """Note that this was said."""
        if self.writes:
            with self._state.step():
                self._state.put(f"{self._key}:merges", list(users))

    def published(self, sink: str, target: str, user: str) -> Published:
        """What a sink may hold from this job: what was published, and what was about to be."""
        row = self._state.db.conn.execute(
            "SELECT published, staged FROM published"
            " WHERE job = ? AND sink = ? AND target = ? AND user = ?",
            (self._key, sink, target, user),
        ).fetchone()
        return {} if row is None else _keys_in(row[0]) | _keys_in(row[1])

    def stage(self, sink: str, target: str, user: str, keys: Published) -> None:
        """Remember what a sink is about to be given, before it is."""
        if not self.writes:
            return
        place = (self._key, sink, target, user)
        where = "WHERE job = ? AND sink = ? AND target = ? AND user = ?"
        staged = msgspec.msgpack.encode(keys)
        row = self._state.db.conn.execute(
            f"SELECT published, staged FROM published {where}",  # noqa: S608 - our own words
            place,
        ).fetchone()
        if row == (staged, None):
            return
        with self._state.step(durable=True) as db:
            db.execute("INSERT OR IGNORE INTO published VALUES (?, ?, ?, ?, NULL, NULL)", place)
            db.execute(
                f"UPDATE published SET staged = ? {where}",  # noqa: S608 - our own words
                (staged, *place),
            )

    def publish(self, sink: str, target: str, user: str) -> None:
        """Note that the sink has made durable what was staged for it."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute(
                "UPDATE published SET published = staged, staged = NULL WHERE job = ? AND sink = ?"
                " AND target = ? AND user = ? AND staged IS NOT NULL",
                (self._key, sink, target, user),
            )

    def _note(self, status: JobStatus, landmarks: Sequence[Landmark]) -> None:
        if not self.writes:
            return
        with self._state.step() as db:
            self._insert(landmarks)
            db.execute(
                "UPDATE jobs SET status = ?, updated = ? WHERE key = ?",
                (status, int(time.time()), self._key),
            )

    def _insert(self, landmarks: Sequence[Landmark]) -> None:
        db = self._state.db.conn
        about = msgspec.json.encode(self.about).decode()
        db.execute(
            "INSERT OR IGNORE INTO jobs (key, series, about, status, rows) VALUES (?, ?, ?, ?, 0)",
            (self._key, self.about.series, about, "unfinished"),
        )
        if landmarks:
            db.execute(
                "UPDATE jobs SET landmarks = ? WHERE key = ?",
                (msgspec.json.encode(landmarks).decode(), self._key),
            )


def checkpoints(state: StateFile) -> Sequence[Checkpoint]:
    """Every job in a state file, the last one first; what cannot be read is passed by."""
    found = []
    query = (
        "SELECT key, series, about, status, landmarks, rows, updated, length(reached) +"
        " (SELECT coalesce(sum(length(packed)), 0) FROM sights WHERE job = key) FROM jobs"
        " ORDER BY updated DESC, key"
    )
    for key, series, about, status, landmarks, rows, updated, size in state.db.conn.execute(query):
        try:
            found.append(
                Checkpoint(
                    key,
                    series,
                    msgspec.json.decode(about, type=About),
                    status,
                    msgspec.json.decode(landmarks or "[]", type=list[Landmark]),
                    rows or 0,
                    updated or 0,
                    size or 0,
                )
            )
        except (msgspec.DecodeError, TypeError):
            continue
    return found


def packed(reached: Reached) -> bytes:
    """A point as bytes, for whoever keeps it."""
    return _sealed(msgspec.msgpack.encode(reached))


def unpacked(sealed: bytes) -> Reached | None:
    """What was ``packed``; ``None`` where it is damaged, or of another version of this program."""
    try:
        return _reached(sealed)
    except (msgspec.DecodeError, TypeError):
        return None


def _reached(sealed: bytes) -> Reached:
    return msgspec.msgpack.decode(_checked(sealed), type=Reached)


def _sealed(plain: bytes) -> bytes:
    """With a sum in front, by which it is seen that not a bit of it has turned over.

    What another version of this program has judged is not believed either.
    """
    return _sum(plain) + plain


def _checked(sealed: bytes) -> bytes:
    """What was sealed.

    Raises:
        TypeError: it is not what it was.
    """
    plain = sealed[_SEAL:]
    if sealed[:_SEAL] != _sum(plain):
        raise TypeError(sealed[:_SEAL])
    return plain


def _sum(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=_SEAL, key=__version__.encode()).digest()


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:_KEY]


def _keys_in(written: bytes | None) -> Published:
    if written is None:
        return {}
    try:
        return msgspec.msgpack.decode(written, type=Published)
    except (msgspec.DecodeError, TypeError):
        return {}
