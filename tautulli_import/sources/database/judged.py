"""Have SQLite judge every row for items: is it wanted, is it watched, what was played, when.

Turning values into Python objects costs more than anything else, so a row comes as three values:
its time and id in one number, the verdict, and what was played as one JSON text. (Measured for a
million plays in November 2026: 1.7 s, and 2.7 s for 23 columns.) The rules for items stand here
and nowhere else:

* the filters of a ``Selection``, in the order of their reasons;
* Tautulli's "watched", ``helpers.check_watched`` of 2.17.2, for which its API's ``watched_status``
  is 1. Offsets, durations and markers are milliseconds;
* the time when a play counts as watched, as ``model.clock.moment`` has it.

SQLite compares text and numbers in its own way. So a row with a value of an odd type gets no
verdict in the ``plain`` query, and is asked for with the ``settled`` one, which reads every value
that it compares through ``rows.integer``. What was played is the same text in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from ...model.clock import FIRST_MOMENT, LATEST
from ...model.judged import ODD, UNKNOWN_SHARE, UNSURE, USUAL, Orders
from ...model.selection import Selection
from ...model.watched import WatchedRule
from .schema import Schema

__all__ = ["NO_MEDIA_INFO", "NO_METADATA", "Judge"]

NO_METADATA: Final = 1
"""The verdict of a row without metadata."""
NO_MEDIA_INFO: Final = 2
"""The verdict of a row without media info."""
# Further places in REASONS.
_MEDIA_TYPE, _LIVE, _USER = 3, 4, 5
_LIBRARY, _DATE, _PARTIAL, _IMPOSSIBLE, _NO_TIME = 6, 7, 8, 9, 10

_MILLISECONDS: Final = frozenset({"view_offset", "duration", "credits_first", "credits_final"})
_MOVIE: Final = ("guid", "rating_key", "title", "year", "live", "aired")
_EPISODE: Final = (
    *_MOVIE,
    *("season", "episode", "parent_rating_key", "grandparent_rating_key", "grandparent_title"),
)
# Tautulli writes '' into these. What compares them takes that for none.
_EMPTY_IS_NONE: Final = frozenset(
    {"season", "episode", "parent_rating_key", "grandparent_rating_key"}
)
_TEXTS: Final = frozenset({"guid", "title", "aired", "grandparent_title"})


_Sql: TypeAlias = Callable[[str], str]
"""Returns the SQL for a field of ``Play``."""


class Judge(Struct, frozen=True):
    """The queries that judge the rows of one database.

    Their parameters are the id before the first row, the last id, and the number of rows.
    """

    plain: str
    settled: str
    orders: Orders

    @classmethod
    def of(
        cls,
        schema: Schema,
        selection: Selection,
        rule: WatchedRule,
        *,
        detailed: bool,
        orders: Orders = USUAL,
    ) -> Judge:
        """Return the judge for a selection under Tautulli's thresholds."""
        odd: dict[str, None] = {}

        def plain(field: str) -> str:
            sql = _raw(schema, field)
            if sql != "NULL":  # this is faster than typeof()
                unless = f" AND {sql} <> ''" if field in _EMPTY_IS_NONE else ""
                odd[f"({sql} | 0) IS NOT {sql}{unless}"] = None
            return sql

        query = _Query(schema, selection, rule, orders, plain, is_settled=False)
        query.select(detailed=detailed)  # now it is known which columns it reads
        settled = _Query(
            *(schema, selection, rule, orders, lambda field: _settled(schema, field)),
            is_settled=True,
        )
        return cls(
            query.select(detailed=detailed, odd=" OR ".join(odd)),
            settled.select(detailed=detailed),
            orders,
        )


def _raw(schema: Schema, field: str) -> str:
    """Return SQL for a column as it is, or for several that may hold a value."""
    if field in _EMPTY_IS_NONE:
        return schema.columns.get(field, "NULL")
    return schema.expressions[field]


def _settled(schema: Schema, field: str) -> str:
    sql = schema.expressions[field]
    name = "milliseconds" if field in _MILLISECONDS else "integer"
    # Python's sqlite3 fails on text that is not UTF-8, but takes any bytes.
    return (
        f"settled_{name}(iif(typeof({sql}) = 'text', CAST({sql} AS BLOB), {sql}))"
        if sql != "NULL"
        else sql
    )


class _Query:
    """Builds one query. ``number`` returns the SQL of an INTEGER field."""

    def __init__(
        self,
        schema: Schema,
        selection: Selection,
        rule: WatchedRule,
        orders: Orders,
        number: _Sql,
        *,
        is_settled: bool,
    ) -> None:
        self._schema = schema
        self._orders = orders
        self._is_settled = is_settled
        self._selection = selection
        self._latest = min(selection.latest, LATEST)
        self._rule = rule
        self._number = number
        self._media_type = schema.expressions["media_type"]

    def select(self, *, detailed: bool, odd: str = "") -> str:
        """Return the query. ``odd`` is SQL that is true for a row with values of odd types."""
        columns = [self._order, self._verdict(odd), self._what]
        if not self._orders.is_usual:  # SQLite has no such numbers
            columns = ["h.id", f"({self._ended}) | 0", *columns[1:]]
        if detailed:
            columns += [
                f"ifnull({self._number('user_id')}, -1) | 0",  # a REAL becomes an INTEGER
                f"{self._begun} | 0",
                f"{self._seconds_played} | 0",
                f"ifnull({self._share}, {UNKNOWN_SHARE})",
                self._is_watched,
            ]
        return (
            f"SELECT {', '.join(columns)} {self._schema.joined}"
            "WHERE h.id > ? AND h.id <= ? ORDER BY h.id LIMIT ?"
        )

    def _verdict(self, odd: str) -> str:
        chosen, number = self._selection, self._number
        branches = [(self._schema.lacks_metadata, NO_METADATA)]
        if self._schema.has_media_info:
            branches.append(("i.id IS NULL", NO_MEDIA_INFO))
        branches.append((f"iif({self._media_type} IN ('movie', 'episode'), 0, 1)", _MEDIA_TYPE))
        cases = [f"WHEN {condition} THEN {verdict}" for condition, verdict in branches]
        if odd:
            cases.append(f"WHEN {odd} THEN {ODD}")
        live = number("live")
        branches = [] if "live" in chosen.media_types else [(live, _LIVE)]
        branches += [
            (f"{self._media_type} = '{kind}' AND NOT ifnull({live}, 0)", _MEDIA_TYPE)
            for kind in ("movie", "episode")
            if kind not in chosen.media_types
        ]
        if chosen.users is not None:
            branches.append((self._is_of_others(chosen.users), _USER))
        if chosen.sections is not None:
            section = number("section_id")
            inside = _listed(chosen.sections)
            branches.append((f"{section} IS NULL OR {section} NOT IN ({inside})", _LIBRARY))
        if chosen.since is not None or chosen.until is not None:
            when = self._begun if chosen.watched_at == "started" else self._ended
            outside = [f"{when} < {chosen.since}"] if chosen.since is not None else []
            outside += [f"{when} >= {chosen.until}"] if chosen.until is not None else []
            branches.append((f"{when} AND ({' OR '.join(outside)})", _DATE))
        if not chosen.include_partial:
            branches.append((f"NOT {self._is_watched}", _PARTIAL))
        cases += [f"WHEN {condition} THEN {verdict}" for condition, verdict in branches]
        cases.append(f"WHEN {self._is_dated} OR {self._ended} THEN {self._sureness}")
        some_time = f"ifnull({number('started')}, 0) OR ifnull({number('stopped')}, 0)"
        return f"CASE {' '.join(cases)} WHEN {some_time} THEN {_IMPOSSIBLE} ELSE {_NO_TIME} END"

    def _is_of_others(self, users: Iterable[int]) -> str:
        user = self._number("user_id")
        names = ", ".join(f"CAST(X'{name.encode().hex()}' AS TEXT)" for name in self._names)
        name = self._schema.expressions["user"]
        nameless = f"settled_name(CAST({name} AS BLOB)) NOT IN ({names})" if names else "1"
        return f"iif({user} IS NULL, {nameless}, {user} NOT IN ({_listed(users)}))"

    @property
    def _names(self) -> Sequence[str]:
        return sorted(self._selection.names)

    @property
    def _sureness(self) -> str:
        """Return SQL for NULL if the row tells enough for a key, else ``UNSURE``.

        A number that is written as text counts as doubtful.
        """
        key, title, season, episode, show = (
            _raw(self._schema, field)
            for field in ("rating_key", "title", "season", "episode", "grandparent_rating_key")
        )
        movie = f"{key} <> 0 OR {title} <> ''"
        # Numbers sort before texts.
        is_text = f"{season} >= '' OR {episode} >= '' OR {show} >= ''"
        named = f"{season} >= 0 AND {episode} >= 0 AND {show} > 0 AND NOT ({is_text})"
        return f"iif(iif({self._media_type} = 'movie', {movie}, {named}), NULL, {UNSURE})"

    @property
    def _is_dated(self) -> str:
        """Return SQL that is true for nearly every row: both times are possible."""
        started, stopped = self._number("started"), self._number("stopped")
        latest = self._latest
        return f"({started} >= {FIRST_MOMENT} AND {stopped} BETWEEN {started} AND {latest})"

    @property
    def _started(self) -> str:
        started = self._number("started")
        latest = self._latest
        return f"iif({started} BETWEEN {FIRST_MOMENT} AND {latest}, {started}, 0)"

    @property
    def _ended(self) -> str:
        """Return SQL for ``moment(play)``."""
        stopped, started = self._number("stopped"), self._started
        latest = self._latest
        return (
            f"CASE WHEN {self._is_dated} THEN {stopped}"
            f" WHEN {stopped} BETWEEN max({started}, {FIRST_MOMENT}) AND {latest} THEN {stopped}"
            f" ELSE {started} END"
        )

    @property
    def _order(self) -> str:
        """Return SQL for ``Orders.order``."""
        return f"({self._ended}) << {self._orders.bits} | h.id"

    @property
    def _begun(self) -> str:
        """Return SQL for ``moment(play, "started")``."""
        started = self._number("started")
        otherwise = f"iif({self._started}, {self._started}, {self._ended})"
        return f"iif({self._is_dated}, {started}, {otherwise})"

    @property
    def _seconds_played(self) -> str:
        """Return SQL for the seconds without pauses. A pause longer than the play is ignored."""
        elapsed = f"({self._number('stopped')} - {self._number('started')})"
        paused = f"ifnull({self._number('paused_counter')}, 0)"
        played = f"iif({paused} BETWEEN 0 AND {elapsed}, {elapsed} - {paused}, {elapsed})"
        return f"iif({self._is_dated}, {played}, -1)"

    @property
    def _is_watched(self) -> str:
        """Return SQL for 1 if a play is watched, else 0: ``--min-percent``, else Tautulli's rule.

        Tautulli's verdict from its API counts for itself.
        """
        least, number = self._selection.min_percent, self._number
        if least is not None:
            return self._has_reached(least)
        rule = self._rule
        share = f"{rule.movie_percent / 100!r}"
        if rule.tv_percent != rule.movie_percent:
            share = f"iif({self._media_type} = 'movie', {share}, {rule.tv_percent / 100!r})"
        threshold = f"({share} * {number('duration')})"
        needed = threshold
        if rule.marker == 3:
            first = number("credits_first")
            needed = f"iif({first} <> 0 AND {first} < {threshold}, {first}, {threshold})"
        elif rule.marker in (1, 2):
            marker = number("credits_final" if rule.marker == 1 else "credits_first")
            needed = f"ifnull(nullif({marker}, 0), {threshold})"
        reached = f"ifnull({number('view_offset')}, 0) >= {needed}"
        by_rule = f"iif({number('live')}, 1, ifnull({threshold} <> 0 AND {reached}, 0))"
        told = number("watched")
        return by_rule if told == "NULL" else f"iif({told} IS NULL, {by_rule}, {told} = 1)"

    @property
    def _share(self) -> str:
        """Return SQL for how far a play got, in percent with a fraction, or NULL.

        Rounded it is ``model.watched.percent_complete``, but for ``UNKNOWN_SHARE`` and more.
        """
        live, duration, told = map(self._number, ("live", "duration", "percent"))
        told_first = "" if told == "NULL" else f"WHEN {told} IS NOT NULL THEN {told} "
        offset = f"CAST(ifnull({self._number('view_offset')}, 0.1) AS REAL)"
        share = f"{offset} / ifnull({duration}, 1) * 100"
        return f"CASE WHEN {live} THEN 100 {told_first}ELSE {share} END"

    def _has_reached(self, least: int) -> str:
        """Return SQL for 1 if a play got that far in whole percent, else 0.

        Python rounds half a percent to the even number.
        """
        reached = "1"
        if least > 0:
            reached = f"({self._share}) {'>' if least % 2 else '>='} {least - 0.5}"
        return f"ifnull(({self._share}) < {UNKNOWN_SHARE} AND {reached}, 0)"

    @property
    def _what(self) -> str:
        """Return SQL for what was played, as ``PlayedMovie`` or ``PlayedEpisode`` in JSON."""
        chosen = self._selection.media_types
        cases = []
        for kind, tag, fields in (("episode", 1, _EPISODE), ("movie", 0, _MOVIE)):
            condition = f"{self._media_type} = '{kind}'"
            if kind not in chosen:  # a broadcast is judged as such
                condition += f" AND {self._number('live')}"
            values = ", ".join(map(self._json_value, fields))
            cases.append(f"WHEN {condition} THEN json_array({tag}, {values})")
        absent = "WHEN m.id IS NULL THEN NULL "
        if self._schema.has_media_info:
            absent = "WHEN m.id IS NULL OR i.id IS NULL THEN NULL "
        return f"CASE {absent}{' '.join(cases)} END"

    def _json_value(self, field: str) -> str:
        """Return SQL for a value as the row has it. Other odd values are found in the JSON.

        It is the same in both queries, so that equal rows stay one group whatever rows are near.
        """
        sql = _raw(self._schema, field)
        if sql == "NULL":
            return sql
        value = f"iif({sql} = '', NULL, {sql})" if field in _EMPTY_IS_NONE else sql
        if not self._is_settled:
            return value
        settled = f"CAST({sql} AS TEXT)" if field in _TEXTS else self._number(field)
        return f"iif(typeof({sql}) = 'blob', {settled}, {value})"  # JSON has no BLOBs


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
