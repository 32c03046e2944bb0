"""A scenario on disk, and one trial after the other on it.

A trial: everything as before, a run that something happens to (or several), a look at what there
is, and the same command again with nothing happening. That run has to end well, and to leave what
an uninterrupted one has left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import msgspec
from msgspec import Struct

from tests.crash.outputs import Left, damaged_state, differences, left_in, not_whole
from tests.crash.places import PLENTY, empty, remount
from tests.crash.runs import End, run
from tests.crash.scenarios import CONSTANTS, FOREIGN, Scenario, add_plays, write_history
from tests.crash.spec import ERRORS, Boundary, Fault, Spec, Strike, can_strike
from tests.support.tautulli import KEY, FakeTautulli

__all__ = ["Blow", "Killed", "Limit", "Room", "Stage", "Trial"]

_FOLDERS: Final = ("out", "state")
#: What a run says when it does not believe what an earlier one has left. None may be left so.
_DOUBTS: Final = ("damaged", "read again")
_SIGNALLED: Final[Mapping[Fault, int]] = {"sigterm": 143, "sigint": 130}


class Killed(Struct, frozen=True):
    """A SIGKILL so many seconds after the start."""

    after: float


class Room(Struct, frozen=True):
    """The folder is a file system of its own, with room for so many bytes more."""

    folder: Literal["out", "state"]
    more: int


class Limit(Struct, frozen=True):
    """No file may become larger: the kernel cuts the write that would make it so."""

    largest: int


Blow: TypeAlias = Strike | Killed | Limit | Room


class Trial(Struct, frozen=True):
    """What came of one trial; where everything is right, ``wrong`` is empty."""

    wrong: Sequence[str]
    lost: int
    doubled: int
    differing: bool
    wrong_codes: int
    runs: int
    ends: Sequence[End]
    """Of the runs that something happened to."""

    @property
    def failed(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.wrong)


class Stage:
    """A scenario with its folders, its server, and the results of clean runs."""

    def __init__(self, folder: Path, scenario: Scenario, *, torn_rename: bool = False) -> None:
        self.scenario = scenario
        self.out, self.state = folder / "out", folder / "state"
        self._torn_rename = torn_rename
        self._base, self._scratch, self._temporary = (
            folder / name for name in ("base", "scratch", "tmp")
        )
        self._work = folder / "work"
        self._log = folder / "log"
        home = folder / "home"
        for made in (self._base, self._scratch, self._temporary, self._work, home):
            made.mkdir(parents=True)
        self._database = folder / "tautulli.db"
        self._environment = _environment(folder, home)
        self._closing = ExitStack()
        try:
            self._prepare()
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server."""
        self._closing.close()

    def numbers(self, fault: Fault, *, within: str = "", sample: int | None = None) -> list[int]:
        """Return the boundaries at which a fault can come; evenly so many of them, first and last.

        ``within`` chooses those of one folder. Between one operation and the next nothing
        happens to files, so that a kill before the next is the one after the last: what is left
        out is only the same once more.
        """
        found = [
            one.number
            for one in self.boundaries
            if can_strike(fault, one)
            and one.path.startswith(within)
            and (one.when == "before" or one is self.boundaries[-1])
        ]
        if sample is None or len(found) <= sample:
            return found
        return [found[i * (len(found) - 1) // (sample - 1)] for i in range(sample)]

    def trial(self, *blows: Blow, again: bool = False) -> Trial:
        """Let these happen, one run each, and then none; ``again`` looks at a further run."""
        self._reset()
        marks = _Marks()
        ends = []
        for blow in blows:
            with self._cramped(blow):
                end = self._run(blow)
            ends.append(end)
            with marks.about(f"after {_shown(blow, end)}", end):
                self._check_struck(blow, end, marks)
        end = self._run()
        with marks.about("the next run", end):
            self._check_good(end, marks)
        if again:
            before = _bytes_in(self.out)
            end = self._run()
            with marks.about("the run after that", end):
                self._check_good(end, marks)
                marks.add(["it has written again"] if _bytes_in(self.out) != before else [])
        marks.add(["the source was written"] if self._digest() != self._source else [])
        runs = len(blows) + 1 + again
        return Trial(
            marks.wrong, marks.lost, marks.doubled, marks.differing, marks.codes, runs, ends
        )

    def _prepare(self) -> None:
        write_history(self._database, self.scenario.plays)
        source = str(self._database)
        if self.scenario.door != "db":
            source = self._closing.enter_context(FakeTautulli(self._database)).url
        self._arguments = self.scenario.arguments(source, self.out)
        self._reset()
        self.scenario.furnish(self.out)
        furnished = {path: path.read_bytes() for path in self.out.rglob("*") if path.is_file()}
        if self.scenario.run != "first":
            self._clean_run()
        self._arguments += self.scenario.options()
        if self.scenario.run == "more":
            add_plays(self._database)
        self._source = self._digest()
        for name in _FOLDERS:
            shutil.copytree(getattr(self, name), self._base / name)
        fresh = self._fresh_run(furnished)
        self.old = left_in(self.out)
        warm = self._clean_run()
        self._reset()
        end = self._clean_run()
        self.boundaries: Sequence[Boundary] = end.boundaries
        self.seconds = min(warm.seconds, end.seconds)
        self.new = left_in(self.out)
        self._check_clean()
        for name, content in fresh.files.items():
            assert self.new.files[name] == content, f"{self.scenario}: not as read at once: {name}"

    def _fresh_run(self, furnished: Mapping[Path, bytes]) -> Left:
        """Return what comes of reading all at once, with nothing remembered."""
        for folder in (self.out, self.state):
            empty(folder)
        for path, content in furnished.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o644)
        self._clean_run()
        left = left_in(self.out)
        self._reset()
        return left

    def _check_clean(self) -> None:
        """Nothing could be compared with a clean run that is not what it is taken for."""
        changed = self.new.files != self.old.files
        assert changed == (self.scenario.run != "nothing"), f"{self.scenario}: no such scenario"
        assert all(self.new.keys.values()), f"{self.scenario}: no items"
        assert self._digest() == self._source, f"{self.scenario}: the source was written"
        assert not self.new.hidden, f"{self.scenario}: a clean run leaves {self.new.hidden}"
        if self.scenario.foreign:
            assert self.new.keys["tracker/history.json"][FOREIGN] == 1, "a foreign entry is lost"

    def _clean_run(self) -> End:
        end = self._run()
        assert end.code == 0, f"{self.scenario}: a clean run ends with {end.code}: {end.err}"
        assert not any(words in end.err for words in _DOUBTS), f"{self.scenario}: {end.err}"
        return end

    def _reset(self) -> None:
        empty(self._temporary)
        for name in _FOLDERS:
            folder: Path = getattr(self, name)
            empty(folder)
            if (self._base / name).is_dir():
                shutil.copytree(self._base / name, folder, dirs_exist_ok=True)

    def _run(self, blow: Blow | None = None) -> End:
        spec = Spec(
            watched={"out": str(self.out), "state": str(self.state)},
            strike=blow if isinstance(blow, Strike) else None,
            largest=blow.largest if isinstance(blow, Limit) else None,
            set=CONSTANTS,
            windows=None if self.scenario.door == "db" else self.scenario.windows,
            torn_rename=self._torn_rename,
            # A limit would be one of the log as well.
            log=None if isinstance(blow, Limit) else str(self._log),
        )
        return run(
            spec,
            self._arguments,
            environment=self._environment,
            folder=self._work,
            kill_after=blow.after if isinstance(blow, Killed) else None,
        )

    @contextmanager
    def _cramped(self, blow: Blow) -> Iterator[None]:
        """Meanwhile there is only so much room."""
        if not isinstance(blow, Room):
            yield
            return
        folder: Path = getattr(self, blow.folder)
        used = os.statvfs(folder)
        size = (used.f_blocks - used.f_bfree) * used.f_frsize + blow.more
        remount(folder, max(size, 1))
        yield
        remount(folder, PLENTY)

    def _check_struck(self, blow: Blow, end: End, marks: _Marks) -> None:
        left = left_in(self.out)
        marks.add(not_whole(left, self.old, self.new))
        marks.add(damaged_state(self.state, self._scratch))
        marks.code(self._wrong_code(blow, end))
        if end.code == 0:
            marks.compare(msgspec.structs.replace(left, hidden=[]), self.old, self.new)

    def _wrong_code(self, blow: Blow, end: End) -> str:
        """Return what is wrong with how a run has ended; empty where nothing is."""
        if "Traceback" in end.err:
            return "it shows a traceback"
        if isinstance(blow, Killed):
            return "" if end.code in (-9, 0) else f"it ends with {end.code}"
        if isinstance(blow, Limit | Room):
            return self._wrong_failure(end, "out", "state")
        if end.struck is None:
            return "" if end.code == 0 else f"nothing has happened, and it ends with {end.code}"
        if blow.fault == "kill":
            return "" if end.code == -9 else f"it was killed, and ends with {end.code}"
        if blow.fault in _SIGNALLED:
            codes = (_SIGNALLED[blow.fault], 0)
            return "" if end.code in codes else f"{blow.fault}: it ends with {end.code}"
        assert blow.fault in ERRORS
        return self._wrong_failure(end, *(one.path.partition("/")[0] for one in end.all_struck))

    def _wrong_failure(self, end: End, *folders: str) -> str:
        if end.code == 0:
            return ""
        if self.scenario.door == "via" and end.code == 3 and "TMPDIR" in end.err:
            return ""  # what was downloaded found no room
        if end.code != 8:
            return f"a write has failed, and it ends with {end.code}"
        named = any(str(getattr(self, folder)) in end.err for folder in folders)
        return "" if named else "what could not be written is not named"

    def _check_good(self, end: End, marks: _Marks) -> None:
        marks.code("" if end.code == 0 else f"it ends with {end.code}")
        marks.code("it shows a traceback" if "Traceback" in end.err else "")
        doubts = [words for words in _DOUBTS if words in end.err]
        marks.add([f"it goes on from nothing: {words}" for words in doubts])
        marks.compare(left_in(self.out), self.old, self.new)
        marks.add(damaged_state(self.state, self._scratch))
        # A plain file is Python's own: it tries whether files can be made there.
        copies = [path.name for path in self._temporary.iterdir() if path.is_dir()]
        marks.add([f"temporary files are left: {', '.join(copies)}"] if copies else [])

    def _digest(self) -> str:
        """Return the source and what is beside it."""
        beside = sorted(self._database.parent.glob(f"{self._database.name}*"))
        return " ".join(f"{path.name} {sha256(path.read_bytes()).hexdigest()}" for path in beside)


class _Marks:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.lost = self.doubled = self.codes = 0
        self.differing = False
        self._where = ""
        self._end: End | None = None

    @contextmanager
    def about(self, where: str, end: End) -> Iterator[None]:
        """Add the place to whatever is found wrong, and tell once what the run said."""
        count = len(self.wrong)
        self._where = where
        yield
        if len(self.wrong) > count and end.err:
            said = end.err.strip().splitlines()[-3:]
            self.wrong.append(f"    it said: {' | '.join(line.strip() for line in said)}")
        self._where = "in the end"

    def add(self, sentences: Sequence[str]) -> None:
        """Note these."""
        self.wrong += [f"{self._where}: {sentence}" for sentence in sentences]

    def code(self, sentence: str) -> None:
        """Note a wrong end, if it is one."""
        if sentence:
            self.codes += 1
            self.add([sentence])

    def compare(self, left: Left, old: Left, new: Left) -> None:
        """Hold what there is against what an uninterrupted run has left."""
        wrong, lost, doubled = differences(left, old, new)
        self.lost, self.doubled = self.lost + lost, self.doubled + doubled
        self.differing = self.differing or bool(wrong)
        self.add(wrong)


def _shown(blow: Blow, end: End) -> str:
    if isinstance(blow, Killed):
        last = f", past {end.boundaries[-1]}" if end.boundaries else ""
        return f"a kill at {blow.after:.4f} s{last}"
    if isinstance(blow, Limit):
        return f"a limit of {blow.largest} bytes"
    if isinstance(blow, Room):
        return f"a disk with room for {blow.more} bytes"
    lasting = "lasting " if blow.lasting else ""
    return f"{lasting}{blow.fault} at {end.struck or f'{blow.at}, which never came'}"


def _bytes_in(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _environment(folder: Path, home: Path) -> Mapping[str, str]:
    """Nothing of the person running it can be seen."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
        "TAUTULLI_API_KEY": KEY,
        "COLUMNS": "2000",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
