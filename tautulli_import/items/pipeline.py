"""Read a whole source: judge every play, identify its film or show, build canonical keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from ..counting import RowCounts, rejected_play
from ..ids.chain import Identified, identify
from ..ids.corrections import Correction
from ..ids.metadata import Answers, Question
from ..ids.works import Work
from ..model.groups import KeptOfGroup, Newest, PlayGroup, PlayGroups, owner
from ..model.keys import episode_key, movie_key
from ..model.plays import Play
from ..model.rejections import Reason, Rejected
from ..model.selection import Judge, Selection
from ..model.watched import WatchedRule
from ..progress import UNSEEN, Progress
from ..sources.database.source import Source

__all__ = ["Enricher", "KeptPlay", "ReadResult", "read"]


class Enricher(Protocol):
    """Asks Plex what it knows of films and shows."""

    def ask(self, questions: Sequence[Question], progress: Progress) -> Answers:
        """Ask about items by rating key. Raise nothing."""


_NUMBERS: Final = frozenset({Reason.NO_SEASON_NUMBER, Reason.NO_EPISODE_NUMBER})


class KeptPlay(Struct, frozen=True, gc=False):
    """A play that will be imported, and the film or show it belongs to.

    It is the newest of its group, or of its viewing if every viewing is kept.
    """

    play: Play
    """A representative play of its group, not of the same time."""
    work: Work
    user: int | None
    """Its user, with ``--each-user``."""
    base: str
    """Its canonical key."""
    newest: Newest
    """The time when it counts as watched (epoch seconds, UTC), and its row id."""


class ReadResult(Struct, frozen=True):
    """All plays of a source, read and identified."""

    read: int
    """All rows."""
    verdicts: Mapping[Reason, int]
    accepted: Mapping[int | None, int]
    """Accepted plays, by user with ``--each-user``, otherwise under ``None``."""
    kept: Sequence[KeptPlay]
    rejected: Sequence[Rejected]
    """The rejected rows one by one. ``verdicts`` counts them."""
    identified: Identified
    is_imported: Callable[[Play, WatchedRule], bool]
    """Returns true if a play is one of ``kept``, or merged into one."""


def read(
    source: Source,
    selection: Selection,
    *,
    corrections: Sequence[Correction] = (),
    every_viewing: bool = False,
    each_user: bool = False,
    progress: Progress = UNSEEN,
    watch: Callable[[Sequence[Play]], None] | None = None,
    enrich: Enricher | None = None,
) -> ReadResult:
    """Read all plays of a source, and identify the film or show of each.

    ``enrich`` is asked for the ids that no offline evidence has. ``watch`` is called with every
    batch of plays.

    Raises:
        TautulliImportError: the source cannot be read; see the errors of sources.
    """
    groups = PlayGroups(
        every_viewing=every_viewing,
        each_user=each_user,
        watched_at=selection.watched_at,
        latest=selection.latest,
    )
    counts = RowCounts()
    judges: dict[WatchedRule, Judge] = {}

    def judge(rule: WatchedRule) -> Judge:
        if rule not in judges:
            judges[rule] = selection.judge(rule)
        return judges[rule]

    unnumbered: list[tuple[Play, str]] = []
    progress.begin("reading", source.total())
    for batch in source.batches():
        watched = selection.watched(batch.rule)
        counts.count(batch, groups.take(batch.plays, judge(batch.rule), watched))
        unnumbered += [(play, batch.source) for play in groups.unnumbered]
        groups.unnumbered.clear()
        if watch:
            watch(batch.plays)
        progress.reached(counts.rows)
    ask = (lambda questions: enrich.ask(questions, progress)) if enrich else None
    identified = identify(groups, source.lookups(), corrections, ask)
    kept, unkeyable = _kept_plays(identified, groups, every_viewing=every_viewing)
    late = _Late(unkeyable, groups, counts, each_user=each_user)
    for play, name in unnumbered:
        late.reject(play, name, only_numbers=True)
    if not _NUMBERS.issuperset(unkeyable.values()):
        late.read_again(source, judge)

    def is_imported(play: Play, rule: WatchedRule) -> bool:
        group = groups.find(play)
        return judge(rule)(play) is None and group is not None and group not in unkeyable

    return ReadResult(
        read=counts.rows,
        verdicts=+(counts.verdicts + groups.verdicts),
        accepted=Counter(groups.accepted),
        kept=kept,
        rejected=list(counts.rejected.values()),
        identified=identified,
        is_imported=is_imported,
    )


def _kept_plays(
    identified: Identified, groups: PlayGroups, *, every_viewing: bool
) -> tuple[list[KeptPlay], Mapping[PlayGroup, Reason]]:
    """Return the plays to import with their canonical keys, and the groups without a key."""
    kept: list[KeptPlay] = []
    unkeyable: dict[PlayGroup, Reason] = {}
    works: dict[PlayGroup, Work] = {}
    members: defaultdict[str, list[PlayGroup]] = defaultdict(list)

    def keep(base: str, found: Iterable[KeptOfGroup]) -> None:
        for group, user, newest in found:
            kept.append(KeptPlay(group.play, works[group], user, base, newest))

    for work in identified.works:
        for group in work.groups:
            works[group] = work
            # The viewings also need the plays that are not accepted.
            if not (group.accepted or every_viewing):
                continue
            base = _base_key(work, group.play)
            if base is not None:
                if every_viewing:
                    members[base].append(group)
                else:
                    keep(base, group.newest())
            elif group.accepted:
                unkeyable[group] = _why_no_key(work, group.play)
    for base, same in members.items():
        keep(base, groups.viewings(same))
    groups.free()
    for group in groups:
        if group.accepted and group not in works:
            unkeyable[group] = _why_no_key(None, group.play)
    return kept, unkeyable


def _base_key(work: Work, play: Play) -> str | None:
    ids = work.ids_for(play)
    if work.kind == "movie":
        return movie_key(ids, play.title or "", play.year)
    season, episode = play.season, play.episode
    if season is None or season < 0 or episode is None or episode < 0:
        return None
    return episode_key(ids, season, episode)


def _why_no_key(work: Work | None, play: Play) -> Reason:
    if play.media_type == "episode" and (play.episode is None or play.episode < 0):
        return Reason.NO_EPISODE_NUMBER
    if play.media_type == "episode" and (play.season is None or play.season < 0):
        return Reason.NO_SEASON_NUMBER
    return Reason.REUSED_NUMBER if work is not None and work.rating_keys else Reason.NO_SHOW


class _Late:
    """Rejects accepted plays of groups without a key, one by one, for the report."""

    def __init__(
        self,
        unkeyable: Mapping[PlayGroup, Reason],
        groups: PlayGroups,
        counts: RowCounts,
        *,
        each_user: bool,
    ) -> None:
        self._unkeyable = unkeyable
        self._groups = groups
        self._counts = counts
        self._each_user = each_user

    def reject(self, play: Play, source: str, *, only_numbers: bool) -> None:
        """Count an accepted play as rejected, if its group has no key for such a reason."""
        group = self._groups.find(play)
        reason = self._unkeyable.get(group) if group is not None else None
        if reason is None or (reason in _NUMBERS) is not only_numbers:
            return
        self._counts.verdicts[reason] += 1
        self._groups.accepted[owner(play) if self._each_user else None] -= 1
        self._counts.rejected[source, play.id] = rejected_play(play, reason, source)

    def read_again(self, source: Source, judge: Callable[[WatchedRule], Judge]) -> None:
        """Read the source a second time, for reasons other than numbers. They are rare."""
        for batch in source.batches():
            is_rejected = judge(batch.rule)
            for play in batch.plays:
                if is_rejected(play) is None:
                    self.reject(play, batch.source, only_numbers=False)
