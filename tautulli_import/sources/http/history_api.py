"""Request pages of Tautulli's history, check them, and normalise their rows.

An answer that contradicts itself counts as no answer. Tautulli 2.17.2 answers "success, 0 rows"
when its database query fails. A proxy in front of it can repeat, cut or mix up pages. None of that
may be mistaken for the end of the history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from ...errors import SourceDamagedError, UnansweredError, UndeliverableError
from ...formatting import many
from ..database.rows import Row, integer, text
from .client import Tautulli
from .responses import Failure, failure

__all__ = ["COLUMNS", "HistoryApi", "Order", "Page", "Window", "day_of"]

COLUMNS: Final = (
    "id", "reference_id", "started", "stopped", "user_id", "user", "section_id", "media_type",
    "live", "rating_key", "grandparent_rating_key", "title", "grandparent_title", "season",
    "episode", "year", "guid", "view_offset", "duration", "credits_first", "credits_final",
    "percent", "watched", "aired", "paused_counter", "parent_rating_key",
    # Users and playback events need these, plays do not.
    "friendly_name", "parent_title", "platform", "player", "product",
    "machine_id", "ip_address", "location", "transcode_decision", "secure", "relayed",
)  # fmt: skip
"""The columns of the local copy. The fields of ``Play`` come first, in their order."""

Order: TypeAlias = Literal["date", "duration"]
_ATTEMPTS: Final = 4
# In any time zone a day begins up to 14 hours before the day in UTC, and ends up to 12 after it.
_TIME_ZONES: Final = 15 * 3600
_FIRST_DAY: Final = date(2005, 1, 1)  # before Plex existed; older rows come from a wrong clock
_WINDOWS_SINCE: Final = "v2.8"


class Window(Struct, frozen=True):
    """Days in the server's time zone, both ends included. ``None`` is an open end."""

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
        """The parameters of a request."""
        bounds = {"after": self.after, "before": self.before}
        return {name: str(day) for name, day in bounds.items() if day}

    def halves(self, today: date) -> tuple[Window, Window] | None:
        """Return the older and the newer half; ``None`` for a window that has no two days."""
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
        """Return whether a play can be in the window, in any time zone.

        ``started`` is in epoch seconds.
        """
        low = _midnight(self.after) - _TIME_ZONES if self.after else started
        high = _midnight(self.before) + 86_400 + _TIME_ZONES if self.before else started
        return low <= started <= high


class Page(Struct, frozen=True):
    """Some rows of a window, in the requested order."""

    rows: Sequence[Row]
    """Rows of ``COLUMNS``."""
    filtered: int
    """The number of rows in the whole window."""
    total: int
    """The number of rows in the whole history, listed or not."""


_Value: TypeAlias = str | int | float | bool | None


class _Row(Struct):
    """A row of an answer. Numbers can be text, empty or missing."""

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
    full_title: _Value = None
    grandparent_title: _Value = None
    parent_media_index: _Value = None
    media_index: _Value = None
    year: _Value = None
    guid: _Value = None
    originally_available_at: _Value = None
    percent_complete: _Value = None
    watched_status: _Value = None
    friendly_name: _Value = None
    parent_title: _Value = None
    paused_counter: _Value = None
    parent_rating_key: _Value = None
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
    """Requests pages of the history: ungrouped, oldest first, without sessions that still play."""

    def __init__(
        self,
        tautulli: Tautulli,
        *,
        section_id: int | None = None,
        on_page: Callable[[bool], None] | None = None,
    ) -> None:
        """``on_page`` is called after each page, with false if Tautulli could not deliver it."""
        self._tautulli = tautulli
        self._on_page = on_page
        self._filter: dict[str, str | int] = (
            {} if section_id is None else {"section_id": str(section_id)}
        )
        self.total: int | None = None
        """The number of all rows in Tautulli's last answer."""
        self._playing = 0
        self.windows = True
        """True if the server takes windows (since Tautulli 2.8)."""

    def where(self, window: Window) -> str:
        """Return the URL, the command and the window for messages."""
        return f"{self._tautulli.access.endpoint} get_history ({window})"

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
        """Return at most ``length`` rows of a window, beginning with number ``start``.

        They are sorted by start time, or by the ``duration`` of what was played. Rows without one
        come first. ``kinds`` is a list of media types; rows of other types are left out.

        Raises:
            UnansweredError: no usable answer, or all answers contradict themselves.
            SourceDamagedError: the server does not behave like any Tautulli.
            TautulliImportError: see ``Tautulli.ask``.
        """
        about = f"{window}, {many(length, 'row')} from {start}" if start else str(window)
        is_delivered = True
        try:
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
        except UndeliverableError:
            is_delivered = False
            raise
        finally:
            if self._on_page:
                self._on_page(is_delivered)
        rows = [_normalise(row) for row in answer.data if not _is_playing(row)]
        if length:
            self._playing = len(answer.data) - len(rows)
        self.total = answer.recordsTotal
        return Page(rows, answer.recordsFiltered - self._playing, answer.recordsTotal)

    def _check(self, answer: _Answer, window: Window, start: int, length: int) -> Failure | None:
        """Return the failure for an answer that contradicts itself, else ``None``."""
        wrong = self._contradiction(answer, window, start, length)
        if not wrong:
            return None
        if not self.windows:
            return failure(UnansweredError, wrong, "", 1)
        return failure(
            SourceDamagedError,
            f"contradicts itself: {wrong}",
            "Its database may have errors (see logs/tautulli.log in its data directory), or a "
            "proxy in front of it mixes up answers. Try --via database.",
            _ATTEMPTS,
        )

    def _contradiction(self, answer: _Answer, window: Window, start: int, length: int) -> str:
        """Return the contradiction in an answer as a sentence; empty if there is none."""
        filtered, total, rows = answer.recordsFiltered, answer.recordsTotal, answer.data
        if integer(answer.draw) == 0 or (total == 0 and self.total):
            return "it reports 0 rows, as it does when its database fails"
        if not 0 <= filtered - sum(map(_is_playing, rows)) <= total:
            return f"it reports {filtered} of {total} rows"
        expected = max(0, min(length, filtered - start))
        if len(rows) != expected:
            return f"it sent {len(rows)} rows instead of {expected}, of {filtered}"
        listed = [row for row in rows if not _is_playing(row)]
        ids = {_number(row) for row in listed}
        if len(ids) != len(listed) or None in ids:
            return "it sent a row twice, or a row without an id"
        if any((integer(row.group_count) or 1) > 1 for row in listed):
            raise SourceDamagedError(
                f"{self._tautulli.shown} groups plays, although ungrouped plays were requested.",
                hint="This Tautulli is too old. Read its file: tautulli-import db tautulli.db",
            )
        return self._outside(listed, window)

    def _outside(self, rows: Sequence[_Row], window: Window) -> str:
        """Return a sentence about rows outside the window; empty if there are none.

        Before version 2.8 Tautulli ignored windows.
        """
        starts = [started for row in rows if (started := integer(row.started)) is not None]
        outside = sum(1 for started in starts if not window.can_hold(started))
        if not outside:
            return ""
        self.windows = False
        return f"{outside} rows are from other days (Tautulli takes windows since {_WINDOWS_SINCE})"


def day_of(started: int) -> date:
    """Return the day (UTC) of a moment in epoch seconds, or the nearest day of the calendar."""
    limited = min(max(started, _midnight(date(1, 1, 3))), _midnight(date(9999, 12, 29)))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=limited)).date()


def _midnight(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400


def _is_playing(row: _Row) -> bool:
    """Return whether a row is a session that still plays. Such a row has no id."""
    return bool(row.state) and row.row_id is None and row.id is None


def _number(row: _Row) -> int | None:
    """Return the id of a row. Before Tautulli 2.3 only the field ``id`` had it."""
    return integer(row.id if row.row_id is None else row.row_id)


def _title(row: _Row) -> str | None:
    """Return the title. Tautulli 2.2.3-beta wrote it only into the full title, ``Show - Title``."""
    title, full = text(row.title), text(row.full_title)
    if title or not full:
        return title
    show = text(row.grandparent_title)
    return full if show is None else full.removeprefix(f"{show} - ")


def _normalise(row: _Row) -> Row:
    """Return the values of ``COLUMNS``. A value that the API does not send is ``None``."""
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
        _title(row),
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
        text(row.originally_available_at),
        integer(row.paused_counter),
        integer(row.parent_rating_key),
        text(row.friendly_name),
        text(row.parent_title),
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
