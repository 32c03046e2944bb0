"""Choose the users that get an output of their own, and name their files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ..model.judged import NOBODY
from ..sources.base import User
from ..sources.database.source import Source
from .pipeline import ReadResult

__all__ = ["file_names", "owners", "with_plays"]

_LONGEST_NAME: Final = 48  # characters; in bytes up to four times that, and a file name has 255


def with_plays(source: Source) -> Sequence[User]:
    """Return all users that have plays, by id.

    File names are made for all of them, so that a name does not depend on today's plays.
    """
    known = (user for user in source.users() if user.plays and user.user_id is not None)
    return sorted(known, key=_by_number)


def _by_number(user: User) -> int:
    return NOBODY if user.user_id is None else user.user_id


def owners(source: Source, result: ReadResult) -> Sequence[User]:
    """Return the users that have something to import."""
    with_plays = set(result.kept.user)
    # By id, because an API and a database may count a user's plays differently.
    known = sorted((user for user in source.users() if user.user_id in with_plays), key=_by_number)
    strangers = with_plays - {*map(_by_number, known)}
    return [
        *known,
        *(
            User(one or 0, "unknown" if one == NOBODY else "", "", 0)
            for one in sorted(strangers, key=str)
        ),
    ]


def file_names(users: Sequence[User]) -> dict[int | None, str]:
    """Return a file name for each user, by id: the user's name, with the id if needed.

    On disk a name is UTF-8 in every locale, so that another locale finds the same files.
    """
    names: dict[int | None, str] = {}
    taken: set[str] = set()
    plain = {user.user_id: _plain(user.name) for user in users}
    counts = Counter(name.casefold() for name in plain.values())
    for number, name in plain.items():
        unique = name if name and counts[name.casefold()] == 1 else f"{name or 'user'}-{number}"
        while unique.casefold() in taken:
            unique += "_"
        taken.add(unique.casefold())
        names[number] = os.fsdecode(unique.encode())
    return names


def _plain(name: str) -> str:
    """Turn a name into a safe file name: no separators, and not too long."""
    return re.sub(r"[^\w.@+-]+", "_", name).strip("._")[:_LONGEST_NAME]
