"""Join play groups that are the same film or show into a *work*.

Groups are one work if

* they are one item of Plex: the same rating key (of episodes: the show's), unless it was given
  out again (``rating_keys``);
* or their newest GUIDs are the same ``plex://`` GUID, which is unique worldwide.

A title alone joins nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

from ..model.groups import PlayGroup
from ..model.guids import fits_episode, is_aired_order, plex_guid, show_ids
from ..model.items import Ids, Kind, Origin
from ..model.plays import Play
from .rating_keys import Item, items_under_keys
from .sets import DisjointSets
from .titles import folded

__all__ = ["Known", "Work", "newest_guids", "settle_keys", "works_of"]


class Known:
    """One external id of a work, and the evidence for it."""

    __slots__ = ("origin", "play_id", "value", "when")

    def __init__(self, value: str, origin: Origin, when: int, play_id: int) -> None:
        self.value = value
        self.origin = origin
        self.when = when
        """Time of the newest play with this id (of a lookup: of the work); epoch seconds, UTC.

        A correction has a time later than any play.
        """
        self.play_id = play_id


class Work:
    """A film or a show: its play groups, rating keys and ids. ``identify`` fills in the ids.

    Works are compared by identity, so that they can be keys of a dictionary.
    """

    __slots__ = (
        "_last",
        "answered",
        "groups",
        "ids",
        "kind",
        "newest",
        "own_keys",
        "rating_keys",
        "title",
    )

    def __init__(self, kind: Kind, groups: Sequence[PlayGroup]) -> None:
        self.kind = kind
        self.groups = sorted(groups, key=lambda group: group.order, reverse=True)
        """Newest first."""
        self.newest = self.groups[0]
        # A broadcast has a temporary key, so the keys of the library come first.
        plays = sorted(self.plays, key=lambda play: bool(play.live))
        self.rating_keys = list(dict.fromkeys(filter(None, map(self.rating_key_of, plays))))
        """Newest first."""
        self.own_keys = self.rating_keys
        """The keys that no other work had later. ``settle_keys`` sets them."""
        self.title = next(filter(None, map(self._title, self.plays)), "")
        self.ids: dict[str, Known] = {}
        self.answered: dict[str, Known] = {}
        """The ids in Plex's answer."""
        self._last: tuple[frozenset[str], Ids] | None = None

    @property
    def plays(self) -> Iterable[Play]:
        """Return a play of each group, the newest group first."""
        return (group.play for group in self.groups)

    @property
    def titles(self) -> set[str]:
        """Return all titles it had, folded for comparison."""
        return {title for play in self.plays if (title := folded(self._title(play)))}

    @property
    def year(self) -> int | None:
        """Return the newest year of a film, or None of a show.

        Tautulli's history has the years of episodes only.
        """
        if self.kind == "show":
            return None
        return next((play.year for play in self.plays if play.year), None)

    @property
    def has_own_order(self) -> bool:
        """Return true if the library counts episodes in another order than the sites do.

        An id of a show would then lead to other episodes.
        """
        return self.kind == "show" and not any(is_aired_order(play.guid) for play in self.plays)

    def plex_guid(self) -> str | None:
        """Return a film's newest ``plex://`` GUID. The history has none of a show."""
        if self.kind == "show":
            return None
        return next(filter(None, (plex_guid(play.guid, "movie") for play in self.plays)), None)

    def ids_for(self, play: Play) -> Ids:
        """Return all ids for the item of a play: external ids, newest own rating key, GUID.

        Of an episode only the ids that fit its numbers count, and those that a person gave. The
        last result is cached, so call this only after ``identify``.
        """
        fitting = frozenset(
            site
            for site, known in self.ids.items()
            if self.kind == "movie"
            or known.origin is Origin.CORRECTIONS
            or fits_episode(site, play.guid, play.season)
        )
        if self._last is None or self._last[0] != fitting:
            ids = Ids(
                **{site: known.value for site, known in self.ids.items() if site in fitting},
                plex=str(self.own_keys[0]) if self.own_keys else None,
                guid=self.plex_guid(),
            )
            self._last = fitting, ids
        return self._last[1]

    def rating_key_of(self, play: Play) -> int | None:
        """Return the rating key that a play has for this kind of work: the film's or the show's."""
        return play.rating_key if self.kind == "movie" else play.grandparent_rating_key

    def _title(self, play: Play) -> str | None:
        return play.title if self.kind == "movie" else play.grandparent_title


def settle_keys(works: Iterable[Work]) -> None:
    """Leave each rating key to the work that had it last.

    A rebuilt server gives the same keys out again. If two works kept ``plex:12`` as their id,
    they would be merged into one item.
    """
    owners: dict[tuple[Kind, int], tuple[tuple[int, int], Work]] = {}
    for work in works:
        for group in work.groups:
            key = work.rating_key_of(group.play)
            if not key:
                continue
            if (work.kind, key) not in owners or owners[work.kind, key][0] < group.order:
                owners[work.kind, key] = (group.order, work)
    for work in works:
        work.own_keys = [key for key in work.rating_keys if owners[work.kind, key][1] is work]


def works_of(groups: Sequence[PlayGroup]) -> list[Work]:
    """Join the groups of films and episodes into works.

    An episode that names no show, neither by key nor title nor GUID, is left out.
    """
    items = items_under_keys(groups)
    return [*_films(groups, items["movie"]), *_shows(groups, items["show"])]


def _films(groups: Sequence[PlayGroup], items: Sequence[Item]) -> list[Work]:
    nodes = list(items)
    nameless: defaultdict[Hashable, list[PlayGroup]] = defaultdict(list)
    for group in groups:
        play = group.play
        if play.media_type == "movie" and not play.rating_key:
            title = folded(play.title)
            nameless[(title, play.year) if title else group].append(group)
    nodes += nameless.values()
    sets: DisjointSets[int] = DisjointSets(range(len(nodes)))
    # Only the newest GUID of each film counts: an older GUID from a wrong match would join the
    # film with the one that the GUID belongs to.
    by_guid: dict[str, int] = {}
    for number, inside in enumerate(nodes):
        newest = sorted(inside, key=lambda group: group.order, reverse=True)
        guids = (plex_guid(group.play.guid, "movie") for group in newest)
        if guid := next(filter(None, guids), None):
            sets.join(number, by_guid.setdefault(guid.lower(), number))
    return [Work("movie", [g for n in members for g in nodes[n]]) for members in sets.all()]


def _shows(groups: Sequence[PlayGroup], items: Sequence[Item]) -> list[Work]:
    members: dict[Hashable, list[PlayGroup]] = {
        number: list(item) for number, item in enumerate(items)
    }
    for group in groups:
        play = group.play
        if play.media_type == "movie" or play.grandparent_rating_key:
            continue
        node: Hashable | None = None
        title = folded(play.grandparent_title)
        if ids := show_ids(play.guid):
            node = ("guid", tuple(ids.items()))
        elif title:
            node = ("title", title)
        elif guid := plex_guid(play.guid, "episode"):
            node = ("episode", guid.lower())  # another play of the episode may name the show
        if node is not None:
            members.setdefault(node, []).append(group)
    sets: DisjointSets[Hashable] = DisjointSets(members)
    _join_by_episode_guids(members, sets)
    return [
        Work("show", [group for node in nodes for group in members[node]]) for nodes in sets.all()
    ]


def _join_by_episode_guids(
    members: Mapping[Hashable, Sequence[PlayGroup]], sets: DisjointSets[Hashable]
) -> None:
    """Join shows that have episodes of the same ``plex://`` GUID.

    A corrected wrong match leaves GUIDs of another show in the history. So only the newest GUID
    of each episode counts. And if both shows have GUIDs of episodes of the same numbers, more
    than half of these must be equal.
    """
    guids = {node: newest_guids(inside) for node, inside in members.items()}
    holders: defaultdict[str, list[Hashable]] = defaultdict(list)
    for node, episodes in guids.items():
        for guid in dict.fromkeys(episodes.values()):
            holders[guid].append(node)
    compared: set[tuple[Hashable, Hashable]] = set()
    for nodes in holders.values():
        for one, other in combinations(nodes, 2):
            if (one, other) in compared:
                continue
            compared.add((one, other))
            mine, theirs = guids[one], guids[other]
            alike = [mine[number] == theirs[number] for number in mine.keys() & theirs.keys()]
            if not alike or sum(alike) * 2 > len(alike):
                sets.join(one, other)


def newest_guids(groups: Iterable[PlayGroup]) -> dict[Hashable, str]:
    """Return the newest ``plex://`` GUID of each episode, by season and number."""
    newest: dict[Hashable, tuple[tuple[int, int], str]] = {}
    for group in groups:
        play = group.play
        guid = plex_guid(play.guid, "episode")
        number = (play.season, play.episode)
        if guid and (number not in newest or newest[number][0] < group.order):
            newest[number] = (group.order, guid.lower())
    return {number: guid for number, (_, guid) in newest.items()}
