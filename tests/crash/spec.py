"""What is to happen to a run, and the boundaries at which it can happen."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

__all__ = ["ERRORS", "SIGNALS", "Boundary", "Fault", "Kind", "Spec", "Strike", "can_strike"]

Kind: TypeAlias = Literal[
    "open",
    "write",
    "fsync",
    "attributes",
    "rename",
    "unlink",
    "mkdir",
    "truncate",
    "lock",
    "sql open",
    "sql start",
    "sql begin",
    "sql write",
    "sql pragma",
    "sql commit",
    "sql rollback",
    "sql close",
]
Fault: TypeAlias = Literal["kill", "sigterm", "sigint", "ENOSPC", "EIO", "EACCES", "short"]
When: TypeAlias = Literal["before", "after"]

SIGNALS: Final[tuple[Fault, ...]] = ("kill", "sigterm", "sigint")
"""What can come at any moment."""

ERRORS: Final[Mapping[Fault, int]] = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EACCES": errno.EACCES,
    "short": errno.ENOSPC,
}
"""What an operation can fail with; `short` has half of a write done first."""

_CHANGES: Final[frozenset[Kind]] = frozenset(
    {"open", "attributes", "rename", "unlink", "mkdir", "truncate"}
)
_STRIKES: Final[Mapping[Fault, frozenset[Kind]]] = {
    "ENOSPC": frozenset(
        {"open", "write", "fsync", "rename", "mkdir", "sql write", "sql pragma", "sql commit"}
    ),
    "EIO": _CHANGES
    | {"write", "fsync", "sql open", "sql begin", "sql write", "sql pragma", "sql commit"},
    "EACCES": _CHANGES | {"sql open", "sql begin", "sql write", "sql pragma"},
    "short": frozenset({"write"}),
}


class Boundary(Struct, frozen=True, array_like=True):
    """A moment before or after an operation, numbered from 1 in the order of the run."""

    number: int
    when: When
    kind: Kind
    path: str
    """Relative: the name of the watched folder, and the way from there."""
    # "sql start" is a BEGIN that writes nothing yet, "sql begin" one that takes the lock.
    struck: bool = False

    def __str__(self) -> str:
        return f"{self.number} ({self.when} {self.kind} of {self.path})"


class Strike(Struct, frozen=True):
    """A fault at a boundary."""

    fault: Fault
    at: int
    lasting: bool = False
    """Whether all later operations fail as well, as on a disk that stays full."""


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to happen to a run.

    ``watched`` are the folders whose operations count, by a name for them. ``set`` gives other
    values to names of the program (``package.module.name``). ``windows`` has `api` read so few
    rows at a time. ``largest`` is the kernel's limit for the size of a file. ``torn_rename``
    breaks the system instead of the run: a rename copies piece by piece.
    """

    watched: Mapping[str, str] = {}
    strike: Strike | None = None
    set: Mapping[str, Any] = {}
    windows: int | None = None
    largest: int | None = None
    torn_rename: bool = False
    log: str | None = None
    """Where to write the boundaries, a JSON array each line."""


def can_strike(fault: Fault, boundary: Boundary) -> bool:
    """Whether a fault can come there: an operation fails in its own ways, and as it begins."""
    if fault in SIGNALS:
        return True
    return boundary.when == "before" and boundary.kind in _STRIKES[fault]


def decoded(lines: bytes) -> Sequence[Boundary]:
    """Return the boundaries in a log, of which a kill may have cut the last line."""
    whole = lines[: lines.rfind(b"\n") + 1].splitlines()
    return [msgspec.json.decode(line, type=Boundary) for line in whole]
