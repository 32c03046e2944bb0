"""Explain for ``why`` what became of plays, and from which evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from msgspec import Struct

from ..counting import Plays
from ..errors import ConfigurationError, NotFoundError
from ..ids.corrections import Correction
from ..ids.titles import folded
from ..ids.unresolved import SuggestedIds, suggested_ids
from ..ids.works import Known, Work
from ..items.pipeline import NO_PLEX, PlexSources, ReadResult, read
from ..model.clock import watched_at
from ..model.items import Conflict, Kind, Origin
from ..model.played import PlayedEpisode
from ..model.plays import Play
from ..model.rejections import Reason
from ..model.selection import Selection
from ..model.watched import WatchedRule
from ..progress import UNSEEN, Progress
from ..sources.database.salvage.report import DamageReport
from ..sources.database.source import Source
from .why_rows import Outcome, Row, Rows, Search, Subject
from .why_sentences import Evidence, of_id, of_numbers, of_outcome, of_watched

__all__ = ["Explanation", "PlayFacts", "TitleFacts", "TitleSpan", "UsedId", "explain"]

_MOST_TITLES: Final = 10
_MOST_PLAYS: Final = 20
_MOST_DIGITS: Final = 18
_NEAREST: Final = 3


class PlayFacts(Struct, frozen=True):
    """One play: what was decided, and from which evidence."""

    row: int
    source: str
    title: str
    season: int | None
    episode: int | None
    user: str
    time: str | None
    """The time when it counts as watched, UTC."""
    watched: bool | None
    """``None`` if it is not known."""
    percent: int | None
    outcome: Outcome
    reason: str | None
    """The reason why it was left out or rejected: a name as ``--report`` has it."""
    key: str | None
    """The canonical key of its item."""
    merged_into: int | None
    """The row of the newest play of its item, if it is another one."""
    sentences: Sequence[str]


class TitleSpan(Struct, frozen=True):
    """A title that a film or show had, with the times of the oldest and newest play under it."""

    title: str
    first: str | None
    last: str | None


class UsedId(Struct, frozen=True):
    """An external id, and where it is from."""

    site: str
    value: str
    origin: str
    row: int | None
    """The newest play with it, if it is from plays."""
    sentence: str


class TitleFacts(Struct, frozen=True):
    """A film or show, with some of its plays."""

    type: Kind
    title: str
    year: int | None
    rating_keys: Sequence[int]
    """The newest first."""
    titles: Sequence[TitleSpan]
    """The newest first."""
    ids: Sequence[UsedId]
    conflicts: Sequence[Conflict]
    suggestions: Sequence[SuggestedIds]
    counts: Plays
    sentences: Sequence[str]
    """Sentences about what joined it or parted it from others, and why it has no ids."""
    plays: Sequence[PlayFacts]
    """The newest first."""
    other_plays: int
    """The number of its plays that are not in ``plays``."""


class Explanation(Struct, frozen=True):
    """The one object of ``why --json``."""

    schema: int
    source: str
    asked: str
    is_row_and_title: bool
    """True if a row has this number, and a film or show this title."""
    titles: Sequence[TitleFacts]
    rows: Sequence[PlayFacts]
    """Rows of no film or show: music, and rows without metadata."""
    other_titles: Sequence[str]
    """Other titles that contain what was asked for."""
    unreadable: int
    """The number of rows that could not be read, so that nothing is known about them."""
    warnings: Sequence[str]
    plex_asked: bool
    damaged: Sequence[DamageReport] = ()
    """The files that were salvaged."""


def explain(
    source: Source,
    selection: Selection,
    asked: str,
    corrections: Sequence[Correction] = (),
    progress: Progress = UNSEEN,
    *,
    plex: PlexSources = NO_PLEX,
    everything: bool = False,
) -> Explanation:
    """Explain the plays of a title, or of a row number, as an import would treat them.

    Of many plays of a title the newest are explained, with ``everything`` all.

    Raises:
        ConfigurationError: nothing was asked for.
        NotFoundError: there is no such row and no such title.
        TautulliImportError: the source cannot be read.
    """
    if not folded(asked):
        raise ConfigurationError(
            "The title must not be empty.", hint="Name a title, a part of one, or a row number."
        )
    result = read(source, selection, corrections=corrections, progress=progress, plex=plex)
    search = Search(result)
    number = _row_number(asked)
    of_row: Sequence[Subject] = ()
    is_row = False
    if number is not None:
        judged = list(source.chosen([number], selection))
        is_row = bool(judged) or any(row.id == number for row in result.rejected)
        found = (result.groups.find(row.what) for row in judged if row.what is not None)
        of_row = search.of_row(number, {group for group in found if group is not None})
    called = search.called(asked) or ([] if is_row else search.containing(asked))
    if not (called or is_row):
        raise _not_found(asked, number, source, result)
    most = len(called) if everything else _MOST_TITLES
    subjects = [*of_row, *called[:most]]
    rows = Rows(source, selection, result, subjects, number)
    describe = _Describer(source, selection, result)
    return Explanation(
        schema=1,
        source=source.name,
        asked=asked,
        is_row_and_title=is_row and bool(called),
        titles=[
            _facts(one, describe, rows, most_plays=None if everything else _MOST_PLAYS)
            for one in subjects
        ],
        rows=describe.plays(rows.without_title()),
        other_titles=[one.works[0].title for one in called[most:]],
        unreadable=result.verdicts.get(Reason.UNREADABLE, 0),
        warnings=[*source.notices, *result.identified.warnings],
        plex_asked=plex.tautulli is not None,
        damaged=source.damaged(result.rejected),
    )


class _Describer:
    """Describes rows and titles."""

    def __init__(self, source: Source, selection: Selection, result: ReadResult) -> None:
        self._source = source
        self._selection = selection
        self._result = result
        self.evidence = Evidence(result.identified)
        self._users = {
            user.user_id: user.name for user in source.users() if user.user_id is not None
        }

    def plays(self, rows: Sequence[Row]) -> Sequence[PlayFacts]:
        """Describe some rows."""
        read = {
            (name, play.id): (play, rule)
            for play, rule, name in self._source.plays({row.id for row in rows})
        }
        return [self._play(row, *read.get((row.source, row.id), (None, None))) for row in rows]

    def _play(self, row: Row, play: Play | None, rule: WatchedRule | None) -> PlayFacts:
        played = None if row.group is None else self._result.groups[row.group]
        season = episode = None
        if isinstance(played, PlayedEpisode):
            season, episode = played.season, played.episode
        owner = "somebody"
        said: list[str] = []
        if play is not None:
            name = self._users.get(play.user_id) if play.user_id is not None else None
            owner = name or (play.user or "").strip() or "somebody unknown"
            if played is not None and rule is not None:
                said.append(of_watched(play, rule, self._selection, row))
            said.append(of_numbers(play, season, episode))
        said.append(of_outcome(row, self._selection, owner, play.media_type if play else ""))
        return PlayFacts(
            row=row.id,
            source=row.source,
            title=(play.title if play else None) or (played.title if played else None) or "",
            season=season,
            episode=episode,
            user=owner if play else "",
            time=watched_at(row.ended) if row.ended else None,
            watched=bool(row.judged.watched) if played is not None else None,
            percent=row.judged.percent,
            outcome=row.outcome,
            reason=row.reason.value if row.reason else None,
            key=row.key,
            merged_into=row.item[1] if row.item and row.outcome == "merged" else None,
            sentences=[one for one in said if one],
        )


def _facts(
    subject: Subject, describe: _Describer, rows: Rows, *, most_plays: int | None
) -> TitleFacts:
    works, evidence = subject.works, describe.evidence
    first = works[0]
    own_rows = rows.of(subject.groups)
    asked_for = rows.of(subject.shown) if subject.shown is not None else own_rows
    if subject.row is not None:
        asked_for = [row for row in asked_for if row.id == subject.row]
    shown = asked_for[:most_plays]
    return TitleFacts(
        type=first.kind,
        title=first.title,
        year=first.year,
        rating_keys=list(dict.fromkeys(key for work in works for key in work.rating_keys)),
        titles=_titles(works),
        ids=[_used(site, known) for site, known in first.ids.items()],
        conflicts=evidence.conflicts(works),
        suggestions=[suggested_ids(one) for one in evidence.suggestions(works)],
        counts=_counts(own_rows),
        sentences=list(dict.fromkeys(evidence.sentences(works))),
        plays=describe.plays(shown),
        other_plays=len(own_rows) - len(shown),
    )


def _titles(works: Sequence[Work]) -> Sequence[TitleSpan]:
    """Return the titles as they were written, the newest first."""
    spans: dict[str, list[int]] = {}
    every = (one for work in works for one in work.appearances)
    for one in sorted(every, key=lambda one: one.order, reverse=True):
        times = spans.setdefault(one.played.work_title or "", [])
        times += filter(None, (one.first, one.newest))
    return [
        TitleSpan(
            title,
            watched_at(min(times)) if times else None,
            watched_at(max(times)) if times else None,
        )
        for title, times in spans.items()
        if title
    ]


def _used(site: str, known: Known) -> UsedId:
    is_of_plays = known.origin in (Origin.GUID, Origin.OTHER_PLAYS, Origin.TITLE)
    row = known.play_id if is_of_plays else None
    return UsedId(site, known.value, known.origin.value, row, of_id(site, known, row))


def _counts(rows: Sequence[Row]) -> Plays:
    outcomes = Counter(row.outcome for row in rows)
    reasons = Counter(row.reason for row in rows)
    named = [(reason, reasons[reason]) for reason in Reason if reasons[reason]]
    return Plays(
        read=len(rows),
        filtered={reason.value: count for reason, count in named if not reason.rejects},
        rejected={reason.value: count for reason, count in named if reason.rejects},
        merged=outcomes["merged"],
        emitted=outcomes["imported"],
    )


def _row_number(asked: str) -> int | None:
    is_number = asked.isascii() and asked.isdecimal() and len(asked) <= _MOST_DIGITS
    return int(asked) if is_number else None


def _not_found(asked: str, number: int | None, source: Source, result: ReadResult) -> NotFoundError:
    titles = {
        one.title: one.played.work_title for w in result.identified.works for one in w.appearances
    }
    near = get_close_matches(folded(asked), filter(None, titles), n=_NEAREST)
    shown = ", ".join(titles[one] or "" for one in near)
    hint = "Only films and shows have titles here. Name music by its row number."
    if shown:
        hint = f"The nearest titles: {shown}."
    if number is not None:
        first = min(file.first for file in source.files)
        last = max(file.last for file in source.files)
        return NotFoundError(
            f"{source.name} has no row {number}, and no film or show of that title.",
            hint=f"Its rows have numbers from {first} to {last}. {hint if shown else ''}".rstrip(),
        )
    return NotFoundError(f"{source.name} has no film or show called {asked!r}.", hint=hint)
