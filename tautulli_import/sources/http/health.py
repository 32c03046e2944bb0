"""Examine a Tautulli server for ``check api``, and warn of problems."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from ...errors import TautulliImportError
from ..database.rows import text
from .client import Tautulli
from .history_api import HistoryApi, Window

__all__ = ["Health", "examine"]

_SLOW_SECONDS: Final = 10.0
# Measured on Tautulli 2.17.2: reading all rows takes four times as long as counting them.
_READING_TO_COUNTING: Final = 4
# The first versions of Tautulli that take windows of days, and that send GUIDs.
_WINDOWS_SINCE: Final = (2, 8)
_GUIDS_SINCE: Final = (2, 2)


class Health(Struct, frozen=True):
    """The state of a Tautulli server, from a few small requests."""

    version: str
    """Such as ``v2.17.2``; empty if unknown."""
    plex: str
    """The name of its Plex server; empty if unknown."""
    plex_reachable: bool | None
    """``None`` if unknown."""
    rows: int
    """All rows of the history."""
    listed: int
    """The rows that Tautulli lists. The others have lost their metadata."""
    seconds: float
    """The time to count the rows. Reading them all takes about four times as long."""
    warnings: Sequence[str]


def examine(tautulli: Tautulli) -> Health:
    """Return the state of a Tautulli server.

    Raises:
        TautulliImportError: see ``Tautulli.ask``.
    """
    reachable: bool | None = None
    name = ""
    with suppress(TautulliImportError):
        status = tautulli.ask("server_status", dict[str, Any], tries=2).get("connected")
        reachable = status if isinstance(status, bool) else None
    with suppress(TautulliImportError):
        name = text(tautulli.ask("get_server_info", dict[str, Any], tries=2).get("pms_name")) or ""
    began = time.perf_counter()
    counted = HistoryApi(tautulli).page(Window(), 0, 0, divisible=False)
    seconds = time.perf_counter() - began
    version = tautulli.version
    return Health(
        version=version,
        plex=name,
        plex_reachable=reachable,
        rows=counted.total,
        listed=counted.filtered,
        seconds=round(seconds, 2),
        warnings=[
            *_version_warnings(version),
            *_plex_warnings(reachable),
            *_speed_warnings(seconds),
        ],
    )


def _version_warnings(version: str) -> Sequence[str]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        return []
    number = (int(found.group(1)), int(found.group(2)))
    if number < _GUIDS_SINCE:
        return [f"Tautulli {version} sends no GUIDs, so most external ids will not be found."]
    if number < _WINDOWS_SINCE:
        return [f"Tautulli {version} is older than 2.8, so every run has to read everything."]
    return []


def _plex_warnings(reachable: bool | None) -> Sequence[str]:
    if reachable is False:
        return ["Tautulli cannot connect to Plex, so ids that only Plex has are missing for now."]
    return []


def _speed_warnings(seconds: float) -> Sequence[str]:
    if seconds < _SLOW_SECONDS:
        return []
    minutes = max(1, round(seconds * _READING_TO_COUNTING / 60))
    counting = f"Tautulli took {seconds:.0f} seconds to count its rows"
    return [f"{counting}. Reading them all takes about {minutes} min. --via database is faster."]
