"""Share ids between works that are the same title under several keys and GUIDs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..model.items import Conflict, Kind
from ..model.sets import DisjointSets
from .rulings import Rule, Ruling
from .works import Known, Work

__all__ = ["share"]


def share(works: Sequence[Work], rulings: list[Ruling]) -> Sequence[Conflict]:
    """Give works with an external id in common each other's ids. Return the conflicts.

    The result depends only on the ids that each work had before. What was decided is added to
    ``rulings``.
    """
    conflicts: list[Conflict] = []
    for together in _share_by_id(works, conflicts):
        first, *others = (work.newest for work in together)
        rulings += [Ruling(Rule.SHARED_ID, True, first, other) for other in others]
    return conflicts


def _share_by_id(works: Sequence[Work], conflicts: list[Conflict]) -> Iterator[Sequence[Work]]:
    """Share the ids. Yield the works that have some in common."""
    first: dict[tuple[Kind, str, str], Work] = {}
    sets = DisjointSets(works)
    for work in works:
        for namespace, known in work.ids.items():
            other = first.setdefault((work.kind, namespace, known.value), work)
            if other is not work:
                sets.join(work, other)
    for together in sets.all():
        if len(together) == 1:  # as most
            continue
        yield together
        # Ids of the newest play come first and win.
        together.sort(key=_newest_evidence, reverse=True)
        values: defaultdict[str, set[str]] = defaultdict(set)
        for member in together:
            for namespace, known in member.ids.items():
                values[namespace].add(known.value)
        if all(len(found) == 1 for found in values.values()):
            for member in together:
                for other in together:
                    member.ids = {**other.ids, **member.ids}
        else:
            _share_among_contradicting(together, conflicts)


def _share_among_contradicting(works: Sequence[Work], conflicts: list[Conflict]) -> None:
    """Copy ids between works that contradict each other, from direct neighbours only.

    The newest neighbour that shares an id overrules an older work. Its ids are not passed on
    to a third work: one wrong id would merge two different films.
    """
    before = {work: dict(work.ids) for work in works}
    for place, work in enumerate(works):
        mine = before[work]
        for newer in works[:place]:
            theirs = before[newer]
            if not _shared(mine, theirs):
                continue
            for namespace, known in theirs.items():
                if namespace in mine and mine[namespace].value != known.value:
                    plays = (known.play_id, mine[namespace].play_id)
                    dropped = mine[namespace].value
                    conflicts.append(
                        Conflict(work.kind, work.title, namespace, known.value, dropped, plays)
                    )
            work.ids = {**mine, **theirs}
            break
        for older in works[place + 1 :]:
            theirs = before[older]
            if _shared(mine, theirs) and not _contradict(mine, theirs):
                work.ids = {**theirs, **work.ids}


def _newest_evidence(work: Work) -> tuple[int, int]:
    return max((known.when, known.play_id) for known in work.ids.values())


def _contradict(one: dict[str, Known], other: dict[str, Known]) -> bool:
    return any(ns in other and other[ns].value != known.value for ns, known in one.items())


def _shared(one: dict[str, Known], other: dict[str, Known]) -> bool:
    return any(ns in other and other[ns].value == known.value for ns, known in one.items())
