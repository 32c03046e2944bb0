"""Tautulli over HTTP: bring the local copy of its history up to date, and open it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from msgspec import Struct

from ...errors import BusyError
from ...model.rejections import Reason, Rejected
from ...model.watched import WatchedRule
from ...progress import UNSEEN, Progress
from ...state.file import StateFile
from ..base import Library, User
from ..database.rows import integer, text
from ..database.source import PAGE, Known, Source
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import HistoryApi, Window, day_of
from .local_copy import LocalCopy
from .refresh import Refresh, thresholds

__all__ = ["Libraries", "ask_libraries", "sync"]

_ALL: Final = 100_000
_LONG_AGO: Final = date(1990, 1, 1)


class Libraries(Struct, frozen=True):
    """What Tautulli says of its libraries; over HTTP no row tells which one it is from."""

    listed: Sequence[Library]
    unlisted: int
    """Plays from libraries that are not listed."""


def sync(
    tautulli: Tautulli,
    state: StateFile,
    *,
    now: int,
    plays: bool = True,
    users: bool = False,
    libraries: Libraries | None = None,
    sections: frozenset[int] = frozenset(),
    page: int = PAGE,
    restart: bool = False,
    progress: Progress = UNSEEN,
) -> Source:
    """Fetch what is new since the last run, or everything; prove that it is all, and open it.

    ``now`` is the time of the run (epoch seconds, UTC). Without ``plays`` the copy is opened as
    it is. With ``users`` Tautulli is asked for all users, also those without plays. Plays from
    ``sections`` are told from all others. ``restart`` forgets what was fetched before. What was
    fetched until an error is kept for the next run.

    Raises:
        CheckpointError: another history stands behind this address now.
        SourceDamagedError: the numbers contradict each other.
        BusyError: another run is fetching everything again.
        TautulliImportError: as of ``Tautulli.ask``.
    """
    copy = LocalCopy(state)
    if restart:
        copy.forget(whose=True)
    rule, notices = WatchedRule(origin="Tautulli's own verdict"), list(state.notices)
    windows, rereads = True, False
    if plays:
        rule = thresholds(tautulli)
        refresh = Refresh(tautulli, copy, rule, now=now, progress=progress)
        refresh.run()
        notices += refresh.notices
        windows, rereads = refresh.windows, refresh.rereads
    for section in sorted(sections):
        _tell_apart(section, tautulli, copy, now=now, windows=windows)
    if libraries and libraries.unlisted > 0:
        notices.append(
            f"{libraries.unlisted:,} plays are from libraries that Tautulli lists no more; "
            "--library takes their numbers."
        )
    frozen = copy.freeze(tautulli.shown, _users(tautulli) if users else None)
    if plays and not copy.progress.complete:
        raise BusyError(
            f"Another run is reading everything of {tautulli.shown} again.",
            hint="Try again when it has ended.",
        )
    if tautulli.by_get:
        notices.append(
            "The API key goes in the URL, because something in front of Tautulli refuses POST."
        )
    undelivered = _undelivered(copy, tautulli.shown)
    if users and undelivered:
        notices.append(
            f"{len(undelivered):,} plays that Tautulli fails to deliver are counted for nobody."
        )
    known = Known(
        rule,
        tautulli.shown,
        notices,
        missing=[*undelivered, *_unlisted(copy, tautulli.shown)],
        libraries=libraries.listed if libraries else None,
        rereads=rereads,
    )
    return Source([frozen], page=page, known=known)


def ask_libraries(tautulli: Tautulli, named: Sequence[str]) -> Libraries:
    """Ask for all libraries that Tautulli lists, and for others that are ``named`` by their ids.

    Raises:
        TautulliImportError: as of ``Tautulli.ask``.
    """
    found = tautulli.ask("get_libraries_table", _Libraries, grouping=0, length=_ALL)
    known = {
        number: Library(
            number,
            text(row.section_name) or f"library {number}",
            text(row.section_type) or "",
            integer(row.plays) or 0,
        )
        for row in found.data
        if (number := integer(row.section_id)) is not None
    }
    plays = sum(library.plays for library in known.values())
    unlisted = HistoryApi(tautulli).page(Window(), 0, 0).total - plays
    for section in [int(name) for name in named if name.isdecimal()]:
        if section not in known:
            listing = HistoryApi(tautulli, section_id=section)
            if count := listing.page(Window(), 0, 0, divisible=False).filtered:
                known[section] = Library(section, f"library {section}", "", count, deleted=True)
    listed = sorted(known.values(), key=lambda library: (-library.plays, library.section_id))
    return Libraries(listed, unlisted)


def _undelivered(copy: LocalCopy, source: str) -> Sequence[Rejected]:
    details = (
        f"number {one.position + 1} of {one.window}, sorted by {one.order}"
        for one in copy.undelivered()
    )
    return [Rejected(Reason.NOT_DELIVERED, None, detail, source) for detail in details]


def _unlisted(copy: LocalCopy, source: str) -> Sequence[Rejected]:
    count = copy.progress.unlisted
    details = (f"{number} of {count} not listed" for number in range(1, count + 1))
    return [Rejected(Reason.NO_METADATA, None, detail, source) for detail in details]


def _tell_apart(
    section: int, tautulli: Tautulli, copy: LocalCopy, *, now: int, windows: bool
) -> None:
    """Find out which plays are from a library: rows over HTTP do not tell."""
    unknown, first = copy.unknown_of(section)
    if not unknown:
        return

    def keep(stretch: FetchedDays) -> None:
        copy.keep_section(section, stretch.rows)

    crawl = Crawl(HistoryApi(tautulli, section_id=section), keep, today=day_of(now))
    if not windows:
        crawl.whole()
    elif first is None:
        crawl.newest(_LONG_AGO)
    else:
        crawl.newest(day_of(first) - timedelta(days=1))
    if copy.has_undated():
        listed = crawl.count().filtered
        if missing := max(0, listed - copy.count_of(section)):
            crawl.undated(missing, listed)
    copy.section_known(section)


class _User(Struct):
    user_id: Any = None
    username: Any = None
    friendly_name: Any = None


def _users(tautulli: Tautulli) -> Sequence[User]:
    """Ask for all users that were not deleted."""
    return [
        User(number, text(row.username) or "", text(row.friendly_name) or "", 0)
        for row in tautulli.ask("get_users", list[_User])
        if (number := integer(row.user_id)) is not None
    ]


class _Library(Struct):
    section_id: Any = None
    section_name: Any = None
    section_type: Any = None
    plays: Any = None


class _Libraries(Struct):
    data: list[_Library]
