"""Bring the local copy of a history over HTTP up to date, and open it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

from msgspec import Struct

from ...errors import BusyError, ConfigurationError, NotFoundError, TautulliImportError
from ...model.rejections import Reason, Rejected
from ...model.watched import WatchedRule
from ...progress import UNSEEN, Progress
from ...state.file import StateFile
from ..base import Library, ServerInfo, User
from ..choose import choose_users
from ..database.rows import integer, name_of, text
from ..database.source import PAGE, Source
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import HistoryApi, Window, day_of
from .local_copy import LocalCopy
from .refresh import Refresh, thresholds

__all__ = [
    "Libraries",
    "Wanted",
    "ask_libraries",
    "ask_users",
    "find_users",
    "list_users",
    "sync",
]

_ALL: Final = 100_000
"""More users or libraries than any Tautulli has."""
_LONG_AGO: Final = date(1990, 1, 1)


class Libraries(Struct, frozen=True):
    """The libraries of a Tautulli. Rows over HTTP do not have their library."""

    listed: Sequence[Library]
    unlisted: int
    """The number of plays from libraries that are not listed."""


class Wanted(Struct, frozen=True):
    """The parts of a history that a command needs."""

    plays: bool = True
    """Fetch new plays. Without this the copy is opened as it is."""
    users: Sequence[User] | None = None
    """All users that Tautulli lists, also those without plays."""
    libraries: Libraries | None = None
    sections: frozenset[int] = frozenset()
    """Libraries whose plays must be told from other plays, by section id."""


_PLAYS: Final = Wanted()


def sync(
    tautulli: Tautulli,
    state: StateFile,
    wanted: Wanted = _PLAYS,
    *,
    now: int,
    page: int = PAGE,
    restart: bool = False,
    progress: Progress = UNSEEN,
) -> Source:
    """Fetch the plays since the last run, or all, check that none is missing, and open the copy.

    ``now`` is the time of the run (epoch seconds, UTC). ``restart`` forgets everything that was
    fetched before. After an error the fetched plays are kept for the next run.

    Raises:
        CheckpointError: this address now has another history.
        SourceDamagedError: the numbers of rows contradict each other.
        BusyError: another run is fetching everything again.
        TautulliImportError: see ``Tautulli.ask``.
    """
    copy = LocalCopy(state)
    if restart:
        copy.forget(samples=True)
    rule, notices = WatchedRule(origin="Tautulli's own verdict"), list(state.notices)
    windows, rereads = True, False
    if wanted.plays:
        rule = thresholds(tautulli)
        refresh = Refresh(tautulli, copy, rule, now=now, progress=progress)
        refresh.run()
        notices += refresh.notices
        windows, rereads = refresh.windows, refresh.rereads
    for section in sorted(wanted.sections):
        _find_plays_of(section, tautulli, copy, now=now, windows=windows)
    libraries = wanted.libraries
    if libraries and libraries.unlisted > 0:
        notices.append(
            f"{libraries.unlisted:,} plays are from libraries that Tautulli does not list any "
            "more. Choose such a library with --library and its id."
        )
    frozen = copy.freeze(tautulli.shown, wanted.users)
    if wanted.plays and not copy.progress.complete:
        raise BusyError(
            f"Another run is reading everything from {tautulli.shown} again.",
            hint="Try again when it has ended.",
        )
    if tautulli.by_get and tautulli.access.key_in is None:
        notices.append(
            "The API key is sent in the URL, because a proxy in front of Tautulli refuses POST."
        )
    undelivered = _undelivered(copy, tautulli.shown)
    if wanted.users is not None and undelivered:
        notices.append(
            f"{len(undelivered):,} plays that Tautulli cannot deliver are counted for no user."
        )
    server = ServerInfo(
        rule,
        tautulli.shown,
        notices,
        missing=[*undelivered, *_unlisted(copy, tautulli.shown)],
        libraries=libraries.listed if libraries else None,
        rereads=rereads,
    )
    return Source([frozen], page=page, server=server)


def ask_libraries(tautulli: Tautulli, named: Sequence[str]) -> Libraries:
    """Request all libraries that Tautulli lists, and others that are ``named`` by their ids.

    Raises:
        TautulliImportError: see ``Tautulli.ask``.
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
            api = HistoryApi(tautulli, section_id=section)
            if count := api.page(Window(), 0, 0, divisible=False).filtered:
                known[section] = Library(section, f"library {section}", "", count, deleted=True)
    listed = sorted(known.values(), key=lambda library: (-library.plays, library.section_id))
    return Libraries(listed, unlisted)


def ask_users(tautulli: Tautulli) -> Sequence[User]:
    """Request all users that were not deleted, with their plays, most plays first.

    Raises:
        TautulliImportError: see ``Tautulli.ask``.
    """
    found = tautulli.ask("get_users_table", _Users, tries=2, grouping=0, length=_ALL)
    known = [
        User(
            number,
            name_of(row.username),
            name_of(row.friendly_name),
            integer(row.plays) or 0,
        )
        for row in found.data
        if (number := integer(row.user_id)) is not None
    ]
    return sorted(known, key=lambda user: (-user.plays, user.user_id or 0))


def list_users(tautulli: Tautulli) -> Sequence[User]:
    """Request all users that were not deleted, without counting their plays.

    Raises:
        TautulliImportError: see ``Tautulli.ask``.
    """
    return [
        User(number, name_of(row.username), name_of(row.friendly_name), 0)
        for row in tautulli.ask("get_users", list[_User])
        if (number := integer(row.user_id)) is not None
    ]


def find_users(tautulli: Tautulli, listed: Sequence[User], wanted: Sequence[str]) -> Iterator[str]:
    """Look up the ``wanted`` names among the ``listed`` users, before a history is fetched.

    A name that is not found may be that of a deleted user, or of rows without a user id. Only the
    history tells these. Yield a sentence about each such name.

    Raises:
        NotFoundError: nobody has this name, because all plays are of listed users.
        ConfigurationError: the name is empty, or several listed users have it, and all plays.
    """
    for name in wanted:
        try:
            choose_users(listed, [name])
        except (NotFoundError, ConfigurationError):
            if not name.strip():
                raise
            try:
                users = ask_users(tautulli)
                total = HistoryApi(tautulli).page(Window(), 0, 0).total
            except TautulliImportError:  # not every server can say that
                continue
            try:
                choose_users(users, [name])
            except (NotFoundError, ConfigurationError) as error:
                if total <= sum(user.plays for user in users):
                    raise
                yield (
                    f"{error} {error.hint} The history is read all the same, because it also has "
                    "plays of users that Tautulli does not list."
                )


def _undelivered(copy: LocalCopy, source: str) -> Sequence[Rejected]:
    """Return the rows that Tautulli cannot deliver, as rejected ones."""
    details = (
        f"number {one.position + 1} of {one.window}, sorted by {one.order}"
        for one in copy.undelivered()
    )
    return [Rejected(Reason.NOT_DELIVERED, None, detail, source) for detail in details]


def _unlisted(copy: LocalCopy, source: str) -> Sequence[Rejected]:
    """Return the rows that Tautulli counts but does not list, as rejected ones."""
    count = copy.progress.unlisted
    details = (f"{number} of {count} not listed" for number in range(1, count + 1))
    return [Rejected(Reason.NO_METADATA, None, detail, source) for detail in details]


def _find_plays_of(
    section: int, tautulli: Tautulli, copy: LocalCopy, *, now: int, windows: bool
) -> None:
    """Find the plays from a library, and note it in the copy.

    Rows over HTTP do not have their library, so the history of that library is requested.
    """
    unassigned, first = copy.unassigned(section)
    if not unassigned:
        return

    def keep(fetched: FetchedDays) -> None:
        copy.keep_section(section, fetched.rows)

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
    copy.section_done(section)


class _User(Struct):
    user_id: Any = None
    username: Any = None
    friendly_name: Any = None
    plays: Any = None


class _Users(Struct):
    data: list[_User]


class _Library(Struct):
    section_id: Any = None
    section_name: Any = None
    section_type: Any = None
    plays: Any = None


class _Libraries(Struct):
    data: list[_Library]
