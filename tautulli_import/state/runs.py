"""Record the runs of a state file: their progress, their end, and the next step for the user."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ..errors import ConfigurationError, NotFoundError, TautulliImportError
from ..formatting import duration
from ..interrupts import Stopped
from ..progress import UNITS, Phase
from .file import StateFile, state_file, state_files
from .folder import make_folder
from .lock import Holder, Lock

__all__ = [
    "LastRuns",
    "Run",
    "RunLog",
    "RunStatus",
    "describe",
    "last_run",
    "last_runs",
    "lock_of",
    "logged",
    "source_of",
]

RunStatus: TypeAlias = Literal["running", "completed", "failed", "cancelled"]

_KEPT: Final = 100
_EVERY_SECONDS: Final = 1.0
_SHOWN_SECONDS: Final = 86_400.0
_MISTYPED: Final = (ConfigurationError.exit_code, NotFoundError.exit_code)
_KILLED: Final = "the process was killed, or the machine went down"


class Run(Struct, frozen=True):
    """One run of ``api``, ``db`` or ``consume``. Times are epoch seconds, UTC."""

    id: int
    status: RunStatus
    line: str
    """The command without secrets. It can be typed again."""
    pid: int
    source: str
    targets: tuple[str, ...]
    began: float
    updated: float
    ended: float | None = None
    phase: Phase | Literal["starting"] = "starting"
    phase_began: float = 0.0
    done: int = 0
    """Done in this phase, earlier runs included. ``UNITS`` has the unit."""
    carried: int = 0
    """The part of ``done`` that earlier runs did."""
    total: int = 0
    error: str = ""
    next_step: str = ""
    exit_code: int | None = None
    said: str = ""
    """The result in one sentence."""

    @property
    def has_read_nothing(self) -> bool:
        """True if it ended before it read anything."""
        return self.phase == "starting" and self.status in ("failed", "cancelled")

    @property
    def is_attempt(self) -> bool:
        """True if it read nothing, or failed because of a wrong option or a name not found."""
        return self.has_read_nothing or (self.status == "failed" and self.exit_code in _MISTYPED)

    @property
    def percent(self) -> float | None:
        """The finished part of the phase in percent, or ``None`` if its size is not known."""
        if self.status == "completed":
            return 100.0
        return min(100.0, 100 * self.done / self.total) if self.total else None

    @property
    def per_second(self) -> float | None:
        """The speed of this run in this phase, in units per second. Earlier runs do not count."""
        took = self.updated - self.phase_began
        return (self.done - self.carried) / took if took > 0 and self.done > self.carried else None

    @property
    def seconds_left(self) -> float | None:
        """The seconds that this phase will take at the speed of this run; ``None`` if unknown."""
        speed = self.per_second
        if self.status != "running" or not speed or not self.total:
            return None
        return max(0, self.total - self.done) / speed


class LastRuns(Struct, frozen=True):
    """The last run from a source to an output, and the attempts after it."""

    run: Run
    """The last one that was no failed attempt, if there is one."""
    attempt: Run | None = None
    """The last one, if it was a failed attempt."""
    was_opened: bool = True
    """True if any run to this output could open the source."""

    @property
    def latest(self) -> Run:
        """Return the last of both."""
        return self.attempt or self.run


def lock_of(state: Path) -> Lock:
    """Return the lock of a state file. A run that writes the file holds it until it ends."""
    return Lock(state.with_name(state.name + ".lock"))


def last_run(state: Path, number: int | None = None) -> Run | None:
    """Return the run with this number, or the last run. Return ``None`` if it cannot be read.

    A run without an end whose lock nobody holds was killed. It is returned as failed.
    """
    where = f"id = {number}" if number else "id = (SELECT max(id) FROM runs)"
    return next(iter(_runs(state, where)), None)


def source_of(state: StateFile) -> str:
    """Return the source of the last run in an open state file; empty if it is not known."""
    query = "SELECT told FROM runs ORDER BY id DESC LIMIT 1"
    with suppress(sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError, TypeError):
        (told,) = state.conn.execute(query).fetchone()
        return msgspec.json.decode(told, type=Run).source
    return ""


def _runs(state: Path, where: str) -> Sequence[Run]:
    """Return the runs of a state file that fulfil a condition, the last one first.

    If one is unreadable, return nothing.
    """
    uri = f"file:{quote(os.fsencode(state.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=2.0)) as connection:
            query = f"SELECT told FROM runs WHERE {where} ORDER BY id DESC"  # noqa: S608 - conditions of ours
            found = [msgspec.json.decode(told, type=Run) for (told,) in connection.execute(query)]
            (newest,) = connection.execute("SELECT max(id) FROM runs").fetchone()
    except (sqlite3.Error, OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    is_held = any(run.status == "running" for run in found) and lock_of(state).is_held()
    return [
        run if run.status != "running" or (is_held and run.id == newest) else _killed(run)
        for run in found
    ]


def _killed(run: Run) -> Run:
    return msgspec.structs.replace(
        run, status="failed", error=_KILLED, next_step=run.line, ended=run.updated
    )


def last_runs(folder: Path) -> Sequence[LastRuns]:
    """Return the last run from each source to each output, the latest first.

    A source that could never be opened, such as a mistyped address, is left out as soon as a
    later run has written the same output, or a day after the last attempt. The latest run of all
    is never left out.
    """
    found = [last for path in state_files(folder) for last in _last_of(path)]
    found.sort(key=lambda last: last.latest.began, reverse=True)
    since = time.time() - _SHOWN_SECONDS
    completed = [last.run for last in found if last.run.status == "completed"]

    def is_over(run: Run) -> bool:
        later = (one.targets for one in completed if one.began > run.began)
        return run.began < since or not {*run.targets}.isdisjoint(chain.from_iterable(later))

    shown: list[LastRuns] = []
    for last in found:
        if shown and not last.was_opened and is_over(last.run):
            continue
        shown.append(last)
    return shown


def _last_of(state: Path) -> Iterator[LastRuns]:
    """Return the last run to each output. Two nightly imports of one history are two of them."""
    by_output: dict[tuple[str, ...], list[Run]] = {}
    for run in _runs(state, "1"):
        by_output.setdefault(run.targets, []).append(run)
    for runs in by_output.values():
        last, was_opened = runs[0], not all(run.has_read_nothing for run in runs)
        good = next((run for run in runs if not run.is_attempt), None)
        if good is None or good is last:
            yield LastRuns(last, was_opened=was_opened)
        else:
            yield LastRuns(good, last, was_opened=was_opened)


class RunLog:
    """Records the progress of a run in a state file, once a second.

    A failure to write is ignored, because it must not end an import.
    """

    def __init__(self, state: StateFile, line: str, source: str, targets: tuple[str, ...]) -> None:
        """``line`` is the command without secrets."""
        now = time.time()
        self._state = state
        self._written = 0.0
        targets = tuple(map(_plain, targets))
        self._run = Run(
            *(0, "running", _plain(line), os.getpid(), _plain(source), targets, now, now),
            phase_began=now,
        )
        with suppress(TautulliImportError, sqlite3.Error), state.step() as db:
            db.execute("DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?", (_KEPT,))
            (number,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM runs").fetchone()
            self._run = msgspec.structs.replace(self._run, id=number)
            self._insert(db)

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self._run

    @property
    def holder(self) -> Holder:
        """The holder to write into the locks of this run."""
        path = self._state.path
        return Holder(
            self._run.pid, os.fsencode(path) if path else b"", self._run.id, self._run.line
        )

    def begin(self, phase: Phase, total: int, done: int = 0) -> None:
        """Record that a phase starts."""
        now = time.time()
        self._run = msgspec.structs.replace(
            self._run,
            phase=phase,
            phase_began=now,
            updated=now,
            total=total,
            done=done,
            carried=done,
        )
        self._write()

    def reached(self, done: int) -> None:
        """Record how much of the phase is done, once a second."""
        now = time.time()
        self._run = msgspec.structs.replace(self._run, done=done, updated=now)
        if now - self._written >= _EVERY_SECONDS:
            self._write()

    def idle(self) -> None:
        """Record progress that ``reached`` has not written yet."""
        if self._run.updated > self._written:
            self._write()

    def ended(self, said: str) -> None:
        """Record that the run completed. ``said`` is the result in one sentence."""
        self._end("completed", said=said, exit_code=0)

    @contextmanager
    def record_failure(self) -> Iterator[None]:
        """Record any exception that ends the run, and raise it again."""
        try:
            yield
        except BaseException as error:
            number = error.number + 128 if isinstance(error, Stopped) else 1
            self.failed(error, getattr(error, "exit_code", number))
            raise

    def failed(self, error: BaseException, exit_code: int, *, said: str = "") -> None:
        """Record that the run failed or was cancelled, and why."""
        status: RunStatus = "cancelled" if isinstance(error, Stopped) else "failed"
        if isinstance(error, TautulliImportError):
            words = str(error)
        elif status == "cancelled":
            words = ""
        else:
            words = f"{type(error).__name__}: {error}"
        hint = getattr(error, "hint", "")
        step = self._run.line if status == "cancelled" or not hint else hint
        self._end(
            status, error=_plain(words), next_step=_plain(step), exit_code=exit_code, said=said
        )

    def _end(self, status: RunStatus, **what: object) -> None:
        now = time.time()
        self._run = msgspec.structs.replace(
            self._run, status=status, updated=now, ended=now, **what
        )
        self._write()

    def _write(self) -> None:
        self._written = time.time()
        with suppress(TautulliImportError, sqlite3.Error), self._state.step() as db:
            self._insert(db)

    def _insert(self, db: sqlite3.Connection) -> None:
        told = msgspec.json.encode(self._run).decode()
        db.execute("INSERT OR REPLACE INTO runs (id, told) VALUES (?, ?)", (self._run.id, told))


@contextmanager
def logged(folder: Path, line: str, source: str, sink: str, target: str) -> Iterator[RunLog | None]:
    """Record a run of which several may be at work, for ``status`` and ``stop``.

    Of several from one source to one target only the first is recorded; the others get None.
    """
    name = f"{source} {target}"
    lock = lock_of(state_file(folder, name))
    try:
        make_folder(folder)
        is_first = lock.take()
    except OSError:
        is_first = False
    if not is_first:
        yield None
        return
    try:
        with closing(StateFile(folder, name)) as state:
            log = RunLog(state, line, source, (f"{sink}={target}",))
            lock.note(log.holder)
            with log.record_failure():
                yield log
    finally:
        lock.release()


def _plain(text: str) -> str:
    """Replace characters that cannot be encoded. A path may contain invalid bytes."""
    return text.encode("utf-8", "replace").decode()


def describe(run: Run, *, has_ended: bool = False) -> str:
    """Format a run's progress, with its pace unless it has ended.

    For example ``reading, 41 % (410 of 1,000 plays), 97 plays/s, about 6 s left``.
    """
    what = UNITS["reading" if run.phase == "starting" else run.phase]
    parts: list[str] = ["searching bad rows" if run.phase == "searching" else run.phase]
    if run.percent is not None and run.phase != "writing":
        parts.append(f"{run.percent:.0f} % ({run.done:,} of {run.total:,} {what})")
    elif run.done:
        parts.append(f"{run.done:,} {what}")
    if has_ended:
        return ", ".join(parts)
    if run.phase != "writing" and (speed := run.per_second):
        parts.append(f"{speed:,.0f} {what}/s")
    if (left := run.seconds_left) is not None:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)
