"""Write the sentences of ``why``: what was decided about plays, films and shows, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from ..formatting import minute
from ..ids.appearances import Appearance
from ..ids.chain import Identified
from ..ids.dates import may_be_one
from ..ids.rulings import Ruling, explained
from ..ids.suggestions import Suggestion
from ..ids.unresolved import why_no_ids
from ..ids.works import Known, Work
from ..model.guids import PER_SEASON
from ..model.items import Conflict, Kind, Origin
from ..model.plays import Play
from ..model.rejections import Reason
from ..model.selection import Selection
from ..model.watched import WatchedRule, threshold
from .why_rows import Row

__all__ = ["Evidence", "of_id", "of_numbers", "of_outcome", "of_watched"]

_NAMES: Final[dict[str, str]] = {"movie": "film", "episode": "episode"}
_ORIGINS: Final = {
    Origin.GUID: "from the GUIDs of its plays",
    Origin.OTHER_PLAYS: "from the GUIDs of its plays",
    Origin.LOOKUP_TABLES: "from Tautulli's lookup tables",
    Origin.CORRECTIONS: "from --ids",
    Origin.GET_METADATA: "from Plex's answer",
    Origin.TITLE: "from a tag in its title",
    Origin.PLEX_DB: "from the Plex library database",
    Origin.PLEX_CLOUD: "from Plex's metadata service",
}


def of_id(site: str, known: Known, row: int | None) -> str:
    """Return where an id is from. ``row`` is the newest play with it."""
    newest = (
        f", the newest of them in row {row} ({minute(known.when)} UTC)"
        if row and known.when
        else ""
    )
    return f"{site} {known.value}, {_ORIGINS[known.origin]}{newest}"


class Evidence:
    """Finds what was decided about a film or show. It is made once, for many of them."""

    def __init__(self, identified: Identified) -> None:
        self._identified = identified
        self._rulings: defaultdict[Appearance, list[Ruling]] = defaultdict(list)
        for ruling in identified.rulings:
            self._rulings[ruling.one].append(ruling)
            self._rulings[ruling.other].append(ruling)
        self._called: defaultdict[tuple[Kind, str], list[Work]] = defaultdict(list)
        self._owners: dict[tuple[Kind, int], Work] = {}
        for work in identified.works:
            self._called[work.kind, work.folded_title].append(work)
            self._owners |= {(work.kind, key): work for key in work.own_keys}
        self._conflicts: defaultdict[int, list[Conflict]] = defaultdict(list)
        for conflict in identified.conflicts:
            for row in conflict.plays:
                self._conflicts[row].append(conflict)
        self._suggestions: defaultdict[Work, list[Suggestion]] = defaultdict(list)
        for one in identified.suggestions:
            self._suggestions[one.work].append(one)

    def conflicts(self, works: Sequence[Work]) -> Sequence[Conflict]:
        """Return the conflicts of ids of one title."""
        rows = dict.fromkeys(one.newest_id for work in works for one in work.appearances)
        found = {id(each): each for row in rows for each in self._conflicts.get(row, ())}
        return [one for one in found.values() if one.kind == works[0].kind]

    def suggestions(self, works: Sequence[Work]) -> Sequence[Suggestion]:
        """Return the suggestions for one title."""
        return [one for work in works for one in self._suggestions.get(work, ())]

    def sentences(self, works: Sequence[Work]) -> Iterator[str]:
        """Yield what joined one title or parted it from others, and why it has no ids."""
        own = dict.fromkeys(one for work in works for one in work.appearances)
        rulings = {id(each): each for one in own for each in self._rulings.get(one, ())}
        yield from map(explained, rulings.values())
        first, name = works[0], "film" if works[0].kind == "movie" else "show"
        if not rulings and len({one.played.work_title for one in own}) > 1:
            yield (
                f"These titles are one {name}: they have one rating key, and the same id or a "
                "title that differs only in spelling."
            )
        touched = {one for ruling in rulings.values() for one in (ruling.one, ruling.other)}
        for work in self._called[first.kind, first.folded_title] if first.folded_title else ():
            if work not in works and touched.isdisjoint(work.appearances):
                why = "only the title connects them"
                if not all(may_be_one(work, other) for other in works):
                    why = "their ids, GUIDs or dates contradict each other"
                yield f"Another {name} of this title is {_named(work)}. They are two: {why}."
        for key in dict.fromkeys(key for work in works for key in work.rating_keys):
            if (owner := self._owners.get((first.kind, key))) is not None and owner not in works:
                yield f"Rating key {key} is that of {_titled(owner)} now."
        if not first.ids:
            why = why_no_ids(first, self._identified, self.suggestions([first]))
            yield f"It has no external id. {why}"
        elif first.has_own_order:
            yield "Its episodes are counted in another order than the sites', so they use no id."
        elif per_season := sorted(PER_SEASON & first.ids.keys()):
            sites = " and ".join(per_season)
            yield f"Ids of {sites} are used for season 1 only, because each season has its own."


def _named(work: Work) -> str:
    details = [f"rating key {key}" for key in work.own_keys[:1]]
    details += [f"{site} {known.value}" for site, known in work.ids.items()][:1]
    return f"{_titled(work)}, {', '.join(details)}" if details else _titled(work)


def _titled(work: Work) -> str:
    title = work.title or "an item without a title"
    return f"{title} ({work.year})" if work.year else title


def of_watched(play: Play, rule: WatchedRule, selection: Selection, row: Row) -> str:
    """Return if a play was watched, and by which rule."""
    watched, percent = bool(row.judged.watched), row.judged.percent
    verdict = "Watched" if watched else "Not watched"
    reached = "it is not known how far it got" if percent is None else f"it reached {percent} %"
    name = _NAMES.get(play.media_type, "play")
    if selection.min_percent is not None:
        return f"{verdict}: {reached}, and --min-percent is {selection.min_percent}."
    if play.watched is not None:
        return f"{verdict}: Tautulli says so ({reached})."
    if play.live:
        return f"{verdict}: live TV always counts as watched."
    needed = threshold(play, rule)
    if needed is None:
        return f"{verdict}: the length of the {name} is not known."
    position, length = _clock(play.view_offset or 0), _clock(play.duration or 0)
    reached = f"it reached {position} of {length}"
    if percent is not None:
        reached += f" ({percent} %)"
    if needed.by == "percent":
        share = rule.movie_percent if play.media_type == "movie" else rule.tv_percent
        need = f"{share} % ({_clock(needed.milliseconds)})"
    else:
        need = f"the {needed.by} ({_clock(needed.milliseconds)})"
    return f"{verdict}: {reached}. It counts as watched from {need} on, by {rule.origin}."


def _clock(milliseconds: float) -> str:
    minutes, seconds = divmod(int(milliseconds) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def of_numbers(play: Play, season: int | None, episode: int | None) -> str:
    """Return where the numbers of an episode are from, if its row lacks some."""
    if None not in (play.season, play.episode) or None in (season, episode):
        return ""
    return "Its row lacks the numbers. They are from its GUID, another row or Plex."


def of_outcome(row: Row, selection: Selection, owner: str, media_type: str) -> str:
    """Return what became of a play."""
    if row.outcome == "rejected" and row.reason:
        return f"Rejected: {row.reason.sentence}."
    if row.outcome == "left out" and row.reason:
        return f"Left out: {_of_filter(row.reason, selection, owner, media_type)}"
    partly = "--include-partial imports it all the same. " if not row.judged.watched else ""
    if row.outcome == "imported":
        return f"{partly}Imported as {row.key}, whose newest play it is."
    when, newest = row.item or (0, 0)
    return f"{partly}Merged into row {newest} ({minute(when)} UTC), the newest play of {row.key}."


def _of_filter(reason: Reason, selection: Selection, owner: str, media_type: str) -> str:
    match reason:
        case Reason.MEDIA_TYPE if media_type in _NAMES:
            return f"--media-type does not ask for {_NAMES[media_type]}s."
        case Reason.MEDIA_TYPE if media_type == "track":
            return "it is music, which only playback events have (--events)."
        case Reason.MEDIA_TYPE:
            return f"its media type is {media_type or 'not known'}, which is never imported."
        case Reason.LIVE:
            return "it is live TV. To import it, add --media-type live."
        case Reason.USER:
            return f"it is a play of {owner}, and --user chooses others."
        case Reason.LIBRARY:
            return "it is from a library that --library does not choose."
        case Reason.DATE:
            since = f" --since {minute(selection.since)} UTC" if selection.since is not None else ""
            until = f" --until {minute(selection.until)} UTC" if selection.until is not None else ""
            return f"its time is outside of{since}{until}."
        case Reason.PARTIAL if selection.min_percent is not None:
            return "it was not watched far enough for --min-percent."
        case Reason.PARTIAL:
            return "it was not watched to the end. To import it, add --include-partial."
        case _:
            return f"{reason.sentence}."
