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
    from ..console import Screen
    from ..explanation import show
    from ..results import keep_result
    from ..session import Request, open_session

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
    unreadable = {Reason.UNREADABLE.value: found.unreadable}
    inputs.judge_rejected(unreadable, session.source, settings, session.source.damaged())
