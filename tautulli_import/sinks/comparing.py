"""Compare files with what would be written, without holding either of them twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError
from ..files import chunks_of

__all__ = ["FileComparison", "same_start"]


def same_start(content: bytes, place: int, chunks: Iterable[bytes]) -> tuple[int, bool]:
    """Compare content from ``place`` on with chunks.

    Return the number of chunks that are equal, and true if all are, and the content ends there.
    """
    count = 0
    for chunk in chunks:
        if not content.startswith(chunk, place):
            return count, False
        place += len(chunk)
        count += 1
    return count, place == len(content)


class FileComparison:
    """Compares a file with chunks that come one after the other."""

    def __init__(self, path: Path | None) -> None:
        self._pieces = chunks_of(path) if path else iter(())
        self._buffer = b"" if path is None else self._piece()
        self._place = 0
        self._is_equal = path is not None

    def skip_to(self, mark: bytes) -> None:
        """Begin at the first ``mark``, which is near the start of the file."""
        self._place = self._buffer.find(mark)
        self._is_equal = self._is_equal and self._place >= 0

    def take(self, chunk: bytes) -> bool:
        """Compare the next chunk. Return true if everything was equal until now."""
        while self._is_equal and len(self._buffer) - self._place < len(chunk):
            piece = self._piece()
            self._buffer, self._place = self._buffer[self._place :] + piece, 0
            self._is_equal = bool(piece)
        self._is_equal = self._is_equal and self._buffer.startswith(chunk, self._place)
        self._place += len(chunk)
        return self._is_equal

    def is_equal(self) -> bool:
        """Return true if everything was equal, and the file ends here."""
        return self._is_equal and self._place == len(self._buffer) and not self._piece()

    def _piece(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except (OSError, SinkError):  # then it is not equal, and writing tells why
            return b""
