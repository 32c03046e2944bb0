"""Remember which records a CrossWatch was seen to have."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from ..model.items import Record
from ..state.verified import DIGEST_BYTES, Verified, VerifiedStore
from .crosswatch_tracker import Viewings

__all__ = ["VerifiedRecords"]


class VerifiedRecords:
    """Remembers which records a CrossWatch was seen to have, step by step."""

    def __init__(self, store: VerifiedStore | None, records: Sequence[Record]) -> None:
        self._store = store
        self._known = store.load() if store else Verified()
        # An entry of another program is known under another digest, because a preview of ours
        # does not find it.
        self._digests = [_digest(record.key) for record in Viewings(records)]

    @property
    def is_known(self) -> bool:
        """Return true if anything was ever verified."""
        return bool(self._known.digests)

    @property
    def since(self) -> int:
        """Return the time when everything was compared (epoch seconds, UTC)."""
        return self._known.since

    def places(self) -> Sequence[int]:
        """Return the places of the records that CrossWatch had under our keys."""
        known = self._known.digests
        return [place for place, digest in enumerate(self._digests) if digest in known]

    def unknown(self) -> Sequence[int]:
        """Return the places of the records that CrossWatch is not known to have."""
        known = self._known.digests
        return [
            place
            for place, digest in enumerate(self._digests)
            if digest not in known and _other(digest) not in known
        ]

    def forget(self, now: int) -> None:
        """Forget everything. What is added now is compared ``now``."""
        self._known = Verified(since=now)

    def add(self, places: Collection[int], *, elsewhere: bool = False) -> None:
        """Save that CrossWatch has these records; ``elsewhere`` if under other keys or times."""
        found = {self._digests[place] for place in places}
        if elsewhere:
            found = {_other(digest) for digest in found}
        self._known = Verified(self._known.digests | found, self._known.since)
        if self._store is not None and found:
            self._store.save(self._known)


def _digest(key: str) -> bytes:
    """Return a digest of the key of a viewing: title and time, but not the other ids.

    CrossWatch never updates an entry that it has (v0.11.3).
    """
    return hashlib.blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()


def _other(digest: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in digest)
