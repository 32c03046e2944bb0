"""Remember the entries that each output was given, with which selections, and whose plays.

An output is a place: a sink, its files, and with ``--each-user`` the user. All jobs that write
into one place share its record, because a place holds the entries of all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from ..model.items import Conflict
from .file import StateFile

__all__ = [
    "OutputNotes",
    "OutputStore",
    "Place",
    "Published",
    "Verified",
    "VerifiedStore",
    "Whose",
    "encoded",
    "forget_outputs",
]

Place: TypeAlias = tuple[str, str, str]
"""The sink, its files, and the user's number or nothing."""
Published: TypeAlias = dict[str, tuple[int, int]]
"""The row id and the time (epoch seconds, UTC) of each key that an output was given."""

_PREFIX: Final = "output:"
_CONFLICTS: Final = "conflicts"
_WARNINGS: Final = "warnings"
# The first byte of MessagePack's "map 32", which has up to 2**32 entries, and the size of its head.
_MAP: Final = 0xDF
_MAP_HEAD: Final = 5
# Earlier versions had a row for each job. Those rows count until the first publish.
_ALL_JOBS: Final = ""
_WHERE: Final = "sink = ? AND target = ? AND user = ?"


class Whose(Struct, frozen=True):
    """The users that a person chose for an output. Without any, the plays of all become one."""

    users: tuple[int, ...] = ()
    each_user: bool = False


class OutputNotes(Struct, frozen=True):
    """All that is remembered of an output, except its entries."""

    selections: tuple[str, ...] = ()
    """The selections that its entries were made with, as JSON."""
    jobs: tuple[str, ...] = ()
    """The jobs that wrote into it."""
    is_complete: bool = False
    """True if every entry there that came from us is in the record."""
    is_changed: bool = False
    """True if a run changed it. What was there before that was copied."""
    whose: Whose | None = None
    """A person's choice; ``None`` if nobody was asked."""
    told: tuple[int, ...] = ()
    """The users of whom a person was told that their plays become one history."""


class Verified(Struct, frozen=True):
    """The entries that an output was seen to have."""

    digests: bytes = b""
    """The digests of all entries, one after another."""
    since: int = 0
    """The time when all of them were last compared (epoch seconds, UTC)."""


class VerifiedStore:
    """The part of a state file with the verified entries of one output."""

    def __init__(self, state: StateFile, name: str, *, writes: bool) -> None:
        """Without ``writes`` nothing is saved."""
        self._state = state
        self._name = name
        self._writes = writes

    def load(self) -> Verified:
        """Return the verified entries. None are known of a new output."""
        return self._state.get(self._name, Verified) or Verified()

    def save(self, verified: Verified) -> None:
        """Replace the verified entries."""
        if self._writes:
            with self._state.step():
                self._state.put(self._name, verified)


class OutputStore:
    """The part of a state file that is about outputs."""

    def __init__(self, state: StateFile, job: str = "", *, writes: bool = True) -> None:
        """``job`` is the key of the job; empty if nothing else is remembered of it.

        Without ``writes``, for a dry run, nothing is saved.
        """
        self.job = job
        self._former: dict[Place, Place] = {}
        self._state = state
        self._writes = writes

    @property
    def folder(self) -> Path | None:
        """Return the directory for copies of outputs, or ``None`` if no state is kept."""
        return self._state.path.parent / "previous" if self._state.path else None

    def rename(self, former: Place, place: Place) -> None:
        """Take what is remembered under a former name over to an output, when that is published."""
        if former != place:
            self._former[place] = former

    def notes(self, place: Place) -> OutputNotes | None:
        """Return what is remembered of an output, or ``None`` if nothing is."""
        found = (self._state.get(_name(one), OutputNotes) for one in self._names_of(place))
        return next(filter(None, found), None)

    def save_notes(self, place: Place, notes: OutputNotes) -> None:
        """Save what is remembered of an output."""
        if self._writes:
            with self._state.step():
                self._state.put(_name(place), notes)

    def entries(self, place: Place) -> Published:
        """Return the entries of ours that an output may have: published or staged.

        Of two under one key the newer counts, as in the outputs.
        """
        found: Published = {}
        query = f"SELECT published, staged FROM published WHERE {_WHERE} ORDER BY job DESC"  # noqa: S608 - a constant
        for row in (row for one in self._names_of(place) for row in self._rows(query, one)):
            for cell in row:
                entries = _decoded(cell)
                if not found:
                    found = entries
                    continue
                for key, entry in entries.items():
                    if key not in found or found[key][1] <= entry[1]:
                        found[key] = entry
        return found

    def has(self, place: Place, staged: bytes) -> bool:
        """Return true if an output has exactly these entries, from ``encoded``."""
        query = f"SELECT published = ? AND staged IS NULL FROM published WHERE {_WHERE}"  # noqa: S608 - a constant
        names = self._names_of(place)
        return [row for one in names for row in self._rows(query, (staged, *one))] == [(1,)]

    def _names_of(self, place: Place) -> Sequence[Place]:
        return [place, self._former[place]] if place in self._former else [place]

    def _rows(self, query: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        return self._state.conn.execute(query, values).fetchall()

    def stage(self, place: Place, staged: bytes, notes: OutputNotes) -> None:
        """Save the entries that an output will have next, from ``encoded``."""
        if not self._writes:
            return
        row = self._state.conn.execute(
            f"SELECT published, staged FROM published WHERE job = ? AND {_WHERE}",  # noqa: S608 - a constant
            (_ALL_JOBS, *place),
        ).fetchone()
        if row == (staged, None) and self.notes(place) == notes:
            return
        with self._state.step(durable=True) as db:
            db.execute(
                "INSERT OR IGNORE INTO published VALUES (?, ?, ?, ?, NULL, NULL)",
                (_ALL_JOBS, *place),
            )
            db.execute(
                f"UPDATE published SET staged = ? WHERE job = ? AND {_WHERE}",  # noqa: S608 - a constant
                (staged, _ALL_JOBS, *place),
            )
            self._state.put(_name(place), notes)

    def publish(self, place: Place, notes: OutputNotes) -> None:
        """Save the staged entries as published, because they are durable in the output."""
        if not self._writes:
            return
        with self._state.step() as db:
            db.execute(
                "UPDATE published SET published = staged, staged = NULL"  # noqa: S608 - a constant
                f" WHERE job = ? AND {_WHERE} AND staged IS NOT NULL",
                (_ALL_JOBS, *place),
            )
            db.execute(
                f"DELETE FROM published WHERE job <> ? AND {_WHERE}",  # noqa: S608 - a constant
                (_ALL_JOBS, *place),
            )
            self._state.put(_name(place), notes)
            if former := self._former.pop(place, None):
                _forget(db, former)

    def verified(self, place: Place) -> VerifiedStore:
        """Return the memory of what a server was seen to have."""
        return VerifiedStore(self._state, _verified_name(place), writes=self._writes)

    def new_conflicts(self, conflicts: Sequence[Conflict]) -> Sequence[Conflict]:
        """Return the conflicts of which the user was not told."""
        told = set(self._state.get(_CONFLICTS, list[str]) or ())
        return [one for one in conflicts if _conflict_name(one) not in told]

    def save_conflicts(self, conflicts: Sequence[Conflict]) -> None:
        """Save that the user was told of these conflicts, and forget all others."""
        names = sorted({_conflict_name(one) for one in conflicts})
        if self._writes and names != (self._state.get(_CONFLICTS, list[str]) or []):
            with self._state.step():
                self._state.put(_CONFLICTS, names)

    def warnings(self) -> frozenset[str]:
        """Return the warnings of the last run."""
        return frozenset(self._state.get(_WARNINGS, list[str]) or ())

    def save_warnings(self, warnings: Iterable[str]) -> None:
        """Save the warnings of this run, and forget those of earlier runs."""
        if self._writes and self.warnings() != (told := frozenset(warnings)):
            with self._state.step():
                self._state.put(_WARNINGS, sorted(told))


def forget_outputs(state: StateFile, job: str) -> None:
    """Forget the outputs that only this job wrote into. Call this inside a ``step``."""
    db = state.conn
    db.execute("DELETE FROM published WHERE job = ?", (job,))
    query = "SELECT name FROM about WHERE substr(name, 1, ?) = ?"
    for (name,) in db.execute(query, (len(_PREFIX), _PREFIX)).fetchall():
        notes = state.get(name, OutputNotes) or OutputNotes()
        if job not in notes.jobs:
            continue
        others = tuple(one for one in notes.jobs if one != job)
        if others:
            state.put(name, msgspec.structs.replace(notes, jobs=others))
            continue
        place = msgspec.json.decode(name[len(_PREFIX) :], type=Place)
        _forget(db, place)


def _forget(db: sqlite3.Connection, place: Place) -> None:
    names = (_name(place), _verified_name(place))
    db.execute("DELETE FROM about WHERE name IN (?, ?)", names)
    db.execute(f"DELETE FROM published WHERE {_WHERE}", place)  # noqa: S608 - a constant


def _name(place: Place) -> str:
    return _PREFIX + msgspec.json.encode(place).decode()


def _verified_name(place: Place) -> str:
    return f"verified:{msgspec.json.encode(place).decode()}"


def _conflict_name(conflict: Conflict) -> str:
    """Return a name that stays when the newest play changes."""
    ids = sorted((conflict.kept, conflict.dropped))
    return "|".join((conflict.kind, conflict.title, conflict.namespace, *ids))


def encoded(entries: Iterable[tuple[str, tuple[int, int]]]) -> bytes:
    """Encode entries for ``OutputStore.stage``, as one map in MessagePack."""
    encode = msgspec.msgpack.Encoder().encode
    count = 0
    content = bytearray(_MAP_HEAD)
    for key, entry in entries:
        content += encode(key)
        content += encode(entry)
        count += 1
    content[1:_MAP_HEAD] = count.to_bytes(_MAP_HEAD - 1, "big")
    content[0] = _MAP
    return bytes(content)


def _decoded(encoded: bytes | None) -> Published:
    if encoded is None:
        return {}
    try:
        return msgspec.msgpack.decode(encoded, type=Published)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        return {}
