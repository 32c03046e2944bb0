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

__all__ = ["MEMBER_BYTES", "packed", "unpacked"]

MEMBER_BYTES: Final = 7_500_000
_MOST_BYTES: Final = 256 * 1024 * 1024
# The time of the members. The same rows always give the same ZIP.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def packed(rows: Iterable[bytes]) -> bytes:
    """Return a ZIP of encoded rows, in members of at most 7.5 MB: ``history-001.json`` and so on.

    The rows stay in their order.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        member = bytearray()
        number = 1
        for row in rows:
            if member and len(member) + len(row) + 2 > MEMBER_BYTES:
                _add(archive, number, member)
                number += 1
                member = bytearray()
            member += b",\n" if member else b"["
            member += row
        if member:
            _add(archive, number, member)
    return content.getvalue()


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield the encoded rows of a ZIP.

    Raises:
        BadZipFile: it is damaged, or holds more than such a ZIP.
        DecodeError: it holds something else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(one.file_size for one in archive.infolist()) > _MOST_BYTES:
            raise zipfile.BadZipFile("too large")
        for name in archive.namelist():
            for row in msgspec.json.decode(archive.read(name), type=list[Raw]):
                yield bytes(row)


def _add(archive: zipfile.ZipFile, number: int, member: bytearray) -> None:
    info = zipfile.ZipInfo(f"history-{number:03d}.json", _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, bytes(member) + b"]")
