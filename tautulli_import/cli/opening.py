"""A source, opened: whichever door the plays come through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeAlias

from msgspec import Struct

from ..asking.desk import MetadataDesk
from ..console import Screen
from ..errors import BusyError, SourceDamagedError, UnansweredError
from ..pipeline import Enricher
from ..settings import Loaded, Settings
from ..sources.api import ApiSource
from ..sources.base import Source
from ..sources.downloaded import DownloadedSource
from . import prepare
from .connect import Connection, connect, connect_for_ids, warn_of_key

__all__ = ["Command", "Opened", "opened"]

Command: TypeAlias = Literal["api", "db"]


class Opened(Struct, frozen=True):
    """What a command works with."""

    source: Source
    connection: Connection | None
    enricher: Enricher | None

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
    everybody: bool = False,
    enrich: bool = True,
    plays: bool = True,
) -> Iterator[Opened]:
    """Open what the settings name, read over HTTP what is new, and close it all in the end.

    With ``everybody`` users without plays are wanted as well; without ``enrich`` nobody is
    asked for ids, and without ``plays`` the history is not read over HTTP.

    Raises:
        TautulliImportError: it cannot be opened or read.
    """
    warn_of_key(loaded, screen)
    if command == "api":
        connection: Connection | None = connect(loaded, screen)
    else:
        connection = connect_for_ids(loaded, screen) if enrich else None
    try:
        source = (
            _over_http(
                connection,
                loaded.settings,
                screen,
                now,
                restart=restart,
                everybody=everybody,
                plays=plays,
            )
            if connection and command == "api"
            else prepare.open_databases(loaded.settings)
        )
        try:
            enricher = (
                MetadataDesk(connection.tautulli, connection.state, now=now)
                if connection and enrich and loaded.settings.enrich
                else None
            )
            yield Opened(source, connection, enricher)
        finally:
            source.close()
    finally:
        if connection:
            connection.close()


def _over_http(
    connection: Connection,
    settings: Settings,
    screen: Screen,
    now: int,
    *,
    restart: bool,
    everybody: bool,
    plays: bool,
) -> Source:
    if settings.via == "database":
        try:
            with screen.progress() as bar:
                return DownloadedSource(
                    connection.tautulli,
                    now=now,
                    advanced=bar.downloading if bar else _unseen,
                    page=settings.batch_size,
                )
        except (SourceDamagedError, UnansweredError, BusyError) as error:
            screen.note(f"The plays are asked for one by one instead of downloaded: {error}")
    source = ApiSource(
        connection.tautulli,
        connection.state,
        now=now,
        sections=[int(name) for name in settings.library if name.isdecimal()],
        page=settings.batch_size,
        restart=restart,
    )
    if everybody:
        source.know_everybody()
    if plays:
        with screen.progress() as bar:
            source.refresh(bar)
    return source


def _unseen(_done: int, _total: int | None) -> None:
    """Nobody watches."""
