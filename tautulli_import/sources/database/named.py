"""Count the plays of each user and each library in several files, a play that repeats once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from ..base import Library, User
from .file import DatabaseFile, Named
from .repeats import identities

__all__ = ["libraries_of", "users_of"]

_IDS_COMPARED_AT_ONCE: Final = 10_000

_Counted = Literal["user", "library"]
_Key: TypeAlias = int | str
"""The id of a user or a library. Plays without a user id are counted under the user's name."""


def users_of(files: Sequence[DatabaseFile]) -> Sequence[User]:
    """Return all users in the users tables or with plays, most plays first.

    ``files`` are the newest first.
    """
    counted = _counted(files, "user", DatabaseFile.known_users, DatabaseFile.users_of_plays)
    found = [
        User(user, named.name, named.detail, plays, deleted=named.deleted)
        if isinstance(user, int)
        else User(None, user, "", plays)
        for user, named, plays in counted
    ]
    return sorted(found, key=lambda user: (-user.plays, user.user_id or 0, user.username))


def libraries_of(files: Sequence[DatabaseFile]) -> Sequence[Library]:
    """Return every known library and every library with plays, most plays first.

    ``files`` are the newest first.
    """
    counted = _counted(
        files, "library", DatabaseFile.known_sections, DatabaseFile.sections_of_plays
    )
    found = [
        Library(section, named.name, named.detail, plays, deleted=named.deleted)
        for section, named, plays in counted
        if isinstance(section, int)
    ]
    return sorted(found, key=lambda library: (-library.plays, library.section_id))


def _counted(
    files: Sequence[DatabaseFile],
    what: _Counted,
    known: Callable[[DatabaseFile], Mapping[_Key, Named]],
    of_plays: Callable[[DatabaseFile], Mapping[_Key, tuple[int, str]]],
) -> Iterator[tuple[_Key, Named, int]]:
    """Yield the id, the names and the number of plays of users or libraries.

    ``known`` reads a file's table of them, and ``of_plays`` the history. One that has plays but
    is not in the table counts as deleted. A deleted one without plays is left out.
    """
    plays: Counter[_Key] = Counter()
    listed: dict[_Key, Named] = {}
    unlisted: dict[_Key, Named] = {}
    for file, repeated in _files_and_repeats(files, what):  # the newest file's names win
        for number, named in known(file).items():
            listed.setdefault(number, named)
        for number, (count, name) in of_plays(file).items():
            plays[number] += count - repeated[number]
            unlisted.setdefault(number, Named(name, "", deleted=True))
    for number, named in (unlisted | listed).items():
        if plays[number] or not named.deleted:
            yield number, named, plays[number]


def _files_and_repeats(
    files: Sequence[DatabaseFile], what: _Counted
) -> Iterator[tuple[DatabaseFile, Counter[_Key | None]]]:
    """Yield each file with the number of its plays that newer files have.

    These are counted for each user or each library.
    """
    newer: list[DatabaseFile] = []
    for file in files:
        repeated: Counter[_Key | None] = Counter()
        for after, upto in file.spans(_IDS_COMPARED_AT_ONCE) if newer else ():
            in_newer = identities(newer, after, upto)
            for play, section, name in file.identities(after, upto):
                if play in in_newer:
                    user = name if play[2] is None else play[2]
                    repeated[section if what == "library" else user] += 1
        yield file, repeated
        newer.append(file)
