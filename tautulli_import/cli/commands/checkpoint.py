"""``checkpoint list``, ``show`` and ``clear``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..options import Flags

if TYPE_CHECKING:
    from ...sources.http.local_copy import CrawlState
    from ...state.checkpoint import SavedJob

__all__ = ["clear", "list_", "show"]


def list_(flags: Flags, *, json: bool) -> None:
    """List all checkpoints: source, sinks and progress of an import.

    Also lists how much was read over HTTP. An import that was stopped goes on from there.
    """
    from ...formatting import many
    from ...settings.loaded import load
    from ...sources.http.local_copy import stored_copy
    from ...state.checkpoint import saved_jobs
    from ...state.file import shown_source
    from ...state.runs import source_of
    from ...state.stored import opened
    from ..console import Screen
    from ..formatting import print_json

    settings = load(flags).settings
    jobs: list[SavedJob] = []
    copies: list[tuple[str, CrawlState, int]] = []
    for path, state in opened(settings.state_folder):
        jobs += saved_jobs(state)
        if (found := stored_copy(state)) is not None:
            copies.append((source_of(state) or path.stem, *found))
    if json:
        checkpoints = [_fields(job) for job in jobs]
        read = [_fields_of_copy(*copy) for copy in copies]
        print_json({"schema": 1, "checkpoints": checkpoints, "copies": read})
        return
    screen = Screen(color=settings.color)
    if not jobs and not copies:
        screen.note("There are no checkpoints.")
        return
    for job in jobs:
        last = _minute(job.updated)
        screen.paragraph(f"{job.key}  {job.status} {last}, {many(job.rows, 'play')}")
        screen.paragraph(
            f"{shown_source(job.about.source)} → {', '.join(job.about.sinks)}", indent=2
        )
    for copy in copies:
        screen.paragraph(_in_words(*copy))


def _fields_of_copy(source: str, progress: CrawlState, plays: int) -> dict[str, object]:
    return {
        "source": source,
        "plays": plays,
        "complete": progress.complete,
        "oldest_day": None if progress.complete else progress.oldest or None,
        "updated": _when(progress.read_at) if progress.read_at else None,
    }


def _in_words(source: str, progress: CrawlState, plays: int) -> str:
    """Return a sentence about what was read of a server."""
    from ...formatting import many

    what = many(plays, "play")
    if progress.complete:
        return f"{source}: all {what} were read, last at {_minute(progress.read_at)}."
    begin = f" from {progress.oldest} on" if progress.oldest else ""
    return f"{source}: {what}{begin} were read. The next import reads on from there."


def show(flags: Flags, *, name: str, json: bool) -> None:
    """Show everything about one checkpoint."""
    from ...settings.loaded import load
    from ...state.stored import named
    from ..console import Screen
    from ..formatting import print_json

    settings = load(flags).settings
    path, job = named(settings.state_folder, name)
    fields = _fields(job) | {"state_file": str(path)}
    if json:
        print_json({"schema": 1, **fields})
        return
    rows = [(key.replace("_", " "), _cell(value)) for key, value in fields.items()]
    Screen(color=settings.color).facts(rows)


def clear(flags: Flags, *, names: Sequence[str] | None, all: bool) -> None:  # noqa: A002 - the option's name
    """Forget checkpoints. The next import reads everything; outputs stay as they are."""
    from ...errors import ConfigurationError
    from ...formatting import many
    from ...settings.loaded import load
    from ...state.stored import Cleared, clear as clear_one, clear_all, named
    from ..console import Screen

    if not names and not all:
        raise ConfigurationError(
            "No checkpoint given.",
            hint="Use --all, or an id that tautulli-import checkpoint list shows.",
        )
    settings = load(flags).settings
    folder = settings.state_folder
    if all:
        cleared = clear_all(folder)
    else:
        keys = {(path, job.key) for path, job in (named(folder, name) for name in names or ())}
        for path, key in sorted(keys):
            clear_one(path, key)
        cleared = Cleared(len(keys))
    said = [
        f"{text}{many(count, what)}"
        for text, count, what in (
            ("", cleared.checkpoints, "checkpoint"),
            ("what was read from ", cleared.copies, "server"),
            ("the last runs of ", cleared.runs, "source"),
        )
        if count
    ]
    line = f"Forgotten: {', '.join(said)}." if said else "There is nothing to forget."
    Screen(color=settings.color).note(line)


def _fields(job: SavedJob) -> dict[str, object]:
    return {
        "id": job.key,
        "status": job.status,
        "source": job.about.source,
        "command": job.about.command,
        "sinks": list(job.about.sinks),
        "selection": dict(job.about.selection),
        "options": dict(job.about.options),
        "plays": job.rows,
        "updated": _when(job.updated),
        "first_landmark": list(_sample(job, 0)),
        "last_landmark": list(_sample(job, -1)),
        "bytes": job.bytes,
    }


def _sample(job: SavedJob, place: int) -> tuple[int | None, ...]:
    """Return row id, start (epoch seconds) and user of a sample row of the history."""
    if not job.samples:
        return ()
    sample = job.samples[place]
    return (sample.id, sample.started, sample.user_id)


def _when(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _minute(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(part)}" for key, part in value.items() if part is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
