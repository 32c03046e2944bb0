"""What a run has left behind: whole, the same as another's, something lost or doubled."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

__all__ = ["Left", "damaged_state", "differences", "left_in", "not_whole"]


class Left(Struct, frozen=True):
    """The files in the folder of the outputs, but for the times in them and in their names."""

    files: Mapping[str, str]
    snapshots: Sequence[str]
    """What each snapshot holds, oldest first."""
    hidden: Sequence[str]
    """Temporary files, and locks."""

    @property
    def keys(self) -> Mapping[str, Counter[str]]:
        """How often each item is in each file."""
        return {name: _keys(content) for name, content in self.files.items()}


def left_in(folder: Path) -> Left:
    """Look at all there is."""
    files: dict[str, str] = {}
    snapshots: list[str] = []
    hidden: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name.startswith("."):
            hidden.append(name)
        elif path.is_file():
            mode = f"mode {path.stat().st_mode & 0o777:o}\n"
            content = mode + re.sub(r'"ts": ?[0-9]+', '"ts":0', path.read_bytes().decode("latin-1"))
            if path.parent.name == "snapshots":
                snapshots.append(content)
            else:
                files[name] = content
    return Left(files, snapshots, hidden)


def not_whole(left: Left, old: Left, new: Left) -> list[str]:
    """Return what of the outputs is neither what stood there before nor what was to come."""
    wrong = [f"{name} is gone" for name in old.files if name not in left.files]
    for name, content in left.files.items():
        before, after = old.files.get(name), new.files.get(name)
        if content not in (before, after) and not _is_growing(name, content, before, after):
            wrong.append(f"{name} is neither the old nor the new one: {_about(content)}")
    known = {*old.snapshots, *new.snapshots}
    wrong += [f"a snapshot is torn: {_about(one)}" for one in left.snapshots if one not in known]
    if len(left.snapshots) < len(old.snapshots):
        wrong.append("a snapshot is gone")
    return wrong


def _is_growing(name: str, content: str, before: str | None, after: str | None) -> bool:
    """Whether it is a stream that was added to, and is on its way from one to the other."""
    return (
        name.startswith("events")
        and before is not None
        and after is not None
        and content.startswith(before)
        and after.startswith(content)
    )


def differences(left: Left, old: Left, new: Left) -> tuple[list[str], int, int]:
    """Return the differences from an uninterrupted run, and how many items are lost, doubled."""
    wrong = [f"there is no {name}" for name in new.files if name not in left.files]
    wrong += [f"{name} should not be there" for name in left.files if name not in new.files]
    lost = doubled = 0
    found = left.keys
    for name, keys in new.keys.items():
        missing, extra = keys - found.get(name, Counter()), found.get(name, Counter()) - keys
        lost, doubled = lost + missing.total(), doubled + extra.total()
        wrong += [f"{name} has lost {', '.join([*missing][:3])}"] if missing else []
        wrong += [f"{name} has too much of {', '.join([*extra][:3])}"] if extra else []
        if not (missing or extra) and left.files.get(name) != new.files[name]:
            wrong.append(f"{name} has the same items and is not the same")
    known = {*old.snapshots, *new.snapshots}
    wrong += ["a snapshot holds what no run has written" for s in left.snapshots if s not in known]
    wrong += ["a snapshot is missing" for one in new.snapshots if one not in left.snapshots]
    wrong += [f"{name} is left over" for name in left.hidden if name not in new.hidden]
    return wrong, lost, doubled


def damaged_state(folder: Path, scratch: Path) -> list[str]:
    """Return what is wrong with the databases in the state folder; of each a copy is looked at."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        if "damaged" in path.name:
            wrong.append(f"{path.name} was set aside")
        elif path.is_file() and _is_sqlite(path):
            for old in scratch.glob("*"):
                old.unlink()
            for part in path.parent.glob(f"{path.name}*"):
                (scratch / part.name).write_bytes(part.read_bytes())
            with closing(sqlite3.connect(scratch / path.name)) as conn:
                try:
                    found = [row for (row,) in conn.execute("PRAGMA integrity_check")]
                except sqlite3.DatabaseError as error:
                    found = [str(error)]
            if found != ["ok"]:
                wrong.append(f"{path.name} is damaged: {found[0]}")
    return wrong


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def _keys(content: str) -> Counter[str]:
    """Every item in a file, as often as it is there; of a torn one what can be made out."""
    text = content.partition("\n")[2]
    pairs: list[str] = []

    def note(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.extend(name for name, value in found if isinstance(value, dict) and "type" in value)
        made = dict(found)
        pairs.extend(made[key] for key in ("key", "event_id") if isinstance(made.get(key), str))
        return made

    try:
        json.loads(text, object_pairs_hook=note)
    except json.JSONDecodeError:
        pairs.clear()
        for line in text.splitlines():
            try:
                json.loads(line.rstrip(","), object_pairs_hook=note)
            except json.JSONDecodeError:
                with suppress(json.JSONDecodeError):
                    json.loads("{" + line.rstrip(",") + "}", object_pairs_hook=note)
    return Counter(pairs)


def _about(content: str) -> str:
    return f"{len(content)} bytes, ending in {content[-30:]!r}"
