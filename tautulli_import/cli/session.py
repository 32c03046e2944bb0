"""Open the source of a command, and everything that belongs to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..errors import (
    BusyError,
    DamagedDatabaseError,
    DamagedPageError,
    SourceDamagedError,
    UnansweredError,
)
from ..interrupts import Stopped
from ..items.pipeline import PlexSources
from ..progress import ProgressGroup
from ..settings.fields import Settings
from ..settings.loaded import Loaded
from ..sources.base import User
from ..sources.choose import choose_libraries
from ..sources.database.source import Source
from ..state.file import StateFile, database_source, state_file
from ..state.runs import RunLog, describe
from . import inputs
from .connect import Connection, connect, connect_for_ids, warn_of_key
from .console import Screen
from .plex_access import open_cloud, open_library

__all__ = ["Chooser", "Command", "Record", "Request", "Session", "open_session"]

Command: TypeAlias = Literal["api", "db"]


class Request(Struct, frozen=True):
    """The parts of a source that a command needs. Over HTTP nothing else is fetched."""

    plays: bool = True
    users: bool = False
    """All users, also those without plays."""
    libraries: bool = False
    """All libraries."""
    selection: bool = True
    """Also fetch what the settings ``user`` and ``library`` need to select plays."""
    outputs: bool = False
    """Use the settings that say where the history goes."""
    ids: bool = True
    """Also ask Plex about titles without external ids."""
    restart: bool = False
    """Forget what was fetched before."""


class Record(Struct, frozen=True):
    """The place where the progress of a run is recorded."""

    folder: Path | None = None
    """The directory for the state file of databases; ``None`` to keep no state of them."""
    begin: Callable[[StateFile], RunLog] | None = None
    """Begins the log of the run in the state file of the source."""


Chooser: TypeAlias = Callable[[StateFile | None, Callable[[], Sequence[User]]], Settings]
"""Returns the settings with a choice of users. It is given the state file, and a function that
requests the users of the server."""

_NO_RECORD: Final = Record()


class Session(Struct, frozen=True):
    """The open source of a command, and everything that belongs to it."""

    source: Source
    settings: Settings
    """The settings, with the users that were chosen before anything was fetched."""
    connection: Connection | None
    plex: PlexSources
    state: StateFile | None = None
    """The state file of the source; ``None`` if no state is kept."""
    log: RunLog | None = None

    @property
    def asked(self) -> Mapping[str, int]:
        """Return the number of requests to Tautulli so far, by command."""
        return self.connection.tautulli.asked if self.connection else {}


@contextmanager
def open_session(
    command: Command,
    loaded: Loaded,
    screen: Screen,
    request: Request,
    *,
    now: int,
    record: Record = _NO_RECORD,
    choose: Chooser | None = None,
) -> Iterator[Session]:
    """Open the source that the settings name, and close it in the end.

    Over HTTP, fetch what ``request`` wants first, and before that let ``choose`` choose the users.
    ``now`` is the time of the run (epoch seconds, UTC). The log that ``record`` begins is told how
    the run ends.

    Raises:
        TautulliImportError: the source cannot be opened or read.
    """
    settings = loaded.settings
    warn_of_key(loaded, screen)
    inputs.name_files(loaded, screen, selects=request.selection, writes=request.outputs)
    with ExitStack() as stack:
        library = open_library(settings, screen) if request.ids else None
        if library:
            stack.callback(library.close)
        cloud = open_cloud(loaded, screen, now=now) if request.ids else None
        if cloud:
            stack.callback(cloud.close)
        if command == "api":
            connection: Connection | None = connect(loaded, screen)
        else:
            connection = connect_for_ids(loaded, screen) if request.ids else None
        if connection:
            stack.callback(connection.close)
        if command == "api":
            state = connection.state if connection else None
        else:
            state = _state_of_files(record.folder, settings) if record.folder else None
            if state:
                stack.callback(state.close)
        log = record.begin(state) if record.begin and state else None
        if log:
            stack.enter_context(_record_the_end(log))
        if state:
            stack.enter_context(_explain_errors(state))
        if request.selection:
            inputs.dates(settings, now=now)  # a wrong one is an error before anything is fetched
        if connection and command == "api":
            from ..sources.http.sync import ask_users

            if choose:
                settings = choose(state, partial(ask_users, connection.tautulli))
            source = _fetch(connection, settings, screen, request, log, now=now)
        else:
            with screen.progress() as bar:
                source = inputs.open_databases(settings, ProgressGroup(bar, log))
        stack.callback(source.close)
        enricher = None
        if connection and request.ids and settings.enrich:
            from ..ids.plex import PlexMetadata

            enricher = PlexMetadata(connection.tautulli, connection.state, now=now)
        plex = PlexSources(library, enricher, cloud)
        with _describe_damage(source):
            yield Session(source, settings, connection, plex, state, log)


def _state_of_files(folder: Path, settings: Settings) -> StateFile | None:
    """Open the state file of the databases. A dry run only reads one that exists."""
    source = database_source(settings.database)
    if settings.dry_run:
        return StateFile.existing(state_file(folder, source), reads_only=True)
    return StateFile(folder, source)


@contextmanager
def _explain_errors(state: StateFile) -> Iterator[None]:
    """Turn an SQLite error of the state file into a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise state.error_of(error) from error


@contextmanager
def _describe_damage(source: Source) -> Iterator[None]:
    """Describe all damage of a file when some of it stops a command."""
    try:
        yield
    except (DamagedDatabaseError, DamagedPageError):
        source.refuse_damage()
        raise


@contextmanager
def _record_the_end(log: RunLog) -> Iterator[None]:
    """Record in the log that a run fails or is stopped."""
    with log.record_failure():
        try:
            yield
        except Stopped as stopped:
            run = log.run
            at = "" if run.phase == "starting" else f" while {describe(run, has_ended=True)}"
            whole = f"Stopped{at}. Every output is whole: unchanged or finished."
            stopped.said = stopped.said or whole
            raise


def _fetch(
    connection: Connection,
    settings: Settings,
    screen: Screen,
    request: Request,
    log: RunLog | None,
    *,
    now: int,
) -> Source:
    """Fetch over HTTP what ``request`` wants, and open it."""
    from ..sources.http.download import download
    from ..sources.http.local_copy import LocalCopy
    from ..sources.http.sync import Wanted, ask_libraries, find_users, list_users, sync

    tautulli = connection.tautulli
    names = settings.user if request.selection else []
    users = list_users(tautulli) if request.users or names else None
    is_fetched = LocalCopy(connection.state).progress.complete and not request.restart
    if users is not None and (settings.via == "database" or not is_fetched):
        for sentence in find_users(tautulli, users, names):
            screen.note(sentence)
    library_names = settings.library if request.selection else []
    if settings.via == "database":
        try:
            with screen.progress() as bar:
                return download(
                    tautulli,
                    now=now,
                    progress=ProgressGroup(bar, log),
                    libraries=library_names,
                    page=settings.batch_size,
                )
        except (SourceDamagedError, UnansweredError, BusyError) as error:
            screen.note(
                f"The database could not be downloaded, so the history is read instead: {error}"
            )
    libraries = None
    if request.libraries or library_names:
        libraries = ask_libraries(tautulli, settings.library)
    with screen.progress(hidden=not request.plays) as bar:
        return sync(
            tautulli,
            connection.state,
            Wanted(
                plays=request.plays,
                users=users,
                libraries=libraries,
                sections=(
                    choose_libraries(libraries.listed, library_names) if libraries else frozenset()
                ),
            ),
            now=now,
            page=settings.batch_size,
            restart=request.restart,
            progress=ProgressGroup(bar, log),
        )
