"""Keep copies of outputs as they were before a run changed them, three of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..errors import SinkError
from ..files import names_in, read_chunks, write_whole
from ..formatting import shown
from .folder import make_folder

__all__ = ["Copy", "keep_content", "keep_copy", "settle_copy"]

_KEPT: Final = 3
_DIGITS: Final = 8


class Copy(Struct, frozen=True):
    """A copy of a file, in the directory for copies."""

    path: Path
    prefix: str
    """The beginning of the names of all copies of this file."""
    is_new: bool
    """False if an earlier run made it, and the file has not changed since."""


def keep_copy(folder: Path, original: Path, now: int) -> Copy | None:
    """Copy a file into ``folder``, for this user only. Return ``None`` if there is no such file.

    ``now`` is the time of the run (epoch seconds, UTC). If the newest copy has the same content,
    return that one. So a run that was killed and is repeated makes no second copy.

    Raises:
        SinkError: the file cannot be read, or the copy cannot be written.
        ConfigurationError: another user can write in ``folder``.
    """
    if read_chunks(original) is None:
        return None
    name = str(original.absolute())
    return keep_content(folder, original, name, lambda: read_chunks(original) or (), now)


def keep_content(
    folder: Path, original: Path, place: str, chunks: Callable[[], Iterable[bytes]], now: int
) -> Copy:
    """Copy some content into ``folder``. See ``keep_copy``.

    ``original`` gives the copy its name, and ``place`` distinguishes it from others of that name.
    ``chunks`` returns the content, each time that it is called.

    Raises:
        SinkError: the copy cannot be written.
        ConfigurationError: another user can write in ``folder``.
    """
    content = hashlib.sha256()
    for chunk in chunks():
        content.update(chunk)
    which = hashlib.sha256(place.encode("utf-8", "surrogateescape"))
    prefix = f"{original.stem}-{which.hexdigest()[:_DIGITS]}-"
    ending = f"-{content.hexdigest()[:_DIGITS]}{original.suffix}"
    known = _copies(folder, prefix)
    if known and known[-1].endswith(ending):
        return Copy(folder / known[-1], prefix, is_new=False)
    try:
        make_folder(folder)
    except OSError as error:
        raise SinkError(
            f"No copy of {shown(original)} can be kept in {shown(folder)}: "
            f"{error.strerror or error}.",
            hint="Nothing was changed. Choose another directory with --state-dir.",
        ) from error
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{prefix}{stamp}{ending}"
    write_whole(path, chunks(), option="--state-dir")
    return Copy(path, prefix, is_new=True)


def settle_copy(copy: Copy, *, is_changed: bool) -> None:
    """Remove the oldest copies beyond three; or the new copy, if the run changed nothing."""
    folder = copy.path.parent
    surplus = _copies(folder, copy.prefix)[:-_KEPT] if is_changed else []
    if copy.is_new and not is_changed:
        surplus = [copy.path.name]
    for name in surplus:
        with suppress(OSError):
            (folder / name).unlink()


def _copies(folder: Path, prefix: str) -> list[str]:
    """Return the names of the copies of a file, oldest first."""
    return [name for name in names_in(folder) if name.startswith(prefix)]
