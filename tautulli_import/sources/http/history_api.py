"""One page of Tautulli's history over HTTP: asked for, checked, its rows settled.

An answer that contradicts itself is no answer. Tautulli 2.17.2 says "success, 0 rows" when its
database query fails, and what stands in front of it can repeat, cut or mix up pages; none of
that may ever be taken for the end of the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from ...errors import SourceDamagedError, UnansweredError
from ..database.rows import Row, integer, text
from .client import Tautulli
from .responses import Failure, failure

__all__ = ["COLUMNS", "HistoryApi", "Order", "Page", "Window", "day_of"]

COLUMNS: Final = (
    "id", "reference_id", "started", "stopped", "user_id", "user", "section_id", "media_type",
    "live", "rating_key", "grandparent_rating_key", "title", "grandparent_title", "season",
    "episode", "year", "guid", "view_offset", "duration", "credits_first", "credits_final",
    "percent", "watched",
    # What a play does not need, and a user's name or a playback event does.
    "friendly_name", "parent_title", "paused_counter", "platform", "player", "product",
    "machine_id", "ip_address", "location", "transcode_decision", "secure", "relayed",
)  # fmt: skip
"""What is kept of a row: first the fields of ``Play``, in their order."""

Order: TypeAlias = Literal["date", "duration"]
_ATTEMPTS: Final = 4
# A day anywhere on earth begins up to 14 hours before, and ends up to 12 after, that of UTC.
_ELSEWHERE: Final = 15 * 3600
_FIRST_DAY: Final = date(2005, 1, 1)  # before Plex; older rows have a clock that was wrong
_TAKES_WINDOWS_SINCE: Final = "v2.8"


class Window(Struct, frozen=True):
    """Days of the server's own time zone, both ends included; ``None``: without an end."""

    after: date | None = None
    before: date | None = None

    def __str__(self) -> str:
        if self.after == self.before and self.after:
            return str(self.after)
        if self.after and self.before:
            return f"{self.after} to {self.before}"
        if self.after:
            return f"from {self.after} on"
        return f"up to {self.before}" if self.before else "the whole history"

    @property
    def parameters(self) -> dict[str, Any]:
        """As Tautulli wants them."""
        bounds = {"after": self.after, "before": self.before}
        return {name: str(day) for name, day in bounds.items() if day}

    def halves(self, today: date) -> tuple[Window, Window] | None:
        """The older and the newer half; ``None`` of what cannot be divided by days."""
        low = self.after or _FIRST_DAY
        high = self.before or today + timedelta(days=1)
        if high <= low:
            if self.after is None and self.before and self.before >= _FIRST_DAY:
                older = Window(None, _FIRST_DAY - timedelta(days=1))
                return older, Window(_FIRST_DAY, self.before)
            return None
        middle = low + (high - low) // 2
        return Window(self.after, middle), Window(middle + timedelta(days=1), self.before)

    def can_hold(self, started: int) -> bool:
        """Whether a play that started then can be in the window, in some time zone."""
        low = _midnight(self.after) - _ELSEWHERE if self.after else started
        high = _midnight(self.before) + 86_400 + _ELSEWHERE if self.before else started
        return low <= started <= high


class Page(Struct, frozen=True):
    """Some rows of a window, in the order that was asked for."""

    rows: Sequence[Row]
    """As ``COLUMNS`` names them."""
    filtered: int
    """How many rows the whole window has."""
    total: int
    """How many rows there are in all, listed or not."""


_Value: TypeAlias = str | int | float | bool | None


class _Row(Struct):
    """A row as it comes: numbers can be text, empty text or nothing at all."""

    row_id: _Value = None
    id: _Value = None
    reference_id: _Value = None
    started: _Value = None
    stopped: _Value = None
    user_id: _Value = None
    user: _Value = None
    media_type: _Value = None
    live: _Value = None
    rating_key: _Value = None
    grandparent_rating_key: _Value = None
    title: _Value = None
    grandparent_title: _Value = None
    parent_media_index: _Value = None
    media_index: _Value = None
    year: _Value = None
    guid: _Value = None
    percent_complete: _Value = None
    watched_status: _Value = None
    friendly_name: _Value = None
    parent_title: _Value = None
    paused_counter: _Value = None
    platform: _Value = None
    player: _Value = None
    product: _Value = None
    machine_id: _Value = None
    ip_address: _Value = None
    location: _Value = None
    transcode_decision: _Value = None
    secure: _Value = None
    relayed: _Value = None
    state: _Value = None
    group_count: _Value = None


class _Answer(Struct):
    recordsFiltered: int  # noqa: N815 - Tautulli's name
    recordsTotal: int  # noqa: N815 - Tautulli's name
    data: list[_Row]
    draw: Any = 1


class HistoryApi:
    """Asks for pages of the history, ungrouped, without what is being played, oldest first."""

    def __init__(self, tautulli: Tautulli, *, section_id: int | None = None) -> None:
        self._tautulli = tautulli
        self._filter: dict[str, str | int] = (
            {} if section_id is None else {"section_id": str(section_id)}
        )
        self.total: int | None = None
        """How many rows Tautulli last said it has in all."""
        self._playing = 0
        self.windows = True
        """Whether the server knows windows (Tautulli from 2.8)."""

    def where(self, window: Window) -> str:
        """What is asked, for messages."""
        return f"{self._tautulli.access.address.endpoint} get_history ({window})"

    def page(
        self,
        window: Window,
        start: int,
        length: int,
        *,
        order: Order = "date",
        kinds: str = "",
        divisible: bool = True,
    ) -> Page:
        """The rows from ``start`` on, ``length`` of them at most, of a window of days.

        By the time they started; by ``duration`` of what was played, those without one first.
        ``kinds`` is a list of media types, and leaves out any other.

        Raises:
            UnansweredError: no usable answer, or only such as contradict themselves.
            SourceDamagedError: it does not do what every Tautulli does.
            TautulliImportError: see ``Tautulli.ask``.
        """
        about = f"{window}, {length} rows from {start}" if start else str(window)
        answer = self._tautulli.ask(
            "get_history",
            _Answer,
            about=about,
            divisible=divisible,
            check=partial(self._check, window=window, start=start, length=length),
            grouping=0,
            include_activity=0,
            order_column=order,
            order_dir="asc",
            **{"start": start, "length": length}
            | self._filter
            | window.parameters
            | ({"media_type": kinds} if kinds else {}),
        )
        rows = [_settled(row) for row in answer.data if not _plays(row)]
        if length:
            self._playing = len(answer.data) - len(rows)
        self.total = answer.recordsTotal
        return Page(rows, answer.recordsFiltered - self._playing, answer.recordsTotal)

    def _check(self, answer: _Answer, window: Window, start: int, length: int) -> Failure | None:
        """The failure that an answer is which contradicts itself."""
        wrong = self._contradiction(answer, window, start, length)
        if not wrong:
            return None
        if not self.windows:
            return failure(UnansweredError, wrong, "", 1)
        return failure(
            SourceDamagedError,
            f"contradicts itself: {wrong}",
            "Is its database in trouble (logs/tautulli.log in its data directory says so), or does "
            "something in front of it mix up answers? --via database reads around what it cannot.",
            _ATTEMPTS,
        )

    def _contradiction(self, answer: _Answer, window: Window, start: int, length: int) -> str:
        """What is wrong with an answer; empty when nothing is."""
        filtered, total, rows = answer.recordsFiltered, answer.recordsTotal, answer.data
        if integer(answer.draw) == 0 or (total == 0 and self.total):
            return "it says that there are no rows, as it does when its database fails"
        if not 0 <= filtered - sum(map(_plays, rows)) <= total:
            return f"{filtered} of {total} rows cannot be"
        expected = max(0, min(length, filtered - start))
        if len(rows) != expected:
            return f"{len(rows)} rows came, {expected} should have, of {filtered}"
        listed = [row for row in rows if not _plays(row)]
        ids = {_number(row) for row in listed}
        if len(ids) != len(listed) or None in ids:
            return "the same row came twice, or one without a number"
        if any((integer(row.group_count) or 1) > 1 for row in listed):
            raise SourceDamagedError(
                f"{self._tautulli.shown} groups plays although it was asked not to.",
                hint="This Tautulli is too old; 'tautulli-import db tautulli.db' reads its file.",
            )
        return self._outside(listed, window)

    def _outside(self, rows: Sequence[_Row], window: Window) -> str:
        """Rows that cannot be in the window: before 2.8 Tautulli did not know any."""
        starts = [started for row in rows if (started := integer(row.started)) is not None]
        strangers = sum(1 for started in starts if not window.can_hold(started))
        if not strangers:
            return ""
        self.windows = False
        return (
            f"{strangers} rows are from other days (it knows windows since {_TAKES_WINDOWS_SINCE})"
        )


def day_of(started: int) -> date:
    """The day of a moment (epoch seconds), in UTC; of what no calendar has, the nearest."""
    limited = min(max(started, _midnight(date(1, 1, 3))), _midnight(date(9999, 12, 29)))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=limited)).date()


def _midnight(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400


def _plays(row: _Row) -> bool:
    """Whether it is being played at this moment: then it is no history, and has no number."""
    return bool(row.state) and row.row_id is None and row.id is None


def _number(row: _Row) -> int | None:
    """The row's id, which was called ``id`` alone before 2.3."""
    return integer(row.id if row.row_id is None else row.row_id)


def _settled(row: _Row) -> Row:
    """The row as the database has it; what the API does not tell is ``None``."""
    watched = None if row.watched_status is None else row.watched_status == 1
    return (
        _number(row),
        integer(row.reference_id),
        integer(row.started),
        integer(row.stopped),
        integer(row.user_id),
        text(row.user),
        None,
        text(row.media_type) or "",
        integer(row.live),
        integer(row.rating_key),
        integer(row.grandparent_rating_key),
        text(row.title),
        text(row.grandparent_title),
        integer(row.parent_media_index),
        integer(row.media_index),
        integer(row.year),
        text(row.guid),
        None,
        None,
        None,
        None,
        integer(row.percent_complete),
        watched,
        text(row.friendly_name),
        text(row.parent_title),
        integer(row.paused_counter),
        text(row.platform),
        text(row.player),
        text(row.product),
        text(row.machine_id),
        text(row.ip_address),
        text(row.location),
        text(row.transcode_decision),
        integer(row.secure),
        integer(row.relayed),
    )
