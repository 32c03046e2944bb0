"""Find the user or library that a person names.

Nothing is guessed: a wrong guess would mix the histories of several people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from ..errors import ConfigurationError, NotFoundError
from .base import Library, User

__all__ = ["choose_libraries", "choose_users"]

_Named = TypeVar("_Named", User, Library)


def choose_users(users: Sequence[User], wanted: Sequence[str]) -> frozenset[int]:
    """Return the ids of the users that are named by id, username or friendly name.

    Raises:
        NotFoundError: there is no such user.
        ConfigurationError: a name fits several users. The message lists them.
    """

    def names(user: User) -> Sequence[str]:
        return str(user.user_id), user.username, user.friendly_name

    def describe(user: User) -> str:
        return f"{user.name} (id {user.user_id}, {user.plays} plays)"

    return frozenset(_choose("user", name, users, names, describe).user_id for name in wanted)


def choose_libraries(libraries: Sequence[Library], wanted: Sequence[str]) -> frozenset[int]:
    """Return the section ids of the libraries that are named by section id or name.

    Raises:
        NotFoundError: there is no such library.
        ConfigurationError: a name fits several libraries. The message lists them.
    """

    def names(library: Library) -> Sequence[str]:
        return str(library.section_id), library.name

    def describe(library: Library) -> str:
        gone = ", deleted" if library.deleted else ""
        return f"{library.name} (id {library.section_id}, {library.plays} plays{gone})"

    chosen = (_choose("library", name, libraries, names, describe) for name in wanted)
    return frozenset(library.section_id for library in chosen)


def _choose(
    what: str,
    wanted: str,
    known: Sequence[_Named],
    names: Callable[[_Named], Sequence[str]],
    describe: Callable[[_Named], str],
) -> _Named:
    """Return the user or library called ``wanted``, by id, by exact name, or ignoring case.

    ``names`` returns the names of one of them, the id first.
    """
    wanted = wanted.strip()
    if not wanted:
        raise ConfigurationError(
            f"--{what} has an empty value.", hint="Check for an empty variable in your shell."
        )
    by_id = [one for one in known if wanted == names(one)[0]]
    fitting = (
        by_id
        or [one for one in known if wanted in names(one)]
        or [
            one
            for one in known
            if wanted.casefold() in [name.casefold() for name in names(one) if name]
        ]
    )
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigurationError(
            f"{len(fitting)} {'users' if what == 'user' else 'libraries'} are called {wanted!r}: "
            f"{'; '.join(map(describe, fitting))}.",
            hint=f"Use the id, for example --{what} {names(fitting[0])[0]}",
        )
    by_name = {name: one for one in known for name in names(one) if name}
    similar = get_close_matches(wanted, by_name, n=1)
    with_plays = [one for one in known if one.plays][:8]
    raise NotFoundError(
        f"There is no {what} called {wanted!r}.",
        hint=f"Did you mean {describe(by_name[similar[0]])}?"
        if similar
        else f"There are: {'; '.join(map(describe, with_plays)) or 'none'}.",
    )
