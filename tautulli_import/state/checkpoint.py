"""Save whether a job has ended, how it recognises its history, and how far its events are.

A job is a source, its sinks, and every option that changes the output. Each job has a record of
its own. ``outputs`` remembers what was given to a place, over all jobs.
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
    "SavedJob",
    "packed",
    "saved_jobs",
    "unpacked",
]

JobStatus: TypeAlias = Literal["unfinished", "completed"]

_KEY_DIGITS: Final = 12
_SUM_BYTES: Final = 16


class JobKey(Struct, frozen=True):
    """The source, sinks and options that distinguish one job from another."""

    source: str
    command: str
    sinks: tuple[str, ...]
    """Each as ``name=place``."""
    selection: Mapping[str, object]
    options: Mapping[str, object]
    """The options outside the selection that change the results."""

    @property
    def key(self) -> str:
        """Return a short name that is always the same for the same job."""
        return _digest((self.series, sorted(self.options.items())))

    @property
    def series(self) -> str:
        """Return a name that is the same for jobs that differ only in their options."""
        return _digest((self.source, self.command, self.sinks, sorted(self.selection.items())))


class Position(Struct, frozen=True, rename={"checksum": "mark"}):
    """A place in a source up to which a sink has all events, and the counts so far."""

    cursor: str
    rows: int
    checksum: int
    """The checksum of these rows. It differs if other plays have their row ids now."""
    verdicts: Mapping[Reason, int]
    rejected: Sequence[Rejected]
    kinds: Mapping[str, int] = {}
    """The number of events so far, by media type."""
    note: str = ""
    """A text by which the sink recognises the place, such as the length of the file."""


class SavedJob(Struct, frozen=True):
    """A job in the state file."""

    key: str
    series: str
    about: JobKey
    status: JobStatus
    samples: Sequence[SampleRow]
    """A few plays that identify the history."""
    rows: int
    updated: int
    """Epoch seconds, UTC."""
    bytes: int


class CheckpointStore:
    """The part of a state file that belongs to one job."""

    def __init__(self, state: StateFile, job: JobKey, *, writes: bool = True) -> None:
        """Without ``writes``, for a dry run, nothing is saved."""
        self.job = job
        self.writes = writes
        self._state = state
        self._key = job.key

    def saved(self) -> SavedJob | None:
        """Return the saved job, or ``None`` if it never began or its record is damaged."""
        return next((one for one in saved_jobs(self._state) if one.key == self._key), None)

    def position(self) -> Position | None:
        """Return the position up to which events were delivered, or ``None``."""
        db = self._state.conn
        row = db.execute("SELECT reached FROM jobs WHERE key = ?", (self._key,)).fetchone()
        return None if row is None or row[0] is None else unpacked(row[0])

    def begin(self, samples: Sequence[SampleRow]) -> None:
        """Save that the job has begun."""
        self._set_status("unfinished", samples)

    def save(self, position: Position, samples: Sequence[SampleRow]) -> None:
        """Save the position up to which events were delivered.

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
        """Forget the position up to which events were delivered."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute("UPDATE jobs SET reached = NULL, rows = 0 WHERE key = ?", (self._key,))

    def finish(self, samples: Sequence[SampleRow], rows: int | None = None) -> None:
        """Save that all sinks have everything.

        ``rows`` is the number of rows that were read. ``None`` keeps the number of the position.
        """
        self._set_status("completed", samples, rows)

    def forget(self) -> None:
        """Forget the job, but not what its outputs were given."""
        if not self.writes:
            return
        with self._state.step() as db:
            db.execute("DELETE FROM jobs WHERE series = ?", (self.job.series,))

    def _set_status(
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
        db = self._state.conn
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
    """Return the jobs in a state file, the latest first. Skip damaged records."""
    found = []
    query = (
        "SELECT key, series, about, status, landmarks, rows, updated, length(reached) FROM jobs"
        " ORDER BY updated DESC, key"
    )
    for key, series, about, status, landmarks, rows, updated, size in state.conn.execute(query):
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
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
            continue
    return found


def packed(position: Position) -> bytes:
    """Encode a position with a checksum, which detects a flipped bit.

    The program's version is part of the checksum, because another version may count differently.
    """
    plain = msgspec.msgpack.encode(position)
    return _sum(plain) + plain


def unpacked(encoded: bytes) -> Position | None:
    """Decode a position. Return ``None`` if it is damaged or another version wrote it."""
    plain = encoded[_SUM_BYTES:]
    try:
        if encoded[:_SUM_BYTES] != _sum(plain):
            return None
        return msgspec.msgpack.decode(plain, type=Position)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        return None


def _sum(plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=_SUM_BYTES, key=__version__.encode()).digest()


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:_KEY_DIGITS]
