"""Find the user or library that a person names.

Nothing is guessed: a wrong guess would mix the histories of several people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TypeVar
from unicodedata import normalize

from ..errors import ConfigurationError, NotFoundError
from ..formatting import many
from .base import Library, User

__all__ = ["choose_libraries", "choose_users"]

_Named = TypeVar("_Named", User, Library)


def choose_users(
    users: Sequence[User], wanted: Sequence[str]
) -> tuple[frozenset[int], frozenset[str]]:
    """Return the ids of the users that are named by id, username or friendly name.

    Also return the names in their rows that have lost the user id. If exactly one user with an id
    has that name, such rows are that user's.

    Raises:
        NotFoundError: there is no such user.
        ConfigurationError: a name fits several users. The message lists them.
    """
    named = [user for user in users if user.user_id is not None]
    without_id = [user for user in users if user.user_id is None]
    taken = Counter(_fold(user.username) for user in named)
    alone = [user for user in without_id if taken[_fold(user.username)] != 1]

    def names(user: User) -> Sequence[str]:
        number = "" if user.user_id is None else str(user.user_id)
        return number, user.username or user.name, user.friendly_name

    def describe(user: User) -> str:
        number = "without an id" if user.user_id is None else f"id {user.user_id}"
        return f"{user.name} ({number}, {many(user.plays, 'play')})"

    chosen = [_choose("user", name, [*named, *alone], names, describe) for name in wanted]
    theirs = {_fold(user.username) for user in chosen if user.user_id is not None}
    rows = {user.username for user in chosen if user.user_id is None}
    rows |= {
        user.username for user in without_id if user not in alone and _fold(user.username) in theirs
    }
    return frozenset(user.user_id for user in chosen if user.user_id is not None), frozenset(rows)


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
        plays = many(library.plays, "play")
        return f"{library.name} (id {library.section_id}, {plays}{gone})"

    chosen = (_choose("library", name, libraries, names, describe) for name in wanted)
    return frozenset(library.section_id for library in chosen)


def _choose(
    what: str,
    wanted: str,
    known: Sequence[_Named],
    names: Callable[[_Named], Sequence[str]],
    describe: Callable[[_Named], str],
) -> _Named:
    """Return the user or library called ``wanted``, by id or by name.

    An exact name wins over one that is equal as Unicode (NFC), and that over one that is equal
    without case and compatibility forms. ``names`` returns the names of one, the id first.
    """
    wanted = wanted.strip()
    if not wanted:
        raise ConfigurationError(
            f"--{what} has an empty value.", hint="Check for an empty variable in your shell."
        )
    fitting = [one for one in known if wanted == names(one)[0]]
    for form in (str, _composed, _fold):
        fitting = fitting or [
            one for one in known if form(wanted) in [form(name) for name in names(one) if name]
        ]
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


def _composed(name: str) -> str:
    """Return a name in one Unicode form: an accent can be a character of its own, or not."""
    return normalize("NFC", name)


def _fold(name: str) -> str:
    return normalize("NFKC", normalize("NFKC", name).casefold())
