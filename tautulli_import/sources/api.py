"""Tautulli over HTTP as a source: read into a mirror on disk, and from there like a database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

from msgspec import Struct

from ..checkpoint.state import StateFile
from ..client.tautulli import Tautulli
from ..errors import BusyError
from ..models import Landmark, Reason, Rejected
from ..watched import WatchedRule
from .base import Batch, Cursor, Library, Lookup, User, Watcher
from .crawl import Crawl, Stretch
from .listing import Listing, Window, day_of
from .mirror import Mirror
from .refresh import Refresh, thresholds
from .rows import integer, text

__all__ = ["ApiSource"]

_PAGE: Final = 200
_EVERYBODY: Final = 100_000
_LONG_AGO: Final = date(1990, 1, 1)


class ApiSource:
    """One Tautulli, read over HTTP."""

    def __init__(
        self,
        tautulli: Tautulli,
        state: StateFile,
        *,
        now: int,
        sections: Sequence[int] = (),
        page: int = _PAGE,
        restart: bool = False,
    ) -> None:
        """Nothing is asked before ``refresh``.

        ``now`` is the time of the run (epoch seconds, UTC); ``sections`` are libraries that may
        be deleted, by id; ``restart`` forgets what was read before.
        """
        self.name = tautulli.shown
        self._tautulli = tautulli
        self._state = state
        self._now = now
        self._everybody = False
        self._knows_sections = False
        self._sections = sections
        self._page = page
        self._mirror = Mirror(state)
        self._windows = True
        self._rereads = False
        self._said: list[str] = []
        self._rule = WatchedRule(origin="Tautulli's own verdict")
        if restart:
            self._mirror.forget(whose=True)

    @property
    def notices(self) -> Sequence[str]:
        """How it was read, and why it took longer than last time."""
        by_get = (
            ["The API key goes in the URL, because something in front of Tautulli refuses POST."]
            if self._tautulli.by_get
            else []
        )
        return [*self._state.notices, *self._said, *by_get, *self._left_out()]

    @property
    def rereads(self) -> bool:
        """Tell whether everything was read again."""
        return self._rereads

    def rules(self) -> Sequence[WatchedRule]:
        """The thresholds that Tautulli's verdicts are made with."""
        return [self._rule]

    def refresh(self, watcher: Watcher | None = None) -> None:
        """Read what is new since the last time, or everything; and prove that it is all.

        Raises:
            TautulliImportError: it could not be read, or the numbers contradict each other.
                What was read until then is kept for the next run.
        """
        self._rule = thresholds(self._tautulli)
        refresh = Refresh(self._tautulli, self._mirror, self._rule, now=self._now, watcher=watcher)
        try:
            refresh.run()
            self._hold()
        finally:
            self._said += refresh.notices
            self._windows = refresh.windows
            self._rereads = refresh.rereads

    def know_everybody(self) -> None:
        """Ask for the users table as well."""
        self._everybody = True

    def total(self) -> int:
        """How many rows Tautulli has, listed or not."""
        return self._mirror.count() + self._mirror.progress.unlisted

    def batches(self, after: Cursor | None = None, *, detailed: bool = False) -> Iterator[Batch]:
        """Every row in the order of its number, then those that could not be had."""
        cursor = after or Cursor(str(-(1 << 63)))
        settled = self._mirror.settled_upto(self._now)
        pages = self._mirror.pages(
            int(cursor), self._page, sections=self._knows_sections, detailed=detailed
        )
        for plays, mark, details in pages:
            cursor = Cursor(str(plays[-1].id))
            yield Batch(
                plays,
                cursor,
                self._rule,
                source=self.name,
                settled=plays[-1].id <= settled,
                mark=mark,
                details=details,
                numbered=True,
            )
        missing = [*self._undelivered(), *self._unlisted()]
        if missing:
            yield Batch((), cursor, self._rule, missing, source=self.name)

    def marked(self, upto: Cursor, *, detailed: bool = False) -> tuple[int, int] | None:
        """How many plays were read up to there, and the sum of their marks."""
        if not upto.lstrip("-").isdecimal():
            return None
        return self._mirror.marked(int(upto), sections=self._knows_sections, detailed=detailed)

    def landmarks(self) -> Sequence[Landmark]:
        """Some of the plays that were read."""
        return self._mirror.landmarks()

    def recognised(self, landmarks: Sequence[Landmark]) -> int:
        """How many of them were read."""
        return self._mirror.recognised(landmarks)

    def chosen(self, ids: Collection[int]) -> Iterator[Batch]:
        """The plays with these numbers."""
        if plays := self._mirror.chosen(sorted(ids)):
            yield Batch(plays, Cursor(str(plays[-1].id)), self._rule, source=self.name)

    def users(self) -> Sequence[User]:
        """Everybody with plays, most plays first; see ``know_everybody``."""
        known = self._users_table if self._everybody else {}
        found = {
            number: User(
                number,
                known[number].username if number in known else name.strip(),
                known[number].friendly_name if number in known else friendly.strip(),
                plays,
                deleted=bool(known) and number not in known,
            )
            for number, plays, name, friendly in self._mirror.users()
        }
        found = known | found
        return sorted(found.values(), key=lambda user: (-user.plays, user.user_id))

    def libraries(self) -> Sequence[Library]:
        """Every library that Tautulli still lists, and of those asked for by number any other."""
        return self._libraries

    def know_sections(self, sections: frozenset[int]) -> None:
        """Find out which plays are from these libraries: rows over HTTP do not tell.

        Raises:
            TautulliImportError: as of ``refresh``.
        """
        self._knows_sections = bool(sections)
        self._mirror.release()
        for section in sorted(sections):
            unknown, first = self._mirror.unknown_of(section)
            if not unknown:
                continue

            def keep(stretch: Stretch, section: int = section) -> None:
                self._mirror.keep_section(section, stretch.rows)

            listing = Listing(self._tautulli, section_id=section)
            crawl = Crawl(listing, keep, today=day_of(self._now))
            if not self._windows:
                crawl.whole()
            elif first is None:
                crawl.newest(_LONG_AGO)
            else:
                crawl.newest(day_of(first) - timedelta(days=1))
            if self._mirror.has_undated():
                listed = crawl.count().filtered
                if missing := max(0, listed - self._mirror.count_of(section)):
                    crawl.undated(missing, listed)
            self._mirror.section_known(section)
        self._hold()

    def lookups(self) -> Sequence[Lookup]:
        """None: Tautulli's lookup tables cannot be asked for over HTTP."""
        return ()

    def close(self) -> None:
        """Let go of what is read; the connection and the state file are the caller's."""
        self._mirror.release()

    def _left_out(self) -> Sequence[str]:
        """What a list of users cannot count."""
        _, missing = self._mirror.counts()
        if not self._everybody or not missing:
            return []
        return [f"{missing:,} plays that Tautulli fails to deliver are counted for nobody."]

    def _hold(self) -> None:
        """Keep what was read and proven, though another run begin anew.

        Raises:
            BusyError: it has begun already.
        """
        self._mirror.hold()
        if not self._mirror.progress.complete:
            raise BusyError(
                f"Another run is reading everything of {self.name} again.",
                hint="Try again when it has ended.",
            )

    def _undelivered(self) -> Iterator[Rejected]:
        for one in self._mirror.undelivered():
            detail = f"number {one.position + 1} of {one.window}, sorted by {one.order}"
            yield Rejected(Reason.NOT_DELIVERED, None, detail, self.name)

    def _unlisted(self) -> Iterator[Rejected]:
        count = self._mirror.progress.unlisted
        for number in range(1, count + 1):
            yield Rejected(Reason.NO_METADATA, None, f"{number} of {count} not listed", self.name)

    @cached_property
    def _users_table(self) -> dict[int, User]:
        """What the users table says, of those that were not deleted."""
        rows = self._tautulli.ask("get_users", list[_User])
        return {
            number: User(
                number,
                (text(row.username) or "").strip(),
                (text(row.friendly_name) or "").strip(),
                0,
            )
            for row in rows
            if (number := integer(row.user_id)) is not None
        }

    @cached_property
    def _libraries(self) -> Sequence[Library]:
        found = self._tautulli.ask("get_libraries_table", _Libraries, grouping=0, length=_EVERYBODY)
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
        if (rest := Listing(self._tautulli).page(Window(), 0, 0).total - plays) > 0:
            self._said.append(
                f"{rest:,} plays are from libraries that Tautulli lists no more; --library takes "
                "their numbers."
            )
        for section in self._sections:
            if section not in known:
                listing = Listing(self._tautulli, section_id=section)
                if plays := Crawl(listing, _nowhere, today=day_of(self._now)).count().filtered:
                    name = f"library {section}"
                    known[section] = Library(section, name, "", plays, deleted=True)
        return sorted(known.values(), key=lambda library: (-library.plays, library.section_id))


class _User(Struct):
    user_id: Any = None
    username: Any = None
    friendly_name: Any = None


class _Library(Struct):
    section_id: Any = None
    section_name: Any = None
    section_type: Any = None
    plays: Any = None


class _Libraries(Struct):
    data: list[_Library]


def _nowhere(stretch: Stretch) -> None:
    """Keeps nothing."""
