"""Store playback events in a DuckDB file, each play once, together with the position of a job.

Two events are the same play if they share the id, the correlation key, or rating key, user and
start together. Anti-joins leave out known events, because ``ON CONFLICT DO NOTHING`` loses rows
that have a NULL in a unique column (duckdb issue 26066, seen in 1.2 to 2.0). The unique indexes
are a second safeguard. Rows are inserted as JSON lines: one by one is 200 times slower.
"""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec
from msgspec import Struct

from ..errors import SinkError
from ..formatting import shown
from ..interrupts import defer_signals
from ..model.events import PlaybackEvent
from ..temp_folder import PrivateFolder
from .connecting import connected, define, imported, make_file, quoted
from .schema import (
    COLUMNS,
    EVENTS,
    KEYS,
    column_of,
    failure,
    is_ours,
    is_plain,
    is_there,
    keys_of,
    normalised,
    run,
    share_a_key,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Added", "EventStore", "Poison"]

_SEEN: Final = "seen"
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Added(Struct, frozen=True):
    """The result of adding events."""

    stored: int
    known: int
    """Events that were left out, because the file or the same batch has the play already."""
    under_another_id: int = 0
    """Known events whose play is in the file under another id, perhaps of another program."""


class Poison(Struct, frozen=True):
    """A message of a stream that is not a usable event. It is kept for a person to inspect."""

    stream: str
    sequence: int
    subject: str
    reason: str
    payload: bytes
    received_at: int
    """Epoch seconds, UTC."""


class EventStore:
    """An open DuckDB file with the table ``playback_events``. No other process can open it."""

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        """Open the file, and create it if it is absent.

        With ``reads_only``, write nothing, and treat an absent file as an empty one.

        Raises:
            ConfigurationError: DuckDB is not installed.
            BusyError: another process has the file open.
            SinkError: it is not a file of this program, or cannot be read or written.
        """
        self.path = path
        self._real = os.path.realpath(path)
        self._duckdb = imported()
        self._folder: PrivateFolder | None = None
        self._db: DuckDBPyConnection | None = None
        self._places = [EVENTS]
        try:
            with self._guarded():
                self._folder = PrivateFolder()
                self._db = self._opened(reads_only=reads_only)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Everything that ``add`` returned for is durable already."""
        if self._db is not None:
            # If DuckDB cannot merge its log into the file now, it reads the log next time.
            with suppress(self._duckdb.Error, RuntimeError):
                self._db.close()
            self._db = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def add(
        self,
        events: Sequence[PlaybackEvent],
        *,
        job: str = "",
        reached: bytes | None = None,
        poison: Sequence[Poison] = (),
    ) -> Added:
        """Store events, the position that ``job`` reached with them, and unusable messages.

        All of it is one transaction, which is durable when this returns. Leave out each event
        whose play is in the file or earlier in ``events``, and each message that is kept already.

        Raises:
            SinkError: the file could not be written. Nothing was stored.
        """
        with self._guarded(), self._transaction() as db:
            added = self._add(db, events, EVENTS) if events else Added(0, 0)
            if poison:
                self._keep(db, poison)
            if reached is not None:
                run(db, "DELETE FROM checkpoints WHERE job = ?", job)
                run(db, "INSERT INTO checkpoints VALUES (?, ?)", job, reached)
        return added

    def preview(self, events: Sequence[PlaybackEvent]) -> Added:
        """Return what ``add`` would return, as if all earlier previews had been added.

        Nothing is written.

        Raises:
            SinkError: the file cannot be read.
        """
        if not events:
            return Added(0, 0)
        with self._guarded():
            db = self._open
            if _SEEN not in self._places:
                keys = ", ".join(column_of(field) for key in KEYS for field in key)
                of_none = f"SELECT {keys} FROM {EVENTS} WHERE false"  # noqa: S608
                run(db, f"CREATE TEMP TABLE {_SEEN} AS {of_none}")
                self._places.append(_SEEN)
            with self._transaction():
                return self._add(db, events, _SEEN)

    def reached(self, job: str) -> bytes | None:
        """Return the last position of a job that ``add`` was given; ``None`` if there is none."""
        with self._guarded():
            found = run(self._open, "SELECT reached FROM checkpoints WHERE job = ?", job)
        return bytes(found[0][0]) if found else None

    def forget(self, job: str) -> None:
        """Delete the position of a job. Its events stay.

        Raises:
            SinkError: the file could not be written.
        """
        with self._guarded(), self._transaction() as db:
            run(db, "DELETE FROM checkpoints WHERE job = ?", job)

    def count(self) -> int:
        """Return the number of events in the file."""
        with self._guarded():
            return int(run(self._open, f"SELECT count(*) FROM {EVENTS}")[0][0])  # noqa: S608

    # Opening.

    def _opened(self, *, reads_only: bool) -> DuckDBPyConnection:
        is_file = is_there(self.path)
        if not is_file and not reads_only:
            make_file(self._duckdb, self.path, self._private)
            is_file = True
        # DuckDB merges a log that it finds into the file. Look first, read-only, whose file it is.
        if is_file and (reads_only or Path(f"{self._real}.wal").exists()):
            db = connected(self._duckdb, self._real, self._private, read_only=True)
            try:
                is_known = is_ours(db, self.path)
            except BaseException:
                db.close()
                raise
            if is_known and reads_only:
                return db
            db.close()
        self._db = connected(self._duckdb, ":memory:" if reads_only else self._real, self._private)
        if not is_ours(self._db, self.path):
            with self._transaction() as db:
                define(db)
        return self._db

    # Adding.

    def _add(self, db: DuckDBPyConnection, events: Sequence[PlaybackEvent], into: str) -> Added:
        events, lines = self._encoded(events)
        if share_a_key(events):
            wanted = self._first_ones(db, events, lines)
            lines = _encode_lines(wanted)
        fields = COLUMNS if into == EVENTS else dict.fromkeys(chain(*KEYS))
        batch = self._batch(lines, COLUMNS)
        new = " AND ".join(f"NOT {there}" for there in self._known_conditions())
        values = ", ".join(f"s.{field}" for field in fields)
        query = f"INSERT INTO {into} SELECT {values} FROM {batch} s WHERE {new}"  # noqa: S608
        stored = int(run(db, query)[0][0])
        known = len(events) - stored
        return Added(stored, known, known and len(events) - self._count_ids(db, events))

    def _encoded(self, events: Sequence[PlaybackEvent]) -> tuple[Sequence[PlaybackEvent], bytes]:
        """Return the normalised events, and the same as lines of JSON.

        Raises:
            SinkError: an event cannot be stored.
        """
        try:
            events = [event if is_plain(event) else normalised(event) for event in events]
            try:
                return events, _encode_lines(events)
            except UnicodeEncodeError:
                events = [normalised(event) for event in events]
                return events, _encode_lines(events)
        except ValueError as error:
            raise SinkError(
                f"An event cannot be stored: {error}.",
                hint="This is a bug in the program that made the event. Please report it.",
            ) from error

    def _known_conditions(self) -> Sequence[str]:
        """Return SQL conditions. If one is true, the row ``s`` of a batch is stored already."""
        return [
            f"EXISTS (FROM {place} p WHERE "
            + " AND ".join(f"p.{column_of(field)} = s.{field}" for field in key)
            + ")"
            for place in self._places
            for key in KEYS
        ]

    def _first_ones(
        self, db: DuckDBPyConnection, events: Sequence[PlaybackEvent], lines: bytes
    ) -> Sequence[PlaybackEvent]:
        """Return the events without known ones, and without repetitions among the new ones."""
        numbered = (
            b'{"n":%d,%b' % (number, line[1:]) for number, line in enumerate(lines.splitlines(True))
        )
        batch = self._batch(b"".join(numbered), {"n": "BIGINT", **COLUMNS})
        query = f"SELECT n FROM {batch} s WHERE {' OR '.join(self._known_conditions())}"  # noqa: S608
        known = {number for (number,) in run(db, query)}
        taken: set[object] = set()
        first = []
        for number, event in enumerate(events):
            keys = keys_of(event)
            if number not in known and taken.isdisjoint(keys):
                taken.update(keys)
                first.append(event)
        return first

    def _count_ids(self, db: DuckDBPyConnection, events: Sequence[PlaybackEvent]) -> int:
        """Count the events whose id is stored, after they were added."""
        ids = "".join(f'{{"event_id":"{event.event_id}"}}\n' for event in events)
        batch = self._batch(ids.encode(), {"event_id": "UUID"})
        there = " OR ".join(f"event_id IN (SELECT id FROM {place})" for place in self._places)  # noqa: S608
        return int(run(db, f"SELECT count(*) FROM {batch} WHERE {there}")[0][0])  # noqa: S608

    def _keep(self, db: DuckDBPyConnection, poison: Sequence[Poison]) -> None:
        columns = {"stream": "VARCHAR", "sequence": "BIGINT", "subject": "VARCHAR"}
        columns |= {"reason": "VARCHAR", "payload": "VARCHAR", "received_at": "BIGINT"}
        batch = self._batch(_encode_lines(poison), columns)
        rows = f"SELECT *, from_base64(payload) AS content FROM {batch}"  # noqa: S608
        query = (
            "INSERT INTO poison_messages SELECT DISTINCT ON (stream, sequence, content) stream, "  # noqa: S608
            f"sequence, subject, reason, content, make_timestamp(received_at * 1000000) "
            f"FROM ({rows}) s WHERE NOT EXISTS (FROM poison_messages p WHERE p.stream = s.stream "
            "AND p.sequence = s.sequence AND p.payload = s.content)"
        )
        run(db, query)

    # Batches, transactions and errors.

    def _batch(self, lines: bytes, columns: Mapping[str, str]) -> str:
        """Return SQL for a table of JSON lines. It is valid until the next call."""
        path = self._private / "batch.ndjson"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(path, "wb", opener=lambda name, _: os.open(name, flags, 0o600)) as file:
            file.write(lines)
        types = ", ".join(f"{field}: '{kind}'" for field, kind in columns.items())
        place = quoted(glob.escape(str(path)))
        return f"read_json({place}, format = 'newline_delimited', columns = {{{types}}})"

    @property
    def _private(self) -> Path:
        if self._folder is None:
            raise ValueError("the file has been closed")
        return self._folder.path

    @property
    def _open(self) -> DuckDBPyConnection:
        if self._db is None:
            raise ValueError("the file has been closed")
        return self._db

    @contextmanager
    def _transaction(self) -> Iterator[DuckDBPyConnection]:
        """Run a block as one transaction."""
        db = self._open
        run(db, "BEGIN")
        try:
            yield db
            run(db, "COMMIT")
        except BaseException:
            with suppress(self._duckdb.Error, RuntimeError):  # DuckDB may have rolled back itself
                run(db, "ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Run a block with signals deferred, and turn its errors into ours.

        Raises:
            BusyError: another process has the file open.
            SinkError: the file or the temporary files cannot be read or written.
        """
        # Python delivers signals to the main thread, and only there they can be deferred.
        is_main = threading.current_thread() is threading.main_thread()
        with defer_signals() if is_main else nullcontext():
            mask = os.umask(0o077)  # for DuckDB's log, which holds IP addresses as the file does
            try:
                yield
            except (self._duckdb.Error, RuntimeError) as error:
                raise failure(self.path, str(error)) from error
            except OSError as error:
                raise SinkError(
                    f"The temporary files for {shown(self.path)} cannot be written: "
                    f"{error.strerror or error}.",
                    hint="Make room for temporary files, or choose another directory for them with "
                    "TMPDIR=DIRECTORY.",
                ) from error
            finally:
                os.umask(mask)
