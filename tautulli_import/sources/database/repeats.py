"""Tell the rows of an older database that a newer one has from those that count."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...model.rejections import Reason, Rejected
from .file import DatabaseFile, Page
from .rows import Identity

__all__ = ["Counted", "counted", "identities"]


class Counted(Struct, frozen=True):
    """The rows of a page that no newer file has whole."""

    kept: set[int] | None
    """Their ids; ``None`` for all."""
    rejected: Sequence[Rejected]
    duplicates: int = 0
    recovered: Sequence[Rejected] = ()
    """Rows that newer files have, but not whole, and that this page has."""


def counted(
    file: DatabaseFile,
    page: Page,
    usable: Sequence[int],
    rejected: Sequence[Rejected],
    newer: Sequence[DatabaseFile],
) -> Counted:
    """Return which rows of a page count.

    ``usable`` are the ids of those that can be used, and ``rejected`` are those that cannot.
    """
    rejected = [*rejected, *page.unreadable] if page.unreadable else rejected
    if file.has_older:
        file.unusable.update((row.id, row) for row in rejected if row.id is not None)
    if not newer:
        return Counted(None, rejected)
    in_newer = identities(newer, page.after, page.upto)
    own = {play[0]: play for play, *_ in file.identities(page.after, page.upto)}
    kept: set[int] = set()
    recovered: list[Rejected] = []
    for number in usable:
        incomplete = [other.unusable[number] for other in newer if number in other.unusable]
        known = own.get(number) in in_newer
        if incomplete and (known or all(row.reason is Reason.UNREADABLE for row in incomplete)):
            recovered += incomplete
            for other in newer:
                other.unusable.pop(number, None)
        elif known:
            continue
        kept.add(number)
    ids = {number for number, _, _ in in_newer}
    for row in rejected:
        if row.id in ids:  # counted as a duplicate, so it is not recovered later
            file.unusable.pop(row.id, None)
    lost = [row for row in rejected if row.id not in ids]
    duplicates = len(usable) + len(rejected) - len(kept) - len(lost)
    return Counted(kept, lost, duplicates, recovered)


def identities(files: Sequence[DatabaseFile], after: int, upto: int) -> frozenset[Identity]:
    """Return what identifies each row between two ids, in any of the files."""
    return frozenset(play for file in files for play, *_ in file.identities(after, upto))
