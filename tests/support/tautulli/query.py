"""The SQL behind `get_history`: which columns, which filters, which order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

__all__ = ["NAMES", "Filter", "Page", "Query", "filters_of"]

_PAUSED = "SUM(CASE WHEN paused_counter IS NULL THEN 0 ELSE paused_counter END)"
_PLAYED = "SUM(CASE WHEN stopped > 0 THEN stopped - started ELSE {otherwise} END) - " + _PAUSED
_PERCENT = (
    "MAX((CASE WHEN view_offset IS NULL OR view_offset = '' THEN 0.1 ELSE view_offset * 1.0 END)"
    " / (CASE WHEN {d} IS NULL OR {d} = '' THEN 1.0 ELSE {d} * 1.0 END) * 100)"
)
_FRIENDLY = "CASE WHEN {f} IS NULL OR TRIM({f}) = '' THEN {u} ELSE {f} END"
_LIVE = "CASE WHEN {m}live = 1 THEN 'live' ELSE {h}media_type END"

#: Of each column its name, where a play in the history has it from, and one in progress. With
#: several extremes in one SELECT, SQLite takes all plain columns of a group from the row of the
#: last of them: whoever moves `percent_complete` changes what a grouped row says.
_COLUMNS = (
    ("reference_id", "h.reference_id", "NULL"),
    ("row_id", "h.id", "NULL"),
    ("date", "MAX(started)", "started"),
    ("started", "MIN(started)", "started"),
    ("stopped", "MAX(stopped)", "stopped"),
    (
        "play_duration",
        _PLAYED.format(otherwise="0"),
        _PLAYED.format(otherwise="(strftime('%s', 'now') - started)"),
    ),
    ("paused_counter", _PAUSED, _PAUSED),
    ("view_offset", "h.view_offset", "view_offset"),
    ("user_id", "h.user_id", "user_id"),
    ("user", "h.user", "user"),
    (
        "friendly_name",
        _FRIENDLY.format(f="u.friendly_name", u="u.username"),
        _FRIENDLY.format(f="friendly_name", u="user"),
    ),
    ("user_thumb", "u.thumb", "NULL"),
    ("custom_thumb", "u.custom_avatar_url", "NULL"),
    *(
        (name, f"h.{name}", name)
        for name in (
            *("platform", "product", "player", "ip_address", "machine_id", "location"),
            *("secure", "relayed", "media_type"),
        )
    ),
    *(
        (name, f"m.{name}", name)
        for name in (
            *("rating_key", "parent_rating_key", "grandparent_rating_key", "full_title"),
            *("title", "parent_title", "grandparent_title", "original_title", "year"),
            *("media_index", "parent_media_index", "thumb", "parent_thumb"),
            *("grandparent_thumb", "live", "added_at", "originally_available_at", "guid"),
        )
    ),
    ("percent_complete", _PERCENT.format(d="m.duration"), _PERCENT.format(d="duration")),
    ("duration", "m.duration", "duration"),
    ("marker_credits_first", "m.marker_credits_first", "NULL"),
    ("marker_credits_final", "m.marker_credits_final", "NULL"),
    ("transcode_decision", "i.transcode_decision", "transcode_decision"),
    ("group_count", "COUNT(*)", "NULL"),
    ("group_ids", "GROUP_CONCAT(h.id)", "NULL"),
    ("state", "NULL", "state"),
    ("session_key", "NULL", "session_key"),
)

#: The names of the columns, in their order.
NAMES = tuple(name for name, _, _ in _COLUMNS)

_JOINS = (
    "session_history AS h"
    " JOIN session_history_metadata AS m ON m.id = h.id"
    " JOIN session_history_media_info AS i ON i.id = h.id"
)
_WITH_USERS = (
    "session_history AS h LEFT JOIN users AS u ON h.user_id = u.user_id"
    " JOIN session_history_metadata AS m ON h.id = m.id"
    " JOIN session_history_media_info AS i ON h.id = i.id"
)

#: What can be asked for: the parameter, its column in both worlds, and how they are compared.
_DAY = "local_day(started)"
_FILTERS = (
    ("rating_key", "h.rating_key", "rating_key", "="),
    ("parent_rating_key", "h.parent_rating_key", "parent_rating_key", "="),
    ("grandparent_rating_key", "h.grandparent_rating_key", "grandparent_rating_key", "="),
    ("start_date", _DAY, _DAY, "="),
    ("before", _DAY, _DAY, "<="),
    ("after", _DAY, _DAY, ">="),
    ("reference_id", "h.reference_id", "NULL", "="),
    ("section_id", "h.section_id", "section_id", "="),
    ("media_type", _LIVE.format(m="m.", h="h."), _LIVE.format(m="", h=""), "="),
    ("transcode_decision", "i.transcode_decision", "transcode_decision", "="),
    ("guid", "m.guid", "guid", "LIKE"),
)
_ALL_MEANS_ANY = {"media_type", "transcode_decision"}

_ORDERED = (
    *("date", "friendly_name", "ip_address", "platform", "product", "player", "full_title"),
    *("started", "paused_counter", "stopped", "duration"),
)
_SEARCHED = ("friendly_name", "ip_address", "platform", "product", "player", "full_title")


class Filter(NamedTuple):
    """A condition that one of several values has to meet."""

    history: str
    activity: str
    operator: str
    values: tuple[str, ...]


def filters_of(params: Mapping[str, str], features: set[str]) -> list[Filter]:
    """Return what the parameters ask for, as far as a server with these features knows it."""
    return list(_filters(params, features))


def _filters(params: Mapping[str, str], features: set[str]) -> Iterator[Filter]:
    who = "user_id" if params.get("user_id") else "user"
    if users := _values(params.get(who, ""), features):
        yield Filter(f"h.{who}", who, "=", users)
    for name, history, activity, operator in _FILTERS:
        if name in {"before", "after"} and "before_after" not in features:
            continue
        text = params.get(name, "")
        values = _values(text.split("?")[0] if name == "guid" else text, features)
        if name in _ALL_MEANS_ANY and "all" in values:
            continue
        if operator == "LIKE":
            values = tuple(f"{value}%" for value in values)
        if values:
            yield Filter(history, activity, operator, values)


def _values(text: str, features: set[str]) -> tuple[str, ...]:
    parts = text.split(",") if "lists" in features else [text]
    return tuple(part.strip() for part in parts if part.strip())


class Page(NamedTuple):
    """Which rows, in which order; numbers that are none raise ValueError."""

    start: int
    length: int
    order: str

    @classmethod
    def of(cls, params: Mapping[str, str]) -> "Page":
        """Return the page that the parameters ask for."""
        return cls(int(params.get("start", "0")), int(params.get("length", "25")), _order(params))

    def bounds(self, count: int) -> tuple[int, int]:
        """Return the first row and the number of rows, as slicing a list would have it."""
        first, last, _ = slice(self.start, self.start + self.length).indices(count)
        return first, max(0, last - first)


def _order(params: Mapping[str, str]) -> str:
    columns = params.get("order_column", "date").split(",")
    directions = params.get("order_dir", "desc").split(",")
    terms = [
        f"{column.strip()} COLLATE NOCASE{'' if direction.strip().lower() == 'asc' else ' DESC'}"
        for column, direction in zip_longest(columns, directions, fillvalue="")
        if column.strip() in _ORDERED
    ]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


@dataclass(frozen=True)
class Query:
    """The rows that a request is about, before they are cut into pages."""

    filters: list[Filter]
    grouping: bool
    #: The table that plays in progress are in, or nothing if they are not asked for.
    activity: str
    search: str

    def rows(self, order: str) -> tuple[str, list[str]]:
        """Return a SELECT of all rows."""
        inner, args = self._inner()
        where, found = self._where_found()
        return f"SELECT * FROM ({inner}){where}{order}", args + found  # noqa: S608

    def count(self) -> tuple[str, list[str]]:
        """Return a SELECT of how many rows there are."""
        if not self.activity and not self.search:
            where, args = _where(self.filters, activity=False)
            key = self._key()
            return f"SELECT COUNT(*) FROM (SELECT 1 FROM {_JOINS}{where} GROUP BY {key})", args  # noqa: S608
        inner, args = self._inner()
        where, found = self._where_found()
        return f"SELECT COUNT(*) FROM ({inner}){where}", args + found  # noqa: S608

    def total_duration(self) -> tuple[str, list[str]]:
        """Return a SELECT of the seconds that all filtered plays took."""
        where, args = _where(self.filters, activity=False)
        return f"SELECT {_PLAYED.format(otherwise='0')} FROM {_JOINS}{where}", args  # noqa: S608

    def _key(self) -> str:
        return "h.reference_id" if self.grouping else "h.id"

    def _inner(self) -> tuple[str, list[str]]:
        columns = ", ".join(f"{history} AS {name}" for name, history, _ in _COLUMNS)
        where, args = _where(self.filters, activity=False)
        inner = f"SELECT {columns} FROM {_WITH_USERS}{where} GROUP BY {self._key()}"  # noqa: S608
        if self.activity:
            columns = ", ".join(f"{activity} AS {name}" for name, _, activity in _COLUMNS)
            where, more = _where(self.filters, activity=True)
            inner += f" UNION SELECT {columns} FROM {self.activity}{where} GROUP BY session_key"  # noqa: S608
            args = args + more
        return inner, args

    def _where_found(self) -> tuple[str, list[str]]:
        if not self.search:
            return "", []
        conditions = " OR ".join(f"{name} LIKE ?" for name in _SEARCHED)
        return f" WHERE {conditions}", [f"%{self.search}%"] * len(_SEARCHED)


def _where(filters: list[Filter], *, activity: bool) -> tuple[str, list[str]]:
    conditions = [
        " OR ".join([f"{each.activity if activity else each.history} {each.operator} ?"] * number)
        for each in filters
        if (number := len(each.values))
    ]
    args = [value for each in filters for value in each.values]
    return (" WHERE (" + ") AND (".join(conditions) + ")" if conditions else ""), args
