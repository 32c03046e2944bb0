"""Pack rows into a ZIP that CrossWatch's import takes.

Limits of v0.11.3: 8 MiB a member, 60 MB in all, 25 MiB packed, 50,000 rows (further ones are left
out without a word). A name with "list" in it would turn the rows into a watchlist. A bare list of
rows is needed, because an envelope counts as a row of its own.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Raw

from ..archives import batches, json_list, zipped

__all__ = ["MEMBER_BYTES", "packed", "unpacked"]

MEMBER_BYTES: Final = 7_500_000
_MOST_BYTES: Final = 256 * 1024 * 1024


def packed(rows: Iterable[bytes]) -> bytes:
    """Return a ZIP of encoded rows, in members of at most 7.5 MB: ``history-001.json`` and so on.

    The rows stay in their order.
    """
    members = enumerate(batches(rows, size=MEMBER_BYTES), 1)
    return zipped((f"history-{number:03d}.json", json_list(some)) for number, some in members)


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield the encoded rows of a ZIP.

    Raises:
        Exception: it is damaged, holds more than such a ZIP, or something else. (zipfile, zlib,
            struct and msgspec raise many kinds.)
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
            raise zipfile.BadZipFile("too large")
        for name in archive.namelist():
            for row in msgspec.json.decode(archive.read(name), type=list[Raw]):
                yield bytes(row)
