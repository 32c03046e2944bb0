"""Which user or library a person means by a name. A guess would mix people's histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from ..errors import ConfigurationError, NotFoundError
from .base import Library, User

__all__ = ["choose_libraries", "choose_users"]

_One = TypeVar("_One", User, Library)


def choose_users(users: Sequence[User], wanted: Sequence[str]) -> frozenset[int]:
    """The ids behind ids, usernames and friendly names.

    Raises:
        NotFoundError: there is no such user.
        ConfigurationError: a name fits several; the candidates are named.
    """

    def names(user: User) -> Sequence[str]:
        return str(user.user_id), user.username, user.friendly_name

    def describe(user: User) -> str:
        return f"{user.name} (id {user.user_id}, {user.plays} plays)"

    return frozenset(_choose("user", name, users, names, describe).user_id for name in wanted)


def choose_libraries(libraries: Sequence[Library], wanted: Sequence[str]) -> frozenset[int]:
    """The section ids behind section ids and library names; errors as of ``choose_users``."""

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
    known: Sequence[_One],
    names: Callable[[_One], Sequence[str]],
    describe: Callable[[_One], str],
) -> _One:
    """The one that ``wanted`` names: to the letter, else without regard to case."""
    wanted = wanted.strip()
    if not wanted:
        raise ConfigurationError(
            f"--{what} was given without a name.", hint="Is a variable of your shell empty?"
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
            f"There are {len(fitting)} that are called {wanted!r}: "
            f"{'; '.join(map(describe, fitting))}.",
            hint=f"Name the one you mean by its id: --{what} {names(fitting[0])[0]}",
        )
    every = {name: one for one in known for name in names(one) if name}
    close = get_close_matches(wanted, every, n=1)
    near = [every[name] for name in close]
    rest = [one for one in known if one.plays][:8]
    hint = f"Did you mean {describe(near[0])}?" if near else ""
    raise NotFoundError(
        f"There is no {what} called {wanted!r}.",
        hint=hint or f"There are: {'; '.join(map(describe, rest)) or 'none'}.",
    )
