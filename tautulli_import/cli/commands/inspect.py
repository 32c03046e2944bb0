"""``check``, ``unresolved``, ``users`` and ``libraries``: look at a history."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import Flags

if TYPE_CHECKING:
    from ...ids.unresolved import Unresolved
    from ...settings.loaded import Loaded
    from ..console import Screen
    from ..session import Command

__all__ = ["check", "libraries", "source_kind", "unresolved", "users"]


def users(flags: Flags, *, json: bool) -> None:
    """List the users in the history and the number of their plays."""
    _list("users", flags, as_json=json)


def libraries(flags: Flags, *, json: bool) -> None:
    """List the libraries in the history and the number of their plays."""
    _list("libraries", flags, as_json=json)


def check(flags: Flags, *, json: bool, missing_ids: Path | None, restart: bool) -> None:
    """Read every row as an import would, and print statistics.

    Prints totals, dates, users, media types and kinds of GUID, how many films and shows have
    external ids, and which plays would be left out or rejected.
    """
    from ...errors import ConfigurationError
    from ...imports.figures import SeenRows
    from ...imports.inspect import inspect_source
    from ...progress import ProgressGroup
    from ...sources.http.health import examine
    from .. import inputs
    from ..census import show_inspection
    from ..connect import way_to_plex
    from ..console import Screen
    from ..judging import judge_rejected
    from ..page import check_page, chosen_users, write_page
    from ..results import keep_result
    from ..session import Request, open_session

    command, loaded = source_kind(flags)
    settings = loaded.settings
    if json and missing_ids == Path("-"):
        raise ConfigurationError(
            "--json and --missing-ids - cannot both go to standard output.",
            hint="Use --missing-ids FILE.",
        )
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    inputs.check_not_read(settings, "--missing-ids", missing_ids)
    check_page(settings, missing_ids, "--missing-ids")
    _check_list(missing_ids, "--missing-ids")
    corrections = inputs.corrections(settings)
    now = int(time.time())
    request = Request(users=True, libraries=True, restart=restart)
    with open_session(command, loaded, screen, request, now=now) as session:
        source = session.source
        connection = session.connection
        server = examine(connection.tautulli) if command == "api" and connection else None
        selection = inputs.selection(settings, source, now=now)
        with screen.progress() as bar:
            checked = inspect_source(
                source,
                selection,
                corrections,
                ProgressGroup(bar),
                plex=session.plex,
                server=server,
                seen=SeenRows(selection.users) if settings.page else None,
            )
        users = chosen_users(source, selection)
        write_page(checked.figures, settings, command, "check", now=now, users=users)
        notices = source.notices
        rules = source.rules()
    for notice in notices:
        screen.note(notice)
    for alarm in checked.alarms:
        screen.warn(alarm)
    for sentence in checked.found:
        screen.note(sentence)
    if json:
        keep_result(checked.inspection)
    elif missing_ids != Path("-"):
        asking = way_to_plex(loaded, connection)
        show_inspection(checked.inspection, rules, screen, asking=asking)
    if settings.verbose:
        for row in checked.rejected:
            screen.note(f"row {row.id}: {row.reason.sentence} ({row.detail})")
    if missing_ids is not None:
        _write_list(missing_ids, "--missing-ids", checked.unresolved, screen)
    found = checked.inspection
    judge_rejected(found.plays.rejected, source, settings, screen, found.damaged)


def unresolved(flags: Flags, *, csv: Path | None, json: bool, restart: bool) -> None:
    """List the titles without external ids, the reasons, and suggestions.

    With --csv, fill in the ids that you know, and give the file to --ids.
    """
    from ...errors import ConfigurationError
    from ...imports.inspect import find_unresolved
    from ...model.rejections import Reason
    from ...progress import ProgressGroup
    from .. import inputs
    from ..connect import note_of_plex
    from ..console import Screen
    from ..formatting import described
    from ..judging import judge_rejected
    from ..results import keep_result
    from ..session import Request, open_session

    command, loaded = source_kind(flags)
    settings = loaded.settings
    if json and csv == Path("-"):
        raise ConfigurationError(
            "--json and --csv - cannot both go to standard output.", hint="Use --csv FILE."
        )
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    inputs.check_not_read(settings, "--csv", csv)
    _check_list(csv, "--csv")
    corrections = inputs.corrections(settings)
    now = int(time.time())
    with open_session(command, loaded, screen, Request(restart=restart), now=now) as session:
        selection = inputs.selection(settings, session.source, now=now)
        with screen.progress() as bar:
            found = find_unresolved(
                session.source,
                selection,
                corrections,
                ProgressGroup(bar),
                plex=session.plex,
            )
    for warning in found.warnings:
        screen.note(warning)
    if csv is not None:
        _write_list(csv, "--csv", found.titles, screen)
    if json:
        keep_result(found)
    elif csv is None and not found.titles:
        screen.note("Every film and show that would be imported has an external id.")
    elif csv is None:
        screen.entries(
            ("Title", "Year", "Plays", "First play", "Last play"), map(described, found.titles)
        )
        note_of_plex(loaded, session.connection, session.plex, screen)
        for hint in found.hints:
            screen.note(hint)
        screen.note("To fill in ids yourself, add --csv FILE, and give that file to --ids.")
    unreadable = {Reason.UNREADABLE.value: found.unreadable}
    judge_rejected(unreadable, session.source, settings, screen, found.damaged)


def source_kind(flags: Flags) -> tuple[Command, Loaded]:
    """Return ``api`` if that word is given, or ``db``. Without an argument the settings decide.

    Raises:
        ConfigurationError: both ``api`` and a database are given, or a setting is wrong.
    """
    from ...errors import ConfigurationError
    from .. import inputs

    given = flags.get("database")
    sources = given if isinstance(given, list) else []
    if "api" not in sources:
        loaded = inputs.settings_from(flags)
        settings = loaded.settings
        inputs.check_no_address(settings, "the word api in place of it, and")
        return ("db" if sources or settings.database or not settings.url else "api"), loaded
    if len(sources) > 1:
        raise ConfigurationError(
            "api and database files cannot be combined.",
            hint="Use api alone, or only files. For a file of that name use ./api",
        )
    return "api", inputs.settings_from({**flags, "database": None})


def _list(what: str, flags: Flags, *, as_json: bool) -> None:
    from ..console import Screen
    from ..formatting import print_json
    from ..session import Request, open_session

    command, loaded = source_kind(flags)
    screen = Screen(color=loaded.settings.color)
    now = int(time.time())
    request = Request(
        plays=what == "users",
        users=what == "users",
        libraries=what == "libraries",
        selection=False,
        ids=False,
    )
    with open_session(command, loaded, screen, request, now=now) as session:
        source = session.source
        rows = source.users() if what == "users" else source.libraries()
        notices = source.notices if command == "api" else ()
    for notice in notices:
        screen.note(notice)
    if as_json:
        print_json(rows)
        return
    screen.listing(rows)


def _check_list(path: Path | None, option: str) -> None:
    """Refuse to replace a file that a person may have filled in.

    Raises:
        SinkError: the file exists and is not empty.
    """
    from ...errors import SinkError
    from ...formatting import shown

    if path is not None and path.is_file() and path.stat().st_size:
        raise SinkError(
            f"{shown(path)} exists already, and you may have filled it in.",
            hint=f"Choose another file with {option}, or move this one away.",
        )


def _write_list(path: Path, option: str, titles: Sequence[Unresolved], screen: Screen) -> None:
    import io

    from ...files import write_whole
    from ...formatting import many
    from ...ids.unresolved import write_csv

    text = io.StringIO()
    write_csv(titles, text)
    if path == Path("-"):
        sys.stdout.buffer.write(text.getvalue().encode())
        return
    write_whole(path, [text.getvalue().encode()], option=option)
    screen.note(f"Wrote {many(len(titles), 'title')} without external ids to {path}.")
