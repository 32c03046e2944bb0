"""Bringing the local copy of a history up to date, and the proof that nothing is missing.

The newest days are asked for first; then, unless an earlier run has them, all that is older.
At the end what is here is held against how many rows Tautulli says it has. Whatever does not
agree is looked into, and if it cannot be explained the run fails: an error is never an end.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from ...errors import CheckpointError, SourceDamagedError, UnansweredError
from ...model.watched import WatchedRule
from ...progress import UNSEEN, Progress
from ..database.rows import integer
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import HistoryApi, Window, day_of
from .local_copy import CrawlState, LocalCopy
from .positions import TOO_MANY, too_many

__all__ = ["Refresh", "thresholds"]

_FIRST: Final = timedelta(days=45)
# Two days, because a row appears when a play stops; one more for the server's time zone.
_AGAIN: Final = timedelta(days=3)
_WHOLE_AGAIN: Final = 30 * 86_400
_ROUNDS: Final = 3
_A_FEW: Final = 1_000
_ASKED_FOR: Final = 5
_AMONG_OLD: Final = "among old plays are some that could not be had"
_FILE: Final = "'tautulli-import db tautulli.db' reads the file itself."
# A few rows of a history have lost their metadata; not most of them.
_UNLISTED: Final = 100_000


class Refresh:
    """One bringing up to date. ``notices`` says why it took longer than the last one."""

    def __init__(
        self,
        tautulli: Tautulli,
        copy: LocalCopy,
        rule: WatchedRule,
        *,
        now: int,
        progress: Progress = UNSEEN,
    ) -> None:
        self.rereads = False
        self.notices: list[str] = []
        self.windows = True
        """Whether the server can be asked for days."""
        self._tautulli = tautulli
        self._copy = copy
        self._rule = rule
        self._now = now
        self._progress = progress
        self._late: set[int] = set()

    def run(self) -> None:
        """Read, prove; read anew once if the proof fails.

        Raises:
            CheckpointError: another history stands behind this address now.
            SourceDamagedError: the numbers contradict each other.
            TautulliImportError: as of ``Tautulli.ask``.
        """
        if anew := self._why_anew():
            self._read_anew(anew)
        try:
            why = self._read()
        except _ReplacedError:
            why = "numbers stand for other plays than they did, as after a restored backup"
        if why:
            if why != _AMONG_OLD and not self._is_the_same():
                raise CheckpointError(
                    f"{self._tautulli.shown} holds another history than the one that was read from "
                    "there before: plays that are remembered of it are not in it.",
                    hint="If it is meant, forget the other one with --restart, or keep both with "
                    "another --state-dir.",
                )
            self._read_anew(why)
            why = self._read()
        if why:
            raise SourceDamagedError(
                f"{self._tautulli.shown} contradicts itself: {why}.",
                hint="Nothing was written. Does something between here and Tautulli change "
                f"answers? {_FILE}",
            )

    def _read(self) -> str:
        """Read what is missing; empty when all is there, else why it cannot be."""
        copy = self._copy
        progress = copy.progress
        listing = HistoryApi(self._tautulli)
        today = day_of(self._now)

        def keep(stretch: FetchedDays) -> None:
            if progress.oldest and copy.strangers(stretch.rows):
                raise _ReplacedError
            copy.keep(stretch)
            self._late -= {row[0] for row in stretch.rows}
            self._progress.reached(copy.count())

        crawl = Crawl(listing, keep, today=today)
        since = self._since(today)
        self._late = copy.ids_since(_surely(since))
        try:
            rows = self._newest(crawl, since)
            if rows is None:
                return _AMONG_OLD
            if progress.oldest and self._lost(listing, since):
                return "plays of late are gone"
            known = copy.count()
            self._progress.begin("reading", max(listing.total or 0, known), known)
            if not progress.complete:
                self._continue(crawl, listing, progress, since, rows)
        except UnansweredError:
            if listing.windows:
                raise
            self._without_windows(crawl)
        why = self._prove(crawl, listing, since, incremental=progress.complete)
        if not why and too_many(*copy.counts()):
            raise SourceDamagedError(f"{TOO_MANY}: {listing.where(Window())}.", hint=_FILE)
        return why

    def _newest(self, crawl: Crawl, since: date) -> int | None:
        """Read from a day on; how many rows there are. ``None``: everything has to be read."""
        begin = self._copy.read_from(since)
        if begin is None:
            return None
        return crawl.newest(begin, cut=day_of(self._now) - _AGAIN)

    def _since(self, today: date) -> date:
        """The first day to read again."""
        progress = self._copy.progress
        if not progress.oldest:
            return today - _FIRST
        since = min(day_of(progress.read_at), today) - _AGAIN
        newest = self._copy.newest()
        # With the newest play on it, the answer tells whether it is the same history still.
        with_newest = since if newest is None else min(since, day_of(newest) - timedelta(days=1))
        return with_newest if self._copy.can_begin(with_newest) else since

    def _lost(self, listing: HistoryApi, since: date) -> bool:
        """Whether the newest plays that are here are there no more."""
        if self._late:
            return True
        newest = self._copy.newest()
        if newest is None or newest >= _surely(since):
            return False
        day = day_of(newest)
        around = Window(day - timedelta(days=1), day + timedelta(days=1))
        try:
            page = listing.page(around, 0, _A_FEW)
        except UnansweredError:
            return False  # a row that cannot be had is on it; the count will do
        known = self._copy.ids_since(newest)
        found = {row[0] for row in page.rows}
        return page.filtered <= _A_FEW and not known & found

    def _continue(
        self, crawl: Crawl, listing: HistoryApi, progress: CrawlState, since: date, rows: int
    ) -> None:
        """Read what is older, from where an earlier run was cut short.

        ``progress`` is how far that was at the beginning: somebody who only looks may have
        written down meanwhile that all is there.
        """
        copy = self._copy
        read_at = self._now if not progress.oldest else progress.read_at
        oldest = date.fromisoformat(progress.oldest) if progress.oldest else since

        def reached(day: date) -> None:
            copy.note(CrawlState(str(day), read_at=read_at, rule=self._rule))

        reached(oldest)
        crawl.backwards(
            oldest - timedelta(days=1),
            remaining=lambda: (listing.total or 0) - copy.count(),
            reached=reached,
            per_day=rows / max(1, (day_of(self._now) - since).days),
        )
        self._is_whole()

    def _without_windows(self, crawl: Crawl) -> None:
        """Read everything from a server that knows no windows: it takes longer, each time."""
        self.windows = False
        self.notices.append(
            "This Tautulli is older than 2.8 and cannot be asked for days: everything is read "
            "each time, which is slow."
        )
        self._copy.forget()
        crawl.whole()
        self._is_whole()

    def _is_whole(self) -> None:
        self._copy.note(
            CrawlState("-", complete=True, read_at=self._now, whole_at=self._now, rule=self._rule)
        )

    def _prove(self, crawl: Crawl, listing: HistoryApi, since: date, *, incremental: bool) -> str:
        """Hold what was read against what Tautulli says it has; empty when they agree."""
        copy = self._copy
        progress = copy.progress
        if listing.total == copy.count() + progress.unlisted:
            self._note_proven(progress.unlisted)
            return ""
        if incremental and self.windows and (listing.total or 0) > copy.count():
            # A play that was paused for days appears where it began.
            if self._newest(crawl, since - _FIRST) is None:
                return _AMONG_OLD
            if listing.total == copy.count() + progress.unlisted:
                self._note_proven(progress.unlisted)
                return ""
        counted = crawl.count()
        for _ in range(_ROUNDS):
            late = counted.filtered > copy.count() and self.windows  # logged meanwhile?
            if late and self._newest(crawl, since) is None:
                return _AMONG_OLD
            missing = counted.filtered - copy.count()
            if missing > 0:  # in no window at all?
                found = crawl.undated(missing, counted.filtered)
                missing = counted.filtered - copy.count()
                if 0 < missing <= len(found):
                    copy.keep(FetchedDays(Window(), (), found[:missing]))
            if counted.filtered == copy.count():
                unlisted = counted.total - counted.filtered
                if unlisted > progress.unlisted and self.windows:
                    # One that was logged after the rows were looked up, and before they were
                    # counted, is not unlisted: it comes with the newest days.
                    if self._newest(crawl, since) is None:
                        return _AMONG_OLD
                    if copy.count() != counted.filtered:
                        counted = crawl.count()
                        continue
                    unlisted = min(unlisted, (listing.total or 0) - copy.count())
                if unlisted > max(_UNLISTED, 10 * counted.filtered) or not counted.filtered:
                    return f"it lists {counted.filtered:,} of {counted.total:,} rows"
                self._note_proven(unlisted)
                return ""
            counted = crawl.count()
        there, listed = copy.count(), counted.filtered
        why = "rows were deleted" if listed < there else "some are nowhere to be found"
        return f"{there:,} rows were read, and it lists {listed:,} of {counted.total:,}: {why}"

    def _is_the_same(self) -> bool:
        """Whether anything that is remembered is there still, from the first play to the last."""
        listing = HistoryApi(self._tautulli)
        known = [one for one in self._copy.proven if one.started is not None]
        some = {place * (len(known) - 1) // (_ASKED_FOR - 1) for place in range(_ASKED_FOR)}
        for place in sorted(some, reverse=True) if known else ():
            landmark = known[place]
            day = day_of(landmark.started or 0)
            around = Window(day - timedelta(days=1), day + timedelta(days=1))
            try:
                page = listing.page(around, 0, _A_FEW)
            except UnansweredError:
                return True  # nobody can tell; what follows proves itself
            if any((row[0], row[2], row[4]) == astuple(landmark) for row in page.rows):
                return True
        return not known

    def _note_proven(self, unlisted: int) -> None:
        found = self._copy.progress
        self._copy.note(
            msgspec.structs.replace(
                found, read_at=self._now, unlisted=max(0, unlisted), rule=self._rule
            ),
            proven=True,
        )

    def _why_anew(self) -> str:
        """Why what is remembered is no good any more; empty when it is."""
        progress = self._copy.progress
        if not progress.oldest:
            return ""
        if progress.rule != self._rule:
            return "the thresholds for watched were changed"
        if progress.complete and self._now - progress.whole_at > _WHOLE_AGAIN:
            return "it was last read whole a month ago"
        return ""

    def _read_anew(self, why: str) -> None:
        self.notices.append(f"Everything is read again: {why}.")
        self.rereads = True
        self._copy.forget()


def _surely(day: date) -> int:
    """The moment (epoch seconds) from which on it is that day or a later one everywhere."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400 + 15 * 3600


class _ReplacedError(Exception):
    """A row's number stands for another play than it did."""


def thresholds(tautulli: Tautulli) -> WatchedRule:
    """What the owner calls watched: a change turns old verdicts over."""
    try:
        found = tautulli.ask("get_settings", dict[str, Any], key="Monitoring")
    except SourceDamagedError:  # an old one that does not know the command
        return WatchedRule(origin="Tautulli's own verdict")
    default = WatchedRule()
    numbers = {
        name: integer(found.get(name))
        for name in ("movie_watched_percent", "tv_watched_percent", "watched_marker")
    }
    return WatchedRule(
        _or(numbers["movie_watched_percent"], default.movie_percent),
        _or(numbers["tv_watched_percent"], default.tv_percent),
        _or(numbers["watched_marker"], default.marker),
        origin="Tautulli's settings",
    )


def _or(found: int | None, default: int) -> int:
    return default if found is None else int(found)
