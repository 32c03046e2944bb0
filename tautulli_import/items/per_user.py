"""Keep users apart: who gets an output, and the name of its file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ..sources.base import User
from ..sources.database import DatabaseSource as Source
from .groups import NOBODY
from .pipeline import ReadResult

__all__ = ["file_names", "owners", "with_plays"]

_LONGEST_NAME: Final = 48  # characters; in bytes up to four times that, and a file name has 255


def with_plays(source: Source) -> Sequence[User]:
    """Return everybody in the history, by number.

    A file's name must not depend on who has new plays today.
    """
    return sorted((user for user in source.users() if user.plays), key=_by_number)


def _by_number(user: User) -> int:
    return user.user_id


def owners(source: Source, result: ReadResult) -> Sequence[User]:
    """Return those who have something to import."""
    with_plays = {kept.partition[0] for kept in result.kept}
    # By number: the two kinds of sources may count somebody's plays differently.
    known = sorted((user for user in source.users() if user.user_id in with_plays), key=_by_number)
    strangers = with_plays - {user.user_id for user in known} - {None}
    return [
        *known,
        *(
            User(one or 0, "unknown" if one == NOBODY else "", "", 0)
            for one in sorted(strangers, key=str)
        ),
    ]


def file_names(users: Sequence[User]) -> dict[int, str]:
    """Return a name for each user's files, by user id: the user's own, with the id if needed."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    plain = {user.user_id: _plain(user.name) for user in users}
    counts = Counter(name.casefold() for name in plain.values())
    for number, name in plain.items():
        unique = name if name and counts[name.casefold()] == 1 else f"{name or 'user'}-{number}"
        while unique.casefold() in taken:
            unique += "_"
        taken.add(unique.casefold())
        names[number] = unique
    return names


def _plain(name: str) -> str:
    """Make a name fit for a file name: nothing that leads elsewhere, and not too long."""
    return re.sub(r"[^\w.@+-]+", "_", name).strip("._")[:_LONGEST_NAME]
