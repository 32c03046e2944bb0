"""What a generated history really holds, told without reading it back.

An importer is right when it finds, for every work, the plays listed here and ids that do not
contradict `Work.ids`. Which of those ids it *can* find without asking anybody is told play by
play, because one work may have lived under several keys that nothing in the data connects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["movie", "episode"]
#: How a play ended. `marker` is watched as well: past the first credits marker, short of 85 %.
#: `no_duration` is a play whose item has no length, which is never watched.
Outcome = Literal["watched", "marker", "partial", "no_duration"]
Ids = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Play:
    """One row of a film or an episode."""

    row_id: int
    user_id: int
    reference_id: int
    #: Seconds since 1970; `stopped` is None where the row has 0 or NULL.
    started: int
    stopped: int | None
    rating_key: int
    show_key: int | None
    #: As written in the row: may be '' or None.
    guid: str | None
    outcome: Outcome
    #: Ids that this very row's GUID spells out: the film's or, for an episode, the show's.
    written_ids: Ids
    #: Ids that follow from the GUIDs of all rows which are provably the same film or show: the
    #: same rating key and title (show key and show title), or the same plex:// GUID, and so on
    #: from one to the next. Contains `written_ids`; says nothing about the lookup tables.
    offline_ids: Ids
    #: Ids that the lookup tables hold for this row's rating key (for its show's key).
    lookup_ids: Ids

    @property
    def watched_at(self) -> int:
        """When it was watched: when it stopped, else when it started."""
        return self.started if self.stopped is None else self.stopped

    @property
    def watched(self) -> bool:
        """Whether Tautulli counts it as watched with its default settings."""
        return self.outcome in {"watched", "marker"}


@dataclass(frozen=True, slots=True)
class Work:
    """A film, or an episode of a show, however many keys and GUIDs it went by."""

    number: int
    kind: Kind
    title: str
    #: A film's own year, or the episode's.
    year: int | None
    #: Of an episode. `show_number` tells apart shows that have the same title.
    show: str | None
    show_number: int | None
    #: None where the rows have none ('' or NULL): such rows cannot be imported as episodes.
    season: int | None
    episode: int | None
    #: All true ids, of the film or, for an episode, of its *show*. Empty: nobody knows any.
    ids: Ids
    rating_keys: frozenset[int]
    show_keys: frozenset[int]
    #: Every plex:// GUID among its rows.
    plex_guids: frozenset[str]
    watched: tuple[Play, ...]
    partial: tuple[Play, ...]

    @property
    def numbered(self) -> bool:
        """Whether it is a film, or an episode with both its numbers."""
        return self.kind == "movie" or (self.season is not None and self.episode is not None)

    @property
    def plays(self) -> tuple[Play, ...]:
        """All its plays, in ascending row id."""
        return tuple(sorted(self.watched + self.partial, key=lambda play: play.row_id))

    @property
    def offline_ids(self) -> dict[str, str]:
        """Every id that some play of it makes known offline.

        AniDB has an entry for each season, so its id of a show means the first season.
        """
        is_later = self.season is not None and self.season > 1
        return {
            name: value
            for play in self.plays
            for name, value in play.offline_ids.items()
            if not (is_later and name == "anidb")
        }

    @property
    def derivable(self) -> bool:
        """Whether any play of it makes any external id known offline."""
        return bool(self.offline_ids)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all rows, kept even when the plays are not."""

    rows: int
    #: movie, episode, track, clip, photo; and `live`, which counts in none of the others.
    by_media_type: Mapping[str, int]
    by_user: Mapping[int, int]
    #: Rows of films and episodes, live TV excluded.
    watched: int
    partial: int
    #: Rows of episodes, live TV excluded, without a season or an episode number.
    without_numbers: int
    #: Rows whose `stopped` is 0 or NULL.
    without_stopped: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything a test can check an importer against."""

    seed: int
    totals: Totals
    #: The works that were played at all; empty when plays were not collected.
    works: tuple[Work, ...]
    #: Row id to index in `works`, for every row of a film or an episode.
    work_of_row: Mapping[int, int] = field(repr=False)

    def work(self, row_id: int) -> Work | None:
        """Return the work that a row is a play of; None for music, photos and live TV."""
        index = self.work_of_row.get(row_id)
        return None if index is None else self.works[index]
