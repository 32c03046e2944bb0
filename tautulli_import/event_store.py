"""Playback events in a DuckDB file: each play once, and with them how far a job has come.

Three things make an event the same as another: its id, its correlation key, and its rating key,
user and start together. What is known is sorted out with anti-joins, for ``ON CONFLICT DO
NOTHING`` loses rows that have a NULL in a unique column (duckdb issue 26066, seen in 1.2 to 2.0);
the unique indexes are the net below. Rows go in as JSON lines: one by one is 200 times slower.
"""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, Self

import msgspec
from msgspec import Struct

from .errors import ConfigurationError, SinkError
from .event_store_schema import (
    COLUMNS,
    DEFINITIONS,
    EVENTS,
    KEYS,
    column_of,
    is_ours,
    is_plain,
    is_there,
    keys_of,
    run,
    settled,
    share_a_key,
    trouble,
)
from .models import PlaybackEvent
from .sinks.files import shown, write_whole
from .sources.private import PrivateFolder
from .stopping import held

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Added", "EventStore", "Poison"]

# So that DuckDB 1.2 and everything newer can read the file.
_STORAGE: Final = "v1.2.0"
# DuckDB writes the indexes anew whenever its log has grown to this: seldom is a third faster.
_LOG: Final = "128MB"
_SEEN: Final = "seen"
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Added(Struct, frozen=True):
    """What became of events that were added."""

    stored: int
    known: int
    """Left out: the file, or an earlier one of them, is the same play."""
    under_another_id: int = 0
    """How many of the known ones are there as another event, of another program perhaps."""


class Poison(Struct, frozen=True):
    """A message of a stream that cannot become a row, kept so that a person can look at it."""

    stream: str
    sequence: int
    subject: str
    reason: str
    payload: bytes
    received_at: int
    """Epoch seconds, UTC."""


class EventStore:
    """A DuckDB file with the table ``playback_events``; nobody else can open it meanwhile.

    With ``reads_only`` an absent file counts as an empty one, and nothing is written.
    """

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        """Open the file; without ``reads_only`` it is made where there is none.

        Raises:
            ConfigurationError: DuckDB is not installed.
            BusyError: another process has the file open.
            SinkError: it is something else than a file of ours, or cannot be read or written.
        """
        self.path = path
        self._real = os.path.realpath(path)
        self._duckdb = _duckdb()
        self._folder: PrivateFolder | None = None
        self._db: DuckDBPyConnection | None = None
        self._places = [EVENTS]
        try:
            with self._told():
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
        """Let go of the file. What was added is in it, whatever happens here."""
        if self._db is not None:
            # What DuckDB cannot tidy up now stays in its log, and is read from there.
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
        """Store events, the point that ``job`` has reached with them, and messages kept aside.

        All of it is durable when this returns, or nothing of it happened. Of the events, those
        are left out of which the file has the play, as if they came one by one, in order. A
        message that is kept already is not kept again.

        Raises:
            SinkError: it could not be written.
        """
        with self._told(), self._transaction() as db:
            added = self._add(db, events, EVENTS) if events else Added(0, 0)
            if poison:
                self._keep(db, poison)
            if reached is not None:
                run(db, "DELETE FROM checkpoints WHERE job = ?", job)
                run(db, "INSERT INTO checkpoints VALUES (?, ?)", job, reached)
        return added

    def preview(self, events: Sequence[PlaybackEvent]) -> Added:
        """What ``add`` would do, had all that was previewed before been added; writes nothing.

        Raises:
            SinkError: the file cannot be read.
        """
        if not events:
            return Added(0, 0)
        with self._told():
            db = self._open
            if _SEEN not in self._places:
                keys = ", ".join(column_of(field) for key in KEYS for field in key)
                of_none = f"SELECT {keys} FROM {EVENTS} WHERE false"  # noqa: S608
                run(db, f"CREATE TEMP TABLE {_SEEN} AS {of_none}")
                self._places.append(_SEEN)
            with self._transaction():
                return self._add(db, events, _SEEN)

    def reached(self, job: str) -> bytes | None:
        """How far a job has come, as it was given to ``add``; ``None`` where that is not known."""
        with self._told():
            found = run(self._open, "SELECT reached FROM checkpoints WHERE job = ?", job)
        return bytes(found[0][0]) if found else None

    def forget(self, job: str) -> None:
        """Forget how far a job has come; its events stay.

        Raises:
            SinkError: it could not be written.
        """
        with self._told(), self._transaction() as db:
            run(db, "DELETE FROM checkpoints WHERE job = ?", job)

    def count(self) -> int:
        """How many events there are."""
        with self._told():
            return int(run(self._open, f"SELECT count(*) FROM {EVENTS}")[0][0])  # noqa: S608

    # Opening.

    def _opened(self, *, reads_only: bool) -> DuckDBPyConnection:
        is_file = is_there(self.path)
        if not is_file and not reads_only:
            self._make()
            is_file = True
        # DuckDB tidies up a log that it finds: of a file that is not ours nothing is touched.
        if is_file and (reads_only or Path(f"{self._real}.wal").exists()):
            db = self._connected(self._real, read_only=True)
            try:
                is_known = is_ours(db, self.path)
            except BaseException:
                db.close()
                raise
            if is_known and reads_only:
                return db
            db.close()
        self._db = self._connected(":memory:" if reads_only else self._real)
        if not is_ours(self._db, self.path):
            with self._transaction() as db:
                _define(db)
        return self._db

    def _connected(self, database: str, *, read_only: bool = False) -> DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "checkpoint_threshold": _LOG,
            "temp_directory": str(self._private / "spill"),
        }
        db: DuckDBPyConnection = self._duckdb.connect(database, read_only=read_only, config=config)
        run(db, "SET enable_progress_bar = false")
        return db

    def _make(self) -> None:
        """Make the file, whole or not at all: it is put together elsewhere."""
        log = Path(f"{self._real}.wal")
        if log.exists() and log.stat().st_size:
            raise SinkError(
                f"{shown(log)} is there, but not the file that it belongs to.",
                hint=f"Put {shown(self.path)} back beside it, or remove it if that is gone.",
            )
        made = self._private / "new.duckdb"
        db = self._connected(":memory:")
        try:
            run(db, f"ATTACH {_quoted(made)} AS made (STORAGE_VERSION '{_STORAGE}')")
            run(db, "USE made")
            _define(db)
            run(db, "USE memory")
            run(db, "DETACH made")
        finally:
            db.close()
        write_whole(self.path, [made.read_bytes()], unless=lambda: is_there(self.path))
        made.unlink()

    # Adding.

    def _add(self, db: DuckDBPyConnection, events: Sequence[PlaybackEvent], into: str) -> Added:
        events, lines = self._encoded(events)
        if share_a_key(events):
            wanted = self._first_ones(db, events, lines)
            lines = _encode_lines(wanted)
        fields = COLUMNS if into == EVENTS else dict.fromkeys(chain(*KEYS))
        batch = self._batch(lines, COLUMNS)
        new = " AND ".join(f"NOT {there}" for there in self._there())
        values = ", ".join(f"s.{field}" for field in fields)
        query = f"INSERT INTO {into} SELECT {values} FROM {batch} s WHERE {new}"  # noqa: S608
        stored = int(run(db, query)[0][0])
        known = len(events) - stored
        return Added(stored, known, known and len(events) - self._there_by_id(db, events))

    def _encoded(self, events: Sequence[PlaybackEvent]) -> tuple[Sequence[PlaybackEvent], bytes]:
        """The events as the table takes them, and as lines of JSON."""
        try:
            events = [event if is_plain(event) else settled(event) for event in events]
            try:
                return events, _encode_lines(events)
            except UnicodeEncodeError:
                events = [settled(event) for event in events]
                return events, _encode_lines(events)
        except ValueError as error:
            raise SinkError(
                f"An event cannot be stored: {error}.",
                hint="This is a fault of the program that made it. Please report it.",
            ) from error

    def _there(self) -> Sequence[str]:
        """The conditions under each of which a row ``s`` of a batch is there already."""
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
        """Without those that are there, or are the same play as an earlier one that is not."""
        numbered = (
            b'{"n":%d,%b' % (number, line[1:]) for number, line in enumerate(lines.splitlines(True))
        )
        batch = self._batch(b"".join(numbered), {"n": "BIGINT", **COLUMNS})
        query = f"SELECT n FROM {batch} s WHERE {' OR '.join(self._there())}"  # noqa: S608
        known = {number for (number,) in run(db, query)}
        taken: set[object] = set()
        first = []
        for number, event in enumerate(events):
            keys = keys_of(event)
            if number not in known and taken.isdisjoint(keys):
                taken.update(keys)
                first.append(event)
        return first

    def _there_by_id(self, db: DuckDBPyConnection, events: Sequence[PlaybackEvent]) -> int:
        """Of how many the id is there, now that they have been added."""
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

    # What everything goes through.

    def _batch(self, lines: bytes, columns: Mapping[str, str]) -> str:
        """Lines of JSON as a table for the next statement; the next batch takes its place."""
        path = self._private / "batch.ndjson"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(path, "wb", opener=lambda name, _: os.open(name, flags, 0o600)) as file:
            file.write(lines)
        types = ", ".join(f"{field}: '{kind}'" for field, kind in columns.items())
        place = _quoted(glob.escape(str(path)))
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
        """All of it or nothing."""
        db = self._open
        run(db, "BEGIN")
        try:
            yield db
            run(db, "COMMIT")
        except BaseException:
            with suppress(self._duckdb.Error, RuntimeError):  # it may have been undone already
                run(db, "ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A step that no signal cuts through, and whose errors become ours."""
        # Signals come to the main thread, and nobody else may wait for them.
        is_main = threading.current_thread() is threading.main_thread()
        with held() if is_main else nullcontext():
            try:
                yield
            except (self._duckdb.Error, RuntimeError) as error:
                raise trouble(self.path, str(error)) from error
            except OSError as error:
                raise SinkError(
                    f"The temporary files for {shown(self.path)} cannot be written: "
                    f"{error.strerror or error}.",
                    hint="Make room there, or name another place for them with TMPDIR.",
                ) from error


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigurationError(
            "--to duckdb needs DuckDB: pip install 'tautulli-import[duckdb]'",
            hint="With pipx: pipx inject tautulli-import duckdb.",
        ) from error
    return duckdb


def _define(db: DuckDBPyConnection) -> None:
    for statement in DEFINITIONS:
        run(db, statement)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
