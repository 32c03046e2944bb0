"""Record why two appearances in a history were taken for one film or show, or for two.

Most need no ruling: they have the same rating key and the same title or id. Rulings change
nothing. They are kept so that a person can be told.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from ..formatting import day
from .appearances import Appearance

__all__ = ["Rule", "Ruling", "explained"]


class Rule(StrEnum):
    """The rule that decided, first those about one rating key."""

    BY_TURNS = "by_turns"
    """Both appear under the key by turns. They are two only if their ids or GUIDs contradict."""
    MOVED = "moved"
    """An id or GUID of one of them stands under another key on the other side of the change."""
    UNMATCHED = "unmatched"
    """Plex had not matched the earlier one yet."""
    TITLE = "title"
    """They have a title in common."""
    SEASON = "season"
    """They have a season with the same rating key."""
    HIGHER_KEY = "higher_key"
    """A higher key means the same before and after the change, so no key was given out again."""
    MAJORITY = "majority"
    """Most of the other keys kept their meaning in the time of the change, or changed it.

    Each counts for the part of that time that it covers.
    """
    PLEX_GUID = "plex_guid"
    """They have the same ``plex://`` GUID."""
    EPISODE_GUIDS = "episode_guids"
    """Their episodes have the same ``plex://`` GUIDs."""
    SHARED_ID = "shared_id"
    """They have an external id in common, so they share all ids."""
    DAY = "day"
    """They have the same title and the same release day."""
    CONTRADICTION = "contradiction"
    """They have the same title and release day, but ids, GUIDs or other days contradict."""


class Ruling(Struct, frozen=True):
    """One decision about two appearances."""

    rule: Rule
    is_one: bool
    one: Appearance
    """The earlier one, where the times differ."""
    other: Appearance
    until: int = 0
    """The last play before the change of a rating key (epoch seconds, UTC)."""
    since: int = 0
    """The first play after it."""
    key: int = 0
    """The key of ``HIGHER_KEY``, or the other key of ``MOVED``."""
    kept: int = 0
    """With ``MAJORITY``, the number of other keys that kept their meaning."""
    changed: int = 0
    """With ``MAJORITY``, the number of other keys that changed their meaning."""


def explained(ruling: Ruling) -> str:
    """Return a ruling in sentences, for people."""
    if ruling.rule in _ABOUT_ONE_KEY:
        return f"{_change(ruling)} {_verdict(ruling)}: {_why_of_key(ruling)}."
    match ruling.rule:
        case Rule.PLEX_GUID:
            what = "have the same plex:// GUID"
        case Rule.EPISODE_GUIDS if ruling.is_one:
            what = "have episodes with the same plex:// GUIDs"
        case Rule.EPISODE_GUIDS:
            what = "share the plex:// GUID of an episode, but most of their episodes differ"
        case Rule.SHARED_ID:
            what = "have an external id in common"
        case Rule.DAY if ruling.one.kind == "show":
            what = "have the same title, and an episode with the same numbers and air day"
        case Rule.DAY:
            what = "have the same title and release day"
        case _:
            what = "have the same title and release day, but ids, GUIDs or other days contradict"
    return f"{_both(ruling.one, ruling.other)} {what}. {_verdict(ruling)}."


_ABOUT_ONE_KEY: Final = frozenset(
    {
        *(Rule.BY_TURNS, Rule.MOVED, Rule.UNMATCHED, Rule.TITLE),
        *(Rule.SEASON, Rule.HIGHER_KEY, Rule.MAJORITY),
    }
)


def _verdict(ruling: Ruling) -> str:
    what = "film" if ruling.one.kind == "movie" else "show"
    return f"It is one {what}" if ruling.is_one else f"They are two {what}s"


def _change(ruling: Ruling) -> str:
    """Return the two meanings of a rating key, with dates."""
    one, other = ruling.one, ruling.other
    before, after = one.played.work_title or "", other.played.work_title or ""
    verb = "was called"
    if one.title == other.title or not (before and after):
        verb, before, after = "was", _described(one), _described(other)
    if before == after:  # GUIDs or ids of other plays differ
        after = f"another {after}"
    if ruling.rule is Rule.BY_TURNS:
        return f"Rating key {one.key} {verb} {before} and {after} by turns."
    until, since = day(ruling.until), day(ruling.since)
    return f"Rating key {one.key} {verb} {before} until {until} and {after} from {since}."


def _described(one: Appearance) -> str:
    title = one.played.work_title or "without a title"
    details = [f"{site} {value}" for site, value in one.ids]
    if one.kind == "movie" and one.played.year:
        details.insert(0, str(one.played.year))
    if not one.ids and one.guid:
        details.append(one.guid)
    return f"{title} ({', '.join(details)})" if details else title


def _why_of_key(ruling: Ruling) -> str:
    match ruling.rule:
        case Rule.BY_TURNS if ruling.is_one:
            return "no ids or GUIDs of the two contradict each other"
        case Rule.BY_TURNS:
            return "their ids or GUIDs contradict each other"
        case Rule.MOVED if not ruling.key:
            return "on the other side of that change, one of them has plays without a rating key"
        case Rule.MOVED:
            return f"one of them has rating key {ruling.key} on the other side of that change"
        case Rule.UNMATCHED:
            return "Plex had not matched it before that change"
        case Rule.TITLE:
            return "a title stayed the same"
        case Rule.SEASON:
            return "a season kept its rating key"
        case Rule.HIGHER_KEY:
            return f"a higher rating key, {ruling.key}, kept its meaning across that change"
        case _ if ruling.kept or ruling.changed:
            numbers = f"{ruling.kept:,} kept their meaning in that time, {ruling.changed:,} did not"
            return f"of the other rating keys, {numbers} (each counts for its part of that time)"
        case _:
            return "nothing shows that Plex gave the rating key out again"


def _both(one: Appearance, other: Appearance) -> str:
    if one.title == other.title and one.key and other.key and one.key != other.key:
        keys = sorted((one.key, other.key))
        return f"Rating keys {keys[0]} and {keys[1]}"
    return f"{_placed(one)} and {_placed(other)}"


def _placed(one: Appearance) -> str:
    title = one.played.work_title or "Plays without a title"
    return f"{title} (rating key {one.key})" if one.key else f"{title} (without a rating key)"
