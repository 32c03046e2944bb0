"""Find the names that a shell can complete: users, libraries, checkpoints.

They come from database files and from what is remembered. Nothing is asked over the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

if TYPE_CHECKING:
    from ..settings.fields import Settings
    from ..sources.base import Library, User

__all__ = ["checkpoints", "libraries", "users"]

_Word: TypeAlias = tuple[str, str]
"""A word to complete, and what it means."""


def users(ctx: typer.Context, incomplete: str) -> list[_Word]:
    """Return the users with plays in the histories that the command line or the settings name."""
    people = [user for found, _ in _histories(ctx) for user in found if user.plays]
    return _fitting(
        ((_word(one.username, one.user_id), f"{one.name}, {one.plays:,} plays") for one in people),
        incomplete,
    )


def libraries(ctx: typer.Context, incomplete: str) -> list[_Word]:
    """Return the libraries of these histories."""
    known = [library for _, found in _histories(ctx) for library in found]
    return _fitting(
        ((_word(one.name, one.section_id), f"{one.name}, {one.plays:,} plays") for one in known),
        incomplete,
    )


def checkpoints(ctx: typer.Context, incomplete: str) -> list[_Word]:
    """Return the ids of the checkpoints in the state directory."""
    from ..state.stored import stored

    settings = _settings(ctx)
    if settings is None:
        return []
    jobs = [job for _, found in stored(settings.state_folder) for job in found]
    return _fitting(((job.key, job.about.source) for job in jobs), incomplete)


def _fitting(words: Iterator[_Word], incomplete: str) -> list[_Word]:
    found = {word: about for word, about in words if word and word.startswith(incomplete)}
    return list(found.items())


def _word(name: str, number: int | None) -> str:
    """Return the name if a shell takes it as one word, else the id."""
    plain = name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return name if plain or number is None else str(number)


def _settings(ctx: typer.Context) -> Settings | None:
    """Return the settings; ``None`` if one of them is wrong, because nothing can be said now."""
    from ..errors import TautulliImportError
    from ..settings.loaded import load

    given = {name: value for name, value in ctx.params.items() if value not in (None, (), [])}
    # The option that is completed has no value yet, so the arguments before it are left over.
    if ctx.args and "database" not in given:
        given["database"] = [Path(word) for word in ctx.args]
    try:
        return load(given).settings
    except TautulliImportError:
        return None


def _histories(ctx: typer.Context) -> Iterator[tuple[Sequence[User], Sequence[Library]]]:
    """Yield the users and libraries of each history that can be read without the network."""
    import sqlite3
    from contextlib import closing

    from ..errors import TautulliImportError
    from ..sources.database.source import Source
    from ..sources.http.local_copy import LocalCopy
    from ..state.file import StateFile, state_files

    settings = _settings(ctx)
    if settings is None:
        return
    words = [str(path) for path in settings.database]
    paths = [Path(word) for word in words if word not in ("api", "-")]
    try:
        if paths and ctx.info_name != "api":
            with closing(Source(paths)) as source:
                yield source.users(), source.libraries()
            return
        for path in state_files(settings.state_folder):
            state = StateFile.existing(path)
            if state is None:
                continue
            with closing(state):
                if "plays" in state.tables():
                    copy = LocalCopy(state).freeze(path.name)
                    with closing(Source([copy])) as source:
                        yield source.users(), source.libraries()
    except (TautulliImportError, sqlite3.Error, OSError):
        return
