"""Everything that can be played, invented: films, episodes, and what no importer wants.

How much there is grows with the history, more gently than the history does: about 150 works for
3,000 plays, 8,000 films and 60,000 episodes for a million.
"""

import random
from dataclasses import dataclass
from math import isqrt

from tests.support.history.films import Films
from tests.support.history.media import END, START, Home, Item, Maker, Subject
from tests.support.history.people import Section
from tests.support.history.shows import Shows
from tests.support.history.words import Texts, Titles

_MILLION = 1_000_000
_FILMS, _FILMS_EXPONENT, _FEWEST_FILMS = 8_000, 0.86, 54
_EPISODES, _EPISODES_EXPONENT, _FEWEST_EPISODES = 60_000, 1.1, 96
_SHOW_LENGTHS = (5, 40)
_MINUTE = 60_000
_CHANNELS = 8


@dataclass(slots=True)
class Catalogue:
    """What is played, by kind, the popular first."""

    films: list[Item]
    episodes: list[Item]
    tracks: list[Item]
    clips: list[Item]
    photos: list[Item]
    live: list[Item]
    #: What the lookup tables hold: (table, rating key) → ids.
    lookups: dict[tuple[str, int], dict[str, str]]


def build(plays: int, rng: random.Random, variety: int = 1) -> Catalogue:
    """Invent what a history of `plays` plays is about: `variety` times as much as usual."""
    make, titles, texts = Maker(rng), Titles(rng), Texts(rng)
    share = plays / _MILLION
    film_count = variety * max(_FEWEST_FILMS, round(_FILMS * share**_FILMS_EXPONENT))
    episode_count = variety * max(_FEWEST_EPISODES, round(_EPISODES * share**_EPISODES_EXPONENT))
    shortest, longest = _SHOW_LENGTHS
    mean_length = min(longest, max(shortest, isqrt(episode_count) // 6))
    shows = Shows(make, titles, texts, mean_length=mean_length)
    catalogue = Catalogue(
        films=Films(make, titles, texts).build(film_count),
        episodes=shows.build(episode_count),
        tracks=_tracks(make, titles, film_count),
        clips=_clips(make, titles, film_count // 20 + 3),
        photos=_photos(make, film_count // 5 + 3),
        live=_live(make, titles, film_count // 5 + 3),
        lookups=make.lookups,
    )
    # Popular is whoever chance says, not whoever was made first.
    rng.shuffle(catalogue.films)
    rng.shuffle(catalogue.episodes)
    return catalogue


def _settle(make: Maker, item: Item, section: Section, guid: str | None, keys: int = 1) -> Home:
    """Let an item live in one place all along, with the keys of what it is part of."""
    *parents, key = [make.key() for _ in range(keys)]
    home = Home(item, section, key, guid, make.added(), END)
    if parents:
        home.show_key, home.season_key = parents
    item.homes.append(home)
    return home


def _tracks(make: Maker, titles: Titles, count: int) -> list[Item]:
    rng = make.rng
    tracks = []
    for number in range(count):
        artist = Subject(number, titles.new(), None, {})
        track = Item("track", artist, titles.any(), None, rng.randint(2, 7) * _MINUTE, "track")
        track.parent_title = titles.any()
        track.season_cell, track.episode_cell = 1, rng.randint(1, 14)
        guid = rng.choice((make.plex_guid("track"), "local://77", ""))
        _settle(make, track, Section.MUSIC, guid, keys=3)
        tracks.append(track)
    return tracks


def _clips(make: Maker, titles: Titles, count: int) -> list[Item]:
    clips = []
    for number in range(count):
        title = f"{titles.any()} - Trailer"
        clip = Item("clip", Subject(number, title, None, {}), title, None, 2 * _MINUTE, "clip")
        _settle(make, clip, Section.MOVIES, make.rng.choice(("", None)))
        clips.append(clip)
    return clips


def _photos(make: Maker, count: int) -> list[Item]:
    photos = []
    for number in range(count):
        title = f"DSC_{1000 + number}"
        photo = Item("photo", Subject(number, title, None, {}), title, None, 0, "photo")
        home = _settle(make, photo, Section.PHOTOS, None)
        home.guid = f"local://{home.rating_key}"
        photos.append(photo)
    return photos


def _live(make: Maker, titles: Titles, count: int) -> list[Item]:
    """Invent broadcasts: films and episodes by media type, live by a column of their own."""
    rng = make.rng
    shown = []
    for number in range(count):
        media_type = rng.choice(("movie", "episode"))
        subject = Subject(number, titles.new(), None, {})
        item = Item("live", subject, subject.title, None, rng.randint(30, 120) * _MINUTE)
        item.media_type = media_type
        if media_type == "episode":
            item.title = titles.any()
            item.season_cell, item.episode_cell = rng.choice(((3, 7), ("", ""), (1, 29)))
        guid = rng.choice((make.plex_guid(media_type), f"tv.plex.xmltv://{number}", None, ""))
        home = Home(item, Section.LIVE, 900_000_000 + number, guid, START, END)
        home.season_key = None
        item.homes.append(home)
        item.texts = {"channel_call_sign": f"CH{number % _CHANNELS}"}
        shown.append(item)
    return shown
