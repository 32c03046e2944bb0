"""Remember the entries that a server was seen to have, as digests."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from .file import StateFile

__all__ = ["Verified", "VerifiedStore", "verified_name"]


class Verified(Struct, frozen=True):
    """The entries that an output was seen to have."""

    digests: bytes = b""
    """The digests of all entries, one after another."""
    since: int = 0
    """The time when all of them were last compared (epoch seconds, UTC)."""


class VerifiedStore:
    """The part of a state file with the verified entries of one output."""

    def __init__(self, state: StateFile, name: str, *, writes: bool) -> None:
        """``name`` comes from ``verified_name``. Without ``writes`` nothing is saved."""
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


def verified_name(place: tuple[str, str, str]) -> str:
    """Return the name for the verified entries of an output in a state file."""
    return f"verified:{msgspec.json.encode(place).decode()}"
