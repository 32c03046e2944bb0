"""Whose output is whose, where users are kept apart, and what their files are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from .dedup import NOBODY
from .pipeline import Reading
from .sources.base import Source, User

__all__ = ["file_names", "owners", "with_plays"]

_LONGEST_NAME: Final = 48  # characters; in bytes up to four times that, and a file name has 255


def with_plays(source: Source) -> Sequence[User]:
    """Everybody in the history: a file's name must not depend on who has new plays today."""
    return sorted((user for user in source.users() if user.plays), key=_by_number)


def _by_number(user: User) -> int:
    return user.user_id


def owners(source: Source, reading: Reading) -> Sequence[User | None]:
    """Those who have something to import."""
    with_plays = {survivor.partition[0] for survivor in reading.survivors}
    # By number: how many plays somebody has, the two ways of reading may know differently.
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
    """A name for each user's files, by user id: the user's own, with the id where needed."""
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
    """A name as part of a file name: nothing that leads elsewhere, and not too long."""
    return re.sub(r"[^\w.@+-]+", "_", name).strip("._")[:_LONGEST_NAME]
