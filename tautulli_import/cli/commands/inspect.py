"""``check``, ``users`` and ``libraries``: looking at a Tautulli without importing anything."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import Flags

if TYPE_CHECKING:
    from ...ids.works import Work
    from ...settings import Loaded
    from ..console import Screen
    from ..session import Command

__all__ = ["check", "libraries", "users"]


def users(flags: Flags, *, json: bool) -> None:
    """Whose plays are in the history, and how many."""
    _list("users", flags, as_json=json)


def libraries(flags: Flags, *, json: bool) -> None:
    """Which libraries the plays come from, and how many plays each has."""
    _list("libraries", flags, as_json=json)


def check(flags: Flags, *, json: bool, missing_ids: Path | None, restart: bool) -> None:
    """Read every row as an import would, write nothing, and tell what is there.

    Totals, dates, users, media types, kinds of GUID, how many films and shows have
    external ids, and what would be left out or rejected and why.
    """
    from ...errors import ConfigurationError
    from ...imports.inspect import inspect_source
    from ...progress import ProgressGroup
    from ...sources.http.health import examine
    from .. import inputs
    from ..console import Screen
    from ..formatting import inspection_tables, print_json
    from ..session import opened

    command, loaded = _door(flags)
    settings = loaded.settings
    if json and missing_ids == Path("-"):
        raise ConfigurationError(
            "--json and --missing-ids - cannot both go to standard output.",
            hint="Name a file with --missing-ids.",
        )
    screen = Screen(quiet=settings.quiet, verbose=settings.verbose, color=settings.color)
    inputs.check_not_read(settings, "--missing-ids", missing_ids)
    _check_missing_ids(missing_ids)
    corrections = inputs.corrections(settings)
    now = int(time.time())
    with opened(
        command, loaded, screen, now=now, restart=restart, users=True, libraries=True
    ) as found:
        source = found.source
        server = (
            examine(found.connection.tautulli) if command == "api" and found.connection else None
        )
        chosen = inputs.selection(settings, source, now=now)
        with screen.progress() as bar:
            checked = inspect_source(
                source,
                chosen,
                corrections,
                ProgressGroup(bar),
                enrich=found.enricher,
                server=server,
            )
        notices = source.notices
        rules = source.rules()
    for notice in notices:
        screen.note(notice)
    for alarm in checked.alarms:
        screen.warn(alarm)
    if json:
        print_json(checked.inspection)
    elif missing_ids != Path("-"):
        for rows in inspection_tables(checked.inspection, rules):
            screen.pairs(rows)
    if settings.verbose:
        for row in checked.rejected:
            screen.note(f"row {row.id}: {row.reason.sentence} {row.detail}")
    if missing_ids is not None:
        _write_missing(missing_ids, checked.works, screen)
    inputs.judge_rejected(checked.inspection.plays.rejected, source, settings)


def _door(flags: Flags) -> tuple[Command, Loaded]:
    """Which door was meant: the word ``api``, or a database; without a word what is set."""
    from ...errors import ConfigurationError
    from .. import inputs

    given = flags.get("database")
    named = given if isinstance(given, list) else []
    if "api" not in named:
        loaded = inputs.settings_from(flags)
        settings = loaded.settings
        return ("db" if named or settings.database or not settings.url else "api"), loaded
    if len(named) > 1:
        raise ConfigurationError(
            "Tautulli itself and a database cannot be looked at together.",
            hint="Name api alone, or the files alone; a file of that name is ./api",
        )
    return "api", inputs.settings_from({**flags, "database": None})


def _list(what: str, flags: Flags, *, as_json: bool) -> None:
    from ..console import Screen
    from ..formatting import print_json
    from ..session import opened

    command, loaded = _door(flags)
    screen = Screen(color=loaded.settings.color)
    now = int(time.time())
    with opened(
        command,
        loaded,
        screen,
        now=now,
        enrich=False,
        plays=what == "users",
        users=what == "users",
        libraries=what == "libraries",
        chooses=False,
    ) as found:
        source = found.source
        listed = source.users() if what == "users" else source.libraries()
        notices = source.notices if command == "api" else ()
    for notice in notices:
        screen.note(notice)
    if as_json:
        print_json(listed)
        return
    screen.listing(listed)


def _check_missing_ids(path: Path | None) -> None:
    """Never replace a list that a person may have filled in."""
    from ...errors import SinkError
    from ...files import shown

    if path is not None and path.is_file() and path.stat().st_size:
        raise SinkError(
            f"{shown(path)} is there already, and may be filled in.",
            hint="Name another file with --missing-ids, or move this one away.",
        )


def _write_missing(path: Path, works: Iterable[Work], screen: Screen) -> None:
    import io

    from ...files import write_whole
    from ...formatting import many
    from ...ids.corrections import write_missing

    text = io.StringIO()
    count = write_missing(works, text)
    if path == Path("-"):
        sys.stdout.buffer.write(text.getvalue().encode())
        return
    write_whole(path, [text.getvalue().encode()], option="--missing-ids")
    screen.note(f"Wrote {many(count, 'line')} to {path}: what has no external id.")
