"""How a Tautulli is doing: what ``check api`` tells, and what would go wrong."""

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
# Measured on 2.17.2: to deliver all rows takes four times as long as to count them.
_WHOLE: Final = 4
_WINDOWS: Final = (2, 8)
_GUIDS: Final = (2, 2)


class Health(Struct, frozen=True):
    """One Tautulli server, asked a few small questions."""

    version: str
    """``v2.17.2``; empty when it does not say."""
    plex: str
    """The name of its Plex server; empty when it does not say."""
    plex_reachable: bool | None
    """``None`` when it does not say."""
    rows: int
    """All rows of the history."""
    listed: int
    """Those of them that Tautulli lists: the rest has lost its metadata."""
    seconds: float
    """How long it takes to count them: about a quarter of what it takes to read them all."""
    warnings: Sequence[str]


def examine(tautulli: Tautulli) -> Health:
    """Ask a Tautulli how it is.

    Raises:
        TautulliImportError: as of ``Tautulli.ask``.
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
        warnings=[*_of_version(version), *_of_plex(reachable), *_of_speed(seconds)],
    )


def _of_version(version: str) -> Sequence[str]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        return []
    number = (int(found.group(1)), int(found.group(2)))
    if number < _GUIDS:
        return [f"Tautulli {version} tells no GUIDs: most external ids will not be found."]
    if number < _WINDOWS:
        return [f"Tautulli {version} is older than 2.8: every run has to read everything."]
    return []


def _of_plex(reachable: bool | None) -> Sequence[str]:
    if reachable is False:
        return ["Tautulli does not reach Plex: ids that only Plex knows cannot be asked for now."]
    return []


def _of_speed(seconds: float) -> Sequence[str]:
    if seconds < _SLOW_SECONDS:
        return []
    minutes = max(1, round(seconds * _WHOLE / 60))
    counting = f"Tautulli took {seconds:.0f} seconds to count its rows"
    return [f"{counting}: to read them all takes about {minutes} min. --via database is faster."]
