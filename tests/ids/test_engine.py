"""What must hold of every history, whatever is in it: which plays are one film or show."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from msgspec import structs

from tautulli_import.items.build import records_of
from tautulli_import.items.pipeline import read
from tautulli_import.model.guids import movie_ids, show_ids
from tautulli_import.model.items import EXTERNAL, Episode, Record
from tautulli_import.model.plays import Play
from tautulli_import.model.rejections import Reason
from tautulli_import.model.selection import Selection
from tests.items.test_groups import HISTORIES, UNHURRIED, InMemory

QUICK: Final = settings(UNHURRIED, max_examples=40)
OF_TIME: Final = (Reason.NO_TIME, Reason.IMPOSSIBLE_TIME)


def external(record: Record) -> dict[str, str]:
    ids = record.item.show_ids if isinstance(record.item, Episode) else record.item.ids
    return {name: value for name in EXTERNAL if (value := getattr(ids, name))}


def told(plays: list[Play]) -> list[tuple[int, str, dict[str, str]]]:
    """Return what is imported, without what only this Plex server knows."""
    records = records_of(read(InMemory(plays), Selection()), every_viewing=False)
    return [(record.play_id, record.item.title, external(record)) for record in records]


def renumbered(key: int | None) -> int | None:
    return key and 10 * key + 3


@QUICK
@given(plays=HISTORIES)
def test_only_the_order_of_the_rating_keys_matters(plays: list[Play]) -> None:
    others = [
        structs.replace(
            play,
            rating_key=renumbered(play.rating_key),
            grandparent_rating_key=renumbered(play.grandparent_rating_key),
        )
        for play in plays
    ]
    assert told(others) == told(plays)


@QUICK
@given(plays=HISTORIES)
def test_an_id_is_given_only_where_a_play_of_the_film_or_show_tells_it(plays: list[Play]) -> None:
    reading = read(InMemory(plays), Selection(include_partial=True))
    for work in reading.identified.works:
        of_guid = movie_ids if work.kind == "movie" else show_ids
        evidence = {pair for guid in work.guids for pair in of_guid(guid).items()}
        others = {
            pair
            for other in reading.identified.works
            if other.kind == work.kind
            for guid in other.guids
            for pair in of_guid(guid).items()
            if not evidence.isdisjoint(of_guid(guid).items())
        }
        assert {(site, known.value) for site, known in work.ids.items()} <= evidence | others


@QUICK
@given(plays=HISTORIES)
def test_no_watched_episode_with_numbers_and_a_show_is_lost(plays: list[Play]) -> None:
    """Only a show whose key was given out again, and that has no id, has no key to stand under."""
    rejected = {row.id: row.reason for row in read(InMemory(plays), Selection()).rejected}
    for play in plays:
        is_numbered = None not in (play.season, play.episode)
        if play.media_type == "episode" and is_numbered and play.grandparent_rating_key:
            assert rejected.get(play.id) in (None, *OF_TIME, Reason.REUSED_NUMBER)
