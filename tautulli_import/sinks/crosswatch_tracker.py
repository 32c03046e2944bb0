"""Read and replace the whole tracker of a running CrossWatch, and merge records into it."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, overload

import msgspec
from msgspec import Raw

from ..crosswatch.answers import Sync, TrackerFile
from ..crosswatch.client import CrossWatch
from ..errors import SinkError
from ..model.items import Record
from ..model.keys import viewing_key
from .crosswatch_json import exported_in, history_chunks, no_history
from .entries import Values, entry_of, values_of
from .merged import NEW, Merged, Rules, encoded_item
from .merging import merge

__all__ = [
    "Export",
    "Viewings",
    "elsewhere",
    "has_arrived",
    "merged_into",
    "titles_gone",
    "under_own_keys",
    "upload",
]

_NAME: Final = Path("The export of CrossWatch")
_CHUNK: Final = 1 << 20


class Viewings(Sequence[Record]):
    """Records under the keys that CrossWatch's import gives them. Each is built when needed."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return Viewings(self._records[index])
        return _viewing(self._records[index])

    def __iter__(self) -> Iterator[Record]:
        return map(_viewing, self._records)


def _viewing(record: Record) -> Record:
    key = viewing_key(record.key, record.epoch)
    return record if key == record.key else msgspec.structs.replace(record, key=key)


class Export:
    """The tracker of a profile as it was at one moment. This needs an administrator's token."""

    def __init__(self, client: CrossWatch, profile: str) -> None:
        self.history = client.tracker(profile).history
        """The size and the time of the history, to notice a later change."""
        with _explained():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the export
            weakref.finalize(self, self._file.close)
            client.export(profile, self._file)

    @cached_property
    def entries(self) -> Mapping[str, Raw]:
        """Return the entries of the history by key.

        Raises:
            SinkError: it cannot be read.
        """
        if self.history is None:
            return {}
        self._file.seek(0)
        return exported_in(self._file, _NAME)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the ZIP."""
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk


@contextmanager
def _explained() -> Iterator[None]:
    """Turn a failure of a temporary file into an error with a hint."""
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"Cannot write a temporary file: {error.strerror or error}.",
            hint="Make room, or name another directory in TMPDIR. Run the same command again.",
        ) from error


def merged_into(
    there: Mapping[str, Raw],
    records: Sequence[Record],
    superseded: Mapping[str, int],
    same_play: int,
) -> Merged:
    """Merge records into the entries of a tracker, as into a file.

    Raises:
        SinkError: an entry cannot be read.
    """
    times = {viewing_key(key, epoch): epoch for key, epoch in superseded.items()}
    rules = Rules(_encoded_entry, superseded=times, same_play=same_play)
    try:
        return merge(there, Viewings(records), rules)
    except (msgspec.DecodeError, RecursionError):
        raise no_history(_NAME) from None


def elsewhere(
    there: Mapping[str, Raw],
    records: Sequence[Record],
    superseded: Mapping[str, int],
    same_play: int,
) -> set[int]:
    """Return the places of the records that the tracker has under another key or time.

    Another program has noted the same viewing, some seconds apart or under another id. Our own
    ``superseded`` entries do not count.
    """
    ours = {viewing_key(key, epoch) for key, epoch in superseded.items()}
    foreign = {key: raw for key, raw in there.items() if key not in ours}
    merged = merged_into(foreign, records, {}, same_play)
    return {
        place
        for place, record in enumerate(merged.records)
        if merged.outcomes[place] != NEW and record.key not in foreign
    }


def upload(
    client: CrossWatch,
    profile: str,
    entries: Iterable[tuple[str, bytes]],
    now: int,
    *,
    instead_of: TrackerFile | None,
    sync: Sync,
) -> bool:
    """Replace the history of a profile with these entries. ``now`` is the time of the run.

    Return false, and change nothing, if the history is no longer ``instead_of``, or if another sync
    than ``sync`` has begun.

    Raises:
        SinkError: CrossWatch did not take it, or took it for something else.
    """
    with _explained(), tempfile.TemporaryFile() as file:
        file.writelines(history_chunks(now, entries))
        file.seek(0)
        if client.sync() != sync or client.tracker(profile).history != instead_of:
            return False
        done = client.upload(file, profile)
    if not done.ok:
        raise SinkError(
            f"CrossWatch at {client.base} did not take the history: {done.error}",
            hint="See the log of CrossWatch. Then run the same command again.",
        )
    if (done.provider_instance, done.target, done.kind) != (profile, "state", "history"):
        raise SinkError(
            f"CrossWatch at {client.base} took the history of the profile {profile} for "
            f"{done.kind} ({done.target}) of {done.provider_instance}.",
            hint="Check the tracker of both profiles, and report this.",
        )
    return True


def has_arrived(client: CrossWatch, profile: str, entries: Iterable[tuple[str, bytes]]) -> bool:
    """Return true if the tracker has exactly these entries, field by field.

    CrossWatch may have added fields of its own.
    """
    there = Export(client, profile).entries
    count = 0
    for key, entry in entries:
        count += 1
        if key not in there or not values_of(there[key]).items() >= values_of(entry).items():
            return False
    return count == len(there)


def _encoded_entry(record: Record) -> bytes:
    """Encode the entry of a record, with the row of its play."""
    return encoded_item(record)[:-1] + b',"provider_event_id":"tautulli-%d"}' % record.play_id


def under_own_keys(merged: Merged) -> set[int]:
    """Return the places of the records that a merged history has under their own keys."""
    return {
        place
        for place, record in enumerate(merged.records)
        if merged.is_written[place] or record.key in merged.rest
    }


def titles_gone(there: Mapping[str, Raw], merged: Merged) -> Sequence[str]:
    """Return the titles of the entries that merging has removed."""
    kept = {
        record.key
        for record, is_written in zip(merged.records, merged.is_written, strict=True)
        if is_written
    }
    kept |= merged.rest.keys()
    return [_title(key, values_of(raw)) for key, raw in there.items() if key not in kept]


def _title(key: str, values: Values) -> str:
    title = values.get("series_title") or values.get("title") or "Without a title"
    return f"{title} {entry_of(key, values).number[1:].upper()}".rstrip()
