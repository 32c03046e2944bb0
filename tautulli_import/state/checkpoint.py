"""Remember what a job has published where, and how far its events were delivered.

A job is a source, the sinks, and every option that changes what comes out. Each has a record of
its own. The order of things is always: read, stage here, make durable in the sink, and only then
note as published.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from .. import __version__
from ..model.plays import SampleRow
from ..model.rejections import Reason, Rejected
from .file import StateFile

__all__ = [
    "CheckpointStore",
    "JobKey",
    "JobStatus",
    "Position",
    "Published",
    "SavedJob",
    "packed",
    "saved_jobs",
    "unpacked",
]

JobStatus: TypeAlias = Literal["unfinished", "completed"]
Published: TypeAlias = dict[str, tuple[int, int]]
"""Keys that a sink was given: the play behind each, and its moment (epoch seconds, UTC)."""

_KEY: Final = 12
_SEAL: Final = 16


class JobKey(Struct, frozen=True):
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
        """Return the job's name: short, and the same for the same job."""
        return _digest((self.series, sorted(self.options.items())))

    @property
    def series(self) -> str:
        """Return a name that jobs share which differ in their options only."""
        return _digest((self.source, self.command, self.sinks, sorted(self.selection.items())))


class Position(Struct, frozen=True, rename={"checksum": "mark"}):
    """A place in a source up to which a sink has all events, and the counts up to there."""

    cursor: str
    rows: int
    checksum: int
    """The sum over those rows that shows whether other plays stand under their numbers."""
    verdicts: Mapping[Reason, int]
    rejected: Sequence[Rejected]
    kinds: Mapping[str, int] = {}
    """The events so far, by media type."""
    note: str = ""
    """How the sink recognises its place: which stream it was, how long the file."""


class SavedJob(Struct, frozen=True):
    """A job as the state file has it."""

    key: str
    series: str
    about: JobKey
    status: JobStatus
    samples: Sequence[SampleRow]
    """A few plays by which the history is recognised."""
    rows: int
    updated: int
    """Epoch seconds, UTC."""
    bytes: int


class CheckpointStore:
    """The part of a state file that is about one job."""

    def __init__(self, state: StateFile, job: JobKey, *, writes: bool = True) -> None:
        """Without ``writes`` everything is looked at and nothing is noted: for a dry run."""
        self.job = job
        self.writes = writes
        self._state = state
        self._key = job.key

    def saved(self) -> SavedJob | None:
        """Return what is known of the job; ``None`` where it never began, or cannot be read."""
        return next((one for one in saved_jobs(self._state) if one.key == self._key), None)

    def position(self) -> Position | None:
        """Return how far events were delivered."""
        db = self._state.db.conn
        row = db.execute("SELECT reached FROM jobs WHERE key = ?", (self._key,)).fetchone()
        return None if row is None or row[0] is None else unpacked(row[0])

    def begin(self, samples: Sequence[SampleRow]) -> None:
        """Note that the job is under way."""
        self._note("unfinished", samples)

    def save(self, position: Position, samples: Sequence[SampleRow]) -> None:
        """Save how far events were delivered.

        Raises:
            SinkError: the state file cannot be written.
        """
        if not self.writes:
            return
        with self._state.step() as db:
            self._insert(samples)
            db.execute(
                "UPDATE jobs SET rows = ?, reached = ?, updated = ? WHERE key = ?",
                (position.rows, packed(position), int(time.time()), self._key),
            )

    def clear_position(self) -> None:
        """Forget how far events were delivered."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute("UPDATE jobs SET reached = NULL, rows = 0 WHERE key = ?", (self._key,))

    def finish(self, samples: Sequence[SampleRow], rows: int | None = None) -> None:
        """Note that all sinks have all of it: of so many rows, unless a position tells that."""
        self._note("completed", samples, rows)

    def forget(self) -> None:
        """Forget the job. What was published is still known."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute("DELETE FROM jobs WHERE series = ?", (self.job.series,))

    def was_told(self, users: Sequence[int]) -> bool:
        """Tell whether a person knows that the plays of these users become one history."""
        return self._state.get(f"{self._key}:merges", list[int]) == list(users)

    def told(self, users: Sequence[int]) -> None:
        """Note that a person was told so."""
        if self.writes:
            with self._state.step():
                self._state.put(f"{self._key}:merges", list(users))

    def published(self, sink: str, target: str, user: str) -> Published:
        """Return what a sink may hold from this job: published, or about to be."""
        row = self._state.db.conn.execute(
            "SELECT published, staged FROM published"
            " WHERE job = ? AND sink = ? AND target = ? AND user = ?",
            (self._key, sink, target, user),
        ).fetchone()
        return {} if row is None else _keys_in(row[0]) | _keys_in(row[1])

    def stage(self, sink: str, target: str, user: str, keys: Published) -> None:
        """Save what a sink is about to be given, before it is."""
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

    def _note(
        self, status: JobStatus, samples: Sequence[SampleRow], rows: int | None = None
    ) -> None:
        if not self.writes:
            return
        with self._state.step() as db:
            self._insert(samples)
            db.execute(
                "UPDATE jobs SET status = ?, updated = ?, rows = coalesce(?, rows) WHERE key = ?",
                (status, int(time.time()), rows, self._key),
            )

    def _insert(self, samples: Sequence[SampleRow]) -> None:
        db = self._state.db.conn
        about = msgspec.json.encode(self.job).decode()
        db.execute(
            "INSERT OR IGNORE INTO jobs (key, series, about, status, rows) VALUES (?, ?, ?, ?, 0)",
            (self._key, self.job.series, about, "unfinished"),
        )
        if samples:
            db.execute(
                "UPDATE jobs SET landmarks = ? WHERE key = ?",
                (msgspec.json.encode(samples).decode(), self._key),
            )


def saved_jobs(state: StateFile) -> Sequence[SavedJob]:
    """Return every job in a state file, the last one first. Skip what cannot be read."""
    found = []
    query = (
        "SELECT key, series, about, status, landmarks, rows, updated, length(reached) FROM jobs"
        " ORDER BY updated DESC, key"
    )
    for key, series, about, status, landmarks, rows, updated, size in state.db.conn.execute(query):
        try:
            found.append(
                SavedJob(
                    key,
                    series,
                    msgspec.json.decode(about, type=JobKey),
                    status,
                    msgspec.json.decode(landmarks or "[]", type=list[SampleRow]),
                    rows or 0,
                    updated or 0,
                    size or 0,
                )
            )
        except (msgspec.DecodeError, TypeError):
            continue
    return found


def packed(position: Position) -> bytes:
    """Encode a position, with a checksum that shows whether a bit of it has turned over.

    The program's version goes into the checksum: what another version counted is not believed.
    """
    plain = msgspec.msgpack.encode(position)
    return _sum(plain) + plain


def unpacked(sealed: bytes) -> Position | None:
    """Decode a position; ``None`` if it is damaged, or of another version of this program."""
    plain = sealed[_SEAL:]
    try:
        if sealed[:_SEAL] != _sum(plain):
            return None
        return msgspec.msgpack.decode(plain, type=Position)
    except (msgspec.DecodeError, TypeError):
        return None


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
