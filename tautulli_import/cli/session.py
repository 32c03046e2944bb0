"""A source, opened: whichever door the plays come through."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import BusyError, SourceDamagedError, UnansweredError
from ..ids.plex import PlexMetadata
from ..interrupts import Stopped
from ..items.pipeline import Enricher
from ..progress import ProgressGroup
from ..settings import Loaded, Settings
from ..sources.choose import choose_libraries
from ..sources.database.source import Source
from ..sources.http.download import download
from ..sources.http.sync import Wanted, ask_libraries, sync
from ..state.file import StateFile, database_source, state_file
from ..state.runs import RunLog, describe
from . import inputs
from .connect import Connection, connect, connect_for_ids, warn_of_key
from .console import Screen

__all__ = ["Command", "Opened", "opened"]

Command: TypeAlias = Literal["api", "db"]
Begun: TypeAlias = Callable[[StateFile], RunLog]
"""Somebody who writes down that a run has begun, and in which state file it stands."""


class Opened(Struct, frozen=True):
    """What a command works with."""

    source: Source
    connection: Connection | None
    enricher: Enricher | None
    state: StateFile | None = None
    """Where what is remembered of the source stands; ``None`` where nothing is."""
    log: RunLog | None = None

    @property
    def asked(self) -> Mapping[str, int]:
        """Requests to Tautulli so far, by command."""
        return self.connection.tautulli.asked if self.connection else {}


@contextmanager
def opened(
    command: Command,
    loaded: Loaded,
    screen: Screen,
    *,
    now: int,
    restart: bool = False,
    enrich: bool = True,
    plays: bool = True,
    users: bool = False,
    libraries: bool = False,
    chooses: bool = True,
    state_of: Path | None = None,
    begun: Begun | None = None,
) -> Iterator[Opened]:
    """Open what the settings name, fetch over HTTP what is new, and close it all in the end.

    Over HTTP the history is fetched unless ``plays`` is False, all ``users`` and ``libraries``
    are asked for where they are wanted, and what is needed to tell apart the chosen ones unless
    ``chooses`` is False. Without ``enrich`` nobody is asked for ids. ``state_of`` is the folder
    in which something is remembered of a database. ``begun`` begins the log of the run, which
    is told how it ends.

    Raises:
        TautulliImportError: it cannot be opened or read.
    """
    warn_of_key(loaded, screen)
    with ExitStack() as stack:
        if command == "api":
            connection: Connection | None = connect(loaded, screen)
        else:
            connection = connect_for_ids(loaded, screen) if enrich else None
        if connection:
            stack.callback(connection.close)
        state = connection.state if connection and command == "api" else None
        if state_of is not None and command == "db":
            state = _state_of_files(state_of, loaded.settings)
            if state:
                stack.callback(state.close)
        log = begun(state) if begun and state else None
        if log:
            stack.enter_context(_told(log))
        if state:
            stack.enter_context(_explained(state))
        source: Source
        if connection and command == "api":
            source = _over_http(
                connection,
                loaded.settings,
                screen,
                now,
                log,
                restart=restart,
                plays=plays,
                users=users,
                libraries=libraries,
                chooses=chooses,
            )
        else:
            source = inputs.open_databases(loaded.settings)
        stack.callback(source.close)
        enricher = (
            PlexMetadata(connection.tautulli, connection.state, now=now)
            if connection and enrich and loaded.settings.enrich
            else None
        )
        yield Opened(source, connection, enricher, state, log)


def _state_of_files(folder: Path, settings: Settings) -> StateFile | None:
    """What is remembered of database files; a dry run only looks at what is there."""
    source = database_source(settings.database)
    if settings.dry_run:
        return StateFile.existing(state_file(folder, source), reads_only=True)
    return StateFile(folder, source)


@contextmanager
def _explained(state: StateFile) -> Iterator[None]:
    """Say what is wrong with the state file, wherever it is read or written."""
    try:
        yield
    except sqlite3.Error as error:
        raise state.error_of(error) from error


@contextmanager
def _told(log: RunLog) -> Iterator[None]:
    """Write down how a run ends that does not come to its own end."""
    with log.record_failure():
        try:
            yield
        except Stopped as stopped:
            run = log.run
            at = "" if run.phase == "starting" else f" while {describe(run)}"
            stopped.said = f"Stopped{at}. Every output is whole: as it was before, or finished."
            raise


def _over_http(
    connection: Connection,
    settings: Settings,
    screen: Screen,
    now: int,
    log: RunLog | None,
    *,
    restart: bool,
    plays: bool,
    users: bool,
    libraries: bool,
    chooses: bool,
) -> Source:
    tautulli = connection.tautulli
    chosen = settings.library if chooses else []
    if settings.via == "database":
        try:
            with screen.progress() as bar:
                return download(
                    tautulli,
                    now=now,
                    progress=ProgressGroup(bar, log),
                    libraries=chosen,
                    page=settings.batch_size,
                )
        except (SourceDamagedError, UnansweredError, BusyError) as error:
            screen.note(f"The plays are asked for one by one instead of downloaded: {error}")
    told = ask_libraries(tautulli, settings.library) if libraries or chosen else None
    with screen.progress(hidden=not plays) as bar:
        return sync(
            tautulli,
            connection.state,
            Wanted(
                plays=plays,
                users=users or (chooses and bool(settings.user)),
                libraries=told,
                sections=choose_libraries(told.listed, chosen) if told else frozenset(),
            ),
            now=now,
            page=settings.batch_size,
            restart=restart,
            progress=ProgressGroup(bar, log),
        )
