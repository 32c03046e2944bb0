"""Remember the entries that a server was seen to have, as digests of eight bytes each."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec import Struct

from .file import StateFile

__all__ = ["DIGEST_BYTES", "Verified", "VerifiedStore", "verified_name"]

DIGEST_BYTES: Final = 8


class Verified(Struct, frozen=True):
    """The entries that an output was seen to have."""

    digests: AbstractSet[bytes] = frozenset()
    since: int = 0
    """The time when all of them were last compared (epoch seconds, UTC)."""


class _Saved(Struct, frozen=True):
    digests: bytes
    since: int


class VerifiedStore:
    """The part of a state file with the verified entries of one output."""

    def __init__(self, state: StateFile, name: str, *, writes: bool) -> None:
        """``name`` comes from ``verified_name``. Without ``writes`` nothing is saved."""
        self._state = state
        self._name = name
        self._writes = writes

    def load(self) -> Verified:
        """Return the verified entries. None are known of a new output."""
        saved = self._state.get(self._name, _Saved)
        if saved is None:
            return Verified()
        digests = saved.digests
        return Verified(
            {digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)},
            saved.since,
        )

    def save(self, verified: Verified) -> None:
        """Replace the verified entries."""
        if self._writes:
            with self._state.step():
                digests = b"".join(sorted(verified.digests))
                self._state.put(self._name, _Saved(digests, verified.since))


def verified_name(place: tuple[str, str, str]) -> str:
    """Return the name for the verified entries of an output in a state file."""
    return f"verified:{msgspec.json.encode(place).decode()}"
