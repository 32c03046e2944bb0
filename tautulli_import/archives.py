"""Cut rows into parts that a program takes, and pack parts into a ZIP that is always the same."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from sys import maxsize
from typing import Final

__all__ = ["batches", "json_list", "zipped"]

_GLUE: Final = b",\n"
"""The longest bytes that join a row to the next one."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP can have. All members have it, so that a file stays the same."""
# The id of an extra field that no program uses (APPNOTE.TXT 6.3.10). All readers skip it.
_FIELD: Final = b"\x54\x69"


def batches(rows: Iterable[bytes], *, size: int, most: int = maxsize) -> Iterator[list[bytes]]:
    """Yield lists of at most ``most`` rows and ``size`` bytes; without rows, one empty list."""
    batch: list[bytes] = []
    room = size
    is_first = True
    for row in rows:
        need = len(row) + len(_GLUE)
        if batch and (need > room or len(batch) == most):
            yield batch
            batch, room, is_first = [], size, False
        batch.append(row)
        room -= need
    if batch or is_first:
        yield batch


def json_list(rows: Iterable[bytes]) -> bytes:
    """Return encoded rows as one JSON list."""
    return b"[" + _GLUE.join(rows) + b"]"


def zipped(members: Iterable[tuple[str, bytes]], mark: bytes = b"") -> bytes:
    """Return a ZIP that is the same for the same members. ``mark`` is near its start."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            if mark:
                info.extra = _FIELD + len(mark).to_bytes(2, "little") + mark
            archive.writestr(info, content)
    return made.getvalue()
