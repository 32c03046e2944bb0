"""``checkpoint list``, ``show`` and ``clear``: what is remembered, and forgetting it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..options import Flags

if TYPE_CHECKING:
    from ...state.checkpoint import SavedJob

__all__ = ["clear", "list_", "show"]


def list_(flags: Flags, *, json: bool) -> None:
    """Every import that is remembered: its source, its sinks, and how far it got."""
    from ...settings import load
    from ...state.stored import stored
    from ..console import Screen
    from ..formatting import print_json

    settings = load(flags).settings
    found = [one for _, checkpoints in stored(settings.state_folder) for one in checkpoints]
    if json:
        print_json({"schema": 1, "checkpoints": [_told(one) for one in found]})
        return
    screen = Screen(color=settings.color)
    if not found:
        screen.note("Nothing is remembered.")
        return
    screen.pairs([_row(one) for one in found], "Id", "State", "Plays", "Last", "Source", "Into")


def show(flags: Flags, *, name: str, json: bool) -> None:
    """One of them, whole."""
    from ...settings import load
    from ...state.stored import named
    from ..console import Screen
    from ..formatting import print_json

    settings = load(flags).settings
    path, one = named(settings.state_folder, name)
    told = _told(one) | {"state_file": str(path)}
    if json:
        print_json({"schema": 1, **told})
        return
    rows = [(key.replace("_", " "), _written(value)) for key, value in told.items()]
    Screen(color=settings.color).pairs(rows)


def clear(flags: Flags, *, names: Sequence[str] | None, all: bool) -> None:  # noqa: A002 - the option's name
    """Forget some of them, or all: the next import reads everything; no output is touched."""
    from ...errors import ConfigurationError
    from ...settings import load
    from ...state.stored import clear as clear_one, clear_all, named
    from ..console import Screen

    if not names and not all:
        raise ConfigurationError(
            "Which checkpoint is to be forgotten?",
            hint="Name it as 'tautulli-import checkpoint list' shows it, or say --all.",
        )
    settings = load(flags).settings
    folder = settings.state_folder
    if all:
        count = clear_all(folder)
    else:
        chosen = {(path, one.key) for path, one in (named(folder, name) for name in names or ())}
        for path, key in sorted(chosen):
            clear_one(path, key)
        count = len(chosen)
    Screen(color=settings.color).note(f"Forgotten: {count}.")


def _told(one: SavedJob) -> dict[str, object]:
    return {
        "id": one.key,
        "status": one.status,
        "source": one.about.source,
        "command": one.about.command,
        "sinks": list(one.about.sinks),
        "selection": dict(one.about.selection),
        "options": dict(one.about.options),
        "plays": one.rows,
        "updated": _when(one.updated),
        "first_landmark": list(_landmark(one, 0)),
        "last_landmark": list(_landmark(one, -1)),
        "bytes": one.bytes,
    }


def _landmark(one: SavedJob, place: int) -> tuple[int | None, ...]:
    """Row, start (epoch seconds) and user of a play by which the history is recognised."""
    if not one.samples:
        return ()
    mark = one.samples[place]
    return (mark.id, mark.started, mark.user_id)


def _row(one: SavedJob) -> tuple[str, ...]:
    into = ", ".join(one.about.sinks)
    return (one.key, one.status, f"{one.rows:,}", _when(one.updated), one.about.source, into)


def _when(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_written(one)}" for key, one in value.items() if one is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
