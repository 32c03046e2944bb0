"""Bring the local copy of a history up to date, and prove that nothing is missing.

The newest days are read first. Then all older days are read, unless an earlier run has read them.
At the end the number of rows is compared with the number that Tautulli reports. A difference is
investigated. If it cannot be explained, the run fails, because an error must never count as the end
of the history.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from ...errors import CheckpointError, SourceDamagedError, UnansweredError
from ...model.clock import latest_moment
from ...model.watched import WatchedRule
from ...progress import UNSEEN, Progress
from ..database.rows import identity_of, integer
from ..same_history import OTHER_HISTORY_HINT
from .client import Tautulli
from .crawl import Crawl, FetchedDays
from .history_api import COLUMNS, HistoryApi, Window, day_of
from .local_copy import CrawlState, LocalCopy
from .positions import TOO_MANY, too_many

__all__ = ["Refresh", "thresholds"]

_FIRST_DAYS: Final = timedelta(days=45)
# Two days, because a row appears when a play stops, and one for the server's time zone.
_OVERLAP: Final = timedelta(days=3)
_SECONDS_BETWEEN_FULL_READS: Final = 30 * 86_400
_ROUNDS: Final = 3
_MOST_AROUND_A_DAY: Final = 1_000
_SAMPLES_REQUESTED: Final = 5
_OLD_UNDELIVERED: Final = "some old plays could not be delivered"
_FILE_HINT: Final = "Read the file itself: tautulli-import db tautulli.db"
# Some rows of a history have lost their metadata. More than this would be an error.
_MOST_UNLISTED: Final = 100_000


class Refresh:
    """One update of the local copy. ``notices`` say why it took longer than the last one."""

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
        """True if everything had to be read again."""
        self.notices: list[str] = []
        self.windows = True
        """True if the server takes windows of days."""
        self._tautulli = tautulli
        self._copy = copy
        self._rule = rule
        self._now = now
        self._progress = progress
        self._searched = 0
        """The number of requests since Tautulli could not deliver one; 0 if it could."""
        self._not_seen: set[int] = set()
        """The newest plays of the copy that Tautulli has not sent again yet."""

    def run(self) -> None:
        """Read what is missing, and prove that nothing is. Start over once if the proof fails.

        Raises:
            CheckpointError: this address now has another history.
            SourceDamagedError: the numbers of rows contradict each other.
            TautulliImportError: see ``Tautulli.ask``.
        """
        if reason := self._reason_to_start_over():
            self._start_over(reason)
        try:
            problem = self._read()
        except _ReplacedError:
            problem = "ids belong to other plays than before, as after a restored backup"
        if problem:
            if problem != _OLD_UNDELIVERED and not self._is_same_history():
                raise CheckpointError(
                    f"{self._tautulli.shown} is not the Tautulli this command read last time "
                    "(its known plays were not found).",
                    hint=OTHER_HISTORY_HINT,
                )
            self._start_over(problem)
            problem = self._read()
        if problem:
            raise SourceDamagedError(
                f"{self._tautulli.shown} contradicts itself: {problem}.",
                hint="Nothing was written. Check whether a proxy in front of Tautulli changes "
                f"answers. {_FILE_HINT}",
            )

    def _read(self) -> str:
        """Read what is missing. Return the problem if something still is, else an empty text."""
        copy = self._copy
        progress = copy.progress
        api = HistoryApi(self._tautulli, on_page=self._count_search)
        today = day_of(self._now)

        def keep(fetched: FetchedDays) -> None:
            if progress.oldest and copy.has_replaced(fetched.rows):
                raise _ReplacedError
            copy.keep(fetched)
            self._not_seen -= {row[0] for row in fetched.rows}
            if self._searched:
                self._show_fetching(api)
            else:
                self._progress.reached(copy.count())

        crawl = Crawl(api, keep, today=today)
        since = self._first_day(today)
        self._not_seen = copy.ids_since(_start_everywhere(since))
        try:
            rows = self._newest(crawl, since)
            if rows is None:
                return _OLD_UNDELIVERED
            if progress.oldest and self._has_lost_newest(api, since):
                return "recent plays are gone"
            self._show_fetching(api)
            if not progress.complete:
                self._continue(crawl, api, progress, since, rows)
        except UnansweredError:
            if api.windows:
                raise
            self._without_windows(crawl)
        problem = self._prove(crawl, api, since, incremental=progress.complete)
        if not problem and too_many(*copy.counts()):
            raise SourceDamagedError(f"{TOO_MANY}: {api.where(Window())}.", hint=_FILE_HINT)
        return problem

    def _show_fetching(self, api: HistoryApi) -> None:
        """Show how much is fetched, from now on."""
        self._searched = 0
        known = self._copy.count()
        self._progress.begin("fetching", max(api.total or 0, known), known)

    def _count_search(self, is_delivered: bool) -> None:
        """Show the requests of a search for rows that Tautulli cannot deliver.

        Nobody knows how many it takes, and no play comes before its end.
        """
        if not is_delivered and not self._searched:
            self._progress.begin("searching", 0)
        if not is_delivered or self._searched:
            self._searched += 1
            self._progress.reached(self._searched)

    def _newest(self, crawl: Crawl, since: date) -> int | None:
        """Read the days from ``since`` on, and return the number of rows.

        Return ``None`` without reading if everything has to be read again.
        """
        begin = self._copy.read_from(since)
        if begin is None:
            return None
        return crawl.newest(begin, cut=day_of(self._now) - _OVERLAP)

    def _first_day(self, today: date) -> date:
        """Return the first of the newest days to read."""
        progress = self._copy.progress
        if not progress.oldest:
            return today - _FIRST_DAYS
        since = min(day_of(progress.read_at), today) - _OVERLAP
        newest = self._copy.newest(latest_moment(self._now))
        # Include the day of the newest play, so that the answer shows whether it still exists.
        with_newest = since if newest is None else min(since, day_of(newest) - timedelta(days=1))
        return with_newest if self._copy.can_begin(with_newest) else since

    def _has_lost_newest(self, api: HistoryApi, since: date) -> bool:
        """Return whether Tautulli no longer has the newest plays of the copy."""
        if self._not_seen:
            return True
        newest = self._copy.newest(latest_moment(self._now))
        if newest is None or newest >= _start_everywhere(since):
            return False
        day = day_of(newest)
        around = Window(day - timedelta(days=1), day + timedelta(days=1))
        try:
            page = api.page(around, 0, _MOST_AROUND_A_DAY)
        except UnansweredError:
            return False  # it has an undeliverable row; the comparison of counts decides
        known = self._copy.ids_since(newest)
        found = {row[0] for row in page.rows}
        return page.filtered <= _MOST_AROUND_A_DAY and not known & found

    def _continue(
        self, crawl: Crawl, api: HistoryApi, progress: CrawlState, since: date, rows: int
    ) -> None:
        """Read older days, from the last day of an interrupted run on.

        ``progress`` is that of the beginning of this run. Meanwhile another run can have saved that
        everything was read.
        """
        copy = self._copy
        read_at = self._now if not progress.oldest else progress.read_at
        oldest = date.fromisoformat(progress.oldest) if progress.oldest else since
        copy.forget_undelivered(oldest)

        def reached(day: date) -> None:
            copy.note(CrawlState(str(day), read_at=read_at, rule=self._rule, columns=len(COLUMNS)))

        reached(oldest)
        crawl.backwards(
            oldest - timedelta(days=1),
            remaining=lambda: (api.total or 0) - copy.count(),
            reached=reached,
            per_day=rows / max(1, (day_of(self._now) - since).days),
        )
        self._note_complete()

    def _without_windows(self, crawl: Crawl) -> None:
        """Read everything from a server that takes no windows. This is slow in every run."""
        self.windows = False
        self.notices.append(
            "This Tautulli is older than 2.8 and cannot send single days, so every run reads "
            "everything. That is slow."
        )
        self._copy.forget()
        crawl.whole()
        self._note_complete()

    def _note_complete(self) -> None:
        """Save that everything was read just now."""
        self._copy.note(
            CrawlState(
                "-",
                complete=True,
                read_at=self._now,
                whole_at=self._now,
                rule=self._rule,
                columns=len(COLUMNS),
            )
        )

    def _prove(self, crawl: Crawl, api: HistoryApi, since: date, *, incremental: bool) -> str:
        """Compare the number of rows with Tautulli's. Return the problem if they differ."""
        copy = self._copy
        progress = copy.progress
        if api.total == copy.count() + progress.unlisted:
            self._note_proven(progress.unlisted)
            return ""
        if incremental and self.windows and (api.total or 0) > copy.count():
            # A play that was paused for days has the date of its start.
            if self._newest(crawl, since - _FIRST_DAYS) is None:
                return _OLD_UNDELIVERED
            if api.total == copy.count() + progress.unlisted:
                self._note_proven(progress.unlisted)
                return ""
        counted = crawl.count()
        for _ in range(_ROUNDS):
            more = counted.filtered > copy.count() and self.windows  # perhaps new ones
            if more and self._newest(crawl, since) is None:
                return _OLD_UNDELIVERED
            missing = counted.filtered - copy.count()
            if missing > 0:  # perhaps in no window
                found = crawl.undated(missing, counted.filtered)
                missing = counted.filtered - copy.count()
                if 0 < missing <= len(found):
                    copy.keep(FetchedDays(Window(), (), found[:missing]))
            if counted.filtered == copy.count():
                unlisted = counted.total - counted.filtered
                if unlisted > progress.unlisted and self.windows:
                    # A row that was logged after Tautulli read the rows and before it counted them
                    # is not unlisted. It comes with the newest days.
                    if self._newest(crawl, since) is None:
                        return _OLD_UNDELIVERED
                    if copy.count() != counted.filtered:
                        counted = crawl.count()
                        continue
                    unlisted = min(unlisted, (api.total or 0) - copy.count())
                if unlisted > max(_MOST_UNLISTED, 10 * counted.filtered) or not counted.filtered:
                    return f"it lists {counted.filtered:,} of {counted.total:,} rows"
                self._note_proven(unlisted)
                return ""
            counted = crawl.count()
        known, listed = copy.count(), counted.filtered
        cause = "rows were deleted" if listed < known else "some rows were not found"
        return f"{known:,} rows were read, and it lists {listed:,} of {counted.total:,} ({cause})"

    def _is_same_history(self) -> bool:
        """Return whether Tautulli still has one of the saved sample rows, from first to last."""
        api = HistoryApi(self._tautulli)
        known = [one for one in self._copy.proven if one.started is not None]
        last, steps = len(known) - 1, _SAMPLES_REQUESTED - 1
        chosen = {last * step // steps for step in range(_SAMPLES_REQUESTED)}
        for index in sorted(chosen, reverse=True) if known else ():
            sample = known[index]
            day = day_of(sample.started or 0)
            around = Window(day - timedelta(days=1), day + timedelta(days=1))
            try:
                page = api.page(around, 0, _MOST_AROUND_A_DAY)
            except UnansweredError:
                return True  # unknown; the next reading is checked as well
            if any(identity_of(row) == astuple(sample) for row in page.rows):
                return True
        return not known

    def _note_proven(self, unlisted: int) -> None:
        """Save that all rows are there, and sample rows of them."""
        found = self._copy.progress
        self._copy.note(
            msgspec.structs.replace(
                found, read_at=self._now, unlisted=max(0, unlisted), rule=self._rule
            ),
            proven=True,
        )

    def _reason_to_start_over(self) -> str:
        """Return why the copy cannot be used any more; empty if it can."""
        progress = self._copy.progress
        if not progress.oldest:
            return ""
        if progress.columns != len(COLUMNS):
            return "an older version of tautulli-import kept less of each play"
        if progress.rule != self._rule:
            return "the thresholds for watched were changed"
        if progress.complete and self._now - progress.whole_at > _SECONDS_BETWEEN_FULL_READS:
            return "it was last read completely a month ago"
        return ""

    def _start_over(self, reason: str) -> None:
        self.notices.append(f"Everything is read again: {reason}.")
        self.rereads = True
        self._copy.forget()


def _start_everywhere(day: date) -> int:
    """Return the moment (epoch seconds) when the day has begun in every time zone."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400 + 15 * 3600


class _ReplacedError(Exception):
    """The id of a row belongs to another play than before."""


def thresholds(tautulli: Tautulli) -> WatchedRule:
    """Return Tautulli's thresholds for watched plays.

    A change of them also changes old plays.

    Raises:
        TautulliImportError: see ``Tautulli.ask``.
    """
    try:
        found = tautulli.ask("get_settings", dict[str, Any], key="Monitoring")
    except SourceDamagedError:  # an old version without this command
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
