"""``why``: explain what became of the plays of a title, or of one row."""

from __future__ import annotations

import time

from ..options import Flags
from .inspect import source_kind

__all__ = ["why"]


def why(flags: Flags, *, title: str, json: bool, restart: bool) -> None:
    """Explain what became of each play of a title, or of one row.

    Shows the newest plays of a title; --verbose and --json show all.
    """
    from ...imports.why import explain
    from ...model.rejections import Reason
    from ...progress import ProgressGroup
    from .. import inputs
    from ..connect import note_of_plex
    from ..console import Screen
    from ..explanation import show
    from ..judging import judge_rejected
    from ..results import keep_result
    from ..session import Request, open_session

    title, flags = _in_order(title, flags)
    command, loaded = source_kind(flags)
    settings = loaded.settings
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    corrections = inputs.corrections(settings)
    now = int(time.time())
    request = Request(users=True, restart=restart)
    with open_session(command, loaded, screen, request, now=now) as session:
        selection = inputs.selection(settings, session.source, now=now)
        with screen.progress() as bar:
            found = explain(
                session.source,
                selection,
                title,
                corrections,
                ProgressGroup(bar),
                plex=session.plex,
                everything=json or settings.verbose,
            )
    for warning in found.warnings:
        screen.note(warning)
    if json:
        keep_result(found)
    else:
        show(found, screen)
        if any(not one.ids for one in found.titles):
            note_of_plex(loaded, session.connection, session.plex, screen)
    unreadable = {Reason.UNREADABLE.value: found.unreadable}
    judge_rejected(unreadable, session.source, settings, screen, found.damaged)


def _in_order(title: str, flags: Flags) -> tuple[str, Flags]:
    """Return the title, and the flags with the sources, also if the sources were named first.

    Raises:
        ConfigurationError: there are only sources.
    """
    from ...errors import ConfigurationError

    given = flags.get("database")
    *sources, last = [title, *map(str, given if isinstance(given, list) else ())]
    if sources and _is_source(title) and not _is_source(last):
        return last, {**flags, "database": sources}
    if title != "api" and all(map(_is_source, (title, last))):
        raise ConfigurationError(
            f"{title} is a file, and no title is given.",
            hint=f'Name a title first: tautulli-import why "TITLE" {title}',
        )
    return title, flags


def _is_source(word: str) -> bool:
    from pathlib import Path

    try:
        return word == "api" or Path(word).is_file()
    except (OSError, ValueError):  # too long, or with a null byte
        return False
