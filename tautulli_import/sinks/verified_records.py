"""Remember which records a CrossWatch was seen to have."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Final

from ..model.items import Record
from ..state.outputs import Verified, VerifiedStore
from .crosswatch_tracker import Viewings

__all__ = ["VerifiedRecords"]


_BYTES: Final = 8


class VerifiedRecords:
    """Remembers which records a CrossWatch was seen to have, step by step."""

    def __init__(self, store: VerifiedStore | None, records: Sequence[Record]) -> None:
        saved = store.load() if store else Verified()
        self._store = store
        self._known = {
            saved.digests[at : at + _BYTES] for at in range(0, len(saved.digests), _BYTES)
        }
        self.since = saved.since
        """The time when everything was compared (epoch seconds, UTC)."""
        # An entry of another program is known under another digest, because a preview of ours
        # does not find it.
        self._digests = [_digest(record.key) for record in Viewings(records)]

    @property
    def is_known(self) -> bool:
        """Return true if anything was ever verified."""
        return bool(self._known)

    def places(self) -> Sequence[int]:
        """Return the places of the records that CrossWatch had under our keys."""
        return [place for place, digest in enumerate(self._digests) if digest in self._known]

    def unknown(self) -> Sequence[int]:
        """Return the places of the records that CrossWatch is not known to have."""
        return [
            place
            for place, digest in enumerate(self._digests)
            if self._known.isdisjoint((digest, _other(digest)))
        ]

    def forget(self, now: int) -> None:
        """Forget everything. What is added now is compared ``now``."""
        self._known, self.since = set(), now

    def add(self, places: Collection[int], *, elsewhere: bool = False) -> None:
        """Save that CrossWatch has these records; ``elsewhere`` if under other keys or times."""
        found = {self._digests[place] for place in places}
        self._known |= {_other(digest) for digest in found} if elsewhere else found
        if self._store is not None and found:
            self._store.save(Verified(b"".join(sorted(self._known)), self.since))


def _digest(key: str) -> bytes:
    """Return a digest of the key of a viewing: title and time, but not the other ids.

    CrossWatch never updates an entry that it has (v0.11.3).
    """
    return hashlib.blake2b(key.encode(), digest_size=_BYTES).digest()


def _other(digest: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in digest)
